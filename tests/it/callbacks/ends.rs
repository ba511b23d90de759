//! What is told of each end that a job can have.
use super::{Desk, Receiver, verify};
use crate::grid::{and, eventually, script};
use crate::stub::work;
use junglegrid::engine::{End, Outcome, Status};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

fn ended(outcome: Outcome) -> Status {
    Status::Ended(End {
        outcome,
        started: Some(datetime!(2026-11-23 12:00 UTC)),
        ended: datetime!(2026-11-23 12:00:10 UTC),
    })
}

/// Makes the one call that is due, and says what it was.
async fn told(desk: &Desk, receiver: &Receiver) -> Value {
    let before = receiver.told().len();
    assert_eq!(desk.tick().await, 1);
    let told = receiver.told();
    assert_eq!(told.len(), before + 1);
    let secret = desk.see("/v1/callbacks/secret").await;
    verify(secret["secret"].as_str().unwrap(), &told[before]);
    assert_eq!(told[before].0["authorization"], "Bearer t0ken");
    serde_json::from_str(&told[before].1).unwrap()
}

/// What is the same for every end.
async fn hold(desk: &Desk, job: &str, body: &Value, status: &str) {
    let seen = desk.see(&format!("/v1/jobs/{job}")).await;
    assert_eq!(seen["status"], status);
    assert_eq!(body["type"], format!("job.{status}"));
    assert_eq!(body["status"], status);
    assert_eq!(body["job_id"], job);
    assert_eq!(body["name"], "a test");
    assert_eq!(body["workload_type"], "batch");
    assert_eq!(body["metadata"], json!({ "order": "7" }));
    // As the job itself says it.
    assert_eq!(body["status_reason"], seen["status_reason"], "{seen}");
    assert_eq!(body["cost_usd"], seen["actual_cost_usd"], "{body}");
    for field in ["timestamp", "created_at", "finished_at"] {
        let text = body[field].as_str().unwrap();
        OffsetDateTime::parse(text, &Rfc3339).unwrap();
    }
    assert_eq!(body["created_at"], seen["created_at"]);
    assert_eq!(body["finished_at"], seen["completed_at"]);
    assert_eq!(body.get("started_at"), seen.get("started_at"));
    assert!(!body.to_string().contains("t0ken"), "{body}");
    // Nothing is `null`, and there is nothing to tell again.
    let fields = body.as_object().unwrap();
    assert!(fields.values().all(|value| !value.is_null()), "{body}");
    assert_eq!(desk.callback(job).await["state"], "delivered");
    assert_eq!(desk.tick().await, 0);
}

#[tokio::test]
async fn each_end_is_told_as_the_contract_says() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let callback = json!({
        "callback_url": receiver.url(), "callback_auth_token": "t0ken",
        "callback_metadata": { "order": "7" },
    });
    for (end, status, exit) in [
        (ended(Outcome::Exited(0)), "completed", Some(0)),
        (ended(Outcome::Exited(7)), "failed", Some(7)),
        (ended(Outcome::Signaled(9)), "failed", None),
        (ended(Outcome::OutOfMemory), "failed", None),
        (ended(Outcome::TimeLimit), "failed", None),
        (ended(Outcome::Lost("it is gone".into())), "failed", None),
    ] {
        let job = desk.submit(callback.clone()).await;
        desk.machine.set(&job, end.clone());
        work(&desk.api).await;
        let body = told(&desk, &receiver).await;
        hold(&desk, &job, &body, status).await;
        let seen = desk.see(&format!("/v1/jobs/{job}")).await;
        assert_eq!(body.get("exit_code"), seen.get("exit_code"), "{end:?}");
        if exit.is_some() {
            assert_eq!(body["exit_code"].as_i64(), exit, "{body}");
            assert!(body["cost_usd"].as_f64().unwrap() > 0.0, "{body}");
            assert!(body["started_at"].is_string(), "{body}");
        }
        assert!(!body["status_reason"].as_str().unwrap().is_empty());
    }

    let job = desk.submit(callback.clone()).await;
    let cancel = json!({ "reason": "Not needed any more." });
    let cancelled = desk.post(&format!("/v1/jobs/{job}/cancel"), cancel).await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.body);
    let body = told(&desk, &receiver).await;
    hold(&desk, &job, &body, "cancelled").await;
    assert_eq!(body["cost_usd"], 0.0);
    assert!(body.get("exit_code").is_none() && body.get("started_at").is_none());
}

/// Nobody could see whether it would ever run; the scheduler finds that it will not.
#[tokio::test]
async fn a_job_that_is_rejected_after_its_submission_is_told_of() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    desk.machine.go_away(true);
    let callback = json!({
        "gpu_required": true,
        "callback": { "url": receiver.url(), "auth_token": "t0ken", "metadata": { "order": "7" } },
    });
    let content = json!({ "content": and(script("true"), callback) });
    let draft = desk.post("/v1/job-drafts", content).await.text("/id");
    let path = format!("/v1/job-drafts/{draft}");
    let estimate = eventually("an estimate that failed", async || {
        let seen = desk.post(&format!("{path}/estimate"), Value::Null).await;
        let estimate = seen.body["estimate"].clone();
        (estimate["state"] == "failed").then_some(estimate)
    })
    .await;
    let knowing = json!({
        "estimate_id": estimate["estimate_id"], "version": estimate["version"],
        "without_estimate": true,
    });
    let knowing = desk.post(&format!("{path}/acknowledge"), knowing).await;
    assert_eq!(knowing.status, 200, "{}", knowing.body);
    let submitted = desk.post(&format!("{path}/submit"), Value::Null).await;
    assert_eq!(submitted.status, 202, "{}", submitted.body);
    let job = submitted.text("/job_id");
    assert_eq!(desk.callback(&job).await["state"], "armed");
    assert_eq!(desk.tick().await, 0);

    desk.machine.go_away(false);
    work(&desk.api).await;
    let body = told(&desk, &receiver).await;
    hold(&desk, &job, &body, "rejected").await;
    assert_eq!(body["cost_usd"], 0.0);
    assert!(body["status_reason"].as_str().unwrap().contains("GPU"));
    assert!(body.get("exit_code").is_none() && body.get("started_at").is_none());
}
