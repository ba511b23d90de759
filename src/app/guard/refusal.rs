//! How the guard says no: small, clear, in the language of whoever asked.
use super::RequestId;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;
use std::borrow::Cow;

/// Whether to answer in JSON or as a page.
#[derive(Debug, Clone, Copy)]
pub(super) enum Speech {
    Json,
    /// For the clients of `/v1/mcp`, with `"ok": false`.
    Enveloped,
    Html,
}

impl Speech {
    pub(super) fn of(request: &Request) -> Self {
        let path = request.uri().path();
        let api = ["/v1", "/auth"].iter().any(|root| {
            path.strip_prefix(root)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        let accepted = request.headers().get_all(header::ACCEPT);
        let html = accepted.iter().any(|value| {
            value
                .to_str()
                .is_ok_and(|value| value.contains("text/html"))
        });
        match path.strip_prefix("/v1/mcp") {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Self::Enveloped,
            _ if html && !api => Self::Html,
            _ => Self::Json,
        }
    }
}

/// One answer of the guard's.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
}

const fn refusal(status: StatusCode, code: &'static str, message: &'static str) -> Refusal {
    Refusal {
        status,
        code,
        message: Cow::Borrowed(message),
    }
}

impl Refusal {
    pub(super) const METHOD: Self = refusal(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        "That method is not allowed.",
    );
    pub(super) const UNKNOWN_METHOD: Self = refusal(
        StatusCode::NOT_IMPLEMENTED,
        "METHOD_NOT_IMPLEMENTED",
        "That method is not known.",
    );
    pub(super) const URI_TOO_LONG: Self = refusal(
        StatusCode::URI_TOO_LONG,
        "URI_TOO_LONG",
        "The address is longer than 8,192 bytes.",
    );
    pub(super) const MISDIRECTED: Self = refusal(
        StatusCode::MISDIRECTED_REQUEST,
        "MISDIRECTED_REQUEST",
        "This server does not answer to that name. If it should, its operator has to set the public URL.",
    );
    pub(super) const EXPECTATION: Self = refusal(
        StatusCode::EXPECTATION_FAILED,
        "EXPECTATION_FAILED",
        "Only 100-continue can be expected.",
    );
    pub(super) const CODING: Self = refusal(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_CONTENT_ENCODING",
        "Bodies must be sent without a content coding.",
    );
    pub(super) const TOO_LARGE: Self = refusal(
        StatusCode::PAYLOAD_TOO_LARGE,
        "PAYLOAD_TOO_LARGE",
        "The body is larger than is allowed here.",
    );
    pub(super) const TOO_SLOW: Self = refusal(
        StatusCode::REQUEST_TIMEOUT,
        "REQUEST_TIMEOUT",
        "The body arrived too slowly.",
    );

    pub(super) const fn invalid(message: &'static str) -> Self {
        refusal(StatusCode::BAD_REQUEST, "INVALID_REQUEST", message)
    }

    pub(super) fn panicked(id: &RequestId) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            code: "INTERNAL_ERROR",
            message: format!(
                "Something went wrong on our side. If it persists, tell the operator: request {id}."
            )
            .into(),
        }
    }

    pub(super) fn answer(self, speech: Speech) -> Response {
        let Self {
            status,
            code,
            message,
        } = self;
        let mut response = match speech {
            Speech::Json | Speech::Enveloped => {
                let mut body = json!({
                    "error": { "code": code, "message": message },
                    "code": code,
                    "message": message,
                });
                if matches!(speech, Speech::Enveloped) {
                    body["ok"] = json!(false);
                }
                (status, axum::Json(body)).into_response()
            }
            // No text here comes from the request, so nothing needs escaping.
            Speech::Html => {
                let title = status.canonical_reason().unwrap_or("Refused");
                let page = format!(
                    "<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>\
                     <h1>{title}</h1><p>{message}</p></html>"
                );
                (status, axum::response::Html(page)).into_response()
            }
        };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if status == StatusCode::METHOD_NOT_ALLOWED {
            let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
            headers.insert(header::ALLOW, allowed);
        }
        // The rest of the request is of no use, and perhaps long.
        if status != StatusCode::INTERNAL_SERVER_ERROR {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
