//! Mails to be sent. A request queues its mail in its own transaction, so no
//! request waits for a mail server and no mail speaks of what did not happen.
use super::{Conn, Error, corrupt};
use crate::clock::{from_micros, micros};
use crate::domain::id::MailId;
use time::OffsetDateTime;

/// A mail as queued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    pub id: MailId,
    pub recipient: String,
    pub subject: String,
    pub body: String,
    /// How often sending it was begun.
    pub attempts: i16,
    pub created_at: OffsetDateTime,
    /// Not sent after this.
    pub expires_at: OffsetDateTime,
}

/// Queues a mail, due at once.
pub async fn insert(conn: &mut Conn, mail: &Mail) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO mails (id, recipient, subject, body, created_at, next_at, expires_at, state)
         VALUES ($1, $2, $3, $4, $5, $5, $6, 'waiting')",
    )
    .bind(mail.id.to_string())
    .bind(&mail.recipient)
    .bind(&mail.subject)
    .bind(&mail.body)
    .bind(micros(mail.created_at))
    .bind(micros(mail.expires_at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Mails that are due at `at`, oldest first, at most `limit`.
pub async fn due(conn: &mut Conn, at: OffsetDateTime, limit: i64) -> Result<Vec<Mail>, Error> {
    let rows = sqlx::query_as::<_, Row>(
        "SELECT id, recipient, subject, body, attempts, created_at, expires_at FROM mails
         WHERE state = 'waiting' AND next_at <= $1 ORDER BY next_at, id LIMIT $2",
    )
    .bind(micros(at))
    .bind(limit)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Mail::try_from).collect()
}

/// When the next mail is due.
pub async fn next_due(conn: &mut Conn) -> Result<Option<OffsetDateTime>, Error> {
    let at = sqlx::query_scalar::<_, i64>(
        "SELECT next_at FROM mails WHERE state = 'waiting' ORDER BY next_at LIMIT 1",
    )
    .fetch_optional(conn)
    .await?;
    Ok(at.map(from_micros))
}

/// Takes a mail for sending: whoever else read it as [`due`] gets `false`. If
/// the sender dies, the mail is due again at `again_at`.
pub async fn claim(conn: &mut Conn, mail: &Mail, again_at: OffsetDateTime) -> Result<bool, Error> {
    let done = sqlx::query(
        "UPDATE mails SET attempts = attempts + 1, next_at = $1
         WHERE id = $2 AND state = 'waiting' AND attempts = $3",
    )
    .bind(micros(again_at))
    .bind(mail.id.to_string())
    .bind(mail.attempts)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Notes that a mail has left, and empties it.
pub async fn sent(conn: &mut Conn, id: MailId) -> Result<(), Error> {
    sqlx::query("UPDATE mails SET state = 'sent', body = '', error = NULL WHERE id = $1")
        .bind(id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Notes why sending failed; it will be tried again at `again_at`.
pub async fn postpone(
    conn: &mut Conn,
    id: MailId,
    again_at: OffsetDateTime,
    why: &str,
) -> Result<(), Error> {
    sqlx::query("UPDATE mails SET next_at = $1, error = $2 WHERE id = $3 AND state = 'waiting'")
        .bind(micros(again_at))
        .bind(why)
        .bind(id.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

/// Gives a mail up, and empties it.
pub async fn give_up(conn: &mut Conn, id: MailId, why: &str) -> Result<(), Error> {
    sqlx::query(
        "UPDATE mails SET state = 'failed', body = '', error = $1
         WHERE id = $2 AND state = 'waiting'",
    )
    .bind(why)
    .bind(id.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives up every mail that would come too late at `at`.
pub async fn expire(conn: &mut Conn, at: OffsetDateTime) -> Result<u64, Error> {
    let done = sqlx::query(
        "UPDATE mails SET state = 'failed', body = '', error = COALESCE(error, 'too late')
         WHERE state = 'waiting' AND expires_at <= $1",
    )
    .bind(micros(at))
    .execute(conn)
    .await?;
    Ok(done.rows_affected())
}

/// Removes mails made before `before` that were sent or given up.
pub async fn forget(conn: &mut Conn, before: OffsetDateTime) -> Result<u64, Error> {
    let done = sqlx::query("DELETE FROM mails WHERE state <> 'waiting' AND created_at < $1")
        .bind(micros(before))
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    recipient: String,
    subject: String,
    body: String,
    attempts: i16,
    created_at: i64,
    expires_at: i64,
}

impl TryFrom<Row> for Mail {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let id = row.id.parse();
        Ok(Self {
            id: id.map_err(|_| corrupt("mails", &row.id, "not a mail id"))?,
            recipient: row.recipient,
            subject: row.subject,
            body: row.body,
            attempts: row.attempts,
            created_at: from_micros(row.created_at),
            expires_at: from_micros(row.expires_at),
        })
    }
}
