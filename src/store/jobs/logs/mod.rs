//! What jobs print. Every line has a number within its job, from 1; where lines
//! were dropped, one line that says so has the number of the last of them.
//!
//! The newest lines are rows of their own. Once there are many they become one
//! block, compressed: a page of a long log is one block wherever it is, and writing
//! many lines at once is writing few rows.
mod append;
mod backward;
mod block;
mod forward;
mod text;

pub use append::{Batch, OLD, append, expire, expired};
pub use backward::backward;
pub use forward::{Found, forward};
pub use text::{AT, Extent, Piece, extent, piece};

use crate::clock::{from_micros, micros};
use crate::domain::id::JobId;
use crate::domain::logs::{Level, Needle, dropped};
use crate::store::{Conn, Error, corrupt, places};
use sqlx::AssertSqlSafe;
use std::collections::HashMap;
use time::OffsetDateTime;

/// A line about to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// `stdout`, `stderr` or `system`.
    pub stream: &'static str,
    /// Without NUL.
    pub message: String,
    /// Cut: the next line of this stream goes on where it ends.
    pub truncated: bool,
    /// So many lines were dropped, and this one says so; else 0.
    pub dropped: i64,
    pub at: OffsetDateTime,
}

impl NewLine {
    fn level(&self) -> Level {
        level(self.stream, &self.message, self.dropped)
    }

    /// How many numbers it takes.
    fn span(&self) -> i64 {
        self.dropped.max(1)
    }

    fn text_bytes(&self) -> i64 {
        length(&self.message) + i64::from(!self.truncated)
    }
}

fn level(stream: &str, message: &str, dropped: i64) -> Level {
    match stream {
        _ if dropped > 0 => Level::Warning,
        "system" => Level::Info,
        stream => Level::of(stream == "stderr", message),
    }
}

fn length(text: &str) -> i64 {
    i64::try_from(text.len()).unwrap_or(i64::MAX)
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub entry: i64,
    /// `stdout`, `stderr` or `system`.
    pub stream: &'static str,
    pub message: String,
    pub truncated: bool,
    /// So many lines up to this number were dropped, and this one says so; else 0.
    pub dropped: i64,
    pub level: Level,
    pub at: OffsetDateTime,
}

impl Line {
    /// The number before it.
    fn after(&self) -> i64 {
        self.entry - self.dropped.max(1)
    }

    /// In place of the lines between two that are there.
    fn gap(after: i64, last: i64, at: OffsetDateTime) -> Self {
        let lines = last - after;
        let why = "only the beginning and the end are kept";
        Self {
            entry: last,
            stream: "system",
            message: dropped(lines.unsigned_abs(), why),
            truncated: false,
            dropped: lines,
            level: Level::Warning,
            at,
        }
    }
}

const STREAMS: [&str; 3] = ["stdout", "stderr", "system"];

/// Its spelling in this program; what is none of ours is said by the system.
fn stream(name: &str) -> &'static str {
    STREAMS
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or("system")
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// `stdout`, `stderr` or `system`; any if empty.
    pub stream: &'static str,
    /// This level and graver ones.
    pub level: Option<Level>,
    pub text: Option<Needle>,
}

impl Filter {
    fn all(&self) -> bool {
        self.stream.is_empty() && self.level.is_none() && self.text.is_none()
    }

    fn admits(&self, line: &Line) -> bool {
        let stream = self.stream.is_empty() || self.stream == line.stream;
        let level = self.level.is_none_or(|level| line.level >= level);
        stream
            && level
            && self
                .text
                .as_ref()
                .is_none_or(|text| text.find(line.message.as_bytes()).is_some())
    }

    /// Whether one of so many lines may be wanted.
    fn may_admit(&self, counts: &Counts) -> bool {
        let stream = match self.stream {
            "stdout" => counts.stdout,
            "stderr" => counts.stderr,
            "system" => counts.system,
            _ => 1,
        };
        let level = match self.level {
            Some(Level::Error) => counts.errors,
            Some(Level::Warning) => counts.errors + counts.warnings,
            _ => 1,
        };
        stream > 0 && level > 0
    }
}

/// How many lines of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Counts {
    pub stdout: i64,
    pub stderr: i64,
    pub system: i64,
    pub warnings: i64,
    pub errors: i64,
}

impl Counts {
    fn add(&mut self, stream: &str, level: Level) {
        match stream {
            "stdout" => self.stdout += 1,
            "stderr" => self.stderr += 1,
            _ => self.system += 1,
        }
        match level {
            Level::Error => self.errors += 1,
            Level::Warning => self.warnings += 1,
            Level::Info | Level::Debug => {}
        }
    }

    fn sum(&mut self, other: &Self) {
        self.stdout += other.stdout;
        self.stderr += other.stderr;
        self.system += other.system;
        self.warnings += other.warnings;
        self.errors += other.errors;
    }
}

/// Output of one job as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, sqlx::FromRow)]
pub struct Totals {
    /// Of all that was ever printed and not dropped by the engine.
    #[sqlx(flatten)]
    pub counts: Counts,
    loose_lines: i64,
    loose_weight: i64,
    loose_text: i64,
    block_text: i64,
    head_weight: i64,
    tail_weight: i64,
    head_entry: Option<i64>,
    head_text: i64,
    cut_entry: Option<i64>,
    cut_text: i64,
    expired: i16,
}

impl Totals {
    /// Whether it was deleted because of its age.
    #[must_use]
    pub const fn expired(&self) -> bool {
        self.expired != 0
    }

    /// How long its text is, in bytes, as [`piece`] gives it.
    #[must_use]
    pub fn text_bytes(&self) -> i64 {
        let end = self.block_text + self.loose_text;
        match self.cut() {
            Some(notice) => self.head_text + length(&notice) + end - self.cut_text,
            None => end,
        }
    }

    /// What stands in the text for what was cut out of it, with its line end.
    fn cut(&self) -> Option<String> {
        let (head, cut) = (self.head_entry?, self.cut_entry?);
        Some(format!(
            "{}\n",
            Line::gap(head, cut, OffsetDateTime::UNIX_EPOCH).message
        ))
    }
}

/// Of a job that has printed nothing, nothing.
pub async fn totals(conn: &mut Conn, job: JobId) -> Result<Totals, Error> {
    let found = sqlx::query_as("SELECT * FROM log_totals WHERE job = $1")
        .bind(job.to_string())
        .fetch_optional(conn)
        .await?;
    Ok(found.unwrap_or_default())
}

/// Of those of these jobs that have printed something.
pub async fn totals_of(conn: &mut Conn, jobs: &[JobId]) -> Result<HashMap<JobId, Totals>, Error> {
    #[derive(sqlx::FromRow)]
    struct Of {
        job: String,
        #[sqlx(flatten)]
        totals: Totals,
    }
    let sql = format!(
        "SELECT * FROM log_totals WHERE job IN ({})",
        places(jobs.len())
    );
    let mut query = sqlx::query_as::<_, Of>(AssertSqlSafe(sql));
    for job in jobs {
        query = query.bind(job.to_string());
    }
    let rows = query.fetch_all(conn).await?;
    let one = |row: Of| {
        let id = row
            .job
            .parse()
            .map_err(|_| corrupt("log_totals", &row.job, "job"))?;
        Ok((id, row.totals))
    };
    rows.into_iter().map(one).collect()
}

/// The statement behind a page of the newest output, for the test that looks at its plan.
pub const PAGE: &str = "SELECT entry, stream, message, truncated, dropped, level, created_at
     FROM job_logs WHERE job = $1 AND entry > $2 ORDER BY entry LIMIT $3";
/// The same, from its end.
pub const TAIL: &str = "SELECT entry, stream, message, truncated, dropped, level, created_at
     FROM job_logs WHERE job = $1 AND entry < $2 ORDER BY entry DESC LIMIT $3";
/// Blocks after a line.
pub const BLOCKS: &str = "SELECT last_entry, after_entry, text_at, text_bytes, weight, stdout,
         stderr, system, warnings, errors, began_at
     FROM log_blocks WHERE job = $1 AND last_entry > $2 ORDER BY last_entry LIMIT $3";
/// Blocks before a line.
pub const BLOCKS_BEFORE: &str = "SELECT last_entry, after_entry, text_at, text_bytes, weight,
         stdout, stderr, system, warnings, errors, began_at
     FROM log_blocks WHERE job = $1 AND last_entry < $2 ORDER BY last_entry DESC LIMIT $3";

/// The last lines, oldest first.
pub async fn tail(
    conn: &mut Conn,
    job: JobId,
    limit: usize,
    filter: &Filter,
) -> Result<Vec<Line>, Error> {
    backward(conn, job, i64::MAX, limit, filter).await
}

/// The last `count` lines of each of these jobs, oldest first within each.
pub async fn last_of(
    conn: &mut Conn,
    jobs: &[JobId],
    count: usize,
) -> Result<HashMap<JobId, Vec<String>>, Error> {
    // Numbers hardly ever jump: these are found without sorting.
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
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let mut found: HashMap<JobId, Vec<String>> = HashMap::new();
    for (job, message) in query.bind(limit).fetch_all(&mut *conn).await? {
        let id = job.parse().map_err(|_| corrupt("job_logs", &job, "job"))?;
        found.entry(id).or_default().push(message);
    }
    // Where it has just become a block.
    for job in jobs {
        let lines = found.entry(*job).or_default();
        if lines.len() < count {
            let all = tail(conn, *job, count, &Filter::default()).await?;
            *lines = all.into_iter().map(|line| line.message).collect();
        }
    }
    Ok(found)
}

/// A line that is a row of its own.
#[derive(Debug, sqlx::FromRow)]
struct Row {
    entry: i64,
    stream: String,
    message: String,
    truncated: i16,
    dropped: i64,
    level: i16,
    created_at: i64,
}

impl From<Row> for Line {
    fn from(row: Row) -> Self {
        let stream = stream(&row.stream);
        let known = usize::try_from(row.level)
            .ok()
            .and_then(|n| Level::ALL.get(n));
        Self {
            entry: row.entry,
            stream,
            // Rows of earlier versions have no level.
            level: known
                .copied()
                .unwrap_or_else(|| level(stream, &row.message, row.dropped)),
            message: row.message,
            truncated: row.truncated != 0,
            dropped: row.dropped,
            at: from_micros(row.created_at),
        }
    }
}

/// Everything about a block but what is in it.
#[derive(Debug, sqlx::FromRow)]
struct Meta {
    last_entry: i64,
    after_entry: i64,
    text_at: i64,
    text_bytes: i64,
    weight: i64,
    #[sqlx(flatten)]
    counts: Counts,
    began_at: i64,
}

async fn metas(
    conn: &mut Conn,
    statement: &'static str,
    job: JobId,
    (at, limit): (i64, i64),
) -> Result<Vec<Meta>, Error> {
    let found = sqlx::query_as(statement)
        .bind(job.to_string())
        .bind(at)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(found)
}

async fn rows(
    conn: &mut Conn,
    statement: &'static str,
    job: JobId,
    (at, limit): (i64, i64),
) -> Result<Vec<Line>, Error> {
    let found = sqlx::query_as::<_, Row>(statement)
        .bind(job.to_string())
        .bind(at)
        .bind(limit)
        .fetch_all(conn)
        .await?;
    Ok(found.into_iter().map(Line::from).collect())
}
