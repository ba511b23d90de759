//! The `artifacts` table: files that jobs have left, what came of collecting them, and
//! selections of them that are fetched as one archive.
use super::{Conn, Error, corrupt, places};
use crate::clock::{from_micros, micros};
use crate::domain::id::{ArtifactId, JobId, WorkspaceId};
use crate::store::jobs::Job;
use sqlx::AssertSqlSafe;
use std::collections::BTreeMap;
use time::OffsetDateTime;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub id: ArtifactId,
    pub workspace: WorkspaceId,
    pub job: JobId,
    /// Below `/workspace/artifacts`, with slashes; for showing.
    pub filename: String,
    pub content_type: String,
    /// Bytes.
    pub size: i64,
    /// In lower-case hex.
    pub sha256: String,
    pub crc32: u32,
    /// Its file, below `artifacts/` in the data directory.
    pub place: String,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// What came of looking through what a job has left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collection {
    pub files: i64,
    pub bytes: i64,
    /// So many files were not kept.
    pub left_out: i64,
    /// Why not, in words; empty if all were.
    pub why: String,
    /// Paths that were declared and are not there.
    pub missing: Vec<String>,
}

/// Notes what was collected of a job.
pub async fn collected(
    conn: &mut Conn,
    job: &Job,
    collection: &Collection,
    artifacts: &[Artifact],
    now: OffsetDateTime,
) -> Result<(), Error> {
    for artifact in artifacts {
        sqlx::query(
            "INSERT INTO artifacts (id, workspace, job, filename, haystack, content_type,
                 size_bytes, sha256, crc32, place, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(artifact.id.to_string())
        .bind(artifact.workspace.to_string())
        .bind(artifact.job.to_string())
        .bind(&artifact.filename)
        .bind(format!("{}\n{}", artifact.filename, job.spec.name).to_lowercase())
        .bind(&artifact.content_type)
        .bind(artifact.size)
        .bind(&artifact.sha256)
        .bind(i64::from(artifact.crc32))
        .bind(&artifact.place)
        .bind(micros(artifact.created_at))
        .bind(micros(artifact.expires_at))
        .execute(&mut *conn)
        .await?;
    }
    let missing = serde_json::to_string(&collection.missing)
        .map_err(|error| Error::Sql(sqlx::Error::Encode(error.into())))?;
    sqlx::query(
        "INSERT INTO collections (job, files, bytes, left_out, why, missing, collected_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(job.id.to_string())
    .bind(collection.files)
    .bind(collection.bytes)
    .bind(collection.left_out)
    .bind(&collection.why)
    .bind(missing)
    .bind(micros(now))
    .execute(conn)
    .await?;
    Ok(())
}

/// What was collected of each of these jobs; nothing of those that have not come to it.
pub async fn collections(
    conn: &mut Conn,
    jobs: &[JobId],
) -> Result<BTreeMap<JobId, Collection>, Error> {
    if jobs.is_empty() {
        return Ok(BTreeMap::new());
    }
    let sql = format!(
        "SELECT job, files, bytes, left_out, why, missing FROM collections WHERE job IN ({})",
        places(jobs.len())
    );
    let mut query =
        sqlx::query_as::<_, (String, i64, i64, i64, String, String)>(AssertSqlSafe(sql));
    for job in jobs {
        query = query.bind(job.to_string());
    }
    let rows = query.fetch_all(conn).await?;
    let read =
        |(job, files, bytes, left_out, why, missing): (String, i64, i64, i64, String, String)| {
            let wrong = |what: &str| corrupt("collections", &job, what);
            let collection = Collection {
                files,
                bytes,
                left_out,
                why,
                missing: serde_json::from_str(&missing).map_err(|_| wrong("missing"))?,
            };
            Ok((job.parse().map_err(|_| wrong("job"))?, collection))
        };
    rows.into_iter().map(read).collect()
}

/// The statement behind [`of_job`], for the test that looks at its plan.
pub const OF_JOB: &str = "SELECT * FROM artifacts
     WHERE job = $1 AND workspace = $2 AND deleted_at IS NULL AND expires_at > $3 ORDER BY id";

/// What there is of a job, in the order in which it was collected.
pub async fn of_job(
    conn: &mut Conn,
    workspace: WorkspaceId,
    job: JobId,
    now: OffsetDateTime,
) -> Result<Vec<Artifact>, Error> {
    let rows = sqlx::query_as::<_, Row>(OF_JOB)
        .bind(job.to_string())
        .bind(workspace.to_string())
        .bind(micros(now))
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Artifact::try_from).collect()
}

/// Which artifacts, and from where on.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A job's id; empty for any.
    pub job: String,
    /// Part of a file's or its job's name, in any case; empty for any.
    pub text: String,
    /// Only older ones than this; empty for the newest.
    pub before: String,
    pub limit: i64,
}

/// The statement behind the list, for the test that looks at its plan.
pub const LIST: &str = "SELECT * FROM artifacts
     WHERE workspace = $1 AND id < $2 AND deleted_at IS NULL AND expires_at > $3
       AND ($4 = '' OR job = $4) AND ($5 = '' OR haystack LIKE $5 ESCAPE '!')
     ORDER BY id DESC LIMIT $6";

/// Artifacts of a workspace, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &Filter,
    now: OffsetDateTime,
) -> Result<Vec<Artifact>, Error> {
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
        .bind(&filter.job)
        .bind(super::jobs::queries::pattern(&filter.text))
        .bind(filter.limit)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Artifact::try_from).collect()
}

/// An artifact of this workspace; another's is as missing as none.
pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ArtifactId,
    now: OffsetDateTime,
) -> Result<Option<Artifact>, Error> {
    let artifact = find_for_link(conn, id, now).await?;
    Ok(artifact.filter(|artifact| artifact.workspace == workspace))
}

/// An artifact whosever it is: for who has a link to it.
pub async fn find_for_link(
    conn: &mut Conn,
    id: ArtifactId,
    now: OffsetDateTime,
) -> Result<Option<Artifact>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT * FROM artifacts WHERE id = $1 AND deleted_at IS NULL AND expires_at > $2",
    )
    .bind(id.to_string())
    .bind(micros(now))
    .fetch_optional(conn)
    .await?;
    row.map(Artifact::try_from).transpose()
}

/// These of a workspace, in no particular order.
pub async fn these(
    conn: &mut Conn,
    workspace: WorkspaceId,
    ids: &[ArtifactId],
    now: OffsetDateTime,
) -> Result<Vec<Artifact>, Error> {
    let count = ids.len();
    let sql = format!(
        "SELECT * FROM artifacts WHERE id IN ({}) AND workspace = ${} AND deleted_at IS NULL
           AND expires_at > ${}",
        places(count),
        count + 1,
        count + 2
    );
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(sql));
    for id in ids {
        query = query.bind(id.to_string());
    }
    let query = query.bind(workspace.to_string()).bind(micros(now));
    let rows = query.fetch_all(conn).await?;
    rows.into_iter().map(Artifact::try_from).collect()
}

/// Hides it from now on.
pub async fn delete(conn: &mut Conn, id: ArtifactId, now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query("UPDATE artifacts SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL")
        .bind(micros(now))
        .bind(id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Hides those whose time is over, and forgets selections.
pub async fn expire(conn: &mut Conn, now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "UPDATE artifacts SET deleted_at = $1 WHERE expires_at <= $1 AND deleted_at IS NULL",
    )
    .bind(micros(now))
    .execute(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM artifact_zips WHERE expires_at <= $1")
        .bind(micros(now))
        .execute(conn)
        .await?;
    Ok(())
}

/// Hidden ones whose files are still to be removed, with where those are.
pub async fn removable(conn: &mut Conn, limit: i64) -> Result<Vec<(String, String)>, Error> {
    let rows = sqlx::query_as(
        "SELECT id, place FROM artifacts WHERE deleted_at IS NOT NULL ORDER BY deleted_at LIMIT $1",
    )
    .bind(limit)
    .fetch_all(conn)
    .await?;
    Ok(rows)
}

/// Says that its file has been removed.
pub async fn removed(conn: &mut Conn, id: &str) -> Result<(), Error> {
    sqlx::query("DELETE FROM artifacts WHERE id = $1 AND deleted_at IS NOT NULL")
        .bind(id)
        .execute(conn)
        .await?;
    Ok(())
}

/// Whether anything was kept of a job, be it hidden.
pub async fn any_of(conn: &mut Conn, job: JobId) -> Result<bool, Error> {
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT CAST(1 AS BIGINT) FROM artifacts WHERE job = $1 LIMIT 1")
            .bind(job.to_string())
            .fetch_optional(conn)
            .await?;
    Ok(row.is_some())
}

/// The statement behind [`kept`], for the test that looks at its plan.
pub const KEPT: &str = "SELECT CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM artifacts
     WHERE workspace = $1 AND deleted_at IS NULL";

/// Bytes of all artifacts of a workspace.
pub async fn kept(conn: &mut Conn, workspace: WorkspaceId) -> Result<i64, Error> {
    let (sum,): (i64,) = sqlx::query_as(KEPT)
        .bind(workspace.to_string())
        .fetch_one(conn)
        .await?;
    Ok(sum)
}

/// Keeps a selection under the hash of its token.
pub async fn select(
    conn: &mut Conn,
    (token, workspace): (&str, WorkspaceId),
    ids: &[ArtifactId],
    expires_at: OffsetDateTime,
) -> Result<(), Error> {
    let ids = serde_json::to_string(ids)
        .map_err(|error| Error::Sql(sqlx::Error::Encode(error.into())))?;
    sqlx::query(
        "INSERT INTO artifact_zips (token, workspace, artifacts, expires_at) VALUES ($1, $2, $3, $4)",
    )
    .bind(token)
    .bind(workspace.to_string())
    .bind(ids)
    .bind(micros(expires_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// The selection under this hash, if its time is not over.
pub async fn selected(
    conn: &mut Conn,
    token: &str,
    now: OffsetDateTime,
) -> Result<Option<(WorkspaceId, Vec<ArtifactId>)>, Error> {
    let row: Option<(String, String)> = sqlx::query_as(
        "SELECT workspace, artifacts FROM artifact_zips WHERE token = $1 AND expires_at > $2",
    )
    .bind(token)
    .bind(micros(now))
    .fetch_optional(conn)
    .await?;
    let wrong = |why: &str| corrupt("artifact_zips", token, why);
    row.map(|(workspace, ids)| {
        let workspace = workspace.parse().map_err(|_| wrong("workspace"))?;
        let ids = serde_json::from_str(&ids).map_err(|_| wrong("artifacts"))?;
        Ok((workspace, ids))
    })
    .transpose()
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    workspace: String,
    job: String,
    filename: String,
    content_type: String,
    size_bytes: i64,
    sha256: String,
    crc32: i64,
    place: String,
    created_at: i64,
    expires_at: i64,
}

impl TryFrom<Row> for Artifact {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("artifacts", &row.id, why);
        Ok(Self {
            id: row.id.parse().map_err(|_| wrong("id"))?,
            workspace: row.workspace.parse().map_err(|_| wrong("workspace"))?,
            job: row.job.parse().map_err(|_| wrong("job"))?,
            crc32: u32::try_from(row.crc32).map_err(|_| wrong("crc32"))?,
            filename: row.filename,
            content_type: row.content_type,
            size: row.size_bytes,
            sha256: row.sha256,
            place: row.place,
            created_at: from_micros(row.created_at),
            expires_at: from_micros(row.expires_at),
        })
    }
}
