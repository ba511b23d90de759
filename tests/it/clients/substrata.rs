//! The classifier of substrata: finds its jobs again by what it wrote into their
//! metadata, reads costs at the top level, and reads every body as JSON.
use super::{Client, Reply, Wire};
use serde_json::{Value, json};

pub(super) struct Classifier;

impl Client for Classifier {
    const JOBS: &'static str = "/v1/jobs";

    fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "workload_type": "inference", "image": "ghcr.io/substrata/classifier:1",
            "command": ["/bin/sh", "-c", script], "prompt": "Is it?", "max_output_tokens": 64,
            "resources": { "gpu": "any", "gpu_count": 1, "gpu_vendor": "amd" },
            "routing": { "preference": "cost", "max_cost_usd": 0.5, "preferred_latency_ms": 900 },
            "metadata": { "client_request_id": format!("request-{name}"), "labels": ["a", null, {}] },
        })
    }

    fn cancellation(&self) -> Option<Value> {
        Some(json!({}))
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

    fn insist(&self, tool: &str, found: &Value) {
        if tool == "status" {
            let scheduling = found.get("scheduling");
            assert!(scheduling.is_none_or(Value::is_object), "{found}");
            assert_ne!(found["status"], "rejected", "it would ask for five minutes");
        }
    }

    async fn depart(&self, wire: &Wire<'_>, job: &str) {
        // The answer to the submission got lost: which job was it?
        let list = self.see(wire, "list", "/v1/jobs?limit=100").await;
        let mut found = list["jobs"].as_array().unwrap().iter();
        let found = found.find(|one| one["metadata"]["client_request_id"] == "request-short");
        assert_eq!(found.unwrap()["job_id"], job);
        assert_eq!(found.unwrap()["metadata"]["labels"], json!(["a", null, {}]));

        let job = self.see(wire, "status", &format!("/v1/jobs/{job}")).await;
        let cost = job["actual_cost_usd"]
            .as_f64()
            .or(job["billing"]["cost_usd"].as_f64());
        assert!(cost.is_some_and(|cost| cost >= 0.0), "{job}");
        assert!(job["actual_cost_usd"].is_number(), "it would book nothing");
    }
}
