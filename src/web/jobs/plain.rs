//! Jobs as text, for those who read in a terminal.
use super::text;
use crate::api::jobs::{Job, List};
use crate::domain::estimate::said;
use crate::web::ui::job_row::{cost, runtime};
use std::fmt::Write as _;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

fn line(words: &str) -> String {
    text::visible(words).replace(['\n', '\t'], " ")
}

fn when(at: OffsetDateTime) -> String {
    let at = at.replace_nanosecond(0).unwrap_or(at);
    at.format(&Rfc3339).unwrap_or_default()
}

fn ran(job: &Job, now: OffsetDateTime) -> String {
    runtime(job, now).map_or_else(|| "-".to_owned(), said)
}

/// A line each, in columns.
pub(super) fn list(list: &List, now: OffsetDateTime) -> String {
    let mut out = String::new();
    for job in &list.jobs {
        let _ = writeln!(
            out,
            "{}  {:<9}  {:<11}  {:>12}  {:>10}  {}  {}",
            job.id,
            job.status.name(),
            job.workload_type.name(),
            ran(job, now),
            cost(job).to_string(),
            when(job.created_at),
            line(&job.name),
        );
    }
    if list.jobs.is_empty() {
        out.push_str("No jobs.\n");
    }
    if let Some(cursor) = &list.next_cursor {
        let _ = writeln!(out, "next: cursor={cursor}");
    }
    out
}

/// What is known of one, a line each.
pub(super) fn job(job: &Job, now: OffsetDateTime) -> String {
    let mut out = String::new();
    let mut say = |name: &str, value: &str| {
        let _ = writeln!(out, "{:<12} {}", format!("{name}:"), line(value));
    };
    say("job", &job.id.to_string());
    say("name", &job.name);
    say("status", job.status.name());
    say("state", &job.status_message);
    if let Some(why) = &job.status_reason {
        say("reason", why);
    }
    if let Some(code) = job.exit_code {
        say("exit code", &code.to_string());
    }
    say("type", job.workload_type.name());
    say("image", &job.image);
    if !job.command.is_empty() {
        say("command", &job.command);
    }
    if let Some(node) = &job.assigned_node_id {
        say("machine", node);
    }
    say("submitted", &when(job.created_at));
    if let Some(at) = job.started_at {
        say("started", &when(at));
    }
    if let Some(at) = job.completed_at {
        say("ended", &when(at));
    }
    say("runtime", &ran(job, now));
    say("cost", &cost(job).to_string());
    let range = format!(
        "{} to {}",
        job.estimated_cost_min_usd, job.estimated_cost_max_usd
    );
    say("estimate", &range);
    say("set aside", &job.hold_usd.to_string());
    out
}
