//! The contract to the letter: every operation is there and closed, both
//! families have their envelopes, and strict clients find the types they need.
use crate::grid::{Grid, Person, and, script};
use crate::stub::{Machine, work};
use http::Method;
use junglegrid::api::{self, Access};
use junglegrid::client::{self, Client};
use serde_json::{Value, json};

/// A path of the table with ids that could be.
fn filled(pattern: &str) -> String {
    let zeros = "0".repeat(32);
    pattern
        .replace("{job}", &format!("job_{zeros}"))
        .replace("{draft}", &format!("draft_{zeros}"))
}

/// The same operation in the enveloped family, if it is in both.
fn in_envelope(method: &Method, path: &str) -> Option<String> {
    let both = match *method {
        Method::GET => ["/v1/jobs", "/v1/jobs/{job}", "/v1/jobs/{job}/logs"].contains(&path),
        _ => ["/v1/jobs", "/v1/jobs/estimate", "/v1/jobs/{job}/cancel"].contains(&path),
    };
    both.then(|| path.replacen("/v1/", "/v1/mcp/", 1))
}

/// Every operation with its access, and the streams.
fn operations() -> Vec<(Method, String, Access)> {
    let table = api::ALL.iter();
    let mut all: Vec<_> = table
        .flat_map(|(method, path, access)| {
            let twin = in_envelope(method, path);
            let paths = [Some((*path).to_owned()), twin].into_iter().flatten();
            paths.map(|path| (method.clone(), filled(&path), *access))
        })
        .collect();
    for stream in [api::LOGS_LIVE, api::JOB_LIVE] {
        all.push((Method::GET, filled(stream), Access::Session));
    }
    all
}

fn is_problem(body: &Value) {
    assert!(body["error"]["code"].is_string(), "{body}");
    assert!(body["error"]["message"].is_string(), "{body}");
    assert_eq!(body["code"], body["error"]["code"]);
    assert_eq!(body["message"], body["error"]["message"]);
}

#[tokio::test]
async fn every_operation_is_there_and_closed_to_strangers() {
    let grid = Grid::start().await;
    let ada = grid.sign_up("ada@example.org").await;
    let all = operations();
    assert_eq!(
        all.len(),
        api::ALL.len() + 6 + 2,
        "six twins and two streams"
    );
    for (method, path, access) in all {
        let what = format!("{method} {path}");
        let enveloped = path.starts_with("/v1/mcp/");
        let sends = |token: String| {
            let (method, path, grid) = (method.clone(), path.clone(), &grid);
            async move {
                grid.call(method, &path, &token, &Value::Null)
                    .await
                    .unwrap()
            }
        };
        for token in ["", "jgs_nobody", "jg_1234", "\u{7f}"] {
            let stranger = sends(token.trim_matches('\u{7f}').to_owned()).await;
            let kind = stranger.headers["content-type"].to_str().unwrap();
            assert_eq!(kind, "application/json", "{what}");
            is_problem(&stranger.body);
            assert_eq!(stranger.body.get("ok").is_some(), enveloped, "{what}");
            if access == Access::Public {
                assert_eq!(
                    stranger.status, 400,
                    "{what} wants a body: {}",
                    stranger.body
                );
            } else {
                assert_eq!(stranger.status, 401, "{what}");
                assert_eq!(stranger.text("/error/code"), "UNAUTHORIZED");
                assert!(stranger.headers.contains_key("www-authenticate"), "{what}");
            }
        }
        if path == "/auth/signout" {
            continue;
        }
        let known = sends(ada.token.clone()).await;
        assert_ne!(known.status, 405, "{what}");
        assert!(!known.status.is_server_error(), "{what}: {}", known.body);
        assert!(known.body.is_object(), "{what}: {}", known.body);
        if known.status == 404 {
            let message = known.text("/message");
            assert!(
                !message.contains("operation"),
                "{what} is not routed: {message}"
            );
        }
    }
}

#[tokio::test]
async fn an_empty_body_is_no_mistake() {
    let grid = Grid::start().await;
    let ada = grid.sign_up("ada@example.org").await;
    let draft = ada.post("/v1/job-drafts", Value::Null).await;
    assert_eq!(draft.status, 201, "{}", draft.body);
    let id = draft.text("/id");
    for (method, path, status) in [
        (Method::POST, format!("/v1/job-drafts/{id}/submit"), 409),
        (Method::PATCH, format!("/v1/job-drafts/{id}"), 200),
        (Method::DELETE, format!("/v1/job-drafts/{id}"), 200),
    ] {
        let answer = ada.call(method, &path, Value::Null).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
    }
    for path in ["/v1/jobs", "/v1/mcp/jobs"] {
        let job = ada.submit(script("sleep 600")).await;
        let answer = ada.post(&format!("{path}/{job}/cancel"), Value::Null).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        // A body where none is expected is ignored, whatever it says.
        let seen = grid.request(Method::GET, &format!("{path}/{job}"));
        let seen = seen
            .bearer_auth(&ada.token)
            .body("{\"a\":")
            .send()
            .await
            .unwrap();
        assert_eq!(seen.status(), 200);
    }
    let nothing = ada.post("/v1/jobs", Value::Null).await;
    assert_eq!(nothing.status, 400);
    assert_eq!(
        nothing.text("/error/message"),
        "name, image, and workload_type are required"
    );
    assert_eq!(ada.post("/auth/signout", Value::Null).await.status, 200);
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json_and_pages_stay_pages() {
    let grid = Grid::start().await;
    let ada = grid.sign_up("ada@example.org").await;
    let page = "text/html,application/xhtml+xml";
    for (method, path, status) in [
        (Method::GET, "/v1", 404),
        (Method::GET, "/v1/", 404),
        (Method::GET, "/auth", 404),
        (Method::POST, "/auth/", 404),
        (Method::GET, "/v1/nothing", 404),
        (Method::DELETE, "/v1/jobs/x/y/z", 404),
        (Method::POST, "/auth/register/now", 404),
        (Method::GET, "/v1/mcp/nothing", 404),
        (Method::GET, "/v1/mcp/jobs/job_1/events", 404),
        (Method::DELETE, "/v1/jobs", 405),
        (Method::PUT, "/v1/mcp/jobs", 405),
        (Method::GET, "/v1/jobs/estimate/", 404),
        (Method::POST, "/v1/overview", 405),
        (Method::GET, "/auth/register", 405),
        (Method::OPTIONS, "/v1/jobs", 405),
    ] {
        for token in ["", &ada.token] {
            let request = grid.request(method.clone(), path).header("accept", page);
            let request = request.header("authorization", format!("Bearer {token}"));
            let answer = request.send().await.unwrap();
            let what = format!("{method} {path}");
            assert_eq!(answer.status(), status, "{what}");
            let kind = answer.headers()["content-type"]
                .to_str()
                .unwrap()
                .to_owned();
            assert_eq!(kind, "application/json", "{what}");
            if status == 405 {
                let allowed = answer.headers().get("allow");
                assert!(allowed.is_some_and(|allowed| !allowed.is_empty()), "{what}");
            }
            let body: Value = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
            is_problem(&body);
            let code = if status == 404 {
                "NOT_FOUND"
            } else {
                "METHOD_NOT_ALLOWED"
            };
            assert_eq!(body["code"], code, "{what}");
            let enveloped = path.starts_with("/v1/mcp/");
            let ok = enveloped.then_some(&Value::Bool(false));
            assert_eq!(body.get("ok"), ok, "{what}");
        }
    }
    let seen = grid
        .request(Method::HEAD, "/v1/jobs")
        .bearer_auth(&ada.token);
    assert_eq!(seen.send().await.unwrap().status(), 200, "HEAD is a GET");
    for (path, status) in [("/nothing", 404), ("/v1x", 404), ("/login", 200)] {
        let answer = grid.request(Method::GET, path).header("accept", page);
        let answer = answer.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let kind = answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert!(kind.starts_with("text/html"), "{path}: {kind}");
    }
}

#[tokio::test]
async fn without_a_portal_everything_else_is_just_not_there() {
    let grid = Grid::with(&["--no-portal"]);
    for (path, status) in [
        ("/v1/nothing", 404),
        ("/auth/nothing", 404),
        ("/healthz", 200),
    ] {
        let answer = grid
            .call(Method::GET, path, "", &Value::Null)
            .await
            .unwrap();
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.body.is_object(), "{path}");
    }
    let page = grid
        .call(Method::GET, "/login", "", &Value::Null)
        .await
        .unwrap();
    assert_eq!(page.status, 404);
}

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
        | "artifact_contract" => value.is_object(),
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
        | "diagnostics" => value.is_array(),
        "status" | "id" | "job_id" | "title" | "message" | "confidence" | "phase"
        | "execution_phase" | "status_message" | "status_reason" | "explanation" | "name"
        | "image" | "command" | "workload_type" | "failure_highlight" | "usage_hint" | "stream"
        | "category" | "source" | "likely_gpu_type" | "routed_gpu_tier" => value.is_string(),
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
        let path = format!("/v1/jobs/{id}/logs");
        let (logs, data) = both(&ada, Method::GET, &path, &Value::Null).await;
        assert!(logs["next_cursor"].is_string() && data["next_cursor"].is_string());
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
        "/v1/nodes",
        "/v1/overview",
        "/v1/billing/balance",
        "/auth/session",
        &format!("/v1/jobs/{failed}/runtime"),
        "/v1/job-drafts",
    ] {
        all_strict(path, &ada.see(path).await);
    }
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

#[tokio::test]
async fn ids_may_be_percent_encoded() {
    let grid = Grid::start().await;
    let ada = grid.sign_up("ada@example.org").await;
    let id = ada.submit(script("true")).await;
    let encoded = id.replace('_', "%5F").replacen('j', "%6a", 1);
    assert_eq!(
        ada.see(&format!("/v1/jobs/{encoded}")).await["id"],
        json!(id)
    );
    let other = ada.get("/v1/jobs/job%2F123").await;
    assert_eq!(other.status, 404);
    is_problem(&other.body);
}

#[tokio::test]
async fn both_transports_say_the_same() {
    let (api, _machine) = Machine::start().await;
    let token = api.sign_up("ada@example.org").await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let stop = tokio_util::sync::CancellationToken::new();
    let limits = junglegrid::app::server::Limits::default();
    let serving = junglegrid::app::server::serve(listener, api.router(), limits, stop.clone());
    let serving = tokio::spawn(serving);
    let here = Client::in_process(api.router()).acting_for(&token);
    let http = junglegrid::egress::http().unwrap();
    let there = Client::remote(http, base.parse().unwrap()).acting_for(&token);

    let Value::Object(content) = script("true") else {
        unreachable!()
    };
    let job = there.once("k").submit(&content).await.unwrap();
    let again = here.once("k").submit(&content).await.unwrap();
    assert_eq!(again.job_id, job.job_id, "the key travels either way");
    work(&api).await;
    let later = here.submit(&content).await.unwrap().job_id;
    let draft = there
        .create_draft(&api::drafts::NewDraft::default())
        .await
        .unwrap()
        .id;
    let of = |found: Result<Value, client::Error>| found.map_err(|error| error.to_string());
    macro_rules! agree {
        ($($name:ident($($argument:expr),*);)+) => {$(
            let json = |reply| serde_json::to_value(reply).unwrap();
            let near = of(here.$name($($argument),*).await.map(json));
            let json = |reply| serde_json::to_value(reply).unwrap();
            let far = of(there.$name($($argument),*).await.map(json));
            assert_eq!(near, far, stringify!($name));
        )+};
    }
    let nobody = "job_00000000000000000000000000000000".parse().unwrap();
    let gone = "draft_00000000000000000000000000000000".parse().unwrap();
    agree! {
        session();
        jobs(&api::jobs::Filter { limit: Some(1), ..Default::default() });
        jobs(&api::jobs::Filter { status: Some("dancing".into()), ..Default::default() });
        jobs(&api::jobs::Filter { q: Some("a & b = ü%".into()), ..Default::default() });
        job(job.job_id);
        job(later);
        job(nobody);
        runtime(job.job_id);
        runtime(later);
        events(job.job_id, &api::jobs::EventFilter::default());
        logs(job.job_id, &api::logs::Filter { tail: Some(2), ..Default::default() });
        cancel(job.job_id, &api::jobs::Cancellation::default());
        submit(&api::jobs::Content::new());
        drafts();
        draft(draft);
        draft(gone);
        estimate_draft(draft);
        submit_draft(draft);
        nodes();
        overview();
        balance();
    }
    for client in [&here, &there] {
        let refused = client.job(nobody).await.unwrap_err();
        assert_eq!(refused.status(), Some(http::StatusCode::NOT_FOUND));
        let stranger = client.acting_for("jgs_nobody").session().await.unwrap_err();
        assert_eq!(stranger.status(), Some(http::StatusCode::UNAUTHORIZED));
    }
    stop.cancel();
    serving.await.unwrap().unwrap();
}
