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

mod plan;

/// What an estimate says of a job that can run here.
#[derive(Debug, Clone, Copy)]
struct Told {
    cost: (Usd, Usd),
    /// Of the machine that it would probably run on, per hour.
    rate: Usd,
    /// Of all that would do.
    rates: (Usd, Usd),
    hold: Usd,
    /// Seconds.
    wait: (i64, i64),
    runtime: (i64, i64),
    starts: (OffsetDateTime, OffsetDateTime),
}

impl Told {
    fn by(estimate: &Estimate) -> Option<Self> {
        let rate = estimate.estimated_hourly_rate_usd?;
        Some(Self {
            cost: (
                estimate.estimated_cost_min_usd?,
                estimate.estimated_cost_max_usd?,
            ),
            rate,
            rates: (
                estimate.estimated_hourly_rate_min_usd.unwrap_or(rate),
                estimate.estimated_hourly_rate_max_usd.unwrap_or(rate),
            ),
            hold: estimate.hold_usd?,
            wait: (
                estimate.estimated_queue_wait_min_seconds?,
                estimate.estimated_queue_wait_max_seconds?,
            ),
            runtime: (
                estimate.estimated_runtime_min_seconds,
                estimate.estimated_runtime_max_seconds,
            ),
            starts: (
                estimate.estimated_start_at_min?,
                estimate.estimated_start_at_max?,
            ),
        })
    }
}

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
    let Some(told) = Told::by(estimate).filter(|_| fits) else {
        return blocked(draft, estimate);
    };
    html! {
        header {
            h2 #est-h { "Estimated cost" }
            span.small { (confidence(estimate.confidence)) }
            p.big { (range(told.cost)) }
            span.small.full { (range(told.rates)) " per hour, billed to the millisecond" }
        }
        div { (plan::draw(&told)) (figures(estimate, &told)) }
        div {
            (checks(draft.id, estimate))
            @if !estimate.constraints_relaxed.is_empty() { (warning(relaxed(&estimate.constraints_relaxed))) }
            (affordable(draft.id, &told, beside.available))
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

fn range((low, high): (Usd, Usd)) -> String {
    if low == high {
        low.to_string()
    } else {
        format!("{low} – {high}")
    }
}

/// How often past ranges held, and which of them.
fn past(estimate: &Estimate) -> Markup {
    let past = &estimate.calibration;
    html! {
        @if !past.message.is_empty() {
            details.small {
                summary { (past.message) }
                p.mute {
                    @if past.of > 0 {
                        "Of " (past.of) " the runtime held " (past.runtime_held) ", the wait "
                        (past.queue_wait_held) ", the cost " (past.cost_held) " times."
                    } @else {
                        "It takes five jobs that ran to their end after an estimate that came from jobs before."
                    }
                }
            }
        }
    }
}

fn figures(estimate: &Estimate, told: &Told) -> Markup {
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
            div {
                dt { "Queue wait" }
                dd { (spans(told.wait)) }
                (based(&estimate.queue_wait_basis, estimate.queue_wait_confidence))
            }
            div {
                dt { "Runtime" }
                dd { (spans(told.runtime)) }
                (based(&estimate.runtime_basis, estimate.runtime_confidence))
            }
            div { dt { "Starts" } dd { (window(told.starts)) }
                @if !estimate.capacity_status.message.is_empty() { dd.small.mute { (estimate.capacity_status.message) } }
            }
            div { dt { "Set aside, at most" } dd { (told.hold) } dd.small.mute { "For " (said(i64::from(estimate.time_limit_seconds))) " at this rate." } }
        }
    }
}

/// Where a figure comes from, and how sure it is.
fn based(words: &str, sure: Confidence) -> Markup {
    html! { dd.small.mute { (words) " " (confidence(sure)) "." } }
}

fn spans((low, high): (i64, i64)) -> String {
    if low == high {
        said(high)
    } else {
        format!("{} – {}", said(low), said(high))
    }
}

/// Two times of day; one if they look the same.
fn window(between: (OffsetDateTime, OffsetDateTime)) -> String {
    format!("{} UTC", times(between))
}

fn times((from, to): (OffsetDateTime, OffsetDateTime)) -> String {
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
fn affordable(draft: DraftId, told: &Told, available: Option<Usd>) -> Markup {
    let Some(available) = available else {
        return html! {};
    };
    if told.hold <= available {
        let left = available.saturating_sub(told.hold);
        return html! {
            p.small { "Your balance of " (ui::balance(available)) " covers it: " (ui::balance(left)) " stays free while it runs." }
        };
    }
    html! {
        div.note.is-bad {
            (ui::icon("wallet"))
            p.strong { "Your balance of " (ui::balance(available)) " does not cover the " (told.hold) " to set aside" }
            (what_fits(draft, available, told.rate))
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
