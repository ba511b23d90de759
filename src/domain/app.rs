//! The life of a launched app, as one table of allowed moves.
use serde::{Deserialize, Serialize};
use std::fmt;

/// How far a session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
