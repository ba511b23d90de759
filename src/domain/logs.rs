//! What jobs print: how much of it is kept, and how grave a line is.
use serde::{Deserialize, Serialize};

/// A longer line is cut into several of at most so many bytes.
pub const LONGEST_LINE: usize = 16 * 1024;
/// A line weighs at least so much, because an empty one takes room and time too.
const LEAST: u64 = 64;

/// What a line of so many bytes weighs, its line end included.
#[must_use]
pub const fn weight(bytes: usize) -> u64 {
    let bytes = bytes as u64 + 1;
    if bytes < LEAST { LEAST } else { bytes }
}

/// How much output of one job is kept, as a sum of [`weight`]s. What comes between
/// the head and the tail is dropped and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Of the beginning.
    pub head: u64,
    /// Of the newest output, besides the head.
    pub tail: u64,
    /// Per second, for longer than two seconds; what is faster is dropped and counted.
    pub rate: u64,
}

/// How grave a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

impl Level {
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warning, Self::Error];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }

    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }

    /// The level of a line that a command printed. In this order:
    ///
    /// 1. the first level word in the line's first 200 bytes: `ERROR`, `FATAL`,
    ///    `CRITICAL`, `PANIC`; `WARN`, `WARNING`; `INFO`, `NOTICE`; `DEBUG`, `TRACE`:
    ///    a whole word, in capitals, or in any case where a `:`, `]` or `"` follows
    ///    or a `=` stands before it;
    /// 2. a line that goes back to its beginning with a carriage return, as progress
    ///    bars do, is `info`;
    /// 3. what is on stderr is `error`, and everything else `info`.
    #[must_use]
    pub fn of(stderr: bool, line: &str) -> Self {
        if let Some(level) = said(line.as_bytes()) {
            return level;
        }
        let progress = line.trim_end_matches('\r').contains('\r');
        if stderr && !progress {
            Self::Error
        } else {
            Self::Info
        }
    }
}

/// Where a line may say its level.
const BEGINNING: usize = 200;

fn said(line: &[u8]) -> Option<Level> {
    let line = &line[..line.len().min(BEGINNING)];
    let mut at = 0;
    while at < line.len() {
        if line[at] == b'\x1b' && line.get(at + 1) == Some(&b'[') {
            // A colour: its last letter is no part of the word after it.
            at += 2;
            while at < line.len() && !(0x40..=0x7e).contains(&line[at]) {
                at += 1;
            }
            at += 1;
            continue;
        }
        if !part_of_word(line[at]) {
            at += 1;
            continue;
        }
        let begin = at;
        while at < line.len() && part_of_word(line[at]) {
            at += 1;
        }
        let word = &line[begin..at];
        if let Some(level) = of_word(word) {
            let marked = matches!(line.get(at), Some(b':' | b']' | b'"'))
                || begin
                    .checked_sub(1)
                    .is_some_and(|before| line[before] == b'=');
            if marked || word.iter().all(u8::is_ascii_uppercase) {
                return Some(level);
            }
        }
    }
    None
}

const fn part_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn of_word(word: &[u8]) -> Option<Level> {
    const WORDS: [(&[u8], Level); 10] = [
        (b"ERROR", Level::Error),
        (b"FATAL", Level::Error),
        (b"CRITICAL", Level::Error),
        (b"PANIC", Level::Error),
        (b"WARN", Level::Warning),
        (b"WARNING", Level::Warning),
        (b"INFO", Level::Info),
        (b"NOTICE", Level::Info),
        (b"DEBUG", Level::Debug),
        (b"TRACE", Level::Debug),
    ];
    if !(4..=8).contains(&word.len()) {
        return None;
    }
    let found = WORDS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(word));
    found.map(|(_, level)| *level)
}

/// Finds a text in lines, without regard to the case of ASCII letters.
#[derive(Debug, Clone)]
pub struct Needle(Vec<u8>);

impl Needle {
    /// `None` if there is nothing to look for.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_ascii_lowercase().into_bytes()))
    }

    /// Where it is first found in `text`, in bytes.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Option<usize> {
        let first = self.0[0];
        let last_start = text.len().checked_sub(self.0.len())?;
        let mut from = 0;
        while from <= last_start {
            let near = &text[from..=last_start];
            let at = from + memchr::memchr2(first, first.to_ascii_uppercase(), near)?;
            if text[at..at + self.0.len()].eq_ignore_ascii_case(&self.0) {
                return Some(at);
            }
            from = at + 1;
        }
        None
    }

    /// Every place in `text` where it is found, begin and end in bytes; none overlap.
    #[must_use]
    pub fn all(&self, text: &str) -> Vec<(usize, usize)> {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = self.find(&text.as_bytes()[from..]) {
            found.push((from + at, from + at + self.0.len()));
            from += at + self.0.len();
        }
        found
    }
}

/// `1234567` as `1,234,567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// What stands in place of lines that were dropped.
#[must_use]
pub fn dropped(lines: u64, why: &str) -> String {
    let word = if lines == 1 { "line" } else { "lines" };
    format!("{} {word} dropped: {why}", grouped(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_its_own_level() {
        use Level::{Debug, Error, Info, Warning};
        for (stderr, line, level) in [
            (false, "all is well", Info),
            (true, "sh: nothing: not found", Error),
            (false, "2026-11-23 12:00:00 ERROR cannot read", Error),
            (false, "\x1b[31mERROR\x1b[0m cannot read", Error),
            (false, "error: expected `;`", Error),
            (false, "error[E0308]: mismatched types", Info),
            (false, "no error here", Info),
            (false, "ERRORS: 0", Info),
            (false, "MY_ERROR is a name", Info),
            (false, r#"{"level":"error","msg":"x"}"#, Error),
            (false, "ts=1 level=warn msg=x", Warning),
            (false, "[warning] slow", Warning),
            (true, "INFO:root:Loading", Info),
            (true, "WARNING: deprecated; see ERROR 4", Warning),
            (true, "[debug] x", Debug),
            (true, "  3 % |#     |\r  4 % |#     |", Info),
            (true, "no progress\r", Error),
            (false, "FATAL", Error),
            (false, "", Info),
            (false, "\x1b[", Info),
        ] {
            assert_eq!(Level::of(stderr, line), level, "{line:?}");
        }
        let late = format!("{} ERROR", "x ".repeat(150));
        assert_eq!(Level::of(false, &late), Info, "only its beginning counts");
    }

    #[test]
    fn a_text_is_found_wherever_it_is() {
        let found = |needle: &str, text: &str| Needle::new(needle).unwrap().all(text);
        assert_eq!(
            found("cuda", "CUDA out of cuda: Cud a cuda"),
            [(0, 4), (12, 16), (24, 28)]
        );
        assert_eq!(found("aa", "aaaaa"), [(0, 2), (2, 4)]);
        assert_eq!(found("ü", "aübü"), [(1, 3), (4, 6)]);
        assert_eq!(found("longer", "long"), []);
        assert_eq!(
            found("k", "\u{212a}"),
            [],
            "the Kelvin sign is another letter"
        );
        assert!(Needle::new("").is_none());
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(dropped(1, "x"), "1 line dropped: x");
    }
}
