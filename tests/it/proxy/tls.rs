//! Apps that speak TLS alone, with certificates that they have made for themselves.
use super::*;
use crate::certificates::Certificate;
use crate::site::PATIENCE;
use hyper_util::service::TowerToHyperService;
use junglegrid::domain::app::Phase;
use junglegrid::domain::template::{HostPolicy, Manifest, Scheme};
use junglegrid::orchestrator::apps::{Answer, Gate as _, Question};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

const LARGE: usize = 32 << 20;
/// What TLS says before it is agreed on: the alert `handshake_failure`.
const ALERT: &[u8] = b"\x15\x03\x03\x00\x02\x02\x28";

/// Serves `router` inside TLS alone, with a certificate that nobody knows.
async fn serve_tls(router: Router) -> (SocketAddr, AbortOnDropHandle<()>) {
    within_tls(move |stream| {
        let service = TowerToHyperService::new(router.clone());
        hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades()
    })
    .await
}

/// Does `work` with every connection, once TLS has been agreed on.
async fn within_tls<F: Future<Output: Send> + Send + 'static>(
    work: impl Fn(tokio_rustls::server::TlsStream<TcpStream>) -> F + Send + Sync + 'static,
) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = Certificate::of(&["kasm.invalid"]).acceptor();
    let work = Arc::new(work);
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, work) = (acceptor.clone(), Arc::clone(&work));
            connections.spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    work(stream).await;
                }
            });
        }
    });
    (address, AbortOnDropHandle::new(task))
}

fn https(manifest: &mut Manifest) {
    manifest.services[0].scheme = Scheme::Https;
}

async fn launched(site: &Site, address: SocketAddr) -> App {
    let token = site.api.sign_up("ada@example.com").await;
    let running = Phase::Running;
    site.launch_as(&token, address, running, https).await
}

async fn checked(site: &Site, app: &App) -> Result<Answer, String> {
    let question = Question {
        method: Method::GET,
        path: "/ready".into(),
        body: Bytes::new(),
        patience: PATIENCE,
    };
    site.proxy.probe(&app.label, question).await
}

#[tokio::test]
async fn an_app_that_speaks_tls_alone_is_used_like_any_other() {
    let site = Site::start().await;
    let double = Double::new();
    let (address, _server) = serve_tls(double.router.clone()).await;
    let app = launched(&site, address).await;
    assert_eq!(checked(&site, &app).await.unwrap().status, 200);
    let cookie = site.enter(&app).await;
    let (_, headers) = seen(&site.get(&app, &cookie, "/page").await);
    let host = site.host(&app);
    assert_eq!(value(&headers, "host"), Some(host.as_str()));
    assert_eq!(value(&headers, "x-forwarded-proto"), Some("http"));
    assert!(value(&headers, "x-app-auth").unwrap().starts_with("key "));

    let (head, mut socket) = site
        .websocket(&host, &site.origin(&app), &cookie, "/socket")
        .await;
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    let sent: Vec<u8> = (0..50_000u32).flat_map(u32::to_le_bytes).collect();
    let mut back = vec![0; sent.len()];
    let (mut reading, mut writing) = socket.split();
    let both = async { tokio::join!(writing.write_all(&sent), reading.read_exact(&mut back)) };
    let (written, read) = timeout(PATIENCE, both).await.unwrap();
    written.unwrap();
    read.unwrap();
    assert!(back == sent);
    // Its end is told to the app, and comes back.
    socket.shutdown().await.unwrap();
    let mut rest = Vec::new();
    let end = timeout(PATIENCE, socket.read_to_end(&mut rest)).await;
    assert_eq!(end.unwrap().unwrap(), 0);

    let path = format!("/bytes/{LARGE}");
    let request = site.inside(&app, &cookie, &path).body(Body::empty());
    let mut body = site.open(request.unwrap()).await.into_body();
    let first = timeout(PATIENCE, body.frame()).await.unwrap().unwrap();
    let mut read = first.unwrap().into_data().unwrap().len();
    while let Some(frame) = timeout(PATIENCE, body.frame()).await.unwrap() {
        read += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(read, LARGE);

    double.gate.add_permits(1);
    let chunks = (0..LARGE >> 16).map(|_| Ok::<_, Infallible>(vec![b'x'; 1 << 16]));
    let upload = Body::from_stream(futures_util::stream::iter(chunks));
    let mut request = site.inside(&app, &cookie, "/upload").body(upload).unwrap();
    *request.method_mut() = Method::POST;
    double.moved.store(0, Ordering::Relaxed);
    assert_eq!(site.send(request).await.text(), LARGE.to_string());

    let before = site.engine.connections.load(Ordering::Relaxed);
    for _ in 0..20 {
        assert_eq!(site.get(&app, &cookie, "/").await.text(), "home");
    }
    let opened = site.engine.connections.load(Ordering::Relaxed) - before;
    assert!(opened < 10, "{opened} connections for 20 requests");
}

#[tokio::test]
async fn one_that_knows_localhost_only_is_called_so_in_tls_too() {
    let site = Site::start().await;
    let (address, _server) = within_tls(async |mut stream| {
        let called = stream.get_ref().1.server_name().unwrap().to_owned();
        let protocol = stream.get_ref().1.alpn_protocol().unwrap().to_owned();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let (head, protocol) = (String::from_utf8_lossy(&head), String::from_utf8_lossy(&protocol));
        let host = head.lines().find(|line| line.starts_with("host")).unwrap();
        let said = format!("{called} {protocol} {host}");
        let answer = format!(
            "HTTP/1.1 302 Found\r\nLocation: https://localhost:7000/a\r\nContent-Length: {}\r\n\r\n{said}",
            said.len()
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.shutdown().await;
    })
    .await;
    let token = site.api.sign_up("ada@example.com").await;
    let app = site
        .launch_as(&token, address, Phase::Running, |manifest| {
            https(manifest);
            manifest.services[0].host_policy = HostPolicy::Localhost;
        })
        .await;
    let cookie = site.enter(&app).await;
    let answer = site.get(&app, &cookie, "/").await;
    assert_eq!(answer.text(), "localhost http/1.1 host: localhost:7000");
    assert_eq!(answer.all("location"), [format!("{}/a", site.origin(&app))]);
}

/// As Python's do, for one.
#[tokio::test]
async fn an_app_may_close_a_connection_without_a_word_but_not_in_the_middle() {
    let site = Site::start().await;
    let (address, _server) = within_tls(async |mut stream| {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let answer: &[u8] = if head.starts_with(b"GET /whole ") {
            b"HTTP/1.0 200 OK\r\n\r\nhello"
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"
        };
        stream.write_all(answer).await.unwrap();
        stream.flush().await.unwrap();
        let (mut plain, _) = stream.into_inner();
        plain.shutdown().await.unwrap();
    })
    .await;
    let app = launched(&site, address).await;
    let cookie = site.enter(&app).await;
    let whole = site.get(&app, &cookie, "/whole").await;
    assert_eq!((whole.status.as_u16(), whole.text()), (200, "hello".into()));
    let request = site.inside(&app, &cookie, "/half").body(Body::empty());
    let half = site.open(request.unwrap()).await.into_body();
    let half = timeout(PATIENCE, half.collect()).await.unwrap();
    assert!(half.is_err(), "half a file must not look whole");
}

#[tokio::test]
async fn an_app_that_speaks_no_tls_after_all_is_told_apart() {
    let patient = async |connect: Duration| {
        Site::with(Limits {
            connect,
            ..Limits::default()
        })
        .await
    };
    let site = patient(PATIENCE).await;
    let (plain, _plain) = serve(Double::new().router).await;
    let app = launched(&site, plain).await;
    assert_eq!(
        checked(&site, &app).await.unwrap_err(),
        "its answer is not TLS"
    );
    let cookie = site.enter(&app).await;
    let page = site.get(&app, &cookie, "/").await;
    assert_eq!(page.status, 502);
    assert!(
        page.text().contains("cannot be passed on"),
        "{}",
        page.text()
    );

    let one = |answers: &'static [u8], stays: bool| async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read_u8().await;
                let _ = stream.write_all(answers).await;
                if stays {
                    open.push(stream);
                } else {
                    let _ = stream.shutdown().await;
                    let _ = stream.read_to_end(&mut Vec::new()).await;
                }
            }
        });
        (address, AbortOnDropHandle::new(task))
    };
    for (answers, stays, why) in [
        (
            &b""[..],
            false,
            "it closed the connection when TLS was begun",
        ),
        (b"SSH-2.0-x\r\n", true, "its answer is not TLS"),
        (ALERT, false, "no TLS could be agreed on with it"),
    ] {
        let (address, _server) = one(answers, stays).await;
        site.engine.lead(&app.handle, address);
        let said = checked(&site, &app).await.unwrap_err();
        assert_eq!(said, why, "{answers:?}");
    }
    let (silent, _silent) = one(b"", true).await;
    let hasty = patient(Duration::from_millis(300)).await;
    let app = launched(&hasty, silent).await;
    let said = checked(&hasty, &app).await.unwrap_err();
    assert_eq!(said, "no answer in time");
    // The other way round.
    let (hidden, _hidden) = serve_tls(Double::new().router).await;
    let token = site.api.from("192.0.2.7").sign_up("bob@example.com").await;
    let clear = site.launch(&token, hidden).await;
    let said = checked(&site, &clear).await.unwrap_err();
    assert_eq!(said, "its answer is not HTTP");
}
