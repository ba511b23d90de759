//! Output as it is printed.
use crate::grid::{Followed, Grid, Said, script};
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

/// The entry ids of the lines among these.
fn ids(said: &[Said]) -> Vec<i64> {
    said.iter().filter_map(|said| said.id).collect()
}

#[tokio::test]
async fn output_arrives_as_it_is_printed_and_the_end_comes_last() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let id = ada
        .submit(script("echo one; read x; echo two >&2; exit 4"))
        .await;
    let all = ada.follow(&id, None).await.rest().await;
    assert_eq!(all[0].event, "status");
    for said in &all {
        assert!(!said.data.to_string().contains("null"), "{said:?}");
        match said.event.as_str() {
            "status" => assert_eq!(said.data["job_id"], json!(id)),
            "stdout" | "stderr" => {
                assert_eq!(said.data["entry_id"].as_i64(), said.id);
                assert_eq!(said.data["text"], said.data["message"]);
            }
            "terminal" => assert_eq!(said.id, None),
            other => panic!("an event called {other}"),
        }
    }
    let lines: Vec<_> = all.iter().filter(|said| said.id.is_some()).collect();
    let printed = lines
        .iter()
        .map(|said| (said.event.as_str(), &said.data["text"]));
    assert_eq!(
        printed.collect::<Vec<_>>(),
        [("stdout", &json!("one")), ("stderr", &json!("two"))]
    );
    let end = all.last().unwrap();
    assert_eq!(end.event, "terminal");
    assert_eq!(end.data["status"], "failed");
    assert_eq!(end.data["exit_code"], 4);
    assert_eq!(end.data["timed_out"], false);
    assert_eq!(all.iter().filter(|s| s.event == "terminal").count(), 1);
    let late = ada.follow(&id, Some(1)).await.rest().await;
    assert_eq!(ids(&late), [2], "after the end, from where one was");
    assert_eq!(late.last(), Some(end));
}

#[tokio::test]
async fn whoever_is_cut_off_anywhere_goes_on_without_gap_or_repeat() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let printing = "i=1; while [ $i -le 600 ]; do echo line $i; i=$((i+1)); \
                    case $i in *00) sleep 0.1;; esac; done";
    let id = ada.submit(script(printing)).await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    let mut heard: Vec<Said> = Vec::new();
    let mut cuts = 0;
    let mut ended = false;
    while !ended {
        let last = heard.last().and_then(|said| said.id);
        let mut stream: Followed = ada.follow(&id, last).await;
        for _ in 0..random.random_range(1..90) {
            let Some(said) = stream.next().await else {
                panic!("the stream ended without saying so");
            };
            ended = said.event == "terminal";
            if said.id.is_some() {
                heard.push(said);
            }
            if ended {
                assert_eq!(stream.next().await, None, "nothing after the end");
                break;
            }
        }
        cuts += 1;
    }
    assert!(cuts > 5, "{cuts}");
    assert_eq!(ids(&heard), (1..=600).collect::<Vec<_>>());
    for (said, n) in heard.iter().zip(1..) {
        assert_eq!(said.data["text"], json!(format!("line {n}")));
    }
}

#[tokio::test]
async fn a_page_that_follows_a_job_sees_every_event_and_line_once() {
    use futures_util::StreamExt as _;
    use junglegrid::api::jobs::Change;
    use junglegrid::egress::roots::Roots;
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let id = ada
        .submit(script("for i in 1 2 3 4 5; do echo $i; sleep 0.05; done"))
        .await;
    let base = format!("http://{}", grid.address()).parse().unwrap();
    let http = junglegrid::egress::orchestrator(&Roots::default()).unwrap();
    let client = junglegrid::client::Client::remote(http, base);
    let client = client.acting_for(&ada.token);
    let stream = client.follow_job(id.parse().unwrap(), 0, 0).await.unwrap();
    let changes: Vec<Change> = stream.map(Result::unwrap).collect().await;
    let (mut events, mut lines) = (Vec::new(), Vec::new());
    for change in &changes {
        match change {
            Change::Job { events: news, .. } => {
                events.extend(news.iter().map(|event| event.sequence));
            }
            Change::Logs { items } => lines.extend(items.iter().map(|item| item.entry_id)),
        }
    }
    assert_eq!(lines, [1, 2, 3, 4, 5]);
    assert_eq!(events, (1..=6).collect::<Vec<_>>());
    let Some(Change::Job { job, .. }) = changes.last() else {
        panic!("the end comes last: {changes:?}");
    };
    assert!(job.status.ended());
}

#[tokio::test]
async fn a_stream_ends_when_its_reader_signs_out() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let chatting = "while :; do echo still here; sleep 0.1; done";
    let id = ada.submit(script(chatting)).await;
    let mut stream = ada.follow(&id, None).await;
    while stream.next().await.expect("it goes on").event != "stdout" {}
    let out = ada.post("/auth/signout", Value::Null).await;
    assert_eq!(out.status, 200);
    let rest = stream.rest().await;
    assert!(rest.iter().all(|said| said.event != "terminal"), "{rest:?}");
}

#[tokio::test]
async fn streams_end_when_the_server_stops() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let id = ada.submit(script("echo one; sleep 600")).await;
    let mut stream = ada.follow(&id, None).await;
    while stream.next().await.expect("it goes on").event != "stdout" {}
    grid.stop();
    assert_eq!(stream.rest().await, []);
}
