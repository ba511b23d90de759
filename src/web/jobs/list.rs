//! `/portal/jobs`: the filter, the table and the pages.
use crate::api::jobs::{Filter, List};
use crate::client;
use crate::domain::job::Status;
use crate::domain::spec::WorkloadType;
use crate::web::hx::{Fragment, Wants};
use crate::web::shell::{self, Nav};
use crate::web::ui::job_row::{job_table, type_name};
use crate::web::viewer::Viewer;
use crate::web::{Error, live, ui};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Query;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
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

/// The page, or what the filter and the pages swap.
pub(super) async fn index(
    wants: Wants,
    viewer: Viewer,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let asked = asked.cleaned();
    let (status, listing) = match viewer.api.jobs(&asked.filter()).await {
        Ok(jobs) => (StatusCode::OK, listing(&asked, &jobs, viewer.now)),
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => return Err(error.into()),
        Err(error) => unlisted(&asked, &error),
    };
    if wants == Wants::Page {
        let main = page(&asked, listing);
        return Ok((status, shell::page(&viewer, "Jobs", Nav::Jobs, main)).into_response());
    }
    Ok(fragment(&asked, listing, &headers))
}

/// Swapped whatever its state is, so it is a success to htmx. Only a refresh
/// names the version that it has.
fn fragment(asked: &Asked, (listing, tag): (Markup, String), headers: &HeaderMap) -> Response {
    let tag = format!("\"{tag}\"");
    let etag = (header::ETAG, HeaderValue::from_str(&tag));
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let mut response = Fragment(listing).into_response();
    if let (name, Ok(value)) = etag {
        response.headers_mut().insert(name, value);
    }
    if known.is_none()
        && let Ok(path) = HeaderValue::from_str(&asked.path())
    {
        let name = HeaderName::from_static("hx-replace-url");
        response.headers_mut().insert(name, path);
    }
    response
}

fn page(asked: &Asked, (listing, _): (Markup, String)) -> Markup {
    html! {
        div.head {
            div { h1 { "Jobs" } p { "Newest first." } }
            a.btn.pri href="/portal/submit" { (ui::icon("plus")) "Submit a job" }
        }
        (filter(asked))
        section.card.flush #jobs data-quiet { (listing) }
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

/// The inside of `#jobs`, and its tag. While a job in it is active it asks for
/// itself again, and is changed only where it differs.
fn listing(asked: &Asked, list: &List, now: OffsetDateTime) -> (Markup, String) {
    let inside = html! {
        h2.vh #jobs-h { "Jobs" }
        @if list.jobs.is_empty() { (none(asked)) } @else { (job_table(&list.jobs, now, "jobs-h")) }
        (pager(asked, list))
    };
    let tag = live::tag(&inside);
    let active = list.jobs.iter().any(|job| !job.status.ended());
    let markup = html! {
        (inside)
        @if active {
            div hidden hx-get=(asked.path()) hx-trigger="every 3s" hx-target="#jobs" hx-swap="innerMorph"
                hx-sync="#filter:drop" hx-headers=(live::known(&tag)) {}
        }
    };
    (markup, tag)
}

fn none(asked: &Asked) -> Markup {
    if asked.is_filtered() || !asked.cursor.is_empty() {
        return ui::empty(
            "No jobs match these filters",
            "Try a shorter name, or look at all jobs.",
            Some((PATH, "Clear filters")),
        );
    }
    ui::empty(
        "No jobs yet",
        "Say what you want to run, see what it will cost, and confirm.",
        Some(("/portal/submit", "Submit your first job")),
    )
}

fn pager(asked: &Asked, list: &List) -> Markup {
    let older = list.next_cursor.as_deref().filter(|_| list.has_more);
    html! {
        @if older.is_some() || !asked.cursor.is_empty() {
            nav.pager aria-label="Pages" {
                span { (list.jobs.len()) " jobs on this page" }
                span.push {}
                @if !asked.cursor.is_empty() { (page_link(&asked.at(""), "first", "Newest")) }
                @if let Some(cursor) = older { (page_link(&asked.at(cursor), "next", "Older")) }
            }
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
fn unlisted(asked: &Asked, error: &client::Error) -> (StatusCode, (Markup, String)) {
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
    let markup = html! { h2.vh #jobs-h { "Jobs" } (ui::empty(title, text, again)) };
    let tag = live::tag(&markup);
    (status, (markup, tag))
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
