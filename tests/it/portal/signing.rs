//! Signing up, in and out.
use super::{Browser, htmx};
use axum::body::Body;
use http::{Method, StatusCode};

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
