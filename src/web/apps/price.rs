//! The card with what a launch would cost and when it would be ready.
use super::words::{self, minute, source, span, spans};
use crate::api::templates::Estimate;
use crate::domain::estimate::said;
use crate::web::jobs::text;
use crate::web::ui::{self, Usd, form, form::Wrong};
use maud::{Markup, html};

pub(super) fn card(estimate: Option<&Estimate>, rate: Usd, wrong: &Wrong) -> Markup {
    html! {
        section.card.est #estimate aria-labelledby="est-h" {
            @match estimate {
                None => (unknown(rate)),
                Some(estimate) if !estimate.launchable => (blocked(estimate)),
                Some(estimate) => (known(estimate, wrong)),
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

fn known(estimate: &Estimate, wrong: &Wrong) -> Markup {
    let ack = estimate.estimate_id.to_string();
    let from = minute(estimate.ready_at_min);
    let to = minute(estimate.ready_at_max);
    html! {
        header {
            h2 #est-h { "Price" }
            p.big { (estimate.hourly_rate_usd) small { " per hour" } }
            span.small.full { "At most " (estimate.hold_usd) ", for " (said(i64::from(estimate.minutes) * 60)) }
        }
        div {
            dl.dl.two {
                div {
                    dt { "Ready" }
                    dd { @if from == to { (from) } @else { (from.trim_end_matches(" UTC")) "–" (to) } }
                    dd.small.mute { "Starting takes " (span(estimate.usual_start)) ", " (source(estimate.usual_start)) "." }
                }
                div { dt { "Queue wait" } dd { (spans(estimate.queue_low_seconds, estimate.queue_high_seconds)) } }
                div { dt { "Set aside" } dd { (estimate.hold_usd) } dd.small.mute { "What is not used is released." } }
                div { dt { "Stops" } dd.small { (words::limits(&estimate.choices)) } }
            }
            p.small hx-ignore { (text::visible(&estimate.billing_from)) }
        }
        div {
            (words::checks(&estimate.checks))
            @if estimate.hold_usd > estimate.available_usd {
                div.note.is-bad {
                    (ui::icon("wallet"))
                    p.strong { "Your balance of " (estimate.available_usd) " does not cover it" }
                    p { (fits(estimate)) }
                }
            } @else {
                p.small { "Your balance of " (estimate.available_usd) " covers it." }
            }
            p.small.mute { "Valid until " (minute(estimate.expires_at)) "." }
        }
        div {
            (form::checkbox("ack", &ack, false, html! { "I have read this price. The final cost depends on how long it runs." }, wrong))
            button.btn.pri.wide name="do" value="launch" { "Launch" }
        }
    }
}

/// How long it could run for the money there is.
fn fits(estimate: &Estimate) -> String {
    let seconds = estimate
        .available_usd
        .seconds_at(estimate.hourly_rate_usd)
        .unwrap_or_default();
    match seconds / 900 {
        ..1 => "Add money to your wallet first.".to_owned(),
        quarters => format!("{} would fit: enter fewer hours.", said(quarters * 900)),
    }
}
