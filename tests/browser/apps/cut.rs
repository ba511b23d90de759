//! A page whose connection breaks, or brings nothing, while it is followed.
use super::record::{self, assert_whole, course};
use super::relay::Relay;
use super::{EMAIL, Stage, is_withheld, lists_all_events, page_of};
use crate::driver::{Browser, Visitor, block_on};
use serde_json::{Value, json};

/// Where connections break after the first cut: in the head of the answer, then
/// further and further into its first message, which is never shorter.
const PIECES: [usize; 4] = [200, 1_500, 3_000, 4_500];

/// A launch whose page is open behind `relay`, and what is seen there recorded.
async fn followed(stage: &Stage, relay: &Relay) -> (String, Browser) {
    let id = stage.launch("workspace-files");
    let browser = Browser::open_behind(Visitor::Desk, &stage.server, relay.address).await;
    browser.sign_in(EMAIL).await;
    browser.go(&page_of(&id)).await;
    record::start(&browser).await;
    (id, browser)
}

pub(crate) fn a_connection_that_is_cut_loses_and_repeats_nothing() {
    block_on(async {
        let Some(stage) = Stage::set() else { return };
        let relay = Relay::to(stage.server.address).await;
        let (id, browser) = followed(&stage, &relay).await;
        browser.see("html[data-live=on]").await;
        lists_all_events(&stage, &browser, &id).await;
        let before = stage.events(&id).len();

        relay.cut();
        browser.see("html[data-live=retry]").await;
        browser.reads("#live", |text| text == "Reconnecting").await;
        stage.begin();
        stage.session_is(&id, |session| session["last_event"] != before);
        assert_eq!(browser.count("#events > *").await, before);
        is_withheld(&browser, "Waiting for a free slot").await;
        relay.mend(&PIECES);
        browser
            .until("every piece to break", async || {
                (relay.broken() == PIECES.len()).then_some(())
            })
            .await;
        browser.see("#go button[form=open]").await;
        browser.see("html[data-live=on]").await;
        browser.reads("#live", |text| text == "Live").await;
        lists_all_events(&stage, &browser, &id).await;

        // Cut again, and over before it is back.
        relay.cut();
        browser.see("html[data-live=retry]").await;
        stage.post(&format!("/v1/app-sessions/{id}/stop"), &json!({}));
        let ended = stage.session_is(&id, |session| session["status"] == "ended");
        browser.reads("#state", |text| text == "Running").await;
        relay.mend(&[]);
        browser.reads("#state", |text| text == "Ended").await;
        browser.see("html[data-live=done]").await;
        lists_all_events(&stage, &browser, &id).await;
        assert_eq!(ended["last_event"], stage.events(&id).len());

        let moments = record::moments(&browser).await;
        assert_whole(&moments);
        let mut badges = course(&moments, |moment| moment.live.as_str());
        // On a machine that is slow enough the page begins to ask.
        badges.retain(|badge| !matches!(*badge, "" | "poll"));
        badges.dedup();
        assert_eq!(badges, ["on", "retry", "on", "retry", "on", "done"]);
        printed_once(&stage, &browser, &ended).await;
    });
}

pub(crate) fn a_page_that_hears_nothing_asks() {
    block_on(async {
        let Some(stage) = Stage::set() else { return };
        let relay = Relay::to(stage.server.address).await;
        relay.hold_streams();
        let (id, browser) = followed(&stage, &relay).await;
        browser.see("html[data-live=poll]").await;
        browser.reads("#live", |text| text == "Polling").await;
        stage.begin();
        browser.see("#go button[form=open]").await;
        lists_all_events(&stage, &browser, &id).await;
        stage.post(&format!("/v1/app-sessions/{id}/stop"), &json!({}));
        browser.reads("#state", |text| text == "Ended").await;
        browser.see("html[data-live=done]").await;
        let ended = stage.session_is(&id, |session| session["status"] == "ended");
        lists_all_events(&stage, &browser, &id).await;
        printed_once(&stage, &browser, &ended).await;
        let moments = record::moments(&browser).await;
        assert_whole(&moments);
        let mut badges = course(&moments, |moment| moment.live.as_str());
        // On a machine that is slow enough it asks before the first moment is noted.
        badges.retain(|badge| !badge.is_empty());
        assert_eq!(badges, ["poll", "done"]);
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}

pub(crate) fn a_page_that_hears_nothing_more_asks_from_where_it_was() {
    block_on(async {
        let Some(stage) = Stage::set() else { return };
        let relay = Relay::to(stage.server.address).await;
        let (id, browser) = followed(&stage, &relay).await;
        browser.see("html[data-live=on]").await;
        let drawn = browser.count("#events > *").await;
        stage.begin();
        browser.see("#go button[form=open]").await;
        lists_all_events(&stage, &browser, &id).await;
        assert!(browser.count("#events > *").await > drawn);

        relay.hold_streams();
        relay.cut();
        browser.see("html[data-live=retry]").await;
        relay.mend(&[]);
        // As for whoever comes back to the tab: it does not wait as long then.
        let back = "document.dispatchEvent(new Event('visibilitychange'))";
        assert_eq!(browser.ask(back).await, true);
        browser.see("html[data-live=poll]").await;
        stage.post(&format!("/v1/app-sessions/{id}/stop"), &json!({}));
        browser.reads("#state", |text| text == "Ended").await;
        browser.see("html[data-live=done]").await;
        let ended = stage.session_is(&id, |session| session["status"] == "ended");
        lists_all_events(&stage, &browser, &id).await;
        printed_once(&stage, &browser, &ended).await;
        assert_whole(&record::moments(&browser).await);
    });
}

/// The page has every line that the app has printed, once.
async fn printed_once(stage: &Stage, browser: &Browser, session: &Value) {
    let job = session["job_id"].as_str().unwrap();
    let logs = stage.get(&format!("/v1/jobs/{job}/logs"));
    let lines = logs["items"].as_array().unwrap().iter();
    let printed: String = lines
        .map(|line| line["message"].as_str().unwrap().to_owned() + "\n")
        .collect();
    assert!(printed.contains("listening on"), "{logs}");
    assert_eq!(browser.text("#log").await.trim_start(), printed);
}
