//! What clients send: every optional field, wherever they put it, and what they
//! send that is none of ours.
use crate::grid::{Grid, and, script};
use http::Method;
use serde_json::{Value, json};

/// Fields that may stand at the top level or under `constraints`, each with what
/// it does to a job, if that can be seen.
fn placeable() -> Vec<(&'static str, Value, bool)> {
    vec![
        ("max_price_per_hour", json!(2.5), false),
        ("preferred_gpu_family", json!("hopper"), false),
        ("avoid_gpu_families", json!(["pascal", "kepler"]), false),
        ("gpu_class", json!("datacenter"), true),
        ("region_preference", json!("eu-west"), true),
        ("region_mode", json!("prefer"), true),
        ("latency_priority", json!("high"), false),
        ("cost_priority", json!("low"), false),
        ("optimize_for", json!("speed"), true),
        ("timeout_seconds", json!(120.0), false),
        ("batch_size", json!(8), false),
        ("precision", json!("bf16"), false),
        ("priority", json!("low_cost"), false),
        ("model_size_gb", json!(7), false),
        ("disk_gb", json!(0.5), false),
        ("memory_gb", json!(0.5), false),
    ]
}

#[tokio::test]
async fn every_optional_field_is_understood_wherever_it_stands() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let mut seen = Vec::new();
    for nested in [false, true] {
        let fields = placeable().into_iter();
        let fields: serde_json::Map<_, _> = fields
            .map(|(name, value, _)| (name.to_owned(), value))
            .collect();
        let fields = if nested {
            json!({ "constraints": fields })
        } else {
            Value::Object(fields)
        };
        let mut job = and(script("true"), fields);
        job.as_object_mut()
            .unwrap()
            .entry("timeout_seconds")
            .and_modify(|limit| {
                if nested {
                    *limit = Value::Null;
                }
            });
        let id = ada.submit(job).await;
        let job = ada.ended(&id).await;
        assert_eq!(job["status"], "completed", "{job}");
        assert_eq!(job["time_limit_seconds"], 120, "nested: {nested}");
        for (name, value, shown) in placeable() {
            if shown {
                assert_eq!(job[name], value, "{name}, nested: {nested}");
            }
        }
        seen.push(job["constraints_relaxed"].clone());
    }
    assert!(
        !seen[0].as_array().unwrap().is_empty(),
        "a wish that gave way"
    );
    assert_eq!(seen[0], seen[1], "it means the same in both places");
    for (name, _, _) in placeable() {
        for nested in [false, true] {
            let wrong = json!({ name: { "not": "this" } });
            let wrong = if nested {
                json!({ "constraints": wrong })
            } else {
                wrong
            };
            let refused = ada.post("/v1/jobs", and(job_without_limit(), wrong)).await;
            assert_eq!(refused.status, 400, "{name}, nested: {nested}");
            let field = &refused.body["error"]["fields"][name];
            assert!(field.is_string(), "{name}: {}", refused.body);
        }
    }
}

fn job_without_limit() -> Value {
    let mut job = script("true");
    job.as_object_mut().unwrap().remove("timeout_seconds");
    job
}

/// What would need a GPU can at least be asked about.
#[tokio::test]
async fn what_this_grid_cannot_do_is_understood_as_well() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    for (field, value) in [
        ("gpu_required", json!(true)),
        ("requires_gpu", json!(true)),
        ("gpu_count", json!(2)),
        ("gpu_type", json!("NVIDIA H100")),
        ("min_vram_gb", json!(24)),
    ] {
        for nested in [false, true] {
            let wish = json!({ field: value });
            let wish = if nested {
                json!({ "constraints": wish })
            } else {
                wish
            };
            let estimate = ada
                .post("/v1/jobs/estimate", and(script("true"), wish))
                .await;
            assert_eq!(estimate.status, 200, "{field}: {}", estimate.body);
            assert_eq!(estimate.body["can_submit"], false, "{field}");
            assert_eq!(estimate.body["classification"]["requires_gpu"], true);
        }
    }
    let cheap = json!({ "workload_type": "inference", "notes": "for a demo" });
    let estimate = ada.post("/v1/mcp/jobs/estimate", cheap).await;
    assert_eq!(
        estimate.body["data"]["can_submit"], true,
        "name and image can wait"
    );
    let nothing = ada.post("/v1/jobs/estimate", json!({})).await;
    assert_eq!(nothing.status, 400, "the type cannot");
}

#[tokio::test]
async fn what_is_none_of_ours_is_ignored() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let strange = json!({
        "resources": { "gpu": "any", "gpu_count": 1, "gpu_vendor": "amd" },
        "routing": { "preference": "cheapest", "max_cost_usd": 0.2, "preferred_latency_ms": 800 },
        "prompt": "hello", "max_output_tokens": 64, "template": "comfyui", "notes": ["a", null],
        "status": "completed", "job_id": "job_1", "workspace": "ws_1", "rate": -1, "": "",
    });
    let id = ada.submit(and(script("true"), strange)).await;
    assert_eq!(ada.ended(&id).await["status"], "completed");
    let cancelled = ada
        .post(&format!("/v1/jobs/{id}/cancel"), json!({ "colour": 1 }))
        .await;
    assert_eq!(cancelled.status, 409, "read, and too late");
    for path in [
        "/v1/jobs?colour=red&limit=&cursor=&status=",
        "/v1/nodes?x",
        &format!("/v1/jobs/{id}?verbose=1"),
    ] {
        ada.see(path).await;
    }
}

#[tokio::test]
async fn an_estimate_needs_a_type_of_workload_alone() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    for nothing in [
        json!({}),
        json!({ "name": null, "image": null, "command": null, "args": null }),
        json!({ "name": "", "image": " ", "command": "", "args": [] }),
        json!({ "command": [] }),
    ] {
        let job = and(json!({ "workload_type": "batch" }), nothing);
        for path in ["/v1/jobs/estimate", "/v1/mcp/jobs/estimate"] {
            let estimate = ada.post(path, job.clone()).await;
            assert_eq!(estimate.status, 200, "{job}: {}", estimate.body);
            let found = estimate.body.get("data").unwrap_or(&estimate.body);
            assert_eq!(found["available"], true, "{job}: {found}");
            assert_eq!(found["can_submit"], true, "{job}: {found}");
        }
    }
}

#[tokio::test]
async fn metadata_comes_back_as_it_was_sent() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let metadata = json!({
        "client_request_id": "5f0c", "nothing": null, "list": [1, 2.5, null, { "deep": [] }],
        "empty": {}, "text": "ü\u{202e}\n", "large": 9_007_199_254_740_993_i64,
    });
    let id = ada
        .submit(and(script("true"), json!({ "metadata": metadata })))
        .await;
    let empty = ada
        .submit(and(script("true"), json!({ "metadata": {} })))
        .await;
    let none = ada.submit(script("true")).await;
    for path in ["/v1/jobs", "/v1/mcp/jobs"] {
        let whole = |answer: Value| answer.get("data").cloned().unwrap_or(answer);
        let job = whole(ada.see(&format!("{path}/{id}")).await);
        assert_eq!(job["metadata"], metadata, "{path}");
        let list = whole(ada.see(path).await);
        let listed = |id: &str| {
            let mut jobs = list["jobs"].as_array().unwrap().iter();
            jobs.find(|job| job["job_id"] == id).unwrap().clone()
        };
        assert_eq!(listed(&id)["metadata"], metadata, "{path}");
        assert_eq!(listed(&empty)["metadata"], json!({}), "{path}");
        assert_eq!(listed(&none).get("metadata"), None, "{path}");
    }
    for wrong in [json!([]), json!("text"), json!(5)] {
        let job = and(script("true"), json!({ "metadata": wrong }));
        let refused = ada.call(Method::POST, "/v1/jobs", job).await;
        assert_eq!(refused.status, 400);
        assert!(refused.body["error"]["fields"]["metadata"].is_string());
    }
}

/// Fields of a status that clients read, each in a job that has it.
#[tokio::test]
async fn a_failure_says_what_went_wrong_and_what_it_cost() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let id = ada
        .submit(script("echo fine; echo it is broken >&2; exit 3"))
        .await;
    let job = ada.ended(&id).await;
    assert_eq!(job["failure"]["log_excerpt"], "it is broken");
    assert_eq!(job["failure"]["stage"], "executing");
    assert_eq!(job["exit_code"], 3);
    assert_eq!(
        job["scheduling"],
        json!({ "state": "ended", "provider": "host" })
    );
    let cost = &job["actual_cost_usd"];
    assert!(cost.is_number());
    for field in ["final_cost_usd", "actual_cost_usd", "cost_usd"] {
        assert_eq!(&job["billing"][field], cost, "{field}");
    }
    assert!(job["billing"].get("total_spent_usd").is_none());
}
