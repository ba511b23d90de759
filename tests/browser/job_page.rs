//! The page of a job that is running.
use crate::driver::{Browser, Visitor, block_on};
use crate::let_go;
use crate::server::Server;

const EMAIL: &str = "ada@example.org";

pub(crate) fn a_running_job_is_cancelled_and_run_again_from_its_page() {
    block_on(async {
        let server = Server::start(&[]);
        let token = server.sign_up(EMAIL);
        let id = server.run(&token, "endless", "echo begun; sleep 600");
        let browser = Browser::open(Visitor::Desk, &server).await;
        browser.sign_in(EMAIL).await;
        browser.go(&format!("/portal/jobs/{id}")).await;
        browser.reads("#log", |text| text.contains("begun")).await;

        browser.press("Cancel job").await;
        browser.see("#cancel:modal").await;
        browser.press("Keep it running").await;
        browser
            .until("the dialog to close", async || {
                (!browser.sees("#cancel:modal").await).then_some(())
            })
            .await;
        browser.press("Cancel job").await;
        browser.click("#cancel button.bad").await;
        browser
            .reads("#job-head", |text| text.contains("Cancelled"))
            .await;
        let job = server.job(&token, &id, |job| job["status"] == "cancelled");
        assert_ne!(job["status_message"], "", "{job}");

        browser.press("Run again").await;
        browser
            .arrives("the review", |path| {
                path.starts_with("/portal/submit/draft_") && path.ends_with("/review")
            })
            .await;
        for words in ["endless", "sleep 600", "10"] {
            browser.reads("#wizard", |text| text.contains(words)).await;
        }
        browser.see("#estimate #ack").await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}

pub(crate) fn a_page_survives_the_restart_of_the_server() {
    const LINES: usize = 60;
    block_on(async {
        let mut server = Server::start(&[]);
        let token = server.sign_up(EMAIL);
        let script = format!(
            "i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; [ $i -ne 30 ] || until [ -e go ]; do sleep 0.1; done; done; echo over"
        );
        let browser = Browser::open(Visitor::Desk, &server).await;
        browser.sign_in(EMAIL).await;
        let id = server.run(&token, "slow", &script);
        browser.go(&format!("/portal/jobs/{id}")).await;
        browser.ask("window.here = 'still'").await;
        browser.see("html[data-live=on]").await;
        browser.reads("#live", |text| text == "Live").await;
        browser
            .reads("#log", |text| text.contains("line 5\n"))
            .await;
        server.kill();
        let_go(&server, &id);
        server.restart();

        let output = browser.reads("#log", |text| text.contains("over\n")).await;
        let expected: String = (1..=LINES)
            .map(|number| format!("line {number}\n"))
            .chain(["over\n".to_owned()])
            .collect();
        assert_eq!(output.trim_start_matches('\n'), expected);
        browser
            .reads("#job-head", |text| text.contains("Completed"))
            .await;
        assert_eq!(browser.ask("window.here").await, "still", "it was reloaded");
        browser.see("html[data-live=done]").await;
    });
}
