//! Jobs: submit, look, list, cancel.
mod bulk;
mod content;
pub(super) mod download;
mod everywhere;
mod list;
pub(super) mod live;
mod output;
pub(super) mod submission;
pub(super) mod view;
mod wanted;

use super::route::{Call, Cx, on, on_both, raw};
use super::{Error, State, estimates, lifecycle, seal};
use crate::api::jobs as wire;
use crate::api::{self, CancelJob, GetJob, ListEvents, SubmitJob};
use crate::domain::id::{JobId, WorkspaceId};
use crate::domain::job::{State as JobState, Status};
use crate::domain::text::is_invisible_order;
use crate::store::Conn;
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
        .merge(on_both(list::list))
        .merge(on_both(get))
        .merge(on(output::runtime))
        .merge(on(list_events))
        .merge(on_both(output::list))
        .merge(on(everywhere::list))
        .merge(on_both(cancel))
        .merge(on(bulk::cancel))
        .merge(on(content::get))
        .merge(raw(api::LOGS_DOWNLOAD, on_get(download::text)))
        .merge(raw(api::LOGS_LIVE, on_get(live::logs)))
        .merge(raw(api::JOB_LIVE, on_get(live::job)))
}

async fn submit(cx: Cx, call: Call<SubmitJob>) -> Result<wire::Submitted, Error> {
    let spec = super::content::parse(&call.body, estimates::defaults(&cx))?;
    let once = call.idempotency_key.map(|key| submission::Once {
        route: "submit",
        key,
        body_hash: seal::fingerprint(&cx, &call.raw),
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
            callback: super::callbacks::read(&call.body, &cx.config().callback_allow),
        },
    )
    .await
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
    view::with_collections(conn, std::slice::from_mut(&mut shown)).await?;
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
    // The plus of an offset arrives as a blank from whoever does not encode it.
    OffsetDateTime::parse(&text.trim().replace(' ', "+"), &Rfc3339)
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
    if before.state.ended() || collecting(&before) {
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
    if collecting(&job) || job.state.ended() && status != Status::Cancelled {
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

/// Whether its command has come to its own end.
fn collecting(job: &Job) -> bool {
    matches!(job.state, JobState::Collecting { .. })
}

fn too_late(job: &Job) -> Error {
    let status = job.state.status();
    Error::Conflict {
        code: "CONFLICT",
        message: if collecting(job) {
            "The command has ended already; its files are being collected.".into()
        } else {
            format!("The job is already {status}: there is nothing to cancel.")
        },
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
