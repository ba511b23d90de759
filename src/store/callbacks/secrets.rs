//! What a workspace's callbacks are signed with, once it has been rotated. What is
//! secret comes here sealed.
use super::{Conn, Error};
use crate::clock::{from_micros, micros};
use crate::domain::id::{AccountId, WorkspaceId};
use time::OffsetDateTime;

/// A secret that took the place of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Counts from 1: the first of a workspace is not stored.
    pub number: i64,
    /// Sealed.
    pub secret: String,
    pub created_at: OffsetDateTime,
    /// Until when those before it sign beside it.
    pub before_until: OffsetDateTime,
}

/// The statement behind every signature, for the test that looks at its plan.
pub const OF: &str = "SELECT number, secret, created_at, before_until FROM callback_secrets
     WHERE workspace = $1 ORDER BY number DESC";

/// Those of a workspace, newest first; none if it was never rotated.
pub async fn of(conn: &mut Conn, workspace: WorkspaceId) -> Result<Vec<Secret>, Error> {
    let rows = sqlx::query_as::<_, (i64, String, i64, i64)>(OF)
        .bind(workspace.to_string())
        .fetch_all(conn)
        .await?;
    let secret = |(number, secret, created_at, before_until)| Secret {
        number,
        secret,
        created_at: from_micros(created_at),
        before_until: from_micros(before_until),
    };
    Ok(rows.into_iter().map(secret).collect())
}

/// Adds a secret; `false` if there is one of its number already.
pub async fn add(
    conn: &mut Conn,
    (workspace, by): (WorkspaceId, AccountId),
    secret: &Secret,
) -> Result<bool, Error> {
    let added = sqlx::query(
        "INSERT INTO callback_secrets (workspace, number, secret, created_by, created_at, before_until)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, number) DO NOTHING",
    )
    .bind(workspace.to_string())
    .bind(secret.number)
    .bind(&secret.secret)
    .bind(by.to_string())
    .bind(micros(secret.created_at))
    .bind(micros(secret.before_until))
    .execute(conn)
    .await?;
    Ok(added.rows_affected() == 1)
}

/// Removes those before `number`.
pub async fn forget(conn: &mut Conn, workspace: WorkspaceId, number: i64) -> Result<(), Error> {
    sqlx::query("DELETE FROM callback_secrets WHERE workspace = $1 AND number < $2")
        .bind(workspace.to_string())
        .bind(number)
        .execute(conn)
        .await?;
    Ok(())
}
