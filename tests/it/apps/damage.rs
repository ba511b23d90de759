//! Sessions of which the database says what nobody understands: another release's, or
//! damaged.
use super::stage::Stage;
use crate::grid::eventually;
use crate::harness::at_each_database;
use serde_json::{Value, json};

/// What this release cannot read.
async fn damage(stage: &Stage, id: &str) {
    let id = id.to_owned();
    let damage = stage.api.state.store().write(move |conn| {
        Box::pin(async move {
            sqlx::query(
                "UPDATE app_sessions SET manifest = '{\"of\": \"tomorrow\"}' WHERE id = $1",
            )
            .bind(id)
            .execute(conn)
            .await?;
            Ok::<_, junglegrid::store::Error>(())
        })
    });
    damage.await.unwrap();
}

#[tokio::test]
async fn one_that_cannot_be_read_leaves_the_others_readable() {
    let stage = Stage::with(|config| config.first_account_operates = true).await;
    *stage.machine.pulls.lock().unwrap() = true;
    let past = stage.launch("desk", json!({})).await;
    let stop = format!("/v1/app-sessions/{past}/stop");
    stage.post(&stop, json!({})).await;
    stage.ended(&past).await;
    let other = stage.launch("box", json!({})).await;
    stage.phase(&other, "reserved").await;
    let live = stage.launch("desk", json!({})).await;
    for id in [&past, &live] {
        damage(&stage, id).await;
    }
    let ids = |list: Value| -> Vec<String> {
        let sessions = list["app_sessions"].as_array().unwrap();
        let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
        sessions.iter().map(id).collect()
    };
    let all = stage.get("/v1/app-sessions").await;
    let readable = [other];
    assert_eq!(ids(all), readable);
    for path in ["/v1/templates", "/v1/templates/desk", "/v1/jobs"] {
        stage.get(path).await;
    }
    let board = stage.get("/v1/operator/app-sessions").await;
    let launches = board["launches"].as_array().unwrap();
    assert_eq!(launches.len(), 1, "{board}");
    let newest = stage.get("/v1/app-sessions?limit=1").await;
    assert_eq!(newest["has_more"], false);
    assert_eq!(ids(newest), readable);
}

#[tokio::test]
async fn one_that_cannot_be_read_can_be_ended_and_launched_again() {
    at_each_database(async |url, dir| {
        let mut stage = Stage::on(url, dir).await;
        let mut paid = 0;
        for running in [false, true] {
            let id = stage.launch("desk", json!({"max_hours": 1})).await;
            stage.phase(&id, "starting").await;
            if running {
                stage.bring_up(&id).await;
                paid += 20_000;
            }
            let job = stage.session(&id).await["job_id"].clone();
            damage(&stage, &id).await;
            stage.restart().await;
            stage.pass(600);
            let busy = stage.try_launch("desk", json!({})).await;
            assert_eq!(busy.text("/code"), "ALREADY_RUNNING", "{:?}", busy.body);
            let path = format!("/v1/jobs/{}", job.as_str().unwrap());
            let cancelled = stage.post(&format!("{path}/cancel"), json!({})).await;
            assert_eq!(cancelled.status, 200, "{:?}", cancelled.body);
            eventually("its end", async || {
                (stage.get(&path).await["status"] == "cancelled").then_some(())
            })
            .await;
            assert_eq!(stage.wallet().await, (5_000_000 - paid, 0, paid));
        }
        stage.launch("desk", json!({})).await;
    })
    .await;
}
