//! What jobs print: contract 3.8, and more ways to look at it.
use super::openapi::Time;
use crate::domain::app::EndCode;
use crate::domain::id::JobId;
use crate::domain::job::Status;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

/// Which lines of one job. Of `cursor`, `tail`, `from`, `around`, `before` and
/// `first_error` one says where; the last of them in this order if there are several.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LogFilter")]
pub struct Filter {
    /// 1 to 1000, 100 unless given; more is cut to 1000. A page is also no more than
    /// about half a megabyte of text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Only lines after this `entry_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// The last so many lines instead, 1 to 500.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<i64>,
    /// Lines from this `entry_id` on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
    /// This line with as many before it as after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub around: Option<i64>,
    /// The last lines before this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<i64>,
    /// The first line of level `error` with what is around it; from the beginning if
    /// there is none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_error: bool,
    /// `stdout`, `stderr`, `system` or `all`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// `debug`, `info`, `warning` or `error`: this and graver ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    /// Only lines that contain this; the case of ASCII letters does not matter. At
    /// most 200 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LogPage")]
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
    /// The number of the last line that was ever printed; 0 if none was.
    #[serde(default)]
    pub last_entry: i64,
    /// Of all output that is kept, as text.
    #[serde(default)]
    pub size_bytes: i64,
    /// Lines of level `error` that were ever printed.
    #[serde(default)]
    pub error_lines: i64,
    /// Lines of level `warning`.
    #[serde(default)]
    pub warning_lines: i64,
    /// The first line of level `error`, where that was asked for and there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_error_entry: Option<i64>,
    /// Whether all of it was deleted because of its age.
    #[serde(default)]
    pub expired: bool,
}

/// One line of output, without its line end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LogItem")]
pub struct Item {
    /// Counts from 1 within the job, lines that were dropped included.
    pub entry_id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    pub source: String,
    /// `workload_stdout`, `workload_stderr` or `platform`.
    pub category: String,
    /// `stdout`, `stderr` or `system`.
    pub stream: String,
    pub message: String,
    /// Cut after 16 KB: the next line of this stream goes on where it ends.
    pub truncated: bool,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub timestamp: OffsetDateTime,
    /// `debug`, `info`, `warning` or `error`: the rule is that of
    /// [`crate::domain::logs::Level::of`].
    pub level: String,
    /// Given where lines were dropped: so many up to this number, of which this one
    /// takes the place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped_lines: Option<i64>,
    /// Where the text that was searched for is: begin and end, in characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matches: Vec<(usize, usize)>,
}

/// Which lines of all jobs.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AllLogsFilter")]
pub struct AllFilter {
    /// Jobs, 1 to 50, 10 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Part of a job's name, image or id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// As in [`Filter`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
}

/// Jobs that have printed something that is wanted: failed ones first, those that
/// failed last before the others; then the rest, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AllLogs")]
pub struct All {
    pub logs: Vec<OfJob>,
    pub limit: i64,
    pub next_cursor: Option<String>,
    /// There may be more even after a page without any: a search stops for a moment
    /// when it has read much.
    pub has_more: bool,
}

/// The end of what is wanted of one job's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LogsOfJob")]
pub struct OfJob {
    pub job_id: JobId,
    pub name: String,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// How it ended, if it was an app: one that never became ready is a job that was
    /// cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_session_end: Option<EndCode>,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub completed_at: Option<OffsetDateTime>,
    /// The last lines that are wanted, oldest first.
    pub items: Vec<Item>,
    /// Whether there are more such lines before them.
    pub has_earlier: bool,
    pub last_entry: i64,
    pub size_bytes: i64,
    pub error_lines: i64,
    pub warning_lines: i64,
}
