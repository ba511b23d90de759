//! The way to the dashboard, step by step.
use super::super::usual;
use super::session::Parts;
use super::words;
use crate::api::apps::{Step, StepState};
use crate::api::templates::Usual;
use crate::domain::app::{Phase, ServiceState};
use crate::domain::estimate::time_of_day;
use crate::domain::template;
use crate::store::apps::AppSession;
use time::OffsetDateTime;

/// Every step, in order. Those that a host app does not have are left out.
pub(super) fn of(parts: &Parts, now: OffsetDateTime) -> Vec<Step> {
    let manifest = &parts.session.manifest;
    let mut steps = vec![created(parts), reserved(parts, now)];
    if !manifest.runs_on_host() {
        steps.push(image(parts));
    }
    steps.push(starting(parts));
    steps.extend(manifest.services.iter().map(|of| service(parts, of)));
    steps.push(dashboard(parts));
    close(parts, &mut steps);
    for step in &mut steps {
        let doing = step.state == StepState::Doing;
        step.slow = doing
            && step
                .since
                .is_some_and(|since| usual::slow(step.usual, since, now));
    }
    steps
}

/// Of a session that is ending or has ended nothing more is waited for.
fn close(parts: &Parts, steps: &mut [Step]) {
    let session = &parts.session;
    if session.phase == Phase::Stopping || session.phase.ended() {
        // The first step that was not done is where it failed, unless we know better;
        // of an app that had been ready no step failed.
        let first = steps
            .iter()
            .position(|step| step.state != StepState::Done)
            .filter(|_| session.ready_at.is_none());
        let noted = session.failed_step.as_deref();
        let noted = steps
            .iter()
            .position(|step| Some(step.id.as_str()) == noted);
        let failed = noted.or(first).filter(|_| session.phase == Phase::Failed);
        for (n, step) in steps.iter_mut().enumerate() {
            if failed == Some(n) {
                step.state = StepState::Failed;
                step.done_at = step.done_at.or(session.ended_at);
            } else if step.state != StepState::Done {
                // What it would have waited for, nobody waits for now.
                *step = self::step(&step.id, step.title.as_str(), StepState::Skipped);
            }
        }
    }
}

fn step(id: &str, title: impl Into<String>, state: StepState) -> Step {
    Step {
        id: id.into(),
        title: title.into(),
        state,
        detail: String::new(),
        since: None,
        done_at: None,
        usual: None,
        slow: false,
        bytes: None,
    }
}

/// How far a session got; of one that is stopping or has ended, as its times say.
fn reached(parts: &Parts) -> Phase {
    let session = &parts.session;
    match session.phase {
        Phase::Stopping | Phase::Ended | Phase::Failed | Phase::Expired => {
            if session.ready_at.is_some() {
                Phase::Running
            } else if session.started_at.is_some() {
                Phase::Services
            } else if session.starting_at.is_some() || failed_to_start(session) {
                Phase::Starting
            } else if session.image_at.is_some() {
                Phase::Image
            } else if session.reserved_at.is_some() {
                Phase::Reserved
            } else {
                Phase::Created
            }
        }
        phase => phase,
    }
}

/// Whether that is noted: of old sessions it is all that is known.
fn failed_to_start(session: &AppSession) -> bool {
    session.failed_step.as_deref() == Some("starting")
}

fn state(parts: &Parts, doing: &[Phase], after: Phase) -> StepState {
    let reached = reached(parts);
    if doing.contains(&reached) {
        StepState::Doing
    } else if reached >= after {
        StepState::Done
    } else {
        StepState::Waiting
    }
}

fn created(parts: &Parts) -> Step {
    let mut step = step("created", "Launch accepted", StepState::Done);
    step.since = Some(parts.session.created_at);
    step.done_at = step.since;
    step
}

fn reserved(parts: &Parts, now: OffsetDateTime) -> Step {
    let session = &parts.session;
    let state = state(parts, &[Phase::Created], Phase::Reserved);
    let mut step = step("reserved", "Capacity reserved", state);
    step.since = Some(session.created_at);
    step.usual = parts.times.in_phase(Phase::Created);
    if state == StepState::Done {
        step.done_at = session.reserved_at;
        step.detail = match &parts.job.node {
            Some(node) => format!("On {node}."),
            None => String::new(),
        };
    } else {
        let again = words::again(&parts.job, now);
        step.detail = again.unwrap_or_else(|| "Waiting for a free slot.".into());
    }
    step
}

fn image(parts: &Parts) -> Step {
    let session = &parts.session;
    let state = state(parts, &[Phase::Reserved, Phase::Image], Phase::Starting);
    let mut step = step("image", "Image pulled", state);
    step.since = session.image_at.or(session.reserved_at);
    step.usual = parts.times.in_phase(Phase::Image);
    step.bytes = session.image_done.zip(session.image_total);
    step.done_at = session.starting_at;
    step.detail = match step.bytes {
        Some((done, total)) if state == StepState::Doing => words::bytes(done, total),
        _ => session.manifest.image.clone(),
    };
    step
}

fn starting(parts: &Parts) -> Step {
    let session = &parts.session;
    let doing: &[Phase] = if session.manifest.runs_on_host() {
        &[Phase::Reserved, Phase::Starting]
    } else {
        &[Phase::Starting]
    };
    let state = state(parts, doing, Phase::Services);
    let mut step = step("starting", "App started", state);
    step.usual = parts.times.in_phase(Phase::Starting);
    step.done_at = session.started_at;
    step.since = if session.manifest.runs_on_host() {
        session.reserved_at
    } else {
        session.starting_at
    };
    step
}

fn service(parts: &Parts, of: &template::Service) -> Step {
    let session = &parts.session;
    let found = parts.service(of);
    let ready_at = found.and_then(|service| service.ready_at);
    let state = if ready_at.is_some() {
        StepState::Done
    } else {
        state(parts, &[Phase::Services, Phase::Running], Phase::Stopping)
    };
    let mut step = step(
        &format!("service-{}", of.id),
        format!("{} ready", of.label),
        state,
    );
    step.since = session.started_at;
    step.done_at = ready_at;
    step.usual = if of.primary { services(parts) } else { None };
    let unready = found.is_some_and(|service| service.state == ServiceState::Unready);
    step.detail = match found {
        Some(service) if unready && session.phase == Phase::Running => {
            format!("It does not answer now. {}", words::check(service, of))
        }
        Some(service) if ready_at.is_none() => words::check(service, of),
        _ => String::new(),
    };
    step
}

fn services(parts: &Parts) -> Option<Usual> {
    parts.times.in_phase(Phase::Services)
}

fn dashboard(parts: &Parts) -> Step {
    let session = &parts.session;
    let state = state(parts, &[], Phase::Running);
    let mut step = step("dashboard", "Dashboard open", state);
    step.done_at = session.ready_at;
    step.since = session.ready_at;
    if session.ready_at.is_some() {
        step.detail = match parts.job.billed_from {
            Some(from) => format!("Billing began at {}.", time_of_day(from)),
            None => String::new(),
        };
    } else {
        step.detail = "Opens, and is billed, from the moment it is ready.".into();
    }
    step
}
