//! Room for what a job has left, taken as it is needed: an upload that begins meanwhile
//! finds what is already taken, and no more than that.
use super::disk::Promise;
use super::used;
use crate::domain::id::WorkspaceId;
use crate::engine::harvest::Room;
use crate::orchestrator::{Error, State};
use std::io;
use tokio::runtime::Handle;

/// Asked for at once, so that of many small files not each is asked for.
const STEP: u64 = 16 << 20;

/// Used on a thread that may wait.
pub(super) struct Reserve {
    state: State,
    workspace: WorkspaceId,
    runtime: Handle,
    promise: Promise,
    /// Bytes of the promise that nothing has been copied for.
    ahead: u64,
}

impl Reserve {
    /// Within a runtime.
    pub(super) fn new(state: &State, workspace: WorkspaceId) -> Self {
        let (promise, _) = state.disk().promise(workspace, 0);
        Self {
            state: state.clone(),
            workspace,
            runtime: Handle::current(),
            promise,
            ahead: 0,
        }
    }

    /// What was copied for, to be held until it counts as used.
    pub(super) fn taken(mut self) -> Promise {
        self.promise.shrink(self.ahead);
        self.promise
    }

    /// In the order in which uploads do it: what others have been promised is counted
    /// until it counts as used.
    fn ask(&mut self, bytes: u64) -> Result<bool, Error> {
        let promised = self.promise.grow(bytes);
        let state = &self.state;
        let used = self.runtime.block_on(async {
            let mut conn = state.store().read().await?;
            used(&mut conn, self.workspace).await
        });
        let quota = state.config().files.quota;
        let fits = used.map(|used| {
            let used = u64::try_from(used).unwrap_or(0).saturating_add(promised);
            used.saturating_add(bytes) <= quota
        });
        match fits {
            Ok(true) => self.ahead += bytes,
            Ok(false) | Err(_) => self.promise.shrink(bytes),
        }
        fits
    }
}

impl Room for Reserve {
    fn set_aside(&mut self, bytes: u64) -> io::Result<bool> {
        let missing = bytes.saturating_sub(self.ahead);
        let there = missing == 0
            || (missing < STEP && self.ask(STEP).map_err(io::Error::other)?)
            || self.ask(missing).map_err(io::Error::other)?;
        if there {
            self.ahead -= bytes;
        }
        Ok(there)
    }

    fn give_back(&mut self, bytes: u64) {
        self.ahead += bytes;
    }
}
