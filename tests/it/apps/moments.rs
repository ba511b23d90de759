//! What comes at the very moment at which something else is being done, and clocks that
//! are set back.
use super::stage::Stage;
use crate::grid::eventually;
use junglegrid::engine::Outcome;
use junglegrid::store::apps;
use serde_json::{Value, json};

/// Brings a session to the point at which it is about to be ended, does `meanwhile`, and
/// lets the machine answer whether it runs at all.
async fn at_its_end(stage: &Stage, seconds: i64, meanwhile: impl AsyncFnOnce()) {
    let held = stage.machine.looking.lock().await;
    let looks = || *stage.machine.looks.lock().unwrap();
    let before = looks();
    stage.pass(seconds);
    // Whoever ends it, and whoever looks now and then.
    eventually("both ask the machine", async || {
        (looks() >= before + 2).then_some(())
    })
    .await;
    meanwhile().await;
    drop(held);
}

#[tokio::test]
async fn an_extension_at_the_last_moment_is_worth_its_money() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({"max_hours": 1})).await;
    stage.bring_up(&id).await;
    stage.pass(3_500);
    let path = format!("/v1/app-sessions/{id}/extend");
    let priced = stage.post(&path, json!({"minutes": 60})).await;
    let order = json!({"minutes": 60, "acknowledged_estimate": priced.text("/estimate_id")});
    at_its_end(&stage, 100, async || {
        let extended = stage.post(&path, order).await;
        assert_eq!(extended.status, 200, "{:?}", extended.body);
        assert_eq!(extended.body["applied"], true);
    })
    .await;
    stage.pass_and_ask(&id, 15).await;
    let session = stage.session(&id).await;
    assert_eq!(session["status"], "running", "{session}");
    assert_eq!(session["stops_at"], "2026-11-23T14:00:04Z");
    stage.pass(3_600);
    let end = stage.ended(&id).await;
    assert_eq!((end.code.as_str(), end.charged), ("time_limit", 240_000));
}

#[tokio::test]
async fn whoever_comes_back_at_the_last_moment_keeps_it() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({"idle_minutes": 5})).await;
    stage.bring_up(&id).await;
    at_its_end(&stage, 300, async || {
        let (session, now) = (id.parse().unwrap(), stage.api.clock.now());
        let used = stage
            .api
            .state
            .store()
            .write(move |conn| Box::pin(async move { apps::used(conn, session, now).await }));
        used.await.unwrap();
    })
    .await;
    stage.pass_and_ask(&id, 15).await;
    assert_eq!(stage.session(&id).await["status"], "running");
    stage.pass(300);
    assert_eq!(stage.ended(&id).await.code, "idle");
}

/// A machine that has just started may learn what time it is.
#[tokio::test]
async fn a_clock_that_is_set_back_holds_nothing_up() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({"max_hours": 1})).await;
    stage.phase(&id, "starting").await;
    stage.machine.runs().await;
    stage.script.says("/desk", Ok((503, "")));
    let seen = |session: &Value| session["services"][0]["outcome"] == "503";
    stage.until(&id, "a check that failed", seen).await;
    stage.pass(-3_600);
    stage.make_ready(&id).await;

    *stage.machine.obeys.lock().unwrap() = false;
    stage.pass(600);
    let path = format!("/v1/app-sessions/{id}/stop");
    stage.post(&path, json!({})).await;
    let stops = || *stage.machine.stops.lock().unwrap();
    let asked = stops();
    stage.pass(-3_600);
    let again = async || (stops() > asked).then_some(());
    eventually("its being asked again", again).await;
    stage.machine.ends(Outcome::Stopped, None).await;
    let end = stage.ended(&id).await;
    assert_eq!((end.code.as_str(), end.charged), ("stopped", 0));
}

#[tokio::test]
async fn nor_does_it_keep_a_launch_in_the_queue() {
    let stage = Stage::start().await;
    *stage.machine.away.lock().unwrap() = true;
    let id = stage.launch("desk", json!({})).await;
    let waits = |session: &Value| {
        let awaited = session["awaited"].as_str().unwrap();
        awaited.ends_with("It is tried again at 12:00:02 UTC.")
    };
    stage.until(&id, "its return to the queue", waits).await;
    *stage.machine.away.lock().unwrap() = false;
    stage.pass(-3_600);
    // Whoever comes next has the queue looked at.
    let next = stage.post("/v1/jobs", crate::grid::script("true")).await;
    assert_eq!(next.status, 202, "{:?}", next.body);
    stage.phase(&id, "starting").await;
}
