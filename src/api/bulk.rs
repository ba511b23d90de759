//! Many jobs at once, and a job's content for doing it again.
use super::jobs::Content;
use crate::domain::id::JobId;
use crate::domain::job::Status;
use crate::domain::money::Usd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which jobs to cancel: these, or the first hundred that a filter finds.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "BulkCancellation")]
pub struct Cancellation {
    /// 1 to 100; not together with `filter`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
    /// Of the jobs that it finds only those that have not ended, newest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Say what would happen, and do nothing.
    pub dry_run: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long to wait for all of them to end before answering; 0 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
}

/// As in the list of jobs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "BulkFilter")]
pub struct Filter {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workload_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_before: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BulkCancelled")]
pub struct Cancelled {
    pub dry_run: bool,
    /// What becomes of each, in the order in which they were named or found.
    pub jobs: Vec<Outcome>,
    /// How many are, or would be, cancelled by this call.
    pub cancelled: usize,
    /// How many there is nothing to cancel about.
    pub unchanged: usize,
    /// What those that are cancelled have run up so far.
    pub billed_usd: Usd,
    /// What is set aside for them.
    pub hold_usd: Usd,
    /// Whether the filter finds more than these.
    pub has_more: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "BulkOutcome")]
pub struct Outcome {
    /// As it was asked for.
    pub job_id: String,
    pub outcome: Done,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// As it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// In a sentence.
    pub message: String,
    /// Run up so far, or what it cost.
    pub cost_usd: Usd,
    /// Set aside; the most that it can cost.
    pub hold_usd: Usd,
}

/// What became of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "BulkDone")]
pub enum Done {
    /// It would be cancelled if this were no dry run.
    WouldCancel,
    Cancelled,
    /// It has been asked to stop and has not ended yet.
    Stopping,
    /// It had ended before.
    Ended,
    /// There is no such job in this workspace.
    Missing,
    /// It could not be cancelled now; trying again may work.
    Failed,
}

impl Done {
    /// Whether this call cancels it.
    #[must_use]
    pub const fn cancels(self) -> bool {
        matches!(self, Self::WouldCancel | Self::Cancelled | Self::Stopping)
    }
}

/// What a job was submitted with. It can be submitted again once each placeholder
/// (`${NAME}`) has its secret.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobSubmission")]
pub struct Submission {
    pub job_id: JobId,
    pub content: Content,
    /// The names of the placeholders, sorted.
    pub secrets: Vec<String>,
}
