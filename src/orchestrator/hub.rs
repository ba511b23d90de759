//! Tells everyone in this process who watches that something has changed.
//!
//! A change says only where to look: what is new is in the database, under
//! numbers that do not jump, so a watcher that misses a change misses nothing.
use super::BearerId;
use crate::domain::id::{AppSessionId, JobId, WorkspaceId};
use tokio::sync::broadcast;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A job, or what is known about it.
    Job { workspace: WorkspaceId, job: JobId },
    /// A job has printed something.
    Logs { workspace: WorkspaceId, job: JobId },
    /// A launched app, or what is known about it.
    App {
        workspace: WorkspaceId,
        session: AppSessionId,
        job: JobId,
    },
    /// Someone has signed out or was signed out, or a key may do less than before.
    SignedOut { bearer: BearerId },
}

impl Change {
    #[must_use]
    pub const fn job(self) -> Option<JobId> {
        match self {
            Self::Job { job, .. } | Self::Logs { job, .. } => Some(job),
            Self::App { .. } | Self::SignedOut { .. } => None,
        }
    }
}

#[derive(Debug)]
pub struct Hub(broadcast::Sender<Change>);

impl Hub {
    pub(super) fn new() -> Self {
        Self(broadcast::Sender::new(1_024))
    }

    /// Nobody listening is fine.
    pub fn publish(&self, change: Change) {
        let _ = self.0.send(change);
    }

    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }
}
