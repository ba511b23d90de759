//! What whole pages cost over a workspace with many jobs: the request through the
//! portal's router and the orchestrator's, as they are put together in one process.
//! `just bench` runs it; a number of jobs can be given.
//!
//! Prints milliseconds per page, median and 99th percentile. The bound is 20.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should stop"
)]
#[expect(dead_code, reason = "the tests use the rest of it")]
#[path = "../it/harness.rs"]
mod harness;
#[expect(dead_code, reason = "the harness uses some of it")]
#[path = "../support/server.rs"]
mod server;

use axum::Router;
use axum::body::Body;
use harness::TestApi;
use http::Request;
use http_body_util::BodyExt as _;
use junglegrid::client::Client;
use junglegrid::domain::estimate::{Quote, Range};
use junglegrid::domain::id::{AccountId, JobId, WorkspaceId};
use junglegrid::domain::job::{Failure, Outcome, State};
use junglegrid::domain::money::Usd;
use junglegrid::domain::spec::{JobSpec, Resources, Routing, WorkloadType};
use junglegrid::store::jobs::{self, Job};
use junglegrid::{random, web};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tower::ServiceExt as _;

const JOBS: i64 = 100_000;
const ROUNDS: usize = 100;

fn main() {
    let given = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(given.unwrap_or(JOBS)));
}

/// The portal in front of the orchestrator, and somebody's session.
struct Portal {
    router: Router,
    token: String,
}

impl Portal {
    async fn page(&self, path: &str) -> (Duration, String) {
        let request = Request::builder()
            .uri(path)
            .header("sec-fetch-site", "same-origin")
            .header("cookie", format!("jg_session={}", self.token))
            .body(Body::empty())
            .unwrap();
        let begun = Instant::now();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let took = begun.elapsed();
        assert_eq!(status, 200, "{path}");
        (took, String::from_utf8_lossy(&body).into_owned())
    }

    async fn time(&self, what: &str, path: &str) {
        for _ in 0..5 {
            self.page(path).await;
        }
        let mut took = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            took.push(self.page(path).await.0);
        }
        took.sort_unstable();
        let (median, slow) = (took[ROUNDS / 2], took[ROUNDS * 99 / 100]);
        let over = if slow > Duration::from_millis(20) {
            "  OVER"
        } else {
            ""
        };
        println!(
            "  {what:44} median {:>7.2} ms   p99 {:>7.2} ms{over}",
            median.as_secs_f64() * 1e3,
            slow.as_secs_f64() * 1e3
        );
    }

    /// The page so many pages on, through links.
    async fn on(&self, mut path: String, rel: &str, pages: usize) -> String {
        for _ in 0..pages {
            let (_, html) = self.page(&path).await;
            let Some((_, link)) = html.split_once(&format!("rel=\"{rel}\" href=\"")) else {
                break;
            };
            path = link.split('"').next().unwrap().replace("&amp;", "&");
        }
        path
    }
}

async fn measure(count: i64) {
    let api = TestApi::start().await;
    let token = api.sign_up("bench@example.org").await;
    let session = api.get("/auth/session", &token).await;
    let who = (
        session.text("/account/id").parse().unwrap(),
        session.text("/workspace/id").parse().unwrap(),
    );
    let begun = Instant::now();
    fill(&api, who, count).await;
    println!("{count} jobs written in {:.0?}", begun.elapsed());
    let config = web::Config {
        public_url: "http://localhost:8080".parse().unwrap(),
        secure_cookies: false,
        clock: api.clock.clone(),
    };
    let portal = Portal {
        router: web::router(Client::in_process(api.router()), config),
        token,
    };
    portal.time("dashboard", "/portal").await;
    portal.time("first page", "/portal/jobs").await;
    let far = portal.on("/portal/jobs".into(), "next", 999).await;
    portal.time("thousandth page", &far).await;
    let back = portal.on(far, "prev", 1).await;
    portal.time("the page before that", &back).await;
    for (what, query) in [
        ("oldest first", "sort=oldest"),
        ("active", "status=active"),
        ("ended", "status=ended"),
        ("failed", "status=failed"),
        ("rejected (none)", "status=rejected"),
        ("one type", "type=training"),
        ("one type, ended", "type=training&status=ended"),
        ("one type, rejected (none)", "type=training&status=rejected"),
        ("one image", "image=python%3A3.12"),
        ("one image (none)", "image=nothing"),
        ("image, type, status", "image=host&type=batch&status=failed"),
        ("days", "from=2026-11-20&to=2026-11-21"),
        ("days (none)", "from=2020-01-01&to=2020-01-02"),
        (
            "days, status (none)",
            "from=2026-11-20&to=2026-11-21&status=rejected",
        ),
        ("by cost", "sort=cost"),
        ("by runtime", "sort=runtime"),
        (
            "by cost, one type, ended",
            "sort=cost&type=batch&status=ended",
        ),
        ("text of many", "q=train"),
        ("text of one", "q=-99999"),
        ("text that matches nothing", "q=xyzzy"),
        ("text of common parts that matches nothing", "q=train-train"),
        ("text, status of few", "q=train&status=running"),
        ("text, status of many", "q=train&status=completed"),
        ("text of many, status of none", "q=train&status=rejected"),
        ("text of nothing, ended", "q=xyzzy&status=ended"),
        (
            "text, type, image, days",
            "q=train&type=batch&image=host&from=2026-11-20",
        ),
        ("text of many, other image", "q=train&image=nothing"),
        ("text, oldest first", "q=train&sort=oldest"),
    ] {
        let first = format!("/portal/jobs?{query}");
        portal.time(what, &first).await;
    }
    for (what, query) in [
        ("thousandth page, ended", "status=ended"),
        ("thousandth page, one image", "image=host"),
        ("thousandth page, by cost", "sort=cost"),
        ("hundredth page of a text", "q=train"),
    ] {
        let pages = if query.starts_with('q') { 99 } else { 999 };
        let far = portal
            .on(format!("/portal/jobs?{query}"), "next", pages)
            .await;
        portal.time(what, &far).await;
    }
}

/// Jobs of two months, nearly all of them ended.
async fn fill(api: &TestApi, who: (AccountId, WorkspaceId), count: i64) {
    let now = api.clock.now();
    api.state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                for n in 0..count {
                    let at = now - time::Duration::seconds((count - n) * 50);
                    let mut job = job(n, who, at);
                    jobs::insert(conn, &mut job, &[]).await?;
                    let since = at + time::Duration::seconds(2);
                    let ended = |outcome| State::Ended {
                        outcome,
                        since: Some(since),
                    };
                    job.state = match (count - n, n % 20) {
                        (..=20, _) => continue,
                        (..=40, _) => State::Running { since },
                        (_, 0) => ended(Outcome::Failed(Failure::Exit(1))),
                        (_, 1) => ended(Outcome::Cancelled),
                        _ => ended(Outcome::Completed),
                    };
                    if job.state.ended() {
                        job.completed_at = Some(since + time::Duration::seconds(n % 3_000));
                        job.cost = Some(Usd::from_micros(n % 3_000 * 33));
                    }
                    jobs::update(conn, &mut job, &[]).await?;
                }
                Ok::<_, junglegrid::store::Error>(())
            })
        })
        .await
        .unwrap();
}

fn job(n: i64, (account, workspace): (AccountId, WorkspaceId), at: time::OffsetDateTime) -> Job {
    let id: JobId = random::id(at);
    let of = |len: usize| usize::try_from(n).unwrap() % len;
    let name = ["sdxl-train", "corpus-train", "nightly-train", "eval"][of(4)];
    Job {
        id,
        workspace,
        account,
        spec: JobSpec {
            name: format!("{name}-{n:05}"),
            workload_type: WorkloadType::ALL[of(4)],
            image: ["host", "python:3.12", "ghcr.io/org/trainer:1.4"][of(3)].into(),
            argv: vec!["python3".into(), "train.py".into()],
            command_line: "python3 train.py".into(),
            environment: BTreeMap::new(),
            resources: Resources::default(),
            routing: Routing::default(),
            time_limit_seconds: 3_600,
            expected_artifacts: Vec::new(),
            files: Vec::new(),
            notices: Vec::new(),
            app: None,
            metadata: None,
        },
        likeness: "0".repeat(64),
        state: State::Queued,
        phase_since: at,
        version: 0,
        last_event: 0,
        last_log: 0,
        attempt: 1,
        engine: None,
        node: None,
        reason: None,
        rate: Usd::from_micros(120_000),
        hold: Usd::from_micros(120_000),
        cost: None,
        billed_from: None,
        quote: Quote {
            cost_low: Usd::ZERO,
            cost_high: Usd::from_micros(120_000),
            runtime: Range {
                low: 1,
                high: 3_600,
            },
            wait: Range { low: 0, high: 10 },
            relaxed: Vec::new(),
            warnings: Vec::new(),
        },
        created_at: at,
        updated_at: at,
        queued_at: Some(at),
        assigned_at: None,
        completed_at: None,
    }
}
