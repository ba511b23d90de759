//! `/portal/templates`: the catalogue, launches, and the apps that run.
mod board;
pub(super) mod card;
pub(super) mod catalogue;
mod extend;
mod failed;
mod feed;
mod history;
mod launch;
mod output;
mod page;
mod price;
mod rows;
mod session;
mod settings;
mod template;
mod watch;
mod words;

pub(super) use words::ended_for;

use super::{Error, Portal};
use crate::domain::id::AppSessionId;
use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::routing::{get, post};
use http::request::Parts;

/// The catalogue.
const CATALOGUE: &str = "/portal/templates";
/// Every session of the workspace.
const SESSIONS: &str = "/portal/templates/sessions";

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(CATALOGUE, get(catalogue::index))
        .route(SESSIONS, get(history::index))
        .route("/portal/templates/sessions/{session}", get(session::show))
        .route(
            "/portal/templates/sessions/{session}/live",
            get(session::live),
        )
        .route(
            "/portal/templates/sessions/{session}/poll",
            get(session::poll),
        )
        .route(
            "/portal/templates/sessions/{session}/watch",
            get(watch::watch),
        )
        .route(
            "/portal/templates/sessions/{session}/stop",
            get(session::ask_stop).post(session::stop),
        )
        .route(
            "/portal/templates/sessions/{session}/extend",
            get(extend::ask).post(extend::extend),
        )
        .route(
            "/portal/templates/sessions/{session}/open",
            post(session::open),
        )
        .route(
            "/portal/templates/{slug}",
            get(template::show).post(launch::launch),
        )
        .route(board::PATH, get(board::show))
        .route("/portal/operator/launches/live", get(board::live))
}

/// Where a session's page is.
pub(super) fn path(id: AppSessionId) -> String {
    format!("{SESSIONS}/{id}")
}

/// Where a template's page is.
fn template_path(slug: &str) -> String {
    let slug: String = url::form_urlencoded::byte_serialize(slug.as_bytes()).collect();
    format!("{CATALOGUE}/{slug}")
}

/// The session of the address. What cannot be an id is as missing as one that
/// was never given.
struct Which(AppSessionId);

impl FromRequestParts<Portal> for Which {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Error> {
        let path = Path::<AppSessionId>::from_request_parts(parts, portal).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Error::NotFound)
    }
}
