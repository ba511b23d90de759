//! Filters and cursors of lists, and loops that clients run over them.
use super::is_problem;
use crate::grid::{Grid, script};
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[tokio::test]
async fn jobs_are_listed_by_status_in_every_spelling_of_clients() {
    let grid = Grid::with(&["--host-slots", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let done = ada.submit(script("true")).await;
    ada.ended(&done).await;
    let failed = ada.submit(script("false")).await;
    ada.ended(&failed).await;
    let running = ada.submit(script("sleep 600")).await;
    ada.running(&running).await;
    let queued = ada.submit(script("true")).await;
    let gone = ada.submit(script("true")).await;
    ada.post(&format!("/v1/jobs/{gone}/cancel"), json!({}))
        .await;
    for (status, expected) in [
        ("completed", vec![&done]),
        ("failed", vec![&failed]),
        ("running", vec![&running]),
        ("queued", vec![&queued]),
        ("cancelled", vec![&gone]),
        ("canceled", vec![&gone]),
        ("rejected", vec![]),
        ("pending", vec![]),
        ("assigned", vec![]),
        ("provisioning", vec![]),
        ("starting", vec![]),
        ("active", vec![&queued, &running]),
        ("", vec![&gone, &queued, &running, &failed, &done]),
    ] {
        for path in ["/v1/jobs", "/v1/mcp/jobs"] {
            let list = ada.see(&format!("{path}?status={status}")).await;
            let list = list.get("data").cloned().unwrap_or(list);
            let ids = list["jobs"].as_array().unwrap().iter();
            let ids: Vec<_> = ids.map(|job| job["job_id"].as_str().unwrap()).collect();
            assert_eq!(ids, expected, "{path} {status}");
            assert_eq!(list["has_more"], false);
            assert_eq!(list["next_cursor"], Value::Null);
        }
    }
    for (query, field) in [
        ("status=dancing", "status"),
        ("workload_type=dance", "workload_type"),
        ("cursor=20", "cursor"),
        ("cursor=x-job_1", "cursor"),
        ("q=%07", "q"),
    ] {
        let refused = ada.get(&format!("/v1/jobs?{query}")).await;
        assert_eq!(refused.status, 400, "{query}");
        is_problem(&refused.body);
        assert!(
            refused.body["error"]["fields"][field].is_string(),
            "{query}"
        );
    }
    for (limit, used) in [("0", 1), ("-5", 1), ("1000", 100), ("", 20), ("7", 7)] {
        let list = ada.see(&format!("/v1/jobs?limit={limit}")).await;
        assert_eq!(list["limit"], used, "{limit}");
    }
}

#[tokio::test]
async fn a_loop_over_pages_sees_every_job_once_while_new_ones_come() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let mut expected = BTreeSet::new();
    for _ in 0..7 {
        expected.insert(ada.submit(script("true")).await);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = ada.see(&format!("/v1/jobs?limit=2&cursor={cursor}")).await;
        let jobs = list["jobs"].as_array().unwrap();
        assert!(jobs.len() <= 2);
        seen.extend(
            jobs.iter()
                .map(|job| job["id"].as_str().unwrap().to_owned()),
        );
        // Newer than where the loop is: it does not move what comes.
        ada.submit(script("true")).await;
        if list["has_more"] == false {
            break;
        }
        list["next_cursor"]
            .as_str()
            .unwrap()
            .clone_into(&mut cursor);
    }
    assert!(
        seen.is_sorted_by(|newer, older| newer > older),
        "newest first"
    );
    assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), expected);
    assert_eq!(seen.len(), expected.len(), "none twice");
}

/// As one client runs it: it keeps its cursor when none comes back.
#[tokio::test]
async fn a_loop_that_forgets_to_stop_repeats_nothing() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let id = ada.submit(script("seq 5")).await;
    ada.ended(&id).await;
    for what in ["logs", "events"] {
        let (mut seen, mut cursor, mut idle) = (Vec::new(), String::new(), 0);
        while idle < 3 {
            let path = format!("/v1/jobs/{id}/{what}?limit=2&cursor={cursor}");
            let page = ada.see(&path).await;
            let items = page["items"].as_array().unwrap();
            idle += u32::from(items.is_empty());
            let key = |item: &Value| item.get("entry_id").or(item.get("id")).cloned();
            seen.extend(items.iter().map(|item| key(item).unwrap().to_string()));
            page["next_cursor"]
                .as_str()
                .unwrap()
                .clone_into(&mut cursor);
        }
        let once: BTreeSet<_> = seen.iter().collect();
        assert_eq!(once.len(), seen.len(), "{what}: {seen:?}");
        assert!(seen.len() >= 4, "{what}: {seen:?}");
    }
}

#[tokio::test]
async fn events_are_there_before_any_output_and_can_be_asked_for() {
    let grid = Grid::with(&["--host-slots", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let blocking = ada.submit(script("sleep 600")).await;
    ada.running(&blocking).await;
    let waiting = ada.submit(script("echo")).await;
    let events = ada.events(&waiting).await;
    assert_eq!(events[0]["type"], "job.queued");
    let logs = ada.see(&format!("/v1/jobs/{waiting}/logs")).await;
    assert_eq!(logs["items"], json!([]));
    let runtime = ada.get(&format!("/v1/jobs/{waiting}/runtime")).await;
    assert_eq!(runtime.status, 404);
    assert_eq!(runtime.text("/message"), "job runtime not available yet");
    assert_eq!(runtime.text("/error/code"), "NOT_FOUND");

    let of = |query: &str| format!("/v1/jobs/{blocking}/events?{query}");
    let all = ada.events(&blocking).await;
    let started = ada.see(&of("type=job.started")).await;
    assert_eq!(started["items"].as_array().unwrap().len(), 1);
    assert_eq!(started["items"][0]["type"], "job.started");
    let none = ada.see(&of("type=job.danced")).await;
    assert_eq!(none["items"], json!([]));
    assert_eq!(none["next_cursor"], "0", "given back, never null");
    let since = all[0]["created_at"].as_str().unwrap();
    let later = ada.see(&of(&format!("since={since}"))).await;
    let expected = all.iter().filter(|event| event["created_at"] != *since);
    let later = later["items"].as_array().unwrap();
    assert_eq!(
        later.iter().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    assert!(!later.is_empty());
    assert_eq!(ada.get(&of("since=yesterday")).await.status, 400);
}

#[tokio::test]
async fn who_is_refused_at_the_door_hears_it_in_his_family_s_way() {
    let grid = Grid::start();
    for (path, enveloped) in [
        ("/v1/jobs", false),
        ("/v1/mcp/jobs", true),
        ("/v1/mcpx", false),
    ] {
        let odd = grid.request(http::Method::GET, path).header("x_y", "z");
        let refused = odd.send().await.unwrap();
        assert_eq!(refused.status(), 400);
        let body: Value = serde_json::from_slice(&refused.bytes().await.unwrap()).unwrap();
        is_problem(&body);
        let ok = enveloped.then_some(&Value::Bool(false));
        assert_eq!(body.get("ok"), ok, "{path}");
    }
}
