//! HTTP/2, for clients that ask for it in the TLS handshake.
//!
//! One connection carries many requests, so what holds for connections in HTTP/1
//! holds here for each request: how many there may be from one address and in all,
//! and how long a client may leave an answer lying. Bodies have the limits that the
//! guard gives them, as in HTTP/1.
//!
//! A new connection has to bring a whole request in the time that there is for a
//! head, and one on which nothing is open ends when it has been idle. Half a head
//! on one with open requests costs nobody else anything: nothing can come after it,
//! so our question whether the client is there is not answered, and that ends it.
mod answer;
mod open;

use super::{Full, Head, Slot, Socket, Talk, Wire};
use crate::domain::peer::Peer;
use answer::{Answer, OWED, Owed};
use axum::Router;
use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2::Builder;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use open::{Open, Place};
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

/// How many bytes of a request's body may come before anyone reads them. It bounds
/// what an upload can reach, 50 MB/s at 40 ms there and back; and it is memory only
/// while nobody reads, less than the kernel would keep for a connection of HTTP/1.
const STREAM_WINDOW: u32 = 2 * 1024 * 1024;
/// The same for all requests of a connection together: one that nobody reads does
/// not hold up the others.
const CONNECTION_WINDOW: u32 = 2 * STREAM_WINDOW;
/// Of an answer, how many bytes may wait to be sent.
const SEND_BUFFER: usize = 64 * 1024;
/// Requests that were taken back before anyone has looked at them. Who does that
/// more often than browsers ever do is told to calm down, and disconnected.
const TAKEN_BACK: usize = 20;
/// After our good-bye, how long a connection on which nothing is asked stays open:
/// for the client to say that it has heard.
const FAREWELL: Duration = Duration::from_secs(5);

pub(super) async fn speak(stream: impl Socket, talk: Talk) {
    let Talk {
        slot,
        peer,
        router,
        limits,
        until,
        requests,
        tasks,
    } = talk;
    let io = Wire {
        stream,
        head: Arc::new(Head::new(&limits)),
        lingers: limits.linger,
        linger: None,
        _slot: slot,
    };
    let open = Arc::new(Open::default());
    let places = Arc::clone(&open);
    let headers = limits.headers;
    let service = service_fn(move |request: Request<Incoming>| {
        // Counted before its task first runs.
        let held = Held {
            slot: requests.take(peer),
            _place: places.take(),
        };
        // In a box, so that a stream that goes on for hours does not keep the room that
        // its beginning needed.
        Box::pin(answered(router.clone(), request, peer, headers, held))
    });
    let streams = Streams {
        tasks,
        stalled: limits.stalled,
    };
    let served = Builder::new(streams)
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams)
        .max_header_list_size(u32::try_from(limits.buffer).unwrap_or(u32::MAX))
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_pending_accept_reset_streams(TAKEN_BACK)
        .keep_alive_interval(limits.silent)
        .keep_alive_timeout(limits.pong)
        .serve_connection(TokioIo::new(io), service);
    let mut served = pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => Some(ended),
        () = until.shutdown.cancelled() => None,
        () = open.quiet(limits.header, limits.idle) => None,
    };
    let result = if let Some(result) = ended {
        result
    } else {
        served.as_mut().graceful_shutdown();
        tokio::select! {
            result = served => result,
            () = until.drop_all.cancelled() => Ok(()),
            () = open.quiet(limits.linger, FAREWELL) => Ok(()),
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer = %peer.0, %error, "connection ended");
    }
}

/// What a request occupies until all of its answer has been taken.
struct Held {
    slot: Result<Slot, Full>,
    _place: Place,
}

async fn answered(
    router: Router,
    mut request: Request<Incoming>,
    peer: Peer,
    headers: usize,
    held: Held,
) -> Result<Response<Answer>, Infallible> {
    let owed = OWED.try_with(Arc::clone).unwrap_or_default();
    let response = match held.slot {
        Err(full) => refused(full),
        Ok(_) if lines(request.headers()) > headers => {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            response
        }
        Ok(_) => {
            request.extensions_mut().insert(peer);
            router.oneshot(request.map(Body::new)).await?
        }
    };
    Ok(response.map(|body| Answer::new(body, owed, held)))
}

/// Header lines as HTTP/1 has them: there, all cookies are one.
fn lines(headers: &HeaderMap) -> usize {
    let cookies = headers.get_all(header::COOKIE).iter().count();
    headers.len() - cookies.saturating_sub(1)
}

fn refused(full: Full) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = full.status();
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

/// Runs what answers the requests of a connection.
#[derive(Debug, Clone)]
struct Streams {
    tasks: TaskTracker,
    stalled: Duration,
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let owed = Arc::<Owed>::default();
        let watched = answer::watch(stream, Arc::clone(&owed), self.stalled);
        self.tasks.spawn(OWED.scope(owed, watched));
    }
}
