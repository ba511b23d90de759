//! The `job_drafts` table.
use super::{Conn, Error, corrupt};
use crate::clock::{from_micros, micros};
use crate::domain::id::{AccountId, DraftId, EstimateId, JobId, WorkspaceId};
use serde_json::{Map, Value};
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    pub id: DraftId,
    pub workspace: WorkspaceId,
    pub account: AccountId,
    /// Counts up with every change of the content.
    pub version: i64,
    pub content: Map<String, Value>,
    pub acknowledged: Option<Acknowledged>,
    pub job: Option<JobId>,
    pub created_at: OffsetDateTime,
    pub updated_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// The estimate that was seen, and the draft's version then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledged {
    pub estimate: EstimateId,
    pub version: i64,
    /// Whether it was accepted that there is no estimate.
    pub without_estimate: bool,
}

pub async fn insert(conn: &mut Conn, draft: &Draft) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO job_drafts (id, workspace, account, version, content, created_at, updated_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(draft.id.to_string())
    .bind(draft.workspace.to_string())
    .bind(draft.account.to_string())
    .bind(draft.version)
    .bind(Value::Object(draft.content.clone()).to_string())
    .bind(micros(draft.created_at))
    .bind(micros(draft.updated_at))
    .bind(micros(draft.expires_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// A draft of this workspace that is still kept at `now`.
pub async fn find(
    conn: &mut Conn,
    (workspace, id): (WorkspaceId, DraftId),
    now: OffsetDateTime,
) -> Result<Option<Draft>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT * FROM job_drafts WHERE id = $1 AND workspace = $2 AND expires_at > $3",
    )
    .bind(id.to_string())
    .bind(workspace.to_string())
    .bind(micros(now))
    .fetch_optional(conn)
    .await?;
    row.map(Draft::try_from).transpose()
}

/// Drafts that wait, last changed first.
pub async fn waiting(
    conn: &mut Conn,
    workspace: WorkspaceId,
    now: OffsetDateTime,
    limit: i64,
) -> Result<Vec<Draft>, Error> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT * FROM job_drafts WHERE workspace = $1 AND job IS NULL AND expires_at > $2
         ORDER BY updated_at DESC LIMIT $3",
    )
    .bind(workspace.to_string())
    .bind(micros(now))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Draft::try_from).collect()
}

/// Replaces the content of a draft that has not been submitted, provided that it
/// still has `draft.version`; the acknowledgement falls.
///
/// # Errors
///
/// [`Error::Stale`] if it has changed or was submitted meanwhile.
pub async fn rewrite(conn: &mut Conn, draft: &mut Draft) -> Result<(), Error> {
    let updated = sqlx::query(
        "UPDATE job_drafts SET content = $1, version = version + 1, updated_at = $2, expires_at = $3,
             acknowledged_estimate = NULL, acknowledged_version = NULL, without_estimate = 0
         WHERE id = $4 AND version = $5 AND job IS NULL",
    )
    .bind(Value::Object(draft.content.clone()).to_string())
    .bind(micros(draft.updated_at))
    .bind(micros(draft.expires_at))
    .bind(draft.id.to_string())
    .bind(draft.version)
    .execute(conn)
    .await?;
    fresh(updated.rows_affected(), draft.id)?;
    draft.version += 1;
    draft.acknowledged = None;
    Ok(())
}

/// Notes what was acknowledged, provided that the draft still has that version.
///
/// # Errors
///
/// [`Error::Stale`] if it has changed or was submitted meanwhile.
pub async fn acknowledge(conn: &mut Conn, id: DraftId, seen: Acknowledged) -> Result<(), Error> {
    let updated = sqlx::query(
        "UPDATE job_drafts SET acknowledged_estimate = $1, acknowledged_version = $2, without_estimate = $3
         WHERE id = $4 AND version = $2 AND job IS NULL",
    )
    .bind(seen.estimate.to_string())
    .bind(seen.version)
    .bind(i16::from(seen.without_estimate))
    .bind(id.to_string())
    .execute(conn)
    .await?;
    fresh(updated.rows_affected(), id)
}

/// Ties the draft to the job that came of it, once.
///
/// # Errors
///
/// [`Error::Stale`] if it has changed or was submitted meanwhile.
pub async fn submit(conn: &mut Conn, id: DraftId, version: i64, job: JobId) -> Result<(), Error> {
    let updated = sqlx::query(
        "UPDATE job_drafts SET job = $1 WHERE id = $2 AND version = $3 AND job IS NULL",
    )
    .bind(job.to_string())
    .bind(id.to_string())
    .bind(version)
    .execute(conn)
    .await?;
    fresh(updated.rows_affected(), id)
}

pub async fn delete(conn: &mut Conn, workspace: WorkspaceId, id: DraftId) -> Result<bool, Error> {
    let deleted =
        sqlx::query("DELETE FROM job_drafts WHERE id = $1 AND workspace = $2 AND job IS NULL")
            .bind(id.to_string())
            .bind(workspace.to_string())
            .execute(conn)
            .await?;
    Ok(deleted.rows_affected() == 1)
}

/// Removes drafts that expired before `before` and never became a job.
pub async fn sweep(conn: &mut Conn, before: OffsetDateTime) -> Result<u64, Error> {
    let swept = sqlx::query("DELETE FROM job_drafts WHERE expires_at < $1 AND job IS NULL")
        .bind(micros(before))
        .execute(conn)
        .await?;
    Ok(swept.rows_affected())
}

fn fresh(rows: u64, id: DraftId) -> Result<(), Error> {
    match rows {
        1 => Ok(()),
        _ => Err(Error::Stale {
            table: "job_drafts",
            id: id.to_string(),
        }),
    }
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    workspace: String,
    account: String,
    version: i64,
    content: String,
    acknowledged_estimate: Option<String>,
    acknowledged_version: Option<i64>,
    without_estimate: i16,
    job: Option<String>,
    created_at: i64,
    updated_at: i64,
    expires_at: i64,
}

impl TryFrom<Row> for Draft {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("job_drafts", &row.id, why);
        let acknowledged = match (&row.acknowledged_estimate, row.acknowledged_version) {
            (Some(estimate), Some(version)) => Some(Acknowledged {
                estimate: estimate
                    .parse()
                    .map_err(|_| wrong("acknowledged_estimate"))?,
                version,
                without_estimate: row.without_estimate != 0,
            }),
            (None, None) => None,
            _ => return Err(wrong("half an acknowledgement")),
        };
        Ok(Self {
            id: row.id.parse().map_err(|_| wrong("id"))?,
            workspace: row.workspace.parse().map_err(|_| wrong("workspace"))?,
            account: row.account.parse().map_err(|_| wrong("account"))?,
            content: serde_json::from_str(&row.content).map_err(|_| wrong("content"))?,
            job: row
                .job
                .as_deref()
                .map(str::parse)
                .transpose()
                .map_err(|_| wrong("job"))?,
            acknowledged,
            version: row.version,
            created_at: from_micros(row.created_at),
            updated_at: from_micros(row.updated_at),
            expires_at: from_micros(row.expires_at),
        })
    }
}
