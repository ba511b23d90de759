//! Whether a job can run, where, when it would start and what it would cost:
//! pure functions over a snapshot. The scheduler places jobs with the same
//! [`place`] that the estimate uses, so that the two cannot disagree.
use super::money::Usd;
use super::spec::{HOST_IMAGE, JobSpec, RegionMode};
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// One kind of place to run on, as it is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub node: String,
    pub gpu_family: Option<String>,
    pub gpu_class: Option<String>,
    pub vram_gb: f64,
    pub gpus: u32,
    pub region: Option<String>,
    /// Per hour of execution.
    pub rate: Usd,
    pub cpus: u32,
    pub memory_gb: f64,
    /// Jobs that can run at once.
    pub slots: u32,
    pub free: u32,
    pub images: Images,
}

/// What becomes of a job's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Images {
    /// It is pulled and run.
    Pulled,
    /// There is only the machine's own system; other images are refused.
    HostOnly,
    /// There is only the machine's own system, and other images are ignored.
    Ignored,
}

/// What the estimate looks at.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    pub offers: Vec<Offer>,
    /// Expected seconds until each running job ends: at best, at worst.
    pub running: Vec<(i64, i64)>,
    /// Expected seconds of execution of each job that waits in front.
    pub ahead: Vec<(i64, i64)>,
    /// Seconds that finished jobs of the same workspace, image and command took.
    pub own: Vec<i64>,
    /// Seconds that finished jobs of everyone with the same type took.
    pub everyone: Vec<i64>,
    /// Most seconds that a job may ask for.
    pub longest_seconds: u32,
}

/// One question asked of a job before it is let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Stable, such as `IMAGE_UNSUPPORTED`.
    pub code: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
    /// `passed`, `warning` or `blocked`.
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub field: Option<String>,
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub action: Option<String>,
}

impl Check {
    fn blocked(code: &str, field: &str, message: String, action: &str) -> Self {
        Self {
            code: code.into(),
            severity: "error".into(),
            status: "blocked".into(),
            field: Some(field.into()),
            message,
            action: Some(action.into()),
        }
    }

    fn warning(code: &str, field: &str, message: String) -> Self {
        Self {
            code: code.into(),
            severity: "warning".into(),
            status: "warning".into(),
            field: Some(field.into()),
            message,
            action: None,
        }
    }

    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.status == "blocked"
    }
}

/// A preference that nothing live matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relaxed {
    pub field: String,
    pub asked: String,
    pub got: String,
    pub reason: String,
}

/// Seconds: at best, at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub low: i64,
    pub high: i64,
}

/// How sure the figures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    Low,
    Medium,
    High,
}

/// What a job would get.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// `None` if it cannot run here at all.
    pub placement: Option<Placement>,
    pub checks: Vec<Check>,
    pub runtime: Range,
    pub runtime_basis: String,
    pub wait: Range,
    pub wait_basis: String,
    pub confidence: Confidence,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    pub offer: Offer,
    pub relaxed: Vec<Relaxed>,
    /// Offers that satisfy everything hard.
    pub candidates: u32,
    /// Whether a slot is free right now.
    pub free_now: bool,
}

impl Estimate {
    #[must_use]
    pub fn can_submit(&self) -> bool {
        self.placement.is_some()
    }

    #[must_use]
    pub fn rate(&self) -> Usd {
        self.placement.as_ref().map_or(Usd::ZERO, |p| p.offer.rate)
    }
}

/// What was promised when a job was submitted, kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub cost_low: Usd,
    pub cost_high: Usd,
    /// Seconds of execution.
    pub runtime: Range,
    /// Seconds until the start.
    pub wait: Range,
    pub relaxed: Vec<Relaxed>,
    /// Such as that the image is not used.
    pub warnings: Vec<String>,
}

impl Estimate {
    #[must_use]
    pub fn cost(&self) -> (Usd, Usd) {
        let rate = self.rate();
        (
            rate.at_most_for_seconds(self.runtime.low),
            rate.at_most_for_seconds(self.runtime.high),
        )
    }

    #[must_use]
    pub fn quote(&self) -> Quote {
        let (cost_low, cost_high) = self.cost();
        Quote {
            cost_low,
            cost_high,
            runtime: self.runtime,
            wait: self.wait,
            relaxed: self
                .placement
                .as_ref()
                .map_or_else(Vec::new, |p| p.relaxed.clone()),
            warnings: self
                .checks
                .iter()
                .filter(|check| check.status == "warning")
                .map(|check| check.message.clone())
                .collect(),
        }
    }
}

/// Everything that keeps `spec` from ever running on `offers`, and everything
/// that its owner should know. A job is refused if any check is blocked.
#[must_use]
pub fn screen(spec: &JobSpec, snapshot: &Snapshot) -> Vec<Check> {
    let offers = &snapshot.offers;
    let mut checks: Vec<Check> = spec
        .notices
        .iter()
        .map(|notice| Check::warning("NOT_SUPPORTED", "notices", notice.clone()))
        .collect();
    if offers.is_empty() {
        checks.push(Check::blocked(
            "NO_NODES",
            "image",
            "No machine is connected to this grid.".into(),
            "Ask the operator to start one.",
        ));
        return checks;
    }
    if spec.image != HOST_IMAGE && offers.iter().all(|o| o.images != Images::Pulled) {
        checks.push(if offers.iter().any(|o| o.images == Images::Ignored) {
            Check::warning(
                "IMAGE_IGNORED",
                "image",
                format!(
                    "The command runs on this machine's own system. The image {} is not used.",
                    spec.image
                ),
            )
        } else {
            Check::blocked(
                "IMAGE_UNSUPPORTED",
                "image",
                format!(
                    "This grid runs jobs on its own system and cannot pull {}.",
                    spec.image
                ),
                "Use the image `host`, or ask the operator to install Docker or Podman.",
            )
        });
    }
    if spec.argv.is_empty() && offers.iter().all(|o| o.images != Images::Pulled) {
        checks.push(Check::blocked(
            "COMMAND_REQUIRED",
            "command",
            "A job on this machine's own system needs a command.".into(),
            "Say what to run, such as `python3 train.py`.",
        ));
    }
    if spec.time_limit_seconds > snapshot.longest_seconds {
        checks.push(Check::blocked(
            "TIME_LIMIT_TOO_LONG",
            "timeout_seconds",
            format!(
                "Jobs may run for {} at most here.",
                said(i64::from(snapshot.longest_seconds))
            ),
            "Lower the time limit.",
        ));
    }
    if checks.iter().any(Check::is_blocked) {
        return checks;
    }
    if let Some(blocked) = impossible(spec, offers) {
        checks.push(blocked);
    }
    checks
}

/// The first hard requirement that leaves no offer, taken in this order.
fn impossible(spec: &JobSpec, offers: &[Offer]) -> Option<Check> {
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

fn hard_requirements() -> [(Fits, Explains); 6] {
    [
        (fits_gpu, |_, _| {
            Check::blocked(
                "GPU_UNAVAILABLE",
                "gpu_required",
                "No machine of this grid has a GPU like that.".into(),
                "Drop the GPU requirement, or ask the operator for a machine with one.",
            )
        }),
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

fn fits_gpu(spec: &JobSpec, offer: &Offer) -> bool {
    let wanted = &spec.resources;
    if !wanted.needs_gpu() {
        return true;
    }
    offer.gpus >= wanted.gpu_count.unwrap_or(1).max(1)
        && offer.vram_gb >= wanted.min_vram_gb.unwrap_or(0.0)
        && wanted.gpu_type.as_ref().is_none_or(|kind| {
            offer
                .gpu_family
                .as_ref()
                .is_some_and(|f| f.eq_ignore_ascii_case(kind))
        })
}

fn fits_machine(spec: &JobSpec, offer: &Offer) -> bool {
    spec.resources.cpus.unwrap_or(1) <= offer.cpus
        && spec.resources.memory_gb.unwrap_or(0.0) <= offer.memory_gb
}

fn fits_region(spec: &JobSpec, offer: &Offer) -> bool {
    spec.routing.region_mode == RegionMode::Prefer || in_region(spec, offer)
}

fn in_region(spec: &JobSpec, offer: &Offer) -> bool {
    spec.routing
        .region_preference
        .as_ref()
        .is_none_or(|wanted| {
            offer
                .region
                .as_ref()
                .is_some_and(|region| region.eq_ignore_ascii_case(wanted))
        })
}

fn fits_avoid_list(spec: &JobSpec, offer: &Offer) -> bool {
    offer.gpu_family.as_ref().is_none_or(|family| {
        !spec
            .routing
            .avoid_gpu_families
            .iter()
            .any(|avoided| avoided.eq_ignore_ascii_case(family))
    })
}

fn fits_class(spec: &JobSpec, offer: &Offer) -> bool {
    match (&spec.routing.gpu_class, &offer.gpu_class) {
        (Some(wanted), Some(has)) => wanted.eq_ignore_ascii_case(has),
        (Some(_), None) => !spec.resources.needs_gpu(),
        (None, _) => true,
    }
}

fn fits_ceiling(spec: &JobSpec, offer: &Offer) -> bool {
    spec.routing
        .max_price_per_hour
        .is_none_or(|ceiling| offer.rate <= ceiling)
}

/// Where the job would go: among the offers that satisfy everything hard, one
/// with a free slot first, then the one that gives up the fewest preferences,
/// then the cheapest. `None` if there is none.
#[must_use]
pub fn place(spec: &JobSpec, snapshot: &Snapshot) -> Option<Placement> {
    if screen(spec, snapshot).iter().any(Check::is_blocked) {
        return None;
    }
    let fits = |offer: &&Offer| {
        hard_requirements()
            .iter()
            .all(|(hard, _)| hard(spec, offer))
    };
    let candidates: Vec<&Offer> = snapshot.offers.iter().filter(fits).collect();
    let best = candidates.iter().min_by_key(|offer| {
        (
            offer.free == 0,
            relaxations(spec, offer).len(),
            offer.rate,
            offer.node.clone(),
        )
    })?;
    Some(Placement {
        offer: (*best).clone(),
        relaxed: relaxations(spec, best),
        candidates: u32::try_from(candidates.len()).unwrap_or(u32::MAX),
        free_now: best.free > 0,
    })
}

/// The soft preferences that `offer` does not meet.
fn relaxations(spec: &JobSpec, offer: &Offer) -> Vec<Relaxed> {
    let mut relaxed = Vec::new();
    if let Some(wanted) = &spec.routing.preferred_gpu_family
        && !offer
            .gpu_family
            .as_ref()
            .is_some_and(|family| family.eq_ignore_ascii_case(wanted))
    {
        relaxed.push(Relaxed {
            field: "preferred_gpu_family".into(),
            asked: wanted.clone(),
            got: offer.gpu_family.clone().unwrap_or_else(|| "no GPU".into()),
            reason: format!("No machine of this grid that fits offers {wanted}."),
        });
    }
    if let Some(wanted) = &spec.routing.region_preference
        && !in_region(spec, offer)
    {
        relaxed.push(Relaxed {
            field: "region_preference".into(),
            asked: wanted.clone(),
            got: offer
                .region
                .clone()
                .unwrap_or_else(|| "this machine".into()),
            reason: format!("No machine that fits is in {wanted}."),
        });
    }
    relaxed
}

/// Everything at once.
#[must_use]
pub fn estimate(spec: &JobSpec, snapshot: &Snapshot) -> Estimate {
    let placement = place(spec, snapshot);
    let (runtime, runtime_basis, confidence) = runtime(spec, snapshot);
    let (wait, wait_basis) = match &placement {
        Some(found) => wait(found, snapshot),
        None => (Range { low: 0, high: 0 }, String::new()),
    };
    Estimate {
        placement,
        checks: screen(spec, snapshot),
        runtime,
        runtime_basis,
        wait,
        wait_basis,
        confidence,
    }
}

/// How long it would execute, from what jobs like it took. Never longer than the
/// time limit, which stops it.
#[must_use]
pub fn runtime(spec: &JobSpec, snapshot: &Snapshot) -> (Range, String, Confidence) {
    let limit = i64::from(spec.time_limit_seconds).max(1);
    let from = |seconds: &[i64], whose: &str| {
        let count = seconds.len();
        let mut sorted = seconds.to_vec();
        sorted.sort_unstable();
        // Few samples say little about the edges, so widen what they say.
        let (low, high, confidence) = match count {
            0..=4 => (sorted[0] / 2, sorted[count - 1] * 2 + 5, Confidence::Low),
            5..=19 => (sorted[count / 4], sorted[count - 1] + 1, Confidence::Medium),
            _ => (
                sorted[count / 4],
                sorted[count * 9 / 10] + 1,
                Confidence::High,
            ),
        };
        let range = Range {
            low: low.clamp(1, limit),
            high: high.clamp(1, limit),
        };
        let jobs = if count == 1 { "job" } else { "jobs" };
        (
            range,
            format!("Based on {count} finished {jobs} {whose}."),
            confidence,
        )
    };
    if !snapshot.own.is_empty() {
        from(&snapshot.own, "of yours with this image and command")
    } else if snapshot.everyone.len() >= 5 {
        from(
            &snapshot.everyone,
            &format!("of type {} on this grid", spec.workload_type.name()),
        )
    } else {
        (
            Range {
                low: 1,
                high: limit,
            },
            format!(
                "No job like this has finished here yet: from a moment to its time limit of {}.",
                said(limit)
            ),
            Confidence::Low,
        )
    }
}

/// How long it would wait, from a dry run of the queue.
fn wait(placement: &Placement, snapshot: &Snapshot) -> (Range, String) {
    let slots: usize = snapshot
        .offers
        .iter()
        .map(|o| usize::try_from(o.slots).unwrap_or(0))
        .sum();
    if placement.free_now && snapshot.ahead.is_empty() {
        let free = placement.offer.free;
        let machine = if free == 1 { "slot is" } else { "slots are" };
        return (
            Range { low: 0, high: 10 },
            format!("{free} {machine} free right now."),
        );
    }
    let pick = |pairs: &[(i64, i64)], high: bool| -> Vec<i64> {
        pairs
            .iter()
            .map(|pair| if high { pair.1 } else { pair.0 })
            .collect()
    };
    let low = dry_run(
        slots,
        &pick(&snapshot.running, false),
        &pick(&snapshot.ahead, false),
    );
    let high = dry_run(
        slots,
        &pick(&snapshot.running, true),
        &pick(&snapshot.ahead, true),
    );
    let (ahead, running) = (snapshot.ahead.len(), snapshot.running.len());
    let basis = format!(
        "{running} running on {slots} {}, {ahead} waiting in front.",
        if slots == 1 { "slot" } else { "slots" }
    );
    (
        Range {
            low: step_down(low),
            high: step_up(high + 10),
        },
        basis,
    )
}

/// Seconds until the job behind `ahead` starts, when `slots` jobs run at once.
fn dry_run(slots: usize, running: &[i64], ahead: &[i64]) -> i64 {
    let mut free_at: BinaryHeap<Reverse<i64>> = running.iter().copied().map(Reverse).collect();
    while free_at.len() < slots.max(1) {
        free_at.push(Reverse(0));
    }
    while free_at.len() > slots.max(1) {
        free_at.pop();
    }
    for seconds in ahead {
        if let Some(Reverse(at)) = free_at.pop() {
            free_at.push(Reverse(at.saturating_add(*seconds)));
        }
    }
    free_at.pop().map_or(0, |Reverse(at)| at.max(0))
}

const STEPS: [i64; 14] = [
    0, 10, 30, 60, 120, 180, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800,
];

/// A wait is never known to the second: the next human step below.
fn step_down(seconds: i64) -> i64 {
    STEPS
        .into_iter()
        .rev()
        .find(|step| *step <= seconds)
        .unwrap_or(0)
}

/// The next human step above.
fn step_up(seconds: i64) -> i64 {
    STEPS
        .into_iter()
        .find(|step| *step >= seconds)
        .unwrap_or_else(|| (seconds + 3_599) / 3_600 * 3_600)
}

/// A duration as people say it: `45 s`, `12 min`, `1 h 40 min`.
#[must_use]
pub fn said(seconds: i64) -> String {
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes, rest) {
        (0, 0, _) => format!("{seconds} s"),
        (0, _, 0) => format!("{minutes} min"),
        (0, 1..10, _) => format!("{minutes} min {rest} s"),
        (0, _, _) => format!("{minutes} min"),
        (_, 0, _) => format!("{hours} h"),
        _ => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::spec::{Resources, Routing, WorkloadType};
    use proptest::prelude::*;

    fn offer() -> Offer {
        Offer {
            node: "local".into(),
            gpu_family: None,
            gpu_class: None,
            vram_gb: 0.0,
            gpus: 0,
            region: None,
            rate: Usd::from_micros(120_000),
            cpus: 2,
            memory_gb: 8.0,
            slots: 2,
            free: 2,
            images: Images::HostOnly,
        }
    }

    fn spec() -> JobSpec {
        JobSpec {
            name: "a".into(),
            workload_type: WorkloadType::Batch,
            image: "host".into(),
            argv: vec!["true".into()],
            command_line: "true".into(),
            environment: std::collections::BTreeMap::new(),
            resources: Resources::default(),
            routing: Routing::default(),
            time_limit_seconds: 3_600,
            expected_artifacts: Vec::new(),
            notices: Vec::new(),
            metadata: None,
        }
    }

    fn snapshot() -> Snapshot {
        Snapshot {
            offers: vec![offer()],
            longest_seconds: 86_400,
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_foreign_image_is_refused_with_words_that_help() {
        let spec = JobSpec {
            image: "python:3.12".into(),
            ..spec()
        };
        let estimate = estimate(&spec, &snapshot());
        assert!(!estimate.can_submit());
        assert_eq!(estimate.checks[0].code, "IMAGE_UNSUPPORTED");
        assert!(estimate.checks[0].action.as_ref().unwrap().contains("host"));

        let mut any = snapshot();
        any.offers[0].images = Images::Ignored;
        let estimate = super::estimate(&spec, &any);
        assert!(estimate.can_submit());
        assert!(estimate.checks[0].message.contains("not used"));
    }

    #[test]
    fn hard_wishes_block_and_soft_ones_give_way_in_words() {
        type Change = fn(&mut JobSpec);
        let cases: [(&str, Change); 5] = [
            ("GPU_UNAVAILABLE", |s| s.resources.gpu_required = true),
            ("MACHINE_TOO_SMALL", |s| s.resources.memory_gb = Some(64.0)),
            ("PRICE_CEILING_TOO_LOW", |s| {
                s.routing.max_price_per_hour = Some(Usd::from_micros(1));
            }),
            ("TIME_LIMIT_TOO_LONG", |s| s.time_limit_seconds = 100_000),
            ("REGION_UNAVAILABLE", |s| {
                s.routing.region_preference = Some("eu-west".into());
                s.routing.region_mode = RegionMode::Strict;
            }),
        ];
        for (code, change) in cases {
            let mut spec = spec();
            change(&mut spec);
            let found = estimate(&spec, &snapshot());
            assert!(!found.can_submit(), "{code}");
            assert_eq!(found.checks[0].code, code);
        }
        let mut soft = spec();
        soft.routing.preferred_gpu_family = Some("L40S".into());
        soft.routing.region_preference = Some("eu-west".into());
        let placement = place(&soft, &snapshot()).expect("soft wishes give way");
        let fields: Vec<&str> = placement.relaxed.iter().map(|r| r.field.as_str()).collect();
        assert_eq!(fields, ["preferred_gpu_family", "region_preference"]);
    }

    #[test]
    fn a_full_machine_means_waiting_for_the_first_slot() {
        let mut full = snapshot();
        full.offers[0].free = 0;
        full.running = vec![(100, 500), (40, 3_000)];
        full.ahead = vec![(20, 600)];
        let found = estimate(&spec(), &full);
        // At best the slot that frees after 40 s serves the 20 s in front first.
        assert_eq!(
            found.wait,
            Range {
                low: 60,
                high: 1_800
            }
        );
        assert!(!found.placement.unwrap().free_now);
    }

    proptest! {
        #[test]
        fn ranges_are_in_order_and_within_the_limit(
            own in prop::collection::vec(0_i64..100_000, 0..60),
            running in prop::collection::vec((0_i64..1_000, 0_i64..1_000), 0..6),
            ahead in prop::collection::vec((0_i64..1_000, 0_i64..1_000), 0..20),
            limit in 1_u32..86_400,
        ) {
            let ordered = |pairs: Vec<(i64, i64)>| pairs.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect::<Vec<_>>();
            let mut now = snapshot();
            now.own = own;
            now.running = ordered(running);
            now.ahead = ordered(ahead);
            now.offers[0].free = 0;
            let spec = JobSpec { time_limit_seconds: limit, ..spec() };
            let found = estimate(&spec, &now);
            prop_assert!(found.runtime.low <= found.runtime.high);
            prop_assert!(found.runtime.low >= 1 && found.runtime.high <= i64::from(limit));
            prop_assert!(found.wait.low <= found.wait.high);
            prop_assert!(!found.runtime_basis.is_empty() && !found.wait_basis.is_empty());
        }
    }
}
