//! HTTP/2, which clients choose in the TLS handshake.
use crate::certificates::Certificate;
use crate::harness::PASSWORD;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use axum::{Extension, Router};
use futures_util::StreamExt as _;
use http::{HeaderMap, Request, Response, StatusCode, Uri, Version};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use junglegrid::app::guard::{self, BodyLimits, Hosts, Rules};
use junglegrid::app::server::{self, Door, Limits};
use junglegrid::domain::peer::{Peer, Site};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

mod apps;
mod bodies;
mod hosts;
mod lifetime;
mod program;
mod raw;

/// However loaded the machine is, no answer takes longer; a test that waits so long
/// has failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_hours(1);
/// What browsers offer.
const BOTH: &[&[u8]] = &[b"h2", b"http/1.1"];

async fn soon<F: IntoFuture>(what: &str, future: F) -> F::Output {
    let done = tokio::time::timeout(PATIENCE, future).await;
    done.unwrap_or_else(|_| panic!("waited in vain for {what}"))
}

/// A connection inside TLS, with what was agreed on.
async fn connect(chain: &str, address: SocketAddr, protocols: &[&[u8]]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    let trusted = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
    roots.add(trusted).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::from(address.ip());
    let connector = TlsConnector::from(Arc::new(config));
    soon("a handshake", connector.connect(name, stream))
        .await
        .unwrap()
}

/// One connection of HTTP/2.
struct Client {
    sender: http2::SendRequest<Body>,
    running: JoinHandle<hyper::Result<()>>,
    base: String,
}

impl Client {
    async fn new(chain: &str, address: SocketAddr) -> Self {
        let stream = connect(chain, address, BOTH).await;
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
        Self {
            sender,
            running: tokio::spawn(connection),
            base: format!("https://{address}"),
        }
    }

    fn request(&self, path: &str) -> http::request::Builder {
        Request::builder().uri(format!("{}{path}", self.base))
    }

    async fn open(&self, request: Request<Body>) -> hyper::Result<Response<Incoming>> {
        let mut sender = self.sender.clone();
        soon("an answer", async {
            sender.ready().await?;
            sender.send_request(request).await
        })
        .await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        Answer::read(self.open(request).await.unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request(path).body(Body::empty()).unwrap())
            .await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = self.request(path).method("POST").body(body.into());
        self.send(request.unwrap()).await
    }

    /// Begins to read what has no end.
    async fn stream(&self, path: &str) -> Incoming {
        let request = self.request(path).body(Body::empty()).unwrap();
        let response = self.open(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let mut body = response.into_body();
        let first = soon("the first piece", body.frame()).await;
        assert!(first.unwrap().is_ok());
        body
    }
}

/// One answer, to its end.
#[derive(Debug)]
struct Answer {
    status: StatusCode,
    version: Version,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    async fn read(response: Response<Incoming>) -> Self {
        let (parts, body) = response.into_parts();
        Self {
            status: parts.status,
            version: parts.version,
            headers: parts.headers,
            body: soon("an end", body.collect()).await.unwrap().to_bytes(),
        }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// A listener with a certificate, and a router that knows a few tricks.
struct Listener {
    address: SocketAddr,
    certificate: Certificate,
    stop: CancellationToken,
    running: JoinHandle<io::Result<()>>,
    /// Says when a stream of `/stream` has been dropped.
    dropped: mpsc::UnboundedReceiver<()>,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct OnDrop(mpsc::UnboundedSender<()>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// What arrived of a request, as the router sees it.
async fn mirror(
    Extension(site): Extension<Site>,
    Extension(Peer(ip)): Extension<Peer>,
    uri: Uri,
    headers: HeaderMap,
) -> String {
    let all = |name: &str| {
        let values = headers.get_all(name).iter();
        let values: Vec<&str> = values.map(|value| value.to_str().unwrap()).collect();
        values.join(" | ")
    };
    let (host, cookie) = (all("host"), all("cookie"));
    format!("{site:?} {ip} {uri} [{host}] [{cookie}]")
}

/// What comes, and what has been made of it.
async fn hash(body: Body) -> String {
    let mut hasher = Sha256::new();
    let mut stream = body.into_data_stream();
    let mut length = 0;
    while let Some(data) = stream.next().await {
        let data = data.unwrap();
        length += data.len();
        hasher.update(&data);
    }
    format!("{length} {:?}", hasher.finalize())
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
    let own = [
        ("connection", "close, x-hop"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("x-hop", "1"),
        ("x-end", "2"),
    ];
    Router::new()
        .route("/", get(async || "hello"))
        .route("/echo", post(async |body: Bytes| body))
        .route("/drip", post(async |body: Bytes| body))
        .route("/hash", post(hash))
        .route("/deaf", post(async || (StatusCode::CONFLICT, "no need")))
        .route("/long", get(async || "long ".repeat(400)))
        .route("/flood", get(async || vec![b'x'; 64 << 20]))
        .route("/hops", get(async move || (own, "hops")))
        .route("/stream", get(endless))
        .route("/never", post(std::future::pending::<&'static str>))
        .fallback(mirror)
}

fn impatient(site: &Site, parts: &http::request::Parts) -> BodyLimits {
    let path = parts.uri.path();
    BodyLimits {
        bytes: if path == "/hash" { u64::MAX } else { 10_000 },
        total: None,
        // Of all bodies this one alone is not waited for.
        patience: if path == "/drip" {
            Duration::from_millis(300)
        } else {
            FOR_EVER
        },
        ..BodyLimits::of(site, parts)
    }
}

/// Cuts nobody off, however slow the machine is. A test shortens what it waits for.
fn patient() -> Limits {
    Limits {
        handshake: FOR_EVER,
        header: FOR_EVER,
        idle: FOR_EVER,
        stalled: PATIENCE,
        drain: FOR_EVER,
        ..Limits::default()
    }
}

async fn listen(limits: Limits) -> Listener {
    listen_at("127.0.0.1", &[], limits).await
}

/// Behind proxies that may say who asks.
async fn listen_behind(proxies: &[&str], limits: Limits) -> Listener {
    listen_at("127.0.0.1", proxies, limits).await
}

async fn listen_at(ip: &str, proxies: &[&str], limits: Limits) -> Listener {
    let certificate = Certificate::of(&[ip]);
    let tls = Some(certificate.tls());
    let listener = TcpListener::bind((ip, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let public = format!("https://{address}").parse().unwrap();
    let mut rules = Rules::new(Hosts::new(address, &public, "apps.localhost"));
    rules.body = impatient;
    rules.trusted = proxies.iter().map(|net| net.parse().unwrap()).collect();
    let (told, dropped) = mpsc::unbounded_channel();
    let router = guard::wrap(tricks(told), rules);
    let stop = CancellationToken::new();
    let door = Door { listener, tls };
    let running = tokio::spawn(server::serve(door, router, limits, stop.clone()));
    Listener {
        address,
        certificate,
        stop,
        running,
        dropped,
    }
}

impl Listener {
    async fn client(&self) -> Client {
        Client::new(&self.certificate.chain, self.address).await
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        connect(&self.certificate.chain, self.address, BOTH).await
    }

    /// Someone else comes and is answered.
    async fn is_well(&self) {
        assert_eq!(self.client().await.get("/").await.text(), "hello");
    }
}
