//! `/healthz`: the process answers. `/readyz`: it can do its work.
use crate::store::Store;
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

/// A database that does not answer for this long is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

/// Without a store there is nothing to be ready for but serving pages.
pub(super) fn routes(store: Option<Store>) -> Router {
    Router::new()
        .route("/healthz", get(async || Json(json!({ "status": "ok" }))))
        .route("/readyz", get(ready))
        .with_state(store)
}

async fn ready(State(store): State<Option<Store>>) -> (StatusCode, Json<Value>) {
    let answers = match store {
        None => true,
        Some(store) => {
            matches!(
                tokio::time::timeout(PATIENCE, store.ping()).await,
                Ok(Ok(()))
            )
        }
    };
    if answers {
        (StatusCode::OK, Json(json!({ "status": "ready" })))
    } else {
        let why = json!({ "status": "not ready", "reason": "the database does not answer" });
        (StatusCode::SERVICE_UNAVAILABLE, Json(why))
    }
}
