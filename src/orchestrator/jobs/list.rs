//! The list of jobs: what its filter says, and cursors that go both ways.
use super::super::route::{Call, Cx};
use super::super::{Error, State};
use super::{submission, view};
use crate::api::ListJobs;
use crate::api::jobs as wire;
use crate::clock::micros;
use crate::domain::id::{JobId, WorkspaceId};
use crate::domain::job::Status;
use crate::domain::spec::WorkloadType;
use crate::store::Conn;
use crate::store::jobs::Job;
use crate::store::jobs::listing::{self, Filter, Place, Sort};
use std::collections::BTreeSet;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime};

/// Characters that can be searched for.
const LONGEST: usize = 200;

/// Statuses of jobs that have not ended.
pub(super) const ACTIVE: [Status; 4] = [
    Status::Pending,
    Status::Queued,
    Status::Assigned,
    Status::Running,
];
const ENDED: [Status; 4] = [
    Status::Completed,
    Status::Failed,
    Status::Rejected,
    Status::Cancelled,
];

pub(super) async fn list(cx: Cx, call: Call<ListJobs>) -> Result<wire::List, Error> {
    let mut conn = cx.store().read().await?;
    page(&cx, &mut conn, cx.caller.workspace, &call.query).await
}

async fn page(
    state: &State,
    conn: &mut Conn,
    workspace: WorkspaceId,
    query: &wire::Filter,
) -> Result<wire::List, Error> {
    let limit = query.limit.unwrap_or(20).clamp(1, 100);
    let mut filter = read(query)?;
    filter.limit = usize::try_from(limit).unwrap_or(20);
    let tag = tag(&filter);
    let cursor = query.cursor.as_deref().unwrap_or_default().trim();
    if !cursor.is_empty() {
        filter.place = Some(read_cursor(cursor, &tag)?);
    }
    let backward = filter.place.as_ref().is_some_and(|place| place.before);
    let found = listing::list(conn, workspace, &filter).await?;
    let place = |job: &Job| (filter.sort.key_of(job), job.id.to_string());
    let write = |before: bool, (key, id): (i64, String)| {
        let direction = if before { 'p' } else { 'n' };
        format!("{direction}{key}-{id}-{tag}")
    };
    // A search that has given up goes on where it was.
    let (first, last) = if backward {
        (
            found.reached.or(found.jobs.first().map(place)),
            found.jobs.last().map(place),
        )
    } else {
        (
            found.jobs.first().map(place),
            found.reached.or(found.jobs.last().map(place)),
        )
    };
    let (earlier, later) = if backward {
        (found.more, true)
    } else {
        (filter.place.is_some(), found.more)
    };
    let next_cursor = last.filter(|_| later).map(|place| write(false, place));
    let now = state.now();
    let mut jobs: Vec<wire::Job> = found
        .jobs
        .into_iter()
        .map(|job| view::job(job, None, now))
        .collect();
    view::with_collections(conn, &mut jobs).await?;
    Ok(wire::List {
        has_more: next_cursor.is_some(),
        next_cursor,
        prev_cursor: first.filter(|_| earlier).map(|place| write(true, place)),
        limit,
        jobs,
    })
}

fn given(text: Option<&String>) -> String {
    text.map(|text| text.trim().to_owned()).unwrap_or_default()
}

/// The filter without its cursor.
pub(super) fn read(query: &wire::Filter) -> Result<Filter, Error> {
    let filter = Filter {
        statuses: statuses(&given(query.status.as_ref()))?,
        workload_type: workload_type(&given(query.workload_type.as_ref()))?,
        image: text("image", query.image.as_ref(), 512)?,
        text: text("q", query.q.as_ref(), LONGEST)?,
        from: moment("created_after", query.created_after.as_ref())?,
        until: moment("created_before", query.created_before.as_ref())?,
        sort: match given(query.sort.as_ref()).as_str() {
            "" => Sort::Newest,
            word => Sort::named(word)
                .ok_or_else(|| Error::field("sort", "Use newest, oldest, cost or runtime."))?,
        },
        place: None,
        limit: 0,
    };
    let only_by_time = !filter.image.is_empty()
        || !filter.text.is_empty()
        || filter.from.is_some()
        || filter.until.is_some();
    if !filter.sort.by_time() && only_by_time {
        return Err(Error::field(
            "sort",
            "Sorting by cost or runtime goes together with status and workload_type only.",
        ));
    }
    Ok(filter)
}

/// One word, a group, or several of both with commas between them.
fn statuses(words: &str) -> Result<Vec<Status>, Error> {
    let mut all = BTreeSet::new();
    for word in words
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        match word {
            "active" => all.extend(ACTIVE.map(Status::name)),
            "ended" => all.extend(ENDED.map(Status::name)),
            // Clients know these; here both are parts of being assigned.
            "provisioning" | "starting" => {
                all.insert(Status::Assigned.name());
            }
            word => {
                let status = Status::named(word).ok_or_else(|| {
                    let words = Status::ALL.map(Status::name).join(", ");
                    Error::field("status", format!("Use active, ended, or some of: {words}."))
                })?;
                all.insert(status.name());
            }
        }
    }
    Ok(all.into_iter().filter_map(Status::named).collect())
}

fn workload_type(word: &str) -> Result<Option<WorkloadType>, Error> {
    if word.is_empty() {
        return Ok(None);
    }
    let kind = WorkloadType::named(word).ok_or_else(|| {
        Error::field(
            "workload_type",
            "Use inference, training, fine-tuning or batch.",
        )
    })?;
    Ok(Some(kind))
}

fn text(field: &str, text: Option<&String>, longest: usize) -> Result<String, Error> {
    let text = given(text);
    if text.chars().any(char::is_control) {
        return Err(Error::field(
            field,
            "Control characters cannot be searched for.",
        ));
    }
    if text.chars().count() > longest {
        return Err(Error::field(
            field,
            format!("Search for at most {longest} characters."),
        ));
    }
    Ok(text)
}

/// A time, or the beginning of a day.
fn moment(field: &str, text: Option<&String>) -> Result<Option<i64>, Error> {
    let text = given(text);
    if text.is_empty() {
        return Ok(None);
    }
    let day = Date::parse(&text, format_description!("[year]-[month]-[day]"));
    let at = match day {
        Ok(day) => Ok(day.midnight().assume_utc()),
        Err(_) => OffsetDateTime::parse(&text, &Rfc3339),
    };
    let at = at.ok().filter(|at| (1970..=9999).contains(&at.year()));
    at.map(|at| Some(micros(at))).ok_or_else(|| {
        Error::field(
            field,
            "Give a time such as 2026-11-23T12:00:00Z, or a day such as 2026-11-23.",
        )
    })
}

/// What ties a cursor to its list.
fn tag(filter: &Filter) -> String {
    let said = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        filter.statuses,
        filter.workload_type,
        filter.image,
        filter.text.to_lowercase(),
        filter.from,
        filter.until,
        filter.sort
    );
    let mut tag = submission::hash(said.as_bytes());
    tag.truncate(8);
    tag
}

fn read_cursor(cursor: &str, tag: &str) -> Result<Place, Error> {
    let read = || {
        let (rest, of) = cursor.rsplit_once('-')?;
        let (place, id) = rest.rsplit_once('-')?;
        id.parse::<JobId>().ok()?;
        let before = match place.get(..1)? {
            "p" => true,
            "n" => false,
            _ => return None,
        };
        let key = place[1..].parse().ok().filter(|key| *key >= -1_i64)?;
        let place = Place {
            key,
            id: id.to_owned(),
            before,
        };
        Some((place, of == tag))
    };
    match read() {
        Some((place, true)) => Ok(place),
        Some((_, false)) => Err(Error::field(
            "cursor",
            "This cursor belongs to another filter. Begin again without one.",
        )),
        None => Err(Error::field(
            "cursor",
            "This is no cursor of this list. Begin again without one.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_and_words_are_read_in_any_order() {
        let names = |words: &str| {
            let read = statuses(words).expect("statuses");
            read.into_iter().map(Status::name).collect::<Vec<_>>()
        };
        assert_eq!(
            names("ended"),
            ["cancelled", "completed", "failed", "rejected"]
        );
        assert_eq!(names("running, failed,running"), names("failed,running"));
        assert_eq!(names(" , "), [""; 0]);
        assert!(statuses("running,dancing").is_err());
    }

    #[test]
    fn a_cursor_is_bound_to_its_filter() {
        let id = "job_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f";
        let tag = tag(&Filter::default());
        let good = read_cursor(&format!("n-1-{id}-{tag}"), &tag).expect("a place");
        assert_eq!((good.key, good.before), (-1, false));
        for bad in [
            "20",
            "x-job_1",
            &format!("n5-{id}-00000000"),
            &format!("q5-{id}-{tag}"),
            &format!("n-5-{id}-{tag}"),
            &format!("é5-{id}-{tag}"),
            &format!("n5-job_1-{tag}"),
        ] {
            assert!(read_cursor(bad, &tag).is_err(), "{bad}");
        }
    }
}
