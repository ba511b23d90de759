//! Templates and their sessions, in front of an API that says what the test wants.
mod launch;
mod lists;
mod stream;
mod told;

use crate::apps_double::{change, ended, estimate, furnished, list, session};
use crate::double;
use crate::double::{Double, TOKEN};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::api::apps::{Change, Session};
use junglegrid::client::Client;
use junglegrid::domain::app::{EndCode, Phase};
use junglegrid::web;
use scraper::{Html, Selector};
use serde_json::json;
use tower::ServiceExt as _;

/// An update of one row sends at most so many bytes.
const LARGEST: usize = 600;

struct Browser {
    router: axum::Router,
    double: Double,
}

impl Browser {
    fn over(double: Double) -> Self {
        let config = web::Config {
            public_url: "http://grid.example:8080/".parse().unwrap(),
            secure_cookies: false,
            clock: double::clock(),
        };
        let router = web::router(Client::in_process(double.router()), config);
        Self { router, double }
    }

    fn new() -> Self {
        Self::over(furnished())
    }

    async fn send(&self, method: Method, path: &str, htmx: bool, fields: &[(&str, &str)]) -> Page {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "grid.example:8080")
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::COOKIE, format!("jg_session={TOKEN}"));
        if htmx {
            request = request
                .header("hx-request", "true")
                .header("hx-request-type", "partial");
        }
        let body = serde_html_form::to_string(fields).unwrap();
        let request = request.body(Body::from(body)).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Page {
            status: parts.status,
            headers: parts.headers,
            html: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn visit(&self, path: &str) -> Page {
        self.send(Method::GET, path, false, &[]).await
    }

    async fn swap(&self, path: &str) -> Page {
        self.send(Method::GET, path, true, &[]).await
    }

    async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        self.send(Method::POST, path, false, fields).await
    }

    /// The page of `session`, whose stream says `changes`.
    async fn page_of(&self, session: &Session) -> Page {
        self.stream(session, &[change(session.clone())]);
        self.visit(&path(session)).await
    }

    fn stream(&self, session: &Session, changes: &[Change]) {
        let call = format!("GET /v1/app-sessions/{}", session.id);
        self.double.reply(&call, 200, session);
        self.double.stream(&format!("{call}/live"), changes);
    }

    /// The messages of the live stream, each with its id.
    async fn live(&self, session: &Session, after: &str) -> Vec<(String, String)> {
        let page = self
            .visit(&format!("{}/live?after={after}", path(session)))
            .await;
        assert_eq!(page.header("content-type"), "text/event-stream");
        let messages = page
            .html
            .split("\n\n")
            .filter(|text| text.contains("data:"));
        messages.map(parse).collect()
    }
}

/// A message's id, and its data as the browser puts it together.
fn parse(message: &str) -> (String, String) {
    let lines = |name: &str| {
        let lines = message.lines().filter_map(|line| line.strip_prefix(name));
        let lines: Vec<&str> = lines
            .map(|line| line.strip_prefix(' ').unwrap_or(line))
            .collect();
        lines.join("\n")
    };
    (lines("id:"), lines("data:"))
}

/// The updates of a message.
fn partials(message: &str) -> Vec<String> {
    let parts = message.split("<hx-partial").skip(1);
    parts.map(|part| format!("<hx-partial{part}")).collect()
}

fn targets(message: &str) -> Vec<String> {
    let target = |part: String| part.split('"').nth(1).unwrap().to_owned();
    partials(message).into_iter().map(target).collect()
}

fn path(session: &Session) -> String {
    format!("/portal/templates/sessions/{}", session.id)
}

#[derive(Debug)]
struct Page {
    status: StatusCode,
    headers: http::HeaderMap,
    html: String,
}

impl Page {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn all<T>(&self, css: &str, read: impl Fn(scraper::ElementRef) -> T) -> Vec<T> {
        let html = Html::parse_document(&self.html);
        html.select(&Selector::parse(css).unwrap())
            .map(read)
            .collect()
    }

    fn texts(&self, css: &str) -> Vec<String> {
        self.all(css, |el| {
            let text: String = el.text().collect();
            text.split_whitespace().collect::<Vec<_>>().join(" ")
        })
    }

    fn text(&self, css: &str) -> String {
        self.texts(css).join(" | ")
    }

    fn attributes(&self, css: &str, name: &str) -> Vec<String> {
        self.all(css, |el| el.attr(name).unwrap_or_default().to_owned())
    }

    /// Fails if [`HOSTILE`] got through.
    fn assert_inert(&self) {
        assert!(self.attributes("img", "src").is_empty(), "{}", self.html);
        assert!(
            self.texts("script").iter().all(String::is_empty),
            "{}",
            self.html
        );
        assert!(!self.html.contains('\u{202e}'), "text is turned around");
        let strange = self.attributes("[hx-get='/x']", "hx-get");
        assert!(strange.is_empty(), "{}", self.html);
        assert!(self.attributes("[style]", "style").is_empty());
    }
}

#[tokio::test]
async fn the_catalogue_says_what_runs_what_can_and_what_ran() {
    let page = Browser::new().visit("/portal/templates").await;
    assert_eq!(page.status, StatusCode::OK);
    let active = page.texts(".note a");
    assert_eq!(
        active,
        [
            "LoRA Pilot: starting",
            "LoRA Pilot: checking services",
            "LoRA Pilot is ready"
        ]
    );
    let cards = page.attributes(".app-card h3 a", "href");
    assert_eq!(cards[0], "/portal/templates/files");
    assert_eq!(cards.last().unwrap(), "/portal/submit");
    let text = page.text(".app-card");
    for said in [
        "Starts in 4–9 s, from 12 launches.",
        "Starts in 3–4 min, as its authors say.",
        "It needs a container engine",
        "Start Docker or Podman",
        "24 GB VRAM",
        "AGPL-3.0-only",
        "$0.12 per h",
        "Services: ControlPilot, ComfyUI",
    ] {
        assert!(text.contains(said), "{said} is missing in {text}");
    }
    assert_eq!(page.texts("tr.by th"), ["LoRA Pilot"]);
    assert_eq!(
        page.attributes("a[rel=next]", "href"),
        ["/portal/templates/sessions?status=past&cursor=c1"]
    );
    assert_eq!(
        page.attributes(".nav [aria-current]", "href"),
        ["/portal/templates"]
    );
}

#[tokio::test]
async fn one_list_that_fails_leaves_the_others() {
    let browser = Browser::new();
    browser
        .double
        .refuse("GET /v1/templates", 503, "DOWN", "No.", &[]);
    let page = browser.visit("/portal/templates").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text("h2")
            .contains("The catalogue could not be loaded")
    );
    assert_eq!(page.texts("tr.by th"), ["LoRA Pilot"]);
    browser.double.refuse(
        "GET /v1/app-sessions?limit=12&status=past",
        403,
        "FORBIDDEN",
        "Not for you.",
        &[],
    );
    let page = browser.visit("/portal/templates").await;
    assert!(
        page.text(".empty").contains("Not for you."),
        "{}",
        page.text(".empty")
    );
    browser.double.reply(
        "GET /v1/app-sessions?limit=12&status=past",
        200,
        &list(Vec::new(), None),
    );
    let page = browser.visit("/portal/templates").await;
    assert!(
        page.text(".empty")
            .contains("Sessions that have ended are listed here.")
    );
}

#[tokio::test]
async fn every_phase_has_a_page() {
    let browser = Browser::new();
    for (number, phase) in (0..).zip(Phase::ALL) {
        let session = session(number, phase);
        let page = browser.page_of(&session).await;
        assert_eq!(page.status, StatusCode::OK, "{phase}");
        assert_eq!(page.texts("#steps h3").len(), 7, "{phase}");
        assert_eq!(page.texts("#services tr").len(), 3, "{phase}");
        assert_eq!(page.texts("#events span").len(), 4, "{phase}");
        let streams = page.attributes("[hx-sse\\:connect]", "hx-sse:connect");
        let refresh = page
            .html
            .contains(r#"<noscript><meta http-equiv="refresh""#);
        if phase.ended() {
            assert!(streams.is_empty() && !refresh, "{phase} is over");
            assert_eq!(page.texts("#halt button").len(), 0, "{phase}");
        } else {
            assert_eq!(
                streams,
                [format!("{}/live?after=4.3", path(&session))],
                "{phase}"
            );
            assert!(refresh, "{phase}");
        }
        let open = page.attributes("#go button", "aria-disabled");
        match phase {
            Phase::Running => {
                assert_eq!(open, [""]);
                assert_eq!(page.attributes("form#open", "target"), ["_blank"]);
                assert_eq!(page.attributes("form#open", "rel"), ["noopener"]);
                let services = page.attributes("#services button[form=open]", "value");
                assert_eq!(services, ["controlpilot", "comfyui", "kohya"]);
            }
            _ if phase.ended() => assert!(open.is_empty(), "{phase}"),
            _ => {
                assert_eq!(open, ["true"], "{phase} withholds it");
                assert_eq!(page.attributes("#go button", "aria-describedby"), ["why"]);
                assert!(page.attributes("#services button", "form").is_empty());
            }
        }
        if phase.launching() {
            assert!(
                page.text("#why").contains("answered twice in a row"),
                "{phase}"
            );
        }
    }
}

#[tokio::test]
async fn a_service_says_what_its_last_check_brought() {
    let page = Browser::new().page_of(&session(4, Phase::Services)).await;
    let row = &page.texts("#services tr")[0];
    assert_eq!(
        row,
        "ControlPilotprimary, port 7878Checkingcheck 1 of 2: 503 at 14:29:51"
    );
    let page = Browser::new().page_of(&session(2, Phase::Image)).await;
    assert_eq!(page.attributes("#s-image progress", "value"), ["7300"]);
    assert!(
        page.text("#s-image")
            .contains("Longer than usual. Usually 1 min 20 s – 2 min 20 s."),
        "{}",
        page.text("#s-image")
    );
}

#[tokio::test]
async fn every_end_is_told_with_what_it_cost() {
    let browser = Browser::new();
    let mut titles = Vec::new();
    for (number, code) in (20..).zip(EndCode::ALL) {
        let session = ended(number, code);
        let page = browser.page_of(&session).await;
        let note = page.text("#note");
        assert!(
            note.contains(&format!("You were charged {}.", session.cost_usd)),
            "{note}"
        );
        let again = page.attributes("#go a", "href");
        assert_eq!(
            again,
            [format!("/portal/templates/lora-pilot?again={}", session.id)]
        );
        let lines = page.text("#last-lines");
        if code.phase() == Phase::Failed {
            assert_eq!(page.attributes("#last details", "open").len(), 1);
            assert!(
                lines.contains("[01] loading") && lines.contains("[20] loading"),
                "{lines}"
            );
            assert!(note.contains("The model may still"), "{note}");
            assert_eq!(page.texts("#steps .is-bad h3"), ["ControlPilot"]);
            assert_eq!(page.texts("#go a"), ["Try again"]);
        } else {
            assert_eq!(lines, "");
        }
        titles.push(page.text("#note .strong"));
    }
    insta::assert_snapshot!(titles.join("\n"));
}

#[tokio::test]
async fn only_the_page_that_leads_to_an_app_may_send_a_form_there() {
    let browser = Browser::new();
    let session = session(5, Phase::Running);
    let call = format!("POST /v1/app-sessions/{}/open", session.id);
    let ticket =
        |url: &str| json!({"url": url, "token": "ticket-1", "expires_at": "2026-11-23T14:31:00Z"});
    let app = "http://k3x.apps.localhost:8080";
    browser
        .double
        .reply(&call, 200, &ticket(&format!("{app}/_jg/launch")));
    let open = format!("{}/open", path(&session));
    let page = browser.post(&open, &[("service", "comfyui")]).await;
    assert_eq!(
        browser.double.sent(&call)[0].body,
        json!({"service": "comfyui"})
    );
    assert_eq!(
        page.attributes("form[data-go]", "action"),
        [format!("{app}/_jg/launch")]
    );
    assert_eq!(page.attributes("[name=token]", "value"), ["ticket-1"]);
    assert_eq!(page.texts("form button"), ["Continue to the app"]);
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains(&format!("; form-action {app}; ")),
        "{policy}"
    );
    assert!(!policy.contains("form-action 'self'"), "{policy}");
    assert_eq!(page.header("referrer-policy"), "strict-origin");
    assert_eq!(page.header("cache-control"), "no-store");
    let other = browser.visit(&path(&session)).await;
    assert!(
        other
            .header("content-security-policy")
            .contains("form-action 'self'")
    );
    assert_eq!(other.header("referrer-policy"), "same-origin");

    for odd in ["javascript:alert(1)", "//x", "data:text/html,x"] {
        browser.double.reply(&call, 200, &ticket(odd));
        let page = browser.post(&open, &[]).await;
        assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR, "{odd}");
    }
    browser
        .double
        .refuse(&call, 409, "NOT_READY", "It is not ready yet.", &[]);
    let page = browser.post(&open, &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text("main").contains("It is not ready yet."));
}

#[tokio::test]
async fn stopping_is_asked_first_and_says_what_is_lost() {
    let browser = Browser::new();
    let session = session(5, Phase::Running);
    let page = browser.page_of(&session).await;
    let dialog = page.text("dialog");
    assert!(
        dialog.contains("Files in /workspace stay") && dialog.contains("Everything outside"),
        "{dialog}"
    );
    let stop = format!("{}/stop", path(&session));
    assert_eq!(
        browser.visit(&stop).await.texts("main h2"),
        ["Stop LoRA Pilot?"]
    );
    let call = format!("POST /v1/app-sessions/{}/stop", session.id);
    browser.double.reply(&call, 200, &session);
    let page = browser.post(&stop, &[]).await;
    assert_eq!(
        (page.status, page.header("location")),
        (StatusCode::SEE_OTHER, path(&session).as_str())
    );
    browser
        .double
        .refuse(&call, 409, "ENDED", "It has ended.", &[]);
    assert_eq!(browser.post(&stop, &[]).await.status, StatusCode::SEE_OTHER);
    let over = ended(20, EndCode::Stopped);
    let page = browser.visit(&format!("{}/stop", path(&over))).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn more_time_is_priced_before_it_is_given() {
    let browser = Browser::new();
    let session = session(5, Phase::Running);
    let call = format!("POST /v1/app-sessions/{}/extend", session.id);
    let offer = |applied: bool| {
        json!({"estimate_id": estimate().estimate_id, "minutes": 90, "hourly_rate_usd": 0.93, "hold_usd": 1.395,
        "available_usd": 4.9, "stops_at": "2026-11-23T19:58:00Z", "applied": applied, "expires_at": "2026-11-23T14:40:00Z"})
    };
    browser.double.reply(&call, 200, &offer(false));
    let page = browser.page_of(&session).await;
    let at = format!("{}/extend", path(&session));
    assert_eq!(
        page.attributes("#extend a", "href"),
        [
            format!("{at}?minutes=60"),
            format!("{at}?minutes=240"),
            at.clone()
        ]
    );
    let page = browser.visit(&format!("{at}?hours=1.5")).await;
    assert_eq!(browser.double.sent(&call)[0].body, json!({"minutes": 90}));
    assert!(
        page.text(".est").contains("$1.395") && page.text(".est").contains("19:58 UTC"),
        "{}",
        page.text(".est")
    );
    let page = browser.post(&at, &[("minutes", "90")]).await;
    assert_eq!(
        page.texts("#ack-error"),
        ["Confirm that you have read the price."]
    );
    browser.double.reply(&call, 200, &offer(true));
    let ack = estimate().estimate_id.to_string();
    let page = browser.post(&at, &[("minutes", "90"), ("ack", &ack)]).await;
    assert_eq!(
        (page.status, page.header("location")),
        (StatusCode::SEE_OTHER, path(&session).as_str())
    );
    let sent = browser.double.sent(&call);
    assert_eq!(
        sent.last().unwrap().body,
        json!({"minutes": 90, "acknowledged_estimate": ack})
    );
    let page = browser.visit(&format!("{at}?hours=soon")).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(page.attributes("#hours", "value"), ["soon"]);
    browser.double.refuse(
        &call,
        402,
        "INSUFFICIENT_FUNDS",
        "You can spend $0.10.",
        &[],
    );
    let page = browser.visit(&format!("{at}?minutes=60")).await;
    assert_eq!(page.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(page.texts("[role=alert] p"), ["You can spend $0.10."]);
}
