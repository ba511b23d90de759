//! Jobs that wait for a slot, and images that nobody pulls.
use crate::grid::{Grid, WAIT, and, eventually, script};
use serde_json::{Value, json};

#[tokio::test]
async fn jobs_wait_for_a_slot_and_start_in_the_order_of_their_coming() {
    let grid = Grid::with(&["--host-slots", "2"]);
    let ada = grid.sign_up("ada@example.org").await;
    let eve = grid.sign_up("eve@example.org").await;
    let blockers = [
        ada.submit(script("sleep 600")).await,
        ada.submit(script("sleep 600")).await,
    ];
    for id in &blockers {
        ada.running(id).await;
    }
    let mut waiting = Vec::new();
    for n in 0..6 {
        let whose = if n % 2 == 0 { &ada } else { &eve };
        waiting.push((whose, whose.submit(script("sleep 0.02")).await));
    }
    for (n, (whose, id)) in waiting.iter().enumerate() {
        let job = whose.job(id).await;
        assert_eq!(job["status"], "queued");
        assert_eq!(job["delay_reason"]["code"], "CAPACITY", "{job}");
        let message = job["delay_reason"]["message"].as_str().unwrap();
        let place = match n {
            0 => "next".to_owned(),
            1 => "One job is in front".to_owned(),
            n => format!("{n} jobs are in front"),
        };
        assert!(message.contains(&place), "{message}");
        assert!(message.contains("2 slots"), "{message}");
    }
    let estimate = ada.post("/v1/jobs/estimate", script("true")).await.body;
    assert_eq!(estimate["capacity_status"]["availability"], "limited");
    assert_eq!(
        estimate["capacity_status"]["immediate_capacity_confirmed"],
        false
    );
    assert_eq!(estimate["can_submit"], true, "later is not never");
    let overview = ada.see("/v1/overview").await;
    assert_eq!(
        (&overview["running"], &overview["queued"]),
        (&json!(2), &json!(3))
    );
    assert_eq!(overview["slots_used"], 2);
    let freed = ada
        .post(&format!("/v1/jobs/{}/cancel", blockers[0]), Value::Null)
        .await;
    assert_eq!(freed.status, 200);
    let mut started = Vec::new();
    for (whose, id) in &waiting {
        let job = whose.ended(id).await;
        assert_eq!(job["status"], "completed");
        assert!(job.get("delay_reason").is_none());
        let at = job["started_at"].as_str().unwrap();
        let format = &time::format_description::well_known::Rfc3339;
        started.push(time::OffsetDateTime::parse(at, format).unwrap());
    }
    assert!(started.is_sorted(), "{started:?}");
    assert_eq!(ada.job(&blockers[1]).await["status"], "running");
}

#[tokio::test]
async fn jobs_go_on_while_the_server_is_away_and_are_taken_up_again() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let counting = format!(
        "i=1; while [ $i -le 40 ]; do echo $i; i=$((i+1)); [ $i -ne 20 ] || {WAIT}; sleep 0.05; done; exit 5"
    );
    let id = ada.submit(script(&counting)).await;
    ada.until(&id, "the first line", |job| {
        job["startup_diagnostics"]["workload_logs_available"] == true
    })
    .await;
    let before = ada.job(&id).await;
    assert_eq!(before["status"], "running", "what prints has started");
    grid.stop();
    grid.let_go(&id);
    grid.run();
    let job = ada.ended(&id).await;
    assert_eq!(job["exit_code"], 5);
    assert_eq!(job["started_at"], before["started_at"]);
    let lines = ada.lines(&id, 1_000).await;
    let said: Vec<_> = lines
        .iter()
        .map(|l| l["message"].as_str().unwrap())
        .collect();
    let all: Vec<String> = (1..=40).map(|n: i32| n.to_string()).collect();
    assert_eq!(said, all);
    ada.events(&id).await;
    ada.wallet().await;
}

#[tokio::test]
async fn an_image_is_refused_unless_the_operator_lets_it_be_ignored() {
    let with_image = and(
        script("echo ran"),
        json!({ "image": "ghcr.io/moabi/train:v2" }),
    );
    let strict = Grid::start();
    let ada = strict.sign_up("ada@example.org").await;
    let estimate = ada.post("/v1/jobs/estimate", with_image.clone()).await.body;
    assert_eq!(estimate["available"], false);
    assert_eq!(estimate["screening"]["can_submit"], false);
    assert_eq!(estimate["unavailable_code"], "IMAGE_UNSUPPORTED");
    let refused = ada.post("/v1/jobs", with_image.clone()).await;
    assert_eq!(refused.status, 422);
    assert_eq!(refused.text("/code"), "IMAGE_UNSUPPORTED");
    assert!(refused.fault("image").is_some());
    assert_eq!(ada.see("/v1/jobs").await["jobs"], json!([]));
    drop(strict);

    let lenient = Grid::with(&["--host-images", "any"]);
    let ada = lenient.sign_up("ada@example.org").await;
    let estimate = ada.post("/v1/jobs/estimate", with_image.clone()).await.body;
    assert_eq!(estimate["can_submit"], true);
    assert_eq!(estimate["screening"]["status"], "warning");
    let warned = |of: &Value| of["warnings"].to_string().contains("train:v2 is not used");
    assert!(warned(&estimate), "{estimate}");
    let id = ada.submit(with_image).await;
    let job = ada.ended(&id).await;
    assert_eq!(job["status"], "completed");
    assert!(warned(&job), "{job}");
    assert_eq!(job["image"], "ghcr.io/moabi/train:v2");
    assert_eq!(ada.lines(&id, 10).await[0]["message"], "ran");
}

#[tokio::test]
async fn what_cannot_run_here_is_refused_with_a_way_out() {
    let grid = Grid::with(&["--max-run-hours", "2"]);
    let ada = grid.sign_up("ada@example.org").await;
    let none = json!({ "command": null });
    for (more, code, field) in [
        (
            json!({ "gpu_required": true }),
            "GPU_UNAVAILABLE",
            "gpu_required",
        ),
        (
            json!({ "timeout_seconds": 7_201 }),
            "TIME_LIMIT_TOO_LONG",
            "timeout_seconds",
        ),
        (
            json!({ "cpu_count": 1_024 }),
            "MACHINE_TOO_SMALL",
            "cpu_count",
        ),
        (
            json!({ "memory_gb": 99_999 }),
            "MACHINE_TOO_SMALL",
            "memory_gb",
        ),
        (json!({ "disk_gb": 999_999 }), "DISK_TOO_SMALL", "disk_gb"),
        (
            json!({ "gpu_type": "H100" }),
            "GPU_UNAVAILABLE",
            "gpu_required",
        ),
        (none, "COMMAND_REQUIRED", "command"),
    ] {
        let job = and(script("true"), more);
        let refused = ada.post("/v1/jobs", job.clone()).await;
        assert_eq!(refused.status, 422, "{job}");
        assert_eq!(refused.text("/error/code"), code, "{job}");
        assert!(refused.fault(field).is_some(), "{}", refused.body);
        let estimate = ada.post("/v1/jobs/estimate", job).await;
        assert_eq!(estimate.status, 200);
        assert_eq!(
            estimate.body["can_submit"], false,
            "the estimate says so too"
        );
        assert_eq!(estimate.text("/unavailable_code"), code);
    }
    let active = eventually("an answer", async || Some(ada.see("/v1/jobs").await)).await;
    assert_eq!(active["jobs"], json!([]));
}
