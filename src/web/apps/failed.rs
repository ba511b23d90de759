//! What a list of sessions says of one that failed: what happened, the likely cause,
//! and, once it is opened, the end of what it printed.
use super::history::Asked;
use super::{output, rows, words};
use crate::api::apps::{End, Session};
use crate::domain::id::AppSessionId;
use crate::web::Error;
use crate::web::hx::Fragment;
use crate::web::viewer::Viewer;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

/// Of the likely cause in a list, in bytes.
const CAUSE: usize = 130;

/// Of what is said about it with its last lines, in bytes.
const MORE: usize = 250;

/// Of one line in a list, in bytes: twenty of them are a small fragment.
const LONGEST: usize = 160;

/// Where it failed, and the way to another try.
pub(super) fn at(session: &Session, end: &End) -> Markup {
    let step = end.failed_step.as_ref();
    let step = step.and_then(|id| session.steps.iter().find(|step| step.id == *id));
    html! {
        @if let Some(step) = step { ", at “" (words::fit(&step.title, 48)) "”" }
        ". " a href=(rows::again(session)) { "Try again" }
    }
}

/// The row below that of a session that failed.
pub(super) fn row(session: &Session, end: &End, asked: &Asked) -> Markup {
    let (cause, _) = words::sentence(&end.advice);
    html! {
        tr.why {
            td colspan="6" {
                p hx-ignore { (words::fit(cause, CAUSE)) }
                @if end.last_lines.is_empty() { p.mute { "There is no output of it." } }
                @else if asked.opens(session.id) { (opened(session, end, false)) }
                @else { (closed(session, end, asked)) }
            }
        }
    }
}

/// A link in both worlds: to the list with these lines in it, or for them alone.
fn closed(session: &Session, end: &End, asked: &Asked) -> Markup {
    let list = asked.opening(session.id);
    html! {
        a.more #(id(session)) href={ (list) "#" (id(session)) } hx-get=(list) hx-swap="outerHTML"
            hx-replace-url=[asked.is_address.then_some("true")] { (title(session, end)) }
    }
}

/// `fresh`, it takes over the focus of the link that was here.
fn opened(session: &Session, end: &End, fresh: bool) -> Markup {
    let (_, advice) = words::sentence(&end.advice);
    let (message, advice) = words::fit_both(&end.message, advice, MORE);
    html! {
        details open #(id(session)) {
            summary autofocus[fresh] { (title(session, end)) }
            p hx-ignore { (message) " " (advice) }
            (output::lines_of(None, &end.last_lines, LONGEST))
            p.half { a href={ "/portal/jobs/" (session.job_id) "/logs" } { "All of its output" } }
        }
    }
}

/// What the link asks for, where scripts may ask.
pub(super) async fn fragment(viewer: &Viewer, id: AppSessionId) -> Result<Response, Error> {
    let session = viewer.api.app(id).await?;
    let opened = match &session.end {
        Some(end) if !end.last_lines.is_empty() => opened(&session, end, true),
        _ => html! { p.mute tabindex="-1" autofocus { "There is no output of it." } },
    };
    Ok(Fragment(opened).into_response())
}

fn id(session: &Session) -> String {
    format!("l-{}", session.id)
}

fn title(session: &Session, end: &End) -> Markup {
    html! {
        @match end.last_lines.len() { 1 => "Its only line", many => { "Last " (many) " lines" } }
        span.vh { " of session " (rows::short(&session.id.to_string())) }
    }
}
