//! The ways in which a session can end, and what is said and charged.
use super::stage::{Ended, Stage};
use junglegrid::engine::Outcome;
use serde_json::{Value, json};

/// What a session came to: status, code, failed step, charge in micro-dollars and
/// the last event.
fn assert_end(end: &Ended, words: [&str; 3], charged: i64, last: &str) {
    let found = [&end.status, &end.code, &end.step].map(String::as_str);
    assert_eq!(found, words, "{end:?}");
    assert_eq!(end.charged, charged, "{end:?}");
    assert_eq!(end.last, last);
}

#[tokio::test]
async fn an_image_that_is_missing() {
    let stage = Stage::start().await;
    *stage.machine.pulls.lock().unwrap() = true;
    let id = stage.launch("box", json!({})).await;
    stage.machine.pulls(10, 100).await;
    let pulling = stage.phase(&id, "image").await;
    assert_eq!(pulling["job_status"], "assigned");
    stage.machine.pulls(60, 100).await;
    let more = |session: &Value| session["steps"][2]["bytes"] == json!([60, 100]);
    stage.until(&id, "more bytes", more).await;
    let gone = Outcome::Refused("manifest unknown".into());
    stage.machine.ends(gone, None).await;
    let end = stage.ended(&id).await;
    let image = "docker.io/library/box@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let last = format!(
        "Failed: The image {image} could not be had: manifest unknown. It was never ready: you were charged $0.00."
    );
    assert_end(&end, ["failed", "image_missing", "image"], 0, &last);
}

#[tokio::test]
async fn a_crash_at_the_start() {
    let stage = Stage::start().await;
    for (outcome, started, words, why) in [
        (
            Outcome::Refused("no such program".into()),
            false,
            ["failed", "crashed", "starting"],
            "It could not be started: no such program.",
        ),
        (
            Outcome::Exited(3),
            true,
            ["failed", "crashed", "service-desk"],
            "Its command ended with exit code 3 before it was ready.",
        ),
        (
            Outcome::Exited(0),
            true,
            ["failed", "crashed", "service-desk"],
            "Its command ended before it was ready, with exit code 0.",
        ),
        (
            Outcome::OutOfMemory,
            true,
            ["failed", "out_of_memory", "service-desk"],
            "It used more than its 0.5 GB of memory and was stopped.",
        ),
        (
            Outcome::Lost("the shim is gone".into()),
            true,
            ["failed", "lost", "service-desk"],
            "It was lost: the shim is gone.",
        ),
    ] {
        let id = stage.launch("desk", json!({})).await;
        stage.phase(&id, "starting").await;
        let since = started.then(|| stage.api.clock.now());
        stage.pass(5);
        stage.machine.ends(outcome, since).await;
        let end = stage.ended(&id).await;
        let last = format!("Failed: {why} It was never ready: you were charged $0.00.");
        assert_end(&end, words, 0, &last);
        assert_eq!(end.spent, 0);
    }
}

#[tokio::test]
async fn an_app_that_is_never_ready() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({})).await;
    stage.phase(&id, "starting").await;
    stage.script.says("/desk", Ok((503, "")));
    stage.script.says("/clock", Ok((200, "")));
    stage.machine.runs().await;
    let seen = |session: &Value| session["services"][0]["outcome"] == "503";
    stage.until(&id, "a check that failed", seen).await;
    stage.pass_and_ask(&id, 59).await;
    assert_eq!(stage.session(&id).await["status"], "services");
    stage.pass(1);
    let end = stage.ended(&id).await;
    let last = "Failed: Desk was not ready within 1 min. Its last check said: 503. It was never ready: you were charged $0.00.";
    assert_end(&end, ["failed", "never_ready", "service-desk"], 0, last);
    assert_eq!(*stage.machine.stops.lock().unwrap(), 1);
    // To the job it was a cancellation; the list says what it was.
    let jobs = stage.get("/v1/jobs").await;
    let job = &jobs["jobs"][0];
    assert_eq!(
        (&job["status"], &job["app_session_end"]),
        (&json!("cancelled"), &json!("never_ready")),
        "{job}"
    );
}

#[tokio::test]
async fn an_app_that_ends_after_it_was_ready() {
    let stage = Stage::start().await;
    let mut spent = 0;
    for (outcome, words, title, why) in [
        (
            Outcome::Exited(1),
            ["failed", "died", ""],
            "Failed",
            "Its command ended with exit code 1 after it had been ready.",
        ),
        (
            Outcome::Signaled(9),
            ["failed", "died", ""],
            "Failed",
            "Its command was ended by signal 9 after it had been ready.",
        ),
        (
            Outcome::Exited(0),
            ["ended", "exited", ""],
            "Ended",
            "Its command ended by itself, with exit code 0.",
        ),
        (
            Outcome::TimeLimit,
            ["expired", "time_limit", ""],
            "Expired",
            "Its time was over, after 4 h.",
        ),
    ] {
        let id = stage.launch("desk", json!({})).await;
        stage.bring_up(&id).await;
        let since = stage.api.clock.now();
        stage.pass(1_800);
        stage.machine.ends(outcome, Some(since)).await;
        let end = stage.ended(&id).await;
        let last = format!("{title}: {why} It cost $0.06.");
        assert_end(&end, words, 60_000, &last);
        spent += 60_000;
        assert_eq!(end.spent, spent);
        stage.script.says("/desk", Ok((503, "")));
    }
}

#[tokio::test]
async fn its_hours_are_over() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({"max_hours": 1})).await;
    stage.bring_up(&id).await;
    stage.pass(1_800);
    let told = async |kind: &str| {
        let what = format!("{kind} of {id}");
        crate::grid::eventually(&what, async || {
            let events = stage.events(&id).await;
            events.into_iter().find(|(known, _)| known == kind)
        })
        .await
    };
    let (_, said) = told("app.stops_soon").await;
    assert_eq!(
        said,
        "Stops in 30 min: It stops at 13:00 UTC, because its time is over then. Extend it to go on."
    );
    stage.pass(1_500);
    told("app.stops_very_soon").await;
    stage.pass_and_ask(&id, 299).await;
    assert_eq!(stage.session(&id).await["status"], "running");
    stage.pass(1);
    let end = stage.ended(&id).await;
    let last = "Expired: Its time was over, after 1 h. It cost $0.12.";
    assert_end(&end, ["expired", "time_limit", ""], 120_000, last);
    let kinds = stage.kinds(&id).await;
    let warnings = kinds.iter().filter(|kind| kind.starts_with("app.stops"));
    assert_eq!(warnings.count(), 2, "{kinds:?}");
}

/// Whatever happens to an app that is being stopped, it was stopped for the first
/// reason.
#[tokio::test]
async fn its_hours_are_over_while_it_is_being_stopped() {
    let stage = Stage::start().await;
    *stage.machine.obeys.lock().unwrap() = false;
    let id = stage.launch("desk", json!({"max_hours": 1})).await;
    stage.bring_up(&id).await;
    stage.pass(3_000);
    let path = format!("/v1/app-sessions/{id}/stop");
    stage.post(&path, json!({})).await;
    let stops = || *stage.machine.stops.lock().unwrap();
    let asked = stops();
    stage.pass(3_000);
    let again = async || (stops() > asked).then_some(());
    crate::grid::eventually("its being asked again", again).await;
    let stopping = stage.session(&id).await;
    assert_eq!(stopping["status"], "stopping");
    assert_eq!(stopping["cost_usd"], 0.12, "no more than is set aside");
    stage.machine.ends(Outcome::Signaled(9), None).await;
    let end = stage.ended(&id).await;
    let last = "Ended: It was stopped on request. It cost $0.12.";
    assert_end(&end, ["ended", "stopped", ""], 120_000, last);
    stage.script.says("/desk", Ok((503, "")));

    // The other way round.
    let id = stage.launch("desk", json!({"max_hours": 1})).await;
    stage.bring_up(&id).await;
    stage.pass(3_600);
    stage.phase(&id, "stopping").await;
    let path = format!("/v1/app-sessions/{id}/stop");
    let again = stage.post(&path, json!({"reason": "enough"})).await;
    assert_eq!(again.body["status"], "stopping");
    assert_eq!(
        again.body["status_message"],
        "Stopping. Its time was over, after 1 h."
    );
    stage.machine.ends(Outcome::Stopped, None).await;
    let end = stage.ended(&id).await;
    let last = "Expired: Its time was over, after 1 h. It cost $0.12.";
    assert_end(&end, ["expired", "time_limit", ""], 120_000, last);
    let kinds = stage.kinds(&id).await;
    let stopping = kinds.iter().filter(|kind| *kind == "app.stopping");
    assert_eq!(stopping.count(), 1, "{kinds:?}");
}

#[tokio::test]
async fn its_money_is_used_up() {
    let stage = Stage::start().await;
    // A cent is five minutes: there is nothing to warn of.
    let id = stage.launch("desk", json!({"max_usd": 0.01})).await;
    assert_eq!(stage.wallet().await, (4_990_000, 10_000, 0));
    stage.bring_up(&id).await;
    stage.pass_and_ask(&id, 299).await;
    assert_eq!(stage.session(&id).await["status"], "running");
    // However late it is noticed, it costs no more than it may.
    stage.pass(60);
    let end = stage.ended(&id).await;
    let last = "Expired: It reached its money limit of $0.01. It cost $0.01.";
    assert_end(&end, ["expired", "money_limit", ""], 10_000, last);
    let kinds = stage.kinds(&id).await;
    assert!(
        !kinds.iter().any(|kind| kind.starts_with("app.stops")),
        "{kinds:?}"
    );
}

#[tokio::test]
async fn nobody_uses_it() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({"idle_minutes": 5})).await;
    stage.bring_up(&id).await;
    stage.pass(240);
    let (session, now) = (id.parse().unwrap(), stage.api.clock.now());
    let used = stage.api.state.store().write(move |conn| {
        Box::pin(async move { junglegrid::store::apps::used(conn, session, now).await })
    });
    used.await.unwrap();
    stage.pass_and_ask(&id, 299).await;
    assert_eq!(stage.session(&id).await["status"], "running");
    stage.pass(1);
    let end = stage.ended(&id).await;
    let last = "Expired: Nobody had used it for 5 min. It cost $0.0180.";
    assert_end(&end, ["expired", "idle", ""], 18_000, last);
}

#[tokio::test]
async fn a_person_stops_it_wherever_it_is() {
    let stage = Stage::start().await;
    *stage.machine.pulls.lock().unwrap() = true;
    let nothing = "Ended: It was stopped on request. It was never ready: you were charged $0.00.";
    for phase in ["reserved", "image", "starting", "services"] {
        let id = stage.launch("box", json!({})).await;
        match phase {
            "image" => stage.machine.pulls(1, 2).await,
            "starting" => {
                stage.machine.pulls(1, 2).await;
                stage.phase(&id, "image").await;
                stage.machine.pulls(2, 2).await;
            }
            "services" => stage.machine.runs().await,
            _ => {}
        }
        stage.phase(&id, phase).await;
        let path = format!("/v1/app-sessions/{id}/stop");
        let answer = stage.post(&path, json!({})).await;
        assert_eq!(answer.status, 200, "{phase}");
        let end = stage.ended(&id).await;
        assert_end(&end, ["ended", "stopped", ""], 0, nothing);
    }
}

#[tokio::test]
async fn a_session_in_the_queue_ends_at_once() {
    let stage = Stage::with(|config| config.slots = 1).await;
    stage.launch("desk", json!({})).await;
    *stage.machine.pulls.lock().unwrap() = true;
    let id = stage.launch("box", json!({})).await;
    assert_eq!(stage.session(&id).await["status"], "created");
    let path = format!("/v1/app-sessions/{id}/stop");
    let stopped = stage.post(&path, json!({})).await;
    assert_eq!(stopped.body["status"], "ended");
    assert_eq!(stopped.body["end"]["code"], "stopped");
    assert_eq!(*stage.machine.stops.lock().unwrap(), 0);
}

#[tokio::test]
async fn cancelling_its_job_stops_it() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({})).await;
    let running = stage.bring_up(&id).await;
    stage.pass(300);
    let path = format!("/v1/jobs/{}/cancel", running["job_id"].as_str().unwrap());
    let cancelled = stage.post(&path, json!({"reason": "enough"})).await;
    assert_eq!(cancelled.status, 200, "{:?}", cancelled.body);
    let end = stage.ended(&id).await;
    let last = "Ended: enough. It cost $0.01.";
    assert_end(&end, ["ended", "stopped", ""], 10_000, last);
}

#[tokio::test]
async fn a_stop_reaches_a_machine_that_was_away() {
    let stage = Stage::start().await;
    *stage.machine.away.lock().unwrap() = true;
    let id = stage.launch("desk", json!({})).await;
    let path = format!("/v1/app-sessions/{id}/stop");
    assert_eq!(stage.post(&path, json!({})).await.status, 200);
    *stage.machine.away.lock().unwrap() = false;
    let end = stage.ended(&id).await;
    assert_eq!((end.status.as_str(), end.charged), ("ended", 0));
}
