//! Where to go after signing in: only ever to a page of this portal.
use std::fmt;
use url::{Position, Url};

const LONGEST: usize = 512;

/// A path of ours with its query, safe to redirect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Next(String);

impl Next {
    /// Reads `text` as the browsers would, and keeps it only if it stays here and
    /// leads to a page for people who are signed in.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut start = text.bytes();
        let local = start.next() == Some(b'/')
            && !matches!(start.next(), Some(b'/' | b'\\'))
            && text.len() <= LONGEST
            && !text.contains('\\')
            && !text.chars().any(char::is_control);
        if !local {
            return None;
        }
        // The rules do not depend on which origin this is.
        let here = Url::parse("http://here.invalid/").ok()?;
        let there = here.join(text).ok()?;
        // `/.//host` is still here when parsed, but what it parses to is not.
        if there.origin() != here.origin() || there.path().starts_with("//") {
            return None;
        }
        let guests = ["/login", "/logout", "/signup", "/auth", "/_launch"];
        let path = there.path();
        let for_guests = guests.iter().any(|guest| {
            path.strip_prefix(guest)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        });
        (!for_guests).then(|| Self(there[Position::BeforePath..].to_owned()))
    }

    /// The `next` of a query string.
    pub(crate) fn of_query(query: Option<&str>) -> Option<Self> {
        url::form_urlencoded::parse(query?.as_bytes())
            .find(|(name, _)| name == "next")
            .and_then(|(_, value)| Self::parse(&value))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// `page` with this as its `next`.
    pub(crate) fn after(&self, page: &str) -> String {
        let joint = if page.contains('?') { '&' } else { '?' };
        let next: String = url::form_urlencoded::byte_serialize(self.0.as_bytes()).collect();
        format!("{page}{joint}next={next}")
    }
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `page`, which leads on to `next` if there is one.
pub(crate) fn leading_to(page: &str, next: Option<&Next>) -> String {
    next.map_or_else(|| page.to_owned(), |next| next.after(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pages_of_the_portal_are_kept() {
        for path in [
            "/portal",
            "/portal/jobs?status=running&q=a%20b",
            "/portal/jobs/job_1#logs",
            "/loginish",
            "/a/../portal",
            "/portal/jobs?next=https://evil.example",
            "/@evil.example",
            "/:80",
        ] {
            let next = Next::parse(path).unwrap_or_else(|| panic!("{path} is one of ours"));
            assert!(next.as_str().starts_with('/'), "{path}");
        }
        assert_eq!(Next::parse("/ä b").unwrap().as_str(), "/%C3%A4%20b");
    }

    #[test]
    fn everything_that_leads_elsewhere_is_refused() {
        let long = format!("/{}", "a".repeat(LONGEST));
        let ways_out = [
            "",
            " ",
            "portal",
            "//evil.example",
            "///evil.example",
            "////evil.example",
            "//evil.example/%2f..",
            "/\\evil.example",
            "\\\\evil.example",
            "\\/evil.example",
            "/\\/evil.example",
            "/a\\..\\evil",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r/evil.example",
            "/\0/evil.example",
            "/\u{7f}/evil.example",
            "/\u{85}/evil.example",
            "\t//evil.example",
            " //evil.example",
            "\u{a0}//evil.example",
            "http://evil.example",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "HTTPS://evil.example",
            "http:\\\\evil.example",
            "javascript:alert(1)",
            "JaVaScRiPt:alert(1)",
            "java\nscript:alert(1)",
            "data:text/html,x",
            "vbscript:x",
            "file:///etc/passwd",
            "ftp://evil.example",
            "@evil.example",
            "evil.example/",
            ".evil.example",
            "?next=//evil.example",
            "#//evil.example",
            "/.//evil.example",
            "/..//evil.example",
            "/a/..//evil.example",
            "/a/b/../..//evil.example",
            "/%2e//evil.example",
            "/%2e%2e//evil.example",
            "/%2E/%2e%2E//evil.example",
            "/portal/../..//evil.example",
            "〱evil.example",
            "／／evil.example",
            "/login",
            "/login?next=/portal",
            "/login/reset",
            "/./login",
            "/a/../login",
            "/logout",
            "/signup",
            "/signup/verify",
            "/auth/device",
            "/auth",
            "/_launch",
            "/portal/../logout",
            "/portal\r\nSet-Cookie: a=b",
            long.as_str(),
        ];
        for text in ways_out {
            assert_eq!(Next::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_kept_stays_here(text in "[/\\\\a-z.%2efE:@?#\t\n \u{0}-\u{ff}／]{0,24}") {
            let ours = Url::parse("https://portal.example:8443/login").unwrap();
            for text in [text.clone(), format!("/{text}")] {
                if let Some(next) = Next::parse(&text) {
                    prop_assert_eq!(ours.join(next.as_str()).unwrap().origin(), ours.origin());
                    prop_assert!(next.as_str().bytes().all(|b| b.is_ascii_graphic()), "{}", next);
                    prop_assert_eq!(Next::parse(next.as_str()), Some(next));
                }
            }
        }

        #[test]
        fn any_text_at_all_stays_here(text in "/\\PC{0,40}") {
            let ours = Url::parse("http://127.0.0.1:8080/").unwrap();
            if let Some(next) = Next::parse(&text) {
                prop_assert_eq!(ours.join(next.as_str()).unwrap().origin(), ours.origin());
            }
        }
    }
}
