//! What can be searched of jobs, in blocks of jobs that were submitted one after
//! the other.
use super::Job;
use crate::clock::micros;
use crate::domain::id::WorkspaceId;
use crate::domain::spec::WorkloadType;
use crate::store::{Conn, Error};

/// Stands behind each record; nothing that is searched for has it in it.
const END: char = '\u{1e}';
/// Blocks read at a time.
const BATCH: usize = 16;

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
    /// In lower case.
    pub(super) text: &'a str,
    pub(super) workload_type: Option<WorkloadType>,
    /// Empty for any.
    pub(super) image: &'a str,
    /// Between these two, neither included.
    pub(super) after: (i64, &'a str),
    pub(super) before: (i64, &'a str),
    pub(super) newest_first: bool,
}

/// The statement that finds blocks, for the test that looks at its plan.
pub const BLOCKS: &str = "SELECT block, first_at, last_at FROM job_texts
     WHERE workspace = $1 AND last_at >= $2 AND first_at <= $3 AND text LIKE $4 ESCAPE '!'";

/// Blocks that hold the text, those that come first last.
#[derive(Debug)]
pub(super) struct Search<'a> {
    sought: Sought<'a>,
    workspace: String,
    blocks: Vec<(i64, i64, i64)>,
    /// Found, those that come first last, and not known to be the next yet.
    found: Vec<(i64, String)>,
}

impl<'a> Search<'a> {
    pub(super) async fn begin(
        conn: &mut Conn,
        workspace: WorkspaceId,
        sought: Sought<'a>,
    ) -> Result<Self, Error> {
        let workspace = workspace.to_string();
        let mut blocks: Vec<(i64, i64, i64)> = sqlx::query_as(BLOCKS)
            .bind(&workspace)
            .bind(sought.after.0)
            .bind(sought.before.0)
            .bind(super::queries::pattern(sought.text))
            .fetch_all(conn)
            .await?;
        if sought.newest_first {
            blocks.sort_unstable_by_key(|(block, _, last)| (*last, *block));
        } else {
            blocks.sort_unstable_by_key(|(block, first, _)| std::cmp::Reverse((*first, *block)));
        }
        Ok(Self {
            sought,
            workspace,
            blocks,
            found: Vec::new(),
        })
    }

    /// At least the next `most` jobs that have the text, in their order, or all that
    /// are left: no job that comes later can stand before them.
    pub(super) async fn next(
        &mut self,
        conn: &mut Conn,
        most: usize,
    ) -> Result<Vec<(i64, String)>, Error> {
        loop {
            let certain = match self.blocks.last() {
                None => self.found.len(),
                Some((_, first, last)) => {
                    let certain = |at: i64| {
                        if self.sought.newest_first {
                            at > *last
                        } else {
                            at < *first
                        }
                    };
                    let found = self.found.iter().rev();
                    found.take_while(|(at, _)| certain(*at)).count()
                }
            };
            if certain >= most || self.blocks.is_empty() {
                let from = self.found.len() - certain;
                let mut next = self.found.split_off(from);
                next.reverse();
                return Ok(next);
            }
            self.read(conn).await?;
        }
    }

    async fn read(&mut self, conn: &mut Conn) -> Result<(), Error> {
        let from = self.blocks.len().saturating_sub(BATCH);
        let batch = self.blocks.split_off(from);
        let places: Vec<String> = (2..batch.len() + 2).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT keys, text FROM job_texts WHERE workspace = $1 AND block IN ({})",
            places.join(", ")
        );
        let mut query = sqlx::query_as::<_, (String, String)>(sqlx::AssertSqlSafe(sql));
        query = query.bind(&self.workspace);
        for (block, ..) in batch {
            query = query.bind(block);
        }
        for (keys, text) in query.fetch_all(conn).await? {
            self.found.extend(
                keys.split(END)
                    .zip(text.split(END))
                    .filter_map(|(key, text)| self.sought.one(key, text)),
            );
        }
        self.found.sort_unstable();
        if !self.sought.newest_first {
            self.found.reverse();
        }
        Ok(())
    }
}

impl Sought<'_> {
    fn one(&self, key: &str, text: &str) -> Option<(i64, String)> {
        let (at, kind) = key.split_once(' ')?;
        let at = at.parse().ok()?;
        let mut fields = text.rsplit('\n');
        let (id, image) = (fields.next()?, fields.next()?);
        let wanted = text.contains(self.text)
            && self.workload_type.is_none_or(|one| one.name() == kind)
            && (self.image.is_empty() || self.image == image)
            && (at, id) > self.after
            && (at, id) < self.before;
        wanted.then(|| (at, id.to_owned()))
    }
}
