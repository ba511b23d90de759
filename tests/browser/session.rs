//! Who may see what, and what is left of it afterwards.
use crate::driver::{Browser, Visitor, block_on};
use crate::server::{PASSWORD, Server};

const EMAIL: &str = "ada@example.org";

pub(crate) fn a_guest_comes_back_to_where_they_wanted_to_go() {
    block_on(async {
        let server = Server::start(&[]);
        server.sign_up(EMAIL);
        let browser = Browser::open(Visitor::Desk, &server).await;
        browser.go("/portal/jobs?status=failed").await;
        browser
            .arrives("the door", |path| path.starts_with("/login?next="))
            .await;
        browser.fill("#email", EMAIL).await;
        browser.fill("#password", "something else").await;
        browser.press("Sign in").await;
        browser.see("main .is-bad").await;
        assert_eq!(browser.value("#email").await, EMAIL);
        assert_eq!(browser.value("#password").await, "");
        browser.fill("#password", PASSWORD).await;
        browser.press("Sign in").await;
        browser
            .arrives("the failed jobs", |path| {
                path == "/portal/jobs?status=failed"
            })
            .await;
        assert_eq!(browser.value("#status").await, "failed");
        for page in ["/login", "/signup"] {
            browser.go(page).await;
            browser
                .arrives("the dashboard", |path| path == "/portal")
                .await;
        }
    });
}

pub(crate) fn what_is_private_is_gone_after_signing_out() {
    block_on(async {
        let server = Server::start(&[]);
        let token = server.sign_up(EMAIL);
        server.run(&token, "a private name", "true");
        let browser = Browser::open(Visitor::Desk, &server).await;
        browser.sign_in(EMAIL).await;
        browser.go("/portal/jobs").await;
        browser
            .reads("main", |text| text.contains("a private name"))
            .await;
        browser.click("button.who").await;
        browser.press("Sign out").await;
        browser.arrives("the door", |path| path == "/login").await;
        browser.reads("main", |text| text.contains("Sign in")).await;
        browser.back().await;
        browser
            .arrives("the door", |path| path.starts_with("/login"))
            .await;
        let page = browser.text("body").await;
        assert!(!page.contains("a private name"), "{page}");
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}
