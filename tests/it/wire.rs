//! The listener, spoken to in bytes.
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::StreamExt;
use junglegrid::app::guard::{self, BodyLimits, Hosts, Rules};
use junglegrid::app::server::{self, Limits};
use junglegrid::domain::peer::{Peer, RequestId, Site};
use junglegrid::web::assets;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

mod hostile;
mod lifetime;
mod shipped;

/// However loaded the machine is, no answer takes longer; a test that waits so long
/// has failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_hours(1);

/// A listener on a port of its own, with a router that knows a few tricks.
struct Server {
    address: SocketAddr,
    shutdown: CancellationToken,
    running: tokio::task::JoinHandle<io::Result<()>>,
    /// Says when a stream of `/stream` has been dropped.
    dropped: mpsc::UnboundedReceiver<()>,
}

/// Cuts nobody off, however slow the machine is. A test shortens what it waits for.
fn patient() -> Limits {
    Limits {
        header: FOR_EVER,
        idle: FOR_EVER,
        drain: FOR_EVER,
        linger: PATIENCE,
        ..Limits::default()
    }
}

/// Waits for no body but those to `/drip`, which it hardly waits for.
fn impatient(site: &Site, parts: &http::request::Parts) -> BodyLimits {
    let patience = if parts.uri.path() == "/drip" {
        Duration::from_millis(200)
    } else {
        FOR_EVER
    };
    BodyLimits {
        bytes: 10_000,
        total: None,
        patience,
        ..BodyLimits::of(site, parts)
    }
}

struct OnDrop(mpsc::UnboundedSender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

fn tricks(dropped: mpsc::UnboundedSender<()>) -> Router {
    let endless = move || {
        let watched = OnDrop(dropped.clone());
        let lines = futures_util::stream::once(async { Bytes::from_static(b"data: hello\n\n") })
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
    Router::new()
        .route("/", get(async || "hello"))
        .route("/echo", post(async |body: Bytes| body))
        .route("/drip", post(async |body: Bytes| body))
        .route("/ignore", post(async || "ignored"))
        .route(
            "/panic",
            get(async || -> &'static str { panic!("on purpose") }),
        )
        .route("/long", get(async || "long ".repeat(400)))
        .route("/flood", get(async || vec![b'x'; 64 << 20]))
        .route("/stream", get(endless))
        .route(
            "/who",
            get(
                async |Extension(Peer(ip)): Extension<Peer>,
                       Extension(id): Extension<RequestId>| format!("{ip} {id}"),
            ),
        )
        .merge(assets::routes())
}

async fn start(limits: Limits) -> Server {
    start_at("127.0.0.1", limits).await
}

async fn start_at(ip: &str, limits: Limits) -> Server {
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let public = format!("http://{address}").parse().unwrap();
    let mut rules = Rules::new(Hosts::new(address, &public, "apps.localhost"));
    rules.body = impatient;
    let (told, dropped) = mpsc::unbounded_channel();
    let router = guard::wrap(tricks(told), rules);
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(server::serve(listener, router, limits, shutdown.clone()));
    Server {
        address,
        shutdown,
        running,
        dropped,
    }
}

/// One answer, as far as it came.
#[derive(Debug, Default)]
struct Answer {
    /// 0 if the connection was closed without one.
    status: u16,
    /// In lower case.
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let Some(end) = end else {
            return Self::default();
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or(0);
        Self {
            status,
            head,
            body: bytes[end + 4..].to_vec(),
        }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Server {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends `request` (with `HOST` for the right name) and reads to the end of the connection.
    async fn send(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        // A server that has heard enough may stop reading.
        let _ = stream.write_all(&self.named(request)).await;
        Answer::parse(&to_the_end(&mut stream).await)
    }

    fn named(&self, request: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(request) else {
            return request.to_vec();
        };
        text.replace("HOST", &self.address.to_string()).into_bytes()
    }

    async fn get(&self, path: &str, headers: &str) -> Answer {
        self.send(
            format!("GET {path} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n{headers}\r\n")
                .as_bytes(),
        )
        .await
    }
}

/// Waits until a place is free.
async fn until_served(server: &Server) {
    let freed = async {
        while server.get("/", "").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed)
        .await
        .expect("a closed connection frees its place");
}

/// Everything until the other side closes; what came before a reset counts.
async fn to_the_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, async {
        let mut some = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut some).await {
            bytes.extend_from_slice(&some[..length]);
        }
    });
    read.await.expect("the connection ends");
    bytes
}
