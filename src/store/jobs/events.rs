//! What happened to each job, numbered from 1 without gaps.
use crate::clock::{from_micros, micros};
use crate::domain::id::JobId;
use crate::domain::job::Phase;
use crate::store::{Conn, Error};
use time::OffsetDateTime;

/// An event about to be written.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Such as `job.started`.
    pub kind: &'static str,
    pub phase: Option<Phase>,
    pub title: String,
    pub message: String,
    /// `user`, `scheduler`, `engine` or `billing`.
    pub source: &'static str,
    /// `info`, `warning` or `error`.
    pub level: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub seq: i64,
    pub kind: String,
    pub phase: Option<Phase>,
    pub title: String,
    pub message: String,
    pub source: String,
    pub level: String,
    pub created_at: OffsetDateTime,
}

/// Writes events after number `last`, and returns the last one's number.
pub(super) async fn append(
    conn: &mut Conn,
    job: JobId,
    last: i64,
    said: &[NewEvent],
    at: OffsetDateTime,
) -> Result<i64, Error> {
    let mut seq = last;
    for event in said {
        seq += 1;
        sqlx::query(
            "INSERT INTO job_events (job, seq, kind, phase, title, message, source, level, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(job.to_string())
        .bind(seq)
        .bind(event.kind)
        .bind(event.phase.map(Phase::name))
        .bind(&event.title)
        .bind(&event.message)
        .bind(event.source)
        .bind(event.level)
        .bind(micros(at))
        .execute(&mut *conn)
        .await?;
    }
    Ok(seq)
}

/// The statement behind a page of events, for the test that looks at its plan.
pub const LIST: &str = "SELECT seq, kind, phase, title, message, source, level, created_at
     FROM job_events WHERE job = $1 AND seq > $2 ORDER BY seq LIMIT $3";

/// Events after number `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    job: JobId,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let rows = sqlx::query_as::<_, Row>(LIST)
        .bind(job.to_string())
        .bind(after)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

/// Of which events a list is.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only later ones than this number.
    pub after: i64,
    /// Only of this kind; empty for any.
    pub kind: String,
    /// Only from later than this.
    pub since: Option<OffsetDateTime>,
    pub limit: i64,
}

/// Events that a client asked for, oldest first.
pub async fn matching(conn: &mut Conn, job: JobId, filter: &Filter) -> Result<Vec<Event>, Error> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT seq, kind, phase, title, message, source, level, created_at
         FROM job_events
         WHERE job = $1 AND seq > $2 AND ($3 = '' OR kind = $3) AND created_at > $4
         ORDER BY seq LIMIT $5",
    )
    .bind(job.to_string())
    .bind(filter.after)
    .bind(&filter.kind)
    .bind(filter.since.map_or(i64::MIN, micros))
    .bind(filter.limit)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(Event::from).collect())
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    seq: i64,
    kind: String,
    phase: Option<String>,
    title: String,
    message: String,
    source: String,
    level: String,
    created_at: i64,
}

impl From<Row> for Event {
    fn from(row: Row) -> Self {
        Self {
            seq: row.seq,
            kind: row.kind,
            phase: row.phase.as_deref().and_then(Phase::named),
            title: row.title,
            message: row.message,
            source: row.source,
            level: row.level,
            created_at: from_micros(row.created_at),
        }
    }
}
