//! How long connections live, and how many there may be.
use super::*;

#[tokio::test]
async fn an_idle_connection_may_wait_longer_than_half_a_head() {
    let idle = Duration::from_millis(1500);
    let server = start(Limits {
        header: Duration::from_millis(200),
        idle,
        ..patient()
    })
    .await;
    let mut stream = server.connect().await;
    // Before the server can begin to count: what is measured is never too short.
    let begun = Instant::now();
    stream
        .write_all(&server.named(b"GET / HTTP/1.1\r\nHost: HOST\r\n\r\n"))
        .await
        .unwrap();
    let answer = to_the_end(&mut stream).await;
    assert_eq!(Answer::parse(&answer).status, 200);
    let took = begun.elapsed();
    assert!(took >= idle, "closed after {took:?}");
}

#[tokio::test]
async fn half_a_head_is_not_waited_for_as_long_as_a_request() {
    let header = Duration::from_millis(200);
    let server = start(Limits {
        header,
        ..patient()
    })
    .await;
    let mut stream = server.connect().await;
    let one = server.named(b"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\n\r\nx");
    stream.write_all(&one).await.unwrap();
    assert_ne!(stream.read(&mut [0; 4096]).await.unwrap(), 0);
    let begun = Instant::now();
    stream.write_all(b"G").await.unwrap();
    assert!(to_the_end(&mut stream).await.is_empty());
    let dripping = begun.elapsed();
    assert!(dripping >= header, "closed after {dripping:?}");
}

#[tokio::test]
async fn a_connection_serves_many_requests() {
    let header = Duration::from_millis(100);
    let server = start(Limits {
        header,
        ..patient()
    })
    .await;
    let mut stream = server.connect().await;
    let mut some = [0; 4096];
    let begun = Instant::now();
    // Longer than one head may take: each has a clock of its own.
    while begun.elapsed() < header * 3 {
        let request =
            server.named(b"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\n\r\nxy");
        stream.write_all(&request).await.unwrap();
        let length = tokio::time::timeout(PATIENCE, stream.read(&mut some))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(Answer::parse(&some[..length]).text(), "xy");
    }
}

#[tokio::test]
async fn one_address_may_not_take_every_connection() {
    let server = start(Limits {
        per_address: 2,
        exempt: Vec::new(),
        ..patient()
    })
    .await;
    let (first, _second) = (server.connect().await, server.connect().await);
    let refused = server.get("/", "").await;
    assert_eq!(
        (refused.status, refused.header("connection")),
        (429, Some("close"))
    );
    drop(first);
    until_served(&server).await;
}

#[tokio::test]
async fn all_connections_together_have_a_limit() {
    let server = start(Limits {
        connections: 1,
        ..patient()
    })
    .await;
    let _first = server.connect().await;
    assert_eq!(server.get("/", "").await.status, 503);
}

#[tokio::test]
async fn who_does_not_read_is_cut_off() {
    let server = start(Limits {
        stalled: Duration::from_millis(300),
        connections: 1,
        ..patient()
    })
    .await;
    let mut stream = server.connect().await;
    stream
        .write_all(&server.named(b"GET /flood HTTP/1.1\r\nHost: HOST\r\n\r\n"))
        .await
        .unwrap();
    stream.read_exact(&mut [0; 15]).await.unwrap();
    // The only place is free again once that connection is gone, unread as it is.
    until_served(&server).await;
}

#[tokio::test]
async fn a_vanished_reader_ends_its_stream() {
    let mut server = start(patient()).await;
    let mut stream = server.connect().await;
    stream
        .write_all(&server.named(b"GET /stream HTTP/1.1\r\nHost: HOST\r\n\r\n"))
        .await
        .unwrap();
    stream.read_exact(&mut [0; 15]).await.unwrap();
    drop(stream);
    let dropped = tokio::time::timeout(PATIENCE, server.dropped.recv()).await;
    dropped.expect("the stream is dropped").unwrap();
}

#[tokio::test]
async fn shutting_down_waits_for_requests() {
    let server = start(patient()).await;
    let mut silent = server.connect().await;
    let mut stream = server.connect().await;
    stream
        .write_all(&server.named(b"GET /stream HTTP/1.1\r\nHost: HOST\r\n\r\n"))
        .await
        .unwrap();
    stream.read_exact(&mut [0; 15]).await.unwrap();
    let mut busy = server.connect().await;
    let half = server.named(b"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 2\r\n\r\nx");
    busy.write_all(&half).await.unwrap();
    // An answer on a later connection: the server has seen the others.
    assert_eq!(server.get("/", "").await.status, 200);
    server.shutdown.cancel();
    // Who asks for nothing holds nobody up, and is not waited for.
    assert!(to_the_end(&mut silent).await.is_empty());
    busy.write_all(b"y").await.unwrap();
    let answer = Answer::parse(&to_the_end(&mut busy).await);
    assert_eq!((answer.status, answer.text().as_str()), (200, "xy"));
    assert!(!server.running.is_finished(), "a stream is still open");
    drop((silent, busy, stream));
    let ended = tokio::time::timeout(PATIENCE, server.running).await;
    ended
        .expect("nothing is left to wait for")
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn shutting_down_does_not_wait_for_ever() {
    let drain = Duration::from_secs(1);
    // An address that nobody else listens on when it is free again.
    let server = start_at("127.0.0.2", Limits { drain, ..patient() }).await;
    let mut stream = server.connect().await;
    stream
        .write_all(&server.named(b"GET /stream HTTP/1.1\r\nHost: HOST\r\n\r\n"))
        .await
        .unwrap();
    stream.read_exact(&mut [0; 15]).await.unwrap();
    let begun = Instant::now();
    server.shutdown.cancel();
    to_the_end(&mut stream).await;
    let ended = tokio::time::timeout(PATIENCE, server.running).await;
    ended.expect("the end").unwrap().unwrap();
    assert!(
        begun.elapsed() >= drain,
        "the open stream was not given its time"
    );
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "still accepting"
    );
}

/// What the kernel says about the server's end of this connection: which timer runs,
/// and for how long yet.
fn timer(of: &TcpStream) -> Option<(String, Duration)> {
    let hex = |address: SocketAddr| {
        let SocketAddr::V4(address) = address else {
            panic!("{address}")
        };
        let ip = u32::from_le_bytes(address.ip().octets());
        format!("{ip:08X}:{:04X}", address.port())
    };
    let (ours, theirs) = (hex(of.peer_addr().unwrap()), hex(of.local_addr().unwrap()));
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let mut rows = table.lines().map(|line| line.split_whitespace().collect());
    let row = rows.find(|row: &Vec<&str>| row[1] == ours && row[2] == theirs)?;
    let (kind, jiffies) = row[5].split_once(':')?;
    let jiffies = u64::from_str_radix(jiffies, 16).ok()?;
    Some((kind.to_owned(), Duration::from_millis(jiffies * 10)))
}

#[tokio::test]
async fn a_silent_client_is_asked_whether_it_is_there() {
    const KEEPALIVE: &str = "02";
    let silent = Duration::from_secs(77);
    let server = start(Limits {
        silent,
        ..patient()
    })
    .await;
    let mut stream = server.connect().await;
    stream
        .write_all(&server.named(b"GET /stream HTTP/1.1\r\nHost: HOST\r\n\r\n"))
        .await
        .unwrap();
    stream.read_exact(&mut [0; 15]).await.unwrap();
    let asked = async {
        loop {
            // Until the last bytes have been acknowledged another timer runs.
            match timer(&stream) {
                Some((kind, left)) if kind == KEEPALIVE => break left,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let left = tokio::time::timeout(PATIENCE, asked).await;
    let left = left.expect("the kernel looks after it");
    assert!(left <= silent && left > silent / 2, "{left:?}");
}
