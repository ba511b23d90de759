//! Parts of a page that the server redraws while the page is open.
//!
//! A page holds one connection, on an element of its own inside the region that
//! it describes. Each message is a set of `<hx-partial>`s that name what they
//! replace, so no message can land in the wrong place. Browsers let go of the
//! connection while their tab is hidden and come back with the last [`Mark`]
//! they saw.
use crate::client::Client;
use axum::extract::FromRequestParts;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How much of a job a page has seen: the last event and the last log entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) event: i64,
    pub(crate) log: i64,
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.event, self.log)
    }
}

impl FromStr for Mark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.parse().ok().filter(|n: &i64| *n >= 0).ok_or(());
        let (event, log) = text.split_once('.').ok_or(())?;
        Ok(Self {
            event: number(event)?,
            log: number(log)?,
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Mark {
    type Rejection = Infallible;

    /// `Last-Event-ID` of a connection that was cut, else `after` of the page;
    /// from the beginning if neither can be read.
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let last = parts.headers.get("last-event-id");
        let last = last.and_then(|id| id.to_str().ok()?.parse().ok());
        let after = || {
            let mut pairs = parts.uri.query().unwrap_or_default().split('&');
            pairs.find_map(|pair| pair.strip_prefix("after=")?.parse().ok())
        };
        Ok(last.or_else(after).unwrap_or_default())
    }
}

/// What a connection is told that has had no other message for [`QUIET`].
const ALIVE: &str = "alive";
/// Pages ask by themselves when they have heard nothing for 45 seconds.
const QUIET: Duration = Duration::from_secs(15);

/// Redraws the element that `target` selects.
pub(crate) fn redraw(target: &str, markup: Markup) -> Markup {
    partial(target, "outerMorph", markup)
}

/// Adds to the end of the element that `target` selects.
pub(crate) fn append(target: &str, markup: Markup) -> Markup {
    partial(target, "beforeend", markup)
}

pub(crate) fn partial(target: &str, swap: &str, markup: Markup) -> Markup {
    html! { hx-partial hx-target=(target) hx-swap=(swap) { (markup) } }
}

/// The element that keeps the connection to `path` open, starting after `seen`.
///
/// The extension never retries a first connection that failed, hence the
/// triggers; they do nothing while there is one.
pub(crate) fn connection(id: &str, path: &str, seen: Mark) -> Markup {
    connection_with(id, path, seen, "")
}

/// The same, with `more` of a query: nothing, or `&name=value`.
pub(crate) fn connection_with(id: &str, path: &str, seen: Mark, more: &str) -> Markup {
    html! {
        div #(id) hidden hx-sse:connect={ (path) "?after=" (seen) (more) } hx-swap="none"
            hx-trigger="load, online from:window, every 15s" {}
    }
}

/// Takes the place of [`connection`] when there is nothing more to come.
pub(crate) fn disconnection(id: &str) -> Markup {
    partial(
        &format!("#{id}"),
        "outerHTML",
        html! { div #(id) hidden {} },
    )
}

/// Takes the place of [`connection`] on a page that may not see this any more: it asks
/// once for `path`, which is refused, and goes where one signs in.
pub(crate) fn dismissal(id: &str, path: &str) -> Markup {
    partial(
        &format!("#{id}"),
        "outerHTML",
        html! { div #(id) hidden hx-get=(path) hx-trigger="load" hx-swap="none" {} },
    )
}

/// Whether whoever opened a stream has been signed out since.
pub(crate) async fn is_dismissed(api: &Client) -> bool {
    let session = api.session().await;
    session.is_err_and(|error| error.status() == Some(StatusCode::UNAUTHORIZED))
}

/// What a fragment looks like, in short: its `ETag`.
pub(crate) fn tag(markup: &Markup) -> String {
    let digest = Sha256::digest(markup.0.as_bytes());
    let hex = digest[..8].iter().map(|byte| format!("{byte:02x}"));
    hex.collect()
}

/// The `hx-headers` of an element that asks for itself again: set by hand, a 304
/// reaches htmx, which then leaves the page alone.
pub(crate) fn known(tag: &str) -> String {
    format!(r#"{{"If-None-Match":"\"{tag}\""}}"#)
}

/// Answers with one message per item. When the items end without a
/// [`disconnection`], the browser comes back by itself.
pub(crate) fn answer(items: impl Stream<Item = (Mark, Markup)> + Send + 'static) -> Response {
    answer_with(items, QUIET)
}

fn answer_with(
    items: impl Stream<Item = (Mark, Markup)> + Send + 'static,
    quiet: Duration,
) -> Response {
    let messages = items.map(|(seen, markup)| {
        let message = Event::default().id(seen.to_string());
        Ok::<_, Infallible>(message.data(markup.into_string()))
    });
    // A message and not a comment, of which a page learns nothing: one that hears nothing takes
    // its connection for dead, however well that is.
    let alive = KeepAlive::new()
        .interval(quiet)
        .event(Event::default().event(ALIVE));
    let mut response = Sse::new(messages).keep_alive(alive).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // nginx would otherwise hold messages back until its buffer is full.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn mark(request: http::request::Builder) -> Mark {
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        let Ok(mark) = Mark::from_request_parts(&mut parts, &()).await;
        mark
    }

    #[tokio::test]
    async fn a_page_to_which_nothing_happens_hears_that_its_connection_lives() {
        let answer = answer_with(futures_util::stream::pending(), Duration::from_millis(10));
        let mut body = answer.into_body().into_data_stream();
        for _ in 0..2 {
            // Of a comment no page would learn.
            assert_eq!(body.next().await.unwrap().unwrap(), "event: alive\n\n");
        }
    }

    #[tokio::test]
    async fn a_cut_connection_says_more_than_the_page() {
        let page = || http::Request::get("/live?x=1&after=3.40");
        assert_eq!(mark(page()).await, Mark { event: 3, log: 40 });
        let cut = page().header("last-event-id", "5.60");
        assert_eq!(mark(cut).await, Mark { event: 5, log: 60 });
        let odd = page().header("last-event-id", "<x>");
        assert_eq!(mark(odd).await, Mark { event: 3, log: 40 });
        for bad in ["/live", "/live?after=-1.2", "/live?after=1"] {
            assert_eq!(
                mark(http::Request::get(bad)).await,
                Mark::default(),
                "{bad}"
            );
        }
    }
}
