//! `/portal/templates`: the catalogue, launches, and the apps that run.
use crate::web::Portal;
use axum::Router;

pub(super) fn routes() -> Router<Portal> {
    Router::new()
}
