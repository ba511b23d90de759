//! The `estimates` table: price quotations, of drafts and of nobody's.
use super::{Conn, Error, corrupt};
use crate::clock::{from_micros, micros};
use crate::domain::id::{DraftId, EstimateId, WorkspaceId};
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Estimate {
    pub id: EstimateId,
    pub workspace: WorkspaceId,
    /// The draft, and the version of it, that this is about.
    pub draft: Option<(DraftId, i64)>,
    pub state: Progress,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    Pending,
    /// The estimate as it goes over the wire, in JSON.
    Ready(String),
    /// Why there is none, for people.
    Failed(String),
}

impl Progress {
    fn columns(&self) -> (&'static str, &str) {
        match self {
            Self::Pending => ("pending", ""),
            Self::Ready(body) => ("ready", body),
            Self::Failed(why) => ("failed", why),
        }
    }
}

pub async fn insert(conn: &mut Conn, estimate: &Estimate) -> Result<(), Error> {
    let (state, body) = estimate.state.columns();
    sqlx::query(
        "INSERT INTO estimates (id, workspace, draft, draft_version, state, body, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(estimate.id.to_string())
    .bind(estimate.workspace.to_string())
    .bind(estimate.draft.map(|(draft, _)| draft.to_string()))
    .bind(estimate.draft.map(|(_, version)| version))
    .bind(state)
    .bind(body)
    .bind(micros(estimate.created_at))
    .bind(micros(estimate.expires_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Says how a pending estimate came out; a second outcome changes nothing.
pub async fn resolve(conn: &mut Conn, id: EstimateId, outcome: &Progress) -> Result<(), Error> {
    let (state, body) = outcome.columns();
    sqlx::query("UPDATE estimates SET state = $1, body = $2 WHERE id = $3 AND state = 'pending'")
        .bind(state)
        .bind(body)
        .bind(id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Writes something else into an estimate that is ready.
pub async fn rewrite(conn: &mut Conn, id: EstimateId, body: &str) -> Result<(), Error> {
    sqlx::query("UPDATE estimates SET body = $1 WHERE id = $2 AND state = 'ready'")
        .bind(body)
        .bind(id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// The newest estimate of this version of a draft. Those of other versions do not
/// count, whatever the clock says of them.
pub async fn newest(
    conn: &mut Conn,
    draft: DraftId,
    version: i64,
) -> Result<Option<Estimate>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT * FROM estimates WHERE draft = $1 AND draft_version = $2
         ORDER BY created_at DESC, id DESC LIMIT 1",
    )
    .bind(draft.to_string())
    .bind(version)
    .fetch_optional(conn)
    .await?;
    row.map(Estimate::try_from).transpose()
}

/// An estimate of this workspace; another's is as missing as none.
pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: EstimateId,
) -> Result<Option<Estimate>, Error> {
    let row = sqlx::query_as::<_, Row>("SELECT * FROM estimates WHERE id = $1 AND workspace = $2")
        .bind(id.to_string())
        .bind(workspace.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(Estimate::try_from).transpose()
}

/// Removes what expired before `before`.
pub async fn sweep(conn: &mut Conn, before: OffsetDateTime) -> Result<u64, Error> {
    let swept = sqlx::query("DELETE FROM estimates WHERE expires_at < $1")
        .bind(micros(before))
        .execute(conn)
        .await?;
    Ok(swept.rows_affected())
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    workspace: String,
    draft: Option<String>,
    draft_version: Option<i64>,
    state: String,
    body: String,
    created_at: i64,
    expires_at: i64,
}

impl TryFrom<Row> for Estimate {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("estimates", &row.id, why);
        let state = match row.state.as_str() {
            "pending" => Progress::Pending,
            "ready" => Progress::Ready(row.body.clone()),
            "failed" => Progress::Failed(row.body.clone()),
            _ => return Err(wrong("unknown state")),
        };
        let draft = match (&row.draft, row.draft_version) {
            (Some(draft), Some(version)) => {
                Some((draft.parse().map_err(|_| wrong("draft"))?, version))
            }
            (None, None) => None,
            _ => return Err(wrong("half a draft")),
        };
        Ok(Self {
            id: row.id.parse().map_err(|_| wrong("id"))?,
            workspace: row.workspace.parse().map_err(|_| wrong("workspace"))?,
            draft,
            state,
            created_at: from_micros(row.created_at),
            expires_at: from_micros(row.expires_at),
        })
    }
}
