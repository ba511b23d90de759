//! Who is told of a job's end, on its page.
use super::text;
use crate::api::callbacks::{Attempt, Callback, State};
use crate::client::{Client, Error};
use crate::domain::id::JobId;
use crate::web::ui::{self, Kind};
use http::StatusCode;
use maud::{Markup, html};
use time::OffsetDateTime;

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
            }
            @if callback.attempts.is_empty() {
                p.mute { @if callback.state == State::Armed { "It is called when the job has ended." } @else { "It has not been called yet." } }
            } @else {
                ol.tl { @for attempt in callback.attempts.iter().rev().take(SHOWN) { (row(attempt)) } }
            }
        }
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
