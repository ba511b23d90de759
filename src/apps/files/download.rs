//! Files on their way out, whole or in parts.
use super::place::encoded;
use super::{Error, Root, beside, place};
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum_extra::extract::Query;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;
use std::ffi::OsStr;
use std::io::SeekFrom;
use std::os::unix::fs::MetadataExt as _;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

/// Read at once; more would be memory for nothing.
const CHUNK: usize = 64 * 1024;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct How {
    /// Shown in a page rather than saved; only images are.
    show: bool,
}

pub(super) async fn download(
    State(root): Root,
    uri: Uri,
    Query(how): Query<How>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let place = place(&uri)?;
    let (name, file, about) = beside(move || {
        let (folder, name) = place.split().ok_or(Error::NoPlace)?;
        let file = root.walk(&folder)?.open(name)?;
        let about = file.metadata()?;
        Ok((name.to_owned(), file, about))
    })
    .await?;
    let size = about.len();
    let tag = format!(
        "\"{size:x}-{:x}-{:x}-{:x}\"",
        about.ino(),
        about.mtime(),
        about.mtime_nsec()
    );
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let same = text(header::IF_RANGE).is_none_or(|seen| seen == tag);
    let wanted = text(header::RANGE).filter(|_| same);
    let part = wanted.map_or(Part::Whole, |range| part(range, size));
    let (status, from, length) = match part {
        Part::Whole => (StatusCode::OK, 0, size),
        Part::From(from, length) => (StatusCode::PARTIAL_CONTENT, from, length),
        Part::None => {
            let range = format!("bytes */{size}");
            let headers = [(header::CONTENT_RANGE, range)];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
    };
    let mut file = tokio::fs::File::from_std(file);
    file.seek(SeekFrom::Start(from)).await?;
    let body = Body::from_stream(ReaderStream::with_capacity(file.take(length), CHUNK));
    let shown = image_kind(&name).filter(|_| how.show);
    let mut response = (status, body).into_response();
    let answer = response.headers_mut();
    let mut set = |name, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            answer.insert(name, value);
        }
    };
    set(header::CONTENT_LENGTH, length.to_string());
    set(header::ACCEPT_RANGES, "bytes".into());
    set(header::ETAG, tag);
    // Whatever it is, as a page it may do nothing.
    set(
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; sandbox; frame-ancestors 'none'".into(),
    );
    if let Some(kind) = shown {
        set(header::CONTENT_TYPE, kind.into());
    } else {
        set(header::CONTENT_TYPE, "application/octet-stream".into());
        set(
            header::CONTENT_DISPOSITION,
            format!("attachment; filename*=UTF-8''{}", encoded(&name)),
        );
    }
    if status == StatusCode::PARTIAL_CONTENT {
        let last = from + length - 1;
        set(header::CONTENT_RANGE, format!("bytes {from}-{last}/{size}"));
    }
    Ok(response)
}

/// The type of an image that cannot hold a script.
pub(super) fn image_kind(name: &OsStr) -> Option<&'static str> {
    let name = name.to_string_lossy().to_ascii_lowercase();
    match name.rsplit_once('.')?.1 {
        "png" => Some("image/png"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "gif" => Some("image/gif"),
        "webp" => Some("image/webp"),
        "avif" => Some("image/avif"),
        "bmp" => Some("image/bmp"),
        _ => None,
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    Whole,
    /// From here, so many bytes; never none.
    From(u64, u64),
    /// There is nothing there.
    None,
}

/// What a `Range` asks for. Several ranges, and what cannot be read, are the whole.
fn part(range: &str, size: u64) -> Part {
    let Some(range) = range.strip_prefix("bytes=") else {
        return Part::Whole;
    };
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().unwrap_or(u64::MAX))
    };
    let Some((first, last)) = range.trim().split_once('-') else {
        return Part::Whole;
    };
    let (from, end) = match (number(first), number(last)) {
        (Some(from), Some(last)) if from <= last => (from, last.saturating_add(1).min(size)),
        (Some(from), None) if last.is_empty() => (from, size),
        (None, Some(length)) if first.is_empty() => (size.saturating_sub(length), size),
        _ => return Part::Whole,
    };
    if from >= end {
        return Part::None;
    }
    Part::From(from, end - from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_they_are_meant() {
        for (range, expected) in [
            ("bytes=0-", Part::From(0, 10)),
            ("bytes=0-0", Part::From(0, 1)),
            ("bytes=3-5", Part::From(3, 3)),
            ("bytes=9-100", Part::From(9, 1)),
            ("bytes=-3", Part::From(7, 3)),
            ("bytes=-100", Part::From(0, 10)),
            ("bytes=10-", Part::None),
            ("bytes=99-100", Part::None),
            ("bytes=-0", Part::None),
            ("bytes=5-3", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=0-99999999999999999999999", Part::From(0, 10)),
            ("lines=1-2", Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), Part::None);
    }
}
