//! Which machine a job gets of several, and what is said of what it does not get.
use crate::grid::{and, script};
use crate::harness::TestApi;
use crate::stub::Machine;
use http::Method;
use junglegrid::orchestrator::workers::scheduler;
use serde_json::{Value, json};
use tokio_util::task::TaskTracker;

async fn estimate(api: &TestApi, token: &str, more: Value) -> Value {
    let job = and(script("true"), more);
    let mut seen = Vec::new();
    for path in ["/v1/jobs/estimate", "/v1/mcp/jobs/estimate"] {
        let found = api.call(Method::POST, path, token, job.clone()).await;
        assert_eq!(found.status, 200, "{}", found.body);
        seen.push(found.body.get("data").unwrap_or(&found.body).clone());
    }
    for field in ["constraints_relaxed", "screening", "queue_wait_basis"] {
        assert_eq!(seen[0].get(field), seen[1].get(field), "{field}");
    }
    seen.swap_remove(0)
}

/// Lets a job in, and where it was placed, if it was.
async fn place(api: &TestApi, machine: &Machine, token: &str, more: Value) -> Option<String> {
    let job = and(script("true"), more);
    let job = api.call(Method::POST, "/v1/jobs", token, job).await;
    assert_eq!(job.status, 202, "{}", job.body);
    let id = job.text("/job_id");
    machine.set(&id, Machine::running());
    scheduler::tick(&api.state, &TaskTracker::new())
        .await
        .unwrap();
    let job = api.get(&format!("/v1/jobs/{id}"), token).await.body;
    job["assigned_node_id"].as_str().map(str::to_owned)
}

fn rows(estimate: &Value) -> Vec<(&str, &str, &str)> {
    let rows = estimate["constraints_relaxed"].as_array().unwrap();
    assert_eq!(
        estimate["constraints_relaxed_applied"],
        !rows.is_empty(),
        "{estimate}"
    );
    rows.iter()
        .map(|row| {
            let text = |field: &str| row[field].as_str().unwrap();
            assert!(text("reason").ends_with('.'), "{row}");
            (text("field"), text("asked"), text("got"))
        })
        .collect()
}

#[tokio::test]
async fn two_gpus_on_two_machines_are_not_two_on_one() {
    let (api, machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    machine.has(&[("a", "L4", 1), ("b", "L40S", 1)]);
    let both = json!({ "gpu_count": 2 });
    let never = estimate(&api, &ada, both.clone()).await;
    assert_eq!(never["can_submit"], false);
    assert_eq!(
        never["screening"]["blocked_checks"][0]["field"],
        "gpu_count"
    );
    machine.has(&[("a", "L4", 2), ("b", "L40S", 2)]);
    let now = estimate(&api, &ada, both.clone()).await;
    assert_eq!(now["capacity_status"]["availability"], "available");
    for (family, node) in [("L4", "a"), ("L40S", "b")] {
        let one = json!({ "gpu_type": family });
        let there = place(&api, &machine, &ada, one).await;
        assert_eq!(there.as_deref(), Some(node));
    }
    // Two are free, one on each; and there are slots.
    let later = estimate(&api, &ada, both.clone()).await;
    assert_eq!(later["can_submit"], true, "it can run here");
    assert_eq!(later["screening"]["status"], "passed");
    assert_eq!(later["capacity_status"]["availability"], "limited");
    assert_eq!(later["capacity"]["live_capacity_available"], false);
    let basis = later["queue_wait_basis"].as_str().unwrap();
    assert!(
        basis.contains("2 of 4 GPUs that fit are free. No one machine has 2 free."),
        "{basis}"
    );
    let one = estimate(&api, &ada, json!({ "gpu_count": 1 })).await;
    assert_eq!(one["capacity_status"]["availability"], "available");
    let waits = place(&api, &machine, &ada, both).await;
    assert_eq!(waits, None, "the scheduler says the same");
    let jobs = api.get("/v1/jobs?status=queued", &ada).await.body;
    let id = jobs["jobs"][0]["id"].as_str().unwrap();
    let job = api.get(&format!("/v1/jobs/{id}"), &ada).await.body;
    assert_eq!(
        job["delay_reason"]["message"],
        "No machine has 2 GPUs free. This job is next."
    );
}

#[tokio::test]
async fn each_machine_has_slots_of_its_own() {
    let (api, machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    machine.has(&[("a", "", 0), ("b", "", 0), ("c", "", 0)]);
    let mut placed = Vec::new();
    for _ in 0..5 {
        placed.push(place(&api, &machine, &ada, json!({})).await.unwrap());
    }
    assert_eq!(placed, ["a", "a", "b", "b", "c"]);
    let found = estimate(&api, &ada, json!({})).await;
    assert_eq!(found["placement"], "c");
    assert_eq!(found["queue_wait_basis"], "1 slot is free right now.");
    let nodes = api.get("/v1/nodes", &ada).await.body;
    let nodes = nodes["nodes"].as_array().unwrap();
    let used: Vec<_> = nodes.iter().map(|node| &node["slots_used"]).collect();
    assert_eq!(used, [2, 2, 1]);
    assert!(place(&api, &machine, &ada, json!({})).await.is_some());
    assert_eq!(place(&api, &machine, &ada, json!({})).await, None);
    let full = estimate(&api, &ada, json!({})).await;
    let basis = full["queue_wait_basis"].as_str().unwrap();
    assert!(
        basis.starts_with("6 running on 6 slots, 1 waiting in front."),
        "{basis}"
    );
}

#[tokio::test]
async fn every_wish_that_is_not_met_is_a_row() {
    let (api, machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    machine.has(&[("a", "L4", 1), ("b", "L40S", 1)]);
    let gpu = |more: Value| and(json!({ "gpu_count": 1 }), more);
    for (asked, rows_of) in [
        (gpu(json!({})), vec![]),
        (gpu(json!({ "optimize_for": "speed" })), vec![]),
        (gpu(json!({ "latency_priority": "high" })), vec![]),
        (gpu(json!({ "priority": "low" })), vec![]),
        (
            gpu(json!({ "priority": "high" })),
            vec![("priority", "high", "its turn")],
        ),
        (
            gpu(json!({ "priority": "high_reliability" })),
            vec![("priority", "high_reliability", "any machine that fits")],
        ),
        (
            gpu(json!({ "preferred_gpu_family": "H100" })),
            vec![("preferred_gpu_family", "H100", "L40S")],
        ),
        (
            gpu(json!({ "region_preference": "eu-west" })),
            vec![("region_preference", "eu-west", "this grid")],
        ),
        (
            json!({ "gpu_class": "consumer" }),
            vec![("gpu_class", "consumer", "datacenter")],
        ),
    ] {
        let found = estimate(&api, &ada, asked.clone()).await;
        assert_eq!(found["can_submit"], true, "{asked}");
        assert_eq!(rows(&found), rows_of, "{asked}");
    }
    let fast = estimate(&api, &ada, gpu(json!({ "optimize_for": "speed" }))).await;
    assert_eq!(fast["placement"], "b");
    let there = place(&api, &machine, &ada, json!({ "gpu_type": "L40S" })).await;
    assert_eq!(there.as_deref(), Some("b"));
    let slower = estimate(&api, &ada, gpu(json!({ "optimize_for": "speed" }))).await;
    assert_eq!(rows(&slower), [("optimize_for", "speed", "L4")]);
    let family = json!({ "preferred_gpu_family": "L40S" });
    let other = estimate(&api, &ada, gpu(family)).await;
    assert_eq!(
        other["constraints_relaxed"][0]["reason"],
        "Every machine with L40S is taken; a is free now."
    );
    let there = place(&api, &machine, &ada, json!({ "gpu_type": "L4" })).await;
    assert_eq!(there.as_deref(), Some("a"));
    let late = estimate(&api, &ada, gpu(json!({ "latency_priority": "high" }))).await;
    let [(field, asked, got)] = rows(&late)[..] else {
        panic!("{late}")
    };
    assert_eq!((field, asked), ("latency_priority", "high"));
    assert!(got.starts_with("a wait of "), "{got}");
    assert_eq!(rows(&estimate(&api, &ada, gpu(json!({}))).await), []);
}

#[tokio::test]
async fn what_cannot_run_says_why_and_promises_neither_start_nor_price() {
    let (api, machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    machine.has(&[("a", "L4", 1)]);
    for (more, field, words) in [
        (
            json!({ "gpu_type": "H100" }),
            "gpu_type",
            "No machine of this grid has a H100; there is L4.",
        ),
        (
            json!({ "gpu_type": "ZX81" }),
            "gpu_type",
            "The GPU catalogue of 2026-11-24 does not know ZX81 either.",
        ),
        (
            json!({ "min_vram_gb": 40 }),
            "min_vram_gb",
            "the largest here has 24 GB",
        ),
        (json!({ "min_vram_gb": 40 }), "min_vram_gb", "(2026-11-24)"),
        (
            json!({ "gpu_count": 1, "gpu_class": "consumer" }),
            "gpu_class",
            "class consumer",
        ),
        (
            json!({ "gpu_count": 1, "avoid_gpu_families": ["L4"] }),
            "avoid_gpu_families",
            "avoid-list",
        ),
        (
            json!({ "max_price_per_hour": 0.000_001 }),
            "max_price_per_hour",
            "cheapest machine",
        ),
    ] {
        let found = estimate(&api, &ada, more.clone()).await;
        assert_eq!(found["can_submit"], false, "{more}");
        let check = &found["screening"]["blocked_checks"][0];
        assert_eq!(check["field"], field, "{more}");
        let said = found["unavailable_reason"].as_str().unwrap();
        assert!(said.contains(words), "{said}");
        for absent in [
            "estimated_start_at_min",
            "estimated_queue_wait_max_seconds",
            "estimated_cost_min_usd",
            "estimated_hourly_rate_usd",
            "hold_usd",
            "queue_wait_basis",
        ] {
            assert!(found.get(absent).is_none(), "{absent}: {found}");
        }
        assert_eq!(rows(&found), []);
    }
    let typo = json!({ "avoid_gpu_families": ["RTX409O"] });
    let found = estimate(&api, &ada, typo).await;
    assert_eq!(found["can_submit"], true);
    let check = &found["screening"]["checks"][0];
    assert_eq!(check["code"], "AVOIDED_GPU_UNKNOWN");
}

/// What was read is what the job keeps, even if the grid is another by then.
#[tokio::test]
async fn a_job_keeps_the_rows_that_were_acknowledged() {
    let (api, machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    machine.has(&[("a", "L4", 1)]);
    let content = and(
        script("true"),
        json!({ "gpu_count": 1, "preferred_gpu_family": "L40S" }),
    );
    let draft = json!({ "content": content });
    let draft = api.call(Method::POST, "/v1/job-drafts", &ada, draft).await;
    let path = format!("/v1/job-drafts/{}", draft.text("/id"));
    let seen = loop {
        let path = format!("{path}/estimate");
        let seen = api.call(Method::POST, &path, &ada, json!({})).await.body;
        if seen["estimate"]["state"] != "pending" {
            break seen;
        }
    };
    let row = &seen["estimate"]["estimate"]["constraints_relaxed"];
    assert_eq!(row[0]["got"], "L4", "{seen}");
    let ack = json!({
        "estimate_id": seen["estimate"]["estimate_id"],
        "version": seen["version"],
    });
    let ack = api
        .call(Method::POST, &format!("{path}/acknowledge"), &ada, ack)
        .await;
    assert_eq!(ack.status, 200, "{}", ack.body);
    machine.has(&[("a", "L4", 1), ("b", "L40S", 1)]);
    let job = api
        .call(Method::POST, &format!("{path}/submit"), &ada, json!({}))
        .await;
    let id = job.text("/job_id");
    let job = api.get(&format!("/v1/jobs/{id}"), &ada).await.body;
    assert_eq!(job["constraints_relaxed"], *row);
}
