//! People, their workspaces and their memberships.
use super::{Conn, Error, corrupt};
use crate::clock::{from_micros, micros};
use crate::domain::account::Role;
use crate::domain::id::{AccountId, AppSessionId, WorkspaceId};
use time::OffsetDateTime;

/// An account as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    /// In lower case.
    pub email: String,
    pub name: Option<String>,
    /// A PHC string; never the password.
    pub password_hash: String,
    pub status: Status,
    /// Never empty; the first is the one that sessions begin with.
    pub roles: Vec<Role>,
    /// Whether this account runs the installation.
    pub operator: bool,
    pub created_at: OffsetDateTime,
}

/// Whether the address has been proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Somebody claims the address; others may claim it too.
    Unverified,
    /// Proven at this time. At most one account per address is.
    Active { since: OffsetDateTime },
}

impl Account {
    /// Whether the address has been proven.
    #[must_use]
    pub const fn active(&self) -> bool {
        matches!(self.status, Status::Active { .. })
    }
}

/// What owns jobs and money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    pub id: WorkspaceId,
    pub name: String,
    pub owner: AccountId,
    pub created_at: OffsetDateTime,
}

/// Adds an account whose address is not proven yet.
pub async fn insert_unverified(conn: &mut Conn, account: &Account) -> Result<(), Error> {
    let roles: Vec<&str> = account.roles.iter().map(|role| role.name()).collect();
    sqlx::query(
        "INSERT INTO accounts (id, email, name, password_hash, status, roles, created_at)
         VALUES ($1, $2, $3, $4, 'unverified', $5, $6)",
    )
    .bind(account.id.to_string())
    .bind(&account.email)
    .bind(&account.name)
    .bind(&account.password_hash)
    .bind(roles.join(","))
    .bind(micros(account.created_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// The account with this id.
pub async fn find(conn: &mut Conn, id: AccountId) -> Result<Option<Account>, Error> {
    let row = sqlx::query_as::<_, Row>("SELECT * FROM accounts WHERE id = $1")
        .bind(id.to_string())
        .fetch_optional(conn)
        .await?;
    row.map(Account::try_from).transpose()
}

/// The account that has proven this address.
pub async fn active(conn: &mut Conn, email: &str) -> Result<Option<Account>, Error> {
    let row =
        sqlx::query_as::<_, Row>("SELECT * FROM accounts WHERE email = $1 AND status = 'active'")
            .bind(email)
            .fetch_optional(conn)
            .await?;
    row.map(Account::try_from).transpose()
}

/// The newest account that claims this address without having proven it.
pub async fn newest_unverified(conn: &mut Conn, email: &str) -> Result<Option<Account>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT * FROM accounts WHERE email = $1 AND status = 'unverified'
         ORDER BY created_at DESC, id DESC LIMIT 1",
    )
    .bind(email)
    .fetch_optional(conn)
    .await?;
    row.map(Account::try_from).transpose()
}

/// Like [`active`], in the same time whether or not there is one: a row is read
/// either way.
pub async fn active_id(conn: &mut Conn, email: &str) -> Result<Option<AccountId>, Error> {
    let id = sqlx::query_scalar::<_, String>(
        "SELECT COALESCE(MIN(id), '') FROM accounts WHERE email = $1 AND status = 'active'",
    )
    .bind(email)
    .fetch_one(conn)
    .await?;
    perhaps(&id)
}

/// Like [`newest_unverified`], in the same time whether or not there is one. With
/// an `id`, that one and no other.
pub async fn unverified_id(
    conn: &mut Conn,
    email: &str,
    id: Option<AccountId>,
) -> Result<Option<AccountId>, Error> {
    let id = sqlx::query_scalar::<_, String>(
        "SELECT COALESCE((SELECT id FROM accounts
         WHERE email = $1 AND status = 'unverified' AND ($2 = '' OR id = $2)
         ORDER BY created_at DESC, id DESC LIMIT 1), '')",
    )
    .bind(email)
    .bind(id.map_or_else(String::new, |id| id.to_string()))
    .fetch_one(conn)
    .await?;
    perhaps(&id)
}

fn perhaps(id: &str) -> Result<Option<AccountId>, Error> {
    if id.is_empty() {
        return Ok(None);
    }
    let parsed = id.parse();
    parsed
        .map(Some)
        .map_err(|_| corrupt("accounts", id, "not an account id"))
}

/// How many accounts have proven their address.
pub async fn count_active(conn: &mut Conn) -> Result<i64, Error> {
    let count = sqlx::query_scalar::<_, i64>(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM accounts WHERE status = 'active'",
    )
    .fetch_one(conn)
    .await?;
    Ok(count)
}

/// Marks the address of `id` as proven. `false` if the account is not there, is
/// active already, or if another account has proven the address meanwhile; in
/// the last case the transaction is lost on Postgres and must be rolled back.
pub async fn activate(
    conn: &mut Conn,
    id: AccountId,
    operator: bool,
    at: OffsetDateTime,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE accounts SET status = 'active', verified_at = $1, operator = $2
         WHERE id = $3 AND status = 'unverified'",
    )
    .bind(micros(at))
    .bind(i16::from(operator))
    .bind(id.to_string())
    .execute(conn)
    .await;
    match done {
        Ok(done) => Ok(done.rows_affected() == 1),
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Removes the accounts that claim `email` without having proven it, and their
/// codes. Such accounts own nothing else.
pub async fn delete_unverified(conn: &mut Conn, email: &str) -> Result<u64, Error> {
    sqlx::query(
        "DELETE FROM challenges WHERE account IN
         (SELECT id FROM accounts WHERE email = $1 AND status = 'unverified')",
    )
    .bind(email)
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query("DELETE FROM accounts WHERE email = $1 AND status = 'unverified'")
        .bind(email)
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// Removes unproven claims made before `before`, and their codes.
pub async fn forget_unverified(conn: &mut Conn, before: OffsetDateTime) -> Result<u64, Error> {
    sqlx::query(
        "DELETE FROM challenges WHERE account IN
         (SELECT id FROM accounts WHERE status = 'unverified' AND created_at < $1)",
    )
    .bind(micros(before))
    .execute(&mut *conn)
    .await?;
    let done = sqlx::query("DELETE FROM accounts WHERE status = 'unverified' AND created_at < $1")
        .bind(micros(before))
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

/// Replaces the password of an active account.
pub async fn set_password(conn: &mut Conn, id: AccountId, hash: &str) -> Result<bool, Error> {
    let done =
        sqlx::query("UPDATE accounts SET password_hash = $1 WHERE id = $2 AND status = 'active'")
            .bind(hash)
            .bind(id.to_string())
            .execute(conn)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Keeps the password from changing until the transaction ends. `false` if it
/// is no longer the one with this hash.
pub async fn hold_password(conn: &mut Conn, id: AccountId, hash: &str) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE accounts SET password_hash = password_hash
         WHERE id = $1 AND password_hash = $2 AND status = 'active'",
    )
    .bind(id.to_string())
    .bind(hash)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Adds a workspace and makes its owner a member.
pub async fn insert_workspace(conn: &mut Conn, workspace: &Workspace) -> Result<(), Error> {
    sqlx::query("INSERT INTO workspaces (id, name, owner, created_at) VALUES ($1, $2, $3, $4)")
        .bind(workspace.id.to_string())
        .bind(&workspace.name)
        .bind(workspace.owner.to_string())
        .bind(micros(workspace.created_at))
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO memberships (workspace, account, role, created_at)
         VALUES ($1, $2, 'owner', $3)",
    )
    .bind(workspace.id.to_string())
    .bind(workspace.owner.to_string())
    .bind(micros(workspace.created_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// The workspace that `account` has been a member of for longest.
pub async fn home(conn: &mut Conn, account: AccountId) -> Result<Option<Workspace>, Error> {
    let row = sqlx::query_as::<_, WorkspaceRow>(
        "SELECT w.id, w.name, w.owner, w.created_at
         FROM memberships m JOIN workspaces w ON w.id = m.workspace
         WHERE m.account = $1 ORDER BY m.created_at, w.id LIMIT 1",
    )
    .bind(account.to_string())
    .fetch_optional(conn)
    .await?;
    row.map(Workspace::try_from).transpose()
}

/// Whether `account` is a member of the workspace that owns this app.
pub async fn is_member_of_app(
    conn: &mut Conn,
    account: AccountId,
    session: AppSessionId,
) -> Result<bool, Error> {
    let row: Option<(i64,)> = sqlx::query_as(
        "SELECT CAST(1 AS BIGINT) FROM app_sessions s
         JOIN memberships m ON m.workspace = s.workspace
         WHERE s.id = $1 AND m.account = $2",
    )
    .bind(session.to_string())
    .bind(account.to_string())
    .fetch_optional(conn)
    .await?;
    Ok(row.is_some())
}

/// Reads roles as they are stored.
pub(super) fn roles(text: &str) -> Option<Vec<Role>> {
    text.split(',').map(role).collect()
}

/// Reads a role as it is stored.
pub(super) fn role(text: &str) -> Option<Role> {
    [Role::User, Role::Provider]
        .into_iter()
        .find(|role| role.name() == text)
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    email: String,
    name: Option<String>,
    password_hash: String,
    status: String,
    roles: String,
    operator: i16,
    verified_at: Option<i64>,
    created_at: i64,
}

impl TryFrom<Row> for Account {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("accounts", &row.id, why);
        let status = match (row.status.as_str(), row.verified_at) {
            ("unverified", None) => Status::Unverified,
            ("active", Some(since)) => Status::Active {
                since: from_micros(since),
            },
            _ => return Err(wrong("its status and time of proof contradict each other")),
        };
        Ok(Self {
            id: row.id.parse().map_err(|_| wrong("not an account id"))?,
            roles: roles(&row.roles).ok_or_else(|| wrong("an unknown role"))?,
            status,
            operator: row.operator == 1,
            created_at: from_micros(row.created_at),
            email: row.email,
            name: row.name,
            password_hash: row.password_hash,
        })
    }
}

#[derive(sqlx::FromRow)]
struct WorkspaceRow {
    id: String,
    name: String,
    owner: String,
    created_at: i64,
}

impl TryFrom<WorkspaceRow> for Workspace {
    type Error = Error;

    fn try_from(row: WorkspaceRow) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("workspaces", &row.id, why);
        Ok(Self {
            id: row.id.parse().map_err(|_| wrong("not a workspace id"))?,
            owner: row.owner.parse().map_err(|_| wrong("not an account id"))?,
            created_at: from_micros(row.created_at),
            name: row.name,
        })
    }
}
