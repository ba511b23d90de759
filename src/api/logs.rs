//! What jobs print: contract 3.8.
use crate::domain::id::JobId;
use crate::domain::job::Status;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Filter {
    /// 1 to 1000, 100 unless given; more is cut to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Only lines after this `entry_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The last so many lines instead, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<i64>,
    /// `stdout`, `stderr` or `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    pub job_id: JobId,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// Oldest first.
    pub items: Vec<Item>,
    pub limit: i64,
    pub stream: String,
    /// The last entry seen: always given, so that a loop goes on where it was.
    pub next_cursor: Option<String>,
    pub has_more: bool,
    /// The line that most likely says why the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_highlight: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_hint: Option<String>,
}

/// One line of output, without its line end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Counts from 1 within the job.
    pub entry_id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    pub source: String,
    /// `workload_stdout`, `workload_stderr` or `platform`.
    pub category: String,
    /// `stdout`, `stderr` or `system`.
    pub stream: String,
    pub message: String,
    pub truncated: bool,
    #[serde(with = "rfc3339")]
    pub created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    pub timestamp: OffsetDateTime,
    /// `info`, or `error` for stderr.
    pub level: String,
}
