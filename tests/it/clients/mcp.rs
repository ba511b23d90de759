//! The MCP server and the SDK behind it: its output schemas throw a whole result away
//! for one wrong type.
use super::files::{address, fetched, listed, path_of, put, slot};
use super::{Client, Reply, Wire, ended, status, submitted};
use crate::grid::{Grid, and, eventually};
use crate::server::openapi::fits;
use http::Method;
use serde_json::{Value, json};

/// Contract 7.2. Other fields may be as they like.
const TABLE: &[(&[&str], &[&str])] = &[
    (&["next_cursor"], &["string", "null"]),
    (
        &[
            "delay_reason",
            "classification",
            "routing",
            "capacity",
            "account_billing",
            "artifact",
            "upload",
        ],
        &["object"],
    ),
    (
        &[
            "status_message",
            "phase",
            "execution_phase",
            "likely_gpu_type",
            "routed_gpu_tier",
            "failure_highlight",
            "usage_hint",
            "mime_type",
            "content_type",
            "mount_path",
            "kind",
            "download_url",
        ],
        &["string"],
    ),
    (
        &[
            "delayed_start",
            "artifacts_ready",
            "cancelled",
            "ready",
            "available",
            "can_submit",
            "has_more",
        ],
        &["boolean"],
    ),
    (&["wait_duration_seconds", "limit"], &["number"]),
    (&["size_bytes", "actual_cost_usd"], &["number", "null"]),
    (&["managed_capacity_available"], &["boolean", "null"]),
];

/// What each tool's result must have, besides.
fn needed(tool: &str) -> Value {
    let strings = |names: &[&str]| {
        let fields = names
            .iter()
            .map(|name| ((*name).to_owned(), json!({ "type": "string" })));
        json!({
            "type": "object", "required": names,
            "properties": fields.collect::<serde_json::Map<_, _>>(),
        })
    };
    // Of other types, as the table has them.
    let besides = |mut object: Value, names: &[&str]| {
        let required = object["required"].as_array_mut().unwrap();
        required.extend(names.iter().map(|name| json!(name)));
        object
    };
    let list = |name: &str, item: Value, more: &[&str]| {
        let item = besides(item, more);
        json!({
            "type": "object", "required": [name],
            "properties": { name: { "type": "array", "items": item } },
        })
    };
    match tool {
        "list" => list("jobs", strings(&["job_id", "status"]), &[]),
        "events" => list(
            "items",
            strings(&["id", "title", "message", "created_at"]),
            &[],
        ),
        "logs" => list("items", strings(&["message"]), &[]),
        "estimate" => json!({ "type": "object", "required": ["available"] }),
        "upload" => json!({
            "type": "object", "required": ["upload"],
            "properties": { "upload": strings(&["input_id", "filename", "upload_url"]) },
        }),
        "inputs" => list(
            "inputs",
            strings(&[
                "input_id",
                "filename",
                "content_type",
                "kind",
                "mount_path",
                "status",
            ]),
            &["size_bytes", "ready"],
        ),
        "complete" => strings(&["input_id", "status"]),
        "artifacts" => list(
            "artifacts",
            strings(&[
                "artifact_id",
                "job_id",
                "filename",
                "content_type",
                "mime_type",
                "status",
                "created_at",
                "uploaded_at",
            ]),
            &["size_bytes", "ready"],
        ),
        "download" => besides(
            strings(&[
                "artifact_id",
                "url",
                "download_url",
                "expires_at",
                "mime_type",
            ]),
            &["artifact", "size_bytes", "ready"],
        ),
        _ => strings(&["job_id"]),
    }
}

pub(super) struct Server;

/// The rule for a field of that name, wherever it stands.
fn rule(name: &str, tool: &str) -> Option<Value> {
    if name == "estimated_cost_usd" && !["events", "runtime"].contains(&tool) {
        let bounds = ["max", "min"];
        return Some(json!({
            "type": "object", "required": bounds,
            "properties": { "min": { "type": "number" }, "max": { "type": "number" } },
        }));
    }
    if name.ends_with("_at") {
        return Some(json!({ "type": "string" }));
    }
    if name.ends_with("_count") {
        return Some(json!({ "type": "number" }));
    }
    let kinds = TABLE.iter().find(|(names, _)| names.contains(&name));
    kinds.map(|(_, kinds)| json!({ "type": kinds }))
}

/// Every object of a result, however deep, except what the user gave.
fn strict(tool: &str, value: &Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields.iter().filter(|(name, _)| *name != "metadata") {
                if let Some(rule) = rule(name, tool) {
                    let faults = fits(&rule, field);
                    assert!(faults.is_empty(), "{tool}: {name} {}", faults.join(", "));
                }
                strict(tool, field);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| strict(tool, item)),
        _ => {}
    }
}

impl Client for Server {
    const JOBS: &'static str = "/v1/mcp/jobs";

    fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "workload_type": "batch", "image": "python:3.11-slim",
            "command": ["/bin/sh", "-c", script], "args": [], "environment": { "EMPTY": "" },
            "input_files": [], "script_files": [], "expected_artifacts": [],
            "optimize_for": "balanced", "metadata": { "source": "mcp", "nothing": null },
        })
    }

    fn estimate(&self, job: &Value) -> Value {
        json!({
            "workload_type": "fine_tuning", "model_size_gb": 1, "image": job["image"],
            "command": job["command"], "args": [], "optimize_for": "cost", "notes": "for a person",
        })
    }

    fn cancellation(&self) -> Option<Value> {
        Some(json!({ "reason": "Cancelled via MCP" }))
    }

    fn read(&self, reply: &Reply) -> Result<Value, String> {
        reply.unwrapped()
    }

    fn insist(&self, tool: &str, found: &Value) {
        let faults = fits(&needed(tool), found);
        assert!(faults.is_empty(), "{tool}: {found}\n{}", faults.join("\n"));
        strict(tool, found);
    }
}

#[test]
fn the_schemas_can_say_no() {
    let says_no = |tool: &str, found: &Value| {
        let found = found.clone();
        let tool = tool.to_owned();
        std::panic::catch_unwind(move || Server.insist(&tool, &found)).is_err()
    };
    let job = json!({ "job_id": "job_1", "estimated_cost_usd": { "min": 0.1, "max": 1 } });
    assert!(!says_no("status", &job));
    for (field, value) in [
        ("job_id", Value::Null),
        ("estimated_cost_usd", json!(0.5)),
        ("estimated_cost_usd", json!({ "min": 1 })),
        ("phase", Value::Null),
        ("started_at", Value::Null),
        ("next_cursor", json!(20)),
        ("delay_reason", json!("CAPACITY")),
        ("candidate_count", json!("1")),
    ] {
        let mut wrong = job.clone();
        wrong[field] = value;
        assert!(says_no("status", &wrong), "{wrong}");
    }
    let artifact = json!({
        "artifact_id": "art_1", "job_id": "job_1", "filename": "a", "content_type": "text/plain",
        "mime_type": "text/plain", "status": "uploaded", "created_at": "", "uploaded_at": "",
        "size_bytes": null, "ready": true,
    });
    let list = |artifact: Value| json!({ "artifacts": [artifact] });
    assert!(!says_no("artifacts", &list(artifact.clone())));
    for (field, value) in [
        ("size_bytes", json!("5")),
        ("mime_type", Value::Null),
        ("ready", json!("true")),
        ("uploaded_at", Value::Null),
    ] {
        let wrong = and(artifact.clone(), json!({ field: value }));
        assert!(says_no("artifacts", &list(wrong)), "{field}");
        let mut missing = artifact.clone();
        missing.as_object_mut().unwrap().remove(field);
        assert!(says_no("artifacts", &list(missing)), "no {field}");
    }
}

/// The same of the bare family, which must be the same but for its envelope.
async fn twin(wire: &Wire<'_>, method: Method, path: &str) -> (Value, Value) {
    let bare = wire.send(method.clone(), path, None).await;
    let path = path.replacen("/v1/", "/v1/mcp/", 1);
    let mcp = wire.send(method, &path, None).await;
    assert_eq!(bare.status, mcp.status, "{path}");
    let (bare, mcp) = (bare.json().unwrap(), mcp.json().unwrap());
    assert!(bare.get("ok").is_none(), "{bare}");
    assert!(mcp["ok"].is_boolean(), "{mcp}");
    (bare, mcp)
}

pub(super) async fn files(grid: Grid) {
    let ada = grid.sign_up("ada@example.org").await;
    let wire = Wire::of(&ada).await;

    // Others say nothing of a kind, or nothing in so many words; one such file would
    // hide all the others.
    let mut slots = Vec::new();
    for file in [
        json!({ "filename": "named.txt", "content_type": "text/plain", "kind": "input" }),
        json!({ "filename": "bare" }),
        json!({ "filename": "null", "content_type": null, "kind": null }),
        json!({ "filename": "empty", "content_type": "", "kind": "" }),
    ] {
        slots.push(slot(&Server, &wire, file).await);
        Server.see(&wire, "inputs", "/v1/job-inputs").await;
    }
    for slot in &slots[..2] {
        let sent = put(&wire, slot, &[], b"what was brought").await;
        assert_eq!(sent.status, 200, "{}", sent.text);
        Server.see(&wire, "inputs", "/v1/job-inputs").await;
        let path = path_of(&wire, &slot["complete_url"]);
        Server.made_of("complete", &wire.post(&path, None).await);
    }
    let list = Server.see(&wire, "inputs", "/v1/job-inputs").await;
    let inputs = list["inputs"].as_array().unwrap();
    let kinds: Vec<_> = inputs.iter().map(|one| &one["content_type"]).collect();
    let unknown = "application/octet-stream";
    assert_eq!(kinds, [unknown, unknown, unknown, "text/plain"]);

    let work = "cp /workspace/inputs/* /workspace/artifacts; \
                until [ -e /workspace/artifacts/go ]; do sleep 0.05; done";
    let more = json!({
        "input_files": [{ "input_id": slots[0]["input_id"] }, { "input_id": slots[1]["input_id"] }],
        "expected_artifacts": ["/workspace/artifacts/bare"],
    });
    // Nothing is there while it runs, and nothing of a job that was cancelled early.
    let job = and(Server.job("waits", work), more.clone());
    let job = submitted(&Server, &wire, &job).await;
    eventually("the job to run", async || {
        (status(&Server, &wire, &job).await["status"] == "running").then_some(())
    })
    .await;
    assert!(listed(&Server, &wire, &job).await.is_empty());
    let path = format!("{}/{job}/cancel", Server::JOBS);
    Server.made_of("cancel", &wire.post(&path, Server.cancellation()).await);
    ended(&Server, &wire, &job).await;
    listed(&Server, &wire, &job).await;

    let work = "cp /workspace/inputs/* /workspace/artifacts; : > /workspace/artifacts/nothing";
    let job = and(Server.job("copies", work), more);
    let job = submitted(&Server, &wire, &job).await;
    let over = ended(&Server, &wire, &job).await;
    assert_eq!(over["status"], "completed", "{over}");
    let artifacts = listed(&Server, &wire, &job).await;
    let names: Vec<_> = artifacts.iter().map(|one| &one["filename"]).collect();
    assert_eq!(
        names,
        ["bare", "named.txt", "nothing"],
        "what was expected first"
    );
    for (artifact, content) in artifacts
        .iter()
        .zip(["what was brought", "what was brought", ""])
    {
        let found = address(&Server, &wire, artifact).await;
        assert_eq!(found["artifact"], *artifact);
        for field in ["artifact_id", "mime_type", "size_bytes", "ready"] {
            assert_eq!(found[field], artifact[field], "{field}");
        }
        assert_eq!(found["size_bytes"], json!(content.len()));
        assert_eq!(
            fetched(&wire, &found["download_url"]).await,
            content.as_bytes()
        );
    }

    let path = format!("/v1/jobs/{job}/artifacts");
    let (bare, mcp) = twin(&wire, Method::GET, &path).await;
    assert_eq!(bare, mcp["data"]);
    let id = artifacts[0]["artifact_id"].as_str().unwrap();
    let (bare, mcp) = twin(&wire, Method::POST, &format!("{path}/{id}/download")).await;
    let names =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(names(&bare), names(&mcp["data"]));
    for missing in [
        format!("{path}/art_nothing/download"),
        format!("/v1/jobs/job_nothing/artifacts/{id}/download"),
    ] {
        let (bare, mcp) = twin(&wire, Method::POST, &missing).await;
        assert_eq!(mcp["ok"], false);
        assert_eq!(mcp["error"]["code"], "NOT_FOUND", "{mcp}");
        assert_eq!(mcp["error"], bare["error"]);
    }
}
