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

/// A small job, what it prints and how it ends.
struct Errand {
    body: Value,
    lines: usize,
    exit: i64,
}

fn errand(random: &mut StdRng, marker: &str) -> Errand {
    let (work, lines, exit) = match random.random_range(0..4) {
        0 => ("true".to_owned(), 0, 0),
        1 => (format!("sleep 0.{}", random.random_range(1..5)), 0, 0),
        2 => {
            let lines = random.random_range(1..300);
            let work = format!("i=0; while [ $i -lt {lines} ]; do i=$((i+1)); echo line $i; done");
            (work, lines, 0)
        }
        _ => ("echo failing >&2; sleep 0.1; exit 9".to_owned(), 1, 9),
    };
    Errand {
        body: script(&format!(": {marker}; {work}")),
        lines,
        exit,
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
        while !over.load(Ordering::Relaxed) {
            let errand = errand(&mut random, &marker);
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
        let steps = ["job.queued", "billing.held", "job.assigned", "job.started"];
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
