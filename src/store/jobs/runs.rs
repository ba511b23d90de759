//! The `runs` table: attempts at running jobs, written before the engine is asked.
use crate::clock::micros;
use crate::domain::id::JobId;
use crate::store::{Conn, Error, corrupt};
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub job: JobId,
    pub attempt: u32,
    /// What the engine calls it, once it has been asked.
    pub handle: Option<String>,
    /// Where reading its output goes on.
    pub log_cursor: String,
    /// Whether it occupies a slot: it has neither ended nor been given up.
    pub live: bool,
}

/// Says that the engine is about to be asked.
pub async fn intend(
    conn: &mut Conn,
    (job, attempt): (JobId, u32),
    (engine, node): (&str, &str),
    at: OffsetDateTime,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO runs (job, attempt, engine, node, state, created_at)
         VALUES ($1, $2, $3, $4, 'intent', $5)",
    )
    .bind(job.to_string())
    .bind(i64::from(attempt))
    .bind(engine)
    .bind(node)
    .bind(micros(at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Says that the engine has taken it.
pub async fn submitted(
    conn: &mut Conn,
    job: JobId,
    attempt: u32,
    handle: &str,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE runs SET handle = $1, state = 'submitted'
         WHERE job = $2 AND attempt = $3 AND state = 'intent'",
    )
    .bind(handle)
    .bind(job.to_string())
    .bind(i64::from(attempt))
    .execute(conn)
    .await?;
    Ok(())
}

/// Says that it is over; its slot is free.
pub async fn ended(
    conn: &mut Conn,
    job: JobId,
    attempt: u32,
    at: OffsetDateTime,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE runs SET state = 'ended', ended_at = $1
         WHERE job = $2 AND attempt = $3 AND state IN ('intent', 'submitted')",
    )
    .bind(micros(at))
    .bind(job.to_string())
    .bind(i64::from(attempt))
    .execute(conn)
    .await?;
    Ok(())
}

/// Says that the engine has removed it.
pub async fn forgotten(conn: &mut Conn, job: JobId, attempt: u32) -> Result<(), Error> {
    sqlx::query(
        "UPDATE runs SET state = 'forgotten' WHERE job = $1 AND attempt = $2 AND state = 'ended'",
    )
    .bind(job.to_string())
    .bind(i64::from(attempt))
    .execute(conn)
    .await?;
    Ok(())
}

/// Runs that occupy a slot.
pub async fn live(conn: &mut Conn) -> Result<Vec<Run>, Error> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT job, attempt, handle, log_cursor, state FROM runs
         WHERE state IN ('intent', 'submitted') ORDER BY created_at",
    )
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

/// Runs that ended before `before` and are still in the engine.
pub async fn forgettable(conn: &mut Conn, before: OffsetDateTime) -> Result<Vec<Run>, Error> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT job, attempt, handle, log_cursor, state FROM runs
         WHERE state = 'ended' AND ended_at < $1 ORDER BY ended_at LIMIT 100",
    )
    .bind(micros(before))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Run::try_from).collect()
}

pub async fn find(conn: &mut Conn, job: JobId, attempt: u32) -> Result<Option<Run>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT job, attempt, handle, log_cursor, state FROM runs WHERE job = $1 AND attempt = $2",
    )
    .bind(job.to_string())
    .bind(i64::from(attempt))
    .fetch_optional(conn)
    .await?;
    row.map(Run::try_from).transpose()
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    job: String,
    attempt: i64,
    handle: Option<String>,
    log_cursor: String,
    state: String,
}

impl TryFrom<Row> for Run {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        Ok(Self {
            job: row
                .job
                .parse()
                .map_err(|_| corrupt("runs", &row.job, "job"))?,
            attempt: u32::try_from(row.attempt)
                .map_err(|_| corrupt("runs", &row.job, "attempt"))?,
            handle: row.handle,
            log_cursor: row.log_cursor,
            live: matches!(row.state.as_str(), "intent" | "submitted"),
        })
    }
}
