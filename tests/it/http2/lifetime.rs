//! How long connections and streams live, and how many requests there may be.
use super::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[tokio::test]
async fn a_connection_on_which_nothing_is_asked_is_closed() {
    let header = Duration::from_millis(300);
    let listener = listen(Limits {
        header,
        ..patient()
    })
    .await;
    // Before the server can begin to count: what is measured is never too short.
    let begun = Instant::now();
    let mut silent = listener.connect().await;
    let mut nothing = Vec::new();
    let read = silent.read_to_end(&mut nothing);
    let _ = soon("the end of who says nothing", read).await;
    assert!(begun.elapsed() >= header);
}

#[tokio::test]
async fn a_connection_on_which_nothing_more_is_asked_is_closed() {
    let idle = Duration::from_millis(1200);
    let listener = listen(Limits { idle, ..patient() }).await;
    let (quiet, busy) = (listener.client().await, listener.client().await);
    let _stream = busy.stream("/stream").await;
    let begun = Instant::now();
    assert_eq!(quiet.get("/").await.status, 200);
    let ended = soon("the end of an idle connection", quiet.running).await;
    assert!(ended.unwrap().is_ok(), "with a good-bye");
    let took = begun.elapsed();
    assert!(took >= idle, "closed after {took:?}");
    // An open stream is not idleness.
    tokio::time::sleep(idle / 2).await;
    assert_eq!(busy.get("/").await.status, 200);
    assert!(!busy.running.is_finished());
}

#[tokio::test]
async fn who_vanishes_behind_an_open_connection_is_found_out() {
    let mut listener = listen(Limits {
        silent: Duration::from_millis(300),
        // Whoever is there has this long to say so, on a machine that stood still, too.
        pong: Duration::from_secs(4),
        ..patient()
    })
    .await;
    let there = listener.client().await;
    let _open = there.stream("/stream").await;
    let mut gone = raw::Raw::new(&listener, 65_535).await;
    gone.say(&gone.get(1, "/stream")).await.unwrap();
    // It reads, and answers nothing.
    while gone.hear().await.is_some() {}
    soon("the end of its stream", listener.dropped.recv()).await;
    assert!(!there.running.is_finished(), "who is there stays");
}

#[tokio::test]
async fn one_address_may_not_have_every_request() {
    let limits = Limits {
        requests_per_address: 3,
        exempt: Vec::new(),
        ..patient()
    };
    full(limits, StatusCode::TOO_MANY_REQUESTS).await;
}

#[tokio::test]
async fn all_requests_together_have_a_limit() {
    let limits = Limits {
        requests: 3,
        ..patient()
    };
    full(limits, StatusCode::SERVICE_UNAVAILABLE).await;
}

async fn full(limits: Limits, status: StatusCode) {
    let listener = listen(limits).await;
    let (one, other) = (listener.client().await, listener.client().await);
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(one.stream("/stream").await);
    }
    for client in [&one, &other] {
        let refused = client.get("/").await;
        assert_eq!(refused.status, status);
        assert_eq!(refused.headers["retry-after"], "5");
    }
    drop(open.pop());
    let freed = async {
        while other.get("/").await.status != StatusCode::OK {
            tokio::task::yield_now().await;
        }
    };
    soon("a free place", freed).await;
}

#[tokio::test]
async fn more_than_a_connection_may_have_waits() {
    let listener = listen(Limits {
        streams: 2,
        ..patient()
    })
    .await;
    let client = listener.client().await;
    assert_eq!(client.get("/").await.status, 200);
    let mut open = vec![
        client.stream("/stream").await,
        client.stream("/stream").await,
    ];
    let third = client.get("/");
    let mut third = std::pin::pin!(third);
    let early = tokio::time::timeout(Duration::from_millis(200), third.as_mut()).await;
    assert!(early.is_err(), "more than there may be");
    open.pop();
    assert_eq!(soon("its turn", third).await.text(), "hello");
}

#[tokio::test]
async fn shutting_down_says_good_bye_and_waits_for_requests() {
    let mut listener = listen(patient()).await;
    let mut silent = listener.connect().await;
    let (idle, busy) = (listener.client().await, listener.client().await);
    assert_eq!(idle.get("/").await.status, 200);
    let stream = busy.stream("/stream").await;
    let (mut more, body) = tokio::io::duplex(16);
    let body = Body::from_stream(tokio_util::io::ReaderStream::new(body));
    more.write_all(b"x").await.unwrap();
    let asked = busy.request("/hash").method("POST").body(body).unwrap();
    let answer = busy.open(asked);
    let rest = async {
        // The router has it when a later request is answered.
        assert_eq!(busy.get("/").await.status, 200);
        listener.stop.cancel();
        soon(
            "the end of who says nothing",
            silent.read_to_end(&mut Vec::new()),
        )
        .await
        .ok();
        assert!(soon("a good-bye", idle.running).await.unwrap().is_ok());
        more.write_all(b"y").await.unwrap();
        drop(more);
    };
    let (answer, ()) = tokio::join!(answer, rest);
    let answer = Answer::read(answer.unwrap()).await.text();
    assert!(answer.starts_with("2 "), "{answer}");
    assert!(!listener.running.is_finished(), "a stream is still open");
    drop(stream);
    soon("the end of it all", &mut listener.running)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_ever() {
    let drain = Duration::from_secs(1);
    // An address that nobody else listens on when it is free again.
    let mut listener = listen_at("127.0.0.3", &[], Limits { drain, ..patient() }).await;
    let client = listener.client().await;
    let mut stream = client.stream("/stream").await;
    let begun = Instant::now();
    listener.stop.cancel();
    assert!(
        soon("the end of the stream", stream.frame())
            .await
            .is_none_or(|frame| frame.is_err())
    );
    soon("the end of it all", &mut listener.running)
        .await
        .unwrap()
        .unwrap();
    assert!(begun.elapsed() >= drain, "it had no time");
    assert!(TcpStream::connect(listener.address).await.is_err());
}
