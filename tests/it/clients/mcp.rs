//! The MCP server and the SDK behind it: its output schemas throw a whole result away
//! for one wrong type.
use super::{Client, Reply};
use crate::server::openapi::fits;
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
    let list = |name: &str, item: Value| {
        json!({
            "type": "object", "required": [name],
            "properties": { name: { "type": "array", "items": item } },
        })
    };
    match tool {
        "list" => list("jobs", strings(&["job_id", "status"])),
        "events" => list("items", strings(&["id", "title", "message", "created_at"])),
        "logs" => list("items", strings(&["message"])),
        "estimate" => json!({ "type": "object", "required": ["available"] }),
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
}
