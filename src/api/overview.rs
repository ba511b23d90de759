//! The dashboard and the wallet.
use super::drafts::Draft;
use super::jobs::Job;
use crate::domain::money::Usd;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Overview {
    /// Assigned, running or stopping.
    pub running: i64,
    /// Waiting to start.
    pub queued: i64,
    /// On the last seven days (UTC), today included; so is the next.
    pub completed_7_days: i64,
    pub failed_7_days: i64,
    pub balance: Balance,
    /// Dollars per hour that running jobs cost now.
    pub burn_rate_usd: Usd,
    /// What was paid for jobs on each of the last 14 days (UTC), oldest first.
    pub spend: Vec<Day>,
    /// The newest jobs, six at most.
    pub recent: Vec<Job>,
    /// Drafts that wait, three at most.
    pub drafts: Vec<Draft>,
    pub slots: u32,
    pub slots_used: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Health {
    /// `ok`.
    pub status: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SpendingDay")]
pub struct Day {
    /// `2026-11-23`.
    pub date: String,
    pub usd: Usd,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Balance {
    pub currency: String,
    pub available_usd: Usd,
    /// Set aside for jobs that have not ended.
    pub held_usd: Usd,
    /// Paid for jobs, ever.
    pub spent_usd: Usd,
}
