//! `/portal/jobs/cancel`: what would be cancelled, and what became of each.
use super::asked::Asked;
use super::{text, view};
use crate::api::bulk::{Cancellation, Cancelled, Done, Outcome};
use crate::domain::id::JobId;
use crate::web::Error;
use crate::web::shell::{self, Nav};
use crate::web::ui::{self, Kind};
use crate::web::viewer::Viewer;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::{Form, Query};
use maud::{Markup, html};
use serde::Deserialize;

/// The jobs that were ticked.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Ticked {
    id: Vec<String>,
}

/// Those that were ticked, or all active ones of a list.
pub(super) async fn review(
    viewer: Viewer,
    Query(ticked): Query<Ticked>,
    Query(asked): Query<Asked>,
    uri: http::Uri,
) -> Result<Response, Error> {
    let asked = asked.cleaned();
    // The button without a tick sends an empty query.
    if ticked.id.is_empty() && uri.query() == Some("") {
        return Ok(page(
            &viewer,
            "Nothing is selected",
            html! {
                section.card { (ui::empty("Nothing is selected", "Tick the jobs to cancel in the last column of the list.", Some((&asked.path(), "Back to the jobs")))) }
            },
        ));
    }
    let mut order = Cancellation {
        dry_run: true,
        ids: ticked.id,
        ..Cancellation::default()
    };
    if order.ids.is_empty() {
        order.filter = Some(asked.of_many());
    }
    let preview = viewer.api.cancel_jobs(&order).await?;
    let back = asked.at("").path();
    if preview.cancelled == 0 {
        return Ok(page(
            &viewer,
            "Nothing to cancel",
            html! {
                section.card { (ui::empty("Nothing to cancel", "All of these have ended already.", Some((&back, "Back to the jobs")))) }
                (outcomes(&preview, "Looked at"))
            },
        ));
    }
    let count = preview.cancelled;
    let title = if count == 1 {
        "Cancel one job?".to_owned()
    } else {
        format!("Cancel {count} jobs?")
    };
    let inside = html! {
        form.stack method="post" action="/portal/jobs/cancel" {
            @for job in preview.jobs.iter().filter(|job| job.outcome.cancels()) { input type="hidden" name="id" value=(job.job_id); }
            section.card {
                p { "Those that run are asked to stop, then stopped. What they have run up so far is charged: "
                    b { (ui::money(preview.billed_usd)) } " of the " (ui::money(preview.hold_usd)) " set aside. The rest is released." }
                @if preview.unchanged == 1 { p.half { "One of those selected has ended already and stays as it is." } }
                @else if preview.unchanged > 1 { p.half { (preview.unchanged) " of those selected have ended already and stay as they are." } }
                @if preview.has_more { p.half { "These are the newest hundred. There are more: come back for them afterwards." } }
            }
            (outcomes(&preview, "What would be cancelled"))
            div.row.end { a.btn href=(back) { "Keep them" } button.btn.bad { @if count == 1 { "Cancel it" } @else { "Cancel " (count) " jobs" } } }
        }
    };
    Ok(page(&viewer, &title, inside))
}

/// Doing it twice does no more than once, so the answer is the result itself.
pub(super) async fn cancel(viewer: Viewer, Form(ticked): Form<Ticked>) -> Result<Response, Error> {
    let order = Cancellation {
        ids: ticked.id,
        reason: Some("Cancelled in the portal".into()),
        wait_seconds: Some(1),
        ..Cancellation::default()
    };
    let done = viewer.api.cancel_jobs(&order).await?;
    let title = match done.cancelled {
        0 => "No job was cancelled".to_owned(),
        1 => "One job is cancelled".to_owned(),
        count => format!("{count} jobs are cancelled"),
    };
    let inside = html! {
        section.card {
            p { "Charged for what they ran: " b { (ui::money(done.billed_usd)) } "." }
            @if done.unchanged == 1 { p.half { "One stays as it was, and says why." } }
            @else if done.unchanged > 1 { p.half { (done.unchanged) " stay as they were; each says why." } }
        }
        (outcomes(&done, "What became of each"))
        div.row.end { a.btn.pri href="/portal/jobs" { "Back to the jobs" } }
    };
    Ok(page(&viewer, &title, html! { div.stack { (inside) } }))
}

fn page(viewer: &Viewer, title: &str, inside: Markup) -> Response {
    let main = html! {
        div.head { div { p.crumbs { a href="/portal/jobs" { "Jobs" } } h1 { (title) } } }
        (inside)
    };
    shell::page(viewer, title, Nav::Jobs, main).into_response()
}

fn outcomes(all: &Cancelled, heading: &str) -> Markup {
    html! {
        section.card.flush {
            header { h2 #outcomes-h { (heading) } }
            div.scroll role="region" aria-labelledby="outcomes-h" tabindex="0" {
                table.tbl.fold {
                    thead { tr { th scope="col" { "Job" } th scope="col" { "Outcome" } th.num scope="col" { "Billed so far" } th scope="col" { "In words" } } }
                    tbody { @for job in &all.jobs { (row(job)) } }
                }
            }
        }
    }
}

fn row(job: &Outcome) -> Markup {
    let (kind, icon, word) = match job.outcome {
        Done::WouldCancel => (Kind::Warn, "warn", "Would be cancelled"),
        Done::Cancelled => (Kind::Ok, "ok", "Cancelled"),
        Done::Stopping => (Kind::Run, "run", "Stopping"),
        Done::Ended => (Kind::Wait, "dash", "Had ended"),
        Done::Missing => (Kind::Wait, "dash", "Not found"),
        Done::Failed => (Kind::Bad, "x", "Not cancelled"),
    };
    let name = job
        .name
        .as_deref()
        .map_or_else(|| text::visible(&job.job_id), text::visible);
    html! {
        tr {
            th.long scope="row" {
                @match job.job_id.parse::<JobId>() {
                    Ok(id) if job.name.is_some() => a href=(view::path(id)) { span hx-ignore { (name) } },
                    _ => span hx-ignore { (name) },
                }
            }
            td { (ui::badge(kind, icon, word)) }
            td.num { (ui::money(job.cost_usd)) }
            td { (job.message) }
        }
    }
}
