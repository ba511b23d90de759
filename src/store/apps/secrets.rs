//! Secrets that were given at a launch. They come here sealed.
use crate::clock::micros;
use crate::domain::id::AppSessionId;
use crate::store::{Conn, Error};
use std::collections::BTreeMap;
use time::OffsetDateTime;

pub async fn insert(
    conn: &mut Conn,
    session: AppSessionId,
    name: &str,
    sealed: &str,
) -> Result<(), Error> {
    sqlx::query("INSERT INTO app_secrets (session, name, sealed) VALUES ($1, $2, $3)")
        .bind(session.to_string())
        .bind(name)
        .bind(sealed)
        .execute(conn)
        .await?;
    Ok(())
}

/// Those of a session, by their variables' names.
pub async fn of(conn: &mut Conn, session: AppSessionId) -> Result<BTreeMap<String, String>, Error> {
    let rows = sqlx::query_as::<_, (String, String)>(
        "SELECT name, sealed FROM app_secrets WHERE session = $1",
    )
    .bind(session.to_string())
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}

/// Forgets those of sessions that ended before that.
pub async fn wipe(conn: &mut Conn, before: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "DELETE FROM app_secrets WHERE EXISTS (
             SELECT 1 FROM app_sessions
             WHERE app_sessions.id = app_secrets.session AND app_sessions.ended_at < $1)",
    )
    .bind(micros(before))
    .execute(conn)
    .await?;
    Ok(())
}
