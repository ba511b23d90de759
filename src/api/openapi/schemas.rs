//! Collects the schemas of wire types, and makes them plain.
use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const SENT: &str = "#/components/schemas/";
/// Where what clients send stands until it is known which of it differs.
const RECEIVED: &str = "#/received/";

/// The schemas of everything that was asked for. What the server sends and what it
/// receives differ even for one type: what may be left out of a request is always
/// there in an answer.
#[derive(Debug)]
pub struct Schemas {
    sent: SchemaGenerator,
    received: SchemaGenerator,
    /// Made of others by hand.
    made: Map<String, Value>,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let at = |path: &str| {
            SchemaSettings::draft2020_12().with(|settings| {
                let path = path.trim_start_matches('#').trim_end_matches('/');
                settings.definitions_path = path.to_owned().into();
                settings.meta_schema = None;
            })
        };
        Self {
            sent: at(SENT).for_serialize().into_generator(),
            received: at(RECEIVED).for_deserialize().into_generator(),
            made: Map::new(),
        }
    }

    /// A type of answers.
    pub(super) fn sent<T: JsonSchema>(&mut self) -> Value {
        plain(self.sent.subschema_for::<T>(), true)
    }

    /// A type of requests.
    pub(super) fn received<T: JsonSchema>(&mut self) -> Value {
        plain(self.received.subschema_for::<T>(), false)
    }

    /// The same, in place and not under its name.
    pub(super) fn inline<T: JsonSchema>(&mut self) -> Value {
        plain(T::json_schema(&mut self.received), false)
    }

    /// The same schema as `schema`, a reference, but for what contract 7.2 has
    /// otherwise in the enveloped family: an estimated cost is a range there.
    pub(super) fn for_strict_clients(&mut self, schema: Value) -> Value {
        let Some(name) = schema["$ref"].as_str().and_then(|at| at.strip_prefix(SENT)) else {
            return schema;
        };
        let name = name.to_owned();
        let mut strict = self.sent.definitions()[&name].clone();
        let properties = &mut strict["properties"];
        if properties.get("estimated_cost_usd").is_some() {
            properties["estimated_cost_usd"] = json!({ "$ref": format!("{SENT}CostRange") });
            self.made.insert(
                "CostRange".into(),
                json!({
                    "type": "object", "description": "US dollars, at least and at most.",
                    "properties": { "min": { "type": "number" }, "max": { "type": "number" } },
                    "required": ["max", "min"],
                }),
            );
        } else if let Some(jobs) = properties.get("jobs") {
            let item = self.for_strict_clients(jobs["items"].clone());
            strict["properties"]["jobs"]["items"] = item;
        } else {
            return schema;
        }
        self.made.insert(format!("Mcp{name}"), strict);
        json!({ "$ref": format!("{SENT}Mcp{name}") })
    }

    /// All of them by name; `document` points to them afterwards.
    pub(super) fn finish(mut self, document: &mut Value) -> Value {
        let plainly = |schemas: Map<String, Value>, sent: bool| -> Map<String, Value> {
            let schemas = schemas.into_iter();
            schemas
                .map(|(name, mut schema)| {
                    tidy(&mut schema, sent);
                    (name, schema)
                })
                .collect()
        };
        let mut all = plainly(self.sent.take_definitions(false), true);
        all.extend(plainly(self.made, true));
        let received = plainly(self.received.take_definitions(false), false);
        let different = different(&all, &received);
        for (name, mut schema) in received {
            point(&mut schema, &different);
            let name = if different.contains(&name) {
                format!("{name}Input")
            } else {
                name
            };
            all.insert(name, schema);
        }
        point(document, &different);
        all.into()
    }
}

/// The names of what is received that are also names of something else that is sent.
fn different(sent: &Map<String, Value>, received: &Map<String, Value>) -> BTreeSet<String> {
    let mut different = BTreeSet::new();
    loop {
        let before = different.len();
        for (name, schema) in received {
            let mut schema = schema.clone();
            point(&mut schema, &different);
            if sent.get(name).is_some_and(|other| *other != schema) {
                different.insert(name.clone());
            }
        }
        if different.len() == before {
            return different;
        }
    }
}

/// Makes references to what is received point to where it is in the end.
fn point(value: &mut Value, different: &BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let name = match value {
                    Value::String(at) if key == "$ref" => at.strip_prefix(RECEIVED),
                    _ => None,
                };
                if let Some(name) = name {
                    let suffix = if different.contains(name) {
                        "Input"
                    } else {
                        ""
                    };
                    *value = format!("{SENT}{name}{suffix}").into();
                } else {
                    point(value, different);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| point(item, different)),
        _ => {}
    }
}

fn plain(schema: Schema, sent: bool) -> Value {
    let mut schema = schema.to_value();
    tidy(&mut schema, sent);
    schema
}

/// Takes away what tells nothing, and in answers also what never happens.
fn tidy(schema: &mut Value, sent: bool) {
    let fields = match schema {
        Value::Array(items) => return items.iter_mut().for_each(|item| tidy(item, sent)),
        Value::Object(fields) => fields,
        _ => return,
    };
    fields.values_mut().for_each(|field| tidy(field, sent));
    if fields.get("default").is_some_and(Value::is_null) {
        fields.remove("default");
    }
    if let Some(Value::String(format)) = fields.get("format")
        && format.starts_with("uint")
    {
        fields.remove("format");
    }
    if let Some(Value::String(text)) = fields.get("description") {
        let text = prose(text);
        if text.is_empty() {
            fields.remove("description");
        } else {
            fields.insert("description".into(), text.into());
        }
    }
    words(fields);
    if sent && fields.contains_key("properties") {
        let required = fields.get("required").cloned().unwrap_or_default();
        let required: Vec<Value> = required.as_array().cloned().unwrap_or_default();
        let Some(Value::Object(properties)) = fields.get_mut("properties") else {
            return;
        };
        // What is left out when it is empty is never `null`.
        for (name, property) in properties {
            if !required.iter().any(|one| one == name) {
                never_null(property);
            }
        }
    }
}

pub(super) fn never_null(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        return;
    };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|one| one != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            fields.insert("type".into(), one);
        }
    }
    if let Some(Value::Array(either)) = fields.get_mut("anyOf") {
        either.retain(|one| one["type"] != "null");
        if let [Value::Object(one)] = either.as_slice() {
            let one = one.clone();
            fields.remove("anyOf");
            fields.extend(one);
        }
    }
}

/// Words of which some are explained: one list of words, and the explanations as text.
fn words(fields: &mut Map<String, Value>) {
    let Some(Value::Array(kinds)) = fields.get("oneOf") else {
        return;
    };
    let mut all: Vec<Value> = Vec::new();
    let mut text = match fields.get("description") {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    };
    for kind in kinds {
        if kind["type"] != "string" {
            return;
        }
        match (&kind["const"], &kind["enum"]) {
            (Value::String(word), _) => {
                all.push(word.as_str().into());
                if let Value::String(means) = &kind["description"] {
                    let apart = if text.is_empty() { "" } else { "\n" };
                    text = format!("{text}{apart}- `{word}`: {}", means.replace('\n', " "));
                }
            }
            (_, Value::Array(words)) => all.extend(words.iter().cloned()),
            _ => return,
        }
    }
    fields.remove("oneOf");
    fields.insert("type".into(), "string".into());
    fields.insert("enum".into(), all.into());
    if !text.is_empty() {
        fields.insert("description".into(), text.into());
    }
}

/// A comment without what only readers of the source can follow.
pub(super) fn prose(comment: &str) -> String {
    let mut text = comment.replace("[`", "`").replace("`]", "`");
    for path in ["super::", "crate::", "apps::", "jobs::"] {
        text = text.replace(&format!("`{path}"), "`");
    }
    if text.starts_with("Contract ") || text.starts_with("What jobs print: contract") {
        text = text
            .split_once(". ")
            .map_or("", |(_, rest)| rest)
            .to_owned();
    }
    while let Some((before, rest)) = text.split_once(" (contract ") {
        let after = rest.split_once(')').map_or("", |(_, after)| after);
        text = format!("{before}{after}");
    }
    text.trim().to_owned()
}
