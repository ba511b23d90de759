//! Chromium, driven through chromedriver.
mod hands;
mod windows;

use crate::server::{self, DEADLINE, until};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::future::Future;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const CHROMIUM: &str = "/usr/bin/chromium";
/// Where it saves files, in its profile.
const DOWNLOADS: &str = "downloads";
const CHROMEDRIVER: &str = "/usr/bin/chromedriver";

/// Which of the two programs is not here.
pub(crate) fn missing() -> Option<&'static str> {
    [CHROMIUM, CHROMEDRIVER]
        .into_iter()
        .find(|path| !Path::new(path).exists())
}

/// What kind of visitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visitor {
    /// At a desk.
    Desk,
    /// At a desk, with JavaScript off.
    NoScript,
    /// The same, and reads pages while they are still coming.
    NoScriptEager,
    /// With a phone of 375 by 812.
    Phone,
}

/// A browser with a profile of its own.
#[derive(Debug)]
pub(crate) struct Browser {
    client: Client,
    session: String,
    driver: Driver,
    base: String,
    scripts: bool,
    profile: TempDir,
}

impl Browser {
    pub(crate) async fn open(visitor: Visitor, server: &server::Server) -> Self {
        Self::start(visitor, server.url(""), None).await
    }

    /// The same, with everything between them going through `relay`.
    pub(crate) async fn open_behind(
        visitor: Visitor,
        server: &server::Server,
        relay: SocketAddr,
    ) -> Self {
        let base = format!("http://localhost:{}", server.address.port());
        let found = format!("--host-resolver-rules=MAP localhost {relay}");
        Self::start(visitor, base, Some(found)).await
    }

    async fn start(visitor: Visitor, base: String, argument: Option<String>) -> Self {
        let driver = Driver::start();
        let profile = TempDir::new().unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        let mut options = json!({
            "binary": CHROMIUM,
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                "--window-size=1280,900", folder],
        });
        if let (Some(argument), Some(all)) = (argument, options["args"].as_array_mut()) {
            all.push(argument.into());
        }
        options["prefs"] = json!({"download.default_directory": profile.path().join(DOWNLOADS)});
        match visitor {
            Visitor::Desk => {}
            Visitor::NoScript | Visitor::NoScriptEager => {
                options["prefs"]["profile.managed_default_content_settings.javascript"] = 2.into();
            }
            Visitor::Phone => {
                let phone = json!({"width": 375, "height": 812, "pixelRatio": 2.0, "touch": true});
                options["mobileEmulation"] = json!({"deviceMetrics": phone});
            }
        }
        let waits = match visitor {
            Visitor::NoScriptEager => "none",
            Visitor::Desk | Visitor::NoScript | Visitor::Phone => "normal",
        };
        let wanted = json!({
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
            "pageLoadStrategy": waits,
        });
        let Value::Object(wanted) = wanted else {
            unreachable!("it is an object")
        };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .unwrap();
        let session = client.session_id().await.unwrap().unwrap();
        Self {
            client,
            session,
            driver,
            base,
            scripts: matches!(visitor, Visitor::Desk | Visitor::Phone),
            profile,
        }
    }

    /// Signs in through the door.
    pub(crate) async fn sign_in(&self, email: &str) {
        self.go("/login").await;
        self.fill("#email", email).await;
        self.fill("#password", server::PASSWORD).await;
        self.press("Sign in").await;
        self.arrives("the dashboard", |path| path == "/portal")
            .await;
    }

    pub(crate) async fn go(&self, path: &str) {
        let url = format!("{}{path}", self.base);
        self.client.goto(&url).await.unwrap();
    }

    pub(crate) async fn back(&self) {
        self.client.back().await.unwrap();
    }

    pub(crate) async fn forward(&self) {
        self.client.forward().await.unwrap();
    }

    pub(crate) async fn reload(&self) {
        self.client.refresh().await.unwrap();
    }

    /// The address without the host.
    pub(crate) async fn path(&self) -> String {
        let url = self.client.current_url().await.unwrap();
        url[url::Position::BeforePath..].to_owned()
    }

    /// Waits for an address that is as `wanted`.
    pub(crate) async fn arrives(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        self.until(what, async || {
            Some(self.path().await).filter(|path| wanted(path))
        })
        .await
    }

    /// Waits for what `css` selects.
    pub(crate) async fn see(&self, css: &str) -> Element {
        self.until(css, async || self.client.find(Locator::Css(css)).await.ok())
            .await
    }

    pub(crate) async fn sees(&self, css: &str) -> bool {
        self.count(css).await > 0
    }

    pub(crate) async fn count(&self, css: &str) -> usize {
        self.until(css, async || {
            let all = self.client.find_all(Locator::Css(css)).await;
            all.ok().map(|all| all.len())
        })
        .await
    }

    /// The bytes of a file that has been saved whole under this name.
    pub(crate) async fn downloaded(&self, name: &str) -> Vec<u8> {
        let file = self.profile.path().join(DOWNLOADS).join(name);
        // Until it is whole it has another name.
        self.until(name, async || std::fs::read(&file).ok()).await
    }

    /// What can be read there, hidden or not.
    pub(crate) async fn text(&self, css: &str) -> String {
        self.until(css, async || {
            let element = self.client.find(Locator::Css(css)).await.ok()?;
            element.prop("textContent").await.ok()?
        })
        .await
    }

    /// What can be read in each of them.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        self.until(css, async || {
            let mut texts = Vec::new();
            for element in self.client.find_all(Locator::Css(css)).await.ok()? {
                texts.push(element.prop("textContent").await.ok()??);
            }
            Some(texts)
        })
        .await
    }

    /// Waits until what can be read there is as `wanted`.
    pub(crate) async fn reads(&self, css: &str, wanted: impl Fn(&str) -> bool) -> String {
        let what = format!("{css} with the right words");
        self.until(&what, async || {
            let element = self.client.find(Locator::Css(css)).await.ok()?;
            let text = element.prop("textContent").await.ok()??;
            wanted(&text).then_some(text)
        })
        .await
    }

    /// What is typed in a field.
    pub(crate) async fn value(&self, css: &str) -> String {
        let field = self.see(css).await;
        field.prop("value").await.unwrap().unwrap_or_default()
    }

    /// What a script says about the page. Only where scripts run.
    pub(crate) async fn ask(&self, script: &str) -> Value {
        assert!(self.scripts, "scripts are off");
        self.client
            .execute(&format!("return ({script})"), Vec::new())
            .await
            .unwrap()
    }

    /// What the console has said since it was last asked, warnings and worse.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.client.issue_cmd(ConsoleLog).await.unwrap();
        let entries = entries.as_array().cloned().unwrap_or_default();
        let loud = entries
            .iter()
            .filter(|entry| matches!(entry["level"].as_str(), Some("WARNING" | "SEVERE")));
        loud.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned())
            // Said of dialogs that browsers without commands open as popovers, and when
            // the next page is asked for before this one has faded in.
            .filter(|message| {
                !message.contains("popovertarget is ignored")
                    && !message.contains("ViewTransition opt-in disabled")
            })
            .collect()
    }

    /// Lets so many bytes pass in a second, either way; 0 for any.
    pub(crate) async fn slow(&self, bytes: u32) {
        let passes = if bytes == 0 { -1 } else { i64::from(bytes) };
        self.client.issue_cmd(Network(passes)).await.unwrap();
    }

    /// Asks again and again until there is something.
    pub(crate) async fn until<T>(&self, what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            if Instant::now() > end {
                let page = self.client.find(Locator::Css("main")).await;
                let page = match page {
                    Ok(main) => main.text().await.unwrap_or_default(),
                    Err(error) => error.to_string(),
                };
                let path = self.path().await;
                panic!("waited in vain for {what} on {path}:\n{page}");
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

impl Drop for Browser {
    /// Chromium does not end with its driver, so it is told to first.
    fn drop(&mut self) {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.driver.port)) else {
            return;
        };
        let path = format!("/session/{}", self.session);
        let _ = stream.set_read_timeout(Some(DEADLINE));
        let _ = write!(
            stream,
            "DELETE {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
        );
        // It answers when Chromium has ended, and keeps the connection.
        let _ = stream.read(&mut [0; 1024]);
    }
}

/// A chromedriver on a port of its own; it is gone when this is.
#[derive(Debug)]
struct Driver {
    child: Child,
    port: u16,
}

impl Driver {
    fn start() -> Self {
        let mut child = Command::new(CHROMEDRIVER)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let said = child.stdout.take().unwrap();
        let (tell, told) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(said).lines().map_while(Result::ok) {
                let port = line.rsplit_once("successfully on port ");
                let port = port.and_then(|(_, port)| port.trim_end_matches('.').parse().ok());
                if let Some(port) = port {
                    let _ = tell.send(port);
                }
            }
        });
        let port = told.recv_timeout(DEADLINE).expect("chromedriver is ready");
        until("chromedriver to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Self { child, port }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Chromedriver's own command for the browser's console.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}

/// Chromedriver's own command for a slower network: bytes per second.
#[derive(Debug)]
struct Network(i64);

impl WebDriverCompatibleCommand for Network {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        let session = session.unwrap_or_default();
        base.join(&format!("session/{session}/chromium/network_conditions"))
    }

    fn method_and_body(&self, _: &url::Url) -> (Method, Option<String>) {
        let conditions = json!({
            "offline": false, "latency": 0,
            "download_throughput": self.0, "upload_throughput": self.0,
        });
        let body = json!({ "network_conditions": conditions });
        (Method::POST, Some(body.to_string()))
    }
}

/// Runs a test that waits.
pub(crate) fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
        .block_on(test);
}
