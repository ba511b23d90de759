//! Apps on their own origins: `http(s)://<random>.<apps domain>`.
//!
//! Every request to an app comes through here, and so do the checks of whether
//! one is ready. Where it goes is the orchestrator's to say; nothing of a request
//! but its path reaches what connects.
mod bodies;
mod doors;
mod entry;
mod headers;
mod pages;
mod tls;
mod upstream;
mod websocket;

use crate::domain::peer::Peer;
use crate::domain::template::HostPolicy;
use crate::orchestrator::State;
use crate::orchestrator::apps::access::Door;
use crate::orchestrator::apps::{Answer, Gate, Question};
use async_trait::async_trait;
use axum::body::{Body, Bytes};
use bodies::{Download, Ended, Progress, Upload, Used};
use doors::{Doors, Way};
use entry::internal;
use headers::{Names, Origin};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use pages::Refusal;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use upstream::{Failure, Head, Lease};

/// Where browsers reach portal and apps.
#[derive(Debug, Clone)]
pub struct Config {
    /// The portal's origin, such as `http://127.0.0.1:8080`.
    pub portal: String,
    /// What follows an app's label, with the port if it is not the scheme's own:
    /// `.apps.localhost:8080`.
    pub suffix: String,
    pub secure: bool,
}

impl Config {
    fn origin(&self, label: &str) -> Origin {
        Origin {
            scheme: if self.secure { "https" } else { "http" },
            host: format!("{label}{}", self.suffix),
        }
    }

    /// How a service is called from outside and inside.
    fn names(&self, door: &Door) -> Names {
        let own = self.origin(&door.origin);
        let inside = match door.host_policy {
            HostPolicy::Public => own.clone(),
            HostPolicy::Localhost => Origin {
                scheme: door.scheme.name(),
                host: if door.port == door.scheme.usual_port() {
                    "localhost".into()
                } else {
                    format!("localhost:{}", door.port)
                },
            },
        };
        Names { own, inside }
    }
}

/// How much the proxy puts up with.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Until an app has accepted a connection, TLS with it where it wants that, and
    /// until one is free. 5 seconds.
    pub connect: Duration,
    /// From the last byte of a request to the first of its answer. 5 minutes:
    /// some apps compute while the browser waits.
    pub first_byte: Duration,
    /// Until a WebSocket on which nothing is said is closed, and until a service that
    /// streams events must have begun to answer. An hour.
    pub idle: Duration,
    /// Connections to one service at once, `WebSocket`s among them. 128.
    pub connections: usize,
    /// How long what is known about an app or a pass is believed. 2 seconds.
    pub fresh: Duration,
    /// The use of a session is written down so often. 15 seconds.
    pub use_noted: Duration,
    /// How often streams are asked whether they may go on. 2.5 seconds; together
    /// with `fresh` that is the longest that one outlives its permission.
    pub recheck: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_mins(5),
            idle: Duration::from_hours(1),
            connections: 128,
            fresh: Duration::from_secs(2),
            use_noted: Duration::from_secs(15),
            recheck: Duration::from_millis(2_500),
        }
    }
}

/// Bytes of an answer that a check of readiness looks at.
const LOOKED_AT: usize = 64 * 1024;
/// Labels of origins: 26 characters of base32.
const LABEL: usize = 26;

/// Passes requests on to apps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Proxy(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: State,
    config: Config,
    limits: Limits,
    doors: Doors,
}

/// A person at an app, as far as asking again needs to know.
#[derive(Debug, Clone)]
struct Visit {
    label: String,
    /// Of the pass.
    token: String,
}

impl Proxy {
    #[must_use]
    pub fn new(state: State, config: Config) -> Self {
        Self::with(state, config, Limits::default())
    }

    /// The same, with other limits.
    #[must_use]
    pub fn with(state: State, config: Config, limits: Limits) -> Self {
        Self(Arc::new(Shared {
            doors: Doors::new(state.clone(), config.clone(), limits),
            state,
            config,
            limits,
        }))
    }

    /// Answers a request to the app with this label.
    pub async fn answer(&self, label: &str, request: Request<Body>) -> Response<Body> {
        let page = pages::wanted(request.headers());
        match self.serve(label, request).await {
            Ok(response) => response,
            Err(refusal) => refusal.answer(&self.0.config, page),
        }
    }

    async fn serve(&self, label: &str, request: Request<Body>) -> Result<Response<Body>, Refusal> {
        let way = self.way(label).await?;
        if reserved(request.uri().path()) {
            return self.enter(&way.door, request).await;
        }
        let websocket = websocket::wanted(&request);
        let client = request.extensions().get::<Peer>();
        let client = client.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let (parts, body) = request.into_parts();
        // One gate for all, before anything is sent anywhere.
        if headers::foreign(&parts, &self.0.config.origin(label)) {
            return Err(Refusal::Foreign);
        }
        let token = self.shown(label, &parts.headers).await?;
        let token = token.ok_or(Refusal::NoPass)?;
        if !way.door.open {
            return Err(Refusal::NotReady);
        }
        let visit = Visit {
            label: label.to_owned(),
            token,
        };
        let request = Request::from_parts(parts, body);
        if websocket {
            return self.tunnel(way, request, client, visit).await;
        }
        self.0.doors.used(way.door.session);
        self.forward(way, request, client, Some(visit)).await
    }

    async fn way(&self, label: &str) -> Result<Way, Refusal> {
        let shaped = label.len() == LABEL
            && label
                .bytes()
                .all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'));
        if !shaped {
            return Err(Refusal::Unknown);
        }
        let way = self.0.doors.door(label).await.map_err(internal)?;
        way.ok_or(Refusal::Unknown)
    }

    /// Sends a request on and brings its answer back.
    async fn forward(
        &self,
        way: Way,
        request: Request<Body>,
        client: IpAddr,
        visit: Option<Visit>,
    ) -> Result<Response<Body>, Refusal> {
        let names = self.0.config.names(&way.door);
        let (parts, body) = request.into_parts();
        let head = Head {
            headers: headers::up(&parts.headers, &names, client, &way.door.inject, false),
            uri: target(&parts.uri),
            method: parts.method.clone(),
        };
        let progress = Progress::new();
        let used = visit.as_ref().map(|_| self.used(&way));
        let ended = || Some(self.ended(visit.clone()?, false));
        let body = Upload::body(body, progress.clone(), ended, used);
        let mut asked = pin!(way.upstream.ask(head, body));
        let mut ended = match &visit {
            Some(visit) => self.ended(visit.clone(), false),
            None => Box::pin(std::future::pending()),
        };
        let limits = &self.0.limits;
        // What streams events may have none to tell for as long.
        let patience = if way.door.sse {
            limits.first_byte.max(limits.idle)
        } else {
            limits.first_byte
        };
        let (answer, lease) = loop {
            tokio::select! {
                biased;
                asked = &mut asked => match (asked, &visit) {
                    (Ok(answered), _) => break answered,
                    // It may have failed because its body was cut.
                    (Err(_), Some(visit)) if !self.still_here(visit).await => {
                        return Err(Refusal::NoPass);
                    }
                    (Err(failure), _) => return Err(refused(failure)),
                },
                () = &mut ended => return Err(Refusal::NoPass),
                () = tokio::time::sleep_until(progress.last() + patience) => {
                    if progress.last().elapsed() >= patience {
                        return Err(Refusal::Slow);
                    }
                }
            }
        };
        if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Refusal::Broken);
        }
        Ok(self.passed_back(&way, answer, lease, &parts.method, visit))
    }

    fn passed_back(
        &self,
        way: &Way,
        answer: Response<Incoming>,
        lease: Lease,
        method: &Method,
        visit: Option<Visit>,
    ) -> Response<Body> {
        let (parts, body) = answer.into_parts();
        let names = self.0.config.names(&way.door);
        let mut headers = headers::down(&parts.headers, &names, way.door.port, false);
        // Of a body that is there hyper knows the length better.
        if *method == Method::HEAD || parts.status == StatusCode::NOT_MODIFIED {
            length(&parts.headers, &mut headers);
        }
        let endless = parts.headers.get(header::CONTENT_TYPE).is_some_and(|kind| {
            let kind = kind.as_bytes();
            kind.len() >= 17 && kind[..17].eq_ignore_ascii_case(b"text/event-stream")
        });
        // A stream of events goes on in a tab that nobody looks at.
        let used = (visit.is_some() && !endless).then(|| self.used(way));
        let ended = visit.map(|visit| self.ended(visit, endless));
        let body = Download::new(body, lease, ended, used);
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = parts.status;
        *response.headers_mut() = headers;
        response
    }

    /// Notes that the app is used, as often as may be; it is written down less often.
    fn used(&self, way: &Way) -> Used {
        let (proxy, session) = (self.clone(), way.door.session);
        let every = self.0.limits.use_noted;
        let mut last = Instant::now();
        Box::new(move || {
            if last.elapsed() >= every {
                last = Instant::now();
                proxy.0.doors.used(session);
            }
        })
    }

    /// Resolves when this visit is over; one without an end of its own also when
    /// the server is to stop.
    fn ended(&self, visit: Visit, endless: bool) -> Ended {
        let proxy = self.clone();
        Box::pin(async move {
            let shutdown = proxy.0.state.shutdown();
            loop {
                tokio::select! {
                    () = shutdown.cancelled(), if endless => return,
                    () = tokio::time::sleep(proxy.0.limits.recheck) => {}
                }
                if !proxy.still_here(&visit).await {
                    return;
                }
            }
        })
    }

    async fn still_here(&self, visit: &Visit) -> bool {
        let door = self.0.doors.door(&visit.label).await;
        let pass = self.0.doors.pass(&visit.label, &visit.token).await;
        match (door, pass) {
            (Ok(door), Ok(pass)) => door.is_some_and(|way| way.door.open) && pass.is_some(),
            // A database that does not answer says nothing about anyone.
            (Err(_), _) | (_, Err(_)) => true,
        }
    }
}

/// Whether a path is the proxy's own.
fn reserved(path: &str) -> bool {
    path.strip_prefix("/_jg")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What the app is asked for: path and query, whatever else the target had.
fn target(uri: &Uri) -> Uri {
    let path = uri.path_and_query().cloned();
    path.map_or_else(|| Uri::from_static("/"), Uri::from)
}

fn refused(failure: Failure) -> Refusal {
    tracing::debug!(?failure, "an app did not answer");
    match failure {
        Failure::Busy => Refusal::Busy,
        Failure::Down(_) => Refusal::Down,
        Failure::Slow => Refusal::Slow,
        Failure::Broken(_) => Refusal::Broken,
        Failure::NoTls(why) => Refusal::NoTls(why),
    }
}

/// The length of a body that is not sent.
fn length(from: &HeaderMap, to: &mut HeaderMap) {
    let mut lengths = from.get_all(header::CONTENT_LENGTH).iter();
    if let (Some(length), None) = (lengths.next(), lengths.next())
        && length
            .to_str()
            .is_ok_and(|length| length.parse::<u64>().is_ok())
    {
        to.insert(header::CONTENT_LENGTH, length.clone());
    }
}

#[async_trait]
impl Gate for Proxy {
    async fn probe(&self, origin: &str, question: Question) -> Result<Answer, String> {
        let patience = question.patience;
        let asked = tokio::time::timeout(patience, self.ask(origin, question)).await;
        asked.unwrap_or_else(|_| Err(format!("no answer within {} s", patience.as_secs())))
    }
}

impl Proxy {
    async fn ask(&self, origin: &str, question: Question) -> Result<Answer, String> {
        let way = self
            .way(origin)
            .await
            .map_err(|_| "it does not run".to_owned())?;
        let mut request = Request::new(if question.body.is_empty() {
            Body::empty()
        } else {
            Body::from(question.body)
        });
        *request.method_mut() = question.method;
        let path: Result<Uri, _> = question.path.parse();
        *request.uri_mut() = path.map_err(|_| "the path to ask for is not one".to_owned())?;
        let headers = request.headers_mut();
        headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static("junglegrid"));
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        if http_body::Body::is_end_stream(request.body()) {
            request.headers_mut().remove(header::CONTENT_TYPE);
        }
        let client = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let answer = self.forward(way, request, client, None).await;
        let answer = answer.map_err(|refusal| in_words(refusal).to_owned())?;
        let status = answer.status().as_u16();
        let mut body = answer.into_body();
        let mut looked_at = Vec::new();
        while looked_at.len() < LOOKED_AT {
            let Some(frame) = body.frame().await else {
                break;
            };
            let frame = frame.map_err(|_| "its answer broke off".to_owned())?;
            if let Some(data) = frame.data_ref() {
                looked_at.extend_from_slice(data);
            }
        }
        looked_at.truncate(LOOKED_AT);
        Ok(Answer {
            status,
            body: Bytes::from(looked_at),
        })
    }
}

const fn in_words(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Down => "connection refused",
        Refusal::Slow => "no answer in time",
        Refusal::Busy => "too many connections",
        Refusal::Broken => "its answer is not HTTP",
        Refusal::NoTls(why) => why,
        _ => "not reachable",
    }
}
