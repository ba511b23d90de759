//! What happens to an app, as it happens.
use super::desk::{App, Desk, event, failed, files};
use crate::grid::DEADLINE;
use crate::harness::TestApi;
use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use futures_util::StreamExt as _;
use http::{Request, Response};
use junglegrid::api::apps::Change;
use junglegrid::client::Client;
use junglegrid::domain::app::{EndCode, Phase, ServiceState};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// An open stream, message by message.
pub(super) struct Stream {
    chunks: BodyDataStream,
    text: String,
}

impl Stream {
    /// The next message: its name, its number, its data. `None` at the end.
    pub(super) async fn next(&mut self) -> Option<(String, Option<i64>, Value)> {
        loop {
            while let Some((message, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = message.lines();
                    lines.find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
                };
                let (name, id) = (field("event:").unwrap_or_default(), field("id:"));
                let data = field("data:");
                let rest = rest.to_owned();
                self.text = rest;
                if let Some(data) = data {
                    let id = id.map(|id| id.parse().unwrap());
                    return Some((name, id, serde_json::from_str(&data).unwrap()));
                }
            }
            let chunk = self.chunk().await?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    pub(super) async fn chunk(&mut self) -> Option<Bytes> {
        let chunk = tokio::time::timeout(DEADLINE, self.chunks.next()).await;
        Some(chunk.expect("the stream goes on")?.unwrap())
    }
}

async fn ask(api: &TestApi, token: &str, path: &str, cut: Option<i64>) -> Response<Body> {
    let mut request = Request::get(path).header("authorization", format!("Bearer {token}"));
    if let Some(last) = cut {
        request = request.header("last-event-id", last);
    }
    let request = request.body(Body::empty()).unwrap();
    api.router().oneshot(request).await.unwrap()
}

pub(super) async fn open(api: &TestApi, token: &str, path: &str, cut: Option<i64>) -> Stream {
    let response = ask(api, token, path, cut).await;
    assert_eq!(response.status(), 200);
    let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/event-stream; charset=utf-8");
    assert_eq!(header("cache-control"), "no-store, no-transform");
    assert_eq!(header("x-accel-buffering"), "no");
    Stream {
        chunks: response.into_body().into_data_stream(),
        text: String::new(),
    }
}

impl App<'_> {
    async fn events_live(&self, cut: Option<i64>) -> Stream {
        let path = format!("{}/events/live", self.path());
        open(&self.desk.api, &self.desk.token, &path, cut).await
    }
}

#[tokio::test]
async fn whoever_is_cut_off_anywhere_hears_every_event_once() {
    let desk = Desk::start().await;
    let mut app = desk.launch(files()).await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut heard: Vec<i64> = Vec::new();
    let mut written = 1;
    let mut ended = false;
    while !ended {
        let mut stream = app.events_live(heard.last().copied()).await;
        for _ in 0..random.random_range(1..12) {
            // Sometimes there is much to say at once, sometimes nothing new.
            let writes = random.random_range(0..4);
            for _ in 0..if app.session.phase.ended() { 0 } else { writes } {
                let many = random.random_range(1..9);
                let said: Vec<_> = (0..many).map(|_| event("app.test", "Said")).collect();
                app.write(&said).await;
                written += many;
            }
            if written > 400 && !app.session.phase.ended() {
                app.end(EndCode::Stopped, failed("x"), 0).await;
                written += 1;
            }
            if heard.last() == Some(&written) && !app.session.phase.ended() {
                continue;
            }
            let (name, id, data) = stream.next().await.expect("it does not just end");
            if name == "end" {
                assert_eq!(data["status"], "ended");
                assert_eq!(stream.next().await, None, "nothing after the end");
                ended = true;
                break;
            }
            assert_eq!((name.as_str(), data["sequence"].as_i64()), ("", id));
            heard.push(id.unwrap());
        }
    }
    assert_eq!(heard, (1..=written).collect::<Vec<_>>());
    let mut late = app.events_live(Some(written)).await;
    assert_eq!(late.next().await.unwrap().0, "end", "the end is said again");
    let path = format!("{}/events/live?after={}", app.path(), written - 2);
    let mut late = open(&desk.api, &desk.token, &path, None).await;
    let numbers = [late.next().await.unwrap().1, late.next().await.unwrap().1];
    assert_eq!(numbers, [Some(written - 1), Some(written)]);
    let odd = format!("{}/events/live?after=-1", app.path());
    assert_eq!(desk.get(&odd).await.status, 400);
}

#[tokio::test]
async fn a_page_sees_all_of_it_at_first_and_then_what_changes() {
    let desk = Desk::start().await;
    let mut app = desk.launch(files()).await;
    app.print(1, 450).await;
    let client = Client::in_process(desk.api.router()).acting_for(&desk.token);
    let id = app.session.id;
    let follow = async |event, log| {
        let stream = client.follow_app(id, event, log).await.unwrap();
        Box::pin(stream.map(Result::unwrap))
    };
    let next = async |stream: &mut std::pin::Pin<Box<_>>| -> Option<Change> {
        let next = futures_util::StreamExt::next(stream);
        tokio::time::timeout(DEADLINE, next)
            .await
            .expect("it goes on")
    };
    let mut stream = follow(0, 0).await;
    let first = next(&mut stream).await.unwrap();
    let lines: Vec<_> = first.lines.iter().map(|line| line.entry_id).collect();
    assert_eq!(lines, (251..=450).collect::<Vec<_>>(), "the last 200");
    assert_eq!(first.events.len(), 1);
    assert_eq!(first.session.status, Phase::Created);

    app.ready().await;
    let (mut events, mut session) = (vec![1], first.session);
    while session.status != Phase::Running {
        let change = next(&mut stream).await.unwrap();
        events.extend(change.events.iter().map(|event| event.sequence));
        session = change.session;
    }
    assert_eq!(events, (1..=5).collect::<Vec<_>>());
    assert!(session.services[0].open);
    app.check("web", ServiceState::Unready, 0, "503").await;
    let change = next(&mut stream).await.unwrap();
    assert_eq!(change.session.services[0].state, ServiceState::Unready);
    assert!(change.events.is_empty() && change.lines.is_empty());

    // Far behind, it is read up on in parts, with nothing left out.
    drop(stream);
    let mut stream = follow(5, 7).await;
    let mut lines = Vec::new();
    while lines.last() != Some(&450) {
        let change = next(&mut stream).await.unwrap();
        assert!(change.events.is_empty() && change.lines.len() <= 200);
        lines.extend(change.lines.iter().map(|line| line.entry_id));
    }
    assert_eq!(lines, (8..=450).collect::<Vec<_>>());
    app.print(451, 1_000).await;
    app.end(EndCode::Stopped, failed("x"), 0).await;
    let mut events = Vec::new();
    let mut last = None;
    while let Some(change) = next(&mut stream).await {
        lines.extend(change.lines.iter().map(|line| line.entry_id));
        events.extend(change.events.iter().map(|event| event.sequence));
        last = Some(change.session.status);
    }
    assert_eq!(lines, (8..=1_000).collect::<Vec<_>>());
    assert_eq!((events, last), (vec![6], Some(Phase::Ended)));
    let mut again = follow(6, 1_000).await;
    let only = next(&mut again).await.unwrap();
    assert!(only.lines.is_empty() && only.events.is_empty());
    assert!(next(&mut again).await.is_none(), "and it lets go");
}

#[tokio::test]
async fn whoever_reads_slowly_misses_nothing() {
    let desk = Desk::start().await;
    let mut app = desk.launch(files()).await;
    let path = format!("{}/live", app.path());
    let mut slow_events = app.events_live(None).await;
    let mut slow_page = open(&desk.api, &desk.token, &path, None).await;
    for stream in [&mut slow_events, &mut slow_page] {
        stream.next().await.unwrap();
    }
    // More than are kept for those who are behind; someone else hears each at once.
    let mut quick = app.events_live(Some(1)).await;
    for n in 2..=75 {
        app.write(&[event("app.test", "Said")]).await;
        app.print(n - 1, n - 1).await;
        assert_eq!(quick.next().await.unwrap().1, Some(n));
    }
    app.end(EndCode::Stopped, failed("x"), 0).await;
    let mut numbers = Vec::new();
    loop {
        let (name, id, _) = slow_events.next().await.unwrap();
        if name == "end" {
            break;
        }
        numbers.push(id.unwrap());
    }
    assert_eq!(numbers, (2..=76).collect::<Vec<_>>());
    let (mut numbers, mut lines) = (Vec::new(), Vec::new());
    while let Some((_, _, change)) = slow_page.next().await {
        let change: Change = serde_json::from_value(change).unwrap();
        numbers.extend(change.events.iter().map(|event| event.sequence));
        lines.extend(change.lines.iter().map(|line| line.entry_id));
    }
    assert_eq!(numbers, (2..=76).collect::<Vec<_>>());
    assert_eq!(lines, (1..=74).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_change_is_said_once_for_all_who_watch() {
    let desk = Desk::start().await;
    let mut app = desk.launch(files()).await;
    let mut streams = Vec::new();
    let path = format!("{}/live?after_event=1", app.path());
    for _ in 0..6 {
        streams.push(open(&desk.api, &desk.token, &path, None).await);
    }
    let mut firsts = Vec::new();
    for stream in &mut streams {
        firsts.push(stream.chunk().await.unwrap());
    }
    app.to(Phase::Reserved).await;
    let mut seconds = Vec::new();
    for stream in &mut streams {
        seconds.push(stream.chunk().await.unwrap());
    }
    for said in [firsts, seconds] {
        let places: Vec<_> = said.iter().map(|bytes| bytes.as_ptr()).collect();
        assert!(
            places.windows(2).all(|two| two[0] == two[1]),
            "one copy: {places:?}"
        );
    }
}

#[tokio::test]
async fn streams_end_when_their_reader_signs_out() {
    let desk = Desk::start().await;
    let app = desk.launch(files()).await;
    let mut events = app.events_live(None).await;
    assert_eq!(events.next().await.unwrap().1, Some(1));
    let path = format!("{}/live", app.path());
    let mut page = open(&desk.api, &desk.token, &path, None).await;
    assert!(page.next().await.is_some());
    let other = json!({ "email": "ada@example.org", "password": crate::harness::PASSWORD });
    let other = desk.api.post("/auth/signin", other).await.text("/token");
    let mut stays = open(&desk.api, &other, &path, None).await;
    assert!(stays.next().await.is_some());
    let out = desk.api.call(
        http::Method::POST,
        "/auth/signout",
        &desk.token,
        Value::Null,
    );
    assert_eq!(out.await.status, 200);
    assert_eq!(events.next().await.unwrap().0, "auth");
    assert_eq!(events.next().await, None);
    assert_eq!(page.next().await, None);
    app.print(1, 1).await;
    let (_, _, change) = stays.next().await.expect("another sign-in goes on");
    assert_eq!(change["lines"][0]["text"], "line 1");
}

#[tokio::test]
async fn nobody_takes_all_the_streams() {
    let desk = Desk::start().await;
    let app = desk.launch(files()).await;
    let path = format!("{}/events/live", app.path());
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(open(&desk.api, &desk.token, &path, None).await);
    }
    let refused = desk.get(&path).await;
    assert_eq!(refused.status, 429, "{}", refused.body);
    assert!(refused.text("/message").contains("6 live streams"));
    assert!(refused.headers.contains_key("retry-after"));
    held.pop();
    held.push(open(&desk.api, &desk.token, &path, None).await);
    let sign_in = json!({ "email": "ada@example.org", "password": crate::harness::PASSWORD });
    let mut refusals = Vec::new();
    for _ in 0..3 {
        let token = desk
            .api
            .post("/auth/signin", sign_in.clone())
            .await
            .text("/token");
        for _ in 0..6 {
            let answer = ask(&desk.api, &token, &path, None).await;
            if answer.status() == 429 {
                refusals.push(answer);
            } else {
                let chunks = answer.into_body().into_data_stream();
                held.push(super::live::Stream {
                    chunks,
                    text: String::new(),
                });
            }
        }
    }
    assert_eq!((held.len(), refusals.len()), (20, 4), "20 for each account");
}

#[tokio::test]
async fn how_many_streams_there_may_be_is_a_setting() {
    let api = TestApi::with(|config| {
        config.streams_per_sign_in = 2;
        config.streams_per_account = 3;
    });
    let desk = Desk::of(api.await, "ada@example.org").await;
    let app = desk.launch(files()).await;
    let path = format!("{}/live", app.path());
    let sign_in = json!({ "email": "ada@example.org", "password": crate::harness::PASSWORD });
    let other = desk.api.post("/auth/signin", sign_in).await.text("/token");
    let mut held = Vec::new();
    for (token, streams, refusal) in [
        (&desk.token, 2, "This sign-in or key has 2 live streams"),
        (&other, 1, "Your account has 3 live streams"),
    ] {
        for _ in 0..streams {
            held.push(open(&desk.api, token, &path, None).await);
        }
        let refused = desk.api.get(&path, token).await;
        assert_eq!(refused.status, 429, "{}", refused.body);
        assert!(refused.text("/message").starts_with(refusal));
    }
}
