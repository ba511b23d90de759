//! openline: shows only a message at the top level, says things that nobody knows, and
//! cancels with an empty body. It knows what its jobs leave by their last names.
use super::files::{address, fetched, listed};
use super::{Client, Reply, Wire, ended, submitted};
use crate::grid::{Grid, and};
use serde_json::{Value, json};

pub(super) struct Campaign;

impl Client for Campaign {
    const JOBS: &'static str = "/v1/jobs";

    fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "workload_type": "batch", "image": "python:3.11-slim",
            "command": ["/bin/sh", "-c", script], "args": [],
            "environment": { "OPENLINE_MODE": "", "OPENLINE_RUN": "1" },
            "requires_gpu": false, "gpu_count": 0, "expected_artifacts": [],
        })
    }

    fn read(&self, reply: &Reply) -> Result<Value, String> {
        let body = reply.json()?;
        if (200..300).contains(&reply.status) {
            return Ok(body);
        }
        let message = body["message"].as_str();
        Err(message.map_or_else(
            || format!("failed with HTTP null {}", reply.status),
            str::to_owned,
        ))
    }

    fn insist(&self, tool: &str, found: &Value) {
        match tool {
            "events" => assert!(found["items"].is_array() || found["events"].is_array()),
            "status" => assert!(found["artifact_contract"]["expected_artifacts"].is_array()),
            _ => {}
        }
    }
}

pub(super) async fn files(grid: Grid) {
    let ada = grid.sign_up("ada@example.org").await;
    let wire = Wire::of(&ada).await;
    let expected = [
        "/workspace/artifacts/outreach/leads.json",
        "/workspace/artifacts/report.md",
    ];
    let work = "cd /workspace/artifacts; mkdir -p outreach; \
                printf '[\"caf\\303\\251\"]' > outreach/leads.json; printf '# Ok' > report.md";
    let job = and(
        Campaign.job("campaign", work),
        json!({ "expected_artifacts": expected }),
    );
    let job = submitted(&Campaign, &wire, &job).await;
    let over = ended(&Campaign, &wire, &job).await;
    assert_eq!(over["status"], "completed", "{over}");

    let artifacts = listed(&Campaign, &wire, &job).await;
    let base = |path: &str| path.rsplit('/').next().unwrap().to_owned();
    let contents = ["[\"café\"]", "# Ok"];
    for (path, content) in expected.iter().zip(contents) {
        let mut fitting = artifacts
            .iter()
            .filter(|artifact| base(artifact["filename"].as_str().unwrap()) == base(path));
        let artifact = fitting
            .next()
            .unwrap_or_else(|| panic!("{path}: {artifacts:?}"));
        assert!(fitting.next().is_none(), "{path} is there once");
        assert_eq!(artifact["size_bytes"], json!(content.len()));
        let address = address(&Campaign, &wire, artifact).await;
        assert!(address["expires_at"].is_string(), "{address}");
        let bytes = fetched(&wire, &address["url"]).await;
        assert_eq!(String::from_utf8(bytes).unwrap(), content);
    }

    let path = format!("/v1/jobs/{job}/artifacts/art_nothing/download");
    let missing = wire.post(&path, None).await;
    assert_eq!(missing.status, 404);
    let shown = Campaign.read(&missing).unwrap_err();
    assert!(!shown.contains("failed with HTTP"), "{shown}");
}
