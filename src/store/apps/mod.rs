//! Launched apps, their services, what happened to them, and who may enter.
pub mod events;
pub mod passes;
pub mod queries;
mod row;
pub mod secrets;
pub mod services;

use super::{Conn, Error};
use crate::clock::micros;
use crate::domain::app::{EndCode, Phase, Settings};
use crate::domain::id::{AccountId, AppSessionId, JobId, WorkspaceId};
use crate::domain::template::Manifest;
use events::NewEvent;
use row::Row;
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// A launched app as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct AppSession {
    pub id: AppSessionId,
    pub workspace: WorkspaceId,
    pub account: AccountId,
    pub job: JobId,
    /// As it was at the launch.
    pub manifest: Manifest,
    pub settings: Settings,
    /// What was given at the launch, by the variable's name; of secrets only that they
    /// were.
    pub given: BTreeMap<String, Option<String>>,
    pub phase: Phase,
    pub phase_since: OffsetDateTime,
    /// Counts up with every change.
    pub version: i64,
    pub last_event: i64,
    pub created_at: OffsetDateTime,
    pub reserved_at: Option<OffsetDateTime>,
    pub image_at: Option<OffsetDateTime>,
    /// When there was no image left to wait for.
    pub starting_at: Option<OffsetDateTime>,
    /// When the app's process was executing.
    pub started_at: Option<OffsetDateTime>,
    pub ready_at: Option<OffsetDateTime>,
    pub stopping_at: Option<OffsetDateTime>,
    pub ended_at: Option<OffsetDateTime>,
    /// Bytes of the image that have come, of how many.
    pub image_done: Option<i64>,
    pub image_total: Option<i64>,
    pub stops_at: Option<OffsetDateTime>,
    pub last_used_at: Option<OffsetDateTime>,
    pub end_code: Option<EndCode>,
    pub end_reason: Option<String>,
    pub failed_step: Option<String>,
}

impl AppSession {
    /// One that has just been launched, and to which nothing has happened yet.
    #[must_use]
    pub fn new(
        id: AppSessionId,
        (workspace, account): (WorkspaceId, AccountId),
        job: JobId,
        (manifest, settings): (Manifest, Settings),
        at: OffsetDateTime,
    ) -> Self {
        Self {
            id,
            workspace,
            account,
            job,
            manifest,
            settings,
            given: BTreeMap::new(),
            phase: Phase::Created,
            phase_since: at,
            version: 0,
            last_event: 0,
            created_at: at,
            reserved_at: None,
            image_at: None,
            starting_at: None,
            started_at: None,
            ready_at: None,
            stopping_at: None,
            ended_at: None,
            image_done: None,
            image_total: None,
            stops_at: None,
            last_used_at: None,
            end_code: None,
            end_reason: None,
            failed_step: None,
        }
    }
}

/// Writes a new session with its services' origins and its first events.
/// `session.last_event` is theirs to set.
///
/// # Errors
///
/// [`Error::Stale`] if the workspace has one of this template that has not ended.
pub async fn insert(
    conn: &mut Conn,
    session: &mut AppSession,
    origins: &[(String, String)],
    said: &[NewEvent],
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO app_sessions (id, workspace, account, job, template, manifest, settings,
             phase, phase_since, created_at, given)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(session.id.to_string())
    .bind(session.workspace.to_string())
    .bind(session.account.to_string())
    .bind(session.job.to_string())
    .bind(&session.manifest.slug)
    .bind(json(&session.manifest)?)
    .bind(json(&session.settings)?)
    .bind(session.phase.name())
    .bind(micros(session.phase_since))
    .bind(micros(session.created_at))
    .bind(match session.given.len() {
        0 => None,
        _ => Some(json(&session.given)?),
    })
    .execute(&mut *conn)
    .await
    .map_err(|error| match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => Error::Stale {
            table: "app_sessions",
            id: session.id.to_string(),
        },
        error => error.into(),
    })?;
    for (service, origin) in origins {
        services::insert(conn, session.id, service, origin).await?;
    }
    update(conn, session, said, session.created_at).await
}

/// Writes what has changed of a session, together with the events that say so,
/// provided that nobody else has changed it since it was read.
///
/// # Errors
///
/// [`Error::Stale`] if someone has: the caller reads again and decides anew.
pub async fn update(
    conn: &mut Conn,
    session: &mut AppSession,
    said: &[NewEvent],
    at: OffsetDateTime,
) -> Result<(), Error> {
    let count = i64::try_from(said.len()).unwrap_or(i64::MAX);
    // First, because two who are here at once would use the same event numbers.
    let updated = sqlx::query(
        "UPDATE app_sessions SET phase = $1, phase_since = $2, settings = $3,
             version = version + 1, last_event = $4, reserved_at = $5, image_at = $6,
             started_at = $7, ready_at = $8, stopping_at = $9, ended_at = $10,
             image_done = $11, image_total = $12, stops_at = $13, end_code = $14,
             end_reason = $15, failed_step = $16, ended = $17, starting_at = $18
         WHERE id = $19 AND version = $20",
    )
    .bind(session.phase.name())
    .bind(micros(session.phase_since))
    .bind(json(&session.settings)?)
    .bind(session.last_event.saturating_add(count))
    .bind(session.reserved_at.map(micros))
    .bind(session.image_at.map(micros))
    .bind(session.started_at.map(micros))
    .bind(session.ready_at.map(micros))
    .bind(session.stopping_at.map(micros))
    .bind(session.ended_at.map(micros))
    .bind(session.image_done)
    .bind(session.image_total)
    .bind(session.stops_at.map(micros))
    .bind(session.end_code.map(EndCode::name))
    .bind(&session.end_reason)
    .bind(&session.failed_step)
    .bind(i16::from(session.phase.ended()))
    .bind(session.starting_at.map(micros))
    .bind(session.id.to_string())
    .bind(session.version)
    .execute(&mut *conn)
    .await?;
    if updated.rows_affected() != 1 {
        return Err(Error::Stale {
            table: "app_sessions",
            id: session.id.to_string(),
        });
    }
    session.last_event = events::append(conn, session, said, at).await?;
    session.version += 1;
    Ok(())
}

/// Notes that people use it. Not a change of state: it counts nothing up.
pub async fn used(conn: &mut Conn, id: AppSessionId, at: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "UPDATE app_sessions SET last_used_at = $1
         WHERE id = $2 AND (last_used_at IS NULL OR last_used_at < $1)",
    )
    .bind(micros(at))
    .bind(id.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// Ends a session that cannot be read, so that another can take its place.
pub async fn give_up(conn: &mut Conn, id: AppSessionId, at: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "UPDATE app_sessions SET ended = 1, phase = $1, end_code = $2, ended_at = $3,
             version = version + 1
         WHERE id = $4 AND ended = 0",
    )
    .bind(Phase::Failed.name())
    .bind(EndCode::Lost.name())
    .bind(micros(at))
    .bind(id.to_string())
    .execute(&mut *conn)
    .await?;
    services::stop(conn, id).await
}

/// A session of this workspace; another's is as missing as none.
pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: AppSessionId,
) -> Result<Option<AppSession>, Error> {
    let row =
        sqlx::query_as::<_, Row>("SELECT * FROM app_sessions WHERE id = $1 AND workspace = $2")
            .bind(id.to_string())
            .bind(workspace.to_string())
            .fetch_optional(conn)
            .await?;
    row.map(AppSession::try_from).transpose()
}

/// A session whosever it is: for workers and the operator, never for callers.
pub async fn find_for_worker(
    conn: &mut Conn,
    id: AppSessionId,
) -> Result<Option<AppSession>, Error> {
    let row = sqlx::query_as::<_, Row>("SELECT * FROM app_sessions WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(AppSession::try_from).transpose()
}

fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::Sql(sqlx::Error::Encode(error.into())))
}
