//! The Langflow bundle: only an https origin without a path, only objects, callbacks
//! in flat fields.
use super::{Client, Reply, Wire};
use serde_json::{Value, json};

pub(super) struct Component;

impl Client for Component {
    const JOBS: &'static str = "/v1/mcp/jobs";

    fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "workload_type": "inference", "image": "python:3.11-slim",
            "command": ["/bin/sh", "-c", script], "model_size_gb": 1, "optimize_for": "speed",
            "callback_url": "http://localhost:9/hook", "callback_auth_token": "secret",
            "callback_metadata": { "flow": "a" }, "metadata": { "flow": { "id": [1, null] } },
        })
    }

    fn cancellation(&self) -> Option<Value> {
        Some(json!({}))
    }

    /// It refuses what is no object, and `ok` that is not true.
    fn read(&self, reply: &Reply) -> Result<Value, String> {
        let found = reply.unwrapped()?;
        if found.is_object() {
            Ok(found)
        } else {
            Err("data is no object".into())
        }
    }

    async fn arrive(&self, wire: &Wire<'_>) {
        let url = wire.grid.url();
        assert!(accepted(&url.replacen("http://", "https://", 1)), "{url}");
        // Without TLS it would go no further; the rest is the same for others.
        assert_eq!(accepted(&url), url.starts_with("https://"));
    }
}

/// Whether it takes this for the address of an API.
fn accepted(url: &str) -> bool {
    let url: url::Url = url.parse().unwrap();
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    url.scheme() == "https" && bare && url.username().is_empty()
}
