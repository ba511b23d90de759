//! The Flowise node: an empty body that says it is JSON, numbers as JavaScript has
//! them, and the runtime's absence known by its message.
use super::{Client, Reply};
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
