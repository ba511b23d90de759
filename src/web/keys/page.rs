//! `/portal/api-keys/{key}`: all about one key, and what may be changed of it.
use super::create::here;
use super::form::{self, Typed};
use super::{Which, words};
use crate::api::keys::{ApiKey, Patch};
use crate::domain::api_key::{Scope, Status};
use crate::domain::peer::Peer;
use crate::web::hx::{self, Fragment, Wants};
use crate::web::jobs::text;
use crate::web::shell::{self, Nav};
use crate::web::ui::form::Wrong;
use crate::web::ui::{self, Kind};
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Form;
use maud::{Markup, html};
use time::OffsetDateTime;
use tower_cookies::Cookies;

pub(super) async fn show(
    viewer: Viewer,
    Which(id): Which,
    peer: Option<Extension<Peer>>,
) -> Result<Response, Error> {
    let key = viewer.api.key(id).await?;
    let edit = edit(&key, &typed(&key), here(peer).as_deref(), &Wrong::default());
    Ok(draw(&viewer, &key, edit).into_response())
}

/// The key as the form holds it.
fn typed(key: &ApiKey) -> Typed {
    Typed {
        name: key.name.clone(),
        ticked: key.scopes.iter().map(ToString::to_string).collect(),
        allowed_ips: key.allowed_ips.join("\n"),
        ..Typed::default()
    }
}

/// Changes name, scopes and allow-list.
pub(super) async fn save(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    State(portal): State<Portal>,
    cookies: Cookies,
    peer: Option<Extension<Peer>>,
    Form(typed): Form<Typed>,
) -> Result<Response, Error> {
    // The API says all that is wrong at once.
    let body = Patch {
        name: Some(typed.name.clone()),
        scopes: Some(typed.ticked.clone()),
        allowed_ips: Some(typed.allowed_ips(&mut Wrong::default())),
    };
    let wrong = match viewer.api.patch_key(id, &body).await {
        Ok(key) => {
            let said = format!(
                "“{}” is changed, from the next request on.",
                words::name(&key)
            );
            portal.config.say(&cookies, &said);
            return Ok(hx::redirect(wants, &super::path(id)));
        }
        Err(error) => Wrong::of(error)?,
    };
    let key = viewer.api.key(id).await?;
    let edit = edit(&key, &typed, here(peer).as_deref(), &wrong);
    Ok(match wants {
        Wants::Fragment => (wrong.status, Fragment(edit)).into_response(),
        Wants::Page => (wrong.status, draw(&viewer, &key, edit)).into_response(),
    })
}

fn draw(viewer: &Viewer, key: &ApiKey, edit: Markup) -> shell::Page {
    let path = super::path(key.id);
    let main = html! {
        div.head {
            div {
                p.crumbs { a href=(super::PATH) { "API keys" } }
                h1 hx-ignore { (words::name(key)) }
                p { (words::badge(key.status)) " " (words::hint(&key.prefix, &key.last4)) }
            }
        }
        div.cols {
            div.stack {
                (state(key, viewer.now))
                (scopes(key))
                @if key.status != Status::Revoked { (edit) }
            }
            div.stack {
                (facts(key, viewer.now))
                @if key.status != Status::Revoked { (actions(key, &path)) }
            }
        }
    };
    shell::page(
        viewer,
        &format!("API key {}", words::name(key)),
        Nav::Keys,
        main,
    )
}

/// Why it does not work, or not for long.
fn state(key: &ApiKey, now: OffsetDateTime) -> Markup {
    let at = |at: Option<OffsetDateTime>| html! { @if let Some(at) = at { (ui::exact(at)) } };
    html! {
        @match key.status {
            Status::Revoked => (ui::note(Kind::Bad, html! {
                p.strong { "Revoked" }
                p { "Since " (at(key.revoked_at)) " it opens nothing, and it never will again." }
            })),
            Status::Expired => (ui::note(Kind::Warn, html! {
                p.strong { "Expired" }
                p { "Since " (at(key.expires_at)) " it opens nothing. Rotating it gives it a new secret and a new end." }
            })),
            Status::Disabled => (ui::note(Kind::Run, html! {
                p.strong { "Disabled" }
                p { "Since " (at(key.disabled_at)) " it opens nothing, until it is enabled." }
            })),
            Status::Active => {}
        }
        @if !key.previous.is_empty() {
            section.card aria-labelledby="previous-h" {
                header {
                    h2 #previous-h { "Secrets from before" }
                    p { "They still work. Whatever uses one of them needs the new secret before it stops." }
                }
                dl.dl {
                    @for before in &key.previous {
                        dt { (words::hint(&before.prefix, &before.last4)) }
                        dd { "works until " (ui::exact(before.valid_until)) ", last used " (words::used(before.last_used.as_ref(), now)) }
                    }
                }
            }
        }
    }
}

fn scopes(key: &ApiKey) -> Markup {
    let writes = key.scopes.contains(&Scope::JobsWrite) && !key.scopes.contains(&Scope::JobsRead);
    html! {
        section.card aria-labelledby="may-h" {
            header { h2 #may-h { "What it may do" } }
            dl.dl {
                @for scope in &key.scopes { dt { code { (scope) } } dd { (scope.grants()) } }
            }
            @if writes {
                p.small.mute.half { "With " code { "jobs:write" } " alone it cannot list jobs: that takes " code { "jobs:read" } "." }
            }
        }
    }
}

fn facts(key: &ApiKey, now: OffsetDateTime) -> Markup {
    html! {
        section.card aria-labelledby="facts-h" {
            header { h2 #facts-h { "About it" } }
            dl.dl {
                dt { "Made by" } dd hx-ignore { (key.created_by.email) }
                dt { "Made" } dd { (ui::time(key.created_at, now)) }
                @if let Some(at) = key.rotated_at { dt { "Rotated" } dd { (ui::time(at, now)) } }
                dt { "Expires" } dd { (words::expiry(key, now)) }
                dt { "Last used" } dd { (words::used(key.last_used.as_ref(), now)) }
                @if let Some(agent) = key.last_used.as_ref().map(|by| &by.agent).filter(|agent| !agent.is_empty()) {
                    dt { "By" } dd.mono hx-ignore { (text::visible(agent)) }
                }
                dt { "Works from" }
                dd.mono {
                    @if key.allowed_ips.is_empty() { "everywhere" }
                    @for range in &key.allowed_ips { (range) br; }
                }
                dt { "ID" } dd.mono { (key.id) }
            }
        }
    }
}

/// Each leads to a question first.
fn actions(key: &ApiKey, path: &str) -> Markup {
    html! {
        section.card.stack.gap-s aria-labelledby="actions-h" {
            h2 #actions-h { "Take it away or replace it" }
            a.btn href={ (path) "/rotate" } { "Rotate…" }
            @if key.disabled_at.is_some() {
                form method="post" action={ (path) "/enable" } { button.btn.wide { "Enable" } }
            } @else {
                a.btn href={ (path) "/disable" } { "Disable…" }
            }
            a.btn.bad href={ (path) "/revoke" } { "Revoke…" }
        }
    }
}

/// What the form of changes swaps.
fn edit(key: &ApiKey, typed: &Typed, here: Option<&str>, wrong: &Wrong) -> Markup {
    let path = super::path(key.id);
    html! {
        section.card #edit aria-labelledby="edit-h" {
            details open[!wrong.is_nothing()] {
                summary { h2 #edit-h { "Change name, scopes or addresses" } }
                form.stack.mt method="post" action=(path) hx-post=(path) hx-target="#edit" hx-swap="outerHTML"
                    hx-disable="find button" novalidate {
                    (wrong.labelled(&[("name", "Name"), ("scopes", "Scopes"), ("allowed_ips", "Addresses")]))
                    (form::name(typed, wrong))
                    (form::scopes(typed, wrong))
                    (form::addresses(typed, here, wrong))
                    div.row { button.btn.pri { "Save" } a.btn href=(path) { "Leave it as it is" } }
                }
            }
        }
    }
}
