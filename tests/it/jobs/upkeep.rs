//! What the workers do when a machine, the server or the clock misbehaves.
use crate::grid::{eventually, script};
use crate::harness::{PASSWORD, TestApi};
use crate::stub::{Machine, work};
use http::Method;
use junglegrid::engine::{Engine, Status};
use serde_json::{Value, json};
use std::sync::Arc;
use time::Duration;

async fn submit(api: &TestApi, token: &str) -> String {
    let answer = api
        .call(Method::POST, "/v1/jobs", token, script("true"))
        .await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.text("/job_id")
}

async fn see(api: &TestApi, token: &str, path: &str) -> Value {
    let answer = api.get(path, token).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Another process on the same database and machine.
fn successor(api: &TestApi, machine: &Arc<Machine>) -> TestApi {
    let engine: Arc<dyn Engine> = Arc::clone(machine) as _;
    let dir = tempfile::tempdir().unwrap();
    TestApi::over(api.state.store().clone(), dir, engine, |_| {})
}

/// Works until the job runs, and then stops as a server does.
async fn work_until_running(api: &TestApi, token: &str, id: &str) {
    let running = async {
        eventually("the start", async || {
            let job = see(api, token, &format!("/v1/jobs/{id}")).await;
            (job["status"] == "running").then_some(())
        })
        .await;
        api.state.shutdown().cancel();
    };
    tokio::join!(work(api), running);
}

#[tokio::test]
async fn output_that_cannot_be_read_to_its_end_says_so() {
    let (api, machine) = Machine::start().await;
    *machine.breaks_off.lock().unwrap() = true;
    let token = api.sign_up("ada@example.org").await;
    let id = submit(&api, &token).await;
    work(&api).await;
    let job = see(&api, &token, &format!("/v1/jobs/{id}")).await;
    assert_eq!(job["status"], "completed");
    let logs = see(&api, &token, &format!("/v1/jobs/{id}/logs")).await;
    let lines = logs["items"].as_array().unwrap().iter();
    let lines: Vec<_> = lines
        .map(|line| {
            (
                line["stream"].as_str().unwrap(),
                line["message"].as_str().unwrap(),
            )
        })
        .collect();
    let said = "The rest of the output could not be read, and is left out.";
    assert_eq!(
        lines,
        [
            ("stdout", "one"),
            ("stdout", "two"),
            ("stdout", "three"),
            ("system", said)
        ]
    );
}

#[tokio::test]
async fn output_waits_for_the_word_that_its_command_has_started() {
    // Of the answers the first ones come before any output does.
    const HELD: usize = 4;
    let (api, machine) = Machine::start().await;
    let token = api.sign_up("ada@example.org").await;
    let id = submit(&api, &token).await;
    machine.set(&id, Machine::preparing());
    let word = machine.hold(HELD);
    let logs = format!("/v1/jobs/{id}/logs");
    let reader = async {
        eventually("the question how it stands", async || {
            (machine.asked() == HELD).then_some(())
        })
        .await;
        let page = see(&api, &token, &logs).await;
        assert_eq!(page["items"], json!([]), "it has not started");
        let job = see(&api, &token, &format!("/v1/jobs/{id}")).await;
        assert_eq!(job["startup_diagnostics"]["command_spawned"], false);
        machine.set(&id, Machine::running());
        word.notify_one();
        eventually("the output", async || {
            let page = see(&api, &token, &logs).await;
            (page["items"].as_array().unwrap().len() == 3).then_some(())
        })
        .await;
        let job = see(&api, &token, &format!("/v1/jobs/{id}")).await;
        assert_eq!(job["startup_diagnostics"]["command_spawned"], true);
        machine.set(&id, Machine::exited(0));
    };
    tokio::join!(work(&api), reader);
}

#[tokio::test]
async fn a_run_that_its_machine_never_began_is_handed_over_again() {
    let (api, machine) = Machine::start().await;
    let token = api.sign_up("ada@example.org").await;
    let id = submit(&api, &token).await;
    machine.set(&id, Machine::running());
    work_until_running(&api, &token, &id).await;
    assert_eq!(machine.submissions.lock().unwrap().len(), 1);
    let why = "prepared but never started".to_owned();
    machine.set(&id, Status::Unknown { why });
    let next = successor(&api, &machine);
    work(&next).await;
    assert_eq!(machine.submissions.lock().unwrap().len(), 2);
    let job = see(&next, &token, &format!("/v1/jobs/{id}")).await;
    assert_eq!(job["status"], "completed");
}

#[tokio::test]
async fn what_a_server_left_is_taken_up_and_nothing_is_kept_twice() {
    let (api, machine) = Machine::start().await;
    let token = api.sign_up("ada@example.org").await;
    let id = submit(&api, &token).await;
    machine.set(&id, Machine::running());
    work_until_running(&api, &token, &id).await;
    machine.set(&id, Machine::exited(6));
    let next = successor(&api, &machine);
    work(&next).await;
    work(&next).await;
    assert_eq!(
        machine.submissions.lock().unwrap().len(),
        1,
        "adopted, not begun again"
    );
    let job = see(&next, &token, &format!("/v1/jobs/{id}")).await;
    assert_eq!(
        (&job["status"], &job["exit_code"]),
        (&json!("failed"), &json!(6))
    );
    let logs = see(&next, &token, &format!("/v1/jobs/{id}/logs")).await;
    let lines = logs["items"].as_array().unwrap().iter();
    let lines: Vec<_> = lines
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    assert_eq!(lines, ["one", "two", "three"]);
    // Ten seconds at 0.12 an hour, rounded down.
    assert_eq!(
        crate::grid::micros(&job["actual_cost_usd"]),
        120_000 * 10 / 3_600
    );
}

#[tokio::test]
async fn a_machine_that_is_away_takes_nothing_and_loses_nothing() {
    let (api, machine) = Machine::start().await;
    let token = api.sign_up("ada@example.org").await;
    let id = submit(&api, &token).await;
    machine.go_away(true);
    let tasks = tokio_util::task::TaskTracker::new();
    let tick = junglegrid::orchestrator::workers::scheduler::tick(&api.state, &tasks).await;
    assert!(tick.is_err(), "it is tried again");
    assert_eq!(
        see(&api, &token, &format!("/v1/jobs/{id}")).await["status"],
        "queued"
    );
    let refused = api
        .call(Method::POST, "/v1/jobs", &token, script("true"))
        .await;
    assert_eq!(
        (refused.status.as_u16(), refused.text("/code").as_str()),
        (503, "UNAVAILABLE")
    );
    machine.go_away(false);
    work(&api).await;
    assert_eq!(
        see(&api, &token, &format!("/v1/jobs/{id}")).await["status"],
        "completed"
    );
}

#[tokio::test]
async fn operators_are_signed_out_sooner() {
    let operator = |config: &mut junglegrid::orchestrator::Config| {
        config.operators = vec!["ada@example.org".into()];
    };
    let api = TestApi::with(operator).await;
    let ada = api.sign_up("ada@example.org").await;
    let eve = api.sign_up("eve@example.org").await;
    let status = async |token: &str| api.get("/auth/session", token).await.status.as_u16();
    api.clock.advance(Duration::hours(8) - Duration::SECOND);
    assert_eq!((status(&ada).await, status(&eve).await), (200, 200));
    api.clock.advance(Duration::hours(8));
    assert_eq!((status(&ada).await, status(&eve).await), (401, 200), "idle");

    let credentials = json!({ "email": "ada@example.org", "password": PASSWORD });
    let signed_in = api.post("/auth/signin", credentials).await;
    assert_eq!(signed_in.status, 200, "{}", signed_in.body);
    let again = signed_in.text("/token");
    for day in 0..21 {
        api.clock.advance(Duration::hours(7));
        assert_eq!(status(&again).await, 200, "in use: {day}");
        assert_eq!(status(&eve).await, 200);
    }
    api.clock.advance(Duration::hours(22));
    assert_eq!(status(&eve).await, 200);
    assert_eq!(status(&again).await, 401, "a week is over");
    // Also the session that begins with the proof of the address.
    let bob = TestApi::with(|config| config.operators = vec!["bob@example.org".into()]).await;
    let first = bob.sign_up("bob@example.org").await;
    let session = bob.get("/auth/session", &first).await;
    assert_eq!(session.text("/expires_at"), "2026-11-30T12:00:00Z");
}
