//! The real binary on a port and in a directory of its own, spoken to over TCP.
use crate::certificates::Certificate;
use crate::harness::{Answer, PASSWORD};
use futures_util::StreamExt as _;
use http::Method;
use junglegrid::egress::roots::Roots;
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

/// However loaded the machine is, nothing takes longer; a test that waits so
/// long has failed.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// What a workspace starts with, in micro-dollars.
pub(crate) const WELCOME: i64 = 5_000_000;

/// What a script says that is to wait for [`Grid::let_go`].
pub(crate) const WAIT: &str = "until [ -e go ]; do sleep 0.05; done";

/// Between two looks at something that is waited for.
const LOOK: Duration = Duration::from_millis(15);

/// One installation. It can be killed and started again; its port changes then.
pub(crate) struct Grid {
    dir: tempfile::TempDir,
    flags: Vec<String>,
    http: reqwest::Client,
    server: Mutex<Option<Server>>,
}

struct Server {
    child: Child,
    url: String,
    /// All that it has said.
    said: Arc<Mutex<String>>,
    /// Listens to it until its end.
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let said = self.said.lock().unwrap();
            let lines: Vec<&str> = said.lines().collect();
            let last = &lines[lines.len().saturating_sub(40)..];
            eprintln!("the server's last words:\n{}", last.join("\n"));
        }
    }
}

impl Grid {
    /// With two slots.
    pub(crate) fn start() -> Self {
        Self::with(&["--host-slots", "2"])
    }

    /// With these flags.
    pub(crate) fn with(flags: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), flags)
    }

    /// In a folder whose `data` may hold something already.
    pub(crate) fn start_in(dir: tempfile::TempDir, flags: &[&str]) -> Self {
        // It has no deadline of its own: those of the tests are longer.
        let http = junglegrid::egress::orchestrator(&Roots::default()).unwrap();
        Self::start_as(dir, flags, http)
    }

    /// With a certificate of its own, which the tests' client trusts.
    pub(crate) fn over_tls(flags: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let certificate = Certificate::new();
        certificate.store(dir.path());
        let file = |name: &str| dir.path().join(name).display().to_string();
        let (chain, key) = (file("certificate.pem"), file("key.pem"));
        let tls = ["--tls-certificate", &chain, "--tls-key", &key];
        let flags: Vec<&str> = tls.into_iter().chain(flags.iter().copied()).collect();
        Self::start_as(dir, &flags, certificate.client())
    }

    fn start_as(dir: tempfile::TempDir, flags: &[&str], http: reqwest::Client) -> Self {
        let grid = Self {
            dir,
            flags: flags.iter().map(ToString::to_string).collect(),
            http,
            server: Mutex::default(),
        };
        grid.run();
        grid
    }

    /// Starts the server, and returns when it says that it is ready.
    pub(crate) fn run(&self) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_junglegrid"))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(self.data())
            .args(&self.flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = Arc::new(Mutex::new(String::new()));
        let (ready, is_ready) = mpsc::channel();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let heard = Arc::clone(&said);
        // Ends with the server. It must be read on, or the server would stand still.
        let reader = std::thread::spawn(move || {
            for line in errors.lines().map_while(Result::ok) {
                if let Some((_, url)) = line.split_once("is ready at ") {
                    let _ = ready.send(url.trim().to_owned());
                }
                let mut heard = heard.lock().unwrap();
                heard.push_str(&line);
                heard.push('\n');
            }
        });
        let url = is_ready.recv_timeout(DEADLINE);
        let mut server = Server {
            child,
            url: String::new(),
            said,
            reader: Some(reader),
        };
        server.url = url.expect("the server is ready in time");
        *self.server.lock().unwrap() = Some(server);
    }

    /// Kills the server without a warning. Its jobs go on.
    pub(crate) fn kill(&self) {
        drop(self.server.lock().unwrap().take());
    }

    /// Asks the server to stop, and waits until it has; all that it has said.
    pub(crate) fn stop(&self) -> String {
        let mut server = self.server.lock().unwrap().take().unwrap();
        let pid = i32::try_from(server.child.id()).unwrap();
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(pid),
            nix::sys::signal::Signal::SIGTERM,
        )
        .unwrap();
        let ended = server.child.wait().unwrap();
        assert!(ended.success(), "{ended}");
        server.reader.take().unwrap().join().unwrap();
        server.said.lock().unwrap().clone()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Lets a job go on whose script is at [`WAIT`].
    pub(crate) fn let_go(&self, job: &str) {
        let run = self.data().join("runs").join(job).join("1");
        std::fs::write(run.join("workspace/go"), "").unwrap();
    }

    /// The folder that its data directory is in.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `http://127.0.0.1:1234`; nothing while it is down.
    pub(crate) fn url(&self) -> String {
        let server = self.server.lock().unwrap();
        server.as_ref().map_or("", |server| &server.url).to_owned()
    }

    /// `127.0.0.1:1234`; nothing while it is down.
    pub(crate) fn address(&self) -> String {
        let url = self.url();
        url.split_once("://")
            .map_or("", |(_, address)| address)
            .to_owned()
    }

    /// Sends the server a signal.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let server = self.server.lock().unwrap();
        let pid = i32::try_from(server.as_ref().unwrap().child.id()).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal).unwrap();
    }

    /// All that the server has said since it was started.
    pub(crate) fn said(&self) -> String {
        let server = self.server.lock().unwrap();
        let said = &server.as_ref().unwrap().said;
        said.lock().unwrap().clone()
    }

    /// A request to this server.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url()));
        request.timeout(DEADLINE)
    }

    /// Sends JSON, or nothing if it is `null`.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: &Value,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self
            .request(method.clone(), path)
            .header("content-type", "application/json");
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        answer((&method, path), request.send().await?).await
    }

    /// Somebody with a workspace and welcome credit.
    pub(crate) async fn sign_up(&self, email: &str) -> Person<'_> {
        let registration = json!({ "email": email, "password": PASSWORD });
        let path = "/auth/register";
        let registered = self.call(Method::POST, path, "", &registration).await;
        let registered = registered.unwrap();
        assert_eq!(registered.status, 201, "{:?}", registered.body);
        let code = eventually("a code in the outbox", async || {
            code_for(&self.data().join("outbox"), email)
        })
        .await;
        let proof = json!({ "email": email, "code": code });
        let path = "/auth/otp/verify";
        let verified = self.call(Method::POST, path, "", &proof).await.unwrap();
        assert_eq!(verified.status, 200, "{:?}", verified.body);
        Person {
            grid: self,
            token: verified.text("/token"),
        }
    }
}

impl Drop for Grid {
    /// No job of a test outlives it.
    fn drop(&mut self) {
        self.kill();
        crate::server::end_runs(self.dir.path());
    }
}

async fn answer(
    asked: (&Method, &str),
    response: reqwest::Response,
) -> Result<Answer, reqwest::Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await?;
    crate::harness::hold(asked, (status, &headers), &bytes);
    Ok(Answer {
        status,
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    })
}

/// The code in the mail to `email`.
fn code_for(outbox: &Path, email: &str) -> Option<String> {
    let mails = std::fs::read_dir(outbox).ok()?;
    mails
        .filter_map(|mail| std::fs::read_to_string(mail.ok()?.path()).ok())
        .filter(|mail| mail.contains(email))
        .find_map(|mail| {
            let code = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
            mail.lines().find(code).map(str::to_owned)
        })
}

/// Looks until there is something to see.
pub(crate) async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A batch job that runs this shell script on the machine's own system.
pub(crate) fn script(script: &str) -> Value {
    json!({
        "name": "a test", "workload_type": "batch", "image": "host",
        "command": ["/bin/sh", "-c", script], "timeout_seconds": 600,
    })
}

/// `value` with the fields of `more`.
pub(crate) fn and(mut value: Value, more: Value) -> Value {
    let Value::Object(more) = more else {
        panic!("not an object");
    };
    value.as_object_mut().unwrap().extend(more);
    value
}

/// Dollars as the wire has them, in micro-dollars.
#[expect(clippy::cast_possible_truncation, reason = "far below 2^52")]
pub(crate) fn micros(dollars: &Value) -> i64 {
    let dollars = dollars.as_f64();
    (dollars.expect("a number of dollars") * 1e6).round() as i64
}

/// A holder of a token.
#[derive(Clone)]
pub(crate) struct Person<'g> {
    pub(crate) grid: &'g Grid,
    pub(crate) token: String,
}

impl Person<'_> {
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let answer = self.grid.call(method, path, &self.token, &body).await;
        answer.unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, body).await
    }

    /// What a GET brings; it must succeed.
    pub(crate) async fn see(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Submits a job; its id.
    pub(crate) async fn submit(&self, job: Value) -> String {
        let answer = self.post("/v1/jobs", job).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.text("/job_id")
    }

    pub(crate) async fn job(&self, id: &str) -> Value {
        self.see(&format!("/v1/jobs/{id}")).await
    }

    /// Waits until the job is as wanted. Every look is also a look at the money.
    pub(crate) async fn until(&self, id: &str, what: &str, seen: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("{what} of {id}"), async || {
            let job = self.job(id).await;
            self.wallet().await;
            seen(&job).then_some(job)
        })
        .await
    }

    pub(crate) async fn running(&self, id: &str) -> Value {
        self.until(id, "the start", |job| job["status"] == "running")
            .await
    }

    pub(crate) async fn ended(&self, id: &str) -> Value {
        self.until(id, "the end", |job| !job["completed_at"].is_null())
            .await
    }

    /// Available, held, spent. Together they are always the welcome credit.
    pub(crate) async fn wallet(&self) -> (i64, i64, i64) {
        let balance = self.see("/v1/billing/balance").await;
        let [available, held, spent] =
            ["available_usd", "held_usd", "spent_usd"].map(|field| micros(&balance[field]));
        assert_eq!(available + held + spent, WELCOME, "{balance}");
        assert!(available >= 0 && held >= 0 && spent >= 0, "{balance}");
        (available, held, spent)
    }

    /// Everything that a job printed, read page by page.
    pub(crate) async fn lines(&self, id: &str, page: usize) -> Vec<Value> {
        let mut lines = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("/v1/jobs/{id}/logs?limit={page}&cursor={cursor}");
            let mut found = self.see(&path).await;
            let Value::Array(items) = found["items"].take() else {
                panic!("no items: {found}");
            };
            assert!(items.len() <= page, "{} lines", items.len());
            lines.extend(items);
            found["next_cursor"]
                .as_str()
                .expect("a cursor, always")
                .clone_into(&mut cursor);
            if found["has_more"] == false {
                return lines;
            }
        }
    }

    /// A job's events; numbered from 1 without gaps, under ids of their own.
    pub(crate) async fn events(&self, id: &str) -> Vec<Value> {
        let mut found = self.see(&format!("/v1/jobs/{id}/events")).await;
        let Value::Array(items) = found["items"].take() else {
            panic!("no items: {found}");
        };
        for (event, sequence) in items.iter().zip(1..) {
            assert_eq!(event["sequence"], json!(sequence));
            assert_eq!(event["id"], json!(format!("{id}:{sequence}")));
            for field in ["title", "message", "created_at", "type"] {
                let text = event[field].as_str();
                assert!(
                    text.is_some_and(|text| !text.is_empty()),
                    "{field}: {event}"
                );
            }
        }
        items
    }

    /// Follows a job's output from after `last`.
    pub(crate) async fn follow(&self, id: &str, last: Option<i64>) -> Followed {
        let path = format!("/v1/jobs/{id}/logs/live");
        let request = self.grid.request(Method::GET, &path);
        let mut request = request
            .bearer_auth(&self.token)
            .header("accept", "text/event-stream")
            // Each message has a deadline of its own.
            .timeout(DEADLINE * 60);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        Followed {
            chunks: response.bytes_stream().boxed(),
            text: String::new(),
        }
    }
}

/// A stream of server-sent events.
pub(crate) struct Followed {
    chunks: futures_util::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
}

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Said {
    pub(crate) event: String,
    pub(crate) id: Option<i64>,
    pub(crate) data: Value,
}

impl Followed {
    /// The next message; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        loop {
            while let Some((message, rest)) = self.text.split_once("\n\n") {
                let said = read(message);
                let rest = rest.to_owned();
                self.text = rest;
                if let Some(said) = said {
                    return Some(said);
                }
            }
            let chunk = tokio::time::timeout(DEADLINE, self.chunks.next()).await;
            let chunk = chunk.expect("the stream goes on").transpose();
            let chunk = chunk.expect("the stream is not cut")?;
            // Every event here is ASCII.
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// Everything until the end.
    pub(crate) async fn rest(mut self) -> Vec<Said> {
        let mut all = Vec::new();
        while let Some(said) = self.next().await {
            all.push(said);
        }
        all
    }
}

/// A message, unless it is only a sign of life.
fn read(message: &str) -> Option<Said> {
    let field = |name: &str| {
        let mut values = message.lines().filter_map(|line| line.strip_prefix(name));
        values.next().map(str::trim)
    };
    let data = field("data:")?;
    Some(Said {
        event: field("event:").unwrap_or_default().to_owned(),
        id: field("id:").map(|id| id.parse().unwrap()),
        data: serde_json::from_str(data).unwrap(),
    })
}

/// The ids of live processes whose command line contains `word`, with it.
pub(crate) fn processes(word: &str) -> Vec<(u32, String)> {
    let all = std::fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        (pid != std::process::id() && line.contains(word)).then_some((pid, line))
    })
    .collect()
}
