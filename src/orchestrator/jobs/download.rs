//! All that a job has printed, as one text that can be had in parts.
use super::find;
use crate::domain::id::JobId;
use crate::orchestrator::{Caller, Error, State, route};
use crate::store::jobs::logs::{self, Piece};
use axum::body::Body;
use axum::extract::{Path, State as Extracted};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use std::io;

/// `GET` and `HEAD`, with one byte range, `If-Range` and `If-None-Match`. The text is
/// UTF-8, one line of it per line of output; where lines were dropped, one says so.
pub(super) async fn text(
    Extracted(state): Extracted<State>,
    caller: Result<Caller, Error>,
    mut parts: Parts,
) -> Result<Response, Error> {
    let caller = caller?;
    let Path((id,)) = route::path::<(JobId,)>(&mut parts, &state).await?;
    let mut conn = state.store().read().await?;
    let job = find(&mut conn, caller.workspace, id).await?;
    let extent = logs::extent(&mut conn, id).await?;
    let tag = format!("\"{}-{}\"", tail(&id.to_string()), extent.tag());
    let length = extent.length.unsigned_abs();
    let part = match range(&parts.headers, &tag, length) {
        Wanted::Known => return Ok(with(StatusCode::NOT_MODIFIED, &tag, Body::empty())),
        Wanted::None => {
            let mut response = with(StatusCode::RANGE_NOT_SATISFIABLE, &tag, Body::empty());
            set(
                response.headers_mut(),
                header::CONTENT_RANGE,
                &format!("bytes */{length}"),
            );
            return Ok(response);
        }
        Wanted::All => None,
        Wanted::Part(first, last) => Some((first, last)),
    };
    let (first, end) = part.map_or((0, length), |(first, last)| (first, last + 1));
    let offset = i64::try_from(first).unwrap_or(i64::MAX);
    let at = Piece::at(&mut conn, id, &extent, offset).await?;
    drop(conn);
    let status = if part.is_some() {
        StatusCode::PARTIAL_CONTENT
    } else {
        StatusCode::OK
    };
    let body = if parts.method == http::Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(pieces(state, id, at, end - first))
    };
    let mut response = with(status, &tag, body);
    let headers = response.headers_mut();
    set(headers, header::CONTENT_TYPE, "text/plain; charset=utf-8");
    set(headers, header::CONTENT_LENGTH, &(end - first).to_string());
    let name = format!("attachment; filename=\"{id}.txt\"");
    set(headers, header::CONTENT_DISPOSITION, &name);
    set(headers, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    if let Some((first, last)) = part {
        set(
            headers,
            header::CONTENT_RANGE,
            &format!("bytes {first}-{last}/{length}"),
        );
    }
    if !job.state.ended() {
        // For whoever watches it grow.
        set(
            headers,
            header::HeaderName::from_static("junglegrid-live"),
            "true",
        );
    }
    Ok(response)
}

/// The text from `at` on, so many bytes of it. Between two pieces nothing is held but
/// their place, however slowly they are fetched.
fn pieces(
    state: State,
    id: JobId,
    mut at: Piece,
    mut left: u64,
) -> impl futures_util::Stream<Item = io::Result<Vec<u8>>> + Send + 'static {
    async_stream::try_stream! {
        while left > 0 {
            let piece = next(&state, id, &mut at).await.map_err(io::Error::other)?;
            // Shorter than was promised: the client sees that it was broken off.
            let mut piece = piece.ok_or_else(|| io::Error::other("it has been cut meanwhile"))?;
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
            left -= piece.len() as u64;
            yield piece;
        }
    }
}

async fn next(
    state: &State,
    id: JobId,
    at: &mut Piece,
) -> Result<Option<Vec<u8>>, crate::store::Error> {
    let mut conn = state.store().read().await?;
    logs::piece(&mut conn, id, at).await
}

/// What tells ids of jobs apart: they begin with their time.
fn tail(id: &str) -> &str {
    id.get(id.len().saturating_sub(12)..).unwrap_or(id)
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::orchestrator) enum Wanted {
    All,
    /// The first byte and the last.
    Part(u64, u64),
    /// A part that there is not.
    None,
    /// The client has it.
    Known,
}

pub(in crate::orchestrator) fn range(headers: &HeaderMap, tag: &str, length: u64) -> Wanted {
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    if let Some(known) = text(header::IF_NONE_MATCH) {
        let mut known = known
            .split(',')
            .map(|one| one.trim().trim_start_matches("W/"));
        if known.any(|one| one == tag || one == "*") {
            return Wanted::Known;
        }
    }
    if text(header::IF_RANGE).is_some_and(|state| state != tag) {
        return Wanted::All;
    }
    let Some(range) = text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    part(range.trim(), length)
}

/// One range. What is no range at all, or several, is answered with everything, as
/// RFC 9110 allows.
fn part(range: &str, length: u64) -> Wanted {
    let Some((first, last)) = range.split_once('-') else {
        return Wanted::All;
    };
    let number = |text: &str| text.parse::<u64>().ok();
    match (first, last) {
        ("", last) => match number(last) {
            Some(0) => Wanted::None,
            Some(_) if length == 0 => Wanted::None,
            Some(count) => Wanted::Part(length.saturating_sub(count), length - 1),
            None => Wanted::All,
        },
        (first, "") => match number(first) {
            Some(first) if first < length => Wanted::Part(first, length - 1),
            Some(_) => Wanted::None,
            None => Wanted::All,
        },
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first > last => Wanted::All,
            (Some(first), Some(_)) if first >= length => Wanted::None,
            (Some(first), Some(last)) => Wanted::Part(first, last.min(length - 1)),
            _ => Wanted::All,
        },
    }
}

fn with(status: StatusCode, tag: &str, body: Body) -> Response {
    let mut response = (status, body).into_response();
    let headers = response.headers_mut();
    set(headers, header::ETAG, tag);
    set(headers, header::ACCEPT_RANGES, "bytes");
    set(headers, header::CACHE_CONTROL, "no-store, no-transform");
    response
}

fn set(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        for (range, length, wanted) in [
            ("0-9", 100, Wanted::Part(0, 9)),
            ("90-", 100, Wanted::Part(90, 99)),
            ("-10", 100, Wanted::Part(90, 99)),
            ("-1000", 100, Wanted::Part(0, 99)),
            ("99-200", 100, Wanted::Part(99, 99)),
            ("100-", 100, Wanted::None),
            ("100-200", 100, Wanted::None),
            ("-0", 100, Wanted::None),
            ("0-", 0, Wanted::None),
            ("-1", 0, Wanted::None),
            ("9-1", 100, Wanted::All),
            ("0-1,5-6", 100, Wanted::All),
            ("x", 100, Wanted::All),
            ("-", 100, Wanted::All),
            ("-99999999999999999999", 100, Wanted::All),
        ] {
            assert_eq!(part(range, length), wanted, "{range} of {length}");
        }
    }
}
