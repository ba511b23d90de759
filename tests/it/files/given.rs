//! Files that a job is given.
use super::{id, run, send, slot, upload};
use crate::grid::{Grid, and, script};
use http::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_job_finds_its_files_where_it_was_said() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let data = upload(&ada, "my data.csv", "input", b"one\ntwo\n").await;
    let program = upload(
        &ada,
        "go.sh",
        "script",
        b"#!/bin/sh\nwc -l < \"$1\"; echo changed >> \"$1\"; id -u\n",
    )
    .await;
    let before = ada.see(&format!("/v1/job-inputs/{data}")).await;
    assert_eq!(before["mount_path"], "/workspace/inputs/my data.csv");
    let work =
        "/workspace/scripts/go.sh '/workspace/inputs/my data.csv'; stat -c %A /workspace/inputs/*";
    // Objects, bare ids and the old name for the script: all the same.
    for files in [
        json!({ "input_files": [{ "input_id": data }], "script_files": [{ "input_id": program }] }),
        json!({ "input_files": [data], "script_file": program }),
        json!({ "input_files": [data, data], "script_files": [program], "script_file": program }),
    ] {
        let job = run(&ada, work, files).await;
        let lines = ada.lines(id(&job), 100).await;
        let said: Vec<_> = lines
            .iter()
            .map(|line| line["message"].as_str().unwrap())
            .collect();
        assert_eq!(job["status"], "completed", "{said:?}");
        assert_eq!(said[0], "2", "its own copy each time");
        assert_ne!(said[1], "0", "never root");
        assert_eq!(said[2], "-rw-------");
        assert_eq!(job["input_files"][0]["input_id"], json!(data));
        assert_eq!(
            job["input_files"][0]["mount_path"],
            "/workspace/inputs/my data.csv"
        );
        assert_eq!(job["input_files"][0]["size_bytes"], 8);
        assert_eq!(job["script_file"], json!(program));
        assert_eq!(job["startup_diagnostics"]["inputs_prepared"], true);
        assert_eq!(job["startup_diagnostics"]["scripts_prepared"], true);
        let events = ada.events(id(&job)).await;
        let kinds: Vec<_> = events
            .iter()
            .map(|event| event["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            kinds
                .iter()
                .filter(|kind| **kind == "job.preparing")
                .count(),
            1,
            "{kinds:?}"
        );
        let phase = events.iter().find(|event| event["type"] == "job.preparing");
        assert_eq!(phase.unwrap()["phase"], "preparing_inputs");
    }
    assert_eq!(
        ada.see(&format!("/v1/job-inputs/{data}")).await,
        before,
        "nobody writes to the original"
    );
    let bare = run(&ada, "ls /workspace/inputs /workspace/scripts", json!({})).await;
    assert_eq!(bare["startup_diagnostics"]["inputs_prepared"], Value::Null);
    assert!(bare.get("input_files").is_none() && bare.get("script_file").is_none());
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn a_job_is_not_let_in_without_its_files() {
    let grid = Grid::with(&["--host-slots", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let eve = grid.sign_up("eve@example.org").await;
    let hers = upload(&eve, "hers", "input", b"x").await;
    let a = upload(&ada, "same", "input", b"x").await;
    let b = upload(&ada, "same", "input", b"y").await;
    let pending = slot(&ada, json!({ "filename": "p" })).await;
    let uploaded = slot(&ada, json!({ "filename": "u" })).await;
    send(&ada, &uploaded, b"u").await;
    let zeros = format!("in_{}", "0".repeat(32));
    for (files, status, code, field) in [
        (
            json!({ "input_files": [zeros] }),
            400,
            "JOB_INPUT_NOT_FOUND",
            "input_files",
        ),
        (
            json!({ "input_files": ["nonsense"] }),
            400,
            "JOB_INPUT_NOT_FOUND",
            "input_files",
        ),
        (
            json!({ "script_file": hers }),
            400,
            "JOB_INPUT_NOT_FOUND",
            "script_files",
        ),
        (
            json!({ "input_files": [pending["input_id"]] }),
            409,
            "JOB_INPUT_NOT_READY",
            "input_files",
        ),
        (
            json!({ "script_files": [uploaded["input_id"]] }),
            409,
            "JOB_INPUT_NOT_READY",
            "script_files",
        ),
        (
            json!({ "input_files": [a, b] }),
            400,
            "INVALID_REQUEST",
            "input_files",
        ),
        (
            json!({ "script_files": [a, b] }),
            400,
            "INVALID_REQUEST",
            "script_files",
        ),
        (
            json!({ "input_files": "x" }),
            400,
            "INVALID_REQUEST",
            "input_files",
        ),
        (
            json!({ "input_files": [5] }),
            400,
            "INVALID_REQUEST",
            "input_files",
        ),
        (
            json!({ "input_files": [{ "input_id": "" }] }),
            400,
            "INVALID_REQUEST",
            "input_files",
        ),
    ] {
        let job = and(script("true"), files.clone());
        for path in ["/v1/jobs", "/v1/mcp/jobs"] {
            let refused = ada.post(path, job.clone()).await;
            assert_eq!(refused.status, status, "{files}: {}", refused.body);
            assert_eq!(refused.text("/error/code"), code, "{files}");
            assert!(refused.fault(field).is_some(), "{}", refused.body);
        }
        let estimate = ada.post("/v1/jobs/estimate", job).await;
        if code.starts_with("JOB_INPUT") {
            assert_eq!(estimate.status, 200, "{}", estimate.body);
            assert_eq!(estimate.body["can_submit"], false);
            assert_eq!(
                estimate.body["screening"]["blocked_checks"][0]["code"],
                code
            );
        }
    }
    // One that is needed stays; one that no job needs any more goes.
    let blocker = ada.submit(script("sleep 600")).await;
    ada.running(&blocker).await;
    let waiting = ada
        .submit(and(
            script("cat /workspace/inputs/same"),
            json!({ "input_files": [a] }),
        ))
        .await;
    let path = format!("/v1/job-inputs/{a}");
    let refused = ada.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(refused.status, 409, "{}", refused.body);
    ada.post(&format!("/v1/jobs/{blocker}/cancel"), json!({}))
        .await;
    assert_eq!(ada.ended(&waiting).await["status"], "completed");
    assert_eq!(
        ada.call(Method::DELETE, &path, Value::Null).await.status,
        200
    );
    assert_eq!(
        ada.job(&waiting).await["input_files"][0]["filename"],
        "same",
        "still known"
    );
}
