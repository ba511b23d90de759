//! The real server with a real app on the real engine, killed on the way.
use crate::grid::{Grid, Person, WELCOME, eventually};
use serde_json::{Value, json};

async fn phase(person: &Person<'_>, id: &str, phase: &str) -> Value {
    eventually(&format!("{phase} of {id}"), async || {
        let session = person.see(&format!("/v1/app-sessions/{id}")).await;
        let ended = !session["end"].is_null() && phase != session["status"];
        assert!(!ended, "it has ended instead: {session}");
        (session["status"] == phase).then_some(session)
    })
    .await
}

#[tokio::test]
async fn an_app_outlives_a_server_that_is_killed() {
    let grid = Grid::start();
    let person = grid.sign_up("amara@example.org").await;
    let path = "/v1/templates/workspace-files/estimate";
    let estimate = person.post(path, json!({})).await;
    assert_eq!(estimate.body["launchable"], true, "{}", estimate.body);
    let order = json!({
        "template": "workspace-files",
        "acknowledged_estimate": estimate.body["estimate_id"],
    });
    let launched = person.post("/v1/app-sessions", order).await;
    assert_eq!(launched.status, 202, "{}", launched.body);
    let id = launched.text("/id");
    // At once, wherever it is.
    grid.kill();
    grid.run();
    let running = phase(&person, &id, "running").await;
    grid.kill();
    grid.run();
    let again = phase(&person, &id, "running").await;
    assert_eq!(again["billed_from"], running["billed_from"]);
    let before = again["services"][0]["checked_at"].clone();
    eventually("a check by the new server", async || {
        let session = person.see(&format!("/v1/app-sessions/{id}")).await;
        (session["services"][0]["checked_at"] != before).then_some(())
    })
    .await;
    let stop = format!("/v1/app-sessions/{id}/stop");
    person.post(&stop, json!({})).await;
    let end = phase(&person, &id, "ended").await;
    assert_eq!(end["end"]["code"], "stopped");
    let (_, held, spent) = person.wallet().await;
    assert_eq!(held, 0);
    assert!(spent > 0 && spent < WELCOME);
}
