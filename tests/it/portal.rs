//! The portal's shell, its pages for guests, the dashboard and the nodes.
use crate::architecture::HTMX_2;
use crate::double::{self, Double, TOKEN};
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::client::Client;
use junglegrid::web::{self, Config};
use scraper::{Html, Selector};
use sha2::{Digest as _, Sha256};
use tower::ServiceExt as _;

struct Browser {
    router: axum::Router,
    double: Double,
    cookie: Option<String>,
}

impl Browser {
    fn over(double: Double, secure_cookies: bool) -> Self {
        let config = Config {
            public_url: "http://grid.example:8080/".parse().expect("a URL"),
            secure_cookies,
            clock: double::clock(),
        };
        let router = web::router(Client::in_process(double.router()), config);
        Self {
            router,
            double,
            cookie: None,
        }
    }

    fn guest() -> Self {
        Self::over(Double::new(), false)
    }

    fn signed_in() -> Self {
        Self {
            cookie: Some(format!("jg_session={TOKEN}")),
            ..Self::guest()
        }
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "grid.example:8080");
        match &self.cookie {
            Some(cookie) => request.header(header::COOKIE, cookie),
            None => request,
        }
    }

    async fn send(&self, request: http::request::Builder, body: Body) -> Page {
        let request = request.body(body).expect("a request");
        Page::of(
            self.router
                .clone()
                .oneshot(request)
                .await
                .expect("infallible"),
        )
        .await
    }

    async fn visit(&self, path: &str) -> Page {
        self.send(self.request(Method::GET, path), Body::empty())
            .await
    }

    async fn swap(&self, path: &str) -> Page {
        let request = htmx(self.request(Method::GET, path));
        self.send(request, Body::empty()).await
    }

    /// As a page that shows a version of it.
    async fn shows(&self, path: &str, version: &str) -> Page {
        let request = htmx(self.request(Method::GET, path)).header("jg-shows", version);
        self.send(request, Body::empty()).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self
            .request(Method::POST, path)
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = serde_html_form::to_string(fields).expect("a form");
        self.send(request, Body::from(body)).await
    }
}

fn htmx(request: http::request::Builder) -> http::request::Builder {
    request
        .header("hx-request", "true")
        .header("hx-request-type", "partial")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "cors")
}

#[derive(Debug)]
struct Page {
    status: StatusCode,
    headers: http::HeaderMap,
    html: String,
}

impl Page {
    async fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Self {
            status: parts.status,
            headers: parts.headers,
            html: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("text"))
    }

    fn cookie(&self, name: &str) -> Option<&str> {
        let cookies = self.headers.get_all(header::SET_COOKIE);
        cookies
            .iter()
            .filter_map(|cookie| cookie.to_str().ok())
            .find(|cookie| cookie.starts_with(&format!("{name}=")))
    }

    /// What its pulse says that it shows.
    fn shown(&self) -> String {
        let told = self.attributes("#pulse", "hx-headers").remove(0);
        let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
        told["jg-shows"].as_str().expect("a version").to_owned()
    }

    fn texts(&self, selector: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let html = Html::parse_document(&self.html);
        html.select(&selector)
            .map(|el| {
                el.text()
                    .collect::<Vec<_>>()
                    .join(" ")
                    .split_whitespace()
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect()
    }

    fn attributes(&self, selector: &str, name: &str) -> Vec<String> {
        let selector = Selector::parse(selector).expect("a selector");
        let html = Html::parse_document(&self.html);
        html.select(&selector)
            .filter_map(|el| el.attr(name).map(str::to_owned))
            .collect()
    }
}

/// Every page, in every state that a test can bring about.
async fn all_pages() -> Vec<(String, Page)> {
    let mut pages = Vec::new();
    let guest = Browser::guest();
    for path in [
        "/login",
        "/login?next=/portal/jobs",
        "/login/forgot",
        "/login/reset?email=a@b.example",
        "/signup",
        "/signup/verify?email=a@b.example",
        "/nowhere",
    ] {
        pages.push((path.to_owned(), guest.visit(path).await));
    }
    guest.double.refuse(
        "POST /auth/register",
        400,
        "INVALID_REQUEST",
        "Two.",
        &[("email", "No."), ("password", "Short.")],
    );
    pages.push((
        "/signup, wrong".into(),
        guest.post("/signup", &[("email", "x\"><script>")]).await,
    ));
    let viewer = Browser::signed_in();
    for path in ["/portal", "/portal/nodes", "/portal/nowhere"] {
        pages.push((path.to_owned(), viewer.visit(path).await));
    }
    let shown = pages.iter().find(|(path, _)| path == "/portal");
    let shown = shown.expect("the dashboard").1.shown();
    let turned = shown.replace(|digit: char| digit.is_ascii_digit(), "f");
    let (_, rows) = shown.rsplit_once('.').expect("rows");
    let (_, fixed) = turned.split_once('.').expect("parts");
    let (fixed, _) = fixed.split_once('.').expect("parts");
    let polled = viewer.shows("/portal", &format!("0.{fixed}.{rows}")).await;
    pages.push(("/portal, polled".into(), polled));
    viewer
        .double
        .reply("GET /v1/overview", 200, &double::fresh());
    pages.push(("/portal, new".into(), viewer.visit("/portal").await));
    pages
}

#[tokio::test]
async fn guests_are_sent_to_sign_in_and_come_back() {
    let browser = Browser::guest();
    let page = browser.visit("/portal/nodes?a=1&b=%20").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    let login = page.header("location").to_owned();
    assert_eq!(login, "/login?next=%2Fportal%2Fnodes%3Fa%3D1%26b%3D%2520");
    let form = browser.visit(&login).await;
    let action = form.attributes("form", "action").remove(0);
    let page = browser
        .post(
            &action,
            &[("email", "a@b.example"), ("password", "long enough")],
        )
        .await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.header("location"), "/portal/nodes?a=1&b=%20");
}

#[tokio::test]
async fn a_next_that_leads_elsewhere_leads_home() {
    let browser = Browser::guest();
    for next in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "/%09/evil.example",
        "/login",
    ] {
        let action = format!("/login?next={next}");
        let page = browser
            .post(&action, &[("email", "a@b.example"), ("password", "x")])
            .await;
        assert_eq!(page.header("location"), "/portal", "{next}");
    }
}

#[tokio::test]
async fn whoever_is_signed_in_is_sent_past_the_pages_for_guests() {
    let browser = Browser::signed_in();
    for path in [
        "/login",
        "/signup",
        "/signup/verify?email=a@b.example",
        "/login/forgot",
        "/login/reset",
    ] {
        let page = browser.visit(path).await;
        assert_eq!(
            (page.status, page.header("location")),
            (StatusCode::SEE_OTHER, "/portal"),
            "{path}"
        );
    }
    let page = browser.visit("/login?next=/portal/nodes").await;
    assert_eq!(page.header("location"), "/portal/nodes");
    assert_eq!(browser.visit("/").await.header("location"), "/portal");
    assert_eq!(
        Browser::guest().visit("/").await.header("location"),
        "/login"
    );
}

#[tokio::test]
async fn a_session_that_is_over_is_forgotten() {
    let browser = Browser {
        cookie: Some("jg_session=jgs_old".into()),
        ..Browser::guest()
    };
    let page = browser.visit("/portal").await;
    assert_eq!(page.header("location"), "/login?next=%2Fportal");
    assert!(
        page.cookie("jg_session")
            .expect("a removal")
            .contains("Max-Age=0")
    );
    assert_eq!(browser.visit("/login").await.status, StatusCode::OK);
}

#[tokio::test]
async fn htmx_without_a_session_gets_no_sign_in_form_to_swap() {
    let browser = Browser::guest();
    let request = htmx(browser.request(Method::GET, "/portal")).header(
        "hx-current-url",
        "http://grid.example:8080/portal/nodes?x=1",
    );
    let page = browser.send(request, Body::empty()).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        page.header("hx-redirect"),
        "/login?next=%2Fportal%2Fnodes%3Fx%3D1"
    );
    assert_eq!(page.html, "");
}

#[tokio::test]
async fn signing_up_goes_through_the_mailed_code() {
    let browser = Browser::guest();
    let fields = [
        ("name", " Amara "),
        ("email", "amara@moabi.example"),
        ("password", "correct horse"),
    ];
    let page = browser.post("/signup?next=/portal/nodes", &fields).await;
    let verify = page.header("location").to_owned();
    assert_eq!(
        verify,
        "/signup/verify?email=amara%40moabi.example&next=%2Fportal%2Fnodes"
    );
    let sent = &browser.double.sent("POST /auth/register")[0];
    assert_eq!(sent.body["name"], "Amara");
    assert!(sent.origin.is_some());

    // The account's id is for this browser alone: in a cookie, not in the address.
    let cookie = page
        .cookie("jg_signup")
        .expect("a cookie")
        .split(';')
        .next()
        .expect("a pair")
        .to_owned();
    let browser = Browser {
        cookie: Some(cookie),
        ..browser
    };
    let page = browser.visit(&verify).await;
    let outbox = page.texts(".note").remove(0);
    assert!(
        outbox.contains("outbox") && outbox.contains("log"),
        "{outbox}"
    );
    assert!(
        page.texts("main p")
            .iter()
            .any(|text| text.contains("valid for 10 minutes"))
    );
    assert_eq!(page.attributes("#code", "autocomplete"), ["one-time-code"]);
    assert_eq!(page.attributes("#code", "inputmode"), ["numeric"]);

    let action = page.attributes("form", "action").remove(0);
    let page = browser
        .post(
            &action,
            &[("email", "amara@moabi.example"), ("code", "123 456")],
        )
        .await;
    assert_eq!(page.header("location"), "/portal/nodes");
    assert!(page.cookie("jg_session").is_some());
    let sent = &browser.double.sent("POST /auth/otp/verify")[0];
    assert_eq!(sent.body["code"], "123456");
    assert!(
        sent.body["account_id"]
            .as_str()
            .expect("an id")
            .starts_with("acct_")
    );

    // For another address it says nothing about that registration.
    browser
        .post(
            "/signup/verify",
            &[("email", "else@b.example"), ("code", "1")],
        )
        .await;
    assert!(
        browser.double.sent("POST /auth/otp/verify")[1]
            .body
            .get("account_id")
            .is_none()
    );
}

#[tokio::test]
async fn a_new_code_can_be_asked_for_and_the_next_page_says_so() {
    let browser = Browser::guest();
    let page = browser
        .post("/signup/resend", &[("email", "a@b.example")])
        .await;
    assert_eq!(
        page.header("location"),
        "/signup/verify?email=a%40b.example"
    );
    let said = page
        .cookie("jg_said")
        .expect("a cookie")
        .split(';')
        .next()
        .expect("a pair")
        .to_owned();
    let browser = Browser {
        cookie: Some(said),
        ..browser
    };
    let page = browser.visit("/signup/verify?email=a%40b.example").await;
    assert_eq!(
        page.texts("#toasts .toast span"),
        ["If that address has an account, a new code is on its way."]
    );
    assert!(
        page.cookie("jg_said")
            .expect("a removal")
            .contains("Max-Age=0"),
        "it is said once"
    );
}

#[tokio::test]
async fn an_address_that_is_not_verified_leads_to_its_code() {
    let browser = Browser::guest();
    browser.double.refuse(
        "POST /auth/signin",
        403,
        "EMAIL_NOT_VERIFIED",
        "Verify first.",
        &[],
    );
    let page = browser
        .post(
            "/login?next=/portal/nodes",
            &[("email", "a@b.example"), ("password", "x")],
        )
        .await;
    assert_eq!(
        page.header("location"),
        "/signup/verify?email=a%40b.example&next=%2Fportal%2Fnodes"
    );
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed_except_passwords() {
    let browser = Browser::guest();
    browser.double.refuse(
        "POST /auth/register",
        400,
        "INVALID_REQUEST",
        "Some fields need another look.",
        &[
            ("email", "That is not an address."),
            ("password", "At least 8 characters."),
        ],
    );
    let fields = [
        ("name", "A \"quoted\" name"),
        ("email", "nonsense"),
        ("password", "hunter2"),
    ];
    let page = browser.post("/signup", &fields).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(page.attributes("#name", "value"), ["A \"quoted\" name"]);
    assert_eq!(page.attributes("#email", "value"), ["nonsense"]);
    assert!(!page.html.contains("hunter2"));
    assert_eq!(
        page.texts(".err"),
        ["That is not an address.", "At least 8 characters."]
    );
    assert_eq!(page.attributes("#email", "aria-invalid"), ["true"]);
    assert_eq!(
        page.attributes(".note[role=alert] a", "href"),
        ["#email", "#password"]
    );
    assert_eq!(
        page.texts(".note[role=alert] .strong"),
        ["There are 2 problems"]
    );
}

#[tokio::test]
async fn refusals_of_a_whole_form_are_said_above_it() {
    let browser = Browser::guest();
    let cases = [
        (401, "INVALID_CREDENTIALS", StatusCode::UNPROCESSABLE_ENTITY),
        (429, "RATE_LIMITED", StatusCode::TOO_MANY_REQUESTS),
    ];
    for (status, code, shown) in cases {
        browser.double.refuse(
            "POST /auth/signin",
            status,
            code,
            "These are the words.",
            &[],
        );
        let page = browser
            .post(
                "/login",
                &[("email", "a@b.example"), ("password", "hunter2")],
            )
            .await;
        assert_eq!(page.status, shown);
        assert_eq!(page.texts("[role=alert] p"), ["These are the words."]);
        assert_eq!(page.attributes("#email", "value"), ["a@b.example"]);
    }
    browser
        .double
        .reply("POST /auth/signin", 200, &"out of contract");
    let page = browser
        .post(
            "/login",
            &[("email", "a@b.example"), ("password", "hunter2")],
        )
        .await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert_eq!(page.attributes("#email", "value"), ["a@b.example"]);
    assert!(page.texts("[role=alert] p")[0].contains("does not answer"));
}

#[tokio::test]
async fn a_lost_password_is_replaced_with_a_code() {
    let browser = Browser::guest();
    let page = browser
        .post("/login/forgot", &[("email", "a@b.example")])
        .await;
    assert_eq!(page.header("location"), "/login/reset?email=a%40b.example");
    let fields = [
        ("email", "a@b.example"),
        ("code", "123-456"),
        ("password", "correct horse"),
    ];
    let page = browser.post("/login/reset", &fields).await;
    assert_eq!(page.header("location"), "/portal");
    assert!(page.cookie("jg_session").is_some());
    assert_eq!(
        browser.double.sent("POST /auth/password/reset")[0].body["code"],
        "123456"
    );
}

#[tokio::test]
async fn signing_out_ends_the_session_even_if_nobody_hears_it() {
    let browser = Browser::signed_in();
    for broken in [false, true] {
        if broken {
            browser
                .double
                .refuse("POST /auth/signout", 500, "INTERNAL_ERROR", "No.", &[]);
        }
        let page = browser.post("/logout", &[]).await;
        assert_eq!(
            (page.status, page.header("location")),
            (StatusCode::SEE_OTHER, "/login")
        );
        assert!(
            page.cookie("jg_session")
                .expect("a removal")
                .contains("Max-Age=0")
        );
    }
    assert_eq!(browser.double.sent("POST /auth/signout").len(), 2);
    assert_eq!(
        browser.visit("/logout").await.status,
        StatusCode::METHOD_NOT_ALLOWED
    );
}

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

#[tokio::test]
async fn no_page_has_inline_style_or_the_spellings_of_htmx_2() {
    let others = [
        " style=",
        "js:",
        "morph:",
        "htmx:after",
        "htmx:before",
        "onclick",
        "hx-swap-oob",
    ];
    for (path, page) in all_pages().await {
        let html = page.html.split("</style>").last().unwrap_or_default();
        for spelling in HTMX_2.iter().chain(&others) {
            assert!(!html.contains(*spelling), "{path} contains {spelling}");
        }
        assert!(
            !html.contains("<script>") && !html.contains("<b>Diallo"),
            "{path} does not escape"
        );
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("vary", "accept, cookie, hx-request, hx-request-type"),
        ] {
            assert_eq!(page.header(name), value, "{path}");
        }
    }
}

#[tokio::test]
async fn ids_are_unique_and_what_refers_to_them_exists() {
    for (path, page) in all_pages().await {
        let ids = page.attributes("[id]", "id");
        let mut once = ids.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), ids.len(), "{path}: {ids:?}");
        if path.ends_with("polled") {
            continue;
        }
        for name in [
            "for",
            "aria-describedby",
            "aria-labelledby",
            "popovertarget",
        ] {
            for refers in page.attributes(&format!("[{name}]"), name) {
                for id in refers.split(' ') {
                    assert!(ids.iter().any(|known| known == id), "{path}: {name}={id}");
                }
            }
        }
    }
}

#[tokio::test]
async fn pages_are_small() {
    for (path, page) in all_pages().await {
        let own = page.html.split("</style>").last().unwrap_or_default().len();
        println!(
            "{path:40} {:6} bytes, {own:6} without the stylesheet",
            page.html.len()
        );
        assert!(own < 26_000, "{path}: {own}");
    }
}

#[tokio::test]
async fn the_dashboard_says_what_is_going_on() {
    let browser = Browser::signed_in();
    let page = browser.visit("/portal").await;
    assert_eq!(page.texts("title")[0], "Dashboard · Jungle Grid");
    assert_eq!(
        page.texts(".head p"),
        ["2 jobs are running, 1 more waits to start."]
    );
    assert_eq!(
        page.texts(".tile"),
        [
            "Running 2 $0.24 per hour now",
            "Queued 1 Waiting for a free slot",
            "Spend, 7 days $0.3562 12 completed, 1 failed",
            "Balance $4.99 $0.24 set aside, the rest lasts about 20 h",
        ]
    );
    assert_eq!(page.texts("#job-rows tr").len(), 6);
    let row = page.texts("#job-rows tr").remove(0);
    assert!(
        row.starts_with("sdxl-portrait-lora")
            && row.contains("Running Batch local 38 min $0.3116 38 min ago"),
        "{row}"
    );
    // Drafts open on the host that the viewer is on.
    let drafts = page.attributes("li a.strong", "href");
    assert!(drafts[0].starts_with("/portal/submit/draft_"), "{drafts:?}");
    assert_eq!(page.texts(".rail [aria-current]"), ["Dashboard"]);
    assert_eq!(page.texts(".rail .n"), [", active: 3"]);
}

#[tokio::test]
async fn the_dashboard_polls_only_while_something_is_active() {
    let browser = Browser::signed_in();
    let page = browser.visit("/portal").await;
    assert_eq!(page.attributes("#pulse", "hx-trigger"), ["every 5s"]);
    let shown = page.shown();
    let same = browser.shows("/portal", &shown).await;
    assert_eq!(
        (same.status, same.html.as_str()),
        (StatusCode::NO_CONTENT, "")
    );

    let mut over = double::busy();
    (over.running, over.queued) = (0, 0);
    browser.double.reply("GET /v1/overview", 200, &over);
    let fragment = browser.shows("/portal", &shown).await;
    assert!(
        fragment.html.starts_with("<div id=\"pulse\"></div>"),
        "{}",
        fragment.html
    );
    let targets: Vec<&str> = fragment
        .html
        .split("hx-target=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert_eq!(targets, ["#headline", "#running", "#queued"]);

    // Another kind of page is loaded anew.
    browser
        .double
        .reply("GET /v1/overview", 200, &double::fresh());
    for known in [shown.as_str(), "of an older program"] {
        let other = browser.shows("/portal", known).await;
        assert_eq!(
            (other.header("hx-refresh"), other.html.as_str()),
            ("true", "")
        );
    }
    let page = browser.visit("/portal").await;
    assert_eq!(page.texts(".empty h2"), ["Run your first job"]);
    assert_eq!(page.attributes(".empty a", "href"), ["/portal/submit"]);
}

#[tokio::test]
async fn a_node_says_which_protections_are_missing() {
    let page = Browser::signed_in().visit("/portal/nodes").await;
    assert_eq!(page.texts(".flush header span"), ["One is missing"]);
    let rows = page.texts("tbody tr");
    assert!(
        rows[0].contains("Active")
            && rows[2].starts_with("Memory limit No cgroup can be written")
            && rows[2].ends_with("Missing"),
        "{rows:?}"
    );
    let facts = page.texts("dl.two div");
    assert!(
        facts.contains(&"Memory 7.8 GB".to_owned())
            && facts.contains(&"Slots 1 of 2 free".to_owned()),
        "{facts:?}"
    );
    assert!(
        facts.iter().any(|fact| fact.contains("Only host")),
        "{facts:?}"
    );
}

#[tokio::test]
async fn errors_are_pages_with_a_way_out_or_notices() {
    let guest = Browser::guest().visit("/nowhere").await;
    assert_eq!(
        (guest.status, guest.texts("h1").remove(0).as_str()),
        (StatusCode::NOT_FOUND, "Not found")
    );
    assert_eq!(guest.attributes("main a", "href"), ["/"]);

    let browser = Browser::signed_in();
    let page = browser.visit("/portal/nowhere").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert_eq!(page.attributes("main a", "href"), ["/portal"]);
    assert_eq!(page.texts(".rail b").remove(0), "Moabi Labs");

    browser
        .double
        .reply("GET /v1/overview", 200, &"secret of the orchestrator");
    let page = browser.visit("/portal").await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY);
    assert!(!page.html.contains("secret"));
    browser
        .double
        .refuse("GET /v1/overview", 429, "RATE_LIMITED", "Slow down.", &[]);
    let notice = browser.swap("/portal").await;
    assert_eq!(notice.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        (notice.header("hx-retarget"), notice.header("hx-reswap")),
        ("#toasts", "beforeend")
    );
    assert_eq!(notice.texts(".toast span"), ["Slow down."]);
    browser
        .double
        .refuse("GET /v1/overview", 401, "UNAUTHORIZED", "Gone.", &[]);
    assert_eq!(
        browser.visit("/portal").await.header("location"),
        "/login?next=%2Fportal"
    );
}

#[tokio::test]
async fn a_form_that_cannot_be_read_is_an_error_in_words() {
    let browser = Browser::guest();
    let request = browser
        .request(Method::POST, "/login")
        .header("sec-fetch-site", "same-origin")
        .header(header::CONTENT_TYPE, "application/json");
    let page = browser.send(request, Body::from("{}")).await;
    assert_eq!(page.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(page.texts("h1"), ["Something is wrong"]);
}
