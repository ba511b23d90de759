//! Types that strict clients insist on: one that is wrong, and they throw the whole
//! reply away.
use super::is_problem;
use crate::grid::{Grid, Person, and, script};
use http::Method;
use serde_json::{Value, json};

/// What the strict clients of `/v1/mcp` and of events throw a reply away for.
fn strict(path: &str, name: &str, value: &Value) {
    let may_be_null = [
        "size_bytes",
        "actual_cost_usd",
        "next_cursor",
        "managed_capacity_available",
        "inputs_prepared",
        "scripts_prepared",
    ];
    let what = format!("{path}: {name} is {value}");
    assert!(!value.is_null() || may_be_null.contains(&name), "{what}");
    let fine = match name {
        "estimated_cost_usd" if path.starts_with("/v1/mcp/") => {
            value["min"].is_number() && value["max"].is_number()
        }
        "estimated_cost_usd" => value.is_number(),
        "next_cursor" => value.is_string() || value.is_null(),
        "actual_cost_usd" | "size_bytes" => value.is_number() || value.is_null(),
        "delay_reason"
        | "classification"
        | "routing"
        | "capacity"
        | "capacity_status"
        | "screening"
        | "startup_diagnostics"
        | "billing"
        | "failure"
        | "artifact_contract"
        | "artifact"
        | "upload" => value.is_object(),
        "delayed_start"
        | "artifacts_ready"
        | "cancelled"
        | "ready"
        | "available"
        | "can_submit"
        | "has_more"
        | "timed_out"
        | "truncated"
        | "command_spawned"
        | "workload_logs_available"
        | "constraints_relaxed_applied"
        | "immediate_capacity_confirmed"
        | "live_capacity_available" => value.is_boolean(),
        "managed_capacity_available" | "inputs_prepared" | "scripts_prepared" => {
            value.is_boolean() || value.is_null()
        }
        "wait_duration_seconds" | "limit" | "entry_id" | "sequence" | "time_limit_seconds" => {
            value.is_i64()
        }
        "jobs"
        | "items"
        | "warnings"
        | "reasons"
        | "checks"
        | "blocked_checks"
        | "constraints_relaxed"
        | "expected_artifacts"
        | "diagnostics"
        | "input_files"
        | "script_files"
        | "inputs"
        | "artifacts"
        | "missing_artifacts" => value.is_array(),
        "status" | "id" | "job_id" | "title" | "message" | "confidence" | "phase"
        | "execution_phase" | "status_message" | "status_reason" | "explanation" | "name"
        | "image" | "command" | "workload_type" | "failure_highlight" | "usage_hint" | "stream"
        | "category" | "source" | "likely_gpu_type" | "routed_gpu_tier" | "mime_type"
        | "content_type" | "mount_path" | "kind" | "download_url" | "url" | "filename"
        | "sha256" | "script_file" => value.is_string(),
        name if name.ends_with("_at") => {
            let format = &time::format_description::well_known::Rfc3339;
            let at = value
                .as_str()
                .map(|at| time::OffsetDateTime::parse(at, format));
            at.is_some_and(|at| at.is_ok_and(|at| at.offset().is_utc()))
        }
        name if name.ends_with("_count") => value.is_u64(),
        name if name.ends_with("_usd") => value.is_number(),
        _ => true,
    };
    assert!(fine, "{what}");
}

/// Looks at every field, however deep, but not into what clients gave.
fn all_strict(path: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                strict(path, name, value);
                if !["metadata", "content"].contains(&name.as_str()) {
                    all_strict(path, value);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| all_strict(path, item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Asks in both families, and returns the enveloped one's data after looking at it.
async fn both(ada: &Person<'_>, method: Method, path: &str, body: &Value) -> (Value, Value) {
    let bare = ada.call(method.clone(), path, body.clone()).await;
    let mcp = path.replacen("/v1/", "/v1/mcp/", 1);
    let enveloped = ada.call(method, &mcp, body.clone()).await;
    assert_eq!(bare.status, enveloped.status, "{path}");
    assert!(bare.status.is_success(), "{path}: {}", bare.body);
    assert!(bare.body.get("ok").is_none(), "{path}");
    all_strict(path, &bare.body);
    let outer = enveloped.body.as_object().unwrap();
    assert_eq!(outer.keys().collect::<Vec<_>>(), ["data", "ok"], "{mcp}");
    assert_eq!(outer["ok"], true);
    all_strict(&mcp, &outer["data"]);
    (bare.body, outer["data"].clone())
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn strict_clients_can_read_every_reply() {
    let grid = Grid::with(&["--host-slots", "1", "--host-images", "any"]);
    let ada = grid.sign_up("ada@example.org").await;
    let metadata = json!({ "nothing": null, "deep": [{ "id": 5 }] });
    let good = and(
        script("echo hello; exit 3"),
        json!({ "metadata": metadata }),
    );
    let hopeless = and(script("true"), json!({ "gpu_required": true }));
    let wishful = json!({
        "image": "python:3.12", "region_preference": "mars", "callback_url": "https://x.example",
        "preferred_gpu_family": "hopper", "colour": "red", "resources": { "gpu": "any" },
    });
    let path = "/v1/jobs/estimate";
    for job in [&good, &hopeless, &and(good.clone(), wishful.clone())] {
        let (bare, data) = both(&ada, Method::POST, path, job).await;
        let cost = bare.get("estimated_cost_usd").is_some();
        assert_eq!(cost, bare["available"] == true);
        assert_eq!(data.get("estimated_cost_usd").is_some(), cost);
    }
    let short = json!({ "workload_type": "inference" });
    both(&ada, Method::POST, path, &short).await;

    let (bare, data) = both(&ada, Method::POST, "/v1/jobs", &and(good, wishful)).await;
    for submitted in [&bare, &data] {
        let fields = submitted.as_object().unwrap();
        for field in ["job_id", "id", "status", "queued_at", "submitted_at"] {
            assert!(fields.contains_key(field), "{field}");
        }
        assert_eq!(fields["status"], "queued");
    }
    let failed = bare["job_id"].as_str().unwrap();
    ada.ended(failed).await;
    ada.ended(data["job_id"].as_str().unwrap()).await;
    let running = ada.submit(script("echo hello; sleep 600")).await;
    ada.running(&running).await;
    let queued = ada.submit(script("true")).await;
    let cancelled = ada.submit(script("true")).await;
    let stopped = ada
        .post(&format!("/v1/mcp/jobs/{cancelled}/cancel"), json!({}))
        .await;
    all_strict("/v1/mcp/cancel", &stopped.body["data"]);
    assert_eq!(stopped.text("/data/status"), "cancelled");
    for id in [failed, &running, &queued, &cancelled] {
        let (job, _) = both(&ada, Method::GET, &format!("/v1/jobs/{id}"), &Value::Null).await;
        assert!(job.get("actual_cost_usd").is_some(), "always there");
        for query in [
            "",
            "?tail=3",
            "?around=1&q=HELLO",
            "?first_error=true",
            "?before=2",
            "?from=9&level=error",
        ] {
            let path = format!("/v1/jobs/{id}/logs{query}");
            let (logs, data) = both(&ada, Method::GET, &path, &Value::Null).await;
            assert!(logs["next_cursor"].is_string() && data["next_cursor"].is_string());
        }
        let events = ada.see(&format!("/v1/jobs/{id}/events")).await;
        all_strict("/v1/mcp/events", &events);
        assert!(
            events.get("ok").is_none(),
            "bare although MCP asks for them"
        );
        ada.events(id).await;
    }
    assert_eq!(ada.job(&queued).await["delay_reason"]["code"], "CAPACITY");
    let (list, data) = both(&ada, Method::GET, "/v1/jobs?limit=3", &Value::Null).await;
    assert!(list["next_cursor"].is_string() && list["has_more"] == true);
    let costs = data["jobs"].as_array().unwrap().iter();
    assert!(
        costs
            .map(|job| &job["estimated_cost_usd"])
            .all(Value::is_object)
    );
    let (list, _) = both(&ada, Method::GET, "/v1/jobs", &Value::Null).await;
    let fields = list["jobs"].as_array().unwrap();
    assert_eq!(fields.last().unwrap()["metadata"], metadata);
    for path in [
        "/v1/logs",
        "/v1/logs?q=hell&level=info",
        "/v1/nodes",
        "/v1/gpu-catalogue",
        "/v1/overview",
        "/v1/billing/balance",
        "/auth/session",
        &format!("/v1/jobs/{failed}/runtime"),
        "/v1/job-drafts",
    ] {
        all_strict(path, &ada.see(path).await);
    }
    files(&ada, &running).await;
    for (path, body, status) in [
        ("/v1/mcp/jobs", hopeless, 422),
        ("/v1/mcp/jobs", json!({}), 400),
        ("/v1/mcp/jobs/job_1/cancel", json!({}), 404),
    ] {
        let refused = ada.post(path, body).await;
        assert_eq!(refused.status, status, "{path}");
        assert_eq!(refused.body["ok"], false);
        assert!(refused.body.get("data").is_none());
        is_problem(&refused.body);
    }
}

/// Files in every state, once the job that has the only slot has made way.
async fn files(ada: &Person<'_>, running: &str) {
    ada.post(&format!("/v1/jobs/{running}/cancel"), json!({}))
        .await;
    let slot = ada
        .post(
            "/v1/job-inputs",
            json!({ "filename": "a", "content_type": null, "kind": null }),
        )
        .await;
    all_strict("/v1/job-inputs", &slot.body);
    let [url, done] = ["upload_url", "complete_url"].map(|field| {
        let url = slot.text(&format!("/upload/{field}"));
        url.strip_prefix(&ada.grid.url()).unwrap().to_owned()
    });
    all_strict("/v1/mcp/inputs", &ada.see("/v1/job-inputs").await);
    let sent = ada.grid.request(Method::PUT, &url).body("x").send().await;
    assert_eq!(sent.unwrap().status(), 200);
    all_strict("/v1/mcp/inputs", &ada.see("/v1/job-inputs").await);
    let done = ada.post(&done, Value::Null).await;
    all_strict("/v1/job-inputs/complete", &done.body);
    let list = ada.see("/v1/job-inputs").await;
    all_strict("/v1/mcp/inputs", &list);
    assert_eq!(
        list["inputs"][0]["content_type"],
        "application/octet-stream"
    );
    let job = and(
        script("cat inputs/a > artifacts/b"),
        json!({
            "input_files": [list["inputs"][0]["input_id"]],
            "expected_artifacts": ["/workspace/artifacts/b", "/workspace/artifacts/c"],
        }),
    );
    let id = ada.submit(job).await;
    ada.ended(&id).await;
    both(ada, Method::GET, &format!("/v1/jobs/{id}"), &Value::Null).await;
    let path = format!("/v1/jobs/{id}/artifacts");
    let (found, _) = both(ada, Method::GET, &path, &Value::Null).await;
    let artifact = found["artifacts"][0]["artifact_id"].as_str().unwrap();
    both(
        ada,
        Method::POST,
        &format!("{path}/{artifact}/download"),
        &Value::Null,
    )
    .await;
    for path in [
        "/v1/artifacts".to_owned(),
        format!("/v1/artifacts/{artifact}"),
        format!("/v1/artifacts/{artifact}/preview"),
    ] {
        all_strict(&path, &ada.see(&path).await);
    }
    let zip = ada
        .post("/v1/artifacts/zip", json!({ "ids": [artifact] }))
        .await;
    all_strict("/v1/artifacts/zip", &zip.body);
}
