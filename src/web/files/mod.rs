//! Files: what jobs leave behind, and what people bring for them.
mod change;
mod content;
mod link;
mod list;
pub(super) mod of_job;
mod page;
pub(super) mod progress;
pub(super) mod receive;
mod uploads;
pub(super) mod words;

use super::{Error, Portal};
use crate::domain::id::{ArtifactId, InputId};
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path};
use axum::routing::{get, post};
use http::request::Parts;

const PATH: &str = "/portal/artifacts";
/// Where the files are that people have brought.
pub(super) const UPLOADS: &str = "/portal/inputs";

pub(super) fn routes() -> Router<Portal> {
    // Whoever takes the bytes knows how many there may be.
    let uploads = get(uploads::index)
        .post(uploads::upload)
        .layer(DefaultBodyLimit::disable());
    Router::new()
        .route(PATH, get(list::index))
        .route("/portal/artifacts/zip", post(list::pack))
        .route("/portal/artifacts/zip/{token}", get(content::archive))
        .route("/portal/artifacts/{artifact}", get(page::show))
        .route(
            "/portal/artifacts/{artifact}/download",
            get(content::download),
        )
        .route("/portal/artifacts/{artifact}/image", get(content::image))
        .route("/portal/artifacts/{artifact}/text", get(content::text))
        .route(
            "/portal/artifacts/{artifact}/delete",
            get(change::ask).post(change::delete),
        )
        .route(
            "/portal/artifacts/{artifact}/link",
            get(link::leave).post(link::make),
        )
        .route(UPLOADS, uploads)
        .route(
            "/portal/inputs/{input}/delete",
            get(uploads::ask).post(uploads::delete),
        )
}

pub(super) use uploads::chooser;

/// Where the page of an artifact is.
fn path(id: ArtifactId) -> String {
    format!("{PATH}/{id}")
}

/// The artifact of the address. What cannot be an id is as missing as one that was
/// never given.
struct Which(ArtifactId);

impl FromRequestParts<Portal> for Which {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Error> {
        let path = Path::<ArtifactId>::from_request_parts(parts, portal).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Error::NotFound)
    }
}

/// The upload of the address.
struct Upload(InputId);

impl FromRequestParts<Portal> for Upload {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Error> {
        let path = Path::<InputId>::from_request_parts(parts, portal).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Error::NotFound)
    }
}
