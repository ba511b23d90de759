//! Templates and their sessions, in front of an API that says what the test wants.
mod launch;
mod lists;

use crate::apps_double::{
    HOSTILE, catalogue, change, ended, estimate, event, furnished, line, list, session,
};
use crate::double;
use crate::double::{Double, NOW, TOKEN};
use axum::body::Body;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::api::apps::{Change, Session, StepState};
use junglegrid::client::Client;
use junglegrid::domain::app::{EndCode, Phase, ServiceState};
use junglegrid::web;
use scraper::{Html, Selector};
use serde_json::json;
use time::Duration;
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
        "Starts in 4 s – 9 s, from 12 launches.",
        "Starts in 3 min – 4 min, as its authors say.",
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
async fn a_page_shows_what_its_stream_has_not_heard_of_yet() {
    let browser = Browser::new();
    let before = session(4, Phase::Running);
    let mut extended = before.clone();
    extended.last_event = before.last_event + 1;
    extended.stops_at = before.stops_at.map(|at| at + Duration::hours(1));
    browser.stream(&before, &[change(before.clone())]);
    let call = format!("GET /v1/app-sessions/{}", before.id);
    browser.double.reply(&call, 200, &extended);
    let seen = change(before.clone()).events.last().unwrap().sequence;
    let said = event(
        extended.last_event,
        "app.extended",
        Phase::Running,
        "Extended by 1 h",
        "More was set aside.",
    );
    let events = json!({ "events": [said], "next_cursor": null, "has_more": false });
    let call = format!("{call}/events?after={seen}");
    browser.double.reply(&call, 200, &events);
    let page = browser.visit(&path(&before)).await;
    assert!(page.text("#events").contains("Extended by 1 h"));
    let mark = format!("after={}.", extended.last_event);
    let from = &page.attributes("[hx-sse\\:connect]", "hx-sse:connect")[0];
    assert!(from.contains(&mark), "{from}");
    let old = browser.page_of(&before).await;
    assert_ne!(page.text("#c-stop"), old.text("#c-stop"));
}

#[tokio::test]
async fn a_stream_begins_with_everything_and_goes_on_with_single_rows() {
    let browser = Browser::new();
    let waits = session(4, Phase::Services);
    let mut passed = waits.clone();
    passed.services[0].passed = 1;
    passed.services[0].check = 1;
    passed.services[0].outcome = Some("200".into());
    let mut ready = session(4, Phase::Running);
    ready.services[2].state = ServiceState::Checking;
    ready.services[2].open = false;
    let mut late = change(ready.clone());
    late.events = vec![event(
        5,
        "app.running",
        Phase::Running,
        "Ready",
        "It can be opened.",
    )];
    late.lines = vec![line(4, "stdout", "Listening"), line(5, "stderr", "oh")];
    let none = |session: &Session| Change {
        session: session.clone(),
        events: Vec::new(),
        lines: Vec::new(),
    };
    let changes = [change(waits.clone()), none(&waits), none(&passed), late];
    browser.stream(&waits, &changes);
    let messages = browser.live(&waits, "4.3").await;
    assert_eq!(messages.len(), 3, "what changes nothing sends nothing");
    let first = targets(&messages[0].1);
    for target in [
        "#steps",
        "#services",
        "#state",
        "#go",
        "#note",
        "#c-cost",
        "#r-job",
    ] {
        assert!(
            first.iter().any(|one| one == target),
            "{target} is missing in {first:?}"
        );
    }
    assert!(
        !first
            .iter()
            .any(|one| one == "#events" || one == "#log" || one == "#say"),
        "{first:?}"
    );
    assert_eq!(messages[0].0, "4.3");
    assert_eq!(targets(&messages[1].1), ["#v-controlpilot"]);
    insta::assert_snapshot!(crate::apps_double::stable(&messages[1].1));
    let last = targets(&messages[2].1);
    for target in [
        "#state",
        "#go",
        "#v-controlpilot",
        "title",
        "#events",
        "#log",
        "#say",
    ] {
        assert!(
            last.iter().any(|one| one == target),
            "{target} is missing in {last:?}"
        );
    }
    assert!(
        messages[2]
            .1
            .contains("LoRA Pilot is ready and can be opened.")
    );
    assert!(messages[2].1.contains("Ready: LoRA Pilot · Jungle Grid"));
    assert_eq!(messages[2].0, "5.5");
}

#[tokio::test]
async fn a_page_that_comes_back_gets_what_it_missed_and_nothing_twice() {
    let browser = Browser::new();
    let session = session(4, Phase::Services);
    browser.stream(&session, &[change(session.clone())]);
    let messages = browser.live(&session, "2.1").await;
    let html = &messages[0].1;
    assert!(
        !html.contains("e-2\"") && html.contains("e-3\"") && html.contains("e-4\""),
        "{html}"
    );
    assert!(
        !html.contains("Loading the model") && html.contains("no GPU was found"),
        "{html}"
    );
    assert_eq!(targets(html).iter().filter(|one| *one == "#say").count(), 1);
    let page = browser
        .swap(&format!("{}/poll?after=2.1", path(&session)))
        .await;
    assert!(page.html.contains(html.as_str()), "polling tells the same");
    let again = page.attributes("[data-poll]", "hx-get");
    assert_eq!(again, [format!("{}/poll?after=4.3", path(&session))]);
    let sent = page.attributes("[hx-sse\\:connect]", "hx-sse:connect");
    assert_eq!(sent, [format!("{}/live?after=4.3", path(&session))]);
}

#[tokio::test]
async fn a_stream_ends_with_its_session() {
    let browser = Browser::new();
    let over = ended(28, EndCode::NeverReady);
    let before = session(28, Phase::Services);
    browser.stream(&over, &[change(before.clone()), change(over.clone())]);
    let messages = browser.live(&over, "4.3").await;
    assert!(targets(&messages[1].1).contains(&"#last".to_owned()));
    let lines = &messages[2].1;
    assert!(
        targets(lines).iter().all(|one| one == "#last-lines") && lines.contains("[20] loading"),
        "{lines}"
    );
    let goodbye = &messages.last().unwrap().1;
    assert_eq!(targets(goodbye), ["#poll", "#stop", "#feed"]);
    assert!(!goodbye.contains("hx-sse"), "{goodbye}");
    browser.stream(&before, &[change(before.clone())]);
    let cut = browser.live(&before, "4.3").await;
    assert!(
        !cut.last().unwrap().1.contains("#feed"),
        "the browser comes back by itself"
    );
    let poll = browser
        .swap(&format!("{}/poll?after=4.3", path(&over)))
        .await;
    assert!(poll.html.contains("#feed") || poll.html.contains("data-poll"));
}

/// Sessions as they come, and as long and hostile as they can be.
fn worlds() -> Vec<Session> {
    let mut worlds: Vec<Session> = Phase::ALL.map(|phase| session(1, phase)).to_vec();
    worlds.extend(EndCode::ALL.map(|code| ended(1, code)));
    let mut slow = session(1, Phase::Running);
    slow.stops_at = Some(NOW + Duration::minutes(12));
    worlds.push(slow.clone());
    slow.services[0].state = ServiceState::Unready;
    slow.services[0].outcome = Some("connection refused".into());
    slow.services[0].checked_at = Some(NOW);
    worlds.push(slow);
    let hostile: Vec<Session> = worlds.iter().cloned().map(poisoned).collect();
    worlds.extend(hostile);
    worlds
}

/// The same session with hostile words wherever it has words.
fn poisoned(mut session: Session) -> Session {
    let long = HOSTILE.repeat(9);
    for text in [
        &mut session.status_message,
        &mut session.template_name,
        &mut session.template_version,
        &mut session.mark,
        &mut session.image,
    ] {
        text.clone_from(&long);
    }
    if !session.awaited.is_empty() {
        session.awaited.clone_from(&long);
    }
    session.node = session.node.map(|_| long.clone());
    for step in &mut session.steps {
        step.title.clone_from(&long);
        step.detail.clone_from(&long);
    }
    for service in &mut session.services {
        service.label.clone_from(&long);
        service.outcome = service.outcome.take().map(|_| long.clone());
    }
    if let Some(end) = &mut session.end {
        end.message.clone_from(&long);
        end.advice.clone_from(&long);
        end.last_lines = end.last_lines.iter().map(|_| long.clone()).collect();
    }
    session.kept = vec![long.clone()];
    session.lost = vec![long];
    session
}

#[tokio::test]
async fn no_update_of_a_row_is_larger_than_600_bytes() {
    let browser = Browser::new();
    let worlds = worlds();
    let mut rows = std::collections::BTreeMap::new();
    for (index, from) in worlds.iter().enumerate() {
        // From one state to every other, so that every row is sent in every state.
        let to = &worlds[(index + 1) % worlds.len()];
        let mut second = change(to.clone());
        second.events = vec![event(
            5,
            "app.moved",
            to.status,
            &HOSTILE.repeat(20),
            &HOSTILE.repeat(20),
        )];
        second.lines = (4..300)
            .map(|n| {
                line(
                    n,
                    if n % 7 == 0 { "stderr" } else { "stdout" },
                    &HOSTILE.repeat(10),
                )
            })
            .collect();
        browser.stream(from, &[change(from.clone()), second]);
        let messages = browser.live(from, "4.3").await;
        for (_, message) in &messages {
            fills_what_is_there(message);
        }
        let updates = messages[1..].iter();
        for partial in updates.flat_map(|(_, message)| partials(message)) {
            let target = partial.split('"').nth(1).unwrap().to_owned();
            let lines = partial.matches('\n').count() + 1;
            let sent = partial.len() + lines * "data: ".len() + 1;
            assert!(sent <= LARGEST, "{sent} bytes: {partial}");
            let largest = rows.entry(target).or_insert(0);
            *largest = sent.max(*largest);
        }
    }
    for target in [
        "#state",
        "#go",
        "#halt",
        "#note",
        "#why",
        "#v-controlpilot",
        "#s-image",
        "#c-rate",
        "#c-stop",
        "#extend",
        "#last-lines",
        "#events",
        "#log",
    ] {
        assert!(rows.contains_key(target), "{target} was never sent");
    }
}

/// htmx looks for all targets of a message before it touches the page, so nothing
/// can go into what the same message adds.
fn fills_what_is_there(message: &str) {
    let added: String = partials(message)
        .into_iter()
        .filter(|partial| partial.contains("hx-swap=\"beforeend\""))
        .collect();
    for target in targets(message) {
        let id = format!("id=\"{}\"", target.trim_start_matches('#'));
        assert!(!added.contains(&id), "{target} is not there yet: {message}");
    }
}

#[tokio::test]
async fn hostile_words_stay_words() {
    let browser = Browser::new();
    for session in worlds() {
        let mut change = change(poisoned(session));
        change.events[0].title = HOSTILE.into();
        change.events[0].message = HOSTILE.into();
        change.lines[0].text = HOSTILE.into();
        let session = change.session.clone();
        browser.stream(&session, std::slice::from_ref(&change));
        for path in [
            path(&session),
            format!("{}/watch", path(&session)),
            format!("{}/stop", path(&session)),
        ] {
            browser.visit(&path).await.assert_inert();
        }
        let live = browser.live(&session, "0.0").await;
        let html = live.into_iter().map(|(_, html)| html).collect();
        let (status, headers) = (StatusCode::OK, http::HeaderMap::new());
        Page {
            status,
            headers,
            html,
        }
        .assert_inert();
    }
    let mut template = catalogue().remove(2);
    for text in [
        &mut template.name,
        &mut template.mark,
        &mut template.summary,
        &mut template.licence_spdx,
        &mut template.licence_note,
        &mut template.version,
        &mut template.image,
    ] {
        *text = HOSTILE.into();
    }
    template.source_url = "javascript:alert(1)".into();
    template.notes = vec![HOSTILE.into()];
    template.checks[0].message = HOSTILE.into();
    template.services[0].label = HOSTILE.into();
    template.volumes[0].mount = HOSTILE.into();
    browser
        .double
        .reply("GET /v1/templates/lora-pilot", 200, &template);
    let list = json!({"templates": [template], "next_cursor": null, "has_more": false});
    browser.double.reply("GET /v1/templates", 200, &list);
    for path in [
        "/portal/templates",
        "/portal/templates/lora-pilot",
        "/portal/templates/sessions",
    ] {
        let page = browser.visit(path).await;
        page.assert_inert();
        assert!(page.attributes("a[href^='javascript']", "href").is_empty());
    }
}

#[tokio::test]
async fn without_scripts_a_page_grows_until_there_is_something_to_do() {
    let browser = Browser::new();
    let begins = session(5, Phase::Image);
    let mut later = change(session(5, Phase::Running));
    later.events.push(event(
        5,
        "app.running",
        Phase::Running,
        "Ready at last",
        "It can be opened.",
    ));
    let mut after = later.clone();
    after
        .events
        .push(event(6, "app.running", Phase::Running, "Never shown", ""));
    let mut slow = begins.clone();
    let doing = slow.steps.iter_mut();
    doing.for_each(|step| step.slow = step.state == StepState::Doing);
    let mut usual = begins.clone();
    usual.steps.iter_mut().for_each(|step| step.slow = false);
    let changes = [change(usual), change(slow), later, after];
    browser.stream(&begins, &changes);
    let page = browser.visit(&format!("{}/watch", path(&begins))).await;
    assert_eq!(page.header("x-accel-buffering"), "no");
    assert_eq!(page.texts("h1"), ["Watching the launch"]);
    let told = page.text(".card > p");
    let at = |text: &str| {
        told.find(text)
            .unwrap_or_else(|| panic!("{text} is missing in {told}"))
    };
    assert!(
        at("Session created") < at("Pulling image") && at("Pulling image") < at("Ready at last")
    );
    assert_eq!(told.matches("Session created").count(), 1, "nothing twice");
    assert!(at("Pulling image") < at("It takes longer than usual."));
    assert_eq!(told.matches("longer than usual").count(), 1);
    assert!(!told.contains("Never shown"), "it ends when it is ready");
    assert_eq!(page.texts(".card button[form=open]"), ["Open dashboard"]);
    assert!(page.html.ends_with("</html>"), "the document is whole");

    let failed = ended(28, EndCode::Crashed);
    browser.stream(&failed, &[change(failed.clone())]);
    let page = browser.visit(&format!("{}/watch", path(&failed))).await;
    assert!(
        page.text(".card")
            .contains("The app ended while it started")
    );
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
