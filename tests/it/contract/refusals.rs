//! What is refused, and how: kept by nobody, and with the field that is wrong.
use super::is_problem;
use crate::grid::{Grid, script};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn no_refusal_is_kept() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let job = format!("job_{}", "0".repeat(32));
    for (method, path, token, status) in [
        (Method::GET, "/v1/jobs".to_owned(), "", 401),
        (Method::GET, format!("/v1/jobs/{job}"), &*ada.token, 404),
        (Method::GET, format!("/v1/mcp/jobs/{job}"), &ada.token, 404),
        (
            Method::GET,
            format!("/v1/jobs/{job}/logs/live"),
            &ada.token,
            404,
        ),
        (Method::POST, "/v1/jobs".to_owned(), &ada.token, 400),
        (Method::GET, "/v1/nothing".to_owned(), &ada.token, 404),
        (Method::PUT, "/v1/jobs".to_owned(), &ada.token, 405),
    ] {
        let what = format!("{method} {path}");
        let answer = grid.call(method, &path, token, &Value::Null).await.unwrap();
        assert_eq!(answer.status, status, "{what}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{what}");
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_named() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let key = |more: Value| crate::grid::and(json!({ "name": "k", "scopes": ["jobs:read"] }), more);
    for (path, body, field) in [
        (
            "/v1/api-keys",
            key(json!({ "scopes": "jobs:read" })),
            "scopes",
        ),
        ("/v1/api-keys", key(json!({ "name": null })), "name"),
        (
            "/v1/api-keys",
            key(json!({ "expires_at": "soon" })),
            "expires_at",
        ),
        (
            "/v1/api-keys",
            key(json!({ "expires_at": "soon", "zeal": 1 })),
            "expires_at",
        ),
        ("/v1/job-inputs", json!({ "filename": 5 }), "filename"),
        (
            "/v1/app-sessions",
            json!({ "template": "x", "max_hours": "two" }),
            "max_hours",
        ),
    ] {
        let refused = ada.post(path, body.clone()).await;
        assert_eq!(refused.status, 400, "{path} {body}");
        is_problem(&refused.body);
        let fields = refused.body["error"]["fields"].as_object();
        let fields: Vec<_> = fields.into_iter().flatten().map(|(name, _)| name).collect();
        assert_eq!(fields, [field], "{path} {body}: {}", refused.body);
    }
    for (path, field) in [
        ("/v1/jobs?status=failed&limit=many&q=x", "limit"),
        ("/v1/jobs?limit=1&limit=2", "limit"),
        ("/v1/mcp/jobs?limit=1.5", "limit"),
    ] {
        let refused = ada.get(path).await;
        assert_eq!(refused.status, 400, "{path}");
        let fields = refused.body["error"]["fields"].as_object().unwrap();
        assert!(fields.contains_key(field), "{path}: {}", refused.body);
    }
    // What was sent is repeated in brief, if at all.
    let long = json!({ "name": "k", "scopes": "x".repeat(100_000) });
    let refused = ada.post("/v1/api-keys", long).await;
    assert_eq!(refused.status, 400);
    assert!(refused.body.to_string().len() < 2_000);
    // Optional ones may be null, as typed clients write what they do not have.
    let nothing = json!({ "allowed_ips": null, "expires_in_days": null });
    let made = ada.post("/v1/api-keys", key(nothing)).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_eq!(made.body["allowed_ips"], json!([]));
}

#[tokio::test]
async fn a_limit_is_cut_and_not_refused() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let id = ada.submit(script("true")).await;
    ada.ended(&id).await;
    let logs = format!("/v1/jobs/{id}/logs");
    let events = format!("/v1/jobs/{id}/events");
    for (path, most) in [
        ("/v1/jobs", 100),
        ("/v1/mcp/jobs", 100),
        ("/v1/api-keys", 100),
        (&*logs, 1_000),
        (&*events, 1_000),
    ] {
        for (given, limit) in [
            ("0", 1),
            ("-1", 1),
            ("-99999999999999999999", 1),
            ("5000", most),
            ("99999999999999999999999", most),
        ] {
            let list = ada.see(&format!("{path}?limit={given}")).await;
            let list = list.get("data").unwrap_or(&list);
            assert_eq!(list["limit"], limit, "{path} {given}");
        }
    }
    // The plus of an offset arrives as a blank from whoever does not encode it.
    for since in ["2020-01-01T00:00:00+02:00", "2020-01-01T00:00:00%2B02:00"] {
        let found = ada.see(&format!("{events}?since={since}")).await;
        assert!(!found["items"].as_array().unwrap().is_empty(), "{since}");
    }
}
