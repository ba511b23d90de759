//! The active sessions on the dashboard, in short.
use super::words;
use crate::api::apps::Session;
use crate::api::apps::StepState;
use crate::domain::app::Phase;
use maud::{Markup, html};

/// So many are shown.
pub(in crate::web) const SHOWN: u32 = 3;

/// `found` is the active sessions, or why they could not be had. Hidden without any.
pub(in crate::web) fn card(found: &Result<Vec<Session>, String>) -> Markup {
    let nothing = found.as_ref().is_ok_and(Vec::is_empty);
    html! {
        section.card #apps hidden[nothing] {
            header { h2 { "App sessions" } a href=(super::CATALOGUE) { "Templates" } }
            @match found {
                Ok(sessions) => div.stack { @for session in sessions { (one(session)) } },
                Err(_) => p.small.mute { "They could not be loaded." },
            }
        }
    }
}

fn one(session: &Session) -> Markup {
    let received = session
        .steps
        .iter()
        .find(|step| step.state == StepState::Doing)
        .and_then(|step| step.bytes)
        .filter(|(_, of)| *of > 0);
    html! {
        div.app-row hx-ignore {
            span.mark aria-hidden="true" { (words::fit(&session.mark, 8)) }
            div {
                div.row.gap-s { a.strong href=(super::path(session.id)) { (words::fit(&session.template_name, 40)) } (words::badge(session.status)) }
                p.small.mute { (doing(session)) }
                @if let Some((had, of)) = received {
                    progress aria-label="Received" value=(had.min(of) / 1_000_000) max=(of / 1_000_000) {}
                }
            }
        }
    }
}

/// Nothing that changes by the minute: the page asks every few seconds for what has changed.
fn doing(session: &Session) -> String {
    let rate = session.hourly_rate_usd;
    match (session.status, session.stops_at) {
        (Phase::Running, Some(at)) if session.awaited.is_empty() => {
            format!("{rate} per hour, stops at {}", words::minute(at))
        }
        (Phase::Running, None) if session.awaited.is_empty() => format!("{rate} per hour"),
        (Phase::Stopping, _) => "It gets a moment to finish.".to_owned(),
        _ => words::fit(&session.awaited, 80),
    }
}
