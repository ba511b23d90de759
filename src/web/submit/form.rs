//! The controls of a step: typed text, what is wrong with it, and hints.
use super::fields::{self, Answers, Kind};
use crate::web::ui::form::{Field, Wrong, checkbox};
use crate::web::ui::icon;
use maud::{Markup, html};

/// What is typed in a step, and what is wrong with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Typed<'a> {
    pub(super) fields: &'static [fields::Field],
    pub(super) answers: &'a Answers,
    pub(super) wrong: &'a Wrong,
}

impl<'a> Typed<'a> {
    /// The field, labelled and filled in. It says no `required` to the browser:
    /// the server's words help more, and they come in one summary.
    pub(super) fn field(&'a self, name: &'static str) -> Field<'a> {
        let asked = self.asked(name);
        let field = Field::new(name, asked.map_or("", |field| field.label));
        let field = field.value(self.answers.get(name)).wrong(self.wrong);
        let field = field.autocomplete("off");
        match asked.map_or(Kind::Text, |field| field.kind) {
            Kind::Number | Kind::Minutes | Kind::Money => field.inputmode("decimal"),
            Kind::Count => field.inputmode("numeric"),
            Kind::Environment | Kind::Command | Kind::Lines => field.mono(),
            Kind::Text | Kind::Tick | Kind::Choice | Kind::List | Kind::Files => field,
        }
    }

    fn asked(&self, name: &str) -> Option<&'static fields::Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// A few words to choose from, side by side.
    pub(super) fn choice(&self, name: &'static str, words: &[(&str, &str)]) -> Markup {
        let error = self.wrong.field(name);
        html! {
            div.field {
                fieldset.amounts.words #(name) aria-describedby=[error.map(|_| format!("{name}-error"))] {
                    legend { (self.asked(name).map_or("", |field| field.label)) }
                    @for (word, label) in words {
                        label {
                            input type="radio" name=(name) value=(word) checked[self.answers.get(name) == *word];
                            (label)
                        }
                    }
                }
                @if let Some(error) = error { p.err id={ (name) "-error" } { (icon("warn")) (error) } }
            }
        }
    }

    pub(super) fn tick(&self, name: &'static str, words: &str) -> Markup {
        let ticked = self.answers.get(name) == "yes";
        checkbox(name, "yes", ticked, html! { (words) }, self.wrong)
    }

    /// Everything wrong, linked to where it is. Fields of a kind are refused in the
    /// same words, so each says which it is.
    pub(super) fn summary(&self) -> Markup {
        let fields: Vec<(&str, &str)> = self
            .fields
            .iter()
            .map(|field| (field.name, field.label))
            .collect();
        self.wrong.labelled(&fields)
    }
}
