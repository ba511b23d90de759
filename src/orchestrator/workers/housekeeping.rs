//! Compares the books with the world once in a while, and throws away what
//! nobody needs any more.
use super::super::files::collect;
use super::super::{Error, State};
use super::super::{apps, callbacks};
use crate::engine::{self, Handle};
use crate::store::apps::{passes, secrets};
use crate::store::jobs::logs;
use crate::store::jobs::runs::{self, Run};
use crate::store::{self, drafts, estimates, idempotency};
use time::Duration;
use tokio_util::task::TaskTracker;

/// The files of an ended run are kept for so long.
const RUNS_KEPT: Duration = Duration::days(7);
const ESTIMATES_KEPT: Duration = Duration::days(30);
const ANSWERS_KEPT: Duration = Duration::days(7);

/// Takes up live runs that nobody looks after, and sweeps.
///
/// # Errors
///
/// If the database or the engine does not answer.
pub async fn tick(state: &State, tasks: &TaskTracker) -> Result<(), Error> {
    let taken_up = super::take_up(state, tasks).await;
    sweep(state).await?;
    collect::sweep(state).await?;
    // What the engine does not answer to must not keep the rest from being swept.
    taken_up?;
    let now = state.now();
    let old = runs::forgettable(&mut *state.store().read().await?, now - RUNS_KEPT).await?;
    for run in old {
        forget(state, run).await?;
    }
    Ok(())
}

async fn sweep(state: &State) -> Result<(), Error> {
    let now = state.now();
    state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                drafts::sweep(conn, now).await?;
                estimates::sweep(conn, now - ESTIMATES_KEPT).await?;
                idempotency::sweep(conn, now - ANSWERS_KEPT).await?;
                passes::sweep(conn, now).await?;
                secrets::wipe(conn, now - apps::SECRETS_KEPT).await?;
                store::callbacks::again::wipe(conn, now - callbacks::RESENDABLE).await?;
                Ok::<_, store::Error>(())
            })
        })
        .await?;
    expire(state).await
}

/// Deletes output that is older than it is kept, job by job, so that nobody waits
/// long for the writer.
async fn expire(state: &State) -> Result<(), Error> {
    let before = state.now() - state.config().logs_kept;
    let old = logs::expired(&mut *state.store().read().await?, before).await?;
    for job in &old {
        let job = *job;
        state
            .store()
            .write(move |conn| Box::pin(async move { logs::expire(conn, job).await }))
            .await?;
    }
    if !old.is_empty() {
        tracing::info!(jobs = old.len(), "output deleted because of its age");
    }
    Ok(())
}

async fn forget(state: &State, run: Run) -> Result<(), Error> {
    if let Some(handle) = run.handle {
        match state.engine().forget(&Handle(handle)).await {
            Ok(()) | Err(engine::Error::NotFound) => {}
            Err(error) => {
                tracing::warn!(%error, job = %run.job, "its files could not be removed");
                return Ok(());
            }
        }
    }
    let (job, attempt) = (run.job, run.attempt);
    state
        .store()
        .write(move |conn| Box::pin(async move { runs::forgotten(conn, job, attempt).await }))
        .await?;
    Ok(())
}
