//! The description of the API.
use super::State;
use super::route::raw;
use crate::api::{self, openapi};
use crate::random;
use axum::Router;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use std::sync::OnceLock;

/// It changes with the program, so it is looked at again each time.
const KEEP: &str = "public, no-cache";

struct Document {
    /// Weak, because it is sent in more than one coding.
    etag: String,
    bytes: Bytes,
}

pub(super) fn routes() -> Router<State> {
    Router::new().merge(raw(api::OPENAPI, get(document)))
}

async fn document(headers: HeaderMap) -> Response {
    static DOCUMENT: OnceLock<Document> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| {
        let text = openapi::document().to_string();
        let hash = random::hash(&text);
        Document {
            etag: format!("W/\"{}\"", &hash[..32]),
            bytes: text.into(),
        }
    });
    let about = [
        (header::ETAG, document.etag.as_str()),
        (header::CACHE_CONTROL, KEEP),
    ];
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let tags = known
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    let tag = document.etag.trim_start_matches("W/");
    if tags
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == tag)
    {
        return (StatusCode::NOT_MODIFIED, about).into_response();
    }
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (kind, about, document.bytes.clone()).into_response()
}
