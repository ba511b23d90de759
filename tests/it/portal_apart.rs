//! The portal as a process of its own, for an orchestrator that is another: what holds
//! in one process holds across the wire between them, and nothing is gathered on the way.
use crate::server::{PASSWORD, Server, until};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

const EMAIL: &str = "ada@example.org";
const MB: usize = 1_000_000;
/// Of the file that goes to and fro.
const SIZE: usize = 96 * MB;
/// A process may grow by so much while that file passes it.
const GROWTH: u64 = 32 * 1_024;
const BOUNDARY: &str = "----a-boundary";

struct Apart {
    orchestrator: Server,
    portal: Server,
    token: String,
    cookie: String,
}

/// What came back, its body not read yet.
struct Reply {
    status: u16,
    head: String,
    begun: Vec<u8>,
    stream: TcpStream,
}

impl Reply {
    fn to(mut stream: TcpStream) -> Self {
        stream
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        let mut begun = Vec::new();
        let mut piece = [0; 4_096];
        loop {
            if let Some(end) = begun.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = String::from_utf8(begun[..end].to_vec()).unwrap();
                let status = head.split(' ').nth(1).unwrap().parse().unwrap();
                let begun = begun.split_off(end + 4);
                return Self {
                    status,
                    head,
                    begun,
                    stream,
                };
            }
            let read = stream.read(&mut piece).unwrap();
            assert!(read > 0, "no answer: {}", String::from_utf8_lossy(&begun));
            begun.extend_from_slice(&piece[..read]);
        }
    }

    /// All that this header says, one line after the other.
    fn header(&self, name: &str) -> String {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let lines = lines.filter(|(known, _)| known.eq_ignore_ascii_case(name));
        lines.map(|(_, value)| value).collect::<Vec<_>>().join("\n")
    }

    fn body(mut self) -> Vec<u8> {
        self.stream.read_to_end(&mut self.begun).unwrap();
        self.begun
    }

    /// How many bytes the body has, none of which is kept.
    fn length(mut self) -> usize {
        let mut piece = vec![0; 256 * 1024];
        let mut length = self.begun.len();
        loop {
            match self.stream.read(&mut piece).unwrap() {
                0 => return length,
                read => length += read,
            }
        }
    }
}

impl Apart {
    fn start() -> Self {
        let orchestrator = Server::start(&[
            "--no-portal",
            "--host-slots",
            "2",
            "--file-mb",
            "200",
            "--storage-mb",
            "240",
        ]);
        let token = orchestrator.sign_up(EMAIL);
        let portal = Server::start(&["--orchestrator", &orchestrator.url("")]);
        Self {
            orchestrator,
            portal,
            token,
            cookie: String::new(),
        }
    }

    fn open(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.portal.address).unwrap();
        let address = self.portal.address;
        let (line, rest) = head.split_once('\n').unwrap_or((head, ""));
        let rest = rest.replace('\n', "\r\n");
        let cookie = &self.cookie;
        write!(stream, "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nCookie: {cookie}\r\n{rest}\r\n").unwrap();
        stream
    }

    fn get(&self, head: &str) -> Reply {
        Reply::to(self.open(&format!("GET {head}\n")))
    }

    /// As a form of `origin` would send it.
    fn post(&self, path: &str, body: &str, origin: &str) -> Reply {
        let mut head = format!("POST {path}\nContent-Type: application/x-www-form-urlencoded\n");
        let _ = writeln!(head, "Content-Length: {}", body.len());
        if !origin.is_empty() {
            let _ = writeln!(head, "Origin: {origin}");
        }
        let mut stream = self.open(&head);
        stream.write_all(body.as_bytes()).unwrap();
        Reply::to(stream)
    }

    fn own(&self) -> String {
        self.portal.url("")
    }

    fn api(&self, method: &str, path: &str, body: &Value) -> Value {
        self.orchestrator.call(method, path, &self.token, body)
    }

    /// Both processes' memory, as it may become.
    fn memory(&self) -> [Memory; 2] {
        [&self.portal, &self.orchestrator].map(|server| Memory::of(server.id()))
    }
}

struct Memory {
    process: u32,
    /// In KiB.
    before: u64,
}

impl Memory {
    fn of(process: u32) -> Self {
        // From here on the highest counts anew.
        std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
        let before = status(process, "VmRSS:");
        Self { process, before }
    }

    fn hold(&self, what: &str) {
        let grown = status(self.process, "VmHWM:").saturating_sub(self.before);
        assert!(grown < GROWTH, "{what}: {grown} KiB more");
    }
}

fn hold(both: &[Memory; 2], what: &str) {
    for memory in both {
        memory.hold(what);
    }
}

fn status(process: u32, field: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// How much of a file that is coming the orchestrator has written.
fn arrived(orchestrator: &Server) -> usize {
    let incoming = orchestrator.data().join("inputs/incoming");
    let files = std::fs::read_dir(incoming).unwrap();
    let sizes = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
    usize::try_from(sizes.sum::<u64>()).unwrap()
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[test]
fn files_pass_through_both_and_stay_in_neither() {
    let mut apart = Apart::start();
    // Nobody is signed in, and the way to sign in is the portal's.
    let out = apart.get("/portal/artifacts");
    assert_eq!(
        (out.status, out.header("location").as_str()),
        (303, "/login?next=%2Fportal%2Fartifacts")
    );
    let password = PASSWORD.replace(' ', "+");
    let form = format!("email={EMAIL}&password={password}");
    for foreign in ["", "http://elsewhere.example", &apart.orchestrator.url("")] {
        assert_eq!(
            apart.post("/login", &form, foreign).status,
            403,
            "{foreign}"
        );
    }
    let wrong = apart.post(
        "/login",
        &format!("email={EMAIL}&password=wrong+wrong+wrong"),
        &apart.own(),
    );
    assert_eq!(wrong.status, 422);
    let signed_in = apart.post("/login", &form, &apart.own());
    assert_eq!(signed_in.status, 303, "{}", signed_in.head);
    let cookies = signed_in.header("set-cookie");
    let cookie = cookies
        .lines()
        .find(|line| line.contains("jg_session=jgs_"))
        .unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    cookie
        .split(';')
        .next()
        .unwrap()
        .clone_into(&mut apart.cookie);

    // In pieces: the first is on the orchestrator's disk before the last is sent.
    let before = format!(
        "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"upload_input\"; filename=\"large.bin\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    );
    let after = format!("\r\n--{BOUNDARY}--\r\n");
    let head = |origin: &str| {
        format!(
            "POST /portal/inputs\nContent-Type: multipart/form-data; boundary={BOUNDARY}\nContent-Length: {}\nOrigin: {origin}\n",
            before.len() + SIZE + after.len()
        )
    };
    assert_eq!(
        Reply::to(apart.open(&head("http://elsewhere.example"))).status,
        403
    );
    let piece: Vec<u8> = (0..=250_u8).cycle().take(MB).collect();
    let upload = || {
        let mut stream = apart.open(&head(&apart.own()));
        stream.write_all(before.as_bytes()).unwrap();
        for n in 0..SIZE / MB {
            if n == 8 {
                until("the first bytes", || {
                    (arrived(&apart.orchestrator) >= 4 * MB).then_some(())
                });
            }
            stream.write_all(&piece).unwrap();
        }
        stream.write_all(after.as_bytes()).unwrap();
        Reply::to(stream)
    };
    let memory = apart.memory();
    let uploaded = upload();
    assert_eq!(
        (uploaded.status, uploaded.header("location").as_str()),
        (303, "/portal/inputs")
    );
    hold(&memory, "an upload");
    let list = apart.get("/portal/inputs\nAccept: application/json").body();
    let list: Value = serde_json::from_slice(&list).unwrap();
    let input = &list["inputs"][0];
    assert_eq!(
        (&input["size_bytes"], &input["ready"]),
        (&json!(SIZE), &json!(true)),
        "{list}"
    );

    let job = apart.api("POST", "/v1/jobs", &json!({
        "name": "far away", "workload_type": "batch", "image": "host", "memory_gb": 1,
        "command": "sh -c 'cp inputs/large.bin artifacts/copy.bin; echo a,b > artifacts/t.csv; echo 1,2 >> artifacts/t.csv'",
        "input_files": [input["id"]],
    }));
    let job = job["job_id"].as_str().unwrap();
    apart
        .orchestrator
        .job(&apart.token, job, |job| job["status"] == "completed");
    let left = apart.api("GET", &format!("/v1/jobs/{job}/artifacts"), &Value::Null);
    let id = |name: &str| {
        let mut all = left["artifacts"].as_array().unwrap().iter();
        all.find(|one| one["filename"] == name).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let (copy, table) = (id("copy.bin"), id("t.csv"));
    // There is no room for another, as is found out on the way.
    let refused = upload();
    assert_eq!(refused.status, 409, "{}", refused.head);
    let refused = String::from_utf8(refused.body()).unwrap();
    assert!(
        refused.contains("large.bin: There is room for 47.9 MB more"),
        "{refused}"
    );

    let shown = apart.get(&format!("/portal/artifacts/{table}"));
    assert_eq!(shown.status, 200);
    let shown = String::from_utf8(shown.body()).unwrap();
    assert!(
        shown.contains("far away") && shown.contains("<td>1</td>"),
        "{shown}"
    );
    let text = apart.get(&format!("/portal/artifacts/{table}/text"));
    assert_eq!(text.body(), b"a,b\n1,2\n");

    let memory = apart.memory();
    let all = apart.get(&format!("/portal/artifacts/{copy}/download"));
    assert_eq!(
        (all.status, all.header("content-length")),
        (200, SIZE.to_string())
    );
    assert!(
        all.header("content-disposition")
            .starts_with("attachment; filename=\"copy.bin\"")
    );
    let (tag, some) = (all.header("etag"), all.begun.len());
    assert!(some < SIZE, "the rest has not come yet");
    assert_eq!(all.length(), SIZE);
    hold(&memory, "a download");
    let part = apart.get(&format!(
        "/portal/artifacts/{copy}/download\nRange: bytes=1000000-1000004\nIf-Range: {tag}"
    ));
    assert_eq!(
        (part.status, part.header("content-range")),
        (206, format!("bytes 1000000-1000004/{SIZE}"))
    );
    assert_eq!(part.body(), &piece[..5], "each piece begins alike");
    let beyond = apart.get(&format!(
        "/portal/artifacts/{copy}/download\nRange: bytes={SIZE}-"
    ));
    assert_eq!(beyond.status, 416);
    let known = apart.get(&format!(
        "/portal/artifacts/{copy}/download\nIf-None-Match: {tag}"
    ));
    assert_eq!(known.status, 304);

    let link = apart.post(&format!("/portal/artifacts/{table}/link"), "", &apart.own());
    assert_eq!(link.status, 200);
    let link = String::from_utf8(link.body()).unwrap();
    let link = link
        .split("value=\"http://")
        .nth(1)
        .unwrap()
        .split('"')
        .next()
        .unwrap();
    let (address, path) = link.split_once('/').unwrap();
    assert_eq!(
        address.parse::<SocketAddr>().unwrap(),
        apart.orchestrator.address
    );
    let path = format!("/{}", path.replace("&amp;", "&"));
    assert_eq!(
        apart.orchestrator.request("GET", &path, "", "").body,
        b"a,b\n1,2\n"
    );

    let memory = apart.memory();
    let chosen = format!("id={copy}&id={table}");
    let made = apart.post("/portal/artifacts/zip", &chosen, &apart.own());
    assert_eq!(made.status, 303);
    let zip = apart.get(&made.header("location"));
    assert_eq!(
        (zip.status, zip.header("content-type").as_str()),
        (200, "application/zip")
    );
    let promised: usize = zip.header("content-length").parse().unwrap();
    assert!(promised > SIZE);
    assert_eq!(zip.length(), promised);
    hold(&memory, "an archive");

    for path in [
        format!("/portal/artifacts/{copy}/delete"),
        format!("/portal/inputs/{}/delete", input["id"].as_str().unwrap()),
    ] {
        assert_eq!(apart.post(&path, "", "").status, 403);
        assert_eq!(apart.get(&path).status, 200);
        let gone = apart.post(&path, "", &apart.own());
        assert_eq!(gone.status, 303, "{path}");
    }
    assert_eq!(
        apart
            .get(&format!("/portal/artifacts/{copy}/download"))
            .status,
        404
    );
    let used = apart.api("GET", "/v1/artifacts", &Value::Null);
    assert_eq!(used["used_bytes"], 8);
}

/// What was sent when the orchestrator went away is not there, and the form says so.
#[test]
fn an_orchestrator_that_goes_away_is_told_of() {
    let mut apart = Apart::start();
    apart.cookie = format!("__Host-jg_session={}", apart.token);
    let body = |data: &str| {
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"upload_input\"; filename=\"a.bin\"\r\n\r\n{data}\r\n--{BOUNDARY}--\r\n"
        )
    };
    let whole = body(&"x".repeat(8 * MB));
    let head = format!(
        "POST /portal/inputs\nContent-Type: multipart/form-data; boundary={BOUNDARY}\nContent-Length: {}\nOrigin: {}\n",
        whole.len(),
        apart.own()
    );
    let mut stream = apart.open(&head);
    stream.write_all(&whole.as_bytes()[..4 * MB]).unwrap();
    until("the first bytes", || {
        (arrived(&apart.orchestrator) >= MB).then_some(())
    });
    apart.orchestrator.restart();
    stream.write_all(&whole.as_bytes()[4 * MB..]).unwrap();
    let told = Reply::to(stream);
    assert_eq!(told.status, 502, "{}", told.head);
    let told = String::from_utf8(told.body()).unwrap();
    assert!(
        told.contains("a.bin: The job service stopped answering"),
        "{told}"
    );
    assert!(told.contains("Send it again"), "{told}");
    assert_eq!(arrived(&apart.orchestrator), 0);
    // The same pages work again, on the same session.
    let mut stream = apart.open(&head);
    stream.write_all(whole.as_bytes()).unwrap();
    assert_eq!(Reply::to(stream).status, 303);
}
