//! The life of a job, as one table of allowed moves.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use time::{Duration, OffsetDateTime};

/// The words of the public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobStatus")]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pending,
    Queued,
    Assigned,
    Running,
    Completed,
    Failed,
    Rejected,
    Cancelled,
}

impl Status {
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Queued,
        Self::Assigned,
        Self::Running,
        Self::Completed,
        Self::Failed,
        Self::Rejected,
        Self::Cancelled,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Queued => "queued",
            Self::Assigned => "assigned",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status called `name`; the contract's clients also write `canceled`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == "canceled" {
            return Some(Self::Cancelled);
        }
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn ended(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Rejected | Self::Cancelled
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is being done for a job that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobPhase")]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    WaitingForCapacity,
    PullingImage,
    PreparingInputs,
    Starting,
    Executing,
    CollectingArtifacts,
    Stopping,
}

impl Phase {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::WaitingForCapacity => "waiting_for_capacity",
            Self::PullingImage => "pulling_image",
            Self::PreparingInputs => "preparing_inputs",
            Self::Starting => "starting",
            Self::Executing => "executing",
            Self::CollectingArtifacts => "collecting_artifacts",
            Self::Stopping => "stopping",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        [
            Self::WaitingForCapacity,
            Self::PullingImage,
            Self::PreparingInputs,
            Self::Starting,
            Self::Executing,
            Self::CollectingArtifacts,
            Self::Stopping,
        ]
        .into_iter()
        .find(|phase| phase.name() == name)
    }
}

/// Where a job is. Each state carries exactly what is known in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Accepted, not yet checked.
    Pending,
    /// Waiting for capacity.
    Queued,
    /// A node has been chosen, and `step` is under way there.
    Assigned {
        step: Phase,
    },
    Running {
        since: OffsetDateTime,
    },
    /// Its command has ended, at `until`, and what it left is being collected.
    Collecting {
        since: OffsetDateTime,
        until: OffsetDateTime,
    },
    /// Asked to stop; it had started at `since`, or not yet.
    Stopping {
        since: Option<OffsetDateTime>,
    },
    Ended {
        outcome: Outcome,
        since: Option<OffsetDateTime>,
    },
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Completed,
    Failed(Failure),
    Cancelled,
    /// Refused before it ran, for this reason.
    Rejected(String),
}

/// Why a job failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Its command ended with this code, which is not 0.
    Exit(i32),
    /// Its command was ended by this signal.
    Signal(i32),
    OutOfMemory,
    TimeLimit,
    /// The machine, or what watched the job on it, went away.
    Lost(String),
    /// The image is not there, or could not be had.
    NoImage(String),
    /// The command could not be started.
    NotStarted(String),
}

impl Failure {
    /// The contract's `failure.code`; also how it is stored.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Exit(_) => "EXIT_CODE",
            Self::Signal(_) => "SIGNAL",
            Self::OutOfMemory => "OUT_OF_MEMORY",
            Self::TimeLimit => "TIME_LIMIT",
            Self::Lost(_) => "NODE_LOST",
            Self::NoImage(_) => "IMAGE_UNAVAILABLE",
            Self::NotStarted(_) => "START_FAILED",
        }
    }

    /// Whether doing the same again may well work.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::NoImage(_) | Self::NotStarted(_))
    }

    /// What happened and what to do about it, for people.
    #[must_use]
    pub fn explained(&self) -> String {
        match self {
            Self::Exit(126) => "The command was found but may not be executed (exit code 126). Check its permissions.".into(),
            Self::Exit(127) => "The command was not found (exit code 127). Check its spelling, and that the image has it.".into(),
            Self::Exit(137) => "The command ended with code 137: something inside the job killed it, most often for want of memory.".into(),
            Self::Exit(code) => format!("The command ended with exit code {code}. The last lines of its output usually say why."),
            Self::Signal(9) => "The command was killed (signal 9), most often for want of memory. Ask for more memory, or use less.".into(),
            Self::Signal(11) => "The command crashed (signal 11, an invalid memory access).".into(),
            Self::Signal(signal) => format!("The command was ended by signal {signal}."),
            Self::OutOfMemory => "The job used more memory than it had asked for and was stopped. Ask for more, or use smaller batches.".into(),
            Self::TimeLimit => "The job reached its time limit and was stopped. Submit it again with a higher limit.".into(),
            Self::Lost(why) => format!("The job was lost: {why}. You pay for nothing after it was last seen; submit it again."),
            Self::NoImage(why) => format!("The image could not be had: {why}"),
            Self::NotStarted(why) => format!("The job could not be started: {why}"),
        }
    }
}

/// What can happen to a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Checked and found runnable.
    Admitted,
    /// Checked, and it can never run here.
    Refused {
        why: String,
    },
    /// A node has been chosen.
    Placed,
    /// The chosen node is busy with this.
    Preparing {
        step: Phase,
    },
    Started {
        at: OffsetDateTime,
    },
    /// Its command ended by itself at `until`; how, is told later.
    Collecting {
        until: OffsetDateTime,
    },
    /// The engine did not take the job; somewhere else, or later.
    Returned,
    StopRequested,
    /// The run has ended; `None` means with exit code 0.
    Ended {
        failure: Option<Failure>,
    },
}

/// An event that the job's current state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {state} cannot take {event:?}")]
pub struct Impossible {
    pub state: Status,
    pub event: Event,
}

impl State {
    /// The state after `event`.
    ///
    /// # Errors
    ///
    /// [`Impossible`] if the event makes no sense now. A job that has ended takes
    /// no event at all, so a late report from an engine cannot revive it.
    pub fn apply(self, event: Event) -> Result<Self, Impossible> {
        use Event as On;
        match (self, event) {
            (Self::Pending, On::Admitted) | (Self::Assigned { .. }, On::Returned) => {
                Ok(Self::Queued)
            }
            (Self::Pending | Self::Queued, On::Refused { why }) => Ok(Self::Ended {
                outcome: Outcome::Rejected(why),
                since: None,
            }),
            (Self::Queued, On::Placed) => Ok(Self::Assigned {
                step: Phase::Starting,
            }),
            (Self::Assigned { .. }, On::Preparing { step }) => Ok(Self::Assigned { step }),
            (Self::Assigned { .. }, On::Started { at }) => Ok(Self::Running { since: at }),
            // It was asked to stop before it could say that it had started.
            (Self::Stopping { since: None }, On::Started { at }) => {
                Ok(Self::Stopping { since: Some(at) })
            }
            (Self::Pending | Self::Queued, On::StopRequested) => Ok(Self::Ended {
                outcome: Outcome::Cancelled,
                since: None,
            }),
            (Self::Assigned { .. }, On::StopRequested) => Ok(Self::Stopping { since: None }),
            (Self::Running { since }, On::StopRequested) => {
                Ok(Self::Stopping { since: Some(since) })
            }
            (Self::Running { since }, On::Collecting { until }) => {
                Ok(Self::Collecting { since, until })
            }
            (Self::Stopping { since }, On::Ended { .. }) => Ok(Self::Ended {
                outcome: Outcome::Cancelled,
                since,
            }),
            (
                state @ (Self::Assigned { .. } | Self::Running { .. } | Self::Collecting { .. }),
                On::Ended { failure },
            ) => {
                let since = state.since();
                let outcome = failure.map_or(Outcome::Completed, Outcome::Failed);
                Ok(Self::Ended { outcome, since })
            }
            (state, event) => Err(Impossible {
                state: state.status(),
                event,
            }),
        }
    }

    #[must_use]
    pub const fn status(&self) -> Status {
        match self {
            Self::Pending => Status::Pending,
            Self::Queued => Status::Queued,
            Self::Assigned { .. } | Self::Stopping { since: None } => Status::Assigned,
            Self::Running { .. } | Self::Collecting { .. } | Self::Stopping { since: Some(_) } => {
                Status::Running
            }
            Self::Ended {
                outcome: Outcome::Completed,
                ..
            } => Status::Completed,
            Self::Ended {
                outcome: Outcome::Failed(_),
                ..
            } => Status::Failed,
            Self::Ended {
                outcome: Outcome::Cancelled,
                ..
            } => Status::Cancelled,
            Self::Ended {
                outcome: Outcome::Rejected(_),
                ..
            } => Status::Rejected,
        }
    }

    #[must_use]
    pub const fn phase(&self) -> Option<Phase> {
        match self {
            Self::Pending | Self::Queued => Some(Phase::WaitingForCapacity),
            Self::Assigned { step } => Some(*step),
            Self::Running { .. } => Some(Phase::Executing),
            Self::Collecting { .. } => Some(Phase::CollectingArtifacts),
            Self::Stopping { .. } => Some(Phase::Stopping),
            Self::Ended { .. } => None,
        }
    }

    /// When the command started executing, if it has.
    #[must_use]
    pub const fn since(&self) -> Option<OffsetDateTime> {
        match self {
            Self::Running { since } | Self::Collecting { since, .. } => Some(*since),
            Self::Stopping { since } | Self::Ended { since, .. } => *since,
            Self::Pending | Self::Queued | Self::Assigned { .. } => None,
        }
    }

    #[must_use]
    pub const fn ended(&self) -> bool {
        matches!(self, Self::Ended { .. })
    }
}

/// How long a job is left alone after its engine has refused to take it so many
/// times in a row: 2 seconds after the first, twice as long after each further one,
/// 5 minutes at most. Nothing for none.
#[must_use]
pub fn pause_after(refusals: u32) -> Duration {
    const LONGEST: i64 = 300;
    let doubled = 2_i64.saturating_pow(refusals);
    match refusals {
        0 => Duration::ZERO,
        _ => Duration::seconds(doubled.min(LONGEST)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use time::macros::datetime;

    fn events() -> impl Strategy<Value = Event> {
        prop_oneof![
            Just(Event::Admitted),
            Just(Event::Refused { why: "no".into() }),
            Just(Event::Placed),
            Just(Event::Preparing {
                step: Phase::PullingImage
            }),
            Just(Event::Started {
                at: datetime!(2026-11-23 12:00 UTC)
            }),
            Just(Event::Collecting {
                until: datetime!(2026-11-23 12:05 UTC)
            }),
            Just(Event::Returned),
            Just(Event::StopRequested),
            Just(Event::Ended { failure: None }),
            Just(Event::Ended {
                failure: Some(Failure::Exit(3))
            }),
        ]
    }

    /// How far along a status is; `queued` can be returned to from `assigned`.
    fn rank(status: Status) -> u8 {
        match status {
            Status::Pending => 0,
            Status::Queued | Status::Assigned => 1,
            Status::Running => 2,
            Status::Completed | Status::Failed | Status::Rejected | Status::Cancelled => 3,
        }
    }

    proptest! {
        #[test]
        fn a_job_only_moves_forward_and_its_end_is_final(script in prop::collection::vec(events(), 0..40)) {
            let mut state = State::Pending;
            let mut stopped = false;
            for event in script {
                let before = state.clone();
                match state.clone().apply(event.clone()) {
                    Ok(after) => {
                        prop_assert!(!before.ended(), "{before:?} took {event:?}");
                        prop_assert!(rank(after.status()) >= rank(before.status()), "{before:?} -> {after:?}");
                        if before.since().is_some() {
                            prop_assert_eq!(after.since(), before.since());
                        }
                        stopped |= event == Event::StopRequested;
                        if stopped && after.ended() {
                            prop_assert_eq!(after.status(), Status::Cancelled);
                        }
                        if matches!(after.status(), Status::Completed | Status::Failed) {
                            prop_assert!(!stopped);
                        }
                        prop_assert_eq!(after.phase().is_none(), after.ended());
                        state = after;
                    }
                    Err(impossible) => prop_assert_eq!(impossible.state, before.status()),
                }
            }
        }

        #[test]
        fn every_state_that_has_not_ended_can_be_brought_to_an_end(script in prop::collection::vec(events(), 0..40)) {
            let mut state = State::Pending;
            for event in script {
                state = state.clone().apply(event).unwrap_or(state);
            }
            for event in [Event::StopRequested, Event::Ended { failure: None }] {
                state = state.clone().apply(event).unwrap_or(state);
            }
            prop_assert!(state.ended());
        }
    }

    #[test]
    fn an_engine_that_refuses_is_asked_less_and_less_often() {
        let seconds = |refusals| pause_after(refusals).whole_seconds();
        let first: Vec<i64> = (0..10).map(seconds).collect();
        assert_eq!(first, [0, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
        for many in [62, 63, 64, u32::MAX] {
            assert_eq!(seconds(many), 300, "{many}");
        }
    }

    #[test]
    fn words_survive_the_round_trip() {
        for status in Status::ALL {
            assert_eq!(Status::named(status.name()), Some(status));
        }
        assert_eq!(Status::named("canceled"), Some(Status::Cancelled));
        assert_eq!(Status::named("succeeded"), None);
    }
}
