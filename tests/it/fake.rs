//! An orchestrator that answers with what a test has put there, and a browser
//! without a screen in front of the portal. Its answers go through the API's own
//! types, so they cannot be out of contract.
mod browser;
mod files;

pub(crate) use browser::{Browser, Page};
pub(crate) use files::{ARTIFACT, Files, INPUT, artifact, input, preview};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use junglegrid::api::{accounts, drafts, jobs, logs, nodes};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

pub(crate) const JOB: &str = "job_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f";
pub(crate) const DRAFT: &str = "draft_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f";
pub(crate) const ESTIMATE: &str = "est_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f";
/// What a user could try in every text that reaches a page.
pub(crate) const HOSTILE: &str =
    "\"><script>alert(1)</script><img src=x hx-get=\"/portal\" hx-trigger='load'>\u{202e}evil";

/// What the orchestrator knows.
#[derive(Debug)]
pub(crate) struct Fake {
    pub(crate) jobs: Vec<jobs::Job>,
    pub(crate) events: Vec<jobs::Event>,
    pub(crate) logs: Vec<logs::Item>,
    /// What is different about a page of them.
    pub(crate) page: Value,
    /// What all jobs printed.
    pub(crate) all_logs: Value,
    /// What the live stream says before it ends.
    pub(crate) changes: Vec<jobs::Change>,
    pub(crate) drafts: Vec<drafts::Draft>,
    /// Who is told of the job's end.
    pub(crate) callback: Option<Value>,
    pub(crate) overview: Value,
    /// What becomes of many that are cancelled.
    pub(crate) many: Value,
    /// What becomes of the next estimate.
    pub(crate) estimate: drafts::DraftEstimate,
    pub(crate) images: &'static str,
    pub(crate) files: Files,
    /// `METHOD /path` that is refused, with status, code and fields.
    pub(crate) refused: Option<(&'static str, u16, &'static str, Value)>,
    /// Every call, with its body.
    pub(crate) calls: Vec<(String, Value)>,
    /// The address of every call, with its query.
    pub(crate) asked: Vec<String>,
}

pub(crate) type Shared = Arc<Mutex<Fake>>;

pub(crate) fn fake() -> Fake {
    Fake {
        jobs: vec![job(json!({}))],
        events: vec![event(1, "Queued"), event(2, "Started")],
        logs: Vec::new(),
        page: json!({}),
        all_logs: json!({"logs": [], "limit": 8, "next_cursor": null, "has_more": false}),
        changes: Vec::new(),
        drafts: Vec::new(),
        callback: None,
        overview: Value::Null,
        many: json!({"dry_run": true, "cancelled": 1, "unchanged": 1, "billed_usd": 0.0004, "hold_usd": 0.12, "has_more": false, "jobs": [
            {"job_id": JOB, "outcome": "would_cancel", "name": "train", "status": "running", "message": "It would be stopped.", "cost_usd": 0.0004, "hold_usd": 0.12},
            {"job_id": "job_0198c1f2a4b67c3d8e9f0a1b2c3d4e60", "outcome": "ended", "name": "done", "status": "completed", "message": "It had ended before.", "cost_usd": 0.01, "hold_usd": 0.12}]}),
        estimate: ready(json!({})),
        images: "host_only",
        files: Files::default(),
        refused: None,
        calls: Vec::new(),
        asked: Vec::new(),
    }
}

fn merged(mut base: Value, over: Value) -> Value {
    for (name, value) in over.as_object().expect("an object") {
        base[name] = value.clone();
    }
    base
}

/// A job that runs; `over` says what is different.
pub(crate) fn job(over: Value) -> jobs::Job {
    let base = json!({
        "job_id": JOB, "id": JOB, "name": "train", "workload_type": "batch", "image": "host",
        "command": "python3 train.py", "created_at": "2026-11-23T14:00:00Z", "updated_at": "2026-11-23T14:00:02Z",
        "queued_at": "2026-11-23T14:00:00Z", "started_at": "2026-11-23T14:00:02Z", "status": "running",
        "status_message": "The command is running.", "phase": "executing", "execution_phase": "executing",
        "phase_started_at": "2026-11-23T14:00:02Z", "phase_last_updated_at": "2026-11-23T14:00:02Z",
        "last_status_update": "2026-11-23T14:00:02Z", "wait_duration_seconds": 2, "delayed_start": false,
        "startup_diagnostics": {"command_spawned": true, "workload_logs_available": false, "inputs_prepared": null, "scripts_prepared": null},
        "scheduling": {"state": "placed"}, "assigned_node_id": "local", "provider": "host", "constraints_relaxed": [], "time_limit_seconds": 3600,
        "timed_out": false, "artifact_contract": {"expected_artifacts": [], "automatic_collection_dir": "/workspace/artifacts"},
        "artifacts_ready": false, "hourly_rate_usd": 0.12, "hold_usd": 0.12, "estimated_cost_min_usd": 0.01,
        "estimated_cost_max_usd": 0.12, "actual_cost_usd": null, "billing": {"status": "held", "cost_usd": 0.0004}, "last_event": 2
    });
    serde_json::from_value(merged(base, over)).expect("a job")
}

pub(crate) fn event(sequence: i64, title: &str) -> jobs::Event {
    serde_json::from_value(json!({
        "id": format!("{JOB}:{sequence}"), "type": "job.changed", "title": title, "message": "",
        "source": "scheduler", "level": "info", "created_at": "2026-11-23T14:00:00Z", "sequence": sequence
    }))
    .expect("an event")
}

pub(crate) fn item(entry_id: i64, stream: &str, message: &str) -> logs::Item {
    serde_json::from_value(json!({
        "entry_id": entry_id, "source": "workload", "category": format!("workload_{stream}"), "stream": stream,
        "message": message, "truncated": false, "created_at": "2026-11-23T14:00:03Z",
        "timestamp": "2026-11-23T14:00:03Z", "level": "info"
    }))
    .expect("a line")
}

/// An estimate that is ready; `over` says what is different.
pub(crate) fn ready(over: Value) -> drafts::DraftEstimate {
    let base = json!({
        "estimate_id": ESTIMATE, "available": true, "can_submit": true, "estimated_cost_min_usd": 0.02,
        "estimated_cost_max_usd": 0.08, "estimated_hourly_rate_usd": 0.12, "hold_usd": 0.12,
        "estimated_runtime_min_minutes": 10.0, "estimated_runtime_max_minutes": 40.0,
        "estimated_runtime_min_seconds": 600, "estimated_runtime_max_seconds": 2400,
        "runtime_basis": "Based on 6 finished jobs of yours with this image and command.",
        "estimated_queue_wait_min_minutes": 2.0, "estimated_queue_wait_max_minutes": 10.0,
        "estimated_queue_wait_min_seconds": 120, "estimated_queue_wait_max_seconds": 600,
        "queue_wait_basis": "2 running on 2 slots, 1 waiting in front.",
        "estimated_start_at_min": "2026-11-23T14:32:00Z", "estimated_start_at_max": "2026-11-23T14:40:00Z",
        "rate_basis": "The rate of this machine.", "confidence": "medium", "candidate_count": 1, "explanation": "Fits.",
        "warnings": [], "placement": "local", "region": "af-south", "constraints_relaxed": [], "constraints_relaxed_applied": false,
        "classification": {"workload_type": "batch", "requires_gpu": false, "acceleration_requirement": "none", "confidence": "high", "reasons": []},
        "routing": {"route_status": "ready"},
        "capacity": {"live_capacity_available": true, "live_candidate_count": 1, "managed_capacity_available": null, "managed_profile_count": 0, "estimate_source": "live"},
        "capacity_status": {"availability": "available", "immediate_capacity_confirmed": true},
        "screening": {"policy_version": "1", "status": "passed", "can_submit": true, "checks": []},
        "time_limit_seconds": 3600, "quoted_at": "2026-11-23T14:30:00Z", "expires_at": "2026-11-23T14:40:00Z"
    });
    serde_json::from_value(json!({
        "estimate_id": ESTIMATE, "version": 1, "state": "ready", "expired": false, "estimate": merged(base, over)
    }))
    .expect("an estimate")
}

pub(crate) fn without_figures(state: &str) -> drafts::DraftEstimate {
    let error = (state == "failed").then_some("The estimator took too long.");
    serde_json::from_value(json!({
        "estimate_id": ESTIMATE, "version": 1, "state": state, "expired": false, "error": error
    }))
    .expect("an estimate")
}

pub(crate) fn draft(content: Value) -> drafts::Draft {
    let mut draft: drafts::Draft = serde_json::from_value(json!({
        "id": DRAFT, "version": 1, "content": content, "acknowledged": false, "created_at": "2026-11-23T14:20:00Z",
        "updated_at": "2026-11-23T14:29:00Z", "expires_at": "2026-12-23T14:20:00Z", "review_url": "http://localhost/"
    }))
    .expect("a draft");
    miss(&mut draft);
    draft
}

/// A draft that only needs its estimate.
pub(crate) fn complete() -> drafts::Draft {
    draft(
        json!({"name": "train", "workload_type": "batch", "image": "host", "command": "python3 train.py"}),
    )
}

fn miss(draft: &mut drafts::Draft) {
    draft.missing.clear();
    for (field, words) in [
        ("name", "Give the job a name."),
        ("workload_type", "Choose a type."),
        ("image", "Name an image."),
    ] {
        if !draft.content.contains_key(field) {
            draft.missing.insert(field.into(), words.into());
        }
    }
}

impl Fake {
    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        if let Some(answer) = self.on_files(method.as_str(), &parts, body) {
            return answer;
        }
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["auth", "session"]) => (200, session()),
            ("GET", ["v1", "jobs"]) => {
                let paged = self.asked.last().is_some_and(|uri| uri.contains("cursor="));
                let mut list = json!({"jobs": self.jobs, "limit": 20, "next_cursor": null, "has_more": self.jobs.len() > 1});
                if self.jobs.len() > 1 {
                    list["next_cursor"] = json!("c1");
                }
                if paged {
                    list["prev_cursor"] = json!("p1");
                }
                (200, list)
            }
            ("POST", ["v1", "jobs", "cancel"]) => (200, self.many.clone()),
            ("GET", ["v1", "jobs", _, "content"]) => (
                200,
                json!({"job_id": JOB, "secrets": ["HF_TOKEN"], "content": {
                    "name": self.jobs[0].name, "image": "host", "workload_type": "batch",
                    "command": self.jobs[0].command, "environment": {"HF_TOKEN": "${HF_TOKEN}"}}}),
            ),
            ("GET", ["v1", "nodes"]) => (200, self.nodes()),
            ("GET", ["v1", "overview"]) => (200, self.overview.clone()),
            ("GET", ["v1", "jobs", id]) => self
                .jobs
                .iter()
                .find(|job| job.id.to_string() == *id)
                .map_or_else(missing, |job| (200, json!(job))),
            ("GET", ["v1", "jobs", _, "events"]) => (
                200,
                json!({"job_id": JOB, "status": "running", "items": self.events, "limit": 1000, "next_cursor": "2", "has_more": false, "generated_at": "2026-11-23T14:00:12Z"}),
            ),
            ("GET", ["v1", "jobs", _, "callback"]) => self
                .callback
                .clone()
                .map_or_else(missing, |callback| (200, callback)),
            ("GET", ["v1", "jobs", _, "logs"]) => (200, self.page()),
            ("GET", ["v1", "logs"]) => (200, self.all_logs.clone()),
            ("POST", ["v1", "jobs", _, "cancel"]) => (
                200,
                json!({"job_id": JOB, "status": "cancelled", "cancelled": true, "message": "ok"}),
            ),
            ("GET", ["v1", "job-drafts"]) => (
                200,
                json!({"drafts": self.drafts, "next_cursor": null, "has_more": false}),
            ),
            ("POST", ["v1", "job-drafts"]) => {
                let mut draft = draft(body.get("content").cloned().unwrap_or(json!({})));
                if body.get("from_job").is_some() {
                    draft = complete();
                }
                self.drafts.push(draft.clone());
                (201, json!(draft))
            }
            (method, ["v1", "job-drafts", id, rest @ ..]) => self.on_draft(method, id, rest, body),
            _ => missing(),
        }
    }

    fn on_draft(&mut self, method: &str, id: &str, rest: &[&str], body: &Value) -> (u16, Value) {
        let Some(at) = self
            .drafts
            .iter()
            .position(|draft| draft.id.to_string() == id)
        else {
            return missing();
        };
        let draft = &mut self.drafts[at];
        match (method, rest) {
            ("PATCH", []) => {
                for (name, value) in body["content"].as_object().expect("content") {
                    if value.is_null() {
                        draft.content.remove(name);
                    } else {
                        draft.content.insert(name.clone(), value.clone());
                    }
                }
                draft.version += 1;
                draft.estimate = None;
                miss(draft);
            }
            ("DELETE", []) => {
                self.drafts.remove(at);
                return (200, json!({"message": "gone"}));
            }
            ("POST", ["estimate"]) => {
                let mut estimate = self.estimate.clone();
                estimate.version = draft.version;
                draft.estimate = Some(estimate);
            }
            ("POST", ["acknowledge"]) => draft.acknowledged = true,
            ("POST", ["submit"]) => {
                draft.job_id = JOB.parse().ok();
                return (
                    202,
                    json!({"job_id": JOB, "id": JOB, "status": "queued", "queued_at": "2026-11-23T14:31:00Z",
                    "submitted_at": "2026-11-23T14:31:00Z", "status_message": "Queued.", "hold_usd": 0.12}),
                );
            }
            _ => {}
        }
        (200, json!(draft))
    }

    fn page(&self) -> Value {
        let page = logs::Page {
            job_id: JOB.parse().expect("an id"),
            status: self.jobs[0].status,
            status_reason: None,
            items: self.logs.clone(),
            limit: 100,
            stream: "all".into(),
            next_cursor: None,
            has_more: false,
            failure_highlight: None,
            usage_hint: None,
            last_entry: self.logs.last().map_or(0, |line| line.entry_id),
            size_bytes: 0,
            error_lines: 0,
            warning_lines: 0,
            first_error_entry: None,
            expired: false,
        };
        merged(json!(page), self.page.clone())
    }

    fn nodes(&self) -> Value {
        let node: nodes::Node = serde_json::from_value(json!({
            "node_id": "local", "name": "local", "status": "up", "engine": "host", "cpus": 2, "memory_gb": 8.0, "gpus": [],
            "hourly_rate_usd": 0.12, "slots": 2, "slots_used": 0, "images": self.images, "network": "none", "protections": []
        }))
        .expect("a node");
        json!({"nodes": [node]})
    }

    /// The bodies of the calls to `what`.
    pub(crate) fn sent(&self, what: &str) -> Vec<Value> {
        let calls = self.calls.iter().filter(|(call, _)| call == what);
        calls.map(|(_, body)| body.clone()).collect()
    }
}

fn session() -> Value {
    let session: accounts::Session = serde_json::from_value(json!({
        "account": {"id": "acct_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f", "email": "a@example.org", "roles": ["user"]},
        "workspace": {"id": "ws_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f", "name": "Moabi Labs"},
        "role": "user", "operator": false, "expires_at": "2026-11-30T14:00:00Z", "balance_usd": 5.0, "active_jobs": 1
    }))
    .expect("a session");
    json!(session)
}

fn missing() -> (u16, Value) {
    (404, problem("NOT_FOUND", &json!({})))
}

fn problem(code: &str, fields: &Value) -> Value {
    let message = "There is something wrong with that.";
    json!({"error": {"code": code, "message": message, "fields": fields}, "code": code, "message": message})
}

pub(crate) fn orchestrator(fake: Shared) -> Router {
    Router::new().fallback(call).with_state(fake)
}

async fn call(
    State(fake): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    let mut fake = fake.lock().expect("a fake");
    let name = format!("{method} {path}");
    fake.calls.push((name.clone(), body.clone()));
    fake.asked.push(uri.to_string());
    if let Some(response) = fake.raw_files(&method, &path, &headers, &bytes) {
        return response;
    }
    if path.ends_with("/logs/download") {
        let text: String = fake
            .logs
            .iter()
            .flat_map(|item| [item.message.as_str(), "\n"])
            .collect();
        let attached = "attachment; filename=\"job.txt\"";
        return (
            [
                (header::ETAG, "\"tag\""),
                (header::CONTENT_DISPOSITION, attached),
            ],
            text,
        )
            .into_response();
    }
    if path.ends_with("/live") {
        let said = fake
            .changes
            .iter()
            .map(|change| format!("data: {}\n\n", json!(change)));
        let said = said.collect::<Vec<_>>().concat();
        return ([(header::CONTENT_TYPE, "text/event-stream")], said).into_response();
    }
    let (status, answer) = match &fake.refused {
        Some((what, status, code, fields)) if *what == name => (*status, problem(code, fields)),
        _ => fake.answer(&method, &path, &body),
    };
    let status = StatusCode::from_u16(status).expect("a status");
    (status, axum::Json(answer)).into_response()
}
