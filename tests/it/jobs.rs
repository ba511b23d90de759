//! Jobs from the estimate to the bill, over TCP, run for real.
mod drafts;
mod ends;
mod estimates;
mod followed;
mod live;
mod queue;
mod routes;
mod upkeep;

use crate::grid::{Grid, WAIT, WELCOME, and, eventually, micros, script};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_job_is_estimated_submitted_run_and_paid() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    assert_eq!(ada.wallet().await, (WELCOME, 0, 0));
    let wanted = and(
        script(&format!("echo one; echo two >&2; {WAIT}; echo three")),
        json!({ "name": "first", "metadata": { "client_request_id": "a-1", "n": null } }),
    );

    let estimate = ada.post("/v1/jobs/estimate", wanted.clone()).await;
    assert_eq!(estimate.status, 200, "{}", estimate.body);
    let estimate = estimate.body;
    assert_eq!(estimate["available"], true);
    assert_eq!(estimate["can_submit"], true);
    assert_eq!(estimate["screening"]["can_submit"], true);
    let low = micros(&estimate["estimated_cost_min_usd"]);
    let high = micros(&estimate["estimated_cost_max_usd"]);
    let hold = micros(&estimate["hold_usd"]);
    assert!(0 < low && low <= high && high <= hold, "{estimate}");
    let rate = micros(&estimate["estimated_hourly_rate_usd"]);
    assert_eq!(hold, (rate * 600 + 3_599) / 3_600, "ten minutes at most");
    assert_eq!(ada.wallet().await, (WELCOME, 0, 0), "an estimate is free");
    assert_eq!(ada.see("/v1/jobs").await["jobs"], json!([]));

    let submitted = ada.post("/v1/jobs", wanted).await;
    assert_eq!(submitted.status, 202, "{}", submitted.body);
    let id = submitted.text("/job_id");
    assert_eq!(submitted.text("/id"), id);
    assert_eq!(submitted.text("/status"), "queued");
    assert_eq!(micros(&submitted.body["hold_usd"]), hold);
    let events = ada.events(&id).await;
    assert_eq!(events[0]["type"], "job.queued", "there before any output");

    let listed = ada.see("/v1/jobs").await;
    assert_eq!(listed["jobs"][0]["id"], json!(id));
    assert_eq!(listed["jobs"][0]["metadata"]["client_request_id"], "a-1");
    assert!(listed["next_cursor"].is_null() && listed["has_more"] == false);

    let running = ada.running(&id).await;
    assert_eq!(running["phase"], "executing");
    assert_eq!(running["billing"]["status"], "held");
    assert_eq!(running["actual_cost_usd"], Value::Null);
    assert_eq!(ada.wallet().await.1, hold);
    let early = ada.get(&format!("/v1/jobs/{id}/runtime")).await;
    assert_eq!(early.status, 200);
    assert!(early.body.get("exit_code").is_none(), "{}", early.body);
    assert_eq!(
        early.text("/runtime_availability/exit_code/state"),
        "delayed"
    );

    grid.let_go(&id);
    let job = ada.ended(&id).await;
    assert_eq!(job["status"], "completed");
    assert_eq!(job["exit_code"], 0);
    assert_eq!(
        job["metadata"],
        json!({ "client_request_id": "a-1", "n": null })
    );
    assert!(job.get("failure").is_none() && job.get("phase").is_none());
    assert!(job["startup_diagnostics"]["workload_logs_available"] == true);
    let cost = micros(&job["actual_cost_usd"]);
    assert!(0 < cost && cost < hold, "{cost}");
    assert_eq!(micros(&job["billing"]["final_cost_usd"]), cost);
    assert_eq!(job["billing"]["status"], "settled");
    assert_eq!(ada.wallet().await, (WELCOME - cost, 0, cost));

    let runtime = ada.see(&format!("/v1/jobs/{id}/runtime")).await;
    assert_eq!(runtime["exit_code"], 0);
    assert_eq!(runtime["stdout_tail"], "one\nthree");
    assert_eq!(runtime["stderr_tail"], "two");
    let events = ada.events(&id).await;
    let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "job.queued",
            "billing.held",
            "job.assigned",
            "job.started",
            "job.completed",
            "billing.settled"
        ]
    );
    assert_eq!(json!(events.len()), job["last_event"]);
    let later = ada
        .see(&format!("/v1/jobs/{id}/events?cursor=4&limit=1"))
        .await;
    assert_eq!(later["items"].as_array().unwrap()[..], events[4..5]);
}

#[tokio::test]
async fn output_is_paged_from_first_to_last_without_gap_or_repeat() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let printing = "i=1; while [ $i -le 1234 ]; do echo out $i; i=$((i+1)); done; \
                    i=1; while [ $i -le 20 ]; do echo err $i >&2; i=$((i+1)); done";
    let id = ada.submit(script(printing)).await;
    let none_yet = ada.see(&format!("/v1/jobs/{id}/logs")).await;
    assert!(none_yet["next_cursor"].is_string(), "{none_yet}");
    ada.ended(&id).await;

    let all = ada.lines(&id, 1_000).await;
    assert_eq!(all.len(), 1_254);
    for (line, entry) in all.iter().zip(1..) {
        assert_eq!(line["entry_id"], json!(entry));
        assert_eq!(line["timestamp"], line["created_at"]);
    }
    for (stream, level) in [("stdout", "info"), ("stderr", "error")] {
        let of = all.iter().filter(|line| line["stream"] == stream);
        let word = &stream[3..];
        for (line, n) in of.zip(1..) {
            assert_eq!(line["message"], format!("{word} {n}"));
            assert_eq!(line["category"], format!("workload_{stream}"));
            assert_eq!(line["level"], level);
        }
    }
    for page in [7, 100, 999] {
        assert_eq!(ada.lines(&id, page).await, all, "in pages of {page}");
    }

    let see = async |query: &str| ada.see(&format!("/v1/jobs/{id}/logs?{query}")).await;
    let of = |page: &Value| page["items"].as_array().unwrap().clone();
    let default = see("").await;
    assert_eq!((&default["limit"], of(&default).len()), (&json!(100), 100));
    assert_eq!(default["has_more"], true);
    for (asked, given) in [("0", 1), ("-5", 1), ("1000", 1_000), ("99999", 1_000)] {
        let page = see(&format!("limit={asked}")).await;
        assert_eq!(page["limit"], json!(given), "limit={asked}");
        assert_eq!(of(&page).len(), given);
    }
    let tail = see("tail=3").await;
    assert_eq!(of(&tail), all[all.len() - 3..]);
    assert_eq!(tail["has_more"], false);
    assert_eq!(of(&see("tail=9999").await).len(), 500);
    let errors = see("stream=stderr&limit=1000").await;
    assert_eq!(errors["stream"], "stderr");
    assert_eq!(of(&errors).len(), 20);
    assert_eq!(
        of(&see("stream=stdout&tail=1").await)[0]["message"],
        "out 1234"
    );
    let end = see("cursor=1254").await;
    assert_eq!(of(&end), [] as [Value; 0]);
    assert_eq!(end["next_cursor"], "1254", "the cursor comes back");
}

#[tokio::test]
async fn the_list_pages_and_filters() {
    let grid = Grid::with(&["--host-slots", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let mut ids = Vec::new();
    let blocker = ada.submit(script("sleep 600")).await;
    ada.running(&blocker).await;
    for n in 0..5 {
        let kind = if n % 2 == 0 { "batch" } else { "training" };
        let more = json!({ "name": format!("Job 10{n}%"), "workload_type": kind });
        ids.push(ada.submit(and(script("true"), more)).await);
    }
    ids.reverse();
    ids.push(blocker.clone());
    let found = async |query: &str| {
        let page = ada.see(&format!("/v1/jobs?{query}")).await;
        let jobs = page["jobs"].as_array().unwrap();
        let ids = jobs
            .iter()
            .map(|job| job["id"].as_str().unwrap().to_owned());
        (ids.collect::<Vec<_>>(), page.clone())
    };
    assert_eq!(found("").await.0, ids, "newest first");
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let (page, whole) = found(&format!("limit=2&cursor={cursor}")).await;
        assert_eq!(whole["limit"], 2);
        paged.extend(page);
        match whole["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(paged, ids);
    assert_eq!(
        found("status=running").await.0,
        std::slice::from_ref(&blocker)
    );
    assert_eq!(found("status=queued").await.0, ids[..5]);
    assert_eq!(found("status=active").await.0, ids);
    assert_eq!(found("status=canceled").await.0, [] as [String; 0]);
    let training = [ids[1].clone(), ids[3].clone()];
    assert_eq!(found("workload_type=training").await.0, training);
    assert_eq!(found("q=JOB+103%25").await.0, [ids[1].clone()]);
    assert_eq!(found("q=1_3").await.0, [] as [String; 0], "no wildcard");
    assert_eq!(found(&format!("q={blocker}")).await.0, [blocker]);
    assert_eq!(found("limit=0").await.1["limit"], 1);
    assert_eq!(found("limit=1000").await.1["limit"], 100);
    assert_eq!(found("colour=red").await.0, ids, "unknown ones are ignored");
}

#[tokio::test]
async fn the_jobs_of_others_are_not_there() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let eve = grid.sign_up("eve@example.org").await;
    let id = ada.submit(script("sleep 600")).await;
    ada.running(&id).await;
    let draft = ada.post("/v1/job-drafts", json!({})).await.text("/id");
    let seen = json!({ "estimate_id": "est_00000000000000000000000000000000", "version": 1 });
    let job = |rest: &str| format!("/v1/jobs/{id}{rest}");
    let drafted = |rest: &str| format!("/v1/job-drafts/{draft}{rest}");
    let mcp = |rest: &str| format!("/v1/mcp/jobs/{id}{rest}");
    for (method, path, body) in [
        (Method::GET, job(""), Value::Null),
        (Method::GET, job("/runtime"), Value::Null),
        (Method::GET, job("/events"), Value::Null),
        (Method::GET, job("/logs"), Value::Null),
        (Method::GET, job("/logs/live"), Value::Null),
        (Method::GET, job("/live"), Value::Null),
        (Method::POST, job("/cancel"), Value::Null),
        (Method::GET, mcp(""), Value::Null),
        (Method::GET, mcp("/logs"), Value::Null),
        (Method::POST, mcp("/cancel"), Value::Null),
        (
            Method::POST,
            "/v1/job-drafts".into(),
            json!({ "from_job": id }),
        ),
        (Method::GET, drafted(""), Value::Null),
        (Method::PATCH, drafted(""), json!({ "content": {} })),
        (Method::DELETE, drafted(""), Value::Null),
        (Method::POST, drafted("/estimate"), Value::Null),
        (Method::POST, drafted("/acknowledge"), seen),
        (Method::POST, drafted("/submit"), Value::Null),
    ] {
        let answer = eve.call(method.clone(), &path, body).await;
        assert_eq!(answer.status, 404, "{method} {path}: {}", answer.body);
        assert_eq!(answer.text("/error/code"), "NOT_FOUND");
    }
    assert_eq!(eve.see("/v1/jobs").await["jobs"], json!([]));
    assert_eq!(eve.see("/v1/job-drafts").await["drafts"], json!([]));
    let overview = eve.see("/v1/overview").await;
    assert_eq!(overview["running"], 0);
    assert_eq!(overview["recent"], json!([]));
    assert_eq!(eve.wallet().await, (WELCOME, 0, 0));
    assert_eq!(ada.job(&id).await["status"], "running", "it goes on");
    assert_eq!(ada.see(&drafted("")).await["version"], 1);
}

#[tokio::test]
async fn who_cannot_pay_gets_nothing_and_leaves_nothing() {
    let grid = Grid::with(&["--hourly-rate", "0.30", "--host-slots", "2"]);
    let ada = grid.sign_up("ada@example.org").await;
    // Sixteen hours at 0.30 are 4.80: not twice.
    let long = and(script("sleep 600"), json!({ "timeout_seconds": 57_600 }));
    let first = ada.submit(long.clone()).await;
    let before = ada.wallet().await;
    assert_eq!(before, (200_000, 4_800_000, 0));
    let request = grid.request(Method::POST, "/v1/jobs");
    let request = request
        .bearer_auth(&ada.token)
        .header("idempotency-key", "k");
    let refused = request.body(long.to_string()).send().await.unwrap();
    assert_eq!(refused.status(), 402);
    let refused: Value = serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap();
    assert_eq!(refused["code"], "INSUFFICIENT_FUNDS");
    assert!(
        refused["message"].as_str().unwrap().contains("$4.80"),
        "{refused}"
    );
    assert_eq!(ada.wallet().await, before);
    let jobs = ada.see("/v1/jobs").await;
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1);
    // The same key works once there is money: a refusal is not kept.
    let cancelled = ada
        .post(&format!("/v1/jobs/{first}/cancel"), Value::Null)
        .await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.body);
    let request = grid.request(Method::POST, "/v1/jobs");
    let request = request
        .bearer_auth(&ada.token)
        .header("idempotency-key", "k");
    let again = request.body(long.to_string()).send().await.unwrap();
    assert_eq!(again.status(), 202);
    ada.wallet().await;
}

#[tokio::test]
async fn the_same_key_submits_once() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let send = async |key: &str, job: &Value| {
        let request = grid.request(Method::POST, "/v1/jobs");
        let request = request
            .bearer_auth(&ada.token)
            .header("idempotency-key", key);
        let answer = request.body(job.to_string()).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
        (status, body)
    };
    let job = script("true");
    let twelve = futures_util::future::join_all((0..12).map(|_| send("once", &job))).await;
    for answer in &twelve {
        assert_eq!(
            (answer.0, &answer.1),
            (202, &twelve[0].1),
            "at the same moment"
        );
    }
    let id = twelve[0].1["job_id"].as_str().unwrap().to_owned();
    ada.ended(&id).await;
    assert_eq!(send("once", &job).await, twelve[0], "and after its end");
    let (status, other) = send("once", &script("false")).await;
    assert_eq!(
        (status, &other["code"]),
        (422, &json!("IDEMPOTENCY_KEY_REUSED"))
    );
    let (_, second) = send("twice", &job).await;
    assert_ne!(second["job_id"], json!(id));
    let (_, third) = (ada.submit(job.clone()).await, ada.submit(job.clone()).await);
    ada.ended(&third).await;
    let jobs = ada.see("/v1/jobs").await["jobs"].as_array().unwrap().len();
    assert_eq!(jobs, 4, "one for each key, and two without");
    // Another workspace's key is another key.
    let eve = grid.sign_up("eve@example.org").await;
    let request = grid.request(Method::POST, "/v1/jobs");
    let request = request
        .bearer_auth(&eve.token)
        .header("idempotency-key", "once");
    let theirs = request.body(job.to_string()).send().await.unwrap();
    assert_eq!(theirs.status(), 202);
    eventually("the end of all", async || {
        let active = ada.see("/v1/jobs?status=active").await;
        (active["jobs"] == json!([])).then_some(())
    })
    .await;
    assert_eq!(ada.wallet().await.1, 0, "nothing stays held");
}
