//! What whole pages cost over a workspace with many jobs: the request through the
//! portal's router and the orchestrator's, as they are put together in one process.
//! `just bench` runs it. A number of jobs can be given, and a directory: the database
//! stays there, and is measured again by the next run without being written anew.
//!
//! Prints milliseconds per page: median, 99th percentile, and how long processors have
//! worked for one, which tells more where others use the machine. The bound is 20. The end
//! is every combination of filters, with its first page and some later one, fewer times
//! each; those over the bound are named.
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
use harness::{PASSWORD, TestApi};
use http::Request;
use http_body_util::BodyExt as _;
use junglegrid::api::Origin;
use junglegrid::client::Client;
use junglegrid::domain::estimate::{Quote, Range};
use junglegrid::domain::id::{AccountId, JobId, WorkspaceId};
use junglegrid::domain::job::{Failure, Outcome, State};
use junglegrid::domain::money::Usd;
use junglegrid::domain::spec::{JobSpec, Resources, Routing, WorkloadType};
use junglegrid::store::Store;
use junglegrid::store::jobs::{self, Job};
use junglegrid::{random, web};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tower::ServiceExt as _;

const JOBS: i64 = 100_000;
const ROUNDS: usize = 100;
const BOUND: Duration = Duration::from_millis(20);
const EMAIL: &str = "bench@example.org";

fn main() {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let given = given.iter().filter(|word| !word.starts_with('-'));
    let count = given.clone().find_map(|word| word.parse().ok());
    let dir = given.filter(|word| word.parse::<i64>().is_err());
    let dir = dir.map(PathBuf::from).next();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(count.unwrap_or(JOBS), dir));
}

/// As what a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Page,
    /// The page's address, for `Accept: application/json`.
    Json,
    /// `/v1/jobs`, without the portal.
    Api,
}

/// The portal in front of the orchestrator, and somebody's session.
struct Portal {
    router: Router,
    api: Router,
    token: String,
}

impl Portal {
    async fn get(&self, kind: Kind, path: &str) -> (Duration, String) {
        let mut request = Request::builder().uri(path);
        request = match kind {
            Kind::Api => request.header("authorization", format!("Bearer {}", self.token)),
            Kind::Page | Kind::Json => request
                .header("sec-fetch-site", "same-origin")
                .header("cookie", format!("jg_session={}", self.token)),
        };
        if kind == Kind::Json {
            request = request.header("accept", "application/json");
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Origin {
            ip: [192, 0, 2, 1].into(),
            agent: "bench".into(),
        });
        let router = match kind {
            Kind::Api => self.api.clone(),
            Kind::Page | Kind::Json => self.router.clone(),
        };
        let begun = Instant::now();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let took = begun.elapsed();
        assert_eq!(status, 200, "{path}");
        (took, String::from_utf8_lossy(&body).into_owned())
    }

    /// The median, and what all but a hundredth are under.
    async fn times(&self, kind: Kind, path: &str, rounds: usize) -> (Duration, Duration) {
        let mut took = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            took.push(self.get(kind, path).await.0);
        }
        took.sort_unstable();
        (took[rounds / 2], took[(rounds * 99).div_ceil(100) - 1])
    }

    async fn time_as(&self, kind: Kind, what: &str, path: &str) {
        self.times(kind, path, 5).await;
        let before = worked();
        let (median, slow) = self.times(kind, path, ROUNDS).await;
        let work = worked().saturating_sub(before) / u32::try_from(ROUNDS).unwrap();
        let over = if slow > BOUND { "  OVER" } else { "" };
        println!(
            "  {what:44} median {:>7.2} ms   p99 {:>7.2} ms   work {:>7.2} ms{over}",
            millis(median),
            millis(slow),
            millis(work)
        );
    }

    async fn time(&self, what: &str, path: &str) {
        self.time_as(Kind::Page, what, path).await;
    }

    /// The page so many pages on, through links.
    async fn on(&self, mut path: String, rel: &str, pages: usize) -> String {
        for _ in 0..pages {
            let (_, html) = self.get(Kind::Page, &path).await;
            let link = format!("rel=\"{rel}\" href=\"");
            let further = "class=\"btn pri\" href=\"/portal/jobs?";
            let next = match (html.split_once(&link), html.split_once(further)) {
                (Some((_, link)), _) => link.to_owned(),
                (None, Some((_, rest))) if html.contains("Search further") => {
                    format!("/portal/jobs?{rest}")
                }
                (None, _) => break,
            };
            path = next.split('"').next().unwrap().replace("&amp;", "&");
        }
        path
    }
}

/// For how long processors have worked for this process: what a page takes where nothing
/// else wants them.
fn worked() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let of = |time: TimeVal| {
        let micros = time.num_microseconds();
        Duration::from_micros(u64::try_from(micros).unwrap())
    };
    of(usage.user_time()) + of(usage.system_time())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

async fn measure(count: i64, kept: Option<PathBuf>) {
    let api = TestApi::start().await;
    let (api, written) = match &kept {
        None => (api, false),
        Some(dir) => {
            std::fs::create_dir_all(dir).unwrap();
            let file = dir.join("jobs.db");
            let written = file.exists();
            let store = Store::open_file(&file).await.unwrap();
            let unused = tempfile::tempdir().unwrap();
            (TestApi::on(store, unused, |_| {}), written)
        }
    };
    let token = if written {
        let who = json!({"email": EMAIL, "password": PASSWORD});
        api.post("/auth/signin", who).await.text("/token")
    } else {
        api.sign_up(EMAIL).await
    };
    let session = api.get("/auth/session", &token).await;
    let who = (
        session.text("/account/id").parse().unwrap(),
        session.text("/workspace/id").parse().unwrap(),
    );
    if !written {
        let begun = Instant::now();
        fill(&api, who, count).await;
        println!("{count} jobs written in {:.0?}", begun.elapsed());
    }
    let config = web::Config {
        public_url: "http://localhost:8080".parse().unwrap(),
        secure_cookies: false,
        clock: api.clock.clone(),
    };
    let portal = Portal {
        router: web::router(Client::in_process(api.router()), config),
        api: api.router(),
        token,
    };
    println!("load average {}", load());
    lists(&portal).await;
    every_combination(&portal).await;
    println!("load average {}", load());
}

/// How busy the machine is.
fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap_or_default()
}

async fn lists(portal: &Portal) {
    portal.time("dashboard", "/portal").await;
    portal.time("first page", "/portal/jobs").await;
    let far = portal.on("/portal/jobs".into(), "next", 999).await;
    portal.time("thousandth page", &far).await;
    let back = portal.on(far.clone(), "prev", 1).await;
    portal.time("the page before that", &back).await;
    for (what, kind, path) in [
        ("first page as JSON", Kind::Json, "/portal/jobs"),
        ("thousandth page as JSON", Kind::Json, &far),
        ("first page, /v1/jobs", Kind::Api, "/v1/jobs"),
        (
            "thousandth page, /v1/jobs",
            Kind::Api,
            &far.replace("/portal/", "/v1/"),
        ),
        (
            "a hundred, /v1/jobs",
            Kind::Api,
            "/v1/jobs?status=completed&limit=100",
        ),
        (
            "a hundred with a text, /v1/jobs",
            Kind::Api,
            "/v1/jobs?status=completed&q=train&limit=100",
        ),
    ] {
        portal.time_as(kind, what, path).await;
    }
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
            "q=train&type=training&image=host&from=2026-11-20",
        ),
        ("text of many, type that never has it", "q=train&type=batch"),
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
        (
            "hundredth page of a text and a status",
            "q=train&status=failed",
        ),
    ] {
        let pages = if query.starts_with('q') { 99 } else { 999 };
        let far = portal
            .on(format!("/portal/jobs?{query}"), "next", pages)
            .await;
        portal.time(what, &far).await;
    }
}

/// Every list that can be asked for: its first page, and the sixth or what is the last
/// before that.
async fn every_combination(portal: &Portal) {
    const EACH: usize = 7;
    let statuses = ["", "active", "ended", "completed", "failed", "rejected"];
    let mut all = Vec::new();
    let mut slow = Vec::new();
    let mut work = Vec::new();
    for query in combinations(&statuses) {
        let first = format!("/portal/jobs?{query}");
        let later = portal.on(first.clone(), "next", 5).await;
        for path in [&first, &later] {
            let before = worked();
            let (median, _) = portal.times(Kind::Page, path, EACH).await;
            let each = worked().saturating_sub(before) / u32::try_from(EACH).unwrap();
            work.push((each, path.clone()));
            all.push(median);
            slow.push((median, path.clone()));
            if *path == later && first == later {
                break;
            }
        }
    }
    all.sort_unstable();
    slow.sort_unstable();
    let over = all.iter().filter(|median| **median > BOUND).count();
    println!(
        "  {} lists, {EACH} times each: median of medians {:.2} ms, the slowest {:.2} ms, over {}: {over}",
        all.len(),
        millis(all[all.len() / 2]),
        millis(all[all.len() - 1]),
        BOUND.as_millis()
    );
    for (median, path) in slow.iter().rev().take(10) {
        println!("    {:>7.2} ms  {path}", millis(*median));
    }
    work.sort_unstable();
    let over = work.iter().filter(|(each, _)| *each > BOUND).count();
    println!(
        "  work for one of these: median {:.2} ms, over {}: {over}",
        millis(work[work.len() / 2].0),
        BOUND.as_millis()
    );
    for (each, path) in work.iter().rev().take(10) {
        println!("    {:>7.2} ms  {path}", millis(*each));
    }
}

fn combinations(statuses: &[&str]) -> Vec<String> {
    let of = |name: &str, value: &str| match value {
        "" => String::new(),
        value => format!("{name}={value}&"),
    };
    let mut all = Vec::new();
    for status in statuses {
        for kind in ["", "training", "batch"] {
            let base = of("status", status) + &of("type", kind);
            for sort in ["cost", "runtime"] {
                all.push(format!("{base}sort={sort}"));
            }
            for image in ["", "host", "nothing"] {
                for days in ["", "from=2026-10-20&to=2026-11-10&"] {
                    for text in ["", "train", "eval-0", "-77", "xyzzy", "job_"] {
                        for sort in ["", "oldest"] {
                            let rest = of("image", image) + days + &of("q", text);
                            all.push(format!("{base}{rest}sort={sort}"));
                        }
                    }
                }
            }
        }
    }
    all
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
