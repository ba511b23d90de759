//! What a job asks for, parsed and checked. Wire forms are turned into this at
//! the edge; from here on it is trusted.
use super::file::JobFile;
use super::id::AppSessionId;
use super::money::Usd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadType {
    Inference,
    Training,
    FineTuning,
    Batch,
}

impl WorkloadType {
    pub const ALL: [Self; 4] = [
        Self::Inference,
        Self::Training,
        Self::FineTuning,
        Self::Batch,
    ];

    /// The wire form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Training => "training",
            Self::FineTuning => "fine-tuning",
            Self::Batch => "batch",
        }
    }

    /// Reads the wire form; older clients write `fine_tuning`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let name = name.replace('_', "-");
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Low,
    #[default]
    Balanced,
    High,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizeFor {
    Cost,
    Speed,
    #[default]
    Balanced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RegionMode {
    #[default]
    Prefer,
    Strict,
}

/// A whole job, as it is stored and run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// 1 to 120 characters.
    pub name: String,
    pub workload_type: WorkloadType,
    /// A container image reference, or `host` for this machine's own system.
    pub image: String,
    /// Program and arguments; empty means the image's own command.
    #[serde(default)]
    pub argv: Vec<String>,
    /// The command as it was written, for showing it again.
    #[serde(default)]
    pub command_line: String,
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    #[serde(default)]
    pub resources: Resources,
    #[serde(default)]
    pub routing: Routing,
    /// The job is stopped when it has executed for so many seconds.
    pub time_limit_seconds: u32,
    /// Absolute paths under `/workspace/artifacts/`.
    #[serde(default)]
    pub expected_artifacts: Vec<String>,
    /// Files that it finds in its workspace, scripts last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<JobFile>,
    /// What was asked for and is not done, in words for the person who asked.
    #[serde(default)]
    pub notices: Vec<String>,
    /// The app that it is, if it was launched from a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<AppSessionId>,
    /// Returned as it was sent.
    #[serde(default)]
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// Gigabytes (10⁹ bytes).
    #[serde(default)]
    pub model_size_gb: Option<f64>,
    #[serde(default)]
    pub disk_gb: Option<f64>,
    #[serde(default)]
    pub memory_gb: Option<f64>,
    #[serde(default)]
    pub cpus: Option<u32>,
    /// Whether the job cannot do without a GPU.
    #[serde(default)]
    pub gpu_required: bool,
    #[serde(default)]
    pub gpu_count: Option<u32>,
    #[serde(default)]
    pub min_vram_gb: Option<f64>,
    #[serde(default)]
    pub gpu_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<u32>,
    /// `fp32`, `fp16`, `bf16` or `int8`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
}

impl Resources {
    /// Whether anything in here can only be had with a GPU.
    #[must_use]
    pub fn needs_gpu(&self) -> bool {
        self.gpu_required
            || self.gpu_count.is_some_and(|n| n > 0)
            || self.min_vram_gb.is_some_and(|gb| gb > 0.0)
            || self.gpu_type.is_some()
    }

    /// GPUs that the job takes: 0 if it needs none.
    #[must_use]
    pub fn gpus(&self) -> u32 {
        if self.needs_gpu() {
            self.gpu_count.unwrap_or(1).max(1)
        } else {
            0
        }
    }
}

/// What the job wants of its placement. The ceiling, the avoid-list and a strict
/// region are hard; the rest gives way when nothing else is there.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Routing {
    #[serde(default)]
    pub max_price_per_hour: Option<Usd>,
    #[serde(default)]
    pub preferred_gpu_family: Option<String>,
    #[serde(default)]
    pub avoid_gpu_families: Vec<String>,
    #[serde(default)]
    pub gpu_class: Option<String>,
    #[serde(default)]
    pub region_preference: Option<String>,
    #[serde(default)]
    pub region_mode: RegionMode,
    #[serde(default)]
    pub latency_priority: Level,
    #[serde(default)]
    pub cost_priority: Level,
    #[serde(default)]
    pub optimize_for: OptimizeFor,
    /// `high` or `high_reliability`, which nothing here can give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<String>,
}

/// The image that stands for the machine's own system.
pub const HOST_IMAGE: &str = "host";
