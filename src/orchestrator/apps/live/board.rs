//! The operator's board, drawn up once for all who look at it.
use super::super::board;
use super::message;
use super::watcher::{Sitting, Woke};
use crate::orchestrator::{Caller, Change, Error, State};
use bytes::Bytes;
use futures_util::Stream;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch::{self, Receiver, Sender};

/// Between two boards at least.
const BREATH: Duration = Duration::from_millis(500);
/// Between two at most: launches become slow by themselves.
const LOOK: Duration = Duration::from_secs(10);

/// The newest board, while anyone looks at it.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Weak<Sender<Bytes>>>);

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Weak<Sender<Bytes>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) async fn stream(
    state: State,
    caller: Caller,
) -> Result<impl Stream<Item = Bytes> + Send + use<>, Error> {
    let mut sitting = Sitting::new(state, caller)?;
    let mut boards = watch(&sitting.state).await?;
    Ok(async_stream::stream! {
        boards.mark_changed();
        loop {
            match sitting.wait(boards.changed()).await {
                Woke::News(Ok(())) => {
                    let board = boards.borrow_and_update().clone();
                    yield board;
                }
                Woke::Pulse => yield Bytes::from_static(b":\n\n"),
                Woke::News(Err(_)) | Woke::SignedOut | Woke::Over => return,
            }
        }
    })
}

async fn watch(state: &State) -> Result<Receiver<Bytes>, Error> {
    let shared = &state.0.live.board;
    if let Some(boards) = shared.lock().upgrade() {
        return Ok(boards.subscribe());
    }
    let changes = state.hub().subscribe();
    let first = look(state).await?;
    let mut here = shared.lock();
    if let Some(boards) = here.upgrade() {
        return Ok(boards.subscribe());
    }
    let (boards, receiver) = watch::channel(first);
    let boards = Arc::new(boards);
    *here = Arc::downgrade(&boards);
    drop(here);
    tokio::spawn(run(state.clone(), boards, changes));
    Ok(receiver)
}

async fn look(state: &State) -> Result<Bytes, Error> {
    let mut conn = state.store().read().await?;
    message(&board::look(state, &mut conn).await?)
}

async fn run(state: State, boards: Arc<Sender<Bytes>>, mut changes: broadcast::Receiver<Change>) {
    let shutdown = state.shutdown().clone();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            open = news(&state, &mut changes) => if !open { return },
            () = tokio::time::sleep(LOOK) => {}
        }
        {
            let mut here = state.0.live.board.lock();
            if boards.receiver_count() == 0 {
                *here = Weak::new();
                return;
            }
        }
        match look(&state).await {
            Ok(now) => {
                boards.send_if_modified(|before| {
                    let other = *before != now;
                    *before = now;
                    other
                });
            }
            Err(error) => tracing::warn!(%error, "could not look at the board"),
        }
        tokio::time::sleep(BREATH).await;
    }
}

/// Waits for a change of any app; `false` when nothing more can come.
async fn news(state: &State, changes: &mut broadcast::Receiver<Change>) -> bool {
    loop {
        match changes.recv().await {
            Ok(Change::App { .. }) | Err(RecvError::Lagged(_)) => return true,
            Ok(Change::SignedOut { bearer }) => state.0.live.seats.cut(bearer),
            Ok(Change::Job { .. } | Change::Logs { .. }) => {}
            Err(RecvError::Closed) => return false,
        }
    }
}
