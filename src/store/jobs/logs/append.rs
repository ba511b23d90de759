//! Writing output, and cutting what is too much out of its middle.
use super::block::{self, Packed};
use super::{BLOCKS, Counts, Line, NewLine, PAGE, Totals, metas, micros, rows, totals};
use crate::domain::id::{Id as _, JobId};
use crate::domain::logs::{Limits, weight};
use crate::store::{Conn, Error, corrupt};
use sqlx::AssertSqlSafe;
use std::fmt::Write as _;
use time::OffsetDateTime;

/// Rows per INSERT: a single-row INSERT per line is eight times slower.
const ROWS: usize = 200;
/// So many lines, or so much weight, are a block and not rows.
const MANY: usize = 250;
const HEAVY: u64 = 64 * 1024;
/// Rows become a block when there are so many.
const LOOSE_LINES: i64 = 500;
const LOOSE_WEIGHT: i64 = 128 * 1024;
/// Rows that are made a block at once; more only in databases of earlier versions.
const SEALED: i64 = 4_000;
/// Blocks that are looked at at once when some must go.
const CUT: i64 = 64;

/// Lines that are written together.
#[derive(Debug)]
pub struct Batch {
    lines: Vec<NewLine>,
    blocks: Vec<Packed>,
    counts: Counts,
    span: i64,
}

impl Batch {
    /// Compresses many lines, which takes a few milliseconds per megabyte.
    #[must_use]
    pub fn new(lines: Vec<NewLine>) -> Self {
        let heavy: u64 = lines.iter().map(|line| weight(line.message.len())).sum();
        let mut counts = Counts::default();
        let mut span = 0;
        for line in &lines {
            counts.add(line.stream, line.level());
            span += line.span();
        }
        let (lines, blocks) = if lines.len() >= MANY || heavy >= HEAVY {
            (Vec::new(), block::pack(&lines))
        } else {
            (lines, Vec::new())
        };
        Self {
            lines,
            blocks,
            counts,
            span,
        }
    }
}

/// Writes lines and where reading goes on, so that a restart neither repeats nor
/// loses one, and cuts what is more than `limits` allow. Returns the number of the
/// last line.
///
/// # Errors
///
/// [`Error::Stale`] if reading has already gone on from elsewhere than `from`.
pub async fn append(
    conn: &mut Conn,
    (job, attempt): (JobId, u32),
    (from, to): (&str, &str),
    batch: &Batch,
    limits: &Limits,
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
    let (last,): (i64,) =
        sqlx::query_as("UPDATE jobs SET last_log = last_log + $1 WHERE id = $2 RETURNING last_log")
            .bind(batch.span)
            .bind(&id)
            .fetch_one(&mut *conn)
            .await?;
    let mut writer = Writer {
        totals: totals(conn, job).await?,
        job,
        limits,
    };
    writer.totals.counts.sum(&batch.counts);
    let crowded = writer.totals.loose_lines + i64::try_from(batch.lines.len()).unwrap_or(0)
        > LOOSE_LINES
        || writer.totals.loose_weight > LOOSE_WEIGHT;
    if crowded || !batch.blocks.is_empty() {
        writer.seal(conn).await?;
    }
    let mut entry = last - batch.span;
    for packed in &batch.blocks {
        writer.place(conn, packed, entry).await?;
        entry += packed.span;
    }
    writer.rows(conn, &batch.lines, entry).await?;
    writer.cut(conn).await?;
    save(conn, job, &writer.totals).await?;
    Ok(last)
}

struct Writer<'a> {
    job: JobId,
    totals: Totals,
    limits: &'a Limits,
}

impl Writer<'_> {
    /// Makes blocks of the lines that are rows.
    async fn seal(&mut self, conn: &mut Conn) -> Result<(), Error> {
        while self.totals.loose_lines > 0 {
            let loose = rows(conn, PAGE, self.job, (0, SEALED)).await?;
            let (Some(first), Some(last)) = (loose.first(), loose.last()) else {
                break;
            };
            let (mut after, last) = (first.after(), last.entry);
            let lines: Vec<NewLine> = loose.into_iter().map(again).collect();
            for line in &lines {
                self.totals.loose_weight -= weighed(line);
                self.totals.loose_text -= line.text_bytes();
            }
            self.totals.loose_lines -= i64::try_from(lines.len()).unwrap_or(i64::MAX);
            for packed in block::pack(&lines) {
                self.place(conn, &packed, after).await?;
                after += packed.span;
            }
            sqlx::query("DELETE FROM job_logs WHERE job = $1 AND entry <= $2")
                .bind(self.job.to_string())
                .bind(last)
                .execute(&mut *conn)
                .await?;
        }
        Ok(())
    }

    async fn place(&mut self, conn: &mut Conn, packed: &Packed, after: i64) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO log_blocks (job, last_entry, after_entry, text_at, text_bytes, weight,
                 stdout, stderr, system, warnings, errors, began_at, plain_bytes, data)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        )
        .bind(self.job.to_string())
        .bind(after + packed.span)
        .bind(after)
        .bind(self.totals.block_text)
        .bind(packed.text_bytes)
        .bind(packed.weight)
        .bind(packed.counts.stdout)
        .bind(packed.counts.stderr)
        .bind(packed.counts.system)
        .bind(packed.counts.warnings)
        .bind(packed.counts.errors)
        .bind(packed.began_at)
        .bind(packed.plain_bytes)
        .bind(packed.data.clone())
        .execute(conn)
        .await?;
        self.totals.block_text += packed.text_bytes;
        if self.totals.head_entry.is_some() {
            self.totals.tail_weight += packed.weight;
            return Ok(());
        }
        self.totals.head_weight += packed.weight;
        if self.totals.head_weight.unsigned_abs() >= self.limits.head {
            self.totals.head_entry = Some(after + packed.span);
            self.totals.head_text = self.totals.block_text;
        }
        Ok(())
    }

    async fn rows(
        &mut self,
        conn: &mut Conn,
        lines: &[NewLine],
        mut entry: i64,
    ) -> Result<(), Error> {
        let id = self.job.to_string();
        for some in lines.chunks(ROWS) {
            let mut query = sqlx::query(AssertSqlSafe(insert_of(some.len())));
            for line in some {
                entry += line.span();
                query = query
                    .bind(id.clone())
                    .bind(entry)
                    .bind(line.stream)
                    .bind(line.message.clone())
                    .bind(i16::from(line.truncated))
                    .bind(line.dropped)
                    .bind(line.level() as i16)
                    .bind(micros(line.at));
                self.totals.loose_lines += 1;
                self.totals.loose_weight += weighed(line);
                self.totals.loose_text += line.text_bytes();
            }
            query.execute(&mut *conn).await?;
        }
        Ok(())
    }

    /// Removes the oldest blocks behind the head until the tail is small enough. The
    /// newest one stays.
    async fn cut(&mut self, conn: &mut Conn) -> Result<(), Error> {
        let Some(head) = self.totals.head_entry else {
            return Ok(());
        };
        let most = i64::try_from(self.limits.tail).unwrap_or(i64::MAX);
        while self.totals.tail_weight > most {
            let from = self.totals.cut_entry.unwrap_or(head);
            let found = metas(conn, BLOCKS, self.job, (from, CUT)).await?;
            let removable = found.len().saturating_sub(1);
            let mut last = None;
            for meta in &found[..removable] {
                if self.totals.tail_weight <= most {
                    break;
                }
                self.totals.tail_weight -= meta.weight;
                last = Some((meta.last_entry, meta.text_at + meta.text_bytes));
            }
            let Some((entry, text)) = last else { break };
            sqlx::query(
                "DELETE FROM log_blocks WHERE job = $1 AND last_entry > $2 AND last_entry <= $3",
            )
            .bind(self.job.to_string())
            .bind(from)
            .bind(entry)
            .execute(&mut *conn)
            .await?;
            (self.totals.cut_entry, self.totals.cut_text) = (Some(entry), text);
        }
        Ok(())
    }
}

fn weighed(line: &NewLine) -> i64 {
    i64::try_from(weight(line.message.len())).unwrap_or(i64::MAX)
}

fn again(line: Line) -> NewLine {
    NewLine {
        stream: line.stream,
        message: line.message,
        truncated: line.truncated,
        dropped: line.dropped,
        at: line.at,
    }
}

async fn save(conn: &mut Conn, job: JobId, totals: &Totals) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO log_totals (job, stdout, stderr, system, warnings, errors, loose_lines,
             loose_weight, loose_text, block_text, head_weight, tail_weight, head_entry, head_text,
             cut_entry, cut_text, expired)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
         ON CONFLICT (job) DO UPDATE SET stdout = $2, stderr = $3, system = $4, warnings = $5,
             errors = $6, loose_lines = $7, loose_weight = $8, loose_text = $9, block_text = $10,
             head_weight = $11, tail_weight = $12, head_entry = $13, head_text = $14,
             cut_entry = $15, cut_text = $16, expired = $17",
    )
    .bind(job.to_string())
    .bind(totals.counts.stdout)
    .bind(totals.counts.stderr)
    .bind(totals.counts.system)
    .bind(totals.counts.warnings)
    .bind(totals.counts.errors)
    .bind(totals.loose_lines)
    .bind(totals.loose_weight)
    .bind(totals.loose_text)
    .bind(totals.block_text)
    .bind(totals.head_weight)
    .bind(totals.tail_weight)
    .bind(totals.head_entry)
    .bind(totals.head_text)
    .bind(totals.cut_entry)
    .bind(totals.cut_text)
    .bind(totals.expired)
    .execute(conn)
    .await?;
    Ok(())
}

fn insert_of(rows: usize) -> String {
    let mut sql = String::from(
        "INSERT INTO job_logs (job, entry, stream, message, truncated, dropped, level, created_at) VALUES ",
    );
    for row in 0..rows {
        let comma = if row == 0 { "(" } else { ", (" };
        sql.push_str(comma);
        for column in 1..=8 {
            let comma = if column == 1 { "" } else { ", " };
            let _ = write!(sql, "{comma}${}", row * 8 + column);
        }
        sql.push(')');
    }
    sql
}

/// Jobs whose output is deleted in one round.
const EXPIRED: i64 = 50;

/// The statement behind [`expired`], for the test that looks at its plan.
pub const OLD: &str = "SELECT t.job FROM log_totals t JOIN jobs j ON j.id = t.job
     WHERE t.expired = 0 AND t.job < $1 AND j.ended = 1 AND j.completed_at < $2
     ORDER BY t.job LIMIT $3";

/// Some jobs that ended before `before` and whose output is still there.
pub async fn expired(conn: &mut Conn, before: OffsetDateTime) -> Result<Vec<JobId>, Error> {
    // Ids begin with the time at which they were given, and none is as low as this.
    let youngest = JobId::at(before, [0; 10]);
    let old: Vec<(String,)> = sqlx::query_as(OLD)
        .bind(youngest.to_string())
        .bind(micros(before))
        .bind(EXPIRED)
        .fetch_all(conn)
        .await?;
    let id = |(job,): (String,)| job.parse().map_err(|_| corrupt("log_totals", &job, "job"));
    old.into_iter().map(id).collect()
}

/// Deletes the output of a job that has ended.
pub async fn expire(conn: &mut Conn, job: JobId) -> Result<(), Error> {
    for statement in [
        "DELETE FROM log_blocks WHERE job = $1",
        "DELETE FROM job_logs WHERE job = $1",
        "UPDATE log_totals SET expired = 1, loose_lines = 0, loose_weight = 0, loose_text = 0,
             block_text = 0, head_weight = 0, tail_weight = 0, head_entry = NULL,
             head_text = 0, cut_entry = NULL, cut_text = 0
         WHERE job = $1",
    ] {
        sqlx::query(statement)
            .bind(job.to_string())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}
