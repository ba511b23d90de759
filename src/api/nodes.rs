//! The machines of the grid.
use crate::domain::money::Usd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "NodeList")]
pub struct List {
    pub nodes: Vec<Node>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Node {
    pub node_id: String,
    pub name: String,
    /// `up` or `down`.
    pub status: String,
    /// Which engine runs jobs there, such as `host`.
    pub engine: String,
    pub cpus: u32,
    pub memory_gb: f64,
    pub gpus: Vec<Gpu>,
    pub hourly_rate_usd: Usd,
    /// Jobs that can run at once, and how many do.
    pub slots: u32,
    pub slots_used: u32,
    /// What becomes of images: `pulled`, `host_only` or `ignored`.
    pub images: String,
    /// `none` or `host`: what jobs can reach.
    pub network: String,
    pub protections: Vec<Protection>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Gpu {
    pub family: String,
    pub memory_gb: f64,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Protection {
    pub name: String,
    pub active: bool,
    pub detail: String,
}
