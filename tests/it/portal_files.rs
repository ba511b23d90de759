//! The pages of files: what jobs leave, what people bring, and what they are told of it.
mod content;
mod inputs;

use crate::fake::{ARTIFACT, Browser, Fake, INPUT, JOB, artifact, fake, job, preview};
use http::StatusCode;
use junglegrid::api::jobs::Change;
use serde_json::{Value, json};

const LIST: &str = "/portal/artifacts";
const SANDBOX: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

fn page() -> String {
    format!("{LIST}/{ARTIFACT}")
}

fn other() -> String {
    ARTIFACT.replace("4e5f", "4e60")
}

fn with(artifacts: Vec<Value>) -> Browser {
    let mut fake = fake();
    fake.files.artifacts = artifacts;
    fake.files.preview = preview("text", json!({"text": "one\ntwo"}));
    Browser::new(fake)
}

fn ended() -> Value {
    json!({"status": "completed", "phase": null, "exit_code": 0, "completed_at": "2026-11-23T14:10:00Z"})
}

fn with_job(over: Value, change: impl FnOnce(&mut Fake)) -> Browser {
    let mut fake = fake();
    let mut all = ended();
    for (name, value) in over.as_object().unwrap() {
        all[name] = value.clone();
    }
    fake.jobs[0] = job(all);
    change(&mut fake);
    Browser::new(fake)
}

#[tokio::test]
async fn a_list_says_of_each_file_what_it_is_and_where_it_came_from() {
    let browser = with(vec![
        artifact(json!({})),
        artifact(
            json!({"id": other(), "artifact_id": other(), "filename": "b.png", "content_type": "image/png"}),
        ),
    ]);
    let shown = browser.visit(LIST).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert_eq!(shown.texts(".nav [aria-current=page]"), ["Artifacts"]);
    assert_eq!(
        shown.texts("tbody tr:first-child > *"),
        [
            "result.txtout/",
            "1.2 kB",
            "Text",
            "train",
            "9f86d081884c",
            "23 Dec",
            "Link"
        ]
    );
    assert_eq!(shown.attributes("tbody th a", "href")[0], page());
    assert_eq!(
        shown.attributes("tbody td a", "href")[0],
        format!("/portal/jobs/{JOB}")
    );
    assert_eq!(
        shown.attributes("tbody [type=checkbox]", "value"),
        [ARTIFACT.to_owned(), other()]
    );
    assert_eq!(
        shown.texts("div.pager span"),
        [
            "12.3 MB of 20 GB used, uploads included. Files of up to 5 GB are kept, for 30 days after their job's end."
        ]
    );
    assert_eq!(
        shown.attributes("a[rel=next]", "href"),
        [format!("{LIST}?cursor={ARTIFACT}")]
    );
    let filtered = browser
        .swap(&format!("{LIST}?q=%20b%26&job={JOB}&odd=1"))
        .await;
    assert!(!filtered.html.contains("<html"));
    assert_eq!(
        filtered.header("hx-replace-url"),
        format!("{LIST}?q=b%26&job={JOB}")
    );
    let asked = browser.fake().asked.last().cloned().unwrap();
    assert_eq!(asked, format!("/v1/artifacts?limit=10&job={JOB}&q=b%26"));
    let json = browser.accept(LIST, "application/json").await;
    let json: Value = serde_json::from_str(&json.html).unwrap();
    assert_eq!(json["artifacts"][0]["artifact_id"], ARTIFACT);
    let text = browser.accept(LIST, "text/plain").await;
    assert!(text.header("content-type").starts_with("text/plain"));
    assert!(text.html.starts_with(&format!("{ARTIFACT}\t1234\t9f86")));
    assert!(
        text.html
            .lines()
            .next()
            .unwrap()
            .ends_with("\ttrain\tout/result.txt")
    );
}

#[tokio::test]
async fn an_empty_list_says_why() {
    let browser = with(Vec::new());
    assert_eq!(
        browser.visit(LIST).await.texts(".empty h2"),
        ["No artifacts yet"]
    );
    let filtered = browser.visit(&format!("{LIST}?q=nothing")).await;
    assert_eq!(filtered.texts(".empty h2"), ["No files match"]);
    for (status, code, title) in [
        (403, "FORBIDDEN", "You may not see these files"),
        (503, "UNAVAILABLE", "The files could not be loaded"),
        (400, "INVALID_REQUEST", "The files could not be loaded"),
    ] {
        browser.fake().refused = Some(("GET /v1/artifacts", status, code, json!({})));
        let shown = browser.visit(LIST).await;
        assert_eq!(shown.texts(".empty h2"), [title]);
        let expected = if status == 503 { 502 } else { status };
        assert_eq!(shown.status.as_u16(), expected);
    }
    let odd = browser.visit(&format!("{LIST}?job=yesterday")).await;
    assert_eq!(odd.texts(".empty h2"), ["There is no such job"]);
    browser.fake().refused = Some(("GET /v1/artifacts", 401, "UNAUTHORIZED", json!({})));
    let out = browser.visit(LIST).await;
    assert_eq!(out.header("location"), "/login?next=%2Fportal%2Fartifacts");
}

#[tokio::test]
async fn what_was_chosen_comes_as_one_archive() {
    let browser = with(vec![artifact(json!({}))]);
    let path = format!("{LIST}/zip?q=res");
    let none = browser.post(&path, &[]).await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(none.attributes("#q", "value"), ["res"]);
    assert!(none.texts("[role=alert]")[0].contains("Choose at least one file first."));
    let made = browser.post(&path, &[("id", ARTIFACT)]).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER);
    assert_eq!(made.header("location"), "/portal/artifacts/zip/jgz_abc");
    assert_eq!(
        browser.fake().sent("POST /v1/artifacts/zip"),
        [json!({"ids": [ARTIFACT]})]
    );
    browser.fake().files.content = ("text/html", b"PK".to_vec());
    let zip = browser.visit(made.header("location")).await;
    assert_eq!(zip.html, "PK");
    assert_eq!(zip.header("content-type"), "application/zip");
    assert!(zip.header("content-disposition").starts_with("attachment"));
    assert_eq!(zip.header("content-security-policy"), SANDBOX);
    let odd = browser.visit("/portal/artifacts/zip/..%2Fjobs").await;
    assert_eq!(odd.status, StatusCode::NOT_FOUND);
    browser.fake().refused = Some(("POST /v1/artifacts/zip", 404, "NOT_FOUND", json!({})));
    let gone = browser.post(&path, &[("id", ARTIFACT)]).await;
    assert_eq!(gone.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(gone.attributes("tbody [checked]", "value"), [ARTIFACT]);
}

#[tokio::test]
async fn a_file_is_shown_with_its_facts_and_what_can_be_done() {
    let browser = with(vec![artifact(json!({}))]);
    let shown = browser.visit(&page()).await;
    assert_eq!(shown.texts("h1"), ["out/result.txt"]);
    assert_eq!(shown.texts("figure.code pre"), ["one two"]);
    assert_eq!(shown.texts("figure.code a"), ["As plain text"]);
    let facts = shown.texts("[aria-labelledby=facts-h]").remove(0);
    for fact in [
        "1.2 kB (1234 bytes)",
        "text/plain; charset=utf-8",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "23 Dec 2026 14:10:00 UTC",
    ] {
        assert!(facts.contains(fact), "{fact}: {facts}");
    }
    let links = shown.attributes("main a", "href");
    for to in ["/download", "/text", "/delete"] {
        assert!(links.contains(&format!("{}{to}", page())), "{to}");
    }
    assert_eq!(shown.texts("[aria-labelledby=facts-h] dd a"), ["train"]);
    let json = browser.accept(&page(), "application/json").await;
    let json: Value = serde_json::from_str(&json.html).unwrap();
    assert_eq!(json["size_bytes"], 1234);
    let text = browser.accept(&page(), "text/plain").await;
    assert!(text.html.starts_with("name: out/result.txt\nid: art_"));
    for odd in ["art_x", "zip", &other()] {
        let shown = browser.visit(&format!("{LIST}/{odd}")).await;
        // An archive is only ever asked for with a form.
        let expected = if odd == "zip" { 405 } else { 404 };
        assert_eq!(shown.status.as_u16(), expected, "{odd}");
    }
}

#[tokio::test]
async fn a_link_is_made_to_be_copied_and_says_how_long_it_works() {
    let browser = with(vec![artifact(json!({}))]);
    let path = format!("{}/link", page());
    let shown = browser.visit(&page()).await;
    assert_eq!(shown.attributes("#link form", "action"), [path.as_str()]);
    assert_eq!(shown.attributes("#link form", "method"), ["post"]);
    assert!(
        browser
            .fake()
            .asked
            .iter()
            .all(|asked| !asked.ends_with("/download")),
        "none is made unasked"
    );
    let list = browser.visit(LIST).await;
    assert_eq!(
        list.attributes("tbody button", "formaction"),
        [path.as_str()]
    );
    assert_eq!(
        list.attributes("tbody button", "aria-label"),
        ["Link to out/result.txt"]
    );
    let form = list.attributes("tbody button", "form").remove(0);
    assert_eq!(list.attributes(&format!("form#{form}"), "method"), ["post"]);

    let made = browser.post(&path, &[]).await;
    assert_eq!(made.status, StatusCode::OK);
    assert_eq!(made.header("cache-control"), "no-store");
    let url = format!(
        "http://elsewhere.example:9000/v1/artifacts/{ARTIFACT}/content?expires=1&signature=secret"
    );
    assert_eq!(made.attributes("#address", "value"), [url.as_str()]);
    assert_eq!(
        made.attributes("#link [data-copy]", "data-copy"),
        ["#address"]
    );
    let until = made.texts("#address-hint").remove(0);
    assert!(
        until.starts_with("It works until 23 Nov 2026 14:45:00 UTC"),
        "{until}"
    );
    assert_eq!(
        made.texts("h1"),
        ["out/result.txt"],
        "the page around it is the file's"
    );
    // htmx takes the card alone.
    let card = browser.hx_post(&path, &[]).await;
    assert!(!card.html.contains("<html") && card.html.contains("data-copy"));
    assert_eq!(card.attributes("#address", "value"), [url]);
    // Nobody can be led to a link that has been made.
    let again = browser.visit(&path).await;
    assert_eq!(
        (again.status, again.header("location")),
        (StatusCode::SEE_OTHER, page().as_str())
    );
    let gone = browser.post(&format!("{LIST}/{}/link", other()), &[]).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn deleting_asks_first_and_a_second_click_finds_it_gone() {
    let browser = with(vec![artifact(json!({}))]);
    let path = format!("{}/delete", page());
    let asked = browser.visit(&path).await;
    assert_eq!(asked.texts("form.stack h2"), ["Delete out/result.txt?"]);
    assert_eq!(asked.attributes("form.stack a", "href"), [page()]);
    assert!(
        browser
            .fake()
            .sent(&format!("DELETE /v1/artifacts/{ARTIFACT}"))
            .is_empty()
    );
    for _ in 0..2 {
        let done = browser.post(&path, &[]).await;
        assert_eq!(
            (done.status, done.header("location")),
            (StatusCode::SEE_OTHER, LIST)
        );
    }
    assert!(browser.fake().files.artifacts.is_empty());
}

#[tokio::test]
async fn a_job_shows_what_was_expected_and_what_came_of_it() {
    let contract = json!({
        "expected_artifacts": [
            {"path": "/workspace/artifacts/out/result.txt", "filename": "x", "required": true},
            {"path": "/workspace/artifacts/model.bin", "filename": "x", "required": true},
        ],
        "automatic_collection_dir": "/workspace/artifacts",
    });
    let path = format!("/portal/jobs/{JOB}");
    let mut running = fake();
    running.jobs[0] = job(json!({ "artifact_contract": contract }));
    let shown = Browser::new(running).visit(&path).await;
    assert_eq!(shown.texts("#job-artifacts dt"), ["Expected", "Expected"]);
    let mut collecting = fake();
    collecting.jobs[0] = job(json!({"phase": "collecting_artifacts"}));
    let shown = Browser::new(collecting).visit(&path).await;
    assert_eq!(shown.texts("#job-artifacts .live"), ["Collecting"]);

    let mut kept = contract.clone();
    kept["collected_files"] = json!(1);
    let browser = with_job(
        json!({
            "artifact_contract": kept,
            "input_files": [{"input_id": INPUT, "filename": "data.csv", "size_bytes": 17, "mount_path": "/workspace/inputs/data.csv"}],
            "script_files": [{"input_id": INPUT, "filename": "run.sh", "size_bytes": 1700, "mount_path": "/workspace/scripts/run.sh"}],
        }),
        |fake| {
            fake.files.artifacts = vec![artifact(json!({}))];
            fake.files.left = json!({"missing_artifacts": ["/workspace/artifacts/model.bin"],
                "left_out": 2, "left_out_reason": "They are links."});
        },
    );
    let shown = browser.visit(&path).await;
    assert_eq!(shown.texts("#job-artifacts dt"), ["Present", "Missing"]);
    assert_eq!(
        shown.attributes("#job-artifacts dt svg", "aria-hidden"),
        ["true", "true"]
    );
    assert_eq!(shown.texts("#job-artifacts p")[0], "Declared 2, found 1.");
    assert_eq!(
        shown.texts("#job-artifacts tbody tr > *"),
        ["result.txtout/", "1.2 kB", "Text", "Download"]
    );
    assert_eq!(
        shown.texts("#job-artifacts .note p"),
        ["2 files were not kept", "They are links."]
    );
    assert_eq!(
        shown.attributes("#job-artifacts p a", "href"),
        [format!("{LIST}?job={JOB}")]
    );
    assert_eq!(
        shown.texts("[aria-labelledby=inputs-h] dl > *"),
        [
            "17 bytes",
            "/workspace/inputs/data.csv",
            "1.7 kB",
            "/workspace/scripts/run.sh"
        ]
    );
    let nothing = with_job(json!({}), |_| {}).visit(&path).await;
    assert_eq!(
        nothing.texts("#job-artifacts p"),
        ["It left nothing in /workspace/artifacts."]
    );
    assert!(nothing.texts("[aria-labelledby=inputs-h]").is_empty());
    let never = json!({"status": "cancelled", "started_at": null});
    let never = with_job(never, |_| {}).visit(&path).await;
    assert_eq!(
        never.texts("#job-artifacts p"),
        ["It never ran, so it left nothing."]
    );
    let broken = with_job(json!({}), |fake| {
        let what = "GET /v1/jobs/job_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f/artifacts";
        fake.refused = Some((what, 503, "UNAVAILABLE", json!({})));
    });
    let broken = broken.visit(&path).await;
    assert_eq!(broken.status, StatusCode::OK);
    assert!(broken.texts("#job-artifacts p")[0].contains("could not be loaded"));
}

#[tokio::test]
async fn an_open_page_is_told_what_a_job_has_left() {
    let mut fake = fake();
    fake.changes = vec![Change::Job {
        job: Box::new(job(ended())),
        events: Vec::new(),
    }];
    fake.files.artifacts = vec![artifact(json!({}))];
    let browser = Browser::new(fake);
    let told = browser
        .visit(&format!("/portal/jobs/{JOB}/live?after=2.0"))
        .await
        .html;
    let messages: Vec<&str> = told.split("\n\n").collect();
    let (first, then) = (messages[0], messages[1]);
    assert!(
        first.contains("#job-artifacts") && first.contains("is kept and listed here"),
        "{first}"
    );
    assert!(
        then.contains("#job-artifacts") && then.contains("result.txt"),
        "{then}"
    );
}
