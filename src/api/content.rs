//! How a job is described, for those who read the API's description. The server
//! reads it by hand: see [`super::jobs::Content`].
use crate::domain::spec::{Level, OptimizeFor, RegionMode, WorkloadType};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A job. To run, it needs `name`, `workload_type` and `image`; an estimate does
/// with less. The fields of `constraints` may as well stand beside it.
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
    /// Gigabytes of model; as an answer to what the job needs.
    pub model_size_gb: Option<f64>,
    pub disk_gb: Option<f64>,
    pub memory_gb: Option<f64>,
    /// 1 to 1,024.
    pub cpu_count: Option<u32>,
    pub gpu_required: Option<bool>,
    /// 0 to 64.
    pub gpu_count: Option<u32>,
    pub gpu_type: Option<String>,
    pub min_vram_gb: Option<f64>,
    pub batch_size: Option<u32>,
    pub precision: Option<Precision>,
    /// It is stopped after so many seconds.
    pub timeout_seconds: Option<u32>,
    /// Absolute paths under `/workspace/artifacts/`.
    pub expected_artifacts: Option<Vec<String>>,
    pub optimize_for: Option<OptimizeFor>,
    pub latency_priority: Option<Level>,
    pub cost_priority: Option<Level>,
    /// One word for both priorities.
    pub priority: Option<Priority>,
    pub constraints: Option<Constraints>,
    /// Comes back with the job, also in lists; 16,384 bytes of JSON at most.
    pub metadata: Option<Map<String, Value>>,
    /// Only read by people; no job has it.
    pub notes: Option<String>,
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
    pub gpu_class: Option<GpuClass>,
    pub region_preference: Option<String>,
    pub region_mode: Option<RegionMode>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GpuClass {
    Consumer,
    Datacenter,
}
