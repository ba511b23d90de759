//! Files compiled into the binary, served under names that change with them.
use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;

const CSS: &str = include_str!("../../assets/jungle.css");

/// The source expression that lets a page carry [`stylesheet`] inline.
pub(crate) const STYLE_CSP_HASH: &str = "sha256-MYLxQGMeWrPNcPWtRvON0A3b5vJxmRDn57MUjFuyPfA=";

/// The text of the stylesheet, for pages that carry it inline.
pub(crate) fn stylesheet() -> &'static str {
    CSS
}

/// The path to serve `name` from.
///
/// # Panics
///
/// If there is no such file; a test renders every page, so none gets out.
pub(crate) fn url(name: &str) -> &'static str {
    match name {
        "jungle.css" => "/assets/jungle.01de466b.css",
        "app.js" => "/assets/app.9453a94c.js",
        "icons.svg" => "/assets/icons.de9d0dc6.svg",
        "mark.svg" => "/assets/mark.5d73e2e3.svg",
        _ => panic!("no asset named {name}"),
    }
}

/// Serves every file.
pub(crate) fn routes() -> Router {
    let file = |kind: &'static str, text: &'static str| {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        ];
        get(async move || (headers, text).into_response())
    };
    Router::new()
        .route(url("jungle.css"), file("text/css", CSS))
        .route(
            url("app.js"),
            file("text/javascript", include_str!("../../assets/app.js")),
        )
        .route(
            url("icons.svg"),
            file("image/svg+xml", include_str!("../../assets/icons.svg")),
        )
        .route(
            url("mark.svg"),
            file("image/svg+xml", include_str!("../../assets/mark.svg")),
        )
        .route(
            "/assets/canopy.svg",
            file("image/svg+xml", include_str!("../../assets/canopy.svg")),
        )
}
