//! Portal and apps on a real listener, with apps that are servers of this process:
//! sessions are put into the database, and the engine connects to whatever the test
//! says.
use crate::harness::TestApi;
use axum::Router;
use axum::body::{Body, Bytes};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use junglegrid::app::apart;
use junglegrid::app::guard::{self, Hosts, Rules};
use junglegrid::app::server::{self, Door};
use junglegrid::app::tls::Tls;
use junglegrid::client::Client;
use junglegrid::domain::app::{Added, Phase, ServiceState, Settings};
use junglegrid::domain::estimate::{Quote, Range};
use junglegrid::domain::id::{AppSessionId, JobId};
use junglegrid::domain::job::State as JobState;
use junglegrid::domain::money::Usd;
use junglegrid::domain::spec::{JobSpec, Resources, Routing, WorkloadType};
use junglegrid::domain::template::Manifest;
use junglegrid::engine::{self, Cursor, Engine, Event, Handle, LogLine, Node, RunKey};
use junglegrid::orchestrator::Change;
use junglegrid::proxy::{Config, Limits, Proxy};
use junglegrid::store::apps::{self, AppSession, services};
use junglegrid::store::jobs::{self, Job, runs};
use junglegrid::store::{Store, sessions};
use junglegrid::{random, web};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// However loaded the machine is, nothing takes longer; a test that waits so long has
/// failed.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Portal, apps and their database.
pub(crate) struct Site {
    pub(crate) api: TestApi,
    pub(crate) address: SocketAddr,
    pub(crate) proxy: Proxy,
    pub(crate) engine: Arc<Local>,
    pub(crate) shutdown: CancellationToken,
    scheme: &'static str,
    _running: AbortOnDropHandle<()>,
}

/// One launched app with a service called `web` on port 7000.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) id: AppSessionId,
    pub(crate) label: String,
    pub(crate) handle: String,
    /// Of whoever launched it.
    pub(crate) token: String,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        Self::behind(None, limits).await
    }

    /// Inside TLS.
    pub(crate) async fn over_tls(tls: Arc<Tls>) -> Self {
        Self::behind(Some(tls), Limits::default()).await
    }

    async fn behind(tls: Option<Arc<Tls>>, limits: Limits) -> Self {
        let scheme = if tls.is_some() { "https" } else { "http" };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/junglegrid.db", dir.path().display());
        let store = Store::open(&url).await.unwrap();
        let engine = Arc::new(Local::default());
        let suffix = format!(".apps.localhost:{}", address.port());
        let api = TestApi::over(store, dir, Arc::clone(&engine) as _, |config| {
            config.public_url = format!("{scheme}://{address}");
            config.app_url = format!("{scheme}://*{suffix}");
        });
        let config = Config {
            portal: format!("{scheme}://{address}"),
            suffix,
            secure: tls.is_some(),
        };
        let proxy = Proxy::with(api.state.clone(), config, limits);
        let public: url::Url = format!("{scheme}://{address}").parse().unwrap();
        let pages = web::Config {
            public_url: public.clone(),
            secure_cookies: true,
            clock: api.clock.clone(),
        };
        let portal = web::router(Client::in_process(api.router()), pages);
        let router = apart(api.router().merge(portal), proxy.clone());
        let rules = Rules::new(Hosts::new(address, &public, "apps.localhost"));
        let router = guard::wrap(router, rules);
        let shutdown = api.state.shutdown().clone();
        let limits = server::Limits {
            // What has to end by itself is not ended by this.
            drain: PATIENCE * 60,
            ..server::Limits::default()
        };
        let serving = server::serve(Door { listener, tls }, router, limits, shutdown.clone());
        let running = AbortOnDropHandle::new(tokio::spawn(async move {
            serving.await.unwrap();
        }));
        Self {
            api,
            address,
            proxy,
            engine,
            shutdown,
            scheme,
            _running: running,
        }
    }

    /// A person's running app, reached at `server`.
    pub(crate) async fn launch(&self, token: &str, server: SocketAddr) -> App {
        self.launch_in(token, server, Phase::Running).await
    }

    pub(crate) async fn launch_in(&self, token: &str, server: SocketAddr, phase: Phase) -> App {
        self.launch_as(token, server, phase, |_| {}).await
    }

    /// With what `change` makes of the manifest.
    pub(crate) async fn launch_as(
        &self,
        token: &str,
        server: SocketAddr,
        phase: Phase,
        change: impl FnOnce(&mut Manifest),
    ) -> App {
        let now = self.api.clock.now();
        let letters = |hex: String| hex.bytes().map(|b| char::from(b'a' + b % 16)).collect();
        let label: String = letters(random::token("")[..26].to_owned());
        let handle = format!("handle-{label}");
        self.engine.lead(&handle, server);
        let bearer = {
            let mut conn = self.api.state.store().read().await.unwrap();
            let hash = random::hash(token);
            sessions::bearer(&mut conn, &hash).await.unwrap().unwrap()
        };
        let (id, job): (AppSessionId, JobId) = (random::id(now), random::id(now));
        let mut manifest = Manifest {
            // Of each template only one session may be live.
            slug: format!("double-{label}"),
            ..toml::from_str(MANIFEST).unwrap()
        };
        change(&mut manifest);
        let settings = Settings {
            max_minutes: 60,
            idle_minutes: 0,
            max_usd_micros: None,
            added: Added::default(),
        };
        let owner = (bearer.workspace, bearer.account);
        let mut session = AppSession::new(id, owner, job, (manifest, settings), now);
        let mut row = job_of(job, id, &bearer, now);
        let ready = matches!(phase, Phase::Running | Phase::Stopping);
        let web = services::Service {
            session: id,
            service: "web".into(),
            origin: label.clone(),
            state: if ready {
                ServiceState::Ready
            } else {
                ServiceState::Checking
            },
            passed: 2,
            checked_at: Some(now),
            answered_at: Some(now),
            outcome: Some("200".into()),
            ready_at: ready.then_some(now),
        };
        let app = App {
            id,
            label: label.clone(),
            handle: handle.clone(),
            token: token.to_owned(),
        };
        let store = self.api.state.store();
        let written = store.write(move |conn| {
            Box::pin(async move {
                jobs::insert(conn, &mut row, &[]).await?;
                let origins = [("web".to_owned(), label)];
                apps::insert(conn, &mut session, &origins, &[]).await?;
                session.phase = phase;
                apps::update(conn, &mut session, &[], now).await?;
                services::update(conn, &web).await?;
                runs::intend(conn, (job, 1), ("local", "here"), now).await?;
                runs::submitted(conn, job, 1, &handle).await?;
                Ok::<_, junglegrid::store::Error>(())
            })
        });
        written.await.unwrap();
        app
    }

    /// Moves the app's session on.
    pub(crate) async fn becomes(&self, app: &App, phase: Phase) {
        let (id, now) = (app.id, self.api.clock.now());
        let store = self.api.state.store();
        let moved = store.write(move |conn| {
            Box::pin(async move {
                let mut session = apps::find_for_worker(conn, id).await?.unwrap();
                session.phase = phase;
                apps::update(conn, &mut session, &[], now).await?;
                Ok::<_, junglegrid::store::Error>((session.workspace, session.job))
            })
        });
        let (workspace, job) = moved.await.unwrap();
        self.api.state.hub().publish(Change::App {
            workspace,
            session: id,
            job,
        });
    }

    /// How browsers call the app's host.
    pub(crate) fn host(&self, app: &App) -> String {
        format!("{}.apps.localhost:{}", app.label, self.address.port())
    }

    pub(crate) fn origin(&self, app: &App) -> String {
        format!("{}://{}", self.scheme, self.host(app))
    }

    pub(crate) fn portal(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// A ticket, as the portal's button gets one.
    pub(crate) async fn ticket(&self, app: &App) -> String {
        let path = format!("/v1/app-sessions/{}/open", app.id);
        let answer = self
            .api
            .call(http::Method::POST, &path, &app.token, json!({}))
            .await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        let url = answer.text("/url");
        assert_eq!(url, format!("{}/_jg/launch", self.origin(app)));
        answer.text("/token")
    }

    /// Uses a ticket as a browser does that comes from the portal.
    pub(crate) async fn redeem(&self, app: &App, ticket: &str) -> Answer {
        let request = Request::post("/_jg/launch")
            .header("host", self.host(app))
            .header("origin", self.portal())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(format!("token={ticket}")));
        self.send(request.unwrap()).await
    }

    /// Goes in; the cookie that lets one stay.
    pub(crate) async fn enter(&self, app: &App) -> String {
        let ticket = self.ticket(app).await;
        let answer = self.redeem(app, &ticket).await;
        assert_eq!(answer.status, 303, "{}", answer.text());
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        cookie.split(';').next().unwrap().to_owned()
    }

    /// A request to the app by someone who is inside.
    pub(crate) fn inside(&self, app: &App, cookie: &str, path: &str) -> http::request::Builder {
        Request::get(path)
            .header("host", self.host(app))
            .header("cookie", cookie)
    }

    pub(crate) async fn get(&self, app: &App, cookie: &str, path: &str) -> Answer {
        let request = self.inside(app, cookie, path).body(Body::empty());
        self.send(request.unwrap()).await
    }

    /// Sends a request on a connection of its own and reads the answer to its end.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.open(request).await;
        let (parts, body) = response.into_parts();
        let body = tokio::time::timeout(PATIENCE, body.collect()).await;
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.expect("an end").unwrap().to_bytes(),
        }
    }

    /// Sends a request; the answer as it begins.
    pub(crate) async fn open(&self, request: Request<Body>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection.with_upgrades());
        let answer = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
        answer.expect("an answer").unwrap()
    }

    /// Sends these bytes; everything that comes back until the connection ends.
    pub(crate) async fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
        read.expect("an end").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Opens a WebSocket, as far as the answer to the handshake.
    pub(crate) async fn websocket(
        &self,
        host: &str,
        origin: &str,
        cookie: &str,
        path: &str,
    ) -> (String, TcpStream) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nCookie: {cookie}\r\n\
             Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(PATIENCE, stream.read_u8()).await;
            head.push(byte.expect("an answer").unwrap());
        }
        (String::from_utf8(head).unwrap().to_lowercase(), stream)
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let values = self.headers.get_all(name).iter();
        values.map(|value| value.to_str().unwrap()).collect()
    }
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut so: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    assert!(waited.await.is_ok(), "never so: {what}");
}

/// Serves `router` as an app does; dropping the handle cuts every connection.
pub(crate) async fn serve(router: Router) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(router.clone());
            connections.spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades(),
            );
        }
    });
    (address, AbortOnDropHandle::new(task))
}

/// Answers every request on every connection with these bytes, and closes.
pub(crate) async fn recite(
    answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
) -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            connections.spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else {
                        return;
                    };
                    head.push(byte);
                }
                let _ = stream
                    .write_all(&answer(&String::from_utf8_lossy(&head)))
                    .await;
                let _ = stream.shutdown().await;
                let _ = stream.read_to_end(&mut head).await;
            });
        }
    });
    (address, AbortOnDropHandle::new(task))
}

/// An engine whose runs are servers of this process.
#[derive(Debug, Default)]
pub(crate) struct Local {
    servers: Mutex<HashMap<String, SocketAddr>>,
    /// Handle and port of each connection that was asked for.
    pub(crate) asked: Mutex<Vec<(String, u16)>>,
    /// Whether connecting takes for ever.
    pub(crate) stuck: std::sync::atomic::AtomicBool,
    pub(crate) connections: AtomicUsize,
}

impl Local {
    pub(crate) fn lead(&self, handle: &str, server: SocketAddr) {
        self.servers.lock().unwrap().insert(handle.into(), server);
    }
}

#[async_trait::async_trait]
impl Engine for Local {
    fn name(&self) -> &'static str {
        "local"
    }
    async fn nodes(&self) -> engine::Result<Vec<Node>> {
        Ok(Vec::new())
    }
    async fn submit(&self, _: &RunKey, _: &engine::RunSpec) -> engine::Result<Handle> {
        Err(engine::Error::Refused("nothing is run here".into()))
    }
    async fn status(&self, _: &Handle) -> engine::Result<engine::Status> {
        Err(engine::Error::NotFound)
    }
    fn events(&self) -> BoxStream<'static, Event> {
        stream::pending().boxed()
    }
    async fn list(&self) -> engine::Result<Vec<Event>> {
        Ok(Vec::new())
    }
    fn logs(
        &self,
        _: &Handle,
        _: Cursor,
        _: bool,
    ) -> BoxStream<'static, engine::Result<Vec<LogLine>>> {
        stream::empty().boxed()
    }
    async fn stop(&self, _: &Handle) -> engine::Result<()> {
        Ok(())
    }
    async fn connect(
        &self,
        handle: &Handle,
        port: u16,
    ) -> engine::Result<Box<dyn engine::Connection>> {
        self.asked.lock().unwrap().push((handle.0.clone(), port));
        if self.stuck.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let server = self.servers.lock().unwrap().get(&handle.0).copied();
        let server = server.ok_or(engine::Error::NotFound)?;
        let stream = TcpStream::connect(server).await;
        let stream = stream.map_err(|error| engine::Error::Unavailable(error.to_string()))?;
        self.connections.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(stream))
    }
    fn workspace(&self, _: &Handle) -> Option<PathBuf> {
        None
    }
    async fn forget(&self, _: &Handle) -> engine::Result<()> {
        Ok(())
    }
}

const MANIFEST: &str = r#"
slug = "double"
name = "Double"
mark = "Do"
summary = "Stands in for an app."
version = "1.0"
image = "host"
start_timeout_seconds = 60
[licence]
spdx = "MIT"
source_url = "https://example.com"
[phases]
image = [0, 0]
start = [1, 2]
services = [1, 2]
[[env]]
name = "APP_KEY"
generated = true
[[services]]
id = "web"
label = "Web"
port = 7000
primary = true
websocket = true
[services.readiness]
path = "/ready"
[services.auth]
header = "x-app-auth"
value = "key {APP_KEY}"
"#;

fn job_of(
    id: JobId,
    app: AppSessionId,
    bearer: &sessions::Bearer,
    at: time::OffsetDateTime,
) -> Job {
    Job {
        id,
        workspace: bearer.workspace,
        account: bearer.account,
        spec: JobSpec {
            name: "double".into(),
            workload_type: WorkloadType::Inference,
            image: "host".into(),
            argv: vec!["true".into()],
            command_line: "true".into(),
            environment: BTreeMap::new(),
            resources: Resources::default(),
            routing: Routing::default(),
            time_limit_seconds: 3_600,
            expected_artifacts: Vec::new(),
            files: Vec::new(),
            notices: Vec::new(),
            app: Some(app),
            metadata: None,
        },
        likeness: "0".repeat(64),
        state: JobState::Queued,
        phase_since: at,
        version: 0,
        last_event: 0,
        last_log: 0,
        attempt: 1,
        engine: None,
        node: None,
        reason: None,
        rate: Usd::from_micros(120_000),
        hold: Usd::from_micros(120_000),
        cost: None,
        billed_from: None,
        quote: Quote {
            cost_low: Usd::ZERO,
            cost_high: Usd::from_micros(120_000),
            runtime: Range {
                low: 1,
                high: 3_600,
            },
            wait: Range { low: 0, high: 10 },
            relaxed: Vec::new(),
            warnings: Vec::new(),
        },
        created_at: at,
        updated_at: at,
        queued_at: Some(at),
        assigned_at: None,
        completed_at: None,
    }
}
