//! Lists of jobs: filtered, sorted, and read page by page in both directions.
//!
//! Every list is read off an index in its own order. What a filter leaves open is
//! walked once for each of its values, and the walks are put together here: no
//! list looks at jobs that are not on its page. A text is looked for in blocks; see
//! [`super::texts`].
use super::Job;
use super::row::Row;
use super::texts::{Search, Sought};
use crate::clock::micros;
use crate::domain::id::WorkspaceId;
use crate::domain::job::Status;
use crate::domain::spec::WorkloadType;
use crate::store::{Conn, Error, places};
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::QueryAs;
use sqlx::{Any, AssertSqlSafe, FromRow};
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

/// A search looks at so many jobs that have the text, or one of the statuses, and
/// goes on with the next page.
const LOOKS: usize = 2_000;
/// Of them at a time.
const CHUNK: usize = 250;

/// From where to where jobs are read; neither end is included.
#[derive(Debug, Clone)]
struct Span {
    after: (i64, String),
    before: (i64, String),
    descending: bool,
}

impl Filter {
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
        if let Some(place) = &self.place {
            let place = (place.key, place.id.clone());
            if descending {
                before = before.min(place);
            } else {
                after = after.max(place);
            }
        }
        Span {
            after,
            before,
            descending,
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
        walks.collect::<Vec<_>>().join(" UNION ALL ")
    }

    /// How many jobs all walks find together, as far as `$6`.
    fn counting(&self) -> String {
        format!(
            "SELECT COUNT(*) FROM ({} LIMIT $6) AS all_walks",
            self.statement()
        )
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
        search(conn, workspace, filter, &span).await?
    };
    if filter.place.as_ref().is_some_and(|place| place.before) {
        page.jobs.reverse();
    }
    Ok(page)
}

/// A statement of walks, with its parameters.
fn bound<'q, T>(
    statement: String,
    workspace: WorkspaceId,
    filter: &'q Filter,
    span: &'q Span,
    limit: usize,
) -> QueryAs<'q, Any, T, AnyArguments>
where
    T: for<'r> FromRow<'r, AnyRow>,
{
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
    query
}

/// Where the first jobs of a span are, in the direction of reading: what the
/// statement says, `limit` at most.
async fn walk(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &Filter,
    span: &Span,
    (statement, limit): (String, usize),
) -> Result<Vec<(i64, String)>, Error> {
    let query = bound(statement, workspace, filter, span, limit);
    let mut places = query.fetch_all(conn).await?;
    places.sort_unstable();
    if span.descending {
        places.reverse();
    }
    places.truncate(limit);
    Ok(places)
}

/// The jobs at these places, in this order.
async fn read(conn: &mut Conn, at: &[(i64, String)]) -> Result<Vec<Job>, Error> {
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

/// Those with the text. Few jobs with one of the statuses are looked at one by one;
/// else those with the text are asked for their status.
async fn search(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &Filter,
    span: &Span,
) -> Result<Page, Error> {
    let text = filter.text.to_lowercase();
    let wanted = filter.limit + 1;
    let mut found = Vec::new();
    let mut reached = None;
    let few = if filter.statuses.is_empty() {
        None
    } else {
        let asked = bound(filter.counting(), workspace, filter, span, LOOKS + 1);
        let (count,): (i64,) = asked.fetch_one(&mut *conn).await?;
        if usize::try_from(count).is_ok_and(|count| count <= LOOKS) {
            let ask = (filter.statement(), LOOKS);
            Some(walk(conn, workspace, filter, span, ask).await?)
        } else {
            None
        }
    };
    if let Some(all) = few {
        for chunk in all.chunks(CHUNK) {
            let with = with_text(conn, chunk, &text).await?;
            found.extend(with);
            if found.len() >= wanted {
                break;
            }
        }
    } else {
        let image = filter.image.to_lowercase();
        let sought = Sought {
            text: &text,
            workload_type: filter.workload_type,
            image: &image,
            after: (span.after.0, &span.after.1),
            before: (span.before.0, &span.before.1),
            newest_first: span.descending,
        };
        let certain = filter.statuses.is_empty() && filter.image.is_empty();
        // Most often the first few are enough.
        let mut step = if certain { wanted } else { 2 * wanted };
        let mut search = Search::begin(conn, workspace, sought).await?;
        let mut looks = 0;
        loop {
            let next = search.next(conn, step).await?;
            let over = next.len() < step;
            looks += next.len();
            step = CHUNK.max(step);
            let last = next.last().cloned();
            if certain {
                found.extend(next);
            } else {
                found.extend(confirmed(conn, next, filter).await?);
            }
            if over || found.len() >= wanted {
                break;
            }
            if looks >= LOOKS {
                reached = last;
                break;
            }
        }
    }
    let more = found.len() > filter.limit || reached.is_some();
    if found.len() > filter.limit {
        found.truncate(filter.limit);
        reached = None;
    }
    Ok(Page {
        jobs: read(conn, &found).await?,
        more,
        reached,
    })
}

/// Those of `all` that have the text.
async fn with_text(
    conn: &mut Conn,
    all: &[(i64, String)],
    text: &str,
) -> Result<Vec<(i64, String)>, Error> {
    let sql = format!(
        "SELECT id, haystack FROM jobs WHERE id IN ({})",
        places(all.len())
    );
    let mut query = sqlx::query_as::<_, (String, String)>(AssertSqlSafe(sql));
    for (_, id) in all {
        query = query.bind(id);
    }
    let texts: HashMap<String, String> = query.fetch_all(conn).await?.into_iter().collect();
    let has = |id: &String| texts.get(id).is_some_and(|all| all.contains(text));
    Ok(all.iter().filter(|(_, id)| has(id)).cloned().collect())
}

/// Those of `all` that have one of the statuses, and the image as it is written.
async fn confirmed(
    conn: &mut Conn,
    all: Vec<(i64, String)>,
    filter: &Filter,
) -> Result<Vec<(i64, String)>, Error> {
    if all.is_empty() {
        return Ok(all);
    }
    let mut kept = Vec::new();
    for chunk in all.chunks(CHUNK) {
        let sql = format!(
            "SELECT id, status, image FROM jobs WHERE id IN ({})",
            places(chunk.len())
        );
        let mut query = sqlx::query_as::<_, (String, String, String)>(AssertSqlSafe(sql));
        for (_, id) in chunk {
            query = query.bind(id);
        }
        let is_wanted = |status: &str, image: &str| {
            let statuses = &filter.statuses;
            (statuses.is_empty() || statuses.iter().any(|one| one.name() == status))
                && (filter.image.is_empty() || filter.image == image)
        };
        let found: HashMap<String, bool> = query
            .fetch_all(&mut *conn)
            .await?
            .into_iter()
            .map(|(id, status, image)| (id, is_wanted(&status, &image)))
            .collect();
        let wanted = chunk
            .iter()
            .filter(|(_, id)| found.get(id).copied().unwrap_or(false));
        kept.extend(wanted.cloned());
    }
    Ok(kept)
}
