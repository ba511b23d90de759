//! The parts of a session's page that change. Each is small and has an id of its
//! own, so that a change sends little: the page, its stream and its polling all
//! draw them here.
use super::words::{self, clock, fit, minute};
use crate::api::apps::{Service, Session, Step, StepState};
use crate::domain::app::{Phase, ServiceState};
use crate::domain::estimate::said;
use crate::web::ui::{self, Kind};
use maud::{Markup, html};
use time::{Duration, OffsetDateTime};

/// No row takes more than this on the wire, with what says where it goes.
pub(super) const LARGEST: usize = 600;

/// Of a sentence of the API's in a row, in bytes.
const SENTENCE: usize = 150;

/// Every part with the selector of what it replaces, each at most [`LARGEST`].
pub(super) fn all(session: &Session, now: OffsetDateTime) -> Vec<(String, Markup)> {
    let steps = session
        .steps
        .iter()
        .map(|step| (format!("#{}", step_id(step)), self::step(step)));
    let services = session
        .services
        .iter()
        .map(|service| (format!("#{}", service_id(service)), self::service(service)));
    steps.chain(services).chain(rest(session, now)).collect()
}

/// Everything as a page shows it that may have missed something.
pub(super) fn snapshot(session: &Session, now: OffsetDateTime) -> Vec<(String, Markup)> {
    let lists = [
        ("#steps".to_owned(), steps(session)),
        ("#services".to_owned(), services(session)),
        ("#last".to_owned(), super::output::last(session)),
    ];
    lists.into_iter().chain(rest(session, now)).collect()
}

fn rest(session: &Session, now: OffsetDateTime) -> impl Iterator<Item = (String, Markup)> {
    [
        ("#state", state(session)),
        ("#go", go(session)),
        ("#halt", halt(session)),
        ("#why", why(session)),
        ("#note", note(session, now)),
        ("#c-cost", cost(session)),
        ("#c-rate", rate(session)),
        ("#c-run", runtime(session, now)),
        ("#c-stop", auto_stop(session)),
        ("#extend", extend(session)),
        ("#r-job", job(session)),
    ]
    .into_iter()
    .map(|(target, markup)| (target.to_owned(), markup))
}

pub(super) fn state(session: &Session) -> Markup {
    html! { span #state { (words::badge(session.status)) } }
}

/// The way in: present from the beginning, with its reason while it is withheld.
pub(super) fn go(session: &Session) -> Markup {
    let open = session
        .services
        .iter()
        .any(|service| service.primary && service.open);
    html! {
        div #go {
            @if session.status.ended() {
                a.btn.pri href=(again(session)) {
                    @if session.status == Phase::Failed { "Try again" } @else { "Launch again" }
                }
            } @else if open {
                button.btn.pri form="open" { (ui::icon("ext")) "Open dashboard" }
            } @else {
                button.btn.pri type="button" aria-disabled="true" aria-describedby="why" { (ui::icon("ext")) "Open dashboard" }
            }
        }
    }
}

/// Where the same can be launched once more.
pub(super) fn again(session: &Session) -> String {
    format!(
        "{}?again={}",
        super::template_path(&session.template),
        session.id
    )
}

pub(super) fn halt(session: &Session) -> Markup {
    html! {
        div #halt {
            @if session.status.launching() || session.status == Phase::Running {
                button.btn.bad type="button" popovertarget="stop" commandfor="stop" command="show-modal" { "Stop session" }
                // Without scripts the page reloads itself, and the dialog with it.
                noscript { a.btn.bad href={ (super::path(session.id)) "/stop" } { "Stop session…" } }
            }
        }
    }
}

/// What is still waited for, or what goes on.
pub(super) fn why(session: &Session) -> Markup {
    let why: &str = match session.awaited.as_str() {
        // How it ended, the note says.
        "" if session.end.is_some() => "",
        "" => &session.status_message,
        awaited => awaited,
    };
    html! { p #why hx-ignore { (fit(why, 2 * SENTENCE)) } }
}

/// How it ended, or what should be known about it now.
pub(super) fn note(session: &Session, now: OffsetDateTime) -> Markup {
    html! {
        div #note.stack {
            @if let Some(end) = &session.end {
                @let (class, icon) = match session.status {
                    Phase::Failed => ("is-bad", "x"),
                    Phase::Expired => ("is-warn", "clock"),
                    _ => ("is-wait", "dash"),
                };
                @let (message, advice) = words::fit_both(&end.message, &end.advice, 250);
                div.note.(class) {
                    (ui::icon(icon))
                    @let title = words::ended(session);
                    // Where the sentence begins with the heading, it is the heading.
                    @if message.starts_with(title) {
                        p.strong hx-ignore { (message) }
                        @if !advice.is_empty() { p hx-ignore { (advice) } }
                    } @else {
                        p.strong { (title) }
                        p hx-ignore { (message) @if !advice.is_empty() { " " (advice) } }
                    }
                    p { "You were charged " (end.charged_usd) "." }
                }
            } @else if session.status == Phase::Stopping {
                (ui::note(Kind::Warn, html! { p.strong { "Stopping" } p { "It has been asked to stop. Billing ends when it has." } }))
            } @else if session.status == Phase::Running {
                @match session.services.iter().find(|service| service.primary && service.state == ServiceState::Unready) {
                    Some(service) => (ui::note(Kind::Warn, html! {
                        p.strong hx-ignore { (fit(&service.label, 60)) " does not answer now" }
                        p { "It is asked again every few seconds." }
                    })),
                    None => (ending(session, now)),
                }
            }
        }
    }
}

/// A warning before it stops by itself.
fn ending(session: &Session, now: OffsetDateTime) -> Markup {
    let idle = i64::from(session.choices.idle_minutes.unwrap_or_default());
    let used = session.last_used_at.max(session.ready_at);
    // Whoever has only just looked away is not warned.
    let near = Duration::minutes(idle.min(10)) / 2;
    if idle > 0
        && let Some(used) = used
        && let until = used + Duration::minutes(idle)
        && until - now <= near
        && session.stops_at.is_none_or(|at| until < at)
    {
        return ui::note(
            Kind::Warn,
            html! { p.strong { "Stops at " (minute(until)) " unless it is used" } p { "Nobody has used it since " (minute(used)) "." } },
        );
    }
    let Some(at) = session.stops_at else {
        return html! {};
    };
    let left = match (at - now).whole_minutes() {
        ..5 => "in less than 5 minutes",
        5..30 => "in less than half an hour",
        _ => return html! {},
    };
    ui::note(
        Kind::Warn,
        html! { p.strong { "Stops at " (minute(at)) ", " (left) } p { "Extend it to keep it running." } },
    )
}

pub(super) fn steps(session: &Session) -> Markup {
    html! { ol.tl #steps { @for step in &session.steps { (self::step(step)) } } }
}

fn step_id(step: &Step) -> String {
    format!("s-{}", fit(&step.id, 48))
}

fn step(step: &Step) -> Markup {
    let (class, icon, word) = match step.state {
        StepState::Waiting => ("is-wait", "wait", "Waiting: "),
        StepState::Doing if step.slow => ("is-warn", "clock", "Slow: "),
        StepState::Doing => ("is-run", "run", "In progress: "),
        StepState::Done => ("is-ok", "ok", "Done: "),
        StepState::Failed => ("is-bad", "x", "Failed: "),
        StepState::Skipped => ("is-wait", "dash", "Not reached: "),
    };
    let doing = step.state == StepState::Doing;
    html! {
        li.(class) #(step_id(step)) {
            span.dot { (ui::icon(icon)) span.vh { (word) } }
            h3 hx-ignore { (fit(&step.title, 48)) }
            span.t {
                @match (step.state, step.done_at, step.since, step.usual) {
                    (StepState::Waiting, _, _, Some(usual)) => (words::span(usual)),
                    (StepState::Doing, _, Some(since), _) => { "since " (clock(since)) }
                    (_, Some(at), _, _) | (_, None, Some(at), _) => (clock(at)),
                    _ => {}
                }
            }
            @let usual = step.usual.filter(|_| doing);
            @if !step.detail.is_empty() || usual.is_some() {
                p hx-ignore {
                    (fit(&step.detail, if step.bytes.is_some() { 90 } else { SENTENCE })) " "
                    @if let Some(usual) = usual { @if step.slow { "Longer than usual. " } "Usually " (words::span(usual)) "." }
                }
            }
            @if doing && let Some((had, of)) = step.bytes && of > 0 {
                p { progress aria-label="Received" value=(had.min(of) / 1_000_000) max=(of / 1_000_000) {} }
            }
        }
    }
}

pub(super) fn services(session: &Session) -> Markup {
    html! { tbody #services { @for service in &session.services { (self::service(service)) } } }
}

fn service_id(service: &Service) -> String {
    format!("v-{}", fit(&service.id, 48))
}

fn service(service: &Service) -> Markup {
    let (kind, icon, word) = match service.state {
        ServiceState::Waiting => (Kind::Wait, "wait", "Waiting"),
        ServiceState::Checking => (Kind::Run, "run", "Checking"),
        ServiceState::Ready => (Kind::Ok, "ok", "Ready"),
        ServiceState::Unready => (Kind::Warn, "warn", "Not answering"),
        ServiceState::Stopped => (Kind::Wait, "dash", "Stopped"),
    };
    let checked = matches!(
        service.state,
        ServiceState::Checking | ServiceState::Unready
    );
    html! {
        tr #(service_id(service)) {
            th scope="row" hx-ignore {
                (fit(&service.label, 48))
                small { @if service.primary { "primary, " } "port " (service.port) }
            }
            td.long {
                (ui::badge(kind, icon, word))
                @if service.open { p.half { button.btn form="open" name="service" value=(fit(&service.id, 48)) { "Open" } } }
                @if checked && let (Some(outcome), Some(at)) = (&service.outcome, service.checked_at) {
                    p.small.mute hx-ignore {
                        "check " (service.check.max(1)) " of " (service.needed) ": "
                        (fit(outcome, 48)) " at " (clock(at))
                    }
                }
            }
        }
    }
}

pub(super) fn cost(session: &Session) -> Markup {
    let over = session.status.ended();
    html! {
        div #c-cost { dt { @if over { "Charged" } @else { "So far" } } dd { (session.cost_usd) } }
    }
}

pub(super) fn rate(session: &Session) -> Markup {
    html! {
        div #c-rate {
            dt { "Rate" } dd { (session.hourly_rate_usd) " per h" }
            dd.small.mute {
                @match session.billed_from {
                    Some(at) => { "Billing began when it was ready, at " (clock(at)) }
                    None if session.status.ended() => "Billing never began.",
                    None => "Billing begins when it is ready.",
                }
            }
        }
    }
}

/// Since it was ready; before that it does not count.
pub(super) fn runtime(session: &Session, now: OffsetDateTime) -> Markup {
    html! {
        div #c-run {
            dt { "Runtime" }
            dd { @match runs_for(session, now) { Some(seconds) => (said(seconds)), None => "—" } }
        }
    }
}

/// Seconds for which it was, or has been, ready.
pub(super) fn runs_for(session: &Session, now: OffsetDateTime) -> Option<i64> {
    let ready = session.ready_at?;
    let until = session.ended_at.unwrap_or(now);
    Some((until - ready).whole_seconds().max(0))
}

pub(super) fn auto_stop(session: &Session) -> Markup {
    html! {
        div #c-stop {
            dt { @if session.status.ended() { "Ended" } @else { "Auto-stop" } }
            dd {
                @match (session.ended_at, session.stops_at) {
                    (Some(at), _) | (None, Some(at)) => (minute(at)),
                    (None, None) => "Once ready",
                }
            }
            @if !session.status.ended() { dd.small.mute { (words::limits(&session.choices)) } }
        }
    }
}

pub(super) fn extend(session: &Session) -> Markup {
    let path = format!("{}/extend", super::path(session.id));
    html! {
        div.row.gap-s #extend {
            @if session.status == Phase::Running {
                a.btn href={ (path) "?minutes=60" } { "+1 h" }
                a.btn href={ (path) "?minutes=240" } { "+4 h" }
                a.btn href=(path) { "Extend…" }
            }
        }
    }
}

/// The job behind it.
pub(super) fn job(session: &Session) -> Markup {
    html! {
        dd #r-job {
            a.mono href={ "/portal/jobs/" (session.job_id) } { (short(&session.job_id.to_string())) }
            // Of a session that has ended, its own end says more than its job's.
            @if !session.status.ended() { " " (ui::status_badge(session.job_status, None)) }
        }
    }
}

/// The end of an id tells things apart; the beginning is the time.
pub(super) fn short(id: &str) -> String {
    format!("…{}", id.get(id.len().saturating_sub(8)..).unwrap_or(id))
}
