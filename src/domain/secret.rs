//! What looks like a secret, so that it is not shown where others may look.
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

/// A text that may be secret, and is not shown where values are printed.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Secret(String);

impl Secret {
    /// For where it has to be used.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"…\"")
    }
}

/// Bytes that a secret must have to be looked for: shorter ones are in too many words.
const WORTH_HIDING: usize = 8;

/// As much of a secret at the cut of a line is taken for a part of one.
const WORTH_HIDING_AT_CUT: usize = 4;

/// Secrets that are hidden wherever they are printed.
#[derive(Clone, Default)]
pub struct Masks(Vec<(String, String)>);

impl Masks {
    /// Hides `secret` and its base64, line by line, behind the name of its variable.
    /// What has fewer than 8 bytes is not hidden.
    pub fn add(&mut self, name: &str, secret: &str, base64: impl Fn(&[u8]) -> String) {
        let lines = secret.lines().map(str::to_owned).collect();
        self.hide_these(name, lines);
        self.add_encoded(name, secret, base64);
    }

    /// Hides the base64 of `text`, in which a secret is, behind the name of its variable.
    pub fn add_encoded(&mut self, name: &str, text: &str, base64: impl Fn(&[u8]) -> String) {
        let padded = base64(text.as_bytes());
        let whole = padded.trim_end_matches('=').to_owned();
        self.hide_these(name, vec![whole, padded]);
    }

    fn hide_these(&mut self, name: &str, texts: Vec<String>) {
        let texts = texts.into_iter().filter(|text| text.len() >= WORTH_HIDING);
        self.0.extend(texts.map(|text| (text, format!("[{name}]"))));
        // The longest first: one may be a part of another.
        self.0
            .sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// `line` without them.
    #[must_use]
    pub fn hide<'l>(&self, line: &'l str) -> Cow<'l, str> {
        let mut line = Cow::Borrowed(line);
        for (text, shown) in &self.0 {
            if line.contains(text) {
                line = Cow::Owned(line.replace(text, shown));
            }
        }
        line
    }

    /// `piece` of a line without them, nor the parts of them at its cuts: whether it
    /// goes on from another piece, and in another. Of a part, up to three bytes are
    /// left: so few are in too many words.
    #[must_use]
    pub fn hide_in_piece<'l>(&self, piece: &'l str, (from, on): (bool, bool)) -> Cow<'l, str> {
        let mut piece = self.hide(piece);
        let ends = |text: &str, cut| text.get(..cut).is_some_and(|part| piece.ends_with(part));
        if on && let Some((cut, shown)) = self.longest(ends) {
            let kept = &piece[..piece.len() - cut];
            piece = Cow::Owned(format!("{kept}{shown}"));
        }
        let begins = |text: &str, cut| {
            let part = text.get(text.len() - cut..);
            part.is_some_and(|part| piece.starts_with(part))
        };
        if from && let Some((cut, shown)) = self.longest(begins) {
            piece = Cow::Owned(format!("{shown}{}", &piece[cut..]));
        }
        piece
    }

    /// The longest part of a secret, in bytes, of which `is` says that it is there.
    fn longest(&self, is: impl Fn(&str, usize) -> bool) -> Option<(usize, &str)> {
        let parts = self.0.iter().filter_map(|(text, shown)| {
            let mut cuts = (WORTH_HIDING_AT_CUT..text.len()).rev();
            let cut = cuts.find(|cut| is(text, *cut))?;
            Some((cut, shown.as_str()))
        });
        parts.max_by_key(|(cut, _)| *cut)
    }
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masks({})", self.0.len())
    }
}

/// Beginnings of tokens that programs give out.
const TOKENS: [&str; 22] = [
    "jg_",
    "jgs_",
    "jgn_",
    "hf_",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "sk-",
    "sk_",
    "xox",
    "AKIA",
    "ASIA",
    "AIza",
    "ghu_",
    "ghr_",
    "rk_",
    "whsec_",
    "ya29.",
    "npm_",
    "eyJ",
];
/// Characters that must follow.
const LENGTH: usize = 16;

/// What a private key, or whatever else is written so, begins and ends with.
const BLOCK: [&str; 2] = ["-----BEGIN ", "-----END "];

/// Whether what is called so is secret: `HF_TOKEN`, `db.password`, not `MAX_TOKENS`.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    let words: Vec<&str> = name.split(|c: char| !c.is_alphanumeric()).collect();
    let ends = [
        "token",
        "secret",
        "password",
        "passwd",
        "passphrase",
        "apikey",
        "credentials",
    ];
    if words.last() == Some(&"id") {
        return false;
    }
    words.iter().any(|word| {
        ends.iter().any(|end| word.ends_with(end))
            || matches!(*word, "key" | "pwd" | "auth" | "cookie" | "credential")
    })
}

/// Whether a value looks like one that a machine has made up: a word of 20 characters or
/// more whose letters and digits take turns without any order.
#[must_use]
pub fn looks_random(value: &str) -> bool {
    #[derive(PartialEq, Eq)]
    enum Is {
        Digit,
        Lower,
        Upper,
        Mark,
    }
    let value = value.trim();
    let mut counts = [0_u32; 128];
    let mut turns = 0_u32;
    let (mut letters, mut digits) = (false, false);
    let mut before = Is::Mark;
    for c in value.bytes() {
        let is = match c {
            b'0'..=b'9' => Is::Digit,
            b'a'..=b'z' => Is::Lower,
            b'A'..=b'Z' => Is::Upper,
            b'+' | b'/' | b'=' | b'_' | b'-' => Is::Mark,
            _ => return false,
        };
        digits |= is == Is::Digit;
        letters |= matches!(is, Is::Lower | Is::Upper);
        turns += u32::from(before != is && before != Is::Mark && is != Is::Mark);
        counts[usize::from(c)] += 1;
        before = is;
    }
    let length = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let bits: f64 = counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / length)
        .map(|share| -share * share.log2())
        .sum();
    // Names such as `llama-3-8b-instruct-q4` take turns too, but seldom.
    value.len() >= 20 && letters && digits && f64::from(turns) >= length / 4.0 && bits >= 3.0
}

/// Whether all of a value is secret, whatever it is called.
#[must_use]
pub fn is_secret_value(value: &str) -> bool {
    let all = |(start, end)| start == 0 && end == value.trim().len();
    looks_random(value) || token(value.trim()).is_some_and(all)
}

/// Whether a word of a command line, such as `--api-key`, says that the next one is secret.
#[must_use]
pub fn announces_secret(word: &str) -> bool {
    word.strip_prefix("--").is_some_and(ends_secret)
}

/// Whether the last word of a name is what makes it secret: `--token`, not `--token-file`.
fn ends_secret(name: &str) -> bool {
    let last = name.rsplit(|c: char| !c.is_alphanumeric()).next();
    last.is_some_and(is_secret_name)
}

/// The text with `${SECRET}` in place of every token in it, or nothing if there is none.
#[must_use]
pub fn without_tokens(text: &str) -> Option<String> {
    let mut shown = String::new();
    let mut rest = text;
    let mut found = false;
    while let Some((at, end)) = token(rest) {
        shown.push_str(&rest[..at]);
        shown.push_str("${SECRET}");
        rest = &rest[end..];
        found = true;
    }
    shown.push_str(rest);
    found.then_some(shown)
}

/// Where the first token begins and ends.
fn token(text: &str) -> Option<(usize, usize)> {
    let of = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut from = 0;
    while let Some(start) = text[from..].find(of) {
        let start = from + start;
        if text[start..].starts_with(BLOCK[0]) {
            let end = text[start..].find(BLOCK[1]).map_or(text.len(), |at| {
                let at = start + at + BLOCK[1].len();
                let rest = text[at..].find("-----");
                rest.map_or(text.len(), |dashes| at + dashes + 5)
            });
            return Some((start, end));
        }
        let word = text[start..]
            .find(|c| !of(c))
            .map_or(text.len(), |end| start + end);
        let known = TOKENS
            .iter()
            .find(|token| text[start..word].starts_with(**token));
        if known.is_some_and(|token| word - start >= token.len() + LENGTH) {
            return Some((start, word));
        }
        if let Some(value) = assigned(text, start, word) {
            return Some(value);
        }
        // A URL may carry a password before its host.
        if text[word..].starts_with("://")
            && let Some((begin, end)) = password(text, word + 3)
        {
            return Some((begin, end));
        }
        from = word;
    }
    None
}

/// What is given to a secret name: `HF_TOKEN=…`, `--api-key=…`, `--password …`.
fn assigned(text: &str, start: usize, word: usize) -> Option<(usize, usize)> {
    let name = &text[start..word];
    let rest = &text[word..];
    let begin = match rest.strip_prefix('=') {
        Some(_) if ends_secret(name) => word + 1,
        None if announces_secret(name) => word + (rest.len() - rest.trim_start_matches(' ').len()),
        _ => return None,
    };
    let value = &text[begin..];
    let first = value.chars().next()?;
    let (begin, end) = if let quote @ ('"' | '\'') = first {
        (begin + 1, value[1..].find(quote).map(|at| at + 1))
    } else {
        let over = |c: char| c.is_whitespace() || "'\";&|".contains(c);
        (begin, value.find(over))
    };
    let end = end.map_or(text.len(), |at| text.len() - value.len() + at);
    let value = &text[begin..end];
    let plain = value.starts_with(['$', '-']) || value.chars().count() < 6;
    (begin > word && !plain).then_some((begin, end))
}

/// The password of `user:password@host`.
fn password(text: &str, from: usize) -> Option<(usize, usize)> {
    let rest = &text[from..];
    let authority = rest.find(|c: char| c == '/' || c.is_whitespace() || "'\"?#".contains(c));
    let authority = &rest[..authority.unwrap_or(rest.len())];
    let (login, _) = authority.rsplit_once('@')?;
    let (user, password) = login.split_once(':')?;
    let begin = from + user.len() + 1;
    (!password.is_empty() && password != "${SECRET}").then_some((begin, begin + password.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_wherever_they_are_printed() {
        let mut masks = Masks::default();
        let backwards = |bytes: &[u8]| {
            let text: String = bytes.iter().rev().map(|b| char::from(*b)).collect();
            format!("{text}==")
        };
        masks.add("SHORT", "1234567", backwards);
        masks.add("LONG", "12345678", backwards);
        masks.add("LONGER", "12345678-abc", backwards);
        masks.add("LINES", "first line\nsecond line", backwards);
        for (line, hidden) in [
            ("nothing", "nothing"),
            ("it is 1234567.", "it is 1234567."),
            ("it is 123456789.", "it is [LONG]9."),
            ("12345678-abc and 12345678", "[LONGER] and [LONG]"),
            ("87654321== 87654321", "[LONG] [LONG]"),
            ("> second line <", "> [LINES] <"),
        ] {
            assert_eq!(masks.hide(line), hidden);
        }
        for (piece, cuts, hidden) in [
            ("so 1234567", (true, true), "so [LONG]"),
            ("so 12345678-ab", (false, true), "so [LONG]-ab"),
            ("8-abc 1234", (true, true), "[LONGER] [LONG]"),
            ("-abc 123", (true, true), "[LONGER] 123"),
            ("-abc 1234", (false, false), "-abc 1234"),
            ("xé first li", (false, true), "xé [LINES]"),
            ("ond line é", (true, true), "[LINES] é"),
        ] {
            assert_eq!(masks.hide_in_piece(piece, cuts), hidden);
        }
        masks.add("WIDE", "schlüssel", backwards);
        assert_eq!(masks.hide_in_piece("schlü", (true, true)), "[WIDE]");
        assert_eq!(masks.hide_in_piece("üssel", (true, true)), "[WIDE]");
        let shown = format!("{masks:?} {:?}", Secret::from("12345678".to_owned()));
        assert!(!shown.contains("1234"), "{shown}");
    }

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "HF_TOKEN",
            "WANDB_API_KEY",
            "db.password",
            "githubToken",
            "AUTH",
            "x-api-key",
            "AWS_SECRET_ACCESS_KEY",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "MAX_TOKENS",
            "SEED",
            "KEYBOARD",
            "TOKENIZER",
            "AUTHOR",
            "registry_credential_id",
            "AWS_ACCESS_KEY_ID",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn values_that_a_machine_has_made_up_are_known() {
        for value in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "0198c1f2-a4b6-7c3d-8e9f-0a1b2c3d4e5f",
            "q7Zt3Kp0Wm9Xv2Bn6Yd1",
        ] {
            assert!(looks_random(value), "{value}");
        }
        for value in [
            "",
            "7",
            "12345678901234567890",
            "meta-llama/Llama-3-8b-instruct-q4_k_m",
            "/workspace/inputs/data-2026-11-23.csv",
            "the quick brown fox jumps 10 times",
            "my-long-experiment-name-v2-final",
            "aaaaaaaaaaaaaaaaaaaaaaaaa1a1a1a1",
            "2026-11-23T12:00:00Z",
            "https://example.org/a1b2c3d4e5f6a7b8c9",
        ] {
            assert!(!looks_random(value), "{value}");
        }
    }

    #[test]
    fn tokens_are_found_wherever_they_stand() {
        let hidden = |text: &str| without_tokens(text);
        assert_eq!(
            hidden("curl -H 'Authorization: Bearer hf_abcdefghijklmnopqr' x").as_deref(),
            Some("curl -H 'Authorization: Bearer ${SECRET}' x")
        );
        assert_eq!(
            hidden("--a=ghp_0123456789abcdef0123 --b=sk-0123456789abcdef").as_deref(),
            Some("--a=${SECRET} --b=${SECRET}")
        );
        assert_eq!(
            hidden("psql postgres://ada:hunter2@db/x").as_deref(),
            Some("psql postgres://ada:${SECRET}@db/x")
        );
        assert_eq!(
            hidden("HF_TOKEN=abc123 run --password 'hunter 2' --api-key=plainkey").as_deref(),
            Some("HF_TOKEN=abc123 run --password '${SECRET}' --api-key=${SECRET}")
                .map(|text| text.replace("abc123", "${SECRET}"))
                .as_deref()
        );
        assert_eq!(
            hidden("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx")
                .as_deref(),
            Some("${SECRET}\nx")
        );
        assert_eq!(
            hidden("xoxa-2-0123456789abcdef").as_deref(),
            Some("${SECRET}")
        );
        for plain in [
            "run --token-file /run/secrets/hf --key 2 --tokenizer llama",
            "HF_TOKEN=$HF_TOKEN run --password \"$PASSWORD\"",
            "HF_TOKEN= run",
            "python3 train.py",
            "hf_short",
            "task-0123456789abcdefgh",
            "http://a:80/b",
            "é hf_ü",
            "postgres://ada@db",
        ] {
            assert_eq!(hidden(plain), None, "{plain}");
        }
        assert_eq!(hidden("https://u:${SECRET}@h"), None);
    }
}
