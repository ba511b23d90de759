//! Connections to one service of one app, kept for the next request.
use super::tls;
use crate::engine::{Engine, Error, Handle};
use axum::body::Body;
use http::{HeaderMap, Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// Unused connections that are kept.
const SPARE: usize = 8;
/// How long: common servers close theirs after 5 seconds.
const KEPT: Duration = Duration::from_secs(4);
/// How long for requests that must not be sent twice: should the app close the
/// connection at that very moment, the request would fail.
const KEPT_FOR_WRITES: Duration = Duration::from_secs(1);
/// Bytes of an answer's head, and of each buffer.
const BUFFER: usize = 64 * 1024;
const HEADERS: usize = 128;
/// How long a connection may take to be ready again after an answer.
const SETTLES: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Too many connections.
    Busy,
    /// Nobody listens, says the engine.
    Down(String),
    /// Connecting took too long.
    Slow,
    /// What came is not HTTP.
    Broken(String),
    /// No TLS came about, and why.
    NoTls(&'static str),
}

#[derive(Debug)]
pub(super) struct Upstream {
    engine: Arc<dyn Engine>,
    pub(super) handle: Handle,
    pub(super) port: u16,
    /// The app speaks TLS, and is called so in it.
    pub(super) tls: Option<ServerName<'static>>,
    connect: Duration,
    slots: Arc<Semaphore>,
    spare: Mutex<Shelf>,
}

/// Connections that nobody uses at the moment.
#[derive(Debug, Default)]
struct Shelf {
    spare: Vec<Spare>,
    /// Whether someone sees to it that they are closed.
    tidied: bool,
}

#[derive(Debug)]
struct Spare {
    sender: SendRequest<Body>,
    since: Instant,
    slot: Slot,
}

/// One of the connections that a service may have.
pub(super) type Slot = Arc<OwnedSemaphorePermit>;

/// A request without its body.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
}

impl Head {
    fn with(self, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.headers_mut() = self.headers;
        request
    }
}

/// The connection that an answer comes on; given back when the answer is over.
#[derive(Debug)]
pub(super) struct Lease {
    upstream: Arc<Upstream>,
    sender: SendRequest<Body>,
    slot: Slot,
}

impl Upstream {
    pub(super) fn new(
        engine: Arc<dyn Engine>,
        handle: Handle,
        port: u16,
        tls: Option<ServerName<'static>>,
        connect: Duration,
        connections: usize,
    ) -> Arc<Self> {
        Arc::new(Self {
            engine,
            handle,
            port,
            tls,
            connect,
            slots: Arc::new(Semaphore::new(connections)),
            spare: Mutex::default(),
        })
    }

    /// Asks on a spare connection, or on a new one.
    pub(super) async fn ask(
        self: &Arc<Self>,
        head: Head,
        body: Body,
    ) -> Result<(Response<Incoming>, Lease), Failure> {
        let empty = http_body::Body::is_end_stream(&body);
        let repeatable =
            empty && matches!(head.method, Method::GET | Method::HEAD | Method::OPTIONS);
        let kept = if repeatable { KEPT } else { KEPT_FOR_WRITES };
        let again = repeatable.then(|| head.clone());
        let mut request = head.with(body);
        while let Some(mut lease) = self.take(kept) {
            let mut failed = match lease.sender.try_send_request(request).await {
                Ok(response) => return Ok((response, lease)),
                Err(failed) => failed,
            };
            // The app closed it while it was not used, or has been restarted.
            request = match (failed.take_message(), &again) {
                (Some(unsent), _) => unsent,
                (None, Some(head)) => head.clone().with(Body::empty()),
                (None, None) => return Err(broken(failed.error())),
            };
        }
        let mut lease = self.lease().await?;
        let response = lease.sender.send_request(request).await;
        let response = response.map_err(|error| broken(&error))?;
        Ok((response, lease))
    }

    /// A connection of one's own.
    pub(super) async fn lease(self: &Arc<Self>) -> Result<Lease, Failure> {
        let slot = Arc::clone(&self.slots).acquire_owned();
        let slot = timeout(self.connect, slot).await;
        let Ok(Ok(slot)) = slot else {
            return Err(Failure::Busy);
        };
        let slot = Arc::new(slot);
        let opening = async {
            let stream = self.engine.connect(&self.handle, self.port).await;
            let stream = stream.map_err(|error| match error {
                Error::NotFound => Failure::Down("the app has ended".into()),
                Error::Unavailable(why) | Error::Refused(why) | Error::NoImage(why) => {
                    Failure::Down(why)
                }
            })?;
            let stream = match &self.tls {
                Some(name) => tls::speak(stream, name.clone()).await?,
                None => stream,
            };
            http1::Builder::new()
                .max_headers(HEADERS)
                .max_header_size(BUFFER)
                .max_buf_size(BUFFER)
                .handshake(TokioIo::new(stream))
                .await
                .map_err(|error| broken(&error))
        };
        let opened = timeout(self.connect, opening).await;
        let (sender, connection) = opened.unwrap_or(Err(Failure::Slow))?;
        let held = Arc::clone(&slot);
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to an app ended");
            }
            drop(held);
        });
        Ok(Lease {
            upstream: Arc::clone(self),
            sender,
            slot,
        })
    }

    fn take(self: &Arc<Self>, kept: Duration) -> Option<Lease> {
        let mut stock = self.spare();
        loop {
            // The newest first: the older ones may not be needed any more.
            let Spare {
                sender,
                since,
                slot,
            } = stock.spare.pop()?;
            if sender.is_ready() && since.elapsed() < kept {
                return Some(Lease {
                    upstream: Arc::clone(self),
                    sender,
                    slot,
                });
            }
        }
    }

    fn keep(self: &Arc<Self>, sender: SendRequest<Body>, slot: Slot) {
        let mut stock = self.spare();
        if stock.spare.len() >= SPARE {
            return;
        }
        if !std::mem::replace(&mut stock.tidied, true) {
            tokio::spawn(tidy(Arc::downgrade(self)));
        }
        stock.spare.push(Spare {
            sender,
            since: Instant::now(),
            slot,
        });
    }

    fn spare(&self) -> MutexGuard<'_, Shelf> {
        self.spare.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes connections that nobody needed, until none is left.
async fn tidy(upstream: std::sync::Weak<Upstream>) {
    loop {
        tokio::time::sleep(KEPT).await;
        let Some(upstream) = upstream.upgrade() else {
            return;
        };
        let mut stock = upstream.spare();
        stock
            .spare
            .retain(|spare| spare.sender.is_ready() && spare.since.elapsed() < KEPT);
        if stock.spare.is_empty() {
            stock.tidied = false;
            return;
        }
    }
}

impl Lease {
    /// Gives the connection back, once all of the answer has been read.
    pub(super) fn release(self) {
        let Self {
            upstream,
            mut sender,
            slot,
        } = self;
        if sender.is_ready() {
            upstream.keep(sender, slot);
            return;
        }
        // Its task has not noticed yet that the answer is over.
        tokio::spawn(async move {
            if let Ok(Ok(())) = timeout(SETTLES, sender.ready()).await {
                upstream.keep(sender, slot);
            }
        });
    }

    /// Asks on this very connection.
    pub(super) async fn ask(&mut self, head: Head) -> Result<Response<Incoming>, Failure> {
        let response = self.sender.send_request(head.with(Body::empty())).await;
        response.map_err(|error| broken(&error))
    }

    /// What counts the connection, for as long as it is in use after an upgrade.
    pub(super) fn into_slot(self) -> Slot {
        self.slot
    }
}

fn broken(error: &hyper::Error) -> Failure {
    Failure::Broken(if error.is_parse() {
        "the answer is not HTTP".into()
    } else {
        "the connection was closed".into()
    })
}
