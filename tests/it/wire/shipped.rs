//! Assets and compression, as a browser gets them.
use super::*;
use http::HeaderName;
use junglegrid::web::assets::{STYLE_CSP_HASH, stylesheet, url};
use sha2::{Digest, Sha256};

#[tokio::test]
async fn assets_come_in_the_coding_that_was_asked_for() {
    let server = start(patient()).await;
    let plain = server.get(url("app.js"), "").await;
    assert_eq!(
        (plain.status, plain.header("content-encoding")),
        (200, None)
    );
    let mut sizes = vec![plain.body.len()];
    for coding in ["gzip", "zstd", "br"] {
        let answer = server
            .get(url("app.js"), &format!("Accept-Encoding: {coding}\r\n"))
            .await;
        assert_eq!(answer.header("content-encoding"), Some(coding));
        assert_eq!(
            answer.header("cache-control"),
            Some("public, max-age=31536000, immutable")
        );
        assert_eq!(answer.header("vary"), Some("accept-encoding"));
        assert_eq!(
            answer.header("content-type"),
            Some("text/javascript; charset=utf-8")
        );
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            Some("same-origin")
        );
        assert_eq!(
            answer.header("content-length"),
            Some(answer.body.len().to_string().as_str())
        );
        sizes.push(answer.body.len());

        let etag = answer.header("etag").unwrap();
        let again = format!("Accept-Encoding: {coding}\r\nIf-None-Match: \"x\", {etag}\r\n");
        let again = server.get(url("app.js"), &again).await;
        assert_eq!(
            (again.status, again.body.len(), again.header("etag")),
            (304, 0, Some(etag))
        );
        let other = server
            .get(url("app.js"), &format!("If-None-Match: {etag}\r\n"))
            .await;
        assert_eq!(
            other.status, 200,
            "another coding is another representation"
        );
    }
    assert!(
        sizes.is_sorted_by(|before, after| before > after),
        "{sizes:?}"
    );
    assert!(sizes[3] <= 16_000, "the script's budget: {sizes:?}");
    let head = format!(
        "HEAD {} HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n",
        url("app.js")
    );
    let head = server.send(head.as_bytes()).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(
        head.header("content-length"),
        Some(sizes[0].to_string().as_str())
    );
    for missing in [
        "/assets/app.js",
        "/assets/app.00000000.js",
        "/assets/",
        "/assets/%2e%2e%2fCargo.toml",
    ] {
        assert!(
            matches!(server.get(missing, "").await.status, 404 | 400),
            "{missing}"
        );
    }
    let icon = server.get("/favicon.ico", "").await;
    assert_eq!(
        (icon.status, icon.header("content-type")),
        (200, Some("image/svg+xml"))
    );
}

#[tokio::test]
async fn the_script_holds_htmx_then_its_streams_then_ours() {
    let server = start(patient()).await;
    let script = server.get(url("app.js"), "").await.text();
    let at = |text: &str| {
        script
            .find(text)
            .unwrap_or_else(|| panic!("no {text} in the script"))
    };
    assert!(at("var htmx=") < at("registerExtension(\"sse\""));
    assert!(at("registerExtension(\"sse\"") < at("'htmx:sse:close'"));
    let ours = include_str!("../../../assets/app.js");
    let vendored = [
        include_str!("../../../assets/vendor/htmx-4.0.1/htmx.min.js"),
        include_str!("../../../assets/vendor/htmx-4.0.1/hx-sse.min.js"),
    ];
    for name in ours.split('\'').filter(|word| word.starts_with("htmx:")) {
        let known = vendored
            .iter()
            .any(|source| source.contains(&format!("\"{name}\"")));
        assert!(known, "htmx 4.0.1 has no event {name}");
    }
}

#[test]
fn the_vendored_files_are_the_ones_in_the_table() {
    let readme = include_str!("../../../assets/vendor/htmx-4.0.1/README.md");
    for (name, bytes) in [
        (
            "htmx.min.js",
            &include_bytes!("../../../assets/vendor/htmx-4.0.1/htmx.min.js")[..],
        ),
        (
            "hx-sse.min.js",
            &include_bytes!("../../../assets/vendor/htmx-4.0.1/hx-sse.min.js")[..],
        ),
        (
            "LICENSE",
            &include_bytes!("../../../assets/vendor/htmx-4.0.1/LICENSE")[..],
        ),
    ] {
        let hash = Sha256::digest(bytes)
            .iter()
            .fold(String::new(), |hash, byte| format!("{hash}{byte:02x}"));
        let row = readme
            .lines()
            .find(|line| line.starts_with(&format!("| `{name}`")))
            .unwrap();
        assert!(row.contains(&hash), "{name} is {hash}");
    }
}

#[test]
fn the_style_sheet_fits_into_a_page() {
    assert!(stylesheet().len() < 28_000);
    assert!(!stylesheet().contains("</"));
    assert!(stylesheet().contains(&format!("url({})", url("canopy.svg"))));
    assert!(
        STYLE_CSP_HASH.starts_with("'sha256-") && STYLE_CSP_HASH.len() == 53,
        "{STYLE_CSP_HASH}"
    );
    assert!(HeaderName::from_static("etag") == http::header::ETAG);
}

#[tokio::test]
async fn long_answers_are_compressed_and_streams_are_not() {
    let server = start(patient()).await;
    for (accept, coding) in [
        ("gzip, br, zstd", Some("zstd")),
        ("gzip, br", Some("gzip")),
        ("br", None),
    ] {
        let answer = server
            .get("/long", &format!("Accept-Encoding: {accept}\r\n"))
            .await;
        assert_eq!(
            (answer.status, answer.header("content-encoding")),
            (200, coding),
            "{accept}"
        );
    }
    assert_eq!(
        server
            .get("/", "Accept-Encoding: gzip\r\n")
            .await
            .header("content-encoding"),
        None
    );
    let mut stream = server.connect().await;
    let request =
        server.named(b"GET /stream HTTP/1.1\r\nHost: HOST\r\nAccept-Encoding: gzip, zstd\r\n\r\n");
    stream.write_all(&request).await.unwrap();
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"hello\n\n\r\n") {
        let mut some = [0; 1024];
        let length = tokio::time::timeout(PATIENCE, stream.read(&mut some))
            .await
            .unwrap()
            .unwrap();
        assert_ne!(length, 0);
        bytes.extend_from_slice(&some[..length]);
    }
    assert_eq!(Answer::parse(&bytes).header("content-encoding"), None);
}
