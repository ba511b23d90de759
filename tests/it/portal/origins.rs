//! What other sites and scripts may not do.
use super::Browser;
use crate::double::{Double, TOKEN};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use sha2::{Digest as _, Sha256};

#[tokio::test]
async fn session_cookies_are_out_of_reach() {
    let fields = [("email", "a@b.example"), ("password", "x")];
    let plain = Browser::guest().post("/login", &fields).await;
    assert_eq!(
        plain.cookie("jg_session").expect("a cookie"),
        "jg_session=jgs_good; HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000"
    );
    let secure = Browser::over(Double::new(), true)
        .post("/login", &fields)
        .await;
    assert_eq!(
        secure.cookie("__Host-jg_session").expect("a cookie"),
        "__Host-jg_session=jgs_good; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=2592000"
    );
    // A cookie that any sibling host could have set is not looked at.
    let browser = Browser {
        cookie: Some(format!("jg_session={TOKEN}")),
        ..Browser::over(Double::new(), true)
    };
    assert_eq!(browser.visit("/portal").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn only_this_origin_may_write() {
    let own = "http://grid.example:8080";
    let cases: [(&[(&str, &str)], bool); 14] = [
        (&[("sec-fetch-site", "same-origin")], true),
        (&[("sec-fetch-site", "none")], true),
        (&[("sec-fetch-site", "same-site")], false),
        (&[("sec-fetch-site", "cross-site")], false),
        (&[("sec-fetch-site", "nonsense")], false),
        (
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-site", "cross-site"),
            ],
            false,
        ),
        (&[("sec-fetch-site", "cross-site"), ("origin", own)], false),
        (
            &[
                ("sec-fetch-site", "same-origin"),
                ("origin", "https://evil.example"),
            ],
            true,
        ),
        (&[("origin", own)], true),
        (&[("origin", "http://grid.example")], false),
        (&[("origin", "https://grid.example:8080")], false),
        (&[("origin", "http://app.grid.example:8080")], false),
        (&[("origin", "null")], false),
        (&[], false),
    ];
    let browser = Browser::guest();
    for (headers, allowed) in cases {
        let mut request = browser
            .request(Method::POST, "/login")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let page = browser
            .send(request, Body::from("email=a&password=b"))
            .await;
        let status = if allowed {
            StatusCode::SEE_OTHER
        } else {
            StatusCode::FORBIDDEN
        };
        assert_eq!(page.status, status, "{headers:?}");
        if !allowed {
            assert!(
                page.texts("main p")[0].contains("another website"),
                "{}",
                page.html
            );
        }
    }
    let lan = Browser::guest();
    let request = Request::post("/login")
        .header(header::HOST, "10.0.0.7:8080")
        .header("origin", "http://10.0.0.7:8080");
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    assert_eq!(
        lan.send(request, Body::from("email=a&password=b"))
            .await
            .status,
        StatusCode::SEE_OTHER
    );
}

#[tokio::test]
async fn other_sites_may_link_here_but_not_read_or_frame() {
    let cases: [(&[(&str, &str)], bool); 7] = [
        (
            &[
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ],
            true,
        ),
        (
            &[
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "navigate"),
            ],
            true,
        ),
        (
            &[
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "cors"),
            ],
            true,
        ),
        (
            &[
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "no-cors"),
            ],
            false,
        ),
        (
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")],
            false,
        ),
        (
            &[
                ("sec-fetch-site", "same-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
            false,
        ),
        (&[], true),
    ];
    let browser = Browser::signed_in();
    for (headers, allowed) in cases {
        let mut request = browser.request(Method::GET, "/portal");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let page = browser.send(request, Body::empty()).await;
        assert_eq!(page.status == StatusCode::OK, allowed, "{headers:?}");
        assert!(allowed || !page.html.contains("Moabi"), "{headers:?}");
    }
}

#[tokio::test]
async fn the_policy_admits_exactly_the_inlined_style() {
    let browser = Browser::guest();
    let first = browser.visit("/login").await;
    let style = first
        .html
        .split("<style>")
        .nth(1)
        .and_then(|rest| rest.split("</style>").next())
        .expect("a style");
    let hash = base64(&Sha256::digest(style.as_bytes()));
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-{hash}'; img-src 'self' data:; \
         connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    );
    assert_eq!(first.header("content-security-policy"), policy);
    assert_eq!(first.header("cache-control"), "no-store");
    assert_eq!(first.attributes("link[rel=prefetch]", "as"), ["style"]);

    let cookie = first
        .cookie("jg_css")
        .expect("a cookie")
        .split(';')
        .next()
        .expect("a pair")
        .to_owned();
    let second = Browser {
        cookie: Some(cookie),
        ..browser
    }
    .visit("/login")
    .await;
    assert!(
        !second.html.contains("<style")
            && second.attributes("link[rel=stylesheet]", "href").len() == 1
    );
    assert!(!second.header("content-security-policy").contains("sha256"));
    assert!(second.cookie("jg_css").is_none());
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three
            .iter()
            .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte))
            << (8 * (3 - three.len()));
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= three.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}
