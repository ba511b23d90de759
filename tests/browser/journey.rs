//! From the door to a finished job.
use crate::driver::{Browser, Visitor, block_on};
use crate::let_go;
use crate::server::{PASSWORD, Server};
use serde_json::{Value, json};

const EMAIL: &str = "ada@example.org";
/// Of known output, in the middle of which it waits until it has been looked at.
const COMMAND: &str = "sh -c 'for i in 1 2 3 4 5 6 7 8; do echo line $i; [ $i -ne 4 ] || until [ -e go ]; do sleep 0.1; done; done'";

const OUTPUT: &str = "line 1\nline 2\nline 3\nline 4\nline 5\nline 6\nline 7\nline 8\n";

pub(crate) fn a_visitor_signs_up_and_sees_a_job_finish() {
    block_on(async {
        let server = Server::start(&[]);
        let browser = Browser::open(Visitor::Desk, &server).await;
        sign_up(&browser, &server).await;
        assert!(browser.sees("html.js").await, "scripts run here");

        let draft = walk_the_wizard(&browser, true).await;
        browser.see("#estimate #ack").await;
        let cost = browser.text("#estimate .big").await;
        assert!(cost.contains('$'), "{cost}");

        // Without the tick the browser does not even ask.
        browser.click("#estimate button[type=submit]").await;
        let unticked = "document.querySelector('#ack').validity.valueMissing";
        assert_eq!(browser.ask(unticked).await, true);
        assert_eq!(browser.path().await, format!("{draft}/review"));
        assert_eq!(jobs(&server).len(), 0);

        browser.click("#ack").await;
        browser.double_click("#estimate button[type=submit]").await;
        let job = arrives_at_a_job(&browser).await;
        browser.ask("window.here = 'still'").await;
        browser.see("html[data-live=on]").await;
        browser.reads("#log", |text| text.contains("line 4")).await;
        let_go(&server, job.rsplit('/').next().unwrap());
        finished(&browser).await;
        assert_eq!(browser.ask("window.here").await, "still", "it was reloaded");
        browser.see("html[data-live=done]").await;
        assert_eq!(browser.count("#job-head .live").await, 0);

        assert_eq!(jobs(&server), [job.rsplit('/').next().unwrap()]);
        browser.go("/portal").await;
        browser
            .reads("main", |text| text.contains("first steps"))
            .await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}

pub(crate) fn the_same_path_works_without_javascript() {
    block_on(async {
        let server = Server::start(&[]);
        let browser = Browser::open(Visitor::NoScript, &server).await;
        sign_up(&browser, &server).await;
        assert!(!browser.sees("html.js").await, "scripts run here");

        let draft = walk_the_wizard(&browser, false).await;
        // The page asks again by itself until there is an estimate.
        browser.see("#estimate #ack").await;
        browser.click("#estimate button[type=submit]").await;
        assert_eq!(browser.path().await, format!("{draft}/review"));
        assert_eq!(jobs(&server).len(), 0);
        browser.click("#ack").await;
        browser.click("#estimate button[type=submit]").await;
        let job = arrives_at_a_job(&browser).await;
        browser.reads("#log", |text| text.contains("line 4")).await;
        let_go(&server, job.rsplit('/').next().unwrap());
        finished(&browser).await;
        assert!(!browser.sees("html.js").await, "scripts run here");
        assert_eq!(jobs(&server).len(), 1);

        // The dialogs of the frame are the browser's own.
        browser.click("button.who").await;
        browser.press("Sign out").await;
        browser.arrives("the door", |path| path == "/login").await;
    });
}

pub(crate) fn the_same_job_runs_through_the_api() {
    let server = Server::start(&[]);
    let token = server.sign_up(EMAIL);
    let job = json!({
        "name": "first steps", "workload_type": "batch", "image": "host",
        "command": COMMAND, "timeout_seconds": 300,
    });
    let estimate = server.call("POST", "/v1/jobs/estimate", &token, &job);
    assert_eq!(estimate["can_submit"], true, "{estimate}");
    let submitted = server.call("POST", "/v1/jobs", &token, &job);
    let id = submitted["job_id"].as_str().unwrap();
    server.job(&token, id, |job| job["status"] == "running");
    let_go(&server, id);
    let job = server.job(&token, id, |job| job["status"] == "completed");
    assert!(job["actual_cost_usd"].as_f64().unwrap() > 0.0, "{job}");
    let logs = format!("/v1/jobs/{id}/logs");
    let logs = server.call("GET", &logs, &token, &Value::Null);
    let said: String = logs["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["message"].as_str().unwrap().to_owned() + "\n")
        .collect();
    assert_eq!(said, OUTPUT);
}

/// Through sign-up and the mailed code to the dashboard.
async fn sign_up(browser: &Browser, server: &Server) {
    browser.go("/signup").await;
    browser.fill("#name", "Ada").await;
    browser.fill("#email", EMAIL).await;
    browser.fill("#password", PASSWORD).await;
    browser.press("Create account").await;
    browser
        .arrives("the question for the code", |path| {
            path.starts_with("/signup/verify")
        })
        .await;
    browser.fill("#code", &server.code(EMAIL)).await;
    browser.press("Verify and sign in").await;
    browser
        .arrives("the dashboard", |path| path == "/portal")
        .await;
}

/// Every step, with an error, a way back and a reload; the draft's path.
async fn walk_the_wizard(browser: &Browser, scripts: bool) -> String {
    browser.go("/portal/submit").await;
    browser.fill("#name", "first steps").await;
    browser.fill("#model_size_gb", "huge").await;
    browser.press("Continue").await;
    let error = browser.text("#model_size_gb-error").await;
    assert!(error.contains("Write a number more than 0"), "{error}");
    assert_eq!(browser.value("#model_size_gb").await, "huge");
    assert_eq!(browser.value("#name").await, "first steps");
    if scripts {
        let said = browser.complaints().await;
        assert!(said.len() == 1 && said[0].contains("422"), "{said:?}");
    }

    browser.fill("#model_size_gb", "3.5").await;
    browser.press("Continue").await;
    let image = browser
        .arrives("the image", |path| path.ends_with("/image"))
        .await;
    let draft = image.trim_end_matches("/image").to_owned();
    browser.see("#command").await;
    // Without scripts the refused form is in the history, and the browser wants
    // to send it again.
    if scripts {
        browser.back().await;
        browser
            .reads("h1", |text| text.contains("What do you want to run?"))
            .await;
        assert_eq!(browser.value("#name").await, "first steps");
        browser.press("Continue").await;
        browser
            .arrives("the same image", |path| path == image)
            .await;
        browser.see("#command").await;
    }
    browser.press("Back").await;
    browser
        .arrives("the workload", |path| path == format!("{draft}/workload"))
        .await;
    assert_eq!(browser.value("#model_size_gb").await, "3.5");
    browser.press("Continue").await;
    browser.arrives("the image", |path| path == image).await;

    browser.fill("#command", COMMAND).await;
    browser.press("Continue").await;
    browser
        .arrives("the resources", |path| path.ends_with("/resources"))
        .await;
    browser.see("#timeout_seconds").await;
    browser.back().await;
    browser.arrives("the image", |path| path == image).await;
    assert_eq!(browser.value("#command").await, COMMAND);
    browser.forward().await;
    browser.see("#timeout_seconds").await;
    browser.fill("#timeout_seconds", "5").await;
    browser.press("Continue").await;
    browser
        .arrives("the routing", |path| path.ends_with("/routing"))
        .await;
    browser.see("#optimize_for").await;
    browser.reload().await;
    browser.press("Continue").await;
    browser
        .arrives("the review", |path| path == format!("{draft}/review"))
        .await;
    for words in ["first steps", "3.5", "for i in", "5"] {
        browser.reads("#wizard", |text| text.contains(words)).await;
    }
    draft
}

async fn arrives_at_a_job(browser: &Browser) -> String {
    browser
        .arrives("the job", |path| path.starts_with("/portal/jobs/job_"))
        .await
}

/// The page shows how the job ended, all its output in order, and its cost.
async fn finished(browser: &Browser) {
    browser
        .reads("#job-head", |text| text.contains("Completed"))
        .await;
    let output = browser.reads("#log", |text| text.contains("line 8")).await;
    assert_eq!(output.trim_start_matches('\n'), OUTPUT);
    let cost = browser
        .reads("#job-cost", |text| text.contains("Final"))
        .await;
    assert!(cost.contains("$0.0"), "{cost}");
    let happened = browser
        .reads("#events", |text| text.to_lowercase().contains("completed"))
        .await;
    assert!(happened.to_lowercase().contains("submitted"), "{happened}");
    assert_eq!(browser.count("#events > li.is-run").await, 0);
    assert!(browser.count("#events > li.is-ok").await >= 3);
}

/// The ids of all jobs of the visitor, as the API has them.
fn jobs(server: &Server) -> Vec<String> {
    let credentials = json!({"email": EMAIL, "password": PASSWORD});
    let signed_in = server.call("POST", "/auth/signin", "", &credentials);
    let token = signed_in["token"].as_str().unwrap();
    let list = server.call("GET", "/v1/jobs", token, &Value::Null);
    let jobs = list["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["job_id"].as_str().unwrap().to_owned())
        .collect()
}
