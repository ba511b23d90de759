//! The estimate card: pending, ready, expired, blocked or failed.
use crate::api::drafts::{Draft, DraftEstimate, EstimateState};
use crate::api::jobs::Estimate;
use crate::domain::estimate::{Confidence, said};
use crate::domain::id::DraftId;
use crate::domain::money::Usd;
use crate::domain::routing::Check;
use crate::web::jobs::{relaxed, text};
use crate::web::{live, ui};
use maud::{Markup, html};
use time::OffsetDateTime;

/// The id of the form that asks for another estimate.
const REFRESH: &str = "again";

/// What the card says besides the draft.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Beside<'a> {
    /// What the workspace can spend, if that is known.
    pub(super) available: Option<Usd>,
    /// What is wrong with the acknowledgement, if it was tried.
    pub(super) wrong: Option<&'a str>,
}

/// The card, and its tag. While the estimate is pending it asks for itself again
/// and says which version it has, so that an answer without news changes nothing.
pub(super) fn card(draft: &Draft, beside: Beside) -> (Markup, String) {
    let inside = inside(draft, beside);
    let tag = live::tag(&inside);
    let pending = draft.estimate.as_ref().is_some_and(is_pending);
    let path = format!("/portal/submit/{}/estimate", draft.id);
    let known = live::known(&tag);
    let markup = html! {
        section.card.est #estimate aria-labelledby="est-h"
            hx-get=[pending.then_some(path)]
            hx-trigger=[pending.then_some("load delay:1s, every 2s")]
            hx-swap=[pending.then_some("outerHTML")]
            hx-headers=[pending.then_some(known)] { (inside) }
    };
    (markup, tag)
}

pub(super) fn is_pending(estimate: &DraftEstimate) -> bool {
    estimate.state == EstimateState::Pending
}

/// The form behind the card's Refresh button. It stands outside the wizard's own.
pub(super) fn refresh_form(draft: DraftId) -> Markup {
    html! { form #(REFRESH) method="post" action={ "/portal/submit/" (draft) "/estimate" } {} }
}

fn inside(draft: &Draft, beside: Beside) -> Markup {
    let Some(found) = &draft.estimate else {
        return unknown(None, "The estimate could not be asked for.", beside);
    };
    match (found.state, &found.estimate) {
        (EstimateState::Pending, _) => pending(),
        (EstimateState::Ready, Some(_)) if found.expired => expired(),
        (EstimateState::Ready, Some(estimate)) => {
            ready(draft, &acknowledged_as(found), estimate, beside)
        }
        (EstimateState::Ready, None) | (EstimateState::Failed, _) => {
            let why = found.error.as_deref().unwrap_or("It gave no reason.");
            unknown(Some(&acknowledged_as(found)), why, beside)
        }
    }
}

/// The value of the check box: what exactly has been seen.
fn acknowledged_as(estimate: &DraftEstimate) -> String {
    format!("{}:{}", estimate.estimate_id, estimate.version)
}

fn pending() -> Markup {
    html! {
        header {
            h2 #est-h { "Estimating cost" }
            span.live { "Checking" }
            p.big { span.skel.l {} }
            span.small.full { "Comparing what is free with what you asked for" }
        }
        div {
            dl.dl.two {
                @for label in ["Likely placement", "Region", "Queue wait", "Runtime"] {
                    div { dt { (label) } dd { span.skel.s {} } }
                }
            }
        }
    }
}

fn expired() -> Markup {
    html! {
        header { h2 #est-h { "Estimated cost" } p.big { "Expired" } }
        div {
            (warning(html! {
                p.strong { "This estimate is too old to confirm" }
                p { "Ask for a new one; it may differ." }
            }))
            button.btn.pri.wide form=(REFRESH) { "Refresh the estimate" }
        }
    }
}

/// No figures: submitting is possible, but needs another yes.
fn unknown(value: Option<&str>, why: &str, beside: Beside) -> Markup {
    html! {
        header { h2 #est-h { "Estimated cost" } p.big { "Unknown" } }
        div {
            (warning(html! {
                p.strong { "No estimate could be made" }
                p hx-ignore { (text::visible(why)) }
                p { "Cost, start and runtime are unknown. The time limit still bounds them." }
            }))
            button.btn.wide form=(REFRESH) { "Try again" }
        }
        @if let Some(value) = value {
            (confirm("ack_unknown", value, "I want to submit without knowing what it will cost.", beside.wrong))
        }
    }
}

fn warning(inside: Markup) -> Markup {
    html! { div.note.is-warn { (ui::icon("warn")) (inside) } }
}

fn ready(draft: &Draft, value: &str, estimate: &Estimate, beside: Beside) -> Markup {
    let fits = estimate.available && estimate.can_submit && estimate.screening.can_submit;
    if !fits {
        return blocked(draft, estimate);
    }
    html! {
        header {
            h2 #est-h { "Estimated cost" }
            span.small { (confidence(estimate.confidence)) }
            p.big { (range(estimate.estimated_cost_min_usd, estimate.estimated_cost_max_usd)) }
            span.small.full { (rates(estimate)) " per hour, billed to the millisecond" }
        }
        div { (plan(estimate)) (figures(estimate)) }
        div {
            (checks(draft.id, estimate))
            @if !estimate.constraints_relaxed.is_empty() { (warning(relaxed(&estimate.constraints_relaxed))) }
            (affordable(draft.id, estimate, beside.available))
            (past(estimate))
            div.row.small.mute {
                span { "Quoted " (clock(estimate.quoted_at)) ", valid until " (clock(estimate.expires_at)) " UTC." }
                button.btn.ghost form=(REFRESH) { "Refresh" }
            }
        }
        (confirm("ack", value, "I have read this estimate. The final cost depends on actual runtime.", beside.wrong))
    }
}

fn confirm(name: &str, value: &str, words: &str, wrong: Option<&str>) -> Markup {
    html! {
        div {
            div {
                label.check {
                    input #ack type="checkbox" name=(name) value=(value) required
                        aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| "ack-err")];
                    span { (words) }
                }
                @if let Some(wrong) = wrong { p.err #ack-err { (ui::icon("warn")) (wrong) } }
            }
            button.btn.pri.wide type="submit" { "Submit job" }
        }
    }
}

/// Nothing that was asked for exists here: reasons, and no way to submit.
fn blocked(draft: &Draft, estimate: &Estimate) -> Markup {
    html! {
        header { h2 #est-h { "Estimated cost" } p.big { "Cannot run here" } }
        div {
            (checks(draft.id, estimate))
            @if estimate.screening.checks.iter().all(|check| !check.is_blocked()) {
                div.note.is-bad { (ui::icon("x")) p hx-ignore {
                    (text::visible(estimate.unavailable_reason.as_deref().unwrap_or(&estimate.explanation)))
                } }
            }
            button.btn.wide form=(REFRESH) { "Check again" }
        }
    }
}

/// What was found out about the job that its owner should know.
fn checks(draft: DraftId, estimate: &Estimate) -> Markup {
    let told = |check: &&Check| check.status != "passed";
    html! {
        @for check in estimate.screening.checks.iter().filter(told) {
            div.note.(if check.is_blocked() { "is-bad" } else { "is-warn" }) hx-ignore {
                (ui::icon(if check.is_blocked() { "x" } else { "warn" }))
                p.strong { (text::visible(&check.message)) }
                @if let Some(action) = &check.action { p { (text::visible(action)) } }
                @if let Some(step) = check.field.as_deref().and_then(super::steps::Step::asking) {
                    p { a href={ (step.path(draft)) "?back=review" } { "Change " (step.label().to_lowercase()) } }
                }
            }
        }
    }
}

fn confidence(confidence: Confidence) -> &'static str {
    match confidence {
        Confidence::Low => "Low confidence",
        Confidence::Medium => "Medium confidence",
        Confidence::High => "High confidence",
    }
}

fn range(low: Usd, high: Usd) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("{low} – {high}")
    }
}

/// What the machines that would do cost.
fn rates(estimate: &Estimate) -> String {
    let (low, high) = (
        estimate.estimated_hourly_rate_min_usd,
        estimate.estimated_hourly_rate_max_usd,
    );
    if low < high {
        range(low, high)
    } else {
        estimate.estimated_hourly_rate_usd.to_string()
    }
}

/// How often past ranges held, and how sure each of these is.
fn past(estimate: &Estimate) -> Markup {
    let past = &estimate.calibration;
    html! {
        @if !past.message.is_empty() {
            details.small {
                summary { (past.message) }
                p.mute {
                    (confidence(estimate.runtime_confidence)) " in the runtime, "
                    (confidence(estimate.queue_wait_confidence).to_lowercase()) " in the wait."
                    @if past.of > 0 {
                        " Of " (past.of) " the runtime held " (past.runtime_held) ", the wait "
                        (past.queue_wait_held) ", the cost " (past.cost_held) " times."
                    }
                }
            }
        }
    }
}

fn figures(estimate: &Estimate) -> Markup {
    let wait = (
        estimate.estimated_queue_wait_min_seconds,
        estimate.estimated_queue_wait_max_seconds,
    );
    let runtime = (
        estimate.estimated_runtime_min_seconds,
        estimate.estimated_runtime_max_seconds,
    );
    let gpu = estimate.likely_gpu_type.as_deref();
    html! {
        dl.dl.two {
            div {
                dt { "Likely placement" }
                dd hx-ignore {
                    (text::visible(estimate.placement.as_deref().unwrap_or("any machine")))
                    @if let Some(gpu) = gpu { " · " (text::visible(gpu)) }
                }
                @for check in estimate.screening.checks.iter().filter(|check| check.status == "passed") {
                    dd.small.mute { (check.message) }
                }
            }
            div { dt { "Region" } dd hx-ignore { (text::visible(estimate.region.as_deref().unwrap_or("this grid"))) } }
            div { dt { "Queue wait" } dd { (spans(wait)) } dd.small.mute { (estimate.queue_wait_basis) } }
            div { dt { "Runtime" } dd { (spans(runtime)) } dd.small.mute { (estimate.runtime_basis) } }
            div { dt { "Starts" } dd { (window(estimate.estimated_start_at_min, estimate.estimated_start_at_max)) }
                @if !estimate.capacity_status.message.is_empty() { dd.small.mute { (estimate.capacity_status.message) } }
            }
            div { dt { "Set aside, at most" } dd { (estimate.hold_usd) } dd.small.mute { "For " (said(i64::from(estimate.time_limit_seconds))) " at this rate." } }
        }
    }
}

fn spans((low, high): (i64, i64)) -> String {
    if low == high {
        said(high)
    } else {
        format!("{} – {}", said(low), said(high))
    }
}

/// Two times of day; one if they look the same.
fn window(from: OffsetDateTime, to: OffsetDateTime) -> String {
    format!("{} UTC", times(from, to))
}

fn times(from: OffsetDateTime, to: OffsetDateTime) -> String {
    let (from, to) = (clock(from), clock(to));
    if from == to {
        from
    } else {
        format!("{from}–{to}")
    }
}

fn clock(at: OffsetDateTime) -> String {
    let at = at.to_offset(time::UtcOffset::UTC);
    format!("{:02}:{:02}", at.hour(), at.minute())
}

/// Whether the balance pays for it, and what it would pay for if not.
fn affordable(draft: DraftId, estimate: &Estimate, available: Option<Usd>) -> Markup {
    let Some(available) = available else {
        return html! {};
    };
    if estimate.hold_usd <= available {
        let left = available.saturating_sub(estimate.hold_usd);
        return html! {
            p.small { "Your balance of " (ui::balance(available)) " covers it: " (ui::balance(left)) " stays free while it runs." }
        };
    }
    html! {
        div.note.is-bad {
            (ui::icon("wallet"))
            p.strong { "Your balance of " (available) " does not cover the " (estimate.hold_usd) " to set aside" }
            (what_fits(draft, available, estimate.estimated_hourly_rate_usd))
        }
    }
}

/// How long a job could be, for the money there is.
pub(super) fn what_fits(draft: DraftId, available: Usd, rate: Usd) -> Markup {
    let minutes = available.seconds_at(rate).map(|seconds| seconds / 60);
    let resources = super::steps::Step::Resources.path(draft);
    html! {
        p {
            @match minutes {
                Some(1..) => {
                    "A time limit of " (said(minutes.unwrap_or_default() * 60)) " would fit. "
                    a href={ (resources) "?back=review" } { "Change the time limit" }
                }
                Some(_) | None => "Add money to your wallet first.",
            }
        }
    }
}

/// Percent of a whole, as SVG wants it.
fn percent(part: i64, whole: i64) -> String {
    let tenths = part.max(0).saturating_mul(1_000) / whole.max(1);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// Queue and run, certain and possible, on one line.
fn plan(estimate: &Estimate) -> Markup {
    let wait = estimate.estimated_queue_wait_max_seconds.max(0);
    let least_wait = estimate.estimated_queue_wait_min_seconds.clamp(0, wait);
    let run = estimate.estimated_runtime_max_seconds.max(1);
    let least_run = estimate.estimated_runtime_min_seconds.clamp(0, run);
    let whole = wait + run;
    let at = |seconds: i64| percent(seconds, whole);
    let done = (
        estimate.estimated_start_at_min + time::Duration::seconds(least_run),
        estimate.estimated_start_at_max + time::Duration::seconds(run),
    );
    let title = format!(
        "Expected timeline: {} in the queue, then {} running, done {}",
        spans((least_wait, wait)),
        spans((least_run, run)),
        window(done.0, done.1)
    );
    // Labels of narrow parts would run into each other.
    let queue_shows = wait * 6 > whole;
    let run_at = if wait * 2 > whole { at(0) } else { at(wait) };
    html! {
        svg.chart.plan height="66" role="img" aria-labelledby="plan-t" {
            title #plan-t { (title) }
            defs { pattern #hq width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                path d="M0 0V5" stroke-width="2" {}
            } }
            rect.q x="0" y="20" width=(at(least_wait)) height="16" {}
            rect.q2 x=(at(least_wait)) y="20" width=(at(wait - least_wait)) height="16" {}
            rect.r x=(at(wait)) y="20" width=(at(least_run)) height="16" {}
            rect.r2 x=(at(wait + least_run)) y="20" width=(at(run - least_run)) height="16" {}
            @if queue_shows { text x="0" y="12" { "Queue" } }
            @if run * 6 > whole { text x=(at(wait)) y="12" { "Running" } }
            @else { text x="100%" y="12" text-anchor="end" { "Running" } }
            text x=(run_at) y="54" { "Starts " (times(estimate.estimated_start_at_min, estimate.estimated_start_at_max)) }
            text x="100%" y="54" text-anchor="end" { "Done " (times(done.0, done.1)) }
        }
    }
}
