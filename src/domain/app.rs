//! The life of a launched app, as one table of allowed moves.
use super::estimate::Range;
use super::money::Usd;
use super::template::Phases;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a session has come.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(rename = "AppPhase")]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Waiting for capacity.
    Created,
    /// A machine has been chosen.
    Reserved,
    /// The image is being pulled.
    Image,
    /// The app's process is being started.
    Starting,
    /// The app runs; its services are asked whether they are ready.
    Services,
    /// The primary service is ready and can be opened; it costs from here on.
    Running,
    Stopping,
    /// Stopped on request, or ended by itself after it had been ready.
    Ended,
    Failed,
    /// Stopped by itself: its time, its money or its idleness ran out.
    Expired,
}

impl Phase {
    pub const ALL: [Self; 10] = [
        Self::Created,
        Self::Reserved,
        Self::Image,
        Self::Starting,
        Self::Services,
        Self::Running,
        Self::Stopping,
        Self::Ended,
        Self::Failed,
        Self::Expired,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Reserved => "reserved",
            Self::Image => "image",
            Self::Starting => "starting",
            Self::Services => "services",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Ended => "ended",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.name() == name)
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(self, Self::Ended | Self::Failed | Self::Expired)
    }

    /// Whether it is on its way to being usable.
    #[must_use]
    pub const fn launching(self) -> bool {
        matches!(
            self,
            Self::Created | Self::Reserved | Self::Image | Self::Starting | Self::Services
        )
    }

    /// Whether a session may go from here to `next`. It only moves forward; the
    /// engine giving the job back is the one way back.
    #[must_use]
    pub fn may_become(self, next: Self) -> bool {
        match (self, next) {
            (from, _) if from.ended() => false,
            (from, to) if to.ended() => from != to,
            (Self::Reserved | Self::Image | Self::Starting, Self::Created) => true,
            (from, to) => from < to,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a session ended, or is about to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppEndCode")]
#[serde(rename_all = "snake_case")]
pub enum EndCode {
    /// A person stopped it.
    Stopped,
    /// Its hours are over.
    TimeLimit,
    /// It has cost what it was allowed to.
    MoneyLimit,
    Idle,
    /// Its command ended by itself after it had been ready.
    Exited,
    /// No machine can run it.
    Rejected,
    /// The image could not be had.
    ImageMissing,
    /// The command could not be started, or ended before it was ready.
    Crashed,
    /// It ran but did not answer its checks in time.
    NeverReady,
    /// Its command failed after it had been ready.
    Died,
    OutOfMemory,
    /// The machine, or what watched it there, went away.
    Lost,
}

impl EndCode {
    pub const ALL: [Self; 12] = [
        Self::Stopped,
        Self::TimeLimit,
        Self::MoneyLimit,
        Self::Idle,
        Self::Exited,
        Self::Rejected,
        Self::ImageMissing,
        Self::Crashed,
        Self::NeverReady,
        Self::Died,
        Self::OutOfMemory,
        Self::Lost,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::TimeLimit => "time_limit",
            Self::MoneyLimit => "money_limit",
            Self::Idle => "idle",
            Self::Exited => "exited",
            Self::Rejected => "rejected",
            Self::ImageMissing => "image_missing",
            Self::Crashed => "crashed",
            Self::NeverReady => "never_ready",
            Self::Died => "died",
            Self::OutOfMemory => "out_of_memory",
            Self::Lost => "lost",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.name() == name)
    }

    /// The phase that a session ends in for this.
    #[must_use]
    pub const fn phase(self) -> Phase {
        match self {
            Self::Stopped | Self::Exited => Phase::Ended,
            Self::TimeLimit | Self::MoneyLimit | Self::Idle => Phase::Expired,
            Self::Rejected
            | Self::ImageMissing
            | Self::Crashed
            | Self::NeverReady
            | Self::Died
            | Self::OutOfMemory
            | Self::Lost => Phase::Failed,
        }
    }
}

/// How it stands with one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// The app does not run yet.
    Waiting,
    /// Asked, and not ready yet.
    Checking,
    Ready,
    /// Was ready and does not answer now.
    Unready,
    /// The session has ended.
    Stopped,
}

impl ServiceState {
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Checking,
        Self::Ready,
        Self::Unready,
        Self::Stopped,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Checking => "checking",
            Self::Ready => "ready",
            Self::Unready => "unready",
            Self::Stopped => "stopped",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// What is chosen at a launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// It is stopped so many minutes after it was ready. Extending adds to this.
    pub max_minutes: u32,
    /// It is stopped when nobody has used it for so many minutes; 0 for never.
    pub idle_minutes: u32,
    /// It is stopped when it has cost so much, in micro-dollars.
    pub max_usd_micros: Option<i64>,
    /// How much of these two came with extensions.
    #[serde(default, skip_serializing_if = "Added::is_nothing")]
    pub added: Added,
}

/// What extensions have added to the limits of a launch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Added {
    pub minutes: u32,
    pub usd_micros: i64,
}

impl Added {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Settings {
    /// The same with more time, and with the money for it where that is limited.
    #[must_use]
    pub fn longer(&self, minutes: u32, rate: Usd) -> Self {
        let cost = rate.at_most_for_seconds(i64::from(minutes) * 60).micros();
        let cost = self.max_usd_micros.map_or(0, |_| cost);
        Self {
            max_minutes: self.max_minutes.saturating_add(minutes),
            max_usd_micros: self
                .max_usd_micros
                .map(|micros| micros.saturating_add(cost)),
            added: Added {
                minutes: self.added.minutes.saturating_add(minutes),
                usd_micros: self.added.usd_micros.saturating_add(cost),
            },
            ..*self
        }
    }

    /// As it was before it was extended.
    #[must_use]
    pub fn at_launch(&self) -> Self {
        Self {
            max_minutes: self.max_minutes.saturating_sub(self.added.minutes),
            max_usd_micros: self
                .max_usd_micros
                .map(|micros| micros - self.added.usd_micros),
            added: Added::default(),
            ..*self
        }
    }

    /// Minutes that are paid for at `rate` per hour: as long as it may run, or as
    /// long as what it may cost lasts.
    #[must_use]
    pub fn minutes(&self, rate: Usd) -> u32 {
        let lasts = self
            .max_usd_micros
            .and_then(|micros| Usd::from_micros(micros).seconds_at(rate))
            .and_then(|seconds| u32::try_from(seconds / 60).ok());
        self.max_minutes.min(lasts.unwrap_or(u32::MAX))
    }

    /// The most that it can cost at `rate` before it is extended.
    #[must_use]
    pub fn hold(&self, rate: Usd) -> Usd {
        rate.at_most_for_seconds(i64::from(self.minutes(rate)) * 60)
    }
}

/// With fewer launches than this, the manifest knows better.
const FEW: usize = 3;

/// How many seconds it takes from a machine to the open dashboard, and how many
/// launches say so: a quarter were quicker than `low`, one in ten slower than `high`.
#[must_use]
pub fn usual_start(launches: &[i64], phases: &Phases) -> (Range, usize) {
    let count = launches.len();
    if count < FEW {
        let sum = |of: fn((u32, u32)) -> u32| {
            [phases.image, phases.start, phases.services]
                .into_iter()
                .map(|phase| i64::from(of(phase)))
                .sum()
        };
        let range = Range {
            low: sum(|phase| phase.0),
            high: sum(|phase| phase.1),
        };
        return (range, 0);
    }
    let mut sorted: Vec<i64> = launches.iter().map(|seconds| (*seconds).max(0)).collect();
    sorted.sort_unstable();
    let range = Range {
        low: sorted[count / 4],
        high: sorted[count * 9 / 10],
    };
    (range, count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn money_and_hours_bound_a_session_whichever_ends_first() {
        let rate = Usd::from_micros(120_000);
        let settings = |max_minutes, max_usd_micros| Settings {
            max_minutes,
            idle_minutes: 0,
            max_usd_micros,
            added: Added::default(),
        };
        for (hours, dollars, rate, minutes) in [
            (240, None, rate, 240),
            (240, Some(1_000_000), rate, 240),
            // Ten cents are fifty minutes.
            (240, Some(100_000), rate, 50),
            (240, Some(10_000), rate, 5),
            (240, Some(1_999), rate, 0),
            (240, Some(10_000), Usd::ZERO, 240),
        ] {
            let settings = settings(hours, dollars);
            assert_eq!(settings.minutes(rate), minutes, "{settings:?} at {rate}");
            let hold = settings.hold(rate);
            assert_eq!(hold, rate.at_most_for_seconds(i64::from(minutes) * 60));
            assert!(dollars.is_none_or(|most| hold.micros() <= most), "{hold}");
        }
    }

    #[test]
    fn what_extensions_add_is_taken_off_again() {
        let rate = Usd::from_micros(120_000);
        for max_usd_micros in [None, Some(1_000_000)] {
            let launched = Settings {
                max_minutes: 60,
                idle_minutes: 30,
                max_usd_micros,
                added: Added::default(),
            };
            let extended = launched.longer(30, rate).longer(15, rate);
            assert_eq!(extended.max_minutes, 105);
            let more = extended.max_usd_micros.map(|micros| micros - 1_000_000);
            assert_eq!(more, max_usd_micros.map(|_| 90_000));
            assert_eq!(extended.at_launch(), launched);
        }
    }

    #[test]
    fn the_usual_start_comes_from_history_once_there_is_any() {
        let phases = Phases {
            image: (60, 600),
            start: (1, 5),
            services: (10, 60),
        };
        let manifest = (Range { low: 71, high: 665 }, 0);
        assert_eq!(usual_start(&[], &phases), manifest);
        assert_eq!(usual_start(&[5, 6], &phases), manifest);
        assert_eq!(
            usual_start(&[9, 5, 7], &phases),
            (Range { low: 5, high: 9 }, 3)
        );
        let twenty: Vec<i64> = (1..=20).rev().collect();
        assert_eq!(
            usual_start(&twenty, &phases),
            (Range { low: 6, high: 19 }, 20)
        );
        assert_eq!(
            usual_start(&[-3, -2, -1], &phases).0,
            Range { low: 0, high: 0 }
        );
    }

    proptest! {
        #[test]
        fn a_session_only_moves_forward_and_its_end_is_final(
            script in prop::collection::vec(prop::sample::select(&Phase::ALL[..]), 0..40),
        ) {
            let mut phase = Phase::Created;
            let mut was_running = false;
            for next in script {
                if !phase.may_become(next) { continue }
                prop_assert!(!phase.ended());
                prop_assert!(!was_running || !next.launching(), "{phase} -> {next}");
                was_running |= next == Phase::Running;
                phase = next;
            }
            prop_assert!(phase.ended() || phase.may_become(Phase::Failed));
        }
    }

    #[test]
    fn words_survive_the_round_trip() {
        for phase in Phase::ALL {
            assert_eq!(Phase::named(phase.name()), Some(phase));
        }
        for code in EndCode::ALL {
            assert_eq!(EndCode::named(code.name()), Some(code));
            assert!(code.phase().ended());
        }
        for state in ServiceState::ALL {
            assert_eq!(ServiceState::named(state.name()), Some(state));
        }
    }
}
