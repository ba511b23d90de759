//! Tells of changes: one task looks at the files of the runs that are alive.
use super::record;
use super::runs::Runs;
use crate::engine::{Error, Event, Handle, RunKey, Status};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, broadcast};

const PAUSE: Duration = Duration::from_millis(40);
/// A run that goes on as before is looked at closely only each so many rounds:
/// what is missed in between is a shim that was killed.
const CLOSELY: u32 = 8;

#[derive(Debug)]
pub(super) struct Changes {
    runs: Runs,
    /// The runs that have not ended, as last told.
    live: Mutex<HashMap<Handle, (RunKey, Option<Status>)>>,
    sender: broadcast::Sender<Event>,
    /// Something became live, or the engine is gone.
    woken: Arc<Notify>,
    started: std::sync::Once,
}

impl Changes {
    pub(super) fn new(runs: Runs) -> Self {
        Self {
            runs,
            live: Mutex::default(),
            sender: broadcast::Sender::new(1024),
            woken: Arc::default(),
            started: std::sync::Once::new(),
        }
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.sender.subscribe()
    }

    /// Follows a run from now on; what is already known is not told again.
    pub(super) fn follow(self: &Arc<Self>, key: RunKey, handle: Handle, known: Option<Status>) {
        self.live().entry(handle).or_insert((key, known));
        self.woken.notify_one();
        self.started.call_once(|| {
            let (weak, woken) = (Arc::downgrade(self), Arc::clone(&self.woken));
            tokio::spawn(async move {
                let mut round = 0_u32;
                while let Some(changes) = weak.upgrade() {
                    let idle = changes.live().is_empty();
                    if idle {
                        drop(changes);
                        woken.notified().await;
                    } else {
                        let closely = round.is_multiple_of(CLOSELY);
                        // A failure to look is no news; the next round looks again.
                        let _ = tokio::task::spawn_blocking(move || changes.look(closely)).await;
                        tokio::time::sleep(PAUSE).await;
                    }
                    round = round.wrapping_add(1);
                }
            });
        });
    }

    /// Lets the task notice that nobody needs it any more.
    pub(super) fn wake(&self) {
        self.woken.notify_one();
    }

    fn live(&self) -> MutexGuard<'_, HashMap<Handle, (RunKey, Option<Status>)>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, closely: bool) {
        let live: Vec<_> = self
            .live()
            .iter()
            .map(|(handle, (key, known))| (handle.clone(), key.clone(), known.clone()))
            .collect();
        for (handle, key, known) in live {
            if !closely && self.as_before(&handle, known.as_ref()) {
                continue;
            }
            match self.runs.status(&handle) {
                Err(Error::NotFound) => {
                    self.live().remove(&handle);
                }
                // Temporary, and not the run's fault.
                Err(Error::Unavailable(_) | Error::Refused(_) | Error::NoImage(_)) => {}
                Ok(status) if known.as_ref() == Some(&status) => {}
                Ok(status) => {
                    if matches!(status, Status::Ended(_)) {
                        self.live().remove(&handle);
                    } else if let Some((_, known)) = self.live().get_mut(&handle) {
                        *known = Some(status.clone());
                    }
                    // Fails only if nobody listens.
                    let _ = self.sender.send(Event {
                        key,
                        handle,
                        status,
                    });
                }
            }
        }
    }

    fn as_before(&self, handle: &Handle, known: Option<&Status>) -> bool {
        let Ok(run) = self.runs.path(handle) else {
            return false;
        };
        let stopping = match known {
            Some(Status::Running { .. }) => false,
            Some(Status::Stopping { .. }) => true,
            Some(
                Status::Queued { .. }
                | Status::Preparing { .. }
                | Status::Ended(_)
                | Status::Unknown { .. },
            )
            | None => return false,
        };
        !run.join(record::EXIT).exists() && run.join(record::STOP).exists() == stopping
    }
}
