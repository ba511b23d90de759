//! `/portal/inputs`: files that people bring for their jobs.
use super::progress::{self, Room};
use super::{PATH, UPLOADS, Upload, receive, words};
use crate::api::inputs::{Filter, Input, List};
use crate::client;
use crate::domain::file::Kind as Use;
use crate::web::error::UNREACHABLE;
use crate::web::hx::{self, Wants};
use crate::web::kind::Kind;
use crate::web::shell::{self, Nav};
use crate::web::ui::form::Wrong;
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal, ui};
use axum::Json;
use axum::extract::{Multipart, State};
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Query;
use http::StatusCode;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use time::OffsetDateTime;
use tower_cookies::Cookies;

/// Files on a page.
const ROWS: i64 = 20;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    cursor: String,
}

impl Asked {
    fn path(&self) -> String {
        match serde_html_form::to_string(self).unwrap_or_default() {
            query if query.is_empty() => UPLOADS.to_owned(),
            query => format!("{UPLOADS}?{query}"),
        }
    }
}

pub(super) async fn index(
    viewer: Viewer,
    Query(asked): Query<Asked>,
    kind: Kind,
) -> Result<Response, Error> {
    let found = found(&viewer, &asked).await;
    match kind {
        Kind::Page => {}
        Kind::Json => return Ok(Json(found?).into_response()),
        Kind::Text => return Ok(as_text(&found?).into_response()),
    }
    draw(&viewer, &asked, found, &Wrong::default())
}

async fn found(viewer: &Viewer, asked: &Asked) -> Result<List, client::Error> {
    let filter = Filter {
        limit: Some(ROWS),
        cursor: Some(asked.cursor.clone()).filter(|cursor| !cursor.is_empty()),
        ..Filter::default()
    };
    viewer.api.inputs(&filter).await
}

/// Takes files, whichever field they come in.
pub(super) async fn upload(
    wants: Wants,
    viewer: Viewer,
    State(portal): State<Portal>,
    cookies: Cookies,
    mut form: Multipart,
) -> Result<Response, Error> {
    let kind = |field: &str| match field {
        "upload_script" => Use::Script,
        _ => Use::Input,
    };
    let mut received = receive::form(&viewer.api, &mut form, kind).await?;
    if received.files.is_empty() && received.wrong.is_nothing() {
        received.wrong.add("upload_input", "Choose a file first.");
    }
    if received.wrong.is_nothing() {
        let said = match received.files.as_slice() {
            [one] => format!("{} is uploaded.", words::name(&one.filename)),
            all => format!("{} files are uploaded.", all.len()),
        };
        portal.config.say(&cookies, &said);
        return Ok(hx::redirect(wants, UPLOADS));
    }
    let asked = Asked::default();
    let found = found(&viewer, &asked).await;
    draw(&viewer, &asked, found, &received.wrong)
}

fn draw(
    viewer: &Viewer,
    asked: &Asked,
    found: Result<List, client::Error>,
    wrong: &Wrong,
) -> Result<Response, Error> {
    let limits = found
        .as_ref()
        .ok()
        .map(|list| (Room::of(list), words::kept(list.retention_seconds)));
    let (mut status, inside) = match found {
        Ok(list) => (StatusCode::OK, listing(asked, &list, viewer.now)),
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => return Err(error.into()),
        Err(error) => unlisted(asked, &error),
    };
    let mut title = "Uploads";
    if !wrong.is_nothing() {
        (status, title) = (wrong.status, "Error: Uploads");
    }
    let main = html! {
        (progress::script())
        div.head { div {
            p.crumbs { a href=(PATH) { "Artifacts" } }
            h1 { "Uploads" }
            p { "Files for your jobs, which the wizard lets you choose from." }
        } }
        div.cols {
            section.card.flush { h2.vh #uploads-h { "Files" } (inside) }
            section.card aria-labelledby="new-h" {
                header { h2 #new-h { "Upload files" } }
                form.stack method="post" action=(UPLOADS) enctype="multipart/form-data" {
                    (wrong.labelled(&[("upload_input", "Data"), ("upload_script", "Script")]))
                    (chooser("upload_input", "Data", "A job finds it in /workspace/inputs.", true, wrong))
                    (chooser("upload_script", "Script", "A job finds it in /workspace/scripts, and can run it.", false, wrong))
                    @if let Some((room, kept)) = &limits { p.hint { (room.words()) " Uploads are kept for " (kept) "." } }
                    (progress::shown(limits.map_or_else(Room::default, |(room, _)| room)))
                    button.btn.pri { "Upload" }
                }
            }
        }
    };
    let page = shell::page(viewer, title, Nav::Artifacts, main);
    Ok((status, page).into_response())
}

/// A field for files of this machine.
pub(in crate::web) fn chooser(
    name: &str,
    label: &str,
    hint: &str,
    several: bool,
    wrong: &Wrong,
) -> Markup {
    let error = wrong.field(name);
    let about = match error {
        Some(_) => format!("{name}-error {name}-hint"),
        None => format!("{name}-hint"),
    };
    html! {
        div.field {
            label for=(name) { (label) " " span.hint { "(optional)" } }
            input #(name) type="file" name=(name) multiple[several] aria-invalid=[error.map(|_| "true")] aria-describedby=(about);
            p.hint id={ (name) "-hint" } { (hint) }
            @if let Some(error) = error { p.err id={ (name) "-error" } hx-ignore { (ui::icon("warn")) (error) } }
        }
    }
}

fn listing(asked: &Asked, list: &List, now: OffsetDateTime) -> Markup {
    let older = list.next_cursor.as_deref().filter(|_| list.has_more);
    html! {
        @if list.inputs.is_empty() {
            (none(asked))
        } @else {
            div.scroll role="region" aria-labelledby="uploads-h" tabindex="0" {
                table.tbl.fold.files {
                    thead {
                        tr {
                            th scope="col" { "File" }
                            th.num scope="col" { "Size" }
                            th scope="col" { "Uploaded" }
                            th scope="col" { "Expires" }
                            th scope="col" { span.vh { "Actions" } }
                        }
                    }
                    tbody { @for input in &list.inputs { (row(input, now)) } }
                }
            }
        }
        div.pager {
            span { (words::size(list.used_bytes)) " of " (words::size(list.quota_bytes)) " used, artifacts included." }
            span.push {}
            @if !asked.cursor.is_empty() { a.btn rel="first" href=(UPLOADS) { "Newest" } }
            @if let Some(older) = older {
                a.btn rel="next" href=(Asked { cursor: older.to_owned() }.path()) { "Older" }
            }
        }
    }
}

fn row(input: &Input, now: OffsetDateTime) -> Markup {
    html! {
        tr {
            th scope="row" {
                span hx-ignore { (words::name(&input.filename)) }
                small { @match input.kind { Use::Input => "Data", Use::Script => "Script" } }
            }
            td.num { (words::size_if_known(input.size_bytes)) }
            td { @if input.ready { (ui::time(input.created_at, now)) } @else { (ui::badge(ui::Kind::Wait, "wait", "Not finished")) } }
            td { (ui::time(input.expires_at, now)) }
            td.num { a href={ (UPLOADS) "/" (input.id) "/delete" } { "Delete…" } }
        }
    }
}

fn none(asked: &Asked) -> Markup {
    if asked.cursor.is_empty() {
        let text = "Upload what your jobs need, here or on the way to a job.";
        return ui::empty("No uploads yet", text, None);
    }
    ui::empty(
        "No more uploads",
        "Look at the newest instead.",
        Some((UPLOADS, "Newest")),
    )
}

/// Why there is no list.
fn unlisted(asked: &Asked, error: &client::Error) -> (StatusCode, Markup) {
    let (status, text) = match error {
        client::Error::Refused { status, problem } if status.is_client_error() => {
            (*status, problem.message.as_str())
        }
        _ => (StatusCode::BAD_GATEWAY, UNREACHABLE),
    };
    let (title, again) = match status {
        StatusCode::FORBIDDEN => ("You may not see these files", None),
        StatusCode::BAD_REQUEST => ("The files could not be loaded", Some(UPLOADS.to_owned())),
        _ => ("The files could not be loaded", Some(asked.path())),
    };
    let again = again.as_deref().map(|path| (path, "Try again"));
    (status, ui::empty(title, text, again))
}

/// A line for each file, its parts between tabs, the name last.
fn as_text(list: &List) -> String {
    let mut shown = String::new();
    for input in &list.inputs {
        let size = input.size_bytes.unwrap_or_default();
        let (kind, name) = (input.kind.name(), words::name(&input.filename));
        let _ = writeln!(
            shown,
            "{}\t{kind}\t{}\t{size}\t{name}",
            input.id, input.status
        );
    }
    shown
}

pub(super) async fn ask(viewer: Viewer, Upload(id): Upload) -> Result<Response, Error> {
    let input = viewer.api.input(id).await?;
    let name = words::name(&input.filename);
    let main = html! {
        div.head { div {
            p.crumbs { a href=(UPLOADS) { "Uploads" } }
            h1 { "Delete an upload" }
        } }
        section.card {
            form.stack method="post" action={ (UPLOADS) "/" (id) "/delete" } {
                h2 { "Delete " bdi hx-ignore { (name) } "?" }
                p { "Jobs that have it already keep their copy. One that is still waiting for it keeps it from being deleted." }
                div.row.end {
                    a.btn href=(UPLOADS) { "Keep it" }
                    button.btn.bad { "Delete the file" }
                }
            }
        }
    };
    let title = format!("Delete {name}");
    Ok(shell::page(&viewer, &title, Nav::Artifacts, main).into_response())
}

pub(super) async fn delete(
    wants: Wants,
    viewer: Viewer,
    Upload(id): Upload,
    State(portal): State<Portal>,
    cookies: Cookies,
) -> Result<Response, Error> {
    match viewer.api.delete_input(id).await {
        Ok(done) => portal.config.say(&cookies, &words::name(&done.message)),
        // A second click finds it gone.
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(hx::redirect(wants, UPLOADS))
}
