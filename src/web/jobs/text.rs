//! Text that users and their programs wrote, made safe to look at.
//!
//! Escaping is the template's business; this is about what escaping leaves: the
//! control characters that colour, overwrite and turn text around.

use std::fmt::Write as _;

/// One line of output as a terminal would show it in the end: without colours,
/// and of a progress bar only its last state.
pub(in crate::web) fn line(text: &str) -> String {
    let text = text.trim_end_matches('\r');
    let last = text.rsplit('\r').next().unwrap_or(text);
    visible(&without_escapes(last))
}

/// Makes characters visible that otherwise act: controls, and those that change
/// the direction of what follows.
pub(in crate::web) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' | '\n' => shown.push(c),
            '\0'..='\x1f' => shown.push(picture(c)),
            '\x7f' => shown.push('\u{2421}'),
            '\u{80}'..='\u{9f}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{61c}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => {
                let _ = write!(shown, "[U+{:04X}]", u32::from(c));
            }
            _ => shown.push(c),
        }
    }
    shown
}

/// The picture of a control character, such as `␀`.
fn picture(c: char) -> char {
    char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Leaves out the sequences that terminals obey: `ESC [ … letter`, `ESC ] … BEL`
/// and those of two characters.
fn without_escapes(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\x1b' {
            shown.push(c);
            continue;
        }
        match rest.next() {
            Some('[') => {
                rest.find(|c| ('\x40'..='\x7e').contains(c));
            }
            Some(']') => while rest.next().is_some_and(|c| c != '\x07' && c != '\\') {},
            Some(_) | None => {}
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_on_a_terminal_is_dropped_or_shown() {
        assert_eq!(line("\x1b[1;31mred\x1b[0m text"), "red text");
        assert_eq!(line(" 10 %\r 50 %\r100 %\r"), "100 %");
        assert_eq!(line("\x1b]0;title\x07here"), "here");
        assert_eq!(line("a\tb\x07"), "a\tb\u{2407}");
        assert_eq!(line("\x1b["), "");
        assert_eq!(visible("a\u{202e}b"), "a[U+202E]b");
        assert_eq!(visible("naïve ✓ 日本"), "naïve ✓ 日本");
    }
}
