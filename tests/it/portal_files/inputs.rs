//! Files that go into a job: chosen, brought and listed.
use crate::fake::{Browser, DRAFT, INPUT, complete, fake, input};
use http::StatusCode;
use serde_json::{Value, json};

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
