//! Removes what nobody needs any more: ended sessions, old codes and counters,
//! claims to addresses that were never proven, mails long sent.
use crate::orchestrator::{Error, State};
use crate::store::{accounts, challenges, mails, sessions, throttles};
use std::time::Duration as StdDuration;
use time::Duration;

/// The longest window that anything is counted in.
const COUNTERS: Duration = Duration::DAY;
/// After this, whoever registered has forgotten about it too.
const CLAIMS: Duration = Duration::days(7);
/// So that an operator can see what became of a mail.
const MAILS: Duration = Duration::days(30);

/// Sweeps once.
pub async fn tick(state: &State) -> Result<(), Error> {
    let now = state.now();
    let idle_since = now - state.config().session_idle;
    state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                sessions::forget(conn, now, idle_since).await?;
                challenges::forget(conn, now - COUNTERS).await?;
                throttles::forget(conn, now - COUNTERS).await?;
                accounts::forget_unverified(conn, now - CLAIMS).await?;
                mails::forget(conn, now - MAILS).await?;
                Ok(())
            })
        })
        .await
}

/// Sweeps every hour until the process stops.
pub async fn run(state: State) {
    loop {
        if let Err(error) = tick(&state).await {
            tracing::error!(?error, "sweeping failed");
        }
        tokio::select! {
            () = tokio::time::sleep(StdDuration::from_hours(1)) => {}
            () = state.shutdown().cancelled() => return,
        }
    }
}
