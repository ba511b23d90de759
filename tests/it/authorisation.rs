//! Who may call what: every operation of the API with every kind of credential.
//!
//! What is expected is written out here, from the contract, and compared with the
//! table, so that neither can be wrong alone.
pub(crate) mod credentials;

use crate::harness::TestApi;
use crate::stub::Machine;
use axum::body::Body;
use credentials::{Credentials, Holder, make};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::api::{self, Access, Origin};
use junglegrid::domain::api_key::Scope;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tower::ServiceExt as _;

/// Contract 2.2 and 3 for what is in them; for everything else what it is like.
/// Scopes open an operation each alone.
const EXPECTED: &[(&str, &str)] = &[
    ("POST /auth/register", "public"),
    ("POST /auth/otp/verify", "public"),
    ("POST /auth/otp/resend", "public"),
    ("POST /auth/signin", "public"),
    ("POST /auth/signout", "session"),
    ("GET /auth/session", "session"),
    ("POST /auth/password/forgot", "public"),
    ("POST /auth/password/reset", "public"),
    ("GET /v1/health", "public"),
    ("GET /v1/openapi.json", "public"),
    // Contract 3, row by row; `jobs:write` as in 2.2.
    ("POST /v1/jobs/estimate", "jobs:estimate jobs:write"),
    ("POST /v1/jobs", "jobs:submit jobs:write"),
    ("GET /v1/jobs", "jobs:read"),
    ("GET /v1/jobs/{job}", "jobs:read jobs:write"),
    ("GET /v1/jobs/{job}/runtime", "jobs:read jobs:write"),
    ("GET /v1/jobs/{job}/events", "jobs:read jobs:write"),
    ("GET /v1/jobs/{job}/logs", "jobs:read logs:read"),
    ("GET /v1/jobs/{job}/logs/live", "logs:read"),
    ("POST /v1/jobs/{job}/cancel", "jobs:submit jobs:write"),
    // Many of them are cancelled by whoever may cancel one.
    ("POST /v1/jobs/cancel", "jobs:submit jobs:write"),
    ("GET /v1/jobs/{job}/content", "jobs:read jobs:write"),
    // Drafts are jobs that are not there yet.
    ("POST /v1/job-drafts", "jobs:submit jobs:write"),
    ("GET /v1/job-drafts", "jobs:read"),
    ("GET /v1/job-drafts/{draft}", "jobs:read jobs:write"),
    ("PATCH /v1/job-drafts/{draft}", "jobs:submit jobs:write"),
    ("DELETE /v1/job-drafts/{draft}", "jobs:submit jobs:write"),
    (
        "POST /v1/job-drafts/{draft}/estimate",
        "jobs:estimate jobs:write",
    ),
    (
        "POST /v1/job-drafts/{draft}/acknowledge",
        "jobs:submit jobs:write",
    ),
    (
        "POST /v1/job-drafts/{draft}/submit",
        "jobs:submit jobs:write",
    ),
    // 3.13 calls it public; it says what the machines are, so a key it takes.
    (
        "GET /v1/nodes",
        "jobs:estimate jobs:read jobs:submit jobs:write logs:read",
    ),
    (
        "GET /v1/gpu-catalogue",
        "jobs:estimate jobs:read jobs:submit jobs:write logs:read",
    ),
    ("GET /v1/overview", "jobs:read"),
    ("GET /v1/billing/balance", "jobs:read jobs:write"),
    // Apps are jobs that people open.
    ("GET /v1/templates", "jobs:read jobs:write"),
    ("GET /v1/templates/{slug}", "jobs:read jobs:write"),
    (
        "POST /v1/templates/{slug}/estimate",
        "jobs:estimate jobs:write",
    ),
    ("POST /v1/app-sessions", "jobs:submit jobs:write"),
    ("GET /v1/app-sessions", "jobs:read"),
    ("GET /v1/app-sessions/{session}", "jobs:read jobs:write"),
    (
        "GET /v1/app-sessions/{session}/events",
        "jobs:read jobs:write",
    ),
    (
        "GET /v1/app-sessions/{session}/events/live",
        "jobs:read jobs:write",
    ),
    (
        "POST /v1/app-sessions/{session}/stop",
        "jobs:submit jobs:write",
    ),
    (
        "POST /v1/app-sessions/{session}/extend",
        "jobs:submit jobs:write",
    ),
    ("GET /v1/jobs/{job}/logs/download", "jobs:read logs:read"),
    ("GET /v1/logs", "jobs:read logs:read"),
    // State and output together, for pages.
    ("GET /v1/jobs/{job}/live", "jobs:read"),
    ("GET /v1/app-sessions/{session}/live", "jobs:read"),
    ("GET /v1/jobs/{job}/callback", "jobs:read jobs:write"),
    ("GET /v1/callbacks/secret", "session"),
    ("POST /v1/callbacks/secret/rotate", "session"),
    (
        "POST /v1/jobs/{job}/callback/send",
        "jobs:submit jobs:write",
    ),
    // What only people do: entering apps, and making keys.
    ("POST /v1/app-sessions/{session}/open", "session"),
    ("POST /v1/api-keys", "session"),
    ("GET /v1/api-keys", "session"),
    ("GET /v1/api-keys/{key}", "session"),
    ("PATCH /v1/api-keys/{key}", "session"),
    ("DELETE /v1/api-keys/{key}", "session"),
    ("POST /v1/api-keys/{key}/rotate", "session"),
    ("POST /v1/api-keys/{key}/disable", "session"),
    ("POST /v1/api-keys/{key}/enable", "session"),
    // Contract 3.12 and 3.11; deleting is as much as submitting.
    ("POST /v1/job-inputs", "jobs:submit jobs:write"),
    ("GET /v1/job-inputs", "jobs:read"),
    ("GET /v1/job-inputs/{input}", "jobs:read jobs:write"),
    (
        "POST /v1/job-inputs/{input}/complete",
        "jobs:submit jobs:write",
    ),
    ("DELETE /v1/job-inputs/{input}", "jobs:submit jobs:write"),
    ("GET /v1/jobs/{job}/artifacts", "jobs:read jobs:write"),
    (
        "POST /v1/jobs/{job}/artifacts/{artifact}/download",
        "jobs:read jobs:write",
    ),
    ("GET /v1/artifacts", "jobs:read"),
    ("GET /v1/artifacts/{artifact}", "jobs:read jobs:write"),
    ("DELETE /v1/artifacts/{artifact}", "jobs:submit jobs:write"),
    (
        "GET /v1/artifacts/{artifact}/preview",
        "jobs:read jobs:write",
    ),
    ("POST /v1/artifacts/zip", "jobs:read jobs:write"),
    // What is in their addresses is the credential.
    ("PUT /v1/job-inputs/{input}/content", "public"),
    ("GET /v1/artifacts/{artifact}/content", "public"),
    ("GET /v1/artifact-zips/{token}", "public"),
    ("GET /v1/operator/app-sessions", "operator"),
    ("GET /v1/operator/app-sessions/live", "operator"),
];

/// Those that the newer family has, too (contract 3, "J+M").
const TWINS: &[&str] = &[
    "POST /v1/jobs/estimate",
    "POST /v1/jobs",
    "GET /v1/jobs",
    "GET /v1/jobs/{job}",
    "GET /v1/jobs/{job}/logs",
    "POST /v1/jobs/{job}/cancel",
    "GET /v1/jobs/{job}/artifacts",
    "POST /v1/jobs/{job}/artifacts/{artifact}/download",
];

/// Every operation of the tables.
fn table() -> impl Iterator<Item = &'static (Method, &'static str, Access)> {
    api::ALL.iter().chain(api::RAW)
}

fn written(access: Access) -> String {
    match access {
        Access::Public => "public".into(),
        Access::Session => "session".into(),
        Access::Operator => "operator".into(),
        Access::Scopes(scopes) => {
            let mut names: Vec<_> = scopes.iter().map(|scope| scope.name()).collect();
            names.sort_unstable();
            names.join(" ")
        }
    }
}

#[test]
fn the_table_is_what_the_contract_says() {
    let ours: BTreeMap<String, String> = table()
        .map(|(method, path, access)| (format!("{method} {path}"), written(*access)))
        .collect();
    let expected: BTreeMap<String, String> = EXPECTED
        .iter()
        .map(|(operation, who)| ((*operation).to_owned(), (*who).to_owned()))
        .collect();
    assert_eq!(expected.len(), EXPECTED.len(), "one is there twice");
    for (operation, who) in &ours {
        let said = expected.get(operation);
        assert_eq!(said, Some(who), "say in EXPECTED who may call {operation}");
    }
    for operation in expected.keys() {
        assert!(ours.contains_key(operation), "{operation} is gone");
    }
    for scope in Scope::ALL {
        let opens = |who: &str| who.split(' ').any(|name| name == scope.name());
        assert!(
            expected.values().any(|who| opens(who)),
            "{scope} opens nothing"
        );
    }
}

/// One operation, as the matrix calls it.
#[derive(Debug, Clone)]
struct Operation {
    method: Method,
    path: String,
    /// `public`, `session`, `operator`, or scopes.
    who: &'static str,
    enveloped: bool,
}

/// Every operation that is expected, with the ids of things that there are.
fn operations(ids: &[(&str, &str)]) -> Vec<Operation> {
    let filled = |path: &str| {
        let mut path = path.to_owned();
        for (name, id) in ids {
            path = path.replace(name, id);
        }
        assert!(!path.contains('{'), "{path}");
        path
    };
    let mut all = Vec::new();
    for (operation, who) in EXPECTED {
        let (method, path) = operation.split_once(' ').unwrap();
        let mut families = vec![(filled(path), false)];
        if TWINS.contains(operation) {
            families.push((filled(&path.replacen("/v1/", "/v1/mcp/", 1)), true));
        }
        all.extend(families.into_iter().map(|(path, enveloped)| Operation {
            method: method.parse().unwrap(),
            path,
            who,
            enveloped,
        }));
    }
    all
}

/// Sends it, and reads the answer unless that is a stream that has begun.
async fn send(
    api: &TestApi,
    operation: &Operation,
    headers: &[(header::HeaderName, String)],
    query: &str,
) -> (StatusCode, Value, bool) {
    let uri = format!("{}{query}", operation.path);
    let mut request = Request::builder()
        .method(operation.method.clone())
        .uri(uri)
        .header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut request = request.body(Body::empty()).unwrap();
    request.extensions_mut().insert(Origin {
        ip: api.ip,
        agent: "matrix".into(),
    });
    let response = api.router().oneshot(request).await.unwrap();
    let status = response.status();
    let challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
    let kind = &response.headers()[header::CONTENT_TYPE];
    if kind.to_str().unwrap().starts_with("text/event-stream") {
        return (status, Value::Null, challenged);
    }
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap(), challenged)
}

/// What is to become of a call.
#[derive(Debug)]
enum Expected {
    /// Whatever the operation says to those who may.
    Let,
    Unauthorized(&'static str),
    Forbidden(String),
}

fn expected(operation: &Operation, holder: &Holder) -> Expected {
    let people = "An API key cannot do this: it takes a person who is signed in.";
    match (operation.who, holder) {
        ("public", _) => Expected::Let,
        (_, Holder::Nobody) => {
            Expected::Unauthorized("Authentication is required: send a valid bearer token.")
        }
        (_, Holder::Ended(why)) => Expected::Unauthorized(why),
        (_, Holder::Elsewhere) => Expected::Forbidden("api key not allowed from 192.0.2.1".into()),
        ("operator", Holder::Person) => {
            Expected::Forbidden("Only an operator of this installation may see this.".into())
        }
        (_, Holder::Operator | Holder::Person) => Expected::Let,
        ("session" | "operator", Holder::Key(_)) => Expected::Forbidden(people.into()),
        (scopes, Holder::Key(has)) => {
            if scopes.split(' ').any(|name| has.contains(&name)) {
                return Expected::Let;
            }
            // In the order of the table, which has been compared as a set.
            let table = table().find_map(|(_, _, access)| match access {
                Access::Scopes(any) if written(*access) == scopes => Some(*any),
                _ => None,
            });
            let names: Vec<_> = table.unwrap().iter().map(|scope| scope.name()).collect();
            let names = names.join(" or ");
            Expected::Forbidden(format!("api key missing {names} scope"))
        }
    }
}

#[tokio::test]
async fn what_another_workspace_has_is_as_missing_as_what_never_was() {
    let (api, _machine) = Machine::start().await;
    let ada = api.sign_up("ada@example.org").await;
    let eve = api.sign_up("eve@example.org").await;
    let all = json!({ "scopes": Scope::ALL.map(Scope::name) });
    let (hers, _) = make(&api, &ada, all.clone()).await;
    let (other, _) = make(&api, &eve, all).await;
    let content =
        json!({ "name": "n", "image": "host", "workload_type": "batch", "command": "true" });
    let job = api.call(Method::POST, "/v1/jobs", &hers, content).await;
    assert_eq!(job.status, 202, "a key submits: {:?}", job.body);
    let draft = api
        .call(Method::POST, "/v1/job-drafts", &hers, Value::Null)
        .await;
    assert_eq!(draft.status, 201, "{:?}", draft.body);
    let (job, draft) = (job.text("/job_id"), draft.text("/id"));
    let zeros = "0".repeat(32);
    let (session, key) = (format!("ts_{zeros}"), format!("key_{zeros}"));
    let (input, artifact) = (format!("in_{zeros}"), format!("art_{zeros}"));
    let ids = |job: &str, draft: &str| {
        operations(&[
            ("{job}", job),
            ("{draft}", draft),
            ("{session}", &*session),
            ("{key}", &*key),
            ("{slug}", "nothing"),
            ("{input}", &*input),
            ("{artifact}", &*artifact),
            ("{token}", "jgz_nothing"),
        ])
    };
    let (no_job, no_draft) = (format!("job_{zeros}"), format!("draft_{zeros}"));
    let missing = ids(&no_job, &no_draft);
    let mut tried = 0;
    for (real, missing) in ids(&job, &draft).iter().zip(&missing) {
        if real.path == missing.path {
            continue;
        }
        let what = format!("{} {}", real.method, real.path);
        let bearer = |key: &str| vec![(header::AUTHORIZATION, format!("Bearer {key}"))];
        let (status, theirs, _) = send(&api, real, &bearer(&other), "").await;
        // A body that is not right is refused before anything is looked for.
        assert!(status == 404 || status == 400, "{what}: {status} {theirs}");
        tried += usize::from(status == 404);
        let (_, nobodys, _) = send(&api, missing, &bearer(&other), "").await;
        // They may repeat the id that was asked for, and differ in nothing else.
        let theirs = theirs.to_string().replace(&job, &no_job);
        let theirs = theirs.replace(&draft, &no_draft);
        assert_eq!(theirs, nobodys.to_string(), "{what}");
    }
    assert!(tried > 12, "{tried}");
    let (found, lists) = (format!("/v1/jobs/{job}"), "/v1/jobs");
    assert_eq!(
        api.get(&found, &hers).await.status,
        200,
        "nothing happened to it"
    );
    let list = async |key: &str| {
        let list = api.get(lists, key).await;
        list.body["jobs"].as_array().unwrap().len()
    };
    assert_eq!((list(&hers).await, list(&other).await), (1, 0));
}

#[tokio::test]
async fn every_operation_lets_in_exactly_whom_it_should() {
    let api = TestApi::with(|config| config.operators = vec!["root@example.org".into()]).await;
    let credentials = Credentials::make(&api).await;
    let zeros = "0".repeat(32);
    let (input, artifact) = (format!("in_{zeros}"), format!("art_{zeros}"));
    let (job, draft, session, key) = (
        format!("job_{zeros}"),
        format!("draft_{zeros}"),
        format!("ts_{zeros}"),
        format!("key_{zeros}"),
    );
    let ids = [
        ("{job}", &*job),
        ("{draft}", &*draft),
        ("{session}", &*session),
        ("{key}", &*key),
        ("{slug}", "nothing"),
        ("{input}", &*input),
        ("{artifact}", &*artifact),
        ("{token}", "jgz_nothing"),
    ];
    let mut cells = 0;
    for operation in operations(&ids) {
        for (name, holder, headers, query) in credentials.each() {
            // It would end the session that the rest is tried with.
            if operation.path == "/auth/signout"
                && matches!(holder, Holder::Person | Holder::Operator)
            {
                continue;
            }
            cells += 1;
            let what = format!("{} {} with {name}", operation.method, operation.path);
            let (status, body, challenged) = send(&api, &operation, headers, query).await;
            let refused = |code: &str, message: &str| {
                assert_eq!(body["error"]["code"], code, "{what}: {body}");
                assert_eq!(body["message"], message, "{what}: {body}");
                assert_eq!(body.get("ok").is_some(), operation.enveloped, "{what}");
            };
            match expected(&operation, holder) {
                Expected::Unauthorized(why) => {
                    assert_eq!(status, 401, "{what}: {body}");
                    assert!(challenged, "{what}");
                    refused("UNAUTHORIZED", why);
                }
                Expected::Forbidden(why) => {
                    assert_eq!(status, 403, "{what}: {body}");
                    refused("FORBIDDEN", &why);
                }
                Expected::Let => {
                    assert!(status != 401 && status != 403, "{what}: {status} {body}");
                    assert!(!status.is_server_error(), "{what}: {status} {body}");
                }
            }
        }
    }
    println!("{cells} cells");
    assert!(cells > 1_000, "{cells}");
}
