//! The secret that calls are signed with is replaced, and those before it sign on for
//! a while.
use super::{Desk, Receiver, signature};
use crate::harness::{Answer, on_each_database};
use crate::stub::{Machine, work};
use http::Method;
use serde_json::{Value, json};
use time::Duration;

const SECRET: &str = "/v1/callbacks/secret";

async fn secret(desk: &Desk) -> String {
    let secret = desk.see(SECRET).await;
    secret["secret"].as_str().unwrap().to_owned()
}

async fn rotate(desk: &Desk, body: Value) -> Answer {
    desk.post("/v1/callbacks/secret/rotate", body).await
}

/// Which of these secrets the next call is signed with, in the order of its header.
async fn signers(desk: &Desk, receiver: &Receiver, secrets: &[&str]) -> Vec<usize> {
    desk.submit(json!({ "callback_url": receiver.url() })).await;
    work(&desk.api).await;
    assert_eq!(desk.tick().await, 1);
    let told = receiver.told().pop().unwrap();
    let header = told.0["webhook-signature"].to_str().unwrap().to_owned();
    let known: Vec<String> = secrets.iter().map(|one| signature(one, &told)).collect();
    let signed = header.split(' ');
    signed
        .map(|one| known.iter().position(|mine| mine == one).expect("a secret"))
        .collect()
}

#[tokio::test]
async fn the_secret_before_signs_on_for_a_day_on_every_database() {
    on_each_database(async |store, dir| {
        let (api, machine) = Machine::on(store, dir);
        let mut desk = Desk::at(api, machine).await;
        let receiver = Receiver::start().await;
        let first = secret(&desk).await;
        let seen = desk.see(SECRET).await;
        assert_eq!(seen["number"], 0);
        assert!(seen.get("previous").is_none() && seen.get("rotated_at").is_none());
        assert_eq!(signers(&desk, &receiver, &[&first]).await, [0]);

        let rotated = rotate(&desk, Value::Null).await;
        assert_eq!(rotated.status, 200, "{}", rotated.body);
        let second = rotated.text("/secret");
        assert_ne!(second, first);
        assert_eq!(secret(&desk).await, second);
        assert_eq!(rotated.body["number"], 1);
        assert_eq!(rotated.body["rotated_at"], "2026-11-23T12:00:00Z");
        let before = &rotated.body["previous"][0];
        assert_eq!(before["number"], 0);
        assert_eq!(before["signs_until"], "2026-11-24T12:00:00Z");
        let last4 = before["last4"].as_str().unwrap();
        assert!(first.trim_end_matches('=').ends_with(last4) && last4.len() == 4);
        assert!(!rotated.body.to_string().contains(&first));
        // The new one first; who knows either is content.
        let both = [first.as_str(), second.as_str()];
        assert_eq!(signers(&desk, &receiver, &both).await, [1, 0]);
        desk.api.clock.advance(Duration::DAY - Duration::SECOND);
        desk.token = desk.sign_in().await;
        assert_eq!(signers(&desk, &receiver, &both).await, [1, 0]);
        desk.api.clock.advance(Duration::SECOND);
        assert_eq!(signers(&desk, &receiver, &both).await, [1]);
        assert!(desk.see(SECRET).await.get("previous").is_none());

        // Three at once, and then at once none but the newest.
        let third = rotate(&desk, json!({ "overlap_seconds": 600 })).await;
        let third = third.text("/secret");
        let fourth = rotate(&desk, json!({ "overlap_seconds": 3_600 })).await;
        let fourth = fourth.text("/secret");
        let all = [&first, &second, &third, &fourth].map(String::as_str);
        assert_eq!(signers(&desk, &receiver, &all).await, [3, 2, 1]);
        desk.api.clock.advance(Duration::minutes(10));
        assert_eq!(signers(&desk, &receiver, &all).await, [3, 2]);
        let fifth = rotate(&desk, json!({ "overlap_seconds": 0 })).await;
        assert!(fifth.body.get("previous").is_none(), "{}", fifth.body);
        let fifth = fifth.text("/secret");
        let all = [&third, &fourth, &fifth].map(String::as_str);
        assert_eq!(signers(&desk, &receiver, &all).await, [2]);

        // What signs no more is not kept, and what is kept is sealed.
        let rows: Vec<(i64, String)> = {
            let mut conn = desk.api.state.store().read().await.unwrap();
            sqlx::query_as("SELECT number, secret FROM callback_secrets ORDER BY number")
                .fetch_all(&mut *conn)
                .await
                .unwrap()
        };
        assert!(rows.len() < 4, "{rows:?}");
        assert!(rows.iter().all(|(_, sealed)| sealed.starts_with("1:")));
    })
    .await;
}

#[tokio::test]
async fn an_attempt_after_a_rotation_is_signed_with_what_there_is_then() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let first = secret(&desk).await;
    receiver.next(&[(500, "")]);
    desk.submit(json!({ "callback_url": receiver.url() })).await;
    work(&desk.api).await;
    assert_eq!(desk.tick().await, 1);
    let rotated = rotate(&desk, json!({ "overlap_seconds": 0 })).await;
    let second = rotated.text("/secret");
    desk.api.clock.advance(Duration::minutes(1));
    assert_eq!(desk.tick().await, 1);
    let told = receiver.told();
    let header = |at: usize| told[at].0["webhook-signature"].to_str().unwrap();
    assert_eq!(header(0), signature(&first, &told[0]));
    assert_eq!(header(1), signature(&second, &told[1]));
    assert_eq!(told[0].0["webhook-id"], told[1].0["webhook-id"]);
}

#[tokio::test]
async fn a_rotation_is_asked_for_rightly_once_and_by_a_person() {
    let desk = Desk::open().await;
    for (body, field) in [
        (json!({ "overlap_seconds": -1 }), "overlap_seconds"),
        (json!({ "overlap_seconds": 604_801 }), "overlap_seconds"),
    ] {
        let refused = rotate(&desk, body.clone()).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.fault(field).is_some(), "{}", refused.body);
    }
    assert_eq!(desk.see(SECRET).await["number"], 0);
    // The same question, answered twice.
    let replaces = json!({ "replaces": 0 });
    assert_eq!(rotate(&desk, replaces.clone()).await.status, 200);
    let again = rotate(&desk, replaces).await;
    assert_eq!(again.status, 409, "{}", again.body);
    assert_eq!(desk.see(SECRET).await["number"], 1);
    // Both at the same moment, too.
    let one = json!({ "replaces": 1 });
    let both = tokio::join!(rotate(&desk, one.clone()), rotate(&desk, one));
    let mut statuses = [both.0.status.as_u16(), both.1.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    // Five sign at most, unless all of them are to stop.
    for _ in 2..4 {
        assert_eq!(rotate(&desk, Value::Null).await.status, 200);
    }
    let many = rotate(&desk, Value::Null).await;
    assert_eq!(many.status, 409, "{}", many.body);
    let stop = rotate(&desk, json!({ "overlap_seconds": 0 })).await;
    assert_eq!(stop.status, 200, "{}", stop.body);

    let eve = desk.api.sign_up("eve@example.org").await;
    let hers = desk.api.get(SECRET, &eve).await;
    assert_eq!(hers.body["number"], 0, "another workspace's stays");
    let key = json!({ "name": "ci", "scopes": ["jobs:read", "jobs:submit", "jobs:write"] });
    let key = desk.post("/v1/api-keys", key).await.text("/key");
    for (method, path) in [
        (Method::GET, SECRET),
        (Method::POST, "/v1/callbacks/secret/rotate"),
    ] {
        let refused = desk.api.call(method, path, &key, Value::Null).await;
        assert_eq!(refused.status, 403, "{path}");
    }
}
