//! What lasts: `WebSocket`s, event streams, large bodies.
use super::*;
use crate::site::PATIENCE;
use junglegrid::domain::app::Phase;
use junglegrid::proxy::Limits;
use junglegrid::store::apps::find_for_worker;
use std::time::Instant;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Loopback sockets hold a few megabytes themselves.
const IN_FLIGHT: usize = 40 << 20;
const LARGE: usize = 200 << 20;

async fn socket(site: &Site, app: &App, cookie: &str) -> TcpStream {
    let (host, origin) = (site.host(app), site.origin(app));
    let (head, stream) = site.websocket(&host, &origin, cookie, "/socket").await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(head.contains("\r\nupgrade: websocket\r\n"), "{head}");
    assert!(
        head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"),
        "{head}"
    );
    stream
}

async fn echoes(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).await.unwrap();
    let mut back = vec![0; bytes.len()];
    timeout(PATIENCE, stream.read_exact(&mut back))
        .await
        .unwrap()
        .unwrap();
    assert!(back == bytes);
}

/// Whether these bytes come back.
async fn is_echoed(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    let mut back = vec![0; bytes.len()];
    let there_and_back = async {
        stream.write_all(bytes).await?;
        stream.read_exact(&mut back).await
    };
    let done = timeout(PATIENCE, there_and_back).await;
    done.expect("an echo, or an end").is_ok() && back == bytes
}

/// Waits until the other side has closed.
async fn cut(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // However it was closed.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .expect("it is cut");
}

/// Waits until a counter stands still although others get on through the same proxy.
async fn settled(site: &Site, app: &App, cookie: &str, counter: &AtomicUsize) -> usize {
    let mut before = usize::MAX;
    until("it comes to rest", async || {
        for _ in 0..30 {
            assert_eq!(site.get(app, cookie, "/").await.status, 200);
        }
        let now = counter.load(Ordering::Relaxed);
        let same = now == before && now > 0;
        before = now;
        same
    })
    .await;
    before
}

#[tokio::test]
async fn a_websocket_carries_bytes_both_ways() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let mut stream = socket(&site, &app, &cookie).await;
    echoes(&mut stream, b"\x81\x85\x00\x00\x00\x00hello").await;
    let large: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
    echoes(&mut stream, &large).await;
    stream.shutdown().await.unwrap();
    cut(&mut stream).await;
}

#[tokio::test]
async fn a_websocket_waits_for_whoever_does_not_read() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let stream = socket(&site, &app, &cookie).await;
    // The app says everything back, and nobody here reads it.
    let (mut unread, mut writer) = stream.into_split();
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let writing = AbortOnDropHandle::new(tokio::spawn(async move {
        let chunk = vec![b'x'; 64 * 1024];
        while count.load(Ordering::Relaxed) < LARGE {
            count.fetch_add(writer.write(&chunk).await.unwrap(), Ordering::Relaxed);
        }
    }));
    let ahead = settled(&site, &app, &cookie, &sent).await;
    assert!(ahead < IN_FLIGHT, "{ahead} bytes are on their way");
    let mut back = vec![0; 64 * 1024];
    let mut read = 0;
    while read < LARGE {
        let some = timeout(PATIENCE, unread.read(&mut back)).await;
        read += some.unwrap().unwrap();
    }
    timeout(PATIENCE, writing).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_websocket_on_which_nothing_is_said_is_closed() {
    let idle = Duration::from_secs(1);
    let (site, app, _double, _server) = running_with(Limits {
        idle,
        ..Limits::default()
    })
    .await;
    let cookie = site.enter(&app).await;
    loop {
        let mut stream = socket(&site, &app, &cookie).await;
        let begun = Instant::now();
        let mut last = begun;
        let mut open = true;
        while open && begun.elapsed() < idle * 2 {
            let now = Instant::now();
            open = is_echoed(&mut stream, b"\x81\x85\x00\x00\x00\x00hello").await;
            if open {
                last = now;
            }
        }
        if open {
            cut(&mut stream).await;
            return;
        }
        // The machine stood still for so long that it was quiet indeed.
        let silence = last.elapsed();
        assert!(silence >= idle, "closed after {silence:?}");
    }
}

#[tokio::test]
async fn there_are_only_so_many_websockets_to_a_service() {
    let (site, app, _double, _server) = running_with(Limits {
        connections: 2,
        connect: Duration::from_millis(300),
        ..Limits::default()
    })
    .await;
    let cookie = site.enter(&app).await;
    let (host, origin) = (site.host(&app), site.origin(&app));
    let open = async || site.websocket(&host, &origin, &cookie, "/socket").await;
    let first = socket(&site, &app, &cookie).await;
    let mut second = socket(&site, &app, &cookie).await;
    assert!(open().await.0.starts_with("http/1.1 503 "));
    assert_eq!(site.get(&app, &cookie, "/").await.status, 503);
    drop(first);
    until("a connection is free", async || {
        open().await.0.starts_with("http/1.1 101 ")
    })
    .await;
    echoes(&mut second, b"hello").await;
}

/// P4.
#[tokio::test]
async fn a_websocket_is_opened_by_the_apps_own_pages_only() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let other = site
        .launch(&app.token, "127.0.0.1:1".parse().unwrap())
        .await;
    site.engine.asked.lock().unwrap().clear();
    let own = site.origin(&app);
    for origin in [
        "https://evil.example",
        "null",
        "",
        &site.origin(&other),
        &site.portal(),
        &format!("{own}.evil.example"),
        &format!("{own}/"),
        &own.replace("http:", "https:"),
    ] {
        let (head, _) = site
            .websocket(&site.host(&app), origin, &cookie, "/socket")
            .await;
        assert!(head.starts_with("http/1.1 403 "), "{origin}: {head}");
    }
    let host = site.host(&app);
    let handshake = |method: &str, more: &str| {
        format!(
            "{method} /socket HTTP/1.1\r\nHost: {host}\r\nOrigin: {own}\r\nCookie: {cookie}\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
        )
    };
    for (method, more) in [
        (
            "POST",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nContent-Length: 0\r\n",
        ),
        ("GET", "Upgrade: websocket\r\nSec-WebSocket-Version: 8\r\n"),
        (
            "GET",
            "Upgrade: websocket, h2c\r\nSec-WebSocket-Version: 13\r\n",
        ),
        ("GET", "Upgrade: websocket\r\n"),
        (
            "GET",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n",
        ),
    ] {
        let request =
            handshake(method, more).replace("Connection: Upgrade", "Connection: Upgrade, close");
        let answer = site.raw(request.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{more}: {answer}");
    }
    assert!(
        site.engine.asked.lock().unwrap().is_empty(),
        "the app was asked"
    );
}

/// P3, P10.
#[tokio::test]
async fn signing_out_cuts_open_websockets_and_streams() {
    let (site, app, mut double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let mut stream = socket(&site, &app, &cookie).await;
    echoes(&mut stream, b"hello").await;
    let request = site.inside(&app, &cookie, "/events").body(Body::empty());
    let mut events = site.open(request.unwrap()).await.into_body();
    let first = timeout(PATIENCE, events.frame())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(first.into_data().unwrap(), "data: 1\n\n");
    let out = site
        .api
        .call(Method::POST, "/auth/signout", &app.token, Value::Null)
        .await;
    assert_eq!(out.status, 200);
    let both = async {
        cut(&mut stream).await;
        let end = events.frame().await;
        assert!(end.is_none_or(|frame| frame.is_err()), "it went on");
    };
    timeout(PATIENCE, both).await.expect("both are cut");
    timeout(PATIENCE, double.dropped.recv())
        .await
        .expect("the app is told");
}

/// P10. Whoever has lost their password to somebody does not want that one to stay.
#[tokio::test]
async fn a_new_password_cuts_open_websockets_and_streams() {
    let (site, app, mut double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let mut stream = socket(&site, &app, &cookie).await;
    echoes(&mut stream, b"hello").await;
    let request = site.inside(&app, &cookie, "/events").body(Body::empty());
    let mut events = site.open(request.unwrap()).await.into_body();
    let first = timeout(PATIENCE, events.frame()).await.unwrap();
    assert_eq!(first.unwrap().unwrap().into_data().unwrap(), "data: 1\n\n");
    let request = Request::get(format!("/v1/app-sessions/{}/events/live", app.id))
        .header("host", site.address.to_string())
        .header("authorization", format!("Bearer {}", app.token))
        .body(Body::empty());
    let progress = site.open(request.unwrap()).await;
    assert_eq!(progress.status(), 200);

    let email = "ada@example.com";
    let forgot = json!({"email": email});
    // A code was sent a moment ago.
    site.api.clock.advance(time::Duration::minutes(2));
    let asked = site.api.post("/auth/password/forgot", forgot).await;
    assert_eq!(asked.status, 202);
    let code = site.api.code(email).await;
    let new = json!({"email": email, "code": code, "password": "a password of my own"});
    let reset = site.api.post("/auth/password/reset", new).await;
    assert_eq!(reset.status, 200, "{:?}", reset.body);

    let refused = site.get(&app, &cookie, "/").await;
    assert_eq!(refused.status, 401, "at once");
    let all = async {
        cut(&mut stream).await;
        let end = events.frame().await;
        assert!(end.is_none_or(|frame| frame.is_err()), "it went on");
        let told = progress.into_body().collect().await.unwrap().to_bytes();
        let told = String::from_utf8_lossy(&told).into_owned();
        assert!(told.ends_with("event: auth\ndata: {}\n\n"), "{told}");
    };
    timeout(PATIENCE, all).await.expect("all of it is cut");
    timeout(PATIENCE, double.dropped.recv())
        .await
        .expect("the app is told");
    // Whoever has the new password comes in again.
    let again = App {
        token: reset.text("/token"),
        ..app
    };
    let cookie = site.enter(&again).await;
    assert_eq!(site.get(&again, &cookie, "/").await.status, 200);
}

#[tokio::test]
async fn the_end_of_the_app_cuts_downloads_and_uploads() {
    let (site, app, double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let path = format!("/bytes/{LARGE}");
    let request = site.inside(&app, &cookie, &path).body(Body::empty());
    let mut download = site.open(request.unwrap()).await.into_body();
    timeout(PATIENCE, download.frame())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    let endless = futures_util::stream::pending::<Result<Bytes, Infallible>>();
    let mut request = site
        .inside(&app, &cookie, "/upload")
        .body(Body::from_stream(endless))
        .unwrap();
    *request.method_mut() = Method::POST;
    let upload = site.open(request);
    double.gate.add_permits(1);
    let ending = async {
        until("both have been passed on", async || {
            site.engine.connections.load(Ordering::Relaxed) == 2
        })
        .await;
        site.becomes(&app, Phase::Stopping).await;
    };
    let (answer, ()) = tokio::join!(upload, ending);
    assert_eq!(answer.status(), 401);
    let rest = timeout(PATIENCE, download.collect()).await.unwrap();
    assert!(rest.is_err(), "half a file must not look whole");
}

#[tokio::test]
async fn stopping_the_server_ends_streams_and_websockets() {
    let (site, app, _double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let mut stream = socket(&site, &app, &cookie).await;
    let request = site.inside(&app, &cookie, "/events").body(Body::empty());
    let events = site.open(request.unwrap()).await.into_body();
    site.shutdown.cancel();
    cut(&mut stream).await;
    let rest = timeout(PATIENCE, events.collect()).await;
    assert!(rest.is_ok(), "the stream goes on");
}

#[tokio::test]
async fn a_browser_that_goes_away_is_gone_for_the_app() {
    let (site, app, mut double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let request = site.inside(&app, &cookie, "/events").body(Body::empty());
    let events = site.open(request.unwrap()).await;
    drop(events);
    timeout(PATIENCE, double.dropped.recv())
        .await
        .expect("the app is told");
    let mut stream = socket(&site, &app, &cookie).await;
    echoes(&mut stream, b"hello").await;
    drop(stream);
    let mut again = socket(&site, &app, &cookie).await;
    echoes(&mut again, b"hello").await;
}

#[tokio::test]
async fn a_large_download_waits_for_its_reader() {
    let (site, app, double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let path = format!("/bytes/{LARGE}");
    let request = site.inside(&app, &cookie, &path).body(Body::empty());
    let mut body = site.open(request.unwrap()).await.into_body();
    let ahead = settled(&site, &app, &cookie, &double.moved).await;
    assert!(ahead < IN_FLIGHT, "{ahead} bytes are on their way");
    let mut read = 0;
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.unwrap() {
        read += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(read, LARGE);
}

#[tokio::test]
async fn a_large_upload_waits_for_the_app() {
    let (site, app, double, _server) = running().await;
    let cookie = site.enter(&app).await;
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let chunk = Bytes::from(vec![b'x'; 64 * 1024]);
    let chunks = futures_util::stream::iter(0..LARGE / chunk.len()).map(move |_| {
        count.fetch_add(chunk.len(), Ordering::Relaxed);
        Ok::<_, Infallible>(chunk.clone())
    });
    let request = site
        .inside(&app, &cookie, "/upload")
        .body(Body::from_stream(chunks));
    let mut request = request.unwrap();
    *request.method_mut() = Method::POST;
    let watching = async {
        let ahead = settled(&site, &app, &cookie, &sent).await;
        assert!(ahead < IN_FLIGHT, "{ahead} bytes are on their way");
        double.gate.add_permits(1);
    };
    let (answer, ()) = tokio::join!(site.send(request), watching);
    assert_eq!(answer.text(), LARGE.to_string());
}

/// Nobody else asks for anything meanwhile.
#[tokio::test]
async fn an_app_is_used_as_long_as_a_download_or_an_upload_goes_on() {
    let site = Site::with(Limits {
        use_noted: Duration::ZERO,
        ..Limits::default()
    })
    .await;
    let double = Double::new();
    let (address, _server) = serve(double.router.clone()).await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site.launch(&token, address).await;
    let cookie = site.enter(&app).await;
    let last_used = async || {
        let mut conn = site.api.state.store().read().await.unwrap();
        let session = find_for_worker(&mut conn, app.id).await.unwrap().unwrap();
        session.last_used_at.unwrap()
    };
    let noted = async |now| until("that is noted", async || last_used().await == now).await;
    let path = format!("/bytes/{LARGE}");
    let request = site.inside(&app, &cookie, &path).body(Body::empty());
    let mut download = site.open(request.unwrap()).await.into_body();
    for _ in 0..3 {
        site.api.clock.advance(time::Duration::minutes(10));
        let now = site.api.clock.now();
        let mut read = 0;
        // More than is on its way already.
        while read < IN_FLIGHT {
            let frame = timeout(PATIENCE, download.frame()).await.unwrap();
            read += frame.unwrap().unwrap().into_data().unwrap().len();
        }
        noted(now).await;
    }
    drop(download);

    let (more, pieces) = tokio::sync::mpsc::unbounded_channel::<Result<Bytes, Infallible>>();
    let pieces = futures_util::stream::unfold(pieces, async |mut pieces| {
        Some((pieces.recv().await?, pieces))
    });
    let mut request = site
        .inside(&app, &cookie, "/upload")
        .body(Body::from_stream(pieces))
        .unwrap();
    *request.method_mut() = Method::POST;
    double.gate.add_permits(1);
    let sending = async {
        for _ in 0..3 {
            site.api.clock.advance(time::Duration::minutes(10));
            let now = site.api.clock.now();
            more.send(Ok(Bytes::from_static(b"a piece"))).unwrap();
            noted(now).await;
        }
        drop(more);
    };
    let (answer, ()) = tokio::join!(site.send(request), sending);
    assert_eq!(answer.status, 200);

    // A stream of events goes on by itself, in a tab that nobody looks at.
    let path = format!("/ticks/{LARGE}");
    let request = site.inside(&app, &cookie, &path).body(Body::empty());
    let mut events = site.open(request.unwrap()).await.into_body();
    let before = site.api.clock.now();
    noted(before).await;
    site.api.clock.advance(time::Duration::minutes(10));
    let mut read = 0;
    while let Some(frame) = timeout(PATIENCE, events.frame()).await.unwrap() {
        read += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(read, LARGE);
    assert_eq!(last_used().await, before);
}

#[tokio::test]
async fn events_may_begin_late_where_the_service_says_that_it_streams_them() {
    let site = Site::with(Limits {
        first_byte: Duration::from_millis(300),
        ..Limits::default()
    })
    .await;
    let double = Double::new();
    let (address, _server) = serve(double.router.clone()).await;
    let token = site.api.sign_up("ada@example.com").await;
    let streams = site
        .launch_as(&token, address, Phase::Running, |manifest| {
            manifest.services[0].sse = true;
        })
        .await;
    let plain = site.launch(&token, address).await;
    let (first, second) = (site.enter(&streams).await, site.enter(&plain).await);
    let waiting = site.get(&streams, &first, "/late");
    let meanwhile = async {
        until("it waits", async || {
            site.engine.connections.load(Ordering::Relaxed) == 1
        })
        .await;
        // As long again, and the other is waited for still.
        let refused = site.get(&plain, &second, "/late").await;
        double.gate.add_permits(100);
        refused
    };
    let (events, refused) = tokio::join!(waiting, meanwhile);
    assert_eq!(refused.status, 504);
    let said = (events.status.as_u16(), events.text());
    assert_eq!(said, (200, "data: 1\n\n".into()));
}

#[tokio::test]
async fn events_are_not_waited_for_for_ever() {
    let site = Site::with(Limits {
        first_byte: Duration::from_millis(100),
        idle: Duration::from_millis(300),
        ..Limits::default()
    })
    .await;
    let (address, _server) = serve(Double::new().router).await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site
        .launch_as(&token, address, Phase::Running, |manifest| {
            manifest.services[0].sse = true;
        })
        .await;
    let cookie = site.enter(&app).await;
    assert_eq!(site.get(&app, &cookie, "/never").await.status, 504);
}

#[tokio::test]
async fn a_service_that_does_not_say_that_it_uses_websockets_gets_none() {
    let site = Site::start().await;
    let (address, _server) = serve(Double::new().router).await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site
        .launch_as(&token, address, Phase::Running, |manifest| {
            manifest.services[0].websocket = false;
        })
        .await;
    let (cookie, own) = (site.enter(&app).await, site.origin(&app));
    let (head, mut stream) = site
        .websocket(&site.host(&app), &own, &cookie, "/socket")
        .await;
    assert!(head.starts_with("http/1.1 403 "), "{head}");
    let mut said = [0; 64];
    let read = timeout(PATIENCE, stream.read(&mut said)).await;
    let said = String::from_utf8_lossy(&said[..read.unwrap().unwrap()]).into_owned();
    assert!(said.starts_with("This app does not say that"), "{said}");
    assert!(site.engine.asked.lock().unwrap().is_empty(), "it was asked");
}
