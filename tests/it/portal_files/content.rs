//! What is in a file, shown and handed out so that it can do nothing.
use super::{LIST, SANDBOX, page, with, with_job};
use crate::fake::{DRAFT, HOSTILE, INPUT, JOB, artifact, complete, input, preview};
use http::StatusCode;
use serde_json::json;

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
