//! What happened to each app, numbered from 1 without gaps.
use super::AppSession;
use crate::clock::{from_micros, micros};
use crate::domain::app::Phase;
use crate::domain::id::AppSessionId;
use crate::store::{Conn, Error, corrupt};
use time::OffsetDateTime;

/// An event about to be written; its phase is the session's.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Such as `app.running` or `service.ready`.
    pub kind: &'static str,
    pub service: Option<String>,
    pub title: String,
    pub message: String,
    /// `info`, `warning` or `error`.
    pub level: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub seq: i64,
    pub kind: String,
    pub phase: Phase,
    pub service: Option<String>,
    pub title: String,
    pub message: String,
    pub level: String,
    pub created_at: OffsetDateTime,
}

/// Writes events after the session's last, and returns the number of the newest.
pub(super) async fn append(
    conn: &mut Conn,
    session: &AppSession,
    said: &[NewEvent],
    at: OffsetDateTime,
) -> Result<i64, Error> {
    let mut seq = session.last_event;
    for event in said {
        seq += 1;
        sqlx::query(
            "INSERT INTO app_events (session, seq, kind, phase, service, title, message, level, created_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(session.id.to_string())
        .bind(seq)
        .bind(event.kind)
        .bind(session.phase.name())
        .bind(&event.service)
        .bind(&event.title)
        .bind(&event.message)
        .bind(event.level)
        .bind(micros(at))
        .execute(&mut *conn)
        .await?;
    }
    Ok(seq)
}

/// Events after number `after`, oldest first.
pub async fn list(
    conn: &mut Conn,
    session: AppSessionId,
    after: i64,
    limit: i64,
) -> Result<Vec<Event>, Error> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT seq, kind, phase, service, title, message, level, created_at FROM app_events
         WHERE session = $1 AND seq > $2 ORDER BY seq LIMIT $3",
    )
    .bind(session.to_string())
    .bind(after)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Event::try_from).collect()
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    seq: i64,
    kind: String,
    phase: String,
    service: Option<String>,
    title: String,
    message: String,
    level: String,
    created_at: i64,
}

impl TryFrom<Row> for Event {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let phase = Phase::named(&row.phase)
            .ok_or_else(|| corrupt("app_events", &row.seq.to_string(), "phase"))?;
        Ok(Self {
            seq: row.seq,
            kind: row.kind,
            phase,
            service: row.service,
            title: row.title,
            message: row.message,
            level: row.level,
            created_at: from_micros(row.created_at),
        })
    }
}
