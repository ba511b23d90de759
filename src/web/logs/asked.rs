//! What the address of a log page says.
use crate::api::logs::Filter;
use crate::domain::logs::Level;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};

/// Lines on a page.
pub(super) const LINES: i64 = 100;

/// Empty means any. Texts throughout, so that an address that somebody has broken
/// still leads to the page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// A line to show with what is around it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) line: String,
    /// The same, as a form says it: led on to the address of the line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) goto: String,
    /// Lines from this one on, or before this one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) from: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) before: String,
    /// `error`: the first line of that level.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) at: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) q: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) level: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) stream: String,
    /// `1`: long lines are broken.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) wrap: String,
    /// `local`, or minutes ahead of UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) time: String,
}

impl Asked {
    /// Without what means nothing.
    pub(super) fn cleaned(mut self) -> Self {
        for number in [
            &mut self.line,
            &mut self.goto,
            &mut self.from,
            &mut self.before,
        ] {
            if number.parse::<i64>().ok().is_none_or(|n| n <= 0) {
                number.clear();
            }
        }
        self.q = searchable(&self.q);
        self.level = level(&self.level);
        self.stream = stream(&self.stream);
        if self.wrap != "1" {
            self.wrap.clear();
        }
        if self.at != "error" {
            self.at.clear();
        }
        if self.time.len() > 5 {
            self.time.clear();
        }
        self
    }

    pub(super) fn filtered(&self) -> bool {
        !(self.q.is_empty() && self.level.is_empty() && self.stream.is_empty())
    }

    /// Whether this is the end of all output, which moves on.
    pub(super) fn tails(&self) -> bool {
        !self.filtered()
            && self.line.is_empty()
            && self.from.is_empty()
            && self.before.is_empty()
            && self.at.is_empty()
    }

    /// What is asked of the API.
    pub(super) fn filter(&self) -> Filter {
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let number = |text: &str| text.parse().ok();
        let around = number(&self.line);
        // A line is shown with all that is around it.
        let filtered = |value: &str| text(value).filter(|_| around.is_none());
        Filter {
            limit: Some(LINES),
            tail: self.tails().then_some(LINES),
            from: number(&self.from),
            before: number(&self.before),
            around,
            first_error: self.at == "error",
            q: filtered(&self.q),
            level: filtered(&self.level),
            stream: filtered(&self.stream),
            cursor: None,
        }
    }

    /// How lines are shown, and nothing else.
    pub(super) fn look(&self) -> Self {
        Self {
            wrap: self.wrap.clone(),
            time: self.time.clone(),
            ..Self::default()
        }
    }

    /// The same filter somewhere else.
    pub(super) fn place(&self) -> Self {
        Self {
            q: self.q.clone(),
            level: self.level.clone(),
            stream: self.stream.clone(),
            ..self.look()
        }
    }

    /// `?…`, or nothing.
    pub(super) fn query(&self) -> String {
        match serde_html_form::to_string(self).unwrap_or_default() {
            query if query.is_empty() => query,
            query => format!("?{query}"),
        }
    }

    /// The fields that a search must carry along: how lines are shown.
    pub(super) fn carried(&self) -> Markup {
        hidden(&[("wrap", &self.wrap), ("time", &self.time)])
    }

    /// Everything but by which clock.
    pub(super) fn carried_but_time(&self) -> Markup {
        hidden(&[
            ("line", &self.line),
            ("from", &self.from),
            ("before", &self.before),
            ("q", &self.q),
            ("level", &self.level),
            ("stream", &self.stream),
            ("wrap", &self.wrap),
        ])
    }
}

fn hidden(fields: &[(&str, &str)]) -> Markup {
    let given = fields.iter().filter(|(_, value)| !value.is_empty());
    html! { @for (name, value) in given { input type="hidden" name=(name) value=(value); } }
}

/// What can be searched for; the rest of it would be refused.
pub(super) fn searchable(text: &str) -> String {
    let text = text.trim().chars().filter(|c| !c.is_control());
    text.take(200).collect()
}

pub(super) fn level(name: &str) -> String {
    Level::named(name).map_or("", Level::name).to_owned()
}

pub(super) fn stream(name: &str) -> String {
    let known = ["stdout", "stderr", "system"];
    known
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or("")
        .to_owned()
}

/// The two choices of every filter.
pub(super) fn choices(level: &str, stream: &str) -> Markup {
    html! {
        div.field {
            label.vh for="level" { "Level" }
            select #level name="level" {
                option value="" { "Any level" }
                option value="warning" selected[level == "warning"] { "Warnings and errors" }
                option value="error" selected[level == "error"] { "Errors" }
                @if level == "info" { option value="info" selected { "Without debug lines" } }
            }
        }
        div.field {
            label.vh for="stream" { "Stream" }
            select #stream name="stream" {
                @for (value, label) in [("", "Any stream"), ("stdout", "stdout"), ("stderr", "stderr"), ("system", "From the grid")] {
                    option value=(value) selected[stream == value] { (label) }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_address_still_leads_somewhere() {
        let asked = Asked {
            line: "x".into(),
            goto: "0".into(),
            from: "-4".into(),
            before: "12".into(),
            q: " a\u{1}b ".into(),
            level: "grave".into(),
            stream: "stdin".into(),
            wrap: "yes".into(),
            at: "end".into(),
            time: "tomorrow".into(),
        };
        let asked = asked.cleaned();
        assert_eq!(asked.query(), "?before=12&q=ab");
        assert_eq!(Asked::default().query(), "");
        assert!(Asked::default().tails() && !asked.tails());
        assert_eq!(Asked::default().filter().tail, Some(LINES));
        let line = Asked {
            line: "7".into(),
            ..asked
        };
        assert_eq!((line.filter().around, line.filter().q), (Some(7), None));
    }
}
