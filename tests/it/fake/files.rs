//! The files that the orchestrator of a test knows.
use super::{Fake, JOB, merged, missing};
use axum::body::{Body, Bytes};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, header};
use junglegrid::api::{artifacts, inputs};
use serde_json::{Value, json};

pub(crate) const ARTIFACT: &str = "art_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f";
pub(crate) const INPUT: &str = "in_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f";
const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const PUBLIC: &str = "http://elsewhere.example:9000";

/// What it knows of files.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) artifacts: Vec<Value>,
    /// What is different about what a job has left.
    pub(crate) left: Value,
    pub(crate) preview: Value,
    /// What is in every artifact, and as what it is handed out.
    pub(crate) content: (&'static str, Vec<u8>),
    pub(crate) inputs: Vec<Value>,
    /// The bytes that were uploaded, in their order.
    pub(crate) uploaded: Vec<Bytes>,
    /// How uploads are refused.
    pub(crate) full: Option<(u16, &'static str)>,
}

/// A small text; `over` says what is different.
pub(crate) fn artifact(over: Value) -> Value {
    let base = json!({
        "artifact_id": ARTIFACT, "id": ARTIFACT, "job_id": JOB, "filename": "out/result.txt", "name": "out/result.txt",
        "content_type": "text/plain; charset=utf-8", "mime_type": "text/plain; charset=utf-8", "size_bytes": 1234,
        "sha256": SHA, "status": "uploaded", "ready": true, "created_at": "2026-11-23T14:10:00Z",
        "uploaded_at": "2026-11-23T14:10:00Z", "expires_at": "2026-12-23T14:10:00Z", "job_name": "train"
    });
    merged(base, over)
}

/// An upload that jobs can be given; `over` says what is different.
pub(crate) fn input(over: Value) -> Value {
    let base = json!({
        "input_id": INPUT, "id": INPUT, "filename": "data.csv", "content_type": "text/csv", "size_bytes": 17, "kind": "input",
        "status": "ready", "ready": true, "mount_path": "/workspace/inputs/data.csv", "sha256": SHA,
        "created_at": "2026-11-23T14:00:00Z", "uploaded_at": "2026-11-23T14:00:00Z", "expires_at": "2026-12-23T14:00:00Z"
    });
    merged(base, over)
}

pub(crate) fn preview(kind: &str, over: Value) -> Value {
    let base = json!({"artifact_id": ARTIFACT, "kind": kind, "truncated": false, "message": "All of it: 1.2 kB."});
    merged(base, over)
}

fn by_id<'a>(all: &'a [Value], id: &str) -> Option<&'a Value> {
    all.iter().find(|one| one["id"] == id)
}

fn known<T: serde::de::DeserializeOwned + serde::Serialize>(value: &Value) -> Value {
    let value: T = serde_json::from_value(value.clone()).expect("within the contract");
    json!(value)
}

impl Fake {
    pub(super) fn on_files(
        &mut self,
        method: &str,
        parts: &[&str],
        body: &Value,
    ) -> Option<(u16, Value)> {
        let files = &mut self.files;
        let found = |one: Option<&Value>| one.map_or_else(missing, |one| (200, one.clone()));
        let download =
            |id: &str| format!("{PUBLIC}/v1/artifacts/{id}/content?expires=1&signature=secret");
        Some(match (method, parts) {
            ("GET", ["v1", "artifacts"]) => (
                200,
                known::<artifacts::List>(&json!({
                    "artifacts": files.artifacts, "limit": 10, "next_cursor": ARTIFACT,
                    "has_more": files.artifacts.len() > 1, "used_bytes": 12_300_000, "quota_bytes": 20_000_000_000_i64,
                    "max_bytes": 5_000_000_000_i64, "retention_seconds": 2_592_000
                })),
            ),
            ("POST", ["v1", "artifacts", "zip"]) => (
                200,
                json!({"url": format!("{PUBLIC}/v1/artifact-zips/jgz_abc"), "expires_at": "2026-11-23T14:45:00Z",
                       "filename": "artifacts.zip", "files": 1, "size_bytes": 22}),
            ),
            ("GET", ["v1", "artifacts", _, "preview"]) => {
                (200, known::<artifacts::Preview>(&files.preview))
            }
            ("GET", ["v1", "artifacts", id]) => found(by_id(&files.artifacts, id)),
            ("DELETE", ["v1", "artifacts", id]) => match by_id(&files.artifacts, id) {
                None => missing(),
                Some(gone) => {
                    let message =
                        format!("{} has been deleted.", gone["filename"].as_str().unwrap());
                    files.artifacts.retain(|one| one["id"] != *id);
                    (200, json!({ "message": message }))
                }
            },
            ("GET", ["v1", "jobs", _, "artifacts"]) => {
                let left = json!({"job_id": JOB, "artifacts": files.artifacts, "artifacts_ready": true,
                                  "left_out": 0, "missing_artifacts": []});
                let over = if files.left.is_null() {
                    json!({})
                } else {
                    files.left.clone()
                };
                (200, known::<artifacts::OfJob>(&merged(left, over)))
            }
            ("POST", ["v1", "jobs", _, "artifacts", id, "download"]) => {
                let Some(one) = by_id(&files.artifacts, id) else {
                    return Some(missing());
                };
                let url = download(id);
                (
                    200,
                    json!({"artifact": one, "artifact_id": id, "job_id": JOB, "filename": one["filename"], "url": url,
                           "download_url": url, "expires_at": "2026-11-23T14:45:00Z", "ready": true,
                           "mime_type": one["mime_type"], "size_bytes": one["size_bytes"]}),
                )
            }
            ("GET", ["v1", "job-inputs"]) => {
                // The contract's own filter is tested where it is made.
                let asked = self.asked.last().cloned().unwrap_or_default();
                let of = |kind: &str| asked.contains(&format!("kind={kind}"));
                let shown = files.inputs.iter().filter(|one| {
                    let kind = one["kind"].as_str().unwrap();
                    of(kind) || !(of("input") || of("script"))
                });
                let list = json!({"inputs": shown.collect::<Vec<_>>(), "limit": 20, "next_cursor": null, "has_more": false,
                                  "used_bytes": 17, "quota_bytes": 20_000_000_000_i64,
                                  "max_bytes": 5_000_000_000_i64, "retention_seconds": 2_592_000});
                (200, known::<inputs::List>(&list))
            }
            ("POST", ["v1", "job-inputs"]) => {
                // So that each has an id of its own.
                let id = format!(
                    "{}{:02}",
                    &INPUT[..INPUT.len() - 2],
                    files.inputs.len() + 10
                );
                let kind = body["kind"].clone();
                let new = json!({"id": id, "input_id": id, "filename": body["filename"], "kind": kind, "ready": false, "status": "pending"});
                files.inputs.push(input(new));
                let upload = json!({
                    "input_id": id, "filename": body["filename"], "method": "PUT", "upload_url": format!("{PUBLIC}/v1/job-inputs/{id}/content?token=t"),
                    "token": "t", "expires_at": "2026-11-23T14:45:00Z", "complete_url": format!("{PUBLIC}/v1/job-inputs/{id}/complete"),
                    "content_type": "text/plain", "kind": kind, "max_bytes": 5_000_000_000_i64
                });
                (201, json!({ "upload": upload }))
            }
            ("GET", ["v1", "job-inputs", id]) => found(by_id(&files.inputs, id)),
            ("DELETE", ["v1", "job-inputs", id]) => {
                files.inputs.retain(|one| one["id"] != *id);
                (200, json!({"message": "data.csv has been deleted."}))
            }
            ("POST", ["v1", "job-inputs", id, "complete"]) => {
                let Some(one) = files.inputs.iter_mut().find(|one| one["id"] == *id) else {
                    return Some(missing());
                };
                one["ready"] = json!(true);
                one["status"] = json!("ready");
                one["size_bytes"] = body["size_bytes"].clone();
                (200, one.clone())
            }
            _ => return None,
        })
    }

    /// What is no JSON: bytes in either direction.
    pub(super) fn raw_files(
        &mut self,
        method: &Method,
        path: &str,
        asked: &HeaderMap,
        body: &Bytes,
    ) -> Option<Response> {
        let files = &mut self.files;
        if method == Method::PUT && path.ends_with("/content") {
            if let Some((status, message)) = files.full {
                let told = json!({"error": {"code": "TOO_LARGE", "message": message}, "code": "TOO_LARGE", "message": message});
                let status = StatusCode::from_u16(status).expect("a status");
                return Some((status, axum::Json(told)).into_response());
            }
            files.uploaded.push(body.clone());
            let id = path.split('/').nth(3).unwrap_or_default();
            let one = by_id(&files.inputs, id).cloned();
            return Some(axum::Json(one).into_response());
        }
        let of_a_file = path.starts_with("/v1/artifacts/") && path.ends_with("/content");
        if method != Method::GET || !(of_a_file || path.starts_with("/v1/artifact-zips/")) {
            return None;
        }
        assert!(
            asked.get(header::AUTHORIZATION).is_none(),
            "the address is the credential"
        );
        let (kind, bytes) = &files.content;
        let part = asked.get(header::RANGE).and_then(|range| {
            let (first, last) = range
                .to_str()
                .ok()?
                .strip_prefix("bytes=")?
                .split_once('-')?;
            let last = last.parse::<usize>().ok()?.min(bytes.len().checked_sub(1)?);
            Some((first.parse::<usize>().ok()?, last))
        });
        let headers = [
            (header::CONTENT_TYPE, (*kind).to_owned()),
            (
                header::CONTENT_DISPOSITION,
                "attachment; filename=\"result.txt\"".to_owned(),
            ),
            (header::ETAG, "\"tag\"".to_owned()),
            // Whatever else it says goes no further.
            (header::SET_COOKIE, "evil=1".to_owned()),
        ];
        Some(match part {
            None => (headers, Body::from(bytes.clone())).into_response(),
            Some((first, last)) => {
                let range = format!("bytes {first}-{last}/{}", bytes.len());
                let bytes = bytes[first..=last].to_vec();
                (
                    StatusCode::PARTIAL_CONTENT,
                    headers,
                    [(header::CONTENT_RANGE, range)],
                    bytes,
                )
                    .into_response()
            }
        })
    }
}
