//! The Activepieces piece: the bare family, no envelope taken off, errors read from
//! one of several places. It confirms an upload with nothing.
use super::files::{address, fetched, given, listed, put, slot};
use super::{Client, Reply, Wire, ended, submitted};
use crate::grid::{Grid, and};
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

    /// It shows the estimate's cost as a number, and throws without a place to upload to.
    fn insist(&self, tool: &str, found: &Value) {
        match tool {
            "estimate" => assert!(found["estimated_cost_usd"].is_number(), "{found}"),
            "upload" => {
                for field in ["input_id", "upload_url"] {
                    let text = found["upload"][field].as_str();
                    assert!(text.is_some_and(|text| !text.is_empty()), "{found}");
                }
            }
            _ => {}
        }
    }
}

/// Uploads a file to its end, as the piece does; its id.
async fn brought(wire: &Wire<'_>, name: &str, (kind, media): (&str, &str), text: &str) -> Value {
    let file = json!({ "filename": name, "content_type": media, "kind": kind });
    let slot = slot(&Piece, wire, file).await;
    let bearer = format!("Bearer {}", slot["token"].as_str().unwrap());
    let headers = [("content-type", media), ("authorization", bearer.as_str())];
    let sent = put(wire, &slot, &headers, text.as_bytes()).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    // Of this address it keeps the path alone, and asks the API there.
    let api: url::Url = wire.grid.url().parse().unwrap();
    let complete = api.join(slot["complete_url"].as_str().unwrap()).unwrap();
    let done = wire.post(complete.path(), None).await;
    let done = Piece.made_of("complete", &done);
    assert_eq!(done["input_id"], slot["input_id"]);
    assert_eq!(
        (&done["status"], &done["ready"]),
        (&json!("ready"), &json!(true))
    );
    slot["input_id"].clone()
}

/// The names of the files that it finds so, a page of one after the other.
async fn found(wire: &Wire<'_>, query: &str) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/v1/job-inputs?limit=1{cursor}{query}");
        let page = Piece.see(wire, "inputs", &path).await;
        let inputs = page["inputs"].as_array().unwrap();
        assert!(inputs.len() <= 1, "{page}");
        for input in inputs {
            names.push(input["filename"].as_str().unwrap().to_owned());
        }
        if page["has_more"] != true {
            return names;
        }
        cursor = format!("&cursor={}", page["next_cursor"].as_str().unwrap());
    }
}

pub(super) async fn files(grid: Grid) {
    let ada = grid.sign_up("ada@example.org").await;
    let wire = Wire::of(&ada).await;
    let data = brought(&wire, "numbers 1.csv", ("input", "text/csv"), "1\n2\n39\n").await;
    let sum = "while read n; do s=$((s + n)); done < \"$1\"; printf %s $s > \"$2\"";
    let script = brought(&wire, "sum.sh", ("script", "text/x-shellscript"), sum).await;
    let never = json!({ "filename": "never.csv", "content_type": "text/csv", "kind": "input" });
    let never = slot(&Piece, &wire, never).await;

    for (query, names) in [
        ("", vec!["never.csv", "sum.sh", "numbers 1.csv"]),
        ("&status=ready", vec!["sum.sh", "numbers 1.csv"]),
        ("&status=ready&kind=input", vec!["numbers 1.csv"]),
        ("&kind=script", vec!["sum.sh"]),
        ("&status=pending&kind=script", vec![]),
    ] {
        assert_eq!(found(&wire, query).await, names, "{query}");
    }

    let work = "sh /workspace/scripts/sum.sh '/workspace/inputs/numbers 1.csv' \
                /workspace/artifacts/sum.txt";
    let job = Piece.job("sum", work);
    let early = json!({ "input_files": given(&[&data, &never["input_id"]]) });
    let early = wire.post(Piece::JOBS, Some(and(job.clone(), early))).await;
    assert_eq!(
        early.json().unwrap()["error"]["code"],
        "JOB_INPUT_NOT_READY"
    );
    assert!(!Piece.read(&early).unwrap_err().contains("null"));

    let more = json!({
        "input_files": given(&[&data]), "script_files": given(&[&script]),
        "expected_artifacts": ["/workspace/artifacts/sum.txt"],
    });
    let job = submitted(&Piece, &wire, &and(job, more)).await;
    let over = ended(&Piece, &wire, &job).await;
    assert_eq!(over["status"], "completed", "{over}");
    let artifacts = listed(&Piece, &wire, &job).await;
    assert_eq!(artifacts.len(), 1, "{artifacts:?}");
    assert_eq!(artifacts[0]["filename"], "sum.txt");
    let address = address(&Piece, &wire, &artifacts[0]).await;
    assert_eq!(fetched(&wire, &address["url"]).await, b"42");
}
