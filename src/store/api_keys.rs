//! The `api_keys` and `api_key_secrets` tables. Secrets are stored as SHA-256 only.
mod bearer;

pub use bearer::{BEARER, Bearer, bearer, bearer_of, used};

use super::{Conn, Error, corrupt, places};
use crate::clock::{from_micros, micros};
use crate::domain::api_key::{AllowList, Scopes};
use crate::domain::id::{AccountId, ApiKeyId, WorkspaceId};
use sqlx::AssertSqlSafe;
use time::OffsetDateTime;

#[derive(Debug, Clone)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub workspace: WorkspaceId,
    pub created_by: AccountId,
    pub name: String,
    pub scopes: Scopes,
    pub allowed_ips: AllowList,
    pub created_at: OffsetDateTime,
    pub expires_at: Option<OffsetDateTime>,
    pub disabled_at: Option<OffsetDateTime>,
    pub revoked_at: Option<OffsetDateTime>,
}

/// What a key is known by, and when it was used.
#[derive(Debug, Clone)]
pub struct Secret {
    pub key: ApiKeyId,
    pub number: i64,
    pub head: String,
    pub tail: String,
    pub created_at: OffsetDateTime,
    /// `None` for the newest.
    pub valid_until: Option<OffsetDateTime>,
    pub last_used: Option<Use>,
}

#[derive(Debug, Clone)]
pub struct Use {
    pub at: OffsetDateTime,
    pub ip: String,
    pub agent: String,
}

/// A key, and the address of who made it.
#[derive(Debug, Clone)]
pub struct Listed {
    pub key: ApiKey,
    pub email: String,
}

pub async fn insert(conn: &mut Conn, key: &ApiKey) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO api_keys (id, workspace, created_by, name, scopes, allowed_ips,
                               created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(key.id.to_string())
    .bind(key.workspace.to_string())
    .bind(key.created_by.to_string())
    .bind(&key.name)
    .bind(key.scopes.to_string())
    .bind(key.allowed_ips.entries().join(" "))
    .bind(micros(key.created_at))
    .bind(key.expires_at.map(micros))
    .execute(conn)
    .await?;
    Ok(())
}

/// Writes down what may change about a key.
pub async fn update(conn: &mut Conn, key: &ApiKey) -> Result<(), Error> {
    sqlx::query(
        "UPDATE api_keys SET name = $1, scopes = $2, allowed_ips = $3, expires_at = $4,
                             disabled_at = $5, revoked_at = $6
         WHERE id = $7",
    )
    .bind(&key.name)
    .bind(key.scopes.to_string())
    .bind(key.allowed_ips.entries().join(" "))
    .bind(key.expires_at.map(micros))
    .bind(key.disabled_at.map(micros))
    .bind(key.revoked_at.map(micros))
    .bind(key.id.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives the key a secret. Those before it stop working at `earlier_until`, or
/// when they would have anyway.
pub async fn add_secret(
    conn: &mut Conn,
    secret: &Secret,
    hash: &str,
    earlier_until: OffsetDateTime,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE api_key_secrets SET valid_until = $1
         WHERE api_key = $2 AND (valid_until IS NULL OR valid_until > $1)",
    )
    .bind(micros(earlier_until))
    .bind(secret.key.to_string())
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "INSERT INTO api_key_secrets (api_key, number, hash, head, tail, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(secret.key.to_string())
    .bind(secret.number)
    .bind(hash)
    .bind(&secret.head)
    .bind(&secret.tail)
    .bind(micros(secret.created_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets secrets that stopped working before `then`.
pub async fn forget_secrets(
    conn: &mut Conn,
    key: ApiKeyId,
    then: OffsetDateTime,
) -> Result<(), Error> {
    sqlx::query("DELETE FROM api_key_secrets WHERE api_key = $1 AND valid_until < $2")
        .bind(key.to_string())
        .bind(micros(then))
        .execute(conn)
        .await?;
    Ok(())
}

/// Keeps everyone else from changing the key until the transaction ends.
pub async fn lock(conn: &mut Conn, id: ApiKeyId) -> Result<(), Error> {
    sqlx::query("UPDATE api_keys SET name = name WHERE id = $1")
        .bind(id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Makes whoever else makes or rotates keys of the workspace wait until the
/// transaction ends, so that what is counted and remembered here stays true.
pub async fn lock_all(conn: &mut Conn, workspace: WorkspaceId) -> Result<(), Error> {
    sqlx::query("UPDATE workspaces SET name = name WHERE id = $1")
        .bind(workspace.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// A key of this workspace.
pub async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: ApiKeyId,
) -> Result<Option<Listed>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT k.*, a.email FROM api_keys k JOIN accounts a ON a.id = k.created_by
         WHERE k.id = $1 AND k.workspace = $2",
    )
    .bind(id.to_string())
    .bind(workspace.to_string())
    .fetch_optional(conn)
    .await?;
    row.map(Listed::try_from).transpose()
}

/// Which keys, and from where on.
#[derive(Debug, Clone, Default)]
pub struct Page {
    /// A status, or any if empty.
    pub status: &'static str,
    /// Only keys made before this one.
    pub before: Option<ApiKeyId>,
    pub limit: i64,
}

/// The statement behind the list, for the test that looks at its plan.
pub const LIST: &str = "SELECT k.*, a.email FROM api_keys k JOIN accounts a ON a.id = k.created_by
     WHERE k.workspace = $1 AND k.id < $2
       AND ($3 = '' OR $3 = CASE WHEN k.revoked_at IS NOT NULL THEN 'revoked'
                                 WHEN k.expires_at <= $4 THEN 'expired'
                                 WHEN k.disabled_at IS NOT NULL THEN 'disabled'
                                 ELSE 'active' END)
     ORDER BY k.id DESC LIMIT $5";

/// Keys of a workspace as they are at `now`, newest first.
pub async fn list(
    conn: &mut Conn,
    workspace: WorkspaceId,
    page: &Page,
    now: OffsetDateTime,
) -> Result<Vec<Listed>, Error> {
    // Sorts after every id.
    let before = page.before.map_or("key_g".to_owned(), |id| id.to_string());
    let rows = sqlx::query_as::<_, Row>(LIST)
        .bind(workspace.to_string())
        .bind(before)
        .bind(page.status)
        .bind(micros(now))
        .bind(page.limit)
        .fetch_all(conn)
        .await?;
    rows.into_iter().map(Listed::try_from).collect()
}

/// The secrets of these keys, newest first per key.
pub async fn secrets(conn: &mut Conn, keys: &[ApiKeyId]) -> Result<Vec<Secret>, Error> {
    let statement = format!(
        "SELECT api_key, number, head, tail, created_at, valid_until,
                last_used_at, last_used_ip, last_used_agent
         FROM api_key_secrets WHERE api_key IN ({}) ORDER BY api_key, number DESC",
        places(keys.len())
    );
    let mut query = sqlx::query_as::<_, SecretRow>(AssertSqlSafe(statement));
    for key in keys {
        query = query.bind(key.to_string());
    }
    let rows = query.fetch_all(conn).await?;
    rows.into_iter().map(Secret::try_from).collect()
}

/// How many keys of a workspace have not been revoked.
pub async fn count(conn: &mut Conn, workspace: WorkspaceId) -> Result<i64, Error> {
    let count = sqlx::query_scalar(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM api_keys
         WHERE workspace = $1 AND revoked_at IS NULL",
    )
    .bind(workspace.to_string())
    .fetch_one(conn)
    .await?;
    Ok(count)
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    workspace: String,
    created_by: String,
    name: String,
    scopes: String,
    allowed_ips: String,
    created_at: i64,
    expires_at: Option<i64>,
    disabled_at: Option<i64>,
    revoked_at: Option<i64>,
    email: String,
}

impl TryFrom<Row> for Listed {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("api_keys", &row.id, why);
        let key = ApiKey {
            id: row.id.parse().map_err(|_| wrong("not a key id"))?,
            workspace: row
                .workspace
                .parse()
                .map_err(|_| wrong("not a workspace id"))?,
            created_by: row
                .created_by
                .parse()
                .map_err(|_| wrong("not an account id"))?,
            scopes: Scopes::parse(&row.scopes).ok_or_else(|| wrong("an unknown scope"))?,
            allowed_ips: AllowList::parse(row.allowed_ips.split(' ')).map_err(|why| wrong(&why))?,
            created_at: from_micros(row.created_at),
            expires_at: row.expires_at.map(from_micros),
            disabled_at: row.disabled_at.map(from_micros),
            revoked_at: row.revoked_at.map(from_micros),
            name: row.name,
        };
        Ok(Self {
            key,
            email: row.email,
        })
    }
}

#[derive(sqlx::FromRow)]
struct SecretRow {
    api_key: String,
    number: i64,
    head: String,
    tail: String,
    created_at: i64,
    valid_until: Option<i64>,
    last_used_at: Option<i64>,
    last_used_ip: Option<String>,
    last_used_agent: Option<String>,
}

impl TryFrom<SecretRow> for Secret {
    type Error = Error;

    fn try_from(row: SecretRow) -> Result<Self, Error> {
        let id = row.api_key.parse();
        Ok(Self {
            key: id.map_err(|_| corrupt("api_key_secrets", &row.api_key, "not a key id"))?,
            number: row.number,
            head: row.head,
            tail: row.tail,
            created_at: from_micros(row.created_at),
            valid_until: row.valid_until.map(from_micros),
            last_used: row.last_used_at.map(|at| Use {
                at: from_micros(at),
                ip: row.last_used_ip.unwrap_or_default(),
                agent: row.last_used_agent.unwrap_or_default(),
            }),
        })
    }
}
