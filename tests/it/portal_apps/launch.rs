//! What is chosen, priced and acknowledged before a launch.
use super::{Browser, path};
use crate::apps_double::{catalogue, ended, estimate, id, session};
use http::{Method, StatusCode};
use junglegrid::api::apps;
use junglegrid::api::templates::{Setting, Template};
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
async fn a_template_says_where_its_services_are_and_what_stays() {
    let page = Browser::new().visit("/portal/templates/files").await;
    let services = page.texts("section[aria-labelledby=services-h] li");
    assert_eq!(
        services,
        [
            "ControlPilotprimaryport 7878, WebSockets",
            "ComfyUIport 5555 at /comfy, WebSockets, events"
        ]
    );
    let volumes = page.texts("section[aria-labelledby=kept-h] dd");
    assert_eq!(
        volumes,
        [
            "Files in /workspace, at least 20 GB",
            "Files in /cache, at least 5 GBEverything else, and what runs."
        ]
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
    let mut before = ended(28, EndCode::NeverReady);
    before.template = "files".into();
    let call = format!("GET /v1/app-sessions/{}", before.id);
    browser.double.reply(&call, 200, &before);
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

pub(super) fn with_settings() -> Template {
    let setting = |name: &str, secret, required, default: &str| Setting {
        name: name.into(),
        label: format!("The {name}"),
        hint: if secret {
            "From <its> page.".into()
        } else {
            String::new()
        },
        secret,
        required,
        default: default.into(),
    };
    let mut template = catalogue().remove(0);
    template.settings = vec![
        setting("HF_TOKEN", true, true, ""),
        setting("MODEL", false, false, "small"),
    ];
    template
}

#[tokio::test]
async fn settings_are_asked_for_with_the_price_and_secrets_never_come_back() {
    let browser = Browser::new();
    let at = "/portal/templates/files";
    let call = "POST /v1/app-sessions";
    browser
        .double
        .reply("GET /v1/templates/files", 200, &with_settings());
    let page = browser.visit(at).await;
    assert!(page.attributes("#settings input", "name").is_empty());
    let announced = page.text("#settings");
    assert!(
        announced.contains("The HF_TOKENrequired, secret"),
        "{announced}"
    );
    assert!(announced.contains("The MODELoptional"), "{announced}");

    let page = browser
        .post(at, &[("max_hours", "4"), ("do", "price")])
        .await;
    let names = page.attributes("#settings input", "name");
    assert_eq!(names, ["settings.HF_TOKEN", "settings.MODEL"]);
    assert_eq!(
        page.attributes("#settings input[type=password]", "autocomplete"),
        ["new-password"]
    );
    assert_eq!(
        page.attributes("[name='settings.MODEL']", "value"),
        ["small"]
    );
    assert!(page.text("#settings").contains("From <its> page."));

    let forgotten = [("max_hours", "4"), ("do", "launch")];
    let page = browser.post(at, &forgotten).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        page.texts("[role=alert] a"),
        [
            "The HF_TOKEN: The app does not start without it.",
            "Confirm that you have read the price."
        ],
        "all at once"
    );

    let ack = estimate().estimate_id.to_string();
    let typed = [
        ("max_hours", "4"),
        ("settings.HF_TOKEN", " hf_secret\r\n"),
        ("settings.MODEL", "la\"rge"),
        ("do", "launch"),
    ];
    let page = browser.post(at, &typed).await;
    assert_eq!(
        page.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "it is not acknowledged"
    );
    assert_eq!(
        page.attributes("[name='settings.MODEL']", "value"),
        ["la\"rge"]
    );
    assert!(
        page.attributes("[name='settings.HF_TOKEN'][value]", "value")
            .is_empty()
    );
    assert!(!page.html.contains("hf_secret"));

    let wrong = [("settings.HF_TOKEN", "It has no more than that.")];
    browser
        .double
        .refuse(call, 400, "INVALID_REQUEST", "No.", &wrong);
    let mut read = typed.to_vec();
    read.push(("ack", &ack));
    let page = browser.post(at, &read).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    let said = page.texts("[id='settings.HF_TOKEN-error']");
    assert_eq!(said, ["It has no more than that."]);
    assert_eq!(
        page.texts("[role=alert] a"),
        ["The HF_TOKEN: It has no more than that."]
    );
    assert_eq!(
        browser.double.sent(call)[0].body["settings"],
        json!({ "HF_TOKEN": "hf_secret", "MODEL": "la\"rge" })
    );
}

#[tokio::test]
async fn what_would_be_asked_for_is_said_where_nothing_can_be_launched() {
    let browser = Browser::new();
    let mut template = with_settings();
    template.launchable = false;
    browser
        .double
        .reply("GET /v1/templates/files", 200, &template);
    let page = browser.visit("/portal/templates/files").await;
    let said = page.text("main");
    let asked = "Asks forThe HF_TOKEN (required, secret), The MODEL (optional)";
    assert!(said.contains(asked), "{said}");
}

#[tokio::test]
async fn a_session_is_launched_again_with_what_it_was_given() {
    let browser = Browser::new();
    let mut before = session(3, Phase::Ended);
    before.template = "files".into();
    before.launch_choices.max_hours = Some(1.0);
    let given = |name: &str, value: Option<&str>| apps::Setting {
        name: name.into(),
        label: format!("The {name}"),
        secret: value.is_none(),
        value: value.map(str::to_owned),
        kept: true,
    };
    before.settings = vec![given("HF_TOKEN", None), given("MODEL", Some("large"))];
    browser
        .double
        .reply("GET /v1/templates/files", 200, &with_settings());
    let call = format!("GET /v1/app-sessions/{}", before.id);
    browser.double.reply(&call, 200, &before);
    let at = format!("/portal/templates/files?again={}", before.id);
    let page = browser.visit(&at).await;
    assert_eq!(
        page.attributes("#max_hours", "value"),
        ["1"],
        "without its extensions"
    );
    assert_eq!(
        page.attributes("[name='settings.MODEL']", "value"),
        ["large"]
    );
    let id = before.id.to_string();
    assert_eq!(page.attributes("[name=again]", "value"), [id.as_str()]);
    let hint = page.text("[id='settings.HF_TOKEN-hint']");
    assert!(hint.contains("Leave it empty to use the one"), "{hint}");
    let needed = "[name='settings.HF_TOKEN'][required]";
    assert!(page.attributes(needed, "name").is_empty());

    let launched = session(4, Phase::Created);
    browser
        .double
        .reply("POST /v1/app-sessions", 202, &launched);
    let ack = estimate().estimate_id.to_string();
    let typed = [
        ("max_hours", "1"),
        ("again", &id),
        ("settings.HF_TOKEN", ""),
        ("settings.MODEL", "large"),
        ("ack", &ack),
        ("do", "launch"),
    ];
    let page = browser.post("/portal/templates/files", &typed).await;
    assert_eq!(page.header("location"), path(&launched));
    let sent = &browser.double.sent("POST /v1/app-sessions")[0].body;
    assert_eq!(sent["from_session"], json!(id));
    assert_eq!(sent["settings"], json!({ "MODEL": "large" }));

    before.settings[0].kept = false;
    browser.double.reply(&call, 200, &before);
    let page = browser.visit(&at).await;
    let hint = page.text("[id='settings.HF_TOKEN-hint']");
    assert!(hint.contains("not kept any more"), "{hint}");
    assert_eq!(page.attributes(needed, "name").len(), 1);
    let page = browser.visit(&path(&before)).await;
    let shown = page.text("main");
    assert!(shown.contains("Was given, and is deleted"), "{shown}");
    assert!(shown.contains("The MODELlarge"), "{shown}");
}

#[tokio::test]
async fn the_hours_that_are_proposed_fit_the_installation() {
    let browser = Browser::new();
    let mut template = catalogue().remove(0);
    (template.usual_hours, template.longest_hours) = (1.5, 1.5);
    browser
        .double
        .reply("GET /v1/templates/files", 200, &template);
    let page = browser.visit("/portal/templates/files").await;
    assert_eq!(page.attributes("#max_hours", "value"), ["1.5"]);
    assert!(page.text("#max_hours-hint").contains("At most 1.5."));
}
