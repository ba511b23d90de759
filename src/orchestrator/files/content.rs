//! Hands out files to whoever has the address.
use super::links::{self, Use};
use crate::domain::id::ArtifactId;
use crate::domain::sniff::{Content, LOOKED_AT};
use crate::orchestrator::jobs::download::{Wanted, range};
use crate::orchestrator::{Error, State, route};
use crate::store::artifacts::{self as table, Artifact};
use axum::body::Body;
use axum::extract::{Path, State as Extracted};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use std::io::{self, SeekFrom};
use std::path::PathBuf;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

/// So much of a file is in memory while it is sent.
pub(super) const PIECE: usize = 64 * 1024;

/// `GET` and `HEAD`, with one byte range, `If-Range` and `If-None-Match`.
pub(super) async fn fetch(
    Extracted(state): Extracted<State>,
    mut parts: Parts,
) -> Result<Response, Error> {
    let Path((id,)) = route::path::<(ArtifactId,)>(&mut parts, &state).await?;
    let query = route::query::<links::Query>(&parts.uri)?;
    let how = links::check(&state, id, &query)?;
    let mut conn = state.store().read().await?;
    let artifact = table::find_for_link(&mut conn, id, state.now()).await?;
    drop(conn);
    let artifact = artifact.ok_or_else(links::nothing)?;
    let mut file = open(state.disk().artifact(&artifact.place)).await?;
    let (content_type, how) = shown_as(&mut file, &artifact, how).await?;
    let length = u64::try_from(artifact.size).unwrap_or(0);
    let tag = format!("\"{}\"", &artifact.sha256.get(..32).unwrap_or_default());
    let mut headers = HeaderMap::new();
    set(&mut headers, header::ETAG, &tag);
    set(&mut headers, header::ACCEPT_RANGES, "bytes");
    harmless(&mut headers, content_type);
    let name = artifact.filename.rsplit('/').next().unwrap_or_default();
    let disposition = match how {
        Use::Saved => "attachment",
        Use::Shown => "inline",
    };
    set(
        &mut headers,
        header::CONTENT_DISPOSITION,
        &disposed(disposition, name),
    );
    let (status, first, count) = match range(&parts.headers, &tag, length) {
        Wanted::Known => return Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
        Wanted::None => {
            let size = format!("bytes */{length}");
            set(&mut headers, header::CONTENT_RANGE, &size);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
        Wanted::All => (StatusCode::OK, 0, length),
        Wanted::Part(first, last) => {
            let part = format!("bytes {first}-{last}/{length}");
            set(&mut headers, header::CONTENT_RANGE, &part);
            (StatusCode::PARTIAL_CONTENT, first, last - first + 1)
        }
    };
    set(&mut headers, header::CONTENT_LENGTH, &count.to_string());
    let body = if parts.method == http::Method::HEAD {
        Body::empty()
    } else {
        file.seek(SeekFrom::Start(first)).await.map_err(broken)?;
        Body::from_stream(ReaderStream::with_capacity(file.take(count), PIECE))
    };
    Ok((status, headers, body).into_response())
}

/// The file, read in pieces that are not large.
pub(super) async fn open(path: PathBuf) -> Result<File, Error> {
    let mut file = File::open(path).await.map_err(broken)?;
    file.set_max_buf_size(PIECE);
    Ok(file)
}

/// Only pictures are ever shown, and only as what they are.
async fn shown_as(
    file: &mut File,
    artifact: &Artifact,
    how: Use,
) -> Result<(&'static str, Use), Error> {
    if how == Use::Shown {
        let mut head = vec![0; LOOKED_AT];
        let read = file.read(&mut head).await.map_err(broken)?;
        let whole = usize::try_from(artifact.size).is_ok_and(|size| size <= read);
        let content = Content::of(&head[..read], whole);
        if content.is_picture() {
            return Ok((content.media_type(), Use::Shown));
        }
    }
    Ok(("application/octet-stream", Use::Saved))
}

/// What keeps a stranger's file from doing anything in a browser.
pub(super) fn harmless(headers: &mut HeaderMap, content_type: &str) {
    set(headers, header::CONTENT_TYPE, content_type);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    let policy = "sandbox; default-src 'none'; frame-ancestors 'none'";
    set(headers, header::CONTENT_SECURITY_POLICY, policy);
    let own = HeaderName::from_static("cross-origin-resource-policy");
    set(headers, own, "same-origin");
    // Nor is it compressed on its way, which would cost it its length.
    let store = "no-store, no-transform";
    set(headers, header::CACHE_CONTROL, store);
    let buffering = HeaderName::from_static("x-accel-buffering");
    set(headers, buffering, "no");
}

/// RFC 6266: a name for old clients, and the name itself.
pub(super) fn disposed(how: &str, name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " ._-()+,=@".contains(c);
    let old: String = name
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .collect();
    let exact: String = name
        .bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || b"._-~".contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    format!("{how}; filename=\"{old}\"; filename*=UTF-8''{exact}")
}

pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

pub(super) fn broken(error: io::Error) -> Error {
    Error::Internal(anyhow::Error::new(error).context("a kept file cannot be read"))
}

#[cfg(test)]
mod tests {
    use super::disposed;

    #[test]
    fn any_name_fits_into_a_header() {
        assert_eq!(
            disposed("attachment", "a \"b\"\r\n;é.txt"),
            "attachment; filename=\"a _b_____.txt\"; filename*=UTF-8''a%20%22b%22%0D%0A%3B%C3%A9.txt"
        );
    }
}
