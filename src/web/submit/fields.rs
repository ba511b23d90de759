//! The wizard's fields: how each is written in a form and how in a draft.
use crate::api::jobs::Content;
use crate::domain::money::Usd;
use crate::web::ui::form::Wrong;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How a field's text becomes a value of the draft, and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// More than nothing, fractions allowed.
    Number,
    /// A whole number from 1.
    Count,
    /// Minutes in the form, seconds in the draft.
    Minutes,
    /// A check box: `yes` or nothing.
    Tick,
    /// US dollars.
    Money,
    /// One of a few words.
    Choice,
    /// Words between commas.
    List,
    /// One per line.
    Lines,
    /// Ids of uploaded files.
    Files,
    /// Lines of `KEY=VALUE`.
    Environment,
    /// One line in the form; a list of words in the draft is kept until it changes.
    Command,
}

/// One question of the wizard. Its name is the contract's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What the form shows, and what holds, when the draft says nothing.
    pub(super) default: &'static str,
    pub(super) label: &'static str,
}

const fn field(name: &'static str, kind: Kind, label: &'static str) -> Field {
    Field {
        name,
        kind,
        default: "",
        label,
    }
}

const fn choice(name: &'static str, default: &'static str, label: &'static str) -> Field {
    Field {
        name,
        kind: Kind::Choice,
        default,
        label,
    }
}

pub(super) const WORKLOAD: &[Field] = &[
    field("name", Kind::Text, "Name"),
    choice("workload_type", "", "Type"),
    field("model_size_gb", Kind::Number, "Model size, GB"),
];
pub(super) const IMAGE: &[Field] = &[
    field("image", Kind::Text, "Image"),
    field("command", Kind::Command, "Command"),
    field("environment", Kind::Environment, "Environment"),
    field("input_files", Kind::Files, "Files"),
    field("script_files", Kind::Files, "Script"),
    field("expected_artifacts", Kind::Lines, "Expected artifacts"),
];
/// Those that are about files.
pub(super) const FILES: usize = 3;
pub(super) const RESOURCES: &[Field] = &[
    field("timeout_seconds", Kind::Minutes, "Time limit, minutes"),
    field("cpu_count", Kind::Count, "CPU cores"),
    field("memory_gb", Kind::Number, "Memory, GB"),
    field("disk_gb", Kind::Number, "Disk, GB"),
    field("gpu_required", Kind::Tick, "Needs a GPU"),
    field("gpu_count", Kind::Count, "GPUs"),
    field("min_vram_gb", Kind::Number, "Memory per GPU, GB"),
    field("gpu_type", Kind::Text, "GPU type"),
];
pub(super) const ROUTING: &[Field] = &[
    choice("optimize_for", "balanced", "Optimize for"),
    field(
        "max_price_per_hour",
        Kind::Money,
        "Price ceiling, USD per hour",
    ),
    field("preferred_gpu_family", Kind::Text, "Preferred GPU family"),
    field("avoid_gpu_families", Kind::List, "GPU families to avoid"),
    field("region_preference", Kind::Text, "Region"),
    choice("region_mode", "prefer", "If that region is full"),
    choice("gpu_class", "", "GPU class"),
    choice("latency_priority", "balanced", "Low latency"),
    choice("cost_priority", "balanced", "Low cost"),
];

/// What is typed in the fields of a step, or would be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Answers(BTreeMap<&'static str, String>);

impl Answers {
    /// As the draft has it.
    pub(super) fn of(fields: &[Field], content: &Content) -> Self {
        let shown = |field: &Field| {
            let text = shown(field, content);
            let text = if text.is_empty() {
                field.default.to_owned()
            } else {
                text
            };
            (field.name, text)
        };
        Self(fields.iter().map(shown).collect())
    }

    /// As the form was sent. A field that is missing was left empty.
    pub(super) fn sent(fields: &[Field], form: &[(String, String)]) -> Self {
        let typed = |field: &Field| {
            let mut values = form
                .iter()
                .filter(|(name, _)| name == field.name)
                .map(|(_, value)| value.trim());
            let text = match field.kind {
                Kind::Files => values.collect::<Vec<_>>().join("\n"),
                _ => values.next().unwrap_or_default().replace("\r\n", "\n"),
            };
            (field.name, text.trim().to_owned())
        };
        Self(fields.iter().map(typed).collect())
    }

    pub(super) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Fills in what the draft does not say yet.
    pub(super) fn propose(&mut self, name: &'static str, text: &str) {
        let slot = self.0.entry(name).or_default();
        if slot.is_empty() {
            text.clone_into(slot);
        }
    }

    /// Whether any of these differs from its default.
    pub(super) fn any_set(&self, fields: &[Field]) -> bool {
        fields
            .iter()
            .any(|field| self.get(field.name) != field.default)
    }
}

/// The changes that make the draft say what was typed. What did not change is
/// left out, so that a command given as a list of words, or values that a form
/// cannot show, survive.
///
/// # Errors
///
/// Everything that cannot be read.
pub(super) fn changes(
    fields: &[Field],
    before: &Content,
    typed: &Answers,
) -> Result<Content, Wrong> {
    let had = Answers::of(fields, before);
    let mut patch = Content::new();
    let mut wrong = Wrong::default();
    for field in fields {
        let text = typed.get(field.name);
        let unsaid = value(before, field.name).is_none() && text == field.default;
        if unsaid || (value(before, field.name).is_some() && had.get(field.name) == text) {
            continue;
        }
        match read(field.kind, text) {
            Ok(value) => {
                patch.insert(field.name.to_owned(), value);
            }
            Err(why) => wrong.add(field.name, why),
        }
    }
    if !wrong.is_nothing() {
        return Err(wrong);
    }
    flatten(before, &mut patch);
    Ok(patch)
}

/// A draft that says nothing yet.
pub(super) fn nothing() -> Content {
    Content::new()
}

/// A field that was given inside `constraints`, or as `args`, would still speak
/// there after it was changed here; so those move to the top level with it.
fn flatten(before: &Content, patch: &mut Content) {
    if patch.contains_key("command") && before.contains_key("args") {
        patch.insert("args".into(), Value::Null);
    }
    if patch.contains_key("script_files") && before.contains_key("script_file") {
        patch.insert("script_file".into(), Value::Null);
    }
    let Some(Value::Object(nested)) = before.get("constraints") else {
        return;
    };
    if !nested.keys().any(|name| patch.contains_key(name)) {
        return;
    }
    for (name, value) in nested {
        if !patch.contains_key(name) && !before.contains_key(name) {
            patch.insert(name.clone(), value.clone());
        }
    }
    patch.insert("constraints".into(), Value::Null);
}

fn value<'a>(content: &'a Content, name: &str) -> Option<&'a Value> {
    let nested = || content.get("constraints").and_then(|all| all.get(name));
    // Two names for the same.
    let alone = || {
        content
            .get("script_file")
            .filter(|_| name == "script_files")
    };
    content
        .get(name)
        .filter(|value| !value.is_null())
        .or_else(nested)
        .or_else(alone)
        .filter(|value| !value.is_null())
}

/// The field's text, empty if the draft says nothing about it.
pub(super) fn shown(field: &Field, content: &Content) -> String {
    let Some(value) = value(content, field.name) else {
        return String::new();
    };
    match (field.kind, value) {
        (Kind::Minutes, Value::Number(seconds)) => minutes(seconds.as_f64().unwrap_or_default()),
        (Kind::Tick, value) => (if value == &json!(true) { "yes" } else { "" }).to_owned(),
        (Kind::List, Value::Array(words)) => {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            words.join(", ")
        }
        (Kind::Files, value) => ids(value).join("\n"),
        (Kind::Lines, Value::Array(lines)) => {
            let lines: Vec<&str> = lines.iter().filter_map(Value::as_str).collect();
            lines.join("\n")
        }
        (Kind::Environment, Value::Object(variables)) => {
            let line = |(key, value): (&String, &Value)| format!("{key}={}", plain(value));
            variables.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        (Kind::Command, Value::Array(words)) => {
            words.iter().map(quoted).collect::<Vec<_>>().join(" ")
        }
        (Kind::Command, Value::String(program)) => match content.get("args") {
            Some(Value::Array(words)) if !words.is_empty() => {
                let words = words.iter().map(quoted);
                let all: Vec<String> = std::iter::once(quoted(&json!(program)))
                    .chain(words)
                    .collect();
                all.join(" ")
            }
            _ => program.clone(),
        },
        (_, value) => plain(value),
    }
}

/// The ids of the files that are named, whichever way.
fn ids(value: &Value) -> Vec<&str> {
    match value {
        Value::String(id) => vec![id],
        Value::Array(files) => files
            .iter()
            .filter_map(|file| file.get("input_id").unwrap_or(file).as_str())
            .collect(),
        _ => Vec::new(),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number
            .as_f64()
            .map_or_else(|| number.to_string(), |number| number.to_string()),
        other => other.to_string(),
    }
}

fn minutes(seconds: f64) -> String {
    ((seconds / 60.0 * 100.0).round() / 100.0).to_string()
}

/// A word as a shell would need it.
fn quoted(word: &Value) -> String {
    let word = plain(word);
    let safe = |c: char| c.is_ascii_alphanumeric() || "_./:=@%+,-".contains(c);
    if !word.is_empty() && word.chars().all(safe) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// The value that `text` stands for; `null` clears.
fn read(kind: Kind, text: &str) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    match kind {
        Kind::Text | Kind::Choice | Kind::Command => Ok(json!(text)),
        Kind::Tick => Ok(json!(true)),
        Kind::Number => number(text).map(|number| json!(number)),
        Kind::Count => match text.parse::<u32>() {
            Ok(count @ 1..) => Ok(json!(count)),
            Ok(0) | Err(_) => Err("Write a whole number from 1, or leave it empty.".into()),
        },
        Kind::Minutes => seconds(text),
        Kind::Money => text
            .parse::<Usd>()
            .map(|amount| json!(amount))
            .map_err(|_| "Write an amount in dollars, such as 2.50.".into()),
        Kind::Lines => {
            let lines = text.lines().map(str::trim);
            Ok(lines
                .filter(|line| !line.is_empty())
                .collect::<Vec<_>>()
                .into())
        }
        Kind::Files => {
            let ids = text.lines().map(str::trim).filter(|id| !id.is_empty());
            let named = ids.map(|id| json!({ "input_id": id }));
            Ok(named.collect::<Vec<_>>().into())
        }
        Kind::List => {
            let words = text.split([',', '\n']).map(str::trim);
            Ok(words
                .filter(|word| !word.is_empty())
                .collect::<Vec<_>>()
                .into())
        }
        Kind::Environment => environment(text),
    }
}

fn number(text: &str) -> Result<f64, String> {
    text.parse::<f64>()
        .ok()
        .filter(|number| number.is_finite() && *number > 0.0)
        .ok_or_else(|| "Write a number more than 0, such as 3.5.".into())
}

fn seconds(text: &str) -> Result<Value, String> {
    let wrong = || "Write minutes, such as 30 or 1.5.".to_owned();
    let seconds = (number(text).map_err(|_| wrong())? * 60.0).round();
    if !(1.0..=f64::from(u32::MAX)).contains(&seconds) {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked"
    )]
    let seconds = seconds as u32;
    Ok(json!(seconds))
}

fn environment(text: &str) -> Result<Value, String> {
    let mut variables = Content::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let Some((key, value)) = line.split_once('=') else {
            return Err(format!("Line {number} has no = in it. Write KEY=VALUE."));
        };
        let key = key.trim();
        let legal = |c: char| c == '_' || c.is_ascii_alphanumeric();
        if key.is_empty()
            || !key.chars().all(legal)
            || key.starts_with(|c: char| c.is_ascii_digit())
        {
            return Err(format!(
                "Line {number}: a name has letters, digits and _ only, and no digit first."
            ));
        }
        if variables.insert(key.to_owned(), json!(value)).is_some() {
            return Err(format!("Line {number}: {key} is there twice."));
        }
    }
    Ok(Value::Object(variables))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(value: Value) -> Content {
        serde_json::from_value(value).unwrap()
    }

    fn sent(fields: &[Field], form: &[(&str, &str)]) -> Answers {
        let form: Vec<_> = form
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Answers::sent(fields, &form)
    }

    #[test]
    fn typed_text_becomes_values_and_nothing_becomes_null() {
        let before = content(json!({"memory_gb": 4, "gpu_required": true}));
        let typed = sent(
            RESOURCES,
            &[
                ("timeout_seconds", "1.5"),
                ("cpu_count", "2"),
                ("disk_gb", "0.5"),
            ],
        );
        let patch = changes(RESOURCES, &before, &typed).unwrap();
        assert_eq!(
            Value::Object(patch),
            json!({"timeout_seconds": 90, "cpu_count": 2, "disk_gb": 0.5,
                   "memory_gb": null, "gpu_required": null})
        );
    }

    #[test]
    fn what_was_not_touched_is_not_sent() {
        let before = content(json!({
            "command": ["python3", "-c", "print('a b')"],
            "environment": {"A": "1=2"}, "image": "host"
        }));
        let same = Answers::of(IMAGE, &before);
        assert_eq!(same.get("command"), r"python3 -c 'print('\''a b'\'')'");
        assert_eq!(same.get("environment"), "A=1=2");
        assert!(changes(IMAGE, &before, &same).unwrap().is_empty());
        let defaults = sent(
            ROUTING,
            &[
                ("optimize_for", "balanced"),
                ("region_mode", "prefer"),
                ("latency_priority", "balanced"),
                ("cost_priority", "balanced"),
            ],
        );
        assert!(!defaults.any_set(&ROUTING[1..]));
        assert!(
            changes(ROUTING, &Content::new(), &defaults)
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn nested_constraints_and_args_move_up_when_they_change() {
        let before =
            content(json!({"constraints": {"max_price_per_hour": 1.5, "gpu_class": "consumer"}}));
        let mut form = Answers::of(ROUTING, &before);
        assert_eq!(form.get("max_price_per_hour"), "1.5");
        form.0.insert("max_price_per_hour", String::new());
        assert_eq!(
            Value::Object(changes(ROUTING, &before, &form).unwrap()),
            json!({"max_price_per_hour": null, "gpu_class": "consumer", "constraints": null})
        );
        let before = content(json!({"command": "echo", "args": ["a b"]}));
        let mut form = Answers::of(IMAGE, &before);
        assert_eq!(form.get("command"), "echo 'a b'");
        form.0.insert("command", "true".into());
        assert_eq!(
            Value::Object(changes(IMAGE, &before, &form).unwrap()),
            json!({"command": "true", "args": null})
        );
    }

    #[test]
    fn what_cannot_be_read_is_said_beside_its_field() {
        for (fields, name, text) in [
            (WORKLOAD, "model_size_gb", "NaN"),
            (WORKLOAD, "model_size_gb", "-1"),
            (RESOURCES, "cpu_count", "0"),
            (RESOURCES, "timeout_seconds", "0.001"),
            (RESOURCES, "timeout_seconds", "1e300"),
            (ROUTING, "max_price_per_hour", "two"),
            (IMAGE, "environment", "A=1\nB"),
            (IMAGE, "environment", "A=1\nA=2"),
            (IMAGE, "environment", "1A=1"),
        ] {
            let wrong = changes(fields, &Content::new(), &sent(fields, &[(name, text)]));
            assert!(wrong.unwrap_err().field(name).is_some(), "{name} {text}");
        }
    }

    #[test]
    fn form_line_ends_are_those_of_files() {
        let typed = sent(IMAGE, &[("environment", "A=1\r\nB=\r\n")]);
        let patch = changes(IMAGE, &Content::new(), &typed).unwrap();
        assert_eq!(patch["environment"], json!({"A": "1", "B": ""}));
    }
}
