//! Callbacks that are sent again because somebody asks for it.
use super::{Conn, Error};
use crate::clock::micros;
use crate::domain::id::JobId;
use time::OffsetDateTime;

/// Makes a callback due at once that was given up or is due after `soon`; `false` if
/// there is nothing to send, or it is on its way, or `most` attempts have been made.
pub async fn send(
    conn: &mut Conn,
    job: JobId,
    (now, soon): (OffsetDateTime, OffsetDateTime),
    most: i64,
) -> Result<bool, Error> {
    let due = sqlx::query(
        "UPDATE callback_outbox SET state = 'waiting', next_at = $1, ended_at = NULL
         WHERE job = $2 AND body <> '' AND attempts < $3
             AND (state IN ('failed', 'gone') OR (state = 'waiting' AND next_at > $4))",
    )
    .bind(micros(now))
    .bind(job.to_string())
    .bind(most)
    .bind(micros(soon))
    .execute(conn)
    .await?;
    Ok(due.rows_affected() == 1)
}

/// The statement behind the sweep, for the test that looks at its plan.
pub const OLD: &str = "SELECT job FROM callback_outbox
     WHERE ended_at IS NOT NULL AND body <> '' AND ended_at < $1 ORDER BY ended_at LIMIT 500";

/// Leaves nothing secret of what was given up before `before`.
pub async fn wipe(conn: &mut Conn, before: OffsetDateTime) -> Result<(), Error> {
    let old = sqlx::query_scalar::<_, String>(OLD)
        .bind(micros(before))
        .fetch_all(&mut *conn)
        .await?;
    for job in old {
        sqlx::query("UPDATE callbacks SET url = NULL, token = NULL WHERE job = $1")
            .bind(&job)
            .execute(&mut *conn)
            .await?;
        sqlx::query("UPDATE callback_outbox SET body = '' WHERE job = $1")
            .bind(&job)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
