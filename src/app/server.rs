//! The loop that accepts connections and serves HTTP/1 on them, inside TLS if
//! the listener has a certificate; there also HTTP/2, for who prefers it.
//!
//! It exists because `axum::serve` waits for ever: on a silent connection, on
//! half a header, on a client that does not read. Here everything ends.
mod greet;
mod http2;

use super::tls::Tls;
use crate::domain::peer::{Net, Peer};
use axum::Router;
use axum::body::Body;
use http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// How much a listener puts up with.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From the start of a connection to the end of its TLS handshake. 10 seconds.
    pub handshake: Duration,
    /// From the first byte of a request (or from the start of the connection)
    /// to the end of its headers. 10 seconds.
    pub header: Duration,
    /// From the end of a response to the first byte of the next request. 60 seconds.
    pub idle: Duration,
    /// How long the client may leave bytes of ours unread or unacknowledged. 30 seconds.
    pub stalled: Duration,
    /// A client that has said nothing for so long is asked by the kernel whether it is
    /// still there; one that has vanished is gone `stalled` later. 2 minutes.
    pub silent: Duration,
    /// How long requests may take to finish once the server is to stop. 20 seconds.
    pub drain: Duration,
    /// After the last byte of ours, how long we read on and drop what comes. 1 second.
    pub linger: Duration,
    /// Header lines of a request. 100; more are answered with 431.
    pub headers: usize,
    /// Bytes of a request's head, and of a connection's buffer. 64 KiB, at
    /// least 8 KiB; a longer head is answered with 431.
    pub buffer: usize,
    /// Open connections in all. 8,192; one more is answered with 503.
    pub connections: usize,
    /// Open connections from one address, or one IPv6 /64. 64; one more is answered with 429.
    pub per_address: usize,
    /// Addresses that may open more than that: loopback; add trusted proxies.
    pub exempt: Vec<Net>,
    /// Open requests on one HTTP/2 connection. 100; more wait with the client.
    pub streams: u32,
    /// Open requests over HTTP/2 in all. 8,192; one more is answered with 503.
    pub requests: usize,
    /// Those from one address, or one IPv6 /64. 256; one more is answered with 429.
    pub requests_per_address: usize,
    /// An HTTP/2 client that has asked for nothing in `silent`, and has an answer
    /// open, is asked whether it is still there; this is how long it may take to say
    /// so, behind all that is on its way to it. 1 minute.
    pub pong: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(10),
            header: Duration::from_secs(10),
            idle: Duration::from_mins(1),
            stalled: Duration::from_secs(30),
            silent: Duration::from_mins(2),
            drain: Duration::from_secs(20),
            linger: Duration::from_secs(1),
            headers: 100,
            buffer: 64 * 1024,
            connections: 8192,
            per_address: 64,
            exempt: Net::LOOPBACK.to_vec(),
            streams: 100,
            requests: 8192,
            requests_per_address: 256,
            pong: Duration::from_mins(1),
        }
    }
}

/// Connections that are being told why they are refused, at once.
const REFUSALS: usize = 256;
/// Between two questions of the kernel, in seconds.
const ASKING: u32 = 15;
/// After an error that is not about one connection, such as no free file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Where clients come in.
#[derive(Debug)]
pub struct Door {
    pub listener: TcpListener,
    /// Without it, HTTP is spoken in the clear.
    pub tls: Option<Arc<Tls>>,
}

impl From<TcpListener> for Door {
    fn from(listener: TcpListener) -> Self {
        Self {
            listener,
            tls: None,
        }
    }
}

/// Serves `router` at `door` until `shutdown` is cancelled.
///
/// Every request carries a [`Peer`] in its extensions. After the cancellation
/// no connection is accepted and idle ones are closed; requests may finish
/// within `limits.drain`, then their connections are dropped. Streams without
/// an end have to watch the same token, or they use up all of that time.
///
/// # Errors
///
/// If the listener cannot tell its own address. Failures to accept are logged
/// and waited out.
pub async fn serve(
    door: impl Into<Door>,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let Door { listener, tls } = door.into();
    let address = listener.local_addr()?;
    tracing::debug!(%address, "accepting connections");
    let limits = Arc::new(limits);
    let slots = Slots::new(limits.connections, limits.per_address, &limits.exempt);
    let requests = Slots::new(limits.requests, limits.requests_per_address, &limits.exempt);
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let connections = TaskTracker::new();
    let drop_all = CancellationToken::new();
    while let Some((stream, from)) = accept(&listener, &shutdown).await {
        prepare(&stream, &limits);
        let peer = Peer(from.ip().to_canonical());
        match slots.take(peer) {
            Ok(slot) => {
                let until = Until {
                    shutdown: shutdown.clone(),
                    drop_all: drop_all.clone(),
                };
                let talk = Talk {
                    slot,
                    peer,
                    router: router.clone(),
                    limits: Arc::clone(&limits),
                    until,
                    requests: Arc::clone(&requests),
                    tasks: connections.clone(),
                };
                connections.spawn(connection(stream, talk, tls.clone()));
            }
            Err(full) => {
                tracing::debug!(peer = %peer.0, ?full, "connection refused");
                // When even refusing is too much work, the connection is just closed;
                // and a handshake, only to say so, is.
                if tls.is_none()
                    && let Ok(permit) = Arc::clone(&refusals).try_acquire_owned()
                {
                    connections.spawn(refuse(stream, full, limits.linger, permit));
                }
            }
        }
    }
    drop(listener);
    connections.close();
    if tokio::time::timeout(limits.drain, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!(
            open = connections.len(),
            "requests did not finish in time, dropping them"
        );
        drop_all.cancel();
        connections.wait().await;
    }
    Ok(())
}

/// The next connection, or `None` when it is time to stop.
async fn accept(
    listener: &TcpListener,
    shutdown: &CancellationToken,
) -> Option<(TcpStream, SocketAddr)> {
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => return None,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok(accepted) => return Some(accepted),
            Err(error) if concerns_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections, trying again");
                tokio::select! {
                    () = shutdown.cancelled() => return None,
                    () = tokio::time::sleep(ACCEPT_PAUSE) => {}
                }
            }
        }
    }
}

/// Errors of a connection that died in the queue; the next one may be fine.
fn concerns_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

fn prepare(stream: &TcpStream, limits: &Limits) {
    // These can only fail on a connection that is already gone.
    let _ = stream.set_nodelay(true);
    let stalled = u32::try_from(limits.stalled.as_millis()).unwrap_or(u32::MAX);
    // The kernel ends the connection then: no timer of ours, no memory per connection.
    let _ = setsockopt(stream, sockopt::TcpUserTimeout, &stalled);
    // The same for who vanishes while nothing is sent, such as the browser of a quiet
    // WebSocket: no bytes of ours get between those that we carry for others.
    let silent = u32::try_from(limits.silent.as_secs()).unwrap_or(u32::MAX);
    let _ = setsockopt(stream, sockopt::TcpKeepIdle, &silent.max(1));
    let _ = setsockopt(stream, sockopt::TcpKeepInterval, &ASKING);
    let _ = setsockopt(stream, sockopt::KeepAlive, &true);
}

struct Until {
    shutdown: CancellationToken,
    drop_all: CancellationToken,
}

/// What a connection is served with.
struct Talk {
    slot: Slot,
    peer: Peer,
    router: Router,
    limits: Arc<Limits>,
    until: Until,
    /// Of HTTP/2.
    requests: Arc<Slots>,
    /// That a request of HTTP/2 is answered in.
    tasks: TaskTracker,
}

async fn connection(stream: TcpStream, talk: Talk, tls: Option<Arc<Tls>>) {
    let Some(tls) = tls else {
        return speak(stream, talk).await;
    };
    let greeted = tokio::select! {
        greeted = greet::greet(stream, &tls, &talk.limits) => greeted,
        () = talk.until.shutdown.cancelled() => return,
    };
    match greeted {
        // In a box: what HTTP/1 is spoken in need not be as large.
        Ok(stream) if greet::wants_http2(&stream) => Box::pin(http2::speak(stream, talk)).await,
        Ok(stream) => speak(stream, talk).await,
        Err(error) => tracing::debug!(peer = %talk.peer.0, %error, "no TLS with this client"),
    }
}

/// A connection's bytes, as HTTP sees them.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Socket for S {}

async fn speak(stream: impl Socket, talk: Talk) {
    let Talk {
        slot,
        peer,
        router,
        limits,
        until,
        ..
    } = talk;
    let head = Arc::new(Head::new(&limits));
    let io = Wire {
        stream,
        head: Arc::clone(&head),
        lingers: limits.linger,
        linger: None,
        _slot: slot,
    };
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(HeadTimer(head))
        // How long that is, our timer knows better; see `Head`.
        .header_read_timeout(limits.header)
        .max_headers(limits.headers)
        .max_header_size(limits.buffer)
        .max_buf_size(limits.buffer)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades();
    let mut served = pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = until.shutdown.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                result = served => result,
                () = until.drop_all.cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer = %peer.0, %error, "connection ended");
    }
}

/// Tells a client that it may not connect, and closes.
async fn refuse(
    mut stream: TcpStream,
    full: Full,
    linger: Duration,
    _permit: OwnedSemaphorePermit,
) {
    let status = full.status();
    let answer = format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n"
    );
    let _ = tokio::time::timeout(linger, async move {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing with something unread would reset the connection, and the
        // client might never see the answer.
        tokio::io::copy(&mut stream, &mut tokio::io::sink()).await
    })
    .await;
}

/// Counts the open connections, or requests.
struct Slots {
    all: Arc<Semaphore>,
    per_address: usize,
    exempt: Vec<Net>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

#[derive(Debug, Clone, Copy)]
enum Full {
    Server,
    Address,
}

/// One of them; dropping it counts it out.
struct Slot {
    slots: Arc<Slots>,
    /// `None` for one that is not counted by address.
    network: Option<IpAddr>,
    _permit: OwnedSemaphorePermit,
}

impl Full {
    const fn status(self) -> StatusCode {
        match self {
            Self::Server => StatusCode::SERVICE_UNAVAILABLE,
            Self::Address => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

impl Slots {
    fn new(all: usize, per_address: usize, exempt: &[Net]) -> Arc<Self> {
        Arc::new(Self {
            all: Arc::new(Semaphore::new(all)),
            per_address,
            exempt: exempt.to_vec(),
            open: Mutex::default(),
        })
    }

    fn take(self: &Arc<Self>, peer: Peer) -> Result<Slot, Full> {
        let permit = Arc::clone(&self.all)
            .try_acquire_owned()
            .map_err(|_| Full::Server)?;
        let exempt = self.exempt.iter().any(|net| net.contains(peer.0));
        let network = (!exempt).then(|| peer.network());
        if let Some(network) = network {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            let count = open.entry(network).or_default();
            if *count >= self.per_address {
                return Err(Full::Address);
            }
            *count += 1;
        }
        Ok(Slot {
            slots: Arc::clone(self),
            network,
            _permit: permit,
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let Some(network) = self.network else { return };
        let mut open = self
            .slots
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                open.remove(&network);
            }
        }
    }
}

/// When the head of the current request began.
///
/// hyper has one timeout for both, waiting for a request and reading its head.
/// We want the first long and the second short; so its timer asks us, and the
/// socket tells us when bytes arrive.
#[derive(Debug)]
struct Head {
    header: Duration,
    idle: Duration,
    opened: Instant,
    /// Whether no request has been waited for yet.
    fresh: AtomicBool,
    /// Microseconds from `opened` to the first byte, plus one; 0 before it.
    began: AtomicU64,
}

impl Head {
    fn new(limits: &Limits) -> Self {
        // A new connection is there to say something: the short timeout runs at once.
        Self {
            header: limits.header,
            idle: limits.idle,
            opened: Instant::now(),
            fresh: AtomicBool::new(true),
            began: AtomicU64::new(1),
        }
    }

    fn wait(&self) {
        // Bytes that arrived before this belonged to the last request's body.
        if !self.fresh.swap(false, Ordering::Relaxed) {
            self.began.store(0, Ordering::Relaxed);
        }
    }

    fn bytes_arrived(&self) {
        if self.began.load(Ordering::Relaxed) == 0 {
            let micros = u64::try_from(self.opened.elapsed().as_micros()).unwrap_or(u64::MAX - 1);
            self.began.store(micros + 1, Ordering::Relaxed);
        }
    }

    fn deadline(&self, waiting_since: Instant) -> Instant {
        match self.began.load(Ordering::Relaxed) {
            0 => waiting_since + self.idle,
            began => self.opened + Duration::from_micros(began - 1) + self.header,
        }
    }
}

/// Gives hyper timers that ring when [`Head`] says so.
#[derive(Debug, Clone)]
struct HeadTimer(Arc<Head>);

impl hyper::rt::Timer for HeadTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        self.sleep_until(std::time::Instant::now() + duration)
    }

    fn sleep_until(&self, _: std::time::Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let waiting_since = Instant::now();
        self.0.wait();
        let sleep = Box::pin(sleep_until(self.0.deadline(waiting_since)));
        Box::pin(HeadSleep {
            head: Arc::clone(&self.0),
            waiting_since,
            sleep,
        })
    }
}

struct HeadSleep {
    head: Arc<Head>,
    waiting_since: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl hyper::rt::Sleep for HeadSleep {}

impl Future for HeadSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.head.deadline(self.waiting_since);
        if self.sleep.deadline() != deadline {
            self.sleep.as_mut().reset(deadline);
        }
        self.sleep.as_mut().poll(cx)
    }
}

/// A socket that tells [`Head`] about arriving bytes, lingers when it closes,
/// and holds the connection's slot even after an upgrade.
struct Wire<S> {
    stream: S,
    head: Arc<Head>,
    lingers: Duration,
    linger: Option<Pin<Box<Sleep>>>,
    _slot: Slot,
}

impl<S: Socket> AsyncRead for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        if buf.filled().len() > before {
            self.head.bytes_arrived();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: Socket> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// Closes our side, then reads on for a moment: closing with something
    /// unread (the rest of a body that was too large) would reset the
    /// connection, and the client might lose the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
            self.linger = Some(Box::pin(tokio::time::sleep(self.lingers)));
        }
        // Enough for one turn; the rest is for other connections to use.
        for _ in 0..64 {
            let over = self
                .linger
                .as_mut()
                .is_none_or(|linger| linger.as_mut().poll(cx).is_ready());
            if over {
                return Poll::Ready(Ok(()));
            }
            let mut dropped = [0; 4096];
            let mut buf = ReadBuf::new(&mut dropped);
            let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
