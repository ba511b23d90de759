//! Launched apps: `/v1/app-sessions`.
use super::openapi::Time;
use super::templates::{Choices, Usual};
use crate::domain::app::{EndCode, Phase, ServiceState};
use crate::domain::id::{AppSessionId, EstimateId, JobId};
use crate::domain::job::Status;
use crate::domain::money::Usd;
use crate::domain::template::settings::Given;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::serde::rfc3339;

/// A launch. `acknowledged_estimate` must name an estimate of this template with
/// these choices that has not expired.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "AppLaunch")]
pub struct Launch {
    pub template: String,
    /// As an estimate gives them back; any of the next three comes before what is here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub choices: Option<Choices>,
    /// This and the next two: as in [`Choices`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_hours: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_usd: Option<Usd>,
    /// Values of the template's `settings`, by their names: 4096 bytes each at most. An
    /// empty one is as good as none.
    #[serde(skip_serializing_if = "Given::is_empty")]
    pub settings: Given,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_estimate: Option<EstimateId>,
    /// Takes from an earlier session what is not said here: its template, the choices
    /// that it was launched with (all of them, unless any is said here), and its
    /// settings, one by one. Its secrets are there for 7 days after its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_session: Option<AppSessionId>,
}

impl Launch {
    /// The choices that are said here, if any is.
    #[must_use]
    pub fn choices(&self) -> Option<Choices> {
        let said = self.choices.clone().unwrap_or_default();
        let choices = Choices {
            max_hours: self.max_hours.or(said.max_hours),
            idle_minutes: self.idle_minutes.or(said.idle_minutes),
            max_usd: self.max_usd.or(said.max_usd),
        };
        let any = self.choices.is_some() || choices != Choices::default();
        any.then_some(choices)
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "AppFilter")]
pub struct Filter {
    /// 1 to 100; 20 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// `active`, `past` or a phase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppList")]
pub struct List {
    pub app_sessions: Vec<Session>,
    pub next_cursor: Option<String>,
    pub has_more: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppSession")]
pub struct Session {
    pub id: AppSessionId,
    pub status: Phase,
    /// One sentence: what is going on, or how it ended.
    pub status_message: String,
    /// What is still waited for before it can be opened; empty when nothing is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub awaited: String,
    pub template: String,
    pub template_name: String,
    pub template_version: String,
    pub mark: String,
    pub job_id: JobId,
    pub job_status: Status,
    /// Where it runs, once that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    pub image: String,
    pub cpus: u32,
    pub memory_gb: f64,
    pub disk_gb: f64,
    pub min_vram_gb: f64,
    pub steps: Vec<Step>,
    pub services: Vec<Service>,
    /// What extensions have added is in them.
    pub choices: Choices,
    /// As they were at the launch, and will be when it is launched again.
    pub launch_choices: Choices,
    /// What was given at the launch, or taken in its stead.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    pub hourly_rate_usd: Usd,
    /// So far, or in the end.
    pub cost_usd: Usd,
    pub hold_usd: Usd,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub phase_since: OffsetDateTime,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub ready_at: Option<OffsetDateTime>,
    /// When billing began: at readiness.
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub billed_from: Option<OffsetDateTime>,
    /// When it stops by itself.
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub stops_at: Option<OffsetDateTime>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub last_used_at: Option<OffsetDateTime>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub ended_at: Option<OffsetDateTime>,
    /// How it ended, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// What stays after the session, one sentence each.
    pub kept: Vec<String>,
    pub lost: Vec<String>,
    /// The newest event.
    pub last_event: i64,
}

/// A setting of a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppSetting")]
pub struct Setting {
    /// Of the environment variable.
    pub name: String,
    pub label: String,
    pub secret: bool,
    /// Never of a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Whether a launch with `from_session` can take it from here.
    pub kept: bool,
}

/// One step on the way to the dashboard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppStep")]
pub struct Step {
    /// `created`, `reserved`, `image`, `starting`, `service-…` or `dashboard`.
    pub id: String,
    pub title: String,
    pub state: StepState,
    /// Empty, or a sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub since: Option<OffsetDateTime>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub done_at: Option<OffsetDateTime>,
    /// For steps that take time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<Usual>,
    /// It takes longer than usual.
    #[serde(default)]
    pub slow: bool,
    /// Bytes that have come, of how many, where the engine knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<(i64, i64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "AppStepState")]
pub enum StepState {
    Waiting,
    Doing,
    Done,
    Failed,
    /// The session ended before it came to it.
    Skipped,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppService")]
pub struct Service {
    pub id: String,
    pub label: String,
    pub port: u16,
    pub primary: bool,
    pub state: ServiceState,
    /// Checks passed in a row, of how many.
    pub passed: u32,
    pub needed: u32,
    /// Which check of such a row the last one was; 0 before the first.
    #[serde(default)]
    pub check: u32,
    /// Of the last check: `200`, `503`, `connection refused`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    #[serde(
        with = "rfc3339::option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Time>")]
    pub checked_at: Option<OffsetDateTime>,
    /// Whether it can be opened now.
    pub open: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppEnd")]
pub struct End {
    pub code: EndCode,
    /// What happened.
    pub message: String,
    /// The likely cause and what to do about it; empty when all is well.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub advice: String,
    /// The step during which it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_step: Option<String>,
    /// The last lines of its output: 20 at most, only of a failure.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    pub charged_usd: Usd,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "AppEventFilter")]
pub struct EventFilter {
    /// Events after this number.
    pub after: i64,
    /// 1 to 1000; 200 unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppEvents")]
pub struct Events {
    pub events: Vec<Event>,
    pub next_cursor: Option<String>,
    pub has_more: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppEvent")]
pub struct Event {
    /// Counts from 1 without gaps.
    pub sequence: i64,
    /// Such as `app.running` or `service.ready`.
    pub kind: String,
    pub phase: Phase,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    pub title: String,
    pub message: String,
    /// `info`, `warning` or `error`.
    pub level: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub created_at: OffsetDateTime,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "AppStop")]
pub struct Stop {
    /// Kept in the session's history: 500 characters at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Without `acknowledged_estimate` nothing changes, and the answer is the price.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "AppExtend")]
pub struct Extend {
    /// Minutes to add: 15 to 1440.
    pub minutes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledged_estimate: Option<EstimateId>,
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppExtension")]
pub struct Extension {
    pub estimate_id: EstimateId,
    pub minutes: u32,
    pub hourly_rate_usd: Usd,
    /// Set aside in addition.
    pub hold_usd: Usd,
    pub available_usd: Usd,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub stops_at: OffsetDateTime,
    /// Whether it has been carried out.
    pub applied: bool,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "AppOpen")]
pub struct Open {
    /// The primary unless given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// Leave to enter an app: `token` is sent once to `url` in the body of a POST form.
/// The page with that form needs `Referrer-Policy: strict-origin`: where it is
/// `same-origin`, browsers send `Origin: null`, and the app's host refuses.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppTicket")]
pub struct Ticket {
    pub url: String,
    pub token: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub expires_at: OffsetDateTime,
}

/// One message of the live stream: all of the session, and what is new since the
/// one before.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppChange")]
pub struct Change {
    pub session: Session,
    pub events: Vec<Event>,
    /// Lines that the app has printed: the last 200 at first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppLine")]
pub struct Line {
    pub entry_id: i64,
    /// `stdout`, `stderr` or `system`.
    pub stream: String,
    pub text: String,
}

/// Every app that is on its way to running or to its end, of all workspaces;
/// longest over its usual time first.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "AppBoard")]
pub struct Board {
    pub launches: Vec<Launching>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Launching {
    pub id: AppSessionId,
    pub template: String,
    pub template_name: String,
    pub mark: String,
    pub workspace_name: String,
    pub status: Phase,
    pub status_message: String,
    #[serde(with = "rfc3339")]
    #[schemars(with = "Time")]
    pub phase_since: OffsetDateTime,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<Usual>,
    pub slow: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}
