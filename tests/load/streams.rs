//! What progress pages cost while they are open: `STREAMS` of them in one server,
//! and how long a change takes to reach every one. `just bench` runs it.
//!
//! Starts the program, launches an app, opens the streams, looks at the server's
//! memory before and after, stops the app, and times the news on each stream.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should stop"
)]
#[expect(dead_code, reason = "other tests share it")]
#[path = "../support/server.rs"]
mod server;

use serde_json::{Value, json};
use server::{Server, until};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

const STREAMS: usize = 2_000;
/// After so long the measurement has failed.
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let cap = STREAMS.to_string();
    let server = Server::start(&["--streams-per-account", &cap]);
    let token = server.sign_up("ada@example.org");
    let session = launch(&server, &token);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(&server, &token, &session));
}

fn launch(server: &Server, token: &str) -> String {
    let choices = json!({"max_hours": 1});
    let estimate = "/v1/templates/workspace-files/estimate";
    let estimate = server.call("POST", estimate, token, &choices);
    let launch = json!({
        "template": "workspace-files", "max_hours": 1,
        "acknowledged_estimate": estimate["estimate_id"],
    });
    let session = server.call("POST", "/v1/app-sessions", token, &launch);
    let id = session["id"].as_str().unwrap().to_owned();
    until("the app to be ready", || {
        let path = format!("/v1/app-sessions/{id}");
        let session = server.call("GET", &path, token, &Value::Null);
        (session["status"] == "running").then_some(())
    });
    id
}

async fn measure(server: &Server, token: &str, session: &str) {
    let before = memory(server);
    let (told, mut news) = mpsc::unbounded_channel();
    let mut watchers = Vec::new();
    for _ in 0..STREAMS {
        let (address, token, session, told) = (
            server.address,
            token.to_owned(),
            session.to_owned(),
            told.clone(),
        );
        watchers.push(tokio::spawn(async move {
            watch(address, &token, &session, &told).await;
        }));
    }
    let opened = gather(&mut news, Heard::Snapshot).await;
    // What was needed only for opening them is given back.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let during = memory(server);
    let each = (during.saturating_sub(before)) as f64 / STREAMS as f64;
    println!("{STREAMS} streams: first snapshots within {opened:.2?}");
    println!("server memory: {before} kB before, {during} kB with them, {each:.1} kB each");

    let path = format!("/v1/app-sessions/{session}/stop");
    let (address, token) = (server.address, token.to_owned());
    let asked = Instant::now();
    tokio::spawn(async move { post(address, &path, &token).await });
    let times = arrivals(&mut news, asked).await;
    println!(
        "a stop reached the first stream after {:.0?}, the median one after {:.0?}, all after {:.0?}",
        times[0],
        times[times.len() / 2],
        times[times.len() - 1]
    );
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Snapshot,
    Stopping,
}

/// Reads one stream and says when the snapshot and when the news have come.
async fn watch(
    address: std::net::SocketAddr,
    token: &str,
    session: &str,
    told: &mpsc::UnboundedSender<(Heard, Instant)>,
) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /portal/templates/sessions/{session}/live?after=0.0 HTTP/1.1\r\nHost: {address}\r\n\
         Accept: text/event-stream\r\nSec-Fetch-Site: same-origin\r\n\
         Cookie: __Host-jg_session={token}\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = vec![0; 8 * 1024];
    let mut tail = String::new();
    let mut snapshot = false;
    loop {
        let Ok(read) = stream.read(&mut buffer).await else {
            return;
        };
        if read == 0 {
            return;
        }
        let now = Instant::now();
        tail.push_str(&String::from_utf8_lossy(&buffer[..read]));
        if !snapshot {
            assert!(
                !tail.starts_with("HTTP/1.1 ") || tail.starts_with("HTTP/1.1 200"),
                "{tail}"
            );
            if tail.contains("hx-partial") {
                snapshot = true;
                tail.clear();
                let _ = told.send((Heard::Snapshot, now));
            }
            continue;
        }
        if tail.contains("topping") || tail.contains("topped") || tail.contains("nded") {
            let _ = told.send((Heard::Stopping, now));
            return;
        }
        let keep = tail.len().saturating_sub(64);
        tail = tail.chars().skip(tail[..keep].chars().count()).collect();
    }
}

async fn gather(news: &mut mpsc::UnboundedReceiver<(Heard, Instant)>, what: Heard) -> Duration {
    let begun = Instant::now();
    let mut heard = 0;
    while heard < STREAMS {
        let (kind, _) = tokio::time::timeout(PATIENCE, news.recv())
            .await
            .unwrap_or_else(|_| panic!("only {heard} streams have begun"))
            .unwrap();
        heard += usize::from(kind == what);
    }
    begun.elapsed()
}

async fn arrivals(
    news: &mut mpsc::UnboundedReceiver<(Heard, Instant)>,
    asked: Instant,
) -> Vec<Duration> {
    let mut times = Vec::with_capacity(STREAMS);
    while times.len() < STREAMS {
        let heard = times.len();
        let (kind, at) = tokio::time::timeout(PATIENCE, news.recv())
            .await
            .unwrap_or_else(|_| panic!("the news reached only {heard} streams"))
            .unwrap();
        if kind == Heard::Stopping {
            times.push(at.saturating_duration_since(asked));
        }
    }
    times.sort_unstable();
    times
}

async fn post(address: std::net::SocketAddr, path: &str, token: &str) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
}

/// Resident kilobytes of the server.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").trim().parse().unwrap()
}
