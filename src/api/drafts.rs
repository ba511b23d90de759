//! Jobs being described: every answer so far, the estimate, its acknowledgement.
use super::content::JobContent;
use super::jobs::{Content, Estimate};
use super::openapi::Time;
use crate::domain::id::{DraftId, EstimateId, JobId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::serde::rfc3339;

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NewDraft {
    /// Fields of a job, as many as are known.
    #[serde(skip_serializing_if = "Content::is_empty")]
    #[schemars(with = "JobContent")]
    pub content: Content,
    /// Copies what that job was submitted with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_job: Option<JobId>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "DraftPatch")]
pub struct Patch {
    #[schemars(with = "JobContent")]
    pub content: Content,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Draft {
    pub id: DraftId,
    /// Counts up with every change of the content.
    pub version: i64,
    pub content: Content,
    /// What still keeps the content from being a job, per field.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub missing: BTreeMap<String, String>,
    /// The estimate of exactly this version, if one has been asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<DraftEstimate>,
    /// Whether that estimate has been acknowledged and the acknowledgement holds.
    pub acknowledged: bool,
    /// Once submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_id: Option<JobId>,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub updated_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
    /// Where a person reviews and confirms it.
    pub review_url: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct DraftEstimate {
    pub estimate_id: EstimateId,
    /// The draft's version that it is about.
    pub version: i64,
    pub state: EstimateState,
    /// When it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// When it failed: why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Whether it can no longer be acknowledged; ask for another.
    pub expired: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "DraftEstimateState")]
pub enum EstimateState {
    Pending,
    Ready,
    Failed,
}

/// What has been seen. It must name the newest estimate of the draft as it is.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DraftAcknowledgement")]
pub struct Acknowledgement {
    pub estimate_id: EstimateId,
    pub version: i64,
    /// Needed when the estimate failed: submit without knowing.
    #[serde(default)]
    pub without_estimate: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "DraftList")]
pub struct List {
    pub drafts: Vec<Draft>,
    pub next_cursor: Option<String>,
    pub has_more: bool,
}
