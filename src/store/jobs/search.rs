//! A text looked for in jobs, page by page.
//!
//! Two streams in the order of the list are held against each other: jobs that have
//! the text, out of blocks ([`super::texts`]), and jobs that have the rest of what is
//! asked for, off an index. Where one of them has few, these are looked at one by one.
//! A search that has read much without filling its page says how far it came, and goes
//! on with the next page.
use super::listing::{Filter, Page, Span, read, walk};
use super::texts::{Found, Search, Sought};
use crate::domain::id::WorkspaceId;
use crate::store::{Conn, Error, places};
use sqlx::AssertSqlSafe;
use std::collections::HashSet;

/// As much as a search may do before it says how far it came, counted in rows of an
/// index. A search is to answer within a fiftieth of a second.
const EFFORT: usize = 6_000;
/// What it takes to look at one job by itself.
const LOOK: usize = 4;
/// How many records of a block are read in the time of a row.
const RECORDS_PER_ROW: usize = 8;
/// Jobs looked at by one statement, at most. A power of two.
const CHUNK: usize = 256;

type At = (i64, String);

/// Jobs with the text.
pub(super) async fn search(
    conn: &mut Conn,
    workspace: WorkspaceId,
    filter: &Filter,
    span: Span,
) -> Result<Page, Error> {
    let text = filter.text.to_lowercase();
    let image = filter.image.to_lowercase();
    let sought = Sought {
        text: &text,
        workload_type: filter.workload_type,
        image: &image,
        span: span.clone(),
    };
    let texts = Search::begin(workspace, sought);
    let (mut found, mut reached) = if filter.has_text_only() {
        alone(conn, filter, texts).await?
    } else {
        let both = Both {
            workspace,
            filter,
            text: &text,
            span,
        };
        both.search(conn, texts).await?
    };
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

/// Where they are, and how far the search came if it gave up before the page was full.
type Outcome = (Vec<At>, Option<At>);

/// Those with the text, whatever else they are.
async fn alone(conn: &mut Conn, filter: &Filter, mut texts: Search<'_>) -> Result<Outcome, Error> {
    let next = texts.next(conn, filter.limit + 1).await?;
    let full = next.places.len() > filter.limit;
    Ok((next.places, next.end.filter(|_| !full)))
}

/// What is known of one of the streams: these jobs, and no other up to the end, or none
/// at all if it has no end.
#[derive(Debug, Default)]
struct Stream {
    places: Vec<At>,
    end: Option<At>,
    /// How many there were at first.
    read: usize,
}

impl Stream {
    fn new(places: Vec<At>, end: Option<At>) -> Self {
        Self {
            read: places.len(),
            places,
            end,
        }
    }

    /// Takes those up to this place.
    fn up_to(&mut self, place: &At, descending: bool) -> Vec<At> {
        let beyond = |one: &At| if descending { one < place } else { one > place };
        let far = self.places.partition_point(|one| !beyond(one));
        let rest = self.places.split_off(far);
        std::mem::replace(&mut self.places, rest)
    }

    /// Whether the other stream was used up before much of this one was, so that it is
    /// quicker to look at these than to read on in the other.
    fn has_few(&self) -> bool {
        !self.places.is_empty()
            && (4 * self.places.len() >= 3 * self.read
                || self.end.is_none() && self.places.len() <= CHUNK)
    }
}

/// A search for a text and something else.
struct Both<'a> {
    workspace: WorkspaceId,
    filter: &'a Filter,
    text: &'a str,
    /// What is left of it.
    span: Span,
}

impl Both<'_> {
    async fn search(mut self, conn: &mut Conn, mut texts: Search<'_>) -> Result<Outcome, Error> {
        let statement = self.filter.statement();
        let wanted = self.filter.limit + 1;
        let (mut found, mut effort) = (Vec::new(), 0);
        // Most often the first few are enough.
        let mut step = 2 * wanted;
        let (mut fitting, mut having) = (Stream::default(), Stream::default());
        loop {
            if fitting.places.is_empty() {
                let ask = (statement.clone(), step);
                let next = walk(conn, self.workspace, self.filter, &self.span, ask).await?;
                effort += next.len();
                let end = next.last().filter(|_| next.len() == step).cloned();
                fitting = Stream::new(next, end);
                if fitting.end.is_none() {
                    self.add(conn, &mut found, &fitting.places).await?;
                    return Ok((found, None));
                }
            }
            if having.places.is_empty() {
                texts.go_on_from(&self.span);
                let Found { places, end } = texts.next(conn, step).await?;
                effort += places.len();
                having = Stream::new(places, end);
            }
            let Some(end) = self.next_end(&fitting, &having).cloned() else {
                return Ok((found, None));
            };
            let near = having.up_to(&end, self.span.descending);
            let fits = fitting.up_to(&end, self.span.descending);
            found.extend(common(&near, &fits));
            let mut reached = Some(end);
            for few in [&mut having, &mut fitting] {
                if found.len() < wanted && few.has_few() {
                    effort += self.add(conn, &mut found, &few.places).await? * LOOK;
                    reached = few.end.take();
                    few.places.clear();
                }
            }
            let Some(reached) = reached.filter(|_| found.len() < wanted) else {
                return Ok((found, None));
            };
            if effort + texts.records() / RECORDS_PER_ROW >= EFFORT || texts.is_spent() {
                return Ok((found, Some(reached)));
            }
            self.span = self.span.beyond(&reached);
            step = step.max(CHUNK);
        }
    }

    /// How far can be told what both streams have; nothing if that is all.
    fn next_end<'s>(&self, fitting: &'s Stream, having: &'s Stream) -> Option<&'s At> {
        if having.places.is_empty() {
            // Where none has the text, it does not matter what else there is.
            return having.end.as_ref();
        }
        let Some(end) = &having.end else {
            return fitting.end.as_ref();
        };
        let other = fitting.end.as_ref()?;
        Some(if self.span.descending {
            end.max(other)
        } else {
            end.min(other)
        })
    }

    /// Looks at each of `all` until the page is full, and adds those that are wanted;
    /// how many were looked at.
    async fn add(&self, conn: &mut Conn, found: &mut Vec<At>, all: &[At]) -> Result<usize, Error> {
        let mut looked = 0;
        for chunk in all.chunks(CHUNK) {
            if found.len() > self.filter.limit {
                break;
            }
            let rows = look(conn, chunk).await?;
            let wanted = rows.iter().filter(|row| {
                row.haystack.contains(self.text)
                    && self
                        .filter
                        .fits(&row.status, &row.workload_type, &row.image)
            });
            let wanted: HashSet<&str> = wanted.map(|row| row.id.as_str()).collect();
            let chosen = chunk.iter().filter(|(_, id)| wanted.contains(id.as_str()));
            found.extend(chosen.cloned());
            looked += chunk.len();
        }
        Ok(looked)
    }
}

/// Those of `all` that are among `others`.
fn common(all: &[At], others: &[At]) -> impl Iterator<Item = At> {
    let others: HashSet<&At> = others.iter().collect();
    all.iter().filter(move |one| others.contains(one)).cloned()
}

#[derive(Debug, sqlx::FromRow)]
struct Looked {
    id: String,
    haystack: String,
    status: String,
    workload_type: String,
    image: String,
}

/// What there is to know about these jobs, in no order. So that few statements have to
/// be prepared, they ask for a round number of ids.
async fn look(conn: &mut Conn, at: &[At]) -> Result<Vec<Looked>, Error> {
    let Some((_, last)) = at.last() else {
        return Ok(Vec::new());
    };
    let count = at.len().next_power_of_two().max(CHUNK / 8);
    let sql = format!(
        "SELECT id, haystack, status, workload_type, image FROM jobs WHERE id IN ({})",
        places(count)
    );
    let mut query = sqlx::query_as(AssertSqlSafe(sql));
    let again = std::iter::repeat(last);
    for id in at.iter().map(|(_, id)| id).chain(again).take(count) {
        query = query.bind(id);
    }
    Ok(query.fetch_all(conn).await?)
}
