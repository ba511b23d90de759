//! The apps that are part of this program, as their users find them: the real
//! binary on ports of its own.
mod console;
mod files;

use http::StatusCode;
use junglegrid::egress::roots::Roots;
use reqwest::Method;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

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
            http: junglegrid::egress::orchestrator(&Roots::default()).unwrap(),
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
