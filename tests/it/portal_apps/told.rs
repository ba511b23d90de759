//! What a page says in passing: colours of output, what is slow, who is signed out, and
//! what a form says to whoever is on the way from field to field.
use super::launch::with_settings;
use super::{Browser, parse, path, targets};
use crate::apps_double::{change, ended, estimate, event, line, list, session};
use crate::double::{NOW, TOKEN};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::api::apps::Session;
use junglegrid::domain::app::{EndCode, Phase};
use junglegrid::domain::money::Usd;
use time::Duration;
use tower::ServiceExt as _;

const RED: &str = "\u{1b}[1;31mERROR\u{1b}[0m no weights";

#[tokio::test]
async fn output_has_its_colours_wherever_it_is_shown() {
    let browser = Browser::new();
    let mut over = ended(28, EndCode::Crashed);
    if let Some(end) = &mut over.end {
        end.last_lines = vec![RED.into()];
    }
    let running = session(28, Phase::Services);
    let mut before = change(running.clone());
    before.lines = vec![line(1, "stdout", RED)];
    let mut after = change(over.clone());
    after.lines = vec![line(2, "stderr", RED)];
    browser.stream(&over, &[before, after.clone()]);

    let live = browser.live(&over, "0.0").await;
    let red = r#"<span class="a1 ao">ERROR</span> no weights"#;
    for (number, (_, message)) in live[..3].iter().enumerate() {
        assert!(message.contains(red), "message {number}: {message}");
    }
    browser.stream(&over, &[after]);
    let page = browser.visit(&path(&over)).await;
    for css in ["#log .e .a1.ao", "#last-lines .a1.ao"] {
        assert_eq!(page.texts(css), ["ERROR"], "{css}");
    }
    let colors = "link[rel=stylesheet][href*='/logs.']";
    assert_eq!(page.attributes(colors, "rel").len(), 1);

    let listed = list(vec![over.clone()], None);
    browser
        .double
        .reply("GET /v1/app-sessions?limit=12&status=past", 200, &listed);
    let opened = format!("/portal/templates/sessions?status=past&open={}", over.id);
    let page = browser.visit(&opened).await;
    assert_eq!(page.texts(".why pre .a1.ao"), ["ERROR"]);
    for address in [&opened[..], "/portal/templates"] {
        let page = browser.visit(address).await;
        assert_eq!(page.attributes(colors, "rel").len(), 1, "{address}");
    }
}

#[tokio::test]
async fn who_is_signed_out_elsewhere_is_led_away_at_once() {
    let browser = Browser::new();
    let watched = session(28, Phase::Services);
    browser.stream(&watched, &[change(watched.clone())]);
    let address = format!("{}/live?after=0.0", path(&watched));
    let request = Request::get(&address)
        .header(header::HOST, "grid.example:8080")
        .header("sec-fetch-site", "same-origin")
        .header(header::COOKIE, format!("jg_session={TOKEN}"))
        .body(Body::empty())
        .unwrap();
    let open = browser.router.clone().oneshot(request).await.unwrap();
    assert_eq!(open.status(), StatusCode::OK);
    let call = "GET /auth/session";
    browser
        .double
        .refuse(call, 401, "UNAUTHORIZED", "Sign in.", &[]);
    let said = open.into_body().collect().await.unwrap().to_bytes();
    let said = String::from_utf8(said.to_vec()).unwrap();
    let (_, last) = parse(said.trim_end().rsplit("\n\n").next().unwrap());
    assert_eq!(targets(&last), ["#feed"]);
    let asks = format!("hx-get=\"{}\" hx-trigger=\"load\"", path(&watched));
    assert!(last.contains(&asks), "{last}");
    let answer = browser.swap(&path(&watched)).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    assert!(answer.header("hx-redirect").starts_with("/login"));
}

#[tokio::test]
async fn what_takes_longer_than_usual_is_spoken_of_once() {
    let browser = Browser::new();
    let usual = session(28, Phase::Services);
    let slow = |mut session: Session, message: &str| {
        let step = session.steps.iter_mut().rev();
        let mut doing = step.filter(|step| step.done_at.is_none());
        doing.next().unwrap().slow = true;
        session.awaited = message.into();
        change(session)
    };
    let changes = [
        change(usual.clone()),
        slow(usual.clone(), "One."),
        slow(usual.clone(), "Two."),
    ];
    browser.stream(&usual, &changes);
    let live = browser.live(&usual, "4.3").await;
    let said = live.iter().map(|(_, message)| {
        targets(message)
            .into_iter()
            .filter(|one| one == "#say")
            .count()
    });
    assert_eq!(said.collect::<Vec<_>>(), [0, 1, 0]);
    assert!(live[1].1.contains("It takes longer than usual."));
}

#[tokio::test]
async fn what_is_about_to_stop_says_so() {
    let browser = Browser::new();
    let mut idle = session(28, Phase::Running);
    idle.choices.idle_minutes = Some(20);
    idle.stops_at = Some(NOW + Duration::hours(1));
    idle.ready_at = Some(NOW - Duration::hours(1));
    let used = |minutes| Some(NOW - Duration::minutes(minutes));
    idle.last_used_at = used(14);
    assert_eq!(browser.page_of(&idle).await.text("#note"), "");
    idle.last_used_at = used(15);
    let note = browser.page_of(&idle).await.text("#note");
    assert!(
        note.starts_with("Stops at 14:35 UTC unless it is used"),
        "{note}"
    );
    // What comes first is what counts.
    idle.stops_at = Some(NOW + Duration::minutes(4));
    let note = browser.page_of(&idle).await.text("#note");
    assert!(
        note.starts_with("Stops at 14:34 UTC, in less than 5"),
        "{note}"
    );

    let mut warned = change(idle.clone());
    let title = "Stops in 4 min";
    let mut event = event(5, "app.stops_soon", Phase::Running, title, "Extend it.");
    event.level = "warning".into();
    warned.events = vec![event];
    browser.stream(&idle, &[change(idle.clone()), warned]);
    let live = browser.live(&idle, "4.3").await;
    let said = r##"hx-target="#say" hx-swap="textContent">Stops in 4 min.<"##;
    assert!(live[1].1.contains(said), "{}", live[1].1);
}

#[tokio::test]
async fn a_form_takes_the_focus_only_from_who_has_sent_it() {
    let browser = Browser::new();
    let at = "/portal/templates/files";
    let focused = "#launch [autofocus]";
    // On the way from one field to the next.
    let changed = browser
        .send(Method::POST, at, true, &[("max_hours", "many")])
        .await;
    assert_eq!(changed.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(changed.attributes("[role=alert]", "role").len(), 1);
    assert!(changed.attributes(focused, "class").is_empty());
    let changed = browser
        .send(Method::POST, at, true, &[("max_hours", "4")])
        .await;
    assert!(changed.attributes(focused, "id").is_empty());
    // Whoever asks is led to the answer, which on a phone is out of sight.
    for (hours, led_to) in [("many", ""), ("4", "est-h")] {
        let fields = [("max_hours", hours), ("do", "price")];
        let page = browser.post(at, &fields).await;
        assert_eq!(page.attributes(focused, "id"), [led_to], "{hours}");
    }
    browser
        .double
        .reply("GET /v1/templates/files", 200, &with_settings());
    let page = browser
        .post(at, &[("do", "price"), ("max_hours", "4")])
        .await;
    assert_eq!(
        page.attributes(focused, "id"),
        ["settings-h"],
        "they come first"
    );
}

#[tokio::test]
async fn what_the_balance_does_not_cover_is_said_once_and_not_offered() {
    let browser = Browser::new();
    let mut poor = estimate();
    poor.available_usd = Usd::from_micros(10_009);
    let check = serde_json::json!({
        "code": "INSUFFICIENT_FUNDS", "severity": "warning", "status": "warning",
        "message": "That would be set aside, and the wallet has less."
    });
    poor.checks.push(serde_json::from_value(check).unwrap());
    browser
        .double
        .reply("POST /v1/templates/files/estimate", 200, &poor);
    let fields = [("max_hours", "4"), ("do", "price")];
    let page = browser.post("/portal/templates/files", &fields).await;
    let notes = page.texts(".est .note");
    assert_eq!(notes.len(), 1, "{notes:?}");
    let said = "Your balance of $0.01 does not cover it";
    assert!(notes[0].starts_with(said), "{notes:?}");
    assert!(page.attributes("#ack", "value").is_empty());
}
