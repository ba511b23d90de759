//! Signed-in browsers and terminals. Tokens are stored as SHA-256 only.
use super::accounts::role;
use super::{Conn, Error, corrupt};
use crate::clock::{from_micros, micros};
use crate::domain::account::Role;
use crate::domain::id::{AccountId, SessionId, WorkspaceId};
use time::OffsetDateTime;

/// A session that begins.
#[derive(Debug, Clone)]
pub struct Session {
    pub id: SessionId,
    /// SHA-256 of the token, in lower-case hex.
    pub token_hash: String,
    pub account: AccountId,
    pub workspace: WorkspaceId,
    pub role: Role,
    pub ip: String,
    pub agent: String,
    pub created_at: OffsetDateTime,
    /// The end, however busy the session is.
    pub expires_at: OffsetDateTime,
}

/// What a bearer's token stands for.
#[derive(Debug, Clone)]
pub struct Bearer {
    pub session: SessionId,
    pub account: AccountId,
    pub workspace: WorkspaceId,
    pub role: Role,
    pub operator: bool,
    pub last_seen: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// Adds a session, last seen when it was made.
pub async fn insert(conn: &mut Conn, session: &Session) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO sessions (id, token_hash, account, workspace, role, ip, agent,
                               created_at, last_seen, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)",
    )
    .bind(session.id.to_string())
    .bind(&session.token_hash)
    .bind(session.account.to_string())
    .bind(session.workspace.to_string())
    .bind(session.role.name())
    .bind(&session.ip)
    .bind(&session.agent)
    .bind(micros(session.created_at))
    .bind(micros(session.expires_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// The session with this token, if its account is active. Expiry is the
/// caller's to judge.
pub async fn bearer(conn: &mut Conn, token_hash: &str) -> Result<Option<Bearer>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT s.id, s.account, s.workspace, s.role, s.last_seen, s.expires_at, a.operator
         FROM sessions s JOIN accounts a ON a.id = s.account
         WHERE s.token_hash = $1 AND a.status = 'active'",
    )
    .bind(token_hash)
    .fetch_optional(conn)
    .await?;
    row.map(Bearer::try_from).transpose()
}

/// When the session ends at the latest.
pub async fn expires_at(conn: &mut Conn, id: SessionId) -> Result<Option<OffsetDateTime>, Error> {
    let at = sqlx::query_scalar::<_, i64>("SELECT expires_at FROM sessions WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(at.map(from_micros))
}

/// Notes that the session was used at `at`; never turns the time back.
pub async fn seen(conn: &mut Conn, id: SessionId, at: OffsetDateTime) -> Result<(), Error> {
    sqlx::query("UPDATE sessions SET last_seen = $1 WHERE id = $2 AND last_seen < $1")
        .bind(micros(at))
        .bind(id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends one session.
pub async fn delete(conn: &mut Conn, id: SessionId) -> Result<(), Error> {
    sqlx::query("DELETE FROM sessions WHERE id = $1")
        .bind(id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Ends every session of an account, and says how many there were.
pub async fn delete_all(conn: &mut Conn, account: AccountId) -> Result<u64, Error> {
    let done = sqlx::query("DELETE FROM sessions WHERE account = $1")
        .bind(account.to_string())
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// Removes sessions that ended before `now` or were not used since `idle_since`.
pub async fn forget(
    conn: &mut Conn,
    now: OffsetDateTime,
    idle_since: OffsetDateTime,
) -> Result<u64, Error> {
    let done = sqlx::query("DELETE FROM sessions WHERE expires_at <= $1 OR last_seen <= $2")
        .bind(micros(now))
        .bind(micros(idle_since))
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    account: String,
    workspace: String,
    role: String,
    last_seen: i64,
    expires_at: i64,
    operator: i16,
}

impl TryFrom<Row> for Bearer {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("sessions", &row.id, why);
        Ok(Self {
            session: row.id.parse().map_err(|_| wrong("not a session id"))?,
            account: row.account.parse().map_err(|_| wrong("not an account id"))?,
            workspace: row.workspace.parse().map_err(|_| wrong("not a workspace id"))?,
            role: role(&row.role).ok_or_else(|| wrong("an unknown role"))?,
            operator: row.operator == 1,
            last_seen: from_micros(row.last_seen),
            expires_at: from_micros(row.expires_at),
        })
    }
}
