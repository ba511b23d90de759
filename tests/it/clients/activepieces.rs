//! The Activepieces piece: the bare family, no envelope taken off, errors read from
//! one of several places.
use super::{Client, Reply};
use serde_json::{Value, json};

pub(super) struct Piece;

impl Client for Piece {
    const JOBS: &'static str = "/v1/jobs";

    fn job(&self, name: &str, script: &str) -> Value {
        json!({
            "name": name, "workload_type": "batch", "image": "alpine:3.20", "command": script,
            "optimize_for": "cost", "webhook_url": "http://localhost:9/hook",
        })
    }

    fn cancellation(&self) -> Option<Value> {
        Some(json!({ "reason": "Cancelled by the flow" }))
    }

    fn read(&self, reply: &Reply) -> Result<Value, String> {
        let body = reply.json()?;
        if (200..300).contains(&reply.status) {
            assert!(
                body.get("ok").is_none(),
                "it would hand on the envelope: {body}"
            );
            return Ok(body);
        }
        let places = [
            &body["detail"],
            &body["message"],
            &body["error"],
            &body["error"]["message"],
        ];
        let shown = places.iter().find_map(|place| place.as_str());
        Err(shown.unwrap_or("null").to_owned())
    }

    /// It shows the estimate's cost as a number.
    fn insist(&self, tool: &str, found: &Value) {
        if tool == "estimate" {
            assert!(found["estimated_cost_usd"].is_number(), "{found}");
        }
    }
}
