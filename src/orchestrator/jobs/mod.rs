//! Jobs: submit, look, list, cancel.
mod download;
mod everywhere;
pub(super) mod live;
mod output;
pub(super) mod submission;
pub(super) mod view;
mod wanted;

use super::route::{Call, Cx, on, on_both, raw};
use super::{Error, State, estimates, lifecycle};
use crate::api::jobs as wire;
use crate::api::{self, CancelJob, GetJob, ListEvents, ListJobs, SubmitJob};
use crate::domain::id::{JobId, WorkspaceId};
use crate::domain::job::{State as JobState, Status};
use crate::domain::spec::WorkloadType;
use crate::domain::text::is_invisible_order;
use crate::store::Conn;
use crate::store::jobs::queries::{self, Filter};
use crate::store::jobs::{self as table, Job, events};
use axum::Router;
use axum::routing::get as on_get;
use std::time::Duration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .merge(on_both(estimates::estimate))
        .merge(on_both(submit))
        .merge(on_both(list))
        .merge(on_both(get))
        .merge(on(output::runtime))
        .merge(on(list_events))
        .merge(on_both(output::list))
        .merge(on(everywhere::list))
        .merge(on_both(cancel))
        .merge(raw(api::LOGS_DOWNLOAD, on_get(download::text)))
        .merge(raw(api::LOGS_LIVE, on_get(live::logs)))
        .merge(raw(api::JOB_LIVE, on_get(live::job)))
}

async fn submit(cx: Cx, call: Call<SubmitJob>) -> Result<wire::Submitted, Error> {
    let spec = super::content::parse(&call.body, estimates::defaults(&cx))?;
    let once = call.idempotency_key.map(|key| submission::Once {
        route: "submit",
        key,
        body_hash: submission::hash(&call.raw),
    });
    submission::submit(
        &cx,
        submission::Order {
            spec,
            once,
            draft: None,
            rate: None,
            acknowledged: None,
            unestimated: false,
            app: None,
        },
    )
    .await
}

async fn list(cx: Cx, call: Call<ListJobs>) -> Result<wire::List, Error> {
    let limit = call.query.limit.unwrap_or(20).clamp(1, 100);
    let mut filter = read_filter(&call.query)?;
    filter.limit = limit + 1;
    let mut conn = cx.store().read().await?;
    let mut jobs = queries::list(&mut conn, cx.caller.workspace, &filter).await?;
    let has_more = i64::try_from(jobs.len()).unwrap_or(i64::MAX) > limit;
    jobs.truncate(usize::try_from(limit).unwrap_or(100));
    let next_cursor = jobs.last().filter(|_| has_more).map(cursor);
    let now = cx.now();
    let jobs = jobs
        .into_iter()
        .map(|job| view::job(job, None, now))
        .collect();
    Ok(wire::List {
        jobs,
        limit,
        next_cursor,
        has_more,
    })
}

fn read_filter(query: &wire::Filter) -> Result<Filter, Error> {
    let given = |text: &Option<String>| text.clone().unwrap_or_default().trim().to_owned();
    let mut filter = Filter {
        text: given(&query.q),
        ..Filter::default()
    };
    match given(&query.status).as_str() {
        "" => {}
        "active" => filter.active = true,
        // Clients know these; here both are parts of being assigned.
        "provisioning" | "starting" => Status::Assigned.name().clone_into(&mut filter.status),
        word => {
            let status = Status::named(word).ok_or_else(|| {
                let words = Status::ALL.map(Status::name).join(", ");
                Error::field("status", format!("Use active, or one of: {words}."))
            })?;
            status.name().clone_into(&mut filter.status);
        }
    }
    match given(&query.workload_type).as_str() {
        "" => {}
        word => {
            let kind = WorkloadType::named(word).ok_or_else(|| {
                Error::field(
                    "workload_type",
                    "Use inference, training, fine-tuning or batch.",
                )
            })?;
            kind.name().clone_into(&mut filter.workload_type);
        }
    }
    if filter.text.chars().any(char::is_control) {
        return Err(Error::field(
            "q",
            "Control characters cannot be searched for.",
        ));
    }
    if filter.text.chars().count() > 200 {
        return Err(Error::field("q", "Search for at most 200 characters."));
    }
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

/// Where the next page begins: opaque to clients.
fn cursor(last: &Job) -> String {
    format!("{:x}-{}", crate::clock::micros(last.created_at), last.id)
}

fn read_cursor(cursor: &str) -> Option<(i64, String)> {
    let (at, id) = cursor.split_once('-')?;
    let at = i64::from_str_radix(at, 16).ok().filter(|at| *at >= 0)?;
    id.parse::<JobId>().ok()?;
    Some((at, id.to_owned()))
}

async fn get(cx: Cx, call: Call<GetJob>) -> Result<wire::Job, Error> {
    let mut conn = cx.store().read().await?;
    let job = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    show(&cx, &mut conn, job).await
}

/// The job of this workspace, or 404.
pub(super) async fn find(conn: &mut Conn, workspace: WorkspaceId, id: JobId) -> Result<Job, Error> {
    table::find(conn, workspace, id)
        .await?
        .ok_or_else(|| Error::NotFound(format!("There is no job {id} in this workspace.")))
}

/// The job as it goes over the wire, with why it waits.
pub(super) async fn show(state: &State, conn: &mut Conn, job: Job) -> Result<wire::Job, Error> {
    let delay = match job.state {
        JobState::Queued => Some(estimates::delay(state, conn, &job).await?),
        _ => None,
    };
    let excerpt = output::highlight(conn, &job).await?;
    let mut shown = view::job(job, delay, state.now());
    if let Some(failure) = &mut shown.failure {
        failure.log_excerpt = excerpt;
    }
    Ok(shown)
}

async fn list_events(cx: Cx, call: Call<ListEvents>) -> Result<wire::Events, Error> {
    let query = call.query;
    let limit = query.limit.unwrap_or(1_000).clamp(1, 1_000);
    let filter = events::Filter {
        after: output::read_cursor(query.cursor.as_deref())?,
        kind: query.kind.unwrap_or_default(),
        since: query.since.as_deref().map(read_time).transpose()?,
        limit: limit + 1,
    };
    let mut conn = cx.store().read().await?;
    let job = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    let mut items = events::matching(&mut conn, job.id, &filter).await?;
    let has_more = i64::try_from(items.len()).unwrap_or(i64::MAX) > limit;
    items.truncate(usize::try_from(limit).unwrap_or(1_000));
    let last = items.last().map_or(filter.after, |event| event.seq);
    Ok(wire::Events {
        job_id: job.id,
        status: job.state.status(),
        phase: job.state.phase(),
        items: items
            .into_iter()
            .map(|event| view::event(job.id, event))
            .collect(),
        limit,
        next_cursor: Some(last.to_string()),
        has_more,
        generated_at: cx.now(),
    })
}

fn read_time(text: &str) -> Result<OffsetDateTime, Error> {
    OffsetDateTime::parse(text.trim(), &Rfc3339)
        .map_err(|_| Error::field("since", "Give a time such as 2026-11-23T12:00:00Z."))
}

/// Stops a job. Unless told otherwise it answers when the job has stopped, so
/// that `cancelled` is true when it is said.
async fn cancel(cx: Cx, call: Call<CancelJob>) -> Result<wire::Cancelled, Error> {
    let id = call.path.0;
    let reason = call
        .body
        .reason
        .map(|text| clean(&text))
        .filter(|text| !text.is_empty());
    let before = find(&mut *cx.store().read().await?, cx.caller.workspace, id).await?;
    if before.state.ended() {
        return Err(too_late(&before));
    }
    let changes = cx.hub().subscribe();
    if let Some(job) = lifecycle::request_stop(&cx, id, reason).await? {
        super::workers::observer::stop_run(&cx, &job).await?;
    }
    let grace = cx.config().grace + Duration::from_secs(3);
    let wait = call
        .body
        .wait_seconds
        .map_or(grace, |s| Duration::from_secs(u64::from(s)).min(grace));
    let job = wait_for_end(&cx, id, changes, wait).await?;
    let status = job.state.status();
    // It came to its own end while it was being asked.
    if job.state.ended() && status != Status::Cancelled {
        return Err(too_late(&job));
    }
    Ok(wire::Cancelled {
        job_id: id,
        status,
        status_reason: Some(lifecycle::summary(&job)).filter(|text| !text.is_empty()),
        cancelled: true,
        message: if job.state.ended() {
            format!("The job is {status}.")
        } else {
            "The job is stopping.".into()
        },
    })
}

fn too_late(job: &Job) -> Error {
    let status = job.state.status();
    Error::Conflict {
        code: "CONFLICT",
        message: format!("The job is already {status}: there is nothing to cancel."),
    }
}

async fn wait_for_end(
    cx: &Cx,
    id: JobId,
    mut changes: tokio::sync::broadcast::Receiver<super::Change>,
    wait: Duration,
) -> Result<Job, Error> {
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let job = find(&mut *cx.store().read().await?, cx.caller.workspace, id).await?;
        if job.state.ended() {
            return Ok(job);
        }
        let news = async {
            while let Ok(change) = changes.recv().await {
                if change.job() == Some(id) {
                    break;
                }
            }
        };
        if tokio::time::timeout_at(deadline, news).await.is_err() {
            return Ok(job);
        }
    }
}

/// One line of at most 500 characters.
pub(super) fn clean(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if is_invisible_order(c) { ' ' } else { c })
        .take(500)
        .collect();
    text.trim().to_owned()
}
