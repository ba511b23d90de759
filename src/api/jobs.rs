//! Jobs: contract sections 3.1 to 3.7 and 3.10.
use super::openapi::Time;
use crate::domain::app::EndCode;
use crate::domain::calibration::Calibration;
use crate::domain::estimate::Confidence;
use crate::domain::history::Basis;
use crate::domain::id::{AppSessionId, EstimateId, JobId};
use crate::domain::job::{Phase, Status};
use crate::domain::money::Usd;
use crate::domain::routing::{Check, Relaxed};
use crate::domain::spec::{OptimizeFor, RegionMode, WorkloadType};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use time::serde::rfc3339;

/// A job as a client describes it (contract 3.1). Unknown fields are ignored,
/// and what is wrong with known ones is said per field, so it is read by hand.
pub type Content = Map<String, Value>;

/// Contract 3.2. On `/v1/mcp` `estimated_cost_usd` is `{min, max}` instead.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    pub estimate_id: EstimateId,
    /// Whether the job can run here at all.
    pub available: bool,
    /// The same, for clients that ask so. Not: whether it would start at once.
    pub can_submit: bool,
    /// The upper end of the range. Absent, like all money, if the job cannot run here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_cost_usd: Option<Usd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_cost_min_usd: Option<Usd>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_cost_max_usd: Option<Usd>,
    /// Where it would most probably run; what it is billed at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_hourly_rate_usd: Option<Usd>,
    /// The cheapest of the machines that would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_hourly_rate_min_usd: Option<Usd>,
    /// The dearest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_hourly_rate_max_usd: Option<Usd>,
    /// Set aside at submission, and the most that the job can cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_usd: Option<Usd>,
    pub estimated_runtime_min_minutes: f64,
    pub estimated_runtime_max_minutes: f64,
    pub estimated_runtime_min_seconds: i64,
    pub estimated_runtime_max_seconds: i64,
    pub runtime_basis: String,
    #[serde(default)]
    pub runtime_basis_kind: Basis,
    /// Jobs that the runtime is based on.
    #[serde(default)]
    pub runtime_sample_count: u32,
    #[serde(default)]
    pub runtime_confidence: Confidence,
    /// Absent, like the window of its start, if the job cannot run here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_queue_wait_min_minutes: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_queue_wait_max_minutes: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_queue_wait_min_seconds: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_queue_wait_max_seconds: Option<i64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub queue_wait_basis: String,
    /// Past waits that it is based on, besides a dry run of the queue.
    #[serde(default)]
    pub queue_wait_sample_count: u32,
    #[serde(default)]
    pub queue_wait_confidence: Confidence,
    /// How often past ranges held.
    #[serde(default)]
    pub calibration: Calibration,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub estimated_start_at_min: Option<OffsetDateTime>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub estimated_start_at_max: Option<OffsetDateTime>,
    pub rate_basis: String,
    /// Of the less sure of runtime and wait.
    pub confidence: Confidence,
    pub candidate_count: u32,
    pub explanation: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unavailable_code: Option<String>,
    pub warnings: Vec<String>,
    /// Where it would run, such as `local`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placement: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likely_gpu_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub likely_gpu_family: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routed_gpu_tier: Option<String>,
    /// What was asked for and is not had, each with what is had instead and why.
    pub constraints_relaxed: Vec<Relaxed>,
    pub constraints_relaxed_applied: bool,
    pub classification: Classification,
    pub routing: Route,
    pub capacity: Capacity,
    pub capacity_status: CapacityStatus,
    pub screening: Screening,
    pub time_limit_seconds: u32,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub quoted_at: OffsetDateTime,
    /// Until when an acknowledgement of this estimate is accepted.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Classification {
    pub workload_type: WorkloadType,
    pub requires_gpu: bool,
    pub acceleration_requirement: String,
    pub confidence: String,
    pub reasons: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "EstimatedRoute")]
pub struct Route {
    pub route_status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_accelerator: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selected_route_source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection_reason: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Capacity {
    pub live_capacity_available: bool,
    pub live_candidate_count: u32,
    /// There is no managed capacity here: always `null`.
    pub managed_capacity_available: Option<bool>,
    pub managed_profile_count: u32,
    pub estimate_source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityStatus {
    /// `available`, `limited`, `unavailable` or `unknown`.
    pub availability: String,
    pub immediate_capacity_confirmed: bool,
    /// Whether it would start now, in a sentence. Whether it can run at all, the
    /// screening says.
    #[serde(default)]
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Screening {
    pub policy_version: String,
    /// `passed`, `warning` or `blocked`.
    pub status: String,
    pub can_submit: bool,
    pub checks: Vec<Check>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_checks: Vec<Check>,
}

/// Contract 3.3.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SubmittedJob")]
pub struct Submitted {
    pub job_id: JobId,
    pub id: JobId,
    pub status: Status,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub queued_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub submitted_at: OffsetDateTime,
    pub status_message: String,
    pub hold_usd: Usd,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobFilter")]
pub struct Filter {
    /// 1 to 100; 20 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// From `next_cursor` or `prev_cursor` of another page of the same filter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// A status word, `active` for all that have not ended, or `ended`; or several
    /// with commas between them. `canceled`, `provisioning` and `starting` are
    /// understood as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_type: Option<String>,
    /// Part of a name, an image or an id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<String>,
    /// All of an image's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Made at this time or later: RFC 3339, or a day (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_after: Option<String>,
    /// Made before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_before: Option<String>,
    /// `newest` (unless given), `oldest`, `cost` or `runtime`; the last two with the
    /// highest first, and with no other filter than status and type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobList")]
pub struct List {
    pub jobs: Vec<Job>,
    pub limit: i64,
    /// Where the list goes on. A search that has read much may stop before its page
    /// is full, or with nothing on it, and goes on from here.
    pub next_cursor: Option<String>,
    /// Where the page before this one ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prev_cursor: Option<String>,
    pub has_more: bool,
}

/// Contract 3.5.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Job {
    pub job_id: JobId,
    pub id: JobId,
    pub name: String,
    pub workload_type: WorkloadType,
    pub image: String,
    /// As it was written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Map<String, Value>>,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub updated_at: OffsetDateTime,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub queued_at: Option<OffsetDateTime>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub started_at: Option<OffsetDateTime>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub completed_at: Option<OffsetDateTime>,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    pub status_message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub execution_phase: Option<Phase>,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub phase_started_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub phase_last_updated_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub last_status_update: OffsetDateTime,
    pub wait_duration_seconds: i64,
    pub delayed_start: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_reason: Option<DelayReason>,
    pub startup_diagnostics: StartupDiagnostics,
    pub scheduling: Scheduling,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assigned_node_id: Option<String>,
    /// Which engine runs it, such as `host`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// As it was asked for, and so are the next four.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_preference: Option<String>,
    #[serde(default)]
    pub region_mode: RegionMode,
    #[serde(default)]
    pub optimize_for: OptimizeFor,
    pub constraints_relaxed: Vec<Relaxed>,
    pub time_limit_seconds: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    pub timed_out: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    pub artifact_contract: ArtifactContract,
    /// Whether what it left has been collected: nothing more is to come.
    pub artifacts_ready: bool,
    /// Files that it was given, below `/workspace/inputs`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_files: Vec<InputFile>,
    /// The same, below `/workspace/scripts`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub script_files: Vec<InputFile>,
    /// The first of them, for clients that ask so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script_file: Option<String>,
    pub hourly_rate_usd: Usd,
    /// Set aside; the most that this job can cost.
    pub hold_usd: Usd,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_cost_usd: Option<Usd>,
    pub estimated_cost_min_usd: Usd,
    pub estimated_cost_max_usd: Usd,
    /// `null` until the job has ended.
    pub actual_cost_usd: Option<Usd>,
    pub billing: Billing,
    /// What is said on the page when the image is not used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The app that it is, if it was launched from a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_session_id: Option<AppSessionId>,
    /// How that app ended, once the job has: one that never became ready is a job that
    /// was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_session_end: Option<EndCode>,
    /// The last event's number: what a page that follows the job starts from.
    pub last_event: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DelayReason {
    pub code: String,
    pub message: String,
}

/// Where the job is between the queue and a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scheduling {
    /// `waiting`, `placed` or `ended`.
    pub state: String,
    /// Which engine has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartupDiagnostics {
    pub command_spawned: bool,
    pub workload_logs_available: bool,
    pub inputs_prepared: Option<bool>,
    pub scripts_prepared: Option<bool>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobFailure")]
pub struct Failure {
    pub code: String,
    pub summary: String,
    pub stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_excerpt: Option<String>,
    pub retryable: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArtifactContract {
    pub expected_artifacts: Vec<ExpectedArtifact>,
    pub automatic_collection_dir: String,
    /// Paths that were declared and were not there at the end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing_artifacts: Vec<String>,
    /// How many files were kept, and of how many bytes, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_files: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected_bytes: Option<i64>,
    /// How many were not kept, if any, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out_reason: Option<String>,
}

/// A file that a job was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InputFile {
    pub input_id: String,
    pub filename: String,
    pub size_bytes: Option<i64>,
    pub mount_path: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExpectedArtifact {
    pub path: String,
    pub filename: String,
    pub required: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobBilling")]
pub struct Billing {
    /// `held`, `settled` or `none`.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub final_cost_usd: Option<Usd>,
    /// The same, for clients that ask so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual_cost_usd: Option<Usd>,
    /// What has run up so far, or the final cost.
    pub cost_usd: Usd,
}

/// Contract 3.6.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobRuntime")]
pub struct Runtime {
    pub job_id: JobId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    pub timed_out: bool,
    pub stdout_tail: String,
    pub stderr_tail: String,
    pub runtime_availability: Availability,
    pub diagnostics: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Availability {
    pub exit_code: Available,
    pub stdout_tail: Available,
    pub stderr_tail: Available,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Available {
    /// `available`, `delayed`, `partial_loss`, `truncated` or `unsupported`.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobEventFilter")]
pub struct EventFilter {
    /// 1 to 1000; all unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<i64>,
    /// Only what came after this event's `sequence`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Only events of this type, such as `job.started`.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Only what happened after this time (RFC 3339).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
}

/// Contract 3.7.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobEvents")]
pub struct Events {
    pub job_id: JobId,
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    pub items: Vec<Event>,
    pub limit: i64,
    /// The last event seen: always given, so that a loop goes on where it was.
    pub next_cursor: Option<String>,
    pub has_more: bool,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub generated_at: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "JobEvent")]
pub struct Event {
    /// Stable and unique: `<job>:<sequence>`.
    pub id: String,
    /// Such as `job.started`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    pub title: String,
    pub message: String,
    /// `user`, `scheduler`, `engine` or `billing`.
    pub source: String,
    /// `info`, `warning` or `error`.
    pub level: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    /// Counts from 1 within the job, without gaps.
    pub sequence: i64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "JobCancellation")]
pub struct Cancellation {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How long to wait for the end before answering; until the grace is over
    /// unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait_seconds: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "CancelledJob")]
pub struct Cancelled {
    pub job_id: JobId,
    /// `cancelled`; or, if it is still stopping after the wait, what it is now.
    pub status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_reason: Option<String>,
    /// Whether the cancellation has been accepted.
    pub cancelled: bool,
    pub message: String,
}

/// One message on [`super::JOB_LIVE`].
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schemars(rename = "JobChange")]
pub enum Change {
    /// The job has changed; the events since the last message.
    Job { job: Box<Job>, events: Vec<Event> },
    /// It has printed something.
    Logs { items: Vec<super::logs::Item> },
}
