//! The `jobs` table, and the runs, events and output that belong to it.
pub mod days;
pub mod events;
pub mod listing;
pub mod logs;
pub mod occupied;
pub mod queries;
mod row;
pub mod runs;
mod search;
pub mod texts;

use super::{Conn, Error};
use crate::clock::micros;
use crate::domain::estimate::Quote;
use crate::domain::id::{AccountId, JobId, WorkspaceId};
use crate::domain::job::{Failure, Outcome, State, pause_after};
use crate::domain::money::Usd;
use crate::domain::spec::JobSpec;
use events::NewEvent;
use row::{Columns, Row};
use time::OffsetDateTime;

/// A job as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: JobId,
    pub workspace: WorkspaceId,
    pub account: AccountId,
    pub spec: JobSpec,
    /// Jobs with the same likeness take about as long.
    pub likeness: String,
    pub state: State,
    /// When the present phase began.
    pub phase_since: OffsetDateTime,
    /// Counts up with every transition.
    pub version: i64,
    pub last_event: i64,
    pub last_log: i64,
    /// Counts from 1.
    pub attempt: u32,
    pub engine: Option<String>,
    pub node: Option<String>,
    /// Why it is as it is: what a person gave as a reason, or what went wrong.
    pub reason: Option<String>,
    /// Per hour of execution.
    pub rate: Usd,
    pub hold: Usd,
    pub cost: Option<Usd>,
    /// From when on it costs, where that is not from its start.
    pub billed_from: Option<OffsetDateTime>,
    pub quote: Quote,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub queued_at: Option<OffsetDateTime>,
    pub assigned_at: Option<OffsetDateTime>,
    pub completed_at: Option<OffsetDateTime>,
}

impl Job {
    /// When it began to cost: an app does so when it is ready, any other job when
    /// its command executes.
    #[must_use]
    pub const fn costs_from(&self) -> Option<OffsetDateTime> {
        if self.spec.app.is_some() {
            self.billed_from
        } else {
            self.state.since()
        }
    }

    /// When it is offered to an engine again, if it waits because one has not taken it.
    #[must_use]
    pub fn next_try(&self) -> Option<OffsetDateTime> {
        let refusals = self.attempt.saturating_sub(1);
        (self.state == State::Queued && refusals > 0)
            .then(|| self.phase_since + pause_after(refusals))
    }

    /// The same, while that is still to come at `now`. A clock that has been set back since
    /// makes nobody wait.
    #[must_use]
    pub fn left_alone_until(&self, now: OffsetDateTime) -> Option<OffsetDateTime> {
        let at = self.next_try()?;
        (self.phase_since <= now && now < at).then_some(at)
    }

    /// The exit code of its command, if that is known.
    #[must_use]
    pub const fn exit_code(&self) -> Option<i32> {
        match &self.state {
            State::Ended {
                outcome: Outcome::Completed,
                ..
            } => Some(0),
            State::Ended {
                outcome: Outcome::Failed(Failure::Exit(code)),
                ..
            } => Some(*code),
            _ => None,
        }
    }
}

/// Writes a new job with its first events. `job.last_event` is theirs to set.
pub async fn insert(conn: &mut Conn, job: &mut Job, said: &[NewEvent]) -> Result<(), Error> {
    let columns = Columns::of(job);
    sqlx::query(
        "INSERT INTO jobs (id, workspace, account, name, workload_type, image, spec, likeness,
             haystack, status, phase, phase_since, attempt, rate, hold, quote, created_at,
             updated_at, queued_at, ended)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)",
    )
    .bind(job.id.to_string())
    .bind(job.workspace.to_string())
    .bind(job.account.to_string())
    .bind(&job.spec.name)
    .bind(job.spec.workload_type.name())
    .bind(&job.spec.image)
    .bind(json(&job.spec)?)
    .bind(&job.likeness)
    .bind(texts::haystack(job))
    .bind(columns.status)
    .bind(columns.phase)
    .bind(micros(job.phase_since))
    .bind(i64::from(job.attempt))
    .bind(job.rate.micros())
    .bind(job.hold.micros())
    .bind(json(&job.quote)?)
    .bind(micros(job.created_at))
    .bind(micros(job.updated_at))
    .bind(job.queued_at.map(micros))
    .bind(columns.ended)
    .execute(&mut *conn)
    .await?;
    texts::append(conn, job).await?;
    job.last_event = events::append(conn, job.id, 0, said, job.updated_at).await?;
    set_last_event(conn, job).await
}

/// Writes what has changed of a job, together with the events that say so,
/// provided that nobody else has changed it since it was read.
///
/// # Errors
///
/// [`Error::Stale`] if someone has: the caller reads again and decides anew.
pub async fn update(conn: &mut Conn, job: &mut Job, said: &[NewEvent]) -> Result<(), Error> {
    let count = i64::try_from(said.len()).unwrap_or(i64::MAX);
    let last_event = job.last_event.saturating_add(count);
    let columns = Columns::of(job);
    days::count_end(conn, job).await?;
    // First, because two who are here at once would use the same event numbers.
    let updated = sqlx::query(
        "UPDATE jobs SET status = $1, phase = $2, phase_since = $3, version = version + 1,
             last_event = $4, attempt = $5, engine = $6, node = $7, status_reason = $8,
             failure_code = $9, exit_code = $10, signal = $11, cost = $12, updated_at = $13,
             queued_at = $14, assigned_at = $15, started_at = $16, completed_at = $17, ended = $18,
             hold = $19, billed_from = $20
         WHERE id = $21 AND version = $22",
    )
    .bind(columns.status)
    .bind(columns.phase)
    .bind(micros(job.phase_since))
    .bind(last_event)
    .bind(i64::from(job.attempt))
    .bind(&job.engine)
    .bind(&job.node)
    .bind(&job.reason)
    .bind(columns.failure_code)
    .bind(columns.exit_code)
    .bind(columns.signal)
    .bind(job.cost.map(Usd::micros))
    .bind(micros(job.updated_at))
    .bind(job.queued_at.map(micros))
    .bind(job.assigned_at.map(micros))
    .bind(job.state.since().map(micros))
    .bind(job.completed_at.map(micros))
    .bind(columns.ended)
    .bind(job.hold.micros())
    .bind(job.billed_from.map(micros))
    .bind(job.id.to_string())
    .bind(job.version)
    .execute(&mut *conn)
    .await?;
    if updated.rows_affected() != 1 {
        return Err(Error::Stale {
            table: "jobs",
            id: job.id.to_string(),
        });
    }
    job.last_event = events::append(conn, job.id, job.last_event, said, job.updated_at).await?;
    job.version += 1;
    Ok(())
}

/// The statement behind every look at one job, for the test that looks at its plan.
pub const FIND: &str = "SELECT * FROM jobs WHERE id = $1 AND workspace = $2";

/// A job of this workspace; another's is as missing as none.
pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: JobId,
) -> Result<Option<Job>, Error> {
    let row = sqlx::query_as::<_, Row>(FIND)
        .bind(id.to_string())
        .bind(workspace.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(Job::try_from).transpose()
}

/// A job whosever it is: for workers, never for callers.
pub async fn find_for_worker(conn: &mut Conn, id: JobId) -> Result<Option<Job>, Error> {
    let row = sqlx::query_as::<_, Row>("SELECT * FROM jobs WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(Job::try_from).transpose()
}

async fn set_last_event(conn: &mut Conn, job: &Job) -> Result<(), Error> {
    sqlx::query("UPDATE jobs SET last_event = $1 WHERE id = $2")
        .bind(job.last_event)
        .bind(job.id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Sql(sqlx::Error::Encode(error.into())))
}
