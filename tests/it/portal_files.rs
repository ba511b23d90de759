//! The pages of files: what jobs leave, what people bring, and what they are told of it.
use crate::fake::{
    ARTIFACT, Browser, DRAFT, Fake, HOSTILE, INPUT, JOB, artifact, complete, fake, input, job,
    preview,
};
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
async fn a_preview_is_as_long_as_the_page_has_room() {
    let browser = with(vec![artifact(json!({}))]);
    let long: Vec<_> = (1..=500).map(|n| format!("line {n}")).collect();
    let long = long.join("\n");
    browser.fake().files.preview = preview("text", json!({"text": long, "truncated": true}));
    let shown = browser.visit(&page()).await;
    let lines = shown.texts("figure.code pre").remove(0);
    assert!(lines.ends_with("line 64"), "{lines}");
    assert_eq!(shown.texts("figure.code a"), ["More of it"]);

    let rows: Vec<_> = (0..50)
        .map(|n| [format!("row {n}"), "x".repeat(150)])
        .collect();
    browser.fake().files.preview = preview("csv", json!({"rows": rows}));
    let shown = browser.visit(&page()).await;
    assert_eq!(shown.texts("thead th")[0], "row 0");
    let count = shown.texts("tbody tr").len();
    assert!((10..49).contains(&count), "{count}");

    browser.fake().files.preview = preview(
        "image",
        json!({"image_url": "http://elsewhere.example/v1/x/content?shown=1"}),
    );
    let shown = browser.visit(&page()).await;
    assert_eq!(
        shown.attributes("main img", "src"),
        [format!("{}/image", page())]
    );

    browser.fake().files.preview = preview(
        "none",
        json!({"message": "2 GB that are neither text nor a picture."}),
    );
    let shown = browser.visit(&page()).await;
    assert_eq!(
        shown.texts("[aria-labelledby=preview-h] p"),
        ["2 GB that are neither text nor a picture."]
    );

    browser.fake().refused = Some((
        "GET /v1/artifacts/art_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f/preview",
        503,
        "UNAVAILABLE",
        json!({}),
    ));
    let shown = browser.visit(&page()).await;
    assert_eq!(shown.status, StatusCode::OK);
    assert!(shown.texts(".note")[0].contains("could not be loaded"));
}

#[tokio::test]
async fn a_file_is_handed_out_so_that_it_can_do_nothing() {
    let browser = with(vec![artifact(json!({}))]);
    browser.fake().files.content = ("text/html", b"<script>alert(1)</script>".to_vec());
    let saved = browser.visit(&format!("{}/download", page())).await;
    assert_eq!(saved.html, "<script>alert(1)</script>");
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-disposition", "attachment; filename=\"result.txt\""),
        ("content-security-policy", SANDBOX),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store, no-transform"),
        ("cross-origin-resource-policy", "same-origin"),
        ("etag", "\"tag\""),
    ] {
        assert_eq!(saved.header(name), value, "{name}");
    }
    assert!(!saved.headers.contains_key("set-cookie"));

    // The same as text, and never as a picture.
    browser.fake().files.preview = preview("text", json!({"text": "x"}));
    let text = browser.visit(&format!("{}/text", page())).await;
    assert_eq!(text.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(text.header("content-security-policy"), SANDBOX);
    let none = browser.visit(&format!("{}/image", page())).await;
    assert_eq!(none.status, StatusCode::NOT_FOUND);

    browser.fake().files.preview = preview(
        "image",
        json!({"image_url": "http://elsewhere.example/v1/artifacts/x/content?shown=1"}),
    );
    for (kind, status) in [
        ("image/png", StatusCode::OK),
        ("image/svg+xml", StatusCode::NOT_FOUND),
        ("text/html", StatusCode::NOT_FOUND),
    ] {
        browser.fake().files.content.0 = kind;
        let image = browser.visit(&format!("{}/image", page())).await;
        assert_eq!(image.status, status, "{kind}");
        if status == StatusCode::OK {
            assert_eq!(image.header("content-type"), "image/png");
            assert_eq!(image.header("content-security-policy"), SANDBOX);
        }
    }
    let text = browser.visit(&format!("{}/text", page())).await;
    assert_eq!(text.status, StatusCode::NOT_FOUND, "a picture is no text");
}

#[tokio::test]
async fn a_long_text_ends_where_the_download_goes_on() {
    let size = 400_000;
    let browser = with(vec![artifact(json!({"size_bytes": size}))]);
    browser.fake().files.content = (
        "application/octet-stream",
        "a\u{202e}b\r\n".repeat(60_000).into_bytes(),
    );
    let text = browser.visit(&format!("{}/text", page())).await.html;
    assert!(
        text.starts_with("a[U+202E]b\na[U+202E]b\n"),
        "{}",
        &text[..40]
    );
    assert!(text.ends_with("\n[The rest of 400 kB is in the download.]\n"));
}

#[tokio::test]
async fn hostile_names_and_contents_stay_text() {
    let mut one = artifact(json!({
        "filename": HOSTILE, "name": HOSTILE, "content_type": HOSTILE, "job_name": HOSTILE,
    }));
    let browser = with(vec![one.clone()]);
    browser.fake().files.inputs = vec![
        input(json!({"filename": HOSTILE, "mount_path": HOSTILE})),
        input(
            json!({"filename": HOSTILE, "kind": "script", "id": INPUT.replace("5f", "60"), "input_id": INPUT.replace("5f", "60")}),
        ),
    ];
    browser.fake().drafts.push(complete());
    for path in [
        LIST.to_owned(),
        format!("{}/delete", page()),
        "/portal/inputs".into(),
        format!("/portal/inputs/{INPUT}/delete"),
        format!("/portal/submit/{DRAFT}/image"),
    ] {
        let shown = browser.visit(&path).await;
        assert_eq!(shown.status, StatusCode::OK, "{path}");
        assert!(
            shown.html.contains("[U+202E]evil"),
            "{path}: {}",
            shown.html
        );
        assert!(!shown.html.contains('\u{202e}'), "{path}");
        shown.assert_inert();
    }
    for of in [
        preview("text", json!({"text": HOSTILE})),
        preview("json", json!({"text": HOSTILE})),
        preview("csv", json!({"rows": [[HOSTILE], [HOSTILE]]})),
        preview("none", json!({"message": HOSTILE})),
    ] {
        browser.fake().files.preview = of;
        let shown = browser.visit(&page()).await;
        assert!(!shown.html.contains('\u{202e}'), "{}", shown.html);
        shown.assert_inert();
    }
    one["job_name"] = json!("x");
    let browser = with_job(
        json!({
            "artifact_contract": {"expected_artifacts": [{"path": HOSTILE, "filename": "x", "required": true}], "automatic_collection_dir": "/workspace/artifacts"},
            "input_files": [{"input_id": HOSTILE, "filename": HOSTILE, "size_bytes": 1, "mount_path": HOSTILE}],
        }),
        |fake| {
            fake.files.artifacts = vec![one];
            fake.files.left =
                json!({"left_out": 1, "left_out_reason": HOSTILE, "missing_artifacts": [HOSTILE]});
        },
    );
    let shown = browser.visit(&format!("/portal/jobs/{JOB}")).await;
    assert!(!shown.html.contains('\u{202e}'));
    shown.assert_inert();
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

fn step(name: &str) -> String {
    format!("/portal/submit/{DRAFT}/{name}")
}

fn wizard(content: Value, inputs: Vec<Value>) -> Browser {
    let mut fake = fake();
    let mut draft = complete();
    for (name, value) in content.as_object().unwrap() {
        draft.content.insert(name.clone(), value.clone());
    }
    fake.drafts.push(draft);
    fake.files.inputs = inputs;
    Browser::new(fake)
}

const TYPED: [(&str, &str); 3] = [
    ("image", "host"),
    ("command", "python3 train.py"),
    ("environment", ""),
];

#[tokio::test]
async fn files_are_chosen_and_brought_in_the_wizard() {
    let script = INPUT.replace("4e5f", "4e60");
    let browser = wizard(
        json!({}),
        vec![
            input(json!({})),
            input(
                json!({"id": script, "input_id": script, "kind": "script", "filename": "run.sh"}),
            ),
        ],
    );
    let shown = browser.visit(&step("image")).await;
    assert_eq!(
        shown.attributes("#wizard form", "enctype"),
        ["multipart/form-data"]
    );
    assert_eq!(shown.attributes("#wizard form", "action"), [step("files")]);
    assert_eq!(shown.attributes("#wizard form", "hx-post"), [""]);
    assert!(shown.attributes("details[open]", "id").is_empty());
    assert_eq!(shown.attributes("[name=input_files]", "value"), [INPUT]);
    assert_eq!(shown.texts("#script_files option"), ["None", "run.sh"]);

    let mut fields = TYPED.to_vec();
    fields.extend([
        ("input_files", INPUT),
        ("script_files", &script),
        (
            "expected_artifacts",
            "/workspace/artifacts/a\r\n\r\n/workspace/artifacts/b",
        ),
    ]);
    let files: [(&str, &str, &[u8]); 3] = [
        ("upload_input", "C:\\home\\more data.csv", b"1,2\n"),
        ("upload_input", "", b""),
        ("upload_script", "new.sh", b"echo"),
    ];
    let saved = browser.upload(&step("files"), &fields, &files).await;
    assert_eq!(
        (saved.status, saved.header("location")),
        (StatusCode::SEE_OTHER, step("resources").as_str())
    );
    let ids: Vec<String> = browser.fake().files.inputs[2..]
        .iter()
        .map(|one| one["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(browser.fake().files.uploaded, ["1,2\n", "echo"]);
    assert_eq!(
        browser
            .fake()
            .sent(&format!("PATCH /v1/job-drafts/{DRAFT}")),
        [json!({"content": {
            "input_files": [{"input_id": INPUT}, {"input_id": ids[0]}],
            "script_files": [{"input_id": ids[1]}],
            "expected_artifacts": ["/workspace/artifacts/a", "/workspace/artifacts/b"],
        }})]
    );
    assert_eq!(
        browser.fake().sent("POST /v1/job-inputs")[0],
        json!({"filename": "more data.csv", "content_type": "text/plain", "kind": "input"})
    );
    let shown = browser.visit(&step("image")).await;
    assert_eq!(shown.attributes("details[open]", "id"), ["files"]);
    assert_eq!(
        shown
            .attributes("[name=input_files][checked]", "value")
            .len(),
        2
    );
    assert_eq!(shown.texts("#script_files [selected]"), ["new.sh"]);

    let review = browser.visit(&step("review")).await;
    let rows = review.texts("[aria-labelledby=image-h] dl > *").join(" ");
    for words in [
        "Files data.csv, more data.csv",
        "Script new.sh",
        "Expected artifacts /workspace/artifacts/a, /workspace/artifacts/b",
    ] {
        assert!(rows.contains(words), "{words}: {rows}");
    }
    // Back to the review, and nothing chosen any more.
    let mut fields = TYPED.to_vec();
    fields.push(("back", "review"));
    let saved = browser.upload(&step("files"), &fields, &[]).await;
    assert_eq!(saved.header("location"), step("review"));
    let last = browser
        .fake()
        .sent(&format!("PATCH /v1/job-drafts/{DRAFT}"))
        .pop();
    assert_eq!(
        last,
        Some(
            json!({"content": {"input_files": null, "script_files": null, "expected_artifacts": null}})
        )
    );
    let back = browser.visit(&step("files")).await;
    assert_eq!(back.header("location"), step("image"));
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_said_beside_it_and_nothing_else_is_lost() {
    let browser = wizard(json!({}), Vec::new());
    browser.fake().files.full = Some((413, "The file is larger than 5 GB."));
    let mut fields = TYPED.to_vec();
    fields[1].1 = "sh new.sh";
    let files: [(&str, &str, &[u8]); 1] = [("upload_input", "big.bin", b"x")];
    let refused = browser.upload(&step("files"), &fields, &files).await;
    assert_eq!(refused.status.as_u16(), 413);
    assert_eq!(
        refused.texts("#upload_input-error"),
        ["big.bin: The file is larger than 5 GB."]
    );
    assert_eq!(refused.texts("#command"), ["sh new.sh"]);
    assert_eq!(refused.attributes("details[open]", "id"), ["files"]);
    assert!(refused.texts("title")[0].starts_with("Error: "));
    // What was typed is kept all the same.
    assert_eq!(
        browser
            .fake()
            .sent(&format!("PATCH /v1/job-drafts/{DRAFT}")),
        [json!({"content": {"command": "sh new.sh"}})]
    );
    // The other way round, what has arrived stays chosen.
    browser.fake().files.full = None;
    browser.fake().refused = Some((
        "PATCH /v1/job-drafts/draft_0198c1f2a4b67c3d8e9f0a1b2c3d4e5f",
        400,
        "INVALID_REQUEST",
        json!({"expected_artifacts": "Give absolute paths under /workspace/artifacts/."}),
    ));
    fields.push(("expected_artifacts", "/etc/passwd"));
    let refused = browser.upload(&step("files"), &fields, &files).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        refused.texts("#expected_artifacts-error"),
        ["Give absolute paths under /workspace/artifacts/."]
    );
    assert_eq!(refused.texts("#expected_artifacts"), ["/etc/passwd"]);
    assert_eq!(
        refused
            .attributes("[name=input_files][checked]", "value")
            .len(),
        1
    );
}

#[tokio::test]
async fn a_form_that_breaks_off_changes_nothing() {
    let browser = wizard(json!({}), Vec::new());
    let big = "x".repeat(600 * 1024);
    let huge = browser
        .upload(&step("files"), &[("command", &big)], &[])
        .await;
    assert_eq!(huge.status, StatusCode::BAD_REQUEST);
    assert_eq!(huge.texts("h1"), ["Something is wrong"]);
    let plain = browser.post(&step("files"), &TYPED).await;
    assert_eq!(plain.status, StatusCode::BAD_REQUEST);
    assert!(
        browser
            .fake()
            .sent(&format!("PATCH /v1/job-drafts/{DRAFT}"))
            .is_empty()
    );
}

#[tokio::test]
async fn what_an_agent_chose_is_shown_whichever_way_it_was_written() {
    let browser = wizard(
        json!({"input_files": [INPUT], "script_file": INPUT}),
        vec![input(json!({}))],
    );
    let review = browser.visit(&step("review")).await;
    let rows = review.texts("[aria-labelledby=image-h] dl > *").join(" ");
    assert!(
        rows.contains("Files data.csv") && rows.contains("Script data.csv"),
        "{rows}"
    );
    let shown = browser.visit(&step("image")).await;
    // It was uploaded as data, and is a script here.
    assert_eq!(shown.texts("#script_files [selected]"), ["data.csv"]);
    let mut fields = TYPED.to_vec();
    fields.push(("input_files", INPUT));
    browser.upload(&step("files"), &fields, &[]).await;
    let last = browser
        .fake()
        .sent(&format!("PATCH /v1/job-drafts/{DRAFT}"))
        .pop();
    assert_eq!(
        last,
        Some(json!({"content": {"script_files": null, "script_file": null}}))
    );
    browser.fake().files.inputs.clear();
    let review = browser.visit(&step("review")).await;
    let rows = review.texts("[aria-labelledby=image-h] dl > *").join(" ");
    assert!(rows.contains("which is gone"), "{rows}");
}

#[tokio::test]
async fn uploads_that_cannot_be_listed_stay_chosen() {
    let browser = wizard(json!({"input_files": [INPUT]}), vec![input(json!({}))]);
    browser.fake().refused = Some(("GET /v1/job-inputs", 503, "UNAVAILABLE", json!({})));
    let shown = browser.visit(&step("image")).await;
    assert_eq!(
        shown.attributes("[name=input_files][type=hidden]", "value"),
        [INPUT]
    );
}

#[tokio::test]
async fn uploads_are_listed_added_and_deleted() {
    let browser = wizard(json!({}), vec![input(json!({}))]);
    let shown = browser.visit("/portal/inputs").await;
    assert_eq!(
        shown.texts("tbody tr > *"),
        [
            "data.csvData",
            "17 bytes",
            "30 min ago",
            "23 Dec",
            "Delete…"
        ]
    );
    let hints = shown.texts("form.stack > p.hint");
    assert_eq!(
        hints,
        ["Up to 5 GB each; there is room for 19.9 GB more. Uploads are kept for 30 days."]
    );
    assert_eq!(
        shown.attributes("[data-sending]", "data-most"),
        ["5000000000"]
    );
    assert_eq!(
        shown.attributes("[data-sending]", "data-free"),
        ["19999999983"]
    );
    let none = browser
        .upload("/portal/inputs", &[], &[("upload_input", "", b"")])
        .await;
    assert_eq!(none.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(none.texts("#upload_input-error"), ["Choose a file first."]);
    let done = browser
        .upload("/portal/inputs", &[], &[("upload_script", "a.sh", b"echo")])
        .await;
    assert_eq!(
        (done.status, done.header("location")),
        (StatusCode::SEE_OTHER, "/portal/inputs")
    );
    assert!(done.header("set-cookie").contains("a.sh"));
    assert_eq!(browser.fake().files.inputs[1]["kind"], "script");
    let path = format!("/portal/inputs/{INPUT}/delete");
    let asked = browser.visit(&path).await;
    assert_eq!(asked.texts("form.stack h2"), ["Delete data.csv?"]);
    let gone = browser.post(&path, &[]).await;
    assert_eq!(gone.header("location"), "/portal/inputs");
    assert_eq!(browser.fake().files.inputs.len(), 1);
    browser.fake().files.inputs.clear();
    let empty = browser.visit("/portal/inputs").await;
    assert_eq!(empty.texts(".empty h2"), ["No uploads yet"]);
    let text = browser.accept("/portal/inputs", "text/plain").await;
    assert_eq!(text.html, "");
}
