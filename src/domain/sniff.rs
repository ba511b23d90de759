//! What is in a file, told by what is in it. Its name is no evidence.

/// What a file begins with decides; so many bytes of it are enough.
pub const LOOKED_AT: usize = 8 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    Png,
    Jpeg,
    Gif,
    Webp,
    Pdf,
    Zip,
    Gzip,
    Json,
    Csv,
    Text,
    /// Anything else.
    Bytes,
}

impl Content {
    /// Judged by `head`, which is the whole file if `whole`.
    #[must_use]
    pub fn of(head: &[u8], whole: bool) -> Self {
        let begins = |magic: &[u8]| head.starts_with(magic);
        if begins(b"\x89PNG\r\n\x1a\n") {
            return Self::Png;
        }
        if begins(b"\xff\xd8\xff") {
            return Self::Jpeg;
        }
        if begins(b"GIF87a") || begins(b"GIF89a") {
            return Self::Gif;
        }
        if begins(b"RIFF") && head.get(8..12) == Some(b"WEBP") {
            return Self::Webp;
        }
        if begins(b"%PDF-") {
            return Self::Pdf;
        }
        if begins(b"PK\x03\x04") || begins(b"PK\x05\x06") {
            return Self::Zip;
        }
        if begins(b"\x1f\x8b") {
            return Self::Gzip;
        }
        let Some(text) = text(head, whole) else {
            return Self::Bytes;
        };
        if json(text, whole) {
            Self::Json
        } else if separator(text, whole).is_some() {
            Self::Csv
        } else {
            Self::Text
        }
    }

    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Gif => "image/gif",
            Self::Webp => "image/webp",
            Self::Pdf => "application/pdf",
            Self::Zip => "application/zip",
            Self::Gzip => "application/gzip",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            Self::Bytes => "application/octet-stream",
        }
    }

    /// Whether a browser may show it as the picture that it is.
    #[must_use]
    pub const fn is_picture(self) -> bool {
        matches!(self, Self::Png | Self::Jpeg | Self::Gif | Self::Webp)
    }
}

/// The text that `bytes` are: UTF-8 without control characters but those of text. If
/// more follows, a character that is cut at the end is left out.
#[must_use]
pub fn text(bytes: &[u8], whole: bool) -> Option<&str> {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && !whole => {
            std::str::from_utf8(&bytes[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{1b}' | '\u{c}');
    (!text.chars().any(odd)).then_some(text)
}

fn json(text: &str, whole: bool) -> bool {
    let trimmed = text.trim_start();
    if !trimmed.starts_with(['{', '[']) {
        return false;
    }
    match serde_json::from_str::<serde::de::IgnoredAny>(trimmed) {
        Ok(_) => true,
        // The rest of it has not been seen.
        Err(error) => !whole && error.is_eof(),
    }
}

/// What parts the columns of a table, if this is one: two rows at least, all with as
/// many columns, two or more.
#[must_use]
pub fn separator(text: &str, whole: bool) -> Option<char> {
    let rows = |separator: char| {
        let mut counts: Vec<usize> = rows(text, separator)
            .map(|row| row.len())
            .take(20)
            .collect();
        if !whole && counts.len() > 1 && counts.len() < 20 {
            counts.pop();
        }
        counts
    };
    [',', '\t', ';'].into_iter().find(|separator| {
        let counts = rows(*separator);
        counts.len() > 1 && counts[0] > 1 && counts.iter().all(|count| *count == counts[0])
    })
}

/// The rows of a table, with quotes as RFC 4180 has them.
pub fn rows(text: &str, separator: char) -> impl Iterator<Item = Vec<String>> {
    let mut characters = text
        .strip_prefix('\u{feff}')
        .unwrap_or(text)
        .chars()
        .peekable();
    std::iter::from_fn(move || {
        characters.peek()?;
        let (mut row, mut cell, mut quoted) = (Vec::new(), String::new(), false);
        while let Some(c) = characters.next() {
            match c {
                '"' if quoted && characters.peek() == Some(&'"') => {
                    characters.next();
                    cell.push('"');
                }
                '"' if quoted || cell.is_empty() => quoted = !quoted,
                '\n' if !quoted => break,
                '\r' if !quoted && characters.peek() == Some(&'\n') => {}
                c if c == separator && !quoted => row.push(std::mem::take(&mut cell)),
                c => cell.push(c),
            }
        }
        row.push(cell);
        Some(row)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_in_a_file_says_what_it_is() {
        for (bytes, content) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Content::Png),
            (b"\xff\xd8\xff\xe0", Content::Jpeg),
            (b"GIF89a", Content::Gif),
            (b"RIFF\0\0\0\0WEBPVP8 ", Content::Webp),
            (b"RIFF\0\0\0\0WAVE", Content::Bytes),
            (b"%PDF-1.7", Content::Pdf),
            (b"PK\x03\x04", Content::Zip),
            (b"{\"a\": 1}", Content::Json),
            (b" [1, 2]\n", Content::Json),
            (b"[section]\nkey = 1\n", Content::Text),
            (b"a,b\n1,2\n3,4\n", Content::Csv),
            (b"a\tb\r\n1\t2\r\n", Content::Csv),
            (b"a;\"b;\nc\"\n1;2\n", Content::Csv),
            (b"a,b\n1\n", Content::Text),
            (b"hello, world\n", Content::Text),
            (b"", Content::Text),
            (b"<svg xmlns='x'><script>1</script></svg>", Content::Text),
            (b"<html>", Content::Text),
            (b"a\0b", Content::Bytes),
            (b"\xff\xfeab", Content::Bytes),
        ] {
            assert_eq!(
                Content::of(bytes, true),
                content,
                "{:?}",
                String::from_utf8_lossy(bytes)
            );
        }
        assert_eq!(Content::of(b"{\"a\": [1, 2", false), Content::Json);
        assert_eq!(Content::of(b"{\"a\": [1, 2", true), Content::Text);
        assert_eq!(Content::of(b"a,b\n1,2\n3", false), Content::Csv);
        assert_eq!(
            Content::of("caf\u{e9}".as_bytes().split_last().unwrap().1, false),
            Content::Text
        );
    }

    proptest! {
        #[test]
        fn no_file_upsets_it(bytes in prop::collection::vec(any::<u8>(), 0..300), whole: bool) {
            let content = Content::of(&bytes, whole);
            if let Some(text) = text(&bytes, whole) {
                for separator in [',', '\t', ';'] {
                    prop_assert!(rows(text, separator).all(|row| !row.is_empty()));
                }
            } else {
                prop_assert!(!matches!(content, Content::Json | Content::Csv | Content::Text));
            }
        }
    }
}
