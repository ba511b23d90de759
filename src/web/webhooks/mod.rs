//! `/portal/webhooks`: what calls about the ends of jobs are signed with.
mod page;
mod rotate;

use super::Portal;
use axum::Router;
use axum::routing::get;

pub(super) const PATH: &str = "/portal/webhooks";

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(PATH, get(page::show)).route(
        "/portal/webhooks/rotate",
        get(rotate::ask).post(rotate::rotate),
    )
}
