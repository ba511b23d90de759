//! Lists of apps.
use super::AppSession;
use super::row::Row;
use crate::clock::{from_micros, micros};
use crate::domain::app::{EndCode, Phase};
use crate::domain::id::{AppSessionId, WorkspaceId};
use crate::store::{Conn, Error, corrupt, places};
use sqlx::AssertSqlSafe;
use std::collections::HashMap;
use time::OffsetDateTime;

/// Which sessions a list shows.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    pub template: Option<String>,
    /// Only those that have ended, or only those that have not.
    pub ended: Option<bool>,
    pub phase: Option<Phase>,
    /// Only those before this one, in the order of the list.
    pub before: Option<(OffsetDateTime, AppSessionId)>,
}

/// Sessions of a workspace, newest first; without those that cannot be read.
pub async fn page(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &Filter,
    limit: i64,
) -> Result<Vec<AppSession>, Error> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut before = filter.before.map_or((i64::MAX, String::new()), |(at, id)| {
        (micros(at), id.to_string())
    });
    let mut page = Vec::new();
    loop {
        let rows = rows(conn, workspace, filter, &before, limit).await?;
        let all = rows.len() < most;
        let last = rows.last().map(Row::place);
        page.extend(rows.into_iter().filter_map(Row::readable));
        page.truncate(most);
        match last {
            Some(last) if !all && page.len() < most => before = last,
            _ => return Ok(page),
        }
    }
}

async fn rows(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &Filter,
    (at, id): &(i64, String),
    limit: i64,
) -> Result<Vec<Row>, Error> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT * FROM app_sessions
         WHERE workspace = $1
           AND ($2 = '' OR template = $2)
           AND ($3 = -1 OR ended = $3)
           AND ($4 = '' OR phase = $4)
           AND (created_at < $5 OR (created_at = $5 AND id < $6))
         ORDER BY created_at DESC, id DESC LIMIT $7",
    )
    .bind(workspace.to_string())
    .bind(filter.template.clone().unwrap_or_default())
    .bind(filter.ended.map_or(-1, i64::from))
    .bind(filter.phase.map_or("", Phase::name))
    .bind(at)
    .bind(id)
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Why these sessions ended or are ending, whosever they are, as far as it is known.
pub async fn ends(
    conn: &mut Conn,
    ids: &[AppSessionId],
) -> Result<HashMap<AppSessionId, EndCode>, Error> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let sql = format!(
        "SELECT id, end_code FROM app_sessions WHERE end_code IS NOT NULL AND id IN ({})",
        places(ids.len())
    );
    let mut query = sqlx::query_as::<_, (String, String)>(AssertSqlSafe(sql));
    for id in ids {
        query = query.bind(id.to_string());
    }
    let ends = query.fetch_all(conn).await?.into_iter().map(|(id, code)| {
        let wrong = |what| corrupt("app_sessions", &id, what);
        let session = id.parse().map_err(|_| wrong("id"))?;
        let code = EndCode::named(&code).ok_or_else(|| wrong("end_code"))?;
        Ok((session, code))
    });
    ends.collect()
}

/// Every session that has not ended, oldest first: only which they are, so that one
/// that cannot be read is in nobody's way.
pub async fn live(conn: &mut Conn) -> Result<Vec<AppSessionId>, Error> {
    let rows: Vec<(String,)> =
        sqlx::query_as("SELECT id FROM app_sessions WHERE ended = 0 ORDER BY created_at, id")
            .fetch_all(conn)
            .await?;
    rows.into_iter()
        .map(|(id,)| id.parse().map_err(|_| corrupt("app_sessions", &id, "id")))
        .collect()
}

/// Whether a session is there and has not ended.
pub async fn is_live(conn: &mut Conn, id: AppSessionId) -> Result<bool, Error> {
    let row: Option<(String,)> =
        sqlx::query_as("SELECT id FROM app_sessions WHERE id = $1 AND ended = 0")
            .bind(id.to_string())
            .fetch_optional(conn)
            .await?;
    Ok(row.is_some())
}

/// The workspace's session of this template that has not ended.
pub async fn active(
    conn: &mut Conn,
    workspace: WorkspaceId,
    template: &str,
) -> Result<Option<AppSessionId>, Error> {
    let row: Option<(String,)> = sqlx::query_as(
        "SELECT id FROM app_sessions WHERE workspace = $1 AND ended = 0 AND template = $2 LIMIT 1",
    )
    .bind(workspace.to_string())
    .bind(template)
    .fetch_optional(conn)
    .await?;
    row.map(|(id,)| id.parse().map_err(|_| corrupt("app_sessions", &id, "id")))
        .transpose()
}

/// A session that cannot be opened yet, or no more, with what is told of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    pub session: AppSession,
    pub workspace_name: String,
    pub node: Option<String>,
}

#[derive(Debug, sqlx::FromRow)]
struct PendingRow {
    #[sqlx(flatten)]
    session: Row,
    workspace_name: String,
    node: Option<String>,
}

/// Sessions of all workspaces that are on their way to running or to their end,
/// oldest first; without those that cannot be read.
pub async fn pending(conn: &mut Conn, limit: i64) -> Result<Vec<Pending>, Error> {
    let rows = sqlx::query_as::<_, PendingRow>(
        "SELECT s.*, w.name AS workspace_name, j.node AS node
         FROM app_sessions s JOIN workspaces w ON w.id = s.workspace
                             JOIN jobs j ON j.id = s.job
         WHERE s.ended = 0 AND s.phase <> 'running'
         ORDER BY s.created_at, s.id LIMIT $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let pending = rows.into_iter().filter_map(|row| {
        Some(Pending {
            session: row.session.readable()?,
            workspace_name: row.workspace_name,
            node: row.node,
        })
    });
    Ok(pending.collect())
}

/// When the phases of a finished launch were reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    pub created: OffsetDateTime,
    pub reserved: Option<OffsetDateTime>,
    pub image: Option<OffsetDateTime>,
    pub starting: Option<OffsetDateTime>,
    pub started: Option<OffsetDateTime>,
    pub ready: OffsetDateTime,
}

/// The statement behind what is usual, for the test that looks at its plan.
pub const SAMPLES: &str =
    "SELECT created_at, reserved_at, image_at, starting_at, started_at, ready_at FROM app_sessions
     WHERE template = $1 AND ready_at IS NOT NULL ORDER BY ready_at DESC LIMIT $2";

/// The newest launches of a template, everyone's, that became ready.
pub async fn samples(conn: &mut Conn, template: &str, limit: i64) -> Result<Vec<Sample>, Error> {
    type Columns = (i64, Option<i64>, Option<i64>, Option<i64>, Option<i64>, i64);
    let rows = sqlx::query_as::<_, Columns>(SAMPLES)
        .bind(template)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(
            |(created, reserved, image, starting, started, ready)| Sample {
                created: from_micros(created),
                reserved: reserved.map(from_micros),
                image: image.map(from_micros),
                starting: starting.map(from_micros),
                started: started.map(from_micros),
                ready: from_micros(ready),
            },
        )
        .collect())
}
