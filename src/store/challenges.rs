//! Codes sent by mail: who may try them, how often and how long.
use super::{Conn, Error, corrupt};
use crate::clock::micros;
use crate::domain::id::{AccountId, ChallengeId};
use time::OffsetDateTime;

/// How often one code may be tried.
pub const ATTEMPTS: i16 = 5;

/// What a code is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Proves an address.
    Verify,
    /// Allows a new password.
    Reset,
}

impl Purpose {
    /// As stored, and as it goes into the code's MAC.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verify => "verify",
            Self::Reset => "reset",
        }
    }
}

/// A code that is sent.
#[derive(Debug, Clone)]
pub struct Challenge {
    pub id: ChallengeId,
    pub account: AccountId,
    pub purpose: Purpose,
    /// HMAC-SHA256 in lower-case hex.
    pub code_mac: String,
    pub created_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

/// A code that may be compared once: the attempt has been counted already.
#[derive(Debug, Clone)]
pub struct Attempt {
    pub challenge: ChallengeId,
    pub code_mac: String,
}

/// Adds a code and closes the account's earlier ones for the same purpose.
pub async fn replace(conn: &mut Conn, challenge: &Challenge) -> Result<(), Error> {
    sqlx::query(
        "UPDATE challenges SET closed_at = $1
         WHERE account = $2 AND purpose = $3 AND closed_at IS NULL",
    )
    .bind(micros(challenge.created_at))
    .bind(challenge.account.to_string())
    .bind(challenge.purpose.name())
    .execute(&mut *conn)
    .await?;
    sqlx::query(
        "INSERT INTO challenges (id, account, purpose, code_mac, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(challenge.id.to_string())
    .bind(challenge.account.to_string())
    .bind(challenge.purpose.name())
    .bind(&challenge.code_mac)
    .bind(micros(challenge.created_at))
    .bind(micros(challenge.expires_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Counts an attempt at the account's newest code and hands the code's MAC out.
/// `None` if there is none that is open, in time and has attempts left.
///
/// Commit before comparing: then a crash or a race cannot give attempts back.
pub async fn attempt(
    conn: &mut Conn,
    account: AccountId,
    purpose: Purpose,
    at: OffsetDateTime,
) -> Result<Option<Attempt>, Error> {
    let row = sqlx::query_as::<_, (String, String)>(
        "UPDATE challenges SET attempts = attempts + 1
         WHERE id = (SELECT id FROM challenges WHERE account = $1 AND purpose = $2
                     ORDER BY created_at DESC, id DESC LIMIT 1)
           AND attempts < $3 AND closed_at IS NULL AND expires_at > $4
         RETURNING id, code_mac",
    )
    .bind(account.to_string())
    .bind(purpose.name())
    .bind(ATTEMPTS)
    .bind(micros(at))
    .fetch_optional(conn)
    .await?;
    row.map(|(id, code_mac)| {
        let challenge = id
            .parse()
            .map_err(|_| corrupt("challenges", &id, "not a challenge id"))?;
        Ok(Attempt {
            challenge,
            code_mac,
        })
    })
    .transpose()
}

/// Uses a code up. `false` if that has happened before.
pub async fn close(conn: &mut Conn, id: ChallengeId, at: OffsetDateTime) -> Result<bool, Error> {
    let done =
        sqlx::query("UPDATE challenges SET closed_at = $1 WHERE id = $2 AND closed_at IS NULL")
            .bind(micros(at))
            .bind(id.to_string())
            .execute(conn)
            .await?;
    Ok(done.rows_affected() == 1)
}

/// Removes codes that expired before `before`.
pub async fn forget(conn: &mut Conn, before: OffsetDateTime) -> Result<u64, Error> {
    let done = sqlx::query("DELETE FROM challenges WHERE expires_at < $1")
        .bind(micros(before))
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}
