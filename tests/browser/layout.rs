//! What pages measure.
use crate::driver::{Browser, Visitor, block_on};
use crate::keys;
use crate::server::Server;
use serde_json::{Value, json};

const EMAIL: &str = "ada@example.org";

/// Everything pressable that is smaller than 24 by 24, except links in text.
const SMALL: &str =
    "[...document.querySelectorAll('button, input, select, textarea, summary, nav a, a.btn')]
    .map(e => [e, e.matches('input') && e.closest('label') || e])
    .map(([e, target]) => [e.outerHTML.slice(0, 90), target.getBoundingClientRect()])
    .filter(([_, r]) => r.width > 0 && r.height > 0 && (r.width < 24 || r.height < 24))
    .map(([e, r]) => `${r.width}x${r.height} ${e}`)";

/// Regions that scroll sideways.
const WIDE: &str = "[...document.querySelectorAll('.scroll')]
    .filter(e => e.scrollWidth > e.clientWidth).map(e => e.outerHTML.slice(0, 90))";

pub(crate) fn no_page_is_wider_than_a_phone() {
    block_on(async {
        let server = Server::start(&["--host-slots", "1"]);
        let browser = Browser::open(Visitor::Phone, &server).await;
        for page in [
            "/login",
            "/signup",
            "/signup/verify?email=a%40example.org",
            "/login/forgot",
            "/nope",
        ] {
            fits(&browser, page).await;
        }
        let token = server.sign_up(EMAIL);
        browser.sign_in(EMAIL).await;
        for page in ["/portal", "/portal/jobs", "/portal/submit"] {
            fits(&browser, page).await;
        }
        let long = "a-name-without-any-spaces-".repeat(4);
        let failed = server.run(
            &token,
            &long,
            "echo 'a rather long line '$(seq 1 80); echo no >&2; exit 3",
        );
        server.job(&token, &failed, |job| job["status"] == "failed");
        let with_files = files(&server, &token);
        let running = server.run(&token, "endless", "echo begun; sleep 600");
        server.job(&token, &running, |job| job["status"] == "running");
        let queued = server.run(&token, "waits", "true");
        let content = json!({
            "name": long, "workload_type": "batch", "image": "host", "command": "true ".repeat(60),
            "environment": {"A_LONG_NAME_OF_A_VARIABLE": "x"}, "timeout_seconds": 600,
        });
        let draft = server.call(
            "POST",
            "/v1/job-drafts",
            &token,
            &json!({ "content": content }),
        );
        let draft = draft["id"].as_str().unwrap();
        let mut pages: Vec<String> = [
            "/portal",
            "/portal/jobs",
            "/portal/jobs?q=nothing",
            "/portal/submit",
            "/portal/nodes",
            "/portal/nope",
        ]
        .map(String::from)
        .into();
        for job in [&failed, &running, &queued] {
            pages.push(format!("/portal/jobs/{job}"));
        }
        let left = with_files
            .iter()
            .find(|page| page.starts_with("/portal/jobs/"));
        for job in [&format!("/portal/jobs/{failed}"), left.unwrap()] {
            let record = format!("{job}/record");
            fits(&browser, &record).await;
            assert_eq!(browser.ask(WIDE).await, json!([]), "{record}");
        }
        pages.push(format!("/portal/jobs/{running}/cancel"));
        pages.push("/portal/api-keys".into());
        pages.push("/portal/api-keys/new".into());
        for (key, question) in keys::of_every_state(&server, &token)
            .iter()
            .zip(["rotate", "revoke", ""])
        {
            pages.push(format!("/portal/api-keys/{key}"));
            if !question.is_empty() {
                pages.push(format!("/portal/api-keys/{key}/{question}"));
            }
        }
        pages.extend(with_files);
        for step in ["workload", "image", "resources", "routing", "review"] {
            pages.push(format!("/portal/submit/{draft}/{step}"));
        }
        for page in &pages {
            fits(&browser, page).await;
        }
        browser.see("#estimate #ack").await;
        fits(&browser, pages.last().unwrap()).await;
        // The menu behind “More” has all the links.
        browser.press("More").await;
        browser.see("#menu:popover-open").await;
    });
}

/// The pages of a file with a long name and long lines.
fn files(server: &Server, token: &str) -> Vec<String> {
    let name = "a-name-without-any-spaces-".repeat(4);
    let script = format!(
        "cd /workspace/artifacts; for i in $(seq 30); do echo $(seq 40 | tr '\\n' ','); done > {name}.csv; seq 2000 | tr -d '\\n' > {name}.txt"
    );
    let job = json!({
        "name": "leaves files", "workload_type": "batch", "image": "host", "command": ["sh", "-c", script],
        "expected_artifacts": [format!("/workspace/artifacts/{name}.csv"), format!("/workspace/artifacts/{name}.bin")],
    });
    let job = server.call("POST", "/v1/jobs", token, &job);
    let job = job["job_id"].as_str().unwrap();
    server.job(token, job, |job| job["status"] == "completed");
    let left = format!("/v1/jobs/{job}/artifacts");
    let left = server.call("GET", &left, token, &Value::Null);
    let ids = left["artifacts"].as_array().unwrap().iter();
    let ids = ids.map(|one| format!("/portal/artifacts/{}", one["id"].as_str().unwrap()));
    let mut pages: Vec<String> = ids.collect();
    assert_eq!(pages.len(), 2);
    pages.push(format!("{}/delete", pages[0]));
    pages.push(format!("/portal/jobs/{job}"));
    pages.extend(
        [
            "/portal/artifacts",
            "/portal/artifacts?q=nothing",
            "/portal/inputs",
        ]
        .map(String::from),
    );
    pages
}

async fn fits(browser: &Browser, page: &str) {
    browser.go(page).await;
    // A phone zooms out of a page that is too wide, and then `innerWidth` grows, too.
    let wide = browser
        .ask("Math.max(innerWidth, document.documentElement.scrollWidth)")
        .await;
    assert_eq!(wide, 375, "{page} is {wide} wide");
    let small = browser.ask(SMALL).await;
    assert_eq!(small, Value::Array(Vec::new()), "too small on {page}");
}
