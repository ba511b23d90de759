//! What a key reads live ends with it.
use super::{ADA, patch};
use crate::authorisation::credentials::{make, post};
use crate::harness::TestApi;
use crate::site::Site;
use crate::stub::Machine;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use junglegrid::api::{self, Origin};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

/// Shorter than the time after which streams look by themselves whether their
/// reader still may.
const AT_ONCE: Duration = Duration::from_secs(10);

/// A stream that has begun.
struct Stream(Body);

async fn open(api: &TestApi, path: &str, key: &str) -> Stream {
    let request = Request::get(path)
        .header("authorization", format!("Bearer {key}"))
        .body(Body::empty());
    let mut request = request.unwrap();
    request.extensions_mut().insert(Origin {
        ip: api.ip,
        agent: "test".into(),
    });
    let response = api.router().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    let mut stream = Stream(response.into_body());
    assert!(stream.next().await, "{path} says nothing");
    stream
}

impl Stream {
    /// Whether anything more comes.
    async fn next(&mut self) -> bool {
        let frame = tokio::time::timeout(AT_ONCE, self.0.frame());
        frame
            .await
            .expect("the stream goes on and says nothing")
            .is_some()
    }

    async fn ends(mut self, what: &str) {
        let mut more = 0;
        while self.next().await {
            more += 1;
            assert!(more < 20, "{what}: it goes on");
        }
    }
}

/// A job that waits for ever: there is no machine.
async fn job(api: &TestApi, session: &str) -> String {
    let body =
        json!({ "name": "waits", "image": "host", "workload_type": "batch", "command": "true" });
    let submitted = api.call(Method::POST, "/v1/jobs", session, body).await;
    assert_eq!(submitted.status, 202, "{:?}", submitted.body);
    submitted.text("/job_id")
}

#[tokio::test]
async fn open_streams_end_with_the_right_to_them() {
    let (api, _machine) = Machine::start().await;
    let ada = api.sign_up(ADA).await;
    let job = job(&api, &ada).await;
    let site = Site::start().await;
    let eve = site.api.sign_up("eve@example.org").await;
    let app = site.launch(&eve, "127.0.0.1:1".parse().unwrap()).await;
    let paths = [
        (&api, &ada, format!("/v1/jobs/{job}/logs/live")),
        (&api, &ada, format!("/v1/jobs/{job}/live")),
        (&site.api, &eve, format!("/v1/app-sessions/{}/live", app.id)),
        (
            &site.api,
            &eve,
            format!("/v1/app-sessions/{}/events/live", app.id),
        ),
    ];
    let streams = api::RAW
        .iter()
        .filter(|(_, path, _)| path.ends_with("/live"));
    assert_eq!(paths.len(), streams.count() - 1, "all but the operators'");
    let ends = ["disable", "revoke", "narrow", "move", "replace"];
    for (api, ada, path) in &paths {
        for end in ends {
            let all = json!({ "scopes": ["jobs:read", "logs:read"] });
            let (key, id) = make(api, ada, all).await;
            let stream = open(api, path, &key).await;
            match end {
                "disable" => {
                    post(api, ada, &id, "disable").await;
                }
                "revoke" => {
                    let path = format!("/v1/api-keys/{id}");
                    api.call(Method::DELETE, &path, ada, Value::Null).await;
                }
                "narrow" => {
                    patch(api, ada, &id, json!({ "scopes": ["jobs:estimate"] })).await;
                }
                "move" => {
                    patch(api, ada, &id, json!({ "allowed_ips": ["198.51.100.1"] })).await;
                }
                _ => {
                    let path = format!("/v1/api-keys/{id}/rotate");
                    let body = json!({ "overlap_seconds": 0 });
                    api.call(Method::POST, &path, ada, body).await;
                }
            }
            stream.ends(&format!("{end} {path}")).await;
        }
    }
}

#[tokio::test]
async fn a_stream_outlives_what_does_not_concern_it() {
    let (api, _machine) = Machine::start().await;
    let ada = api.sign_up(ADA).await;
    let job = job(&api, &ada).await;
    let all = json!({ "scopes": ["jobs:read", "logs:read"] });
    let (key, id) = make(&api, &ada, all.clone()).await;
    let (_, other) = make(&api, &ada, all).await;
    let mut stream = open(&api, &format!("/v1/jobs/{job}/live"), &key).await;
    post(&api, &ada, &other, "disable").await;
    patch(&api, &ada, &id, json!({ "name": "another name" })).await;
    // What comes next is news of the job, not the end.
    let path = format!("/v1/jobs/{job}/cancel");
    let cancelled = api.call(Method::POST, &path, &ada, Value::Null).await;
    assert_eq!(cancelled.status, 200, "{:?}", cancelled.body);
    assert!(stream.next().await);
}

#[tokio::test]
async fn who_signs_out_reads_no_job_live() {
    let (api, _machine) = Machine::start().await;
    let ada = api.sign_up(ADA).await;
    let job = job(&api, &ada).await;
    let stream = open(&api, &format!("/v1/jobs/{job}/live"), &ada).await;
    let out = api
        .call(Method::POST, "/auth/signout", &ada, Value::Null)
        .await;
    assert_eq!(out.status, 200);
    stream.ends("signing out").await;
}

/// A reader who does not read keeps a place among those of the same key, until it is noticed
/// that nobody is there.
#[tokio::test]
async fn a_stream_that_nobody_reads_cuts_no_other() {
    let site = Site::start().await;
    let eve = site.api.sign_up("eve@example.org").await;
    let app = site.launch(&eve, "127.0.0.1:1".parse().unwrap()).await;
    let (key, id) = make(&site.api, &eve, json!({ "scopes": ["jobs:read"] })).await;
    let path = format!("/v1/app-sessions/{}/live", app.id);
    let unread = open(&site.api, &path, &key).await;
    let read = open(&site.api, &path, &key).await;
    // Whoever still may begins again.
    patch(&site.api, &eve, &id, json!({ "name": "another" })).await;
    read.ends("another name").await;
    let mut again = open(&site.api, &path, &key).await;
    site.becomes(&app, junglegrid::domain::app::Phase::Stopping)
        .await;
    assert!(again.next().await, "what is new");
    unread.ends("another name").await;
}
