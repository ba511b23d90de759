//! A template that asks for a secret at its launch.
use super::{EMAIL, Stage, arrives_at_a_session};
use crate::driver::{Browser, Visitor, block_on};

/// An app that prints what it is given.
const TALKER: &str = include_str!("../../support/talker.toml");
const TOKEN: &str = "hf_QvZk3xT9mL2pW8rD5sYc";
const FIELD: &str = "[name='settings.HF_TOKEN']";
const MODEL: &str = "[name='settings.MODEL']";

pub(crate) fn a_secret_is_given_at_the_launch_and_used_again() {
    block_on(async {
        let Some(mut stage) = Stage::set() else {
            return;
        };
        stage.add_template("talker", TALKER);
        stage.begin();
        let browser = Browser::open(Visitor::Desk, &stage.server).await;
        browser.sign_in(EMAIL).await;
        browser.go("/portal/templates/talker").await;
        assert_eq!(browser.count(FIELD).await, 0);
        let announced = browser.text("#settings").await;
        assert!(announced.contains("required, secret"), "{announced}");
        browser.press("See the price").await;
        browser.see(FIELD).await;
        browser.fill(FIELD, TOKEN).await;
        browser.retype(MODEL, "large").await;
        // Another price does not take away what was typed.
        browser.retype("#max_hours", "2").await;
        browser
            .reads("#estimate", |text| text.contains("after 2 h"))
            .await;
        assert_eq!(browser.value(FIELD).await, TOKEN);
        assert_eq!(browser.value(MODEL).await, "large");
        browser.press("Launch").await;
        browser.see("#ack-error").await;
        assert_eq!(browser.value(FIELD).await, TOKEN);
        browser.complaints().await;
        browser.click("#ack").await;
        browser.press("Launch").await;
        let id = arrives_at_a_session(&browser).await;
        stage.session_is(&id, |session| session["status"] == "running");
        let said = |text: &str| text.contains("token=[HF_TOKEN].") && text.contains("model=large");
        browser.reads("#log", said).await;
        let page = browser.text("main").await;
        assert!(page.contains("Given, and never shown"), "{page}");
        assert_eq!(browser.complaints().await, Vec::<String>::new());

        let path = format!("/v1/app-sessions/{id}/stop");
        stage.post(&path, &serde_json::json!({}));
        browser.see("#go a").await;
        browser.click("#go a").await;
        browser.see(FIELD).await;
        assert_eq!(browser.value(FIELD).await, "");
        assert_eq!(browser.value(MODEL).await, "large");
        let hint = browser.text("[id='settings.HF_TOKEN-hint']").await;
        assert!(hint.contains("Leave it empty to use the one"), "{hint}");
        browser.click("#ack").await;
        browser.press("Launch").await;
        let again = arrives_at_a_session(&browser).await;
        assert_ne!(again, id);
        browser.reads("#log", said).await;
    });
}
