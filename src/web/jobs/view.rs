//! The parts of a job's page. The page and its live stream draw them here.
use super::text;
use crate::api::artifacts::OfJob;
use crate::api::jobs::{Event, Job};
use crate::client::Client;
use crate::domain::app::{self, EndCode};
use crate::domain::estimate::said;
use crate::domain::id::JobId;
use crate::domain::job::{Phase, Status};
use crate::domain::routing::Relaxed;
use crate::web::apps;
use crate::web::files::of_job;
use crate::web::ui;
use crate::web::ui::job_row::{cost as cost_of, id_end, runtime, type_name};
use maud::{Markup, html};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

/// Where a job's page is.
pub(in crate::web) fn path(id: JobId) -> String {
    format!("/portal/jobs/{id}")
}

/// What changes of the page besides timeline and output: each element that is
/// redrawn, with its selector.
pub(super) fn regions(
    job: &Job,
    left: Option<&OfJob>,
    now: OffsetDateTime,
) -> [(&'static str, Markup); 5] {
    [
        ("#job-head", head(job)),
        ("#job-state", state(job, now)),
        ("#job-cost", cost(job, now)),
        ("#job-facts", facts(job)),
        (of_job::TARGET, of_job::artifacts(job, left)),
    ]
}

/// What it has left, once it has ended; what cannot be had is said on the page.
pub(super) async fn left(api: &Client, job: &Job) -> Option<OfJob> {
    if !job.status.ended() || job.app_session_id.is_some() {
        return None;
    }
    let left = api.artifacts(job.id).await;
    left.inspect_err(|error| {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "no list of artifacts"
        );
    })
    .ok()
}

pub(super) fn head(job: &Job) -> Markup {
    let path = path(job.id);
    html! {
        div.head #job-head {
            div {
                p.crumbs { a href="/portal/jobs" { "Jobs" } }
                div.row {
                    h1 hx-ignore { (text::visible(&job.name)) }
                    (ui::job_badge(job))
                    @if !job.status.ended() { span.live #live { noscript { "Refreshes by itself" } } }
                }
                p.mono #job-id { (job.id) }
            }
            @if !job.status.ended() && job.phase != Some(Phase::Stopping) {
                button.btn.bad type="button" popovertarget="cancel" commandfor="cancel" command="show-modal" { "Cancel job" }
                // Without scripts the page reloads itself, and the dialog with it.
                noscript { a.btn.bad href={ (path) "/cancel" } { "Cancel job…" } }
            }
            form method="post" action={ (path) "/rerun" } {
                button.btn { (ui::icon("swap")) "Run again" }
            }
            @if job.app_session_id.is_none() {
                form method="post" action={ (path) "/clone" } { button.btn { (ui::icon("copy")) "Clone" } }
            }
        }
    }
}

/// Asks whether to cancel; works without scripts.
pub(super) fn cancel_dialog(job: &Job) -> Markup {
    html! {
        dialog #cancel popover aria-labelledby="cancel-h" {
            (cancel_form(job, html! {
                button.btn type="button" commandfor="cancel" command="close"
                    popovertarget="cancel" popovertargetaction="hide" { (keep(job)) }
            }))
        }
    }
}

/// What the way out of the question says.
pub(super) fn keep(job: &Job) -> &'static str {
    if job.started_at.is_some() {
        "Keep it running"
    } else {
        "Keep it"
    }
}

/// The same question as a page of its own.
pub(super) fn cancel_form(job: &Job, otherwise: Markup) -> Markup {
    html! {
        form.stack method="post" action={ (path(job.id)) "/cancel" } {
            h2 #cancel-h { "Cancel " bdi hx-ignore { (text::visible(&job.name)) } "?" }
            p {
                @if job.started_at.is_some() {
                    "Its command is asked to stop, then stopped. You pay for the time it ran, and the rest of the amount set aside is released."
                } @else {
                    "It has not started. Nothing is charged, and the amount set aside is released."
                }
            }
            div.row.end { (otherwise) button.btn.bad { "Cancel job" } }
        }
    }
}

/// Why it waits, or how it ended.
pub(super) fn state(job: &Job, now: OffsetDateTime) -> Markup {
    html! {
        div #job-state.stack {
            @match job.status {
                Status::Pending | Status::Queued | Status::Assigned => (waiting(job, now)),
                Status::Running => {
                    @if job.phase == Some(Phase::CollectingArtifacts) {
                        (note("is-run", "down", html! { p.strong { "Collecting files" } p { "The command has ended, and costs nothing any more. What it left is being copied." } }))
                    }
                    @if job.phase == Some(Phase::Stopping) {
                        (note("is-warn", "warn", html! { p.strong { "Stopping" } p { "The command has been asked to stop." } }))
                    }
                }
                Status::Completed => (note("is-ok", "ok", html! { p.strong { "Completed" } p { (completed(job)) } })),
                Status::Failed => (failed(job)),
                Status::Cancelled if job.app_session_end.is_some_and(|end| end != EndCode::Stopped) => (app_over(job)),
                Status::Cancelled => (note("is-wait", "dash", html! {
                    p.strong { "Cancelled" }
                    @if job.started_at.is_some() { p hx-ignore { (text::visible(&job.status_message)) } }
                    @else { p { "It never started, and nothing was charged." } }
                })),
                Status::Rejected => (note("is-bad", "x", html! {
                    p.strong { "Refused before it ran" }
                    p hx-ignore { (text::visible(&job.status_message)) }
                    p { "Nothing was charged. Change what is said above and run it again." }
                })),
            }
            @for warning in &job.warnings {
                (note("is-warn", "warn", html! { p hx-ignore { (text::visible(warning)) } }))
            }
        }
    }
}

/// How the app that it is came to its end, where nobody cancelled it.
fn app_over(job: &Job) -> Markup {
    let end = job.app_session_end.unwrap_or(EndCode::Stopped);
    let (class, icon) = match end.phase() {
        app::Phase::Failed => ("is-bad", "x"),
        _ => ("is-wait", "clock"),
    };
    let inside = html! {
        p.strong { (apps::ended_for(end)) }
        @if let Some(why) = &job.status_reason { p hx-ignore { (text::visible(why)) } }
        @if let Some(app) = job.app_session_id { p { a href=(apps::path(app)) { "What happened" } } }
    };
    note(class, icon, inside)
}

fn note(class: &str, icon: &str, inside: Markup) -> Markup {
    html! { div.note.(class) { (ui::icon(icon)) (inside) } }
}

fn waiting(job: &Job, now: OffsetDateTime) -> Markup {
    let waited = waited(job, now);
    html! {
        section.card aria-labelledby="why-h" {
            header { h2 #why-h {
                @if job.status == Status::Assigned { "Getting ready" } @else { "Why it waits" }
            } }
            p hx-ignore {
                @match &job.delay_reason {
                    Some(reason) => (text::visible(&reason.message)),
                    None => (text::visible(&job.status_message)),
                }
            }
            dl.dl.two.half {
                div { dt { "Waiting for" } dd { (said(waited)) } }
                div { dt { "Now" } dd { (job.phase.map_or("Being checked", phase_words)) } }
            }
        }
    }
}

/// Seconds from being queued to starting, or until `now`.
fn waited(job: &Job, now: OffsetDateTime) -> i64 {
    let from = job.queued_at.unwrap_or(job.created_at);
    let until = job.started_at.unwrap_or(now);
    (until - from)
        .whole_seconds()
        .max(job.wait_duration_seconds)
        .max(0)
}

fn completed(job: &Job) -> &'static str {
    match job.exit_code {
        Some(0) | None => "The command ended with exit code 0.",
        Some(_) => "The command ended.",
    }
}

fn failed(job: &Job) -> Markup {
    let Some(failure) = &job.failure else {
        return note(
            "is-bad",
            "x",
            html! { p.strong { "Failed" } p hx-ignore { (text::visible(&job.status_message)) } },
        );
    };
    note(
        "is-bad",
        "x",
        html! {
            p.strong { "Failed" @if let Some(code) = job.exit_code { ", exit code " (code) } }
            p hx-ignore { (text::visible(&failure.summary)) }
            p.small { (next_after(&failure.code, failure.retryable)) }
            @if let Some(excerpt) = &failure.log_excerpt {
                details {
                    summary { "Last error output" }
                    pre.mono hx-ignore { (excerpt.lines().map(text::line).collect::<Vec<_>>().join("\n")) }
                }
            }
        },
    )
}

/// What to do next about a failure.
fn next_after(code: &str, retryable: bool) -> &'static str {
    match code {
        "TIME_LIMIT" => "“Run again” brings its settings back: the time limit is under Resources.",
        "OUT_OF_MEMORY" => "“Run again” brings its settings back: memory is under Resources.",
        "IMAGE_UNAVAILABLE" => "Check the image's name and tag, then run it again.",
        "START_FAILED" => "Check the image and the command, then run it again.",
        _ if retryable => "This was not the job's fault: running it again may well work.",
        _ => "Read the output below, change the job and run it again.",
    }
}

pub(super) fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::WaitingForCapacity => "Waiting for a free slot",
        Phase::PullingImage => "Pulling the image",
        Phase::PreparingInputs => "Preparing inputs",
        Phase::Starting => "Starting",
        Phase::Executing => "Executing",
        Phase::CollectingArtifacts => "Collecting artifacts",
        Phase::Stopping => "Stopping",
    }
}

/// The one line that is read out when the job moves on.
pub(super) fn spoken(job: &Job) -> String {
    match (job.status.ended(), job.phase) {
        (false, Some(phase)) => format!("{}.", phase_words(phase)),
        _ => format!("The job is {}.", job.status),
    }
}

pub(super) fn timeline(job: &Job, events: &[Event]) -> Markup {
    html! {
        section.card #job-events aria-labelledby="events-h" {
            header { h2 #events-h { "What happened" } }
            @if events.is_empty() {
                p.mute { "Nothing yet." }
            } @else {
                ol.tl #events {
                    @for (event, current) in marked(job, events) { (event_row(event, current)) }
                    @if waits(job) {
                        li.is-run {
                            span.dot { (ui::icon("run")) span.vh { "In progress: " } }
                            h3 { (phase_words(Phase::WaitingForCapacity)) }
                        }
                    }
                }
            }
        }
    }
}

/// Whether everything that happened is over, and what comes next has not begun.
pub(super) fn waits(job: &Job) -> bool {
    !job.status.ended() && job.phase == Some(Phase::WaitingForCapacity)
}

/// Each event, and whether it is what the job is at now.
fn marked<'a>(job: &Job, events: &'a [Event]) -> impl Iterator<Item = (&'a Event, bool)> {
    let current = events.last().filter(|_| !job.status.ended() && !waits(job));
    let current = current.map(|event| event.sequence);
    events
        .iter()
        .map(move |event| (event, Some(event.sequence) == current))
}

pub(super) fn event_row(event: &Event, current: bool) -> Markup {
    let (class, icon, word) = match (event.level.as_str(), current) {
        ("error", _) => ("is-bad", "x", "Failed: "),
        ("warning", _) => ("is-warn", "warn", "Attention: "),
        (_, true) => ("is-run", "run", "In progress: "),
        (_, false) => ("is-ok", "ok", "Done: "),
    };
    html! {
        li.(class) #{ "event-" (event.sequence) } {
            span.dot { (ui::icon(icon)) span.vh { (word) } }
            h3 hx-ignore { (text::visible(&event.title)) }
            span.t { (exact(event.created_at)) }
            @if !event.message.is_empty() { p hx-ignore { (text::visible(&event.message)) } }
        }
    }
}

/// The time of day to the second: what follows what matters more than how long ago.
fn exact(at: OffsetDateTime) -> Markup {
    let at = at.to_offset(UtcOffset::UTC);
    html! {
        time datetime=[at.format(&Rfc3339).ok()] title=(at.date()) {
            (format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second()))
        }
    }
}

fn cost(job: &Job, now: OffsetDateTime) -> Markup {
    let ended = job.status.ended();
    html! {
        section.card #job-cost aria-labelledby="cost-h" {
            header { h2 #cost-h { @if ended { "Cost" } @else { "Cost so far" } } }
            dl.dl.two {
                div {
                    dt { @if ended { "Final" } @else { "Accrued" } }
                    dd { (ui::money(cost_of(job))) }
                }
                div { dt { "Estimate" } dd { (job.estimated_cost_min_usd) " – " (job.estimated_cost_max_usd) } }
                div { dt { "Rate" } dd { (job.hourly_rate_usd) " per h" } }
                div {
                    dt { @if ended { "Was set aside" } @else { "Set aside, at most" } }
                    dd { (job.hold_usd) }
                }
                div {
                    dt { "Runtime" }
                    dd { @match runtime(job, now) { Some(seconds) => (said(seconds)), None => "—" } }
                }
                div { dt { "Time limit" } dd { (said(i64::from(job.time_limit_seconds))) } }
            }
        }
    }
}

fn facts(job: &Job) -> Markup {
    html! {
        section.card #job-facts aria-labelledby="facts-h" {
            header {
                h2 #facts-h { "Configuration" }
                @if job.app_session_id.is_none() { a href={ (path(job.id)) "/as/cli" } { "Copy as" } }
                a href={ (path(job.id)) "/record" } { "Record" }
            }
            dl.dl {
                dt { "Job ID" }
                dd {
                    span.mono { "…" (id_end(job)) } " "
                    button.btn.ghost type="button" data-copy="#job-id" { (ui::icon("copy")) "Copy" }
                }
                dt { "Image" } dd.mono hx-ignore { (text::visible(&job.image)) }
                @if !job.command.is_empty() {
                    dt.full { "Command" } dd.full.mono hx-ignore { (text::visible(&job.command)) }
                }
                dt { "Type" } dd { (type_name(job.workload_type)) }
                @if let Some(app) = job.app_session_id {
                    dt { "App" } dd { a href=(apps::path(app)) { "Its session, with the way in" } }
                }
                @if let Some(node) = &job.assigned_node_id {
                    dt { "Machine" } dd hx-ignore { (text::visible(node)) @if let Some(engine) = &job.provider { " (" (text::visible(engine)) ")" } }
                }
                dt { "Submitted" } dd { (ui::exact(job.created_at)) }
                @if let Some(at) = job.started_at { dt { "Started" } dd { (ui::exact(at)) } }
                @if let Some(at) = job.completed_at { dt { "Ended" } dd { (ui::exact(at)) } }
                @if let Some(metadata) = job.metadata.as_ref().filter(|all| !all.is_empty()) {
                    dt { "Metadata" }
                    dd hx-ignore { @for name in metadata.keys() { span.tag { (text::visible(name)) } " " } }
                }
            }
            @if !job.constraints_relaxed.is_empty() {
                div.note.is-warn.mt { (ui::icon("warn")) (relaxed(&job.constraints_relaxed)) }
            }
        }
    }
}

/// Preferences that gave way: asked, got, why.
pub(in crate::web) fn relaxed(all: &[Relaxed]) -> Markup {
    html! {
        p.strong {
            @if let [_] = all { "One preference was relaxed" } @else { (all.len()) " preferences were relaxed" }
        }
        ul hx-ignore {
            @for one in all {
                li {
                    (field_words(&one.field)) ": " del { (text::visible(&one.asked)) } " → "
                    ins { (text::visible(&one.got)) } ". " (text::visible(&one.reason))
                }
            }
        }
    }
}

fn field_words(field: &str) -> String {
    match field {
        "preferred_gpu_family" => "Preferred GPU family".to_owned(),
        "region_preference" => "Region".to_owned(),
        "optimize_for" => "Optimize for".to_owned(),
        "latency_priority" => "Low latency".to_owned(),
        "cost_priority" => "Low cost".to_owned(),
        "gpu_class" => "GPU class".to_owned(),
        "priority" => "Priority".to_owned(),
        other => text::visible(&other.replace('_', " ")),
    }
}
