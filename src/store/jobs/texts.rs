//! What can be searched of jobs, in blocks of jobs that were submitted one after
//! the other.
use super::Job;
use super::listing::Span;
use super::queries::pattern;
use crate::clock::micros;
use crate::domain::id::{JobId, WorkspaceId};
use crate::domain::spec::WorkloadType;
use crate::store::{Conn, Error};
use memchr::memmem::Finder;

/// Stands behind each record; nothing that is searched for has it in it.
const END: char = '\u{1e}';
/// Blocks read at first, because most often these are enough, and at most at a time.
const FEW: i64 = 2;
const MANY: i64 = 32;
/// A search reads so many records of blocks that have its text, and more only where they
/// are all of one moment.
const RECORDS: usize = 24_000;

/// Name, image and id in lower case, on a line each.
pub(super) fn haystack(job: &Job) -> String {
    let spec = &job.spec;
    let text = format!("{}\n{}\n{}", spec.name, spec.image, job.id);
    text.to_lowercase().replace(END, " ")
}

/// Adds a new job to the newest block, or to one of its own if that is full.
pub(super) async fn append(conn: &mut Conn, job: &Job) -> Result<(), Error> {
    let (workspace, at) = (job.workspace.to_string(), micros(job.created_at));
    let keys = format!("{at} {}{END}", job.spec.workload_type.name());
    let text = format!("{}{END}", haystack(job));
    let appended = sqlx::query(
        "UPDATE job_texts SET jobs = jobs + 1, keys = keys || $1, text = text || $2,
             first_at = CASE WHEN first_at < $3 THEN first_at ELSE $3 END,
             last_at = CASE WHEN last_at > $3 THEN last_at ELSE $3 END
         WHERE workspace = $4 AND jobs < 100
           AND block = (SELECT MAX(block) FROM job_texts WHERE workspace = $4)",
    )
    .bind(&keys)
    .bind(&text)
    .bind(at)
    .bind(&workspace)
    .execute(&mut *conn)
    .await?;
    if appended.rows_affected() > 0 {
        return Ok(());
    }
    // Two who find the last block full begin the same one.
    sqlx::query(
        "INSERT INTO job_texts (workspace, block, jobs, first_at, last_at, keys, text)
         SELECT $1, COALESCE(MAX(block), 0) + 1, 1, $2, $2, $3, $4 FROM job_texts WHERE workspace = $1
         ON CONFLICT (workspace, block) DO UPDATE
         SET jobs = job_texts.jobs + 1, keys = job_texts.keys || excluded.keys, text = job_texts.text || excluded.text,
             first_at = CASE WHEN job_texts.first_at < excluded.first_at THEN job_texts.first_at ELSE excluded.first_at END,
             last_at = CASE WHEN job_texts.last_at > excluded.last_at THEN job_texts.last_at ELSE excluded.last_at END",
    )
    .bind(workspace)
    .bind(at)
    .bind(keys)
    .bind(text)
    .execute(conn)
    .await?;
    Ok(())
}

/// What is looked for, and where.
#[derive(Debug, Clone)]
pub(super) struct Sought<'a> {
    /// In lower case, as the image is.
    pub(super) text: &'a str,
    pub(super) workload_type: Option<WorkloadType>,
    /// Empty for any.
    pub(super) image: &'a str,
    pub(super) span: Span,
}

/// The statements that read blocks, for the test that looks at their plans: `$1` the
/// workspace, `$2`, `$3` the block before, `$4`, `$5` the ends, `$6`, `$7`, `$8` what is in
/// them, `$9` how many.
pub const NEWEST: &str = "SELECT last_at, block, keys, text FROM job_texts
     WHERE workspace = $1 AND (last_at, block) < ($2, $3) AND last_at >= $4 AND first_at <= $5
       AND text LIKE $6 ESCAPE '!' AND text LIKE $7 ESCAPE '!' AND keys LIKE $8
     ORDER BY last_at DESC, block DESC LIMIT $9";
pub const OLDEST: &str = "SELECT first_at, block, keys, text FROM job_texts
     WHERE workspace = $1 AND (first_at, block) > ($2, $3) AND last_at >= $4 AND first_at <= $5
       AND text LIKE $6 ESCAPE '!' AND text LIKE $7 ESCAPE '!' AND keys LIKE $8
     ORDER BY first_at, block LIMIT $9";

/// Some jobs that have the text, in the order of reading.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) places: Vec<(i64, String)>,
    /// No other job up to here has it; nothing if there is no other at all.
    pub(super) end: Option<(i64, String)>,
}

/// Reads blocks that hold the text, in the order of the list.
#[derive(Debug)]
pub(super) struct Search<'a> {
    sought: Sought<'a>,
    finder: Finder<'a>,
    workspace: String,
    /// The last block read, and when the last of its jobs was made, or the first of them
    /// where the oldest come first; nothing if there is no other.
    edge: Option<(i64, i64)>,
    batch: i64,
    records: usize,
    /// Found, those that come first last, and not known to be the next yet.
    found: Vec<(i64, String)>,
}

impl<'a> Search<'a> {
    pub(super) fn begin(workspace: WorkspaceId, sought: Sought<'a>) -> Self {
        let edge = if sought.span.descending {
            (i64::MAX, i64::MAX)
        } else {
            (i64::MIN, i64::MIN)
        };
        Self {
            finder: Finder::new(sought.text),
            workspace: workspace.to_string(),
            edge: Some(edge),
            batch: FEW,
            records: 0,
            found: Vec::new(),
            sought,
        }
    }

    /// How many records have been read.
    pub(super) const fn records(&self) -> usize {
        self.records
    }

    /// Whether as many have been read as one search may.
    pub(super) const fn is_spent(&self) -> bool {
        self.records >= RECORDS
    }

    /// Leaves out what is not in this part of the span.
    pub(super) fn go_on_from(&mut self, span: &Span) {
        self.found.retain(|(at, id)| span.holds(*at, id));
        self.sought.span = span.clone();
    }

    /// The next `most` jobs that have the text, or all that are left; fewer once the
    /// search is spent.
    pub(super) async fn next(&mut self, conn: &mut Conn, most: usize) -> Result<Found, Error> {
        loop {
            let Some((at, _)) = self.edge else {
                let all = self.found.len() <= most;
                let places = self.take(most);
                let end = places.last().filter(|_| !all).cloned();
                return Ok(Found { places, end });
            };
            // What has not been read may be of the very moment of the edge.
            let newest_first = self.sought.span.descending;
            let certain = |found: &i64| {
                if newest_first {
                    *found > at
                } else {
                    *found < at
                }
            };
            let found = self.found.iter().rev();
            let count = found.take_while(|(at, _)| certain(at)).count();
            let end = if newest_first {
                (at.saturating_add(1), JobId::MIN.to_string())
            } else {
                (at.saturating_sub(1), JobId::MAX.to_string())
            };
            let further = self.sought.span.holds(end.0, &end.1);
            if count >= most || self.is_spent() && further {
                let places = self.take(most.min(count));
                let end = places
                    .last()
                    .filter(|_| count > most)
                    .cloned()
                    .or(Some(end));
                return Ok(Found { places, end });
            }
            self.read(conn).await?;
        }
    }

    /// The next so many of those found, or all.
    fn take(&mut self, count: usize) -> Vec<(i64, String)> {
        let rest = self.found.len().saturating_sub(count);
        let mut places = self.found.split_off(rest);
        places.reverse();
        places
    }

    /// Reads the next few blocks.
    async fn read(&mut self, conn: &mut Conn) -> Result<(), Error> {
        let Some((at, block)) = self.edge else {
            return Ok(());
        };
        let Sought {
            text, image, span, ..
        } = &self.sought;
        let image = if image.is_empty() {
            "%".to_owned()
        } else {
            pattern(&format!("\n{image}\n"))
        };
        let kind = self
            .sought
            .workload_type
            .map_or_else(|| "%".to_owned(), |kind| format!("% {}{END}%", kind.name()));
        let statement = if span.descending { NEWEST } else { OLDEST };
        let blocks: Vec<(i64, i64, String, String)> = sqlx::query_as(statement)
            .bind(&self.workspace)
            .bind(at)
            .bind(block)
            .bind(span.after.0)
            .bind(span.before.0)
            .bind(pattern(text))
            .bind(image)
            .bind(kind)
            .bind(self.batch)
            .fetch_all(conn)
            .await?;
        let all = i64::try_from(blocks.len()).is_ok_and(|count| count < self.batch);
        self.edge = blocks
            .last()
            .map(|(at, block, ..)| (*at, *block))
            .filter(|_| !all);
        self.batch = MANY.min(2 * self.batch);
        for (_, _, keys, text) in blocks {
            for (key, text) in keys.split_terminator(END).zip(text.split_terminator(END)) {
                self.records += 1;
                if self.finder.find(text.as_bytes()).is_some() {
                    self.found.extend(self.sought.one(key, text));
                }
            }
        }
        self.found.sort_unstable();
        if !self.sought.span.descending {
            // Those that come first are the last, and are taken from there.
            self.found.reverse();
        }
        Ok(())
    }
}

impl Sought<'_> {
    /// Where a job that has the text is, if it has the rest too.
    fn one(&self, key: &str, text: &str) -> Option<(i64, String)> {
        let (at, kind) = key.split_once(' ')?;
        let at = at.parse().ok()?;
        let mut fields = text.rsplit('\n');
        let (id, image) = (fields.next()?, fields.next()?);
        let wanted = self.workload_type.is_none_or(|one| one.name() == kind)
            && (self.image.is_empty() || self.image == image)
            && self.span.holds(at, id);
        wanted.then(|| (at, id.to_owned()))
    }
}
