//! A secret, this once. The answer to what made it carries it, and no other page
//! ever does: there is no address at which it could be seen again.
use super::words;
use crate::api::keys::Made;
use crate::domain::id::ApiKeyId;
use crate::web::ui::{self, Kind};
use http::StatusCode;
use maud::{Markup, html};
use time::OffsetDateTime;
use url::Url;

/// What becomes of a form that makes a secret.
pub(super) enum Outcome {
    Shown(Box<Made>),
    /// It was sent before, and its secret shown then.
    Before(Option<ApiKeyId>),
}

/// Reads the refusal of a request that was carried out before.
pub(super) fn before(error: &crate::client::Error) -> Option<Outcome> {
    let crate::client::Error::Refused { status, problem } = error else {
        return None;
    };
    let shown = *status == StatusCode::CONFLICT && problem.code == "ALREADY_SHOWN";
    let key = problem.error.fields.get("key_id");
    shown.then(|| Outcome::Before(key.and_then(|id| id.parse().ok())))
}

impl Outcome {
    pub(super) fn title(&self) -> &'static str {
        match self {
            Self::Shown(_) => "Copy the key now",
            Self::Before(_) => "Shown already",
        }
    }

    /// The card that takes the place of the form.
    pub(super) fn draw(&self, base: &Url, now: OffsetDateTime) -> Markup {
        match self {
            Self::Shown(made) => shown(made, base, now),
            Self::Before(key) => told(*key),
        }
    }
}

fn shown(made: &Made, base: &Url, now: OffsetDateTime) -> Markup {
    let key = &made.api_key;
    let base = base.as_str().trim_end_matches('/');
    html! {
        section.card.stack #new-key aria-labelledby="made-h" {
            h2 #made-h tabindex="-1" autofocus { "Copy the key now" }
            (ui::note(Kind::Warn, html! {
                p.strong { "It is shown this once." }
                p { "Only a hash of it is stored, so nobody can show it again. If it gets lost, rotate the key." }
            }))
            div.field {
                label for="secret" hx-ignore { (words::name(key)) }
                input.mono #secret readonly value=(made.key) autocomplete="off" spellcheck="false";
            }
            div.row {
                button.btn.pri type="button" data-copy="#secret" { (ui::icon("copy")) "Copy key" }
                a.btn href=(super::path(key.id)) { "I have saved it" }
            }
            p { "It may: " (words::tags(&key.scopes)) }
            @for before in &key.previous {
                p {
                    "The secret before, " (words::hint(&before.prefix, &before.last4)) ", works until "
                    (ui::exact(before.valid_until)) "."
                }
            }
            @if let Some(at) = key.expires_at { p { "The key expires on " (ui::exact(at)) "." } } @else { p { "The key never expires." } }
            figure.term.code {
                header {
                    figcaption { "Try it" }
                    button.btn type="button" data-copy="#try" { (ui::icon("copy")) "Copy" }
                }
                pre #try tabindex="0" { "export JUNGLE_GRID_API_KEY=jg_…\n" span.k { "curl" } " -H \"Authorization: Bearer $JUNGLE_GRID_API_KEY\" \\\n  " (base) "/v1/nodes" }
            }
            p.small.mute { "Made " (ui::time(now, now)) ". Programs send it as " code { "Authorization: Bearer" } ", never in an address." }
        }
    }
}

fn told(key: Option<ApiKeyId>) -> Markup {
    html! {
        section.card.stack #new-key aria-labelledby="made-h" {
            h2 #made-h tabindex="-1" autofocus { "Shown already" }
            p { "This form was sent before, and its key was shown then. Nothing more was made. If the key is lost, rotate it." }
            div.row {
                @if let Some(key) = key { a.btn.pri href=(super::path(key)) { "Look at the key" } }
                a.btn href=(super::PATH) { "All keys" }
            }
        }
    }
}
