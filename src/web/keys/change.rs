//! Rotating, disabling and revoking a key: each asks first.
use super::create::{STALE, answer};
use super::form::{self, Lifetime, Typed};
use super::made::{self, Outcome};
use super::once::Forms;
use super::{Which, words};
use crate::api::keys::{ApiKey, Rotation};
use crate::domain::api_key::Status;
use crate::domain::id::ApiKeyId;
use crate::web::hx::{self, Fragment, Wants};
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
use tower_cookies::Cookies;

/// What is asked about a key before anything happens to it.
struct Question<'a> {
    title: &'a str,
    /// What is done if the answer is yes.
    action: &'a str,
    yes: &'a str,
    no: &'a str,
    text: Markup,
}

pub(super) async fn ask_disabling(viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    let key = viewer.api.key(id).await?;
    if matches!(key.status, Status::Revoked) || key.disabled_at.is_some() {
        return Ok(hx::redirect(Wants::Page, &super::path(id)));
    }
    Ok(ask(
        &viewer,
        &key,
        &Question {
            title: "Disable",
            action: "disable",
            yes: "Disable the key",
            no: "Leave it on",
            text: html! {
                p { "From the next request on, it opens nothing, and what it reads live ends. You can enable it again." }
                (recent(&viewer, &key))
            },
        },
    ))
}

pub(super) async fn ask_revocation(viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    let key = viewer.api.key(id).await?;
    if key.status == Status::Revoked {
        return Ok(hx::redirect(Wants::Page, &super::path(id)));
    }
    Ok(ask(
        &viewer,
        &key,
        &Question {
            title: "Revoke",
            action: "revoke",
            yes: "Revoke it for ever",
            no: "Keep the key",
            text: html! {
                p { "From the next request on, it opens nothing, and what it reads live ends. This cannot be undone: to stop it for a while, disable it." }
                (recent(&viewer, &key))
            },
        },
    ))
}

/// Whether anything will miss it.
fn recent(viewer: &Viewer, key: &ApiKey) -> Markup {
    html! { p { "It was last used " (words::used(key.last_used.as_ref(), viewer.now)) "." } }
}

fn ask(viewer: &Viewer, key: &ApiKey, question: &Question) -> Response {
    let path = super::path(key.id);
    let main = html! {
        div.head {
            div {
                p.crumbs { a href=(path) hx-ignore { (words::name(key)) } }
                h1 { (question.title) " a key" }
            }
        }
        section.card {
            form.stack method="post" action={ (path) "/" (question.action) } {
                h2 { (question.title) " " bdi hx-ignore { (words::name(key)) } "?" }
                (question.text)
                div.row.end { a.btn href=(path) { (question.no) } button.btn.bad { (question.yes) } }
            }
        }
    };
    let title = format!("{} {}", question.title, words::name(key));
    shell::page(viewer, &title, Nav::Keys, main).into_response()
}

pub(super) async fn disable(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    State(portal): State<Portal>,
    cookies: Cookies,
) -> Result<Response, Error> {
    let key = viewer.api.disable_key(id).await?;
    let said = format!("“{}” is disabled.", words::name(&key));
    Ok(done(wants, &portal, &cookies, id, &said))
}

pub(super) async fn enable(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    State(portal): State<Portal>,
    cookies: Cookies,
) -> Result<Response, Error> {
    let key = viewer.api.enable_key(id).await?;
    let said = format!("“{}” is enabled.", words::name(&key));
    Ok(done(wants, &portal, &cookies, id, &said))
}

pub(super) async fn revoke(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    State(portal): State<Portal>,
    cookies: Cookies,
) -> Result<Response, Error> {
    let key = viewer.api.revoke_key(id).await?;
    let said = format!("“{}” is revoked.", words::name(&key));
    Ok(done(wants, &portal, &cookies, id, &said))
}

fn done(wants: Wants, portal: &Portal, cookies: &Cookies, id: ApiKeyId, said: &str) -> Response {
    portal.config.say(cookies, said);
    hx::redirect(wants, &super::path(id))
}

pub(super) async fn ask_rotation(
    viewer: Viewer,
    Which(id): Which,
    forms: Forms,
) -> Result<Response, Error> {
    let key = viewer.api.key(id).await?;
    if key.status == Status::Revoked {
        return Ok(hx::redirect(Wants::Page, &super::path(id)));
    }
    let mut typed = Typed::proposed();
    if key.expires_at.is_none() {
        typed.expires = "never".into();
    }
    let asked = rotation(&key, &forms, &typed, &Wrong::default());
    Ok(rotation_page(&viewer, &key, asked).into_response())
}

pub(super) async fn rotate(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    forms: Forms,
    State(portal): State<Portal>,
    Form(typed): Form<Typed>,
) -> Result<Response, Error> {
    let mut wrong = Wrong::default();
    let hours: Option<i64> = typed.overlap.parse().ok();
    if hours.is_none() {
        wrong.add("overlap", "Choose how long it goes on working.");
    }
    let lifetime = typed.lifetime(&mut wrong);
    let (expires_at, expires_in_days) = lifetime.map(Lifetime::fields).unwrap_or_default();
    let body = Rotation {
        overlap_seconds: hours.map(|hours| hours.saturating_mul(3_600)),
        expires_at,
        expires_in_days,
    };
    if !forms.named(&typed.once) {
        wrong.status = StatusCode::UNPROCESSABLE_ENTITY;
        wrong.message = Some(STALE.into());
    }
    let mut outcome = None;
    if wrong.is_nothing() {
        match viewer.api.once(&typed.once).rotate_key(id, &body).await {
            Ok(made) => outcome = Some(Outcome::Shown(Box::new(made))),
            Err(error) => match made::before(&error) {
                Some(before) => outcome = Some(before),
                None => wrong = form::renamed(Wrong::of(error)?, &typed),
            },
        }
    }
    let key = viewer.api.key(id).await?;
    if let Some(outcome) = outcome {
        let page = |card| around(&key, card);
        return Ok(answer(wants, &viewer, &portal, (&outcome, page)));
    }
    let asked = rotation(&key, &forms, &typed, &wrong);
    Ok(match wants {
        Wants::Fragment => (wrong.status, Fragment(asked)).into_response(),
        Wants::Page => (wrong.status, rotation_page(&viewer, &key, asked)).into_response(),
    })
}

fn rotation_page(viewer: &Viewer, key: &ApiKey, asked: Markup) -> shell::Page {
    let title = format!("Rotate {}", words::name(key));
    shell::page(viewer, &title, Nav::Keys, around(key, asked))
}

fn around(key: &ApiKey, inside: Markup) -> Markup {
    html! {
        div.head {
            div {
                p.crumbs { a href=(super::path(key.id)) hx-ignore { (words::name(key)) } }
                h1 { "Rotate a key" }
                p { "It gets a new secret. Name, scopes and addresses stay." }
            }
        }
        (inside)
    }
}

fn rotation(key: &ApiKey, forms: &Forms, typed: &Typed, wrong: &Wrong) -> Markup {
    let path = super::path(key.id);
    let action = format!("{path}/rotate");
    html! {
        section.card #new-key aria-label="Rotate" {
            form.stack method="post" action=(action) hx-post=(action) hx-target="#new-key" hx-swap="outerHTML show:top"
                hx-disable="find button" novalidate {
                (ui::form::hidden("once", &forms.name()))
                (wrong.labelled(&[("overlap", "Overlap"), ("expires", "Expires"), ("expires_on", "The last day")]))
                (form::overlap(typed, wrong))
                p.small.mute { "Until then both work, so that nothing stops while you replace it." }
                (form::expiry(typed, wrong))
                div.row { button.btn.pri { "Rotate the key" } a.btn href=(path) { "Leave it as it is" } }
            }
        }
    }
}
