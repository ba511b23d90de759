//! Between the columns of `jobs` and what they mean.
use super::Job;
use crate::clock::from_micros;
use crate::domain::job::{Failure, Outcome, Phase, State, Status};
use crate::domain::money::Usd;
use crate::store::{Error, corrupt};

/// The columns that spell a state.
pub(super) struct Columns {
    pub(super) status: &'static str,
    pub(super) phase: Option<&'static str>,
    pub(super) failure_code: Option<&'static str>,
    pub(super) exit_code: Option<i64>,
    pub(super) signal: Option<i64>,
    pub(super) ended: i16,
}

impl Columns {
    pub(super) fn of(job: &Job) -> Self {
        let failure = match &job.state {
            State::Ended {
                outcome: Outcome::Failed(failure),
                ..
            } => Some(failure),
            _ => None,
        };
        let signal = match failure {
            Some(Failure::Signal(signal)) => Some(i64::from(*signal)),
            _ => None,
        };
        Self {
            status: job.state.status().name(),
            phase: job.state.phase().map(Phase::name),
            failure_code: failure.map(Failure::code),
            exit_code: job.exit_code().map(i64::from),
            signal,
            ended: i16::from(job.state.ended()),
        }
    }
}

#[derive(Debug, sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    workspace: String,
    account: String,
    spec: String,
    likeness: String,
    status: String,
    phase: Option<String>,
    phase_since: i64,
    version: i64,
    last_event: i64,
    last_log: i64,
    attempt: i64,
    engine: Option<String>,
    node: Option<String>,
    status_reason: Option<String>,
    failure_code: Option<String>,
    exit_code: Option<i64>,
    signal: Option<i64>,
    rate: i64,
    hold: i64,
    cost: Option<i64>,
    billed_from: Option<i64>,
    quote: String,
    created_at: i64,
    updated_at: i64,
    queued_at: Option<i64>,
    assigned_at: Option<i64>,
    started_at: Option<i64>,
    completed_at: Option<i64>,
}

impl Row {
    fn wrong(&self, why: &str) -> Error {
        corrupt("jobs", &self.id, why)
    }

    /// Rejects every combination of columns that no [`State`] has.
    fn state(&self) -> Result<State, Error> {
        let status = Status::named(&self.status).ok_or_else(|| self.wrong("unknown status"))?;
        let phase = match self.phase.as_deref() {
            Some(name) => Some(Phase::named(name).ok_or_else(|| self.wrong("unknown phase"))?),
            None => None,
        };
        let since = self.started_at.map(from_micros);
        let stopping = phase == Some(Phase::Stopping);
        Ok(match status {
            Status::Pending => State::Pending,
            Status::Queued => State::Queued,
            Status::Assigned if stopping => State::Stopping { since: None },
            Status::Assigned => State::Assigned {
                step: phase.ok_or_else(|| self.wrong("assigned without a phase"))?,
            },
            Status::Running => {
                let since = since.ok_or_else(|| self.wrong("running without a start"))?;
                if phase == Some(Phase::CollectingArtifacts) {
                    let until = self.completed_at.map(from_micros);
                    let until = until.ok_or_else(|| self.wrong("collecting without an end"))?;
                    State::Collecting { since, until }
                } else if stopping {
                    State::Stopping { since: Some(since) }
                } else {
                    State::Running { since }
                }
            }
            Status::Completed => State::Ended {
                outcome: Outcome::Completed,
                since,
            },
            Status::Cancelled => State::Ended {
                outcome: Outcome::Cancelled,
                since,
            },
            Status::Rejected => State::Ended {
                outcome: Outcome::Rejected(self.status_reason.clone().unwrap_or_default()),
                since,
            },
            Status::Failed => State::Ended {
                outcome: Outcome::Failed(self.failure()?),
                since,
            },
        })
    }

    fn failure(&self) -> Result<Failure, Error> {
        let number = |value: Option<i64>, what: &str| {
            value
                .and_then(|n| i32::try_from(n).ok())
                .ok_or_else(|| self.wrong(what))
        };
        let why = || self.status_reason.clone().unwrap_or_default();
        match self.failure_code.as_deref() {
            Some("EXIT_CODE") => Ok(Failure::Exit(number(
                self.exit_code,
                "failed without an exit code",
            )?)),
            Some("SIGNAL") => Ok(Failure::Signal(number(
                self.signal,
                "killed without a signal",
            )?)),
            Some("OUT_OF_MEMORY") => Ok(Failure::OutOfMemory),
            Some("TIME_LIMIT") => Ok(Failure::TimeLimit),
            Some("NODE_LOST") => Ok(Failure::Lost(why())),
            Some("IMAGE_UNAVAILABLE") => Ok(Failure::NoImage(why())),
            Some("START_FAILED") => Ok(Failure::NotStarted(why())),
            _ => Err(self.wrong("failed without a reason")),
        }
    }
}

impl TryFrom<Row> for Job {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let state = row.state()?;
        Ok(Self {
            id: row.id.parse().map_err(|_| row.wrong("id"))?,
            workspace: row.workspace.parse().map_err(|_| row.wrong("workspace"))?,
            account: row.account.parse().map_err(|_| row.wrong("account"))?,
            spec: serde_json::from_str(&row.spec).map_err(|_| row.wrong("spec"))?,
            quote: serde_json::from_str(&row.quote).map_err(|_| row.wrong("quote"))?,
            attempt: u32::try_from(row.attempt).map_err(|_| row.wrong("attempt"))?,
            state,
            phase_since: from_micros(row.phase_since),
            version: row.version,
            last_event: row.last_event,
            last_log: row.last_log,
            rate: Usd::from_micros(row.rate),
            hold: Usd::from_micros(row.hold),
            cost: row.cost.map(Usd::from_micros),
            billed_from: row.billed_from.map(from_micros),
            created_at: from_micros(row.created_at),
            updated_at: from_micros(row.updated_at),
            queued_at: row.queued_at.map(from_micros),
            assigned_at: row.assigned_at.map(from_micros),
            completed_at: row.completed_at.map(from_micros),
            likeness: row.likeness,
            engine: row.engine,
            node: row.node,
            reason: row.status_reason,
        })
    }
}
