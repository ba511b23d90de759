//! What progress pages cost while they are open: `STREAMS` of them on one session in
//! one server, and how long a change takes to reach every one. `just load-streams`
//! runs it.
//!
//! Starts the program, launches an app, opens the streams over connections of their
//! own as browsers do, and looks at the server's memory before and after. Then it
//! extends the session some times and stops it at last, and times on each stream when
//! the message with that change is there. Ends by itself; a stream that is refused,
//! breaks off or misses a change ends it with a failure.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should stop"
)]
#[expect(dead_code, reason = "tests need more of it")]
#[path = "../support/server.rs"]
mod server;

use anyhow::{Context as _, ensure};
use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};
use server::Server;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

const STREAMS: usize = 2_000;
/// That come at the same time.
const OPENING: usize = 200;
/// Changes of a session that goes on; the one after them is its end.
const CHANGES: usize = 5;
/// What is not there by then has failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// After everybody has come, before the memory is looked at: longer than it takes
/// until each stream has shown once that it is alive.
const REST: Duration = Duration::from_secs(20);
/// That client and server each have open.
const FILES: u64 = STREAMS as u64 + 200;
/// What the project allows: bytes of the server's memory for each, and a change's time.
const MEMORY: usize = 40_000;
const TIME: Duration = Duration::from_secs(1);

/// What Chromium and htmx say beside the address.
const BROWSER: [(&str, &str); 9] = [
    ("accept", "text/event-stream"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("accept-language", "en-GB,en-US;q=0.9,en;q=0.8"),
    ("hx-request", "true"),
    ("sec-fetch-dest", "empty"),
    ("sec-fetch-mode", "cors"),
    ("sec-fetch-site", "same-origin"),
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36",
    ),
    ("cache-control", "no-store"),
];

fn main() -> ExitCode {
    let most = STREAMS.to_string();
    // The server inherits it.
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    assert!(hard > FILES, "needs {FILES} open files, may have {hard}");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).unwrap();
    let server = Server::start(&[
        "--streams-per-sign-in",
        &most,
        "--streams-per-account",
        &most,
    ]);
    let token = server.sign_up("ada@example.org");
    let session = server.launch(&token, "workspace-files");
    server.session(&token, &session, "running");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match runtime.block_on(measure(&server, &token, &session)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A stream by its number, the last event that it has told, and when.
type News = (usize, i64, Instant);

async fn measure(server: &Server, token: &str, session: &str) -> anyhow::Result<()> {
    let before = memory(server);
    let (told, mut news) = mpsc::unbounded_channel();
    let doors = Arc::new(Semaphore::new(OPENING));
    let mut watchers = JoinSet::new();
    let begun = Instant::now();
    for number in 0..STREAMS {
        let watcher = Watcher {
            number,
            address: server.address,
            token: token.to_owned(),
            session: session.to_owned(),
            told: told.clone(),
        };
        watchers.spawn(watcher.watch(Arc::clone(&doors)));
    }
    let opened = hear(&mut watchers, &mut news, |_| true).await;
    let opened = opened.context("while they were opened")?;
    let opened = opened.last().unwrap().duration_since(begun);
    println!("{STREAMS} streams, {OPENING} at a time: the last snapshot after {opened:.2?}");
    // None ends meanwhile.
    if let Ok(Some(ended)) = timeout(REST, watchers.join_next()).await {
        ended?.context("while nothing happened")?;
    }
    let during = memory(server);
    let each = during.saturating_sub(before) / STREAMS;
    println!(
        "server memory: {} kB before, {} kB with them, {each} bytes each ({})",
        before / 1000,
        during / 1000,
        verdict(each < MEMORY)
    );
    let session = format!("/v1/app-sessions/{session}");
    for change in 0..=CHANGES {
        let (what, path, body) = if change < CHANGES {
            extension(server, token, &session)
        } else {
            ("the stop", format!("{session}/stop"), json!({}))
        };
        let known = server.call("GET", &session, token, &Value::Null);
        let known = known["last_event"].as_i64().unwrap();
        let asked = Instant::now();
        server.call("POST", &path, token, &body);
        let answered = asked.elapsed();
        let at = hear(&mut watchers, &mut news, |event| event > known).await;
        let at = at.with_context(|| format!("after {what}"))?;
        let took = |at: &Instant| at.duration_since(asked);
        println!(
            "{what}: answered after {answered:.0?}, first stream {:.0?}, median {:.0?}, last {:.0?} ({})",
            took(&at[0]),
            took(&at[STREAMS / 2]),
            took(&at[STREAMS - 1]),
            verdict(took(&at[STREAMS - 1]) < TIME)
        );
    }
    let ends = async {
        while let Some(ended) = watchers.join_next().await {
            ended??;
        }
        anyhow::Ok(())
    };
    let ends = timeout(PATIENCE, ends).await;
    ends.context("streams go on after the session's end")?
}

/// An extension, priced and only to be carried out.
fn extension(server: &Server, token: &str, session: &str) -> (&'static str, String, Value) {
    let path = format!("{session}/extend");
    let price = server.call("POST", &path, token, &json!({ "minutes": 15 }));
    let estimate = price["estimate_id"].clone();
    let body = json!({ "minutes": 15, "acknowledged_estimate": estimate });
    ("an extension", path, body)
}

const fn verdict(fine: bool) -> &'static str {
    if fine {
        "within bounds"
    } else {
        "OUT OF BOUNDS"
    }
}

/// When each stream told an event that is `wanted`, the first first.
async fn hear(
    watchers: &mut JoinSet<anyhow::Result<()>>,
    news: &mut mpsc::UnboundedReceiver<News>,
    wanted: impl Fn(i64) -> bool,
) -> anyhow::Result<Vec<Instant>> {
    let mut told = vec![None; STREAMS];
    let mut missing = STREAMS;
    let all = async {
        while missing > 0 {
            tokio::select! {
                biased;
                Some((number, event, at)) = news.recv() => {
                    if wanted(event) && told[number].is_none() {
                        told[number] = Some(at);
                        missing -= 1;
                    }
                }
                Some(ended) = watchers.join_next() => ended??,
            }
        }
        anyhow::Ok(())
    };
    let heard = timeout(PATIENCE, all).await;
    heard.with_context(|| format!("{missing} of {STREAMS} streams say nothing"))??;
    let mut at: Vec<Instant> = told.into_iter().flatten().collect();
    at.sort_unstable();
    Ok(at)
}

/// One open page.
struct Watcher {
    number: usize,
    address: SocketAddr,
    token: String,
    session: String,
    told: mpsc::UnboundedSender<News>,
}

impl Watcher {
    /// Reads the stream until it says that nothing more will come.
    async fn watch(self, doors: Arc<Semaphore>) -> anyhow::Result<()> {
        let number = self.number;
        let read = self.read(doors).await;
        read.with_context(|| format!("stream {number} is broken"))
    }

    async fn read(self, doors: Arc<Semaphore>) -> anyhow::Result<()> {
        let mut door = Some(doors.acquire().await?);
        let mut body = self.open().await?;
        let mut unread = String::new();
        let mut over = false;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            let now = Instant::now();
            unread.push_str(std::str::from_utf8(&data)?);
            while let Some((message, rest)) = unread.split_once("\n\n") {
                // A sign of life has no number.
                let mark = message.lines().find_map(|line| line.strip_prefix("id: "));
                if let Some(mark) = mark {
                    let event = mark.split('.').next().unwrap_or_default().parse()?;
                    ensure!(message.contains("<hx-partial"), "odd: {message}");
                    over = message.contains("hx-target=\"#feed\"");
                    self.told.send((self.number, event, now))?;
                    door = None;
                }
                unread = rest.to_owned();
            }
        }
        drop(door);
        ensure!(over, "it ended before its session did");
        Ok(())
    }

    async fn open(&self) -> anyhow::Result<Incoming> {
        let Self {
            address,
            token,
            session,
            ..
        } = self;
        let page = format!("/portal/templates/sessions/{session}");
        let mut request = Request::get(format!("{page}/live?after=0.0"))
            .header("host", address.to_string())
            .header("referer", format!("http://{address}{page}"))
            .header("cookie", format!("__Host-jg_session={token}"));
        for (name, value) in BROWSER {
            request = request.header(name, value);
        }
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let answer = sender.send_request(request.body(Body::empty())?).await?;
        let status = answer.status();
        if status != 200 {
            let body = answer.into_body().collect().await?.to_bytes();
            anyhow::bail!("{status}: {}", String::from_utf8_lossy(&body));
        }
        Ok(answer.into_body())
    }
}

/// Bytes of memory that the server occupies.
fn memory(server: &Server) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<usize>().unwrap() * 1024
}
