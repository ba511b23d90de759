//! One connection that follows an app.
use super::feed::{self, LINES, Mark, News, Tick};
use super::seats::Seat;
use super::{message, put};
use crate::api::apps as wire;
use crate::domain::id::AppSessionId;
use crate::orchestrator::{Caller, Error, State};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use serde_json::json;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// How often a connection shows that it is alive, which proxies ask for once a
/// minute, and its reader's session is looked at.
const PULSE: Duration = Duration::from_secs(15);

/// A sign of life.
const ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// What is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// [`wire::Change`]s.
    Page,
    /// Numbered [`wire::Event`]s.
    Events,
}

/// What every stream has, whatever it says.
#[derive(Debug)]
pub(super) struct Sitting {
    pub(super) state: State,
    caller: Caller,
    seat: Seat,
    pulse: Interval,
}

/// Why a stream woke up.
#[derive(Debug)]
pub(super) enum Woke<T> {
    News(T),
    /// Say that you are alive.
    Pulse,
    /// The reader has no right to this any more.
    SignedOut,
    /// The process stops.
    Over,
}

impl Sitting {
    pub(super) fn new(state: State, caller: Caller) -> Result<Self, Error> {
        let seat = Seat::take(&state, &caller)?;
        let mut pulse = interval_at(Instant::now() + PULSE, PULSE);
        pulse.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            state,
            caller,
            seat,
            pulse,
        })
    }

    pub(super) async fn wait<T>(&mut self, news: impl Future<Output = T>) -> Woke<T> {
        tokio::select! {
            biased;
            () = self.state.shutdown().cancelled() => return Woke::Over,
            () = self.seat.cut.cancelled() => return Woke::SignedOut,
            _ = self.pulse.tick() => {}
            news = news => return Woke::News(news),
        }
        // On the heap, because most of the time thousands of these do nothing.
        match Box::pin(self.caller.still_here(&self.state)).await {
            Ok(()) => Woke::Pulse,
            Err(_) => Woke::SignedOut,
        }
    }
}

/// Follows one app for one reader.
#[derive(Debug)]
pub(super) struct Watcher {
    sitting: Sitting,
    id: AppSessionId,
    kind: Kind,
    at: Mark,
    ticks: Receiver<Arc<Tick>>,
    first: Arc<Tick>,
}

impl Watcher {
    /// For a reader who has seen everything up to `seen`.
    pub(super) async fn new(
        state: State,
        caller: Caller,
        id: AppSessionId,
        (kind, seen): (Kind, Mark),
    ) -> Result<Self, Error> {
        let workspace = caller.workspace;
        let sitting = Sitting::new(state, caller)?;
        let (ticks, first) = feed::watch(&sitting.state, workspace, id).await?;
        let at = Mark {
            event: seen.event.min(first.to.event),
            log: match (kind, seen.log) {
                (Kind::Events, _) => first.to.log,
                (Kind::Page, 0) => first.to.log.saturating_sub_unsigned(LINES as u64).max(0),
                (Kind::Page, seen) => seen.min(first.to.log),
            },
        };
        Ok(Self {
            sitting,
            id,
            kind,
            at,
            ticks,
            first,
        })
    }

    pub(super) fn stream(self) -> impl Stream<Item = Bytes> + Send {
        let Self {
            mut sitting,
            mut ticks,
            first,
            id,
            kind,
            mut at,
        } = self;
        async_stream::stream! {
            let mut seen = first.number;
            let mut tick = Some(first);
            let mut opening = true;
            loop {
                if let Some(tick) = tick.take() {
                    seen = tick.number;
                    if opening && kind == Kind::Events {
                        yield Bytes::from_static(b"retry: 3000\n\n");
                    }
                    // Whoever is where the tick begins gets what everyone gets.
                    if !opening && at == tick.from {
                        at = tick.to;
                        let said = match kind {
                            Kind::Page => &tick.change,
                            Kind::Events => &tick.events,
                        };
                        if !said.is_empty() { yield said.clone() }
                    } else {
                        loop {
                            let missed = Box::pin(missed(&sitting.state, id, kind, at, &tick)).await;
                            let Ok((said, reached)) = missed else { return };
                            at = reached;
                            if !said.is_empty() { yield said }
                            if at == tick.to { break }
                        }
                    }
                    opening = false;
                    if tick.last {
                        if kind == Kind::Events {
                            yield end(&tick.session);
                        }
                        return;
                    }
                }
                match sitting.wait(ticks.recv()).await {
                    Woke::News(Ok(next)) => tick = Some(next).filter(|next| next.number > seen),
                    // The next one begins later than where we are: it is read up on.
                    Woke::News(Err(RecvError::Lagged(_))) => {}
                    Woke::Pulse => yield ALIVE,
                    Woke::SignedOut => {
                        if kind == Kind::Events {
                            yield Bytes::from_static(b"event: auth\ndata: {}\n\n");
                        }
                        return;
                    }
                    Woke::News(Err(RecvError::Closed)) | Woke::Over => return,
                }
            }
        }
    }
}

/// What a reader who is at `at` has missed up to `tick`, and how far that goes.
async fn missed(
    state: &State,
    id: AppSessionId,
    kind: Kind,
    at: Mark,
    tick: &Tick,
) -> Result<(Bytes, Mark), Error> {
    if at == tick.to {
        let said = match kind {
            Kind::Page => tick.quiet()?,
            Kind::Events => Bytes::new(),
        };
        return Ok((said, at));
    }
    let mut to = tick.to;
    if kind == Kind::Events {
        to.log = at.log;
    }
    let mut conn = state.store().read().await?;
    let news = News::read(&mut conn, (id, tick.session.job_id), (at, to)).await?;
    drop(conn);
    // A gap that the database cannot fill is not waited for.
    let mut reached = if news.more { news.to } else { to };
    match kind {
        Kind::Page => {
            let said = message(&wire::Change {
                session: tick.session.clone(),
                events: news.events,
                lines: news.lines,
            })?;
            Ok((said, reached))
        }
        Kind::Events => {
            let mut said = BytesMut::new();
            for event in &news.events {
                put(&mut said, Some(event.sequence), event)?;
            }
            reached.log = tick.to.log;
            Ok((said.freeze(), reached))
        }
    }
}

fn end(session: &wire::Session) -> Bytes {
    let data = json!({ "status": session.status, "message": session.status_message });
    Bytes::from(format!("event: end\ndata: {data}\n\n"))
}
