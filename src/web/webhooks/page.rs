//! The secret, where it is known, and how receivers check a call.
use super::PATH;
use crate::api::callbacks::{Previous, Secret};
use crate::web::Error;
use crate::web::shell::{self, Nav};
use crate::web::ui;
use crate::web::viewer::Viewer;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use time::OffsetDateTime;

/// What a receiver does, in a language that reads like prose.
const CHECK: &str = r#"import base64, hashlib, hmac, time

def is_ours(secret, headers, body):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    sent = int(headers["webhook-timestamp"])
    signed = f"{headers['webhook-id']}.{sent}.".encode() + body
    mac = hmac.new(key, signed, hashlib.sha256).digest()
    mine = "v1," + base64.b64encode(mac).decode()
    known = headers["webhook-signature"].split()
    return abs(time.time() - sent) < 300 and any(
        hmac.compare_digest(mine, one) for one in known)
"#;

pub(super) async fn show(viewer: Viewer) -> Result<Response, Error> {
    let secret = viewer.api.callback_secret().await?;
    let main = html! {
        div.head {
            div {
                h1 { "Callbacks" }
                p { "A job that is submitted with a callback URL calls it when it has ended. Each call is signed, so that the receiver can tell it from anybody else’s." }
            }
        }
        div.cols {
            div.stack { (signing(&secret, viewer.now)) (check()) }
            div.stack { (calls()) }
        }
    };
    Ok(shell::page(&viewer, "Callbacks", Nav::Webhooks, main).into_response())
}

fn signing(secret: &Secret, now: OffsetDateTime) -> Markup {
    html! {
        section.card #signing aria-labelledby="signing-h" {
            header { h2 #signing-h { "Signing secret" } p { "One for all callbacks of this workspace." } }
            details {
                summary { "Show the secret" }
                div.field.half {
                    label for="secret" { "Give it to receivers, and to nobody else" }
                    input.mono #secret readonly value=(secret.secret) autocomplete="off" spellcheck="false";
                }
                button.btn.half type="button" data-copy="#secret" { (ui::icon("copy")) "Copy the secret" }
            }
            dl.dl.mt {
                dt { "Rotated" }
                dd { @match secret.rotated_at { Some(at) => (ui::time(at, now)), None => "never" } }
            }
            @if !secret.previous.is_empty() { (before(&secret.previous)) }
            div.row.mt { a.btn href={ (PATH) "/rotate" } { (ui::icon("swap")) "Rotate…" } }
        }
    }
}

fn before(previous: &[Previous]) -> Markup {
    html! {
        div.mt {
            h3 { "Secrets from before" }
            p.small.mute { "They sign beside the one above. Receivers that know only one of them need the new one before it stops." }
            dl.dl.half {
                @for one in previous {
                    dt.mono { "…" (one.last4) }
                    dd { "signs until " (ui::exact(one.signs_until)) }
                }
            }
        }
    }
}

fn check() -> Markup {
    html! {
        section.card aria-labelledby="check-h" {
            header { h2 #check-h { "Check a call" } p { "Any library for Standard Webhooks does it. By hand:" } }
            figure.term.code {
                header {
                    figcaption { "Python" }
                    button.btn type="button" data-copy="#check" { (ui::icon("copy")) "Copy" }
                }
                pre #check tabindex="0" { (CHECK) }
            }
        }
    }
}

fn calls() -> Markup {
    html! {
        section.card.stack aria-labelledby="calls-h" {
            h2 #calls-h { "How calls are made" }
            p { "The body is JSON: its " code { "type" } " is " code { "job.completed" } ", " code { "job.failed" } ", " code { "job.cancelled" } " or " code { "job.rejected" } ". The token that came with the URL is sent as " code { "Authorization: Bearer" } "." }
            p { "An answer of 2xx within ten seconds ends it. After anything else it is made again, eleven times in about a day; 410 says that it is not wanted. Redirects are not followed." }
            p { "It arrives at least once, with the same " code { "webhook-id" } " each time." }
            p { "The page of a job shows every attempt at its callback. What was given up can be sent again from there for a week." }
        }
    }
}
