//! Fields of forms, and what is wrong with them: said beside the field, and once
//! more in a summary that leads there.
use super::super::error::{Error, UNREACHABLE};
use super::icon;
use crate::client;
use http::StatusCode;
use maud::{Markup, html};
use std::collections::BTreeMap;

/// What is wrong with a form that has been sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wrong {
    /// What the answer's status should be, once something is wrong.
    pub(crate) status: StatusCode,
    /// About the form as a whole.
    pub(crate) message: Option<String>,
    /// By the names of its fields.
    pub(crate) fields: BTreeMap<String, String>,
}

impl Wrong {
    /// Something about the form as a whole.
    pub(crate) fn whole(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: Some(message.into()),
            fields: BTreeMap::new(),
        }
    }

    /// One more field is wrong.
    pub(crate) fn add(&mut self, field: &str, message: impl Into<String>) {
        self.status = StatusCode::UNPROCESSABLE_ENTITY;
        self.fields.insert(field.to_owned(), message.into());
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.message.is_none() && self.fields.is_empty()
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(String::as_str)
    }

    /// Reads a refusal that the visitor can do something about right in the form.
    ///
    /// # Errors
    ///
    /// Everything else comes back: no session, no such thing, no orchestrator.
    pub(crate) fn of(error: client::Error) -> Result<Self, Error> {
        let client::Error::Refused { status, problem } = error else {
            return Err(error.into());
        };
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::NOT_FOUND)
            || status.is_server_error()
        {
            return Err(client::Error::Refused { status, problem }.into());
        }
        let fields = problem.error.fields;
        Ok(Self {
            status: match status {
                StatusCode::BAD_REQUEST => StatusCode::UNPROCESSABLE_ENTITY,
                other => other,
            },
            message: fields.is_empty().then_some(problem.message),
            fields,
        })
    }

    /// Reads any failure as something to say above the form, so that what was
    /// typed is not lost to an error page: for forms of people not signed in.
    pub(crate) fn told(error: client::Error) -> Self {
        if let client::Error::Refused { status, problem } = &error
            && *status == StatusCode::UNAUTHORIZED
        {
            return Self::whole(StatusCode::UNPROCESSABLE_ENTITY, &problem.message);
        }
        Self::of(error).unwrap_or_else(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "a form could not be answered"
            );
            Self::whole(StatusCode::BAD_GATEWAY, UNREACHABLE)
        })
    }

    /// The summary above the form: nothing while nothing is wrong. It has the
    /// focus when the page opens. `ids` are the fields that the form shows; the
    /// rest is told without a link.
    pub(crate) fn summary(&self, ids: &[&str]) -> Markup {
        let unlabelled: Vec<(&str, &str)> = ids.iter().map(|id| (*id, "")).collect();
        self.labelled(&unlabelled)
    }

    /// The same, with what each field is called: ids and labels, in their order.
    pub(crate) fn labelled<S: AsRef<str>>(&self, fields: &[(S, S)]) -> Markup {
        self.said(fields, true)
    }

    /// The same; without `focused`, whoever is at a field stays there.
    pub(crate) fn said<S: AsRef<str>>(&self, fields: &[(S, S)], focused: bool) -> Markup {
        let count = self.fields.len();
        let fields = || {
            fields
                .iter()
                .map(|(id, label)| (id.as_ref(), label.as_ref()))
        };
        let elsewhere = |field: &str| fields().all(|(id, _)| id != field);
        html! {
            @if !self.is_nothing() {
                div.note.is-bad role="alert" tabindex="-1" autofocus[focused] {
                    (icon("warn"))
                    @if let Some(message) = &self.message { p { (message) } }
                    @if count == 1 { p.strong { "There is a problem" } }
                    @if count > 1 { p.strong { "There are " (count) " problems" } }
                    @if count > 0 {
                        ul {
                            @for (id, label) in fields() {
                                @if let Some(message) = self.field(id) {
                                    li { a href={ "#" (id) } { @if !label.is_empty() { (label) ": " } (message) } }
                                }
                            }
                            @for (_, message) in self.fields.iter().filter(|(field, _)| elsewhere(field)) {
                                li { (message) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One labelled field, whose id is its name.
#[derive(Debug, Clone)]
pub(crate) struct Field<'a> {
    name: &'a str,
    label: &'a str,
    value: &'a str,
    hint: Option<&'a str>,
    error: Option<&'a str>,
    kind: &'a str,
    autocomplete: Option<&'a str>,
    inputmode: Option<&'a str>,
    longest: Option<u32>,
    list: Option<&'a str>,
    required: bool,
    mono: bool,
}

impl<'a> Field<'a> {
    pub(crate) fn new(name: &'a str, label: &'a str) -> Self {
        Self {
            name,
            label,
            value: "",
            hint: None,
            error: None,
            kind: "text",
            autocomplete: None,
            inputmode: None,
            longest: None,
            list: None,
            required: false,
            mono: false,
        }
    }

    /// What was typed, or is known.
    pub(crate) fn value(self, value: &'a str) -> Self {
        Self { value, ..self }
    }

    pub(crate) fn hint(self, hint: &'a str) -> Self {
        Self {
            hint: Some(hint),
            ..self
        }
    }

    pub(crate) fn wrong(self, wrong: &'a Wrong) -> Self {
        Self {
            error: wrong.field(self.name),
            ..self
        }
    }

    /// The `type` of the input: `email`, `password`, `number`…
    pub(crate) fn kind(self, kind: &'a str) -> Self {
        Self { kind, ..self }
    }

    pub(crate) fn autocomplete(self, what: &'a str) -> Self {
        Self {
            autocomplete: Some(what),
            ..self
        }
    }

    pub(crate) fn inputmode(self, mode: &'a str) -> Self {
        Self {
            inputmode: Some(mode),
            ..self
        }
    }

    /// Most characters that it takes.
    pub(crate) fn longest(self, characters: u32) -> Self {
        Self {
            longest: Some(characters),
            ..self
        }
    }

    /// The id of a `datalist` with what could be typed.
    pub(crate) fn list(self, list: &'a str) -> Self {
        Self {
            list: Some(list),
            ..self
        }
    }

    pub(crate) fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }

    /// For what is typed letter by letter: codes, commands, image names.
    pub(crate) fn mono(self) -> Self {
        Self { mono: true, ..self }
    }

    /// One line.
    pub(crate) fn input(&self) -> Markup {
        // What a password field held is never sent back.
        let value = (self.kind != "password" && !self.value.is_empty()).then_some(self.value);
        self.around(
            !self.required,
            html! {
                input #(self.name) .mono[self.mono] name=(self.name) type=(self.kind) value=[value]
                    autocomplete=[self.autocomplete] inputmode=[self.inputmode] list=[self.list]
                    maxlength=[self.longest] required[self.required] aria-invalid=[self.invalid()]
                    aria-describedby=[self.described_by()];
            },
        )
    }

    /// Several lines.
    pub(crate) fn textarea(&self, rows: u8) -> Markup {
        self.around(
            !self.required,
            html! {
                textarea #(self.name) .mono[self.mono] name=(self.name) rows=(rows)
                    maxlength=[self.longest] required[self.required] aria-invalid=[self.invalid()]
                    aria-describedby=[self.described_by()] { "\n" (self.value) }
            },
        )
    }

    fn around(&self, may_be_empty: bool, control: Markup) -> Markup {
        html! {
            div.field {
                label for=(self.name) {
                    (self.label)
                    @if may_be_empty { " " span.hint { "(optional)" } }
                }
                (control)
                @if let Some(hint) = self.hint { p.hint id={ (self.name) "-hint" } { (hint) } }
                @if let Some(error) = self.error { p.err id={ (self.name) "-error" } { (icon("warn")) (error) } }
            }
        }
    }

    fn invalid(&self) -> Option<&'static str> {
        self.error.map(|_| "true")
    }

    fn described_by(&self) -> Option<String> {
        let hint = self.hint.map(|_| format!("{}-hint", self.name));
        let error = self.error.map(|_| format!("{}-error", self.name));
        let ids: Vec<String> = [error, hint].into_iter().flatten().collect();
        (!ids.is_empty()).then(|| ids.join(" "))
    }
}

/// A box to tick, with its words beside it.
pub(crate) fn checkbox(
    name: &str,
    value: &str,
    checked: bool,
    words: Markup,
    wrong: &Wrong,
) -> Markup {
    let error = wrong.field(name);
    let described_by = error.map(|_| format!("{name}-error"));
    html! {
        div.field {
            label.check {
                input #(name) type="checkbox" name=(name) value=(value) checked[checked]
                    aria-invalid=[error.map(|_| "true")] aria-describedby=[described_by];
                span { (words) }
            }
            @if let Some(error) = error { p.err id={ (name) "-error" } { (icon("warn")) (error) } }
        }
    }
}

/// A value that travels with the form.
pub(crate) fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_says_what_is_wrong_beside_itself_and_above() {
        let mut wrong = Wrong::default();
        assert!(wrong.is_nothing() && wrong.summary(&["image"]).into_string().is_empty());
        wrong.add("image", "Name an image");
        wrong.add("ghost", "Not on this page");
        let field = Field::new("image", "Image")
            .value("<x>")
            .hint("Name and tag")
            .wrong(&wrong)
            .input()
            .into_string();
        assert!(
            field.contains(r#"aria-invalid="true" aria-describedby="image-error image-hint""#),
            "{field}"
        );
        assert!(
            field.contains("&lt;x&gt;") && field.contains("Name an image"),
            "{field}"
        );
        let summary = wrong.summary(&["image"]).into_string();
        assert!(
            summary.contains(r##"<a href="#image">Name an image</a>"##),
            "{summary}"
        );
        assert!(
            summary.contains("2 problems") && summary.contains("<li>Not on this page"),
            "{summary}"
        );
        assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    }

    #[test]
    fn the_summary_has_the_order_of_the_form_and_can_say_which_field_it_means() {
        let mut wrong = Wrong::default();
        wrong.add("gpus", "Write a number");
        wrong.add("cpus", "Write a number");
        let summary = wrong.labelled(&[("gpus", "GPUs"), ("cpus", "CPUs")]);
        let summary = summary.into_string();
        let at = |text: &str| summary.find(text).unwrap();
        assert!(at("GPUs: Write a number") < at("CPUs: Write a number"));
    }

    #[test]
    fn a_password_is_never_sent_back() {
        let html = Field::new("p", "Password")
            .kind("password")
            .value("secret")
            .input()
            .into_string();
        assert!(!html.contains("secret"), "{html}");
    }

    #[test]
    fn leading_blank_lines_of_a_text_survive() {
        let html = Field::new("t", "Text")
            .value("\nx")
            .textarea(3)
            .into_string();
        assert!(html.contains(">\n\nx</textarea>"), "{html}");
    }
}
