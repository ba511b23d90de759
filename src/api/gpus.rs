//! GPUs as the market has them.
use crate::domain::gpu::Class;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GpuCatalogue")]
pub struct Catalogue {
    /// When its prices were collected: `2026-11-24`.
    pub dated: String,
    pub gpus: Vec<Gpu>,
    /// It always comes whole.
    pub next_cursor: Option<String>,
    pub has_more: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "GpuFamily")]
pub struct Gpu {
    /// What a job names it by, such as `RTX4090`.
    pub id: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    pub class: Class,
    /// Gigabytes; several, if it comes in several sizes.
    pub vram_gb: Vec<u32>,
    /// As its maker states it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_gb_per_second: Option<u32>,
    /// Per GPU, elsewhere; absent where no source names a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub typical_hourly_rate_usd: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_hourly_rate_min_usd: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_hourly_rate_max_usd: Option<f64>,
    /// When this price was seen.
    pub dated: String,
    pub sources: Vec<String>,
}
