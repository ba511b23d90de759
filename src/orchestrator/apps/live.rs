//! Streams of what happens to apps.
//!
//! One task per watched app reads the database when something has changed, and
//! says it once for everyone; who is behind reads for itself what it missed.
mod board;
mod feed;
mod seats;
mod watcher;

use crate::api;
use crate::domain::id::AppSessionId;
use crate::orchestrator::{Caller, Error, State, route};
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State as Extracted};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use bytes::{BufMut as _, Bytes, BytesMut};
use feed::Mark;
use futures_util::{Stream, StreamExt as _};
use http::header::{self, HeaderName};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use watcher::{Kind, Watcher};

/// Who follows what in this process.
#[derive(Debug, Default)]
pub(in crate::orchestrator) struct Live {
    seats: seats::Seats,
    feeds: feed::Feeds,
    board: board::Shared,
}

pub(super) fn routes() -> Router<State> {
    Router::new()
        .merge(route::raw(api::APP_EVENTS_LIVE, get(events)))
        .merge(route::raw(api::APP_LIVE, get(page)))
        .merge(route::raw(api::BOARD_LIVE, get(operator)))
}

/// `?after=`, or `Last-Event-ID` of a connection that was cut.
#[derive(Debug, Default, Deserialize)]
struct AfterEvent {
    #[serde(default)]
    after: i64,
}

/// What a page has seen.
#[derive(Debug, Default, Deserialize)]
struct AfterBoth {
    #[serde(default, rename = "after_event")]
    event: i64,
    #[serde(default, rename = "after_log")]
    log: i64,
}

/// Which app, and from where on.
#[derive(Debug)]
struct At<A> {
    id: AppSessionId,
    after: A,
    cut: Option<String>,
}

impl<A: for<'de> Deserialize<'de>> FromRequestParts<State> for At<A> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Error> {
        let Path((id,)) = route::path(parts, state).await?;
        let cut = parts.headers.get("last-event-id");
        Ok(Self {
            id,
            after: route::query(&parts.uri)?,
            cut: cut.map(|id| String::from_utf8_lossy(id.as_bytes()).into_owned()),
        })
    }
}

/// Every event under its number, then `end`.
async fn events(
    Extracted(state): Extracted<State>,
    caller: Caller,
    at: Result<At<AfterEvent>, Error>,
) -> Result<Response, Error> {
    let At { id, after, cut } = at?;
    let after = match cut {
        Some(id) => id.trim().parse().unwrap_or(-1),
        None => after.after,
    };
    let seen = Mark {
        event: number("after", after)?,
        log: 0,
    };
    let watcher = Watcher::new(state, caller, id, (Kind::Events, seen)).await?;
    Ok(respond(watcher.stream()))
}

/// All of the app whenever it has changed, for a page that follows it.
async fn page(
    Extracted(state): Extracted<State>,
    caller: Caller,
    at: Result<At<AfterBoth>, Error>,
) -> Result<Response, Error> {
    let At { id, after, .. } = at?;
    let seen = Mark {
        event: number("after_event", after.event)?,
        log: number("after_log", after.log)?,
    };
    let watcher = Watcher::new(state, caller, id, (Kind::Page, seen)).await?;
    Ok(respond(watcher.stream()))
}

/// The operator's board whenever it has changed.
async fn operator(Extracted(state): Extracted<State>, caller: Caller) -> Result<Response, Error> {
    Ok(respond(board::stream(state, caller).await?))
}

fn number(field: &str, number: i64) -> Result<i64, Error> {
    if number < 0 {
        return Err(Error::field(field, "Use the number of an event, or 0."));
    }
    Ok(number)
}

/// Appends a message with this JSON as its data.
fn put(buffer: &mut BytesMut, id: Option<i64>, data: &impl Serialize) -> Result<(), Error> {
    if let Some(id) = id {
        buffer.put_slice(format!("id: {id}\n").as_bytes());
    }
    buffer.put_slice(b"data: ");
    // JSON has no line breaks outside of strings, and in them it escapes them.
    serde_json::to_writer((&mut *buffer).writer(), data)
        .map_err(|error| Error::Internal(error.into()))?;
    buffer.put_slice(b"\n\n");
    Ok(())
}

/// The message as everyone gets it. It is exactly as large as it must be.
fn message(data: &impl Serialize) -> Result<Bytes, Error> {
    let mut buffer = BytesMut::new();
    put(&mut buffer, None, data)?;
    Ok(Bytes::copy_from_slice(&buffer))
}

fn respond(stream: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let body = Body::from_stream(stream.map(Ok::<_, Infallible>));
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store, no-transform"),
        // nginx would otherwise hold messages back until its buffer is full.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (headers, body).into_response()
}
