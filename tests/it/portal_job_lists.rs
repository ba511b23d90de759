//! The list's filters, many jobs at once, copies and records, in front of an API
//! that says what the test wants.
use crate::fake::{Browser, HOSTILE, JOB, fake, job};
use http::StatusCode;
use serde_json::{Value, json};

fn page(rest: &str) -> String {
    format!("/portal/jobs/{JOB}{rest}")
}

#[tokio::test]
async fn every_filter_is_in_the_address_and_can_be_taken_out_of_it() {
    let browser = Browser::new(fake());
    let all = "/portal/jobs?q=tr&status=ended&type=batch&image=host&from=2026-11-01&to=2026-11-30&sort=oldest";
    let page = browser.visit(all).await;
    assert_eq!(page.status, StatusCode::OK);
    let asked = browser.fake().asked.last().unwrap().clone();
    assert_eq!(
        asked,
        "/v1/jobs?status=ended&workload_type=batch&q=tr&image=host&created_after=2026-11-01&created_before=2026-12-01&sort=oldest"
    );
    let chips = page.attributes(".bar .tag", "href");
    assert_eq!(chips.len(), 6);
    assert_eq!(
        chips[1],
        "/portal/jobs?q=tr&type=batch&image=host&from=2026-11-01&to=2026-11-30&sort=oldest"
    );
    assert!(page.texts(".bar .tag")[3].contains("Image host"));
    assert_eq!(page.texts(".bar nav a"), ["Newest", "Oldest"]);
    assert_eq!(page.texts(".bar nav [aria-current]"), ["Oldest"]);
    assert_eq!(page.attributes("#from", "value"), ["2026-11-01"]);
    assert_eq!(page.attributes("#filter [name=sort]", "value"), ["oldest"]);
    // Everything is in the form, so it works without scripts.
    assert_eq!(page.texts("#filter > button"), ["Apply"]);
    let plain = browser.visit("/portal/jobs?status=failed").await;
    assert_eq!(
        plain.attributes(".bar nav a", "href"),
        [
            "/portal/jobs?status=failed",
            "/portal/jobs?status=failed&sort=oldest",
            "/portal/jobs?status=failed&sort=cost",
            "/portal/jobs?status=failed&sort=runtime"
        ]
    );
}

#[tokio::test]
async fn only_what_has_not_ended_can_be_ticked() {
    let mut fake = fake();
    fake.jobs.push(job(
        json!({"id": "job_0198c1f2a4b67c3d8e9f0a1b2c3d4e60", "status": "completed", "completed_at": "2026-11-23T14:10:00Z"}),
    ));
    let page = Browser::new(fake).visit("/portal/jobs?q=tr").await;
    assert_eq!(
        page.attributes("#job-rows input[form=many]", "value"),
        [JOB]
    );
    assert_eq!(
        page.attributes("#job-rows input", "aria-labelledby"),
        ["j2c3d4e5f"]
    );
    assert_eq!(
        page.attributes("#many a", "href"),
        ["/portal/jobs/cancel?q=tr"]
    );
}

#[tokio::test]
async fn many_are_looked_at_before_they_are_cancelled() {
    let browser = Browser::new(fake());
    let other = "job_0198c1f2a4b67c3d8e9f0a1b2c3d4e60";
    let page = browser
        .visit(&format!("/portal/jobs/cancel?id={JOB}&id={other}"))
        .await;
    assert_eq!(page.texts("h1"), ["Cancel one job?"]);
    assert_eq!(
        page.texts("tbody td:nth-child(2)"),
        ["Would be cancelled", "Had ended"]
    );
    assert!(page.texts("section.card p")[0].contains("$0.000400 of the $0.12"));
    assert_eq!(page.attributes("form [name=id]", "value"), [JOB]);
    assert_eq!(
        browser.fake().sent("POST /v1/jobs/cancel"),
        [json!({"ids": [JOB, other], "dry_run": true})]
    );

    browser.fake().calls.clear();
    browser
        .visit("/portal/jobs/cancel?q=tr&status=queued")
        .await;
    assert_eq!(
        browser.fake().sent("POST /v1/jobs/cancel"),
        [json!({"filter": {"status": "queued", "q": "tr"}, "dry_run": true})]
    );

    browser.fake().calls.clear();
    let nothing = browser.visit("/portal/jobs/cancel?").await;
    assert_eq!(nothing.texts("h1"), ["Nothing is selected"]);
    assert!(browser.fake().sent("POST /v1/jobs/cancel").is_empty());

    browser.fake().many["jobs"][0]["outcome"] = json!("stopping");
    let done = browser.post("/portal/jobs/cancel", &[("id", JOB)]).await;
    assert_eq!(done.status, StatusCode::OK);
    assert_eq!(done.texts("h1"), ["One job is cancelled"]);
    assert_eq!(
        done.texts("tbody td:nth-child(2)"),
        ["Stopping", "Had ended"]
    );
    let sent = &browser.fake().sent("POST /v1/jobs/cancel")[0];
    assert_eq!(
        (&sent["ids"], &sent["dry_run"]),
        (&json!([JOB]), &json!(false))
    );
}

#[tokio::test]
async fn a_job_is_cloned_into_the_wizard() {
    let browser = Browser::new(fake());
    let cloned = browser.post(&page("/clone"), &[]).await;
    assert_eq!(
        cloned.header("location"),
        format!("/portal/submit/{}/workload", crate::fake::DRAFT)
    );
    assert_eq!(
        browser.fake().sent("POST /v1/job-drafts"),
        [json!({"from_job": JOB})]
    );
}

#[tokio::test]
async fn a_job_is_copied_in_four_forms_without_its_secrets() {
    let browser = Browser::new(fake());
    for (form, part) in [
        ("cli", "jungle submit"),
        ("curl", "-H \"Authorization: Bearer $JUNGLE_GRID_API_KEY\""),
        ("mcp", "\"tools/call\""),
        ("json", "\"${HF_TOKEN}\""),
    ] {
        let path = page(&format!("/as/{form}"));
        let shown = browser.visit(&path).await;
        assert_eq!(shown.status, StatusCode::OK, "{form}");
        assert!(
            shown.texts("#as")[0].contains(part),
            "{form}: {:?}",
            shown.texts("#as")
        );
        // Where there is no place for it, none is spoken of.
        let places: &[&str] = if form == "cli" { &[] } else { &["HF_TOKEN"] };
        assert_eq!(shown.texts("main p > code"), places, "{form}");
        assert_eq!(shown.attributes("[data-copy]", "data-copy"), ["#as"]);
        let plain = browser.accept(&path, "text/plain").await;
        assert!(
            plain.html.contains(part) && !plain.html.contains('<'),
            "{form}: {}",
            plain.html
        );
        assert!(plain.header("content-type").starts_with("text/plain"));
    }
    assert_eq!(browser.visit(&page("/as/morse")).await.status, 404);
}

#[tokio::test]
async fn a_record_has_all_of_it_on_one_page() {
    let mut fake = fake();
    fake.jobs[0] = job(json!({
        "status": "completed", "phase": null, "exit_code": 0, "completed_at": "2026-11-23T14:10:00Z", "actual_cost_usd": 0.02,
        "artifact_contract": {"automatic_collection_dir": "/workspace/artifacts",
            "expected_artifacts": [{"path": "/workspace/artifacts/a.bin", "filename": "a.bin", "required": true}]}}));
    let page = Browser::new(fake).visit(&page("/record")).await;
    assert_eq!(
        page.texts(".record h2"),
        [
            "Outcome",
            "Estimate against charge",
            "Configuration",
            "Timeline",
            "Artifacts"
        ]
    );
    let charge = page.texts("section[aria-labelledby=charge-h] dd");
    assert_eq!(
        charge[..3],
        ["$0.01 – $0.12", "$0.02", "Within the estimate."]
    );
    let fields = page.texts("section[aria-labelledby=content-h] dt");
    let said = ["Name", "Workload type", "Image", "Command", "Environment"];
    assert_eq!(fields, said);
    let values = page.texts("section[aria-labelledby=content-h] dd");
    assert_eq!(values[3..], ["python3 train.py", "HF_TOKEN=${HF_TOKEN}"]);
    assert_eq!(page.texts("[data-print]"), ["Print"]);
    assert_eq!(page.texts(".record tbody tr").len(), 2);
    assert_eq!(
        page.texts("#record-artifacts li"),
        ["/workspace/artifacts/a.bin"]
    );
}

#[tokio::test]
async fn one_address_answers_in_the_form_that_is_asked_for() {
    let browser = Browser::new(fake());
    for path in [
        "/portal/jobs".to_owned(),
        page(""),
        page("/record"),
        page("/logs"),
        "/portal/logs".to_owned(),
    ] {
        let json = browser
            .accept(&path, "application/json;q=0.9, text/html;q=0.1")
            .await;
        assert_eq!(json.header("content-type"), "application/json", "{path}");
        let body: Value = serde_json::from_str(&json.html).unwrap();
        assert!(body.is_object(), "{path}");
        let text = browser.accept(&path, "text/plain").await;
        assert_eq!(
            text.header("content-type"),
            "text/plain; charset=utf-8",
            "{path}"
        );
        assert!(!text.html.contains("<html"), "{path}");
        for answer in [&json, &text] {
            assert!(answer.header("vary").contains("accept"), "{path}");
            assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        }
        for accept in [
            "text/html,application/xhtml+xml,*/*;q=0.8",
            "*/*",
            "text/html;q=0.5, application/json;q=0.5",
        ] {
            let page = browser.accept(&path, accept).await;
            assert!(
                page.header("content-type").starts_with("text/html"),
                "{path} {accept}"
            );
        }
    }
    let list = browser.accept("/portal/jobs", "application/json").await;
    let list: Value = serde_json::from_str(&list.html).unwrap();
    assert_eq!(
        list["jobs"],
        json!(browser.fake().jobs),
        "what the API says"
    );
    let text = browser.accept("/portal/jobs", "text/plain").await;
    assert!(
        text.html.starts_with(JOB) && text.html.contains("running"),
        "{}",
        text.html
    );
    let job = browser.accept(&page(""), "text/plain").await;
    for line in [
        "status:      running",
        "command:     python3 train.py",
        "estimate:    $0.01 to $0.12",
    ] {
        assert!(job.html.lines().any(|one| one == line), "{}", job.html);
    }
    // What is not there is said in kind as well.
    let missing = "/portal/jobs/job_0198c1f2a4b67c3d8e9f0a1b2c3d4e61";
    let gone = browser.accept(missing, "application/json").await;
    assert_eq!(gone.status, 404);
    let body: Value = serde_json::from_str(&gone.html).unwrap();
    assert_eq!(body["error"]["code"], "NOT_FOUND");
    let gone = browser.accept(missing, "text/plain").await;
    assert!(
        gone.status == 404 && !gone.html.contains('<'),
        "{}",
        gone.html
    );
}

#[tokio::test]
async fn hostile_names_stay_text_on_the_new_pages() {
    let mut fake = fake();
    fake.jobs[0] = job(json!({"name": HOSTILE, "command": HOSTILE, "status_message": HOSTILE}));
    fake.many["jobs"][0]["name"] = json!(HOSTILE);
    let browser = Browser::new(fake);
    let query = serde_html_form::to_string([("q", HOSTILE), ("image", HOSTILE)]).unwrap();
    for path in [
        format!("/portal/jobs?{query}"),
        format!("/portal/jobs/cancel?id={JOB}"),
        page("/record"),
        page("/as/cli"),
        page("/as/curl"),
        page("/as/json"),
        page("/as/mcp"),
    ] {
        browser.visit(&path).await.assert_inert();
    }
}
