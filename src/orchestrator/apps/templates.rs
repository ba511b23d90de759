//! What can be launched, what it needs, and what it would cost.
use crate::api::templates as wire;
use crate::api::{EstimateTemplate, GetTemplate, ListTemplates};
use crate::domain::app::Settings;
use crate::domain::estimate::Quote;
use crate::domain::id::EstimateId;
use crate::domain::money::Usd;
use crate::domain::routing::Check;
use crate::domain::spec::JobSpec;
use crate::domain::template::Manifest;
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::{Caller, Error, State};
use crate::store::Conn;
use std::time::Duration;
use time::OffsetDateTime;

/// What a launch would get now.
#[derive(Debug, Clone)]
pub(in crate::orchestrator) struct Offered {
    pub(in crate::orchestrator) settings: Settings,
    /// The job that would be queued, without name, environment and session.
    pub(in crate::orchestrator) spec: JobSpec,
    pub(in crate::orchestrator) rate: Usd,
    /// Set aside at the launch.
    pub(in crate::orchestrator) hold: Usd,
    /// Minutes that the hold is enough for.
    pub(in crate::orchestrator) minutes: u32,
    pub(in crate::orchestrator) checks: Vec<Check>,
    /// To be kept with the job.
    pub(in crate::orchestrator) quote: Quote,
}

impl Offered {
    /// The first of what keeps it from being launched.
    pub(in crate::orchestrator) fn blocked(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.is_blocked())
    }
}

/// An estimate that was seen before the launch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::orchestrator) struct Acknowledged {
    pub(in crate::orchestrator) settings: Settings,
    pub(in crate::orchestrator) rate: Usd,
    pub(in crate::orchestrator) hold: Usd,
    pub(in crate::orchestrator) minutes: u32,
}

/// The choices with what stands in for those that are not made.
///
/// # Errors
///
/// [`Error::Invalid`] with everything that is wrong, per field.
pub(in crate::orchestrator) fn settings(
    _choices: &wire::Choices,
    _manifest: &Manifest,
    _longest: Duration,
) -> Result<Settings, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

/// The job that runs a template with these settings: image, command, resources
/// and, as its time limit, the time until it must be ready and what is paid for.
/// Name, environment and session are left for the launch.
pub(in crate::orchestrator) fn job(_manifest: &Manifest, _minutes: u32) -> JobSpec {
    unimplemented!()
}

/// What a launch with these settings would get now, without regard to the money
/// that is there.
///
/// # Errors
///
/// [`Error::Unavailable`] if the machines do not answer; [`Error::Invalid`] if the
/// most that it may cost does not pay for a minute.
pub(in crate::orchestrator) async fn quote(
    _state: &State,
    _caller: &Caller,
    _manifest: &Manifest,
    _settings: Settings,
) -> Result<Offered, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

/// The estimate of this template with these choices that the caller has seen.
///
/// # Errors
///
/// [`Error::Conflict`] with `ESTIMATE_NOT_ACKNOWLEDGED` if none is named, and with
/// `ESTIMATE_OUTDATED` if it is not of this workspace, template and choices, or has
/// expired.
pub(in crate::orchestrator) async fn acknowledged(
    _conn: &mut Conn,
    _caller: &Caller,
    _now: OffsetDateTime,
    _estimate: Option<EstimateId>,
    _manifest: &Manifest,
    _settings: Settings,
) -> Result<Acknowledged, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

pub(super) async fn list(_cx: Cx, _call: Call<ListTemplates>) -> Result<wire::List, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

pub(super) async fn get(_cx: Cx, _call: Call<GetTemplate>) -> Result<wire::Template, Error> {
    Err(Error::Unavailable("SPINE".into()))
}

pub(super) async fn estimate(
    _cx: Cx,
    _call: Call<EstimateTemplate>,
) -> Result<wire::Estimate, Error> {
    Err(Error::Unavailable("SPINE".into()))
}
