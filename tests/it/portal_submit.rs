//! The submit wizard, in front of an API that says what the test wants.
use crate::fake::{
    Browser, DRAFT, ESTIMATE, HOSTILE, JOB, complete, draft, fake, ready, without_figures,
};
use http::StatusCode;
use junglegrid::api::drafts::Draft;
use serde_json::{Value, json};

fn at(step: &str) -> String {
    format!("/portal/submit/{DRAFT}/{step}")
}

fn with(draft: Draft) -> Browser {
    let mut fake = fake();
    fake.drafts.push(draft);
    Browser::new(fake)
}

fn ack() -> String {
    format!("{ESTIMATE}:1")
}

#[tokio::test]
async fn looking_creates_nothing_and_the_first_answer_does() {
    let browser = Browser::new(fake());
    assert_eq!(
        browser.visit("/portal/submit").await.header("location"),
        "/portal/submit/new/workload"
    );
    let page = browser.visit("/portal/submit/new/workload").await;
    assert_eq!(page.texts("h1"), ["What do you want to run?"]);
    assert!(browser.fake().drafts.is_empty());
    let empty = browser
        .post(
            "/portal/submit/new/workload",
            &[("name", " "), ("workload_type", "training")],
        )
        .await;
    assert_eq!(empty.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(empty.attributes("input[checked]", "value"), ["training"]);
    assert!(empty.texts("title")[0].starts_with("Error: "));
    let next = browser
        .post(
            "/portal/submit/new/workload",
            &[("name", "a"), ("workload_type", "training")],
        )
        .await;
    assert_eq!(
        (next.status, next.header("location")),
        (StatusCode::SEE_OTHER, at("image").as_str())
    );
    assert_eq!(
        browser.fake().sent("POST /v1/job-drafts"),
        [json!({"content": {"name": "a", "workload_type": "training"}})]
    );
}

#[tokio::test]
async fn going_back_to_the_beginning_finds_what_was_begun() {
    let browser = with(draft(json!({"name": "a", "workload_type": "batch"})));
    let begun = format!("jg_begun={}", at("").split('/').nth(3).unwrap());
    let back = browser
        .visit_with("/portal/submit/new/workload", &begun)
        .await;
    assert_eq!(
        (back.status, back.header("location")),
        (StatusCode::SEE_OTHER, at("workload").as_str())
    );
    let anew = browser
        .visit_with("/portal/submit/new/workload?anew=1", &begun)
        .await;
    assert_eq!(anew.header("location"), "/portal/submit/new/workload");
    assert!(anew.header("set-cookie").starts_with("jg_begun=;"));
    let other = "jg_begun=draft_00000000000070008000000000000000";
    let gone = browser
        .visit_with("/portal/submit/new/workload", other)
        .await;
    assert_eq!(gone.status, StatusCode::OK);
}

#[tokio::test]
async fn a_grid_without_images_proposes_its_own_system_and_says_what_that_is() {
    let browser = with(draft(json!({"name": "a", "workload_type": "batch"})));
    let page = browser.visit(&at("image")).await;
    assert_eq!(page.attributes("#image", "value"), ["host"]);
    assert!(page.texts(".note")[0].contains("machine's own system"));
    browser.fake().images = "pulled";
    let page = browser.visit(&at("image")).await;
    assert_eq!(page.attributes("#image", "value"), [""]);
}

#[tokio::test]
async fn each_step_saves_what_changed_and_goes_on() {
    let browser = with(complete());
    let saved = browser
        .hx_post(
            &at("image"),
            &[
                ("image", "host"),
                ("command", "sleep 1"),
                ("environment", "A=1\r\nB=x=y"),
            ],
        )
        .await;
    assert_eq!(
        (saved.status, saved.header("location")),
        (StatusCode::SEE_OTHER, at("resources").as_str())
    );
    let saved = browser
        .post(
            &at("resources"),
            &[("timeout_seconds", "30"), ("back", "review")],
        )
        .await;
    assert_eq!(saved.header("location"), at("review"));
    let sent: Vec<Value> = browser
        .fake()
        .sent(&format!("PATCH /v1/job-drafts/{DRAFT}"));
    assert_eq!(
        sent,
        [
            json!({"content": {"command": "sleep 1", "environment": {"A": "1", "B": "x=y"}}}),
            json!({"content": {"timeout_seconds": 1800}}),
        ]
    );
    let page = browser.visit(&at("resources")).await;
    assert_eq!(page.attributes("#timeout_seconds", "value"), ["30"]);
}

#[tokio::test]
async fn what_is_wrong_is_said_beside_the_field_with_what_was_typed() {
    let browser = with(complete());
    let ours = browser
        .hx_post(
            &at("resources"),
            &[("cpu_count", "many"), ("memory_gb", "4")],
        )
        .await;
    assert_eq!(ours.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ours.attributes("[aria-invalid=true]", "value"), ["many"]);
    assert_eq!(ours.attributes("#memory_gb", "value"), ["4"]);
    assert_eq!(ours.attributes("[role=alert] a", "href"), ["#cpu_count"]);
    browser.fake().refused = Some((
        "PATCH /v1/job-drafts/draft_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f",
        400,
        "INVALID_REQUEST",
        json!({"image": "No such image."}),
    ));
    let theirs = browser
        .post(&at("image"), &[("image", "nope"), ("command", "true")])
        .await;
    assert_eq!(theirs.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(theirs.texts("#image-error"), ["No such image."]);
    assert_eq!(theirs.attributes("#image", "value"), ["nope"]);
    assert!(theirs.texts("title")[0].starts_with("Error: "));
}

#[tokio::test]
async fn advanced_routing_is_folded_until_something_is_set() {
    let browser = with(complete());
    assert!(
        browser
            .visit(&at("routing"))
            .await
            .attributes("details[open]", "open")
            .is_empty()
    );
    let mut set = complete();
    set.content
        .insert("constraints".into(), json!({"max_price_per_hour": 1.5}));
    let browser = with(set);
    let page = browser.visit(&at("routing")).await;
    assert_eq!(
        page.attributes("details[open] #max_price_per_hour", "value"),
        ["1.5"]
    );
}

#[tokio::test]
async fn a_ready_estimate_is_shown_with_its_reasons() {
    let mut fake = fake();
    fake.estimate = ready(json!({"constraints_relaxed": [
        {"field": "region_preference", "asked": "eu-west", "got": "af-south", "reason": "No machine that fits is in eu-west."}]}));
    fake.drafts.push(complete());
    let browser = Browser::new(fake);
    let page = browser.visit(&at("review")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.attributes("#ack", "value"), [ack()]);
    assert_eq!(page.attributes("#ack", "name"), ["ack"]);
    assert!(page.attributes("#estimate", "hx-trigger")[0].is_empty());
    assert_eq!(
        page.attributes(".card header a", "href")[0],
        format!("{}?back=review", at("workload"))
    );
    insta::assert_snapshot!(page.outline("#estimate"));
}

#[tokio::test]
async fn a_pending_estimate_asks_for_itself_and_stops() {
    let mut fake = fake();
    fake.estimate = without_figures("pending");
    fake.drafts.push(complete());
    let browser = Browser::new(fake);
    let page = browser.visit(&at("review")).await;
    insta::assert_snapshot!(page.outline("#estimate"));
    assert!(page.html.contains("<noscript><meta"));
    let part = browser.swap(&at("estimate")).await;
    let tag = part.header("etag").to_owned();
    assert!(page.attributes("#estimate", "hx-headers")[0].contains(&tag.replace('"', "\\\"")));
    assert_eq!(
        browser.poll(&at("estimate"), &tag).await.status,
        StatusCode::NOT_MODIFIED
    );
    browser.fake().drafts[0].estimate = Some(ready(json!({})));
    let done = browser.poll(&at("estimate"), &tag).await;
    assert_eq!(done.status, StatusCode::OK);
    assert!(!done.html.contains("hx-get"));
    assert_eq!(done.texts("#ack + span").len(), 1);
}

#[tokio::test]
async fn a_failed_estimate_needs_another_yes() {
    let mut fake = fake();
    fake.estimate = without_figures("failed");
    fake.drafts.push(complete());
    let browser = Browser::new(fake);
    let page = browser.visit(&at("review")).await;
    insta::assert_snapshot!(page.outline("#estimate"));
    let refused = browser.post(&at("review"), &[("ack", &ack())]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let done = browser
        .post(&at("review"), &[("ack_unknown", &ack())])
        .await;
    assert_eq!(done.header("location"), format!("/portal/jobs/{JOB}"));
    let path = format!("POST /v1/job-drafts/{DRAFT}/acknowledge");
    assert_eq!(
        browser.fake().sent(&path)[0]["without_estimate"],
        json!(true)
    );
}

#[tokio::test]
async fn nothing_is_submitted_without_the_yes_and_twice_makes_one() {
    let browser = with(complete());
    browser.visit(&at("review")).await;
    let refused = browser.hx_post(&at("review"), &[]).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        refused.texts("#ack-err"),
        ["Confirm that you have read the estimate."]
    );
    let submit = format!("POST /v1/job-drafts/{DRAFT}/submit");
    assert!(browser.fake().sent(&submit).is_empty());
    let done = browser.hx_post(&at("review"), &[("ack", &ack())]).await;
    assert_eq!(done.header("hx-redirect"), format!("/portal/jobs/{JOB}"));
    let again = browser.post(&at("review"), &[("ack", &ack())]).await;
    assert_eq!(again.header("location"), format!("/portal/jobs/{JOB}"));
    assert_eq!(browser.fake().sent(&submit).len(), 1);
    assert_eq!(
        browser.visit(&at("image")).await.header("location"),
        format!("/portal/jobs/{JOB}")
    );
}

#[tokio::test]
async fn a_blocked_job_has_reasons_and_no_button() {
    let mut fake = fake();
    let check = json!({"code": "IMAGE_UNSUPPORTED", "severity": "error", "status": "blocked", "field": "image",
        "message": "This grid cannot pull python:3.12.", "action": "Use the image `host`."});
    fake.estimate = ready(json!({"available": false, "can_submit": false,
        "screening": {"policy_version": "1", "status": "blocked", "can_submit": false, "checks": [check]}}));
    fake.drafts.push(complete());
    let page = Browser::new(fake).visit(&at("review")).await;
    assert!(page.attributes("#ack", "name").is_empty());
    assert!(!page.texts("button").contains(&"Submit job".to_owned()));
    assert_eq!(
        page.attributes("#estimate .note a", "href"),
        [format!("{}?back=review", at("image"))]
    );
}

#[tokio::test]
async fn an_expired_estimate_is_refreshed_first() {
    let mut expired = complete();
    let mut estimate = ready(json!({}));
    estimate.expired = true;
    expired.estimate = Some(estimate);
    let browser = with(expired);
    let page = browser.visit(&at("review")).await;
    assert!(page.attributes("#ack", "name").is_empty());
    assert_eq!(page.attributes("#estimate button", "form"), ["again"]);
    let fresh = browser.post(&at("estimate"), &[]).await;
    assert_eq!(fresh.header("location"), at("review"));
    assert_eq!(
        browser
            .visit(&at("review"))
            .await
            .attributes("#ack", "name"),
        ["ack"]
    );
}

#[tokio::test]
async fn too_little_money_says_what_would_fit() {
    let mut fake = fake();
    fake.estimate = ready(json!({"hold_usd": 9.6}));
    fake.drafts.push(complete());
    fake.refused = Some((
        "POST /v1/job-drafts/draft_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f/submit",
        402,
        "INSUFFICIENT_FUNDS",
        json!({}),
    ));
    let browser = Browser::new(fake);
    let page = browser.visit(&at("review")).await;
    assert!(page.texts("#estimate .is-bad")[0].contains("41 h 40 min would fit"));
    let refused = browser.hx_post(&at("review"), &[("ack", &ack())]).await;
    assert_eq!(refused.status, StatusCode::PAYMENT_REQUIRED);
    assert!(refused.texts("[role=alert]")[0].contains("41 h 40 min would fit"));
}

#[tokio::test]
async fn no_estimate_at_all_keeps_the_page_open() {
    let browser = with(complete());
    browser.fake().refused = Some((
        "POST /v1/job-drafts/draft_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f/estimate",
        503,
        "UNAVAILABLE",
        json!({}),
    ));
    let page = browser.visit(&at("review")).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.texts("#estimate button")
            .contains(&"Try again".to_owned())
    );
}

#[tokio::test]
async fn what_is_missing_leads_to_its_step() {
    let browser = with(draft(json!({"name": "a"})));
    let page = browser.visit(&at("review")).await;
    assert!(
        page.texts(".note li")
            .contains(&"Name an image.".to_owned())
    );
    assert!(page.attributes("#estimate", "id").is_empty());
    assert_eq!(
        browser
            .visit(&format!("/portal/submit/{DRAFT}"))
            .await
            .header("location"),
        at("workload")
    );
}

#[tokio::test]
async fn drafts_are_listed_resumed_and_deleted() {
    let browser = with(complete());
    let page = browser.visit("/portal/submit").await;
    assert_eq!(page.attributes("tbody th a", "href"), [at("review")]);
    let gone = browser
        .post(&format!("/portal/submit/{DRAFT}/delete"), &[])
        .await;
    assert_eq!(gone.header("location"), "/portal/submit");
    assert!(browser.fake().drafts.is_empty());
    for path in [at("image"), at("dance"), "/portal/submit/new/image".into()] {
        assert_eq!(
            browser.visit(&path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn hostile_answers_come_out_inert() {
    let mut hostile = complete();
    for field in ["name", "image", "command", "region_preference"] {
        hostile.content.insert(field.into(), json!(HOSTILE));
    }
    hostile
        .content
        .insert("environment".into(), json!({"A": HOSTILE}));
    let mut fake = fake();
    fake.estimate = ready(
        json!({"placement": HOSTILE, "region": HOSTILE, "constraints_relaxed": [
        {"field": HOSTILE, "asked": HOSTILE, "got": HOSTILE, "reason": HOSTILE}]}),
    );
    fake.drafts.push(hostile);
    let browser = Browser::new(fake);
    for step in ["workload", "image", "resources", "routing", "review"] {
        browser.visit(&at(step)).await.assert_inert();
    }
    browser.visit("/portal/submit").await.assert_inert();
    let review = browser.visit(&at("review")).await;
    assert!(!review.html.contains('\u{202e}') && !review.html.contains("alert(1)</script>"));
}
