//! Places queued jobs, first come first served among those that fit.
use super::super::{Error, State, estimates, lifecycle};
use super::{apps, observer};
use crate::domain::routing;
use crate::domain::routing::{Check, Snapshot};
use crate::domain::spec::JobSpec;
use crate::store::jobs::queries;
use tokio_util::task::TaskTracker;

/// Jobs looked at in one go; the rest wait for the next.
const LOOKED_AT: i64 = 200;

/// Places every job that a free slot fits.
///
/// # Errors
///
/// If the database or the engine does not answer; nothing is lost then.
pub async fn tick(state: &State, tasks: &TaskTracker) -> Result<(), Error> {
    let mut conn = state.store().read().await?;
    let queue = queries::queue(&mut conn, LOOKED_AT).await?;
    drop(conn);
    if queue.is_empty() {
        return Ok(());
    }
    let nodes = estimates::nodes(state).await?;
    let mut conn = state.store().read().await?;
    let mut snapshot = estimates::capacity(state, &mut conn, &nodes).await?;
    drop(conn);
    for job in queue {
        if let Some(why) = never(&job.spec, &snapshot) {
            lifecycle::reject(state, job.id, why).await?;
            continue;
        }
        let Some(found) = routing::place(&job.spec, &snapshot).filter(|found| found.free_now)
        else {
            continue;
        };
        let node = found.offer.node;
        if let Some(placed) = lifecycle::place(state, job.id, node.clone()).await? {
            for offer in snapshot
                .offers
                .iter_mut()
                .filter(|offer| offer.node == node)
            {
                offer.free = offer.free.saturating_sub(1);
            }
            observer::watch(state, tasks, (placed.id, placed.attempt));
            if let Some(session) = placed.spec.app {
                apps::keep(state, tasks, session);
            }
        }
    }
    Ok(())
}

/// Why the job can never run on these machines; without any, that is not known.
fn never(spec: &JobSpec, snapshot: &Snapshot) -> Option<String> {
    if snapshot.offers.is_empty() {
        return None;
    }
    let blocked = routing::screen(spec, snapshot)
        .into_iter()
        .find(Check::is_blocked)?;
    Some(match blocked.action {
        Some(action) => format!("{} {action}", blocked.message),
        None => blocked.message,
    })
}
