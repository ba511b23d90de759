//! Apps that are launched from templates: the real ones, on the real engine.
mod cut;
mod failed;
mod plain;
mod record;
mod relay;
mod scripts;
mod settings;

pub(crate) use cut::{
    a_connection_that_is_cut_loses_and_repeats_nothing, a_page_that_hears_nothing_asks,
    a_page_that_hears_nothing_more_asks_from_where_it_was,
};
pub(crate) use failed::{
    a_failed_launch_shows_why_where_it_is_watched, the_history_opens_what_failed,
    the_history_opens_what_failed_without_javascript,
};
pub(crate) use plain::{an_app_is_launched_used_and_stopped_without_javascript, one_page_grows};
pub(crate) use scripts::a_launch_is_watched_opened_used_and_stopped;
pub(crate) use settings::a_secret_is_given_at_the_launch_and_used_again;

use crate::driver::Browser;
use crate::server::{Server, until};
use serde_json::{Value, json};
use url::Url;

const EMAIL: &str = "ada@example.org";

/// A server with one slot, which a job has: a launch waits until it is given free,
/// so that a page can be there before anything happens.
struct Stage {
    server: Server,
    token: String,
    busy: String,
}

impl Stage {
    /// Nothing where the machine cannot keep apps apart.
    fn set() -> Option<Self> {
        let server = Server::start(&["--host-slots", "1"]);
        let token = server.sign_up(EMAIL);
        let path = "/v1/templates/workspace-files";
        let template = server.call("GET", path, &token, &Value::Null);
        if template["launchable"] != true {
            let why = &template["checks"];
            let required = std::env::var_os("JUNGLEGRID_TEST_REQUIRE_ALL").is_some();
            assert!(!required, "this machine cannot launch apps: {why}");
            eprintln!("not tested: this machine cannot launch apps: {why}");
            return None;
        }
        let busy = server.run(&token, "has the slot", "sleep 6000");
        server.job(&token, &busy, |job| job["status"] == "running");
        Some(Self {
            server,
            token,
            busy,
        })
    }

    /// Puts a template beside those that come with the program.
    fn add_template(&mut self, slug: &str, manifest: &str) {
        let folder = self.server.data().join("templates");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("{slug}.toml")), manifest).unwrap();
        // It is read when the server starts.
        self.server.restart();
    }

    fn get(&self, path: &str) -> Value {
        self.server.call("GET", path, &self.token, &Value::Null)
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.server.call("POST", path, &self.token, body)
    }

    /// Gives the slot free.
    fn begin(&self) {
        let path = format!("/v1/jobs/{}/cancel", self.busy);
        self.post(&path, &json!({"wait_seconds": 30}));
    }

    /// Launches through the API; the session's id.
    fn launch(&self, template: &str) -> String {
        let path = format!("/v1/templates/{template}/estimate");
        let estimate = self.post(&path, &json!({}));
        let order = json!({
            "template": template, "acknowledged_estimate": estimate["estimate_id"],
        });
        let launched = self.post("/v1/app-sessions", &order);
        launched["id"].as_str().unwrap().to_owned()
    }

    fn session(&self, id: &str) -> Value {
        self.get(&format!("/v1/app-sessions/{id}"))
    }

    /// The session, once it is as `wanted`.
    fn session_is(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until("the session to get on", || {
            let session = self.session(id);
            wanted(&session).then_some(session)
        })
    }

    /// Everything that has happened so far, numbered without gaps.
    fn events(&self, id: &str) -> Vec<Value> {
        let path = format!("/v1/app-sessions/{id}/events?limit=1000");
        let page = self.get(&path);
        assert_eq!(page["has_more"], false);
        let events = page["events"].as_array().unwrap().clone();
        for (event, number) in events.iter().zip(1..) {
            assert_eq!(event["sequence"], number, "{events:?}");
        }
        events
    }

    /// Asks to be let into a service: the address, or what is said instead.
    fn ticket(&self, id: &str, service: &str) -> Result<Url, (u16, Value)> {
        let path = format!("/v1/app-sessions/{id}/open");
        let headers = format!(
            "Content-Type: application/json\r\nAuthorization: Bearer {}\r\n",
            self.token
        );
        let body = json!({ "service": service }).to_string();
        let answer = self.server.request("POST", &path, &headers, &body);
        let body: Value = serde_json::from_str(&answer.text()).unwrap();
        if answer.status == 200 {
            Ok(body["url"].as_str().unwrap().parse().unwrap())
        } else {
            Err((answer.status, body))
        }
    }

    fn assert_closed(&self, id: &str, service: &str) {
        let (status, said) = self.ticket(id, service).expect_err("it lets people in");
        assert_eq!(status, 409, "{said}");
        assert_eq!(said["error"]["code"], "NOT_READY", "{said}");
    }
}

/// The address of a session's page.
fn page_of(id: &str) -> String {
    format!("/portal/templates/sessions/{id}")
}

/// Waits for the page of a session; the session's id.
async fn arrives_at_a_session(browser: &Browser) -> String {
    let path = browser
        .arrives("the session", |path| path.starts_with(&page_of("ts_")))
        .await;
    path.rsplit('/').next().unwrap().to_owned()
}

/// The page says that the app can be opened, or that it cannot and why.
async fn is_withheld(browser: &Browser, why: &str) {
    let button = "#go button[aria-disabled=true][aria-describedby=why]";
    assert_eq!(browser.count(button).await, 1);
    assert_eq!(browser.count("button[form=open]").await, 0);
    browser.reads("#why", |text| text.contains(why)).await;
}

/// Waits for the app behind its own origin; that origin.
async fn arrives_at_an_app(browser: &Browser, path: &str) -> Url {
    browser
        .until("the app", async || {
            let url = browser.url().await;
            let host = url.host_str().unwrap_or_default();
            let label = host.strip_suffix(".apps.localhost")?;
            let alone = label.len() == 26 && !label.contains('.');
            (alone && url.path() == path).then_some(url)
        })
        .await
}

/// The page lists what the API lists: each event once, in order, with its words.
async fn lists_all_events(stage: &Stage, browser: &Browser, id: &str) {
    let expected: Vec<String> = stage.events(id).iter().map(line).collect();
    browser.see(&format!("#e-{}", expected.len())).await;
    assert_eq!(browser.texts("#events > *").await, expected);
}

/// An event as the page writes it.
fn line(event: &Value) -> String {
    let [clock, title, message] = words(event);
    if message.is_empty() || message == title {
        return format!("{clock}  {title}\n");
    }
    format!("{clock}  {title} – {message}\n")
}

/// When it was, what, and more about it.
fn words(event: &Value) -> [&str; 3] {
    let text = |name: &str| event[name].as_str().unwrap();
    [&text("created_at")[11..19], text("title"), text("message")]
}
