//! What pages are made of. Nothing here knows a route or a request.
//!
//! Inside `svg` every element is closed (`path {}`): to HTML an open one contains
//! the ones after it.
pub(crate) mod chart;
pub(crate) mod form;
pub(crate) mod job_row;
mod time;

pub(crate) use crate::domain::money::Usd;
pub(crate) use time::{duration, exact, runway, time};

use super::assets;
use crate::api::jobs::Job;
use crate::domain::app::{self, EndCode};
use crate::domain::job::{Phase, Status};
use maud::{Markup, html};

/// What a badge, a note or a message is about; each has its own shape and color.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Done, or as it should be.
    Ok,
    /// Under way, or good to know.
    Run,
    Wait,
    /// Needs attention.
    Warn,
    Bad,
}

impl Kind {
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Ok => "is-ok",
            Self::Run => "is-run",
            Self::Wait => "is-wait",
            Self::Warn => "is-warn",
            Self::Bad => "is-bad",
        }
    }

    const fn icon(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Run => "info",
            Self::Wait => "wait",
            Self::Warn | Self::Bad => "warn",
        }
    }
}

/// An icon of the sprite, for the eye only: a word always stands beside it.
pub(crate) fn icon(name: &str) -> Markup {
    html! { svg.i aria-hidden="true" { use href={ (assets::url("icons.svg")) "#" (name) } {} } }
}

/// The mark of the product, in the color of the text around it.
pub(crate) fn brand() -> Markup {
    html! {
        svg viewBox="0 0 28 28" aria-hidden="true" {
            path fill="currentColor" opacity=".38" d="M2 4a2 2 0 0 1 2-2h8.5v10.5H2zM15.5 15.5H26V24a2 2 0 0 1-2 2h-8.5z" {}
            path fill="currentColor" opacity=".62" d="M2 15.5h10.5V26H4a2 2 0 0 1-2-2z" {}
            path fill="oklch(83% .17 138)" d="M15.5 12.5C15.5 6.4 19.9 2 26 2c0 6.1-4.4 10.5-10.5 10.5z" {}
        }
    }
}

/// A job's status in the contract's own words, with what is being done for it.
pub(crate) fn status_badge(status: Status, phase: Option<Phase>) -> Markup {
    let (kind, icon, word) = match status {
        Status::Pending => (Kind::Wait, "wait", "Pending"),
        Status::Queued => (Kind::Wait, "wait", "Queued"),
        Status::Assigned => (Kind::Run, "run", "Assigned"),
        Status::Running => (Kind::Run, "run", "Running"),
        Status::Completed => (Kind::Ok, "ok", "Completed"),
        Status::Failed => (Kind::Bad, "x", "Failed"),
        Status::Rejected => (Kind::Bad, "x", "Rejected"),
        Status::Cancelled => (Kind::Wait, "dash", "Cancelled"),
    };
    let doing = phase
        .filter(|_| !status.ended())
        .and_then(|phase| match phase {
            // The status says as much.
            Phase::WaitingForCapacity | Phase::Executing => None,
            Phase::PullingImage => Some("pulling image"),
            Phase::PreparingInputs => Some("preparing inputs"),
            Phase::Starting => Some("starting"),
            Phase::CollectingArtifacts => Some("collecting files"),
            Phase::Stopping => Some("stopping"),
        });
    html! {
        span.badge.(kind.class()) {
            (self::icon(icon)) (word)
            @if let Some(doing) = doing { ", " (doing) }
        }
    }
}

/// The same for a job that may be an app: its own end says more than that its job was
/// cancelled, or that its command ended well.
pub(crate) fn job_badge(job: &Job) -> Markup {
    outcome_badge(job.status, job.phase, job.app_session_end)
}

/// What [`job_badge`] is drawn of.
pub(crate) fn outcome_badge(status: Status, phase: Option<Phase>, app: Option<EndCode>) -> Markup {
    let untold = matches!(status, Status::Cancelled | Status::Completed);
    match app.filter(|_| untold) {
        Some(EndCode::NeverReady) => badge(Kind::Bad, "x", "Never ready"),
        Some(end) if end.phase() == app::Phase::Failed => badge(Kind::Bad, "x", "Failed"),
        Some(end) if end.phase() == app::Phase::Expired => badge(Kind::Wait, "clock", "Expired"),
        _ => status_badge(status, phase),
    }
}

/// Shape, word and color for anything that is not a job.
pub(crate) fn badge(kind: Kind, icon: &str, word: &str) -> Markup {
    html! { span.badge.(kind.class()) { (self::icon(icon)) (word) } }
}

/// An exact amount; small costs do not vanish.
pub(crate) fn money(amount: Usd) -> Markup {
    html! { (amount) }
}

/// What can be spent, in whole cents, never rounded up; hover for all of it.
pub(crate) fn balance(amount: Usd) -> Markup {
    let cents = Usd::from_micros(amount.micros().div_euclid(10_000) * 10_000);
    html! { data value=(amount.micros()) title=[(cents != amount).then(|| amount.to_string())] { (cents) } }
}

/// Something worth reading, in the flow of the page.
pub(crate) fn note(kind: Kind, text: Markup) -> Markup {
    html! { div.note.(kind.class()) { (icon(kind.icon())) (text) } }
}

/// A message that appears in the corner and can be dismissed.
pub(crate) fn toast(kind: Kind, text: &str) -> Markup {
    html! {
        div.toast.(kind.class()) role=[(kind == Kind::Bad).then_some("alert")] {
            (icon(kind.icon()))
            span { (text) }
            button.btn.ghost type="button" data-dismiss aria-label="Dismiss message" { (icon("x")) }
        }
    }
}

/// What stands where there is nothing yet, with the one thing to do about it.
pub(crate) fn empty(title: &str, text: &str, action: Option<(&str, &str)>) -> Markup {
    html! {
        div.empty {
            svg viewBox="0 0 88 60" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.5" {
                path opacity=".35" d="M2 10q0-8 8-8h14v16q0 8-8 8H2zM34 10q0-8 8-8h14v16q0 8-8 8H34zM2 42q0-8 8-8h14v16q0 8-8 8H2zM66 42q0-8 8-8h12v16q0 8-8 8H66z" {}
                path fill="currentColor" fill-opacity=".14" d="M34 42q0-8 8-8h14v16q0 8-8 8H34z" {}
                path d="M45 40v12M39 46h12" {}
            }
            h2 { (title) }
            p { (text) }
            @if let Some((href, label)) = action { a.btn.pri href=(href) { (label) } }
        }
    }
}

/// One figure of the dashboard. With a link, all of it can be pressed.
pub(crate) struct Tile<'a> {
    pub(crate) id: &'a str,
    pub(crate) label: &'a str,
    pub(crate) figure: Markup,
    /// A small picture beside the figure.
    pub(crate) picture: Option<Markup>,
    /// What the figure means now.
    pub(crate) foot: Markup,
    pub(crate) href: Option<&'a str>,
}

impl Tile<'_> {
    pub(crate) fn draw(&self) -> Markup {
        let inside = html! {
            span { (self.label) }
            b { (self.figure) }
            @if let Some(picture) = &self.picture { (picture) }
            span { (self.foot) }
        };
        html! {
            @if let Some(href) = self.href { a.tile #(self.id) href=(href) { (inside) } } @else { div.tile #(self.id) { (inside) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_word_and_a_shape() {
        for status in Status::ALL {
            let badge = status_badge(status, None).into_string();
            assert!(badge.to_lowercase().contains(status.name()), "{badge}");
            assert!(badge.contains("<svg"), "{badge}");
        }
        let stopping = status_badge(Status::Running, Some(Phase::Stopping)).into_string();
        assert!(stopping.contains("Running, stopping"), "{stopping}");
        let over = status_badge(Status::Cancelled, Some(Phase::Stopping)).into_string();
        assert!(!over.contains("stopping"), "{over}");
    }

    #[test]
    fn a_balance_never_looks_larger_than_it_is() {
        let shown = |micros| balance(Usd::from_micros(micros)).into_string();
        assert_eq!(shown(5_000_000), r#"<data value="5000000">$5.00</data>"#);
        assert_eq!(
            shown(4_999_999),
            r#"<data value="4999999" title="$4.9999">$4.99</data>"#
        );
        assert!(shown(-1).contains("-$0.01"), "{}", shown(-1));
    }
}
