//! The catalogue of apps.
use super::accounts::Nothing;
use super::openapi::Time;
use crate::domain::id::{AppSessionId, EstimateId};
use crate::domain::money::Usd;
use crate::domain::routing::Check;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TemplateList")]
pub struct List {
    pub templates: Vec<Template>,
    pub next_cursor: Option<String>,
    pub has_more: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Template {
    pub slug: String,
    pub name: String,
    /// Two letters for its card.
    pub mark: String,
    pub summary: String,
    pub version: String,
    /// A container image, or `host` for the machine's own system.
    pub image: String,
    /// Why the image is not pinned by a digest yet, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unpinned: Option<String>,
    pub image_size_gb: f64,
    pub licence_spdx: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub licence_note: String,
    pub source_url: String,
    pub services: Vec<Service>,
    pub volumes: Vec<Volume>,
    /// What is asked for at the launch besides its limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// 0 if it does without a GPU.
    pub min_vram_gb: f64,
    pub recommended_vram_gb: f64,
    pub disk_gb: f64,
    pub memory_gb: f64,
    pub cpus: u32,
    pub mobile: bool,
    pub notes: Vec<String>,
    pub hourly_rate_usd: Usd,
    /// From the reserved machine to the open dashboard; waiting for one comes on top.
    pub usual_start: Usual,
    /// Offered at the launch, in minutes; 0 for never.
    pub idle_stop_minutes: u32,
    /// What a launch gets that says nothing.
    pub usual_hours: f64,
    /// The most that a session may run here, extensions included.
    pub longest_hours: f64,
    /// Whether it can be launched on this installation.
    pub launchable: bool,
    /// What keeps it from that, each with what to do about it.
    pub checks: Vec<Check>,
    /// The workspace's session of it that has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_session: Option<AppSessionId>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TemplateService")]
pub struct Service {
    pub id: String,
    pub label: String,
    pub port: u16,
    pub primary: bool,
    /// Whether its pages open `WebSockets`; they are refused otherwise.
    #[serde(default)]
    pub websocket: bool,
    /// Whether it answers with streams of events.
    #[serde(default)]
    pub sse: bool,
    /// Where on its address it serves, if not at `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_path: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TemplateVolume")]
pub struct Volume {
    pub name: String,
    pub mount: String,
    pub min_gb: f64,
    /// Whether its files are there again at the next launch.
    #[serde(default = "yes")]
    pub persist: bool,
}

/// What orchestrators mean that do not say so yet.
const fn yes() -> bool {
    true
}

/// A variable of the app whose value whoever launches it may say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "TemplateSetting")]
pub struct Setting {
    /// Of the environment variable.
    pub name: String,
    pub label: String,
    /// Empty, or a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub hint: String,
    /// Stored encrypted, never shown again, and hidden in the app's output.
    pub secret: bool,
    /// There is no launch without it.
    pub required: bool,
    /// Taken where nothing is given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub default: String,
}

/// How many seconds something usually takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "UsualSeconds")]
pub struct Usual {
    pub low_seconds: i64,
    pub high_seconds: i64,
    /// Launches on this installation that say so; 0 if the manifest does.
    pub samples: i64,
}

/// What is chosen at a launch. Everything has a default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "AppChoices")]
pub struct Choices {
    /// Stopped so many hours after it was ready: 0.25 to the template's `longest_hours`.
    /// Its `usual_hours` unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_hours: Option<f64>,
    /// Stopped when nobody has used it for so many minutes: 5 to 1440, 0 for
    /// never. The template's own unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_minutes: Option<u32>,
    /// Stopped when it has cost so much: at least $0.01.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_usd: Option<Usd>,
}

/// What a launch with these choices would cost and when it would be ready.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppEstimate")]
pub struct Estimate {
    pub estimate_id: EstimateId,
    pub template: String,
    pub choices: Choices,
    pub launchable: bool,
    pub checks: Vec<Check>,
    pub hourly_rate_usd: Usd,
    /// Set aside at the launch, and the most that it can cost before it is extended.
    pub hold_usd: Usd,
    /// Minutes that the hold is enough for.
    pub minutes: u32,
    pub queue_low_seconds: i64,
    pub queue_high_seconds: i64,
    pub usual_start: Usual,
    /// When its dashboard would be open, at best and at worst.
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub ready_at_min: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub ready_at_max: OffsetDateTime,
    /// Where billing begins, in words.
    pub billing_from: String,
    pub available_usd: Usd,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub quoted_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
}

/// For calls that say nothing.
pub type NoBody = Nothing;
