//! `ForgeGrid`: looks for machines first, and writes a command as people type it.
use super::{Client, Reply, Wire};
use http::Method;
use serde_json::{Value, json};

pub(super) struct Forge;

impl Client for Forge {
    const JOBS: &'static str = "/v1/jobs";

    fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "workload_type": "training", "image": "python:3.11-slim",
            "command": script, "model_size_gb": 1, "optimize_for": "balanced",
        })
    }

    fn read(&self, reply: &Reply) -> Result<Value, String> {
        let body = reply.json()?;
        if (200..300).contains(&reply.status) {
            return Ok(body);
        }
        Err(body["error"]["message"]
            .as_str()
            .unwrap_or("null")
            .to_owned())
    }

    async fn arrive(&self, wire: &Wire<'_>) {
        let nodes = wire.send(Method::GET, "/v1/nodes", None).await;
        assert_eq!(nodes.status, 200, "it takes anything else for an outage");
        let health = wire.send(Method::GET, "/v1/health", None).await;
        assert_eq!(health.status, 200);
    }
}
