//! `/portal/artifacts/{artifact}`: one file, what is in it, and what may be done with it.
use super::{PATH, Which, link, words};
use crate::api::artifacts::{Artifact, Download, Listed, Preview, PreviewKind};
use crate::client;
use crate::web::jobs::{self, text};
use crate::web::kind::Kind;
use crate::web::shell::{self, Nav};
use crate::web::viewer::Viewer;
use crate::web::{Error, ui};
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::{Markup, html};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// So much is shown in the page itself; the rest has an address of its own.
const LINES: usize = 64;
const BYTES: usize = 4_000;

pub(super) async fn show(viewer: Viewer, Which(id): Which, kind: Kind) -> Result<Response, Error> {
    let one = viewer.api.artifact(id).await?;
    match kind {
        Kind::Page => draw(&viewer, &one, None).await,
        Kind::Json => Ok(Json(one).into_response()),
        Kind::Text => Ok(as_text(&one).into_response()),
    }
}

/// The page, with a link that has just been `made` if one has.
pub(super) async fn draw(
    viewer: &Viewer,
    one: &Listed,
    made: Option<&Download>,
) -> Result<Response, Error> {
    let artifact = &one.artifact;
    let preview = match viewer.api.preview_artifact(artifact.id).await {
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => return Err(error.into()),
        preview => preview,
    };
    let path = super::path(artifact.id);
    let name = words::name(&artifact.filename);
    let main = html! {
        div.head {
            div {
                p.crumbs { a href=(PATH) { "Artifacts" } }
                h1 hx-ignore { bdi { (name) } }
                p hx-ignore { (words::size_if_known(artifact.size_bytes)) ", " (words::kind(&artifact.content_type)) }
            }
            a.btn.pri href={ (path) "/download" } download { (ui::icon("down")) "Download" }
        }
        div.cols {
            div.stack { (preview_of(artifact, preview, &path)) }
            div.stack {
                (facts(one, viewer.now))
                (link::card(artifact, made, viewer.now))
                section.card.stack.gap-s aria-labelledby="delete-h" {
                    h2 #delete-h { "Delete it" }
                    a.btn.bad href={ (path) "/delete" } { "Delete…" }
                }
            }
        }
    };
    Ok(shell::page(viewer, &name, Nav::Artifacts, main).into_response())
}

fn facts(one: &Listed, now: OffsetDateTime) -> Markup {
    let artifact = &one.artifact;
    let job = match words::name(&one.job_name) {
        // It has a page all the same.
        name if name.trim().is_empty() => "A job without a name".to_owned(),
        name => name,
    };
    html! {
        section.card aria-labelledby="facts-h" {
            header { h2 #facts-h { "About it" } }
            dl.dl {
                dt { "Left by" } dd { a href=(jobs::path(artifact.job_id)) { bdi hx-ignore { (job) } } }
                @if let Some(bytes) = artifact.size_bytes {
                    dt { "Size" } dd { (words::size(bytes)) @if bytes >= 1_000 { " (" (bytes) " bytes)" } }
                }
                dt { "Content" } dd hx-ignore { (text::visible(&artifact.content_type)) }
                dt { "SHA-256" }
                dd.mono {
                    span #sha { (artifact.sha256) } " "
                    button.btn.ghost type="button" data-copy="#sha" { (ui::icon("copy")) "Copy" }
                }
                dt { "Collected" } dd { (ui::exact(artifact.created_at)) }
                dt { "Kept until" } dd { (ui::exact(artifact.expires_at)) @if artifact.expires_at - now < time::Duration::DAY { ", which is soon" } }
                dt { "ID" } dd.mono { (artifact.id) }
            }
        }
    }
}

fn preview_of(artifact: &Artifact, preview: Result<Preview, client::Error>, path: &str) -> Markup {
    let preview = match preview {
        Ok(preview) => preview,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "no preview");
            let why = html! { p.strong { "What is in it could not be loaded" } p { "The file itself can be downloaded all the same." } };
            return ui::note(ui::Kind::Warn, why);
        }
    };
    match preview.kind {
        PreviewKind::Text | PreviewKind::Json => written(&preview, path),
        PreviewKind::Csv => table(&preview, path),
        PreviewKind::Image => html! {
            section.card aria-labelledby="preview-h" {
                header { h2 #preview-h { "Preview" } span.small.mute { (text::visible(&preview.message)) } }
                img src={ (path) "/image" } alt=(words::name(&artifact.filename)) hx-ignore loading="lazy";
            }
        },
        PreviewKind::None => html! {
            section.card aria-labelledby="preview-h" {
                header { h2 #preview-h { "Preview" } }
                p.mute hx-ignore { (text::visible(&preview.message)) }
            }
        },
    }
}

fn written(preview: &Preview, path: &str) -> Markup {
    let whole = preview.text.as_deref().unwrap_or_default();
    let shown = beginning(whole);
    let lines = shown
        .lines()
        .map(|line| text::visible(line.trim_end_matches('\r')));
    let lines: Vec<String> = lines.collect();
    html! {
        figure.term.code {
            header { h2 { "Preview" } (further(preview, shown.len() < whole.len(), path)) }
            @if whole.is_empty() { pre { b { "The file is empty." } } }
            @else { pre tabindex="0" aria-label="Preview" hx-ignore { (lines.join("\n")) } }
        }
    }
}

/// How much is shown, and where more is.
fn further(preview: &Preview, cut: bool, path: &str) -> Markup {
    html! {
        span hx-ignore { @if cut { "The beginning of it." } @else { (text::visible(&preview.message)) } }
        a.btn href={ (path) "/text" } { @if cut || preview.truncated { "More of it" } @else { "As plain text" } }
    }
}

/// So much of a text as the page has room for, cut between lines if it can be.
fn beginning(text: &str) -> &str {
    let mut end = 0;
    for line in text.split_inclusive('\n').take(LINES) {
        if end + line.len() > BYTES {
            if end == 0 {
                return &text[..text.floor_char_boundary(BYTES)];
            }
            break;
        }
        end += line.len();
    }
    &text[..end]
}

fn table(preview: &Preview, path: &str) -> Markup {
    let mut room = BYTES;
    let fits = |row: &&Vec<String>| {
        let size: usize = row.iter().map(|cell| cell.len() + 1).sum();
        room = room.saturating_sub(size);
        room > 0
    };
    let mut rows: Vec<&Vec<String>> = preview.rows.iter().take(LINES).take_while(fits).collect();
    if rows.is_empty() {
        rows.extend(preview.rows.first());
    }
    let cut = rows.len() < preview.rows.len();
    let cell = |cell: &str| text::visible(cell);
    html! {
        section.card.flush aria-labelledby="preview-h" {
            header {
                h2 #preview-h { "Preview" }
                span.small.mute { @if cut { "The first rows of it." } @else { (text::visible(&preview.message)) } }
                a.btn href={ (path) "/text" } { "As plain text" }
            }
            div.scroll role="region" aria-labelledby="preview-h" tabindex="0" hx-ignore {
                table.tbl {
                    @if let Some((first, rest)) = rows.split_first() {
                        thead { tr { @for name in *first { th scope="col" { (cell(name)) } } } }
                        tbody { @for row in rest { tr { @for value in *row { td { (cell(value)) } } } } }
                    }
                }
            }
        }
    }
}

/// One fact per line.
fn as_text(one: &Listed) -> String {
    let artifact = &one.artifact;
    let time = |at: OffsetDateTime| at.format(&Rfc3339).unwrap_or_default();
    format!(
        "name: {}\nid: {}\njob: {}\njob name: {}\nsize: {}\ntype: {}\nsha256: {}\ncreated: {}\nexpires: {}\n",
        words::name(&artifact.filename),
        artifact.id,
        artifact.job_id,
        words::name(&one.job_name),
        artifact.size_bytes.unwrap_or_default(),
        words::name(&artifact.content_type),
        artifact.sha256,
        time(artifact.created_at),
        time(artifact.expires_at),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_room_for_the_beginning_of_a_text() {
        assert_eq!(beginning("a\nb"), "a\nb");
        assert_eq!(beginning(&"x\n".repeat(100)), "x\n".repeat(64));
        let line = format!("{}\n", "y".repeat(1_000));
        assert_eq!(beginning(&line.repeat(9)), line.repeat(3));
        // One long line of characters that cannot be halved.
        let long = "é".repeat(4_000);
        assert_eq!(beginning(&long).len(), 4_000);
        assert_eq!(beginning(&format!("x{long}")).len(), 3_999);
    }
}
