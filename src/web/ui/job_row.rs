//! Jobs in a table: one row function for every page and fragment.
use super::time::{exactly, reading};
use super::{Usd, duration, job_badge, money};
use crate::api::jobs::Job;
use crate::domain::spec::WorkloadType;
use ::time::OffsetDateTime;
use maud::{Markup, html};

/// The body of the table.
pub(crate) const ROWS: &str = "#job-rows";

/// One row. Its key is the end of the job's id, because the whole of it in every
/// row and in all that speaks of the row weighs more than the rest.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) markup: Markup,
}

impl Row {
    pub(crate) fn selector(key: &str) -> String {
        format!("#j{key}")
    }
}

/// A table of jobs, which scrolls sideways where it must. `heading` is the id of
/// the heading that names it.
pub(crate) fn job_table(rows: &[Row], heading: &str) -> Markup {
    table(rows, heading, false)
}

/// The same for rows of [`rows_to_choose`].
pub(crate) fn table_to_choose(rows: &[Row], heading: &str) -> Markup {
    table(rows, heading, true)
}

fn table(rows: &[Row], heading: &str, choose: bool) -> Markup {
    html! {
        div.scroll role="region" aria-labelledby=(heading) tabindex="0" {
            table.tbl.fold.jobs.pick[choose] {
                thead {
                    tr {
                        th scope="col" { "Job" }
                        th scope="col" { "Status" }
                        th scope="col" { "Type" }
                        th scope="col" { "Placement" }
                        th.num scope="col" { "Runtime" }
                        th.num scope="col" { "Cost" }
                        th scope="col" { "Started" }
                        @if choose { th scope="col" { "Select" } }
                    }
                }
                tbody #job-rows { @for row in rows { (row.markup) } }
            }
        }
    }
}

pub(crate) fn job_rows(jobs: &[Job], now: OffsetDateTime) -> Vec<Row> {
    jobs.iter().map(|job| job_row(job, now, false)).collect()
}

/// The same, where each that has not ended can be selected for the form `#many`.
pub(crate) fn rows_to_choose(jobs: &[Job], now: OffsetDateTime) -> Vec<Row> {
    jobs.iter().map(|job| job_row(job, now, true)).collect()
}

fn job_row(job: &Job, now: OffsetDateTime, choose: bool) -> Row {
    let key = id_end(job);
    // Only a name that may be cut off needs to be told in full.
    let title = (job.name.chars().count() > SHORT_NAME).then_some(&job.name);
    let markup = html! {
        tr #{ "j" (key) } {
            th scope="row" {
                a href={ "/portal/jobs/" (job.id) } title=[title] { span hx-ignore { (job.name) } small { "…" (key) } }
            }
            td { (job_badge(job)) }
            td {
                @match job.app_session_id {
                    Some(app) => { a href={ "/portal/templates/sessions/" (app) } { "App session" } }
                    None => (type_name(job.workload_type)),
                }
            }
            td { @match &job.assigned_node_id { Some(node) => (node), None => (nothing("not placed yet")) } }
            td.num { @match runtime(job, now) { Some(seconds) => (duration(seconds)), None => (nothing("has not run")) } }
            td.num { (money(cost(job))) }
            @match job.started_at {
                Some(at) => td title=(exactly(at)) { (reading(at, now)) },
                None => td { (nothing("has not started")) },
            }
            @if choose { td { @if !job.status.ended() {
                input type="checkbox" form="many" name="id" value=(job.id) aria-labelledby={ "j" (key) };
            } } }
        }
    };
    Row { key, markup }
}

/// Characters that the narrowest column shows.
const SHORT_NAME: usize = 20;

/// The end of an id, which tells jobs apart; the beginning is the time.
pub(crate) fn id_end(job: &Job) -> String {
    let id = job.id.to_string();
    id[id.len() - 8..].to_owned()
}

/// The type of a workload as a word.
pub(crate) const fn type_name(kind: WorkloadType) -> &'static str {
    match kind {
        WorkloadType::Inference => "Inference",
        WorkloadType::Training => "Training",
        WorkloadType::FineTuning => "Fine-tuning",
        WorkloadType::Batch => "Batch",
    }
}

/// Seconds for which it has run, up to now or to its end.
pub(crate) fn runtime(job: &Job, now: OffsetDateTime) -> Option<i64> {
    let start = job.started_at?;
    let end = job.completed_at.unwrap_or(now);
    Some((end - start).whole_seconds().max(0))
}

/// What it cost, or has cost so far.
pub(crate) fn cost(job: &Job) -> Usd {
    job.actual_cost_usd.unwrap_or(job.billing.cost_usd)
}

/// A dash for the eye, words for those who listen.
fn nothing(why: &str) -> Markup {
    html! { span role="img" aria-label=(why) { "—" } }
}
