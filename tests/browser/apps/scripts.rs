//! From the catalogue into an app and out again, with JavaScript.
use super::record::{self, Moment, assert_whole, course};
use super::{
    EMAIL, Stage, arrives_at_a_session, arrives_at_an_app, is_withheld, lists_all_events, page_of,
};
use crate::driver::{Browser, Visitor, block_on};
use crate::server::until;
use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How far a launch has come, as the page calls it.
const WAY: [&str; 5] = [
    "Waiting for capacity",
    "Reserved",
    "Starting",
    "Checking services",
    "Running",
];

pub(crate) fn a_launch_is_watched_opened_used_and_stopped() {
    block_on(async {
        let Some(stage) = Stage::set() else { return };
        let browser = Browser::open(Visitor::Desk, &stage.server).await;
        browser.sign_in(EMAIL).await;
        let id = launch(&browser).await;
        let page = browser.page().await;
        record::start(&browser).await;
        browser.see("html[data-live=on]").await;
        browser.reads("#live", |text| text == "Live").await;

        // It waits for its turn, and is not let into, however it is tried.
        browser.reads("#state", |text| text == WAY[0]).await;
        is_withheld(&browser, "Waiting for a free slot").await;
        browser.press("Open dashboard").await;
        stage.assert_closed(&id, "console");
        stage.begin();
        first_let_in(&stage, &id);

        browser.see("#go button[form=open]").await;
        browser
            .reads("#say", |text| text.contains("is ready and can be opened"))
            .await;
        browser.see("#v-monitor button[form=open]").await;
        let moments = record::moments(&browser).await;
        came_by_itself(&moments);
        offered_in_time(&moments, &stage.events(&id));

        assert_eq!(browser.pages().await, 1);
        let console = browser.opens(browser.press("Open dashboard")).await;
        let at = arrives_at_an_app(&browser, "/").await;
        assert_eq!(at.port(), Some(stage.server.address.port()));
        a_shell_answers(&browser).await;
        browser.turn_to(&page).await;
        browser
            .opens(browser.click("#v-monitor button[form=open]"))
            .await;
        let beside = arrives_at_an_app(&browser, "/").await;
        assert_ne!(beside.origin(), at.origin());
        browser.reads("#state", |text| text == "Live").await;
        browser.turn_to(&page).await;
        assert_eq!(browser.complaints().await, Vec::<String>::new());

        stopped_elsewhere(&stage, &browser, &id).await;

        // The page that saw the launch sees the end.
        browser.turn_to(&page).await;
        browser.reads("#state", |text| text == "Ended").await;
        browser.see("html[data-live=done]").await;
        browser
            .reads("#note", |text| text.contains("It was stopped"))
            .await;
        let ended = stage.session_is(&id, |session| session["status"] == "ended");
        let charged = browser.text("#c-cost").await;
        let cost = ended["cost_usd"].as_f64().unwrap();
        assert!(cost > 0.0, "{ended}");
        let written: f64 = charged.rsplit('$').next().unwrap().parse().unwrap();
        assert!(charged.starts_with("Charged"), "{charged}");
        assert!((written - cost).abs() < 0.000_1, "{charged}, not {cost}");
        browser.see("#go a").await;
        assert_eq!(browser.text("#live").await, "Ended");
        let gone = "#halt button, dialog#stop, button[form=open]";
        assert_eq!(browser.count(gone).await, 0);
        lists_all_events(&stage, &browser, &id).await;
        let moments = record::moments(&browser).await;
        assert_whole(&moments);
        assert!(moments.last().unwrap().again, "{moments:?}");
        // Pages of the app itself try to come back to it.
        let mut said = browser.complaints().await;
        said.retain(|said| !said.contains(".apps.localhost:"));
        assert_eq!(said, Vec::<String>::new());

        stage.assert_closed(&id, "console");
        browser.turn_to(&console).await;
        browser.reads("#state", |text| text.contains("gone")).await;
        browser.reload().await;
        browser
            .reads("h1", |text| text == "There is no app here")
            .await;
        assert_eq!(browser.url().await, at);
    });
}

/// Through the catalogue, wrong choices, the price and a missing tick.
async fn launch(browser: &Browser) -> String {
    browser.go("/portal/templates").await;
    browser.press("Workspace console").await;
    browser
        .arrives("the launch", |path| {
            path == "/portal/templates/workspace-console"
        })
        .await;
    browser.retype("#max_hours", "lots").await;
    let error = browser.text("#max_hours-error").await;
    assert!(error.contains("Enter a number of hours"), "{error}");
    assert_eq!(browser.value("#max_hours").await, "lots");
    browser.retype("#max_hours", "2").await;
    // The price comes by itself.
    browser.see("#estimate #ack").await;
    browser
        .reads("#estimate", |text| text.contains("after 2 h"))
        .await;
    let said = browser.complaints().await;
    assert!(said.len() == 1 && said[0].contains("422"), "{said:?}");

    browser.press("Launch").await;
    let error = browser.text("#ack-error").await;
    assert!(error.contains("Confirm that you have read"), "{error}");
    let said = browser.complaints().await;
    assert!(said.len() == 1 && said[0].contains("422"), "{said:?}");
    browser.click("#ack").await;
    browser.press("Launch").await;
    arrives_at_a_session(browser).await
}

/// Asks to be let in until it is; by then the app has said that it is ready.
fn first_let_in(stage: &Stage, id: &str) {
    until("the door to open", || stage.ticket(id, "console").ok());
    let events = stage.events(id);
    let ready = |event: &Value| event["kind"] == "service.ready" && event["service"] == "console";
    assert!(events.iter().any(ready), "{events:?}");
}

/// The page went the whole way, and only forward.
fn came_by_itself(moments: &[Moment]) {
    assert_whole(moments);
    let states = course(moments, |moment| moment.state.as_str());
    let mut way = WAY.iter();
    let forward = states.iter().all(|state| way.any(|next| next == state));
    assert!(forward, "{states:?}");
    assert_eq!(states.first().copied(), Some(WAY[0]));
    assert_eq!(states.last().copied(), Some(WAY[4]));
    assert!(states.len() > 2, "it jumped: {states:?}");

    // Each step was waited for, then done, and stays done.
    let first = &moments[0].steps;
    let done = |moment: &Moment| -> Vec<bool> {
        let ids = moment.steps.iter().map(|(id, _)| id);
        assert!(ids.eq(first.iter().map(|(id, _)| id)), "{moment:?}");
        let done = |(_, class): &(String, String)| class == "is-ok";
        moment.steps.iter().map(done).collect()
    };
    let course = course(moments, done);
    for pair in course.windows(2) {
        let lost = pair[0].iter().zip(&pair[1]).any(|(was, is)| *was && !is);
        assert!(!lost, "{course:?}");
    }
    let count = |done: &Vec<bool>| done.iter().filter(|done| **done).count();
    assert!(course.len() > 2, "{course:?}");
    assert_eq!(count(&course[0]), 1, "{course:?}");
    assert_eq!(count(course.last().unwrap()), first.len(), "{course:?}");
    let live = moments.iter().skip_while(|moment| moment.live != "on");
    assert!(live.clone().all(|moment| moment.live == "on"));
    assert!(live.clone().all(|moment| moment.badge == "Live"));
}

/// A way in is shown only once the service behind it was ready; before, the page
/// says what it waits for.
fn offered_in_time(moments: &[Moment], events: &[Value]) {
    let ready = |service: &str| -> i64 {
        let mut events = events.iter();
        let event =
            events.find(|event| event["kind"] == "service.ready" && event["service"] == service);
        let at = event.unwrap()["created_at"].as_str().unwrap();
        let at = OffsetDateTime::parse(at, &Rfc3339).unwrap();
        i64::try_from(at.unix_timestamp_nanos() / 1_000_000).unwrap()
    };
    for moment in moments {
        for offer in &moment.offers {
            let service = if offer == "primary" { "console" } else { offer };
            assert!(moment.at >= ready(service), "too early: {moment:?}");
        }
        assert!(
            !moment.offers.is_empty() || !moment.why.is_empty(),
            "{moment:?}"
        );
    }
    let closed = moments.iter().filter(|moment| moment.offers.is_empty());
    let reasons = course(closed, |moment| moment.why.as_str());
    assert!(reasons.len() > 1, "{reasons:?}");
    let offered = moments.last().unwrap().offers.clone();
    assert_eq!(offered, ["primary", "console", "monitor"]);
}

/// What is typed goes through the WebSocket, and so does what comes back.
async fn a_shell_answers(browser: &Browser) {
    browser.reads("#state", |text| text == "Connected.").await;
    browser
        .fill("#in", "echo $((6*7)) >answer; cat answer\n")
        .await;
    browser.reads("#out", |text| text.contains("\n42\n")).await;
}

/// Somebody else's window: a question that can be taken back, then the end.
async fn stopped_elsewhere(stage: &Stage, browser: &Browser, id: &str) {
    browser.another().await;
    browser.go(&page_of(id)).await;
    browser.press("Stop session").await;
    browser.see("dialog#stop:modal").await;
    browser
        .reads("dialog#stop", |text| text.contains("Kept"))
        .await;
    browser.press("Keep it running").await;
    browser
        .until("the dialog to close", async || {
            (!browser.sees("#stop:modal").await).then_some(())
        })
        .await;
    assert_eq!(stage.session(id)["status"], "running");
    browser.click("#halt button").await;
    browser.see("dialog#stop:modal").await;
    browser.click("dialog#stop button.bad").await;
    browser.reads("#state", |text| text == "Ended").await;
    assert_eq!(browser.path().await, page_of(id));
}
