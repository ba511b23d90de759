//! `/portal/artifacts`: what all jobs have left, newest first.
use super::{PATH, UPLOADS, content, link, words};
use crate::api::artifacts::{Filter, List, Listed, Selection};
use crate::client;
use crate::domain::id::JobId;
use crate::web::error::UNREACHABLE;
use crate::web::hx::{Fragment, Wants};
use crate::web::kind::Kind;
use crate::web::shell::{self, Nav};
use crate::web::ui::form::Wrong;
use crate::web::viewer::Viewer;
use crate::web::{Error, jobs, ui};
use axum::Json;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::{Form, Query};
use http::{HeaderName, HeaderValue, StatusCode};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Files on a page: as many as one fragment has room for.
const ROWS: i64 = 10;

/// What the address says. Empty means any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    job: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cursor: String,
}

impl Asked {
    /// Without what means nothing.
    fn cleaned(mut self) -> Self {
        let said = |text: &str, most: usize| -> String {
            let visible = text.trim().chars().filter(|c| !c.is_control());
            visible.take(most).collect()
        };
        self.q = said(&self.q, 200);
        self.job = said(&self.job, 100);
        self
    }

    fn query(&self) -> String {
        match serde_html_form::to_string(self).unwrap_or_default() {
            query if query.is_empty() => query,
            query => format!("?{query}"),
        }
    }

    fn path(&self) -> String {
        format!("{PATH}{}", self.query())
    }

    fn at(&self, cursor: &str) -> String {
        let at = Self {
            cursor: cursor.to_owned(),
            ..self.clone()
        };
        at.path()
    }

    fn is_filtered(&self) -> bool {
        !(self.q.is_empty() && self.job.is_empty())
    }

    fn filter(&self) -> Filter {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Filter {
            limit: Some(ROWS),
            cursor: said(&self.cursor),
            job: said(&self.job),
            q: said(&self.q),
        }
    }

    /// What was written for a job and cannot be the id of one.
    fn odd_job(&self) -> bool {
        !self.job.is_empty() && self.job.parse::<JobId>().is_err()
    }
}

pub(super) async fn index(
    wants: Wants,
    viewer: Viewer,
    Query(asked): Query<Asked>,
    kind: Kind,
) -> Result<Response, Error> {
    let asked = asked.cleaned();
    let found = viewer.api.all_artifacts(&asked.filter()).await;
    if wants == Wants::Page && kind != Kind::Page {
        let list = found?;
        return Ok(match kind {
            Kind::Json => Json(list).into_response(),
            _ => as_text(&list).into_response(),
        });
    }
    draw(wants, &viewer, &asked, found, &Chosen::default())
}

/// What was chosen for an archive, and what is wrong with that.
#[derive(Debug, Default)]
struct Chosen {
    ids: Vec<String>,
    wrong: Wrong,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Packed {
    #[serde(default)]
    id: Vec<String>,
}

/// Makes an archive of what was chosen, and leads to it.
pub(super) async fn pack(
    viewer: Viewer,
    Query(asked): Query<Asked>,
    Form(packed): Form<Packed>,
) -> Result<Response, Error> {
    let asked = asked.cleaned();
    let mut chosen = Chosen {
        ids: packed.id,
        wrong: Wrong::default(),
    };
    if chosen.ids.is_empty() {
        chosen.wrong.add("id", "Choose at least one file first.");
    } else {
        let selection = Selection {
            ids: chosen.ids.clone(),
        };
        match viewer.api.zip_artifacts(&selection).await {
            Ok(archive) => return Ok(content::lead_to(&archive)),
            Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {
                let why = "One of these files is gone. Choose again.";
                chosen.wrong.add("id", why);
            }
            Err(error) => chosen.wrong = Wrong::of(error)?,
        }
    }
    let found = viewer.api.all_artifacts(&asked.filter()).await;
    draw(Wants::Page, &viewer, &asked, found, &chosen)
}

fn draw(
    wants: Wants,
    viewer: &Viewer,
    asked: &Asked,
    found: Result<List, client::Error>,
    chosen: &Chosen,
) -> Result<Response, Error> {
    let (status, inside) = match found {
        Ok(list) if list.artifacts.is_empty() => (StatusCode::OK, none(asked, &list)),
        Ok(list) => (StatusCode::OK, listing(asked, &list, chosen, viewer.now)),
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => return Err(error.into()),
        Err(error) => unlisted(asked, &error),
    };
    let inside = html! { h2.vh #artifacts-h { "Files" } (inside) };
    if wants == Wants::Fragment {
        // Swapped whatever its state is, so it is a success to htmx.
        let mut response = Fragment(inside).into_response();
        if let Ok(path) = HeaderValue::from_str(&asked.path()) {
            let name = HeaderName::from_static("hx-replace-url");
            response.headers_mut().insert(name, path);
        }
        return Ok(response);
    }
    let status = if chosen.wrong.is_nothing() {
        status
    } else {
        chosen.wrong.status
    };
    let main = html! {
        div.head {
            div { h1 { "Artifacts" } p { "What jobs have left in /workspace/artifacts, newest first." } }
            a.btn href=(UPLOADS) { "Your uploads" }
        }
        (filter(asked))
        section.card.flush #artifacts { (inside) }
    };
    let title = if chosen.wrong.is_nothing() {
        "Artifacts"
    } else {
        "Error: Artifacts"
    };
    let page = shell::page(viewer, title, Nav::Artifacts, main);
    Ok((status, page).into_response())
}

fn filter(asked: &Asked) -> Markup {
    html! {
        form.filters role="search" action=(PATH) method="get" hx-get=(PATH) hx-target="#artifacts" hx-swap="innerHTML"
            hx-trigger="input changed delay:300ms from:#q, change, submit" hx-sync="this:replace" {
            div.q {
                label.vh for="q" { "Search files" }
                (ui::icon("search"))
                input #q name="q" type="search" value=(asked.q) placeholder="Name of a file or its job" autocomplete="off" maxlength="200";
            }
            div.field {
                label.vh for="job" { "Job ID" }
                input #job name="job" type="search" value=(asked.job) placeholder="Job ID" autocomplete="off" maxlength="100";
            }
            button.btn { "Apply" }
        }
    }
}

fn listing(asked: &Asked, list: &List, chosen: &Chosen, now: OffsetDateTime) -> Markup {
    html! {
        form method="post" action={ (PATH) "/zip" (asked.query()) } {
            (chosen.wrong.summary(&[]))
            div.scroll role="region" aria-labelledby="artifacts-h" tabindex="0" {
                table.tbl.fold.files {
                    thead {
                        tr {
                            th scope="col" { "File" }
                            th.num scope="col" { "Size" }
                            th scope="col" { "Content" }
                            th scope="col" { "Job" }
                            th scope="col" { "SHA-256" }
                            th scope="col" { "Expires" }
                            th scope="col" { span.vh { "Actions" } }
                        }
                    }
                    tbody { @for one in &list.artifacts { (row(one, chosen, now)) } }
                }
            }
            nav.pager aria-label="Pages" {
                button.btn { (ui::icon("down")) "Chosen as ZIP" }
                span.push {}
                (pages(asked, list))
            }
        }
        (usage(list))
        form #links method="post" {}
    }
}

fn row(one: &Listed, chosen: &Chosen, now: OffsetDateTime) -> Markup {
    let artifact = &one.artifact;
    let id = artifact.id.to_string();
    let name = words::name(&artifact.filename);
    html! {
        tr {
            th scope="row" {
                div.row {
                    input type="checkbox" name="id" value=(id) checked[chosen.ids.contains(&id)] aria-label={ "Choose " (name) };
                    a href=(super::path(artifact.id)) { (words::file(&artifact.filename)) }
                }
            }
            td.num { (words::size_if_known(artifact.size_bytes)) }
            td hx-ignore { (words::kind(&artifact.content_type)) }
            td { a href=(jobs::path(artifact.job_id)) hx-ignore { (words::name(&one.job_name)) } }
            td.mono { (words::short(&artifact.sha256)) }
            td { (ui::time(artifact.expires_at, now)) }
            td { button.btn.ghost form="links" formaction=(link::path(artifact)) aria-label={ "Link to " (name) } { "Link" } }
        }
    }
}

/// What all files take up, and how long they stay.
fn usage(list: &List) -> Markup {
    html! {
        div.pager {
            span {
                (words::size(list.used_bytes)) " of " (words::size(list.quota_bytes)) " used, uploads included. "
                "Files of up to " (words::size(list.max_bytes)) " are kept, for " (words::kept(list.retention_seconds)) " after their job's end."
            }
            progress.push value=(list.used_bytes.max(0)) max=(list.quota_bytes.max(1)) aria-label="Space used" {}
        }
    }
}

/// Why there is none.
fn none(asked: &Asked, list: &List) -> Markup {
    let why = if asked.is_filtered() || !asked.cursor.is_empty() {
        ui::empty(
            "No files match",
            "Try a shorter name, or look at all files.",
            Some((PATH, "Clear filters")),
        )
    } else {
        ui::empty(
            "No artifacts yet",
            "What a job puts into /workspace/artifacts is kept here when it ends.",
            Some(("/portal/submit", "Submit a job")),
        )
    };
    html! { (why) (usage(list)) }
}

fn pages(asked: &Asked, list: &List) -> Markup {
    let older = list.next_cursor.as_deref().filter(|_| list.has_more);
    html! {
        @if !asked.cursor.is_empty() { (link(&asked.at(""), "first", "Newest")) }
        @if let Some(cursor) = older { (link(&asked.at(cursor), "next", "Older")) }
    }
}

fn link(path: &str, rel: &str, label: &str) -> Markup {
    html! {
        a.btn rel=(rel) href=(path) hx-get=(path) hx-target="#artifacts" hx-swap="innerHTML show:top" hx-push-url="true" { (label) }
    }
}

/// Why there is no list.
fn unlisted(asked: &Asked, error: &client::Error) -> (StatusCode, Markup) {
    let (status, text) = match error {
        client::Error::Refused { status, problem } if status.is_client_error() => {
            (*status, problem.message.as_str())
        }
        _ => (StatusCode::BAD_GATEWAY, UNREACHABLE),
    };
    if asked.odd_job() && status == StatusCode::BAD_REQUEST {
        let text = "The id of a job begins with job_. Its page shows it.";
        let why = ui::empty("There is no such job", text, Some((PATH, "Clear filters")));
        return (status, why);
    }
    let title = match status {
        StatusCode::FORBIDDEN => "You may not see these files",
        _ => "The files could not be loaded",
    };
    // What the cursor of a changed address means nobody knows.
    let again = match status {
        StatusCode::BAD_REQUEST => asked.at(""),
        _ => asked.path(),
    };
    let again = (status != StatusCode::FORBIDDEN).then_some((again.as_str(), "Try again"));
    (status, ui::empty(title, text, again))
}

/// A line for each file, its parts between tabs, the name last.
fn as_text(list: &List) -> String {
    let mut shown = String::new();
    for Listed { artifact, job_name } in &list.artifacts {
        let expires = artifact.expires_at.format(&Rfc3339).unwrap_or_default();
        let size = artifact.size_bytes.unwrap_or_default();
        let (job_name, name) = (words::name(job_name), words::name(&artifact.filename));
        let _ = writeln!(
            shown,
            "{}\t{size}\t{}\t{expires}\t{}\t{job_name}\t{name}",
            artifact.id, artifact.sha256, artifact.job_id
        );
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_has_only_what_means_something() {
        let asked = Asked {
            q: " a&b\0 ".into(),
            ..Asked::default()
        };
        let asked = asked.cleaned();
        assert_eq!(asked.path(), "/portal/artifacts?q=a%26b");
        assert_eq!(asked.at("x y"), "/portal/artifacts?q=a%26b&cursor=x+y");
        assert_eq!(Asked::default().path(), "/portal/artifacts");
    }
}
