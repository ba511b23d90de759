//! Signed-in browsers and terminals. Tokens are stored as SHA-256 only.
use super::accounts::{role, roles};
use super::{Conn, Error, corrupt};
use crate::clock::{from_micros, micros};
use crate::domain::account::Role;
use crate::domain::id::{AccountId, SessionId, WorkspaceId};
use crate::domain::money::Usd;
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

/// A session, its account and its workspace.
#[derive(Debug, Clone)]
pub struct Described {
    pub account: AccountId,
    pub email: String,
    pub name: Option<String>,
    pub roles: Vec<Role>,
    pub operator: bool,
    pub workspace: WorkspaceId,
    pub workspace_name: String,
    pub role: Role,
    pub expires_at: OffsetDateTime,
    /// What the workspace can spend.
    pub available: Usd,
    /// Jobs of the workspace that have not ended.
    pub active_jobs: i64,
    /// Those among them that are apps.
    pub active_apps: i64,
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

/// The statement behind every request, for the test that looks at its plan.
pub const BEARER: &str =
    "SELECT s.id, s.account, s.workspace, s.role, s.last_seen, s.expires_at, a.operator
     FROM sessions s JOIN accounts a ON a.id = s.account
                     JOIN memberships m ON m.workspace = s.workspace AND m.account = s.account
     WHERE s.token_hash = $1 AND a.status = 'active'";

/// The session with this token, if its account is active and still a member of the
/// workspace. Expiry is the caller's to judge.
pub async fn bearer(conn: &mut Conn, token_hash: &str) -> Result<Option<Bearer>, Error> {
    let row = sqlx::query_as::<_, Row>(BEARER)
        .bind(token_hash)
        .fetch_optional(conn)
        .await?;
    row.map(Bearer::try_from).transpose()
}

/// The same, for a session that is known.
pub async fn bearer_of(conn: &mut Conn, id: SessionId) -> Result<Option<Bearer>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT s.id, s.account, s.workspace, s.role, s.last_seen, s.expires_at, a.operator
         FROM sessions s JOIN accounts a ON a.id = s.account
                         JOIN memberships m ON m.workspace = s.workspace AND m.account = s.account
         WHERE s.id = $1 AND a.status = 'active'",
    )
    .bind(id.to_string())
    .fetch_optional(conn)
    .await?;
    row.map(Bearer::try_from).transpose()
}

/// The statement behind every page, for the test that looks at its plan.
pub const DESCRIBE: &str = "SELECT s.id, s.account, s.workspace, s.role, s.expires_at,
                a.email, a.name, a.roles, a.operator, w.name AS workspace_name,
                COALESCE((SELECT l.credit - l.debit FROM ledger_accounts l
                          WHERE l.workspace = s.workspace AND l.kind = 'available'), 0)
                  AS available,
                (SELECT CAST(COUNT(*) AS BIGINT) FROM jobs j
                 WHERE j.workspace = s.workspace
                   AND j.status IN ('pending', 'queued', 'assigned', 'running')) AS active_jobs,
                (SELECT CAST(COUNT(*) AS BIGINT) FROM app_sessions x
                 WHERE x.workspace = s.workspace AND x.ended = 0) AS active_apps
         FROM sessions s JOIN accounts a ON a.id = s.account
                         JOIN workspaces w ON w.id = s.workspace
         WHERE s.id = $1";

/// A session with all that a page says about it, in one statement.
pub async fn describe(conn: &mut Conn, id: SessionId) -> Result<Option<Described>, Error> {
    let row = sqlx::query_as::<_, DescribedRow>(DESCRIBE)
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(Described::try_from).transpose()
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

/// Ends every session of an account, and says which there were.
pub async fn delete_all(conn: &mut Conn, account: AccountId) -> Result<Vec<SessionId>, Error> {
    let ended =
        sqlx::query_scalar::<_, String>("DELETE FROM sessions WHERE account = $1 RETURNING id")
            .bind(account.to_string())
            .fetch_all(conn)
            .await?;
    ended
        .into_iter()
        .map(|id| {
            id.parse()
                .map_err(|_| corrupt("sessions", &id, "not a session id"))
        })
        .collect()
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
            account: row
                .account
                .parse()
                .map_err(|_| wrong("not an account id"))?,
            workspace: row
                .workspace
                .parse()
                .map_err(|_| wrong("not a workspace id"))?,
            role: role(&row.role).ok_or_else(|| wrong("an unknown role"))?,
            operator: row.operator == 1,
            last_seen: from_micros(row.last_seen),
            expires_at: from_micros(row.expires_at),
        })
    }
}

#[derive(sqlx::FromRow)]
struct DescribedRow {
    id: String,
    account: String,
    workspace: String,
    role: String,
    expires_at: i64,
    email: String,
    name: Option<String>,
    roles: String,
    operator: i16,
    workspace_name: String,
    available: i64,
    active_jobs: i64,
    active_apps: i64,
}

impl TryFrom<DescribedRow> for Described {
    type Error = Error;

    fn try_from(row: DescribedRow) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("sessions", &row.id, why);
        Ok(Self {
            account: row
                .account
                .parse()
                .map_err(|_| wrong("not an account id"))?,
            workspace: row
                .workspace
                .parse()
                .map_err(|_| wrong("not a workspace id"))?,
            role: role(&row.role).ok_or_else(|| wrong("an unknown role"))?,
            roles: roles(&row.roles).ok_or_else(|| wrong("an account with an unknown role"))?,
            operator: row.operator == 1,
            expires_at: from_micros(row.expires_at),
            available: Usd::from_micros(row.available),
            active_jobs: row.active_jobs,
            active_apps: row.active_apps,
            email: row.email,
            name: row.name,
            workspace_name: row.workspace_name,
        })
    }
}
