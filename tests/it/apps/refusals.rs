//! Machines that do not take what they are given, or do not say so.
use super::stage::Stage;
use crate::grid::{DEADLINE, eventually, script};
use junglegrid::engine::{Error, Outcome};
use junglegrid::orchestrator::workers::{housekeeping, scheduler};
use serde_json::{Value, json};
use std::sync::Arc;
use time::OffsetDateTime;
use time::macros::datetime;
use tokio_util::task::TaskTracker;

/// Places what may be placed, several times; when it will be worth the next time.
async fn place(stage: &Stage) -> Option<OffsetDateTime> {
    let mut due = None;
    for _ in 0..5 {
        let tasks = TaskTracker::new();
        due = scheduler::tick(&stage.api.state, &tasks).await.unwrap();
        tasks.close();
        let all = tokio::time::timeout(DEADLINE, tasks.wait()).await;
        all.expect("nothing is left to look after");
    }
    due
}

fn asked(stage: &Stage) -> usize {
    stage.machine.asked.lock().unwrap().len()
}

async fn submit(stage: &Stage) -> String {
    let answer = stage.post("/v1/jobs", script("true")).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.text("/job_id")
}

async fn requeued(stage: &Stage, job: &str) -> Vec<String> {
    let events = stage.get(&format!("/v1/jobs/{job}/events")).await;
    let events = events["items"].as_array().unwrap().iter();
    events
        .filter(|event| event["type"] == "job.requeued")
        .map(|event| event["message"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_machine_that_refuses_everything_is_asked_less_and_less_often() {
    let mut stage = Stage::start().await;
    stage.kill();
    *stage.machine.away.lock().unwrap() = true;
    let job = submit(&stage).await;
    assert_eq!(
        place(&stage).await,
        Some(datetime!(2026-11-23 12:00:02 UTC))
    );
    assert_eq!(
        asked(&stage),
        1,
        "once, however often there was an occasion"
    );
    for (seconds, times) in [(1, 1), (1, 2), (3, 2), (1, 3), (7, 3), (1, 4)] {
        stage.pass(seconds);
        place(&stage).await;
        assert_eq!(asked(&stage), times);
    }
    let said = requeued(&stage, &job).await;
    let pauses = ["2 s", "4 s", "8 s", "16 s"];
    let why = "The machine did not take it: it is away.";
    assert_eq!(
        said,
        pauses.map(|pause| format!("{why} It is tried again in {pause}."))
    );
    let waits = stage.get(&format!("/v1/jobs/{job}")).await;
    assert_eq!(waits["status"], "queued");
    assert_eq!(
        waits["delay_reason"],
        json!({
            "code": "RUNTIME_PREPARATION_DELAYED",
            "message": format!("{why} It is tried again at 12:00:30 UTC."),
        })
    );
    assert_eq!(stage.wallet().await.1, 20_000, "set aside once");

    // Nobody else has to wait for it, and it can be given up.
    *stage.machine.away.lock().unwrap() = false;
    *stage.machine.refuses.lock().unwrap() = Some(|| Error::Refused("no".into()));
    let other = submit(&stage).await;
    place(&stage).await;
    assert_eq!(asked(&stage), 5);
    assert_eq!(
        stage.get(&format!("/v1/jobs/{other}")).await["status"],
        "failed"
    );
    let cancelled = stage
        .post(&format!("/v1/jobs/{job}/cancel"), json!({}))
        .await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.body);
    stage.pass(60);
    assert_eq!(place(&stage).await, None);
    assert_eq!(asked(&stage), 5);
    assert_eq!(stage.wallet().await, (5_000_000, 0, 0));
}

#[tokio::test]
async fn an_app_that_is_not_taken_says_so_and_is_tried_again_when_it_is_time() {
    let stage = Stage::start().await;
    *stage.machine.away.lock().unwrap() = true;
    let id = stage.launch("desk", json!({})).await;
    let waits = |session: &Value| {
        session["awaited"]
            == "The machine did not take it: it is away. It is tried again at 12:00:02 UTC."
    };
    let waiting = stage.until(&id, "its return to the queue", waits).await;
    assert_eq!(waiting["status"], "created");
    assert_eq!(waiting["steps"][1]["detail"], waiting["awaited"]);
    let job = submit(&stage).await;
    eventually("the job's return", async || {
        (!requeued(&stage, &job).await.is_empty()).then_some(())
    })
    .await;
    assert_eq!(asked(&stage), 2, "each of them once");
    stage.pass(2);
    eventually("another try of both", async || {
        (asked(&stage) == 4).then_some(())
    })
    .await;
    let events = stage.events(&id).await;
    let last = events
        .iter()
        .rfind(|(kind, _)| kind == "app.requeued")
        .unwrap();
    let said = "Back in the queue: The machine did not take it: it is away. It is tried again in";
    assert!(last.1.starts_with(said), "{}", last.1);
    *stage.machine.away.lock().unwrap() = false;
    let path = format!("/v1/jobs/{job}/cancel");
    assert_eq!(stage.post(&path, json!({})).await.status, 200);
    stage.pass(4);
    let running = stage.bring_up(&id).await;
    assert_eq!(running["cost_usd"], 0.0);
}

#[tokio::test]
async fn a_machine_that_took_it_without_saying_so_is_not_given_it_twice() {
    let stage = Stage::start().await;
    *stage.machine.away.lock().unwrap() = true;
    *stage.machine.lies.lock().unwrap() = true;
    let id = stage.launch("desk", json!({})).await;
    stage.bring_up(&id).await;
    assert_eq!(asked(&stage), 1);
    let kinds = stage.kinds(&id).await;
    assert!(!kinds.contains(&"app.requeued".to_owned()), "{kinds:?}");
}

#[tokio::test]
async fn what_is_stopped_while_it_is_handed_over_is_not_begun() {
    let stage = Stage::start().await;
    *stage.machine.away.lock().unwrap() = true;
    let busy = stage.machine.busy.lock().await;
    let id = stage.launch("desk", json!({})).await;
    eventually("its being handed over", async || {
        (asked(&stage) == 1).then_some(())
    })
    .await;
    let stopping = stage
        .post(&format!("/v1/app-sessions/{id}/stop"), json!({}))
        .await;
    assert_eq!(stopping.body["status"], "stopping");
    drop(busy);
    let end = stage.ended(&id).await;
    assert_eq!(
        (end.status.as_str(), end.code.as_str()),
        ("ended", "stopped")
    );
    assert_eq!(end.charged, 0);
    assert_eq!(asked(&stage), 1, "it was not handed over to be stopped");
}

#[tokio::test]
async fn a_stop_that_the_server_does_not_survive_begins_nothing() {
    let mut stage = Stage::start().await;
    let machine = Arc::clone(&stage.machine);
    let busy = machine.busy.lock().await;
    let id = stage.launch("desk", json!({})).await;
    eventually("its being handed over", async || {
        (asked(&stage) == 1).then_some(())
    })
    .await;
    let path = format!("/v1/app-sessions/{id}/stop");
    assert_eq!(stage.post(&path, json!({})).await.status, 200);
    stage.kill();
    drop(busy);
    stage.restart().await;
    let end = stage.ended(&id).await;
    assert_eq!((end.status.as_str(), end.charged), ("ended", 0));
    assert_eq!(asked(&stage), 1, "it was not handed over to be stopped");
}

#[tokio::test]
async fn an_image_that_the_machine_does_not_have() {
    let stage = Stage::start().await;
    *stage.machine.pulls.lock().unwrap() = true;
    *stage.machine.refuses.lock().unwrap() = Some(|| Error::NoImage("manifest unknown".into()));
    let id = stage.launch("box", json!({})).await;
    let end = stage.ended(&id).await;
    assert_eq!(
        [&end.status, &end.code, &end.step],
        ["failed", "image_missing", "image"]
    );
    let image = "docker.io/library/box@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    assert_eq!(
        end.last,
        format!(
            "Failed: The image {image} could not be had: manifest unknown. It was never ready: you were charged $0.00."
        )
    );
    assert_eq!((end.charged, end.spent), (0, 0));
    let session = stage.session(&id).await;
    let advice = session["end"]["advice"].as_str().unwrap();
    assert!(
        advice.starts_with("Either its registry does not answer"),
        "{advice}"
    );
    let job = session["job_id"].as_str().unwrap();
    let job = stage.get(&format!("/v1/jobs/{job}")).await;
    assert_eq!(job["failure"]["code"], "IMAGE_UNAVAILABLE");
    assert_eq!(job["failure"]["stage"], "pulling_image");
    assert_eq!(
        job["failure"]["summary"],
        "The image could not be had: manifest unknown"
    );

    // What else it refuses is no matter of the image.
    *stage.machine.refuses.lock().unwrap() = Some(|| Error::Refused("its name is too long".into()));
    let id = stage.launch("box", json!({})).await;
    let end = stage.ended(&id).await;
    assert_eq!(
        [&end.status, &end.code, &end.step],
        ["failed", "crashed", "image"]
    );
}

#[tokio::test]
async fn a_run_that_was_given_up_is_stopped_when_it_comes_back() {
    let mut stage = Stage::start().await;
    let id = stage.launch("desk", json!({})).await;
    stage.bring_up(&id).await;
    stage.pass(600);
    let seen = |session: &Value| session["services"][0]["checked_at"] == "2026-11-23T12:10:04Z";
    stage.until(&id, "its last answer", seen).await;
    // A check that fails says nothing of when it was alive.
    stage.script.says("/desk", Err("connection refused"));
    stage.script.says("/clock", Err("connection refused"));
    stage.pass(60);
    let refused = |session: &Value| session["services"][0]["outcome"] == "connection refused";
    stage.until(&id, "a check that failed", refused).await;
    *stage.machine.blind.lock().unwrap() = true;
    stage.kill();
    stage.pass(1_140);
    stage.restart().await;
    let end = stage.ended(&id).await;
    // Until it was last seen, however long that was not noticed.
    assert_eq!((end.code.as_str(), end.charged), ("lost", 20_000));
    let session = stage.session(&id).await;
    assert_eq!(session["ended_at"], "2026-11-23T12:10:04Z");
    *stage.machine.blind.lock().unwrap() = false;
    assert!(stage.machine.asked_for().is_some(), "it still runs");
    housekeeping::tick(&stage.api.state, &TaskTracker::new())
        .await
        .unwrap();
    assert!(stage.machine.asked_for().is_none(), "nobody pays for it");
    // One that is wanted is left alone.
    let id = stage.launch("desk", json!({})).await;
    stage.phase(&id, "starting").await;
    housekeeping::tick(&stage.api.state, &TaskTracker::new())
        .await
        .unwrap();
    assert!(stage.machine.asked_for().is_some());
    stage.machine.ends(Outcome::Exited(0), None).await;
    stage.ended(&id).await;
}

#[tokio::test]
async fn what_is_old_is_swept_even_while_the_machine_does_not_answer() {
    let mut stage = Stage::start().await;
    let id = stage.launch("desk", json!({})).await;
    stage.bring_up(&id).await;
    let path = format!("/v1/app-sessions/{id}/open");
    assert_eq!(stage.post(&path, json!({})).await.status, 200);
    stage.kill();
    *stage.machine.deaf.lock().unwrap() = true;
    let tickets = async || {
        let mut conn = stage.api.state.store().read().await.unwrap();
        let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM app_tickets")
            .fetch_one(&mut *conn)
            .await
            .unwrap();
        count
    };
    assert_eq!(tickets().await, 1);
    stage.pass(31);
    let tick = housekeeping::tick(&stage.api.state, &TaskTracker::new()).await;
    assert!(tick.is_err(), "that it does not answer is said");
    assert_eq!(tickets().await, 0);
}
