//! The fields of a key: what was typed, and how they are drawn.
use super::words::{self, EXACTLY, PRESETS};
use crate::api::keys::Expiry;
use crate::domain::api_key::{AllowList, Scope};
use crate::web::ui;
use crate::web::ui::form::{Field, Wrong};
use maud::{Markup, html};
use serde::Deserialize;
use time::macros::format_description;
use time::{Date, OffsetDateTime, Time};

/// What the forms hold, as typed. Each uses some of it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    pub(super) name: String,
    /// One of [`PRESETS`], or [`EXACTLY`] what is ticked.
    pub(super) preset: String,
    #[serde(rename = "scope")]
    pub(super) ticked: Vec<String>,
    /// Days from now, `date` or `never`.
    pub(super) expires: String,
    /// The last day, if it is a date.
    pub(super) expires_on: String,
    pub(super) allowed_ips: String,
    /// Hours for which the secret before goes on working.
    pub(super) overlap: String,
    /// The name of the form.
    pub(super) once: String,
}

impl Typed {
    /// What is proposed for a new key.
    pub(super) fn proposed() -> Self {
        Self {
            preset: PRESETS[0].id.into(),
            expires: "90".into(),
            overlap: "24".into(),
            ..Self::default()
        }
    }

    pub(super) fn scopes(&self, wrong: &mut Wrong) -> Vec<String> {
        let preset = PRESETS.iter().find(|preset| preset.id == self.preset);
        match preset {
            None if self.preset == EXACTLY => {
                if self.ticked.is_empty() {
                    wrong.add("scopes", "Tick at least one scope, or choose another task.");
                }
                self.ticked.clone()
            }
            None => {
                wrong.add("scopes", "Choose what the key is for.");
                Vec::new()
            }
            // What was ticked would be ignored, which nobody expects.
            Some(preset) if !self.ticked.is_empty() => {
                let message = format!(
                    "You chose “{}” and ticked scopes, too. Choose “Exactly these” or take the ticks away.",
                    preset.title
                );
                wrong.add("scopes", message);
                Vec::new()
            }
            Some(preset) => preset.scopes.iter().map(ToString::to_string).collect(),
        }
    }

    /// When the key expires, if there is a choice in the form. Days are not added
    /// up here: the same form must say the same whenever it is sent.
    pub(super) fn lifetime(&self, wrong: &mut Wrong) -> Option<Lifetime> {
        let day = self.expires_on.trim();
        if self.expires == "date" {
            let format = format_description!("[year]-[month]-[day]");
            // To the end of the day that was named.
            let after = Date::parse(day, format).ok().and_then(Date::next_day);
            if after.is_none() {
                wrong.add("expires_on", "Enter the last day, such as 2027-01-31.");
            }
            return after.map(|day| Lifetime::Until(day.with_time(Time::MIDNIGHT).assume_utc()));
        }
        if !day.is_empty() {
            wrong.add(
                "expires_on",
                "Choose “After a day” above, or empty this field.",
            );
        }
        if self.expires == "never" {
            return Some(Lifetime::Endless);
        }
        let days = LIFETIMES.iter().find(|(days, _)| *days == self.expires);
        let days = days.and_then(|(days, _)| days.parse().ok());
        if days.is_none() {
            wrong.add("expires", "Choose when the key expires.");
        }
        days.map(Lifetime::Days)
    }

    /// Addresses and ranges, however they are parted.
    pub(super) fn allowed_ips(&self, wrong: &mut Wrong) -> Vec<String> {
        let entries = self
            .allowed_ips
            .split(|c: char| c.is_whitespace() || matches!(c, ',' | ';'));
        let entries: Vec<String> = entries
            .filter(|entry| !entry.is_empty())
            .map(ToOwned::to_owned)
            .collect();
        if let Err(why) = AllowList::parse(entries.iter().map(String::as_str)) {
            wrong.add("allowed_ips", why);
        }
        entries
    }
}

/// How long a key works.
#[derive(Debug, Clone, Copy)]
pub(super) enum Lifetime {
    Days(i64),
    Until(OffsetDateTime),
    Endless,
}

impl Lifetime {
    /// `expires_at` and `expires_in_days` of the API.
    pub(super) fn fields(self) -> (Option<Expiry>, Option<i64>) {
        match self {
            Self::Days(days) => (None, Some(days)),
            Self::Until(at) => (Some(Expiry(Some(at))), None),
            Self::Endless => (Some(Expiry(None)), None),
        }
    }
}

const LIFETIMES: [(&str, &str); 4] = [
    ("7", "In 7 days"),
    ("30", "In 30 days"),
    ("90", "In 90 days"),
    ("365", "In a year"),
];

/// The API's names of fields are not all the form's.
pub(super) fn renamed(mut wrong: Wrong, typed: &Typed) -> Wrong {
    let expiry = ["expires_at", "expires_in_days"].map(|field| wrong.fields.remove(field));
    if let Some(why) = expiry.into_iter().flatten().next() {
        let field = if typed.expires == "date" {
            "expires_on"
        } else {
            "expires"
        };
        wrong.fields.insert(field.into(), why);
    }
    if let Some(why) = wrong.fields.remove("overlap_seconds") {
        wrong.fields.insert("overlap".into(), why);
    }
    wrong
}

pub(super) fn name(typed: &Typed, wrong: &Wrong) -> Markup {
    Field::new("name", "Name")
        .value(&typed.name)
        .hint("What will use it, such as nightly-training.")
        .longest(80)
        .required()
        .autocomplete("off")
        .wrong(wrong)
        .input()
}

pub(super) fn presets(typed: &Typed, wrong: &Wrong) -> Markup {
    let error = wrong.field("scopes");
    html! {
        fieldset.stack.gap-s #scopes aria-describedby=[error.map(|_| "scopes-error")] {
            legend { "What it may do" }
            @if let Some(error) = error { p.err #scopes-error { (ui::icon("warn")) (error) } }
            @for preset in &PRESETS {
                label.check {
                    input type="radio" name="preset" value=(preset.id) checked[typed.preset == preset.id];
                    span {
                        span.strong { (preset.title) } br;
                        span.small.mute { (preset.text) } br;
                        (words::tags(preset.scopes))
                    }
                }
            }
            label.check {
                input type="radio" name="preset" value=(EXACTLY) checked[typed.preset == EXACTLY];
                span { span.strong { "Exactly these" } br; span.small.mute { "Tick what it may do." } }
            }
            (boxes(&typed.ticked))
        }
    }
}

/// A box per scope.
fn boxes(ticked: &[String]) -> Markup {
    html! {
        div.card {
            @for scope in Scope::ALL {
                label.check {
                    input type="checkbox" name="scope" value=(scope) checked[ticked.iter().any(|name| name == scope.name())];
                    span { code { (scope) } br; span.small.mute { (scope.grants()) } }
                }
            }
        }
    }
}

/// Only boxes, for a key that has its scopes.
pub(super) fn scopes(typed: &Typed, wrong: &Wrong) -> Markup {
    let error = wrong.field("scopes");
    html! {
        fieldset.stack.gap-s #scopes aria-describedby=[error.map(|_| "scopes-error")] {
            legend { "What it may do" }
            @if let Some(error) = error { p.err #scopes-error { (ui::icon("warn")) (error) } }
            (boxes(&typed.ticked))
        }
    }
}

pub(super) fn expiry(typed: &Typed, wrong: &Wrong) -> Markup {
    html! {
        div.grid {
            (select("expires", "Expires", &typed.expires, wrong, LIFETIMES.into_iter()
                .chain([("date", "After a day"), ("never", "Never")])))
            (Field::new("expires_on", "The last day").kind("date").value(&typed.expires_on)
                .hint("In UTC, if “After a day” is chosen.").wrong(wrong).input())
        }
    }
}

pub(super) fn overlap(typed: &Typed, wrong: &Wrong) -> Markup {
    let choices = [
        ("0", "Not at all: it stops now"),
        ("1", "For 1 hour"),
        ("24", "For 24 hours"),
        ("48", "For 48 hours"),
        ("168", "For 7 days"),
    ];
    let choices = choices.into_iter();
    select(
        "overlap",
        "The secret that it has now goes on working",
        &typed.overlap,
        wrong,
        choices,
    )
}

fn select<'a>(
    name: &str,
    label: &str,
    chosen: &str,
    wrong: &Wrong,
    choices: impl Iterator<Item = (&'a str, &'a str)>,
) -> Markup {
    let error = wrong.field(name);
    html! {
        div.field {
            label for=(name) { (label) }
            select #(name) name=(name) aria-invalid=[error.map(|_| "true")]
                aria-describedby=[error.map(|_| format!("{name}-error"))] {
                @for (value, words) in choices { option value=(value) selected[chosen == value] { (words) } }
            }
            @if let Some(error) = error { p.err id={ (name) "-error" } { (ui::icon("warn")) (error) } }
        }
    }
}

/// `here` is where the person's browser comes from.
pub(super) fn addresses(typed: &Typed, here: Option<&str>, wrong: &Wrong) -> Markup {
    let hint = match here {
        Some(here) => format!(
            "One per line, such as 203.0.113.7 or 203.0.113.0/24. Empty: from everywhere. This browser comes from {here}."
        ),
        None => {
            "One per line, such as 203.0.113.7 or 203.0.113.0/24. Empty: from everywhere.".into()
        }
    };
    Field::new("allowed_ips", "Only from these addresses")
        .value(&typed.allowed_ips)
        .hint(&hint)
        .longest(4_000)
        .mono()
        .wrong(wrong)
        .textarea(3)
}
