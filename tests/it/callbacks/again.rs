//! Receivers that answer oddly, and callbacks that somebody wants made now.
use super::{Desk, Receiver, secrets};
use crate::grid::DEADLINE;
use crate::stub::work;
use http::Method;
use junglegrid::orchestrator::workers::housekeeping;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;

/// Somebody who answers every call with these bytes and then with `rest` for ever;
/// without a rest, with silence.
async fn odd(head: &'static str, rest: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut asked = [0; 8_192];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(head.as_bytes()).await;
                while !rest.is_empty() && stream.write_all(rest).await.is_ok() {}
                // Until the other side has had enough.
                let _ = stream.read(&mut asked).await;
            });
        }
    });
    url
}

async fn ended(desk: &Desk, url: &str) -> String {
    let callback = json!({ "callback_url": url, "callback_auth_token": "t0ken" });
    let job = desk.submit(callback).await;
    work(&desk.api).await;
    job
}

async fn send(desk: &Desk, job: &str) -> crate::harness::Answer {
    desk.post(&format!("/v1/jobs/{job}/callback/send"), Value::Null)
        .await
}

/// Seconds until the next attempt.
async fn pause(desk: &Desk, job: &str) -> i64 {
    let shown = desk.callback(job).await;
    let next = shown["next_attempt_at"].as_str().expect("a next attempt");
    let next = OffsetDateTime::parse(next, &Rfc3339).unwrap();
    (next - desk.api.clock.now()).whole_seconds()
}

#[tokio::test]
async fn of_an_answer_without_end_the_beginning_is_read() {
    let desk = Desk::open().await;
    let refusal = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
    let url = odd(refusal, &[b'x'; 4_096]).await;
    let job = ended(&desk, &url).await;
    let made = tokio::time::timeout(DEADLINE, desk.tick()).await;
    assert_eq!(made.expect("it has an end"), 1);
    let shown = desk.callback(&job).await;
    let attempt = &shown["attempts"][0];
    assert_eq!(attempt["status"], 503);
    assert_eq!(attempt["answer"].as_str().unwrap().len(), 200);
    // What comes with success is not read at all.
    let url = odd("HTTP/1.1 200 OK\r\n\r\n", &[b'x'; 4_096]).await;
    let job = ended(&desk, &url).await;
    assert_eq!(desk.tick().await, 1);
    let shown = desk.callback(&job).await;
    assert_eq!(shown["state"], "delivered", "{shown}");
    assert!(shown["attempts"][0].get("answer").is_none());
}

/// The status is what counts: it is not lost to a text that does not come to its end.
#[tokio::test]
async fn a_refusal_whose_text_hangs_is_a_refusal() {
    let desk = Desk::open().await;
    let gone = "HTTP/1.1 410 Gone\r\ncontent-length: 1000\r\n\r\nno more";
    let url = odd(gone, b"").await;
    let job = ended(&desk, &url).await;
    assert_eq!(desk.tick().await, 1);
    let shown = desk.callback(&job).await;
    assert_eq!(shown["state"], "gone", "{shown}");
    assert_eq!(shown["attempts"][0]["answer"], "no more");
    // What is no HTTP at all is no answer.
    let url = odd("hello\r\n\r\n", b"").await;
    let job = ended(&desk, &url).await;
    assert_eq!(desk.tick().await, 1);
    let shown = desk.callback(&job).await;
    assert_eq!(shown["attempts"][0]["error"], "The connection broke.");
}

#[tokio::test]
async fn every_refusal_but_410_is_tried_again_in_its_time() {
    let desk = Desk::open().await;
    let receiver = Receiver::start().await;
    for status in [301, 307, 400, 401, 403, 404, 409, 422, 429, 500, 502, 504] {
        receiver.next(&[(status, "no")]);
        let job = ended(&desk, &receiver.url()).await;
        let before = receiver.told().len();
        assert_eq!(desk.tick().await, 1);
        let shown = desk.callback(&job).await;
        assert_eq!(shown["state"], "waiting", "{status}: {shown}");
        assert_eq!(shown["attempts"][0]["status"], status);
        assert!((3..=6).contains(&pause(&desk, &job).await), "{status}");
        assert_eq!(receiver.told().len(), before + 1, "no redirect is followed");
        desk.api.clock.advance(Duration::seconds(7));
        assert_eq!(desk.tick().await, 1);
        assert_eq!(desk.callback(&job).await["state"], "delivered");
    }
    // It may ask for more patience, up to twice as much as it is given anyway.
    for (asked, range) in [
        ("9", 8..=9),
        ("86400", 7..=12),
        ("soon", 3..=6),
        ("-1", 3..=6),
    ] {
        let head = format!("HTTP/1.1 429 Too Many Requests\r\nretry-after: {asked}\r\n\r\n");
        let url = odd(head.leak(), b"").await;
        let job = ended(&desk, &url).await;
        assert_eq!(desk.tick().await, 1);
        let pause = pause(&desk, &job).await;
        assert!(range.contains(&pause), "{asked}: {pause}");
        desk.api.clock.advance(Duration::hours(1));
        desk.tick().await;
    }
}

#[tokio::test]
async fn the_next_attempt_is_made_now_for_whoever_asks() {
    let mut desk = Desk::open().await;
    let receiver = Receiver::start().await;
    let armed = desk.submit(json!({ "callback_url": receiver.url() })).await;
    let early = send(&desk, &armed).await;
    assert_eq!(early.status, 409, "{}", early.body);
    work(&desk.api).await;
    // What is due is on its way.
    let due = send(&desk, &armed).await;
    assert_eq!(due.status, 200, "{}", due.body);
    assert_eq!(due.body["state"], "waiting");
    assert_eq!(desk.tick().await, 1);
    let late = send(&desk, &armed).await;
    assert_eq!(late.status, 409, "it has been taken: {}", late.body);
    assert_eq!(receiver.told().len(), 1);

    receiver.next(&[(500, ""), (500, ""), (500, "")]);
    let job = ended(&desk, &receiver.url()).await;
    for _ in 0..3 {
        assert_eq!(desk.tick().await, 1);
        if desk.callback(&job).await["attempts"]
            .as_array()
            .unwrap()
            .len()
            < 3
        {
            desk.api.clock.advance(Duration::minutes(1));
        }
    }
    assert!(pause(&desk, &job).await > 90);
    assert_eq!(desk.tick().await, 0);
    let sent = send(&desk, &job).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    assert_eq!(
        send(&desk, &job).await.status,
        200,
        "which is asked for once"
    );
    assert_eq!(desk.tick().await, 1);
    let shown = desk.callback(&job).await;
    assert_eq!(shown["state"], "delivered", "{shown}");
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 4);
    let titles: Vec<String> = desk.titles(&job).await.into_iter().map(|it| it.0).collect();
    assert_eq!(titles[3..], ["Callback asked for", "Callback delivered"]);
    let told = receiver.told();
    let of_job = |told: &&(http::HeaderMap, String)| told.1.contains(&job);
    let ids: Vec<_> = told
        .iter()
        .filter(of_job)
        .map(|one| &one.0["webhook-id"])
        .collect();
    assert!(ids.len() == 4 && ids.iter().all(|id| *id == ids[0]));
    let last = told.last().unwrap();
    assert_eq!(last.0["authorization"], "Bearer t0ken");
    desk.token = desk.sign_in().await;
    assert_eq!(secrets(&desk.api).await, 0);
}

#[tokio::test]
async fn what_was_given_up_can_be_sent_again_for_a_week() {
    let mut desk = Desk::open().await;
    let receiver = Receiver::start().await;
    receiver.next(&[(500, ""); 11]);
    let job = ended(&desk, &receiver.url()).await;
    for _ in 0..11 {
        assert_eq!(desk.tick().await, 1);
        desk.api.clock.advance(Duration::hours(13));
    }
    desk.token = desk.sign_in().await;
    let shown = desk.callback(&job).await;
    assert_eq!(shown["state"], "failed");
    assert!(shown["send_again_until"].is_string(), "{shown}");
    // Once by hand is one attempt.
    receiver.next(&[(500, "still not")]);
    assert_eq!(send(&desk, &job).await.body["state"], "waiting");
    assert_eq!(desk.tick().await, 1);
    let shown = desk.callback(&job).await;
    assert_eq!(shown["state"], "failed", "{shown}");
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 12);
    assert_eq!(send(&desk, &job).await.status, 200);
    assert_eq!(desk.tick().await, 1);
    let shown = desk.callback(&job).await;
    assert_eq!(shown["state"], "delivered", "{shown}");
    assert!(shown.get("send_again_until").is_none());
    assert_eq!(secrets(&desk.api).await, 0);

    // So can what was not wanted.
    receiver.next(&[(410, ""), (410, "")]);
    let job = ended(&desk, &receiver.url()).await;
    assert_eq!(desk.tick().await, 1);
    assert_eq!(desk.callback(&job).await["state"], "gone");
    assert_eq!(send(&desk, &job).await.status, 200);
    assert_eq!(desk.tick().await, 1);
    assert_eq!(desk.callback(&job).await["state"], "gone");
    let tasks = TaskTracker::new();
    desk.api.clock.advance(Duration::days(7) - Duration::MINUTE);
    housekeeping::tick(&desk.api.state, &tasks).await.unwrap();
    assert_eq!(secrets(&desk.api).await, 1);
    desk.api.clock.advance(Duration::MINUTE * 2);
    housekeeping::tick(&desk.api.state, &tasks).await.unwrap();
    assert_eq!(secrets(&desk.api).await, 0);
    desk.token = desk.sign_in().await;
    let shown = desk.callback(&job).await;
    assert!(shown.get("send_again_until").is_none(), "{shown}");
    let late = send(&desk, &job).await;
    assert_eq!(late.status, 409, "{}", late.body);

    let eve = desk.api.sign_up("eve@example.org").await;
    let path = format!("/v1/jobs/{job}/callback/send");
    let hers = desk.api.call(Method::POST, &path, &eve, Value::Null).await;
    assert_eq!(hers.status, 404);
    let none = desk.submit(json!({})).await;
    assert_eq!(send(&desk, &none).await.status, 404);
}
