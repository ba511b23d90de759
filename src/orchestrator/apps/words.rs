//! What is said about a session while it lives: its events, and why it ended.
use super::follow::stops;
use crate::domain::app::{EndCode, Phase, Settings};
use crate::domain::estimate::said as lasting;
use crate::domain::job::Failure;
use crate::domain::money::Usd;
use crate::domain::template::Service;
use crate::orchestrator::lifecycle::NOT_TAKEN;
use crate::store::apps::AppSession;
use crate::store::apps::events::NewEvent;
use crate::store::apps::services::Service as Answered;
use crate::store::jobs::Job;
use time::OffsetDateTime;

fn event(kind: &'static str, title: impl Into<String>, message: impl Into<String>) -> NewEvent {
    NewEvent {
        kind,
        service: None,
        title: title.into(),
        message: message.into(),
        level: "info",
    }
}

fn warning(kind: &'static str, title: impl Into<String>, message: impl Into<String>) -> NewEvent {
    NewEvent {
        level: "warning",
        ..event(kind, title, message)
    }
}

/// `4 h`, `1 h 30 min`.
pub(super) fn minutes(minutes: u32) -> String {
    lasting(i64::from(minutes) * 60)
}

/// `14:02`, in UTC.
fn clock(at: OffsetDateTime) -> String {
    format!("{:02}:{:02} UTC", at.hour(), at.minute())
}

pub(super) fn created(session: &AppSession) -> NewEvent {
    let message = format!("{} waits for a free slot.", session.manifest.name);
    event("app.created", "Session created", message)
}

pub(super) fn held(job: &Job, enough_for: u32) -> NewEvent {
    let message = format!(
        "{} for {} at {} per hour: the most that it can cost. Billing begins when it is ready.",
        job.hold,
        minutes(enough_for),
        job.rate
    );
    event("billing.held", "Credit set aside", message)
}

pub(super) fn back_in_line(job: &Job) -> NewEvent {
    let why = job.reason.as_deref().unwrap_or(NOT_TAKEN);
    let again = job
        .next_try()
        .map_or(0, |at| (at - job.phase_since).whole_seconds());
    let message = format!("{why} It is tried again in {}.", lasting(again));
    warning("app.requeued", "Back in the queue", message)
}

pub(super) fn reserved(job: &Job) -> NewEvent {
    let node = job.node.as_deref().unwrap_or("a machine");
    event(
        "app.reserved",
        "Capacity reserved",
        format!("A slot is free on {node}."),
    )
}

pub(super) fn image(session: &AppSession) -> NewEvent {
    let message = format!("{} is being pulled.", session.manifest.image);
    event("app.image", "Pulling the image", message)
}

pub(super) fn starting() -> NewEvent {
    event(
        "app.starting",
        "Starting",
        "The app's process is being started.",
    )
}

pub(super) fn started(session: &AppSession) -> NewEvent {
    let names: Vec<&str> = session
        .manifest
        .services
        .iter()
        .map(|service| service.label.as_str())
        .collect();
    let message = format!(
        "Its services are asked whether they are ready: {}.",
        names.join(", ")
    );
    event("app.started", "App started", message)
}

pub(super) fn ready(service: &Service, again: bool) -> NewEvent {
    let times = match service.readiness.successes {
        0 | 1 => "once".to_owned(),
        2 => "twice in a row".to_owned(),
        n => format!("{n} times in a row"),
    };
    let message = if again {
        "It answers again.".to_owned()
    } else {
        format!("Its check has passed {times}.")
    };
    let title = if again {
        format!("{} answers again", service.label)
    } else {
        format!("{} is ready", service.label)
    };
    NewEvent {
        service: Some(service.id.clone()),
        ..event("service.ready", title, message)
    }
}

pub(super) fn unready(service: &Service, outcome: Option<&str>) -> NewEvent {
    let outcome = outcome.unwrap_or("no answer");
    NewEvent {
        service: Some(service.id.clone()),
        ..warning(
            "service.unready",
            format!("{} does not answer", service.label),
            format!("The last check said: {outcome}."),
        )
    }
}

pub(super) fn running(session: &AppSession, job: &Job) -> NewEvent {
    let until = session.stops_at.map_or_else(String::new, |at| {
        format!(" It stops by itself at {}.", clock(at))
    });
    event(
        "app.running",
        "Ready to open",
        format!("Billing has begun, at {} per hour.{until}", job.rate),
    )
}

pub(in crate::orchestrator) fn stops_soon(
    kind: &'static str,
    at: OffsetDateTime,
    left: i64,
    code: EndCode,
) -> NewEvent {
    let why = match code {
        EndCode::MoneyLimit => "it will have cost as much as it may",
        _ => "its time is over then",
    };
    warning(
        kind,
        format!("Stops in {}", lasting(left)),
        format!(
            "It stops at {}, because {why}. Extend it to go on.",
            clock(at)
        ),
    )
}

pub(super) fn extended(added: u32, hold: Usd, stops_at: Option<OffsetDateTime>) -> NewEvent {
    let until = stops_at.map_or_else(String::new, |at| {
        format!(" It stops by itself at {}.", clock(at))
    });
    event(
        "app.extended",
        format!("Extended by {}", minutes(added)),
        format!("{hold} more set aside.{until}"),
    )
}

pub(super) fn stopping(session: &AppSession) -> NewEvent {
    let reason = session.end_reason.as_deref().unwrap_or_default();
    let message = format!("{reason} It gets a moment to finish, then it is killed.");
    event("app.stopping", "Stopping", message)
}

/// The last event of a session.
pub(super) fn ended(session: &AppSession, job: &Job, code: EndCode) -> NewEvent {
    let reason = session.end_reason.as_deref().unwrap_or_default();
    let cost = job.cost.unwrap_or(Usd::ZERO);
    let bill = if session.ready_at.is_some() {
        format!("It cost {cost}.")
    } else {
        "It was never ready: you were charged $0.00.".to_owned()
    };
    let message = format!("{reason} {bill}");
    match code.phase() {
        Phase::Failed => NewEvent {
            level: "error",
            ..event("app.failed", "Failed", message)
        },
        Phase::Expired => warning("app.expired", "Expired", message),
        _ => event("app.ended", "Ended", message),
    }
}

/// Why it was stopped, where a person did.
pub(super) fn stopped(job: &Job) -> String {
    let reason = job.reason.as_deref();
    sentence(reason.unwrap_or("It was stopped on request."))
}

/// With an end that other sentences can follow.
fn sentence(text: &str) -> String {
    if text.ends_with(['.', '!', '?']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Why it is stopped, where nobody asked for it.
pub(in crate::orchestrator) fn limit(code: EndCode, settings: &Settings) -> String {
    match code {
        EndCode::MoneyLimit => {
            let most = Usd::from_micros(settings.max_usd_micros.unwrap_or_default());
            format!("It reached its money limit of {most}.")
        }
        EndCode::Idle => {
            format!("Nobody had used it for {}.", minutes(settings.idle_minutes))
        }
        _ => format!(
            "Its time was over, after {}.",
            minutes(settings.max_minutes)
        ),
    }
}

pub(in crate::orchestrator) fn never_ready(session: &AppSession, services: &[Answered]) -> String {
    let within = lasting(i64::from(session.manifest.start_timeout_seconds));
    let primary = session.manifest.primary();
    let last = services
        .iter()
        .find(|asked| asked.service == primary.id)
        .and_then(|asked| asked.outcome.as_deref());
    match last {
        Some(last) => format!(
            "{} was not ready within {within}. Its last check said: {last}.",
            primary.label
        ),
        None => format!("{} was not ready within {within}.", primary.label),
    }
}

pub(super) fn failed(session: &AppSession, code: EndCode, failure: &Failure) -> String {
    let ended = match failure {
        Failure::Exit(code) => format!("ended with exit code {code}"),
        Failure::Signal(signal) => format!("was ended by signal {signal}"),
        _ => "failed".to_owned(),
    };
    match (code, failure) {
        (EndCode::ImageMissing, Failure::NoImage(why) | Failure::NotStarted(why)) => {
            let why = sentence(why);
            format!(
                "The image {} could not be had: {why}",
                session.manifest.image
            )
        }
        (_, Failure::NotStarted(why)) => format!("It could not be started: {}", sentence(why)),
        (EndCode::Crashed, _) => format!("Its command {ended} before it was ready."),
        (EndCode::Died, _) => format!("Its command {ended} after it had been ready."),
        (EndCode::OutOfMemory, _) => format!(
            "It used more than its {} GB of memory and was stopped.",
            session.manifest.needs.memory_gb
        ),
        (EndCode::Lost, Failure::Lost(why)) => format!("It was lost: {why}."),
        (EndCode::TimeLimit, _) => limit(code, &session.settings),
        (EndCode::NeverReady, _) => never_ready(session, &[]),
        _ => failure.explained(),
    }
}

/// Which of its limits a session meets first.
pub(in crate::orchestrator) fn first_limit(session: &AppSession, rate: Usd) -> EndCode {
    stops(
        &session.settings,
        rate,
        session.ready_at.unwrap_or(session.created_at),
    )
    .1
}
