//! Keys in words: presets, badges, times.
use crate::api::keys::{ApiKey, Use};
use crate::domain::api_key::{Scope, Status};
use crate::web::jobs::text;
use crate::web::ui::{self, Kind};
use maud::{Markup, html};
use time::{Duration, OffsetDateTime};

/// What people make keys for.
#[derive(Debug)]
pub(super) struct Preset {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) text: &'static str,
    pub(super) scopes: &'static [Scope],
}

/// The preset that is none of them.
pub(super) const EXACTLY: &str = "exactly";

pub(super) const PRESETS: [Preset; 4] = [
    Preset {
        id: "run",
        title: "Run jobs",
        text: "For agents, the MCP server and integrations: estimate, submit, follow, cancel, \
               fetch results.",
        scopes: &[
            Scope::JobsEstimate,
            Scope::JobsSubmit,
            Scope::JobsRead,
            Scope::LogsRead,
        ],
    },
    Preset {
        id: "watch",
        title: "Watch only",
        text: "For dashboards and alerts. It spends nothing.",
        scopes: &[Scope::JobsRead, Scope::LogsRead],
    },
    Preset {
        id: "submit",
        title: "Submit and forget",
        text: "For pipelines that start jobs and never look at them. It can cancel, but neither \
               read nor list.",
        scopes: &[Scope::JobsEstimate, Scope::JobsSubmit],
    },
    Preset {
        id: "older",
        title: "Older clients",
        text: "The one scope that older clients ask for. It estimates, submits, cancels and \
               reads a single job, but it cannot list jobs: that takes jobs:read.",
        scopes: &[Scope::JobsWrite],
    },
];

pub(super) fn tags(scopes: &[Scope]) -> Markup {
    html! { @for scope in scopes { span.tag.mono { (scope) } " " } }
}

pub(super) fn badge(status: Status) -> Markup {
    let (kind, icon, word) = match status {
        Status::Active => (Kind::Ok, "ok", "Active"),
        Status::Disabled => (Kind::Wait, "dash", "Disabled"),
        Status::Expired => (Kind::Warn, "clock", "Expired"),
        Status::Revoked => (Kind::Bad, "x", "Revoked"),
    };
    ui::badge(kind, icon, word)
}

/// When it expires; what is near stands out.
pub(super) fn expiry(key: &ApiKey, now: OffsetDateTime) -> Markup {
    let Some(at) = key.expires_at else {
        return html! { "Never" };
    };
    let days = (at - now).whole_days();
    let soon = key.status == Status::Active && at - now < Duration::days(14);
    html! {
        @if soon && days == 0 { span.badge.is-warn { (ui::icon("clock")) "within a day" } }
        @else if soon { span.badge.is-warn { (ui::icon("clock")) "in " (days) @if days == 1 { " day" } @else { " days" } } }
        @else { (ui::time(at, now)) }
    }
}

/// When and from where it was used.
pub(super) fn used(by: Option<&Use>, now: OffsetDateTime) -> Markup {
    html! {
        @match by {
            Some(by) => { (ui::time(by.at, now)) " from " span.mono hx-ignore { (text::visible(&by.ip)) } },
            None => span.mute { "never" },
        }
    }
}

/// What a secret is known by.
pub(super) fn hint(prefix: &str, last4: &str) -> Markup {
    html! { span.mono { (prefix) "…" (last4) } }
}

/// The name as it is shown.
pub(super) fn name(key: &ApiKey) -> String {
    text::visible(&key.name)
}
