//! How many jobs ended on each day, how, and what they cost: kept by the same
//! transaction that ends them, so that sums need not look at jobs.
use super::Job;
use crate::clock::micros;
use crate::domain::id::WorkspaceId;
use crate::domain::money::Usd;
use crate::store::{Conn, Error};
use time::OffsetDateTime;

const DAY: i64 = 86_400_000_000;

/// The day (UTC, since the epoch) of a time.
#[must_use]
pub fn day_of(at: OffsetDateTime) -> i64 {
    micros(at).div_euclid(DAY)
}

/// Counts a job that is about to be written as ended, unless it was before. Its
/// transaction fails if someone else has changed the job since it was read.
pub(super) async fn count_end(conn: &mut Conn, job: &Job) -> Result<(), Error> {
    let Some(end) = job.completed_at.filter(|_| job.state.ended()) else {
        return Ok(());
    };
    sqlx::query(
        "INSERT INTO job_days (workspace, day, status, jobs, cost)
         SELECT workspace, $1, $2, 1, $3 FROM jobs WHERE id = $4 AND ended = 0
         ON CONFLICT (workspace, day, status) DO UPDATE
         SET jobs = job_days.jobs + 1, cost = job_days.cost + excluded.cost",
    )
    .bind(day_of(end))
    .bind(job.state.status().name())
    .bind(job.cost.map_or(0, Usd::micros))
    .bind(job.id.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// The jobs of one day that ended in one way.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Day {
    /// Since the epoch, in UTC.
    pub day: i64,
    /// A status word.
    pub status: String,
    pub jobs: i64,
    /// Micro-dollars.
    pub cost: i64,
}

/// The statement behind [`since`], for the test that looks at its plan.
pub const SINCE: &str = "SELECT day, status, jobs, cost FROM job_days
     WHERE workspace = $1 AND day >= $2 ORDER BY day, status";

/// The ends of a workspace from `day` on, oldest first.
pub async fn since(conn: &mut Conn, workspace: WorkspaceId, day: i64) -> Result<Vec<Day>, Error> {
    let days = sqlx::query_as(SINCE)
        .bind(workspace.to_string())
        .bind(day)
        .fetch_all(conn)
        .await?;
    Ok(days)
}
