//! Files that people bring for their jobs: contract section 3.12.
use super::openapi::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use time::serde::rfc3339;

use crate::domain::file::Kind;
use crate::domain::id::InputId;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NewInput {
    /// 1 to 255 bytes, no folder.
    pub filename: String,
    /// `application/octet-stream` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// `input` (unless given) or `script`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// A place to upload one file to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InputSlot")]
pub struct Slot {
    pub upload: Upload,
}

/// `upload_url` and `token` are secrets: who has them can write the file.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InputUpload")]
pub struct Upload {
    pub input_id: InputId,
    pub filename: String,
    /// `PUT`, always.
    pub method: String,
    /// Absolute; takes the bytes with or without `Authorization: Bearer <token>`.
    pub upload_url: String,
    pub token: String,
    /// Until when it takes them.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
    /// Absolute, on the API's own origin; to be called with the caller's credential.
    pub complete_url: String,
    pub content_type: String,
    pub kind: Kind,
    /// Most bytes that it takes.
    pub max_bytes: u64,
}

/// All of it may be left out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "InputCompletion")]
pub struct Completion {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// How many bytes were sent; compared with what arrived if it is a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<Value>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InputFilter")]
pub struct Filter {
    /// 1 to 100; 20 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// From `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// `pending`, `uploaded` or `ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// `input` or `script`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "InputList")]
pub struct List {
    pub inputs: Vec<Input>,
    pub limit: i64,
    pub next_cursor: Option<String>,
    pub has_more: bool,
    /// What all files of the workspace take up, and how much they may, in bytes.
    pub used_bytes: i64,
    pub quota_bytes: i64,
    /// Most bytes of one file.
    pub max_bytes: i64,
    /// How long an upload is kept, in seconds.
    pub retention_seconds: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Input {
    pub input_id: InputId,
    pub id: InputId,
    pub filename: String,
    pub content_type: String,
    /// `null` until its bytes are there.
    pub size_bytes: Option<i64>,
    pub kind: Kind,
    /// `pending`, `uploaded` (all bytes are there) or `ready` (and that was confirmed).
    pub status: String,
    pub ready: bool,
    /// Where a job finds it.
    pub mount_path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub uploaded_at: Option<OffsetDateTime>,
    /// It is deleted then, unless a job that has not ended needs it.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
}
