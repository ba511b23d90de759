//! The jobs list, the job page and its live stream, in front of an API that says
//! what the test wants.
use crate::fake::{Browser, HOSTILE, JOB, event, fake, item, job};
use http::StatusCode;
use junglegrid::api::jobs::Change;
use serde_json::json;

fn page() -> String {
    format!("/portal/jobs/{JOB}")
}

#[tokio::test]
async fn the_list_is_one_address_and_the_filter_swaps_a_part_of_it() {
    let browser = Browser::new(fake());
    let page = browser.visit("/portal/jobs?status=running&q=tr").await;
    assert_eq!(page.status, StatusCode::OK);
    assert_eq!(page.texts("h1"), ["Jobs"]);
    assert_eq!(page.attributes("option[selected]", "value"), ["running"]);
    assert_eq!(page.attributes("#q", "value"), ["tr"]);
    assert_eq!(page.texts("#job-rows th a span"), ["train"]);
    insta::assert_snapshot!(page.outline("#job-rows tr"));
    let part = browser.swap("/portal/jobs?status=running&q=&type=").await;
    assert_eq!(part.header("hx-replace-url"), "/portal/jobs?status=running");
    assert!(part.texts("h1").is_empty());
    assert_eq!(part.texts("#job-rows th a span"), ["train"]);
}

#[tokio::test]
async fn a_list_with_active_jobs_asks_again_and_unchanged_stays_as_it_is() {
    let browser = Browser::new(fake());
    let part = browser.swap("/portal/jobs?status=active").await;
    let poll = part.attributes("[hx-trigger]", "hx-get");
    assert_eq!(poll, ["/portal/jobs?status=active"]);
    assert_eq!(part.attributes("[hx-trigger]", "hx-trigger"), ["every 3s"]);
    let shown = part.shown();
    let again = browser.shows(&poll[0], &shown).await;
    assert_eq!(
        (again.status, again.html.as_str()),
        (StatusCode::NO_CONTENT, "")
    );
    browser.fake().jobs[0] =
        job(json!({"status": "completed", "phase": null, "completed_at": "2026-11-23T14:10:00Z"}));
    let over = browser.shows(&poll[0], &shown).await;
    assert_eq!(over.status, StatusCode::OK);
    assert_eq!(over.header("hx-replace-url"), "");
    assert!(over.attributes("[hx-trigger]", "hx-get").is_empty());
    let told: Vec<&str> = over.html.split("<hx-partial ").skip(1).collect();
    assert!(
        told.len() == 1
            && told[0].starts_with(r##"hx-target="#j2c3d4e5f" hx-swap="outerMorph"><tr"##)
            && told[0].contains("Completed"),
        "{told:?}"
    );
    // With the last row goes the table, and what another program has shown is
    // shown anew.
    browser.fake().jobs.clear();
    let none = browser.shows(&poll[0], &shown).await;
    assert!(
        none.html
            .starts_with(r##"<hx-partial hx-target="#jobs" hx-swap="innerMorph"><h2"##)
    );
    browser.fake().jobs.push(job(json!({})));
    let other = browser.shows(&poll[0], "something else").await;
    assert_eq!(
        (other.header("hx-refresh"), other.html.as_str()),
        ("true", "")
    );
}

#[tokio::test]
async fn pages_are_links_that_keep_the_filter() {
    let mut fake = fake();
    fake.jobs.push(job(json!({})));
    let browser = Browser::new(fake);
    let first = browser.visit("/portal/jobs?status=failed").await;
    assert_eq!(
        first.attributes(".pager a", "href"),
        ["/portal/jobs?status=failed&cursor=c1"]
    );
    let second = browser.visit("/portal/jobs?status=failed&cursor=c1").await;
    assert_eq!(second.texts(".pager a"), ["Newest", "Newer", "Older"]);
    assert_eq!(
        second.attributes(".pager a[rel=prev]", "href"),
        ["/portal/jobs?status=failed&cursor=p1"]
    );
    assert_eq!(
        second.attributes(".pager a[rel=first]", "href"),
        ["/portal/jobs?status=failed"]
    );
}

#[tokio::test]
async fn an_empty_list_says_why_it_is_empty() {
    let mut nothing = fake();
    nothing.jobs.clear();
    let browser = Browser::new(nothing);
    let page = browser.visit("/portal/jobs").await;
    assert_eq!(page.texts("#jobs h2:not(.vh)"), ["No jobs yet"]);
    let page = browser.visit("/portal/jobs?q=x").await;
    assert_eq!(
        page.texts("#jobs h2:not(.vh)"),
        ["No jobs match these filters"]
    );
    assert_eq!(page.attributes("#jobs .empty a", "href"), ["/portal/jobs"]);
    for (status, title) in [
        (403, "You may not see these jobs"),
        (503, "The list could not be loaded"),
    ] {
        browser.fake().refused = Some(("GET /v1/jobs", status, "NO", json!({})));
        assert_eq!(
            browser
                .visit("/portal/jobs?q=x")
                .await
                .texts("#jobs h2:not(.vh)"),
            [title]
        );
        assert_eq!(
            browser.swap("/portal/jobs?q=x").await.status,
            StatusCode::OK
        );
    }
}

#[tokio::test]
async fn a_running_job_is_followed_from_where_its_page_is() {
    let mut fake = fake();
    fake.logs = vec![item(1, "stdout", "one"), item(2, "stderr", "two")];
    let page = Browser::new(fake).visit(&page()).await;
    assert_eq!(page.texts("h1"), ["train"]);
    assert_eq!(
        page.attributes("[hx-sse\\:connect]", "hx-sse:connect"),
        [format!("/portal/jobs/{JOB}/live?after=2.2")]
    );
    assert_eq!(page.texts("#log"), ["one error output: two"]);
    assert_eq!(page.texts(".tl h3"), ["Queued", "Started"]);
    assert_eq!(page.texts("dialog h2"), ["Cancel train?"]);
    // What the stream would send again only because time has passed.
    assert_eq!(
        page.texts("#job-facts time"),
        ["23 Nov 2026 14:00:00 UTC", "23 Nov 2026 14:00:02 UTC"]
    );
    assert!(
        page.html
            .contains(r#"<noscript><meta http-equiv="refresh""#)
    );
    insta::assert_snapshot!(page.outline("#event-2"));
}

#[tokio::test]
async fn silence_is_explained() {
    let browser = Browser::new(fake());
    let mut said = Vec::new();
    for (status, spawned) in [
        ("queued", false),
        ("running", true),
        ("cancelled", false),
        ("completed", true),
    ] {
        browser.fake().jobs[0] = job(json!({"status": status, "startup_diagnostics": {
            "command_spawned": spawned, "workload_logs_available": false, "inputs_prepared": null, "scripts_prepared": null}}));
        said.extend(browser.visit(&page()).await.texts("#log"));
    }
    assert_eq!(
        said,
        [
            "The command has not been started yet.",
            "The command is running and has printed nothing so far.",
            "The command was never started, so there is no output.",
            "The command ended without printing anything.",
        ]
    );
}

#[tokio::test]
async fn a_job_that_has_ended_is_explained_and_not_followed() {
    let mut fake = fake();
    fake.jobs[0] = job(json!({
        "status": "failed", "phase": null, "exit_code": 137, "completed_at": "2026-11-23T14:10:00Z", "actual_cost_usd": 0.0163,
        "failure": {"code": "OUT_OF_MEMORY", "summary": "The job used more memory than it had asked for.", "stage": "executing",
                    "log_excerpt": "Killed", "retryable": false}}));
    let page = Browser::new(fake).visit(&page()).await;
    assert_eq!(page.texts("#job-state .strong"), ["Failed, exit code 137"]);
    assert!(page.texts("#job-state p")[2].contains("memory is under Resources"));
    assert!(page.texts("#job-cost dd")[0].contains("$0.0163"));
    assert!(page.attributes("[hx-sse\\:connect]", "id").is_empty());
    assert!(!page.html.contains("noscript"));
}

#[tokio::test]
async fn why_a_job_waits_is_said_first() {
    let mut fake = fake();
    fake.jobs[0] = job(
        json!({"status": "queued", "phase": "waiting_for_capacity", "started_at": null,
        "delay_reason": {"code": "CAPACITY", "message": "Both slots are busy; 1 job is in front."}}),
    );
    let page = Browser::new(fake).visit(&page()).await;
    assert_eq!(page.texts("#job-state h2"), ["Why it waits"]);
    assert_eq!(
        page.texts("#job-state p"),
        ["Both slots are busy; 1 job is in front."]
    );
    assert_eq!(
        page.texts("#job-state dd"),
        ["12 s", "Waiting for a free slot"]
    );
    // What it is at is no event yet, and the last event is over.
    assert_eq!(
        page.texts("#events > .is-run h3"),
        ["Waiting for a free slot"]
    );
    assert_eq!(page.texts("#events > :last-child .vh"), ["In progress:"]);
}

#[tokio::test]
async fn the_stream_goes_on_where_the_page_was_and_then_lets_go() {
    let mut fake = fake();
    let done = job(
        json!({"status": "completed", "phase": null, "completed_at": "2026-11-23T14:10:00Z", "exit_code": 0}),
    );
    fake.changes = vec![
        Change::Logs {
            items: vec![item(2, "stdout", "seen"), item(3, "stdout", "new <b>")],
        },
        Change::Job {
            job: Box::new(done),
            events: vec![event(2, "Started"), event(3, "Completed")],
        },
    ];
    let browser = Browser::new(fake);
    let live = browser
        .visit(&format!("/portal/jobs/{JOB}/live?after=2.2"))
        .await;
    assert_eq!(live.header("content-type"), "text/event-stream");
    assert_eq!(live.header("cache-control"), "no-store");
    assert_eq!(live.header("x-accel-buffering"), "no");
    let messages: Vec<&str> = live.html.trim_end().split("\n\n").collect();
    let ids: Vec<&str> = messages
        .iter()
        .map(|one| {
            one.lines()
                .find(|line| line.starts_with("id:"))
                .expect("an id")
        })
        .collect();
    assert_eq!(ids, ["id: 2.2", "id: 2.3", "id: 3.3", "id: 3.3"]);
    let targets = |message: &str| -> Vec<String> {
        message
            .split("hx-target=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(
        targets(messages[0]),
        [
            "#job-head",
            "#job-state",
            "#job-cost",
            "#job-facts",
            "#job-artifacts",
            "#job-events"
        ]
    );
    insta::assert_snapshot!(messages[1]);
    assert_eq!(
        targets(messages[2]),
        [
            "#job-head",
            "#job-state",
            "#job-cost",
            "#job-facts",
            "#job-artifacts",
            "#event-2",
            "#events",
            "#say"
        ]
    );
    assert!(messages[2].contains("The job is completed."));
    insta::assert_snapshot!(messages[3]);
    assert!(
        browser
            .fake()
            .calls
            .iter()
            .any(|(call, _)| call == &format!("GET /v1/jobs/{JOB}/live"))
    );
}

#[tokio::test]
async fn a_stream_that_breaks_off_does_not_let_go() {
    let mut fake = fake();
    fake.changes = vec![Change::Logs {
        items: vec![item(1, "stdout", "a")],
    }];
    let live = Browser::new(fake)
        .visit(&format!("/portal/jobs/{JOB}/live"))
        .await;
    assert!(live.html.contains("#log-silence") && !live.html.contains("#feed"));
}

#[tokio::test]
async fn hostile_text_comes_out_inert() {
    let mut fake = fake();
    fake.jobs[0] = job(json!({
        "name": HOSTILE, "image": HOSTILE, "command": HOSTILE, "status": "queued", "status_message": HOSTILE,
        "delay_reason": {"code": "X", "message": HOSTILE}, "warnings": [HOSTILE], "metadata": {HOSTILE: 1},
        "constraints_relaxed": [{"field": HOSTILE, "asked": HOSTILE, "got": HOSTILE, "reason": HOSTILE}]}));
    fake.events = vec![event(1, HOSTILE)];
    fake.logs = vec![
        item(1, "stderr", HOSTILE),
        item(2, "stdout", "\u{1b}[31mred\u{1b}[0m\u{202e}"),
    ];
    fake.changes = vec![Change::Logs {
        items: vec![item(3, "stdout", HOSTILE)],
    }];
    let browser = Browser::new(fake);
    browser.visit("/portal/jobs").await.assert_inert();
    for path in [
        page(),
        format!("{}/cancel", page()),
        format!("{}/live?after=1.2", page()),
    ] {
        let page = browser.visit(&path).await;
        page.assert_inert();
        assert!(
            !page.html.contains('\u{202e}') && !page.html.contains('\u{1b}'),
            "{path}"
        );
    }
    let name = browser.visit(&page()).await;
    // Coloured as in the log, and by the same stylesheet.
    assert_eq!(name.texts("#log .a1"), ["red"]);
    assert_eq!(name.attributes("main link", "rel").len(), 1);
    assert!(name.texts("h1")[0].starts_with("\"><script>alert(1)</script>"));
}

#[tokio::test]
async fn actions_are_forms_and_lead_back() {
    let browser = Browser::new(fake());
    let cancelled = browser.post(&format!("{}/cancel", page()), &[]).await;
    assert_eq!(
        (cancelled.status, cancelled.header("location")),
        (StatusCode::SEE_OTHER, page().as_str())
    );
    let again = browser.post(&format!("{}/rerun", page()), &[]).await;
    assert_eq!(
        again.header("location"),
        format!("/portal/submit/{}/review", crate::fake::DRAFT)
    );
    assert_eq!(
        browser.fake().sent("POST /v1/job-drafts"),
        [json!({"from_job": JOB})]
    );
    assert_eq!(
        browser
            .visit(&format!("{}/cancel", page()))
            .await
            .texts("main h2"),
        ["Cancel train?"]
    );
}

#[tokio::test]
async fn the_raw_text_is_text() {
    let mut fake = fake();
    fake.logs = vec![item(1, "stdout", "<one>"), item(2, "stderr", "two")];
    let text = Browser::new(fake)
        .visit(&format!("{}/output", page()))
        .await;
    assert_eq!(text.html, "<one>\ntwo\n");
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    assert!(text.header("content-disposition").starts_with("attachment"));
}

#[tokio::test]
async fn what_is_not_a_job_is_not_found() {
    let browser = Browser::new(fake());
    for path in [
        "/portal/jobs/nonsense",
        "/portal/jobs/job_0198c1f2a4b67c3d8e9f0a1b2c3d4e60",
    ] {
        assert_eq!(
            browser.visit(path).await.status,
            StatusCode::NOT_FOUND,
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_page_says_who_is_told_of_the_end_and_how_that_goes() {
    let browser = Browser::new(fake());
    let none = browser.visit(&page()).await;
    assert!(none.texts("#job-callback").is_empty());
    let attempt = |number: i64, more: serde_json::Value| {
        let mut attempt =
            json!({ "number": number, "at": "2026-11-23T14:10:00Z", "duration_ms": 35 });
        let Some(more) = more.as_object() else {
            panic!("not an object")
        };
        attempt.as_object_mut().unwrap().extend(more.clone());
        attempt
    };
    let mut callback = json!({
        "job_id": JOB, "url": "https://hooks.example/done", "state": "armed", "attempts": [],
    });
    let show = async |callback: &serde_json::Value| {
        browser.fake().callback = Some(callback.clone());
        browser.visit(&page()).await
    };
    let armed = show(&callback).await;
    assert_eq!(armed.texts("#job-callback .badge"), ["At the end"]);
    assert_eq!(
        armed.texts("#job-callback .mono"),
        ["https://hooks.example/done"]
    );
    callback["state"] = "waiting".into();
    callback["next_attempt_at"] = "2026-11-23T14:40:00Z".into();
    callback["attempts"] = json!([
        attempt(1, json!({ "error": "No connection could be made." })),
        attempt(
            2,
            json!({ "status": 500, "error": "It answered 500.", "answer": HOSTILE })
        ),
    ]);
    let waiting = show(&callback).await;
    waiting.assert_inert();
    assert_eq!(waiting.texts("#job-callback .badge"), ["Being delivered"]);
    assert_eq!(
        waiting.texts("#job-callback h3"),
        ["Attempt 2, answered 500", "Attempt 1"]
    );
    assert!(
        waiting
            .texts("#job-callback dt")
            .contains(&"Next attempt".to_owned())
    );
    callback["state"] = "delivered".into();
    callback["attempts"] = json!([attempt(1, json!({ "status": 204 }))]);
    let delivered = show(&callback).await;
    assert_eq!(delivered.texts("#job-callback .badge"), ["Delivered"]);
    assert_eq!(
        delivered.texts("#job-callback li p"),
        ["Taken after 35 ms."]
    );
}
