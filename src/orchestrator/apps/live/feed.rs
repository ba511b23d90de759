//! What is new about one app, read once and said once for all who watch it.
use super::super::view;
use super::{message, put};
use crate::api::apps as wire;
use crate::domain::id::{AppSessionId, JobId, WorkspaceId};
use crate::orchestrator::{Change, Error, State};
use crate::store::Conn;
use crate::store::apps::{self as table, events};
use crate::store::jobs::logs;
use bytes::{Bytes, BytesMut};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

/// Between two looks when nobody says that anything has changed: costs and
/// durations move by themselves.
const LOOK: Duration = Duration::from_secs(20);
/// What happens within this is said together.
const BREATH: Duration = Duration::from_millis(50);
/// After the database has not answered.
const RETRY: Duration = Duration::from_secs(1);
/// Ticks that a watcher may be behind before it has to read for itself.
const BEHIND: usize = 64;
/// Events and lines in one message; lines also no more than so many bytes.
const EVENTS: usize = 500;
pub(super) const LINES: usize = 200;
const LINE_BYTES: usize = 256 * 1024;

/// How much has been seen: the last event and the last line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mark {
    pub(super) event: i64,
    pub(super) log: i64,
}

/// One look at an app.
#[derive(Debug)]
pub(super) struct Tick {
    /// Counts up within a feed.
    pub(super) number: u64,
    pub(super) from: Mark,
    pub(super) to: Mark,
    pub(super) session: wire::Session,
    /// The message for pages that are at `from`.
    pub(super) change: Bytes,
    /// The numbered events between `from` and `to`.
    pub(super) events: Bytes,
    /// The message for pages that are at `to`, once anyone wants it.
    quiet: OnceLock<Bytes>,
    /// Nothing will ever be new after this.
    pub(super) last: bool,
}

impl Tick {
    /// All of the app and nothing new.
    pub(super) fn quiet(&self) -> Result<Bytes, Error> {
        if let Some(made) = self.quiet.get() {
            return Ok(made.clone());
        }
        let made = message(&wire::Change {
            session: self.session.clone(),
            events: Vec::new(),
            lines: Vec::new(),
        })?;
        Ok(self.quiet.get_or_init(|| made).clone())
    }
}

/// The feeds of this process. Each belongs to its task, and is gone with it.
#[derive(Debug, Default)]
pub(super) struct Feeds(Mutex<HashMap<AppSessionId, Weak<Feed>>>);

impl Feeds {
    fn lock(&self) -> MutexGuard<'_, HashMap<AppSessionId, Weak<Feed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Feed {
    workspace: WorkspaceId,
    latest: Mutex<Arc<Tick>>,
    ticks: Sender<Arc<Tick>>,
}

impl Feed {
    fn latest(&self) -> MutexGuard<'_, Arc<Tick>> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ticks from now on, and the one before them.
    fn watch(&self) -> (Receiver<Arc<Tick>>, Arc<Tick>) {
        let ticks = self.ticks.subscribe();
        (ticks, Arc::clone(&self.latest()))
    }

    fn publish(&self, tick: Arc<Tick>) {
        *self.latest() = Arc::clone(&tick);
        let _ = self.ticks.send(tick);
    }
}

/// Follows a session of this workspace: what comes, and how it is now.
///
/// # Errors
///
/// [`Error::NotFound`] if the workspace has no such session.
pub(super) async fn watch(
    state: &State,
    workspace: WorkspaceId,
    id: AppSessionId,
) -> Result<(Receiver<Arc<Tick>>, Arc<Tick>), Error> {
    let feeds = &state.0.live.feeds;
    let known = |feeds: &HashMap<AppSessionId, Weak<Feed>>| {
        let feed = feeds.get(&id)?.upgrade()?;
        (feed.workspace == workspace).then(|| feed.watch())
    };
    if let Some(watching) = known(&feeds.lock()) {
        return Ok(watching);
    }
    // Listens first and reads second, so that nothing falls in between.
    let changes = state.hub().subscribe();
    let mut conn = state.store().read().await?;
    let session = view::find(&mut conn, workspace, id).await?;
    let job = session.job;
    let session = view::show(state, &mut conn, session).await?;
    let line = logs::tail(&mut conn, job, 1, &logs::Filter::default()).await?;
    drop(conn);
    let now = Mark {
        event: session.last_event,
        log: line.last().map_or(0, |line| line.entry),
    };
    let first = Arc::new(Tick {
        number: 0,
        from: now,
        to: now,
        last: session.status.ended(),
        session,
        change: Bytes::new(),
        events: Bytes::new(),
        quiet: OnceLock::new(),
    });
    let mut feeds = feeds.lock();
    if let Some(watching) = known(&feeds) {
        return Ok(watching);
    }
    let feed = Arc::new(Feed {
        workspace,
        latest: Mutex::new(Arc::clone(&first)),
        ticks: broadcast::Sender::new(BEHIND),
    });
    let watching = feed.watch();
    if !first.last {
        feeds.insert(id, Arc::downgrade(&feed));
        drop(feeds);
        tokio::spawn(run(state.clone(), (id, job), feed, changes));
    }
    Ok(watching)
}

/// Looks whenever something may have changed, until the session has ended or
/// nobody watches.
async fn run(
    state: State,
    (id, job): (AppSessionId, JobId),
    feed: Arc<Feed>,
    mut changes: Receiver<Change>,
) {
    let shutdown = state.shutdown().clone();
    let mut more = false;
    loop {
        if !more {
            tokio::select! {
                () = shutdown.cancelled() => break,
                open = news(&state, (id, job), &mut changes) => if !open { break },
                () = tokio::time::sleep(LOOK) => {}
            }
        }
        if forsaken(&state, id, &feed) {
            return;
        }
        let before = Arc::clone(&feed.latest());
        match look(&state, (id, job), &before).await {
            Ok((Some(tick), unread)) => {
                more = unread;
                let last = tick.last;
                feed.publish(Arc::new(tick));
                if last {
                    break;
                }
            }
            Ok((None, _)) => more = false,
            Err(error) => {
                tracing::warn!(%error, session = %id, "could not look at an app");
                tokio::time::sleep(RETRY).await;
                more = true;
            }
        }
    }
    state.0.live.feeds.lock().remove(&id);
}

/// Waits until the app may have changed, and a moment longer for whatever comes
/// along with that. `false` when nothing more can come.
async fn news(state: &State, of: (AppSessionId, JobId), changes: &mut Receiver<Change>) -> bool {
    loop {
        match changes.recv().await {
            Ok(change) if concerns(state, of, change) => break,
            Ok(_) => {}
            // Whoever is slow to read the hub simply looks at the database.
            Err(RecvError::Lagged(_)) => break,
            Err(RecvError::Closed) => return false,
        }
    }
    tokio::time::sleep(BREATH).await;
    while let Ok(change) = changes.try_recv() {
        concerns(state, of, change);
    }
    true
}

/// Whether it is about this app. Who has signed out is cut off on the way.
pub(super) fn concerns(state: &State, (id, job): (AppSessionId, JobId), change: Change) -> bool {
    match change {
        Change::App { session, .. } => session == id,
        Change::Job { .. } | Change::Logs { .. } => change.job() == Some(job),
        Change::SignedOut { bearer } => {
            state.0.live.seats.cut(bearer);
            false
        }
    }
}

/// Whether nobody watches; then the feed is given up before anyone else can come.
fn forsaken(state: &State, id: AppSessionId, feed: &Feed) -> bool {
    let mut feeds = state.0.live.feeds.lock();
    let nobody = feed.ticks.receiver_count() == 0;
    if nobody {
        feeds.remove(&id);
    }
    nobody
}

/// What is new since `before`, if anything is, and whether there is more.
async fn look(
    state: &State,
    (id, job): (AppSessionId, JobId),
    before: &Tick,
) -> Result<(Option<Tick>, bool), Error> {
    let mut conn = state.store().read().await?;
    let Some(session) = table::find_for_worker(&mut conn, id).await? else {
        return Err(Error::NotFound("The session is gone.".into()));
    };
    let session = view::show(state, &mut conn, session).await?;
    let end = Mark {
        event: i64::MAX,
        log: i64::MAX,
    };
    let news = News::read(&mut conn, (id, job), (before.to, end)).await?;
    drop(conn);
    let same = news.events.is_empty() && news.lines.is_empty();
    let last = session.status.ended() && !news.more;
    if same && !last && json(&session)? == json(&before.session)? {
        return Ok((None, false));
    }
    let mut numbered = BytesMut::new();
    for event in &news.events {
        put(&mut numbered, Some(event.sequence), event)?;
    }
    let change = wire::Change {
        session,
        events: news.events,
        lines: news.lines,
    };
    let tick = Tick {
        number: before.number + 1,
        from: before.to,
        to: news.to,
        change: message(&change)?,
        events: Bytes::copy_from_slice(&numbered),
        session: change.session,
        quiet: OnceLock::new(),
        last,
    };
    Ok((Some(tick), news.more))
}

fn json(session: &wire::Session) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(session).map_err(|error| Error::Internal(error.into()))
}

/// What happened and was printed between two marks.
#[derive(Debug)]
pub(super) struct News {
    pub(super) events: Vec<wire::Event>,
    pub(super) lines: Vec<wire::Line>,
    /// How far this goes.
    pub(super) to: Mark,
    /// Whether that is not as far as was asked for.
    pub(super) more: bool,
}

impl News {
    pub(super) async fn read(
        conn: &mut Conn,
        (id, job): (AppSessionId, JobId),
        (from, to): (Mark, Mark),
    ) -> Result<Self, Error> {
        let mut reached = from;
        let mut more = false;
        let mut events = Vec::new();
        if from.event < to.event {
            let found = events::list(conn, id, from.event, one_more(EVENTS)).await?;
            more |= found.len() > EVENTS;
            let wanted = found.into_iter().filter(|event| event.seq <= to.event);
            events.extend(wanted.take(EVENTS).map(view::event));
        }
        let mut lines = Vec::new();
        if from.log < to.log {
            let all = logs::Filter::default();
            let found = logs::forward(conn, job, from.log, LINES + 1, &all).await?;
            more |= found.full && found.reached < to.log;
            let mut bytes = 0;
            for line in found.lines.into_iter().filter(|line| line.entry <= to.log) {
                bytes += line.message.len();
                let full = lines.len() >= LINES || (bytes > LINE_BYTES && !lines.is_empty());
                if full {
                    more = true;
                    break;
                }
                lines.push(wire::Line {
                    entry_id: line.entry,
                    stream: line.stream.into(),
                    text: line.message,
                });
            }
        }
        reached.event = events.last().map_or(reached.event, |event| event.sequence);
        reached.log = lines.last().map_or(reached.log, |line| line.entry_id);
        Ok(Self {
            events,
            lines,
            to: reached,
            more,
        })
    }
}

fn one_more(count: usize) -> i64 {
    i64::try_from(count + 1).unwrap_or(i64::MAX)
}
