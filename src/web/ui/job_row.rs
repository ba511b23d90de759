//! Jobs in a table: one row function for every page, fragment and stream.
use super::{Usd, duration, money, status_badge, time};
use crate::api::jobs::Job;
use crate::domain::spec::WorkloadType;
use ::time::OffsetDateTime;
use maud::{Markup, html};

/// A table of jobs, which scrolls sideways where it must. `heading` is the id of
/// the heading that names it.
pub(crate) fn job_table(jobs: &[Job], now: OffsetDateTime, heading: &str) -> Markup {
    html! {
        div.scroll role="region" aria-labelledby=(heading) tabindex="0" {
            table.tbl {
                thead {
                    tr {
                        th scope="col" { "Job" }
                        th scope="col" { "Status" }
                        th scope="col" { "Type" }
                        th scope="col" { "Placement" }
                        th.num scope="col" { "Runtime" }
                        th.num scope="col" { "Cost" }
                        th scope="col" { "Started" }
                    }
                }
                tbody #job-rows { @for job in jobs { (job_row(job, now)) } }
            }
        }
    }
}

/// One row, whose id is the job's.
pub(crate) fn job_row(job: &Job, now: OffsetDateTime) -> Markup {
    html! {
        tr #(job.id) {
            th scope="row" {
                a href={ "/portal/jobs/" (job.id) } title=(job.name) { span hx-ignore { (job.name) } small { (short_id(job)) } }
            }
            td { (status_badge(job.status, job.phase)) }
            td {
                @match job.app_session_id {
                    Some(app) => { a href={ "/portal/templates/sessions/" (app) } { "App session" } }
                    None => (type_name(job.workload_type)),
                }
            }
            td { @match &job.assigned_node_id { Some(node) => (node), None => (nothing("not placed yet")) } }
            td.num { @match runtime(job, now) { Some(seconds) => (duration(seconds)), None => (nothing("has not run")) } }
            td.num { (money(cost(job))) }
            td { @match job.started_at { Some(at) => (time(at, now)), None => (nothing("has not started")) } }
        }
    }
}

/// The end of an id, which tells jobs apart; the beginning is the time.
pub(crate) fn short_id(job: &Job) -> String {
    let id = job.id.to_string();
    format!("…{}", &id[id.len() - 8..])
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
