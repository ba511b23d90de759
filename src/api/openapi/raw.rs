//! What answers in another way than with one JSON object.
use super::operations::{head, insert, places};
use super::schemas::Schemas;
use super::{reason, refused};
use crate::api::{self, Access, apps, jobs};
use serde_json::{Map, Value, json};

/// One entry for each line of the table of raw operations.
struct Raw {
    path: &'static str,
    kind: &'static str,
    statuses: &'static [u16],
    refusals: &'static [u16],
    /// Name, type and meaning.
    query: &'static [(&'static str, &'static str, &'static str)],
    headers: &'static [(&'static str, &'static str)],
    /// Of a stream: what the `data` of its events are.
    data: Option<fn(&mut Schemas) -> Value>,
}

const STREAM: Raw = Raw {
    path: "",
    kind: "text/event-stream",
    statuses: &[200],
    refusals: &[400, 401, 403, 404, 429, 500, 503],
    query: &[],
    headers: &[],
    data: None,
};

const SEEN: [(&str, &str, &str); 2] = [
    (
        "after_event",
        "integer",
        "The number of the last event that has been seen.",
    ),
    (
        "after_log",
        "integer",
        "The `entry_id` of the last line that has been seen.",
    ),
];
const RESUMED: [(&str, &str); 1] = [("Last-Event-ID", "Goes on after this one.")];

const RANGED: [(&str, &str); 3] = [
    ("Range", "One range of bytes."),
    ("If-Range", "Only if it is still this one."),
    ("If-None-Match", "Not again if it is this one."),
];

const ANSWERS: &[Raw] = &[
    Raw {
        path: api::OPENAPI,
        kind: "application/json",
        statuses: &[200, 304],
        refusals: &[],
        headers: &[("If-None-Match", "Not again if it is this one.")],
        ..STREAM
    },
    Raw {
        path: api::LOGS_DOWNLOAD,
        kind: "text/plain",
        statuses: &[200, 206, 304],
        refusals: &[400, 401, 403, 404, 416, 500, 503],
        headers: &RANGED,
        ..STREAM
    },
    Raw {
        path: api::LOGS_LIVE,
        query: &[("cursor", "string", "Goes on after this `entry_id`.")],
        headers: &RESUMED,
        ..STREAM
    },
    Raw {
        path: api::JOB_LIVE,
        query: &SEEN,
        data: Some(Schemas::sent::<jobs::Change>),
        ..STREAM
    },
    Raw {
        path: api::APP_EVENTS_LIVE,
        query: &[(
            "after",
            "integer",
            "The number of the last event that has been seen.",
        )],
        headers: &RESUMED,
        data: Some(Schemas::sent::<apps::Event>),
        ..STREAM
    },
    Raw {
        path: api::APP_LIVE,
        query: &SEEN,
        headers: &RESUMED,
        data: Some(Schemas::sent::<apps::Change>),
        ..STREAM
    },
    Raw {
        path: api::BOARD_LIVE,
        data: Some(Schemas::sent::<apps::Board>),
        ..STREAM
    },
    Raw {
        path: api::INPUT_CONTENT,
        kind: "application/json",
        refusals: &[400, 401, 404, 409, 410, 413, 429, 500, 503],
        query: &[(
            "token",
            "string",
            "That of the slot, unless it is sent as bearer.",
        )],
        ..STREAM
    },
    Raw {
        path: api::ARTIFACT_CONTENT,
        kind: "*/*",
        statuses: &[200, 206, 304],
        refusals: &[400, 403, 404, 410, 416, 429, 500, 503],
        headers: &RANGED,
        ..STREAM
    },
    Raw {
        path: api::ARTIFACT_ZIP,
        kind: "application/zip",
        refusals: &[400, 403, 404, 410, 429, 500, 503],
        ..STREAM
    },
];

pub(super) fn add(paths: &mut Map<String, Value>, schemas: &mut Schemas) {
    for ((method, path, access), (name, doc)) in api::RAW.iter().zip(api::RAW_DOCS) {
        let known = ANSWERS.iter().find(|answer| answer.path == *path);
        // A line without an entry is found by the test of the document.
        let Some(raw) = known else {
            continue;
        };
        insert(
            paths,
            path,
            method,
            describe(raw, schemas, (&camel(name), doc), *access),
        );
    }
}

fn describe(raw: &Raw, schemas: &mut Schemas, (name, doc): (&str, &str), access: Access) -> Value {
    let mut described = head(name, doc, raw.path, access);
    let mut parameters = places(raw.path, &Value::Null);
    parameters.extend(raw.query.iter().map(|(name, kind, text)| {
        json!({ "name": name, "in": "query", "description": text, "schema": { "type": kind } })
    }));
    parameters.extend(raw.headers.iter().map(|(name, text)| {
        json!({ "name": name, "in": "header", "description": text, "schema": { "type": "string" } })
    }));
    if !parameters.is_empty() {
        described["parameters"] = parameters.into();
    }
    let mut responses = Map::new();
    for status in raw.statuses {
        let mut answer = json!({ "description": reason(*status) });
        if *status != 304 {
            let schema = if raw.kind == "application/json" {
                json!({ "type": "object", "additionalProperties": true })
            } else {
                json!({ "type": "string" })
            };
            let mut content = json!({ "schema": schema });
            if let Some(data) = raw.data {
                content["x-event-data"] = data(schemas);
            }
            answer["content"] = json!({ raw.kind: content });
        }
        responses.insert(status.to_string(), answer);
    }
    for status in raw.refusals {
        responses.insert(status.to_string(), refused(*status, false));
    }
    responses.insert(
        "default".into(),
        json!({ "$ref": "#/components/responses/Refused" }),
    );
    described["responses"] = responses.into();
    described
}

/// `LOGS_LIVE` as `LogsLive`.
fn camel(name: &str) -> String {
    let words = name.split('_').filter(|word| !word.is_empty());
    let words: Vec<String> = words
        .map(|word| format!("{}{}", &word[..1], word[1..].to_ascii_lowercase()))
        .collect();
    words.concat()
}
