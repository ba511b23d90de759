//! Apps behind the proxy, spoken to over real connections through the whole server.
use crate::site::{App, Site, recite, serve, until};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::routing::{any, get, post};
use futures_util::StreamExt as _;
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use junglegrid::proxy::Limits;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio_util::task::AbortOnDropHandle;

mod access;
mod bytes;
mod ends;
mod names;
mod streams;
mod tls;
mod upstream;

/// The app that the tests talk to, and what it noticed.
struct Double {
    router: Router,
    /// Bytes that the app has handed over, or has taken.
    moved: Arc<AtomicUsize>,
    /// Held back until a permit is there.
    gate: Arc<Semaphore>,
    /// Says when a stream has been dropped.
    dropped: mpsc::UnboundedReceiver<()>,
}

struct OnDrop(mpsc::UnboundedSender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// Tells what arrived.
async fn mirror(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> String {
    let headers: Vec<(String, String)> = headers
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        })
        .collect();
    json!({
        "method": method.as_str(),
        "uri": uri.to_string(),
        "headers": headers,
        "body": String::from_utf8_lossy(&body),
    })
    .to_string()
}

async fn echo_socket(request: Request<Body>) -> Response<Body> {
    let mut request = request;
    let protocol = request.headers().get("sec-websocket-protocol").cloned();
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgrade.await {
            let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
            let _ = tokio::io::copy(&mut from, &mut to).await;
        }
    });
    let mut response = Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    if let Some(protocol) = protocol {
        response = response.header("sec-websocket-protocol", protocol);
    }
    response.body(Body::empty()).unwrap()
}

impl Double {
    fn new() -> Self {
        let moved = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(Semaphore::new(0));
        let (told, dropped) = mpsc::unbounded_channel();
        let made = Arc::clone(&moved);
        let bytes = move |Path(length): Path<usize>| {
            let made = Arc::clone(&made);
            let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
            let chunks = futures_util::stream::iter(0..length / chunk.len()).map(move |_| {
                made.fetch_add(chunk.len(), Ordering::Relaxed);
                Ok::<_, Infallible>(chunk.clone())
            });
            std::future::ready(Body::from_stream(chunks))
        };
        let bytes_again = bytes.clone();
        let ticks = move |path: Path<usize>| {
            let bytes = bytes_again.clone();
            async move { ([("content-type", "text/event-stream")], bytes(path).await) }
        };
        let opened = Arc::clone(&gate);
        let late = move || {
            let opened = Arc::clone(&opened);
            async move {
                let _ = opened.acquire().await.unwrap();
                ([("content-type", "text/event-stream")], "data: 1\n\n")
            }
        };
        let (taken, open) = (Arc::clone(&moved), Arc::clone(&gate));
        let upload = move |request: Request<Body>| {
            let (taken, open) = (Arc::clone(&taken), Arc::clone(&open));
            async move {
                let _ = open.acquire().await.unwrap();
                let mut body = request.into_body();
                while let Some(frame) = body.frame().await {
                    let Ok(frame) = frame else { break };
                    let length = frame.data_ref().map_or(0, Bytes::len);
                    taken.fetch_add(length, Ordering::Relaxed);
                }
                taken.load(Ordering::Relaxed).to_string()
            }
        };
        let events = move || {
            let watched = OnDrop(told.clone());
            let lines = futures_util::stream::once(async { Bytes::from_static(b"data: 1\n\n") })
                .chain(futures_util::stream::pending())
                .map(move |line| {
                    let _ = &watched;
                    Ok::<_, Infallible>(line)
                });
            std::future::ready((
                [("content-type", "text/event-stream")],
                Body::from_stream(lines),
            ))
        };
        let router = Router::new()
            .route("/", get(async || "home"))
            .route("/bytes/{length}", get(bytes))
            .route("/ticks/{length}", get(ticks))
            .route("/upload", post(upload))
            .route("/events", get(events))
            .route("/socket", any(echo_socket))
            .route("/never", get(std::future::pending::<&'static str>))
            .route("/late", get(late))
            .route("/empty", get(async || http::StatusCode::NO_CONTENT))
            .route("/large", get(async || vec![b'y'; 100_000]))
            .fallback(mirror);
        Self {
            router,
            moved,
            gate,
            dropped,
        }
    }
}

/// A site with one person and their app.
async fn running() -> (Site, App, Double, AbortOnDropHandle<()>) {
    running_with(Limits::default()).await
}

async fn running_with(limits: Limits) -> (Site, App, Double, AbortOnDropHandle<()>) {
    let site = Site::with(limits).await;
    let double = Double::new();
    let (address, server) = serve(double.router.clone()).await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, address).await;
    (site, app, double, server)
}

/// What the app saw of a request.
fn seen(answer: &crate::site::Answer) -> (Value, Vec<(String, String)>) {
    let value: Value = serde_json::from_slice(&answer.body).expect("the app's own answer");
    let headers = serde_json::from_value(value["headers"].clone()).unwrap();
    (value, headers)
}

fn names(headers: &[(String, String)]) -> Vec<&str> {
    headers.iter().map(|(name, _)| name.as_str()).collect()
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut found = headers.iter().filter(|(known, _)| known == name);
    let first = found.next().map(|(_, value)| value.as_str());
    assert!(found.next().is_none(), "{name} twice");
    first
}
