//! `/portal/jobs`: the filter, the table and the pages.
use crate::api::jobs::{Filter, List};
use crate::client;
use crate::domain::job::Status;
use crate::domain::spec::WorkloadType;
use crate::web::hx::{Fragment, Wants};
use crate::web::shell::{self, Nav};
use crate::web::ui::job_row::{job_rows, job_table, type_name};
use crate::web::viewer::Viewer;
use crate::web::{Error, live, poll, ui};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Query;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

const PATH: &str = "/portal/jobs";

/// What the address says. Empty means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cursor: String,
}

impl Asked {
    /// Without what means nothing.
    fn cleaned(mut self) -> Self {
        self.q = self.q.trim().chars().take(200).collect();
        if self.status != "active" {
            self.status = Status::named(&self.status).map_or("", Status::name).into();
        }
        self.kind = WorkloadType::named(&self.kind)
            .map_or("", WorkloadType::name)
            .into();
        self
    }

    /// The one address of this list.
    fn path(&self) -> String {
        match serde_html_form::to_string(self).unwrap_or_default() {
            query if query.is_empty() => PATH.to_owned(),
            query => format!("{PATH}?{query}"),
        }
    }

    fn at(&self, cursor: &str) -> Self {
        Self {
            cursor: cursor.to_owned(),
            ..self.clone()
        }
    }

    fn is_filtered(&self) -> bool {
        !(self.q.is_empty() && self.status.is_empty() && self.kind.is_empty())
    }

    fn filter(&self) -> Filter {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Filter {
            limit: None,
            cursor: said(&self.cursor),
            status: said(&self.status),
            workload_type: said(&self.kind),
            q: said(&self.q),
        }
    }
}

/// The page, or what the filter and the pages swap, or what has changed.
pub(super) async fn index(
    wants: Wants,
    viewer: Viewer,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let asked = asked.cleaned();
    let known = poll::known(&headers).filter(|_| wants == Wants::Fragment);
    let jobs = match viewer.api.jobs(&asked.filter()).await {
        Ok(jobs) if jobs.jobs.is_empty() => {
            let instead = html! { (none(&asked)) (pager(&asked, &jobs)) };
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
        div.head {
            div { h1 { "Jobs" } p { "Newest first." } }
            a.btn.pri href="/portal/submit" { (ui::icon("plus")) "Submit a job" }
        }
        (filter(asked))
        section.card.flush #jobs data-quiet { (inside) }
    }
}

fn filter(asked: &Asked) -> Markup {
    html! {
        form.filters #filter role="search" action=(PATH) method="get" hx-get=(PATH) hx-target="#jobs" hx-swap="innerHTML"
            hx-replace-url="true" hx-trigger="input changed delay:300ms from:#q, change target:select, submit" hx-sync="this:replace" {
            div.q {
                label.vh for="q" { "Search jobs" }
                (ui::icon("search"))
                input #q name="q" type="search" value=(asked.q) placeholder="Name, image or job ID" autocomplete="off" maxlength="200";
            }
            div.field {
                label.vh for="status" { "Status" }
                select #status name="status" {
                    option value="" { "Any status" }
                    option value="active" selected[asked.status == "active"] { "Active" }
                    @for status in Status::ALL {
                        option value=(status) selected[asked.status == status.name()] { (capitalized(status.name())) }
                    }
                }
            }
            div.field {
                label.vh for="type" { "Type" }
                select #type name="type" {
                    option value="" { "Any type" }
                    @for kind in WorkloadType::ALL {
                        option value=(kind.name()) selected[asked.kind == kind.name()] { (type_name(kind)) }
                    }
                }
            }
            button.btn { "Apply" }
        }
    }
}

fn capitalized(word: &str) -> String {
    let mut rest = word.chars();
    let first = rest.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(rest).collect()
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
                rows: job_rows(&list.jobs, now),
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
            (job_table(&self.parts.rows[..shown.rows()], "jobs-h"))
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
fn none(asked: &Asked) -> Markup {
    let why = if asked.is_filtered() || !asked.cursor.is_empty() {
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
    html! { (heading()) (why) }
}

fn pager(asked: &Asked, list: &List) -> Markup {
    let older = list.next_cursor.as_deref().filter(|_| list.has_more);
    let needed = older.is_some() || !asked.cursor.is_empty();
    html! {
        nav.pager #pager aria-label="Pages" hidden[!needed] {
            @if needed {
                span { (list.jobs.len()) " jobs on this page" }
                span.push {}
            }
            @if !asked.cursor.is_empty() { (page_link(&asked.at(""), "first", "Newest")) }
            @if let Some(cursor) = older { (page_link(&asked.at(cursor), "next", "Older")) }
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
    let path = asked.path();
    let again = (status != StatusCode::FORBIDDEN).then_some((path.as_str(), "Try again"));
    (
        status,
        html! { (heading()) (ui::empty(title, text, again)) },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_only_what_means_something() {
        let asked = Asked {
            q: "  a&b ".into(),
            status: "canceled".into(),
            kind: "dancing".into(),
            cursor: String::new(),
        };
        let asked = asked.cleaned();
        assert_eq!(asked.path(), "/portal/jobs?q=a%26b&status=cancelled");
        assert_eq!(Asked::default().path(), "/portal/jobs");
        assert_eq!(
            asked.at("x y").path(),
            "/portal/jobs?q=a%26b&status=cancelled&cursor=x+y"
        );
    }
}
