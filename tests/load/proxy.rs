//! What the proxy costs: a small request straight to an app and through the whole
//! server, and the memory that a download of 1 GiB takes. `just bench-proxy` runs it.
//!
//! App, server and browser are one process here, so the growth is that of all three.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should stop"
)]
#[expect(dead_code, reason = "the tests share it")]
#[path = "../it/harness.rs"]
mod harness;
#[expect(dead_code, reason = "the harness needs a part of it")]
#[path = "../support/server.rs"]
mod server;
#[expect(dead_code, reason = "the tests share it")]
#[path = "../it/site.rs"]
mod site;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use site::{Site, serve};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;

const REQUESTS: usize = 5_000;
const ROUNDS: usize = 3;
const CHUNK: usize = 64 * 1024;
const DOWNLOAD: usize = 1 << 30;
/// What the issue allows.
const ADDED: Duration = Duration::from_millis(1);
const GROWTH: usize = 16 << 20;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let site = Site::start().await;
    let router = Router::new()
        .route("/small", get(async || "x".repeat(200)))
        .route("/large", get(async || large()));
    let (app_address, _server) = serve(router).await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, app_address).await;
    let cookie = site.enter(&app).await;
    let ask = |path: &str| {
        let request = Request::get(path).header("host", site.host(&app));
        request
            .header("cookie", &cookie)
            .body(Body::empty())
            .unwrap()
    };
    let mut direct = connect(app_address).await;
    let mut through = connect(site.address).await;
    for round in 1..=ROUNDS {
        let straight = median(&mut direct, || ask("/small")).await;
        let proxied = median(&mut through, || ask("/small")).await;
        let added = proxied.saturating_sub(straight);
        println!(
            "round {round}: small request {} µs straight, {} µs through the proxy: {} µs added ({})",
            straight.as_micros(),
            proxied.as_micros(),
            added.as_micros(),
            verdict(added < ADDED),
        );
    }
    let before = resident();
    let (mut peak, mut read, mut next) = (before, 0, 0);
    let begun = Instant::now();
    let mut body = through
        .send_request(ask("/large"))
        .await
        .unwrap()
        .into_body();
    while let Some(frame) = body.frame().await {
        read += frame.unwrap().into_data().unwrap().len();
        if read >= next {
            next = read + (8 << 20);
            peak = peak.max(resident());
        }
    }
    assert_eq!(read, DOWNLOAD);
    let grown = peak.saturating_sub(before);
    println!(
        "download of 1 GiB: {:.2} s, {} kB resident before, {} kB more at the most ({})",
        begun.elapsed().as_secs_f64(),
        before / 1024,
        grown / 1024,
        verdict(grown < GROWTH),
    );
}

fn verdict(fine: bool) -> &'static str {
    if fine {
        "within bounds"
    } else {
        "OUT OF BOUNDS"
    }
}

fn large() -> Body {
    let chunk = Bytes::from(vec![b'x'; CHUNK]);
    let chunks = (0..DOWNLOAD / CHUNK).map(move |_| Ok::<_, Infallible>(chunk.clone()));
    Body::from_stream(futures_util::stream::iter(chunks))
}

async fn connect(to: SocketAddr) -> SendRequest<Body> {
    let stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn median(to: &mut SendRequest<Body>, ask: impl Fn() -> Request<Body>) -> Duration {
    let mut took = Vec::with_capacity(REQUESTS);
    for _ in 0..REQUESTS {
        let request = ask();
        to.ready().await.unwrap();
        let begun = Instant::now();
        let answer = to.send_request(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.into_body().collect().await.unwrap();
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took[REQUESTS / 2]
}

/// Bytes of memory that this process occupies.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: usize = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kilobytes * 1024
}
