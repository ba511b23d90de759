//! What is chosen, priced and acknowledged before a launch.
use super::{Browser, path};
use crate::apps_double::{catalogue, ended, estimate, id, session};
use http::{Method, StatusCode};
use junglegrid::domain::app::{EndCode, Phase};
use junglegrid::domain::money::Usd;
use serde_json::json;

#[tokio::test]
async fn a_launch_is_priced_acknowledged_and_then_made_without_scripts() {
    let browser = Browser::new();
    let at = "/portal/templates/files";
    let page = browser.visit(at).await;
    assert_eq!(page.attributes("#max_hours", "value"), ["4"]);
    assert_eq!(page.attributes("#idle_minutes", "value"), ["30"]);
    assert!(
        page.attributes("#ack", "value").is_empty(),
        "nothing to confirm yet"
    );
    let chosen = [
        ("max_hours", "2.5"),
        ("idle_minutes", "15"),
        ("max_usd", "1.50"),
        ("do", "price"),
        ("key", "k1"),
    ];
    let page = browser.post(at, &chosen).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.attributes("#max_hours", "value"), ["2.5"]);
    assert_eq!(
        page.attributes("#ack", "value"),
        [estimate().estimate_id.to_string()]
    );
    let card = page.text("#estimate");
    for said in [
        "$0.12 per hour",
        "At most $0.48, for 4 h",
        "14:30–14:31 UTC",
        "from 12 launches",
        "Billing begins when",
        "covers it",
    ] {
        assert!(card.contains(said), "{said} is missing in {card}");
    }
    assert_eq!(
        browser.double.sent("POST /v1/templates/files/estimate")[0].body,
        json!({"max_hours": 2.5, "idle_minutes": 15, "max_usd": 1.5})
    );
    let unread = [("max_hours", "2.5"), ("do", "launch")];
    let page = browser.post(at, &unread).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        page.texts("#ack-error"),
        ["Confirm that you have read the price."]
    );
    assert!(browser.double.sent("POST /v1/app-sessions").is_empty());

    let launched = session(3, Phase::Created);
    browser
        .double
        .reply("POST /v1/app-sessions", 202, &launched);
    let ack = estimate().estimate_id.to_string();
    let read = [
        ("max_hours", "2.5"),
        ("ack", &ack),
        ("do", "launch"),
        ("key", "k1"),
    ];
    let page = browser.post(at, &read).await;
    assert_eq!(
        (page.status, page.header("location")),
        (StatusCode::SEE_OTHER, path(&launched).as_str())
    );
    let sent = &browser.double.sent("POST /v1/app-sessions")[0];
    assert_eq!(
        sent.body,
        json!({"template": "files", "max_hours": 2.5, "acknowledged_estimate": ack})
    );
    assert_eq!(
        sent.key.as_deref(),
        Some("k1"),
        "a double click launches once"
    );
}

#[tokio::test]
async fn with_scripts_the_launch_form_is_replaced_in_place() {
    let browser = Browser::new();
    let at = "/portal/templates/files";
    let part = browser
        .send(
            Method::POST,
            at,
            true,
            &[("max_hours", "4"), ("do", "price")],
        )
        .await;
    assert!(part.texts("h1").is_empty());
    assert_eq!(part.attributes("#launch #ack", "value").len(), 1);
    assert_eq!(part.attributes("#launch form", "hx-target"), ["#launch"]);
    browser
        .double
        .reply("POST /v1/app-sessions", 202, &session(3, Phase::Created));
    let ack = estimate().estimate_id.to_string();
    let fields = [("max_hours", "4"), ("ack", &ack), ("do", "launch")];
    let part = browser.send(Method::POST, at, true, &fields).await;
    assert_eq!(
        part.header("hx-redirect"),
        path(&session(3, Phase::Created))
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_choice_is_said_beside_it_and_nothing_is_lost() {
    let browser = Browser::new();
    let at = "/portal/templates/files";
    let typed = [
        ("max_hours", "soon"),
        ("idle_minutes", "1.5"),
        ("max_usd", "<b>"),
    ];
    let page = browser.post(at, &typed).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    for (field, value) in typed {
        assert_eq!(page.attributes(&format!("#{field}"), "value"), [value]);
        assert_eq!(page.texts(&format!("#{field}-error")).len(), 1, "{field}");
    }
    assert!(
        browser
            .double
            .sent("POST /v1/templates/files/estimate")
            .is_empty()
    );
    let call = "POST /v1/templates/files/estimate";
    browser.double.refuse(
        call,
        422,
        "INVALID",
        "No.",
        &[("max_hours", "At most 24 hours.")],
    );
    let page = browser.post(at, &[("max_hours", "30")]).await;
    assert_eq!(page.texts("#max_hours-error"), ["At most 24 hours."]);
    assert_eq!(page.attributes("#max_hours", "value"), ["30"]);
}

#[tokio::test]
async fn a_refused_launch_says_why_where_it_belongs() {
    let browser = Browser::new();
    let at = "/portal/templates/files";
    let ack = estimate().estimate_id.to_string();
    let fields = [("max_hours", "4"), ("ack", &ack), ("do", "launch")];
    let call = "POST /v1/app-sessions";
    browser
        .double
        .refuse(call, 402, "INSUFFICIENT_FUNDS", "You can spend $0.10.", &[]);
    let page = browser.post(at, &fields).await;
    assert_eq!(page.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(page.texts("[role=alert] p"), ["You can spend $0.10."]);
    assert_eq!(
        page.attributes("#ack", "value"),
        [ack.as_str()],
        "the price is there again"
    );

    browser
        .double
        .refuse(call, 410, "ESTIMATE_EXPIRED", "This price is too old.", &[]);
    let page = browser.post(at, &fields).await;
    assert_eq!(page.texts("#ack-error"), ["This price is too old."]);

    browser.double.refuse(
        call,
        409,
        "ALREADY_RUNNING",
        "A session of it is active.",
        &[],
    );
    let mut template = catalogue().remove(0);
    template.active_session = Some(id(5));
    browser
        .double
        .reply("GET /v1/templates/files", 200, &template);
    let page = browser.post(at, &fields).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert_eq!(
        page.attributes("#launch .note a", "href"),
        [path(&session(5, Phase::Running))]
    );
    assert!(page.attributes("#launch form", "action").is_empty());

    let mut poor = estimate();
    poor.available_usd = Usd::from_micros(250_000);
    browser
        .double
        .reply("GET /v1/templates/files", 200, &catalogue()[0]);
    browser
        .double
        .reply("POST /v1/templates/files/estimate", 200, &poor);
    let page = browser.post(at, &[("max_hours", "4")]).await;
    assert!(
        page.text(".est .is-bad").contains("2 h would fit"),
        "{}",
        page.text(".est")
    );
}

#[tokio::test]
async fn what_cannot_be_launched_here_says_why() {
    let page = Browser::new().visit("/portal/templates/lora-pilot").await;
    assert!(page.attributes("#launch form", "action").is_empty());
    let text = page.text("#launch");
    assert!(
        text.contains("It needs a container engine") && text.contains("Start Docker"),
        "{text}"
    );
    let all = page.text("main");
    for said in [
        "/workspace",
        "AGPL-3.0-only",
        "Models have licences",
        "24 GB VRAM, better 48 GB",
        "source.example/org/app",
        "Base models",
    ] {
        assert!(all.contains(said), "{said}");
    }
}

#[tokio::test]
async fn launching_again_begins_with_the_same_choices_and_their_price() {
    let browser = Browser::new();
    let before = ended(28, EndCode::NeverReady);
    let page = browser
        .visit(&format!("/portal/templates/files?again={}", before.id))
        .await;
    assert_eq!(page.attributes("#max_usd", "value"), ["2.50"]);
    assert_eq!(page.attributes("#ack", "value").len(), 1);
    assert_eq!(
        page.attributes("#ack[checked]", "value").len(),
        0,
        "nobody has read it yet"
    );
}
