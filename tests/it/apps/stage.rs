//! The orchestrator in front of a machine and a way to its apps, which a test can kill.
use super::machine::Machine;
use super::script::Script;
use crate::grid::{WELCOME, eventually, micros};
use crate::harness::{Answer, TestApi};
use axum::body::Body;
use http::{Method, Request};
use junglegrid::clock::Clock;
use junglegrid::engine::Engine;
use junglegrid::orchestrator::apps::Catalogue;
use junglegrid::orchestrator::{Config, workers};
use junglegrid::store::{Store, ledger};
use serde_json::{Value, json};
use std::sync::Arc;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use tokio_util::task::TaskTracker;

/// An app of this machine's own system, with a second service and files to keep.
const DESK: &str = r#"
slug = "desk"
name = "Desk"
mark = "DK"
summary = "A desk to work at."
version = "1.0"
image = "host"
command = ["/run/junglegrid", "app", "files"]
start_timeout_seconds = 60
idle_stop_minutes = 0

[licence]
spdx = "MIT"
source_url = "https://example.org/desk"

[needs]
cpus = 1
memory_gb = 0.5

[phases]
image = [0, 0]
start = [0, 2]
services = [1, 5]

[[services]]
id = "desk"
label = "Desk"
port = 8000
primary = true
base_path = { path = "/desk", flag = "--base=" }
readiness = { path = "/desk", body_contains = "ready" }

[[services]]
id = "clock"
label = "Clock"
port = 8001
base_path = { path = "/clock/", env = "CLOCK_BASE" }
readiness = { path = "/clock", timeout_seconds = 60 }

[[env]]
name = "DESK_SECRET"
generated = true

[[env]]
name = "DESK_ORIGIN"
value = "{origin:desk}"

[[volumes]]
name = "files"
mount = "/workspace/files"

[[volumes]]
name = "cache"
mount = "/workspace/cache"
persist = false
"#;

/// One whose image has to be pulled.
const BOX: &str = r#"
slug = "box"
name = "Box"
mark = "BX"
summary = "A box to look into."
version = "1.0"
image = "docker.io/library/box@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
image_size_gb = 1
start_timeout_seconds = 60

[licence]
spdx = "MIT"
source_url = "https://example.org/box"

[phases]
image = [10, 20]
start = [0, 2]
services = [1, 5]

[[services]]
id = "box"
label = "Box"
port = 8000
primary = true
readiness = { path = "/desk" }
"#;

/// One that asks for things at its launch.
const VAULT: &str = r#"
slug = "vault"
name = "Vault"
mark = "VT"
summary = "It asks before it opens."
version = "1.0"
image = "host"
command = ["/run/junglegrid", "app", "files"]
start_timeout_seconds = 60

[licence]
spdx = "MIT"
source_url = "https://example.org/vault"

[phases]
image = [0, 0]
start = [0, 2]
services = [1, 5]

[[services]]
id = "desk"
label = "Desk"
port = 8000
primary = true
readiness = { path = "/desk" }
auth = { header = "authorization", value = "{basic:me:VAULT_PASSWORD}" }

[[env]]
name = "VAULT_PASSWORD"
label = "Password"
secret = true
required = true

[[env]]
name = "HF_TOKEN"
label = "Hugging Face token"
hint = "For models that ask for an account."
secret = true

[[env]]
name = "MODEL"
default = "small"

[[env]]
name = "NOTE"
default = ""
"#;

/// How long what is killed may take to be gone.
const LONGEST_END: std::time::Duration = std::time::Duration::from_secs(10);

/// What goes on without anyone asking, in threads of its own, so that it can be
/// killed between any two steps.
struct Background(Option<tokio::runtime::Runtime>);

impl Background {
    fn of(api: &TestApi) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(workers::run(api.state.clone(), TaskTracker::new()));
        Self(Some(runtime))
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // A runtime cannot be waited for from within one.
        if let Some(runtime) = self.0.take() {
            let gone = std::thread::spawn(move || runtime.shutdown_timeout(LONGEST_END));
            gone.join().ok();
        }
    }
}

pub(crate) struct Stage {
    pub(crate) api: TestApi,
    pub(crate) machine: Arc<Machine>,
    pub(crate) script: Arc<Script>,
    pub(crate) token: String,
    change: fn(&mut Config),
    url: Option<String>,
    background: Option<Background>,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(change: fn(&mut Config)) -> Self {
        Self::set(None, tempfile::tempdir().unwrap(), change).await
    }

    /// On the database with this address, which each orchestrator opens for itself:
    /// connections to Postgres die with the runtime that opened them.
    pub(crate) async fn on(url: String, dir: tempfile::TempDir) -> Self {
        Self::set(Some(url), dir, |_| {}).await
    }

    async fn set(url: Option<String>, dir: tempfile::TempDir, change: fn(&mut Config)) -> Self {
        let templates = dir.path().join("templates");
        std::fs::create_dir(&templates).unwrap();
        std::fs::write(templates.join("desk.toml"), DESK).unwrap();
        std::fs::write(templates.join("box.toml"), BOX).unwrap();
        std::fs::write(templates.join("vault.toml"), VAULT).unwrap();
        let clock = Clock::manual(datetime!(2026-11-23 12:00 UTC));
        let machine = Arc::new(Machine::new(clock.clone()));
        let script = Arc::default();
        let on = (url.clone(), Arc::new(dir));
        let (api, background) = raise(on, &machine, &script, clock, change).await;
        let token = api.sign_up("amara@example.org").await;
        Self {
            api,
            machine,
            script,
            token,
            change,
            url,
            background: Some(background),
        }
    }

    /// Kills the orchestrator, wherever it is.
    pub(crate) fn kill(&mut self) {
        drop(self.background.take());
    }

    /// The same, and starts another in its place.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        let on = (self.url.clone(), Arc::clone(&self.api.dir));
        let clock = self.api.clock.clone();
        let raised = raise(on, &self.machine, &self.script, clock, self.change).await;
        self.api = raised.0;
        self.background = Some(raised.1);
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let answer = self.api.get(path, &self.token).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.body);
        answer.body
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.api.call(Method::POST, path, &self.token, body).await
    }

    /// An estimate of these choices; its id.
    pub(crate) async fn estimate(&self, template: &str, choices: Value) -> String {
        let path = format!("/v1/templates/{template}/estimate");
        let answer = self.post(&path, choices).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        answer.text("/estimate_id")
    }

    /// What a launch with these choices sends.
    pub(crate) async fn order(&self, template: &str, choices: Value) -> Value {
        let estimate = self.estimate(template, choices.clone()).await;
        let order = json!({"template": template, "acknowledged_estimate": estimate});
        crate::grid::and(order, choices)
    }

    pub(crate) async fn try_launch(&self, template: &str, choices: Value) -> Answer {
        let order = self.order(template, choices).await;
        self.post("/v1/app-sessions", order).await
    }

    /// Launches it; the session's id.
    pub(crate) async fn launch(&self, template: &str, choices: Value) -> String {
        let launched = self.try_launch(template, choices).await;
        assert_eq!(launched.status, 202, "{:?}", launched.body);
        launched.text("/id")
    }

    /// The same with an Idempotency-Key.
    pub(crate) async fn launch_once(&self, key: &str, order: &Value) -> Answer {
        let request = Request::post("/v1/app-sessions")
            .header("authorization", format!("Bearer {}", self.token))
            .header("idempotency-key", key)
            .body(Body::from(order.to_string()))
            .unwrap();
        self.api.send(request).await
    }

    pub(crate) async fn session(&self, id: &str) -> Value {
        self.get(&format!("/v1/app-sessions/{id}")).await
    }

    /// Waits until the session is as wanted.
    pub(crate) async fn until(&self, id: &str, what: &str, seen: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{what} of {id}"), async || {
            let session = self.session(id).await;
            seen(&session).then_some(session)
        })
        .await
    }

    pub(crate) async fn phase(&self, id: &str, phase: &str) -> Value {
        self.until(id, phase, |session| session["status"] == phase)
            .await
    }

    /// Moves the clock, and lets the keeper see that.
    pub(crate) fn pass(&self, seconds: i64) {
        self.api.clock.advance(time::Duration::seconds(seconds));
    }

    /// The same, until it has been noted what the first service answered after that.
    /// No other is asked for then until the clock moves again.
    pub(crate) async fn pass_and_ask(&self, id: &str, seconds: i64) {
        self.pass(seconds);
        let now = self.api.clock.now().format(&Rfc3339).unwrap();
        self.until(id, "another check", |session| {
            session["services"][0]["checked_at"] == now
        })
        .await;
    }

    /// Waits until the services are looked after, and have been asked once. The next
    /// time is when the clock has moved.
    pub(crate) async fn first_checks(&self, id: &str) {
        self.phase(id, "services").await;
        self.until(id, "the first checks", |session| {
            let mut services = session["services"].as_array().unwrap().iter();
            services.all(|service| !service["outcome"].is_null())
        })
        .await;
    }

    /// From the launch to readiness.
    pub(crate) async fn bring_up(&self, id: &str) -> Value {
        self.phase(id, "starting").await;
        self.machine.runs().await;
        self.first_checks(id).await;
        self.make_ready(id).await
    }

    /// Both services answer as they should from now on, and the app becomes ready. The
    /// first checks have been made.
    pub(crate) async fn make_ready(&self, id: &str) -> Value {
        self.script.says("/desk", Ok((200, "I am ready")));
        self.script.says("/clock", Ok((200, "")));
        self.pass(2);
        self.until(id, "one check passed", |session| {
            session["services"][0]["passed"] == 1
        })
        .await;
        self.pass(2);
        self.phase(id, "running").await
    }

    /// Kinds and texts of what has happened, numbered without gaps.
    pub(crate) async fn events(&self, id: &str) -> Vec<(String, String)> {
        let found = self.get(&format!("/v1/app-sessions/{id}/events")).await;
        let events = found["events"].as_array().unwrap();
        for (event, sequence) in events.iter().zip(1..) {
            assert_eq!(event["sequence"], json!(sequence), "{found}");
        }
        let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
        events
            .iter()
            .map(|event| {
                let said = format!("{}: {}", text(event, "title"), text(event, "message"));
                (text(event, "kind"), said)
            })
            .collect()
    }

    pub(crate) async fn kinds(&self, id: &str) -> Vec<String> {
        let events = self.events(id).await;
        events.into_iter().map(|(kind, _)| kind).collect()
    }

    /// Available, held and spent; the books are proven at the same time.
    pub(crate) async fn wallet(&self) -> (i64, i64, i64) {
        let mut conn = self.api.state.store().read().await.unwrap();
        ledger::check(&mut conn).await.unwrap();
        drop(conn);
        let balance = self.get("/v1/billing/balance").await;
        let [available, held, spent] =
            ["available_usd", "held_usd", "spent_usd"].map(|field| micros(&balance[field]));
        assert_eq!(available + held + spent, WELCOME, "{balance}");
        (available, held, spent)
    }

    /// What a session has come to in the end, which it must have.
    pub(crate) async fn ended(&self, id: &str) -> Ended {
        let session = self
            .until(id, "the end", |session| !session["end"].is_null())
            .await;
        let end = &session["end"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let charged = micros(&end["charged_usd"]);
        let (_, held, spent) = self.wallet().await;
        assert_eq!(held, 0, "nothing stays set aside: {session}");
        let states: Vec<_> = session["services"].as_array().unwrap().iter().collect();
        assert!(
            states.iter().all(|service| service["state"] == "stopped"),
            "{session}"
        );
        let (_, last) = self.events(id).await.pop().unwrap();
        Ended {
            status: text(&session["status"]),
            code: text(&end["code"]),
            step: text(&end["failed_step"]),
            charged,
            spent,
            last,
        }
    }
}

/// How a session ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) status: String,
    pub(crate) code: String,
    pub(crate) step: String,
    pub(crate) charged: i64,
    /// Of the wallet, by everything.
    pub(crate) spent: i64,
    /// The last event.
    pub(crate) last: String,
}

async fn raise(
    (url, dir): (Option<String>, Arc<tempfile::TempDir>),
    machine: &Arc<Machine>,
    script: &Arc<Script>,
    clock: Clock,
    change: fn(&mut Config),
) -> (TestApi, Background) {
    let store = if let Some(url) = url {
        Store::open(&url).await.unwrap()
    } else {
        let file = dir.path().join("junglegrid.db");
        Store::open_file(&file).await.unwrap()
    };
    let catalogue = Catalogue::load(Some(&dir.path().join("templates"))).unwrap();
    let engine: Arc<dyn Engine> = Arc::clone(machine) as _;
    let api = TestApi::again(store, dir, engine, (catalogue, clock), change);
    api.state.reach_apps_through(Arc::clone(script) as _);
    let background = Background::of(&api);
    (api, background)
}
