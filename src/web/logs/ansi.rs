//! One line of output as a terminal would show it, as text and classes.
//!
//! What a terminal is told by escape sequences is obeyed as far as it is about
//! colour, and left out otherwise; nothing of a line ever becomes markup, because
//! nothing but text and names of the tables below leaves this module. Every line
//! begins plain: a page may begin anywhere.
mod some;

pub(in crate::web) use some::draw_some;

use maud::{Markup, html};
use std::fmt::Write as _;

/// Foreground colours, in the order of their codes: 30 to 37, 90 to 97.
const COLORS: [&str; 16] = [
    "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "aa", "ab", "ac", "ad", "ae", "af",
];
/// Backgrounds: 40 to 47, 100 to 107.
const BACKGROUNDS: [&str; 16] = [
    "b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9", "ba", "bb", "bc", "bd", "be", "bf",
];
/// More marks on one letter reach into other lines.
const MARKS: usize = 8;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "terminals turn each of them on and off by itself"
)]
struct Style {
    color: Option<u8>,
    background: Option<u8>,
    bold: bool,
    faint: bool,
    italic: bool,
    underlined: bool,
    struck: bool,
    inverse: bool,
}

impl Style {
    fn classes(self) -> String {
        let mut classes: Vec<&str> = Vec::new();
        let of = |table: &[&'static str; 16], code: Option<u8>| {
            code.and_then(|code| table.get(usize::from(code)).copied())
        };
        classes.extend(of(&COLORS, self.color));
        classes.extend(of(&BACKGROUNDS, self.background));
        for (on, class) in [
            (self.bold, "ao"),
            (self.faint, "at"),
            (self.italic, "ai"),
            (self.underlined, "au"),
            (self.struck, "as"),
            (self.inverse, "av"),
        ] {
            if on {
                classes.push(class);
            }
        }
        classes.join(" ")
    }

    /// Obeys `ESC [ … m`.
    fn take(&mut self, codes: &str) {
        let mut codes = codes.split([';', ':']).map(|code| {
            code.parse::<u8>()
                .unwrap_or(if code.is_empty() { 0 } else { 255 })
        });
        while let Some(code) = codes.next() {
            match code {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.faint = true,
                3 => self.italic = true,
                4 | 21 => self.underlined = true,
                7 => self.inverse = true,
                9 => self.struck = true,
                22 => (self.bold, self.faint) = (false, false),
                23 => self.italic = false,
                24 => self.underlined = false,
                27 => self.inverse = false,
                29 => self.struck = false,
                30..=37 => self.color = Some(code - 30),
                38 => self.color = extended(&mut codes).or(self.color),
                39 => self.color = None,
                40..=47 => self.background = Some(code - 40),
                48 => self.background = extended(&mut codes).or(self.background),
                49 => self.background = None,
                90..=97 => self.color = Some(code - 90 + 8),
                100..=107 => self.background = Some(code - 100 + 8),
                _ => {}
            }
        }
    }
}

/// `5;n` or `2;r;g;b`, as the nearest of sixteen.
fn extended(codes: &mut impl Iterator<Item = u8>) -> Option<u8> {
    match codes.next()? {
        5 => {
            let code = codes.next()?;
            Some(match code {
                0..16 => code,
                16..232 => {
                    let cube = code - 16;
                    nearest([cube / 36, cube / 6 % 6, cube % 6].map(|part| part * 51))
                }
                232.. => nearest([(code - 232) * 10 + 8; 3]),
            })
        }
        2 => Some(nearest([codes.next()?, codes.next()?, codes.next()?])),
        _ => None,
    }
}

fn nearest(rgb: [u8; 3]) -> u8 {
    let high = rgb.into_iter().max().unwrap_or(0);
    let low = rgb.into_iter().min().unwrap_or(0);
    // Greys by how bright they are, others by what is in them.
    if high - low < 40 {
        return match high {
            0..64 => 0,
            64..150 => 8,
            150..225 => 7,
            225.. => 15,
        };
    }
    let half = low + (high - low) / 2;
    let hue = (0..3).fold(0, |hue, part: u8| {
        hue | u8::from(rgb[usize::from(part)] > half) << part
    });
    if high > 190 { hue + 8 } else { hue }
}

/// A stretch of one style.
#[derive(Debug, Default, PartialEq, Eq)]
struct Run {
    style: Style,
    /// Part of what was searched for.
    found: bool,
    text: String,
}

impl Run {
    fn draw(&self) -> Markup {
        let classes = self.style.classes();
        html! {
            @match (classes.is_empty(), self.found) {
                (true, false) => (self.text),
                (true, true) => mark { (self.text) },
                (false, false) => span.(classes) { (self.text) },
                (false, true) => mark.(classes) { (self.text) },
            }
        }
    }
}

/// Draws a line. `found` says which characters of it were searched for, as begin and
/// end, in order.
pub(in crate::web) fn draw(line: &str, found: &[(usize, usize)]) -> Markup {
    html! { @for run in read(line, found) { (run.draw()) } }
}

/// The text of a line, without colours.
pub(in crate::web) fn plain(line: &str) -> String {
    read(line, &[]).into_iter().map(|run| run.text).collect()
}

fn read(line: &str, found: &[(usize, usize)]) -> Vec<Run> {
    let line = line.trim_end_matches('\r');
    let mut screen = Screen::default();
    let mut found = found.iter().copied().peekable();
    let mut rest = line.chars().enumerate();
    let mut marks = 0;
    while let Some((at, c)) = rest.next() {
        while found.next_if(|(_, end)| *end <= at).is_some() {}
        screen.found = found.peek().is_some_and(|(begin, _)| *begin <= at);
        marks = if combines(c) { marks + 1 } else { 0 };
        match c {
            '\x1b' => escape(&mut rest, &mut screen.style),
            // The same as `ESC [` where bytes are characters.
            '\u{9b}' => control(&mut rest, &mut screen.style),
            // Progress bars go back and write over what is there.
            '\r' => screen.runs.clear(),
            '\x08' => screen.back(),
            '\t' => screen.put('\t'),
            '\0'..='\x1f' => screen.put(char::from_u32(0x2400 + u32::from(c)).unwrap_or('␀')),
            '\x7f' => screen.put('\u{2421}'),
            _ if acts(c) => {
                let mut shown = String::new();
                let _ = write!(shown, "[U+{:04X}]", u32::from(c));
                shown.chars().for_each(|c| screen.put(c));
            }
            _ if marks > MARKS => {}
            _ => screen.put(c),
        }
    }
    screen.runs
}

#[derive(Debug, Default)]
struct Screen {
    runs: Vec<Run>,
    style: Style,
    found: bool,
}

impl Screen {
    fn put(&mut self, c: char) {
        let (style, found) = (self.style, self.found);
        match self.runs.last_mut() {
            Some(run) if run.style == style && run.found == found => run.text.push(c),
            _ => self.runs.push(Run {
                style,
                found,
                text: c.into(),
            }),
        }
    }

    fn back(&mut self) {
        if let Some(run) = self.runs.last_mut() {
            run.text.pop();
            if run.text.is_empty() {
                self.runs.pop();
            }
        }
    }
}

type Rest<'a> = std::iter::Enumerate<std::str::Chars<'a>>;

/// Takes what belongs to `ESC`, and obeys it if it is a colour.
fn escape(rest: &mut Rest<'_>, style: &mut Style) {
    match rest.next() {
        Some((_, '[')) => control(rest, style),
        // A string for the terminal: a title, a link, a clipboard. It ends with BEL or
        // `ESC \`.
        Some((_, ']' | 'P' | 'X' | '^' | '_')) => {
            while let Some((_, c)) = rest.next() {
                match c {
                    '\x07' | '\u{9c}' => break,
                    '\x1b' => {
                        rest.next();
                        break;
                    }
                    _ => {}
                }
            }
        }
        // Choice of a character set, with one more character.
        Some((_, ' '..='/')) => {
            rest.next();
        }
        Some(_) | None => {}
    }
}

fn control(rest: &mut Rest<'_>, style: &mut Style) {
    let mut codes = String::new();
    let mut of_colours = true;
    for (_, c) in rest {
        match c {
            '0'..='9' | ';' | ':' if codes.len() < 64 => codes.push(c),
            'm' if of_colours => return style.take(&codes),
            '\x40'..='\x7e' => return,
            // With a question mark before it, `m` is about something else.
            _ => of_colours = false,
        }
    }
}

/// Whether it acts on the text around it instead of showing.
const fn acts(c: char) -> bool {
    matches!(c,
        '\u{80}'..='\u{9f}' | '\u{61c}' | '\u{200e}' | '\u{200f}'
        | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

const fn combines(c: char) -> bool {
    matches!(c,
        '\u{300}'..='\u{36f}' | '\u{483}'..='\u{489}' | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}' | '\u{fe20}'..='\u{fe2f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drawn(line: &str) -> String {
        draw(line, &[]).into_string()
    }

    #[test]
    fn colours_are_classes_of_a_table() {
        for (line, html) in [
            ("plain", "plain"),
            (
                "\x1b[31mred\x1b[0m text",
                r#"<span class="a1">red</span> text"#,
            ),
            ("\x1b[1;92;41mx", r#"<span class="aa b1 ao">x</span>"#),
            ("\x1b[38;5;196mx\x1b[39my", r#"<span class="a9">x</span>y"#),
            ("\x1b[38;2;10;160;20mx", r#"<span class="a2">x</span>"#),
            ("\x1b[38:5:244mx", r#"<span class="a8">x</span>"#),
            (
                "\x1b[7;4;3;9;2mx\x1b[mx",
                r#"<span class="at ai au as av">x</span>x"#,
            ),
            ("\x1b[38;5mx\x1b[38mx\x1b[999mx", "xxx"),
            ("\x1b[?25lx\x1b[2Kx\x1b[?1;31mx", "xxx"),
            ("\u{9b}31mx", r#"<span class="a1">x</span>"#),
            ("\x1b[31m\x1b[0m", ""),
        ] {
            assert_eq!(drawn(line), html, "{line:?}");
        }
    }

    #[test]
    fn what_else_a_terminal_would_do_is_left_out_or_shown() {
        for (line, html) in [
            (
                "\x1b]8;;javascript:alert(1)\x07click\x1b]8;;\x1b\\ me",
                "click me",
            ),
            ("\x1b]0;title\x1b\\here", "here"),
            ("\x1b]52;c;Y29weQ==\x07x", "x"),
            ("\x1b]0;without an end", ""),
            ("\x1bPq#0;2\x1b\\x\x1b_apc\x1b\\y", "xy"),
            ("\x1b(Bx\x1b=y\x1b", "xy"),
            ("10 %\r 50 %\r100 %\r", "100 %"),
            ("|\x08/\x08-", "-"),
            ("\x08\x08a", "a"),
            ("a\tb\x07\x7f", "a\tb\u{2407}\u{2421}"),
            ("a\u{202e}b\u{2028}", "a[U+202E]b[U+2028]"),
            ("<b onclick=x>&", "&lt;b onclick=x&gt;&amp;"),
            ("naïve ✓ 日本 👩‍🔬", "naïve ✓ 日本 👩‍🔬"),
        ] {
            assert_eq!(drawn(line), html, "{line:?}");
        }
        let towers = format!("Z{}", "\u{334}".repeat(100));
        assert_eq!(plain(&towers).chars().count(), 9);
    }

    #[test]
    fn what_was_searched_for_is_marked() {
        let marked = |line: &str, found: &[(usize, usize)]| draw(line, found).into_string();
        assert_eq!(
            marked("a<b>a", &[(0, 1), (3, 5)]),
            "<mark>a</mark>&lt;b<mark>&gt;a</mark>"
        );
        assert_eq!(
            marked("\x1b[31mred", &[(6, 8)]),
            r#"<span class="a1">r</span><mark class="a1">ed</mark>"#
        );
        assert_eq!(marked("ab", &[(0, 99)]), "<mark>ab</mark>");
    }

    /// Escape sequences, markup and letters in any order.
    fn lines() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("\x1b[".to_owned()),
            Just("\x1b]8;;".to_owned()),
            Just("\x1b".to_owned()),
            Just("\x07".to_owned()),
            Just("<script>".to_owned()),
            Just("\" onload=\"".to_owned()),
            Just("</span>".to_owned()),
            Just("&lt;".to_owned()),
            "[0-9;:?]{0,6}[a-zA-Z]",
            ".{0,6}",
            any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    /// What is left of the markup when everything that this module may emit is gone.
    fn without_ours(html: &str) -> String {
        let mut rest = html
            .replace("</span>", "")
            .replace("</mark>", "")
            .replace("<mark>", "");
        for tag in ["<span class=\"", "<mark class=\""] {
            while let Some(begin) = rest.find(tag) {
                let classes = begin + tag.len();
                let end = classes + rest[classes..].find("\">").expect("the tag ends");
                for class in rest[classes..end].split(' ') {
                    let known = COLORS.contains(&class)
                        || BACKGROUNDS.contains(&class)
                        || ["ao", "at", "ai", "au", "as", "av"].contains(&class);
                    assert!(known, "{class} in {html}");
                }
                rest.replace_range(begin..end + 2, "");
            }
        }
        rest
    }

    proptest! {
        #[test]
        fn no_line_becomes_markup(line in lines(), found in proptest::collection::vec((0..40_usize, 0..9_usize), 0..4)) {
            let mut found: Vec<_> = found.into_iter().map(|(begin, length)| (begin, begin + length)).collect();
            found.sort_unstable();
            let rest = without_ours(&draw(&line, &found).into_string());
            prop_assert!(!rest.contains(['<', '>', '"']), "{rest}");
            for entity in rest.split('&').skip(1) {
                let known = ["lt;", "gt;", "amp;", "quot;"].iter().any(|known| entity.starts_with(known));
                prop_assert!(known, "{entity}");
            }
            let bad = |c: char| (c.is_control() && c != '\t') || acts(c);
            prop_assert!(!rest.chars().any(bad), "{rest:?}");
        }

        #[test]
        fn marking_and_colouring_change_no_text(line in lines(), begin in 0..20_usize, length in 0..20_usize) {
            let marked: String = read(&line, &[(begin, begin + length)]).into_iter().map(|run| run.text).collect();
            prop_assert_eq!(marked, plain(&line));
        }
    }
}
