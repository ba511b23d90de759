//! Whoever submits a job can have a URL told of its end: signed, again and again
//! until it is taken, and nowhere where it should not be.
mod again;
mod ends;
mod hostile;
mod kill;
mod rotation;
mod tls;

use crate::grid::{DEADLINE, and, eventually, script};
use crate::harness::{Answer, PASSWORD, TestApi, on_each_database};
use crate::stub::{Machine, work};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, Method, StatusCode};
use junglegrid::domain::reach::Allow;
use junglegrid::egress::reach::Caller;
use junglegrid::orchestrator::workers::{callbacks, housekeeping};
use junglegrid::random::base64;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::sync::{Arc, Mutex};
use time::Duration;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// Somebody who is told, and answers what a test says.
#[derive(Debug, Clone)]
pub(crate) struct Receiver {
    pub(crate) address: String,
    scheme: &'static str,
    told: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    /// What it answers next; 200 when there is no more.
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
}

impl Receiver {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self::at(&listener, "http");
        let router = receiver.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn at(listener: &TcpListener, scheme: &'static str) -> Self {
        Self {
            address: listener.local_addr().unwrap().to_string(),
            scheme,
            told: Arc::default(),
            answers: Arc::default(),
        }
    }

    fn router(&self) -> Router {
        Router::new()
            .fallback(
                |it: State<Self>, headers: HeaderMap, body: Bytes| async move {
                    it.answer(headers, &body)
                },
            )
            .with_state(self.clone())
    }

    fn answer(&self, headers: HeaderMap, body: &Bytes) -> Response {
        let body = String::from_utf8(body.to_vec()).unwrap();
        self.told.lock().unwrap().push((headers, body));
        let mut answers = self.answers.lock().unwrap();
        if answers.is_empty() {
            return StatusCode::OK.into_response();
        }
        let (status, text) = answers.remove(0);
        let status = StatusCode::from_u16(status).unwrap();
        (status, [("location", "/elsewhere")], text).into_response()
    }

    pub(crate) fn next(&self, answers: &[(u16, &'static str)]) {
        *self.answers.lock().unwrap() = answers.to_vec();
    }

    pub(crate) fn told(&self) -> Vec<(HeaderMap, String)> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://{}/done", self.scheme, self.address)
    }
}

/// A workspace with a machine that does everything at once.
pub(crate) struct Desk {
    pub(crate) api: TestApi,
    machine: Arc<Machine>,
    pub(crate) token: String,
    caller: Caller,
}

impl Desk {
    pub(crate) async fn open() -> Self {
        let (api, machine) = Machine::start().await;
        Self::at(api, machine).await
    }

    async fn at(api: TestApi, machine: Arc<Machine>) -> Self {
        let token = api.sign_up("ada@example.org").await;
        Self {
            api,
            machine,
            token,
            caller: Caller::new(Allow::this_machine()).unwrap(),
        }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.api.call(Method::POST, path, &self.token, body).await
    }

    /// Sessions end in the days that pass here.
    async fn sign_in(&self) -> String {
        let body = json!({ "email": "ada@example.org", "password": PASSWORD });
        self.api.post("/auth/signin", body).await.text("/token")
    }

    async fn see(&self, path: &str) -> Value {
        let seen = self.api.get(path, &self.token).await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.body);
        seen.body
    }

    pub(crate) async fn submit(&self, more: Value) -> String {
        let submitted = self.post("/v1/jobs", and(script("true"), more)).await;
        assert_eq!(submitted.status, 202, "{}", submitted.body);
        submitted.text("/job_id")
    }

    pub(crate) async fn tick(&self) -> usize {
        callbacks::tick(&self.api.state, &self.caller)
            .await
            .unwrap()
    }

    pub(crate) async fn callback(&self, job: &str) -> Value {
        self.see(&format!("/v1/jobs/{job}/callback")).await
    }

    async fn titles(&self, job: &str) -> Vec<(String, String)> {
        let events = self.see(&format!("/v1/jobs/{job}/events")).await;
        let events = events["items"].as_array().unwrap().clone();
        let text = |event: &Value, field: &str| event[field].as_str().unwrap().to_owned();
        events
            .iter()
            .filter(|event| text(event, "type").starts_with("callback."))
            .map(|event| (text(event, "title"), text(event, "message")))
            .collect()
    }
}

/// Standard Webhooks, computed anew.
pub(crate) fn verify(secret: &str, told: &(HeaderMap, String)) {
    let headers = &told.0;
    let header = |name: &str| headers[name].to_str().unwrap();
    let id = header("webhook-id");
    assert_eq!(header("webhook-signature"), signature(secret, told));
    assert!(id.starts_with("msg_") && !id.contains('.'), "{id}");
    assert_eq!(header("content-type"), "application/json");
}

/// What this secret signs a call with.
fn signature(secret: &str, (headers, body): &(HeaderMap, String)) -> String {
    let header = |name: &str| headers[name].to_str().unwrap();
    let key = unbase64(secret.strip_prefix("whsec_").unwrap());
    assert_eq!(key.len(), 32);
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
    mac.update(format!("{id}.{at}.{body}").as_bytes());
    format!("v1,{}", base64(&mac.finalize().into_bytes()))
}

fn unbase64(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.trim_end_matches('=').chars();
    let digits = digits.map(|c| u32::try_from(ALPHABET.find(c).unwrap()).unwrap());
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0, 0);
    for digit in digits {
        held = (held << 6 | digit) & 0xffff;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from(held >> bits & 0xff).unwrap());
        }
    }
    bytes
}

#[tokio::test]
async fn every_spelling_tells_the_receiver_of_the_end() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let secret = desk.see("/v1/callbacks/secret").await;
    let secret = secret["secret"].as_str().unwrap();
    for (spelling, token, metadata) in [
        (
            json!({ "callback_url": url, "callback_auth_token": "t-1", "callback_metadata": { "order": "7" } }),
            Some("Bearer t-1"),
            json!({ "order": "7" }),
        ),
        (
            json!({ "callback": { "url": url, "auth_token": "t-2", "metadata": { "n": 5, "b": true } } }),
            Some("Bearer t-2"),
            json!({ "n": "5", "b": "true" }),
        ),
        (json!({ "webhook_url": url }), None, Value::Null),
        (
            json!({ "callback_url": url, "callback": { "url": url }, "webhook_url": null }),
            None,
            Value::Null,
        ),
    ] {
        let estimated = desk.post("/v1/jobs/estimate", and(script("true"), spelling.clone()));
        let estimated = estimated.await;
        assert_eq!(estimated.status, 200, "{}", estimated.body);
        let warnings = estimated.body["warnings"].to_string();
        assert!(!warnings.contains("callback"), "{warnings}");
        let before = receiver.told().len();
        let job = desk.submit(spelling.clone()).await;
        assert_eq!(desk.callback(&job).await["state"], "armed");
        assert_eq!(desk.tick().await, 0, "not before the end");
        work(&desk.api).await;
        assert_eq!(desk.tick().await, 1);
        assert_eq!(desk.tick().await, 0, "once");
        let told = receiver.told();
        assert_eq!(told.len(), before + 1, "{spelling}");
        let told = told.last().unwrap();
        verify(secret, told);
        let bearer = told.0.get("authorization");
        assert_eq!(bearer.map(|value| value.to_str().unwrap()), token);
        let body: Value = serde_json::from_str(&told.1).unwrap();
        assert_eq!(body["type"], "job.completed", "{body}");
        assert_eq!(body["job_id"], job.as_str());
        assert_eq!(body["status"], "completed");
        assert_eq!(body["exit_code"], 0);
        assert_eq!(body["name"], "a test");
        assert_eq!(body["metadata"], metadata);
        assert!(body["cost_usd"].is_number() && body["finished_at"].is_string());
        let shown = desk.callback(&job).await;
        assert_eq!(shown["state"], "delivered");
        assert_eq!(shown["url"], url.as_str());
        assert_eq!(shown["attempts"][0]["status"], 200);
        assert_eq!(shown["webhook_id"], told.0["webhook-id"].to_str().unwrap());
        let titles = desk.titles(&job).await;
        assert_eq!(titles[0].0, "Callback delivered");
    }
    let none = desk.submit(json!({})).await;
    let path = format!("/v1/jobs/{none}/callback");
    let missing = desk.api.get(&path, &desk.token);
    assert_eq!(missing.await.status, 404);
}

#[tokio::test]
async fn every_end_is_told_once_whatever_it_is() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut expected = Vec::new();
    for _ in 0..24 {
        let told = random.random_range(0..4) > 0;
        let more = if told {
            json!({ "callback_url": receiver.url() })
        } else {
            json!({})
        };
        let job = desk.submit(more).await;
        let cancel = format!("/v1/jobs/{job}/cancel");
        let end = match random.random_range(0..3) {
            0 => {
                desk.machine.set(&job, Machine::exited(0));
                "completed"
            }
            1 => {
                desk.machine.set(&job, Machine::exited(7));
                "failed"
            }
            _ => {
                let cancelled = desk.post(&cancel, json!({})).await;
                assert_eq!(cancelled.status, 200, "{}", cancelled.body);
                "cancelled"
            }
        };
        if random.random_range(0..2) > 0 {
            work(&desk.api).await;
        }
        // An end that comes again is none.
        if random.random_range(0..2) > 0 && end == "cancelled" {
            assert_eq!(desk.post(&cancel, json!({})).await.status, 409);
        }
        expected.push((job, end, told));
    }
    for _ in 0..20 {
        work(&desk.api).await;
    }
    while desk.tick().await > 0 {}
    let bodies: Vec<Value> = receiver
        .told()
        .iter()
        .map(|(_, body)| serde_json::from_str(body).unwrap())
        .collect();
    for (job, end, told) in expected {
        let now = desk.see(&format!("/v1/jobs/{job}")).await;
        assert_eq!(now["status"], end);
        let of_job: Vec<_> = bodies.iter().filter(|b| b["job_id"] == job).collect();
        assert_eq!(of_job.len(), usize::from(told), "{job} {end}");
        assert_eq!(rows(&desk.api, &job).await, i64::from(told));
        for body in of_job {
            assert_eq!(body["type"], format!("job.{end}"));
        }
    }
}

async fn rows(api: &TestApi, job: &str) -> i64 {
    let mut conn = api.state.store().read().await.unwrap();
    sqlx::query_scalar("SELECT COUNT(*) FROM callback_outbox WHERE job = $1")
        .bind(job)
        .fetch_one(&mut *conn)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_is_refused_is_told_again_on_every_database() {
    on_each_database(async |store, dir| {
        let (api, machine) = Machine::on(store, dir);
        let mut desk = Desk::at(api, machine).await;
        let receiver = Receiver::start().await;
        receiver.next(&[(500, "out\r\nof order"), (302, ""), (503, "")]);
        let job = desk.submit(json!({ "callback_url": receiver.url() })).await;
        work(&desk.api).await;
        for (attempt, pause) in [(1, 5), (2, 30), (3, 120)] {
            assert_eq!(desk.tick().await, 1);
            let shown = desk.callback(&job).await;
            assert_eq!(shown["state"], "waiting", "{shown}");
            assert_eq!(shown["attempts"].as_array().unwrap().len(), attempt);
            assert!(shown["next_attempt_at"].is_string());
            desk.api
                .clock
                .advance(Duration::seconds(pause) * 4 / 5 - Duration::SECOND);
            assert_eq!(desk.tick().await, 0, "not before its time");
            desk.api
                .clock
                .advance(Duration::seconds(pause) / 2 + Duration::SECOND);
        }
        assert_eq!(desk.tick().await, 1);
        let shown = desk.callback(&job).await;
        assert_eq!(shown["state"], "delivered", "{shown}");
        assert!(shown.get("next_attempt_at").is_none());
        assert_eq!(shown["attempts"][0]["answer"], "out of order");
        let redirect = shown["attempts"][1]["error"].as_str().unwrap();
        assert!(
            redirect.contains("redirects are not followed"),
            "{redirect}"
        );
        let told = receiver.told();
        assert_eq!(told.len(), 4, "and the redirect was not followed");
        for one in &told {
            assert_eq!(one.0["webhook-id"], told[0].0["webhook-id"]);
            assert_eq!(one.1, told[0].1, "the same bytes");
        }
        let titles = desk.titles(&job).await;
        assert_eq!(titles.len(), 4);
        assert!(
            titles[2].1.starts_with("It failed 3 times; next at 2026-"),
            "{titles:?}"
        );

        receiver.next(&[(410, "gone")]);
        let job = desk.submit(json!({ "webhook_url": receiver.url() })).await;
        work(&desk.api).await;
        assert_eq!(desk.tick().await, 1);
        assert_eq!(desk.callback(&job).await["state"], "gone");
        desk.api.clock.advance(Duration::days(2));
        assert_eq!(desk.tick().await, 0);
        desk.token = desk.sign_in().await;

        // Nobody listens, for good.
        let nobody = crate::harness::Nobody::new();
        let url = format!("http://{}/", nobody.address);
        let job = desk
            .submit(json!({ "callback_url": url, "callback_auth_token": "t" }))
            .await;
        work(&desk.api).await;
        for attempt in 1..=11 {
            assert_eq!(desk.tick().await, 1, "{attempt}");
            desk.api.clock.advance(Duration::hours(13));
        }
        assert_eq!(desk.tick().await, 0);
        desk.token = desk.sign_in().await;
        let shown = desk.callback(&job).await;
        assert_eq!(shown["state"], "failed");
        assert_eq!(
            shown["attempts"][0]["error"],
            "No connection could be made."
        );
        let titles = desk.titles(&job).await;
        assert_eq!(titles.last().unwrap().0, "Callback given up");
        assert_eq!(secrets(&desk.api).await, 2, "what was given up is kept");
        desk.api.clock.advance(Duration::days(8));
        let tasks = TaskTracker::new();
        housekeeping::tick(&desk.api.state, &tasks).await.unwrap();
        assert_eq!(secrets(&desk.api).await, 0, "wiped");
    })
    .await;
}

/// How many callbacks of which something secret is left.
async fn secrets(api: &TestApi) -> i64 {
    let mut conn = api.state.store().read().await.unwrap();
    sqlx::query_scalar(
        "SELECT COUNT(*) FROM callbacks JOIN callback_outbox ON callback_outbox.job = callbacks.job
         WHERE url IS NOT NULL OR token IS NOT NULL OR body <> ''",
    )
    .fetch_one(&mut *conn)
    .await
    .unwrap()
}

#[tokio::test]
async fn two_workers_deliver_once() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    for _ in 0..3 {
        desk.submit(json!({ "callback_url": receiver.url() })).await;
    }
    for _ in 0..3 {
        work(&desk.api).await;
    }
    let ticks = (0..3).map(|_| callbacks::tick(&desk.api.state, &desk.caller));
    let made = futures_util::future::try_join_all(ticks).await.unwrap();
    assert_eq!(made.iter().sum::<usize>(), 3);
    assert_eq!(receiver.told().len(), 3);
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_nobody_up() {
    let desk = Desk::open().await;
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let slow_url = format!("http://{}/", slow.local_addr().unwrap());
    let receiver = Receiver::start().await;
    let mut stuck = Vec::new();
    for _ in 0..7 {
        stuck.push(desk.submit(json!({ "callback_url": slow_url })).await);
        work(&desk.api).await;
    }
    // Longer than this test waits for anything.
    let caller = desk.caller.clone().patient(DEADLINE * 60);
    let worker = tokio::spawn(callbacks::run(desk.api.state.clone(), caller));
    // Those seven are on their way by now, or wait for the first four of them.
    let job = desk.submit(json!({ "callback_url": receiver.url() })).await;
    work(&desk.api).await;
    eventually("the other's callback", async || {
        (receiver.told().len() == 1).then_some(())
    })
    .await;
    eventually("the note of it", async || {
        (desk.callback(&job).await["state"] == "delivered").then_some(())
    })
    .await;
    for job in &stuck {
        let shown = desk.callback(job).await;
        let made = shown["attempts"].get(0);
        assert!(made.is_none(), "it is waited for: {shown}");
    }
    worker.abort();
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_is_given_up() {
    let desk = Desk::open().await;
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let job = desk.submit(json!({ "callback_url": url })).await;
    work(&desk.api).await;
    let worker = tokio::spawn(callbacks::run(desk.api.state.clone(), desk.caller.clone()));
    let late = eventually("a timeout", async || {
        let shown = desk.callback(&job).await;
        shown["attempts"].get(0).cloned()
    })
    .await;
    assert_eq!(late["error"], "It did not answer within 10 seconds.");
    desk.api.state.shutdown().cancel();
    tokio::time::timeout(DEADLINE, worker)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_draft_keeps_its_callback_and_shows_no_token() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let content = and(
        script("true"),
        json!({ "callback": { "url": receiver.url(), "auth_token": "t0ken-of-a-draft" } }),
    );
    let made = desk
        .post("/v1/job-drafts", json!({ "content": content }))
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert!(!made.body.to_string().contains("t0ken"), "{}", made.body);
    let draft = made.text("/id");
    let path = format!("/v1/job-drafts/{draft}");
    let renamed = json!({ "content": { "name": "another" } });
    let patched = desk.api.call(Method::PATCH, &path, &desk.token, renamed);
    assert_eq!(patched.await.status, 200);
    let job = submit_draft(&desk, &draft).await;
    work(&desk.api).await;
    assert_eq!(desk.tick().await, 1);
    let told = receiver.told();
    assert_eq!(told[0].0["authorization"], "Bearer t0ken-of-a-draft");
    assert!(!desk.callback(&job).await.to_string().contains("t0ken"));

    // Another receiver is not told the token of the first.
    let made = desk
        .post("/v1/job-drafts", json!({ "content": content }))
        .await;
    let draft = made.text("/id");
    let path = format!("/v1/job-drafts/{draft}");
    let moved = json!({ "content": { "callback": { "url": format!("{}/b", receiver.url()) } } });
    let patched = desk.api.call(Method::PATCH, &path, &desk.token, moved);
    assert_eq!(patched.await.status, 200);
    submit_draft(&desk, &draft).await;
    work(&desk.api).await;
    assert_eq!(desk.tick().await, 1);
    assert!(!receiver.told()[1].0.contains_key("authorization"));
}

async fn submit_draft(desk: &Desk, draft: &str) -> String {
    let path = format!("/v1/job-drafts/{draft}");
    let seen = eventually("an estimate", async || {
        let seen = desk.post(&format!("{path}/estimate"), Value::Null).await;
        (seen.body["estimate"]["state"] == "ready").then_some(seen.body)
    })
    .await;
    let estimate = &seen["estimate"];
    let body = json!({ "estimate_id": estimate["estimate_id"], "version": estimate["version"] });
    let seen = desk.post(&format!("{path}/acknowledge"), body).await;
    assert_eq!(seen.status, 200, "{}", seen.body);
    let job = desk.post(&format!("{path}/submit"), Value::Null).await;
    assert_eq!(job.status, 202, "{}", job.body);
    job.text("/job_id")
}
