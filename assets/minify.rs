//! Small, careful minifiers for the two kinds of text that we write ourselves.
//! They change white space and comments only, and know just the CSS and the
//! JavaScript style of this folder.

/// `source` without comments and needless white space.
///
/// Strings and `url(…)` stay as they are. White space survives where it can
/// mean something: around `+` and `-` (`calc`), before `:` (the descendant in
/// `a :hover`), around parentheses (`and (`), between words.
pub(crate) fn css(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let mut space = false;
    while let Some(c) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("/*") {
            let end = comment.find("*/").map_or(comment.len(), |at| at + 2);
            rest = &comment[end..];
            space = true;
            continue;
        }
        if c.is_ascii_whitespace() {
            rest = &rest[1..];
            space = true;
            continue;
        }
        let token = verbatim(rest).unwrap_or(c.len_utf8());
        if space && wants_space(out.chars().next_back(), c) {
            out.push(' ');
        }
        space = false;
        if c == '}' && out.ends_with(';') {
            out.pop();
        }
        out.push_str(&rest[..token]);
        rest = &rest[token..];
    }
    out
}

/// The length of a string or of a `url(…)` at the start of `rest`.
fn verbatim(rest: &str) -> Option<usize> {
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    if let Some(quote) = quote {
        let mut escaped = false;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                c if c == quote => return Some(at + 1),
                _ => {}
            }
        }
        return Some(rest.len());
    }
    rest.starts_with("url(")
        .then(|| rest.find(')').map_or(rest.len(), |at| at + 1))
}

/// Whether white space between these two characters means something.
fn wants_space(before: Option<char>, after: char) -> bool {
    let Some(before) = before else { return false };
    !matches!(before, '{' | '}' | ';' | ',' | ':' | '(' | '>' | '/')
        && !matches!(after, '{' | '}' | ';' | ',' | ')' | '>' | '!' | '/')
}

/// `source` without indentation, empty lines and whole-line `//` comments.
///
/// Line ends stay, so that no semicolon is needed that was not needed before.
///
/// # Panics
///
/// If a line leaves a template literal open: the next line would be text.
pub(crate) fn js(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    for line in source.lines().map(str::trim) {
        assert!(
            line.matches('`').count().is_multiple_of(2),
            "a template literal spans lines: {line}"
        );
        if !line.is_empty() && !line.starts_with("//") {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}
