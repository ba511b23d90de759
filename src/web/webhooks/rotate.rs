//! `/portal/webhooks/rotate`: a new secret, after a question.
use super::PATH;
use crate::api::callbacks::Rotation;
use crate::web::hx::{self, Fragment, Wants};
use crate::web::keys::Forms;
use crate::web::shell::{self, Nav};
use crate::web::ui;
use crate::web::ui::form::Wrong;
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Form;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use tower_cookies::Cookies;

/// Hours for which the secret before goes on signing.
const OVERLAPS: [(&str, &str); 5] = [
    ("0", "Not at all: it stops now"),
    ("1", "For 1 hour"),
    ("24", "For 24 hours"),
    ("48", "For 48 hours"),
    ("168", "For 7 days"),
];

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    /// Hours.
    overlap: String,
    /// The number of the secret that the question was about.
    replaces: String,
    /// The name of the form.
    once: String,
}

pub(super) async fn ask(viewer: Viewer, forms: Forms) -> Result<Response, Error> {
    let typed = Typed {
        overlap: "24".into(),
        ..Typed::default()
    };
    let asked = question(&viewer, &forms, &typed, &Wrong::default()).await?;
    Ok(page(&viewer, asked).into_response())
}

pub(super) async fn rotate(
    wants: Wants,
    viewer: Viewer,
    forms: Forms,
    State(portal): State<Portal>,
    cookies: Cookies,
    Form(typed): Form<Typed>,
) -> Result<Response, Error> {
    let mut wrong = Wrong::default();
    let hours: Option<i64> = typed.overlap.parse().ok();
    if hours.is_none() {
        wrong.add("overlap", "Choose how long it goes on signing.");
    }
    let replaces: Option<i64> = typed.replaces.parse().ok();
    if replaces.is_none() || !forms.named(&typed.once) {
        let stale = "This form is from another sign-in. Look through it, and send it again.";
        wrong.status = StatusCode::UNPROCESSABLE_ENTITY;
        wrong.message = Some(stale.into());
    }
    if wrong.is_nothing() {
        let body = Rotation {
            overlap_seconds: hours.map(|hours| hours.saturating_mul(3_600)),
            replaces,
        };
        match viewer.api.rotate_callback_secret(&body).await {
            Ok(_) => {
                portal
                    .config
                    .say(&cookies, "The signing secret is rotated.");
                return Ok(hx::redirect(wants, PATH));
            }
            Err(error) => wrong = renamed(Wrong::of(error)?),
        }
    }
    let asked = question(&viewer, &forms, &typed, &wrong).await?;
    Ok(match wants {
        Wants::Fragment => (wrong.status, Fragment(asked)).into_response(),
        Wants::Page => (wrong.status, page(&viewer, asked)).into_response(),
    })
}

/// As the form calls it.
fn renamed(mut wrong: Wrong) -> Wrong {
    if let Some(message) = wrong.fields.remove("overlap_seconds") {
        wrong.fields.insert("overlap".into(), message);
    }
    wrong
}

fn page(viewer: &Viewer, inside: Markup) -> shell::Page {
    let main = html! {
        div.head {
            div {
                p.crumbs { a href=(PATH) { "Callbacks" } }
                h1 { "Rotate the signing secret" }
            }
        }
        (inside)
    };
    shell::page(viewer, "Rotate the signing secret", Nav::Webhooks, main)
}

async fn question(
    viewer: &Viewer,
    forms: &Forms,
    typed: &Typed,
    wrong: &Wrong,
) -> Result<Markup, Error> {
    let secret = viewer.api.callback_secret().await?;
    let action = format!("{PATH}/rotate");
    let error = wrong.field("overlap");
    Ok(html! {
        section.card #rotate aria-label="Rotate" {
            form.stack method="post" action=(action) hx-post=(action) hx-target="#rotate" hx-swap="outerHTML show:top"
                hx-disable="find button" novalidate {
                (ui::form::hidden("once", &forms.name()))
                (ui::form::hidden("replaces", &secret.number.to_string()))
                (wrong.labelled(&[("overlap", "Overlap")]))
                p { "From the next call on, all callbacks of this workspace are signed with a new secret. The one before it signs beside it for a while; a receiver that knows neither refuses the calls." }
                div.field {
                    label for="overlap" { "The secret that there is now goes on signing" }
                    select #overlap name="overlap" aria-invalid=[error.map(|_| "true")]
                        aria-describedby=[error.map(|_| "overlap-error")] {
                        @for (value, words) in OVERLAPS { option value=(value) selected[typed.overlap == value] { (words) } }
                    }
                    @if let Some(error) = error { p.err #overlap-error { (ui::icon("warn")) (error) } }
                }
                @if let [_, ..] = secret.previous.as_slice() {
                    p.small.mute { "Secrets from before it stop then too, if not sooner." }
                }
                p.small.mute { "If somebody else has learned it, let it stop now, and give receivers the new one at once." }
                div.row.end { a.btn href=(PATH) { "Leave it as it is" } button.btn.bad { "Rotate the secret" } }
            }
        }
    })
}
