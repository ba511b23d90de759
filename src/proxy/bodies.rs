//! Bodies on their way through: piece by piece, without trailers, and no longer
//! than the person may be here.
use super::upstream::Lease;
use axum::BoxError;
use axum::body::{Body, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// Resolves when a person may not go on.
pub(super) type Ended = Pin<Box<dyn Future<Output = ()> + Send>>;

#[derive(Debug, thiserror::Error)]
#[error("access to the app has ended")]
struct Over;

/// When something of a request's body last went to the app.
#[derive(Debug, Clone)]
pub(super) struct Progress {
    began: Instant,
    millis: Arc<AtomicU64>,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            began: Instant::now(),
            millis: Arc::default(),
        }
    }

    pub(super) fn last(&self) -> Instant {
        self.began + Duration::from_millis(self.millis.load(Ordering::Relaxed))
    }

    pub(super) fn note(&self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
    }
}

/// Called for every piece that passes: someone uses the app as long as it goes on.
pub(super) type Used = Box<dyn FnMut() + Send>;

/// A request's body. The app may answer before it has all of it, and go on taking it.
pub(super) struct Upload {
    inner: Body,
    progress: Progress,
    ended: Option<Ended>,
    used: Option<Used>,
}

impl Upload {
    /// Nothing stays nothing, so that no framing is sent for it.
    pub(super) fn body(
        inner: Body,
        progress: Progress,
        ended: impl FnOnce() -> Option<Ended>,
        used: Option<Used>,
    ) -> Body {
        if inner.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self {
            inner,
            progress,
            ended: ended(),
            used,
        })
    }
}

impl http_body::Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(ended) = &mut self.ended
            && ended.as_mut().poll(cx).is_ready()
        {
            self.ended = None;
            self.inner = Body::empty();
            return Poll::Ready(Some(Err(Over.into())));
        }
        loop {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
            self.progress.note();
            match frame {
                Some(Ok(frame)) if !frame.is_data() => {}
                Some(Ok(frame)) => {
                    if let Some(used) = &mut self.used {
                        used();
                    }
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body.
pub(super) struct Download {
    inner: Incoming,
    ended: Option<Ended>,
    used: Option<Used>,
    lease: Option<Lease>,
}

impl Download {
    pub(super) fn new(
        inner: Incoming,
        lease: Lease,
        ended: Option<Ended>,
        used: Option<Used>,
    ) -> Self {
        let mut body = Self {
            inner,
            ended,
            used,
            lease: Some(lease),
        };
        body.settle(false);
        body
    }

    /// Gives the connection back when nothing more can come on it.
    fn settle(&mut self, finished: bool) {
        if (finished || self.inner.is_end_stream())
            && let Some(lease) = self.lease.take()
        {
            lease.release();
        }
    }
}

impl http_body::Body for Download {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(ended) = &mut self.ended
            && ended.as_mut().poll(cx).is_ready()
        {
            // An error, because a clean end would make half a file look whole.
            self.ended = None;
            self.lease = None;
            return Poll::Ready(Some(Err(Over.into())));
        }
        loop {
            match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) if !frame.is_data() => {}
                Some(Ok(frame)) => {
                    if let Some(used) = &mut self.used {
                        used();
                    }
                    self.settle(false);
                    return Poll::Ready(Some(Ok(frame)));
                }
                Some(Err(error)) => {
                    self.lease = None;
                    return Poll::Ready(Some(Err(error.into())));
                }
                None => {
                    self.settle(true);
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
