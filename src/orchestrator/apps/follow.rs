//! Keeps a session in step with the job that runs it, in the transaction in which
//! the job changes.
use super::words;
use crate::domain::app::{EndCode, Phase, ServiceState, Settings};
use crate::domain::id::EstimateId;
use crate::domain::job::{self, Failure, Outcome};
use crate::domain::money::Usd;
use crate::store::apps::events::NewEvent;
use crate::store::apps::services::{self, Service};
use crate::store::apps::{self as table, AppSession};
use crate::store::jobs::Job;
use crate::store::{self, Conn, estimates};
use time::{Duration, OffsetDateTime};

/// What else happens to an app when its job changes.
#[derive(Debug, Default)]
pub(in crate::orchestrator) struct Along {
    pub(in crate::orchestrator) said: Vec<NewEvent>,
    /// Why it is being stopped, if not because a person wants it.
    pub(in crate::orchestrator) end: Option<(EndCode, String)>,
    pub(in crate::orchestrator) settings: Option<Settings>,
    /// The estimate that this carries out, and what it says from now on.
    pub(in crate::orchestrator) applied: Option<(EstimateId, String)>,
}

/// Brings the session of `job`, which has just changed, up to date.
pub(in crate::orchestrator) async fn follow(
    conn: &mut Conn,
    job: &Job,
    mut session: AppSession,
    along: Along,
    now: OffsetDateTime,
) -> Result<(), store::Error> {
    if session.phase.ended() {
        return Ok(());
    }
    if let Some((id, body)) = &along.applied {
        estimates::rewrite(conn, *id, body).await?;
    }
    let id = session.id;
    let services = services::of(conn, id).await?;
    let before = session.clone();
    let mut said = along.said;
    if let Some(settings) = along.settings {
        session.settings = settings;
        session.stops_at = session
            .ready_at
            .map(|ready| stops(&settings, job.rate, ready).0);
    }
    if let Some((code, reason)) = along.end
        && session.end_code.is_none()
    {
        session.end_code = Some(code);
        session.end_reason = Some(reason);
    }
    moved(&mut session, job, &services, now, &mut said);
    if session == before && said.is_empty() {
        return Ok(());
    }
    if session.phase.ended() {
        services::stop(conn, id).await?;
    }
    table::update(conn, &mut session, &said, now).await
}

/// When a session that was ready at `ready` is stopped, and for which of its limits.
pub(in crate::orchestrator) fn stops(
    settings: &Settings,
    rate: Usd,
    ready: OffsetDateTime,
) -> (OffsetDateTime, EndCode) {
    let minutes = settings.minutes(rate);
    let code = if minutes < settings.max_minutes {
        EndCode::MoneyLimit
    } else {
        EndCode::TimeLimit
    };
    (ready + Duration::minutes(minutes.into()), code)
}

/// The step that a session is at, as the steps of its page are called; none, once
/// it has been ready.
fn step(session: &AppSession, services: &[Service]) -> Option<String> {
    Some(match session.phase {
        Phase::Created => "reserved".into(),
        Phase::Reserved if session.manifest.runs_on_host() => "starting".into(),
        Phase::Reserved | Phase::Image => "image".into(),
        Phase::Starting => "starting".into(),
        Phase::Services => {
            let ready = |id: &str| {
                let found = services.iter().find(|service| service.service == id);
                found.is_some_and(|service| service.ready_at.is_some())
            };
            let all = &session.manifest.services;
            let waited = all.iter().find(|service| !ready(&service.id));
            let waited = waited.unwrap_or_else(|| session.manifest.primary());
            format!("service-{}", waited.id)
        }
        Phase::Running | Phase::Stopping | Phase::Ended | Phase::Failed | Phase::Expired => {
            return None;
        }
    })
}

/// Takes the session to where its job is.
fn moved(
    session: &mut AppSession,
    job: &Job,
    services: &[Service],
    now: OffsetDateTime,
    said: &mut Vec<NewEvent>,
) {
    // Whatever it goes to next, it has been there.
    if let Some(since) = job.state.since()
        && session.started_at.is_none()
    {
        session.started_at = Some(since);
        said.push(words::started(session));
        if session.phase.may_become(Phase::Services) {
            enter(session, Phase::Services, now);
        }
    }
    if let Some(at) = job.billed_from
        && session.ready_at.is_none()
    {
        session.ready_at = Some(at);
        let (stops_at, _) = stops(&session.settings, job.rate, at);
        session.stops_at = Some(stops_at);
        said.push(words::running(session, job));
        enter(session, Phase::Running, now);
    }
    match &job.state {
        job::State::Pending | job::State::Queued => {
            if session.phase.may_become(Phase::Created) {
                enter(session, Phase::Created, now);
                session.reserved_at = None;
                session.image_at = None;
                session.starting_at = None;
                session.image_done = None;
                session.image_total = None;
                said.push(words::back_in_line(job));
            }
        }
        job::State::Assigned { step } => assigned(session, job, *step, now, said),
        job::State::Running { .. } | job::State::Collecting { .. } => {}
        job::State::Stopping { .. } => {
            if session.phase.may_become(Phase::Stopping) {
                let code = *session.end_code.get_or_insert(EndCode::Stopped);
                if session.end_reason.is_none() {
                    session.end_reason = Some(words::stopped(job));
                }
                if code.phase() == Phase::Failed {
                    session.failed_step = step(session, services);
                }
                session.stopping_at = Some(now);
                said.push(words::stopping(session));
                enter(session, Phase::Stopping, now);
            }
        }
        job::State::Ended { outcome, .. } => {
            let (code, reason) = end(session, job, outcome);
            let code = *session.end_code.get_or_insert(code);
            session.end_reason.get_or_insert(reason);
            if code.phase() == Phase::Failed && session.failed_step.is_none() {
                session.failed_step = step(session, services);
            }
            let at = job.completed_at.unwrap_or(now);
            // One that is lost may last have been seen before that.
            session.ended_at = session.ready_at.max(Some(at));
            said.push(words::ended(session, job, code));
            enter(session, code.phase(), now);
        }
    }
}

fn assigned(
    session: &mut AppSession,
    job: &Job,
    at: job::Phase,
    now: OffsetDateTime,
    said: &mut Vec<NewEvent>,
) {
    if session.phase == Phase::Created {
        session.reserved_at = Some(now);
        said.push(words::reserved(job));
        enter(session, Phase::Reserved, now);
    }
    if at == job::Phase::PullingImage && session.phase.may_become(Phase::Image) {
        session.image_at = Some(now);
        said.push(words::image(session));
        enter(session, Phase::Image, now);
    }
    if at == job::Phase::Starting && session.phase == Phase::Image {
        starting(session, now, said);
    }
}

/// The engine has the run, and there is no image left to wait for.
pub(super) fn starting(session: &mut AppSession, now: OffsetDateTime, said: &mut Vec<NewEvent>) {
    if session.phase.may_become(Phase::Starting) {
        said.push(words::starting());
        session.starting_at = Some(now);
        enter(session, Phase::Starting, now);
    }
}

fn enter(session: &mut AppSession, phase: Phase, now: OffsetDateTime) {
    session.phase = phase;
    session.phase_since = now;
}

/// Why it ended, where nobody has said so before.
fn end(session: &AppSession, job: &Job, outcome: &Outcome) -> (EndCode, String) {
    let ready = session.ready_at.is_some();
    match outcome {
        Outcome::Cancelled => (EndCode::Stopped, words::stopped(job)),
        Outcome::Rejected(why) => (EndCode::Rejected, why.clone()),
        Outcome::Completed if ready => (
            EndCode::Exited,
            "Its command ended by itself, with exit code 0.".into(),
        ),
        Outcome::Completed => (
            EndCode::Crashed,
            "Its command ended before it was ready, with exit code 0.".into(),
        ),
        Outcome::Failed(failure) => {
            let code = match failure {
                Failure::OutOfMemory => EndCode::OutOfMemory,
                Failure::Lost(_) => EndCode::Lost,
                Failure::TimeLimit if ready => EndCode::TimeLimit,
                Failure::TimeLimit => EndCode::NeverReady,
                Failure::NoImage(_) => EndCode::ImageMissing,
                Failure::NotStarted(_) if session.phase == Phase::Image => EndCode::ImageMissing,
                Failure::Exit(_) | Failure::Signal(_) if ready => EndCode::Died,
                Failure::NotStarted(_) | Failure::Exit(_) | Failure::Signal(_) => EndCode::Crashed,
            };
            (code, words::failed(session, code, failure))
        }
    }
}

/// What the last check of a service found, and what there is to say about it.
pub(super) fn checked(
    session: &AppSession,
    mut service: Service,
    found: Result<String, String>,
    now: OffsetDateTime,
) -> (Service, Vec<NewEvent>) {
    let Some(known) = session.manifest.service(&service.service) else {
        return (service, Vec::new());
    };
    let in_a_row = service.in_a_row();
    service.checked_at = Some(now);
    let before = service.state;
    match found {
        Ok(outcome) => {
            service.answered_at = Some(now);
            service.outcome = Some(outcome);
            let needed = known.readiness.successes.max(1);
            service.passed = in_a_row.saturating_add(1).min(needed);
            if service.passed == needed {
                service.state = ServiceState::Ready;
            } else if before == ServiceState::Waiting {
                service.state = ServiceState::Checking;
            }
        }
        Err(outcome) => {
            service.outcome = Some(outcome);
            service.passed = in_a_row;
            if before == ServiceState::Ready {
                service.passed = 0;
            }
            service.state = match before {
                ServiceState::Ready | ServiceState::Unready => ServiceState::Unready,
                _ => ServiceState::Checking,
            };
        }
    }
    let mut said = Vec::new();
    if service.state == ServiceState::Ready && before != ServiceState::Ready {
        said.push(words::ready(known, before == ServiceState::Unready));
        service.ready_at.get_or_insert(now);
    }
    if service.state == ServiceState::Unready && before == ServiceState::Ready {
        said.push(words::unready(known, service.outcome.as_deref()));
    }
    (service, said)
}
