//! What is wrong around the body, and what forms can be sent.
use super::{Case, FORM, JSON, form, get, post};

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", body.len()).into_bytes();
    bytes.extend(body);
    bytes.extend(b"\r\n0\r\n\r\n");
    bytes
}

pub(super) fn requests(address: &str) -> Vec<Case> {
    let large = vec![b' '; 1_100_000];
    let chunked_large = chunked(&large);
    let list = |what, status, says| get(what, "/v1/jobs", status, says);
    vec![
        list("no token at all", 401, "Authentication").with("authorization", ""),
        list("another scheme", 401, "Authentication").with("authorization", "Basic YTpi"),
        list("a bearer of nothing", 401, "Authentication").with("authorization", "Bearer "),
        list("a key of the wrong kind", 401, "Authentication")
            .with("authorization", "Bearer jg_0123"),
        list("an unknown token", 401, "Authentication")
            .with("authorization", format!("Bearer jgs_{}", "0".repeat(64))),
        list("a token of 7,000", 401, "Authentication")
            .with("authorization", format!("Bearer jgs_{}", "0".repeat(7_000))),
        list("a cookie in place of a token", 401, "Authentication")
            .with("authorization", "")
            .with("cookie", "jg_session=x"),
        list("another host", 421, "MISDIRECTED").with("host", "evil.example"),
        list("another port", 421, "MISDIRECTED").with("host", "127.0.0.1:1"),
        list("a host with a user", 400, "not a host").with("host", format!("a@{address}")),
        list("no host", 400, "exactly one Host").with("no-host", ""),
        list(
            "a header that a proxy may misread",
            400,
            "letters, digits and hyphens",
        )
        .with("x_real_ip", "1.1.1.1"),
        list("a method that nobody knows", 501, "not known").method("BREW"),
        list("a trace", 405, "not allowed").method("TRACE"),
        post("too much", "/v1/jobs", large, 413, "larger than is allowed"),
        post(
            "too much, said first",
            "/v1/jobs",
            "",
            413,
            "larger than is allowed",
        )
        .with("content-length", "99999999"),
        post(
            "too much, in one chunk",
            "/v1/jobs",
            chunked_large,
            413,
            "larger than is allowed",
        )
        .with("transfer-encoding", "chunked"),
        post(
            "a packed body",
            "/v1/jobs",
            "x",
            415,
            "without a content coding",
        )
        .with("content-encoding", "gzip"),
        post("no type at all", "/v1/jobs", "{}", 400, "are required").with("content-type", ""),
        post(
            "JSON that says it is a form",
            "/v1/jobs",
            "{}",
            400,
            "are required",
        )
        .with("content-type", FORM),
        post("an expectation", "/v1/jobs", "{}", 417, "100-continue").with("expect", "a miracle"),
    ]
}

pub(super) fn forms() -> Vec<Case> {
    let junk = || b"email=%ff%fe&password=%00\xff\xfe".to_vec();
    vec![
        form("bad bytes at the door", "/login", junk(), 422, "mail"),
        form("bad bytes at the desk", "/signup", junk(), 422, "mail"),
        form(
            "a broken escape in a form",
            "/login",
            "email=%zz&password=%",
            422,
            "mail",
        ),
        form(
            "an empty form",
            "/signup",
            "",
            422,
            "Enter your e-mail address",
        ),
        form(
            "the same field twice",
            "/login",
            "email=a@b.example&email=c@d.example&password=x",
            422,
            "form",
        ),
        form(
            "JSON at the door",
            "/login",
            "{}",
            415,
            "could not be understood",
        )
        .with("content-type", JSON),
        form(
            "a form from elsewhere",
            "/login",
            "email=a@b.example",
            403,
            "another website",
        )
        .with("sec-fetch-site", "cross-site"),
        form(
            "too much at the door",
            "/login",
            vec![b'a'; 1_100_000],
            413,
            "larger than is allowed",
        ),
        form(
            "a script as name",
            "/signup",
            "name=%3Cscript%3Ealert(1)%3C%2Fscript%3E&email=x",
            422,
            "&lt;script&gt;",
        ),
        form(
            "a page that is not there",
            "/portal/nothing",
            "",
            404,
            "no such page",
        ),
    ]
}
