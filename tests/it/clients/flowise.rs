//! The Flowise node: an empty body that says it is JSON, numbers as JavaScript has
//! them, and the runtime's absence known by its message. It can be called back, as its
//! flat fields say.
use super::{Client, Reply, Wire, ended, submitted};
use crate::callbacks::{Receiver, verify};
use crate::grid::{Grid, and, eventually};
use serde_json::{Value, json};

pub(super) struct Node;

impl Client for Node {
    const JOBS: &'static str = "/v1/mcp/jobs";

    fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "workload_type": "inference", "image": "python:3.11-slim",
            "command": ["/bin/sh", "-c", script], "model_size_gb": 0.5, "disk_gb": 1.0,
            "timeout_seconds": 600.0, "optimize_for": "balanced",
            "constraints": { "max_price_per_hour": 5.0, "avoid_gpu_families": [] },
        })
    }

    /// A 200 with `ok: false` is an error as well.
    fn read(&self, reply: &Reply) -> Result<Value, String> {
        let found = reply.unwrapped();
        if let Err(shown) = &found
            && reply.status == 404
            && shown.to_lowercase().contains("runtime not available yet")
        {
            return Err("softly: runtime not available yet".into());
        }
        found
    }
}

pub(super) async fn callbacks(grid: Grid) {
    let ada = grid.sign_up("ada@example.org").await;
    let wire = Wire::of(&ada).await;
    let secret = ada.see("/v1/callbacks/secret").await;
    let secret = secret["secret"].as_str().unwrap();
    let receiver = Receiver::start().await;
    // By name, as people write it.
    let url = receiver.url().replacen("127.0.0.1", "localhost", 1);
    for (script, cancelled, status) in [
        ("echo done", false, "completed"),
        ("exit 3", false, "failed"),
        ("exec sleep 600", true, "cancelled"),
    ] {
        let token = format!("t0ken-for-{status}");
        let job = and(
            Node.job(status, script),
            json!({
                "callback_url": url, "callback_auth_token": token,
                "callback_metadata": { "flow": status, "empty": "" },
            }),
        );
        let before = receiver.told().len();
        let job = submitted(&Node, &wire, &job).await;
        if cancelled {
            let path = format!("{}/{job}/cancel", Node::JOBS);
            let body = json!({ "reason": "Cancelled via Flowise" });
            Node.made_of("cancel", &wire.post(&path, Some(body)).await);
        }
        let over = ended(&Node, &wire, &job).await;
        assert_eq!(over["status"], status, "{over}");
        assert!(!over.to_string().contains("t0ken"), "{over}");
        let path = format!("/v1/jobs/{job}/callback");
        let noted = eventually("the note of the call", async || {
            let noted = Node.see(&wire, "callback", &path).await;
            (noted["state"] != "armed" && noted["state"] != "waiting").then_some(noted)
        })
        .await;
        assert_eq!(noted["state"], "delivered", "{noted}");
        assert!(!noted.to_string().contains("t0ken"), "{noted}");

        let told = receiver.told();
        assert_eq!(told.len(), before + 1, "once");
        let one = told.last().unwrap();
        verify(secret, one);
        assert_eq!(one.0["authorization"], format!("Bearer {token}"));
        let body: Value = serde_json::from_str(&one.1).unwrap();
        assert_eq!(body["type"], format!("job.{status}"), "{body}");
        assert_eq!(
            (&body["job_id"], &body["status"]),
            (&json!(job), &json!(status))
        );
        assert_eq!(body["name"], status);
        assert_eq!(body["metadata"], json!({ "flow": status, "empty": "" }));
    }
    assert!(!grid.said().contains("t0ken"), "tokens stay out of the log");
}
