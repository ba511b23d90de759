//! Who may enter an app. Tickets and passes are stored as SHA-256 only.
use crate::clock::{from_micros, micros};
use crate::domain::id::{AccountId, AppSessionId, SessionId};
use crate::store::{Conn, Error, corrupt};
use time::OffsetDateTime;

/// Leave to enter one service of one app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    pub session: AppSessionId,
    pub service: String,
    pub account: AccountId,
    /// The portal session that it came from, and ends with.
    pub bearer: SessionId,
    pub expires_at: OffsetDateTime,
}

pub async fn insert_ticket(conn: &mut Conn, hash: &str, leave: &Leave) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO app_tickets (token_hash, session, service, account, bearer, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(hash)
    .bind(leave.session.to_string())
    .bind(&leave.service)
    .bind(leave.account.to_string())
    .bind(leave.bearer.to_string())
    .bind(micros(leave.expires_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Uses a ticket up. `None` if there is no such ticket, it is too old, or it was
/// used before.
pub async fn use_ticket(
    conn: &mut Conn,
    hash: &str,
    now: OffsetDateTime,
) -> Result<Option<Leave>, Error> {
    let used = sqlx::query(
        "UPDATE app_tickets SET used = 1 WHERE token_hash = $1 AND used = 0 AND expires_at > $2",
    )
    .bind(hash)
    .bind(micros(now))
    .execute(&mut *conn)
    .await?;
    if used.rows_affected() != 1 {
        return Ok(None);
    }
    let row = sqlx::query_as::<_, Row>(
        "SELECT session, service, account, bearer, expires_at FROM app_tickets WHERE token_hash = $1",
    )
    .bind(hash)
    .fetch_optional(conn)
    .await?;
    row.map(Leave::try_from).transpose()
}

pub async fn insert_pass(
    conn: &mut Conn,
    hash: &str,
    leave: &Leave,
    now: OffsetDateTime,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO app_passes (token_hash, session, service, account, bearer, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(hash)
    .bind(leave.session.to_string())
    .bind(&leave.service)
    .bind(leave.account.to_string())
    .bind(leave.bearer.to_string())
    .bind(micros(now))
    .bind(micros(leave.expires_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// The pass, if it has not expired.
pub async fn find_pass(
    conn: &mut Conn,
    hash: &str,
    now: OffsetDateTime,
) -> Result<Option<Leave>, Error> {
    let row = sqlx::query_as::<_, Row>(
        "SELECT session, service, account, bearer, expires_at FROM app_passes
         WHERE token_hash = $1 AND expires_at > $2",
    )
    .bind(hash)
    .bind(micros(now))
    .fetch_optional(conn)
    .await?;
    row.map(Leave::try_from).transpose()
}

/// Throws away what nobody can use any more.
pub async fn sweep(conn: &mut Conn, before: OffsetDateTime) -> Result<(), Error> {
    for statement in [
        "DELETE FROM app_tickets WHERE expires_at < $1",
        "DELETE FROM app_passes WHERE expires_at < $1",
    ] {
        sqlx::query(statement)
            .bind(micros(before))
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    session: String,
    service: String,
    account: String,
    bearer: String,
    expires_at: i64,
}

impl TryFrom<Row> for Leave {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("app_passes", &row.session, why);
        Ok(Self {
            session: row.session.parse().map_err(|_| wrong("session"))?,
            account: row.account.parse().map_err(|_| wrong("account"))?,
            bearer: row.bearer.parse().map_err(|_| wrong("bearer"))?,
            expires_at: from_micros(row.expires_at),
            service: row.service,
        })
    }
}
