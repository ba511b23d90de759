//! The same request several times at the same moment.
use super::{ADA, works};
use crate::harness::{TestApi, on_each_database};
use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use serde_json::{Value, json};

#[tokio::test]
async fn one_of_many_equal_requests_makes_the_key_and_the_others_hear_so() {
    on_each_database(async |store, dir| {
        let api = TestApi::on(store, dir, |_| {});
        let ada = api.sign_up(ADA).await;
        let send = async |path: &str, once: &str, body: &Value| {
            let request = Request::post(path)
                .header("authorization", format!("Bearer {ada}"))
                .header("idempotency-key", once)
                .body(Body::from(body.to_string()));
            api.send(request.unwrap()).await
        };
        let body = json!({ "name": "one", "scopes": ["jobs:read"] });
        for round in ["a", "b", "c"] {
            let created = join_all((0..8).map(|_| send("/v1/api-keys", round, &body))).await;
            let of = |status: u16| created.iter().filter(move |one| one.status == status);
            assert_eq!((of(201).count(), of(409).count()), (1, 7), "{created:?}");
            let made = of(201).next().unwrap();
            for late in of(409) {
                assert_eq!(late.text("/code"), "ALREADY_SHOWN");
                assert_eq!(late.fault("key_id"), made.body["id"].as_str());
            }
            let path = format!("/v1/api-keys/{}/rotate", made.text("/id"));
            let at_once = json!({ "overlap_seconds": 0 });
            let rotated = join_all((0..8).map(|_| send(&path, round, &at_once))).await;
            let of = |status: u16| rotated.iter().filter(move |one| one.status == status);
            assert_eq!((of(200).count(), of(409).count()), (1, 7), "{rotated:?}");
            assert!(works(&api, &of(200).next().unwrap().text("/key")).await);
            assert!(!works(&api, &made.text("/key")).await);
        }
        let list = api.get("/v1/api-keys", &ada).await;
        assert_eq!(list.body["api_keys"].as_array().unwrap().len(), 3);
    })
    .await;
}
