//! The real server with a real app on the real engine, killed on the way.
use crate::certificates::Certificate;
use crate::grid::{Grid, Person, WELCOME, eventually};
use serde_json::{Value, json};

async fn phase(person: &Person<'_>, id: &str, phase: &str) -> Value {
    eventually(&format!("{phase} of {id}"), async || {
        let session = person.see(&format!("/v1/app-sessions/{id}")).await;
        let ended = !session["end"].is_null() && phase != session["status"];
        assert!(!ended, "it has ended instead: {session}");
        (session["status"] == phase).then_some(session)
    })
    .await
}

#[tokio::test]
async fn an_app_outlives_a_server_that_is_killed() {
    let grid = Grid::start();
    let person = grid.sign_up("amara@example.org").await;
    let id = launch(&person, "workspace-files").await;
    // At once, wherever it is.
    grid.kill();
    grid.run();
    let running = phase(&person, &id, "running").await;
    grid.kill();
    grid.run();
    let again = phase(&person, &id, "running").await;
    assert_eq!(again["billed_from"], running["billed_from"]);
    let before = again["services"][0]["checked_at"].clone();
    eventually("a check by the new server", async || {
        let session = person.see(&format!("/v1/app-sessions/{id}")).await;
        (session["services"][0]["checked_at"] != before).then_some(())
    })
    .await;
    let stop = format!("/v1/app-sessions/{id}/stop");
    person.post(&stop, json!({})).await;
    let end = phase(&person, &id, "ended").await;
    assert_eq!(end["end"]["code"], "stopped");
    let (_, held, spent) = person.wallet().await;
    assert_eq!(held, 0);
    assert!(spent > 0 && spent < WELCOME);
}

/// What is the same in all manifests here. It ends where tables can follow.
const COMMON: &str = r#"
version = "1.0"
image = "host"
start_timeout_seconds = 60

[licence]
spdx = "MIT"
source_url = "https://example.org/source"

[needs]
cpus = 1
memory_gb = 0.25

[phases]
image = [0, 0]
start = [0, 2]
services = [1, 5]
"#;

/// A server that knows this template besides its own.
fn with_template(slug: &str, head: &str, tables: &str) -> Grid {
    let dir = tempfile::tempdir().unwrap();
    let templates = dir.path().join("data/templates");
    std::fs::create_dir_all(&templates).unwrap();
    std::fs::write(
        templates.join(format!("{slug}.toml")),
        [head, COMMON, tables].concat(),
    )
    .unwrap();
    Grid::start_in(dir, &["--host-slots", "2"])
}

/// The session's id.
async fn launch(person: &Person<'_>, template: &str) -> String {
    let path = format!("/v1/templates/{template}/estimate");
    let estimate = person.post(&path, json!({})).await;
    assert_eq!(estimate.body["launchable"], true, "{}", estimate.body);
    let order = json!({
        "template": template,
        "acknowledged_estimate": estimate.body["estimate_id"],
    });
    let launched = person.post("/v1/app-sessions", order).await;
    assert_eq!(launched.status, 202, "{}", launched.body);
    launched.text("/id")
}

/// One with a volume that stays and one that does not, which says what it finds in them.
const SCRATCH: &str = r#"
slug = "scratch"
name = "Scratch"
mark = "SC"
summary = "Writes into both of its volumes."
command = ["sh", "-c", """
ls -A /cache >> /workspace/files/found
echo once >> /workspace/files/launches
echo x > /cache/left
exec /run/junglegrid app files --root /workspace/files
"""]
"#;

const SCRATCH_TABLES: &str = r#"
[[services]]
id = "files"
label = "Files"
port = 8000
primary = true
readiness = { path = "/healthz", body_contains = "ok", interval_seconds = 1 }

[[volumes]]
name = "files"
mount = "/workspace/files"

[[volumes]]
name = "cache"
mount = "/cache"
persist = false
"#;

#[tokio::test]
async fn a_volume_of_the_session_is_gone_with_it_and_the_others_stay() {
    let grid = with_template("scratch", SCRATCH, SCRATCH_TABLES);
    let person = grid.sign_up("amara@example.org").await;
    let shown = person.see("/v1/templates/scratch").await;
    assert_eq!(shown["volumes"][0]["persist"], true);
    assert_eq!(shown["volumes"][1]["persist"], false);
    let workspace = person.see("/auth/session").await["workspace"]["id"].clone();
    let files = grid
        .data()
        .join("volumes")
        .join(workspace.as_str().unwrap())
        .join("scratch/files");
    let read = |name: &str| std::fs::read_to_string(files.join(name)).unwrap();
    for launches in 1..=2 {
        let id = launch(&person, "scratch").await;
        let running = phase(&person, &id, "running").await;
        let run = grid.data().join("runs");
        let run = run.join(running["job_id"].as_str().unwrap()).join("1");
        assert!(run.join("scratch/0/left").exists(), "it is on disk");
        // The server does not see the end of the second.
        if launches == 2 {
            grid.kill();
        } else {
            person
                .post(&format!("/v1/app-sessions/{id}/stop"), json!({}))
                .await;
        }
        if launches == 2 {
            let state = std::fs::read(run.join("state.json")).unwrap();
            let state: Value = serde_json::from_slice(&state).unwrap();
            let shim = i32::try_from(state["shim_pid"].as_i64().unwrap()).unwrap();
            let shim = nix::unistd::Pid::from_raw(shim);
            nix::sys::signal::kill(shim, nix::sys::signal::Signal::SIGKILL).unwrap();
            grid.run();
        }
        phase(&person, &id, if launches == 2 { "failed" } else { "ended" }).await;
        eventually("its own volume is gone", async || {
            (!run.join("scratch").exists()).then_some(())
        })
        .await;
        assert_eq!(read("launches"), "once\n".repeat(launches));
        assert_eq!(read("found"), "", "nobody finds what another has left");
    }
}

/// One that speaks TLS, with a certificate of its own.
const LOCKED: &str = r#"
slug = "locked"
name = "Locked"
mark = "LO"
summary = "It answers inside TLS alone."
command = ["sh", "-c", """
echo "$PEM" > /tmp/pem
exec openssl s_server -accept 127.0.0.1:8443 -cert /tmp/pem -key /tmp/pem -www
"""]
"#;

const LOCKED_TABLES: &str = r#"
[[services]]
id = "page"
label = "Page"
port = 8443
primary = true
scheme = "https"
readiness = { path = "/", body_contains = "TLSv1.3", interval_seconds = 1 }
"#;

#[tokio::test]
async fn an_app_that_speaks_tls_is_reached() {
    if std::process::Command::new("openssl")
        .arg("version")
        .output()
        .is_err()
    {
        let required = std::env::var_os("JUNGLEGRID_TEST_REQUIRE_ALL").is_some();
        assert!(!required, "this machine lacks openssl");
        println!("not tested: this machine lacks openssl");
        return;
    }
    let made = Certificate::new();
    let pem = made.key + &made.chain;
    let env = format!("\n[[env]]\nname = \"PEM\"\nvalue = {pem:?}\n");
    let grid = with_template("locked", LOCKED, &(LOCKED_TABLES.to_owned() + &env));
    let person = grid.sign_up("amara@example.org").await;
    let id = launch(&person, "locked").await;
    let running = phase(&person, &id, "running").await;
    assert_eq!(running["services"][0]["outcome"], "200");
}
