//! Streams of what happens to apps.
use crate::orchestrator::State;
use axum::Router;

pub(super) fn routes() -> Router<State> {
    Router::new()
}
