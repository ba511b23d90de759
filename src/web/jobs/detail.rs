//! `/portal/jobs/{job}`: one job, live, with what can be done about it.
use super::feed::{self, Feed};
use super::{callback, output, plain, view};
use crate::api::artifacts::OfJob;
use crate::api::callbacks::Callback;
use crate::api::jobs::{Cancellation, EventFilter, Job};
use crate::api::logs::{Filter, Page};
use crate::domain::id::JobId;
use crate::web::hx::{self, Wants};
use crate::web::kind::Kind;
use crate::web::live::{self, Mark};
use crate::web::shell::{self, Nav};
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal, files};
use axum::Json;
use axum::extract::{FromRequestParts, Path, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use maud::{Markup, html};
use time::OffsetDateTime;
use tower_cookies::Cookies;

/// The job of the address. What cannot be an id is as missing as one that was
/// never given.
pub(in crate::web) struct Which(pub(in crate::web) JobId);

impl FromRequestParts<Portal> for Which {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Error> {
        let path = Path::<JobId>::from_request_parts(parts, portal).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Error::NotFound)
    }
}

pub(super) async fn show(viewer: Viewer, Which(id): Which, kind: Kind) -> Result<Response, Error> {
    if kind != Kind::Page {
        let job = viewer.api.job(id).await?;
        return Ok(match kind {
            Kind::Json => Json(job).into_response(),
            _ => plain::job(&job, viewer.now).into_response(),
        });
    }
    let tail = Filter {
        tail: Some(output::TAIL),
        ..Filter::default()
    };
    // The output is asked for last, so that what the job says about it holds.
    let job = viewer.api.job(id).await?;
    let events = viewer.api.events(id, &EventFilter::default()).await?;
    let logs = viewer.api.logs(id, &tail).await?;
    let told = callback::find(&viewer.api, id).await?;
    let seen = Mark {
        event: events.items.last().map_or(0, |event| event.sequence),
        log: logs.items.last().map_or(0, |item| item.entry_id),
    };
    let left = view::left(&viewer.api, &job).await;
    let main = page(
        (&job, left.as_ref()),
        view::timeline(&job, &events.items),
        told.as_ref(),
        &logs,
        seen,
        events.generated_at,
    );
    let title = format!("{}, {}", super::text::visible(&job.name), job.status);
    Ok(shell::page(&viewer, &title, Nav::Jobs, main).into_response())
}

fn page(
    (job, left): (&Job, Option<&OfJob>),
    timeline: Markup,
    told: Option<&Callback>,
    logs: &Page,
    seen: Mark,
    now: OffsetDateTime,
) -> Markup {
    let active = !job.status.ended();
    let followed = active || told.is_some_and(Callback::is_open);
    let [head, state, cost, facts, artifacts] =
        view::regions(job, left, now).map(|(_, markup)| markup);
    html! {
        @if followed { noscript { meta http-equiv="refresh" content=(pause(job, told, now)); } }
        (crate::web::logs::colors())
        (head)
        p.vh #say role="status" aria-live="polite" {}
        div.cols {
            div.stack { (state) (output::terminal(job, &logs.items)) (artifacts) (timeline) }
            div.stack { (cost) (facts) (files::of_job::inputs(job)) @if let Some(told) = told { (callback::section(told, now)) } }
            @if followed { (live::connection(feed::ID, &format!("{}/live", view::path(job.id)), seen)) }
        }
        @if active { (view::cancel_dialog(job)) }
    }
}

/// Seconds after which the page is asked for again where no script does that. Until the
/// next attempt at a callback, nothing happens to a job that has ended.
fn pause(job: &Job, told: Option<&Callback>, now: OffsetDateTime) -> i64 {
    let next = told.and_then(|told| told.next_attempt_at);
    let rest = next.map_or(0, |at| (at - now).whole_seconds() + 1);
    if job.status.ended() {
        rest.clamp(3, 60)
    } else {
        3
    }
}

/// What the open page is told from here on.
pub(super) async fn live(viewer: Viewer, Which(id): Which, seen: Mark) -> Result<Response, Error> {
    // Listen first and read second, so that nothing falls in between.
    let changes = viewer.api.follow_job(id, seen.event, seen.log).await?;
    let feed = Feed::open(&viewer.api, id, seen).await?;
    Ok(live::answer(feed::messages(viewer.api, feed, changes)))
}

/// The question as a page, for browsers that cannot show the dialog.
pub(super) async fn ask_cancel(viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    let job = viewer.api.job(id).await?;
    if job.status.ended() {
        return Ok(hx::redirect(Wants::Page, &view::path(id)));
    }
    let keep = html! { a.btn href=(view::path(id)) { (view::keep(&job)) } };
    let main = html! {
        div.head { h1 { "Cancel a job" } }
        section.card { (view::cancel_form(&job, keep)) }
    };
    Ok(shell::page(&viewer, "Cancel a job", Nav::Jobs, main).into_response())
}

/// Asks for the end and does not wait for all of it: the job's page tells.
pub(super) async fn cancel(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
) -> Result<Response, Error> {
    let body = Cancellation {
        reason: Some("Cancelled in the portal".into()),
        wait_seconds: Some(1),
    };
    match viewer.api.cancel(id, &body).await {
        Ok(_) => {}
        // It has ended by itself; its page says how.
        Err(error) if error.status() == Some(StatusCode::CONFLICT) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(hx::redirect(wants, &view::path(id)))
}

/// Has the next attempt at the callback made now.
pub(super) async fn send_callback(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    State(portal): State<Portal>,
    cookies: Cookies,
) -> Result<Response, Error> {
    match viewer.api.send_callback(id).await {
        Ok(_) => portal.config.say(&cookies, "The callback is being made."),
        // It has been delivered by itself, or is not kept any more; the page says how it is.
        Err(error) if error.status() == Some(StatusCode::CONFLICT) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(hx::redirect(wants, &view::path(id)))
}
