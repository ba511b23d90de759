//! The endpoints of the table.
use super::schemas::{Schemas, prose};
use super::{reason, refused, tag};
use crate::api::content::JobContent;
use crate::api::jobs::Content;
use crate::api::{self, Access, Endpoint};
use http::Method;
use schemars::JsonSchema;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// One line of the table.
#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    pub doc: &'static str,
    pub method: Method,
    pub path: &'static str,
    pub access: Access,
    pub status: u16,
    shapes: fn(&mut Schemas) -> Shapes,
}

impl Operation {
    pub(in crate::api) const fn of<E: Endpoint>(name: &'static str, doc: &'static str) -> Self {
        Self {
            name,
            doc,
            method: E::METHOD,
            path: E::PATH,
            access: E::ACCESS,
            status: E::STATUS,
            shapes: Shapes::of::<E>,
        }
    }
}

/// What crosses the wire.
struct Shapes {
    path: Value,
    query: Value,
    /// With whether it can be left out.
    body: Option<(Value, bool)>,
    reply: Value,
}

impl Shapes {
    fn of<E: Endpoint>(schemas: &mut Schemas) -> Self {
        let nothing = api::accounts::Nothing::schema_id();
        let body = schemas.inline::<E::Body>();
        let body = if body["type"] == "null" || E::Body::schema_id() == nothing {
            None
        } else if E::Body::schema_id() == Content::schema_id() {
            Some((schemas.received::<JobContent>(), true))
        } else {
            let free = body.get("required").is_none();
            Some((schemas.received::<E::Body>(), free))
        };
        Self {
            path: schemas.inline::<E::Path>(),
            query: schemas.inline::<E::Query>(),
            body,
            reply: schemas.sent::<E::Reply>(),
        }
    }
}

/// Operations that are also there below `/v1/mcp`, in an envelope.
pub const TWINS: &[(Method, &str)] = &[
    (Method::POST, "/v1/jobs/estimate"),
    (Method::POST, "/v1/jobs"),
    (Method::GET, "/v1/jobs"),
    (Method::GET, "/v1/jobs/{job}"),
    (Method::GET, "/v1/jobs/{job}/logs"),
    (Method::POST, "/v1/jobs/{job}/cancel"),
    (Method::GET, "/v1/jobs/{job}/artifacts"),
    (Method::POST, "/v1/jobs/{job}/artifacts/{artifact}/download"),
];

/// Operations that take an `Idempotency-Key`.
const ONCE: &[&str] = &["SubmitJob", "LaunchApp", "CreateKey", "RotateKey"];

/// Refusals besides those that follow from the kind of operation: see [`refusals`].
const ALSO: &[(&str, &[u16])] = &[
    ("SubmitJob", &[402, 422]),
    ("SubmitDraft", &[402, 422]),
    ("LaunchApp", &[402, 422]),
    ("ExtendApp", &[402, 422]),
    ("CreateKey", &[422, 429]),
    ("RotateKey", &[422, 429]),
];

pub(super) fn add(paths: &mut Map<String, Value>, schemas: &mut Schemas) {
    for operation in api::OPERATIONS {
        let shapes = (operation.shapes)(schemas);
        let twin = TWINS.contains(&(operation.method.clone(), operation.path));
        if twin {
            let data = schemas.for_strict_clients(shapes.reply.clone());
            let reply = json!({
                "type": "object", "required": ["data", "ok"],
                "properties": { "ok": { "const": true }, "data": data },
            });
            let path = operation.path.replacen("/v1/", "/v1/mcp/", 1);
            let described = describe(operation, &shapes, &reply, &path);
            insert(paths, &path, &operation.method, described);
        }
        let described = describe(operation, &shapes, &shapes.reply, operation.path);
        insert(paths, operation.path, &operation.method, described);
    }
}

pub(super) fn insert(paths: &mut Map<String, Value>, path: &str, method: &Method, what: Value) {
    let at = paths.entry(path.to_owned()).or_insert_with(|| json!({}));
    at[method.as_str().to_ascii_lowercase()] = what;
}

fn describe(operation: &Operation, shapes: &Shapes, reply: &Value, path: &str) -> Value {
    let enveloped = path.starts_with("/v1/mcp/");
    let mut parameters = places(path, &shapes.path);
    parameters.extend(asked(&shapes.query));
    if ONCE.contains(&operation.name) {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header",
            "description": "1 to 255 visible ASCII characters: the same request with the same key is carried out once.",
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        }));
    }
    let mut described = head(operation.name, operation.doc, path, operation.access);
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    if let Some((body, free)) = &shapes.body {
        described["requestBody"] = json!({
            "required": !free,
            "content": { "application/json": { "schema": body } },
        });
    }
    let mut responses = Map::new();
    responses.insert(
        operation.status.to_string(),
        json!({
            "description": reason(operation.status),
            "content": { "application/json": { "schema": reply } },
        }),
    );
    for status in refusals(operation) {
        responses.insert(status.to_string(), refused(status, enveloped));
    }
    let family = if enveloped { "Mcp" } else { "" };
    responses.insert(
        "default".into(),
        json!({ "$ref": format!("#/components/responses/{family}Refused") }),
    );
    described["responses"] = responses.into();
    described
}

/// What every kind of description begins with.
pub(super) fn head(name: &str, doc: &str, path: &str, access: Access) -> Value {
    let doc = prose(doc);
    let (first, rest) = match doc.split_once(". ") {
        Some((first, rest)) => (first, rest),
        None => (doc.as_str(), ""),
    };
    let first = first.trim_end_matches('.').replace('\n', " ");
    let title = if first.is_empty() { title(name) } else { first };
    let id = if path.starts_with("/v1/mcp/") {
        format!("mcp{name}")
    } else {
        format!("{}{}", name[..1].to_ascii_lowercase(), &name[1..])
    };
    let mut head = json!({
        "operationId": id,
        "summary": title,
        "tags": [tag(path)],
        "security": security(access),
    });
    let mut text = rest.replace('\n', " ");
    if access == Access::Operator {
        text = format!("{text} Only for those who operate this installation.");
    }
    if !text.is_empty() {
        head["description"] = text.trim().into();
    }
    head
}

/// `SignIn` as `Sign in`.
fn title(name: &str) -> String {
    let mut title = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !title.is_empty() {
            title.push(' ');
            title.push(letter.to_ascii_lowercase());
        } else {
            title.push(letter);
        }
    }
    title
}

fn security(access: Access) -> Value {
    match access {
        Access::Public => json!([]),
        Access::Session | Access::Operator => json!([{ "session": [] }]),
        Access::Scopes(scopes) => {
            let keys = scopes
                .iter()
                .map(|scope| json!({ "apiKey": [scope.name()] }));
            std::iter::once(json!({ "session": [] }))
                .chain(keys)
                .collect()
        }
    }
}

/// The parameters in `path`, with the schemas of a tuple.
pub(super) fn places(path: &str, schema: &Value) -> Vec<Value> {
    let names = path
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split('}').next());
    let schemas = schema["prefixItems"].as_array().into_iter().flatten();
    let schemas = schemas
        .cloned()
        .chain(std::iter::repeat(json!({ "type": "string" })));
    names
        .zip(schemas)
        .map(|(name, schema)| json!({ "name": name, "in": "path", "required": true, "schema": schema }))
        .collect()
}

/// The fields of a query as parameters.
pub(super) fn asked(schema: &Value) -> Vec<Value> {
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields
        .map(|(name, schema)| {
            let mut schema = schema.clone();
            super::schemas::never_null(&mut schema);
            let text = schema
                .as_object_mut()
                .and_then(|fields| fields.remove("description"));
            let mut parameter = json!({ "name": name, "in": "query", "schema": schema });
            if let Some(text) = text {
                parameter["description"] = text;
            }
            if required.iter().any(|one| one == name) {
                parameter["required"] = true.into();
            }
            parameter
        })
        .collect()
}

/// What an operation may answer with instead of success, by its kind.
fn refusals(operation: &Operation) -> BTreeSet<u16> {
    let mut all = BTreeSet::from([400, 500, 503]);
    let writes = operation.method != Method::GET;
    match operation.access {
        Access::Public if writes => all.extend([401, 403, 409, 429]),
        Access::Public => {}
        _ => all.extend([401, 403]),
    }
    if operation.path.contains('{') {
        all.insert(404);
    }
    if writes {
        all.extend([404, 409, 413]);
    }
    let also = ALSO.iter().filter(|(name, _)| *name == operation.name);
    all.extend(also.flat_map(|(_, statuses)| statuses.iter()));
    all
}
