//! Callbacks in the portal, over the orchestrator itself: a job's page that follows
//! its callback, and the page of the secret.
use crate::callbacks::{Desk, Receiver};
use crate::fake::{Fake, HOSTILE, JOB, Page, job};
use crate::grid::DEADLINE;
use crate::stub::work;
use axum::body::Body;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::client::Client;
use junglegrid::domain::peer::Peer;
use junglegrid::web;
use serde_json::{Value, json};
use time::Duration;
use tower::ServiceExt as _;

const SECRET: &str = "/portal/webhooks";
const ROTATE: &str = "/portal/webhooks/rotate";

/// Somebody's browser.
struct Browser {
    desk: Desk,
    portal: axum::Router,
}

impl Browser {
    async fn start() -> Self {
        let desk = Desk::open().await;
        let config = web::Config {
            public_url: "http://grid.example:8080/".parse().unwrap(),
            secure_cookies: false,
            clock: desk.api.clock.clone(),
        };
        let portal = web::router(Client::in_process(desk.api.router()), config);
        Self { desk, portal }
    }

    async fn answer(&self, request: http::request::Builder, body: Body) -> http::Response<Body> {
        let request = request
            .header("sec-fetch-site", "same-origin")
            .header(header::COOKIE, format!("jg_session={}", self.desk.token))
            .extension(Peer([198, 51, 100, 7].into()));
        let request = request.body(body).unwrap();
        self.portal.clone().oneshot(request).await.unwrap()
    }

    async fn page(&self, request: http::request::Builder, body: Body) -> Page {
        let (parts, body) = self.answer(request, body).await.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Page {
            status: parts.status,
            headers: parts.headers,
            html: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn see(&self, path: &str) -> Page {
        let page = self.page(Request::get(path), Body::empty()).await;
        assert_eq!(page.status, 200, "{path}: {}", page.html);
        page
    }

    async fn form(&self, request: http::request::Builder, fields: &[(&str, &str)]) -> Page {
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let body = serde_html_form::to_string(fields).unwrap();
        self.page(request, Body::from(body)).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.form(Request::post(path), fields).await
    }

    async fn hx_post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = Request::post(path).header("hx-request", "true");
        self.form(request.header("hx-request-type", "partial"), fields)
            .await
    }

    async fn secret(&self) -> Value {
        let seen = self.desk.api.get("/v1/callbacks/secret", &self.desk.token);
        seen.await.body
    }

    /// What the form of this page holds besides what people choose.
    async fn hidden(&self) -> [String; 2] {
        let page = self.see(ROTATE).await;
        ["once", "replaces"].map(|name| {
            page.attributes(&format!("[name={name}]"), "value")
                .remove(0)
        })
    }
}

/// What an open page is told.
struct Live(Body, String);

impl Live {
    /// All messages up to the one that holds `words`.
    async fn until(&mut self, words: &str) -> String {
        let wait = async {
            loop {
                if let Some(at) = self.1.find(words) {
                    let end = self.1[at..].find("\n\n").map(|end| at + end + 2);
                    if let Some(end) = end {
                        return self.1.drain(..end).collect::<String>();
                    }
                }
                let frame = self.0.frame().await;
                let frame =
                    frame.unwrap_or_else(|| panic!("it ended before “{words}”: {}", self.1));
                let data = frame.unwrap().into_data().unwrap();
                self.1.push_str(std::str::from_utf8(&data).unwrap());
            }
        };
        let told = tokio::time::timeout(DEADLINE, wait).await;
        told.unwrap_or_else(|_| panic!("“{words}” did not come"))
    }

    /// That nothing comes after what has been read.
    async fn end(mut self) {
        assert_eq!(self.1, "");
        let end = tokio::time::timeout(DEADLINE, self.0.frame()).await;
        assert!(end.unwrap().is_none(), "it goes on");
    }
}

/// The whole of it follows: from the end of the job over a refusal to the delivery.
#[tokio::test]
async fn an_open_page_follows_the_callback_to_its_end() {
    let browser = Browser::start().await;
    let desk = &browser.desk;
    let receiver = Receiver::start().await;
    receiver.next(&[(500, "out of order")]);
    let job = desk.submit(json!({ "callback_url": receiver.url() })).await;
    let path = format!("/portal/jobs/{job}");
    let page = browser.see(&path).await;
    assert_eq!(page.texts("#job-callback .badge"), ["At the end"]);
    let open = async || {
        let page = browser.see(&path).await;
        let live = page.attributes("[hx-sse\\:connect]", "hx-sse:connect");
        let answer = browser.answer(Request::get(&live[0]), Body::empty()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        Live(answer.into_body(), String::new())
    };
    // One that was opened before the end, and one that is opened after it.
    let mut early = open().await;
    early.until(r##"hx-target="#job-callback""##).await;
    work(&desk.api).await;
    let ended = early.until("The job is completed.").await;
    assert!(ended.contains("Being delivered"), "{ended}");
    let page = browser.see(&path).await;
    assert_eq!(page.texts("#job-callback .badge"), ["Being delivered"]);
    assert!(
        page.html
            .contains(r#"<meta http-equiv="refresh" content="3">"#)
    );
    assert_eq!(page.texts("#job-callback form"), Vec::<String>::new());
    let mut late = open().await;
    late.until(r##"hx-target="#job-callback""##).await;

    assert_eq!(desk.tick().await, 1);
    for live in [&mut early, &mut late] {
        let told = live.until("Callback failed").await;
        assert!(told.contains("Attempt 1, answered 500"), "{told}");
        assert!(told.contains("out of order") && told.contains("Next attempt"));
        assert!(!told.contains("#feed"), "it goes on: {told}");
    }
    desk.api.clock.advance(Duration::seconds(7));
    assert_eq!(desk.tick().await, 1);
    for mut live in [early, late] {
        let told = live.until("The callback was delivered.").await;
        assert!(told.contains("Attempt 2, answered 200"), "{told}");
        live.until(r##"hx-target="#feed""##).await;
        live.end().await;
    }
    // What the page says now is what the stream said.
    let page = browser.see(&path).await;
    assert_eq!(page.texts("#job-callback .badge"), ["Delivered"]);
    assert!(page.attributes("[hx-sse\\:connect]", "id").is_empty());
    assert!(!page.html.contains("http-equiv"));
}

#[tokio::test]
async fn what_was_given_up_is_sent_again_from_the_page() {
    let browser = Browser::start().await;
    let desk = &browser.desk;
    let receiver = Receiver::start().await;
    receiver.next(&[(500, ""), (500, ""), (500, ""), (410, "")]);
    let job = desk.submit(json!({ "callback_url": receiver.url() })).await;
    let path = format!("/portal/jobs/{job}");
    let send = format!("{path}/callback/send");
    work(&desk.api).await;
    for _ in 0..3 {
        assert_eq!(desk.tick().await, 1);
        desk.api.clock.advance(Duration::minutes(1));
    }
    // The next attempt is more than a minute away.
    let page = browser.see(&path).await;
    assert_eq!(page.texts("#job-callback form button"), ["Send now"]);
    assert_eq!(
        page.attributes("#job-callback form", "action"),
        [send.as_str()]
    );
    let refresh = page
        .html
        .split("http-equiv=\"refresh\" content=\"")
        .nth(1)
        .unwrap();
    let seconds: i64 = refresh.split('"').next().unwrap().parse().unwrap();
    assert!(
        (30..=60).contains(&seconds),
        "nothing happens before: {seconds}"
    );
    let asked = browser.post(&send, &[]).await;
    assert_eq!(
        (asked.status, asked.header("location")),
        (StatusCode::SEE_OTHER, path.as_str())
    );
    assert_eq!(desk.tick().await, 1);
    let page = browser.see(&path).await;
    assert_eq!(page.texts("#job-callback .badge"), ["Not wanted"]);
    assert!(page.attributes("[hx-sse\\:connect]", "id").is_empty());
    let again = page.texts("#job-callback form");
    assert!(
        again[0].starts_with("Send againPossible until 30 Nov 2026"),
        "{again:?}"
    );
    browser.post(&send, &[]).await;
    assert_eq!(desk.tick().await, 1);
    let page = browser.see(&path).await;
    assert_eq!(page.texts("#job-callback .badge"), ["Delivered"]);
    assert!(page.texts("#job-callback form").is_empty());
    // Too late, or twice, is no error: the page says how it is.
    let late = browser.post(&send, &[]).await;
    assert_eq!(late.header("location"), path);
    assert_eq!(receiver.told().len(), 5);
}

#[tokio::test]
async fn the_secret_is_shown_and_rotated_after_a_question() {
    let browser = Browser::start().await;
    let first = browser.secret().await["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    let page = browser.see(SECRET).await;
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.texts(".rail [aria-current=page]"), ["Callbacks"]);
    assert_eq!(page.attributes("#secret", "value"), [first.as_str()]);
    assert!(
        page.attributes("details[open]", "class").is_empty(),
        "not at once"
    );
    assert_eq!(page.texts("#signing dd"), ["never"]);
    assert_eq!(page.attributes("#signing a.btn", "href"), [ROTATE]);

    // Asking changes nothing.
    let asked = browser.see(ROTATE).await;
    assert_eq!(asked.texts("#rotate option[selected]"), ["For 24 hours"]);
    assert_eq!(asked.attributes("#rotate a.btn", "href"), [SECRET]);
    assert_eq!(browser.secret().await["number"], 0);
    let [once, replaces] = browser.hidden().await;
    let filled = |overlap| {
        [
            ("once", once.as_str()),
            ("replaces", replaces.as_str()),
            ("overlap", overlap),
        ]
    };
    for (overlap, said) in [
        ("", "Choose how long"),
        ("soon", "Choose how long"),
        ("9999", "604,800"),
    ] {
        let wrong = browser.post(ROTATE, &filled(overlap)).await;
        assert_eq!(wrong.status, 422, "{overlap}");
        assert!(wrong.texts("#overlap-error")[0].contains(said), "{overlap}");
        let part = browser.hx_post(ROTATE, &filled(overlap)).await;
        assert_eq!(part.status, 422);
        assert!(part.html.starts_with("<section"), "{}", part.html);
    }
    // A form that nobody was given here.
    for forged in [
        vec![("replaces", "0"), ("overlap", "24")],
        vec![("once", "x"), ("replaces", "0"), ("overlap", "24")],
        vec![("once", once.as_str()), ("overlap", "24")],
    ] {
        let refused = browser.post(ROTATE, &forged).await;
        assert_eq!(refused.status, 422, "{forged:?}");
    }
    assert_eq!(browser.secret().await["number"], 0);

    let rotated = browser.post(ROTATE, &filled("24")).await;
    assert_eq!(
        (rotated.status, rotated.header("location")),
        (StatusCode::SEE_OTHER, SECRET)
    );
    let second = browser.secret().await["secret"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(first, second);
    let page = browser.see(SECRET).await;
    assert_eq!(page.attributes("#secret", "value"), [second.as_str()]);
    assert!(!page.html.contains(&first));
    assert!(
        page.texts("#signing dd")
            .contains(&"signs until 24 Nov 2026 12:00:00 UTC".to_owned())
    );
    // The same form again, as after a double click, rotates nothing.
    let twice = browser.post(ROTATE, &filled("24")).await;
    assert_eq!(twice.status, 409);
    assert!(twice.texts("[role=alert]")[0].contains("rotated meanwhile"));
    assert_eq!(browser.secret().await["number"], 1);

    let [once, replaces] = browser.hidden().await;
    let now = [
        ("once", once.as_str()),
        ("replaces", replaces.as_str()),
        ("overlap", "0"),
    ];
    let rotated = browser.hx_post(ROTATE, &now).await;
    assert_eq!(rotated.header("hx-redirect"), SECRET);
    assert!(browser.secret().await.get("previous").is_none());
    let page = browser.see(SECRET).await;
    assert!(!page.html.contains("Secrets from before"));
}

/// In front of an API that says what receivers could.
#[tokio::test]
async fn a_stream_with_a_callback_says_hostile_things_inertly() {
    let mut fake: Fake = crate::fake::fake();
    let done = json!({"status": "completed", "phase": null, "completed_at": "2026-11-23T14:10:00Z", "exit_code": 0});
    fake.jobs[0] = job(done);
    fake.callback = Some(json!({
        "job_id": JOB, "url": HOSTILE, "state": "waiting", "next_attempt_at": "2026-11-23T15:40:00Z",
        "attempts": [{ "number": 1, "at": "2026-11-23T14:10:00Z", "duration_ms": 35, "status": 500, "error": HOSTILE, "answer": HOSTILE }],
    }));
    let browser = crate::fake::Browser::new(fake);
    let live = browser
        .visit(&format!("/portal/jobs/{JOB}/live?after=2.0"))
        .await;
    live.assert_inert();
    assert!(live.html.contains("#job-callback"));
    assert!(
        !live.html.contains("#feed"),
        "it is not through, so the browser comes back"
    );
    let page = browser.visit(&format!("/portal/jobs/{JOB}")).await;
    page.assert_inert();
    assert_eq!(page.attributes("[hx-sse\\:connect]", "id"), ["feed"]);
}
