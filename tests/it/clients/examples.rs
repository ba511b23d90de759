//! The examples that people copy: curl, with everything that can be said to confirm an
//! upload and nothing to accompany it.
use super::files::{address, bytes, fetched, given, listed, path_of, put, slot};
use super::{Client, Reply, Wire, ended, submitted};
use crate::grid::{Grid, and};
use serde_json::{Value, json};

struct Curl;

impl Client for Curl {
    const JOBS: &'static str = "/v1/jobs";

    fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "workload_type": "batch", "image": "python:3.11-slim",
            "command": ["/bin/sh", "-c", script], "model_size_gb": 1, "optimize_for": "cost",
        })
    }

    fn read(&self, reply: &Reply) -> Result<Value, String> {
        let body = reply.json()?;
        if (200..300).contains(&reply.status) {
            return Ok(body);
        }
        Err(body["error"]["message"].to_string())
    }

    /// What the scripts take out of an answer, by these names.
    fn insist(&self, tool: &str, found: &Value) {
        let needed: &[&str] = match tool {
            "upload" => &[
                "/upload/input_id",
                "/upload/upload_url",
                "/upload/token",
                "/upload/complete_url",
            ],
            "download" => &["/url", "/expires_at", "/artifact/filename"],
            _ => &[],
        };
        for place in needed {
            let text = found.pointer(place).and_then(Value::as_str);
            assert!(
                text.is_some_and(|text| !text.is_empty()),
                "{place}: {found}"
            );
        }
    }
}

pub(super) async fn files(grid: Grid) {
    let ada = grid.sign_up("ada@example.org").await;
    let wire = Wire::of(&ada).await;
    let mut ids = Vec::new();
    // `curl -T` says nothing about a file, `--data-binary` takes it for a form.
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (name, headers) in [("whole.bin", [].as_slice()), ("form.bin", &form)] {
        let file = json!({
            "filename": name, "content_type": "application/octet-stream", "kind": "input",
        });
        let slot = slot(&Curl, &wire, file).await;
        let sent = put(&wire, &slot, headers, &bytes()).await;
        assert_eq!(sent.status, 200, "{}", sent.text);
        let whole = json!({
            "token": slot["token"], "filename": name, "content_type": "application/octet-stream",
            "size_bytes": bytes().len(), "etag": "\"d41d8cd98f00b204e9800998ecf8427e\"",
        });
        let path = path_of(&wire, &slot["complete_url"]);
        let done = wire.post(&path, Some(whole)).await;
        let done = Curl.made_of("complete", &done);
        assert_eq!(
            (&done["status"], &done["ready"]),
            (&json!("ready"), &json!(true))
        );
        assert_eq!(done["size_bytes"], json!(bytes().len()));
        ids.push(slot["input_id"].clone());
    }
    let work = "cp /workspace/inputs/whole.bin /workspace/inputs/form.bin /workspace/artifacts/";
    let more = json!({
        "input_files": given(&ids.iter().collect::<Vec<_>>()),
        "expected_artifacts": ["/workspace/artifacts/whole.bin", "/workspace/artifacts/form.bin"],
    });
    let job = submitted(&Curl, &wire, &and(Curl.job("copy", work), more)).await;
    let over = ended(&Curl, &wire, &job).await;
    assert_eq!(over["status"], "completed", "{over}");
    let artifacts = listed(&Curl, &wire, &job).await;
    assert_eq!(artifacts.len(), 2, "{artifacts:?}");
    for artifact in &artifacts {
        let found = address(&Curl, &wire, artifact).await;
        let back = fetched(&wire, &found["url"]).await;
        assert!(
            back == bytes(),
            "{}: {} bytes",
            artifact["filename"],
            back.len()
        );
    }
}
