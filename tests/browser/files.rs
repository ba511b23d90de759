//! Files on their way into a job and out of it again.
use crate::driver::{Browser, Visitor, block_on};
use crate::server::Server;
use serde_json::Value;

const EMAIL: &str = "ada@example.org";
const COMMAND: &str = "sh -c 'cp /workspace/inputs/notes.csv /workspace/artifacts/copy.csv; sh /workspace/scripts/run.sh'";
const SCRIPT: &str =
    "mkdir /workspace/artifacts/out; echo from the script > /workspace/artifacts/out/said.txt\n";

pub(crate) fn a_file_goes_into_a_job_and_comes_out_of_it() {
    path(Visitor::Desk);
}

pub(crate) fn a_file_goes_into_a_job_and_comes_out_of_it_without_javascript() {
    path(Visitor::NoScript);
}

/// More than any other form may hold, and nothing that repeats.
fn notes() -> String {
    let rows = (0..150_000_u32).map(|n| format!("{n},{}", n.wrapping_mul(2_654_435_761)));
    let head = std::iter::once("row,number".to_owned());
    head.chain(rows).collect::<Vec<_>>().join("\n")
}

fn path(visitor: Visitor) {
    let server = Server::start(&[]);
    server.sign_up(EMAIL);
    block_on(there_and_back(visitor, &server));
}

async fn there_and_back(visitor: Visitor, server: &Server) {
    let here = tempfile::tempdir().unwrap();
    let (data, script) = (here.path().join("notes.csv"), here.path().join("run.sh"));
    std::fs::write(&data, notes()).unwrap();
    std::fs::write(&script, SCRIPT).unwrap();
    let browser = Browser::open(visitor, server).await;
    browser.sign_in(EMAIL).await;

    browser.go("/portal/submit/new/workload").await;
    browser.fill("#name", "with files").await;
    browser.press("Continue").await;
    browser
        .arrives("the image", |path| path.ends_with("/image"))
        .await;
    browser.fill("#command", COMMAND).await;
    browser.click("#files > summary").await;
    browser.choose("#upload_input", &data).await;
    browser.choose("#upload_script", &script).await;
    // A mistake costs neither what was typed nor what was uploaded.
    browser.fill("#expected_artifacts", "/etc/passwd").await;
    browser.press("Continue").await;
    browser.see("#expected_artifacts-error").await;
    assert_eq!(browser.value("#command").await, COMMAND);
    assert_eq!(browser.count("[name=input_files]:checked").await, 1);
    let expected = "/workspace/artifacts/copy.csv\n/workspace/artifacts/model.bin";
    browser.fill("#expected_artifacts", expected).await;
    browser.press("Continue").await;
    for step in ["resources", "routing"] {
        browser
            .arrives(step, |path| path.ends_with(&format!("/{step}")))
            .await;
        browser.see("#wizard form").await;
        browser.press("Continue").await;
    }
    for words in ["notes.csv", "run.sh", "model.bin"] {
        browser.reads("#wizard", |text| text.contains(words)).await;
    }
    browser.see("#estimate #ack").await;
    browser.click("#ack").await;
    browser.click("#estimate button[type=submit]").await;
    let job = browser
        .arrives("the job", |path| path.starts_with("/portal/jobs/job_"))
        .await;
    browser
        .reads("#job-artifacts", |text| {
            ["Present", "Missing", "copy.csv", "said.txt"]
                .iter()
                .all(|words| text.contains(words))
        })
        .await;
    browser
        .reads("[aria-labelledby=inputs-h]", |text| {
            text.contains("/workspace/inputs/notes.csv")
        })
        .await;

    browser.press("copy.csv").await;
    let page = browser
        .arrives("the file", |path| {
            path.starts_with("/portal/artifacts/art_")
        })
        .await;
    browser
        .reads("main .tbl", |text| text.contains("2654435761"))
        .await;
    browser.press("Download").await;
    let saved = browser.downloaded("copy.csv").await;
    assert!(saved == notes().as_bytes(), "{} bytes arrived", saved.len());

    browser.press("Make a link").await;
    browser.see("#link [data-copy]").await;
    let link = browser.value("#address").await;
    assert!(
        link.starts_with("http://") && link.contains("signature="),
        "{link}"
    );

    browser.go(&page).await;
    browser.press("Delete…").await;
    browser.press("Keep it").await;
    browser.see("main .tbl").await;
    browser.press("Delete…").await;
    browser.press("Delete the file").await;
    browser
        .arrives("the list", |path| path == "/portal/artifacts")
        .await;
    let left = browser.text("#artifacts").await;
    assert!(
        left.contains("said.txt") && !left.contains("copy.csv"),
        "{left}"
    );

    browser.press("Chosen as ZIP").await;
    browser
        .reads("[role=alert]", |text| text.contains("Choose at least one"))
        .await;
    browser.click("tbody [type=checkbox]").await;
    browser.press("Chosen as ZIP").await;
    let id = job.rsplit('/').next().unwrap();
    let archive = browser.downloaded(&format!("{id}.zip")).await;
    let holds = |words: &[u8]| archive.windows(words.len()).any(|some| some == words);
    assert!(holds(b"out/said.txt") && holds(b"from the script\n"));
    let said = browser.complaints().await;
    assert!(said.iter().all(|words| words.contains("422")), "{said:?}");
}

/// The portal is a process of its own, for an orchestrator that is another.
pub(crate) fn a_file_goes_into_a_job_and_comes_out_of_it_far_away() {
    let orchestrator = Server::start(&["--no-portal"]);
    orchestrator.sign_up(EMAIL);
    let portal = Server::start(&["--orchestrator", &orchestrator.url("")]);
    block_on(there_and_back(Visitor::Desk, &portal));
}

/// A connection slow enough to watch what goes over it.
const SLOW: u32 = 100_000;

pub(crate) fn an_upload_shows_how_far_it_is_and_can_be_cancelled() {
    block_on(async {
        let here = tempfile::tempdir().unwrap();
        let data = here.path().join("large.bin");
        std::fs::write(&data, vec![7; 3_000_000]).unwrap();
        let too_large = here.path().join("larger.bin");
        std::fs::write(&too_large, vec![7; 4_000_001]).unwrap();
        let mut server = Server::start(&["--file-mb", "4"]);
        let token = server.sign_up(EMAIL);
        let browser = Browser::open(Visitor::Desk, &server).await;
        browser.sign_in(EMAIL).await;
        let shown = "[data-sending] > div:nth-child(2)";
        let note = "[data-sending] > [role=alert]";

        // What cannot be is said before a byte is sent.
        browser.go("/portal/inputs").await;
        browser.choose("#upload_input", &too_large).await;
        browser.press("Upload").await;
        browser
            .reads(note, |text| {
                text.contains("larger.bin has 4 MB; 4 MB at most")
            })
            .await;

        browser.go("/portal/inputs").await;
        browser.slow(SLOW).await;
        browser.choose("#upload_input", &data).await;
        browser.press("Upload").await;
        let some = |text: &str| {
            let (_, rest) = text.split_once(" of 3 MB, ").unwrap_or_default();
            rest.split_once('%')
                .is_some_and(|(part, _)| part.parse::<u8>().is_ok_and(|part| part > 5 && part < 90))
        };
        let text = browser.reads(shown, some).await;
        assert!(text.contains("Cancel the upload"), "{text}");
        let part = browser
            .ask("(bar => bar.offsetHeight && bar.position)(document.querySelector('[data-sending] progress'))")
            .await;
        assert!(
            part.as_f64().is_some_and(|part| part > 0. && part < 1.),
            "{part}"
        );
        browser.press("Cancel the upload").await;
        browser
            .reads(note, |text| text.contains("You cancelled it after"))
            .await;
        // Nothing of it is left, nor listed.
        browser
            .until("it to be gone", async || {
                let slots = server.call("GET", "/v1/job-inputs", &token, &Value::Null);
                slots["inputs"].as_array()?.is_empty().then_some(())
            })
            .await;

        // The same files go on their way again; the server dies under them.
        browser.press("Upload").await;
        browser.reads(shown, some).await;
        server.kill();
        browser
            .reads(note, |text| {
                text.contains("The connection broke off after")
                    && text.contains("send the rest again")
            })
            .await;
        server.restart();
        browser.slow(0).await;
        browser.press("Upload").await;
        browser
            .reads("main", |text| {
                text.contains("large.bin") && text.contains("3 MB")
            })
            .await;
        browser
            .reads("#toasts", |text| text.contains("large.bin is uploaded."))
            .await;
        // A script without a file in the other field is no mistake; nothing chosen is.
        browser.press("Upload").await;
        browser.see("#upload_input-error").await;
    });
}
