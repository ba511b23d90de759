//! Lists of jobs: filtered, sorted, and read page by page in both directions.
//!
//! Every list is read off an index in its own order. What a filter leaves open is
//! walked once for each of its values, and the walks are put together: no list looks
//! at jobs that are not on its page. How a text is looked for, `search` says.
use super::row::Row;
use super::{Job, search};
use crate::clock::micros;
use crate::domain::id::WorkspaceId;
use crate::domain::job::Status;
use crate::domain::spec::WorkloadType;
use crate::store::{Conn, Error, places};
use sqlx::AssertSqlSafe;
use std::collections::HashMap;

/// In which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    #[default]
    Newest,
    Oldest,
    /// The dearest first; those whose cost is not known yet come last.
    Cost,
    /// Those that ran longest first; those that have not ended, or never ran, last.
    Runtime,
}

impl Sort {
    pub const ALL: [Self; 4] = [Self::Newest, Self::Oldest, Self::Cost, Self::Runtime];

    /// The word for it in addresses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Cost => "cost",
            Self::Runtime => "runtime",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sort| sort.name() == name)
    }

    /// Whether it is an order of time, which goes together with every filter.
    #[must_use]
    pub const fn by_time(self) -> bool {
        matches!(self, Self::Newest | Self::Oldest)
    }

    /// By what it sorts, as its index has it.
    const fn key(self) -> &'static str {
        match self {
            Self::Newest | Self::Oldest => "created_at",
            Self::Cost => "COALESCE(cost, -1)",
            Self::Runtime => "COALESCE(completed_at - started_at, -1)",
        }
    }

    /// Where a job is in this order.
    #[must_use]
    pub fn key_of(self, job: &Job) -> i64 {
        match self {
            Self::Newest | Self::Oldest => micros(job.created_at),
            Self::Cost => job.cost.map_or(-1, crate::domain::money::Usd::micros),
            Self::Runtime => match (job.state.since(), job.completed_at) {
                (Some(since), Some(end)) => micros(end) - micros(since),
                _ => -1,
            },
        }
    }
}

/// Next to which job a page is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub key: i64,
    pub id: String,
    /// Whether the page stands before that job instead of after it.
    pub before: bool,
}

/// Which jobs of a workspace, and from where on.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Empty for any.
    pub statuses: Vec<Status>,
    pub workload_type: Option<WorkloadType>,
    /// All of it; empty for any.
    pub image: String,
    /// Part of name, image or id, in any case; empty for any.
    pub text: String,
    /// Made at this time (microseconds since the epoch) or later.
    pub from: Option<i64>,
    /// Made before this time.
    pub until: Option<i64>,
    pub sort: Sort,
    pub place: Option<Place>,
    pub limit: usize,
}

/// Some jobs, in the order of the list even where they stand before a place.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    pub jobs: Vec<Job>,
    /// Whether there are more in the direction of reading.
    pub more: bool,
    /// How far the search came, if it has given up before the page was full.
    pub reached: Option<(i64, String)>,
}

/// From where to where jobs are read; neither end is included.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) after: (i64, String),
    pub(super) before: (i64, String),
    pub(super) descending: bool,
}

impl Span {
    /// Whether this place is in it.
    pub(super) fn holds(&self, at: i64, id: &str) -> bool {
        (self.after.0, self.after.1.as_str()) < (at, id)
            && (at, id) < (self.before.0, self.before.1.as_str())
    }

    /// What of it comes after this place in the direction of reading.
    pub(super) fn beyond(&self, place: &(i64, String)) -> Self {
        let mut span = self.clone();
        if span.descending {
            span.before = span.before.min(place.clone());
        } else {
            span.after = span.after.max(place.clone());
        }
        span
    }
}

impl Filter {
    /// Whether nothing but a text, a time and an order are asked for.
    pub(super) fn has_text_only(&self) -> bool {
        self.statuses.is_empty() && self.workload_type.is_none() && self.image.is_empty()
    }

    /// Whether a job with these has what is asked for besides the text and the time.
    pub(super) fn fits(&self, status: &str, workload_type: &str, image: &str) -> bool {
        let any = self.statuses.is_empty();
        (any || self.statuses.iter().any(|one| one.name() == status))
            && self
                .workload_type
                .is_none_or(|one| one.name() == workload_type)
            && (self.image.is_empty() || self.image == image)
    }

    fn span(&self) -> Span {
        let descends = self.sort != Sort::Oldest;
        let backward = self.place.as_ref().is_some_and(|place| place.before);
        let descending = descends != backward;
        // No id is empty, so this is before everything of that moment.
        let (mut after, mut before) = ((i64::MIN, String::new()), (i64::MAX, String::new()));
        if self.sort.by_time() {
            after.0 = self.from.unwrap_or(i64::MIN);
            before.0 = self.until.unwrap_or(i64::MAX);
        }
        let span = Span {
            after,
            before,
            descending,
        };
        match &self.place {
            Some(place) => span.beyond(&(place.key, place.id.clone())),
            None => span,
        }
    }

    /// What of the columns before the order's own each walk holds on to.
    fn walks(&self) -> Vec<String> {
        let statuses = match self.statuses.as_slice() {
            [] => &Status::ALL[..],
            some => some,
        };
        let kinds = match &self.workload_type {
            None => &WorkloadType::ALL[..],
            Some(one) => std::slice::from_ref(one),
        };
        let image = !self.image.is_empty();
        let status = |status: &Status| format!(" AND status = '{}'", status.name());
        let kind = |kind: &WorkloadType| format!(" AND workload_type = '{}'", kind.name());
        if self.sort.by_time() && !image && self.workload_type.is_none() {
            return match self.statuses.as_slice() {
                [] => vec![String::new()],
                some => some.iter().map(status).collect(),
            };
        }
        let image = if image { " AND image = $7" } else { "" };
        let each = statuses.iter().flat_map(|one| {
            let status = status(one);
            kinds
                .iter()
                .map(move |one| format!("{image}{}{status}", kind(one)))
        });
        each.collect()
    }

    /// The statement of all walks: `$1` the workspace, `$2`, `$3` and `$4`, `$5` the
    /// ends, `$6` how many, `$7` the image.
    #[must_use]
    pub fn statement(&self) -> String {
        let key = self.sort.key();
        let descending = self.span().descending;
        let order = if descending { "DESC" } else { "ASC" };
        // Pairs are looked up in an index of columns, not in one of expressions: there
        // those with the same figure are a walk of their own.
        let sorted = format!("{key} {order}, id {order}");
        let ends: &[String] = &if self.sort.by_time() {
            vec![format!(
                "({key}, id) > ($2, $3) AND ({key}, id) < ($4, $5) ORDER BY {sorted}"
            )]
        } else if descending {
            vec![
                format!("{key} < $4 ORDER BY {sorted}"),
                format!("{key} = $4 AND id < $5 ORDER BY id {order}"),
            ]
        } else {
            vec![
                format!("{key} > $2 ORDER BY {sorted}"),
                format!("{key} = $2 AND id > $3 ORDER BY id {order}"),
            ]
        };
        let walks = self.walks();
        let walks = walks
            .iter()
            .flat_map(|walk| ends.iter().map(move |end| (walk, end)));
        let walks = walks.enumerate().map(|(n, (walk, end))| {
            format!(
                "SELECT * FROM (SELECT {key} AS place, id FROM jobs WHERE workspace = $1{walk} AND {end}
                 LIMIT $6) AS walk{n}"
            )
        });
        let walks: Vec<String> = walks.collect();
        let all = walks.join(" UNION ALL ");
        match walks.len() {
            1 => all,
            // The limit inside keeps SQLite from merging walk by walk, which takes longer
            // than to sort so few.
            count => format!(
                "SELECT * FROM ({all} LIMIT $6 * {count}) AS walks
                 ORDER BY place {order}, id {order} LIMIT $6"
            ),
        }
    }
}

/// Jobs of a workspace.
pub async fn list(conn: &mut Conn, workspace: WorkspaceId, filter: &Filter) -> Result<Page, Error> {
    let span = filter.span();
    let mut page = if filter.text.is_empty() {
        let ask = (filter.statement(), filter.limit + 1);
        let mut places = walk(conn, workspace, filter, &span, ask).await?;
        let more = places.len() > filter.limit;
        places.truncate(filter.limit);
        Page {
            jobs: read(conn, &places).await?,
            more,
            reached: None,
        }
    } else {
        search::search(conn, workspace, filter, span).await?
    };
    if filter.place.as_ref().is_some_and(|place| place.before) {
        page.jobs.reverse();
    }
    Ok(page)
}

/// Where the first jobs of a span are, in the direction of reading: what the
/// statement says, `limit` at most.
pub(super) async fn walk(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &Filter,
    span: &Span,
    (statement, limit): (String, usize),
) -> Result<Vec<(i64, String)>, Error> {
    let mut query = sqlx::query_as(AssertSqlSafe(statement))
        .bind(workspace.to_string())
        .bind(span.after.0)
        .bind(&span.after.1)
        .bind(span.before.0)
        .bind(&span.before.1)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX));
    if !filter.image.is_empty() {
        query = query.bind(&filter.image);
    }
    Ok(query.fetch_all(conn).await?)
}

/// The jobs at these places, in this order.
pub(super) async fn read(conn: &mut Conn, at: &[(i64, String)]) -> Result<Vec<Job>, Error> {
    if at.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!("SELECT * FROM jobs WHERE id IN ({})", places(at.len()));
    let mut query = sqlx::query_as::<_, Row>(AssertSqlSafe(sql));
    for (_, id) in at {
        query = query.bind(id);
    }
    let rows = query.fetch_all(conn).await?;
    let mut jobs = HashMap::with_capacity(rows.len());
    for row in rows {
        let job = Job::try_from(row)?;
        jobs.insert(job.id.to_string(), job);
    }
    Ok(at.iter().filter_map(|(_, id)| jobs.remove(id)).collect())
}
