//! Filtering, and cancelling many jobs, with scripts and without.
use super::EMAIL;
use crate::driver::{Browser, Visitor, block_on};
use crate::server::Server;

pub(crate) fn many_are_cancelled_after_a_look_at_them() {
    walk(Visitor::Desk);
}

pub(crate) fn many_are_cancelled_without_javascript() {
    walk(Visitor::NoScript);
}

fn walk(visitor: Visitor) {
    let scripts = matches!(visitor, Visitor::Desk);
    block_on(async {
        let server = Server::start(&["--host-slots", "1"]);
        let token = server.sign_up(EMAIL);
        let first = server.run(&token, "render one", "sleep 600");
        server.job(&token, &first, |job| job["status"] == "running");
        server.run(&token, "render two", "sleep 600");
        server.run(&token, "keep me", "sleep 600");
        let browser = Browser::open(visitor, &server).await;
        browser.sign_in(EMAIL).await;
        browser.go("/portal/jobs").await;
        browser.fill("#q", "render").await;
        if scripts {
            let apply = "getComputedStyle(document.querySelector('#filter > .btn')).display";
            assert_eq!(browser.ask(apply).await, "none", "it applies itself");
        } else {
            browser.press("Apply").await;
        }
        browser
            .until("two rows", async || {
                (browser.count("#job-rows tr").await == 2).then_some(())
            })
            .await;
        browser
            .reads(".bar .tag", |text| text.contains("render"))
            .await;
        for _ in 0..2 {
            browser.see("#job-rows input[type=checkbox]").await;
        }
        browser.click("#job-rows tr:nth-child(1) input").await;
        browser.click("#job-rows tr:nth-child(2) input").await;
        browser.press("Cancel selected").await;
        browser.reads("h1", |text| text == "Cancel 2 jobs?").await;
        browser.press("Cancel 2 jobs").await;
        browser
            .reads("h1", |text| text == "2 jobs are cancelled")
            .await;
        assert_eq!(browser.count("tbody tr").await, 2);
        server.job(&token, &first, |job| job["status"] == "cancelled");
        browser.press("Back to the jobs").await;
        browser
            .reads("#job-rows tr:first-child", |text| text.contains("keep me"))
            .await;
        browser.press("Cancel all active").await;
        browser.reads("h1", |text| text == "Cancel one job?").await;
        browser.press("Keep them").await;
        browser.reads("h1", |text| text == "Jobs").await;

        browser.go(&format!("/portal/jobs/{first}/record")).await;
        assert_eq!(
            browser
                .see("[data-print]")
                .await
                .is_displayed()
                .await
                .unwrap(),
            scripts
        );
        assert!(browser.paper().await.starts_with(b"%PDF-"));
        browser.go(&format!("/portal/jobs/{first}/as/curl")).await;
        assert!(browser.text("#as").await.contains("/v1/jobs"));
        browser.go(&format!("/portal/jobs/{first}")).await;
        browser.press("Clone").await;
        browser
            .arrives("the wizard", |path| path.ends_with("/workload"))
            .await;
        assert_eq!(browser.value("#name").await, "render one");
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}
