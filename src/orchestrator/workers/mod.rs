//! What goes on without anyone asking: placing jobs, watching runs, tidying up.
//! Each loop is a `tick` that tests can call; this module owns the waiting.
pub mod apps;
pub mod housekeeping;
pub mod mail;
pub mod observer;
pub mod scheduler;
pub mod sweep;

use super::files::collect;
use super::{Error, State};
use std::time::Duration;
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

/// The truth is looked up so often even if nobody has said that it changed.
const EVERY_SO_OFTEN: Duration = Duration::from_mins(1);
/// A failed tick is tried again after so long.
const AFTER_FAILURE: Duration = Duration::from_secs(2);

/// The clock is looked at so often where something is due: it may be moved by hand.
const CLOCK: Duration = Duration::from_millis(250);

/// Takes up what an earlier process left, and then works until shutdown.
pub async fn run(state: State, tasks: TaskTracker) {
    loop {
        match take_up(&state, &tasks).await {
            Ok(adopted) => {
                if adopted > 0 {
                    tracing::info!(adopted, "runs of an earlier process taken up");
                }
                break;
            }
            Err(error) => tracing::error!(%error, "the engine's runs could not be listed"),
        }
        if pause(&state, AFTER_FAILURE).await {
            return;
        }
    }
    if let Err(error) = collect::tidy(&state).await {
        tracing::error!(%error, "what interrupted collections have left could not be removed");
    }
    tasks.spawn(sweep::run(state.clone()));
    let housekeeper = state.clone();
    let tracker = tasks.clone();
    tasks.spawn(async move {
        while !pause(&housekeeper, EVERY_SO_OFTEN).await {
            if let Err(error) = housekeeping::tick(&housekeeper, &tracker).await {
                tracing::error!(%error, "housekeeping failed");
            }
        }
    });
    loop {
        let (wait, due) = match scheduler::tick(&state, &tasks).await {
            Ok(due) => (EVERY_SO_OFTEN, due),
            Err(error) => {
                tracing::error!(%error, "scheduling failed");
                (AFTER_FAILURE, None)
            }
        };
        tokio::select! {
            () = state.0.work.notified() => {}
            () = until(&state, due) => {}
            stop = pause(&state, wait) => if stop { return },
        }
    }
}

/// Looks after what lives from now on: runs, and the apps that some of them are.
async fn take_up(state: &State, tasks: &TaskTracker) -> Result<usize, Error> {
    let adopted = observer::adopt(state, tasks).await?;
    apps::adopt(state, tasks).await?;
    Ok(adopted)
}

/// Waits until it is so late; for ever, if it need not be.
async fn until(state: &State, due: Option<OffsetDateTime>) {
    let Some(due) = due else {
        return std::future::pending().await;
    };
    while state.now() < due {
        tokio::time::sleep(CLOCK).await;
    }
}

/// Waits; `true` if it is time to stop.
async fn pause(state: &State, wait: Duration) -> bool {
    tokio::select! {
        () = state.shutdown().cancelled() => true,
        () = tokio::time::sleep(wait) => false,
    }
}
