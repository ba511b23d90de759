//! Many jobs at once: lists, the queue, history, sums.
use super::row::Row;
use super::{Job, logs, runs};
use crate::clock::micros;
use crate::domain::id::{JobId, WorkspaceId};
use crate::domain::ledger::Account;
use crate::domain::logs::Level;
use crate::domain::money::Usd;
use crate::store::ledger::Balance;
use crate::store::{Conn, Error, places};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

/// Which jobs of a workspace, and from where on.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A status word; empty for any.
    pub status: String,
    /// Only jobs that have not ended.
    pub active: bool,
    /// A workload type; empty for any.
    pub workload_type: String,
    /// Part of name, image or id, in any case; empty for any.
    pub text: String,
    /// Only jobs older than this one.
    pub before: Option<(i64, String)>,
    pub limit: i64,
}

/// The statement behind every list, for the test that looks at its plan.
pub const LIST: &str = "SELECT * FROM jobs
     WHERE workspace = $1 AND ($2 = '' OR status = $2) AND ($3 = '' OR workload_type = $3)
       AND ($4 = '' OR haystack LIKE $4 ESCAPE '!') AND ($5 = 0 OR ended = 0)
       AND (created_at, id) < ($6, $7)
     ORDER BY created_at DESC, id DESC LIMIT $8";

/// Jobs of a workspace, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &Filter,
) -> Result<Vec<Job>, Error> {
    let (before_at, before_id) = filter.before.clone().unwrap_or((i64::MAX, String::new()));
    let rows = sqlx::query_as::<_, Row>(LIST)
        .bind(workspace.to_string())
        .bind(&filter.status)
        .bind(&filter.workload_type)
        .bind(pattern(&filter.text))
        .bind(i16::from(filter.active))
        .bind(before_at)
        .bind(before_id)
        .bind(filter.limit)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Job::try_from).collect()
}

/// Which part of the jobs that have printed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rank {
    /// Failed ones, those that failed last first.
    Failed,
    /// All others, newest first.
    Other,
}

/// Which jobs that have printed something, and from where on.
#[derive(Debug, Clone)]
pub struct Printed {
    pub rank: Rank,
    /// Only jobs after this one in the order of the rank.
    pub before: Option<(i64, String)>,
    /// Part of name, image or id, in any case; empty for any.
    pub job: String,
    pub limit: i64,
}

/// The statements behind [`printed`], for the test that looks at their plans.
pub const PRINTED_FAILED: &str = "SELECT j.* FROM jobs j JOIN log_totals t ON t.job = j.id
     WHERE j.workspace = $1 AND j.status = 'failed' AND (j.completed_at, j.id) < ($2, $3)
       AND ($4 = '' OR j.haystack LIKE $4 ESCAPE '!') AND t.expired = 0
       AND ($5 = 0 OR t.stdout > 0) AND ($6 = 0 OR t.stderr > 0) AND ($7 = 0 OR t.system > 0)
       AND ($8 = 0 OR t.errors > 0) AND ($9 = 0 OR t.errors + t.warnings > 0)
     ORDER BY j.completed_at DESC, j.id DESC LIMIT $10";
pub const PRINTED_OTHER: &str = "SELECT j.* FROM jobs j JOIN log_totals t ON t.job = j.id
     WHERE j.workspace = $1 AND j.status <> 'failed' AND (j.created_at, j.id) < ($2, $3)
       AND ($4 = '' OR j.haystack LIKE $4 ESCAPE '!') AND t.expired = 0
       AND ($5 = 0 OR t.stdout > 0) AND ($6 = 0 OR t.stderr > 0) AND ($7 = 0 OR t.system > 0)
       AND ($8 = 0 OR t.errors > 0) AND ($9 = 0 OR t.errors + t.warnings > 0)
     ORDER BY j.created_at DESC, j.id DESC LIMIT $10";

/// Jobs whose output may have such lines, with its totals.
pub async fn printed(
    conn: &mut Conn,
    workspace: WorkspaceId,
    wanted: &Printed,
    filter: &logs::Filter,
) -> Result<Vec<(Job, logs::Totals)>, Error> {
    let (at, id) = wanted.before.clone().unwrap_or((i64::MAX, String::new()));
    let flag = |on: bool| i16::from(on);
    let rows = sqlx::query_as::<_, Row>(match wanted.rank {
        Rank::Failed => PRINTED_FAILED,
        Rank::Other => PRINTED_OTHER,
    })
    .bind(workspace.to_string())
    .bind(at)
    .bind(id)
    .bind(pattern(&wanted.job))
    .bind(flag(filter.stream == "stdout"))
    .bind(flag(filter.stream == "stderr"))
    .bind(flag(filter.stream == "system"))
    .bind(flag(filter.level == Some(Level::Error)))
    .bind(flag(filter.level == Some(Level::Warning)))
    .bind(wanted.limit)
    .fetch_all(&mut *conn)
    .await?;
    let jobs: Vec<Job> = rows
        .into_iter()
        .map(Job::try_from)
        .collect::<Result<_, _>>()?;
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let mut totals = logs::totals_of(conn, &ids).await?;
    let with = |job: Job| {
        let totals = totals.remove(&job.id).unwrap_or_default();
        (job, totals)
    };
    Ok(jobs.into_iter().map(with).collect())
}

/// What LIKE has to look for; its special characters stand for themselves.
fn pattern(text: &str) -> String {
    if text.is_empty() {
        return String::new();
    }
    let text = text.to_lowercase();
    let escaped = text
        .replace('!', "!!")
        .replace('%', "!%")
        .replace('_', "!_");
    format!("%{escaped}%")
}

/// These jobs, whosever they are, in no particular order.
pub async fn these(conn: &mut Conn, ids: &[JobId]) -> Result<Vec<Job>, Error> {
    let sql = format!("SELECT * FROM jobs WHERE id IN ({})", places(ids.len()));
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(sql));
    for id in ids {
        query = query.bind(id.to_string());
    }
    let rows = query.fetch_all(conn).await?;
    rows.into_iter().map(Job::try_from).collect()
}

/// The statement behind the queue, for the test that looks at its plan.
pub const QUEUE: &str =
    "SELECT * FROM jobs WHERE status = 'queued' ORDER BY queued_at, id LIMIT $1";

/// Jobs that wait for capacity, whosever they are, in the order of their turn. Those
/// that cannot be read are left out.
pub async fn queue(conn: &mut Conn, limit: i64) -> Result<Vec<Job>, Error> {
    let rows = sqlx::query_as::<_, Row>(QUEUE)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(readable(rows))
}

/// One job that makes no sense must not stand still everyone's.
fn readable(rows: Vec<Row>) -> Vec<Job> {
    let jobs = rows.into_iter().map(Job::try_from);
    jobs.filter_map(|job| {
        job.inspect_err(|error| tracing::error!(%error, "a job is left out"))
            .ok()
    })
    .collect()
}

/// Jobs that are on a node, whosever they are. Those that cannot be read are left out.
pub async fn placed(conn: &mut Conn) -> Result<Vec<Job>, Error> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT * FROM jobs WHERE status IN ('assigned', 'running') ORDER BY queued_at, id",
    )
    .fetch_all(conn)
    .await?;
    Ok(readable(rows))
}

/// How many jobs wait in front of this one.
pub async fn ahead_of(conn: &mut Conn, job: &Job) -> Result<i64, Error> {
    let (count,): (i64,) = sqlx::query_as(
        "SELECT COUNT(*) FROM jobs WHERE status = 'queued' AND (queued_at, id) < ($1, $2)",
    )
    .bind(job.queued_at.map_or(i64::MAX, micros))
    .bind(job.id.to_string())
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// How many slots are taken.
pub async fn slots_used(conn: &mut Conn) -> Result<u32, Error> {
    Ok(u32::try_from(runs::live(conn).await?.len()).unwrap_or(u32::MAX))
}

/// How many jobs of a workspace have each status, among those that have not
/// ended or ended since `since`.
pub async fn counts(
    conn: &mut Conn,
    workspace: WorkspaceId,
    since: OffsetDateTime,
) -> Result<Vec<(String, i64)>, Error> {
    let rows = sqlx::query_as(
        "SELECT status, COUNT(*) FROM jobs
         WHERE workspace = $1 AND (ended = 0 OR completed_at >= $2) GROUP BY status",
    )
    .bind(workspace.to_string())
    .bind(micros(since))
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// What running jobs of a workspace cost per hour, all together.
pub async fn burn_rate(conn: &mut Conn, workspace: WorkspaceId) -> Result<Usd, Error> {
    let (sum,): (i64,) = sqlx::query_as(
        "SELECT CAST(COALESCE(SUM(rate), 0) AS BIGINT) FROM jobs
         WHERE workspace = $1 AND status = 'running'
           AND (billed_from IS NOT NULL
                OR NOT EXISTS (SELECT 1 FROM app_sessions a WHERE a.job = jobs.id))",
    )
    .bind(workspace.to_string())
    .fetch_one(conn)
    .await?;
    Ok(Usd::from_micros(sum))
}

/// What a workspace paid per day (UTC, days since the epoch) since `since`.
pub async fn spend_by_day(
    conn: &mut Conn,
    workspace: WorkspaceId,
    since: OffsetDateTime,
) -> Result<Vec<(i64, Usd)>, Error> {
    let rows: Vec<(i64, i64)> = sqlx::query_as(
        "SELECT completed_at / 86400000000, CAST(SUM(cost) AS BIGINT) FROM jobs
         WHERE workspace = $1 AND ended = 1 AND completed_at >= $2 AND cost > 0
         GROUP BY completed_at / 86400000000 ORDER BY 1",
    )
    .bind(workspace.to_string())
    .bind(micros(since))
    .fetch_all(conn)
    .await?;
    Ok(rows
        .into_iter()
        .map(|(day, sum)| (day, Usd::from_micros(sum)))
        .collect())
}

/// What a workspace has, and what it ever paid for jobs: in one statement, so
/// that the three belong together while jobs end.
pub async fn wallet(conn: &mut Conn, workspace: WorkspaceId) -> Result<(Balance, Usd), Error> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT kind, credit - debit FROM ledger_accounts WHERE workspace = $1
         UNION ALL
         SELECT 'spent', CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM jobs WHERE workspace = $1",
    )
    .bind(workspace.to_string())
    .fetch_all(conn)
    .await?;
    let of = |kind: &str| {
        let found = rows.iter().find(|(of, _)| of == kind);
        Usd::from_micros(found.map_or(0, |(_, micros)| *micros))
    };
    let balance = Balance {
        available: of(Account::Available(workspace).kind()),
        held: of(Account::Held(workspace).kind()),
    };
    Ok((balance, of("spent")))
}
