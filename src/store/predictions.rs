//! The `predictions` table: what was expected of each job, and how it came out.
use super::{Conn, Error, corrupt};
use crate::clock::{from_micros, micros};
use crate::domain::calibration::{Actual, Held, Predicted, judge};
use crate::domain::estimate::Range;
use crate::domain::history::{Basis, Sample};
use crate::domain::id::{JobId, WorkspaceId};
use crate::domain::money::Usd;
use time::OffsetDateTime;

/// What was expected of a job when it was let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    pub job: JobId,
    pub workspace: WorkspaceId,
    pub likeness: String,
    pub kind: String,
    pub pool: String,
    /// `None` if it was let in without an estimate.
    pub basis: Option<Basis>,
    pub samples: i64,
    pub predicted: Predicted,
    pub created_at: OffsetDateTime,
}

/// How a job came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    pub actual: Actual,
    /// Whether it ran to its own end.
    pub counts: bool,
    pub at: OffsetDateTime,
}

/// Writes what is expected of a job, in the transaction that lets it in.
pub async fn insert(conn: &mut Conn, prediction: &Prediction) -> Result<(), Error> {
    let said = &prediction.predicted;
    sqlx::query(
        "INSERT INTO predictions (job, workspace, likeness, kind, pool, basis, samples, runtime_low,
             runtime_high, wait_low, wait_high, cost_low, cost_high, rate, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
    )
    .bind(prediction.job.to_string())
    .bind(prediction.workspace.to_string())
    .bind(&prediction.likeness)
    .bind(&prediction.kind)
    .bind(&prediction.pool)
    .bind(prediction.basis.map_or("none", Basis::name))
    .bind(prediction.samples)
    .bind(said.runtime.low)
    .bind(said.runtime.high)
    .bind(said.wait.low)
    .bind(said.wait.high)
    .bind(said.cost.0.micros())
    .bind(said.cost.1.micros())
    .bind(said.rate.micros())
    .bind(micros(prediction.created_at))
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
struct Said {
    basis: String,
    runtime_low: i64,
    runtime_high: i64,
    wait_low: i64,
    wait_high: i64,
    cost_low: i64,
    cost_high: i64,
    rate: i64,
}

/// Writes down how a job came out, and which of its ranges held; the first outcome is
/// the one that counts. Jobs that nothing was predicted of are passed over.
pub async fn resolve(conn: &mut Conn, job: JobId, outcome: &Outcome) -> Result<(), Error> {
    let said = sqlx::query_as::<_, Said>(
        "SELECT basis, runtime_low, runtime_high, wait_low, wait_high, cost_low, cost_high, rate
         FROM predictions WHERE job = $1 AND completed_at IS NULL",
    )
    .bind(job.to_string())
    .fetch_optional(&mut *conn)
    .await?;
    let Some(said) = said else {
        return Ok(());
    };
    let predicted = Predicted {
        runtime: Range {
            low: said.runtime_low,
            high: said.runtime_high,
        },
        wait: Range {
            low: said.wait_low,
            high: said.wait_high,
        },
        cost: (
            Usd::from_micros(said.cost_low),
            Usd::from_micros(said.cost_high),
        ),
        rate: Usd::from_micros(said.rate),
    };
    let actual = outcome.actual;
    let held = judge(&predicted, &actual);
    let can_be_judged = [Basis::Own, Basis::OwnKind, Basis::Everyone]
        .iter()
        .any(|basis| basis.name() == said.basis);
    let flag = |on: bool| i16::from(on);
    sqlx::query(
        "UPDATE predictions SET completed_at = $1, runtime_ms = $2, wait_ms = $3, cost = $4,
             started = $5, counts = $6, judged = $7, runtime_held = $8, wait_held = $9, cost_held = $10
         WHERE job = $11",
    )
    .bind(micros(outcome.at))
    .bind(actual.runtime_millis)
    .bind(actual.wait_millis)
    .bind(actual.cost.micros())
    .bind(flag(actual.wait_millis.is_some()))
    .bind(flag(outcome.counts))
    .bind(flag(outcome.counts && can_be_judged))
    .bind(flag(held.runtime))
    .bind(flag(held.wait))
    .bind(flag(held.cost))
    .bind(job.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// The statements behind what is looked up for every estimate, for the tests that look
/// at their plans.
pub const OWN: &str = "SELECT runtime_ms, completed_at FROM predictions
     WHERE workspace = $1 AND likeness = $2 AND counts = 1
     ORDER BY completed_at DESC LIMIT 50";
pub const OWN_KIND: &str = "SELECT runtime_ms, completed_at FROM predictions
     WHERE workspace = $1 AND kind = $2 AND counts = 1
     ORDER BY completed_at DESC LIMIT 50";
pub const OTHERS: &str = "SELECT workspace, runtime_ms FROM predictions
     WHERE kind = $1 AND counts = 1 AND workspace <> $2
     ORDER BY completed_at DESC LIMIT 500";
pub const WAITS: &str = "SELECT workspace, wait_ms FROM predictions
     WHERE pool = $1 AND started = 1 AND completed_at >= $2
     ORDER BY completed_at DESC LIMIT 100";
pub const JUDGED: &str = "SELECT workspace, runtime_held, wait_held, cost_held FROM predictions
     WHERE workspace = $1 AND judged = 1 ORDER BY completed_at DESC LIMIT 20";
pub const JUDGED_ALL: &str = "SELECT workspace, runtime_held, wait_held, cost_held FROM predictions
     WHERE judged = 1 ORDER BY completed_at DESC LIMIT 100";

/// The workspace's last jobs that are alike in everything, newest first.
pub async fn own(
    conn: &mut Conn,
    workspace: WorkspaceId,
    likeness: &str,
) -> Result<Vec<Sample>, Error> {
    samples(conn, OWN, workspace, likeness).await
}

/// The workspace's last jobs of this kind.
pub async fn own_kind(
    conn: &mut Conn,
    workspace: WorkspaceId,
    kind: &str,
) -> Result<Vec<Sample>, Error> {
    samples(conn, OWN_KIND, workspace, kind).await
}

async fn samples(
    conn: &mut Conn,
    statement: &'static str,
    workspace: WorkspaceId,
    alike: &str,
) -> Result<Vec<Sample>, Error> {
    let rows: Vec<(Option<i64>, i64)> = sqlx::query_as(statement)
        .bind(workspace.to_string())
        .bind(alike)
        .fetch_all(conn)
        .await?;
    let sample = |(millis, at): (Option<i64>, i64)| {
        Some(Sample {
            seconds: seconds(millis?),
            ended_at: from_micros(at),
        })
    };
    Ok(rows.into_iter().filter_map(sample).collect())
}

/// What other workspaces' last jobs of this kind took, in seconds.
pub async fn others(
    conn: &mut Conn,
    workspace: WorkspaceId,
    kind: &str,
) -> Result<Vec<(WorkspaceId, i64)>, Error> {
    let rows = sqlx::query_as(OTHERS)
        .bind(kind)
        .bind(workspace.to_string())
        .fetch_all(conn)
        .await?;
    figures(rows)
}

/// How long jobs of this pool that ended since then had waited, in seconds.
pub async fn waits(
    conn: &mut Conn,
    pool: &str,
    since: OffsetDateTime,
) -> Result<Vec<(WorkspaceId, i64)>, Error> {
    let rows = sqlx::query_as(WAITS)
        .bind(pool)
        .bind(micros(since))
        .fetch_all(conn)
        .await?;
    figures(rows)
}

fn figures(rows: Vec<(String, Option<i64>)>) -> Result<Vec<(WorkspaceId, i64)>, Error> {
    let known = rows
        .into_iter()
        .filter_map(|(workspace, millis)| Some((workspace, millis?)));
    known
        .map(|(workspace, millis)| Ok((named(&workspace)?, seconds(millis))))
        .collect()
}

/// Which ranges of the workspace's last predictions held, newest first.
pub async fn judged(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Held>, Error> {
    let rows: Vec<(String, i16, i16, i16)> = sqlx::query_as(JUDGED)
        .bind(workspace.to_string())
        .fetch_all(conn)
        .await?;
    Ok(rows.iter().map(held).collect())
}

/// The same for everyone's.
pub async fn judged_all(conn: &mut Conn) -> Result<Vec<(WorkspaceId, Held)>, Error> {
    let rows: Vec<(String, i16, i16, i16)> = sqlx::query_as(JUDGED_ALL).fetch_all(conn).await?;
    rows.iter()
        .map(|row| Ok((named(&row.0)?, held(row))))
        .collect()
}

const fn held(row: &(String, i16, i16, i16)) -> Held {
    Held {
        runtime: row.1 != 0,
        wait: row.2 != 0,
        cost: row.3 != 0,
    }
}

fn named(workspace: &str) -> Result<WorkspaceId, Error> {
    workspace
        .parse()
        .map_err(|_| corrupt("predictions", workspace, "workspace"))
}

/// Whole seconds, rounded up.
const fn seconds(millis: i64) -> i64 {
    millis.saturating_add(999).div_euclid(1_000)
}
