//! What jobs print: of all of them, and all of one.
pub(super) mod ansi;
mod asked;
pub(super) mod blocks;
mod everywhere;
mod feed;
mod lines;
mod page;
mod zone;

use super::jobs::Which;
use super::viewer::Viewer;
use super::{Error, Portal, assets};
use crate::domain::id::JobId;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, header};
use maud::{Markup, html};

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route("/portal/logs", get(everywhere::index))
        .route("/portal/jobs/{job}/logs", get(page::show))
        .route("/portal/jobs/{job}/logs/live", get(page::live))
        .route("/portal/jobs/{job}/logs/download", get(download))
        // Its name before it had parts.
        .route("/portal/jobs/{job}/output", get(download))
}

/// Where the output of a job is.
fn path(id: JobId) -> String {
    format!("{}/logs", super::jobs::path(id))
}

/// What any page with output needs: its colours.
pub(super) fn colors() -> Markup {
    html! { link rel="stylesheet" href=(assets::url("logs.css")); }
}

/// What these pages need besides what all have.
fn dress() -> Markup {
    html! {
        (colors())
        script src=(assets::url("logs.js")) defer {}
    }
}

/// All of it, or the part that was asked for, as the orchestrator sends it.
async fn download(viewer: Viewer, Which(id): Which, headers: HeaderMap) -> Result<Response, Error> {
    let mut response = viewer.api.log_text(id, &headers).await?;
    // What belongs to one connection is not passed on.
    response.headers_mut().remove(header::CONNECTION);
    Ok(response)
}

/// `1.4 MB`, `17 kB`, `812 bytes`.
fn size(bytes: i64) -> String {
    let bytes = bytes.max(0);
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", (bytes + 500) / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes % 1_000_000 / 100_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_briefly() {
        for (bytes, said) in [
            (-1, "0 bytes"),
            (812, "812 bytes"),
            (16_700, "17 kB"),
            (1_449_999, "1.4 MB"),
            (100_000_000, "100.0 MB"),
        ] {
            assert_eq!(size(bytes), said);
        }
    }
}
