//! What must not outlive those who may, and what is left behind.
use super::*;
use crate::site::PATIENCE;
use junglegrid::store::apps::find_for_worker;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

async fn sign_out(site: &Site, app: &App) {
    let out = site
        .api
        .call(Method::POST, "/auth/signout", &app.token, Value::Null)
        .await;
    assert_eq!(out.status, 200);
}

/// An app may take its time to answer; nobody is let in meanwhile who may not be any more.
#[tokio::test]
async fn a_websocket_that_is_being_opened_does_not_outlive_the_sign_out() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let (host, own) = (site.host(&app), site.origin(&app));
    let opening = site.websocket(&host, &own, &cookie, "/never");
    let leaving = async {
        until("the app is asked", async || {
            site.engine.connections.load(Ordering::Relaxed) == 1
        })
        .await;
        sign_out(&site, &app).await;
    };
    let ((head, _), ()) = tokio::join!(opening, leaving);
    assert!(head.starts_with("http/1.1 401 "), "{head}");
}

/// An app may answer before it has been sent everything, and take the rest for as long as it
/// comes.
#[tokio::test]
async fn an_upload_that_is_answered_already_does_not_outlive_the_sign_out() {
    let site = Site::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let arrived = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&arrived);
    let app_ends = AbortOnDropHandle::new(tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        stream.write_all(answer).await.unwrap();
        let mut piece = [0; 1024];
        while let Ok(read @ 1..) = stream.read(&mut piece).await {
            count.fetch_add(read, Ordering::Relaxed);
        }
    }));
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, address).await;
    let cookie = site.enter(&app).await;
    let mut browser = TcpStream::connect(site.address).await.unwrap();
    let head = format!(
        "POST /take HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nTransfer-Encoding: chunked\r\n\r\n",
        site.host(&app)
    );
    browser.write_all(head.as_bytes()).await.unwrap();
    let mut begun = [0; 12];
    let read = timeout(PATIENCE, browser.read_exact(&mut begun)).await;
    read.unwrap().unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200");
    let (_answer, mut upload) = browser.into_split();
    let _sending = AbortOnDropHandle::new(tokio::spawn(async move {
        while upload.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }));
    let before = arrived.load(Ordering::Relaxed);
    let goes_on = async || arrived.load(Ordering::Relaxed) > before + 20 || app_ends.is_finished();
    until("the upload goes on, or is over", goes_on).await;
    sign_out(&site, &app).await;
    timeout(PATIENCE, app_ends)
        .await
        .expect("it is cut")
        .unwrap();
}

/// What a request leaves behind would add up in a server that is never restarted.
#[tokio::test]
async fn a_busy_app_needs_no_more_tasks_than_a_quiet_one() {
    const REQUESTS: usize = 300;
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let tasks = || {
        let runtime = tokio::runtime::Handle::current();
        runtime.metrics().num_alive_tasks()
    };
    for _ in 0..20 {
        assert_eq!(site.get(&app, &cookie, "/").await.status, 200);
    }
    let before = tasks();
    for _ in 0..REQUESTS {
        assert_eq!(site.get(&app, &cookie, "/").await.status, 200);
    }
    let more = tasks().saturating_sub(before);
    assert!(
        more < REQUESTS / 3,
        "{more} more tasks after {REQUESTS} requests"
    );
}

/// A tab that nobody looks at answers what asks whether it is there.
#[tokio::test]
async fn a_tab_that_only_says_that_it_is_there_does_not_use_the_app() {
    let (site, app, _double, _server) = running_with(Limits {
        use_noted: Duration::ZERO,
        ..Limits::default()
    })
    .await;
    let cookie = site.enter(&app).await;
    let last_used = async || {
        let mut conn = site.api.state.store().read().await.unwrap();
        let session = find_for_worker(&mut conn, app.id).await.unwrap().unwrap();
        session.last_used_at
    };
    let (host, own) = (site.host(&app), site.origin(&app));
    let (head, mut stream) = site.websocket(&host, &own, &cookie, "/socket").await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    let mut says = async |frame: &[u8]| {
        site.api.clock.advance(time::Duration::minutes(10));
        stream.write_all(frame).await.unwrap();
        let mut back = vec![0; frame.len()];
        let read = timeout(PATIENCE, stream.read_exact(&mut back)).await;
        read.unwrap().unwrap();
        site.api.clock.now()
    };
    // Frames of a browser: what is in them is XORed with four bytes before it.
    let pong = b"\x8a\x84\x01\x02\x03\x04there";
    let pong = &pong[..10];
    // Socket.IO has pings of its own, `2`, which pages answer with `3`.
    let own_pong = [0x81, 0x81, 9, 8, 7, 6, b'3' ^ 9];
    until("coming in is noted", async || last_used().await.is_some()).await;
    let before = last_used().await;
    for quiet in [pong, &own_pong[..]] {
        says(quiet).await;
    }
    let word = [0x81, 0x81, 9, 8, 7, 6, b'x' ^ 9];
    let now = says(&word).await;
    until("that is noted", async || last_used().await == Some(now)).await;
    let after = last_used().await;
    for quiet in [pong, &own_pong[..]] {
        says(quiet).await;
        says(quiet).await;
        assert_eq!(last_used().await, after, "{before:?}");
    }
}
