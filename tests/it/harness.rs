//! An orchestrator to test against: real router, real database, a clock that the
//! test moves, and an engine that has no machines.
use axum::Router;
use axum::body::Body;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use junglegrid::api::Origin;
use junglegrid::clock::Clock;
use junglegrid::domain::logs::Limits;
use junglegrid::domain::money::Usd;
use junglegrid::domain::reach::Allow;
use junglegrid::engine::{self, Cursor, Engine, Event, Handle, LogLine, Network, Node, RunKey};
use junglegrid::orchestrator::apps::Catalogue;
use junglegrid::orchestrator::{Config, Files, State, router};
use junglegrid::store::Store;
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use time::macros::datetime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

/// The password of everybody who signs up through [`TestApi::sign_up`].
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// The orchestrator as its clients see it.
#[derive(Debug)]
pub(crate) struct TestApi {
    pub(crate) state: State,
    pub(crate) clock: Clock,
    /// Where requests come from.
    pub(crate) ip: IpAddr,
    router: Router,
    /// The data directory; removed when the test ends.
    pub(crate) dir: Arc<tempfile::TempDir>,
}

impl TestApi {
    /// On a database in a directory of its own.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// The same, with other settings.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&sqlite(dir.path())).await.unwrap();
        Self::on(store, dir, change)
    }

    /// On this database.
    pub(crate) fn on(
        store: Store,
        dir: tempfile::TempDir,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        Self::over(store, dir, Arc::new(NoEngine), change)
    }

    /// On this database and these machines.
    pub(crate) fn over(
        store: Store,
        dir: tempfile::TempDir,
        engine: Arc<dyn Engine>,
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let catalogue = Catalogue::load(None).unwrap();
        let clock = Clock::manual(datetime!(2026-11-23 12:00 UTC));
        Self::again(store, Arc::new(dir), engine, (catalogue, clock), change)
    }

    /// On what an earlier one has left.
    pub(crate) fn again(
        store: Store,
        dir: Arc<tempfile::TempDir>,
        engine: Arc<dyn Engine>,
        (catalogue, clock): (Catalogue, Clock),
        change: impl FnOnce(&mut Config),
    ) -> Self {
        let mut config = config();
        dir.path().clone_into(&mut config.files.dir);
        change(&mut config);
        let state = State::new(
            store,
            engine,
            catalogue,
            clock.clone(),
            config,
            [7; 32],
            CancellationToken::new(),
        );
        Self {
            router: router(state.clone()),
            state,
            clock,
            ip: [192, 0, 2, 1].into(),
            dir,
        }
    }

    /// The orchestrator itself, for whoever calls it in another way.
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// The same orchestrator, called from another address.
    pub(crate) fn from(&self, ip: &str) -> Self {
        Self {
            state: self.state.clone(),
            clock: self.clock.clone(),
            ip: ip.parse().unwrap(),
            router: self.router.clone(),
            dir: Arc::clone(&self.dir),
        }
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        request.extensions_mut().insert(Origin {
            ip: self.ip,
            agent: "test".into(),
        });
        let (method, uri) = (request.method().clone(), request.uri().clone());
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        hold(
            (&method, uri.path()),
            (parts.status, &parts.headers),
            &bytes,
        );
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    /// Calls an operation, signed in if there is a token.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Value,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        self.send(request.body(body).unwrap()).await
    }

    /// Calls an operation that anyone may call.
    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path, "", body).await
    }

    /// Fetches something as whoever holds the token.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, Value::Null).await
    }

    /// A verified account with [`PASSWORD`]; its token.
    pub(crate) async fn sign_up(&self, email: &str) -> String {
        let registered = self
            .post(
                "/auth/register",
                json!({"email": email, "password": PASSWORD}),
            )
            .await;
        assert_eq!(registered.status, 201, "{:?}", registered.body);
        let code = self.code(email).await;
        let verified = self
            .post("/auth/otp/verify", json!({"email": email, "code": code}))
            .await;
        assert_eq!(verified.status, 200, "{:?}", verified.body);
        verified.text("/token")
    }

    /// Every mail that was queued, oldest first.
    pub(crate) async fn mails(&self) -> Vec<Mail> {
        let mut conn = self.state.store().read().await.unwrap();
        sqlx::query_as::<_, Mail>(
            "SELECT recipient, subject, body, state, error FROM mails ORDER BY created_at, id",
        )
        .fetch_all(&mut *conn)
        .await
        .unwrap()
    }

    /// The code in the newest mail to this address that has one.
    pub(crate) async fn code(&self, email: &str) -> String {
        let mails = self.mails().await;
        mails
            .iter()
            .rev()
            .filter(|mail| mail.recipient == email)
            .find_map(Mail::code)
            .expect("a mail with a code")
    }
}

/// Ends the test if the API's description says otherwise.
pub(crate) fn hold(
    (method, path): (&Method, &str),
    (status, headers): (StatusCode, &HeaderMap),
    body: &[u8],
) {
    let kind = headers.get("content-type");
    let seen = crate::server::openapi::Seen {
        method: method.as_str(),
        path,
        status: status.as_u16(),
        kind: kind.map_or("", |kind| kind.to_str().unwrap()),
        body,
    };
    seen.hold();
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The text at this JSON pointer.
    pub(crate) fn text(&self, pointer: &str) -> String {
        let value = self.body.pointer(pointer).and_then(Value::as_str);
        value
            .unwrap_or_else(|| panic!("no {pointer} in {:?}", self.body))
            .to_owned()
    }

    /// What is wrong with a field.
    pub(crate) fn fault(&self, field: &str) -> Option<&str> {
        self.body["error"]["fields"][field].as_str()
    }
}

/// A mail as the database has it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Mail {
    pub(crate) recipient: String,
    pub(crate) subject: String,
    pub(crate) body: String,
    pub(crate) state: String,
    pub(crate) error: Option<String>,
}

impl Mail {
    /// The six digits on a line of their own.
    pub(crate) fn code(&self) -> Option<String> {
        self.body
            .lines()
            .find(|line| line.len() == 6 && line.bytes().all(|b| b.is_ascii_digit()))
            .map(ToOwned::to_owned)
    }
}

/// Where the database of a test lies.
fn sqlite(dir: &std::path::Path) -> String {
    format!("sqlite://{}/junglegrid.db", dir.display())
}

/// What a fresh installation on loopback has.
pub(crate) fn config() -> Config {
    Config {
        instance: "test".into(),
        public_url: "http://localhost:8080".into(),
        app_url: "http://*.apps.localhost:8080".into(),
        volumes: std::path::PathBuf::from("/nonexistent/volumes"),
        welcome_credit: Usd::from_micros(5_000_000),
        hourly_rate: Usd::from_micros(120_000),
        gpus: Arc::new(junglegrid::orchestrator::gpus::load(None).unwrap()),
        slots: 2,
        ignore_images: true,
        network: Network::None,
        default_time_limit: Duration::from_hours(1),
        longest_time_limit: Duration::from_hours(24),
        grace: Duration::from_secs(10),
        operators: Vec::new(),
        first_account_operates: false,
        session_idle: Duration::from_hours(24),
        session_lifetime: Duration::from_hours(24 * 30),
        operator_idle: Duration::from_hours(8),
        operator_lifetime: Duration::from_hours(24 * 7),
        streams_per_sign_in: 6,
        streams_per_account: 20,
        smtp: false,
        logs: Limits {
            head: 1 << 20,
            tail: 4 << 20,
            rate: 8 << 20,
        },
        logs_kept: Duration::from_hours(24 * 90),
        files: Files {
            dir: PathBuf::from("/nonexistent/data"),
            largest: 1 << 20,
            quota: 4 << 20,
            per_job: 100,
            artifacts_kept: Duration::from_hours(24 * 30),
            inputs_kept: Duration::from_hours(24 * 30),
            links: Duration::from_mins(15),
        },
        callback_allow: Allow::this_machine(),
    }
}

/// Runs a test on a fresh `SQLite` database and, if `TEST_POSTGRES` names a
/// server (`postgres://user@host/database`), on a fresh database there.
pub(crate) async fn on_each_database(test: impl AsyncFn(Store, tempfile::TempDir)) {
    at_each_database(async |url, dir| {
        let store = Store::open(&url).await.unwrap();
        test(store.clone(), dir).await;
        store.close().await;
    })
    .await;
}

/// The same for a test that opens the database itself, maybe more than once.
pub(crate) async fn at_each_database(test: impl AsyncFn(String, tempfile::TempDir)) {
    let dir = tempfile::tempdir().unwrap();
    test(sqlite(dir.path()), dir).await;
    #[expect(
        clippy::disallowed_methods,
        reason = "where the test server is, is not a setting"
    )]
    let Ok(server) = std::env::var("TEST_POSTGRES") else {
        assert!(
            std::env::var_os("JUNGLEGRID_TEST_REQUIRE_ALL").is_none(),
            "TEST_POSTGRES must name a server here"
        );
        println!("not tried on Postgres: TEST_POSTGRES names no server");
        return;
    };
    sqlx::any::install_default_drivers();
    let admin = sqlx::AnyPool::connect(&server).await.unwrap();
    let name = junglegrid::random::token("test_");
    let name = &name[..40];
    let run = async |statement: String| {
        let statement = sqlx::AssertSqlSafe(statement);
        sqlx::query(statement).execute(&admin).await.unwrap();
    };
    run(format!("CREATE DATABASE {name}")).await;
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(name);
    test(url.to_string(), tempfile::tempdir().unwrap()).await;
    run(format!("DROP DATABASE {name} WITH (FORCE)")).await;
}

/// An address of this machine that nobody listens on as long as this is kept.
#[derive(Debug)]
pub(crate) struct Nobody {
    pub(crate) address: SocketAddr,
    _taken: tokio::net::TcpSocket,
}

impl Nobody {
    pub(crate) fn new() -> Self {
        let taken = tokio::net::TcpSocket::new_v4().unwrap();
        taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        Self {
            address: taken.local_addr().unwrap(),
            _taken: taken,
        }
    }
}

/// An engine without machines.
#[derive(Debug)]
pub(crate) struct NoEngine;

#[async_trait::async_trait]
impl Engine for NoEngine {
    fn name(&self) -> &'static str {
        "none"
    }
    async fn nodes(&self) -> engine::Result<Vec<Node>> {
        Ok(Vec::new())
    }
    async fn submit(&self, _: &RunKey, _: &engine::RunSpec) -> engine::Result<Handle> {
        Err(engine::Error::Refused("there are no machines".into()))
    }
    async fn status(&self, _: &Handle) -> engine::Result<engine::Status> {
        Err(engine::Error::NotFound)
    }
    fn events(&self) -> BoxStream<'static, Event> {
        stream::empty().boxed()
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
        Err(engine::Error::NotFound)
    }
    async fn connect(&self, _: &Handle, _: u16) -> engine::Result<Box<dyn engine::Connection>> {
        Err(engine::Error::NotFound)
    }
    fn workspace(&self, _: &Handle) -> Option<PathBuf> {
        None
    }
    async fn forget(&self, _: &Handle) -> engine::Result<()> {
        Err(engine::Error::NotFound)
    }
}
