//! Request bodies that end: by size, by pace, by time.
use super::refusal::Refusal;
use crate::domain::peer::Site;
use axum::body::{Body, Bytes};
use http::request::Parts;
use http_body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep_until};

/// How large and how slow a request's body may be. The clock runs from the
/// first time that a handler asks for the body.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimits {
    /// Most bytes.
    pub bytes: u64,
    /// Most time from the first byte asked for to the last received; `None` for no limit.
    pub total: Option<Duration>,
    /// Fewest bytes per second, on average, once `patience` is over; at least 1.
    pub rate: u64,
    /// How long a body may be as slow as it likes.
    pub patience: Duration,
}

impl Default for BodyLimits {
    /// 1 MiB within 30 seconds, after the first 10 at least 1 KiB per second.
    fn default() -> Self {
        Self {
            bytes: 1024 * 1024,
            total: Some(Duration::from_secs(30)),
            rate: 1024,
            patience: Duration::from_secs(10),
        }
    }
}

impl BodyLimits {
    /// The default for the portal. What people send to their own apps is between
    /// them: models of many gigabytes, read as slowly as the app likes. The proxy
    /// reads nothing from strangers.
    #[must_use]
    pub fn of(site: &Site, parts: &Parts) -> Self {
        let upload = is_upload(&parts.method, parts.uri.path());
        match site {
            // Whoever takes it knows how large it may be.
            Site::Portal if upload => Self {
                bytes: u64::MAX,
                total: None,
                patience: Duration::from_secs(30),
                ..Self::default()
            },
            Site::Portal => Self::default(),
            Site::App(_) => Self {
                bytes: u64::MAX,
                total: None,
                rate: 1,
                patience: Duration::from_hours(24),
            },
        }
    }
}

/// Whether this is where files are sent to, by programs or with a form of the portal.
fn is_upload(method: &http::Method, path: &str) -> bool {
    let below = |base: &str, end: &str| path.starts_with(base) && path.ends_with(end);
    match *method {
        http::Method::PUT => below("/v1/job-inputs/", "/content"),
        http::Method::POST => path == "/portal/inputs" || below("/portal/submit/", "/files"),
        _ => false,
    }
}

/// What became of a body, told to the guard: a handler only sees its reading
/// fail, and answers with whatever its extractor makes of that.
#[derive(Debug, Clone, Default)]
pub(super) struct Verdict(Arc<AtomicU8>);

const TOO_LARGE: u8 = 1;
const TOO_SLOW: u8 = 2;

impl Verdict {
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.0.load(Ordering::Relaxed) {
            TOO_LARGE => Some(Refusal::TOO_LARGE),
            TOO_SLOW => Some(Refusal::TOO_SLOW),
            _ => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the body is larger than is allowed here")]
    TooLarge,
    #[error("the body arrived too slowly")]
    TooSlow,
}

/// A body that fails when it breaks its limits.
pub(super) struct Limited {
    inner: Body,
    limits: BodyLimits,
    verdict: Verdict,
    received: u64,
    clock: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Limited {
    pub(super) fn new(inner: Body, limits: BodyLimits, verdict: Verdict) -> Self {
        Self {
            inner,
            limits,
            verdict,
            received: 0,
            clock: None,
        }
    }

    /// When what has been received so far becomes too little.
    fn deadline(&self, started: Instant) -> Instant {
        let earned =
            Duration::from_millis(self.received.saturating_mul(1000) / self.limits.rate.max(1));
        let most = self.limits.total.unwrap_or(Duration::MAX);
        // A day hence is never for one request; adding more could overflow.
        let allowed = earned
            .max(self.limits.patience)
            .min(most)
            .min(Duration::from_hours(24));
        started + allowed
    }

    fn too_slow(&mut self, cx: &mut Context<'_>) -> bool {
        let started = self
            .clock
            .as_ref()
            .map_or_else(Instant::now, |(started, _)| *started);
        let deadline = self.deadline(started);
        let (_, sleep) = self
            .clock
            .get_or_insert_with(|| (started, Box::pin(sleep_until(deadline))));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx).is_ready()
    }
}

impl http_body::Body for Limited {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        // The body first: what has arrived in time counts, however late it is read.
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            let Some(Ok(frame)) = frame else {
                return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
            };
            let length = frame.data_ref().map_or(0, |data| data.len() as u64);
            self.received = self.received.saturating_add(length);
            if self.received > self.limits.bytes {
                self.verdict.0.store(TOO_LARGE, Ordering::Relaxed);
                return Poll::Ready(Some(Err(Broken::TooLarge.into())));
            }
            return Poll::Ready(Some(Ok(frame)));
        }
        if self.too_slow(cx) {
            self.verdict.0.store(TOO_SLOW, Ordering::Relaxed);
            return Poll::Ready(Some(Err(Broken::TooSlow.into())));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
