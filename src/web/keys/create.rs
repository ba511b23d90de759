//! `/portal/api-keys/new`: a new key.
use super::form::{self, Lifetime, Typed};
use super::made::{self, Outcome};
use super::once::Forms;
use crate::api::keys::NewKey;
use crate::domain::peer::Peer;
use crate::web::hx::{Fragment, Wants};
use crate::web::shell::{self, Nav};
use crate::web::ui;
use crate::web::ui::form::Wrong;
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Form;
use http::StatusCode;
use maud::{Markup, html};

/// What a form is told that is not of this session.
pub(super) const STALE: &str =
    "This form is from another sign-in. Look through it, and send it again.";

pub(super) async fn ask(
    viewer: Viewer,
    forms: Forms,
    peer: Option<Extension<Peer>>,
) -> Result<Response, Error> {
    let here = here(peer);
    let asked = question(
        &forms,
        &Typed::proposed(),
        here.as_deref(),
        &Wrong::default(),
    );
    Ok(shell::page(&viewer, "New API key", Nav::Keys, page(asked)).into_response())
}

pub(super) async fn create(
    wants: Wants,
    viewer: Viewer,
    forms: Forms,
    State(portal): State<Portal>,
    peer: Option<Extension<Peer>>,
    Form(typed): Form<Typed>,
) -> Result<Response, Error> {
    let mut wrong = Wrong::default();
    let lifetime = typed.lifetime(&mut wrong);
    let (expires_at, expires_in_days) = lifetime.map(Lifetime::fields).unwrap_or_default();
    let body = NewKey {
        name: typed.name.clone(),
        scopes: typed.scopes(&mut wrong),
        expires_at,
        expires_in_days,
        allowed_ips: typed.allowed_ips(&mut wrong),
    };
    if typed.name.trim().is_empty() {
        wrong.add("name", "Name the key after what will use it.");
    }
    if !forms.named(&typed.once) {
        wrong.status = StatusCode::UNPROCESSABLE_ENTITY;
        wrong.message = Some(STALE.into());
    }
    let mut outcome = None;
    if wrong.is_nothing() {
        match viewer.api.once(&typed.once).create_key(&body).await {
            Ok(made) => outcome = Some(Outcome::Shown(Box::new(made))),
            Err(error) => match made::before(&error) {
                Some(before) => outcome = Some(before),
                None => wrong = form::renamed(Wrong::of(error)?, &typed),
            },
        }
    }
    let Some(outcome) = outcome else {
        let here = here(peer);
        let asked = question(&forms, &typed, here.as_deref(), &wrong);
        return Ok(match wants {
            Wants::Fragment => (wrong.status, Fragment(asked)).into_response(),
            Wants::Page => {
                let page = shell::page(&viewer, "New API key", Nav::Keys, page(asked));
                (wrong.status, page).into_response()
            }
        });
    };
    Ok(answer(wants, &viewer, &portal, (&outcome, page)))
}

/// The secret, in the page that the form was in or in the place of the form.
pub(super) fn answer(
    wants: Wants,
    viewer: &Viewer,
    portal: &Portal,
    (outcome, page): (&Outcome, impl FnOnce(Markup) -> Markup),
) -> Response {
    let card = outcome.draw(&portal.config.public_url, viewer.now);
    match wants {
        Wants::Fragment => Fragment(card).into_response(),
        Wants::Page => shell::page(viewer, outcome.title(), Nav::Keys, page(card)).into_response(),
    }
}

/// Where the person's browser comes from.
pub(super) fn here(peer: Option<Extension<Peer>>) -> Option<String> {
    peer.map(|Extension(Peer(ip))| ip.to_canonical().to_string())
}

fn page(inside: Markup) -> Markup {
    html! {
        div.head {
            div {
                p.crumbs { a href=(super::PATH) { "API keys" } }
                h1 { "New API key" }
                p { "One for each program, so that each can be taken away by itself." }
            }
        }
        (inside)
    }
}

fn question(forms: &Forms, typed: &Typed, here: Option<&str>, wrong: &Wrong) -> Markup {
    html! {
        section.card #new-key aria-label="New key" {
            form.stack method="post" action=(super::PATH) hx-post=(super::PATH) hx-target="#new-key" hx-swap="outerHTML show:top"
                hx-disable="find button" novalidate {
                (ui::form::hidden("once", &forms.name()))
                (wrong.labelled(&[("name", "Name"), ("scopes", "Scopes"), ("expires", "Expires"),
                    ("expires_on", "The last day"), ("allowed_ips", "Addresses")]))
                (form::name(typed, wrong))
                (form::presets(typed, wrong))
                (form::expiry(typed, wrong))
                (form::addresses(typed, here, wrong))
                div.row {
                    button.btn.pri { "Make the key" }
                    a.btn href=(super::PATH) { "Not now" }
                }
            }
        }
    }
}
