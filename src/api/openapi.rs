//! The API's description in the words of `OpenAPI` 3.1, made of the tables in
//! [`crate::api`] and of the types that they name.
//!
//! A new endpoint describes itself: its line gives method, path, access, status and
//! text, and its types the schemas. What a program cannot know is in
//! `operations` (which refusals are usual, which operations have a twin) and
//! in `raw` (streams and files).
mod calls;
mod operations;
mod raw;
mod schemas;

pub use operations::{Operation, TWINS};
pub use schemas::Schemas;

use super::problem::Problem;
use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// How a time is written: RFC 3339 in UTC. For fields of the time crate's own type,
/// which cannot describe itself.
#[derive(Debug)]
pub struct Time;

impl JsonSchema for Time {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// The whole document. It is the same every time: make it once and keep it.
#[must_use]
pub fn document() -> Value {
    let mut schemas = Schemas::new();
    let problem = schemas.sent::<Problem>();
    let mut paths = Map::new();
    operations::add(&mut paths, &mut schemas);
    raw::add(&mut paths, &mut schemas);
    let calls = calls::all(&mut schemas);
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Jungle Grid",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
        },
        "servers": [{ "url": "/" }],
        "tags": tags(&paths),
        "paths": paths,
        "webhooks": calls,
        "components": {
            "responses": refusals(&problem),
            "securitySchemes": {
                "session": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "jgs_…",
                    "description": "A signed-in person: the token that `/auth/signin` and `/auth/otp/verify` answer with. It opens everything that its holder may do.",
                },
                "apiKey": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "jg_…",
                    "description": "A program's key. It opens an operation that lists one of the key's scopes.",
                },
            },
        },
    });
    document["components"]["schemas"] = schemas.finish(&mut document);
    document
}

const ABOUT: &str = "Say what is to run, see what it will cost and when it will start, run it, \
    fetch the results.\n\nBodies are JSON in snake_case. Times are RFC 3339 in UTC, amounts are \
    numbers of US dollars. Unknown fields of a request are ignored, and a request's body may be \
    empty where nothing in it is required. What is not there is left out: `null` appears only where \
    a schema says so. Answers may get more fields with time. Operations below `/v1/mcp` answer \
    `{\"ok\": true, \"data\": …}`, and `{\"ok\": false, \"error\": …}` when they refuse.";

/// What an operation may answer with instead, by status.
const REFUSALS: &[(u16, &str, &str)] = &[
    (
        400,
        "BadRequest",
        "The request makes no sense; `error.fields` says what is wrong per field.",
    ),
    (
        401,
        "Unauthorized",
        "No valid bearer token, or the wrong password.",
    ),
    (402, "PaymentRequired", "The workspace cannot pay for it."),
    (403, "Forbidden", "Known who, but not allowed."),
    (
        404,
        "NotFound",
        "There is nothing under this id in the workspace.",
    ),
    (409, "Conflict", "It cannot be done now, or not any more."),
    (410, "Gone", "It was there; its time is over."),
    (413, "TooLarge", "The body is too large."),
    (416, "RangeNotSatisfiable", "There is no such range."),
    (
        422,
        "Unprocessable",
        "It can never run here; `error.fields` says why.",
    ),
    (
        429,
        "TooManyRequests",
        "Too often, or too many at once; `Retry-After` says when to come back.",
    ),
    (
        500,
        "InternalError",
        "Something went wrong on the server's side.",
    ),
    (
        503,
        "Unavailable",
        "Not at the moment; trying again later may work.",
    ),
];

/// What the server says before any operation sees the request.
const BEFOREHAND: &str = "Refused before it came to the operation: a host, a method, a length or a \
    pace that the server does not accept.";

fn refusals(problem: &Value) -> Value {
    let mut all = Map::new();
    for (status, name, text) in REFUSALS {
        all.insert((*name).to_owned(), refusal(*status, text, problem));
        let enveloped = refusal(*status, text, &enveloped_problem(problem));
        all.insert(format!("Mcp{name}"), enveloped);
    }
    all.insert("Refused".into(), refusal(0, BEFOREHAND, problem));
    let enveloped = refusal(0, BEFOREHAND, &enveloped_problem(problem));
    all.insert("McpRefused".into(), enveloped);
    all.into()
}

fn refusal(status: u16, text: &str, body: &Value) -> Value {
    let mut refusal = json!({
        "description": text,
        "content": { "application/json": { "schema": body } },
    });
    if status == 416 {
        // How long it is says enough.
        return json!({
            "description": text,
            "headers": { "Content-Range": { "schema": { "type": "string" } } },
        });
    }
    if status == 429 {
        refusal["headers"] = json!({
            "Retry-After": { "description": "Seconds.", "schema": { "type": "integer" } },
        });
    }
    refusal
}

/// The problem with `"ok": false`; its own fields stay where they are.
fn enveloped_problem(problem: &Value) -> Value {
    json!({ "allOf": [
        { "type": "object", "properties": { "ok": { "const": false } }, "required": ["ok"] },
        problem,
    ] })
}

/// Where the answer of that status is described.
fn refused(status: u16, enveloped: bool) -> Value {
    let known = REFUSALS.iter().find(|(known, _, _)| *known == status);
    let (_, name, _) = known.expect("a status of the list of refusals");
    let family = if enveloped { "Mcp" } else { "" };
    json!({ "$ref": format!("#/components/responses/{family}{name}") })
}

fn reason(status: u16) -> &'static str {
    let status = StatusCode::from_u16(status).ok();
    status
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Success")
}

/// One per family of paths, in their order.
fn tags(paths: &Map<String, Value>) -> Value {
    let mut names: Vec<&str> = paths.keys().map(|path| tag(path)).collect();
    names.dedup();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| json!({ "name": name }))
        .collect()
}

/// `/v1/jobs/{job}` is of `jobs`, `/auth/signin` of `auth`.
fn tag(path: &str) -> &str {
    let path = path.strip_prefix("/v1").unwrap_or(path);
    path.split(['/', '.']).nth(1).unwrap_or_default()
}
