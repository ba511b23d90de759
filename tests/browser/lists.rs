//! Pages that ask again and again while somebody reads them.
mod many;
pub(crate) use many::{
    many_are_cancelled_after_a_look_at_them, many_are_cancelled_without_javascript,
};

use crate::driver::{Browser, Visitor, block_on};
use crate::server::Server;
use serde_json::{Value, json};

const EMAIL: &str = "ada@example.org";
/// Rows of a page.
const ROWS: usize = 20;

fn cancel(server: &Server, token: &str, job: &str) {
    let path = format!("/v1/jobs/{job}/cancel");
    server.call("POST", &path, token, &json!({"wait_seconds": 1}));
}

/// Goes with the Tab key to the link of this job, as far as scripts can.
async fn focus(browser: &Browser, job: &str) {
    let focus = format!("document.querySelector('#job-rows [href$=\"{job}\"]').focus()");
    browser.ask(&focus).await;
    browser.ask("window.here = document.activeElement").await;
}

/// The same element has the focus, on the page that was opened.
async fn is_still_there(browser: &Browser) {
    let here = "document.activeElement === window.here && window.here.matches('#job-rows a')";
    assert_eq!(browser.ask(here).await, true);
}

async fn first_row(browser: &Browser, words: [&str; 2]) {
    browser
        .reads("#job-rows tr:first-child", |text| {
            words.iter().all(|word| text.contains(word))
        })
        .await;
}

pub(crate) fn an_open_list_keeps_its_place_while_rows_come_and_go() {
    block_on(async {
        let server = Server::start(&["--host-slots", "2"]);
        let token = server.sign_up(EMAIL);
        for number in 1..=ROWS + 2 {
            server.run(&token, &format!("early {number}"), "true");
        }
        let endless = server.run(&token, "endless", "sleep 600");
        server.job(&token, &endless, |job| job["status"] == "running");
        let browser = Browser::open(Visitor::Desk, &server).await;
        browser.sign_in(EMAIL).await;
        browser.go("/portal/jobs").await;
        first_row(&browser, ["endless", "Running"]).await;
        assert_eq!(browser.count("#job-rows tr").await, ROWS);
        focus(&browser, &endless).await;

        for name in ["late", "later"] {
            server.run(&token, name, "sleep 600");
        }
        first_row(&browser, ["later", "Queued"]).await;
        assert_eq!(browser.count("#job-rows tr").await, ROWS);
        cancel(&server, &token, &endless);
        browser
            .reads("#job-rows tr:nth-child(3)", |text| {
                text.contains("endless") && text.contains("Cancelled")
            })
            .await;
        first_row(&browser, ["later", "Running"]).await;
        is_still_there(&browser).await;

        // What is searched comes in pieces.
        browser.fill("#q", "early").await;
        first_row(&browser, ["early 22", "Completed"]).await;
        browser.see("#pager [rel=next]").await;
        let names = "[...document.querySelectorAll('#job-rows th span')].map((e) => e.textContent)";
        let expected: Vec<String> = (3..=ROWS + 2)
            .rev()
            .map(|number| format!("early {number}"))
            .collect();
        assert_eq!(browser.ask(names).await, json!(expected));
        assert_eq!(browser.path().await, "/portal/jobs?q=early");
        browser.press("Older").await;
        // Not by the words of the first row: “early 22” has those of “early 2”.
        browser
            .until("the last two rows", async || {
                (browser.count("#job-rows tr").await == 2).then_some(())
            })
            .await;
        assert_eq!(browser.ask(names).await, json!(["early 2", "early 1"]));
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}

pub(crate) fn an_open_dashboard_follows_without_losing_its_place() {
    block_on(async {
        let server = Server::start(&["--host-slots", "2"]);
        let token = server.sign_up(EMAIL);
        for number in 1..=5 {
            server.run(&token, &format!("early {number}"), "true");
        }
        let endless = server.run(&token, "endless", "sleep 600");
        server.job(&token, &endless, |job| job["status"] == "running");
        let browser = Browser::open(Visitor::Desk, &server).await;
        browser.sign_in(EMAIL).await;
        browser.go("/portal").await;
        browser
            .reads("#headline", |text| text.contains("One job is running."))
            .await;
        focus(&browser, &endless).await;
        let draft = json!({"content": {"name": "an afterthought"}});
        server.call("POST", "/v1/job-drafts", &token, &draft);
        let late = server.run(&token, "late", "sleep 600");
        first_row(&browser, ["late", "Running"]).await;
        browser
            .reads("#drafts", |text| text.contains("an afterthought"))
            .await;
        assert_eq!(browser.count("#job-rows tr").await, 6);
        browser.reads("#running", |text| text.contains('2')).await;
        is_still_there(&browser).await;

        for job in [&endless, &late] {
            cancel(&server, &token, job);
        }
        browser
            .reads("#headline", |text| text.contains("Nothing is running."))
            .await;
        browser
            .until("the end of asking", async || {
                (browser.count("#pulse[hx-get]").await == 0).then_some(())
            })
            .await;
        assert_eq!(
            browser
                .ask("document.querySelectorAll('#job-rows .is-run').length")
                .await,
            0
        );
        is_still_there(&browser).await;
        let shown = server.call("GET", "/v1/overview", &token, &Value::Null);
        assert_eq!(shown["running"], 0, "{shown}");
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}
