//! All the ways in which a job comes to its end.
use crate::grid::{Grid, Person, and, micros, processes, script};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn cancel(person: &Person<'_>, id: &str, body: Value) -> (u16, Value) {
    let answer = person.post(&format!("/v1/jobs/{id}/cancel"), body).await;
    (answer.status.as_u16(), answer.body)
}

#[tokio::test]
async fn a_command_that_fails_says_how() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let command = |words: Value| and(script(""), json!({ "command": words }));
    let limited = and(
        script("echo begun; sleep 600"),
        json!({ "timeout_seconds": 1 }),
    );
    for (job, code, exit, says) in [
        (
            script("echo why >&2; exit 7"),
            "EXIT_CODE",
            Some(7),
            "exit code 7",
        ),
        (
            script("no-such-command"),
            "EXIT_CODE",
            Some(127),
            "not found",
        ),
        (
            command(json!(["no-such-program"])),
            "EXIT_CODE",
            Some(127),
            "not found",
        ),
        (
            command(json!(["/usr"])),
            "EXIT_CODE",
            Some(126),
            "permissions",
        ),
        (script("kill -SEGV $$"), "SIGNAL", None, "signal 11"),
        (limited, "TIME_LIMIT", None, "time limit"),
    ] {
        let id = ada.submit(job.clone()).await;
        let ended = ada.ended(&id).await;
        let what = format!("{}: {ended}", job["command"]);
        assert_eq!(ended["status"], "failed", "{what}");
        assert_eq!(ended["failure"]["code"], code, "{what}");
        assert_eq!(
            ended.get("exit_code").and_then(Value::as_i64),
            exit,
            "{what}"
        );
        let summary = ended["failure"]["summary"].as_str().unwrap();
        assert!(summary.contains(says), "{what}");
        assert_eq!(ended["status_reason"], ended["failure"]["summary"]);
        assert_eq!(ended["timed_out"], json!(code == "TIME_LIMIT"), "{what}");
        let took = ended["status_message"].as_str().unwrap();
        assert!(!took.contains(" 0 s"), "{took}");
        let runtime = ada.see(&format!("/v1/jobs/{id}/runtime")).await;
        assert_eq!(runtime.get("exit_code"), ended.get("exit_code"));
        assert_eq!(runtime["timed_out"], ended["timed_out"]);
        let cost = micros(&ended["actual_cost_usd"]);
        assert!(cost <= micros(&ended["hold_usd"]));
        let kinds: Vec<Value> = ada
            .events(&id)
            .await
            .iter()
            .map(|e| e["type"].clone())
            .collect();
        assert!(kinds.contains(&json!("job.failed")), "{kinds:?}");
    }
    let first = ada.see("/v1/jobs?status=failed&limit=100").await;
    assert_eq!(first["jobs"].as_array().unwrap().len(), 6);
    let id = first["jobs"][5]["id"].as_str().unwrap();
    let logs = ada.see(&format!("/v1/jobs/{id}/logs")).await;
    assert_eq!(logs["failure_highlight"], "why");
}

#[tokio::test]
async fn a_queued_job_is_cancelled_at_once_and_costs_nothing() {
    let grid = Grid::with(&["--host-slots", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let first = ada.submit(script("sleep 600")).await;
    ada.running(&first).await;
    let second = ada.submit(script("sleep 600")).await;
    let held = ada.wallet().await.1;
    let runtime = ada.get(&format!("/v1/jobs/{second}/runtime")).await;
    assert_eq!(runtime.status, 404);
    assert_eq!(
        runtime.text("/error/message"),
        "job runtime not available yet"
    );
    assert_eq!(runtime.text("/message"), "job runtime not available yet");
    let (status, answer) = cancel(&ada, &second, json!({ "reason": "Cancelled via MCP" })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["status"], "cancelled");
    assert_eq!(answer["status_reason"], "Cancelled via MCP");
    assert_eq!(answer["cancelled"], true);
    let job = ada.job(&second).await;
    assert_eq!(job["status"], "cancelled");
    assert_eq!(micros(&job["actual_cost_usd"]), 0);
    assert!(job.get("started_at").is_none() && job.get("failure").is_none());
    assert_eq!(ada.wallet().await.1, held / 2);
    let (status, answer) = cancel(&ada, &second, Value::Null).await;
    assert_eq!(
        (status, &answer["code"]),
        (409, &json!("CONFLICT")),
        "twice"
    );
    assert_eq!(
        ada.job(&first).await["status"],
        "running",
        "the other goes on"
    );
}

#[tokio::test]
async fn a_running_job_is_asked_to_stop_and_may_say_goodbye() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let polite = "trap 'echo goodbye; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let id = ada.submit(script(polite)).await;
    ada.until(&id, "the first line", |job| {
        job["startup_diagnostics"]["workload_logs_available"] == true
    })
    .await;
    // Two at once: both hear the same.
    let (one, two) = tokio::join!(
        cancel(&ada, &id, json!({ "reason": "enough\u{202e}\n" })),
        cancel(&ada, &id, Value::Null)
    );
    for (status, answer) in [&one, &two] {
        assert_eq!(*status, 200, "{answer}");
        assert_eq!(answer["status"], "cancelled");
        assert_eq!(answer["cancelled"], true);
    }
    let job = ada.job(&id).await;
    assert_eq!(job["status"], "cancelled", "whatever its exit code");
    assert!(job.get("exit_code").is_none() && job.get("failure").is_none());
    assert!(micros(&job["actual_cost_usd"]) > 0);
    let lines = ada.lines(&id, 100).await;
    // The shell has its own words on stderr.
    let said = lines.iter().filter(|line| line["stream"] == "stdout");
    let said: Vec<_> = said.map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(said, ["ready", "goodbye"]);
    let kinds: Vec<Value> = ada
        .events(&id)
        .await
        .iter()
        .map(|e| e["type"].clone())
        .collect();
    let count = |kind: &str| kinds.iter().filter(|k| *k == kind).count();
    assert_eq!(
        (count("job.stopping"), count("job.cancelled")),
        (1, 1),
        "{kinds:?}"
    );
    let (status, _) = cancel(&ada, &id, Value::Null).await;
    assert_eq!(status, 409);
}

#[tokio::test]
async fn a_job_that_does_not_listen_is_killed_after_its_grace() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let marker = format!("deaf-{}", std::process::id());
    let deaf = format!("trap '' TERM; echo ready; : {marker}; while :; do sleep 0.2; done");
    let id = ada.submit(script(&deaf)).await;
    ada.until(&id, "the first line", |job| {
        job["startup_diagnostics"]["workload_logs_available"] == true
    })
    .await;
    assert!(!processes(&marker).is_empty());
    let (status, answer) = cancel(&ada, &id, json!({ "wait_seconds": 0 })).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["cancelled"], true);
    assert_eq!(answer["status"], "running", "not yet, and so it says");
    let job = ada.job(&id).await;
    assert_eq!(job["phase"], "stopping");
    let asked = Instant::now();
    let (status, answer) = cancel(&ada, &id, Value::Null).await;
    assert_eq!(status, 200, "{answer}");
    // It waits for the end; on a slow machine for as long as it may.
    let waited = asked.elapsed() >= Duration::from_secs(13);
    assert!(answer["status"] == "cancelled" || waited, "{answer}");
    assert_eq!(ada.ended(&id).await["status"], "cancelled");
    assert_eq!(processes(&marker), [], "nothing of it is left");
}

#[tokio::test]
async fn a_job_that_has_ended_cannot_be_cancelled() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    for command in ["true", "false"] {
        let id = ada.submit(script(command)).await;
        let before = ada.ended(&id).await;
        let (status, answer) = cancel(&ada, &id, json!({ "reason": "late" })).await;
        assert_eq!((status, &answer["code"]), (409, &json!("CONFLICT")));
        let said = answer["message"].as_str().unwrap();
        assert!(said.contains(before["status"].as_str().unwrap()), "{said}");
        assert_eq!(ada.job(&id).await, before, "nothing changes");
    }
}

#[tokio::test]
async fn cancel_and_end_race_to_one_end_and_one_bill() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    for n in 0..12 {
        let id = ada.submit(script(&format!("sleep 0.{:02}", n % 6))).await;
        if n % 2 == 0 {
            ada.until(&id, "the start", |job| job["started_at"].is_string())
                .await;
        }
        let (status, answer) = cancel(&ada, &id, Value::Null).await;
        let job = ada.ended(&id).await;
        match job["status"].as_str() {
            Some("cancelled") => assert_eq!(status, 200, "{answer}"),
            Some("completed") => assert_eq!(status, 409, "{answer}"),
            other => panic!("{other:?}"),
        }
        let events = ada.events(&id).await;
        let ends = ["job.completed", "job.cancelled", "job.failed"].map(Value::from);
        assert_eq!(
            events.iter().filter(|e| ends.contains(&e["type"])).count(),
            1
        );
        let bills = events.iter().filter(|e| e["type"] == "billing.settled");
        assert_eq!(bills.count(), 1);
        assert_eq!(ada.wallet().await.1, 0);
    }
}
