//! How many requests are open on a connection, and since when none is.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::timeout;

#[derive(Debug, Default)]
pub(super) struct Open {
    count: AtomicUsize,
    /// Whether there ever was one.
    asked: AtomicBool,
    /// That there is one again, or none any more.
    changed: Notify,
}

/// One open request.
#[derive(Debug)]
pub(super) struct Place(Arc<Open>);

impl Open {
    pub(super) fn take(self: &Arc<Self>) -> Place {
        self.asked.store(true, Ordering::Relaxed);
        if self.count.fetch_add(1, Ordering::AcqRel) == 0 {
            self.changed.notify_one();
        }
        Place(Arc::clone(self))
    }

    /// Resolves when nothing has been asked for so long: `later`, and on a new
    /// connection `first`.
    pub(super) async fn quiet(&self, first: Duration, later: Duration) {
        loop {
            if self.count.load(Ordering::Acquire) > 0 {
                self.changed.notified().await;
                continue;
            }
            let asked = self.asked.load(Ordering::Relaxed);
            let patience = if asked { later } else { first };
            if timeout(patience, self.changed.notified()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.changed.notify_one();
        }
    }
}
