//! Callbacks to where they must not go, and secrets where they must not be.
use super::{Desk, Receiver};
use crate::grid::{and, script};
use crate::harness::TestApi;
use crate::stub::{Machine, work};
use http::{HeaderMap, Method};
use junglegrid::domain::reach::Allow;
use junglegrid::egress::reach::{Caller, Failed};
use junglegrid::orchestrator::workers::callbacks;
use serde_json::{Value, json};
use sha2::Digest as _;
use std::sync::Arc;

#[tokio::test]
async fn what_is_wrong_with_a_callback_is_said_at_its_field() {
    let desk = Desk::open().await;
    let long = "x".repeat(9_000);
    for (field, callback) in [
        ("callback_url", json!({ "callback_url": "example.com" })),
        ("callback_url", json!({ "callback_url": 5 })),
        (
            "callback_url",
            json!({ "callback_url": "http://example.com/" }),
        ),
        (
            "callback_url",
            json!({ "callback_url": "https://a:b@example.com/" }),
        ),
        (
            "callback_url",
            json!({ "callback_url": "https://example.com:25/" }),
        ),
        (
            "callback_url",
            json!({ "callback_url": format!("https://example.com/{long}") }),
        ),
        (
            "callback_url",
            json!({ "callback_url": "https://169.254.169.254/latest" }),
        ),
        (
            "callback_url",
            json!({ "callback_url": "https://2852039166/" }),
        ),
        (
            "callback_url",
            json!({ "callback_url": "https://[::ffff:10.0.0.1]/" }),
        ),
        (
            "callback_url",
            json!({ "callback_url": "https://0x0a.0.0.1/" }),
        ),
        (
            "callback_url",
            json!({ "callback_url": "https://[fd00:ec2::254]/" }),
        ),
        (
            "webhook_url",
            json!({ "webhook_url": "ftp://example.com/" }),
        ),
        ("callback", json!({ "callback": "https://example.com/" })),
        (
            "callback",
            json!({ "callback": { "url": "http://192.168.0.1/" } }),
        ),
        (
            "callback",
            json!({ "callback": { "url": "https://e.com/", "auth_token": "a b" } }),
        ),
        (
            "callback",
            json!({ "callback": { "url": "https://e.com/", "metadata": { "a": [] } } }),
        ),
        (
            "callback_auth_token",
            json!({ "callback_url": "https://e.com/", "callback_auth_token": "a\r\nX: y" }),
        ),
        (
            "callback_auth_token",
            json!({ "callback_url": "https://e.com/", "callback_auth_token": 7 }),
        ),
        (
            "callback_metadata",
            json!({ "callback_url": "https://e.com/", "callback_metadata": [] }),
        ),
        (
            "callback_metadata",
            json!({ "callback_url": "https://e.com/", "callback_metadata": { "a": long } }),
        ),
        (
            "webhook_url",
            json!({ "callback_url": "https://e.com/", "webhook_url": "https://f.com/" }),
        ),
    ] {
        for path in ["/v1/jobs", "/v1/jobs/estimate", "/v1/mcp/jobs"] {
            let refused = desk.post(path, and(script("true"), callback.clone())).await;
            assert_eq!(refused.status, 400, "{path} {callback}: {}", refused.body);
            assert!(refused.fault(field).is_some(), "{field}: {}", refused.body);
        }
        let draft = desk
            .post("/v1/job-drafts", json!({ "content": callback }))
            .await;
        assert_eq!(draft.status, 400, "{callback}: {}", draft.body);
    }
    assert_eq!(desk.see("/v1/jobs").await["jobs"], json!([]));
    // What is said without a URL is about nothing.
    let alone = json!({ "callback_auth_token": "t", "callback_metadata": { "a": "b" } });
    desk.submit(alone).await;
}

#[tokio::test]
async fn an_address_that_is_not_public_is_never_connected_to() {
    let receiver = Receiver::start().await;
    let caller = Caller::new(Allow::NOTHING).unwrap();
    let port = receiver.address.rsplit_once(':').unwrap().1.to_owned();
    for host in [
        "localhost",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "172.16.0.1",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "[fe80::1]",
        "[fc00::1]",
        "[ff02::1]",
        "localhost.",
        "x.localhost",
    ] {
        for scheme in ["http", "https"] {
            let url = format!("{scheme}://{host}:{port}/");
            let answer = caller.post(&url, HeaderMap::new(), "{}".into()).await;
            assert_eq!(answer, Err(Failed::Forbidden), "{url}");
        }
    }
    assert!(receiver.told().is_empty());
    // What is opened by its range is called, and what is opened by name.
    for item in ["127.0.0.0/8", "127.0.0.1", "localhost"] {
        let mut allow = Allow::NOTHING;
        allow.add(item).unwrap();
        let caller = Caller::new(allow).unwrap();
        let host = item
            .split('/')
            .next()
            .unwrap()
            .replace("127.0.0.0", "127.0.0.1");
        let url = format!("http://{host}:{port}/");
        let answer = caller.post(&url, HeaderMap::new(), "{}".into()).await;
        assert_eq!(answer.map(|answer| answer.status), Ok(200), "{item}");
    }
}

#[tokio::test]
async fn what_was_allowed_once_is_checked_again_at_every_call() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let job = desk.submit(json!({ "callback_url": receiver.url() })).await;
    work(&desk.api).await;
    let strict = Caller::new(Allow::NOTHING).unwrap();
    assert_eq!(callbacks::tick(&desk.api.state, &strict).await.unwrap(), 1);
    let shown = desk.callback(&job).await;
    assert_eq!(
        shown["attempts"][0]["error"],
        "Its address is one that this installation does not call."
    );
    assert!(receiver.told().is_empty());
}

#[tokio::test]
async fn token_and_secret_url_are_nowhere() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let (token, key) = ("t0ken-5f3a9c", "s3cret-in-the-query");
    receiver.next(&[(500, "you sent Bearer t0ken-5f3a9c, so there")]);
    let url = format!("{}?key={key}", receiver.url());
    let spec = json!({ "callback_url": url, "callback_auth_token": token });
    let job = desk.submit(spec.clone()).await;
    let twice = desk
        .post("/v1/jobs", and(script("exit 3"), spec.clone()))
        .await;
    desk.machine.set(&twice.text("/job_id"), Machine::exited(3));
    let draft = json!({ "content": and(script("true"), json!({
        "callback_url": receiver.url(), "callback_auth_token": token,
    })) });
    let draft = desk.post("/v1/job-drafts", draft).await;
    let draft = format!("/v1/job-drafts/{}", draft.text("/id"));
    let look = async || {
        let mut seen = String::new();
        for path in [
            format!("/v1/jobs/{job}"),
            format!("/v1/mcp/jobs/{job}"),
            format!("/v1/jobs/{job}/events"),
            format!("/v1/jobs/{job}/callback"),
            "/v1/jobs".into(),
            "/v1/overview".into(),
            "/v1/job-drafts".into(),
            draft.clone(),
        ] {
            seen.push_str(&desk.see(&path).await.to_string());
        }
        let rerun = json!({ "from_job": job });
        seen.push_str(&desk.post("/v1/job-drafts", rerun).await.body.to_string());
        for secret in [token, key] {
            assert!(!seen.contains(secret), "{secret}: {seen}");
            for file in std::fs::read_dir(desk.api.dir.path()).unwrap().flatten() {
                let bytes = std::fs::read(file.path()).unwrap();
                let found = memchr::memmem::find(&bytes, secret.as_bytes());
                assert_eq!(found, None, "{secret} in {:?}", file.path());
            }
        }
    };
    look().await;
    work(&desk.api).await;
    work(&desk.api).await;
    look().await;
    assert_eq!(desk.tick().await, 2);
    look().await;
    let told = receiver.told();
    assert!(
        told.iter()
            .all(|one| one.0["authorization"] == format!("Bearer {token}").as_str())
    );
    assert!(
        told.iter()
            .all(|one| !one.1.contains(token) && !one.1.contains(key))
    );
}

/// Whoever reads the database could try one token after the other against a plain hash.
#[tokio::test]
async fn a_job_that_is_submitted_once_leaves_nothing_to_guess_its_token_by() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let more = json!({ "callback_url": receiver.url(), "callback_auth_token": "hunter2" });
    let body = and(script("true"), more).to_string();
    let submit = async |body: &str| {
        let request = http::Request::post("/v1/jobs")
            .header("authorization", format!("Bearer {}", desk.token))
            .header("idempotency-key", "once")
            .body(axum::body::Body::from(body.to_owned()))
            .unwrap();
        desk.api.send(request).await
    };
    let first = submit(&body).await;
    assert_eq!(first.status, 202, "{}", first.body);
    assert_eq!(submit(&body).await.text("/job_id"), first.text("/job_id"));
    let other = submit(&body.replace("hunter2", "hunter3")).await;
    assert_eq!(other.text("/code"), "IDEMPOTENCY_KEY_REUSED");
    let mut conn = desk.api.state.store().read().await.unwrap();
    let (kept,): (String,) = sqlx::query_as("SELECT body_hash FROM idempotency")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    let plain = sha2::Sha256::digest(&body);
    assert_ne!(kept, junglegrid::random::hex(&plain));
}

#[tokio::test]
async fn a_callback_of_another_workspace_is_missing_and_its_secret_another() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let job = desk.submit(json!({ "callback_url": receiver.url() })).await;
    let eve = desk.api.sign_up("eve@example.org").await;
    let path = format!("/v1/jobs/{job}/callback");
    assert_eq!(desk.api.get(&path, &eve).await.status, 404);
    let secret = async |token: &str| {
        let secret = desk.api.get("/v1/callbacks/secret", token).await;
        assert_eq!(secret.status, 200);
        secret.text("/secret")
    };
    let hers = secret(&desk.token).await;
    assert_eq!(secret(&desk.token).await, hers);
    assert_ne!(secret(&eve).await, hers);
}

#[tokio::test]
async fn under_another_master_key_nothing_opens_and_nothing_is_sent() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let job = desk.submit(json!({ "callback_url": receiver.url() })).await;
    work(&desk.api).await;
    // The sealed URL of another job does not open here.
    let other = desk.submit(json!({ "callback_url": receiver.url() })).await;
    let (from, to) = (other.clone(), job.clone());
    desk.api
        .state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                let url: String = sqlx::query_scalar("SELECT url FROM callbacks WHERE job = $1")
                    .bind(from)
                    .fetch_one(&mut *conn)
                    .await?;
                sqlx::query("UPDATE callbacks SET url = $1 WHERE job = $2")
                    .bind(url)
                    .bind(to)
                    .execute(conn)
                    .await?;
                Ok::<_, junglegrid::store::Error>(())
            })
        })
        .await
        .unwrap();
    assert_eq!(desk.tick().await, 1);
    assert!(receiver.told().is_empty());
    let shown = desk.callback(&job).await;
    let error = shown["attempts"][0]["error"].as_str().unwrap();
    assert!(error.contains("cannot be read"), "{error}");
}

#[tokio::test]
async fn an_installation_that_opens_nothing_refuses_its_own_machine() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/junglegrid.db", dir.path().display());
    let store = junglegrid::store::Store::open(&url).await.unwrap();
    let api = TestApi::over(store, dir, Arc::new(Machine::default()), |config| {
        config.callback_allow = Allow::NOTHING;
    });
    let token = api.sign_up("ada@example.org").await;
    let body = and(
        script("true"),
        json!({ "callback_url": "http://localhost:3000/" }),
    );
    let refused = api.call(Method::POST, "/v1/jobs", &token, body).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused
            .fault("callback_url")
            .unwrap()
            .contains("callback_allow")
    );
    let public = json!({ "callback_url": "https://hooks.example.com/x" });
    let submitted = api
        .call(
            Method::POST,
            "/v1/jobs",
            &token,
            and(script("true"), public),
        )
        .await;
    assert_eq!(submitted.status, 202, "{}", submitted.body);
    assert_ne!(submitted.body, Value::Null);
}
