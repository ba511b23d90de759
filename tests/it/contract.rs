//! The contract to the letter: every operation is there and closed, both
//! families have their envelopes, and strict clients find the types they need.
mod fields;
mod lists;
mod news;
mod output;
mod refusals;
mod strict;

use crate::grid::{Grid, script};
use crate::stub::{Machine, work};
use http::Method;
use junglegrid::api::{self, Access};
use junglegrid::client::{self, Client};
use junglegrid::egress::roots::Roots;
use serde_json::{Value, json};

/// A path of the table with ids that could be.
fn filled(pattern: &str) -> String {
    let zeros = "0".repeat(32);
    pattern
        .replace("{job}", &format!("job_{zeros}"))
        .replace("{draft}", &format!("draft_{zeros}"))
        .replace("{session}", &format!("ts_{zeros}"))
        .replace("{key}", &format!("key_{zeros}"))
        .replace("{slug}", "nothing")
        .replace("{input}", &format!("in_{zeros}"))
        .replace("{artifact}", &format!("art_{zeros}"))
        .replace("{token}", "jgz_nothing")
}

/// The same operation in the enveloped family, if it is in both.
fn in_envelope(method: &Method, path: &str) -> Option<String> {
    let both = match *method {
        Method::GET => [
            "/v1/jobs",
            "/v1/jobs/{job}",
            "/v1/jobs/{job}/logs",
            "/v1/jobs/{job}/artifacts",
        ]
        .contains(&path),
        _ => [
            "/v1/jobs",
            "/v1/jobs/estimate",
            "/v1/jobs/{job}/cancel",
            "/v1/jobs/{job}/artifacts/{artifact}/download",
        ]
        .contains(&path),
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
    for (method, path, access) in api::RAW {
        all.push((method.clone(), filled(path), *access));
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
    let grid = Grid::start();
    // The first account of an installation on loopback operates it; the second is
    // like any other.
    grid.sign_up("operator@example.org").await;
    let ada = grid.sign_up("ada@example.org").await;
    let all = operations();
    assert_eq!(
        all.len(),
        api::ALL.len() + api::RAW.len() + 8,
        "with eight twins"
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
            assert_eq!(stranger.body.get("ok").is_some(), enveloped, "{what}");
            // What is in the address is the credential, and it is not there.
            let secret = ["/content", "/jgz_nothing"];
            if access == Access::Public && secret.iter().any(|end| path.ends_with(end)) {
                assert_eq!(stranger.status, 404, "{what}");
                is_problem(&stranger.body);
                continue;
            }
            if access == Access::Public && method == Method::GET {
                assert_eq!(stranger.status, 200, "{what}");
                continue;
            }
            is_problem(&stranger.body);
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
        if access == Access::Operator {
            assert_eq!(known.status, 403, "{what}: {}", known.body);
            assert_eq!(known.text("/error/code"), "FORBIDDEN", "{what}");
            let message = known.text("/message");
            assert!(message.contains("operator"), "{what}: {message}");
            continue;
        }
        assert_ne!(known.status, 403, "{what}: {}", known.body);
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
    let grid = Grid::start();
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
    let grid = Grid::start();
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

#[tokio::test]
async fn ids_may_be_percent_encoded() {
    let grid = Grid::start();
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
    let http = junglegrid::egress::orchestrator(&Roots::default()).unwrap();
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
