//! Estimates that learn from what jobs took, and say how well they did.
use crate::grid::{and, script};
use crate::harness::TestApi;
use crate::stub::{Machine, work};
use http::Method;
use serde_json::{Value, json};

async fn estimate(api: &TestApi, token: &str, job: &Value) -> Value {
    let path = "/v1/jobs/estimate";
    let found = api.call(Method::POST, path, token, job.clone()).await;
    assert_eq!(found.status, 200, "{}", found.body);
    found.body
}

async fn run(api: &TestApi, token: &str, job: &Value) -> Value {
    let submitted = api.call(Method::POST, "/v1/jobs", token, job.clone()).await;
    assert_eq!(submitted.status, 202, "{}", submitted.body);
    work(api).await;
    let id = submitted.text("/job_id");
    let done = api.get(&format!("/v1/jobs/{id}"), token).await.body;
    assert_eq!(done["status"], "completed", "{done}");
    done
}

#[tokio::test]
async fn a_workspace_is_told_from_its_own_jobs_and_how_well_that_went() {
    let (api, _machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    let job = script("true");
    let first = estimate(&api, &ada, &job).await;
    assert_eq!(first["runtime_basis_kind"], "time_limit");
    assert_eq!(first["confidence"], "low");
    assert_eq!(first["calibration"]["of"], 0);
    assert!(
        first["calibration"]["message"]
            .as_str()
            .unwrap()
            .contains("Too few")
    );
    assert_eq!(
        first["capacity_status"]["immediate_capacity_confirmed"],
        true
    );
    for _ in 0..6 {
        run(&api, &ada, &job).await;
    }
    let found = estimate(&api, &ada, &job).await;
    assert_eq!(found["runtime_basis_kind"], "own");
    assert_eq!(found["runtime_sample_count"], 6);
    assert_eq!(found["runtime_confidence"], "medium");
    assert_eq!(
        found["runtime_basis"],
        "From 6 like jobs of yours, the last on 23 Nov 2026."
    );
    // Each took ten seconds.
    assert_eq!(found["estimated_runtime_min_seconds"], 9);
    assert_eq!(found["estimated_runtime_max_seconds"], 12);
    // The first said only its time limit.
    let past = &found["calibration"];
    assert_eq!(
        (&past["held"], &past["of"]),
        (&json!(5), &json!(5)),
        "{past}"
    );
    assert_eq!(past["message"], "Past ranges held 5 of 5 times.");
    let other = and(
        job.clone(),
        json!({ "command": ["/bin/sh", "-c", "false"] }),
    );
    let other = estimate(&api, &ada, &other).await;
    assert_eq!(other["runtime_basis_kind"], "own_kind", "another command");
    let sized = and(job, json!({ "model_size_gb": 14 }));
    let sized = estimate(&api, &ada, &sized).await;
    assert_eq!(sized["runtime_basis_kind"], "rule");
    assert_eq!(sized["estimated_runtime_min_seconds"], 7);
}

#[tokio::test]
async fn others_are_only_told_of_as_a_crowd() {
    let (api, _machine) = Machine::start().await;
    let job = script("true");
    for n in 0..2 {
        let token = api.sign_up(&format!("secret{n}@example.org")).await;
        for _ in 0..3 {
            run(&api, &token, &job).await;
        }
    }
    let eve = api.sign_up("eve@example.org").await;
    let two = estimate(&api, &eve, &job).await;
    assert_eq!(two["runtime_basis_kind"], "time_limit", "two are no crowd");
    let third = api.sign_up("secret2@example.org").await;
    run(&api, &third, &job).await;
    let found = estimate(&api, &eve, &job).await;
    assert_eq!(found["runtime_basis_kind"], "everyone");
    assert_eq!(found["runtime_sample_count"], 7);
    assert_eq!(found["runtime_confidence"], "low");
    // Ten seconds each, told in round figures.
    assert_eq!(found["estimated_runtime_max_seconds"], 30);
    assert!(!found.to_string().contains("secret"), "{found}");
}

#[tokio::test]
async fn a_job_keeps_what_was_acknowledged_and_its_outcome() {
    let (api, _machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    let job = run(&api, &ada, &script("true")).await;
    let mut conn = api.state.store().read().await.unwrap();
    let row: (String, i64, i64, i64, i64, i16, i16) = sqlx::query_as(
        "SELECT basis, runtime_high, runtime_ms, wait_ms, cost, counts, judged
         FROM predictions WHERE job = $1",
    )
    .bind(job["id"].as_str().unwrap())
    .fetch_one(&mut *conn)
    .await
    .unwrap();
    let cost = crate::grid::micros(&job["actual_cost_usd"]);
    assert_eq!(row, ("time_limit".into(), 600, 10_000, 0, cost, 1, 0));
}

#[tokio::test]
async fn what_gpus_there_are_in_the_world_is_known() {
    let api = TestApi::start().await;
    let ada = api.sign_up("ada@example.org").await;
    let known = api.get("/v1/gpu-catalogue", &ada).await.body;
    assert_eq!(known["has_more"], false);
    let gpus = known["gpus"].as_array().unwrap();
    let of = |id: &str| gpus.iter().find(|gpu| gpu["id"] == id).unwrap();
    assert_eq!(of("L40S")["vram_gb"], json!([48]));
    assert_eq!(of("RTX4090")["class"], "consumer");
    assert!(of("MI210").get("typical_hourly_rate_usd").is_none());
    for gpu in gpus {
        assert!(gpu["dated"].as_str().is_some_and(|date| date.len() == 10));
    }
}
