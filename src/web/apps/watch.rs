//! A session's page for browsers without scripts: one answer that grows as steps
//! happen, and ends when there is something to do.
use super::{Which, page, rows, words};
use crate::api::apps::{Change, Event, Session};
use crate::client::Error as Broken;
use crate::domain::app::Phase;
use crate::web::Error;
use crate::web::shell;
use crate::web::viewer::Viewer;
use axum::body::Body;
use axum::response::Response;
use futures_util::{Stream, StreamExt as _};
use maud::{Markup, html};
use std::convert::Infallible;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, timeout_at};

/// Some things between here and the browser cut an answer that takes longer.
const LONGEST: Duration = Duration::from_mins(10);

pub(super) async fn watch(viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    let changes = viewer.api.follow_app(id, 0, 0).await?;
    let mut changes = Box::pin(changes);
    let first = match changes.next().await {
        Some(change) => change?,
        None => return Err(Error::Internal("a session's stream said nothing")),
    };
    let session = &first.session;
    let title = format!("Watching {}", words::name(session));
    let main = html! {
        div.head {
            div {
                p.crumbs { a href=(super::path(id)) { bdi hx-ignore { (words::name(session)) } } }
                h1 { "Watching the launch" }
                p { "This page grows as things happen, and ends with the way in." }
            }
        }
        form #open method="post" action={ (super::path(id)) "/open" } target="_blank" rel="noopener" {}
        div.card.stack { (shell::growing()) }
    };
    let grows = Body::from_stream(told(first, changes, viewer.now));
    Ok(shell::plain(&title, main).around(grows))
}

fn told(
    first: Change,
    changes: impl Stream<Item = Result<Change, Broken>> + Send + 'static,
    now: OffsetDateTime,
) -> impl Stream<Item = Result<String, Infallible>> + Send + 'static {
    async_stream::stream! {
        let mut changes = Box::pin(changes);
        let until = Instant::now() + LONGEST;
        let mut next = Some(first);
        let mut seen = 0;
        let mut waits = None;
        while let Some(change) = next {
            let session = &change.session;
            let fresh = change.events.iter().filter(|event| event.sequence > seen);
            let fresh: Vec<&Event> = fresh.collect();
            seen = fresh.last().map_or(seen, |event| event.sequence);
            let happened = html! { @for event in fresh { (self::happened(event)) } };
            yield Ok(happened.into_string());
            let over = session.status.ended() || session.services.iter().any(|s| s.primary && s.open);
            if over {
                yield Ok(outcome(session, now).into_string());
                return;
            }
            let waiting = waiting(session);
            if waiting != waits {
                yield Ok(awaited(waiting.as_deref()).into_string());
                waits = waiting;
            }
            next = match timeout_at(until, changes.next()).await {
                Ok(Some(Ok(change))) => Some(change),
                Ok(Some(Err(_)) | None) | Err(_) => None,
            };
        }
        yield Ok(html! { p { a.btn href="" { "Go on watching" } } }.into_string());
    }
}

fn happened(event: &Event) -> Markup {
    html! {
        p hx-ignore {
            span.mono.mute { (words::clock(event.created_at)) } " "
            b { (words::fit(&event.title, 200)) } " "
            (words::fit(&event.message, 400))
        }
    }
}

/// What is waited for, and whether for longer than usual.
fn waiting(session: &Session) -> Option<String> {
    let awaited = &session.awaited;
    if awaited.is_empty() || session.status == Phase::Running {
        return None;
    }
    let slow = session.steps.iter().any(|step| step.slow);
    let slow = if slow {
        " It takes longer than usual."
    } else {
        ""
    };
    Some(format!("{awaited}{slow}"))
}

fn awaited(what: Option<&str>) -> Markup {
    html! { @if let Some(what) = what { p.mute hx-ignore { (words::fit(what, 400)) } } }
}

fn outcome(session: &Session, now: OffsetDateTime) -> Markup {
    html! {
        (rows::note(session, now))
        p.strong { (page::title(session)) "." }
        div.row {
            (rows::go(session))
            a.btn href=(super::path(session.id)) { "To the session" }
        }
    }
}
