//! What a job would cost and when it would start: pure functions over a
//! snapshot of the grid.
use super::history::{self, Basis};
use super::money::Usd;
use super::routing::{Check, Placement, Relaxed, Snapshot, screen};
use super::spec::JobSpec;
use super::wait;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Seconds: at best, at worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub low: i64,
    pub high: i64,
}

/// How sure the figures are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    #[default]
    Low,
    Medium,
    High,
}

impl Confidence {
    #[must_use]
    pub fn at_most(self, other: Self) -> Self {
        self.min(other)
    }

    /// One step less sure.
    #[must_use]
    pub const fn less(self) -> Self {
        match self {
            Self::High => Self::Medium,
            Self::Medium | Self::Low => Self::Low,
        }
    }
}

/// What a job would get.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// `None` if it cannot run here at all.
    pub placement: Option<Placement>,
    pub checks: Vec<Check>,
    pub runtime: Range,
    pub runtime_basis: String,
    pub basis: Basis,
    /// Jobs that the runtime is based on.
    pub samples: usize,
    pub runtime_confidence: Confidence,
    pub wait: Range,
    pub wait_basis: String,
    pub wait_samples: usize,
    pub wait_confidence: Confidence,
    /// Of the less sure of the two.
    pub confidence: Confidence,
}

impl Estimate {
    #[must_use]
    pub fn can_submit(&self) -> bool {
        self.placement.is_some()
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
        let (low, high) = self.rates();
        (
            low.at_most_for_seconds(self.runtime.low),
            high.at_most_for_seconds(self.runtime.high),
        )
    }

    /// What the machines that would do cost per hour: the cheapest, the dearest.
    #[must_use]
    pub fn rates(&self) -> (Usd, Usd) {
        let zero = (Usd::ZERO, Usd::ZERO);
        self.placement.as_ref().map_or(zero, |p| p.rates)
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

/// Everything at once.
#[must_use]
pub fn estimate(spec: &JobSpec, snapshot: &Snapshot) -> Estimate {
    let runtime = history::runtime(spec, &snapshot.history);
    let start = wait::start(spec, snapshot);
    Estimate {
        placement: start.placement,
        checks: screen(spec, snapshot),
        runtime: runtime.range,
        runtime_basis: runtime.words,
        basis: runtime.basis,
        samples: runtime.samples,
        runtime_confidence: runtime.confidence,
        wait: start.wait,
        wait_basis: start.words,
        wait_samples: start.samples,
        wait_confidence: start.confidence,
        confidence: runtime.confidence.at_most(start.confidence),
    }
}

const STEPS: [i64; 14] = [
    0, 10, 30, 60, 120, 180, 300, 600, 900, 1_800, 3_600, 7_200, 14_400, 28_800,
];

/// A wait is never known to the second: the next human step below.
pub(super) fn step_down(seconds: i64) -> i64 {
    STEPS
        .into_iter()
        .rev()
        .find(|step| *step <= seconds)
        .unwrap_or(0)
}

/// The next human step above.
pub(super) fn step_up(seconds: i64) -> i64 {
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

/// A time of day to the second: `14:02:07 UTC`.
#[must_use]
pub fn time_of_day(at: OffsetDateTime) -> String {
    let (hour, minute, second) = at.time().as_hms();
    format!("{hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::history::{History, Sample};
    use crate::domain::routing::{Images, Offer, place};
    use crate::domain::spec::{RegionMode, Resources, Routing, WorkloadType};
    use crate::domain::wait::{Running, Waiting};
    use proptest::prelude::*;

    pub(in crate::domain) fn offer() -> Offer {
        Offer {
            node: "local".into(),
            gpu_family: None,
            gpu_class: None,
            vram_gb: 0.0,
            gpus: 0,
            gpus_free: 0,
            speed: None,
            region: None,
            rate: Usd::from_micros(120_000),
            cpus: 2,
            memory_gb: 8.0,
            disk: None,
            slots: 2,
            free: 2,
            images: Images::HostOnly,
        }
    }

    pub(in crate::domain) fn spec() -> JobSpec {
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
            files: Vec::new(),
            notices: Vec::new(),
            app: None,
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

    fn running(low: i64, high: i64) -> Running {
        Running {
            node: "local".into(),
            gpus: 0,
            left: Range { low, high },
        }
    }

    fn waiting(low: i64, high: i64) -> Waiting {
        Waiting {
            spec: spec(),
            runtime: Range { low, high },
            after: 0,
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
        full.running = vec![running(100, 500), running(40, 3_000)];
        full.ahead = vec![waiting(20, 600)];
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
            running_now in prop::collection::vec((0_i64..1_000, 0_i64..1_000), 0..6),
            ahead in prop::collection::vec((0_i64..1_000, 0_i64..1_000), 0..20),
            limit in 1_u32..86_400,
        ) {
            let ordered = |pairs: Vec<(i64, i64)>| pairs.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect::<Vec<_>>();
            let mut now = snapshot();
            let sample = |seconds| Sample { seconds, ended_at: OffsetDateTime::UNIX_EPOCH };
            now.history = History { own: own.into_iter().map(sample).collect(), ..History::default() };
            now.running = ordered(running_now).into_iter().map(|(a, b)| running(a, b)).collect();
            now.ahead = ordered(ahead).into_iter().map(|(a, b)| waiting(a, b)).collect();
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
