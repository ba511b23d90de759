//! `/portal/api-keys`: the keys with which programs act for the workspace.
mod change;
mod create;
mod form;
mod list;
mod made;
mod once;
mod page;
mod words;

pub(super) use once::Forms;

use super::{Error, Portal};
use crate::domain::id::ApiKeyId;
use axum::Router;
use axum::extract::{FromRequestParts, Path};
use axum::routing::{get, post};
use http::request::Parts;

const PATH: &str = "/portal/api-keys";

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(PATH, get(list::index).post(create::create))
        .route("/portal/api-keys/new", get(create::ask))
        .route("/portal/api-keys/{key}", get(page::show).post(page::save))
        .route(
            "/portal/api-keys/{key}/rotate",
            get(change::ask_rotation).post(change::rotate),
        )
        .route(
            "/portal/api-keys/{key}/disable",
            get(change::ask_disabling).post(change::disable),
        )
        .route("/portal/api-keys/{key}/enable", post(change::enable))
        .route(
            "/portal/api-keys/{key}/revoke",
            get(change::ask_revocation).post(change::revoke),
        )
}

/// Where a key's page is.
fn path(id: ApiKeyId) -> String {
    format!("{PATH}/{id}")
}

/// The key of the address. What cannot be an id is as missing as one that was
/// never given.
struct Which(ApiKeyId);

impl FromRequestParts<Portal> for Which {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Error> {
        let path = Path::<ApiKeyId>::from_request_parts(parts, portal).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Error::NotFound)
    }
}
