//! `/portal/jobs/{job}/record`: all that is known of a job on one page, for paper.
use super::detail::Which;
use super::{plain as as_text, text, view};
use crate::api::artifacts::{Artifact, OfJob};
use crate::api::bulk::Submission;
use crate::api::jobs::{Event, EventFilter, InputFile, Job};
use crate::domain::estimate::said;
use crate::web::kind::Kind;
use crate::web::shell::{self, Nav};
use crate::web::ui::job_row::{cost, runtime};
use crate::web::viewer::Viewer;
use crate::web::{Error, ui};
use axum::Json;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use serde_json::Value;
use time::OffsetDateTime;

pub(super) async fn show(viewer: Viewer, Which(id): Which, kind: Kind) -> Result<Response, Error> {
    let job = viewer.api.job(id).await?;
    match kind {
        Kind::Page => {}
        Kind::Json => return Ok(Json(job).into_response()),
        Kind::Text => return Ok(as_text::job(&job, viewer.now).into_response()),
    }
    let submitted = viewer.api.job_content(id).await?;
    let events = viewer.api.events(id, &EventFilter::default()).await?;
    let left = super::view::left(&viewer.api, &job).await;
    let main = html! {
        (super::dress())
        div.head {
            div {
                p.crumbs { a href=(view::path(id)) { "Job" } }
                div.row { h1 { "Record of " bdi hx-ignore { (text::visible(&job.name)) } } (ui::job_badge(&job)) }
                p { "As it was on " (ui::exact(viewer.now)) ", in the workspace " span hx-ignore { (viewer.session.workspace.name) } "." }
            }
            button.btn type="button" data-print { "Print" }
        }
        div.stack.record {
            (outcome(&job, viewer.now))
            (charge(&job))
            (configuration(&job, &submitted))
            (timeline(&events.items))
            (artifacts(&job, left.as_ref()))
        }
    };
    let title = format!("Record of {}", text::visible(&job.name));
    Ok(shell::page(&viewer, &title, Nav::Jobs, main).into_response())
}

fn outcome(job: &Job, now: OffsetDateTime) -> Markup {
    html! {
        section.card aria-labelledby="outcome-h" {
            header { h2 #outcome-h { "Outcome" } }
            dl.dl {
                dt { "Job ID" } dd.mono { (job.id) }
                dt { "Outcome" } dd hx-ignore { (text::visible(&job.status_message)) @if let Some(why) = &job.status_reason { " " (text::visible(why)) } }
                @if let Some(code) = job.exit_code { dt { "Exit code" } dd { (code) } }
                @if let Some(node) = &job.assigned_node_id { dt { "Machine" } dd hx-ignore { (text::visible(node)) } }
                dt { "Submitted" } dd { (ui::exact(job.created_at)) }
                @if let Some(at) = job.started_at { dt { "Started" } dd { (ui::exact(at)) } }
                @if let Some(at) = job.completed_at { dt { "Ended" } dd { (ui::exact(at)) } }
                @if let Some(seconds) = runtime(job, now) { dt { "Runtime" } dd { (said(seconds)) } }
            }
        }
    }
}

fn charge(job: &Job) -> Markup {
    let ended = job.status.ended();
    let charged = cost(job);
    let verdict = if !ended {
        "It has not ended, so this is not final."
    } else if charged > job.estimated_cost_max_usd {
        "More than estimated, and never more than was set aside."
    } else if charged < job.estimated_cost_min_usd {
        "Less than estimated."
    } else {
        "Within the estimate."
    };
    html! {
        section.card aria-labelledby="charge-h" {
            header { h2 #charge-h { "Estimate against charge" } }
            dl.dl {
                dt { "Estimated" } dd { (job.estimated_cost_min_usd) " – " (job.estimated_cost_max_usd) }
                dt { @if ended { "Charged" } @else { "So far" } } dd.strong { (ui::money(charged)) }
                dt { "In short" } dd { (verdict) }
                dt { "Rate" } dd { (job.hourly_rate_usd) " per hour" }
                dt { "Set aside" } dd { (job.hold_usd) }
                @if ended { dt { "Came back" } dd { (job.hold_usd.saturating_sub(charged)) } }
            }
        }
    }
}

fn configuration(job: &Job, submitted: &Submission) -> Markup {
    let content = &submitted.content;
    let first = ["name", "workload_type", "image", "command"];
    let others = content.keys().map(String::as_str);
    // The arguments are part of the command.
    let others = others.filter(|field| !first.contains(field) && *field != "args");
    let fields = first.into_iter().chain(others);
    html! {
        section.card aria-labelledby="content-h" {
            header { h2 #content-h { "Configuration" } }
            dl.dl {
                @for (field, value) in fields.filter_map(|field| Some((field, content.get(field)?))) {
                    dt { (label(field)) }
                    dd.mono hx-ignore { @for line in lines(job, field, value) { div { (text::visible(&line)) } } }
                }
            }
            @if !submitted.secrets.is_empty() { p.small.mute.half { "Secrets are not part of a record: a name in ${…} stands for each." } }
        }
    }
}

/// `Model size GB`, `Time limit`.
fn label(field: &str) -> String {
    if field == "timeout_seconds" {
        return "Time limit".to_owned();
    }
    let words = field.split('_').map(|word| match word {
        "gb" | "cpu" | "gpu" | "vram" => word.to_uppercase(),
        word => word.to_owned(),
    });
    let words = words.collect::<Vec<_>>().join(" ");
    let mut letters = words.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

/// What was asked for, as people write it.
fn lines(job: &Job, field: &str, value: &Value) -> Vec<String> {
    let file = |file: &InputFile| match file.size_bytes {
        Some(bytes) => format!("{}, {bytes} bytes, {}", file.mount_path, file.input_id),
        None => format!("{}, {}", file.mount_path, file.input_id),
    };
    match (field, value) {
        ("command", _) => vec![job.command.clone()],
        ("timeout_seconds", value) => vec![value.as_i64().map_or_else(|| plain(value), said)],
        ("input_files", _) if !job.input_files.is_empty() => {
            job.input_files.iter().map(file).collect()
        }
        ("script_files", _) if !job.script_files.is_empty() => {
            job.script_files.iter().map(file).collect()
        }
        (_, Value::Array(items)) => items.iter().map(plain).collect(),
        (_, Value::Object(fields)) => {
            let fields = fields.iter();
            let written = fields.map(|(name, value)| format!("{name}={}", plain(value)));
            written.collect()
        }
        (_, value) => vec![plain(value)],
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn timeline(events: &[Event]) -> Markup {
    html! {
        section.card.flush {
            header { h2 #timeline-h { "Timeline" } }
            div.scroll role="region" aria-labelledby="timeline-h" tabindex="0" {
                table.tbl.fold {
                    thead { tr { th scope="col" { "What happened" } th scope="col" { "When" } th scope="col" { "By" } } }
                    tbody {
                        @for event in events {
                            tr {
                                th.long scope="row" hx-ignore { (text::visible(&event.title)) @if !event.message.is_empty() { p { (text::visible(&event.message)) } } }
                                td { (ui::exact(event.created_at)) }
                                td { (event.source) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What it was to leave, and what it left.
fn artifacts(job: &Job, left: Option<&OfJob>) -> Markup {
    let expected = &job.artifact_contract.expected_artifacts;
    let files = left.map_or(&[][..], |left| &left.artifacts);
    html! {
        section.card #record-artifacts {
            header { h2 #artifacts-h { "Artifacts" } }
            @if expected.is_empty() {
                p.mute { "No artifacts were declared." }
            } @else {
                p { "Declared:" }
                ul {
                    @for one in expected {
                        li.mono hx-ignore {
                            (text::visible(&one.path))
                            @if left.is_some_and(|left| left.missing_artifacts.contains(&one.path)) { ", missing" }
                        }
                    }
                }
            }
            @if let Some(left) = left {
                @if files.is_empty() { p.mute { "No files are kept." } }
                @else { (kept(files)) }
                @if left.left_out > 0 { p { "Not kept: " (left.left_out) " more." } }
            } @else if job.status.ended() && job.app_session_id.is_none() {
                p.mute { "What it left could not be loaded. Reload the page to try again." }
            }
        }
    }
}

fn kept(files: &[Artifact]) -> Markup {
    html! {
        div.scroll role="region" aria-labelledby="artifacts-h" tabindex="0" {
            table.tbl.fold {
                thead { tr { th scope="col" { "File" } th.num scope="col" { "Bytes" } th scope="col" { "SHA-256" } } }
                tbody {
                    @for file in files {
                        tr {
                            th.long scope="row" hx-ignore { (text::visible(&file.filename)) }
                            td.num { @if let Some(bytes) = file.size_bytes { (bytes) } }
                            td.mono.long { (file.sha256) }
                        }
                    }
                }
            }
        }
    }
}
