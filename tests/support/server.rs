//! The program itself as a process of its own, and plain HTTP/1.1 to speak to it:
//! for tests that need what really crosses the wire.
#[path = "openapi.rs"]
pub(crate) mod openapi;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// However loaded the machine is.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);
/// Of everybody who signs up here.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A server with a data directory of its own; both go when the test ends.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    arguments: Vec<String>,
    data: TempDir,
}

impl Server {
    /// On any free port, with more command line `arguments`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let data = TempDir::new().unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&text| text.to_owned()).collect();
        let (child, address) = spawn("127.0.0.1:0", data.path(), &arguments);
        Self {
            child,
            address,
            arguments,
            data,
        }
    }

    /// Kills the process without a word and starts it again on the same port and
    /// the same data. Jobs go on in between.
    pub(crate) fn restart(&mut self) {
        self.kill();
        let listen = self.address.to_string();
        let (child, address) = spawn(&listen, self.data.path(), &self.arguments);
        assert_eq!(address, self.address);
        self.child = child;
    }

    /// Kills the process without a word.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Where it keeps everything.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The newest code that was mailed to `email`, once it is in the outbox.
    pub(crate) fn code(&self, email: &str) -> String {
        let outbox = self.data.path().join("outbox");
        until("a mail with a code", || newest_code(&outbox, email))
    }

    /// One exchange on a connection of its own.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let length = body.len();
        let host = self.address;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Length: {length}\r\n{headers}\r\n{body}"
        )
        .unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let answer = Answer::parse(&bytes);
        // What is compressed is for tests of the wire.
        if answer.header("content-encoding").is_empty() {
            openapi::Seen {
                method,
                path,
                status: answer.status,
                kind: answer.header("content-type"),
                body: &answer.body,
            }
            .hold();
        }
        answer
    }

    /// Calls the API; what it answers, which must be a success.
    pub(crate) fn call(&self, method: &str, path: &str, token: &str, body: &Value) -> Value {
        let mut headers = String::from("Content-Type: application/json\r\n");
        if !token.is_empty() {
            headers.extend(["Authorization: Bearer ", token, "\r\n"]);
        }
        let body = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let answer = self.request(method, path, &headers, &body);
        let text = String::from_utf8_lossy(&answer.body);
        assert!(
            (200..300).contains(&answer.status),
            "{method} {path}: {} {text}",
            answer.status
        );
        serde_json::from_str(&text).unwrap()
    }

    /// A verified account with [`PASSWORD`]; its token.
    pub(crate) fn sign_up(&self, email: &str) -> String {
        let registration = json!({"email": email, "password": PASSWORD, "name": "Ada"});
        self.call("POST", "/auth/register", "", &registration);
        let verification = json!({"email": email, "code": self.code(email)});
        let signed_in = self.call("POST", "/auth/otp/verify", "", &verification);
        signed_in["token"].as_str().unwrap().to_owned()
    }

    /// Submits a shell script as a job; its id.
    pub(crate) fn run(&self, token: &str, name: &str, script: &str) -> String {
        let job = json!({
            "name": name, "workload_type": "batch", "image": "host",
            "command": ["sh", "-c", script], "timeout_seconds": 600,
        });
        let submitted = self.call("POST", "/v1/jobs", token, &job);
        submitted["job_id"].as_str().unwrap().to_owned()
    }

    /// The job, once it is as `wanted`.
    pub(crate) fn job(&self, token: &str, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until("the job to get on", || {
            let job = self.call("GET", &format!("/v1/jobs/{id}"), token, &Value::Null);
            wanted(&job).then_some(job)
        })
    }

    /// Launches an app; its session's id.
    pub(crate) fn launch(&self, token: &str, template: &str) -> String {
        let path = format!("/v1/templates/{template}/estimate");
        let estimate = self.call("POST", &path, token, &json!({ "max_hours": 1 }));
        let launch = json!({
            "template": template, "max_hours": 1,
            "acknowledged_estimate": estimate["estimate_id"],
        });
        let launched = self.call("POST", "/v1/app-sessions", token, &launch);
        launched["id"].as_str().unwrap().to_owned()
    }

    /// The session, once it has this status.
    pub(crate) fn session(&self, token: &str, id: &str, status: &str) -> Value {
        until(&format!("{status} of {id}"), || {
            let path = format!("/v1/app-sessions/{id}");
            let session = self.call("GET", &path, token, &Value::Null);
            let over = !session["end"].is_null() && session["status"] != status;
            assert!(!over, "it has ended instead: {session}");
            (session["status"] == status).then_some(session)
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        end_runs(self.data.path());
    }
}

/// The processes that work in `directory` or below: what watches the jobs.
pub(crate) fn shims(directory: &Path) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").unwrap();
    all.filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let at = std::fs::read_link(format!("/proc/{pid}/cwd")).ok()?;
        at.starts_with(directory).then_some(pid)
    })
    .collect()
}

/// Ends what a dead server left running: jobs outlive servers, but no job of a
/// test outlives the test.
pub(crate) fn end_runs(data: &Path) {
    for pid in shims(data) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
    }
}

/// Starts the program and waits until it says where it is.
fn spawn(listen: &str, data: &Path, arguments: &[String]) -> (Child, SocketAddr) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_junglegrid"))
        .args(["--listen", listen, "--data"])
        .arg(data)
        .args(arguments)
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let log = child.stderr.take().unwrap();
    let (ready, told) = mpsc::channel();
    // Read to the end, or the server would stop at a full pipe.
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            if let Some((_, address)) = line.split_once("Jungle Grid is ready at http://") {
                let _ = ready.send(address.trim().parse::<SocketAddr>());
            } else if line.contains("ERROR") || line.contains("panicked") {
                eprintln!("server: {line}");
            }
        }
    });
    let address = told.recv_timeout(DEADLINE).expect("the server is ready");
    (child, address.unwrap())
}

fn newest_code(outbox: &Path, email: &str) -> Option<String> {
    let mut paths: Vec<_> = std::fs::read_dir(outbox)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    paths.iter().rev().find_map(|path| {
        let mail = std::fs::read_to_string(path).ok()?;
        let is_code = |line: &&str| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit());
        let code = mail.lines().find(is_code)?.to_owned();
        mail.contains(email).then_some(code)
    })
}

/// Asks again and again until there is something.
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// What came back, its body as it was sent, still compressed.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// By their names in lower case; of several the last.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.expect("an answer with a head");
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1));
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let mut body = bytes[end + 4..].to_vec();
        if headers
            .get("transfer-encoding")
            .is_some_and(|how| how == "chunked")
        {
            body = unchunked(&body);
        }
        Self {
            status: status.unwrap().parse().unwrap(),
            headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
        let length = std::str::from_utf8(&rest[..end]).unwrap();
        let length = usize::from_str_radix(length, 16).unwrap();
        if length == 0 {
            return whole;
        }
        whole.extend_from_slice(&rest[end + 2..end + 2 + length]);
        rest = &rest[end + 2 + length + 2..];
    }
}
