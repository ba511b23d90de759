//! The server is killed again and again, at any moment, while jobs come and go.
//! Nothing is lost, done twice or paid twice.
use crate::grid::{Grid, Person, eventually, processes, script};
use crate::harness::Answer;
use crate::server::shims;
use http::Method;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sqlx::Row as _;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const KILLS: usize = 20;

/// A small job, what it is given, what it prints and leaves, and how it ends.
struct Errand {
    body: Value,
    lines: usize,
    exit: i64,
    /// What is in the file that it is given.
    given: Option<String>,
    /// How many files it leaves, and how large each is.
    leaves: (usize, usize),
}

fn errand(random: &mut StdRng, marker: &str) -> Errand {
    let (mut given, mut leaves) = (None, (0, 0));
    let (work, lines, exit) = match random.random_range(0..6) {
        0 => ("true".to_owned(), 0, 0),
        1 => (format!("sleep 0.{}", random.random_range(1..5)), 0, 0),
        2 => {
            let lines = random.random_range(1..300);
            let work = format!("i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; done");
            (work, lines, 0)
        }
        3 => {
            let lines = random.random_range(1..300);
            let all: Vec<String> = (1..=lines).map(|n| format!("line {n}")).collect();
            given = Some(all.join("\n") + "\n");
            ("cat inputs/data".to_owned(), lines, 0)
        }
        4 => {
            leaves = (random.random_range(1..40), random.random_range(0..400_000));
            let (count, size) = leaves;
            let work = format!(
                "mkdir artifacts/d; for i in $(seq {count}); do head -c {size} /dev/zero > artifacts/d/$i; done"
            );
            (work, 0, 0)
        }
        _ => ("echo failing >&2; sleep 0.1; exit 9".to_owned(), 1, 9),
    };
    Errand {
        body: script(&format!(": {marker}; {work}")),
        lines,
        exit,
        given,
        leaves,
    }
}

/// Sends something until it is answered with success, however often the server dies.
async fn insist(person: &Person<'_>, method: Method, path: &str, body: &str) -> Value {
    eventually("an answer", async || {
        let request = person.grid.request(method.clone(), path);
        let request = request.bearer_auth(&person.token).body(body.to_owned());
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let body: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        assert!(status.is_success(), "{path}: {body}");
        Some(body)
    })
    .await
}

/// Uploads the file of an errand; its id.
async fn bring(person: &Person<'_>, bytes: &str) -> String {
    let body = json!({ "filename": "data" }).to_string();
    let slot = insist(person, Method::POST, "/v1/job-inputs", &body).await;
    // The server's port changes whenever it starts.
    let path = |field: &str| {
        let url = slot["upload"][field].as_str().unwrap();
        url[url.find("/v1/").unwrap()..].to_owned()
    };
    insist(person, Method::PUT, &path("upload_url"), bytes).await;
    let done = insist(person, Method::POST, &path("complete_url"), "").await;
    assert_eq!(
        (&done["ready"], &done["size_bytes"]),
        (&json!(true), &json!(bytes.len()))
    );
    done["id"].as_str().unwrap().to_owned()
}

/// What a job has left is there, all of it and once.
async fn has_left(person: &Person<'_>, job: &Value, (count, size): (usize, usize)) {
    let id = job["id"].as_str().unwrap();
    let list = person.see(&format!("/v1/jobs/{id}/artifacts")).await;
    let artifacts = list["artifacts"].as_array().unwrap();
    let names: BTreeSet<_> = artifacts
        .iter()
        .map(|one| one["filename"].as_str().unwrap())
        .collect();
    let expected: Vec<String> = (1..=count).map(|n| format!("d/{n}")).collect();
    assert_eq!(names, expected.iter().map(String::as_str).collect());
    assert_eq!(artifacts.len(), count, "each once");
    assert!(artifacts.iter().all(|one| one["size_bytes"] == json!(size)));
    assert_eq!(job["artifacts_ready"], true);
    let folder = person.grid.data().join("artifacts").join(id);
    let there = std::fs::read_dir(folder).map_or(0, Iterator::count);
    assert_eq!(there, count, "no more and no less lies on the disk");
    if let Some(one) = artifacts.first() {
        let path = format!(
            "/v1/jobs/{id}/artifacts/{}/download",
            one["id"].as_str().unwrap()
        );
        let url = person.post(&path, json!({})).await.text("/url");
        let path = &url[url.find("/v1/").unwrap()..];
        let file = person.grid.request(Method::GET, path).send().await.unwrap();
        assert_eq!(file.bytes().await.unwrap(), vec![0; size]);
    }
}

/// Submits under a key until it is answered, however often the server dies.
async fn submit(person: &Person<'_>, key: &str, errand: &Errand) -> String {
    eventually("an answer to a submission", async || {
        let request = person.grid.request(Method::POST, "/v1/jobs");
        let request = request
            .bearer_auth(&person.token)
            .header("idempotency-key", key);
        let request = request.body(errand.body.to_string());
        let answer = request.send().await.ok()?;
        let status = answer.status();
        let body: Value = serde_json::from_slice(&answer.bytes().await.ok()?).ok()?;
        assert_eq!(status, 202, "{body}");
        Some(body["job_id"].as_str().unwrap().to_owned())
    })
    .await
}

/// What a GET brings, once there is a server to ask.
async fn see(person: &Person<'_>, path: &str) -> Value {
    eventually("an answer", async || {
        let answer = person
            .grid
            .call(Method::GET, path, &person.token, &Value::Null);
        let Answer { status, body, .. } = answer.await.ok()?;
        assert_eq!(status, 200, "{path}: {body}");
        Some(body)
    })
    .await
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_kills_lose_nothing_and_do_nothing_twice() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let grid = Grid::with(&["--host-slots", "3"]);
    let ada = grid.sign_up("ada@example.org").await;
    let marker = format!("errand-{}-{seed:x}", std::process::id());
    let over = AtomicBool::new(false);

    let client = async {
        let mut random = StdRng::seed_from_u64(seed);
        let mut done: Vec<(String, Errand)> = Vec::new();
        // How many it gets done meanwhile depends on the machine.
        while !over.load(Ordering::Relaxed) || done.len() < KILLS {
            let mut errand = errand(&mut random, &marker);
            if let Some(bytes) = &errand.given {
                let input = bring(&ada, bytes).await;
                errand.body["input_files"] = json!([input]);
            }
            let key = format!("key-{}", done.len());
            let id = submit(&ada, &key, &errand).await;
            done.push((id, errand));
            // Not more than the grid gets done: never deep in the queue.
            while !over.load(Ordering::Relaxed) {
                let waiting = see(&ada, "/v1/jobs?status=queued").await;
                if waiting["jobs"].as_array().unwrap().len() < 3 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        done
    };
    let killer = async {
        let mut random = StdRng::seed_from_u64(!seed);
        for _ in 0..KILLS {
            // Spread over submitting, placing, starting, running and ending.
            let life = Duration::from_millis(random.random_range(0..700));
            tokio::time::sleep(life).await;
            grid.kill();
            let pause = Duration::from_millis(random.random_range(0..150));
            tokio::time::sleep(pause).await;
            tokio::task::block_in_place(|| grid.run());
        }
        over.store(true, Ordering::Relaxed);
    };
    let (done, ()) = tokio::join!(client, killer);
    println!("{} jobs", done.len());
    assert!(done.len() >= KILLS, "{} jobs only", done.len());

    let ids: BTreeSet<&String> = done.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), done.len(), "one job for each key");
    for (id, errand) in &done {
        let job = ada.ended(id).await;
        assert_eq!(job["exit_code"].as_i64(), Some(errand.exit), "{job}");
        let status = if errand.exit == 0 {
            "completed"
        } else {
            "failed"
        };
        assert_eq!(job["status"], status);
        let lines = ada.lines(id, 1_000).await;
        assert_eq!(lines.len(), errand.lines, "{job}");
        for (line, n) in lines.iter().zip(1_usize..) {
            assert_eq!(line["entry_id"], json!(n));
            if errand.exit == 0 {
                assert_eq!(line["message"], json!(format!("line {n}")));
            }
        }
        let events = ada.events(id).await;
        let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
        let end = format!("job.{status}");
        has_left(&ada, &job, errand.leaves).await;
        let mut steps = vec!["job.queued", "billing.held", "job.assigned"];
        steps.extend(errand.given.as_ref().map(|_| "job.preparing"));
        steps.push("job.started");
        if errand.leaves.0 > 0 {
            steps.extend(["job.collecting", "artifacts.collected"]);
        }
        let steps: Vec<_> = steps
            .into_iter()
            .chain([end.as_str(), "billing.settled"])
            .collect();
        assert_eq!(kinds, steps, "each step once");
    }
    let mut listed = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = see(&ada, &format!("/v1/jobs?limit=100&cursor={cursor}")).await;
        for job in page["jobs"].as_array().unwrap() {
            assert!(listed.insert(job["id"].as_str().unwrap().to_owned()));
        }
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(
        listed.iter().collect::<BTreeSet<_>>(),
        ids,
        "these and no others"
    );
    let (_, held, _) = ada.wallet().await;
    assert_eq!(held, 0, "everything is settled");
    eventually("the last shim to leave", async || {
        shims(&grid.data()).is_empty().then_some(())
    })
    .await;
    assert_eq!(processes(&marker), [], "no orphan");
    grid.stop();
    books_are_right(&grid, &ids).await;
}

/// Reads the database of a grid that has stopped.
async fn books_are_right(grid: &Grid, jobs: &BTreeSet<&String>) {
    let url = format!("sqlite://{}", grid.data().join("junglegrid.db").display());
    let store = junglegrid::store::Store::open(&url).await.unwrap();
    let mut conn = store.read().await.unwrap();
    junglegrid::store::ledger::check(&mut conn).await.unwrap();
    for job in jobs {
        let rows = sqlx::query("SELECT kind, amount FROM transfers WHERE about = $1")
            .bind(job.as_str())
            .fetch_all(&mut *conn)
            .await
            .unwrap();
        let of = |kind: &str| -> Vec<i64> {
            let rows = rows
                .iter()
                .filter(|row| row.get::<String, _>("kind") == kind);
            rows.map(|row| row.get("amount")).collect()
        };
        let (hold, settled, released) = (of("hold"), of("settle"), of("release"));
        assert_eq!(hold.len(), 1, "{job}");
        assert!(settled.len() <= 1 && released.len() <= 1, "{job}");
        let out: i64 = settled.iter().chain(&released).sum();
        assert_eq!(out, hold[0], "{job}");
        let resolved = sqlx::query("SELECT how FROM hold_resolutions WHERE hold LIKE $1")
            .bind(format!("hold:{job}:%"))
            .fetch_all(&mut *conn)
            .await
            .unwrap();
        assert_eq!(resolved.len(), 1, "{job} has one settlement");
    }
    let left = sqlx::query("SELECT COUNT(*) AS n FROM runs WHERE state IN ('intent', 'submitted')")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(left.get::<i64, _>("n"), 0, "no run is thought to be alive");
    drop(conn);
    store.close().await;
}
