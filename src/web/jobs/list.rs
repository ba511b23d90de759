//! `/portal/jobs`: the filter, the table and the pages.
use super::asked::{Asked, PATH, capitalized};
use super::plain;
use crate::api::jobs::List;
use crate::client;
use crate::domain::job::Status;
use crate::domain::spec::WorkloadType;
use crate::web::hx::{Fragment, Wants};
use crate::web::kind::Kind;
use crate::web::shell::{self, Nav};
use crate::web::ui::job_row::{rows_to_choose, table_to_choose, type_name};
use crate::web::viewer::Viewer;
use crate::web::{Error, live, poll, ui};
use axum::Json;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Query;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use maud::{Markup, html};
use time::OffsetDateTime;

/// The page, or what the filter and the pages swap, or what has changed.
pub(super) async fn index(
    wants: Wants,
    viewer: Viewer,
    headers: HeaderMap,
    kind: Kind,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let mut asked = asked.cleaned();
    if wants == Wants::Page && kind != Kind::Page {
        let jobs = viewer.api.jobs(&asked.filter()).await?;
        return Ok(match kind {
            Kind::Json => Json(jobs).into_response(),
            _ => plain::list(&jobs, viewer.now).into_response(),
        });
    }
    let known = poll::known(&headers).filter(|_| wants == Wants::Fragment);
    let mut found = viewer.api.jobs(&asked.filter()).await;
    // Before the first page there is none: what newer jobs there are is on it.
    if let Ok(list) = &found
        && list.prev_cursor.is_none()
        && !asked.cursor.is_empty()
        && known.is_none()
    {
        asked.cursor.clear();
        found = viewer.api.jobs(&asked.filter()).await;
    }
    let jobs = match found {
        Ok(jobs) if jobs.jobs.is_empty() => {
            let instead = html! { (none(&asked, &jobs)) (pager(&asked, &jobs)) };
            Err((StatusCode::OK, instead))
        }
        Ok(jobs) => Ok(Listing::of(&asked, jobs, viewer.now)),
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => return Err(error.into()),
        Err(error) => Err(unlisted(&asked, &error)),
    };
    Ok(match (jobs, wants, known) {
        (Ok(jobs), _, Some(known)) => {
            let pulse = |shown: &poll::Version| jobs.pulse(&asked, shown);
            poll::answer(known, &jobs.parts, pulse)
        }
        (Err((_, instead)), _, Some(_)) => {
            Fragment(live::partial("#jobs", "innerMorph", instead)).into_response()
        }
        (Ok(jobs), Wants::Page, None) => {
            let inside = jobs.draw(&asked, &jobs.parts.version());
            shell::page(&viewer, "Jobs", Nav::Jobs, page(&asked, inside)).into_response()
        }
        (Err((status, instead)), Wants::Page, None) => {
            let page = shell::page(&viewer, "Jobs", Nav::Jobs, page(&asked, instead));
            (status, page).into_response()
        }
        (Ok(jobs), Wants::Fragment, None) => {
            swapped(&asked, jobs.draw(&asked, &jobs.parts.beginning()))
        }
        (Err((_, instead)), Wants::Fragment, None) => swapped(&asked, instead),
    })
}

/// Swapped whatever its state is, so it is a success to htmx.
fn swapped(asked: &Asked, inside: Markup) -> Response {
    let mut response = Fragment(inside).into_response();
    if let Ok(path) = HeaderValue::from_str(&asked.path()) {
        let name = HeaderName::from_static("hx-replace-url");
        response.headers_mut().insert(name, path);
    }
    response
}

fn page(asked: &Asked, inside: Markup) -> Markup {
    html! {
        (super::dress())
        div.head {
            div { h1 { "Jobs" } }
            a.btn.pri href="/portal/submit" { (ui::icon("plus")) "Submit a job" }
        }
        (filter(asked))
        section.card.flush #jobs data-quiet { (inside) }
    }
}

fn filter(asked: &Asked) -> Markup {
    html! {
        form.filters.jobs #filter role="search" action=(PATH) method="get" hx-get=(PATH) hx-target="#jobs" hx-swap="innerHTML"
            hx-replace-url="true" hx-trigger="input changed delay:300ms from:#q, change target:.now, submit" hx-sync="this:replace" {
            div.q {
                label.vh for="q" { "Search jobs" }
                (ui::icon("search"))
                input #q name="q" type="search" value=(asked.q) placeholder="Name, image or job ID" autocomplete="off" maxlength="200";
            }
            div.field {
                label.vh for="status" { "Status" }
                select.now #status name="status" {
                    option value="" { "Any status" }
                    option value="active" selected[asked.status == "active"] { "Active" }
                    option value="ended" selected[asked.status == "ended"] { "Ended" }
                    @for status in Status::ALL {
                        option value=(status) selected[asked.status == status.name()] { (capitalized(status.name())) }
                    }
                }
            }
            div.field {
                label.vh for="type" { "Type" }
                select.now #type name="type" {
                    option value="" { "Any type" }
                    @for kind in WorkloadType::ALL {
                        option value=(kind.name()) selected[asked.kind == kind.name()] { (type_name(kind)) }
                    }
                }
            }
            div.field {
                label for="image" { "Image" }
                input.now #image name="image" value=(asked.image) placeholder="Any image" autocomplete="off" maxlength="512" spellcheck="false";
            }
            (date("from", "Submitted from", &asked.from))
            (date("to", "To", &asked.to))
            @if !asked.sort.is_empty() { input type="hidden" name="sort" value=(asked.sort); }
            button.btn { "Apply" }
        }
    }
}

fn date(name: &str, label: &str, value: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input.now #(name) name=(name) type="date" value=(value);
        }
    }
}

/// The filters that are set, each with a way to be rid of it, and the orders.
fn bar(asked: &Asked) -> Markup {
    html! {
        div.bar {
            @for (words, without) in asked.chips() {
                a.tag href=(without.path()) { span.vh { "Remove filter " } span hx-ignore { (words) } span aria-hidden="true" { " ×" } }
            }
            nav aria-label="Sort" {
                @for (sort, label) in [("", "Newest"), ("oldest", "Oldest"), ("cost", "Cost"), ("runtime", "Runtime")] {
                    @let figures = matches!(sort, "cost" | "runtime");
                    @if !figures || asked.sorts_by_figures() {
                        a href=(asked.sorted(sort).path()) aria-current=[(asked.sort == sort).then_some("true")] { (label) }
                    }
                }
            }
        }
    }
}

/// What can be done with many of them.
fn many(asked: &Asked) -> Markup {
    html! {
        form.bar #many method="get" action="/portal/jobs/cancel" {
            button.btn { "Cancel selected" }
            a href=(asked.at("").below("/portal/jobs/cancel")) { "Cancel all active" @if asked.is_filtered() { " of these" } }
        }
    }
}

/// What is inside of `#jobs` when there are some.
struct Listing {
    parts: poll::Parts,
    active: bool,
}

impl Listing {
    fn of(asked: &Asked, list: List, now: OffsetDateTime) -> Self {
        Self {
            parts: poll::Parts {
                rows: rows_to_choose(&list.jobs, now),
                fixed: vec![("#pager", pager(asked, &list))],
            },
            active: list.jobs.iter().any(|job| !job.status.ended()),
        }
    }

    /// As far as `shown`; the pulse brings the rest.
    fn draw(&self, asked: &Asked, shown: &poll::Version) -> Markup {
        let all = *shown == self.parts.version();
        html! {
            (heading())
            (bar(asked))
            (table_to_choose(&self.parts.rows[..shown.rows()], "jobs-h"))
            (many(asked))
            @if all { @for (_, markup) in &self.parts.fixed { (markup) } } @else { nav #pager hidden {} }
            (self.pulse(asked, shown))
        }
    }

    fn pulse(&self, asked: &Asked, shown: &poll::Version) -> Markup {
        let trigger = shown.trigger(&self.parts.version(), self.active, "3s");
        let Some(trigger) = trigger else {
            return html! { div #pulse {} };
        };
        // Asked at once, the answer that brings this is still being dealt with.
        let at_once = trigger.starts_with("load");
        let sync = if at_once {
            "#filter:queue first"
        } else {
            "#filter:drop"
        };
        html! {
            div #pulse data-quiet hx-get=(asked.path()) hx-trigger=(trigger) hx-swap="outerHTML"
                hx-sync=(sync) hx-headers=(poll::shows(shown)) {}
        }
    }
}

fn heading() -> Markup {
    html! { h2.vh #jobs-h { "Jobs" } }
}

/// Why there is none.
fn none(asked: &Asked, list: &List) -> Markup {
    let further = list
        .next_cursor
        .as_deref()
        .map(|cursor| asked.at(cursor).path());
    let why = if let Some(further) = further {
        ui::empty(
            "No match so far",
            "A search reads the newest jobs first, and stops for a moment when it has read many.",
            Some((&further, "Search further")),
        )
    } else if asked.is_filtered() || !asked.cursor.is_empty() {
        ui::empty(
            "No jobs match these filters",
            "Try a shorter name, or look at all jobs.",
            Some((PATH, "Clear filters")),
        )
    } else {
        ui::empty(
            "No jobs yet",
            "Say what you want to run, see what it will cost, and confirm.",
            Some(("/portal/submit", "Submit your first job")),
        )
    };
    html! { (heading()) (bar(asked)) (why) }
}

fn pager(asked: &Asked, list: &List) -> Markup {
    let after = list
        .next_cursor
        .as_deref()
        .filter(|_| list.has_more && !list.jobs.is_empty());
    let before = list.prev_cursor.as_deref();
    let [first, previous, next] = match &*asked.sort {
        "" => ["Newest", "Newer", "Older"],
        "oldest" => ["Oldest", "Older", "Newer"],
        _ => ["First", "Previous", "Next"],
    };
    let needed = after.is_some() || before.is_some() || !asked.cursor.is_empty();
    html! {
        nav.pager #pager aria-label="Pages" hidden[!needed] {
            @if needed {
                span { (list.jobs.len()) @if list.jobs.len() == 1 { " job" } @else { " jobs" } " on this page" }
                span.push {}
            }
            @if !asked.cursor.is_empty() { (page_link(&asked.at(""), "first", first)) }
            @if let Some(cursor) = before { (page_link(&asked.at(cursor), "prev", previous)) }
            @if let Some(cursor) = after { (page_link(&asked.at(cursor), "next", next)) }
        }
    }
}

fn page_link(to: &Asked, rel: &str, label: &str) -> Markup {
    let path = to.path();
    html! {
        a.btn rel=(rel) href=(path) hx-get=(path) hx-target="#jobs" hx-swap="innerHTML show:top"
            hx-sync="#filter:replace" hx-push-url="true" { (label) }
    }
}

/// Why there is no list.
fn unlisted(asked: &Asked, error: &client::Error) -> (StatusCode, Markup) {
    let (status, title, text) = match error {
        client::Error::Refused { status, problem } if *status == StatusCode::FORBIDDEN => (
            *status,
            "You may not see these jobs",
            problem.message.as_str(),
        ),
        client::Error::Refused { status, problem } if status.is_client_error() => (
            *status,
            "The list could not be loaded",
            problem.message.as_str(),
        ),
        _ => (
            StatusCode::BAD_GATEWAY,
            "The list could not be loaded",
            crate::web::error::UNREACHABLE,
        ),
    };
    // A cursor that is none would be refused again.
    let path = match status {
        StatusCode::BAD_REQUEST => asked.at("").path(),
        _ => asked.path(),
    };
    let again = (status != StatusCode::FORBIDDEN).then_some((path.as_str(), "Try again"));
    (
        status,
        html! { (heading()) (ui::empty(title, text, again)) },
    )
}
