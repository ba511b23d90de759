//! Apps as they go over the wire.
mod session;
mod steps;
mod words;

pub(super) use words::status as status_words;

use super::usual::Times;
use crate::api::apps as wire;
use crate::api::{GetApp, ListAppEvents, ListApps};
use crate::clock::{from_micros, micros};
use crate::domain::app::Phase;
use crate::domain::id::{AppSessionId, JobId, WorkspaceId};
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::{Error, State};
use crate::store::apps::events::{self, Event};
use crate::store::apps::queries::{self, Filter};
use crate::store::apps::services::{self, Service};
use crate::store::apps::{self as table, AppSession};
use crate::store::jobs::logs;
use crate::store::jobs::queries as jobs;
use crate::store::{self, Conn};
use std::collections::HashMap;
use time::OffsetDateTime;

/// Lines of output that are shown of a failure.
const LAST_LINES: usize = 20;

pub(super) async fn list(cx: Cx, call: Call<ListApps>) -> Result<wire::List, Error> {
    let limit = limit(call.query.limit, 20, 100)?;
    let filter = read_filter(&call.query)?;
    let mut conn = cx.store().read().await?;
    let page = queries::page(&mut conn, cx.caller.workspace, &filter, limit + 1);
    let mut sessions = page.await?;
    let has_more = sessions.len() > index(limit);
    sessions.truncate(index(limit));
    let next_cursor = sessions.last().filter(|_| has_more).map(cursor);
    Ok(wire::List {
        app_sessions: show_all(&cx, &mut conn, sessions).await?,
        next_cursor,
        has_more,
    })
}

fn read_filter(query: &wire::Filter) -> Result<Filter, Error> {
    let given = |text: &Option<String>| text.as_deref().unwrap_or_default().trim().to_owned();
    let mut filter = Filter::default();
    match given(&query.status).as_str() {
        "" => {}
        "active" => filter.ended = Some(false),
        "past" => filter.ended = Some(true),
        word => {
            let phase = Phase::named(word).ok_or_else(|| {
                let words = Phase::ALL.map(Phase::name).join(", ");
                Error::field("status", format!("Use active, past, or one of: {words}."))
            })?;
            filter.phase = Some(phase);
        }
    }
    let template = given(&query.template);
    let slug = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if template.len() > 64 || !template.bytes().all(slug) {
        return Err(Error::field(
            "template",
            "A template's name has at most 64 lower-case letters, digits and hyphens.",
        ));
    }
    filter.template = (!template.is_empty()).then_some(template);
    let cursor = given(&query.cursor);
    if !cursor.is_empty() {
        let place = read_cursor(&cursor).ok_or_else(|| {
            Error::field(
                "cursor",
                "This is no cursor of this list. Begin again without one.",
            )
        })?;
        filter.before = Some(place);
    }
    Ok(filter)
}

fn limit(given: Option<u32>, usual: u32, most: u32) -> Result<i64, Error> {
    let limit = given.unwrap_or(usual);
    if !(1..=most).contains(&limit) {
        return Err(Error::field("limit", format!("Use 1 to {most}.")));
    }
    Ok(limit.into())
}

fn index(count: i64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// Where the next page begins: opaque to clients.
fn cursor(last: &AppSession) -> String {
    format!("{:x}-{}", micros(last.created_at), last.id)
}

fn read_cursor(cursor: &str) -> Option<(OffsetDateTime, AppSessionId)> {
    let (at, id) = cursor.split_once('-')?;
    let at = i64::from_str_radix(at, 16).ok().filter(|at| *at >= 0)?;
    Some((from_micros(at), id.parse().ok()?))
}

pub(super) async fn get(cx: Cx, call: Call<GetApp>) -> Result<wire::Session, Error> {
    let mut conn = cx.store().read().await?;
    let session = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    show_to_caller(&cx, &mut conn, session).await
}

/// The session as it is now, as far as the caller may know of it.
pub(super) async fn show_to_caller(
    cx: &Cx,
    conn: &mut Conn,
    session: AppSession,
) -> Result<wire::Session, Error> {
    let mut shown = show(cx, conn, session).await?;
    if let Some(end) = &mut shown.end
        && !cx.caller.reads_output()
    {
        end.last_lines.clear();
    }
    Ok(shown)
}

/// The session of this workspace, or 404.
pub(super) async fn find(
    conn: &mut Conn,
    workspace: WorkspaceId,
    id: AppSessionId,
) -> Result<AppSession, Error> {
    table::find(conn, workspace, id)
        .await?
        .ok_or_else(|| Error::NotFound(format!("There is no app {id} in this workspace.")))
}

pub(super) async fn events(cx: Cx, call: Call<ListAppEvents>) -> Result<wire::Events, Error> {
    let limit = limit(call.query.limit, 200, 1_000)?;
    let after = call.query.after;
    if after < 0 {
        return Err(Error::field("after", "Events are numbered from 1."));
    }
    let mut conn = cx.store().read().await?;
    let session = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    let mut found = events::list(&mut conn, session.id, after, limit + 1).await?;
    let has_more = found.len() > index(limit);
    found.truncate(index(limit));
    Ok(wire::Events {
        next_cursor: found
            .last()
            .filter(|_| has_more)
            .map(|last| last.seq.to_string()),
        events: found.into_iter().map(event).collect(),
        has_more,
    })
}

pub(super) fn event(event: Event) -> wire::Event {
    wire::Event {
        sequence: event.seq,
        kind: event.kind,
        phase: event.phase,
        service: event.service,
        title: event.title,
        message: event.message,
        level: event.level,
        created_at: event.created_at,
    }
}

/// The session as it goes over the wire, as it is now.
pub(super) async fn show(
    state: &State,
    conn: &mut Conn,
    session: AppSession,
) -> Result<wire::Session, Error> {
    let missing = store::corrupt("app_sessions", &session.id.to_string(), "it has no job");
    let mut shown = show_all(state, conn, vec![session]).await?;
    shown.pop().ok_or(missing.into())
}

/// The same for many, with as many statements as for one, and one per template.
async fn show_all(
    state: &State,
    conn: &mut Conn,
    sessions: Vec<AppSession>,
) -> Result<Vec<wire::Session>, Error> {
    let ids: Vec<AppSessionId> = sessions.iter().map(|session| session.id).collect();
    let job_ids: Vec<JobId> = sessions.iter().map(|session| session.job).collect();
    let mut jobs: HashMap<JobId, _> = jobs::these(conn, &job_ids)
        .await?
        .into_iter()
        .map(|job| (job.id, job))
        .collect();
    let mut services: HashMap<AppSessionId, Vec<Service>> = HashMap::new();
    for service in services::of_all(conn, &ids).await? {
        services.entry(service.session).or_default().push(service);
    }
    let failed: Vec<JobId> = sessions
        .iter()
        .filter(|session| session.phase == Phase::Failed)
        .map(|session| session.job)
        .collect();
    let mut tails = HashMap::new();
    if !failed.is_empty() {
        tails = logs::last_of(conn, &failed, LAST_LINES).await?;
    }
    let mut times: HashMap<String, Times> = HashMap::new();
    let mut shown = Vec::with_capacity(sessions.len());
    for session in sessions {
        let slug = &session.manifest.slug;
        let times = if let Some(times) = times.get(slug) {
            *times
        } else {
            let of = Times::of(conn, &session.manifest).await?;
            *times.entry(slug.clone()).or_insert(of)
        };
        let Some(job) = jobs.remove(&session.job) else {
            let id = session.id.to_string();
            return Err(store::corrupt("app_sessions", &id, "it has no job").into());
        };
        let of = session::Parts {
            services: services.remove(&session.id).unwrap_or_default(),
            last_lines: tails.remove(&session.job).unwrap_or_default(),
            times,
            job,
            session,
        };
        shown.push(of.show(state.now()));
    }
    Ok(shown)
}
