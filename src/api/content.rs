//! How a job is described, for those who read the API's description. The server
//! reads it by hand: see [`super::jobs::Content`].
use crate::domain::spec::{Level, OptimizeFor, RegionMode, WorkloadType};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A job. To run, it needs `name`, `workload_type` and `image`; an estimate does
/// with less. What is under `constraints` may as well stand beside it, and counts there
/// if it is given twice.
#[derive(Debug, Serialize, JsonSchema)]
pub struct JobContent {
    /// 1 to 120 characters.
    pub name: Option<String>,
    pub workload_type: Option<WorkloadType>,
    /// A container image, or `host` for the machine's own system.
    pub image: Option<String>,
    /// Program and arguments; or a line, which a shell reads if it has spaces and
    /// there are no `args`.
    pub command: Option<Command>,
    /// More arguments.
    pub args: Option<Vec<String>>,
    pub environment: Option<BTreeMap<String, String>>,
    /// The same as `environment`, which counts.
    pub env: Option<BTreeMap<String, String>>,
    /// At most 100, found in `/workspace/inputs`.
    pub input_files: Option<Vec<InputFile>>,
    /// At most one, found in `/workspace/scripts`.
    pub script_files: Option<Vec<InputFile>>,
    /// The `input_id` of that one.
    pub script_file: Option<String>,
    /// Gigabytes of model; as an answer to what the job needs.
    pub model_size_gb: Option<f64>,
    pub disk_gb: Option<f64>,
    pub memory_gb: Option<f64>,
    /// 1 to 1,024.
    pub cpu_count: Option<u32>,
    pub gpu_required: Option<bool>,
    /// The same as `gpu_required`, which counts.
    pub requires_gpu: Option<bool>,
    /// 0 to 64.
    pub gpu_count: Option<u32>,
    pub min_vram_gb: Option<f64>,
    pub batch_size: Option<u32>,
    pub precision: Option<Precision>,
    /// It is stopped after so many seconds.
    pub timeout_seconds: Option<u32>,
    /// Absolute paths under `/workspace/artifacts/`.
    pub expected_artifacts: Option<Vec<String>>,
    pub optimize_for: Option<OptimizeFor>,
    /// One word for both priorities.
    pub priority: Option<Priority>,
    pub constraints: Option<Constraints>,
    #[serde(flatten)]
    pub beside: Constraints,
    /// Comes back with the job, also in lists; 16,384 bytes of JSON at most.
    pub metadata: Option<Map<String, Value>>,
    /// Only read by people; no job has it.
    pub notes: Option<String>,
    /// Of the app that a client has in mind. Taken and not used: `/v1/app-sessions`
    /// launches apps.
    pub template: Option<String>,
    /// Taken and not used, with a warning: there are no credentials here.
    pub registry_credential_id: Option<String>,
    /// The same.
    pub huggingface_credential_id: Option<String>,
    /// Who is told of the job's end: over https, or where the operator allows it.
    pub callback_url: Option<String>,
    /// Sent to it as `Authorization: Bearer …`.
    pub callback_auth_token: Option<String>,
    /// Comes back in the call; 8,192 bytes of JSON at most.
    pub callback_metadata: Option<BTreeMap<String, String>>,
    /// The same in one; a job has one callback.
    pub callback: Option<Callback>,
    /// An older name of `callback_url`.
    pub webhook_url: Option<String>,
}

/// A file that was uploaded: its `input_id`, alone or in an object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "JobFileReference")]
pub enum InputFile {
    Id(String),
    Named { input_id: String },
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JobCallback")]
pub struct Callback {
    pub url: Option<String>,
    pub auth_token: Option<String>,
    pub metadata: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    Line(String),
    Words(Vec<String>),
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    Fp32,
    Fp16,
    Bf16,
    Int8,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    Low,
    Balanced,
    High,
    LowLatency,
    LowCost,
    HighReliability,
}

/// What the job wants of its place. The ceiling, the avoid-list and a strict region
/// always hold; the rest gives way when nothing else is there.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "JobConstraints")]
pub struct Constraints {
    /// US dollars.
    pub max_price_per_hour: Option<f64>,
    pub preferred_gpu_family: Option<String>,
    pub avoid_gpu_families: Option<Vec<String>>,
    pub gpu_type: Option<String>,
    pub gpu_class: Option<GpuClass>,
    pub region_preference: Option<String>,
    pub region_mode: Option<RegionMode>,
    pub latency_priority: Option<Level>,
    pub cost_priority: Option<Level>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GpuClass {
    Consumer,
    Datacenter,
}
