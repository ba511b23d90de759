//! How long a session lasts, and who it lets in.
use super::{ADA, EVE, alive, count, register, sign_in};
use crate::harness::{PASSWORD, TestApi};
use axum::body::Body;
use http::{Method, Request};
use junglegrid::egress::mail::Postbox;
use junglegrid::orchestrator::workers::{mail, sweep};
use serde_json::json;
use time::Duration;

#[tokio::test]
async fn a_session_ends_when_idle_and_when_old() {
    let api = TestApi::start().await;
    let token = api.sign_up(ADA).await;
    // Used within the day, it lives on.
    for _ in 0..31 {
        api.clock.advance(Duration::hours(23));
        assert!(alive(&api, &token).await);
    }
    let rest = Duration::days(30) - Duration::hours(23 * 31);
    api.clock.advance(rest - Duration::SECOND);
    assert!(alive(&api, &token).await);
    api.clock.advance(Duration::SECOND);
    assert!(!alive(&api, &token).await, "thirty days old");

    let token = sign_in(&api, ADA, PASSWORD).await.text("/token");
    api.clock.advance(Duration::hours(24) - Duration::SECOND);
    assert!(alive(&api, &token).await);
    api.clock.advance(Duration::hours(24));
    assert!(!alive(&api, &token).await, "idle for a day");
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_swept_away() {
    let api = TestApi::start().await;
    api.sign_up(ADA).await;
    register(&api, EVE, PASSWORD).await;
    let postbox = Postbox::outbox(api.dir.path(), "grid@example.org").unwrap();
    mail::tick(&api.state, &postbox).await.unwrap();
    let rows = async || {
        [
            count(&api, "SELECT COUNT(*) FROM sessions").await,
            count(&api, "SELECT COUNT(*) FROM challenges").await,
            count(&api, "SELECT COUNT(*) FROM throttles").await,
            count(&api, "SELECT COUNT(*) FROM mails").await,
            count(&api, "SELECT COUNT(*) FROM accounts").await,
        ]
    };
    let before = rows().await;
    api.clock.advance(Duration::hours(23));
    sweep::tick(&api.state).await.unwrap();
    assert_eq!(rows().await, before);
    api.clock.advance(Duration::hours(2));
    sweep::tick(&api.state).await.unwrap();
    let [sessions, challenges, throttles, mails, accounts] = rows().await;
    assert_eq!([sessions, challenges, throttles], [0; 3]);
    assert_eq!((mails, accounts), (before[3], 2), "kept for longer");
    api.clock.advance(Duration::days(30));
    sweep::tick(&api.state).await.unwrap();
    assert_eq!(rows().await, [0, 0, 0, 0, 1], "only Ada is left");
}

#[tokio::test]
async fn use_is_noted_at_most_once_a_minute() {
    let api = TestApi::start().await;
    let token = api.sign_up(ADA).await;
    let seen = "SELECT last_seen FROM sessions";
    let begun = count(&api, seen).await;
    api.clock.advance(Duration::seconds(59));
    assert!(alive(&api, &token).await);
    assert_eq!(count(&api, seen).await, begun);
    api.clock.advance(Duration::SECOND);
    assert!(alive(&api, &token).await);
    assert_eq!(count(&api, seen).await, begun + 60_000_000);
}

#[tokio::test]
async fn signing_out_kills_this_token_and_no_other() {
    let api = TestApi::start().await;
    let phone = api.sign_up(ADA).await;
    let laptop = sign_in(&api, ADA, PASSWORD).await.text("/token");
    let out = api
        .call(Method::POST, "/auth/signout", &phone, json!({}))
        .await;
    assert_eq!(out.status, 200);
    assert!(!alive(&api, &phone).await);
    assert!(alive(&api, &laptop).await);
    assert_eq!(count(&api, "SELECT COUNT(*) FROM sessions").await, 1);
}

#[tokio::test]
async fn only_a_bearer_of_a_living_token_gets_in() {
    let api = TestApi::start().await;
    let token = api.sign_up(ADA).await;
    let ask = async |headers: &[(&str, &str)]| {
        let mut request = Request::builder().uri("/auth/session");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        api.send(request.body(Body::empty()).unwrap()).await
    };
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let value = format!("{scheme} {token}");
        assert_eq!(ask(&[("authorization", &value)]).await.status, 200);
    }
    let bearer = format!("Bearer {token}");
    let basic = format!("Basic {token}");
    let shortened = format!("Bearer {}", &token[..token.len() - 1]);
    let hashed = format!("Bearer jgs_{}", junglegrid::random::hash(&token));
    let cookie = format!("session={token}");
    let refused: [&[(&str, &str)]; 8] = [
        &[],
        &[("authorization", &token)],
        &[("authorization", &basic)],
        &[("authorization", &shortened)],
        &[("authorization", &hashed)],
        &[("authorization", "Bearer ")],
        &[("authorization", &bearer), ("authorization", &bearer)],
        &[("cookie", &cookie)],
    ];
    for headers in refused {
        let answer = ask(headers).await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert_eq!(answer.text("/error/code"), "UNAUTHORIZED");
        assert!(answer.headers.contains_key("www-authenticate"));
    }
}
