//! Holds what the API answers against its own description.
//!
//! Stricter than a client may be: what is not described is a fault here, so that no
//! field can come without its description. A keyword that is not understood ends the
//! test, so nothing passes unchecked.
use junglegrid::api::openapi;
use serde_json::{Map, Value};
use std::sync::OnceLock;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// What a server may say before an operation has been found; see `default` in the
/// description.
const BEFOREHAND: [u16; 9] = [405, 408, 413, 414, 415, 417, 421, 431, 501];

pub(crate) fn document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(openapi::document)
}

/// An answer of the API, and what was asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a str,
    /// With or without a query.
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    /// Its `Content-Type`.
    pub(crate) kind: &'a str,
    pub(crate) body: &'a [u8],
}

impl Seen<'_> {
    /// Ends the test if this is not what the description says. What is no answer of the
    /// API passes.
    pub(crate) fn hold(self) {
        let faults = self.faults();
        assert!(
            faults.is_empty(),
            "not as described: {} {} answered {} with\n{}\n{}",
            self.method,
            self.path,
            self.status,
            String::from_utf8_lossy(self.body),
            faults.join("\n")
        );
    }

    /// What is not as it is described.
    pub(crate) fn faults(self) -> Vec<String> {
        let path = self.path.split('?').next().unwrap_or_default();
        if !path.starts_with("/v1/") && !path.starts_with("/auth/") {
            return Vec::new();
        }
        let method = match self.method {
            "HEAD" => "get".to_owned(),
            other => other.to_ascii_lowercase(),
        };
        let found = operation(&method, path);
        let described = match found {
            Some(operation) => {
                let responses = &operation["responses"];
                let exactly = responses.get(self.status.to_string());
                exactly.or_else(|| {
                    let early = BEFOREHAND.contains(&self.status);
                    early.then(|| &responses["default"])
                })
            }
            // Nothing of ours: only a refusal can come back.
            None if self.status == 404 || BEFOREHAND.contains(&self.status) => {
                let name = if path.starts_with("/v1/mcp/") {
                    "McpNotFound"
                } else {
                    "Refused"
                };
                Some(&document()["components"]["responses"][name])
            }
            None => return vec!["there is no such operation".into()],
        };
        let Some(described) = described else {
            return vec![format!("status {} is not listed", self.status)];
        };
        self.content(resolved(described))
    }

    fn content(self, described: &Value) -> Vec<String> {
        if self.method == "HEAD" {
            return Vec::new();
        }
        let kind = self.kind.split(';').next().unwrap_or_default().trim();
        let Some(content) = described.get("content") else {
            let silent = self.body.is_empty();
            return if silent {
                Vec::new()
            } else {
                vec!["there should be no body".into()]
            };
        };
        let Some(content) = content.get(kind).or_else(|| content.get("*/*")) else {
            return vec![format!("{kind:?} is not listed")];
        };
        if kind != "application/json" {
            return Vec::new();
        }
        match serde_json::from_slice(self.body) {
            Ok(body) => faults(&content["schema"], &body),
            Err(error) => vec![format!("no JSON: {error}")],
        }
    }
}

/// The operation that answers there.
pub(crate) fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = document()["paths"].as_object().expect("paths");
    let fits = |template: &str| {
        let ours = template.split('/');
        let theirs: Vec<&str> = path.split('/').collect();
        ours.clone().count() == theirs.len()
            && ours.zip(theirs).all(|(ours, theirs)| {
                ours == theirs || (ours.starts_with('{') && !theirs.is_empty())
            })
    };
    // A word in the pattern is closer than a parameter.
    let mut fitting: Vec<_> = paths
        .iter()
        .filter(|(template, _)| fits(template))
        .collect();
    fitting.sort_by_key(|(template, _)| template.matches('{').count());
    fitting.iter().find_map(|(_, item)| item.get(method))
}

fn resolved(value: &Value) -> &Value {
    match value.get("$ref") {
        Some(Value::String(at)) => {
            let at = at.trim_start_matches('#');
            document()
                .pointer(at)
                .unwrap_or_else(|| panic!("{at} leads nowhere"))
        }
        _ => value,
    }
}

/// What is wrong with `value`, a line each.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = fits(schema, value);
    strange(schema, value, "", &mut faults);
    faults
}

/// The same, for a schema that does not mind further fields.
pub(crate) fn fits(schema: &Value, value: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    check(schema, value, "", &mut faults);
    faults
}

/// Everything but fields that are not described.
fn check(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let Value::Object(rules) = schema else {
        assert_eq!(schema, &Value::Bool(true), "not a schema");
        return;
    };
    for (rule, wanted) in rules {
        let fine = match rule.as_str() {
            "$ref" => {
                check(resolved(schema), value, at, faults);
                true
            }
            "type" => is_of(wanted, value),
            "const" => value == wanted,
            "enum" => wanted.as_array().expect("words").contains(value),
            "allOf" => {
                for one in wanted.as_array().expect("schemas") {
                    check(one, value, at, faults);
                }
                true
            }
            "anyOf" => fitting(wanted, value).next().is_some(),
            "oneOf" => fitting(wanted, value).count() == 1,
            "minimum" => value
                .as_f64()
                .is_none_or(|n| n >= wanted.as_f64().expect("a number")),
            "maximum" => value
                .as_f64()
                .is_none_or(|n| n <= wanted.as_f64().expect("a number")),
            "minItems" => length(value).is_none_or(|n| n >= wanted.as_u64().expect("a number")),
            "maxItems" => length(value).is_none_or(|n| n <= wanted.as_u64().expect("a number")),
            "pattern" => value.as_str().is_none_or(|text| matches(wanted, text)),
            "format" => formatted(wanted, value),
            "required" => {
                for name in wanted.as_array().expect("names") {
                    let name = name.as_str().expect("a name");
                    if value.is_object() && value.get(name).is_none() {
                        faults.push(format!("{at}/{name} is missing"));
                    }
                }
                true
            }
            "properties" => {
                for (name, field) in fields(value) {
                    if let Some(schema) = wanted.get(name) {
                        check(schema, field, &format!("{at}/{name}"), faults);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = rules.get("properties");
                for (name, field) in fields(value) {
                    if known.is_none_or(|known| known.get(name).is_none()) && wanted != false {
                        check(wanted, field, &format!("{at}/{name}"), faults);
                    }
                }
                true
            }
            "items" | "prefixItems" => {
                for (i, item) in value.as_array().into_iter().flatten().enumerate() {
                    let schema = if rule == "items" {
                        Some(wanted)
                    } else {
                        wanted.get(i)
                    };
                    if let Some(schema) = schema {
                        check(schema, item, &format!("{at}/{i}"), faults);
                    }
                }
                true
            }
            "description" | "title" | "default" => true,
            other => panic!("{other} is not understood: teach it to the tests"),
        };
        if !fine {
            faults.push(format!("{at}: {value} is not {rule} {wanted}"));
        }
    }
}

/// Fields of which no schema speaks.
fn strange(schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (i, item) in items.iter().enumerate() {
                for schema in below(schema, value, &|rules| {
                    let items = rules.get("prefixItems").and_then(|all| all.get(i));
                    items.or_else(|| rules.get("items"))
                }) {
                    strange(schema, item, &format!("{at}/{i}"), faults);
                }
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let known = below(schema, value, &|rules| {
                    let own = rules.get("properties").and_then(|all| all.get(name));
                    own.or_else(|| rules.get("additionalProperties"))
                        .filter(|one| *one != false)
                });
                let at = format!("{at}/{name}");
                if known.is_empty() {
                    faults.push(format!("{at} is not described"));
                }
                for schema in known {
                    strange(schema, field, &at, faults);
                }
            }
        }
        _ => {}
    }
}

/// What every schema that holds for `value` says of a part of it.
fn below<'s>(
    schema: &'s Value,
    value: &Value,
    part: &dyn Fn(&'s Map<String, Value>) -> Option<&'s Value>,
) -> Vec<&'s Value> {
    let Value::Object(rules) = schema else {
        static ANYTHING: Value = Value::Bool(true);
        return vec![&ANYTHING];
    };
    let mut all: Vec<_> = part(rules).into_iter().collect();
    if rules.contains_key("$ref") {
        all.extend(below(resolved(schema), value, part));
    }
    for one in rules
        .get("allOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        all.extend(below(one, value, part));
    }
    for kind in ["anyOf", "oneOf"] {
        if let Some(either) = rules.get(kind) {
            for one in fitting(either, value) {
                all.extend(below(one, value, part));
            }
        }
    }
    all
}

fn fitting<'s>(either: &'s Value, value: &Value) -> impl Iterator<Item = &'s Value> {
    let either = either.as_array().expect("schemas").iter();
    either.filter(move |one| {
        let mut faults = Vec::new();
        check(one, value, "", &mut faults);
        faults.is_empty()
    })
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn length(value: &Value) -> Option<u64> {
    value.as_array().map(|items| items.len() as u64)
}

fn is_of(wanted: &Value, value: &Value) -> bool {
    match wanted {
        Value::Array(kinds) => kinds.iter().any(|kind| is_of(kind, value)),
        kind => match kind.as_str().expect("a type") {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other} is no type"),
        },
    }
}

/// The only kind of pattern that there is: `^job_[0-9a-f]{32}$`.
fn matches(pattern: &Value, text: &str) -> bool {
    let pattern = pattern.as_str().expect("a pattern");
    let prefix = pattern
        .strip_prefix('^')
        .and_then(|rest| rest.strip_suffix("[0-9a-f]{32}$"));
    let prefix = prefix.unwrap_or_else(|| panic!("{pattern} is not understood"));
    text.strip_prefix(prefix).is_some_and(|digits| {
        digits.len() == 32
            && digits
                .bytes()
                .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn formatted(format: &Value, value: &Value) -> bool {
    match format.as_str().expect("a format") {
        "date-time" => value.as_str().is_none_or(|text| {
            text.ends_with('Z') && OffsetDateTime::parse(text, &Rfc3339).is_ok()
        }),
        "int32" => value.as_i64().is_none_or(|n| i32::try_from(n).is_ok()),
        "int64" | "double" | "float" => true,
        other => panic!("the format {other} is not understood"),
    }
}
