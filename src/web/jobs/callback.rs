//! Who is told of a job's end, on its page.
use super::{text, view};
use crate::api::callbacks::{Attempt, Callback, State};
use crate::client::{Client, Error};
use crate::domain::id::JobId;
use crate::web::ui::{self, Kind};
use crate::web::webhooks;
use http::StatusCode;
use maud::{Markup, html};
use time::{Duration, OffsetDateTime};

/// The element that is redrawn.
pub(super) const TARGET: &str = "#job-callback";
/// What is due sooner need not be asked for.
const SOON: Duration = Duration::seconds(20);
/// Attempts shown; more are a matter for the API.
const SHOWN: usize = 11;

/// The callback of a job; most have none.
pub(super) async fn find(api: &Client, id: JobId) -> Result<Option<Callback>, Error> {
    match api.callback(id).await {
        Ok(callback) => Ok(Some(callback)),
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn section(callback: &Callback, now: OffsetDateTime) -> Markup {
    html! {
        section.card #job-callback aria-labelledby="callback-h" {
            header { h2 #callback-h { "Callback" } (badge(callback.state)) }
            dl.dl {
                dt.full { "Told" } dd.full.mono hx-ignore { (text::visible(&callback.url)) }
                @if let Some(at) = callback.next_attempt_at {
                    dt { @if callback.attempts.is_empty() { "First attempt" } @else { "Next attempt" } }
                    dd { (ui::time(at, now)) }
                }
                @if let Some(id) = callback.webhook_id {
                    dt.full { "webhook-id" } dd.full.mono { (id) }
                }
                dt { "Signed with" } dd { a href=(webhooks::PATH) { "this workspace’s secret" } }
            }
            (send(callback, now))
            @if callback.attempts.is_empty() {
                p.mute.half { @if callback.state == State::Armed { "It is called when the job has ended." } @else { "It has not been called yet." } }
            } @else {
                ol.tl { @for attempt in callback.attempts.iter().rev().take(SHOWN) { (row(attempt)) } }
            }
        }
    }
}

/// Offers to make the next attempt now.
fn send(callback: &Callback, now: OffsetDateTime) -> Markup {
    let later = callback.next_attempt_at.filter(|at| *at > now + SOON);
    let action = format!("{}/callback/send", view::path(callback.job_id));
    html! {
        @if let Some(until) = callback.send_again_until {
            form.half method="post" action=(action) {
                button.btn { (ui::icon("swap")) "Send again" }
                p.small.mute.half { "Possible until " (ui::exact(until)) ", with the same webhook-id." }
            }
        } @else if later.is_some() {
            form.half method="post" action=(action) { button.btn { (ui::icon("bolt")) "Send now" } }
        }
    }
}

/// What is read out when a callback is through.
pub(super) fn spoken(before: Option<State>, callback: Option<&Callback>) -> Option<&'static str> {
    let state = callback?.state;
    match state {
        _ if before == Some(state) => None,
        State::Armed | State::Waiting => None,
        State::Delivered => Some("The callback was delivered."),
        State::Failed => Some("The callback was given up."),
        State::Gone => Some("The receiver does not want the callback."),
    }
}

fn badge(state: State) -> Markup {
    let (kind, icon, word) = match state {
        State::Armed => (Kind::Wait, "wait", "At the end"),
        State::Waiting => (Kind::Run, "run", "Being delivered"),
        State::Delivered => (Kind::Ok, "ok", "Delivered"),
        State::Failed => (Kind::Bad, "x", "Given up"),
        State::Gone => (Kind::Warn, "dash", "Not wanted"),
    };
    ui::badge(kind, icon, word)
}

fn row(attempt: &Attempt) -> Markup {
    let (class, icon, word) = match &attempt.error {
        None => ("is-ok", "ok", "Done: "),
        Some(_) => ("is-warn", "warn", "Attention: "),
    };
    html! {
        li.(class) {
            span.dot { (ui::icon(icon)) span.vh { (word) } }
            h3 {
                "Attempt " (attempt.number)
                @if let Some(status) = attempt.status { ", answered " (status) }
            }
            span.t { (ui::exact(attempt.at)) }
            p hx-ignore {
                @match &attempt.error {
                    None => { "Taken after " (attempt.duration_ms) " ms." },
                    Some(why) => (text::visible(why)),
                }
            }
            @if let Some(answer) = &attempt.answer { p.small.mono hx-ignore { (text::visible(answer)) } }
        }
    }
}
