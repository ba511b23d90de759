//! Files themselves, through the portal: a browser need not reach the orchestrator, and
//! no form is sent to another origin. Whatever a file says that it is, nothing of it is
//! ever run in the portal's name.
use super::{PATH, Which, words};
use crate::api::artifacts::{Archive, Artifact, PreviewKind};
use crate::api::{self, PathValues as _};
use crate::client::Client;
use crate::web::hx::{self, Wants};
use crate::web::jobs::text as characters;
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal};
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use std::fmt::Write as _;

/// What a file may do in a browser: nothing.
const HARMLESS: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";
/// Pictures that browsers only ever draw.
const PICTURES: [&str; 4] = ["image/png", "image/jpeg", "image/gif", "image/webp"];
/// So much of a text is shown, in bytes.
const TEXT: usize = 256 * 1024;
/// What is passed on of an answer besides its body.
const PASSED_ON: [HeaderName; 5] = [
    header::CONTENT_LENGTH,
    header::CONTENT_RANGE,
    header::CONTENT_DISPOSITION,
    header::ACCEPT_RANGES,
    header::ETAG,
];

/// The file, to be saved: all of it or the part that was asked for.
pub(super) async fn download(
    viewer: Viewer,
    Which(id): Which,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let artifact = viewer.api.artifact(id).await?.artifact;
    let made = viewer.api.download_artifact(artifact.job_id, id).await?;
    let answer = viewer.api.content(&made.url, &headers).await?;
    Ok(saved(answer, "application/octet-stream"))
}

/// To the archive that has just been made. Its name in the address is a secret that
/// works for a while, for whoever has it.
pub(super) fn lead_to(archive: &Archive) -> Response {
    let token = archive.url.rsplit('/').next().unwrap_or_default();
    hx::redirect(Wants::Page, &format!("{PATH}/zip/{token}"))
}

pub(super) async fn archive(
    _: Viewer,
    State(portal): State<Portal>,
    Path(token): Path<String>,
) -> Result<Response, Error> {
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if !token.chars().all(known) {
        return Err(Error::NotFound);
    }
    let at = (token,).fill(api::ARTIFACT_ZIP);
    let address = portal.config.public_url.join(&at);
    let address = address.map_err(|_| Error::NotFound)?;
    let all = HeaderMap::new();
    let answer = portal.api.content(address.as_str(), &all).await?;
    Ok(saved(answer, "application/zip"))
}

/// The answer as something to be saved.
fn saved(answer: Response, content_type: &'static str) -> Response {
    let mut response = harmless(answer, content_type);
    let headers = response.headers_mut();
    // Whatever it was to be before, it is saved now.
    let attached = headers
        .get(header::CONTENT_DISPOSITION)
        .is_some_and(|how| how.as_bytes().starts_with(b"attachment"));
    if !attached {
        let attachment = HeaderValue::from_static("attachment");
        headers.insert(header::CONTENT_DISPOSITION, attachment);
    }
    // Compressed it would lose its length, and what was broken off could not go on.
    let unbuffered = HeaderValue::from_static("no");
    headers.insert("x-accel-buffering", unbuffered);
    response
}

/// The answer with our own word on what it is.
fn harmless(answer: Response, content_type: &'static str) -> Response {
    let (parts, body) = answer.into_parts();
    let mut response = (parts.status, body).into_response();
    let headers = response.headers_mut();
    headers.clear();
    for name in PASSED_ON {
        if let Some(value) = parts.headers.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    for (name, value) in [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, HARMLESS),
        (header::CACHE_CONTROL, "no-store, no-transform"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A picture, in a page of ours. What is none is nowhere.
pub(super) async fn image(viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    let preview = viewer.api.preview_artifact(id).await?;
    let address = preview.image_url.ok_or(Error::NotFound)?;
    let answer = viewer.api.content(&address, &HeaderMap::new()).await?;
    let said = answer.headers().get(header::CONTENT_TYPE);
    let said = said.and_then(|said| said.to_str().ok()).unwrap_or_default();
    let known = PICTURES.into_iter().find(|picture| *picture == said);
    Ok(harmless(answer, known.ok_or(Error::NotFound)?))
}

/// The beginning of a text, as plain text.
pub(super) async fn text(viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    let artifact = viewer.api.artifact(id).await?.artifact;
    let preview = viewer.api.preview_artifact(id).await?;
    let (text, cut) = match (preview.kind, preview.text) {
        (PreviewKind::Json, Some(text)) => (text, preview.truncated),
        (PreviewKind::Text | PreviewKind::Csv, _) => beginning(&viewer.api, &artifact).await?,
        _ => return Err(Error::NotFound),
    };
    let mut shown = characters::visible(&text.replace("\r\n", "\n"));
    if cut {
        let all = words::size(artifact.size_bytes.unwrap_or_default());
        let _ = write!(shown, "\n[The rest of {all} is in the download.]\n");
    }
    Ok(harmless(
        Body::from(shown).into_response(),
        "text/plain; charset=utf-8",
    ))
}

/// So much of it as is shown, and whether there is more.
async fn beginning(api: &Client, artifact: &Artifact) -> Result<(String, bool), Error> {
    let made = api.download_artifact(artifact.job_id, artifact.id).await?;
    let mut asked = HeaderMap::new();
    if let Ok(range) = HeaderValue::try_from(format!("bytes=0-{}", TEXT - 1)) {
        asked.insert(header::RANGE, range);
    }
    let answer = api.content(&made.url, &asked).await?;
    if answer.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return Ok((String::new(), false));
    }
    let bytes = Limited::new(answer.into_body(), TEXT).collect().await;
    let bytes = bytes.map_err(|_| Error::Internal("a file arrived other than announced"))?;
    let bytes = bytes.to_bytes();
    let size = usize::try_from(artifact.size_bytes.unwrap_or_default()).unwrap_or(usize::MAX);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Ok((text, bytes.len() < size))
}
