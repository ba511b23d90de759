//! The server is killed while jobs end and callbacks are under way: every end is
//! told, under one id, and is queued once.
use super::{Receiver, verify};
use crate::grid::{Grid, and, eventually, script};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const KILLS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_no_callback() {
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let receiver = Receiver::start().await;
    let grid = Grid::with(&["--host-slots", "3", "--log", "debug,sqlx=warn"]);
    let ada = grid.sign_up("ada@example.org").await;
    let secret = ada.see("/v1/callbacks/secret").await;
    let secret = secret["secret"].as_str().unwrap().to_owned();
    let token = "t0ken-that-no-log-has";
    let mut jobs = Vec::new();
    for round in 0..KILLS {
        receiver.next(&[(500, "not now")]);
        for n in 0..2 {
            let exit = random.random_range(0..2);
            let spec = json!({
                "callback_url": receiver.url(), "callback_auth_token": token,
                "callback_metadata": { "n": format!("{round}-{n}") },
            });
            let job = ada.submit(and(script(&format!("exit {exit}")), spec)).await;
            jobs.push(job);
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..900))).await;
        assert!(!grid.said().contains(token), "the token is in the log");
        grid.kill();
        tokio::task::block_in_place(|| grid.run());
    }
    for job in &jobs {
        ada.ended(job).await;
        eventually(&format!("the callback of {job}"), async || {
            let path = format!("/v1/jobs/{job}/callback");
            let shown = ada.see(&path).await;
            // On a slow machine one may be refused again and again, and its pauses grow.
            if shown["attempts"].as_array().unwrap().len() > 1 && shown["state"] == "waiting" {
                ada.post(&format!("{path}/send"), Value::Null).await;
            }
            (shown["state"] == "delivered").then_some(())
        })
        .await;
    }
    let mut ids: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for one in receiver.told() {
        verify(&secret, &one);
        let body: Value = serde_json::from_str(&one.1).unwrap();
        let job = body["job_id"].as_str().unwrap().to_owned();
        let id = one.0["webhook-id"].to_str().unwrap().to_owned();
        ids.entry(job).or_default().insert(id);
    }
    assert_eq!(ids.len(), jobs.len());
    assert!(ids.values().all(|ids| ids.len() == 1), "{ids:?}");
    grid.stop();
    let url = format!("sqlite://{}", grid.data().join("junglegrid.db").display());
    let store = junglegrid::store::Store::open(&url).await.unwrap();
    let mut conn = store.read().await.unwrap();
    let rows: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM callback_outbox")
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    assert_eq!(usize::try_from(rows).unwrap(), jobs.len());
    drop(conn);
    store.close().await;
}
