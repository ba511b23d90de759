//! The card with what a launch would cost and when it would be ready.
use super::words::{self, about, minute, source, spans};
use crate::api::templates::Estimate;
use crate::domain::estimate::said;
use crate::domain::routing::Check;
use crate::web::jobs::text;
use crate::web::ui::{self, Usd, form, form::Wrong};
use maud::{Markup, html};

/// The least that an app runs or is extended for, in seconds.
const QUARTER: i64 = 900;

/// `asked`, it takes over the focus.
pub(super) fn card(estimate: Option<&Estimate>, rate: Usd, wrong: &Wrong, asked: bool) -> Markup {
    html! {
        section.card.est #estimate aria-labelledby="est-h" {
            @match estimate {
                None => (unknown(rate)),
                Some(estimate) if !estimate.launchable => (blocked(estimate)),
                Some(estimate) => (known(estimate, wrong, asked)),
            }
        }
    }
}

fn unknown(rate: Usd) -> Markup {
    html! {
        header { h2 #est-h { "Price" } p.big { (rate) small { " per hour" } } }
        div { p { "Say when it should stop, and see what it costs at most and when it would be ready. Nothing starts before you have seen it." } }
    }
}

fn blocked(estimate: &Estimate) -> Markup {
    html! {
        header { h2 #est-h { "Price" } p.big { "Cannot start here" } }
        div { (words::checks(&estimate.checks)) }
    }
}

fn known(estimate: &Estimate, wrong: &Wrong, asked: bool) -> Markup {
    let (available, rate) = (estimate.available_usd, estimate.hourly_rate_usd);
    let covered = estimate.hold_usd <= available;
    // Said below, with what would fit.
    let of_money = |check: &&Check| check.code == "INSUFFICIENT_FUNDS";
    let checks = estimate.checks.iter().filter(|check| !of_money(check));
    let ack = estimate.estimate_id.to_string();
    let from = minute(estimate.ready_at_min);
    let to = minute(estimate.ready_at_max);
    html! {
        header {
            h2 #est-h tabindex=[asked.then_some("-1")] autofocus[asked] { "Price" }
            p.big { (rate) small { " per hour" } }
            span.small.full { "At most " (estimate.hold_usd) ", for " (said(i64::from(estimate.minutes) * 60)) }
        }
        div {
            dl.dl.two {
                div {
                    dt { "Ready" }
                    dd { @if from == to { (from) } @else { (from.trim_end_matches(" UTC")) "–" (to) } }
                    dd.small.mute { "Starting takes " (about(estimate.usual_start)) ", " (source(estimate.usual_start)) "." }
                }
                div { dt { "Queue wait" } dd { (spans(estimate.queue_low_seconds, estimate.queue_high_seconds)) } }
                div { dt { "Set aside" } dd { (estimate.hold_usd) } dd.small.mute { "What is not used is released." } }
                div { dt { "Stops" } dd.small { (words::limits(&estimate.choices)) } }
            }
            p.small hx-ignore { (text::visible(&estimate.billing_from)) }
        }
        div {
            (words::checks(checks))
            @if covered {
                p.small { "Your balance of " (ui::balance(available)) " covers it." }
            } @else {
                (too_little(available, rate, true))
            }
            p.small.mute { "Valid until " (minute(estimate.expires_at)) "." }
        }
        @if covered {
            div {
                (form::checkbox("ack", &ack, false, html! { "I have read this price. The final cost depends on how long it runs." }, wrong))
                button.btn.pri.wide name="do" value="launch" { "Launch" }
            }
        }
    }
}

/// What cannot be had for `available`, and what could: also less time than can be chosen,
/// where a `limit` in dollars can.
pub(super) fn too_little(available: Usd, rate: Usd, limit: bool) -> Markup {
    let seconds = available.seconds_at(rate).unwrap_or_default();
    html! {
        div.note.is-bad {
            (ui::icon("wallet"))
            p.strong { "Your balance of " (ui::balance(available)) " does not cover it" }
            p {
                @match seconds / QUARTER {
                    ..1 if limit && seconds >= 60 => { "Enter " (ui::balance(available)) " as the limit in dollars, or add money to your wallet first." }
                    ..1 => "It is not enough for a quarter of an hour. Add money to your wallet first.",
                    quarters => { (said(quarters * QUARTER)) " would fit: enter fewer hours." }
                }
            }
        }
    }
}
