//! Answers that end although their reader does nothing.
//!
//! In HTTP/1 the kernel finds out who does not read. Here a client may read the
//! connection and still not let an answer come. So answers are handed over in
//! small pieces, and who does not take the next one in time gets no more.
use super::Held;
use axum::BoxError;
use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// Most bytes of a piece. Whoever takes less in the time that there is for one is
/// too slow.
const PIECE: usize = 16 * 1024;

tokio::task_local! {
    /// Of the stream whose task this is.
    pub(super) static OWED: Arc<Owed>;
}

/// The piece that has been handed over and not been asked on from: its number, and
/// 0 when all is taken.
#[derive(Debug, Default)]
pub(super) struct Owed(AtomicU64);

/// The body of an answer.
pub(super) struct Answer {
    inner: Body,
    /// Of the last frame.
    rest: Bytes,
    pieces: u64,
    owed: Arc<Owed>,
    _held: Held,
}

impl Answer {
    pub(super) fn new(inner: Body, owed: Arc<Owed>, held: Held) -> Self {
        Self {
            inner,
            rest: Bytes::new(),
            pieces: 0,
            owed,
            _held: held,
        }
    }

    fn piece(&mut self) -> Frame<Bytes> {
        self.pieces += 1;
        self.owed.0.store(self.pieces, Ordering::Relaxed);
        Frame::data(self.rest.split_to(self.rest.len().min(PIECE)))
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        // Whoever asks for more has found room for what there was.
        self.owed.0.store(0, Ordering::Relaxed);
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(trailers))) => return Poll::Ready(Some(Ok(trailers))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                None => return Poll::Ready(None),
            }
        }
        Poll::Ready(Some(Ok(self.piece())))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.inner.size_hint();
        let rest = self.rest.len() as u64;
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(hint.lower().saturating_add(rest));
        hint
    }
}

/// Runs `stream` to its end, or until its client has left a piece lying for too long.
pub(super) async fn watch(stream: impl Future<Output = ()>, owed: Arc<Owed>, stalled: Duration) {
    let mut stream = pin!(stream);
    let mut alarm: Option<(u64, Pin<Box<Sleep>>)> = None;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let piece = owed.0.load(Ordering::Relaxed);
        if piece == 0 {
            return Poll::Pending;
        }
        let (since, sleep) = alarm.get_or_insert_with(|| (piece, Box::pin(sleep(stalled))));
        if *since != piece {
            *since = piece;
            sleep.as_mut().reset(Instant::now() + stalled);
        }
        ready!(sleep.as_mut().poll(cx));
        tracing::debug!("an answer was not taken");
        Poll::Ready(())
    })
    .await;
}
