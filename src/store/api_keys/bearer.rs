//! What the secret of a key stands for: read by every request that has one.
use super::Use;
use crate::clock::{from_micros, micros};
use crate::domain::api_key::{AllowList, Scopes};
use crate::domain::id::{AccountId, ApiKeyId, WorkspaceId};
use crate::store::{Conn, Error, corrupt};
use time::{Duration, OffsetDateTime};

#[derive(Debug, Clone)]
pub struct Bearer {
    pub key: ApiKeyId,
    /// Which of the key's secrets it is.
    pub secret: i64,
    /// SHA-256 of the secret, in lower-case hex.
    pub hash: String,
    pub workspace: WorkspaceId,
    /// Who made it.
    pub account: AccountId,
    pub scopes: Scopes,
    pub allowed_ips: AllowList,
    pub expires_at: Option<OffsetDateTime>,
    /// When this secret stops working because there is a newer one.
    pub valid_until: Option<OffsetDateTime>,
    pub disabled: bool,
    pub revoked: bool,
    pub last_used: Option<OffsetDateTime>,
}

/// The statement behind every request with a key, for the test that looks at its plan.
pub const BEARER: &str = "SELECT k.id, s.number, s.hash, k.workspace, k.created_by, k.scopes,
            k.allowed_ips, k.expires_at, s.valid_until, k.disabled_at, k.revoked_at,
            s.last_used_at
     FROM api_key_secrets s
     JOIN api_keys k ON k.id = s.api_key
     JOIN accounts a ON a.id = k.created_by
     JOIN memberships m ON m.workspace = k.workspace AND m.account = k.created_by
     WHERE s.hash = $1 AND a.status = 'active'";

/// The key with this secret, if who made it is still an active member of its
/// workspace. Everything else is the caller's to judge.
pub async fn bearer(conn: &mut Conn, hash: &str) -> Result<Option<Bearer>, Error> {
    let row = sqlx::query_as::<_, Row>(BEARER)
        .bind(hash)
        .fetch_optional(conn)
        .await?;
    row.map(Bearer::try_from).transpose()
}

/// The same, for a secret that is known.
pub async fn bearer_of(
    conn: &mut Conn,
    (key, secret): (ApiKeyId, i64),
) -> Result<Option<Bearer>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT k.id, s.number, s.hash, k.workspace, k.created_by, k.scopes,
                k.allowed_ips, k.expires_at, s.valid_until, k.disabled_at, k.revoked_at,
                s.last_used_at
         FROM api_key_secrets s
         JOIN api_keys k ON k.id = s.api_key
         JOIN accounts a ON a.id = k.created_by
         JOIN memberships m ON m.workspace = k.workspace AND m.account = k.created_by
         WHERE s.api_key = $1 AND s.number = $2 AND a.status = 'active'",
    )
    .bind(key.to_string())
    .bind(secret)
    .fetch_optional(conn)
    .await?;
    row.map(Bearer::try_from).transpose()
}

/// Notes that a secret was used, unless that was noted less than `distance` before.
pub async fn used(
    conn: &mut Conn,
    (key, secret): (ApiKeyId, i64),
    by: &Use,
    distance: Duration,
) -> Result<(), Error> {
    sqlx::query(
        "UPDATE api_key_secrets SET last_used_at = $1, last_used_ip = $2, last_used_agent = $3
         WHERE api_key = $4 AND number = $5 AND (last_used_at IS NULL OR last_used_at <= $6)",
    )
    .bind(micros(by.at))
    .bind(&by.ip)
    .bind(&by.agent)
    .bind(key.to_string())
    .bind(secret)
    .bind(micros(by.at - distance))
    .execute(conn)
    .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    number: i64,
    hash: String,
    workspace: String,
    created_by: String,
    scopes: String,
    allowed_ips: String,
    expires_at: Option<i64>,
    valid_until: Option<i64>,
    disabled_at: Option<i64>,
    revoked_at: Option<i64>,
    last_used_at: Option<i64>,
}

impl TryFrom<Row> for Bearer {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("api_keys", &row.id, why);
        Ok(Self {
            key: row.id.parse().map_err(|_| wrong("not a key id"))?,
            secret: row.number,
            workspace: row
                .workspace
                .parse()
                .map_err(|_| wrong("not a workspace id"))?,
            account: row
                .created_by
                .parse()
                .map_err(|_| wrong("not an account id"))?,
            scopes: Scopes::parse(&row.scopes).ok_or_else(|| wrong("an unknown scope"))?,
            allowed_ips: AllowList::parse(row.allowed_ips.split(' ')).map_err(|why| wrong(&why))?,
            expires_at: row.expires_at.map(from_micros),
            valid_until: row.valid_until.map(from_micros),
            disabled: row.disabled_at.is_some(),
            revoked: row.revoked_at.is_some(),
            last_used: row.last_used_at.map(from_micros),
            hash: row.hash,
        })
    }
}
