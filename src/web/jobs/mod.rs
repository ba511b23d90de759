//! The list of jobs: filtered by its address, paged, and up to date while any
//! job that it shows is active.
mod again;
mod asked;
mod bulk;
mod callback;
mod detail;
mod feed;
mod list;
mod output;
mod plain;
mod record;
pub(super) mod text;
mod view;

pub(super) use detail::Which;
pub(super) use view::{path, relaxed};

use super::{Portal, assets};
use axum::Router;
use axum::routing::{get, post};
use maud::{Markup, html};

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route("/portal/jobs", get(list::index))
        .route("/portal/jobs/cancel", get(bulk::review).post(bulk::cancel))
        .route("/portal/jobs/{job}", get(detail::show))
        .route("/portal/jobs/{job}/live", get(detail::live))
        .route(
            "/portal/jobs/{job}/cancel",
            get(detail::ask_cancel).post(detail::cancel),
        )
        .route(
            "/portal/jobs/{job}/callback/send",
            post(detail::send_callback),
        )
        .route("/portal/jobs/{job}/rerun", post(again::rerun))
        .route("/portal/jobs/{job}/clone", post(again::clone))
        .route("/portal/jobs/{job}/as/{form}", get(again::written))
        .route("/portal/jobs/{job}/record", get(record::show))
}

/// What these pages need besides what all have.
fn dress() -> Markup {
    html! { link rel="stylesheet" href=(assets::url("jobs.css")); }
}
