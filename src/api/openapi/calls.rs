//! What the server calls, instead of being called.
use super::schemas::Schemas;
use crate::api::ended::JobEnded;
use serde_json::{Value, json};

/// The headers of a callback, and what is in them.
const HEADERS: [(&str, &str); 4] = [
    ("webhook-id", "The same each time that this is told."),
    ("webhook-timestamp", "Seconds since 1970, of this attempt."),
    (
        "webhook-signature",
        "`v1,` and the HMAC-SHA256 of id, timestamp and body, as Standard Webhooks says.",
    ),
    (
        "Authorization",
        "`Bearer` and `callback_auth_token`, if there is one.",
    ),
];

pub(super) fn all(schemas: &mut Schemas) -> Value {
    let headers = HEADERS.iter().map(|(name, text)| {
        json!({ "name": name, "in": "header", "description": text, "schema": { "type": "string" } })
    });
    let body = schemas.sent::<JobEnded>();
    json!({
        "jobEnded": { "post": {
            "operationId": "jobEnded",
            "summary": "A job with a callback has ended",
            "description": "Told at least once, whatever the end is.",
            "parameters": headers.collect::<Vec<_>>(),
            "requestBody": {
                "required": true,
                "content": { "application/json": { "schema": body } },
            },
            "responses": {
                "2XX": { "description": "Taken: it is not told again." },
                "410": { "description": "Not wanted: it is not told again." },
                "default": { "description": "It is told again later, for about a day." },
            },
        } },
    })
}
