//! What jobs took before, and what that says about the next one.
use super::estimate::{Confidence, Range, said, step_down, step_up};
use super::id::WorkspaceId;
use super::spec::{JobSpec, WorkloadType};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use time::OffsetDateTime;

/// Other people's jobs are told as a range, and only of so many jobs …
pub const CROWD_JOBS: usize = 5;
/// … of so many workspaces, so that the range is nobody's.
pub const CROWD_WORKSPACES: usize = 3;
/// None of them has more weight than so many jobs.
const PER_WORKSPACE: usize = 10;
/// So few say little about the edges.
const FEW: usize = 5;
const MANY: usize = 20;

/// A job that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Of execution, rounded up.
    pub seconds: i64,
    pub ended_at: OffsetDateTime,
}

/// What is known of jobs like one, newest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    /// The workspace's own, alike in everything.
    pub own: Vec<Sample>,
    /// The workspace's own with another command.
    pub own_kind: Vec<Sample>,
    /// Others' of the same kind.
    pub others: Crowd,
}

/// Figures of several workspaces that only come out as quantiles, and only if they
/// are enough.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Crowd(Vec<i64>);

impl Crowd {
    /// Nothing, if these are too few or too few people's.
    #[must_use]
    pub fn of(figures: impl IntoIterator<Item = (WorkspaceId, i64)>) -> Self {
        let mut whose: BTreeMap<WorkspaceId, usize> = BTreeMap::new();
        let mut kept = Vec::new();
        for (workspace, figure) in figures {
            let seen = whose.entry(workspace).or_default();
            *seen += 1;
            if *seen <= PER_WORKSPACE {
                kept.push(figure);
            }
        }
        if whose.len() < CROWD_WORKSPACES || kept.len() < CROWD_JOBS {
            kept.clear();
        }
        Self(kept)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its bulk, in round figures: none of them is one job's own.
    #[must_use]
    pub fn bulk(&self) -> Option<Range> {
        let Range { low, high } = bulk(&self.0)?;
        Some(Range {
            low: step_down(low),
            high: step_up(high),
        })
    }
}

/// Whether so many figures of these workspaces may be told.
#[must_use]
pub fn is_a_crowd(workspaces: &[WorkspaceId]) -> bool {
    let different: BTreeSet<_> = workspaces.iter().collect();
    workspaces.len() >= CROWD_JOBS && different.len() >= CROWD_WORKSPACES
}

/// What an expected runtime is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Jobs of the workspace, alike in everything.
    Own,
    /// Jobs of the workspace with another command.
    OwnKind,
    /// Jobs of this kind on this grid.
    Everyone,
    /// A rule of thumb, from the size of the model.
    Rule,
    /// The time limit alone.
    #[default]
    TimeLimit,
}

impl Basis {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::OwnKind => "own_kind",
            Self::Everyone => "everyone",
            Self::Rule => "rule",
            Self::TimeLimit => "time_limit",
        }
    }

    /// Whether the range says something that could turn out wrong. That a job ends
    /// before its time limit always holds.
    #[must_use]
    pub const fn can_be_judged(self) -> bool {
        matches!(self, Self::Own | Self::OwnKind | Self::Everyone)
    }
}

/// How long a job would execute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    pub range: Range,
    pub basis: Basis,
    /// Jobs that it is based on.
    pub samples: usize,
    pub confidence: Confidence,
    /// A sentence for people.
    pub words: String,
}

/// From the nearest history that there is, else from rules of thumb. Never longer
/// than the time limit, which stops the job.
#[must_use]
pub fn runtime(spec: &JobSpec, history: &History) -> Runtime {
    let limit = i64::from(spec.time_limit_seconds).max(1);
    let kind = kind(spec.workload_type);
    let found = if let Some((range, confidence, last)) = seen(&history.own) {
        let count = history.own.len();
        let jobs = if count == 1 { "job" } else { "jobs" };
        let words = format!(
            "From {count} like {jobs} of yours, the last on {}.",
            day(last)
        );
        Some((Basis::Own, count, range, confidence, words))
    } else if let Some((range, confidence, last)) =
        seen(&history.own_kind).filter(|_| history.own_kind.len() >= FEW)
    {
        let count = history.own_kind.len();
        let words = format!(
            "From {count} {kind} jobs of yours with other commands, the last on {}.",
            day(last)
        );
        // Another command may do quite another thing.
        let range = Range {
            low: range.low / 4,
            high: range.high.saturating_mul(4),
        };
        Some((
            Basis::OwnKind,
            count,
            range,
            confidence.at_most(Confidence::Low),
            words,
        ))
    } else if let Some(range) = history.others.bulk() {
        let count = history.others.len();
        let confidence = if count < MANY {
            Confidence::Low
        } else {
            Confidence::Medium
        };
        let words =
            format!("From {count} {kind} jobs of others on this grid; none of yours has finished.");
        Some((Basis::Everyone, count, range, confidence, words))
    } else {
        None
    };
    let (basis, samples, range, confidence, words) =
        found.unwrap_or_else(|| rule_of_thumb(spec, limit));
    Runtime {
        range: Range {
            low: range.low.clamp(1, limit),
            high: range.high.clamp(1, limit),
        },
        basis,
        samples,
        confidence,
        words,
    }
}

const fn kind(workload: WorkloadType) -> &'static str {
    workload.name()
}

/// `23 Nov 2026`.
fn day(at: OffsetDateTime) -> String {
    let month = at.month().to_string();
    let month = month.get(..3).unwrap_or(&month);
    format!("{} {month} {}", at.day(), at.year())
}

/// What these say of the next one.
fn seen(samples: &[Sample]) -> Option<(Range, Confidence, OffsetDateTime)> {
    let last = samples.iter().map(|sample| sample.ended_at).max()?;
    let seconds: Vec<i64> = samples.iter().map(|sample| sample.seconds).collect();
    let range = bulk(&seconds)?;
    let confidence = match seconds.len() {
        ..FEW => Confidence::Low,
        FEW..MANY => Confidence::Medium,
        _ => Confidence::High,
    };
    // However many there are, a range that is that wide is no good advice.
    let wide = range.high > range.low.max(10).saturating_mul(10);
    let confidence = if wide { confidence.less() } else { confidence };
    Some((range, confidence, last))
}

/// Where the next one most probably falls: about eight in ten of a steady source.
/// Few samples are widened, and a lone outlier does not stretch it without end.
/// Ordered, contains the median, and no end falls when a sample rises.
#[must_use]
pub fn bulk(figures: &[i64]) -> Option<Range> {
    let mut sorted: Vec<i64> = figures.iter().map(|figure| (*figure).max(0)).collect();
    sorted.sort_unstable();
    let last = sorted.len().checked_sub(1)?;
    if sorted.len() < FEW {
        return Some(Range {
            low: sorted[0] / 2,
            high: sorted[last].saturating_mul(2).saturating_add(5),
        });
    }
    let (low, high) = (sorted[last / 10], sorted[(last * 9).div_ceil(10)]);
    let (median, upper) = (sorted[last.div_ceil(2)], sorted[(last * 3).div_ceil(4)]);
    let high = high.min(upper.max(median.saturating_mul(8)));
    Some(Range {
        low: low - low / 10,
        high: high.saturating_add(high / 10).saturating_add(1),
    })
}

/// Seconds that it takes at least to read a model from a disk at 2 GB per second.
fn rule_of_thumb(spec: &JobSpec, limit: i64) -> (Basis, usize, Range, Confidence, String) {
    let none = "No job like this has finished here yet";
    let (low, basis, words) = match spec.resources.model_size_gb {
        Some(size) if size >= 4.0 => {
            let load = load_seconds(size);
            let words = format!(
                "{none}: by rule of thumb, reading {size} GB takes {} at least; its time limit is {}.",
                said(load),
                said(limit)
            );
            (load, Basis::Rule, words)
        }
        _ => {
            let words = format!(
                "{none}: from a moment to its time limit of {}.",
                said(limit)
            );
            (1, Basis::TimeLimit, words)
        }
    };
    (basis, 0, Range { low, high: limit }, Confidence::Low, words)
}

#[expect(clippy::cast_possible_truncation, reason = "clamped before")]
fn load_seconds(gigabytes: f64) -> i64 {
    (gigabytes / 2.0).ceil().clamp(1.0, 86_400.0) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::estimate::tests::spec;
    use crate::domain::id::Id as _;
    use proptest::prelude::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn samples(seconds: &[i64]) -> Vec<Sample> {
        let sample = |seconds: &i64| Sample {
            seconds: *seconds,
            ended_at: NOW,
        };
        seconds.iter().map(sample).collect()
    }

    fn workspace(n: u8) -> WorkspaceId {
        WorkspaceId::at(NOW, [n; 10])
    }

    #[test]
    fn the_nearest_history_is_taken_and_named() {
        let spec = spec();
        let others = Crowd::of((0..9).map(|n| (workspace(n), 100)));
        let mut history = History::default();
        let now = |history: &History| runtime(&spec, history);
        assert_eq!(now(&history).basis, Basis::TimeLimit);
        assert_eq!(
            now(&history).range,
            Range {
                low: 1,
                high: 3_600
            }
        );
        history.others = others;
        let found = now(&history);
        assert_eq!((found.basis, found.samples), (Basis::Everyone, 9));
        assert_eq!(found.range, Range { low: 60, high: 120 });
        history.own_kind = samples(&[50; 4]);
        assert_eq!(now(&history).basis, Basis::Everyone, "four say too little");
        history.own_kind = samples(&[50; 5]);
        assert_eq!(now(&history).basis, Basis::OwnKind);
        history.own = samples(&[10, 20, 12, 11, 13]);
        let found = now(&history);
        assert_eq!(
            (found.basis, found.confidence),
            (Basis::Own, Confidence::Medium)
        );
        assert_eq!(found.range, Range { low: 9, high: 23 });
        assert_eq!(
            found.words,
            "From 5 like jobs of yours, the last on 23 Nov 2026."
        );
    }

    #[test]
    fn others_are_told_only_as_a_crowd() {
        let of = |counts: &[usize]| {
            let figures = (0..)
                .zip(counts)
                .flat_map(|(n, count)| std::iter::repeat_n((workspace(n), 100), *count));
            Crowd::of(figures)
        };
        assert!(of(&[]).is_empty() && of(&[]).bulk().is_none());
        assert!(of(&[50, 50]).is_empty(), "two workspaces");
        assert!(of(&[2, 1, 1]).is_empty(), "four jobs");
        assert_eq!(of(&[3, 1, 1]).len(), 5);
        assert_eq!(of(&[500, 1, 1]).len(), 12, "nobody outweighs the others");
        assert!(!is_a_crowd(&[workspace(1); 9]));
    }

    #[test]
    fn an_outlier_does_not_stretch_the_range_and_nothing_is_no_range() {
        let steady = [10, 10, 11, 11, 12, 9];
        let with = |extra: i64| bulk(&[&steady[..], &[extra]].concat()).unwrap();
        assert!(with(1_000_000).high < 150, "{:?}", with(1_000_000));
        assert_eq!(bulk(&[]), None);
        assert_eq!(bulk(&[0]), Some(Range { low: 0, high: 5 }));
        let wide: Vec<i64> = (1..=40).map(|n| n * n * n).collect();
        let (_, confidence, _) = seen(&samples(&wide)).unwrap();
        assert_eq!(confidence, Confidence::Medium, "many, but far apart");
    }

    proptest! {
        #[test]
        fn ranges_are_ordered_hold_the_median_and_rise_with_the_data(
            mut figures in prop::collection::vec(0_i64..100_000, 1..80),
            at in 0_usize..80,
            more in 0_i64..1_000_000,
        ) {
            let before = bulk(&figures).unwrap();
            let mut sorted = figures.clone();
            sorted.sort_unstable();
            let median = sorted[(sorted.len() - 1) / 2];
            prop_assert!(before.low <= before.high);
            prop_assert!(before.low <= median && median <= before.high, "{before:?} {median}");
            let at = at % figures.len();
            figures[at] += more;
            let after = bulk(&figures).unwrap();
            prop_assert!(before.low <= after.low && before.high <= after.high);
        }

        #[test]
        fn no_runtime_is_longer_than_the_limit(
            own in prop::collection::vec(0_i64..100_000, 0..60),
            limit in 1_u32..86_400,
        ) {
            let spec = JobSpec { time_limit_seconds: limit, ..spec() };
            let history = History { own: samples(&own), ..History::default() };
            let found = runtime(&spec, &history);
            prop_assert!(1 <= found.range.low && found.range.low <= found.range.high);
            prop_assert!(found.range.high <= i64::from(limit) && !found.words.is_empty());
        }
    }
}
