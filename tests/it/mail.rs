//! Sending mails: into the outbox, and by SMTP to a server that misbehaves.
use crate::harness::TestApi;
use junglegrid::egress::mail::Postbox;
use junglegrid::orchestrator::workers::mail;
use serde_json::json;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::{Arc, Mutex};
use time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

const FROM: &str = "Jungle Grid <grid@jungle.example>";

/// What the server says to the next mails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Accept,
    /// Refuses the recipient for now.
    Busy,
    /// Refuses the recipient for good.
    NoSuchUser,
    /// Hangs up in the middle of the mail.
    HangUp,
}

/// A mail server that speaks as much SMTP (RFC 5321) as it takes.
#[derive(Debug, Clone)]
struct Server {
    url: String,
    mode: Arc<Mutex<Mode>>,
    /// The mails that were accepted, as they arrived.
    mails: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            url: format!("smtp://{}", listener.local_addr().unwrap()),
            mode: Arc::new(Mutex::new(Mode::Accept)),
            mails: Arc::default(),
        };
        let accepting = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = accepting.clone();
                tokio::spawn(async move { server.converse(stream).await });
            }
        });
        server
    }

    fn now(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn received(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }

    async fn converse(&self, stream: TcpStream) -> Option<()> {
        let (reader, mut writer) = stream.into_split();
        let mut lines = BufReader::new(reader).lines();
        writer.write_all(b"220 mail.example ESMTP\r\n").await.ok()?;
        while let Some(line) = lines.next_line().await.ok()? {
            let mode = *self.mode.lock().unwrap();
            let verb = line.split([' ', ':']).next()?.to_uppercase();
            let reply = match (verb.as_str(), mode) {
                ("EHLO", _) => "250-mail.example\r\n250 8BITMIME",
                ("RCPT", Mode::Busy) => "451 4.3.0 try later",
                ("RCPT", Mode::NoSuchUser) => "550 5.1.1 no such user",
                ("DATA", _) => {
                    writer.write_all(b"354 go on\r\n").await.ok()?;
                    if mode == Mode::HangUp {
                        return None;
                    }
                    let mut mail = String::new();
                    while let Some(line) = lines.next_line().await.ok()? {
                        if line == "." {
                            break;
                        }
                        mail.push_str(&line);
                        mail.push('\n');
                    }
                    self.mails.lock().unwrap().push(mail);
                    "250 2.0.0 taken"
                }
                ("QUIT", _) => return writer.write_all(b"221 bye\r\n").await.ok(),
                _ => "250 ok",
            };
            writer
                .write_all(format!("{reply}\r\n").as_bytes())
                .await
                .ok()?;
        }
        None
    }
}

async fn register(api: &TestApi, email: &str) {
    let body = json!({"email": email, "password": "correct horse battery staple"});
    assert_eq!(api.post("/auth/register", body).await.status, 201);
}

#[tokio::test]
async fn a_mail_arrives_by_smtp_once() {
    let api = TestApi::with(|config| config.smtp = true).await;
    let server = Server::start().await;
    let postbox = Postbox::smtp(&server.url, FROM).unwrap();
    register(&api, "ada@example.org").await;
    let code = api.code("ada@example.org").await;
    assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 1);
    assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 0);
    let [mail] = &server.received()[..] else {
        panic!("{:?}", server.received());
    };
    for header in [
        "From: \"Jungle Grid\" <grid@jungle.example>",
        "To: ada@example.org",
        "Subject: Your code for Jungle Grid",
        "Date: Mon, 23 Nov 2026 12:00:00 +0000",
        "Auto-Submitted: auto-generated",
        "Content-Type: text/plain; charset=utf-8",
    ] {
        assert!(
            mail.lines().any(|line| line == header),
            "{header} is not in\n{mail}"
        );
    }
    let message_id = mail.lines().find(|line| line.starts_with("Message-ID: "));
    assert!(message_id.unwrap().ends_with("@jungle.example>"));
    assert!(mail.lines().any(|line| line == code), "{mail}");
    let queued = &api.mails().await[0];
    assert_eq!((&*queued.state, &*queued.body), ("sent", ""));
}

#[tokio::test]
async fn two_workers_send_a_mail_once() {
    let api = TestApi::start().await;
    let server = Server::start().await;
    let postbox = Postbox::smtp(&server.url, FROM).unwrap();
    for n in 0..5 {
        register(&api, &format!("p{n}@example.org")).await;
    }
    let ticks = (0..3).map(|_| mail::tick(&api.state, &postbox));
    let sent = futures_util::future::try_join_all(ticks).await.unwrap();
    assert_eq!(sent.iter().sum::<usize>(), 5);
    assert_eq!(server.received().len(), 5);
}

#[tokio::test]
async fn a_busy_server_is_asked_again_after_one_five_and_fifteen_minutes() {
    let api = TestApi::start().await;
    let server = Server::start().await;
    let postbox = Postbox::smtp(&server.url, FROM).unwrap();
    // A mail that is worth sending for a day.
    api.sign_up("ada@example.org").await;
    mail::tick(&api.state, &postbox).await.unwrap();
    let before = server.received().len();
    api.clock.advance(Duration::MINUTE);
    register(&api, "ada@example.org").await;
    for (mode, pause) in [(Mode::Busy, 1), (Mode::HangUp, 5), (Mode::Busy, 15)] {
        server.now(mode);
        assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 0);
        let last = api.mails().await.pop().unwrap();
        assert_eq!(last.state, "waiting", "{last:?}");
        assert!(last.error.is_some());
        // Not a moment earlier.
        server.now(Mode::Accept);
        api.clock
            .advance(Duration::minutes(pause) - Duration::SECOND);
        assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 0);
        api.clock.advance(Duration::SECOND);
    }
    assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 1);
    assert_eq!(server.received().len(), before + 1);
}

#[tokio::test]
async fn a_mail_is_given_up_and_emptied_when_there_is_no_hope() {
    let api = TestApi::start().await;
    let server = Server::start().await;
    let postbox = Postbox::smtp(&server.url, FROM).unwrap();
    server.now(Mode::NoSuchUser);
    register(&api, "ada@example.org").await;
    assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 0);
    let mails = api.mails().await;
    assert_eq!((&*mails[0].state, &*mails[0].body), ("failed", ""));
    assert!(
        mails[0].error.as_ref().unwrap().contains("no such user"),
        "{mails:?}"
    );

    // A code is not mailed after it has expired.
    server.now(Mode::Busy);
    api.clock.advance(Duration::SECOND);
    register(&api, "eve@example.org").await;
    for minutes in [1, 5, 15] {
        assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 0);
        api.clock.advance(Duration::minutes(minutes));
    }
    let last = api.mails().await.pop().unwrap();
    assert_eq!((&*last.state, &*last.body), ("failed", ""));
    assert!(
        last.error.unwrap().contains("try later"),
        "the server's words"
    );
    server.now(Mode::Accept);
    assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 0);
    assert_eq!(server.received().len(), 0);
}

#[tokio::test]
async fn nobody_listening_is_a_reason_to_try_later() {
    let api = TestApi::start().await;
    let nobody = crate::harness::Nobody::new();
    let postbox = Postbox::smtp(&format!("smtp://{}", nobody.address), FROM).unwrap();
    register(&api, "ada@example.org").await;
    assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 0);
    assert_eq!(api.mails().await[0].state, "waiting");
}

#[tokio::test]
async fn without_a_server_mails_are_files_for_the_owner_alone() {
    let api = TestApi::start().await;
    let outbox = api.dir.path().join("outbox");
    let postbox = Postbox::outbox(&outbox, FROM).unwrap();
    register(&api, "ada@example.org").await;
    let code = api.code("ada@example.org").await;
    assert_eq!(mail::tick(&api.state, &postbox).await.unwrap(), 1);
    let files: Vec<_> = std::fs::read_dir(&outbox).unwrap().flatten().collect();
    let [file] = &files[..] else {
        panic!("{files:?}")
    };
    let name = file.file_name().into_string().unwrap();
    assert!(name.starts_with("20261123T120000Z-mail_"), "{name}");
    assert!(file.path().extension().is_some_and(|end| end == "eml"));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(file.path()).unwrap();
    assert!(text.lines().any(|line| line == code), "{text}");
    assert_eq!(api.mails().await[0].body, "");
}

#[tokio::test]
async fn the_worker_sends_what_is_queued_and_stops() {
    let api = TestApi::start().await;
    let server = Server::start().await;
    let postbox = Postbox::smtp(&server.url, FROM).unwrap();
    let worker = tokio::spawn(mail::run(api.state.clone(), postbox));
    register(&api, "ada@example.org").await;
    while server.received().is_empty() {
        tokio::task::yield_now().await;
    }
    api.state.shutdown().cancel();
    worker.await.unwrap();
}
