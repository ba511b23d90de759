//! `/portal/templates/sessions/{session}`: one session, live, with what can be
//! done about it.
use super::feed::{self, Feed};
use super::{Which, page, words};
use crate::api::apps::{Change, EventFilter, Open, Stop};
use crate::client::Client;
use crate::domain::id::AppSessionId;
use crate::web::hx::{self, Fragment, Wants};
use crate::web::live::{self, Mark};
use crate::web::shell::{self, FormTarget, Nav};
use crate::web::ui::form;
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Form;
use futures_util::StreamExt as _;
use http::StatusCode;
use maud::html;
use url::Url;

/// The session as it is now, and what a page that has seen everything up to
/// `seen` has missed.
async fn now(api: &Client, id: AppSessionId, seen: Mark) -> Result<Change, Error> {
    let changes = api.follow_app(id, seen.event, seen.log).await?;
    let mut changes = Box::pin(changes);
    match changes.next().await {
        Some(change) => Ok(change?),
        None => Err(Error::Internal("a session's stream said nothing")),
    }
}

/// The session as it is now, with all that happened. Streams follow what changes at a
/// moment's distance: whoever has just extended a session would see it as it was before.
async fn whole(api: &Client, id: AppSessionId) -> Result<Change, Error> {
    let mut change = now(api, id, Mark::default()).await?;
    change.session = api.app(id).await?;
    let seen = page::seen(&change).event;
    if change.session.last_event > seen {
        let filter = EventFilter {
            after: seen,
            limit: None,
        };
        change
            .events
            .extend(api.app_events(id, &filter).await?.events);
    }
    Ok(change)
}

pub(super) async fn show(viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    let change = whole(&viewer.api, id).await?;
    let main = page::page(&change, viewer.now);
    let title = page::title(&change.session);
    Ok(shell::page(&viewer, &title, Nav::Templates, main).into_response())
}

/// What the open page is told from here on.
pub(super) async fn live(
    viewer: Viewer,
    State(portal): State<Portal>,
    Which(id): Which,
    seen: Mark,
) -> Result<Response, Error> {
    let changes = viewer.api.follow_app(id, seen.event, seen.log).await?;
    let feed = Feed::new(portal.config.clock, seen);
    let whose = (viewer.api, super::path(id));
    Ok(live::answer(feed::messages(feed, whose, changes)))
}

/// The same once, for browsers that the stream does not reach.
pub(super) async fn poll(
    wants: Wants,
    viewer: Viewer,
    State(portal): State<Portal>,
    Which(id): Which,
    seen: Mark,
) -> Result<Response, Error> {
    if wants == Wants::Page {
        return Ok(hx::redirect(wants, &super::path(id)));
    }
    let change = now(&viewer.api, id, seen).await?;
    let mut feed = Feed::new(portal.config.clock, seen);
    let (seen, told) = feed.message(&change).unwrap_or_default();
    let further = match feed.over() {
        Some((_, goodbye)) => html! { (feed::money(viewer.session.balance_usd)) (goodbye) },
        None => page::connection_again(&change.session, seen),
    };
    Ok(Fragment(html! { (told) (further) }).into_response())
}

/// The question as a page, for browsers that cannot show the dialog.
pub(super) async fn ask_stop(viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    let session = viewer.api.app(id).await?;
    if session.status.ended() {
        return Ok(hx::redirect(Wants::Page, &super::path(id)));
    }
    let keep = html! { a.btn href=(super::path(id)) { "Keep it running" } };
    let main = html! {
        div.head { h1 { "Stop a session" } }
        section.card { (page::stop_form(&session, keep)) }
    };
    Ok(shell::page(&viewer, "Stop a session", Nav::Templates, main).into_response())
}

/// Asks for the end and does not wait for it: the session's page tells.
pub(super) async fn stop(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
) -> Result<Response, Error> {
    match viewer.api.stop_app(id, &Stop::default()).await {
        Ok(_) => {}
        // It has ended by itself; its page says how.
        Err(error) if error.status() == Some(StatusCode::CONFLICT) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(hx::redirect(wants, &super::path(id)))
}

/// A page that sends its visitor on to the app, with leave to enter it once. The
/// ticket is in a form, so that no address and no log ever has it.
pub(super) async fn open(
    viewer: Viewer,
    Which(id): Which,
    Form(sent): Form<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let service = sent.into_iter().find(|(name, _)| name == "service");
    let body = Open {
        service: service.map(|(_, value)| value).filter(|id| !id.is_empty()),
    };
    let session = viewer.api.app(id).await?;
    let ticket = viewer.api.open_app(id, &body).await?;
    let url = Url::parse(&ticket.url).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let Some(url) = url else {
        return Err(Error::Internal("a ticket leads nowhere"));
    };
    let name = words::name(&session);
    let main = html! {
        section.card {
            form.stack method="post" action=(url) data-go {
                h1 hx-ignore { "Opening " (name) }
                p { "The app has an address of its own. You get there with a pass that works once, within half a minute." }
                (form::hidden("token", &ticket.token))
                div.row { button.btn.pri { "Continue to the app" } }
            }
        }
    };
    let target = FormTarget(url.origin().ascii_serialization());
    let page = shell::plain(&format!("Opening {name}"), main);
    Ok((axum::Extension(target), page).into_response())
}
