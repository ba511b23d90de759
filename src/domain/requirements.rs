//! What a job insists on, and how it is said that no machine has it.
use super::choice::region_distance;
use super::gpu::same_family;
use super::routing::{Check, Offer};
use super::spec::{JobSpec, RegionMode};

pub(super) fn fits_all(spec: &JobSpec, offer: &Offer) -> bool {
    hard_requirements().all(|(hard, _)| hard(spec, offer))
}

/// The first hard requirement that leaves no offer, taken in this order.
pub(super) fn impossible(spec: &JobSpec, offers: &[Offer]) -> Option<Check> {
    let mut left: Vec<&Offer> = offers.iter().collect();
    for (hard, blocked) in hard_requirements() {
        let kept: Vec<&Offer> = left
            .iter()
            .copied()
            .filter(|offer| hard(spec, offer))
            .collect();
        if kept.is_empty() {
            return Some(blocked(spec, &left));
        }
        left = kept;
    }
    None
}

type Fits = fn(&JobSpec, &Offer) -> bool;
type Explains = fn(&JobSpec, &[&Offer]) -> Check;

fn hard_requirements() -> impl Iterator<Item = (Fits, Explains)> {
    of_gpus().into_iter().chain(of_the_rest())
}

fn of_gpus() -> [(Fits, Explains); 4] {
    [
        (has_gpu, |_, _| {
            Check::blocked(
                "GPU_UNAVAILABLE",
                "gpu_required",
                "No machine of this grid has a GPU.".into(),
                "Drop the GPU requirement, or ask the operator for a machine with one.",
            )
        }),
        (fits_gpu_type, |spec, left| {
            let asked = spec.resources.gpu_type.as_deref().unwrap_or_default();
            let mut has: Vec<&str> = left
                .iter()
                .filter_map(|o| o.gpu_family.as_deref())
                .collect();
            has.sort_unstable();
            has.dedup();
            Check::blocked(
                "GPU_UNAVAILABLE",
                "gpu_type",
                format!(
                    "No machine of this grid has a {asked}; there is {}.",
                    has.join(", ")
                ),
                "Ask for another type, or for none.",
            )
        }),
        (fits_vram, |spec, left| {
            let largest = left.iter().map(|o| o.vram_gb).fold(0.0, f64::max);
            Check::blocked(
                "GPU_UNAVAILABLE",
                "min_vram_gb",
                format!(
                    "{} GB of memory per GPU were asked for, and the largest here has {largest:.0} GB.",
                    spec.resources.min_vram_gb.unwrap_or_default()
                ),
                "Ask for less memory, or the operator for a larger GPU.",
            )
        }),
        (fits_gpu_count, |spec, left| {
            let most = left.iter().map(|o| o.gpus).max().unwrap_or(0);
            Check::blocked(
                "GPU_UNAVAILABLE",
                "gpu_count",
                format!(
                    "{} GPUs on one machine were asked for, and no machine here has more than {most} like that.",
                    spec.resources.gpus()
                ),
                "Ask for fewer: a job runs on one machine.",
            )
        }),
    ]
}

fn of_the_rest() -> [(Fits, Explains); 6] {
    [
        (fits_machine, |spec, left| {
            let cpus = left.iter().map(|o| o.cpus).max().unwrap_or(0);
            let memory = left.iter().map(|o| o.memory_gb).fold(0.0, f64::max);
            let field = if spec.resources.cpus.unwrap_or(1) > cpus {
                "cpu_count"
            } else {
                "memory_gb"
            };
            Check::blocked(
                "MACHINE_TOO_SMALL",
                field,
                format!(
                    "The largest machine here has {cpus} CPU cores and {memory:.0} GB of memory."
                ),
                "Ask for less.",
            )
        }),
        (fits_disk, |spec, left| {
            let largest = left.iter().filter_map(|o| o.disk).map(|disk| disk.all);
            Check::blocked(
                "DISK_TOO_SMALL",
                "disk_gb",
                format!(
                    "{} GB of disk were asked for, and the largest here has {:.0} GB.",
                    spec.resources.disk_gb.unwrap_or_default(),
                    largest.fold(0.0, f64::max)
                ),
                "Ask for less.",
            )
        }),
        (fits_region, |spec, _| {
            Check::blocked(
                "REGION_UNAVAILABLE",
                "region_preference",
                format!(
                    "No machine is in {}, and you asked for no other region.",
                    spec.routing
                        .region_preference
                        .as_deref()
                        .unwrap_or_default()
                ),
                "Choose another region, or prefer this one instead of insisting on it.",
            )
        }),
        (fits_avoid_list, |_, _| {
            Check::blocked(
                "ALL_AVOIDED",
                "avoid_gpu_families",
                "Every machine that fits is on your avoid-list.".into(),
                "Take a GPU family off the list.",
            )
        }),
        (fits_class, |spec, _| {
            Check::blocked(
                "GPU_CLASS_UNAVAILABLE",
                "gpu_class",
                format!(
                    "No machine here has a GPU of class {}.",
                    spec.routing.gpu_class.as_deref().unwrap_or_default()
                ),
                "Drop the class.",
            )
        }),
        (fits_ceiling, |_, left| {
            let cheapest = left.iter().map(|o| o.rate).min().unwrap_or_default();
            Check::blocked(
                "PRICE_CEILING_TOO_LOW",
                "max_price_per_hour",
                format!("The cheapest machine that fits costs {cheapest} per hour."),
                "Raise the price ceiling.",
            )
        }),
    ]
}

fn has_gpu(spec: &JobSpec, offer: &Offer) -> bool {
    !spec.resources.needs_gpu() || offer.gpus > 0
}

fn fits_gpu_type(spec: &JobSpec, offer: &Offer) -> bool {
    let has = offer.gpu_family.as_ref();
    spec.resources
        .gpu_type
        .as_ref()
        .is_none_or(|kind| has.is_some_and(|family| same_family(kind, family)))
}

fn fits_vram(spec: &JobSpec, offer: &Offer) -> bool {
    offer.vram_gb >= spec.resources.min_vram_gb.unwrap_or(0.0)
}

fn fits_gpu_count(spec: &JobSpec, offer: &Offer) -> bool {
    offer.gpus >= spec.resources.gpus()
}

fn fits_disk(spec: &JobSpec, offer: &Offer) -> bool {
    let wanted = spec.resources.disk_gb.unwrap_or(0.0);
    offer.disk.is_none_or(|disk| wanted <= disk.all)
}

fn fits_machine(spec: &JobSpec, offer: &Offer) -> bool {
    spec.resources.cpus.unwrap_or(1) <= offer.cpus
        && spec.resources.memory_gb.unwrap_or(0.0) <= offer.memory_gb
}

fn fits_region(spec: &JobSpec, offer: &Offer) -> bool {
    spec.routing.region_mode == RegionMode::Prefer || region_distance(spec, offer) == 0
}

fn fits_avoid_list(spec: &JobSpec, offer: &Offer) -> bool {
    offer.gpu_family.as_ref().is_none_or(|family| {
        !spec
            .routing
            .avoid_gpu_families
            .iter()
            .any(|avoided| same_family(avoided, family))
    })
}

fn fits_class(spec: &JobSpec, offer: &Offer) -> bool {
    let wanted = spec.routing.gpu_class.as_ref();
    let has = offer.gpu_class.as_ref();
    !spec.resources.needs_gpu()
        || wanted.is_none_or(|wanted| has.is_some_and(|has| has.eq_ignore_ascii_case(wanted)))
}

fn fits_ceiling(spec: &JobSpec, offer: &Offer) -> bool {
    spec.routing
        .max_price_per_hour
        .is_none_or(|ceiling| offer.rate <= ceiling)
}
