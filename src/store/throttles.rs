//! Counters that survive a restart. A window begins with its first count and
//! lasts a fixed time; the counters never say who exists, only who was named.
use super::{Conn, Error};
use crate::clock::{from_micros, micros};
use time::{Duration, OffsetDateTime};

/// How often something happened in the current window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub count: i64,
    pub window_start: OffsetDateTime,
}

/// Counts once more, in a new window if the last began `window` ago or earlier.
pub async fn hit(
    conn: &mut Conn,
    name: &str,
    window: Duration,
    at: OffsetDateTime,
) -> Result<Count, Error> {
    let (count, window_start) = sqlx::query_as::<_, (i64, i64)>(
        "INSERT INTO throttles (name, count, window_start) VALUES ($1, 1, $2)
         ON CONFLICT (name) DO UPDATE SET
           count = CASE WHEN throttles.window_start <= $3 THEN 1 ELSE throttles.count + 1 END,
           window_start = CASE WHEN throttles.window_start <= $3 THEN $2
                               ELSE throttles.window_start END
         RETURNING count, window_start",
    )
    .bind(name)
    .bind(micros(at))
    .bind(micros(at - window))
    .fetch_one(conn)
    .await?;
    Ok(Count {
        count,
        window_start: from_micros(window_start),
    })
}

/// Begins a new window at `at` with a count of one.
pub async fn restart(conn: &mut Conn, name: &str, at: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO throttles (name, count, window_start) VALUES ($1, 1, $2)
         ON CONFLICT (name) DO UPDATE SET count = 1, window_start = $2",
    )
    .bind(name)
    .bind(micros(at))
    .execute(conn)
    .await?;
    Ok(())
}

/// Takes one count back: what was counted in advance turned out to be harmless.
pub async fn give_back(conn: &mut Conn, name: &str) -> Result<(), Error> {
    sqlx::query("UPDATE throttles SET count = count - 1 WHERE name = $1 AND count > 0")
        .bind(name)
        .execute(conn)
        .await?;
    Ok(())
}

/// Removes counters whose window began before `before`.
pub async fn forget(conn: &mut Conn, before: OffsetDateTime) -> Result<u64, Error> {
    let done = sqlx::query("DELETE FROM throttles WHERE window_start < $1")
        .bind(micros(before))
        .execute(conn)
        .await?;
    Ok(done.rows_affected())
}
