//! What looks like a secret, so that it is not shown where others may look.

/// Beginnings of tokens that programs give out.
const TOKENS: [&str; 17] = [
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
    "xoxb-",
    "xoxp-",
    "AKIA",
    "ya29.",
    "npm_",
    "eyJ",
];
/// Characters that must follow.
const LENGTH: usize = 16;

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
        let word = text[start..]
            .find(|c| !of(c))
            .map_or(text.len(), |end| start + end);
        let known = TOKENS
            .iter()
            .find(|token| text[start..word].starts_with(**token));
        if known.is_some_and(|token| word - start >= token.len() + LENGTH) {
            return Some((start, word));
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
        for plain in [
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
