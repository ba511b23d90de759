//! The list of jobs as programs read it, many jobs cancelled at once, and what a
//! job was submitted with.
use crate::harness::{TestApi, on_each_database};
use crate::stub::Machine;
use http::Method;
use junglegrid::clock::micros;
use junglegrid::domain::estimate::{Quote, Range};
use junglegrid::domain::id::{AccountId, WorkspaceId};
use junglegrid::domain::job::{Failure, Outcome, State, Status};
use junglegrid::domain::money::Usd;
use junglegrid::domain::spec::{JobSpec, Resources, Routing, WorkloadType};
use junglegrid::random;
use junglegrid::store::Conn;
use junglegrid::store::jobs::{self, Job};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
const IMAGES: [&str; 3] = ["host", "ghcr.io/Org/app:1", "python:3.12"];
const NAMES: [&str; 4] = ["train", "eval 100%", "a_b", "Ünder"];

fn one<T: Copy>(random: &mut StdRng, of: &[T]) -> T {
    of[random.random_range(0..of.len())]
}

/// Some job, made in some order.
fn job(random: &mut StdRng, (account, workspace): (AccountId, WorkspaceId)) -> Job {
    // Few moments, so that many jobs have the same.
    let at = NOW + Duration::hours(random.random_range(0..60));
    Job {
        id: random::id(at),
        workspace,
        account,
        spec: JobSpec {
            name: format!("{} {}", one(random, &NAMES), random.random_range(0..9)),
            workload_type: one(random, &WorkloadType::ALL),
            image: one(random, &IMAGES).into(),
            argv: Vec::new(),
            command_line: String::new(),
            environment: BTreeMap::new(),
            resources: Resources::default(),
            routing: Routing::default(),
            time_limit_seconds: 60,
            expected_artifacts: Vec::new(),
            notices: Vec::new(),
            files: Vec::new(),
            app: None,
            metadata: None,
        },
        likeness: "like".into(),
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
        hold: Usd::from_micros(2_000),
        cost: None,
        billed_from: None,
        quote: Quote {
            cost_low: Usd::ZERO,
            cost_high: Usd::ZERO,
            runtime: Range { low: 0, high: 60 },
            wait: Range { low: 0, high: 0 },
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

async fn add(conn: &mut Conn, random: &mut StdRng, who: (AccountId, WorkspaceId)) -> Job {
    let mut job = job(random, who);
    jobs::insert(conn, &mut job, &[]).await.unwrap();
    let since = job.created_at + Duration::MINUTE;
    let ended = |outcome| State::Ended {
        outcome,
        since: Some(since),
    };
    job.state = match random.random_range(0..5) {
        0 => return job,
        1 => State::Running { since },
        2 => ended(Outcome::Completed),
        3 => ended(Outcome::Failed(Failure::Exit(1))),
        _ => State::Ended {
            outcome: Outcome::Cancelled,
            since: None,
        },
    };
    if job.state.ended() {
        job.completed_at = Some(since + Duration::seconds(random.random_range(0..5)));
        job.cost = Some(Usd::from_micros(random.random_range(0..4)));
    }
    jobs::update(conn, &mut job, &[]).await.unwrap();
    job
}

/// Somebody with a session, and who that is.
async fn somebody(api: &TestApi) -> (String, (AccountId, WorkspaceId)) {
    let token = api.sign_up("ada@example.org").await;
    let session = api.get("/auth/session", &token).await;
    let who = (
        session.text("/account/id").parse().unwrap(),
        session.text("/workspace/id").parse().unwrap(),
    );
    (token, who)
}

/// Whether a job is wanted.
type Test = Box<dyn Fn(&Job) -> bool>;

/// A filter, as it is asked for and as it is meant.
struct Wanted {
    query: String,
    sort: &'static str,
    fits: Test,
}

fn wanted(random: &mut StdRng) -> Wanted {
    let mut query = Vec::new();
    let mut tests: Vec<Test> = Vec::new();
    let sort = one(random, &["newest", "oldest", "cost", "runtime"]);
    query.push(format!("sort={sort}"));
    if random.random_bool(0.5) {
        let (word, of): (&str, &[Status]) = match random.random_range(0..4) {
            0 => ("active", &[Status::Queued, Status::Running]),
            1 => ("failed", &[Status::Failed]),
            2 => (
                "ended",
                &[Status::Failed, Status::Completed, Status::Cancelled],
            ),
            _ => ("running,completed", &[Status::Running, Status::Completed]),
        };
        let of = of.to_vec();
        query.push(format!("status={word}"));
        tests.push(Box::new(move |job| of.contains(&job.state.status())));
    }
    if random.random_bool(0.3) {
        let kind = one(random, &WorkloadType::ALL);
        query.push(format!("workload_type={}", kind.name()));
        tests.push(Box::new(move |job| job.spec.workload_type == kind));
    }
    if matches!(sort, "newest" | "oldest") {
        if random.random_bool(0.3) {
            let image = one(random, &IMAGES);
            query.push(format!("image={image}"));
            tests.push(Box::new(move |job| job.spec.image == image));
        }
        if random.random_bool(0.4) {
            let (asked, text) = one(
                random,
                &[
                    ("TRAIN", "train"),
                    ("100%25", "100%"),
                    ("_b", "_b"),
                    ("%C3%BCnd", "ünd"),
                    ("host", "host"),
                    ("job_0", "job_0"),
                    ("nothing", "nothing"),
                    ("2", "2"),
                ],
            );
            query.push(format!("q={asked}"));
            tests.push(Box::new(move |job| {
                let all = format!("{}\n{}\n{}", job.spec.name, job.spec.image, job.id);
                all.to_lowercase().contains(text)
            }));
        }
        if random.random_bool(0.3) {
            query.push("created_after=2026-11-24".into());
            tests.push(Box::new(|job| {
                job.created_at >= datetime!(2026-11-24 0:00 UTC)
            }));
        }
        if random.random_bool(0.3) {
            query.push("created_before=2026-11-25T10:00:00Z".into());
            tests.push(Box::new(|job| {
                job.created_at < datetime!(2026-11-25 10:00 UTC)
            }));
        }
    }
    Wanted {
        query: query.join("&"),
        sort,
        fits: Box::new(move |job| tests.iter().all(|test| test(job))),
    }
}

/// The ids that fit, in their order.
fn expected(all: &[Job], wanted: &Wanted) -> Vec<String> {
    let key = |job: &Job| match wanted.sort {
        "cost" => job.cost.map_or(-1, Usd::micros),
        "runtime" => match (job.state.since(), job.completed_at) {
            (Some(since), Some(end)) => micros(end) - micros(since),
            _ => -1,
        },
        _ => micros(job.created_at),
    };
    let mut fits: Vec<_> = all
        .iter()
        .filter(|job| (wanted.fits)(job))
        .map(|job| (key(job), job.id.to_string()))
        .collect();
    fits.sort_unstable();
    if wanted.sort != "oldest" {
        fits.reverse();
    }
    fits.into_iter().map(|(_, id)| id).collect()
}

fn ids(list: &Value) -> Vec<String> {
    let jobs = list["jobs"].as_array().expect("jobs").iter();
    jobs.map(|job| job["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn a_walk_in_either_direction_gives_each_job_once_while_others_come() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let (token, who) = somebody(&api).await;
        let mut random = StdRng::seed_from_u64(13);
        let mut conn = api.state.store().read().await.unwrap();
        let mut all = Vec::new();
        // More than one block of texts.
        for _ in 0..230 {
            all.push(add(&mut conn, &mut random, who).await);
        }
        for round in 0..30 {
            let wanted = wanted(&mut random);
            let before: Vec<String> = expected(&all, &wanted);
            let limit = random.random_range(1..=12);
            let base = format!("/v1/jobs?limit={limit}&{}", wanted.query);
            let what = format!("round {round}: {base}");
            let mut forward = Vec::new();
            let mut path = base.clone();
            let end = loop {
                let list = api.get(&path, &token).await;
                assert_eq!(list.status, 200, "{what}: {:?}", list.body);
                forward.extend(ids(&list.body));
                let jobs = list.body["jobs"].as_array().unwrap();
                assert!(jobs.len() <= limit, "{what}");
                if list.body["has_more"] == false {
                    assert!(list.body["next_cursor"].is_null(), "{what}");
                    break list.body;
                }
                let cursor = list.text("/next_cursor");
                path = format!("{base}&cursor={cursor}");
                if random.random_bool(0.2) {
                    all.push(add(&mut conn, &mut random, who).await);
                }
            };
            let now = expected(&all, &wanted);
            let once: BTreeSet<_> = forward.iter().collect();
            assert_eq!(once.len(), forward.len(), "{what}: none twice");
            let old = forward.iter().filter(|id| before.contains(id));
            assert!(
                old.eq(before.iter()),
                "{what}: all that were there, in order"
            );
            assert!(forward.iter().all(|id| now.contains(id)), "{what}");
            // And back again, from the last page, with everything in it.
            let mut backward = ids(&end);
            let mut cursor = end["prev_cursor"].as_str().map(ToOwned::to_owned);
            while let Some(at) = cursor {
                let page = api.get(&format!("{base}&cursor={at}"), &token).await;
                let mut before = ids(&page.body);
                assert_eq!(
                    page.body["has_more"], true,
                    "{what}: there is what came from"
                );
                before.extend(backward);
                backward = before;
                cursor = page.body["prev_cursor"].as_str().map(ToOwned::to_owned);
            }
            assert_eq!(backward, now, "{what}: the way back");
        }
    })
    .await;
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_with_its_field() {
    let api = TestApi::start().await;
    let (token, who) = somebody(&api).await;
    let mut random = StdRng::seed_from_u64(1);
    let mut conn = api.state.store().read().await.unwrap();
    for _ in 0..5 {
        add(&mut conn, &mut random, who).await;
    }
    let first = api.get("/v1/jobs?limit=2", &token).await;
    let cursor = first.text("/next_cursor");
    let same = api
        .get(&format!("/v1/jobs?limit=1&cursor={cursor}"), &token)
        .await;
    assert_eq!(same.status, 200, "how many come does not matter");
    for (query, field) in [
        (format!("cursor={cursor}&status=failed"), "cursor"),
        (format!("cursor={cursor}&sort=oldest"), "cursor"),
        (format!("cursor={cursor}0"), "cursor"),
        ("sort=name".into(), "sort"),
        ("sort=cost&q=a".into(), "sort"),
        ("sort=runtime&image=host".into(), "sort"),
        ("sort=cost&created_after=2026-01-01".into(), "sort"),
        ("created_after=yesterday".into(), "created_after"),
        ("created_before=2026-13-01".into(), "created_before"),
        ("status=ended,dancing".into(), "status"),
        (format!("image={}", "x".repeat(513)), "image"),
    ] {
        let refused = api.get(&format!("/v1/jobs?{query}"), &token).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(
            refused.fault(field).is_some(),
            "{query}: {:?}",
            refused.body
        );
    }
}

async fn submit(api: &TestApi, token: &str, name: &str) -> String {
    let content =
        json!({"name": name, "image": "host", "workload_type": "batch", "command": "sleep 9"});
    let job = api.call(Method::POST, "/v1/jobs", token, content).await;
    assert_eq!(job.status, 202, "{:?}", job.body);
    job.text("/job_id")
}

#[tokio::test]
async fn many_are_cancelled_as_foretold_and_no_more_than_once() {
    let (api, _machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    let eve = api.sign_up("eve@example.org").await;
    let (a, b, c) = (
        submit(&api, &ada, "one").await,
        submit(&api, &ada, "two").await,
        submit(&api, &ada, "other").await,
    );
    let hers = submit(&api, &eve, "hers").await;
    let cancel = async |body: Value| api.call(Method::POST, "/v1/jobs/cancel", &ada, body).await;
    let outcomes = |body: &Value| -> Vec<(String, String)> {
        let jobs = body["jobs"].as_array().unwrap().iter();
        let text = |job: &Value, field: &str| job[field].as_str().unwrap().to_owned();
        jobs.map(|job| (text(job, "job_id"), text(job, "outcome")))
            .collect()
    };
    let pair = |id: &str, outcome: &str| (id.to_owned(), outcome.to_owned());

    let order = json!({"ids": [a, hers, "nonsense", b, a], "dry_run": true});
    let preview = cancel(order.clone()).await;
    assert_eq!(preview.status, 200, "{:?}", preview.body);
    assert_eq!(
        outcomes(&preview.body),
        [
            pair(&a, "would_cancel"),
            pair(&hers, "missing"),
            pair("nonsense", "missing"),
            pair(&b, "would_cancel")
        ]
    );
    assert_eq!(
        (&preview.body["cancelled"], &preview.body["unchanged"]),
        (&json!(2), &json!(2))
    );
    assert!(preview.body["hold_usd"].as_f64().unwrap() > 0.0);
    let active = api.get("/v1/jobs?status=active", &ada).await;
    assert_eq!(ids(&active.body).len(), 3, "a preview changes nothing");

    let order = json!({"ids": [a, hers, b]});
    let done = cancel(order.clone()).await;
    assert_eq!(
        outcomes(&done.body),
        [
            pair(&a, "cancelled"),
            pair(&hers, "missing"),
            pair(&b, "cancelled")
        ]
    );
    let again = cancel(order).await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body["cancelled"], 0);
    assert_eq!(
        outcomes(&again.body),
        [pair(&a, "ended"), pair(&hers, "missing"), pair(&b, "ended")]
    );
    let theirs = api.get(&format!("/v1/jobs/{hers}"), &eve).await;
    assert_eq!(
        theirs.text("/status"),
        "queued",
        "another's job is left alone"
    );

    let other = cancel(json!({"filter": {"q": "other"}, "dry_run": true})).await;
    assert_eq!(outcomes(&other.body), [pair(&c, "would_cancel")]);
    let ended = cancel(json!({"filter": {"status": "ended"}})).await;
    assert_eq!(outcomes(&ended.body), []);
    let rest = cancel(json!({"filter": {}, "reason": "enough"})).await;
    assert_eq!(outcomes(&rest.body), [pair(&c, "cancelled")]);
    let job = api.get(&format!("/v1/jobs/{c}"), &ada).await;
    assert_eq!(job.text("/status_reason"), "enough");

    for (body, field) in [
        (json!({}), "ids"),
        (json!({"ids": [a], "filter": {}}), "ids"),
        (
            json!({"ids": (0..101).map(|n| n.to_string()).collect::<Vec<_>>()}),
            "ids",
        ),
        (json!({"filter": {"status": "dancing"}}), "status"),
    ] {
        let refused = cancel(body.clone()).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.fault(field).is_some(), "{body}");
    }
}

#[tokio::test]
async fn the_content_can_be_submitted_again_and_holds_no_secret() {
    let (api, _machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    let secrets = [
        "hf_verysecretverysecret",
        "hunter2hunter2",
        "ghp_0123456789abcdef0123",
        "correct horse",
        "q7Zt3Kp0Wm9Xv2Bn6Yd1",
        "glpat-0123456789abcdef0123",
        "-----BEGIN PRIVATE KEY-----\nMIIEvgIB\n-----END PRIVATE KEY-----",
    ];
    let content = json!({
        "name": "n", "image": "host", "workload_type": "fine_tuning", "timeout_seconds": 90, "args": ["--seed", "7"],
        "command": ["python3", format!("--auth={}", secrets[2]), "--password", secrets[3]],
        "environment": {"HF_TOKEN": secrets[0], "SEED": "7", "EMPTY_TOKEN": "", "A": secrets[4], "B": secrets[5],
            "C": secrets[6], "MODEL": "meta-llama/Llama-3-8b-instruct"},
        "metadata": {"db": {"password": secrets[1]}, "note": "kept"},
    });
    let job = api.call(Method::POST, "/v1/jobs", &ada, content).await;
    assert_eq!(job.status, 202, "{:?}", job.body);
    let path = format!("/v1/jobs/{}/content", job.text("/job_id"));
    let found = api.get(&path, &ada).await;
    let told = found.body.to_string();
    for secret in secrets {
        assert!(!told.contains(secret), "{told}");
    }
    assert_eq!(
        found.body["secrets"],
        json!(["A", "B", "C", "HF_TOKEN", "PASSWORD", "SECRET"])
    );
    assert_eq!(found.text("/content/environment/HF_TOKEN"), "${HF_TOKEN}");
    assert_eq!(found.text("/content/environment/EMPTY_TOKEN"), "");
    assert_eq!(found.text("/content/environment/A"), "${A}");
    assert_eq!(
        found.text("/content/environment/MODEL"),
        "meta-llama/Llama-3-8b-instruct"
    );
    assert_eq!(found.text("/content/metadata/note"), "kept");
    assert_eq!(
        found.body["content"]["command"],
        json!([
            "python3",
            "--auth=${SECRET}",
            "--password",
            "${SECRET}",
            "--seed",
            "7"
        ])
    );
    let again = found.body["content"].clone();
    let again = api.call(Method::POST, "/v1/jobs", &ada, again).await;
    assert_eq!(again.status, 202, "{:?}", again.body);
}

#[tokio::test]
async fn a_search_that_has_read_much_says_where_it_goes_on() {
    let api = TestApi::start().await;
    let (token, who) = somebody(&api).await;
    api.state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                let mut random = StdRng::seed_from_u64(3);
                for n in 0..6_001 {
                    let mut job = job(&mut random, who);
                    job.created_at = NOW + Duration::seconds(n);
                    job.spec.name = if n % 2 == 0 { "sought" } else { "other" }.into();
                    if n % 2 == 0 && n > 0 {
                        job.state = State::Ended {
                            outcome: Outcome::Cancelled,
                            since: None,
                        };
                    }
                    jobs::insert(conn, &mut job, &[]).await?;
                }
                Ok::<_, junglegrid::store::Error>(())
            })
        })
        .await
        .unwrap();
    // Many are active, many are called so, and only the oldest is both.
    let base = "/v1/jobs?status=active&q=sought";
    let first = api.get(base, &token).await;
    assert_eq!(first.status, 200, "{:?}", first.body);
    assert_eq!(
        (ids(&first.body).len(), &first.body["has_more"]),
        (0, &json!(true))
    );
    let cursor = first.text("/next_cursor");
    let second = api.get(&format!("{base}&cursor={cursor}"), &token).await;
    assert_eq!(ids(&second.body).len(), 1);
    assert_eq!(second.body["has_more"], false);
    let many = api.get("/v1/jobs?status=active&q=other", &token).await;
    assert_eq!(ids(&many.body).len(), 20);
    // Where there is nothing to be found, the search says so at once.
    for query in [
        "status=failed&q=sought",
        "status=active&q=nothing",
        "workload_type=batch&q=nothing",
        "image=none&q=sought",
    ] {
        let none = api.get(&format!("/v1/jobs?{query}"), &token).await;
        assert_eq!(
            (ids(&none.body).len(), &none.body["has_more"]),
            (0, &json!(false)),
            "{query}"
        );
    }
}
