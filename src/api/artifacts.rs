//! Files that jobs leave: contract section 3.11.
use super::openapi::Time;
use crate::domain::id::{ArtifactId, JobId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Artifact {
    pub artifact_id: ArtifactId,
    pub id: ArtifactId,
    pub job_id: JobId,
    /// The path below `/workspace/artifacts`.
    pub filename: String,
    /// The same, for clients that ask so.
    pub name: String,
    /// Told by the content.
    pub content_type: String,
    /// The same, for clients that ask so.
    pub mime_type: String,
    /// Always known here.
    pub size_bytes: Option<i64>,
    /// In lower-case hex.
    pub sha256: String,
    /// `uploaded`, always: what is not there yet is not listed.
    pub status: String,
    pub ready: bool,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub uploaded_at: OffsetDateTime,
    /// It is deleted then.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
}

/// What one job has left.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ArtifactsOfJob")]
pub struct OfJob {
    pub job_id: JobId,
    pub artifacts: Vec<Artifact>,
    /// Whether there is nothing more to come.
    pub artifacts_ready: bool,
    /// Files that were not kept.
    pub left_out: i64,
    /// Why not, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out_reason: Option<String>,
    /// Paths that were declared and are not there.
    pub missing_artifacts: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ArtifactFilter")]
pub struct Filter {
    /// 1 to 100; 20 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// From `next_cursor` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only of this job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Part of a file's or its job's name, in any case; 200 characters at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

/// Of all jobs of the workspace, newest first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ArtifactList")]
pub struct List {
    pub artifacts: Vec<Listed>,
    pub limit: i64,
    pub next_cursor: Option<String>,
    pub has_more: bool,
    /// What all files of the workspace take up, and how much they may, in bytes.
    pub used_bytes: i64,
    pub quota_bytes: i64,
    /// Most bytes of one file.
    pub max_bytes: i64,
    /// How long what a job leaves is kept after its end, in seconds.
    pub retention_seconds: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ListedArtifact")]
pub struct Listed {
    #[serde(flatten)]
    pub artifact: Artifact,
    pub job_name: String,
}

/// Where a file can be fetched for a while, by anyone who has the address.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ArtifactDownload")]
pub struct Download {
    pub artifact: Artifact,
    pub artifact_id: ArtifactId,
    pub job_id: JobId,
    pub filename: String,
    /// Absolute; needs no header. A secret.
    pub url: String,
    /// The same, for clients that ask so.
    pub download_url: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
    pub ready: bool,
    pub mime_type: String,
    pub size_bytes: Option<i64>,
}

/// What can be shown of a file without fetching it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ArtifactPreview")]
pub struct Preview {
    pub artifact_id: ArtifactId,
    pub kind: PreviewKind,
    /// For `text` and `json`: at most 64 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// For `csv`: at most 50 rows of 20 cells of 200 characters; the first row first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Vec<String>>,
    /// For `image`: an address like that of a download, shown and not saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// Whether there is more than is shown.
    pub truncated: bool,
    /// What is shown, or why nothing is, in words.
    pub message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "ArtifactPreviewKind")]
pub enum PreviewKind {
    Text,
    Json,
    Csv,
    Image,
    None,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "ArtifactSelection")]
pub struct Selection {
    /// 1 to 1000 artifacts of this workspace, in the order in which they are packed.
    pub ids: Vec<String>,
}

/// Where a selection can be fetched as one ZIP archive for a while.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ArtifactArchive")]
pub struct Archive {
    /// Absolute; needs no header. A secret.
    pub url: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
    pub filename: String,
    pub files: i64,
    /// Of the whole archive.
    pub size_bytes: Option<i64>,
}
