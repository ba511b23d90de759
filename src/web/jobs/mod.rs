//! The list of jobs: filtered by its address, paged, and up to date while any
//! job that it shows is active.
mod callback;
mod detail;
mod feed;
mod list;
mod output;
pub(super) mod text;
mod view;

pub(super) use detail::Which;
pub(super) use view::{path, relaxed};

use super::Portal;
use axum::Router;
use axum::routing::{get, post};

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route("/portal/jobs", get(list::index))
        .route("/portal/jobs/{job}", get(detail::show))
        .route("/portal/jobs/{job}/live", get(detail::live))
        .route(
            "/portal/jobs/{job}/cancel",
            get(detail::ask_cancel).post(detail::cancel),
        )
        .route("/portal/jobs/{job}/rerun", post(detail::rerun))
}
