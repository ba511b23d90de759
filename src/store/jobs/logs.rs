//! What jobs print, numbered from 1 within each job without gaps.
use crate::clock::{from_micros, micros};
use crate::domain::id::JobId;
use crate::store::{Conn, Error, corrupt, places};
use sqlx::AssertSqlSafe;
use std::fmt::Write as _;
use time::OffsetDateTime;

/// Rows per INSERT: a single-row INSERT per line is eight times slower.
const BATCH: usize = 200;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    pub stream: &'static str,
    pub message: String,
    pub truncated: bool,
    pub at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub entry: i64,
    pub stream: String,
    pub message: String,
    pub truncated: bool,
    pub at: OffsetDateTime,
}

/// Writes lines and where reading goes on, so that a restart neither repeats nor
/// loses one. Returns the number of the last line.
///
/// # Errors
///
/// [`Error::Stale`] if reading has already gone on from elsewhere than `from`.
pub async fn append(
    conn: &mut Conn,
    (job, attempt): (JobId, u32),
    (from, to): (&str, &str),
    lines: &[NewLine],
) -> Result<i64, Error> {
    let id = job.to_string();
    let moved = sqlx::query(
        "UPDATE runs SET log_cursor = $1 WHERE job = $2 AND attempt = $3 AND log_cursor = $4",
    )
    .bind(to)
    .bind(&id)
    .bind(i64::from(attempt))
    .bind(from)
    .execute(&mut *conn)
    .await?;
    if moved.rows_affected() != 1 {
        return Err(Error::Stale { table: "runs", id });
    }
    let count = i64::try_from(lines.len()).unwrap_or(i64::MAX);
    let (last,): (i64,) =
        sqlx::query_as("UPDATE jobs SET last_log = last_log + $1 WHERE id = $2 RETURNING last_log")
            .bind(count)
            .bind(&id)
            .fetch_one(&mut *conn)
            .await?;
    let mut entry = last - count;
    for batch in lines.chunks(BATCH) {
        let mut query = sqlx::query(AssertSqlSafe(insert_of(batch.len())));
        for line in batch {
            entry += 1;
            query = query
                .bind(id.clone())
                .bind(entry)
                .bind(line.stream)
                .bind(line.message.clone())
                .bind(i16::from(line.truncated))
                .bind(micros(line.at));
        }
        query.execute(&mut *conn).await?;
    }
    Ok(last)
}

fn insert_of(rows: usize) -> String {
    let mut sql = String::from(
        "INSERT INTO job_logs (job, entry, stream, message, truncated, created_at) VALUES ",
    );
    for row in 0..rows {
        let n = row * 6;
        let comma = if row == 0 { "" } else { ", " };
        let _ = write!(
            sql,
            "{comma}(${}, ${}, ${}, ${}, ${}, ${})",
            n + 1,
            n + 2,
            n + 3,
            n + 4,
            n + 5,
            n + 6
        );
    }
    sql
}

/// The statement behind a page of output, for the test that looks at its plan.
pub const PAGE: &str = "SELECT entry, stream, message, truncated, created_at FROM job_logs
     WHERE job = $1 AND entry > $2 AND ($3 = '' OR stream = $3) ORDER BY entry LIMIT $4";
/// The same for the last lines.
pub const TAIL: &str = "SELECT entry, stream, message, truncated, created_at FROM job_logs
     WHERE job = $1 AND ($2 = '' OR stream = $2) ORDER BY entry DESC LIMIT $3";

/// Lines after number `after`, oldest first; of every stream if `stream` is empty.
pub async fn page(
    conn: &mut Conn,
    job: JobId,
    (after, limit): (i64, i64),
    stream: &str,
) -> Result<Vec<Line>, Error> {
    let rows = sqlx::query_as::<_, Row>(PAGE)
        .bind(job.to_string())
        .bind(after)
        .bind(stream)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().map(Line::from).collect())
}

/// The last lines, oldest first; of every stream if `stream` is empty.
pub async fn tail(
    conn: &mut Conn,
    job: JobId,
    limit: i64,
    stream: &str,
) -> Result<Vec<Line>, Error> {
    let rows = sqlx::query_as::<_, Row>(TAIL)
        .bind(job.to_string())
        .bind(stream)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(rows.into_iter().rev().map(Line::from).collect())
}

/// The last `count` lines of each of these jobs, oldest first within each.
pub async fn last_of(
    conn: &mut Conn,
    jobs: &[JobId],
    count: i64,
) -> Result<Vec<(JobId, String)>, Error> {
    // Lines are numbered without gaps: these are found without sorting.
    let sql = format!(
        "SELECT l.job, l.message FROM jobs j
         JOIN job_logs l ON l.job = j.id AND l.entry > j.last_log - ${}
         WHERE j.id IN ({}) ORDER BY l.job, l.entry",
        jobs.len() + 1,
        places(jobs.len())
    );
    let mut query = sqlx::query_as::<_, (String, String)>(AssertSqlSafe(sql));
    for job in jobs {
        query = query.bind(job.to_string());
    }
    let rows = query.bind(count).fetch_all(conn).await?;
    rows.into_iter()
        .map(|(job, message)| {
            let id = job.parse().map_err(|_| corrupt("job_logs", &job, "job"))?;
            Ok((id, message))
        })
        .collect()
}

#[derive(Debug, sqlx::FromRow)]
struct Row {
    entry: i64,
    stream: String,
    message: String,
    truncated: i16,
    created_at: i64,
}

impl From<Row> for Line {
    fn from(row: Row) -> Self {
        Self {
            entry: row.entry,
            stream: row.stream,
            message: row.message,
            truncated: row.truncated != 0,
            at: from_micros(row.created_at),
        }
    }
}
