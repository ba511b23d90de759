//! `/portal/logs`: what all jobs printed, newest failures first.
use super::asked::{self, Asked as Of};
use super::lines::{self, Look};
use super::zone::Zone;
use super::{dress, path};
use crate::api::logs::{All, AllFilter, OfJob};
use crate::client;
use crate::domain::logs::grouped;
use crate::web::error::UNREACHABLE;
use crate::web::jobs::text;
use crate::web::kind::Kind;
use crate::web::shell::{self, Nav};
use crate::web::viewer::Viewer;
use crate::web::{Error, ui};
use axum::Json;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Query;
use http::StatusCode;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use time::OffsetDateTime;
use tower_cookies::Cookies;

const PATH: &str = "/portal/logs";
/// Jobs on a page.
const JOBS: i64 = 8;

/// What the address says. Empty means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    job: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    level: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    stream: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    time: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cursor: String,
}

impl Asked {
    fn cleaned(mut self) -> Self {
        self.q = asked::searchable(&self.q);
        self.job = asked::searchable(&self.job);
        self.level = asked::level(&self.level);
        self.stream = asked::stream(&self.stream);
        if self.time.len() > 5 {
            self.time.clear();
        }
        self
    }

    fn at(&self, cursor: &str) -> String {
        let asked = Self {
            cursor: cursor.to_owned(),
            ..self.clone()
        };
        match serde_html_form::to_string(&asked).unwrap_or_default() {
            query if query.is_empty() => PATH.to_owned(),
            query => format!("{PATH}?{query}"),
        }
    }

    fn filtered(&self) -> bool {
        [&self.q, &self.job, &self.level, &self.stream]
            .iter()
            .any(|value| !value.is_empty())
    }

    fn filter(&self) -> AllFilter {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        AllFilter {
            limit: Some(JOBS),
            cursor: said(&self.cursor),
            job: said(&self.job),
            stream: said(&self.stream),
            level: said(&self.level),
            q: said(&self.q),
        }
    }

    /// The same filter on the page of one job.
    fn of(&self) -> Of {
        Of {
            q: self.q.clone(),
            level: self.level.clone(),
            stream: self.stream.clone(),
            time: self.time.clone(),
            ..Of::default()
        }
    }
}

pub(super) async fn index(
    viewer: Viewer,
    Query(asked): Query<Asked>,
    kind: Kind,
    cookies: Cookies,
) -> Result<Response, Error> {
    let asked = asked.cleaned();
    let (status, inside) = match viewer.api.all_logs(&asked.filter()).await {
        Ok(all) => match kind {
            Kind::Json => return Ok(Json(all).into_response()),
            Kind::Text => return Ok(as_text(&all).into_response()),
            Kind::Page => {
                let zone = Zone::read(&asked.time, &cookies);
                (StatusCode::OK, listing(&asked, &all, zone, viewer.now))
            }
        },
        Err(error) if kind != Kind::Page || error.status() == Some(StatusCode::UNAUTHORIZED) => {
            return Err(error.into());
        }
        Err(error) => unlisted(&asked, &error),
    };
    let main = html! {
        (dress())
        div.head { div { h1 { "Logs" } p { "What all jobs printed: the newest failures first, then the newest jobs." } } }
        (filter(&asked))
        (inside)
    };
    let page = shell::page(&viewer, "Logs", Nav::Logs, main);
    Ok((status, page).into_response())
}

fn filter(asked: &Asked) -> Markup {
    html! {
        form.filters.seek.all role="search" method="get" action=(PATH) {
            @if !asked.time.is_empty() { input type="hidden" name="time" value=(asked.time); }
            div.q {
                label.vh for="q" { "Search all output" }
                (ui::icon("search"))
                input #q name="q" type="search" value=(asked.q) placeholder="Search all output" autocomplete="off" maxlength="200";
            }
            div.field {
                label.vh for="job" { "Job" }
                input #job name="job" type="search" value=(asked.job) placeholder="Any job" autocomplete="off" maxlength="200";
            }
            (asked::choices(&asked.level, &asked.stream))
            button.btn { "Search" }
        }
    }
}

fn listing(asked: &Asked, all: &All, zone: Zone, now: OffsetDateTime) -> Markup {
    html! {
        @if all.logs.is_empty() { section.card { (none(asked, all)) } }
        @else { div.stack #logs { @for of in &all.logs { (card(asked, of, zone, now)) } } }
        (pager(asked, all, zone))
    }
}

/// One job: how it is, and the end of what is wanted of its output.
fn card(asked: &Asked, of: &OfJob, zone: Zone, now: OffsetDateTime) -> Markup {
    let here = path(of.job_id);
    let look = Look::new(&asked.of(), zone, &here);
    let filter = asked.of();
    let all = format!("{here}{}", filter.query());
    // What was printed while it was cleared up may hide why it failed.
    let unseen = of.error_lines > 0
        && !asked.filtered()
        && !of.items.iter().any(|item| item.level == "error");
    let error = Of {
        at: "error".into(),
        ..filter.look()
    };
    let day = lines::Day::default();
    html! {
        figure.term.lines {
            header {
                h2 { a href=(all) hx-ignore { (text::visible(&of.name)) } }
                (ui::outcome_badge(of.status, None, of.app_session_end))
                span { (ui::time(of.completed_at.unwrap_or(of.created_at), now)) }
            }
            @if let Some(why) = &of.status_reason { p.why hx-ignore { (text::visible(why)) } }
            div.log.down { pre hx-ignore { @for item in &of.items { (look.brief(item, &day)) } } }
            @if of.has_earlier {
                p.why {
                    @if unseen { a.strong href={ (here) (error.query()) } { "First error" } " · " }
                    a href=(all) {
                        @if asked.q.is_empty() && asked.level.is_empty() && asked.stream.is_empty() {
                            "All " (grouped(of.last_entry.unsigned_abs())) " lines"
                        } @else { "All lines that match" }
                    }
                }
            }
        }
    }
}

/// Why there is nothing.
fn none(asked: &Asked, all: &All) -> Markup {
    if let Some(cursor) = all.next_cursor.as_deref().filter(|_| all.has_more) {
        let further = asked.at(cursor);
        let text =
            "A search reads the newest output first, and stops for a moment when it has read much.";
        return ui::empty(
            "Nothing found so far",
            text,
            Some((&further, "Search older jobs")),
        );
    }
    if asked.filtered() || !asked.cursor.is_empty() {
        let text = "Search for less, or look at all output.";
        return ui::empty("No output matches", text, Some((PATH, "Clear filters")));
    }
    let text = "What your jobs print is kept here, and can be searched.";
    ui::empty(
        "No output yet",
        text,
        Some(("/portal/submit", "Submit your first job")),
    )
}

fn pager(asked: &Asked, all: &All, zone: Zone) -> Markup {
    let older = all
        .next_cursor
        .as_deref()
        .filter(|_| all.has_more && !all.logs.is_empty());
    let other = Asked {
        time: if zone.is_utc() {
            "local".into()
        } else {
            String::new()
        },
        ..asked.clone()
    };
    html! {
        nav.pager aria-label="Pages" {
            @if !all.logs.is_empty() {
                a.btn href=(other.at(&asked.cursor)) { @if zone.is_utc() { "Local times" } @else { "Times in UTC" } }
            }
            span.push {}
            @if !asked.cursor.is_empty() { a.btn rel="first" href=(asked.at("")) { "Newest" } }
            @if let Some(older) = older { a.btn rel="next" href=(asked.at(older)) { "Older" } }
        }
    }
}

/// Why there is no list.
fn unlisted(asked: &Asked, error: &client::Error) -> (StatusCode, Markup) {
    let (status, text) = match error {
        client::Error::Refused { status, .. } if *status == StatusCode::BAD_REQUEST => (
            *status,
            "This address leads nowhere. Begin with the newest.",
        ),
        client::Error::Refused { status, problem } if status.is_client_error() => {
            (*status, problem.message.as_str())
        }
        _ => (StatusCode::BAD_GATEWAY, UNREACHABLE),
    };
    let title = match status {
        StatusCode::FORBIDDEN => "You may not see this output",
        _ => "The logs could not be loaded",
    };
    // What the cursor of a changed address means nobody knows.
    let again = match status {
        StatusCode::BAD_REQUEST => asked.at(""),
        _ => asked.at(&asked.cursor),
    };
    let again = (status != StatusCode::FORBIDDEN).then_some((again.as_str(), "Try again"));
    (
        status,
        html! { section.card { (ui::empty(title, text, again)) } },
    )
}

/// The same as text: a heading for each job, and its lines.
fn as_text(all: &All) -> String {
    let mut shown = String::new();
    for of in &all.logs {
        let name = text::visible(&of.name).replace('\n', " ");
        let _ = writeln!(shown, "== {} {} {name}", of.job_id, of.status);
        shown.push_str(&lines::text(&of.items));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_only_what_means_something() {
        let asked = Asked {
            q: " a&b ".into(),
            level: "dancing".into(),
            stream: "stderr".into(),
            ..Asked::default()
        };
        let asked = asked.cleaned();
        assert_eq!(asked.at(""), "/portal/logs?q=a%26b&stream=stderr");
        assert_eq!(
            asked.at("x y"),
            "/portal/logs?q=a%26b&stream=stderr&cursor=x+y"
        );
        assert_eq!(Asked::default().at(""), "/portal/logs");
    }
}
