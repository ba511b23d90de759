//! HTTPS with the operator's own certificate.
use crate::certificates::Certificate;
use crate::grid::{Grid, Person, eventually};
use axum::Router;
use axum::routing::get;
use http::Method;
use junglegrid::app::server::{self, Door, Limits};
use junglegrid::app::tls::{Files, Tls};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// However loaded the machine is, no answer takes longer; a test that waits so long
/// has failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// Longer than any test.
const FOR_EVER: Duration = Duration::from_hours(1);

/// A listener with a certificate of its own.
struct Listener {
    address: SocketAddr,
    http: reqwest::Client,
    stop: CancellationToken,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn listen(limits: Limits) -> Listener {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    certificate.store(dir.path());
    let tls = Some(Arc::new(Tls::load(files(dir.path())).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let router = Router::new().route("/", get(async || "hello"));
    let door = Door { listener, tls };
    tokio::spawn(server::serve(door, router, limits, stop.clone()));
    Listener {
        address,
        http: certificate.client(),
        stop,
    }
}

fn files(dir: &Path) -> Files {
    Files {
        certificate: dir.join("certificate.pem"),
        key: dir.join("key.pem"),
    }
}

impl Listener {
    async fn ask(&self) -> reqwest::Result<String> {
        let url = format!("https://{}/", self.address);
        // A connection of its own: what is tested is coming in.
        let request = self.http.get(url).header("connection", "close");
        request.send().await?.text().await
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Waits until somebody is answered, who may be late in shaking hands.
    async fn until_answered(&self) {
        let answered = async {
            loop {
                match self.ask().await {
                    Ok(answer) => break answer,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let answer = tokio::time::timeout(PATIENCE, answered).await;
        assert_eq!(answer.expect("an answer"), "hello");
    }
}

async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await;
    // A reset ends a connection as well.
    let _ = read.expect("the connection ends");
    bytes
}

#[tokio::test]
async fn a_handshake_that_does_not_come_to_its_end_is_cut_off() {
    let limits = Limits {
        handshake: Duration::from_millis(200),
        header: FOR_EVER,
        ..Limits::default()
    };
    let listener = listen(limits).await;
    listener.until_answered().await;
    let silent = listener.connect().await;
    let mut half = listener.connect().await;
    // The beginning of a record that announces 512 bytes.
    let _ = half.write_all(&[0x16, 3, 1, 2, 0, 1]).await;
    for stream in [silent, half] {
        assert!(rest(stream).await.is_empty());
    }
    let mut nonsense = listener.connect().await;
    let _ = nonsense.write_all(&[0x16; 600]).await;
    let answer = rest(nonsense).await;
    assert!(!answer.starts_with(b"HTTP"), "an alert at most");
    listener.until_answered().await;
}

#[tokio::test]
async fn who_has_not_shaken_hands_counts_as_connected() {
    let limits = Limits {
        per_address: 2,
        exempt: Vec::new(),
        handshake: FOR_EVER,
        ..Limits::default()
    };
    let listener = listen(limits).await;
    let (first, _second) = (listener.connect().await, listener.connect().await);
    // It is not worth a handshake to be told so.
    assert!(rest(listener.connect().await).await.is_empty());
    drop(first);
    // A closed connection frees its place.
    listener.until_answered().await;
}

#[tokio::test]
async fn plain_http_is_told_to_use_https() {
    let listener = listen(Limits::default()).await;
    let mut plain = listener.connect().await;
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    plain.write_all(request).await.unwrap();
    let answer = String::from_utf8(rest(plain).await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("https://"), "{answer}");
}

#[tokio::test]
async fn stopping_does_not_wait_for_handshakes() {
    let listener = listen(Limits {
        handshake: FOR_EVER,
        drain: FOR_EVER,
        ..Limits::default()
    })
    .await;
    let silent = listener.connect().await;
    assert_eq!(listener.ask().await.unwrap(), "hello");
    listener.stop.cancel();
    assert!(rest(silent).await.is_empty());
}

#[tokio::test]
async fn everything_is_said_over_https() {
    let grid = Grid::over_tls(&["--host-slots", "1"]);
    assert!(grid.url().starts_with("https://127.0.0.1:"));
    let ada = grid.sign_up("ada@example.org").await;
    let nodes = ada.get("/v1/nodes").await;
    assert_eq!(nodes.status, 200);
    let strict = nodes.headers["strict-transport-security"].to_str().unwrap();
    assert!(strict.starts_with("max-age="), "{strict}");

    let page = grid.request(Method::GET, "/login").send().await.unwrap();
    assert_eq!(page.status(), 200);
    let form = [
        ("email", "ada@example.org"),
        ("password", crate::harness::PASSWORD),
    ];
    let signed_in = |origin: String| {
        let body = serde_html_form::to_string(form).unwrap();
        grid.request(Method::POST, "/login")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("origin", origin)
            .body(body)
            .send()
    };
    let cookies = signed_in(grid.url()).await.unwrap();
    assert_eq!(cookies.status(), 303);
    let mut cookies = cookies.headers().get_all("set-cookie").iter();
    let session = cookies.find_map(|cookie| {
        let cookie = cookie.to_str().ok()?;
        cookie.starts_with("__Host-jg_session=").then_some(cookie)
    });
    let session = session.expect("a session");
    assert!(session.contains("; Secure") && session.contains("; HttpOnly"));
    let foreign = signed_in(format!("http://{}", grid.address())).await;
    assert_eq!(
        foreign.unwrap().status(),
        403,
        "the same host, but not over TLS"
    );
    let elsewhere = grid
        .request(Method::GET, "/")
        .header("host", "evil.example");
    assert_eq!(elsewhere.send().await.unwrap().status(), 421);

    app_over_https(&grid, &ada).await;
}

/// Apps have origins of their own, over TLS as well.
async fn app_over_https(grid: &Grid, ada: &Person<'_>) {
    let estimate = ada
        .post("/v1/templates/workspace-files/estimate", json!({}))
        .await;
    let launch = json!({
        "template": "workspace-files",
        "acknowledged_estimate": estimate.body["estimate_id"],
    });
    let app = ada.post("/v1/app-sessions", launch).await;
    assert_eq!(app.status, 202, "{}", app.body);
    let id = app.text("/id");
    eventually("an app that runs", async || {
        let app = ada.see(&format!("/v1/app-sessions/{id}")).await;
        (app["status"] == "running").then_some(())
    })
    .await;
    let opened = ada
        .post(&format!("/v1/app-sessions/{id}/open"), json!({}))
        .await;
    assert_eq!(opened.status, 200, "{}", opened.body);
    let url: url::Url = opened.text("/url").parse().unwrap();
    assert_eq!(url.scheme(), "https");
    let host = url.host_str().unwrap();
    assert!(host.ends_with(".apps.localhost"), "{url}");
    let address = grid.address();
    let (_, port) = address.split_once(':').unwrap();
    assert_eq!(url.port().unwrap().to_string(), port);
    let enter = |origin: String| {
        let form = serde_html_form::to_string([("token", opened.text("/token"))]).unwrap();
        grid.request(Method::POST, url.path())
            .header("host", format!("{host}:{port}"))
            .header("origin", origin)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(form)
            .send()
    };
    let foreign = enter(format!("http://{address}")).await.unwrap();
    assert_eq!(foreign.status(), 403);
    let entered = enter(grid.url()).await.unwrap();
    assert_eq!(entered.status(), 303);
    let cookie = entered.headers()["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"));
}

/// The certificate that the server shows, as it comes over the wire.
async fn shown(grid: &Grid, trusted: &reqwest::Client) -> bool {
    let url = format!("{}/healthz", grid.url());
    let asked = trusted.get(url).header("connection", "close").send().await;
    asked.is_ok_and(|answer| answer.status() == 200)
}

#[tokio::test]
async fn a_renewed_certificate_is_read_on_hangup() {
    let grid = Grid::over_tls(&[]);
    let renewed = Certificate::new();
    let (old, new) = (
        grid.request(Method::GET, "/healthz").send().await,
        renewed.client(),
    );
    assert_eq!(old.unwrap().status(), 200);
    assert!(!shown(&grid, &new).await);
    // One that is not right changes nothing.
    std::fs::write(grid.dir().join("key.pem"), "nothing").unwrap();
    grid.signal(Signal::SIGHUP);
    eventually("word of the bad file", async || {
        grid.said().contains("stays the old one").then_some(())
    })
    .await;
    let still = grid.request(Method::GET, "/healthz").send().await;
    assert_eq!(still.unwrap().status(), 200);
    renewed.store(grid.dir());
    grid.signal(Signal::SIGHUP);
    eventually("the new certificate", async || {
        shown(&grid, &new).await.then_some(())
    })
    .await;
}

/// What the program says when it cannot start so.
fn refusal(arguments: &[&str]) -> String {
    let data = tempfile::tempdir().unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_junglegrid"))
        .env_clear()
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(!program.status.success());
    String::from_utf8(program.stderr).unwrap()
}

#[test]
fn what_is_wrong_with_the_files_is_said_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, other) = (Certificate::new(), Certificate::new());
    certificate.store(dir.path());
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let chain = put("certificate.pem", &certificate.chain);
    let key = put("key.pem", &certificate.key);
    let strange = put("strange.pem", &other.key);
    let empty = put("empty.pem", "");
    let locked = put(
        "locked.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    let secret = certificate.key.lines().nth(1).unwrap();
    let torn = put(
        "torn.pem",
        &format!("-----BEGIN PRIVATE KEY-----\n{secret}\n"),
    );
    let gone = dir.path().join("gone.pem").display().to_string();
    for (chain, key, said) in [
        (&chain, &strange, "does not belong"),
        (&empty, &key, "holds no certificate"),
        (&key, &key, "holds no certificate"),
        (&chain, &empty, "holds no private key"),
        (&chain, &chain, "holds no private key"),
        (&chain, &locked, "encrypted"),
        (&chain, &torn, "does not end"),
        (&gone, &key, "cannot read the TLS certificate"),
        (&chain, &gone, "cannot read the TLS key"),
    ] {
        let heard = refusal(&["--tls-certificate", chain, "--tls-key", key]);
        assert!(heard.contains(said), "{said}: {heard}");
        assert!(!heard.contains(secret), "a key was shown: {heard}");
    }
    for (arguments, said) in [
        (vec!["--tls-certificate", &chain], "together with `tls_key`"),
        (vec!["--tls-key", &key], "together with `tls_certificate`"),
        (
            vec![
                "--tls-certificate",
                &chain,
                "--tls-key",
                &key,
                "--public-url",
                "http://grid.example",
            ],
            "an https:// URL",
        ),
    ] {
        let heard = refusal(&arguments);
        assert!(heard.contains(said), "{said}: {heard}");
    }
}

#[tokio::test]
async fn without_a_certificate_nothing_has_changed() {
    let grid = Grid::start();
    assert!(grid.url().starts_with("http://"));
    let health = grid.request(Method::GET, "/healthz").send().await.unwrap();
    assert_eq!(health.headers().get("strict-transport-security"), None);
    let body: Value = serde_json::from_slice(&health.bytes().await.unwrap()).unwrap();
    assert!(body.is_object());
}
