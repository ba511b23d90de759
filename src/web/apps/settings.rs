//! What a template asks for at its launch, and what a session was given.
use super::template::View;
use super::words;
use crate::api::apps::{self, Session};
use crate::api::templates::{Setting, Template};
use crate::domain::template::settings::Given;
use crate::web::jobs::text;
use crate::web::ui::form::{Field, Wrong};
use maud::{Markup, html};

/// What the names of the form's fields begin with; the API says what is wrong by them.
pub(super) const FIELD: &str = "settings.";

/// All fields of the launch form, with what each is called.
pub(super) fn labels(template: &Template) -> Vec<(String, String)> {
    let limits =
        ["max_hours", "idle_minutes", "max_usd"].map(|name| (name.to_owned(), String::new()));
    let settings = template.settings.iter();
    let settings = settings.map(|setting| (field(setting), text::visible(&setting.label)));
    let ack = ("ack".to_owned(), String::new());
    limits.into_iter().chain(settings).chain([ack]).collect()
}

fn field(setting: &Setting) -> String {
    format!("{FIELD}{}", setting.name)
}

/// The fields, once there is a price to say yes to: a page without scripts does not send
/// secrets back, so they are asked for last. Before that, what will be asked for.
/// `asked`, they take over the focus.
pub(super) fn card(view: &View, asked: bool) -> Markup {
    let settings = &view.template.settings;
    let asks = view.estimate.is_some();
    html! {
        @if !settings.is_empty() {
            section.card.stack #settings aria-labelledby="settings-h" {
                h2 #settings-h tabindex=[asked.then_some("-1")] autofocus[asked] { "Settings" }
                @if asks {
                    div.grid { @for setting in settings { (input(view, setting)) } }
                    @if settings.iter().any(|setting| setting.secret) {
                        p.small.mute { "Secrets are stored encrypted, never shown again, hidden in the output, and deleted 7 days after the session." }
                    }
                } @else {
                    ul.stack.gap-s hx-ignore {
                        @for setting in settings {
                            li.row { (text::visible(&setting.label)) span.push.mute.small { (kind(setting)) } }
                        }
                    }
                    p.small.mute { "Asked for together with the price." }
                }
            }
        }
    }
}

/// What would be asked for, in one line.
pub(super) fn asked_for(template: &Template) -> String {
    let settings = template.settings.iter();
    let asked: Vec<String> = settings
        .map(|setting| format!("{} ({})", text::visible(&setting.label), kind(setting)))
        .collect();
    asked.join(", ")
}

/// Says of each setting that is needed and not there that it is: together with whatever
/// else is wrong, before anything is sent.
pub(super) fn missing(
    template: &Template,
    again: Option<&Session>,
    typed: &Given,
    wrong: &mut Wrong,
) {
    for setting in template.settings.iter().filter(|setting| setting.required) {
        let empty = typed
            .get(&setting.name)
            .is_none_or(|value| value.expose().is_empty());
        if empty && earlier(again, setting).is_none_or(|given| !given.kept) {
            // What it is called, its label says.
            let why = "The app does not start without it.".to_owned();
            wrong.fields.entry(field(setting)).or_insert(why);
        }
    }
}

/// What the session that is launched again was given for it.
fn earlier<'s>(again: Option<&'s Session>, setting: &Setting) -> Option<&'s apps::Setting> {
    let mut given = again?.settings.iter();
    given.find(|given| given.name == setting.name)
}

const fn kind(setting: &Setting) -> &'static str {
    match (setting.required, setting.secret) {
        (true, true) => "required, secret",
        (true, false) => "required",
        (false, true) => "optional, secret",
        (false, false) => "optional",
    }
}

fn input(view: &View, setting: &Setting) -> Markup {
    let name = field(setting);
    let label = text::visible(&setting.label);
    let before = earlier(view.again, setting);
    let typed = view.typed.settings.get(&setting.name);
    let shown = match typed {
        Some(typed) => typed.expose(),
        None => match before {
            Some(given) => given.value.as_deref().unwrap_or_default(),
            None => &setting.default,
        },
    };
    let kept = setting.secret && before.is_some_and(|given| given.kept);
    let more = match before.filter(|_| setting.secret) {
        Some(given) if given.kept => " Leave it empty to use the one of the earlier session.",
        Some(_) => " The one of the earlier session is not kept any more.",
        None => "",
    };
    let hint = format!("{}{more}", text::visible(&setting.hint));
    let hint = hint.trim_start();
    let mut field = Field::new(&name, &label)
        .wrong(&view.wrong)
        .longest(4_096)
        .autocomplete("off");
    if !hint.is_empty() {
        field = field.hint(hint);
    }
    if setting.required && !kept {
        field = field.required();
    }
    if setting.secret {
        field.kind("password").autocomplete("new-password").input()
    } else {
        field.value(shown).input()
    }
}

/// What a session was given.
pub(super) fn given(session: &Session) -> Markup {
    html! {
        @for setting in &session.settings {
            dt hx-ignore { (words::fit(&setting.label, 80)) }
            dd hx-ignore { (value(setting)) }
        }
    }
}

fn value(setting: &apps::Setting) -> Markup {
    html! {
        @match &setting.value {
            Some(value) => { span.mono { (words::fit(value, 300)) } }
            None if setting.kept => { "Given, and never shown" }
            None => { "Was given, and is deleted" }
        }
    }
}
