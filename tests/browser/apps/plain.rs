//! The same without JavaScript.
use super::{
    EMAIL, Stage, arrives_at_a_session, arrives_at_an_app, is_withheld, lists_all_events, page_of,
    words,
};
use crate::driver::{Browser, Visitor, block_on};
use std::fs;

const NOTE: &str = "a line for later\n";

pub(crate) fn an_app_is_launched_used_and_stopped_without_javascript() {
    block_on(async {
        let Some(stage) = Stage::set() else { return };
        let browser = Browser::open(Visitor::NoScript, &stage.server).await;
        browser.sign_in(EMAIL).await;
        let id = launch(&browser).await;
        let page = browser.page().await;
        assert!(!browser.sees("html.js").await, "scripts run here");

        browser
            .reads("#state", |text| text == "Waiting for capacity")
            .await;
        is_withheld(&browser, "Waiting for a free slot").await;
        stage.begin();
        // The page reads itself again until there is a way in.
        browser.see("#go button[form=open]").await;
        browser.reads("#state", |text| text == "Running").await;
        assert_eq!(browser.count("#steps > li:not(.is-ok)").await, 0);
        lists_all_events(&stage, &browser, &id).await;

        let app = browser.opens(open(&browser)).await;
        browser.press("Continue to the app").await;
        let at = arrives_at_an_app(&browser, "/files/").await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("note.txt");
        fs::write(&file, NOTE).unwrap();
        browser.choose("input[name=file]", &file).await;
        browser.press("Upload").await;
        browser.press("note.txt").await;
        browser.reads("pre.preview", |text| text == NOTE).await;

        browser.turn_to(&page).await;
        asked_twice(&stage, &browser, &id).await;
        browser.reads("#state", |text| text == "Ended").await;
        browser
            .reads("#note", |text| text.contains("It was stopped"))
            .await;
        assert_eq!(browser.count("#halt a, button[form=open]").await, 0);
        lists_all_events(&stage, &browser, &id).await;
        browser.turn_to(&app).await;
        browser.reload().await;
        browser
            .reads("h1", |text| text == "There is no app here")
            .await;

        // What was to be kept is there in the next one.
        browser.turn_to(&page).await;
        browser.press("Launch again").await;
        browser.click("#ack").await;
        browser.press("Launch").await;
        browser
            .arrives("another session", |path| {
                path.starts_with(&page_of("ts_")) && path != page_of(&id)
            })
            .await;
        browser.see("#go button[form=open]").await;
        browser.opens(open(&browser)).await;
        browser.press("Continue to the app").await;
        let again = arrives_at_an_app(&browser, "/files/").await;
        assert_ne!(again.origin(), at.origin());
        browser.press("note.txt").await;
        browser.reads("pre.preview", |text| text == NOTE).await;
    });
}

/// As somebody would, who must ask for the price first.
async fn launch(browser: &Browser) -> String {
    browser.go("/portal/templates").await;
    browser.press("Workspace files").await;
    browser.fill("#max_hours", "lots").await;
    browser.press("See the price").await;
    let error = browser.text("#max_hours-error").await;
    assert!(error.contains("Enter a number of hours"), "{error}");
    assert_eq!(browser.value("#max_hours").await, "lots");
    browser.fill("#max_hours", "2").await;
    browser.press("See the price").await;
    browser
        .reads("#estimate", |text| text.contains("after 2 h"))
        .await;
    browser.press("Launch").await;
    let error = browser.text("#ack-error").await;
    assert!(error.contains("Confirm that you have read"), "{error}");
    browser.click("#ack").await;
    browser.press("Launch").await;
    arrives_at_a_session(browser).await
}

/// The page may read itself again at the very moment.
async fn open(browser: &Browser) {
    browser.click("#go button[form=open]").await;
}

/// With a form on a page of its own, which can be left as well.
async fn asked_twice(stage: &Stage, browser: &Browser, id: &str) {
    let question = format!("{}/stop", page_of(id));
    browser.press("Stop session…").await;
    browser
        .arrives("the question", |path| path == question)
        .await;
    browser.press("Keep it running").await;
    browser
        .arrives("the session", |path| path == page_of(id))
        .await;
    assert_eq!(stage.session(id)["status"], "running");
    browser.press("Stop session…").await;
    browser
        .arrives("the question", |path| path == question)
        .await;
    browser.press("Stop session").await;
    browser
        .arrives("the session", |path| path == page_of(id))
        .await;
}

pub(crate) fn one_page_grows() {
    block_on(async {
        let Some(stage) = Stage::set() else { return };
        let id = stage.launch("workspace-files");
        let browser = Browser::open(Visitor::NoScriptEager, &stage.server).await;
        browser.sign_in(EMAIL).await;
        browser.go(&page_of(&id)).await;
        browser.press("Watch it without reloading").await;
        let path = format!("{}/watch", page_of(&id));
        browser.arrives("what grows", |at| at == path).await;
        browser
            .reads("main .card", |text| {
                text.contains("Session created") && text.contains("Waiting for a free slot")
            })
            .await;
        let first = browser.see("main .card").await;
        assert_eq!(browser.count("#go").await, 0);
        // It is still coming: what is after it is not there.
        assert_eq!(browser.count("#toasts").await, 0);
        let before = stage.events(&id).len();
        stage.begin();

        browser.see("#go button[form=open]").await;
        browser.see("#toasts").await;
        let same = first.prop("textContent").await;
        same.expect("the page is still the same");
        let events = stage.events(&id);
        assert!(events.len() > before, "{events:?}");
        let told = browser.texts("main .card > p:has(> b)").await;
        let expected: Vec<String> = events.iter().map(|event| words(event).join(" ")).collect();
        assert_eq!(told, expected);
        browser.opens(browser.press("Open dashboard")).await;
        browser.press("Continue to the app").await;
        arrives_at_an_app(&browser, "/files/").await;
    });
}
