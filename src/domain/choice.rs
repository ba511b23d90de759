//! Which of the machines that fit a job gets it, and what it gives up there. Estimate,
//! dry run and scheduler choose with the same [`choose`].
use super::gpu::{Catalogue, same_family};
use super::likeness::VRAM_TIERS;
use super::money::Usd;
use super::requirements::fits_all;
use super::routing::{Offer, Placement, Relaxed};
use super::spec::{JobSpec, Level, OptimizeFor};
use std::cmp::Reverse;

/// Where the job goes: among the offers that satisfy everything hard, one with room
/// first; then by region, by GPU family, and by what was to be optimised, which gives
/// way in the opposite order; then the cheapest. `None` if none fits.
#[must_use]
pub fn choose(spec: &JobSpec, offers: &[Offer], catalogue: &Catalogue) -> Option<Placement> {
    let candidates: Vec<&Offer> = offers.iter().filter(|o| fits_all(spec, o)).collect();
    let best = *candidates
        .iter()
        .min_by_key(|offer| rank(spec, offer, catalogue))?;
    let rates = candidates.iter().map(|offer| offer.rate);
    let choice = Choice {
        spec,
        best,
        candidates: &candidates,
        offers,
        catalogue,
    };
    Some(Placement {
        offer: best.clone(),
        relaxed: choice.relaxed(),
        reason: choice.reason(),
        candidates: u32::try_from(candidates.len()).unwrap_or(u32::MAX),
        rates: (
            rates.clone().min().unwrap_or_default(),
            rates.max().unwrap_or_default(),
        ),
        free_now: best.has_room_for(spec),
    })
}

type Rank<'a> = (Option<Usd>, bool, u32, u32, Reverse<u32>, Usd, &'a str);

fn rank<'a>(spec: &JobSpec, offer: &'a Offer, catalogue: &Catalogue) -> Rank<'a> {
    let speed = if wants_speed(spec) { offer.speed } else { None };
    (
        waits_for_the_cheapest(spec).then_some(offer.rate),
        !offer.has_room_for(spec),
        region_distance(spec, offer),
        family_distance(spec, offer, catalogue),
        Reverse(speed.unwrap_or_default()),
        offer.rate,
        &offer.node,
    )
}

/// The field that asks for the lowest price, and its value.
fn wants_cost(spec: &JobSpec) -> Option<(&'static str, &'static str)> {
    let routing = &spec.routing;
    if routing.optimize_for == OptimizeFor::Cost {
        return Some(("optimize_for", "cost"));
    }
    (routing.cost_priority == Level::High).then_some(("cost_priority", "high"))
}

/// The field that asks for an early start, and its value.
pub(super) fn wants_an_early_start(spec: &JobSpec) -> Option<(&'static str, &'static str)> {
    let routing = &spec.routing;
    if routing.latency_priority == Level::High {
        return Some(("latency_priority", "high"));
    }
    wants_speed(spec).then_some(("optimize_for", "speed"))
}

fn wants_speed(spec: &JobSpec) -> bool {
    spec.routing.optimize_for == OptimizeFor::Speed
}

/// Who wants the lowest price and does not mind when it starts waits for it.
fn waits_for_the_cheapest(spec: &JobSpec) -> bool {
    wants_cost(spec).is_some() && spec.routing.latency_priority == Level::Low
}

/// 0 in the region that was asked for, 1 on its continent, 2 elsewhere.
pub(super) fn region_distance(spec: &JobSpec, offer: &Offer) -> u32 {
    let Some(wanted) = &spec.routing.region_preference else {
        return 0;
    };
    let Some(region) = &offer.region else {
        return 2;
    };
    let (wanted, region) = (wanted.to_ascii_lowercase(), region.to_ascii_lowercase());
    let continent = |slug: &str| slug.split('-').next().unwrap_or_default().to_owned();
    if wanted == region || wanted == continent(&region) {
        0
    } else {
        u32::from(continent(&wanted) != continent(&region)) + 1
    }
}

/// 0 for the preferred family, then its tier of memory, then the next tiers above,
/// then those below, then none.
fn family_distance(spec: &JobSpec, offer: &Offer, catalogue: &Catalogue) -> u32 {
    let Some(wanted) = &spec.routing.preferred_gpu_family else {
        return 0;
    };
    let Some(family) = &offer.gpu_family else {
        return u32::MAX;
    };
    if same_family(wanted, family) {
        return 0;
    }
    let tier = |gigabytes: f64| {
        let below = VRAM_TIERS
            .iter()
            .filter(|tier| f64::from(**tier) <= gigabytes);
        u32::try_from(below.count()).unwrap_or_default()
    };
    let known = catalogue.gpu.iter().find(|f| same_family(wanted, &f.id));
    let Some(largest) = known.and_then(|family| family.vram_gb.iter().max()) else {
        return 1;
    };
    let (wanted, has) = (tier(f64::from(*largest)), tier(offer.vram_gb));
    if has >= wanted {
        1 + has - wanted
    } else {
        100 + wanted - has
    }
}

struct Choice<'a> {
    spec: &'a JobSpec,
    best: &'a Offer,
    candidates: &'a [&'a Offer],
    /// Those that do not fit, too.
    offers: &'a [Offer],
    catalogue: &'a Catalogue,
}

impl Choice<'_> {
    /// What was asked for and is not had there, in the order in which it gave way.
    fn relaxed(&self) -> Vec<Relaxed> {
        let rows = [
            self.priority(),
            self.cost(),
            self.speed(),
            self.class(),
            self.family(),
            self.region(),
        ];
        rows.into_iter().flatten().collect()
    }

    /// Why this one.
    fn reason(&self) -> String {
        let node = &self.best.node;
        let best_rate = self.candidates.iter().map(|offer| offer.rate).min();
        let all = self.candidates.len();
        if all == 1 {
            format!("{node} is the only machine that fits.")
        } else if !self.best.has_room_for(self.spec) {
            format!("None of the {all} machines that fit has room now; {node} suits best.")
        } else if self.relaxed().is_empty() && best_rate == Some(self.best.rate) {
            format!("{node} has room and is as cheap as any of the {all} machines that fit.")
        } else {
            format!("{node} has room and gives up least of what was asked for, of {all} that fit.")
        }
    }

    /// Jobs are taken in the order in which they came, whatever they say.
    fn priority(&self) -> Option<Relaxed> {
        let asked = self.spec.routing.priority.as_deref()?;
        let (got, reason) = if asked == "high_reliability" {
            (
                "any machine that fits",
                "How reliable machines are is not known here.",
            )
        } else {
            (
                "its turn",
                "Jobs of this grid start in the order in which they came.",
            )
        };
        Some(row("priority", asked, got, reason.to_owned()))
    }

    fn cost(&self) -> Option<Relaxed> {
        let (field, asked) = wants_cost(self.spec)?;
        let got = self.best.rate;
        let cheapest = self.offers.iter().filter(|offer| offer.rate < got);
        let cheapest = cheapest.min_by_key(|offer| offer.rate)?;
        let fitting = self.candidates.iter().filter(|offer| offer.rate < got);
        let reason = match fitting.min_by_key(|offer| offer.rate) {
            Some(offer) if offer.has_room_for(self.spec) => format!(
                "{} costs {} per hour, but has not the region or the GPU that you prefer.",
                offer.node, offer.rate
            ),
            Some(offer) => format!(
                "{} costs {} per hour and is taken; {} is free now.",
                offer.node, offer.rate, self.best.node
            ),
            None => format!(
                "Cheaper machines, from {} per hour, do not have what the job needs.",
                cheapest.rate
            ),
        };
        Some(row(field, asked, &format!("{got} per hour"), reason))
    }

    fn speed(&self) -> Option<Relaxed> {
        if !wants_speed(self.spec) {
            return None;
        }
        let got = self.best.speed.unwrap_or_default();
        let faster = self.candidates.iter().filter(|o| o.speed > Some(got));
        let fastest = faster.max_by_key(|offer| offer.speed)?;
        let name = gpu_words(fastest);
        let reason = if fastest.has_room_for(self.spec) {
            format!(
                "{} has a faster {name}, but has not the region or the GPU that you prefer.",
                fastest.node
            )
        } else {
            format!("{} has a faster {name} and is taken.", fastest.node)
        };
        let got = gpu_words(self.best);
        Some(row("optimize_for", "speed", &got, reason))
    }

    /// With a GPU that the job needs, a class is hard.
    fn class(&self) -> Option<Relaxed> {
        let asked = self.spec.routing.gpu_class.as_deref()?;
        let has = self.best.gpu_class.as_deref();
        if has.is_some_and(|has| has.eq_ignore_ascii_case(asked)) {
            return None;
        }
        let got = has.unwrap_or("no GPU");
        let reason = "The job does not say that it needs a GPU, so the class was only preferred.";
        Some(row("gpu_class", asked, got, reason.to_owned()))
    }

    fn family(&self) -> Option<Relaxed> {
        let asked = self.spec.routing.preferred_gpu_family.as_ref()?;
        let is = |offer: &Offer| {
            let family = offer.gpu_family.as_ref();
            family.is_some_and(|family| same_family(asked, family))
        };
        if is(self.best) {
            return None;
        }
        let known = self.catalogue.gpu.is_empty() || self.catalogue.knows(asked);
        let reason = if self.candidates.iter().any(|offer| is(offer)) {
            self.elsewhere(asked, is)
        } else if self.offers.iter().any(is) {
            format!("The machines with {asked} do not have the rest of what the job needs.")
        } else if known {
            format!("No machine of this grid has {asked}.")
        } else {
            format!("No machine of this grid has {asked}, and no GPU of that name is known.")
        };
        let got = gpu_words(self.best);
        Some(row("preferred_gpu_family", asked, &got, reason))
    }

    fn region(&self) -> Option<Relaxed> {
        let asked = self.spec.routing.region_preference.as_ref()?;
        let far = region_distance(self.spec, self.best);
        if far == 0 {
            return None;
        }
        let is = |offer: &Offer| region_distance(self.spec, offer) == 0;
        let mut reason = if self.candidates.iter().any(|offer| is(offer)) {
            self.elsewhere(asked, is)
        } else {
            format!("No machine that fits is in {asked}.")
        };
        if far == 1 {
            reason.push_str(" This is the same continent.");
        } else if self.best.region.is_none() {
            reason = format!("{reason} {} does not say where it is.", self.best.node);
        }
        let got = self.best.region.as_deref().unwrap_or("this grid");
        Some(row("region_preference", asked, got, reason))
    }

    /// Why the machine that has it is not the one.
    fn elsewhere(&self, asked: &str, has: impl Fn(&Offer) -> bool) -> String {
        let best = &self.best.node;
        let there = self.candidates.iter().filter(|offer| has(offer));
        let cheapest = there.clone().map(|offer| offer.rate).min();
        if waits_for_the_cheapest(self.spec) && cheapest > Some(self.best.rate) {
            return format!("Machines with {asked} cost more, and the lowest price was to decide.");
        }
        if there.clone().any(|offer| offer.has_room_for(self.spec)) {
            return format!(
                "{best} has more of what was asked for than the machines with {asked}."
            );
        }
        if self.best.has_room_for(self.spec) {
            format!("Every machine with {asked} is taken; {best} is free now.")
        } else {
            format!("Machines with {asked} are taken; {best} suits otherwise.")
        }
    }
}

fn gpu_words(offer: &Offer) -> String {
    offer.gpu_family.clone().unwrap_or_else(|| "no GPU".into())
}

pub(super) fn row(field: &str, asked: &str, got: &str, reason: String) -> Relaxed {
    Relaxed {
        field: field.to_owned(),
        asked: asked.to_owned(),
        got: got.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests;
