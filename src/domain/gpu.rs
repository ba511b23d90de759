//! GPUs as the market has them: families, memory, class and dated prices; and rules
//! of thumb about what a model needs.
use super::likeness::tier;
use super::spec::{JobSpec, WorkloadType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Every family that is known, as a dated file describes it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    /// When its prices were collected: `2026-11-24`.
    pub dated: String,
    /// Where they were seen.
    #[serde(default)]
    pub source: Vec<Source>,
    #[serde(default)]
    pub gpu: Vec<Family>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// A letter or a word that families refer to.
    pub id: String,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Family {
    /// Upper-case without the vendor, variants after `_`: `RTX4090`, `H100_SXM`.
    pub id: String,
    pub name: String,
    /// Other names that drivers report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    pub class: Class,
    /// Gigabytes; several, if it comes in several sizes.
    pub vram_gb: Vec<u32>,
    /// Gigabytes per second, as its maker states them. Which of two is faster is
    /// judged by this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gb_per_second: Option<u32>,
    /// US dollars per GPU and hour; nothing, where no source names a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typical_usd_per_hour: Option<f64>,
    /// The lowest and the highest that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_usd_per_hour: Option<(f64, f64)>,
    #[serde(default)]
    pub sources: Vec<String>,
    /// When this price was seen, if not with all the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dated: Option<String>,
}

/// The contract knows `consumer` and `datacenter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    Consumer,
    Professional,
    Datacenter,
}

impl Class {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Professional => "professional",
            Self::Datacenter => "datacenter",
        }
    }
}

impl Catalogue {
    /// Everything that is wrong with it: the path of a field, and a sentence.
    #[must_use]
    pub fn check(&self) -> Vec<(String, String)> {
        let mut wrong = Vec::new();
        if !is_date(&self.dated) {
            wrong.push(("dated".into(), "Write a date such as 2026-11-24.".into()));
        }
        let known: BTreeSet<&str> = self.source.iter().map(|s| s.id.as_str()).collect();
        let mut ids = BTreeSet::new();
        for (at, family) in self.gpu.iter().enumerate() {
            let mut say = |field: &str, why: &str| {
                wrong.push((format!("gpu[{at}].{field}"), why.to_owned()));
            };
            if !ids.insert(&family.id) {
                say("id", &format!("{} is there twice.", family.id));
            }
            let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
            if family.id.is_empty() || family.id.len() > 40 || !family.id.chars().all(legal) {
                say("id", "Use at most 40 capital letters, digits and _.");
            }
            if family.name.trim().is_empty() || family.name.len() > 80 {
                say("name", "Give it a name of at most 80 characters.");
            }
            let sane = |gb: &u32| (1..=4_096).contains(gb);
            if family.vram_gb.is_empty() || !family.vram_gb.iter().all(sane) {
                say("vram_gb", "Give at least one size of 1 to 4096 GB.");
            }
            let fast = |speed: u32| (1..=1_000_000).contains(&speed);
            if family
                .memory_gb_per_second
                .is_some_and(|speed| !fast(speed))
            {
                say("memory_gb_per_second", "Give a speed above 0, or none.");
            }
            let price = |usd: f64| usd > 0.0 && usd <= 10_000.0;
            if family.typical_usd_per_hour.is_some_and(|usd| !price(usd)) {
                say("typical_usd_per_hour", "Give a price above 0, or none.");
            }
            if family
                .seen_usd_per_hour
                .is_some_and(|(low, high)| !price(low) || !price(high) || low > high)
            {
                say(
                    "seen_usd_per_hour",
                    "Give the lowest price, then the highest.",
                );
            }
            if family.dated.as_ref().is_some_and(|date| !is_date(date)) {
                say("dated", "Write a date such as 2026-11-24.");
            }
            if let Some(unknown) = family
                .sources
                .iter()
                .find(|id| !known.contains(id.as_str()))
            {
                say(
                    "sources",
                    &format!("There is no source {unknown} in this file."),
                );
            }
        }
        wrong
    }

    /// This one with what `other` says instead or in addition. Each family keeps the
    /// date of the file it comes from.
    #[must_use]
    pub fn overridden_by(mut self, other: Self) -> Self {
        for mut family in other.gpu {
            family.dated.get_or_insert_with(|| other.dated.clone());
            match self.gpu.iter_mut().find(|ours| ours.id == family.id) {
                Some(ours) => *ours = family,
                None => self.gpu.push(family),
            }
        }
        for source in other.source {
            match self.source.iter_mut().find(|ours| ours.id == source.id) {
                Some(ours) => *ours = source,
                None => self.source.push(source),
            }
        }
        self
    }

    /// The family that a driver, or a person, calls so.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Family> {
        let wanted = plain(name);
        self.gpu.iter().find(|family| {
            let names = [&family.id, &family.name]
                .into_iter()
                .chain(&family.aliases);
            names.map(|name| plain(name)).any(|name| name == wanted)
        })
    }
}

impl Catalogue {
    /// Whether this names a family, with its variant or without.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.find(name).is_some() || self.gpu.iter().any(|f| same_family(name, &f.id))
    }
}

fn is_date(text: &str) -> bool {
    let form = time::macros::format_description!("[year]-[month]-[day]");
    time::Date::parse(text, form).is_ok()
}

/// Letters and digits alone, without the vendor and what its lines are called.
fn plain(name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    let words = upper.split(|c: char| !c.is_ascii_alphanumeric());
    let said = [
        "NVIDIA", "AMD", "GEFORCE", "TESLA", "QUADRO", "INSTINCT", "RADEON",
    ];
    words.filter(|word| !said.contains(word)).collect()
}

/// Whether `wanted` names this family: in any spelling, and without its variant if it
/// has one (`A100` is `A100_80`, too).
#[must_use]
pub fn same_family(wanted: &str, family: &str) -> bool {
    let wanted = plain(wanted);
    let line = family.split('_').next().unwrap_or(family);
    wanted == plain(family) || wanted == plain(line)
}

/// Gigabytes of GPU memory that the model of a job needs by rule of thumb, if it has
/// one: weights, cache and overhead of inference; adapters for fine-tuning; gradients
/// and optimiser for training.
#[must_use]
pub fn needs_gb(spec: &JobSpec) -> Option<f64> {
    let weights = spec.resources.model_size_gb?;
    let bytes = match spec.resources.precision.as_deref() {
        Some("fp32") => 4.0,
        Some("int8") => 1.0,
        _ => 2.0,
    };
    let billions = weights / bytes;
    Some(match spec.workload_type {
        WorkloadType::Inference => weights * 1.08 + weights * 0.12 + 1.5,
        WorkloadType::FineTuning => billions * 2.3,
        WorkloadType::Training => billions * 18.0,
        WorkloadType::Batch => weights + 3.0,
    })
}

/// The cheapest family that has the memory, as a sentence.
#[must_use]
pub fn suggestion(spec: &JobSpec, catalogue: &Catalogue) -> Option<String> {
    let asked = spec.resources.min_vram_gb.unwrap_or(0.0);
    let needs = needs_gb(spec).unwrap_or(0.0).max(asked);
    if needs <= 0.0 {
        return None;
    }
    let per_card = f64::from(tier(needs)).max(needs);
    let largest = |family: &Family| family.vram_gb.iter().copied().max().unwrap_or(0);
    let (usd, found) = catalogue
        .gpu
        .iter()
        .filter(|family| f64::from(largest(family)) >= per_card)
        .filter_map(|family| Some((family.typical_usd_per_hour?, family)))
        .min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    let dated = found.dated.as_ref().unwrap_or(&catalogue.dated);
    Some(format!(
        "Elsewhere {} with {} GB costs about ${usd:.2} an hour ({dated}).",
        found.name,
        largest(found)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::estimate::tests::spec;

    #[test]
    fn families_are_known_in_every_spelling_and_without_their_variant() {
        for (wanted, family, same) in [
            ("rtx 4090", "RTX4090", true),
            ("NVIDIA GeForce RTX 4090", "RTX4090", true),
            ("H100", "H100_SXM", true),
            ("h100-sxm", "H100_SXM", true),
            ("H100_PCIE", "H100_SXM", false),
            ("L40", "L40S", false),
        ] {
            assert_eq!(same_family(wanted, family), same, "{wanted} {family}");
        }
    }

    #[test]
    fn a_model_needs_more_for_training_than_for_inference() {
        let mut spec = spec();
        assert_eq!(needs_gb(&spec), None);
        spec.resources.model_size_gb = Some(14.0);
        let mut needs = |workload| {
            spec.workload_type = workload;
            needs_gb(&spec).unwrap()
        };
        assert!((18.0..19.0).contains(&needs(WorkloadType::Inference)));
        assert!((16.0..17.0).contains(&needs(WorkloadType::FineTuning)));
        assert!((120.0..130.0).contains(&needs(WorkloadType::Training)));
    }
}
