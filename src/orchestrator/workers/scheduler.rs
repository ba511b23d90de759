//! Places queued jobs, first come first served among those that fit.
use super::super::{Error, State, estimates, lifecycle};
use super::{apps, observer};
use crate::domain::routing::{self, Snapshot};
use crate::domain::spec::JobSpec;
use crate::domain::wait;
use crate::store::jobs::{Job, queries};
use time::OffsetDateTime;
use tokio_util::task::TaskTracker;

/// Jobs looked at in one go; the rest wait for the next.
const LOOKED_AT: i64 = 200;

/// Places every job that a free slot fits. A job that its engine has just refused
/// to take is left alone for a while; the answer is when the first of those is due.
///
/// # Errors
///
/// If the database or the engine does not answer; nothing is lost then.
pub async fn tick(state: &State, tasks: &TaskTracker) -> Result<Option<OffsetDateTime>, Error> {
    let mut conn = state.store().read().await?;
    let queue = queries::queue(&mut conn, LOOKED_AT).await?;
    drop(conn);
    let now = state.now();
    let later = |job: &Job| job.left_alone_until(now);
    let due = queue.iter().filter_map(later).min();
    let queue: Vec<Job> = queue
        .into_iter()
        .filter(|job| later(job).is_none())
        .collect();
    if queue.is_empty() {
        return Ok(due);
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
            wait::take(&mut snapshot.offers, &node, &job.spec);
            observer::watch(state, tasks, (placed.id, placed.attempt));
            if let Some(session) = placed.spec.app {
                apps::keep(state, tasks, session);
            }
        }
    }
    Ok(due)
}

/// Why the job can never run on these machines; without any, that is not known.
fn never(spec: &JobSpec, snapshot: &Snapshot) -> Option<String> {
    let blocked = wait::never(spec, snapshot)?;
    Some(match blocked.action {
        Some(action) => format!("{} {action}", blocked.message),
        None => blocked.message,
    })
}
