//! The apps that are part of this program, as their users find them: the real
//! binary on ports of its own.
use crate::grid::{DEADLINE, eventually};
use futures_util::{SinkExt as _, StreamExt as _};
use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest as _};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

struct App {
    child: Child,
    /// Addresses, in the order of its services.
    at: Vec<String>,
    folder: tempfile::TempDir,
    http: reqwest::Client,
}

impl App {
    fn start(words: &[&str], services: usize) -> Self {
        Self::run(
            Command::new(env!("CARGO_BIN_EXE_junglegrid")),
            words,
            services,
        )
    }

    fn run(program: Command, words: &[&str], services: usize) -> Self {
        Self::run_in(tempfile::tempdir().unwrap(), program, words, services)
    }

    fn run_in(
        folder: tempfile::TempDir,
        mut program: Command,
        words: &[&str],
        services: usize,
    ) -> Self {
        let mut child = program
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .arg("app")
            .args(words)
            .arg("--root")
            .arg(folder.path().join("root"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let at = lines
            .take(services)
            .map(|line| line.unwrap().replace("listening on ", ""))
            .collect();
        Self {
            child,
            at,
            folder,
            http: junglegrid::egress::http().unwrap(),
        }
    }

    fn files() -> Self {
        Self::start(&["files", "--port", "0"], 1)
    }

    fn console() -> Self {
        Self::start(&["console", "--port", "0", "--monitor-port", "0"], 2)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn ask(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}{path}", self.at[0]);
        self.http.request(method, url)
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.ask(Method::GET, path).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }

    /// As a form of its own pages would.
    async fn post(
        &self,
        path: &str,
        kind: &str,
        body: impl Into<reqwest::Body>,
    ) -> reqwest::Response {
        self.ask(Method::POST, path)
            .header("origin", format!("http://{}", self.at[0]))
            .header("content-type", kind)
            .body(body)
            .send()
            .await
            .unwrap()
    }

    async fn form(&self, path: &str, body: &'static str) -> StatusCode {
        self.post(path, "application/x-www-form-urlencoded", body)
            .await
            .status()
    }

    async fn upload(&self, path: &str, name: &str, content: &[u8]) -> StatusCode {
        let mut body = format!(
            "--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n"
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--b--\r\n");
        self.post(path, "multipart/form-data; boundary=b", body)
            .await
            .status()
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).unwrap();
        let pid = nix::unistd::Pid::from_raw(pid);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_file_comes_in_is_seen_and_goes_out_in_parts() {
    let app = App::files();
    assert_eq!(app.get("/healthz").await, (StatusCode::OK, "ok\n".into()));
    let (_, page) = app.get("/files/").await;
    assert!(page.contains("Nothing is here yet"), "{page}");

    assert_eq!(app.form("/folder/", "name=caf%C3%A9+%26+co").await, 303);
    let folder = "/caf%C3%A9%20%26%20co";
    let text = b"first line\n<script>alert(1)</script>\n";
    assert_eq!(
        app.upload(&format!("/upload{folder}"), "../../a.html", text)
            .await,
        303
    );
    assert_eq!(fs::read(app.root().join("café & co/a.html")).unwrap(), text);
    // The same name again writes nothing over.
    assert_eq!(
        app.upload(&format!("/upload{folder}"), "a.html", b"second")
            .await,
        303
    );
    assert_eq!(fs::read(app.root().join("café & co/a.html")).unwrap(), text);
    assert_eq!(
        fs::read(app.root().join("café & co/a (2).html")).unwrap(),
        b"second"
    );

    let (_, page) = app.get(&format!("/files{folder}")).await;
    assert!(
        page.contains("a.html") && page.contains("a (2).html"),
        "{page}"
    );
    let (_, page) = app.get(&format!("/files{folder}/a.html")).await;
    assert!(
        page.contains("first line") && !page.contains("<script>alert"),
        "{page}"
    );

    let path = format!("/raw{folder}/a.html");
    let whole = app.ask(Method::GET, &path).send().await.unwrap();
    let tag = whole.headers()["etag"].clone();
    // A page that somebody uploaded must not run here.
    let headers = whole.headers();
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert!(
        headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("sandbox")
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let part = app
        .ask(Method::GET, &path)
        .header("range", "bytes=6-9")
        .header("if-range", &tag);
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(
        part.headers()["content-range"],
        format!("bytes 6-9/{}", text.len())
    );
    assert_eq!(part.text().await.unwrap(), "line");
    let other = app
        .ask(Method::GET, &path)
        .header("range", "bytes=6-9")
        .header("if-range", "\"old\"");
    assert_eq!(other.send().await.unwrap().status(), 200);
    let beyond = app.ask(Method::GET, &path).header("range", "bytes=900-");
    assert_eq!(beyond.send().await.unwrap().status(), 416);

    let question = format!("/files{folder}?ask=delete&name=a.html");
    let (status, page) = app.get(&question).await;
    assert!(status == 200 && page.contains("Delete a.html?"), "{page}");
    assert!(
        app.root().join("café & co/a.html").exists(),
        "asking deletes nothing"
    );
    assert_eq!(
        app.form(&format!("/rename{folder}"), "name=a.html&to=a+(2).html")
            .await,
        409
    );
    assert_eq!(
        app.form(&format!("/rename{folder}"), "name=a.html&to=b.html")
            .await,
        303
    );
    assert_eq!(
        app.form("/delete/", "name=caf%25C3%25A9%2520%2526%2520co")
            .await,
        303
    );
    assert_eq!(fs::read_dir(app.root()).unwrap().count(), 0);
}

#[tokio::test]
async fn nothing_outside_the_root_is_seen_or_touched() {
    let app = App::files();
    let outside = app.folder.path().join("secret.txt");
    fs::write(&outside, "outside").unwrap();
    symlink(&outside, app.root().join("file")).unwrap();
    symlink(app.folder.path(), app.root().join("dir")).unwrap();
    // As bytes, because clients tidy paths up.
    for path in [
        "/files/../secret.txt",
        "/raw/../secret.txt",
        "/raw/%2e%2e/secret.txt",
        "/raw/..%2fsecret.txt",
        "/raw/%2e%2e%2fsecret.txt",
        "/raw/file",
        "/raw/dir/secret.txt",
        "/files/file",
        "/files/dir",
        "/files/dir/",
        "/raw//etc/passwd",
        "/raw/%00",
        "/files/?ask=delete&name=..",
        "/files/?ask=rename&name=%252e%252e%252fsecret.txt",
    ] {
        let answer = raw(&app.at[0], path).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(!answer.contains("outside"), "{path}");
    }
    for (path, body) in [
        ("/delete/", "name=.."),
        ("/delete/", "name=..%252fsecret.txt"),
        ("/delete/dir", "name=secret.txt"),
        ("/rename/dir", "name=secret.txt&to=x"),
        ("/rename/", "name=file&to=..%2Fx"),
        ("/folder/", "name=..%2Fmade"),
        ("/folder/dir", "name=made"),
    ] {
        let status = app.form(path, body).await;
        assert!(status.is_client_error(), "{path} {body}: {status}");
    }
    assert!(app.upload("/upload/dir", "x", b"x").await.is_client_error());
    // A link itself may go; what it names stays.
    assert_eq!(app.form("/delete/", "name=dir").await, 303);
    assert_eq!(app.form("/delete/", "name=file").await, 303);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "outside");
    let names: Vec<_> = fs::read_dir(app.folder.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

/// What the server says to a path that is sent as it is.
async fn raw(address: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(DEADLINE, read).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn other_sites_change_nothing() {
    let app = App::files();
    fs::write(app.root().join("kept"), "x").unwrap();
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "cross-site"),
        ("accept", "*/*"),
    ] {
        let sent = app
            .ask(Method::POST, "/delete/")
            .header(name, value)
            .header("content-type", "application/x-www-form-urlencoded")
            .body("name=kept");
        assert_eq!(sent.send().await.unwrap().status(), 403, "{name}: {value}");
    }
    assert!(app.root().join("kept").exists());
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing_behind() {
    use tokio::io::AsyncWriteExt as _;
    let app = App::files();
    let mut stream = TcpStream::connect(&app.at[0]).await.unwrap();
    let head = format!(
        "POST /upload/ HTTP/1.1\r\nhost: {0}\r\norigin: http://{0}\r\ncontent-length: 9999999\r\n\
         content-type: multipart/form-data; boundary=b\r\n\r\n\
         --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"half\"\r\n\r\n",
        app.at[0]
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 3_000_000]).await.unwrap();
    let root = app.root();
    let inside = || fs::read_dir(&root).unwrap().count();
    eventually("the beginning of the upload", async || {
        (inside() == 1).then_some(())
    })
    .await;
    let (_, page) = app.get("/files/").await;
    assert!(page.contains("Nothing is here yet"), "{page}");
    drop(stream);
    eventually("the end of it", async || (inside() == 0).then_some(())).await;
}

#[tokio::test]
async fn what_an_earlier_session_did_not_finish_is_tidied_up() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("root/a/b");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join(".junglegrid-upload-old"), "half").unwrap();
    fs::write(deep.join(".hidden"), "whole").unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_junglegrid"));
    let _app = App::run_in(folder, program, &["files", "--port", "0"], 1);
    eventually("a tidy folder", async || {
        (!deep.join(".junglegrid-upload-old").exists()).then_some(())
    })
    .await;
    assert!(deep.join(".hidden").exists());
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_in_words() {
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", "ulimit -f 1000 && exec \"$0\" \"$@\""]);
    limited.arg(env!("CARGO_BIN_EXE_junglegrid"));
    let app = App::run(limited, &["files", "--port", "0"], 1);
    let status = app
        .upload("/upload/", "large", &vec![b'x'; 3_000_000])
        .await;
    assert_eq!(status, 507);
    assert_eq!(fs::read_dir(app.root()).unwrap().count(), 0);
    assert_eq!(app.upload("/upload/", "small", b"x").await, 303);
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A browser at the console, and everything that it has seen.
struct Typist {
    socket: Socket,
    output: String,
    news: Vec<Value>,
}

impl Typist {
    async fn at(app: &App, shell: u64, said: usize) -> Self {
        let (address, origin) = (&app.at[0], format!("http://{}", app.at[0]));
        let socket = connect(address, &origin, shell, said).await.unwrap();
        Self {
            socket,
            output: String::new(),
            news: Vec::new(),
        }
    }

    async fn tell(&mut self, what: Value) {
        self.socket
            .send(Message::text(what.to_string()))
            .await
            .unwrap();
    }

    async fn until(&mut self, what: &str, seen: impl Fn(&Self) -> bool) {
        while !seen(self) {
            let next = tokio::time::timeout(DEADLINE, self.socket.next()).await;
            let next =
                next.unwrap_or_else(|_| panic!("waited in vain for {what}: {:?}", self.output));
            match next.expect("the connection stays").unwrap() {
                Message::Binary(bytes) => self.output += &String::from_utf8_lossy(&bytes),
                Message::Text(text) => self.news.push(serde_json::from_str(&text).unwrap()),
                _ => {}
            }
        }
    }

    async fn sees(&mut self, text: &str) {
        self.until(text, |typist| typist.output.contains(text))
            .await;
    }
}

async fn connect(address: &str, origin: &str, shell: u64, said: usize) -> Result<Socket, Error> {
    let url = format!("ws://{address}/socket?shell={shell}&said={said}");
    let mut request = url.into_client_request().unwrap();
    request
        .headers_mut()
        .insert("origin", origin.parse().unwrap());
    tokio_tungstenite::connect_async(request)
        .await
        .map(|(socket, _)| socket)
}

#[tokio::test]
async fn a_shell_answers_and_goes_on_while_nobody_looks() {
    let app = App::console();
    let mut first = Typist::at(&app, 0, 0).await;
    first
        .tell(json!({ "type": "echo $((6*7)); kept=still; pwd\n" }))
        .await;
    first.sees("42").await;
    first.sees("/root").await;
    assert_eq!(first.news[0]["shell"], 1);
    // Somebody else sees the same shell, from its beginning.
    let mut second = Typist::at(&app, 0, 0).await;
    second.sees("42").await;
    drop(first);
    second.tell(json!({ "type": "echo $kept here\n" })).await;
    second.sees("still here").await;
    // Who comes back gets only what is new.
    second.tell(json!({ "type": "echo one; echo two\n" })).await;
    second.sees("two\r\n").await;
    let seen = second.output.find("still here").unwrap();
    drop(second);
    let mut again = Typist::at(&app, 1, seen).await;
    again.sees("two\r\n").await;
    assert!(again.output.starts_with("still here"), "{:?}", again.output);

    // Ctrl-C ends what runs, not the shell.
    again
        .tell(json!({ "type": "echo begun; sleep 1000\n" }))
        .await;
    again.sees("begun\r\n").await;
    again.tell(json!("interrupt")).await;
    again.tell(json!({ "type": "echo a''live\n" })).await;
    again.sees("alive").await;
    again.tell(json!({ "type": "exit 3\n" })).await;
    again
        .until("the end", |typist| {
            typist.news.iter().any(|n| n["ended"] == 3)
        })
        .await;
    // It does not come back by itself, but when it is asked for.
    let mut late = Typist::at(&app, 1, 0).await;
    late.until("the news", |typist| !typist.news.is_empty())
        .await;
    assert_eq!(late.news[0]["ended"], 3);
    late.tell(json!("again")).await;
    late.until("a new shell", |typist| {
        typist.news.iter().any(|n| n["shell"] == 2)
    })
    .await;
    late.tell(json!({ "type": "echo ne''w\n" })).await;
    late.sees("new\r\n").await;
}

#[tokio::test]
async fn no_other_site_gets_at_the_shell() {
    let app = App::console();
    for origin in [
        "http://evil.example",
        "null",
        &format!("http://{}.evil.example", app.at[0]),
    ] {
        let refused = connect(&app.at[0], origin, 0, 0).await;
        let Err(Error::Http(response)) = refused else {
            panic!("{origin} came in");
        };
        assert_eq!(response.status(), 403, "{origin}");
    }
}

#[tokio::test]
async fn a_flood_of_output_does_not_grow_the_console() {
    let app = App::console();
    let mut typist = Typist::at(&app, 0, 0).await;
    typist
        .tell(json!({ "type": "yes 0123456789 | head -c 3000000; echo; echo fin''ished\n" }))
        .await;
    typist.sees("finished").await;
    // Whoever comes now gets the end of it, and is told how much is missing.
    let mut late = Typist::at(&app, 0, 0).await;
    late.sees("finished").await;
    assert!(late.output.len() <= 256 * 1024, "{}", late.output.len());
    let skipped = late.news.iter().find_map(|news| news["skipped"].as_u64());
    assert!(
        skipped.is_some_and(|bytes| bytes > 2_000_000),
        "{:?}",
        late.news
    );
}

#[tokio::test]
async fn the_monitor_is_a_page_and_a_stream_of_the_same() {
    let app = App::console();
    let url = |path: &str| format!("http://{}{path}", app.at[1]);
    assert_eq!(
        app.http.get(url("/healthz")).send().await.unwrap().status(),
        200
    );
    let page = app
        .http
        .get(url("/"))
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(
        page.contains("http-equiv=\"refresh\""),
        "it works without JavaScript"
    );
    assert!(page.contains("junglegrid"), "it sees itself: {page}");
    let response = app
        .http
        .get(url("/live"))
        .timeout(DEADLINE)
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut chunks = response.bytes_stream();
    let mut text = String::new();
    // The second picture knows what happened since the first.
    while text.matches("data:").count() < 2 || !text.contains("0 %") && !text.contains(". %") {
        let chunk = tokio::time::timeout(DEADLINE, chunks.next()).await.unwrap();
        text += &String::from_utf8_lossy(&chunk.unwrap().unwrap());
        if text.matches("\n\n").count() >= 3 {
            break;
        }
    }
    assert!(text.contains("<dl class=\"facts\">"), "{text}");
    let last = text.rsplit("data:").next().unwrap();
    assert!(!last.contains("measuring"), "{last}");
}

#[tokio::test]
async fn an_app_ends_when_it_is_told_to() {
    for mut app in [App::files(), App::console()] {
        // A stream that is open does not hold it up.
        let held = app.ask(Method::GET, "/").send().await.unwrap();
        app.terminate();
        let ended = tokio::task::spawn_blocking(move || app.child.wait().unwrap())
            .await
            .unwrap();
        assert!(ended.success(), "{ended}");
        drop(held);
    }
}
