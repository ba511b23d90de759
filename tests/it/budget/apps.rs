//! The pages of apps, with sessions as they are: one that runs, some that were
//! stopped, many that failed.
use super::Visit;
use crate::server::Server;
use junglegrid::web::assets;
use scraper::{Html, Selector};
use serde_json::json;

/// Apps of the operator's own, all of which fail after some output.
const FAILING: [(&str, &str); 6] = [
    ("sdxl-lora-trainer", "SDXL LoRA trainer"),
    ("whisper-desk", "Whisper transcription desk"),
    ("label-studio", "Label Studio"),
    ("notebooks-jax", "Notebooks with JAX"),
    ("tensorboard", "TensorBoard"),
    ("qgis-server", "QGIS, satellite tiles"),
];

fn manifest(slug: &str, name: &str) -> String {
    let script = "i=0; while [ $i -lt 40 ]; do i=$((i+1)); \
        echo \\\"loading shard $i/40 from /workspace/models/part-$i.safetensors, $((i * 37 % 101)) % free\\\"; done; \
        echo \\\"RuntimeError: shard 41 is not there\\\" >&2; exit 3";
    format!(
        r#"
slug = "{slug}"
name = "{name}"
mark = "{mark}"
summary = "An app of the operator's own that does not start on this machine."
version = "1.0"
image = "host"
command = ["/bin/sh", "-c", "{script}"]
start_timeout_seconds = 30
[licence]
spdx = "MIT"
source_url = "https://example.org/{slug}"
[phases]
image = [0, 0]
start = [0, 2]
services = [1, 5]
[[services]]
id = "web"
label = "Web"
port = 8000
primary = true
readiness = {{ path = "/" }}
"#,
        mark = name[..2].to_uppercase()
    )
}

#[test]
fn pages_of_apps_are_small() {
    let mut server = Server::start(&["--host-slots", "8"]);
    let token = server.sign_up("ada.lovelace@example.org");
    let folder = server.data().join("templates");
    std::fs::create_dir_all(&folder).unwrap();
    for (slug, name) in FAILING {
        std::fs::write(folder.join(format!("{slug}.toml")), manifest(slug, name)).unwrap();
    }
    server.restart();
    let console = server.launch(&token, "workspace-console");
    let mut failed = String::new();
    for _ in 0..3 {
        let launched = FAILING.map(|(slug, _)| server.launch(&token, slug));
        for id in &launched {
            server.session(&token, id, "failed");
        }
        failed.clone_from(&launched[0]);
    }
    server.session(&token, &console, "running");
    let stop = format!("/v1/app-sessions/{console}/stop");
    server.call("POST", &stop, &token, &json!({}));
    server.session(&token, &console, "ended");
    let running = server.launch(&token, "workspace-files");
    server.session(&token, &running, "running");
    let other = server.launch(&token, "workspace-console");
    server.session(&token, &other, "running");

    let style = assets::url("jungle.css").rsplit('.').nth(1).unwrap();
    let mut visit = Visit {
        server: &server,
        cookies: format!("Cookie: jg_css={style}; __Host-jg_session={token}\r\n"),
        sizes: Vec::new(),
    };
    let page = |id: &str| format!("/portal/templates/sessions/{id}");
    visit.page("catalogue", "/portal/templates");
    for slug in [
        "workspace-files",
        "workspace-console",
        "lora-pilot",
        "tensorboard",
    ] {
        visit.page(
            &format!("template {slug}"),
            &format!("/portal/templates/{slug}"),
        );
    }
    let again = format!("/portal/templates/sdxl-lora-trainer?again={failed}");
    visit.page("launching again, with its price", &again);
    visit.page("a running session", &page(&running));
    visit.page("a session with two services", &page(&other));
    visit.page("a stopped session", &page(&console));
    visit.page("a failed session with its last lines", &page(&failed));
    for what in ["stop", "extend", "extend?minutes=60"] {
        visit.page(
            &format!("a session: {what}"),
            &format!("{}/{what}", page(&running)),
        );
    }
    visit.page("sessions", "/portal/templates/sessions");
    visit.page(
        "sessions, one of them open",
        &format!("/portal/templates/sessions?open={failed}"),
    );
    visit.page("no sessions", "/portal/templates/sessions?template=none");
    visit.page("launches, for operators", "/portal/operator/launches");
    visit.grown(
        "watching a session that failed",
        &format!("{}/watch", page(&failed)),
    );
    visit.grown(
        "watching a running session",
        &format!("{}/watch", page(&other)),
    );

    visit.fragment(
        "sessions, filtered",
        "/portal/templates/sessions?status=failed",
    );
    visit.fragment(
        "sessions, filtered: the rest",
        "/portal/templates/sessions?status=failed&from=6",
    );
    visit.fragment(
        "the last lines of a session",
        &format!("/portal/templates/sessions?open={failed}"),
    );
    for (what, id) in [("running", &running), ("another", &other)] {
        let html = visit.ask(&page(id), "").text();
        let poll = Html::parse_document(&html);
        let css = Selector::parse("#poll").unwrap();
        let poll = poll.select(&css).next().expect("it asks").attr("hx-get");
        visit.fragment(&format!("a session, polled: {what}"), poll.unwrap());
    }
    // What it was told when it was stopped.
    let last = server.session(&token, &console, "ended")["last_event"].as_i64();
    let poll = format!("{}/poll?after={}.9", page(&console), last.unwrap() - 2);
    visit.fragment("a session, polled: stopped meanwhile", &poll);
    visit.hold();
}
