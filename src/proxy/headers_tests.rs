use super::*;

fn own() -> Origin {
    Origin {
        scheme: "http",
        host: "x.apps.localhost:8080".into(),
    }
}

fn names() -> Names {
    Names {
        own: own(),
        inside: own(),
    }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, value.parse().unwrap());
    }
    headers
}

fn sent(lines: &[(&str, &str)]) -> HeaderMap {
    up(&headers(lines), &names(), [192, 0, 2, 1].into(), &[], false)
}

#[test]
fn names_that_an_app_could_misread_stay_behind() {
    for name in [
        "x_requested_with",
        "accept.language",
        "content_length",
        "content-length",
        "upgrade",
        "transfer-encoding",
        "te",
        "expect",
        "http2-settings",
        "proxy-connection",
        "sec-websocket-key",
        "x-forwarded-user",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "via",
        "cdn-loop",
        "client-ip",
        "true-client-ip",
    ] {
        if name.starts_with("content-l") {
            // Listed as `content-*` it would be; each is listed by itself.
            assert!(!listed(UP, &name.parse().unwrap()));
        }
        assert!(!sent(&[(name, "1")]).contains_key(name), "{name}");
    }
    assert_eq!(sent(&[("accept-language", "de")])["accept-language"], "de");
}

#[test]
fn injected_headers_replace_what_the_browser_sent() {
    let inject = [(header::AUTHORIZATION, HeaderValue::from_static("Basic app"))];
    let from = headers(&[
        ("authorization", "Basic mine"),
        ("authorization", "Basic other"),
    ]);
    let to = up(&from, &names(), [192, 0, 2, 1].into(), &inject, false);
    let all: Vec<_> = to.get_all(header::AUTHORIZATION).iter().collect();
    assert_eq!(all, ["Basic app"]);
}

#[test]
fn tokens_of_ours_never_go_up() {
    for token in ["jg_1", "jgs_1", "jgn_1", "jgl_1", "jga_1"] {
        let to = sent(&[("authorization", &format!("Bearer {token}"))]);
        assert!(!to.contains_key("authorization"), "{token}");
    }
}

#[test]
fn only_the_apps_own_cookies_go_up() {
    for (cookies, kept) in [
        ("a=1", Some("a=1")),
        ("__Host-jg_app=x", None),
        ("a=1;__host-JG_app=x;  b=2;", Some("a=1; b=2")),
        ("=__Host-jg_app=x; bare; __Secure-jgx=1", Some("bare")),
        ("__Host-other=1", Some("__Host-other=1")),
        (";;;", None),
    ] {
        let to = sent(&[("cookie", cookies)]);
        assert_eq!(
            to.get("cookie").map(|kept| kept.to_str().unwrap()),
            kept,
            "{cookies}"
        );
    }
}

#[test]
fn cookies_are_for_this_host_only() {
    for (cookie, kept) in [
        ("a=1", Some("a=1")),
        ("a=1; Domain=localhost; Path=/", Some("a=1; Path=/")),
        ("a=1;DOMAIN;domain=x;Secure", Some("a=1; Secure")),
        ("a=b=c; Max-Age=0", Some("a=b=c; Max-Age=0")),
        (" __Host-jg_app =1", None),
        ("__HOST-JGX=1", None),
        ("__Secure-jg=1", None),
        ("jg_app=1", None),
        ("=jg", None),
        ("bare", None),
        ("a b=1", None),
        ("", None),
    ] {
        let kept_now = set_cookie(&cookie.parse().unwrap());
        let kept_now = kept_now.as_ref().map(|value| value.to_str().unwrap());
        assert_eq!(kept_now, kept, "{cookie}");
    }
}

#[test]
fn other_sites_may_link_but_nothing_else() {
    let foreign = |method: &str, lines: &[(&str, &str)]| {
        let mut request = http::Request::builder().method(method).body(()).unwrap();
        *request.headers_mut() = headers(lines);
        super::foreign(&request.into_parts().0, &own())
    };
    let from = |site, mode, dest| {
        [
            ("sec-fetch-site", site),
            ("sec-fetch-mode", mode),
            ("sec-fetch-dest", dest),
        ]
    };
    for (method, lines, refused) in [
        ("GET", from("cross-site", "navigate", "document"), false),
        ("GET", from("same-site", "navigate", "document"), false),
        ("GET", from("cross-site", "navigate", "iframe"), true),
        ("GET", from("same-site", "no-cors", "image"), true),
        ("GET", from("same-site", "cors", "empty"), true),
        ("POST", from("cross-site", "navigate", "document"), true),
        ("POST", from("same-site", "cors", "empty"), true),
        ("POST", from("same-origin", "cors", "empty"), false),
        ("GET", from("same-origin", "navigate", "iframe"), false),
        ("GET", from("none", "navigate", "document"), false),
    ] {
        assert_eq!(foreign(method, &lines), refused, "{method} {lines:?}");
    }
    let own = "http://x.apps.localhost:8080";
    assert!(!foreign("POST", &[("origin", own)]));
    assert!(!foreign("GET", &[]));
    for origin in [
        "null",
        "http://y.apps.localhost:8080",
        "http://x.apps.localhost:80801",
    ] {
        assert!(foreign("POST", &[("origin", origin)]), "{origin}");
        assert!(
            foreign("POST", &[("origin", own), ("origin", origin)]),
            "{origin}"
        );
    }
}
