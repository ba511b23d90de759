//! The files of one job, on its page: what it was given and what it leaves. The page,
//! its fragment and its stream draw them here.
use super::{PATH, words};
use crate::api::artifacts::{Artifact, OfJob};
use crate::api::jobs::{InputFile, Job};
use crate::domain::job::Phase;
use crate::web::jobs::text;
use crate::web::ui::{self, Kind};
use maud::{Markup, html};

/// What is redrawn when the job has ended.
pub(in crate::web) const TARGET: &str = "#job-artifacts";
/// Files that the page of a job shows; the list of artifacts has them all.
const SHOWN: usize = 8;

/// What it leaves: expected, being collected, there or missing. `left` is what is known
/// once it has ended.
pub(in crate::web) fn artifacts(job: &Job, left: Option<&OfJob>) -> Markup {
    // What an app leaves is in its volumes.
    if job.app_session_id.is_some() {
        return html! { div #job-artifacts {} };
    }
    html! {
        section.card #job-artifacts aria-labelledby="artifacts-h" {
            header {
                h2 #artifacts-h { "Artifacts" }
                @if job.phase == Some(Phase::CollectingArtifacts) { span.live { "Collecting" } }
            }
            (expected(job, left))
            @match (left, job.status.ended()) {
                (Some(left), _) => (found(job, left)),
                (None, true) => p.mute { "What it left could not be loaded. Reload the page to try again." },
                (None, false) => p.mute { (coming(job)) },
            }
        }
    }
}

fn coming(job: &Job) -> &'static str {
    match job.phase {
        Some(Phase::CollectingArtifacts) => "The command has ended. What it left is being copied.",
        _ => "What is in /workspace/artifacts when the command has ended is kept and listed here.",
    }
}

/// What was declared, and what became of it.
fn expected(job: &Job, left: Option<&OfJob>) -> Markup {
    let all = &job.artifact_contract.expected_artifacts;
    let missing = |path: &String| left.is_some_and(|left| left.missing_artifacts.contains(path));
    // Of what never ran nothing can be missing.
    let known = left.is_some() && job.artifact_contract.collected_files.is_some();
    let there = all.iter().filter(|one| !missing(&one.path)).count();
    html! {
        @if !all.is_empty() {
            @if known { p.small { "Declared " (all.len()) ", found " (there) "." } }
            dl.dl.half {
                @for one in all {
                    dt {
                        @match (known, missing(&one.path)) {
                            (false, _) => (ui::badge(Kind::Wait, "wait", "Expected")),
                            (true, true) => (ui::badge(Kind::Bad, "x", "Missing")),
                            (true, false) => (ui::badge(Kind::Ok, "ok", "Present")),
                        }
                    }
                    dd.mono hx-ignore { (words::name(&one.path)) }
                }
            }
        }
    }
}

fn found(job: &Job, left: &OfJob) -> Markup {
    let all = left.artifacts.len();
    html! {
        @if left.artifacts.is_empty() {
            p.mute.half {
                @if job.started_at.is_none() { "It never ran, so it left nothing." }
                @else if job.artifact_contract.collected_files.is_some_and(|files| files > 0) {
                    "All that it left has been deleted."
                }
                @else { "It left nothing in /workspace/artifacts." }
            }
        } @else {
            div.scroll.half role="region" aria-labelledby="artifacts-h" tabindex="0" {
                table.tbl.fold.files { tbody { @for artifact in left.artifacts.iter().take(SHOWN) { (row(artifact)) } } }
            }
        }
        @if left.left_out > 0 {
            div.note.is-warn.mt {
                (ui::icon("warn"))
                p.strong { (left.left_out) @if left.left_out == 1 { " file was not kept" } @else { " files were not kept" } }
                @if let Some(why) = &left.left_out_reason { p hx-ignore { (text::visible(why)) } }
            }
        }
        @if all > 0 {
            p.half { a href={ (PATH) "?job=" (job.id) } { @if all == 1 { "See it" } @else { "All " (all) } " in the list of artifacts" } }
        }
    }
}

fn row(artifact: &Artifact) -> Markup {
    let path = super::path(artifact.id);
    html! {
        tr {
            th scope="row" { a href=(path) { (words::file(&artifact.filename)) } }
            td.num { (words::size_if_known(artifact.size_bytes)) }
            td hx-ignore { (words::kind(&artifact.content_type)) }
            td.num { a href={ (path) "/download" } download { "Download" } }
        }
    }
}

/// What it was given; nothing if that was nothing.
pub(in crate::web) fn inputs(job: &Job) -> Markup {
    let files = job.input_files.iter().chain(&job.script_files);
    let files: Vec<&InputFile> = files.collect();
    html! {
        @if !files.is_empty() {
            section.card aria-labelledby="inputs-h" {
                header { h2 #inputs-h { "Inputs" } }
                dl.dl {
                    @for file in files {
                        dt { (words::size_if_known(file.size_bytes)) }
                        dd.mono hx-ignore { (words::name(&file.mount_path)) }
                    }
                }
            }
        }
    }
}
