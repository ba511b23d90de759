//! What callbacks say is what the API's description says of them.
use crate::callbacks::Receiver;
use crate::grid::{Grid, and, eventually, script};
use crate::server::openapi::{document, faults};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn callbacks_say_what_is_described() {
    let call = &document()["webhooks"]["jobEnded"]["post"];
    let schema = &call["requestBody"]["content"]["application/json"]["schema"];
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let receiver = Receiver::start().await;
    let told = json!({
        "callback_url": receiver.url(), "callback_auth_token": "secret",
        "callback_metadata": { "order": "7" },
    });
    for end in ["true", "exit 3"] {
        ada.submit(and(script(end), told.clone())).await;
    }
    ada.submit(and(
        script("true"),
        json!({ "webhook_url": receiver.url() }),
    ))
    .await;
    let all = eventually("three calls", async || {
        Some(receiver.told()).filter(|told| told.len() == 3)
    })
    .await;
    let mut kinds = BTreeSet::new();
    for (headers, body) in &all {
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(faults(schema, &body), Vec::<String>::new(), "{body}");
        kinds.insert(body["type"].as_str().unwrap().to_owned());
        for header in call["parameters"].as_array().unwrap() {
            let name = header["name"].as_str().unwrap();
            let optional = name == "Authorization" && body.get("metadata").is_none();
            assert!(optional || headers.contains_key(name), "{name}");
        }
        let mut wrong = body.clone();
        wrong["more"] = json!(1);
        assert!(!faults(schema, &wrong).is_empty());
    }
    let expected = ["job.completed", "job.failed"].map(str::to_owned);
    assert_eq!(kinds, BTreeSet::from(expected));
}
