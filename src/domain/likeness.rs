//! Which jobs are alike: what they have in common decides how long they take, or
//! which machines they wait for.
use super::spec::JobSpec;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

/// Gigabytes of memory per GPU that machines come with.
pub const VRAM_TIERS: [u32; 10] = [8, 12, 16, 24, 32, 48, 80, 96, 141, 192];

/// Jobs with the same likeness take about as long: type, image, command, and how
/// large and how wide the work is. A digest, so that it tells nothing of them.
#[must_use]
pub fn likeness(spec: &JobSpec) -> String {
    let command = spec.argv.iter().map(String::as_str);
    digest(shape(spec).iter().map(String::as_str).chain(command))
}

/// The same apart from the command.
#[must_use]
pub fn kind(spec: &JobSpec) -> String {
    digest(shape(spec).iter().map(String::as_str))
}

/// Jobs of one pool wait for the same machines: `cpu`, or `gpu-24` for GPUs with at
/// least so many gigabytes.
#[must_use]
pub fn pool(spec: &JobSpec) -> String {
    if !spec.resources.needs_gpu() {
        return "cpu".into();
    }
    let wanted = spec.resources.min_vram_gb.unwrap_or(0.0);
    format!("gpu-{}", tier(wanted))
}

/// The smallest tier that has so many gigabytes; the largest, if none has.
#[must_use]
pub fn tier(gigabytes: f64) -> u32 {
    let fits = |tier: &u32| f64::from(*tier) >= gigabytes;
    let largest = VRAM_TIERS[VRAM_TIERS.len() - 1];
    VRAM_TIERS.into_iter().find(fits).unwrap_or(largest)
}

fn shape(spec: &JobSpec) -> [String; 5] {
    let wants = &spec.resources;
    [
        spec.workload_type.name().to_owned(),
        spec.image.clone(),
        wants.model_size_gb.map_or_else(String::new, band),
        wants.gpu_count.unwrap_or_default().to_string(),
        wants.precision.clone().unwrap_or_default(),
    ]
}

/// Sizes of one band are at most a factor of two apart; all below a gigabyte are one.
fn band(gigabytes: f64) -> String {
    format!("{:.0}", gigabytes.max(1.0).log2().ceil())
}

fn digest<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for word in words {
        hash.update(word.len().to_le_bytes());
        hash.update(word.as_bytes());
    }
    hash.finalize().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::estimate::tests::spec;

    #[test]
    fn what_makes_a_difference_to_the_time_makes_one_to_the_likeness() {
        let first = spec();
        let mut named = spec();
        named.name = "another".into();
        named.time_limit_seconds = 7;
        assert_eq!(likeness(&named), likeness(&first), "not name or limit");
        let mut other = spec();
        other.argv = vec!["tr".into(), "ue".into()];
        assert_ne!(likeness(&other), likeness(&first));
        assert_eq!(kind(&other), kind(&first), "the command apart");
        let sized = |gb| {
            let mut sized = spec();
            sized.resources.model_size_gb = Some(gb);
            likeness(&sized)
        };
        assert_eq!(sized(5.0), sized(8.0), "one band");
        assert_ne!(sized(8.0), sized(8.1));
        assert_eq!(sized(0.1), sized(1.0));
    }

    #[test]
    fn a_pool_is_a_tier_of_memory() {
        let mut spec = spec();
        assert_eq!(pool(&spec), "cpu");
        spec.resources.gpu_required = true;
        assert_eq!(pool(&spec), "gpu-8");
        spec.resources.min_vram_gb = Some(20.0);
        assert_eq!(pool(&spec), "gpu-24");
        spec.resources.min_vram_gb = Some(2_000.0);
        assert_eq!(pool(&spec), "gpu-192");
    }
}
