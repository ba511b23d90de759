//! From the first answer to the job: drafts, estimates, acknowledgements. On a
//! clock that the test moves.
use crate::grid::{and, script};
use crate::harness::{Answer, TestApi, on_each_database};
use crate::stub::{Machine, work};
use http::Method;
use serde_json::{Value, json};
use std::sync::Arc;
use time::Duration;

struct Desk {
    api: TestApi,
    machine: Arc<Machine>,
    token: String,
}

impl Desk {
    async fn open() -> Self {
        let (api, machine) = Machine::start().await;
        let token = api.sign_up("ada@example.org").await;
        Self {
            api,
            machine,
            token,
        }
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.api.call(Method::POST, path, &self.token, body).await
    }

    /// A draft of a job that could run.
    async fn draft(&self) -> String {
        let body = json!({ "content": script("true") });
        let made = self.post("/v1/job-drafts", body).await;
        assert_eq!(made.status, 201, "{}", made.body);
        made.text("/id")
    }

    async fn see(&self, draft: &str) -> Value {
        let path = format!("/v1/job-drafts/{draft}");
        let seen = self.api.get(&path, &self.token).await;
        assert_eq!(seen.status, 200, "{}", seen.body);
        seen.body
    }

    async fn patch(&self, draft: &str, content: Value) -> Answer {
        let path = format!("/v1/job-drafts/{draft}");
        let body = json!({ "content": content });
        self.api.call(Method::PATCH, &path, &self.token, body).await
    }

    /// The draft with an estimate that has come out.
    async fn estimate(&self, draft: &str) -> Value {
        let path = format!("/v1/job-drafts/{draft}/estimate");
        let asked = self.post(&path, Value::Null).await;
        assert_eq!(asked.status, 200, "{}", asked.body);
        crate::grid::eventually("the estimate", async || {
            let seen = self.see(draft).await;
            (seen["estimate"]["state"] != "pending").then_some(seen)
        })
        .await
    }

    /// Acknowledges the estimate that `seen` shows.
    async fn acknowledge(&self, seen: &Value, more: Value) -> Answer {
        let path = format!(
            "/v1/job-drafts/{}/acknowledge",
            seen["id"].as_str().unwrap()
        );
        let estimate = &seen["estimate"];
        let body = json!({
            "estimate_id": estimate["estimate_id"], "version": estimate["version"],
        });
        self.post(&path, and(body, more)).await
    }

    async fn submit(&self, draft: &str) -> Answer {
        let path = format!("/v1/job-drafts/{draft}/submit");
        self.post(&path, Value::Null).await
    }

    async fn jobs(&self) -> usize {
        let jobs = self.api.get("/v1/jobs", &self.token).await;
        jobs.body["jobs"].as_array().unwrap().len()
    }

    async fn held(&self) -> i64 {
        let balance = self.api.get("/v1/billing/balance", &self.token).await;
        crate::grid::micros(&balance.body["held_usd"])
    }
}

#[tokio::test]
async fn a_draft_is_filled_in_estimated_acknowledged_and_submitted_once() {
    let desk = Desk::open().await;
    let made = desk.post("/v1/job-drafts", Value::Null).await;
    assert_eq!(made.status, 201, "from nothing: {}", made.body);
    let id = made.text("/id");
    assert_eq!(made.body["version"], 1);
    let missing = made.body["missing"].as_object().unwrap();
    assert!(missing.contains_key("name") && missing.contains_key("image"));
    let early = desk
        .post(&format!("/v1/job-drafts/{id}/estimate"), json!({}))
        .await;
    assert_eq!(early.status, 400, "there is nothing to estimate yet");

    let patched = desk.patch(&id, script("true")).await;
    assert_eq!(patched.status, 200, "{}", patched.body);
    assert_eq!(patched.body["version"], 2);
    assert!(patched.body.get("missing").is_none(), "{}", patched.body);
    let cleared = desk
        .patch(&id, json!({ "name": null, "colour": "red" }))
        .await;
    assert!(cleared.body["missing"]["name"].is_string());
    assert_eq!(
        cleared.body["content"]["colour"], "red",
        "kept, not understood"
    );
    desk.patch(&id, json!({ "name": "mine" })).await;

    let refused = desk.submit(&id).await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.text("/code"), "ESTIMATE_NOT_ACKNOWLEDGED");
    let seen = desk.estimate(&id).await;
    assert_eq!(seen["estimate"]["state"], "ready");
    assert_eq!(seen["estimate"]["estimate"]["can_submit"], true);
    assert_eq!(seen["acknowledged"], false);
    assert_eq!(
        desk.submit(&id).await.status,
        409,
        "seen is not acknowledged"
    );
    let acknowledged = desk.acknowledge(&seen, json!({})).await;
    assert_eq!(acknowledged.status, 200, "{}", acknowledged.body);
    assert_eq!(acknowledged.body["acknowledged"], true);
    assert_eq!(desk.jobs().await, 0);

    let submitted = desk.submit(&id).await;
    assert_eq!(submitted.status, 202, "{}", submitted.body);
    let job = submitted.text("/job_id");
    let again = desk.submit(&id).await;
    assert_eq!(again.status, 202, "a second click");
    assert_eq!(again.text("/job_id"), job);
    assert_eq!(
        (desk.jobs().await, desk.see(&id).await["job_id"].clone()),
        (1, json!(job))
    );
    for refused in [
        desk.patch(&id, json!({ "name": "x" })).await,
        desk.acknowledge(&seen, json!({})).await,
        desk.post(&format!("/v1/job-drafts/{id}/estimate"), Value::Null)
            .await,
        desk.api
            .call(
                Method::DELETE,
                &format!("/v1/job-drafts/{id}"),
                &desk.token,
                Value::Null,
            )
            .await,
    ] {
        assert_eq!(refused.status, 409, "{}", refused.body);
        assert_eq!(refused.text("/code"), "ALREADY_SUBMITTED");
    }
    let drafts = desk.api.get("/v1/job-drafts", &desk.token).await;
    assert_eq!(drafts.body["drafts"], json!([]), "none waits");
    work(&desk.api).await;
    let job = desk.api.get(&format!("/v1/jobs/{job}"), &desk.token).await;
    assert_eq!(job.text("/status"), "completed");
    assert_eq!(job.text("/name"), "mine");
}

#[tokio::test]
async fn only_the_newest_estimate_of_the_draft_as_it_is_counts() {
    let desk = Desk::open().await;
    let id = desk.draft().await;
    let first = desk.estimate(&id).await;
    let same = desk.estimate(&id).await;
    assert_eq!(
        same["estimate"], first["estimate"],
        "asked twice, worked out once"
    );
    assert_eq!(desk.acknowledge(&first, json!({})).await.status, 200);
    let patched = desk.patch(&id, json!({ "timeout_seconds": 3_600 })).await;
    assert_eq!(
        patched.body["acknowledged"], false,
        "another job is another price"
    );
    assert!(patched.body.get("estimate").is_none());
    assert_eq!(desk.submit(&id).await.status, 409);
    let old = desk.acknowledge(&first, json!({})).await;
    assert_eq!(old.status, 409, "an older version's");
    assert_eq!(old.text("/code"), "ESTIMATE_OUTDATED");
    // The old estimate under the new version's number, and an estimate of nobody's.
    let forged = json!({ "version": patched.body["version"] });
    assert_eq!(desk.acknowledge(&first, forged).await.status, 409);
    let second = desk.estimate(&id).await;
    let hold = |seen: &Value| crate::grid::micros(&seen["estimate"]["estimate"]["hold_usd"]);
    assert!(hold(&second) > hold(&first), "six times as long");
    let nobodys = json!({ "estimate_id": "est_00000000000000000000000000000000" });
    assert_eq!(desk.acknowledge(&second, nobodys).await.status, 409);
    let unsure = json!({ "version": 1 });
    assert_eq!(desk.acknowledge(&second, unsure).await.status, 409);
    assert_eq!(desk.submit(&id).await.status, 409, "none of them counted");
    assert_eq!(desk.acknowledge(&second, json!({})).await.status, 200);
    assert_eq!(desk.submit(&id).await.status, 202);
    assert_eq!(
        desk.held().await,
        hold(&second),
        "what was shown is what is held"
    );
}

#[tokio::test]
async fn an_estimate_expires_before_and_after_it_is_acknowledged() {
    let desk = Desk::open().await;
    let id = desk.draft().await;
    let seen = desk.estimate(&id).await;
    assert_eq!(seen["estimate"]["expired"], false);
    desk.api.clock.advance(Duration::minutes(5));
    let stale = desk.see(&id).await;
    assert_eq!(stale["estimate"]["expired"], true);
    let late = desk.acknowledge(&seen, json!({})).await;
    assert_eq!(
        (late.status.as_u16(), late.text("/code").as_str()),
        (409, "ESTIMATE_OUTDATED")
    );
    let fresh = desk.estimate(&id).await;
    assert_ne!(
        fresh["estimate"]["estimate_id"],
        seen["estimate"]["estimate_id"]
    );
    assert_eq!(desk.acknowledge(&fresh, json!({})).await.status, 200);
    desk.api.clock.advance(Duration::minutes(5));
    assert_eq!(desk.see(&id).await["acknowledged"], false, "it lapses");
    let late = desk.submit(&id).await;
    assert_eq!(
        (late.status.as_u16(), late.text("/code").as_str()),
        (409, "ESTIMATE_OUTDATED")
    );
    assert_eq!((desk.jobs().await, desk.held().await), (0, 0));
}

#[tokio::test]
async fn without_an_estimate_one_submits_knowingly_or_not_at_all() {
    let desk = Desk::open().await;
    let id = desk.draft().await;
    desk.machine.go_away(true);
    let seen = desk.estimate(&id).await;
    assert_eq!(seen["estimate"]["state"], "failed");
    let why = seen["estimate"]["error"].as_str().unwrap();
    assert!(why.contains("it is away"), "{why}");
    assert_eq!(desk.acknowledge(&seen, json!({})).await.status, 409);
    let knowing = json!({ "without_estimate": true });
    let acknowledged = desk.acknowledge(&seen, knowing.clone()).await;
    assert_eq!(acknowledged.status, 200, "{}", acknowledged.body);
    let submitted = desk.submit(&id).await;
    assert_eq!(submitted.status, 202, "{}", submitted.body);
    let again = desk.submit(&id).await;
    assert_eq!(again.text("/job_id"), submitted.text("/job_id"));
    let whole_limit = 600 * 120_000 / 3_600;
    assert_eq!((desk.jobs().await, desk.held().await), (1, whole_limit));
    let plain = desk.post("/v1/jobs", script("true")).await;
    assert_eq!(plain.status, 503, "who has not said so needs an estimate");
    desk.machine.go_away(false);
    work(&desk.api).await;
    let job = format!("/v1/jobs/{}", submitted.text("/job_id"));
    let job = desk.api.get(&job, &desk.token).await;
    assert_eq!(job.text("/status"), "completed");
    assert_eq!(desk.held().await, 0);

    // Asking again is the way to try again.
    let other = desk.draft().await;
    desk.machine.go_away(true);
    let failed = desk.estimate(&other).await;
    desk.machine.go_away(false);
    desk.api.clock.advance(Duration::SECOND);
    let ready = desk.estimate(&other).await;
    assert_eq!(ready["estimate"]["state"], "ready");
    assert_eq!(
        desk.acknowledge(&failed, knowing).await.status,
        409,
        "there is one by now"
    );
}

#[tokio::test]
async fn what_was_submitted_unseen_and_can_never_run_is_rejected_and_paid_back() {
    let desk = Desk::open().await;
    let id = desk.draft().await;
    desk.patch(&id, json!({ "gpu_required": true })).await;
    desk.machine.go_away(true);
    let seen = desk.estimate(&id).await;
    let knowing = json!({ "without_estimate": true });
    assert_eq!(desk.acknowledge(&seen, knowing).await.status, 200);
    let job = desk.submit(&id).await.text("/job_id");
    assert!(desk.held().await > 0);
    desk.machine.go_away(false);
    work(&desk.api).await;
    let path = format!("/v1/jobs/{job}");
    let rejected = desk.api.get(&path, &desk.token).await.body;
    assert_eq!(rejected["status"], "rejected");
    assert_eq!(rejected["failure"]["code"], "REJECTED");
    let why = rejected["status_reason"].as_str().unwrap();
    assert!(why.contains("GPU"), "{why}");
    assert_eq!(desk.held().await, 0, "nothing stays set aside");
    let told = desk
        .api
        .get(&format!("{path}/events"), &desk.token)
        .await
        .body;
    let kinds = told["items"].as_array().unwrap().iter();
    let kinds: Vec<_> = kinds.map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "job.queued",
            "billing.held",
            "job.rejected",
            "billing.settled"
        ]
    );
    let cancel = desk.post(&format!("{path}/cancel"), Value::Null).await;
    assert_eq!(cancel.status, 409, "it has ended");
    assert!(desk.machine.submissions.lock().unwrap().is_empty());
}

#[tokio::test]
async fn two_clicks_at_the_same_moment_are_one_job() {
    on_each_database(async |store, dir| {
        let (api, machine) = Machine::on(store, dir);
        let token = api.sign_up("ada@example.org").await;
        let desk = Desk {
            api,
            machine,
            token,
        };
        for _ in 0..5 {
            let before = desk.jobs().await;
            let id = desk.draft().await;
            let seen = desk.estimate(&id).await;
            assert_eq!(desk.acknowledge(&seen, json!({})).await.status, 200);
            let clicks = (0..8).map(|_| desk.submit(&id));
            let answers = futures_util::future::join_all(clicks).await;
            for answer in &answers {
                assert_eq!(answer.status, 202, "{}", answer.body);
                assert_eq!(answer.text("/job_id"), answers[0].text("/job_id"));
            }
            assert_eq!(desk.jobs().await, before + 1);
        }
        let one = crate::grid::micros(
            &desk.estimate(&desk.draft().await).await["estimate"]["estimate"]["hold_usd"],
        );
        assert_eq!(desk.held().await, 5 * one);
    })
    .await;
}

#[tokio::test]
async fn the_same_key_at_the_same_moment_is_one_job_on_every_database() {
    on_each_database(async |store, dir| {
        let (api, _machine) = Machine::on(store, dir);
        let token = api.sign_up("ada@example.org").await;
        for round in 0..5 {
            let send = || {
                let request = http::Request::builder()
                    .method(Method::POST)
                    .uri("/v1/jobs")
                    .header("authorization", format!("Bearer {token}"))
                    .header("idempotency-key", format!("round-{round}"));
                api.send(request.body(script("true").to_string().into()).unwrap())
            };
            let answers = futures_util::future::join_all((0..8).map(|_| send())).await;
            for answer in &answers {
                assert_eq!(answer.status, 202, "{}", answer.body);
                assert_eq!(answer.body, answers[0].body);
            }
        }
        let jobs = api.get("/v1/jobs", &token).await;
        assert_eq!(jobs.body["jobs"].as_array().unwrap().len(), 5);
        let mut conn = api.state.store().read().await.unwrap();
        junglegrid::store::ledger::check(&mut conn).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_draft_of_a_job_is_a_copy_of_what_was_submitted() {
    let desk = Desk::open().await;
    let whole = json!({
        "name": "whole", "workload_type": "fine-tuning", "image": "host",
        "command": "python3 train.py --lr 0.1 | tee log", "environment": { "A": "", "B": "2" },
        "timeout_seconds": 77, "expected_artifacts": ["/workspace/artifacts/a/b.txt"],
        "metadata": { "n": null }, "model_size_gb": 2.5, "cpu_count": 2, "optimize_for": "cost",
        "max_price_per_hour": 0.5, "region_preference": "eu", "latency_priority": "high",
    });
    let job = desk.post("/v1/jobs", whole.clone()).await;
    assert_eq!(job.status, 202, "{}", job.body);
    let body = json!({ "from_job": job.text("/job_id"), "content": { "name": "copy" } });
    let copy = desk.post("/v1/job-drafts", body).await;
    assert_eq!(copy.status, 201, "{}", copy.body);
    assert_eq!(copy.body["content"], and(whole, json!({ "name": "copy" })));
    assert!(copy.body.get("missing").is_none());
    let words = json!({ "command": ["a b", "", "c"], "args": ["$HOME"] });
    let job = desk.post("/v1/jobs", and(script(""), words)).await;
    assert_eq!(job.status, 400, "an empty word is no command");
    let words = json!({ "command": ["a b", "c"], "args": ["$HOME", ""] });
    let job = desk.post("/v1/jobs", and(script(""), words)).await;
    let body = json!({ "from_job": job.text("/job_id") });
    let copy = desk.post("/v1/job-drafts", body).await;
    assert!(
        copy.body.get("missing").is_none(),
        "it can be submitted: {}",
        copy.body
    );
    let id = copy.text("/id");
    let seen = desk.estimate(&id).await;
    assert_eq!(desk.acknowledge(&seen, json!({})).await.status, 200);
    let second = desk.submit(&id).await.text("/job_id");
    let shown = async |id: &str| {
        let job = desk.api.get(&format!("/v1/jobs/{id}"), &desk.token).await;
        job.text("/command")
    };
    assert_eq!(shown(&second).await, shown(&job.text("/job_id")).await);
}

#[tokio::test]
async fn drafts_are_listed_last_changed_first_deleted_and_forgotten() {
    let desk = Desk::open().await;
    let (one, two) = (desk.draft().await, desk.draft().await);
    desk.api.clock.advance(Duration::SECOND);
    desk.patch(&one, json!({ "name": "newer" })).await;
    let listed = async || {
        let list = desk.api.get("/v1/job-drafts", &desk.token).await.body;
        assert_eq!(list["has_more"], false);
        let drafts = list["drafts"].as_array().unwrap().iter();
        drafts
            .map(|d| d["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [one.clone(), two.clone()]);
    let delete = async |id: &str| {
        let path = format!("/v1/job-drafts/{id}");
        desk.api
            .call(Method::DELETE, &path, &desk.token, json!({}))
            .await
    };
    assert_eq!(delete(&two).await.status, 200);
    assert_eq!(delete(&two).await.status, 404, "twice");
    assert_eq!(listed().await, std::slice::from_ref(&one));
    // Used all the time, so that only the draft grows old.
    for _ in 0..31 {
        desk.api.clock.advance(Duration::hours(23));
        desk.api.get("/auth/session", &desk.token).await;
    }
    let token = desk
        .api
        .post(
            "/auth/signin",
            json!({
                "email": "ada@example.org", "password": crate::harness::PASSWORD,
            }),
        )
        .await
        .text("/token");
    let desk = Desk { token, ..desk };
    desk.api.clock.advance(Duration::hours(8));
    let old = desk
        .api
        .get(&format!("/v1/job-drafts/{one}"), &desk.token)
        .await;
    assert_eq!(old.status, 404, "{}", old.body);
    let list = desk.api.get("/v1/job-drafts", &desk.token).await.body;
    assert_eq!(list["drafts"], json!([]));
}
