//! Every page and state, looked at. `JUNGLEGRID_PICTURES` names a folder that is
//! given a picture of each.
use crate::driver::{Browser, Visitor, block_on};
use crate::keys;
use crate::server::Server;
use serde_json::{Value, json};

const EMAIL: &str = "ada@example.org";
const LEAVES: &str = r#"cd /workspace/artifacts; echo '{"best": 3}' > summary.json; printf 'a,b\n1,2\n' > rows.csv
printf '\033[32mgreen\033[0m and plain\n'; echo 'Warning: slow' >&2"#;

pub(crate) fn every_page_has_a_name_and_a_heading() {
    look(Visitor::Desk, "script");
}

pub(crate) fn every_page_has_a_name_and_a_heading_without_javascript() {
    look(Visitor::NoScript, "plain");
}

pub(crate) fn every_page_has_a_name_and_a_heading_on_a_phone() {
    look(Visitor::Phone, "phone");
}

fn look(visitor: Visitor, kind: &str) {
    block_on(async {
        let server = Server::start(&["--host-slots", "2"]);
        let token = server.sign_up(EMAIL);
        let browser = Browser::open(visitor, &server).await;
        if visitor != Visitor::Phone {
            browser.tall().await;
        }
        browser.sign_in(EMAIL).await;
        let lists = [
            "/portal",
            "/portal/jobs",
            "/portal/logs",
            "/portal/artifacts",
            "/portal/inputs",
            "/portal/api-keys",
            "/portal/webhooks",
            "/portal/templates",
            "/portal/templates/sessions",
            "/portal/operator/launches",
            "/portal/nodes",
        ];
        for page in lists {
            one(&browser, page, &format!("{page}-none-{kind}")).await;
        }
        let (pages, words) = states(&server, &token);
        for page in pages {
            let name = words
                .iter()
                .fold(page.clone(), |name, (id, word)| name.replace(id, word));
            one(&browser, &page, &format!("{name}-{kind}")).await;
        }
        for page in &lists[..9] {
            one(&browser, page, &format!("{page}-{kind}")).await;
        }
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}

async fn one(browser: &Browser, page: &str, name: &str) {
    browser.go(page).await;
    let title = browser.text("title").await;
    assert!(
        title.ends_with(" · Jungle Grid") && title.chars().count() > 16,
        "{page}: {title}"
    );
    let headings = browser.texts("h1").await;
    assert!(
        matches!(&headings[..], [one] if !one.trim().is_empty()),
        "{page}: {headings:?}"
    );
    browser.picture(name).await;
}

/// Jobs, their output and files, keys and sessions in each of their states, and a
/// word for each id.
fn states(server: &Server, token: &str) -> (Vec<String>, Vec<(String, String)>) {
    let call = |method: &str, path: &str| server.call(method, path, token, &Value::Null);
    let name = "fine-tuning of a model with a long name, rank sixteen";
    let done = json!({
        "name": name, "workload_type": "fine-tuning", "image": "host", "command": ["sh", "-c", LEAVES],
        "environment": {"API_TOKEN": "hidden"}, "timeout_seconds": 600,
        "expected_artifacts": ["/workspace/artifacts/summary.json", "/workspace/artifacts/model.bin"],
    });
    let done = server.call("POST", "/v1/jobs", token, &done);
    let done = done["job_id"].as_str().unwrap().to_owned();
    server.job(token, &done, |job| job["status"] == "completed");
    let failed = server.run(token, "fails", "echo 'Traceback (x):' >&2; exit 3");
    server.job(token, &failed, |job| job["status"] == "failed");
    let running = server.run(token, "runs", "echo begun; sleep 600");
    server.job(token, &running, |job| job["status"] == "running");
    let app = server.launch(token, "workspace-files");
    server.session(token, &app, "running");
    let queued = server.run(token, "waits", "true");
    let stopped = server.run(token, "stopped", "true");
    call("POST", &format!("/v1/jobs/{stopped}/cancel"));
    let mut pages = Vec::new();
    let mut words = Vec::new();
    let mut call_it = |id: &str, word: &str| words.push((id.to_owned(), word.to_owned()));
    for (job, word) in [
        (&done, "done"),
        (&failed, "failed"),
        (&running, "running"),
        (&queued, "queued"),
        (&stopped, "cancelled"),
    ] {
        call_it(job, word);
        for part in ["", "/logs", "/record", "/as/cli"] {
            pages.push(format!("/portal/jobs/{job}{part}"));
        }
    }
    for part in [
        "/as/curl",
        "/as/mcp",
        "/as/json",
        "/logs?q=green",
        "/logs?q=nothing",
        "/logs?level=warning",
        "/logs?line=1",
        "/logs?wrap=1&time=330",
    ] {
        pages.push(format!("/portal/jobs/{done}{part}"));
    }
    pages.push(format!("/portal/jobs/{running}/cancel"));
    let many = format!("/portal/jobs/cancel?id={running}&id={queued}&id={done}");
    pages.push(many);
    let lists = [
        "/portal/jobs/cancel?",
        "/portal/webhooks/rotate",
        "/portal/jobs?status=active",
        "/portal/jobs?q=nothing",
        "/portal/logs?q=nothing",
        "/portal/logs?level=error",
        "/portal/artifacts?q=nothing",
    ];
    pages.extend(lists.map(String::from));
    let left = call("GET", &format!("/v1/jobs/{done}/artifacts"));
    for artifact in left["artifacts"].as_array().unwrap() {
        let id = artifact["id"].as_str().unwrap();
        call_it(id, artifact["filename"].as_str().unwrap());
        let page = format!("/portal/artifacts/{id}");
        pages.push(format!("{page}/delete"));
        pages.push(page);
    }
    for (key, word) in keys::of_every_state(server, token)
        .iter()
        .zip(["rotated", "disabled", "revoked"])
    {
        call_it(key, word);
        pages.push(format!("/portal/api-keys/{key}"));
    }
    pages.push("/portal/api-keys/new".into());
    pages.push("/portal/templates/workspace-files".into());
    let session = format!("/portal/templates/sessions/{app}");
    for part in ["/stop", "/extend", ""] {
        pages.push(format!("{session}{part}"));
    }
    call_it(&app, "running");
    (pages, words)
}
