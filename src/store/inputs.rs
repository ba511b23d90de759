//! The `inputs` table: files that people bring, and the jobs that were given them.
use super::{Conn, Error, corrupt, places};
use crate::clock::{from_micros, micros};
use crate::domain::file::{FileName, JobFile, Kind};
use crate::domain::id::{AccountId, InputId, JobId, WorkspaceId};
use sqlx::AssertSqlSafe;
use std::fmt::Write as _;
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    pub id: InputId,
    pub workspace: WorkspaceId,
    pub account: AccountId,
    pub kind: Kind,
    pub filename: FileName,
    pub content_type: String,
    pub status: Status,
    /// Hash of the token with which it is uploaded.
    pub token: String,
    /// Bytes; known once they are there.
    pub size: Option<i64>,
    /// In lower-case hex.
    pub sha256: Option<String>,
    pub created_at: OffsetDateTime,
    pub uploaded_at: Option<OffsetDateTime>,
    /// Until when it can be uploaded.
    pub upload_expires_at: OffsetDateTime,
    /// Until when it is kept.
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Its bytes are not there yet.
    Pending,
    /// They are, and nobody has said that they are all.
    Uploaded,
    /// Jobs can be given it.
    Ready,
}

impl Status {
    pub const ALL: [Self; 3] = [Self::Pending, Self::Uploaded, Self::Ready];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Uploaded => "uploaded",
            Self::Ready => "ready",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }
}

pub async fn insert(conn: &mut Conn, input: &Input) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO inputs (id, workspace, account, kind, filename, content_type, status, token,
                             created_at, upload_expires_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(input.id.to_string())
    .bind(input.workspace.to_string())
    .bind(input.account.to_string())
    .bind(input.kind.name())
    .bind(input.filename.as_str())
    .bind(&input.content_type)
    .bind(input.status.name())
    .bind(&input.token)
    .bind(micros(input.created_at))
    .bind(micros(input.upload_expires_at))
    .bind(micros(input.expires_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// An input of this workspace; another's is as missing as none, and so is one that
/// has been deleted.
pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: InputId,
) -> Result<Option<Input>, Error> {
    let input = find_for_upload(conn, id).await?;
    Ok(input.filter(|input| input.workspace == workspace))
}

/// An input whosever it is: for who has its token.
pub async fn find_for_upload(conn: &mut Conn, id: InputId) -> Result<Option<Input>, Error> {
    let row = sqlx::query_as::<_, Row>("SELECT * FROM inputs WHERE id = $1 AND deleted_at IS NULL")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(Input::try_from).transpose()
}

/// Which inputs, and from where on.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A status word; empty for any.
    pub status: String,
    /// A kind; empty for any.
    pub kind: String,
    /// Only older ones than this; empty for the newest.
    pub before: String,
    pub limit: i64,
}

/// The statement behind the list, for the test that looks at its plan.
pub const LIST: &str = "SELECT * FROM inputs
     WHERE workspace = $1 AND id < $2 AND deleted_at IS NULL AND expires_at > $3
       AND ($4 = '' OR status = $4) AND ($5 = '' OR kind = $5)
     ORDER BY id DESC LIMIT $6";

/// Inputs of a workspace, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &Filter,
    now: OffsetDateTime,
) -> Result<Vec<Input>, Error> {
    // Above every id.
    let before = if filter.before.is_empty() {
        "zzzz"
    } else {
        &filter.before
    };
    let rows = sqlx::query_as::<_, Row>(LIST)
        .bind(workspace.to_string())
        .bind(before)
        .bind(micros(now))
        .bind(&filter.status)
        .bind(&filter.kind)
        .bind(filter.limit)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Input::try_from).collect()
}

/// These of a workspace, in no particular order; what is no id of ours is not among them.
pub async fn these(
    conn: &mut Conn,
    workspace: WorkspaceId,
    ids: &[&str],
) -> Result<Vec<Input>, Error> {
    let last = ids.len() + 1;
    let sql = format!(
        "SELECT * FROM inputs WHERE id IN ({}) AND workspace = ${last} AND deleted_at IS NULL",
        places(ids.len())
    );
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(sql));
    for id in ids {
        query = query.bind(*id);
    }
    let rows = query.bind(workspace.to_string()).fetch_all(conn).await?;
    rows.into_iter().map(Input::try_from).collect()
}

/// Makes room for another upload of what may have been uploaded before. `false` if it
/// is too late for one.
pub async fn begin(conn: &mut Conn, id: InputId) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE inputs SET status = 'pending', size_bytes = NULL, sha256 = NULL, uploaded_at = NULL
         WHERE id = $1 AND status <> 'ready' AND deleted_at IS NULL",
    )
    .bind(id.to_string())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says that all bytes are there. `false` if nobody waits for them any more.
pub async fn uploaded(
    conn: &mut Conn,
    id: InputId,
    (size, sha256): (i64, &str),
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let done = sqlx::query(
        // However long it took, there is time left to confirm it.
        "UPDATE inputs SET status = 'uploaded', size_bytes = $1, sha256 = $2, uploaded_at = $3,
             upload_expires_at = CASE WHEN upload_expires_at < $3 THEN $3 ELSE upload_expires_at END
         WHERE id = $4 AND status = 'pending' AND deleted_at IS NULL",
    )
    .bind(size)
    .bind(sha256)
    .bind(micros(now))
    .bind(id.to_string())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Says that it can be used. `false` if there is nothing to use.
pub async fn complete(conn: &mut Conn, id: InputId) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE inputs SET status = 'ready'
         WHERE id = $1 AND status IN ('uploaded', 'ready') AND deleted_at IS NULL",
    )
    .bind(id.to_string())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Hides it from now on. `false` if a job that has not ended was given it.
pub async fn delete(conn: &mut Conn, id: InputId, now: OffsetDateTime) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE inputs SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL
           AND NOT EXISTS (SELECT 1 FROM job_inputs u JOIN jobs j ON j.id = u.job
                           WHERE u.input = inputs.id AND j.ended = 0)",
    )
    .bind(micros(now))
    .bind(id.to_string())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Hides those whose time is over and that no job needs any more: `slots` is when the
/// time for uploading had to end for what was never uploaded to be given up, unless it
/// is among the `coming`, whose bytes are on their way.
pub async fn expire(
    conn: &mut Conn,
    now: OffsetDateTime,
    slots: OffsetDateTime,
    coming: &[InputId],
) -> Result<(), Error> {
    let needed = "NOT EXISTS (SELECT 1 FROM job_inputs u JOIN jobs j ON j.id = u.job
                              WHERE u.input = inputs.id AND j.ended = 0)";
    let kept = format!(
        "UPDATE inputs SET deleted_at = $1
         WHERE expires_at <= $1 AND deleted_at IS NULL AND {needed}"
    );
    sqlx::query(AssertSqlSafe(kept))
        .bind(micros(now))
        .execute(&mut *conn)
        .await?;
    let mut others = String::new();
    for n in 3..3 + coming.len() {
        let _ = write!(others, " AND id <> ${n}");
    }
    let given_up = format!(
        "UPDATE inputs SET deleted_at = $1
         WHERE status <> 'ready' AND upload_expires_at <= $2 AND deleted_at IS NULL{others}"
    );
    let mut given_up = sqlx::query(AssertSqlSafe(given_up))
        .bind(micros(now))
        .bind(micros(slots));
    for id in coming {
        given_up = given_up.bind(id.to_string());
    }
    given_up.execute(conn).await?;
    Ok(())
}

/// Hidden ones whose files are still to be removed.
pub async fn removable(conn: &mut Conn, limit: i64) -> Result<Vec<InputId>, Error> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT id FROM inputs WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await?;
    let id = |(id,): (String,)| id.parse().map_err(|_| corrupt("inputs", &id, "id"));
    rows.into_iter().map(id).collect()
}

/// Says that its file has been removed.
pub async fn removed(conn: &mut Conn, id: InputId) -> Result<(), Error> {
    sqlx::query("DELETE FROM inputs WHERE id = $1 AND deleted_at IS NOT NULL")
        .bind(id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes that a job has been given these. `false` if one of them cannot be used any
/// more.
pub async fn give(conn: &mut Conn, job: JobId, files: &[JobFile]) -> Result<bool, Error> {
    for file in files {
        // Keeps who deletes it waiting, who then sees that it is in use.
        let there = sqlx::query(
            "UPDATE inputs SET status = status
             WHERE id = $1 AND status = 'ready' AND deleted_at IS NULL",
        )
        .bind(&file.input_id)
        .execute(&mut *conn)
        .await?;
        if there.rows_affected() != 1 {
            return Ok(false);
        }
        sqlx::query("INSERT INTO job_inputs (job, kind, filename, input) VALUES ($1, $2, $3, $4)")
            .bind(job.to_string())
            .bind(file.kind.name())
            .bind(file.filename.as_ref().map_or("", FileName::as_str))
            .bind(&file.input_id)
            .execute(&mut *conn)
            .await?;
    }
    Ok(true)
}

/// The statement behind [`kept`], for the test that looks at its plan.
pub const KEPT: &str = "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM inputs
     WHERE workspace = $1 AND deleted_at IS NULL";

/// Bytes of all inputs of a workspace.
pub async fn kept(conn: &mut Conn, workspace: WorkspaceId) -> Result<i64, Error> {
    let (sum,): (i64,) = sqlx::query_as(KEPT)
        .bind(workspace.to_string())
        .fetch_one(conn)
        .await?;
    Ok(sum)
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    workspace: String,
    account: String,
    kind: String,
    filename: String,
    content_type: String,
    status: String,
    token: String,
    size_bytes: Option<i64>,
    sha256: Option<String>,
    created_at: i64,
    uploaded_at: Option<i64>,
    upload_expires_at: i64,
    expires_at: i64,
}

impl TryFrom<Row> for Input {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("inputs", &row.id, why);
        Ok(Self {
            id: row.id.parse().map_err(|_| wrong("id"))?,
            workspace: row.workspace.parse().map_err(|_| wrong("workspace"))?,
            account: row.account.parse().map_err(|_| wrong("account"))?,
            kind: Kind::named(&row.kind).ok_or_else(|| wrong("kind"))?,
            filename: FileName::new(&row.filename).map_err(|_| wrong("filename"))?,
            status: Status::named(&row.status).ok_or_else(|| wrong("status"))?,
            content_type: row.content_type,
            token: row.token,
            size: row.size_bytes,
            sha256: row.sha256,
            created_at: from_micros(row.created_at),
            uploaded_at: row.uploaded_at.map(from_micros),
            upload_expires_at: from_micros(row.upload_expires_at),
            expires_at: from_micros(row.expires_at),
        })
    }
}
