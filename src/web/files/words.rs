//! What files are called, how large they are and what is in them, in words.
use crate::web::jobs::text;
use maud::{Markup, html};

/// Characters of a checksum that are enough to tell two files apart by eye.
const SHORT: usize = 12;

/// A name that shows what it is, on one line.
pub(in crate::web) fn name(name: &str) -> String {
    text::visible(name).replace(['\n', '\t'], " ")
}

/// The name of a file that may lie in folders: what tells it from others first.
pub(super) fn file(path: &str) -> Markup {
    let path = name(path);
    let (folders, file) = match path.rsplit_once('/') {
        Some((folders, file)) => (Some(folders), file),
        None => (None, path.as_str()),
    };
    html! {
        span hx-ignore { (file) }
        @if let Some(folders) = folders { small hx-ignore { (folders) "/" } }
    }
}

/// `812 bytes`, `16.7 kB`, `3 GB`; never more than there is.
pub(in crate::web) fn size(bytes: i64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let bytes = bytes.max(0);
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    let (mut number, mut unit) = (bytes, 0);
    while number >= 1_000_000 && unit < UNITS.len() - 1 {
        number /= 1_000;
        unit += 1;
    }
    match (number / 1_000, number % 1_000 / 100) {
        (whole, 0) => format!("{whole} {}", UNITS[unit]),
        (whole, tenth) => format!("{whole}.{tenth} {}", UNITS[unit]),
    }
}

/// The same, where it may not be known.
pub(in crate::web) fn size_if_known(bytes: Option<i64>) -> Markup {
    html! {
        @if let Some(bytes) = bytes { (size(bytes)) }
        @else { span role="img" aria-label="not known" { "—" } }
    }
}

/// `30 days`, of seconds.
pub(super) fn kept(seconds: i64) -> String {
    let (count, unit) = match seconds.max(0) {
        seconds if seconds >= 86_400 => (seconds / 86_400, "day"),
        seconds if seconds >= 3_600 => (seconds / 3_600, "hour"),
        seconds => (seconds / 60, "minute"),
    };
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{s}")
}

/// What is in it.
pub(super) fn kind(content_type: &str) -> String {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let word = match essence {
        "image/png" => "PNG image",
        "image/jpeg" => "JPEG image",
        "image/gif" => "GIF image",
        "image/webp" => "WebP image",
        "application/json" => "JSON",
        "application/pdf" => "PDF",
        "application/zip" => "ZIP archive",
        "application/gzip" => "Gzip archive",
        "text/csv" => "CSV table",
        "text/plain" => "Text",
        "application/octet-stream" | "" => "Binary",
        other => return name(other),
    };
    word.to_owned()
}

/// The beginning of a checksum.
pub(super) fn short(sha256: &str) -> &str {
    sha256.get(..SHORT).unwrap_or(sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_told_in_few_words() {
        for (bytes, said) in [
            (-1, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1 kB"),
            (1_999, "1.9 kB"),
            (999_999, "999.9 kB"),
            (20_000_000_000, "20 GB"),
        ] {
            assert_eq!(size(bytes), said);
        }
        for (seconds, said) in [
            (30 * 86_400, "30 days"),
            (90_000, "1 day"),
            (7_200, "2 hours"),
            (-1, "0 minutes"),
        ] {
            assert_eq!(kept(seconds), said);
        }
        assert_eq!(kind("text/plain; charset=utf-8"), "Text");
        assert_eq!(kind("text/html\u{202e}"), "text/html[U+202E]");
        assert_eq!(short("0123456789abcdef"), "0123456789ab");
        assert_eq!(name("a\nb"), "a b");
    }
}
