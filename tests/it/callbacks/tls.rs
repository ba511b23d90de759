//! Receivers that are called over HTTPS, as all are outside of this machine.
use super::{Desk, Receiver, verify};
use crate::certificates::Certificate;
use crate::grid::{Grid, and, eventually, script};
use crate::stub::work;
use axum::Router;
use http::HeaderMap;
use junglegrid::app::server::{self, Door, Limits};
use junglegrid::app::tls::{Files, Tls};
use junglegrid::domain::reach::Allow;
use junglegrid::egress::reach::{Caller, Failed};
use junglegrid::egress::roots::Roots;
use rcgen::DnType;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use time::macros::datetime;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Who is called under a certificate, and the file in which that is found.
struct Secure {
    receiver: Receiver,
    dir: tempfile::TempDir,
}

impl Secure {
    async fn start(certificate: &Certificate) -> Self {
        let dir = tempfile::tempdir().unwrap();
        certificate.store(dir.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Receiver::at(&listener, "https");
        serve(listener, receiver.router(), &dir);
        Self { receiver, dir }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("certificate.pem")
    }

    /// Calls it, trusting this certificate alone besides the machine's.
    async fn called(&self, trusted: &Certificate) -> Result<u16, Failed> {
        let dir = tempfile::tempdir().unwrap();
        trusted.store(dir.path());
        let roots = Roots::load(&dir.path().join("certificate.pem")).unwrap();
        let caller = Caller::trusting(Allow::this_machine(), &roots).unwrap();
        let url = self.receiver.url();
        let answer = caller.post(&url, HeaderMap::new(), "{}".into()).await;
        answer.map(|answer| answer.status)
    }
}

fn serve(listener: TcpListener, router: Router, dir: &tempfile::TempDir) {
    let files = Files {
        certificate: dir.path().join("certificate.pem"),
        key: dir.path().join("key.pem"),
    };
    let tls = Some(Arc::new(Tls::load(files).unwrap()));
    let door = Door { listener, tls };
    let stop = CancellationToken::new();
    tokio::spawn(server::serve(door, router, Limits::default(), stop));
}

#[tokio::test]
async fn a_receiver_is_called_over_https_if_its_certificate_is_trusted() {
    let certificate = Certificate::new();
    let secure = Secure::start(&certificate).await;
    let mut desk = Desk::open().await;
    let callback = json!({ "callback_url": secure.receiver.url(), "callback_auth_token": "t0ken" });
    let job = desk.submit(callback).await;
    work(&desk.api).await;
    // It was signed by nobody whom this machine knows.
    assert_eq!(desk.tick().await, 1);
    let shown = desk.callback(&job).await;
    assert_eq!(shown["state"], "waiting");
    let error = shown["attempts"][0]["error"].as_str().unwrap();
    assert!(
        error.starts_with("Its certificate is not trusted: "),
        "{error}"
    );
    assert!(shown["attempts"][0].get("status").is_none());
    assert!(
        secure.receiver.told().is_empty(),
        "nor was it told anything"
    );

    let roots = Roots::load(&secure.file()).unwrap();
    desk.caller = Caller::trusting(Allow::this_machine(), &roots).unwrap();
    desk.api.clock.advance(time::Duration::MINUTE);
    assert_eq!(desk.tick().await, 1);
    let shown = desk.callback(&job).await;
    assert_eq!(shown["state"], "delivered", "{shown}");
    let told = secure.receiver.told();
    let secret = desk.see("/v1/callbacks/secret").await;
    verify(secret["secret"].as_str().unwrap(), &told[0]);
    assert_eq!(told[0].0["authorization"], "Bearer t0ken");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_is_said_in_words() {
    let good = Certificate::new();
    let secure = Secure::start(&good).await;
    assert_eq!(secure.called(&good).await, Ok(200));
    let stranger = Certificate::with(|params| {
        params
            .distinguished_name
            .push(DnType::CommonName, "another authority");
    });
    assert_eq!(secure.called(&stranger).await, Err(Failed::Untrusted));
    // Nor is somebody believed who only has the name of an authority.
    let namesake = secure.called(&Certificate::new()).await;
    assert_eq!(namesake, Err(Failed::BadCertificate));

    let old = Certificate::with(|params| {
        params.not_before = datetime!(2020-01-01 0:00 UTC);
        params.not_after = datetime!(2021-01-01 0:00 UTC);
    });
    let secure = Secure::start(&old).await;
    assert_eq!(secure.called(&old).await, Err(Failed::Expired));
    let early = Certificate::with(|params| params.not_before = datetime!(2200-01-01 0:00 UTC));
    let secure = Secure::start(&early).await;
    assert_eq!(secure.called(&early).await, Err(Failed::BadCertificate));
    let other = Certificate::of(&["hooks.example"]);
    let secure = Secure::start(&other).await;
    assert_eq!(secure.called(&other).await, Err(Failed::OtherName));

    // One that speaks plain HTTP on the port.
    let plain = Receiver::start().await;
    let url = plain.url().replace("http:", "https:");
    let caller = Caller::new(Allow::this_machine()).unwrap();
    let answer = caller.post(&url, HeaderMap::new(), "{}".into()).await;
    assert_eq!(answer, Err(Failed::NoTls));
    assert!(plain.told().is_empty());
    for failed in [
        Failed::Untrusted,
        Failed::Expired,
        Failed::OtherName,
        Failed::BadCertificate,
        Failed::NoTls,
    ] {
        let words = failed.to_string();
        assert!(words.starts_with("It") && words.ends_with('.'), "{words}");
    }
}

/// The program itself, with the setting, and jobs that really run.
#[tokio::test]
async fn an_installation_trusts_the_authorities_that_its_operator_names() {
    let certificate = Certificate::new();
    let secure = Secure::start(&certificate).await;
    let file = secure.file().display().to_string();
    let grid = Grid::with(&["--host-slots", "2", "--ca-certificates", &file]);
    let ada = grid.sign_up("ada@example.org").await;
    let secret = ada.see("/v1/callbacks/secret").await;
    let secret = secret["secret"].as_str().unwrap();
    let callback = json!({ "callback_url": secure.receiver.url() });
    let done = ada.submit(and(script("exit 3"), callback.clone())).await;
    let stopped = ada.submit(and(script("sleep 300"), callback)).await;
    eventually("a job that runs", async || {
        let job = ada.see(&format!("/v1/jobs/{stopped}")).await;
        (job["status"] == "running").then_some(())
    })
    .await;
    let cancel = format!("/v1/jobs/{stopped}/cancel");
    assert_eq!(ada.post(&cancel, json!({})).await.status, 200);
    for (job, kind) in [(done, "job.failed"), (stopped, "job.cancelled")] {
        eventually("its callback", async || {
            let shown = ada.see(&format!("/v1/jobs/{job}/callback")).await;
            (shown["state"] == "delivered").then_some(())
        })
        .await;
        let told = secure.receiver.told();
        let told = told.iter().find(|one| one.1.contains(&job)).unwrap();
        verify(secret, told);
        let body: Value = serde_json::from_str(&told.1).unwrap();
        assert_eq!(body["type"], kind, "{body}");
        assert!(body["started_at"].is_string(), "{body}");
    }
}

#[test]
fn a_file_that_holds_no_authorities_is_found_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let gone = dir.path().join("gone.pem").display().to_string();
    let nothing = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (file, said) in [
        (gone, "cannot read the authorities"),
        (put("empty.pem", ""), "holds no certificate"),
        (put("key.pem", &certificate.key), "holds no certificate"),
        (put("torn.pem", nothing), "cannot prepare"),
    ] {
        let program = Command::new(env!("CARGO_BIN_EXE_junglegrid"))
            .env_clear()
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(dir.path().join("data"))
            .args(["--ca-certificates", &file])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let heard = String::from_utf8(program.stderr).unwrap();
        assert!(!program.status.success(), "{file}");
        assert!(heard.contains(said), "{said}: {heard}");
    }
}
