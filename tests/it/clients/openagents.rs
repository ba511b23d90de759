//! The demonstration of `OpenAgents`: goes on with the cursor it had when it gets none,
//! asks again when a GET fails, and splits a command into a string and arguments.
use super::{Client, Reply, Wire};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub(super) struct Agent;

impl Agent {
    /// Two more attempts, after what may pass.
    async fn get(&self, wire: &Wire<'_>, tool: &str, path: &str) -> Value {
        let mut left = 2;
        loop {
            let reply = wire.send(Method::GET, path, None).await;
            if left == 0 || !(reply.status == 429 || reply.status >= 500) {
                return self.made_of(tool, &reply);
            }
            left -= 1;
        }
    }
}

impl Client for Agent {
    const JOBS: &'static str = "/v1/mcp/jobs";

    fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "workload_type": "batch", "image": "python:3.11-slim",
            "command": "/bin/sh", "args": ["-c", script],
            "callback": { "url": "http://localhost:9/hook", "auth_token": "t", "metadata": {} },
            "batch_size": 1, "precision": "fp16", "gpu_required": false, "gpu_count": 0,
            "max_price_per_hour": 5, "avoid_gpu_families": [], "region_mode": "prefer",
            "latency_priority": "balanced", "cost_priority": "high", "priority": "low_cost",
            "timeout_seconds": 600,
        })
    }

    /// Without the token of its callback.
    fn estimate(&self, job: &Value) -> Value {
        let mut estimate = job.clone();
        estimate["callback"] = json!({ "url": "http://localhost:9/hook" });
        estimate
    }

    fn cancellation(&self) -> Option<Value> {
        Some(json!({ "reason": "Cancelled by the agent" }))
    }

    fn would_submit(&self, estimate: &Value) -> bool {
        estimate["available"] != false
            && estimate["can_submit"] != false
            && estimate["screening"]["can_submit"] != false
    }

    fn read(&self, reply: &Reply) -> Result<Value, String> {
        reply.unwrapped()
    }

    async fn printed(&self, wire: &Wire<'_>, job: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        let page = async |cursor: &str| {
            let path = format!("{}/{job}/logs?limit=2&cursor={cursor}", Self::JOBS);
            self.get(wire, "logs", &path).await
        };
        loop {
            let found = page(&cursor).await;
            items.extend(found["items"].as_array().unwrap().iter().cloned());
            // It keeps what it has, and would read the last page again.
            if let Some(next) = found["next_cursor"].as_str() {
                next.clone_into(&mut cursor);
            }
            if found["has_more"] != true {
                break;
            }
        }
        let more = page(&cursor).await;
        assert_eq!(more["items"], json!([]), "nothing twice");
        assert_eq!(more["next_cursor"], json!(cursor), "nothing is forgotten");
        items
    }

    async fn depart(&self, wire: &Wire<'_>, job: &str) {
        // It looks again and again, and knows events by their ids.
        let path = format!("/v1/jobs/{job}/events");
        let mut ids = BTreeSet::new();
        let mut counts = Vec::new();
        for _ in 0..2 {
            let found = self.get(wire, "events", &path).await;
            for event in found["items"].as_array().unwrap() {
                ids.insert(event["id"].as_str().unwrap().to_owned());
            }
            counts.push(ids.len());
        }
        assert_eq!(counts[0], counts[1], "the same events have the same ids");
    }
}
