//! What is said to people about an app.
use super::session::Parts;
use crate::domain::app::{EndCode, Phase, ServiceState};
use crate::domain::estimate::{said, time_of_day as clock};
use crate::domain::job::{Failure, Outcome, State as JobState};
use crate::domain::template::{self, Manifest};
use crate::orchestrator::lifecycle::NOT_TAKEN;
use crate::store::apps::AppSession;
use crate::store::apps::services::Service;
use crate::store::jobs::Job;
use time::OffsetDateTime;

/// `1.2 of 4.8 GB`.
pub(super) fn bytes(done: i64, total: i64) -> String {
    let tenths = |bytes: i64| {
        let tenths = bytes.max(0) / 100_000_000;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    format!("{} of {} GB.", tenths(done), tenths(total))
}

/// `Check 2 of 3: 503 at 14:02:07 UTC.` Empty before the first.
pub(super) fn check(service: &Service, of: &template::Service) -> String {
    let (Some(outcome), Some(at)) = (&service.outcome, service.checked_at) else {
        return String::new();
    };
    let number = service.check();
    let needed = of.readiness.successes;
    format!("Check {number} of {needed}: {outcome} at {}.", clock(at))
}

/// What is going on with a session that has not ended, in a sentence.
/// `unanswered` is what does not answer although it should.
pub(in super::super) fn status(
    session: &AppSession,
    node: Option<&str>,
    unanswered: Option<&str>,
) -> String {
    let node = node.unwrap_or("a machine");
    let label = &session.manifest.primary().label;
    match session.phase {
        Phase::Created => "Waiting for a free slot.".into(),
        Phase::Reserved => format!("Reserved on {node}."),
        Phase::Image => format!("Pulling the image on {node}."),
        Phase::Starting => format!("Starting on {node}."),
        Phase::Services => format!("Started on {node}. Checking whether {label} is ready."),
        Phase::Running => {
            if let Some(label) = unanswered {
                return format!("Running on {node}, but {label} does not answer now.");
            }
            let since = session.ready_at.unwrap_or(session.phase_since);
            format!("Running on {node} since {}.", clock(since))
        }
        Phase::Stopping => match &session.end_reason {
            Some(reason) => format!("Stopping. {reason}"),
            None => "Stopping.".into(),
        },
        Phase::Ended | Phase::Failed | Phase::Expired => {
            session.end_reason.clone().unwrap_or_default()
        }
    }
}

/// What must happen before the app can be opened; nothing if it can, or never will.
pub(super) fn awaited(parts: &Parts, now: OffsetDateTime) -> String {
    let session = &parts.session;
    let primary = session.manifest.primary();
    let node = parts.job.node.as_deref().unwrap_or("the machine");
    match session.phase {
        Phase::Created => match again(&parts.job, now) {
            Some(again) => again,
            None => "Waiting for a free slot on a machine.".into(),
        },
        Phase::Reserved => format!("Waiting for {node} to take it."),
        Phase::Image => "Waiting for the image.".into(),
        Phase::Starting => "Waiting for the app to start.".into(),
        Phase::Services => {
            let checks = match primary.readiness.successes {
                1 => "a check".to_owned(),
                many => format!("{many} checks in a row"),
            };
            format!("Waiting for {} to pass {checks}.", primary.label)
        }
        Phase::Running => match parts.primary() {
            Some(service) if service.state != ServiceState::Ready => {
                format!("Waiting for {} to answer again.", primary.label)
            }
            _ => String::new(),
        },
        Phase::Stopping | Phase::Ended | Phase::Failed | Phase::Expired => String::new(),
    }
}

/// Why it waits and until when, where that is not for a slot: the machine that was to
/// run it has refused it.
pub(super) fn again(job: &Job, now: OffsetDateTime) -> Option<String> {
    let at = job.left_alone_until(now)?;
    let why = job.reason.as_deref().unwrap_or(NOT_TAKEN);
    Some(format!("{why} It is tried again at {}.", clock(at)))
}

/// What stays after the session and what does not.
pub(super) fn kept(manifest: &Manifest) -> (Vec<String>, Vec<String>) {
    let (stay, go): (Vec<_>, Vec<_>) = manifest.volumes.iter().partition(|volume| volume.persist);
    let kept: Vec<String> = stay
        .iter()
        .map(|volume| format!("Files in {} are kept.", volume.mount))
        .collect();
    let mut lost: Vec<String> = go
        .iter()
        .map(|volume| format!("Files in {} are deleted.", volume.mount))
        .collect();
    let rest = if kept.is_empty() {
        "Nothing is kept: everything in the app is lost."
    } else {
        "Everything else in the app is lost."
    };
    lost.push(rest.into());
    (kept, lost)
}

/// How it ended, where nobody has noted that.
pub(super) fn ended(parts: &Parts, code: EndCode) -> String {
    let session = &parts.session;
    let (name, label) = (&session.manifest.name, &session.manifest.primary().label);
    match code {
        EndCode::Stopped => "Stopped on request.".into(),
        EndCode::TimeLimit => "Stopped by itself: its time was over.".into(),
        EndCode::MoneyLimit => "Stopped by itself: it had cost what it was allowed to.".into(),
        EndCode::Idle => format!(
            "Stopped by itself: nobody had used it for {} minutes.",
            session.settings.idle_minutes
        ),
        EndCode::Exited => format!("{name} ended by itself."),
        EndCode::Rejected => format!("No machine here can run {name}."),
        EndCode::ImageMissing => "The image could not be pulled.".into(),
        EndCode::Crashed => format!("{name} ended before it was ready."),
        EndCode::NeverReady => format!(
            "{label} did not pass its checks within {}.",
            said(session.manifest.start_timeout_seconds.into())
        ),
        EndCode::Died => format!("{name} was ready, then it ended with an error."),
        EndCode::OutOfMemory => format!("{name} used more memory than it may."),
        EndCode::Lost => "The machine that it ran on went away.".into(),
    }
}

/// The likely cause, and what to do; nothing where all is well. How it ended, such as
/// with which exit code, is said before it and not again.
pub(super) fn advice(parts: &Parts, code: EndCode) -> String {
    match code {
        EndCode::Stopped | EndCode::Exited => String::new(),
        EndCode::TimeLimit => {
            "Launch it again with more hours. A running app can also be extended before its time \
             is over."
                .into()
        }
        EndCode::MoneyLimit => "Launch it again with a higher limit in dollars.".into(),
        EndCode::Idle => {
            "Launch it again. Choose more idle minutes, or none, if it works while nobody looks."
                .into()
        }
        EndCode::Rejected => {
            "Its template's page says what this installation lacks. Choose another template, or \
             ask the operator."
                .into()
        }
        EndCode::ImageMissing => {
            "Either its registry does not answer from that machine, or the image is gone. Try \
             again; if it stays so, tell the operator."
                .into()
        }
        EndCode::Crashed | EndCode::Died => crash(parts),
        EndCode::NeverReady => never_ready(parts),
        EndCode::OutOfMemory => {
            "Load less at once, such as a smaller model or file, or choose a template with more \
             memory."
                .into()
        }
        EndCode::Lost => {
            "This is not your doing, and you pay for nothing after it was last seen. Launch it \
             again."
                .into()
        }
    }
}

fn crash(parts: &Parts) -> String {
    const AGAIN: &str = "Try again; if it ends the same way, tell the operator.";
    let silent = parts.last_lines.is_empty();
    let program = parts
        .session
        .manifest
        .command
        .first()
        .map_or("", String::as_str);
    let JobState::Ended {
        outcome: Outcome::Failed(failure),
        ..
    } = &parts.job.state
    else {
        return format!("Its command ended by itself, without an error. {AGAIN}");
    };
    let shell = program
        .rsplit('/')
        .next()
        .is_some_and(|name| matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh"));
    match failure {
        // A shell passes on what became of the command that it was to run.
        Failure::Exit(126 | 127) if shell => {
            "A program that its command starts is not there, or may not be executed. Tell the \
             operator."
                .into()
        }
        Failure::Exit(127) => {
            format!("The machine does not have the program {program}. Tell the operator.")
        }
        Failure::Exit(126) => {
            format!("The program {program} may not be executed there. Tell the operator.")
        }
        Failure::Exit(137) | Failure::Signal(9) | Failure::OutOfMemory => {
            "It was killed, most often for want of memory. Load less at once, or choose a template \
             with more memory."
                .into()
        }
        // What a shell makes of the signals of a program that breaks off by itself.
        Failure::Exit(132 | 134..=136 | 139) | Failure::Signal(4 | 6..=8 | 11) => {
            let lines = if silent {
                ""
            } else {
                " Its last lines may say where."
            };
            format!("The program itself crashed.{lines} {AGAIN}")
        }
        Failure::Exit(_) => {
            let which = if silent {
                ""
            } else {
                ": its last lines usually say which"
            };
            format!(
                "Most often it is a wrong setting, a damaged file in its volume, or a port that \
                 is taken{which}. {AGAIN}"
            )
        }
        Failure::Signal(_) if silent => AGAIN.into(),
        Failure::Signal(_) => format!("Its last lines may say why. {AGAIN}"),
        Failure::TimeLimit => "It reached the time limit of its job. Launch it again.".into(),
        Failure::NotStarted(_) => AGAIN.into(),
        Failure::Lost(why) | Failure::NoImage(why) => {
            format!("The cause: {}. {AGAIN}", why.trim_end_matches('.'))
        }
    }
}

fn never_ready(parts: &Parts) -> String {
    let primary = parts.session.manifest.primary();
    let outcome = parts.primary().and_then(|service| service.outcome.clone());
    let cause = match outcome.as_deref() {
        None => "It was never reached. ".into(),
        Some("connection refused") => {
            format!("Nothing listened on its port {}. ", primary.port)
        }
        Some(status) if status.starts_with('5') => {
            "It runs, but something in it fails or still loads. ".into()
        }
        Some(_) => String::new(),
    };
    let lines = if parts.last_lines.is_empty() {
        ""
    } else {
        ": its last lines usually say"
    };
    format!("{cause}It may only be slow, such as with its first downloads{lines}. Try again.")
}
