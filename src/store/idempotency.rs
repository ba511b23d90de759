//! The `idempotency` table: first answers to requests that may be repeated.
use super::{Conn, Error};
use crate::clock::micros;
use crate::domain::id::WorkspaceId;
use time::OffsetDateTime;

/// What names a request.
#[derive(Debug, Clone)]
pub struct Key {
    pub workspace: WorkspaceId,
    pub route: &'static str,
    pub key: String,
}

/// The first answer, and what it was an answer to.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Answer {
    pub body_hash: String,
    /// JSON.
    pub reply: String,
}

pub async fn find(conn: &mut Conn, key: &Key) -> Result<Option<Answer>, Error> {
    let row = sqlx::query_as(
        "SELECT body_hash, reply FROM idempotency WHERE workspace = $1 AND route = $2 AND key = $3",
    )
    .bind(key.workspace.to_string())
    .bind(key.route)
    .bind(&key.key)
    .fetch_optional(conn)
    .await?;
    Ok(row)
}

/// Keeps an answer, in the transaction of what it is about.
///
/// # Errors
///
/// [`Error::Stale`] if another transaction has just kept one under this key.
pub async fn insert(
    conn: &mut Conn,
    key: &Key,
    answer: &Answer,
    at: OffsetDateTime,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO idempotency (workspace, route, key, body_hash, status, reply, created_at)
         VALUES ($1, $2, $3, $4, 202, $5, $6)",
    )
    .bind(key.workspace.to_string())
    .bind(key.route)
    .bind(&key.key)
    .bind(&answer.body_hash)
    .bind(&answer.reply)
    .bind(micros(at))
    .execute(conn)
    .await
    .map_err(|error| match error {
        sqlx::Error::Database(error) if error.is_unique_violation() => Error::Stale {
            table: "idempotency",
            id: key.key.clone(),
        },
        error => error.into(),
    })?;
    Ok(())
}

/// Removes what was kept before `before`.
pub async fn sweep(conn: &mut Conn, before: OffsetDateTime) -> Result<u64, Error> {
    let swept = sqlx::query("DELETE FROM idempotency WHERE created_at < $1")
        .bind(micros(before))
        .execute(conn)
        .await?;
    Ok(swept.rows_affected())
}
