//! A link to a file for whoever is to have it: made for a while, and shown to be copied.
use super::{Which, page};
use crate::api::artifacts::{Artifact, Download};
use crate::web::hx::{Fragment, Wants};
use crate::web::viewer::Viewer;
use crate::web::{Error, ui};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use time::OffsetDateTime;

/// Where links to it are made.
pub(super) fn path(of: &Artifact) -> String {
    format!("{}/link", super::path(of.id))
}

/// A link that was made is nowhere to be seen again; its file is.
pub(super) async fn leave(Which(id): Which) -> Redirect {
    Redirect::to(&super::path(id))
}

pub(super) async fn make(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
) -> Result<Response, Error> {
    let one = viewer.api.artifact(id).await?;
    let made = viewer
        .api
        .download_artifact(one.artifact.job_id, id)
        .await?;
    if wants == Wants::Fragment {
        let card = card(&one.artifact, Some(&made), viewer.now);
        return Ok(Fragment(card).into_response());
    }
    page::draw(&viewer, &one, Some(&made)).await
}

/// What makes a link, and the one that has just been made.
pub(super) fn card(of: &Artifact, made: Option<&Download>, now: OffsetDateTime) -> Markup {
    let path = path(of);
    html! {
        section.card.stack.gap-s #link aria-labelledby="link-h" {
            h2 #link-h tabindex=[made.map(|_| "-1")] autofocus[made.is_some()] { "Temporary link" }
            @if let Some(made) = made {
                div.field {
                    label for="address" { "Address" }
                    input.mono #address readonly value=(made.url) autocomplete="off" spellcheck="false" aria-describedby="address-hint";
                    p.hint #address-hint { "It works until " (ui::exact(made.expires_at)) ", for whoever has it. Opening it saves the file." }
                }
                div.row {
                    button.btn.pri type="button" data-copy="#address" { (ui::icon("copy")) "Copy" }
                    span.small.mute { "Stops working " (ui::time(made.expires_at, now)) }
                }
            } @else {
                p.small.mute { "For a program, or for somebody without an account here: it needs no sign-in, and stops working soon." }
            }
            form method="post" action=(path) hx-post=(path) hx-target="#link" hx-swap="outerHTML" {
                button.btn { @if made.is_some() { "Make another" } @else { "Make a link" } }
            }
        }
    }
}
