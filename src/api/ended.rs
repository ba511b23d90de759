//! What a job's callback says: the body of the one call that the server makes.
use super::openapi::Time;
use crate::domain::id::JobId;
use crate::domain::job::Status;
use crate::domain::money::Usd;
use crate::domain::spec::WorkloadType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use time::OffsetDateTime;
use time::serde::rfc3339;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobEnded {
    /// `job.` and the status, such as `job.completed`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When the job's end was written down.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub timestamp: OffsetDateTime,
    pub job_id: JobId,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    pub name: String,
    pub workload_type: WorkloadType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<Usd>,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub started_at: Option<OffsetDateTime>,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub finished_at: OffsetDateTime,
    /// `callback_metadata`, as it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BTreeMap<String, String>>,
}
