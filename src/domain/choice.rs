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
mod tests {
    use super::*;
    use crate::domain::estimate::tests::{offer, spec};
    use crate::domain::gpu::{Class, Family};

    /// A machine with one slot and one GPU, at so many cents an hour.
    fn machine(node: &str, family: &str, cents: i64, free: bool) -> Offer {
        let known = catalogue();
        let known = known.find(family).expect("a family").clone();
        Offer {
            node: node.into(),
            gpu_family: Some(known.id),
            gpu_class: Some(known.class.name().into()),
            vram_gb: f64::from(known.vram_gb[0]) * 1.02,
            speed: known.memory_gb_per_second,
            gpus: 1,
            gpus_free: u32::from(free),
            region: Some("eu-west".into()),
            rate: Usd::from_micros(cents * 10_000),
            slots: 1,
            free: u32::from(free),
            ..offer()
        }
    }

    fn catalogue() -> Catalogue {
        let families = [
            ("T4", Class::Datacenter, 16, 320),
            ("RTX4090", Class::Consumer, 24, 1_008),
            ("L4", Class::Datacenter, 24, 300),
            ("L40S", Class::Datacenter, 48, 864),
        ];
        Catalogue {
            dated: "2026-11-24".into(),
            gpu: families
                .map(|(id, class, vram, speed)| Family {
                    id: id.into(),
                    name: id.into(),
                    aliases: Vec::new(),
                    class,
                    vram_gb: vec![vram],
                    memory_gb_per_second: Some(speed),
                    typical_usd_per_hour: None,
                    seen_usd_per_hour: None,
                    sources: Vec::new(),
                    dated: None,
                })
                .into(),
            ..Catalogue::default()
        }
    }

    fn gpu_job(change: impl FnOnce(&mut JobSpec)) -> JobSpec {
        let mut spec = spec();
        spec.resources.gpu_required = true;
        change(&mut spec);
        spec
    }

    /// The machine, and per row: field, asked, got.
    fn chosen(spec: &JobSpec, offers: &[Offer]) -> (String, Vec<(String, String, String)>) {
        let found = choose(spec, offers, &catalogue()).expect("a machine that fits");
        for row in &found.relaxed {
            assert!(row.reason.ends_with('.'), "{row:?}");
        }
        let rows = found.relaxed.into_iter();
        let rows = rows.map(|row| (row.field, row.asked, row.got)).collect();
        (found.offer.node, rows)
    }

    fn said(field: &str, asked: &str, got: &str) -> (String, String, String) {
        (field.into(), asked.into(), got.into())
    }

    #[test]
    fn the_lowest_price_gives_way_to_a_free_machine_and_says_so() {
        let cheap_is_taken = [
            machine("cheap", "L4", 10, false),
            machine("dear", "L4", 50, true),
        ];
        let plain = gpu_job(|_| {});
        assert_eq!(chosen(&plain, &cheap_is_taken), ("dear".into(), vec![]));
        let cost = gpu_job(|job| job.routing.optimize_for = OptimizeFor::Cost);
        let row = said("optimize_for", "cost", "$0.50 per hour");
        assert_eq!(chosen(&cost, &cheap_is_taken), ("dear".into(), vec![row]));
        let found = choose(&cost, &cheap_is_taken, &catalogue()).unwrap();
        assert_eq!(
            found.relaxed[0].reason,
            "cheap costs $0.10 per hour and is taken; dear is free now."
        );
        let priority = gpu_job(|job| job.routing.cost_priority = Level::High);
        let row = said("cost_priority", "high", "$0.50 per hour");
        assert_eq!(
            chosen(&priority, &cheap_is_taken),
            ("dear".into(), vec![row])
        );
        let patient = gpu_job(|job| {
            job.routing.cost_priority = Level::High;
            job.routing.latency_priority = Level::Low;
        });
        let found = choose(&patient, &cheap_is_taken, &catalogue()).unwrap();
        assert_eq!(
            (found.offer.node.as_str(), found.free_now),
            ("cheap", false)
        );
        assert_eq!(found.relaxed, []);
        // What is cheaper and does not fit is no reason to wait.
        let small = [
            machine("small", "T4", 10, true),
            machine("dear", "L40S", 50, true),
        ];
        let large = gpu_job(|job| {
            job.routing.optimize_for = OptimizeFor::Cost;
            job.resources.min_vram_gb = Some(40.0);
        });
        let found = choose(&large, &small, &catalogue()).unwrap();
        assert_eq!(
            found.relaxed[0].reason,
            "Cheaper machines, from $0.10 per hour, do not have what the job needs."
        );
    }

    #[test]
    fn speed_takes_the_faster_gpu_and_else_the_cheaper_is_taken() {
        let offers = [
            machine("slow", "L4", 10, true),
            machine("fast", "L40S", 50, true),
        ];
        let plain = gpu_job(|_| {});
        assert_eq!(chosen(&plain, &offers).0, "slow");
        let speed = gpu_job(|job| job.routing.optimize_for = OptimizeFor::Speed);
        assert_eq!(chosen(&speed, &offers), ("fast".into(), vec![]));
        let taken = [
            machine("slow", "L4", 10, true),
            machine("fast", "L40S", 50, false),
        ];
        let row = said("optimize_for", "speed", "L4");
        assert_eq!(chosen(&speed, &taken), ("slow".into(), vec![row]));
    }

    #[test]
    fn a_family_gives_way_to_its_tier_then_to_the_next_above() {
        let wants = gpu_job(|job| job.routing.preferred_gpu_family = Some("RTX 4090".into()));
        let all = [
            machine("a", "T4", 10, true),
            machine("b", "L40S", 11, true),
            machine("c", "L4", 12, true),
            machine("d", "RTX4090", 13, true),
        ];
        let row = |got| vec![said("preferred_gpu_family", "RTX 4090", got)];
        assert_eq!(chosen(&wants, &all), ("d".into(), vec![]));
        assert_eq!(chosen(&wants, &all[..3]), ("c".into(), row("L4")));
        assert_eq!(chosen(&wants, &all[..2]), ("b".into(), row("L40S")));
        assert_eq!(chosen(&wants, &all[..1]), ("a".into(), row("T4")));
        let mut taken = all.clone();
        taken[3].gpus_free = 0;
        let found = choose(&wants, &taken, &catalogue()).unwrap();
        assert_eq!(
            found.relaxed[0].reason, "Every machine with RTX 4090 is taken; c is free now.",
            "a free slot without its GPU is no room"
        );
        let odd = gpu_job(|job| job.routing.preferred_gpu_family = Some("RTX409O".into()));
        let found = choose(&odd, &all, &catalogue()).unwrap();
        assert!(
            found.relaxed[0]
                .reason
                .ends_with("no GPU of that name is known.")
        );
    }

    #[test]
    fn a_region_gives_way_to_its_continent_then_to_any() {
        let at = |node: &str, region: Option<&str>| Offer {
            region: region.map(str::to_owned),
            ..machine(node, "L4", 10, true)
        };
        let offers = [
            at("nowhere", None),
            at("far", Some("us-east")),
            at("near", Some("eu-north")),
            at("there", Some("EU-West")),
        ];
        let wants = gpu_job(|job| job.routing.region_preference = Some("eu-west".into()));
        let row = |got| vec![said("region_preference", "eu-west", got)];
        assert_eq!(chosen(&wants, &offers), ("there".into(), vec![]));
        assert_eq!(
            chosen(&wants, &offers[..3]),
            ("near".into(), row("eu-north"))
        );
        assert_eq!(chosen(&wants, &offers[..2]), ("far".into(), row("us-east")));
        assert_eq!(
            chosen(&wants, &offers[..1]),
            ("nowhere".into(), row("this grid"))
        );
        let continent = gpu_job(|job| job.routing.region_preference = Some("eu".into()));
        assert_eq!(chosen(&continent, &offers[..3]), ("near".into(), vec![]));
        // The price gives way before the region does.
        let mut both = wants.clone();
        both.routing.optimize_for = OptimizeFor::Cost;
        let dear = Offer {
            rate: Usd::from_micros(900_000),
            ..offers[3].clone()
        };
        let (node, rows) = chosen(&both, &[offers[1].clone(), dear]);
        assert_eq!(node, "there");
        assert_eq!(rows, [said("optimize_for", "cost", "$0.90 per hour")]);
    }

    #[test]
    fn what_nobody_here_can_give_is_said_too() {
        let job = gpu_job(|job| job.routing.priority = Some("high_reliability".into()));
        let offers = [machine("a", "L4", 10, true)];
        assert_eq!(chosen(&job, &offers).1[0].0, "priority");
        let mut without = spec();
        without.routing.gpu_class = Some("consumer".into());
        let row = said("gpu_class", "consumer", "datacenter");
        assert_eq!(chosen(&without, &offers).1, [row]);
        without.resources.gpu_required = true;
        assert_eq!(choose(&without, &offers, &catalogue()), None, "hard");
    }
}
