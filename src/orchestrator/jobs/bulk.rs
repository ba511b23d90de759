//! Many jobs are cancelled at once: said before, and told one by one.
use super::super::route::{Call, Cx};
use super::super::{Change, Error, lifecycle, workers};
use super::{clean, list, view};
use crate::api::CancelJobs;
use crate::api::bulk::{Cancelled, Done, Filter, Outcome};
use crate::api::jobs as wire;
use crate::domain::id::JobId;
use crate::domain::money::Usd;
use crate::store::jobs::listing::{self, Sort};
use crate::store::jobs::{Job, queries};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;

/// How many jobs one call deals with.
const MOST: usize = 100;

/// Those to cancel, as they were asked for, and whether a filter finds more.
struct Chosen {
    ids: Vec<String>,
    has_more: bool,
}

pub(super) async fn cancel(cx: Cx, call: Call<CancelJobs>) -> Result<Cancelled, Error> {
    let body = call.body;
    let chosen = choose(&cx, body.ids, body.filter).await?;
    let ids: Vec<JobId> = chosen.ids.iter().filter_map(|id| id.parse().ok()).collect();
    let before = jobs(&cx, &ids).await?;
    if body.dry_run {
        let told = chosen.ids.iter().map(|id| foretold(&cx, id, &before));
        return Ok(summed(told.collect(), true, chosen.has_more));
    }
    let reason = body.reason.map(|text| clean(&text));
    let reason = reason.filter(|text| !text.is_empty());
    let changes = cx.hub().subscribe();
    let mut failed = HashSet::new();
    for id in &ids {
        if before.get(id).is_none_or(|job| job.state.ended()) {
            continue;
        }
        if let Err(error) = stop(&cx, *id, reason.clone()).await {
            tracing::warn!(%error, job = %id, "one of many could not be cancelled");
            failed.insert(*id);
        }
    }
    let grace = cx.config().grace + Duration::from_secs(3);
    let wait = body.wait_seconds.map_or(0, u64::from);
    let wait = Duration::from_secs(wait).min(grace);
    let after = settled(&cx, &ids, changes, wait).await?;
    let told = chosen
        .ids
        .iter()
        .map(|id| happened(&cx, id, (&before, &after), &failed));
    Ok(summed(told.collect(), false, chosen.has_more))
}

async fn stop(cx: &Cx, id: JobId, reason: Option<String>) -> Result<(), Error> {
    if let Some(job) = lifecycle::request_stop(cx, id, reason).await? {
        workers::observer::stop_run(cx, &job).await?;
    }
    Ok(())
}

async fn choose(cx: &Cx, ids: Vec<String>, filter: Option<Filter>) -> Result<Chosen, Error> {
    match (ids.is_empty(), filter) {
        (false, Some(_)) => Err(Error::field("ids", "Give ids or a filter, not both.")),
        (true, None) => Err(Error::field("ids", "Name the jobs, or give a filter.")),
        (false, None) => {
            let mut seen = HashSet::new();
            let mut ids = ids;
            ids.retain(|id| seen.insert(id.clone()));
            if ids.len() > MOST {
                return Err(Error::field("ids", format!("Name {MOST} jobs at most.")));
            }
            Ok(Chosen {
                ids,
                has_more: false,
            })
        }
        (true, Some(filter)) => {
            let mut wanted = list::read(&wire::Filter {
                status: filter.status,
                workload_type: filter.workload_type,
                image: filter.image,
                q: filter.q,
                created_after: filter.created_after,
                created_before: filter.created_before,
                ..wire::Filter::default()
            })?;
            let any = wanted.statuses.is_empty();
            let named = |status| any || wanted.statuses.contains(status);
            wanted.statuses = list::ACTIVE
                .iter()
                .filter(|one| named(one))
                .copied()
                .collect();
            wanted.sort = Sort::Newest;
            wanted.limit = MOST;
            if wanted.statuses.is_empty() {
                return Ok(Chosen {
                    ids: Vec::new(),
                    has_more: false,
                });
            }
            let mut conn = cx.store().read().await?;
            let page = listing::list(&mut conn, cx.caller.workspace, &wanted).await?;
            Ok(Chosen {
                ids: page.jobs.iter().map(|job| job.id.to_string()).collect(),
                has_more: page.more,
            })
        }
    }
}

/// Those of this workspace.
async fn jobs(cx: &Cx, ids: &[JobId]) -> Result<HashMap<JobId, Job>, Error> {
    let found = queries::these(&mut *cx.store().read().await?, ids).await?;
    let own = found
        .into_iter()
        .filter(|job| job.workspace == cx.caller.workspace);
    Ok(own.map(|job| (job.id, job)).collect())
}

/// Waits until all have ended, or for so long.
async fn settled(
    cx: &Cx,
    ids: &[JobId],
    mut changes: Receiver<Change>,
    wait: Duration,
) -> Result<HashMap<JobId, Job>, Error> {
    let deadline = tokio::time::Instant::now() + wait;
    loop {
        let now = jobs(cx, ids).await?;
        if now.values().all(|job| job.state.ended()) {
            return Ok(now);
        }
        let news = async {
            while let Ok(change) = changes.recv().await {
                if change.job().is_some_and(|job| ids.contains(&job)) {
                    break;
                }
            }
        };
        if tokio::time::timeout_at(deadline, news).await.is_err() {
            return Ok(now);
        }
    }
}

fn missing(id: &str) -> Outcome {
    Outcome {
        job_id: id.to_owned(),
        outcome: Done::Missing,
        name: None,
        status: None,
        message: "There is no such job in this workspace.".into(),
        cost_usd: Usd::ZERO,
        hold_usd: Usd::ZERO,
    }
}

fn outcome(cx: &Cx, job: &Job, outcome: Done, message: String) -> Outcome {
    let shown = view::job(job.clone(), None, cx.now());
    Outcome {
        job_id: job.id.to_string(),
        outcome,
        name: Some(shown.name),
        status: Some(shown.status),
        message,
        cost_usd: shown.billing.cost_usd,
        hold_usd: shown.hold_usd,
    }
}

fn had_ended(cx: &Cx, job: &Job) -> Outcome {
    let message = format!("It had ended before: it is {}.", job.state.status());
    outcome(cx, job, Done::Ended, message)
}

fn foretold(cx: &Cx, id: &str, before: &HashMap<JobId, Job>) -> Outcome {
    match id.parse().ok().and_then(|id: JobId| before.get(&id)) {
        None => missing(id),
        Some(job) if job.state.ended() => had_ended(cx, job),
        Some(job) => {
            let message = if job.costs_from().is_some() {
                "It would be stopped, and what it has run up is charged."
            } else {
                "It would be cancelled, and nothing is charged."
            };
            outcome(cx, job, Done::WouldCancel, message.into())
        }
    }
}

fn happened(
    cx: &Cx,
    id: &str,
    (before, after): (&HashMap<JobId, Job>, &HashMap<JobId, Job>),
    failed: &HashSet<JobId>,
) -> Outcome {
    let parsed = id.parse::<JobId>().ok();
    let both = parsed.and_then(|id| Some((before.get(&id)?, after.get(&id)?)));
    let Some((was, is)) = both else {
        return missing(id);
    };
    if was.state.ended() {
        return had_ended(cx, was);
    }
    let status = is.state.status();
    match (is.state.ended(), status) {
        (true, crate::domain::job::Status::Cancelled) => {
            outcome(cx, is, Done::Cancelled, "It is cancelled.".into())
        }
        // It came to its own end while it was being asked.
        (true, _) => outcome(
            cx,
            is,
            Done::Ended,
            format!("It had ended by itself: it is {status}."),
        ),
        (false, _) if failed.contains(&is.id) => outcome(
            cx,
            is,
            Done::Failed,
            "It could not be cancelled now. Try again.".into(),
        ),
        (false, _) => outcome(cx, is, Done::Stopping, "It has been asked to stop.".into()),
    }
}

fn summed(jobs: Vec<Outcome>, dry_run: bool, has_more: bool) -> Cancelled {
    let cancels = || jobs.iter().filter(|job| job.outcome.cancels());
    let cancelled = cancels().count();
    let sum =
        |of: fn(&Outcome) -> Usd| cancels().fold(Usd::ZERO, |sum, job| sum.saturating_add(of(job)));
    Cancelled {
        dry_run,
        cancelled,
        unchanged: jobs.len() - cancelled,
        billed_usd: sum(|job| job.cost_usd),
        hold_usd: sum(|job| job.hold_usd),
        has_more,
        jobs,
    }
}
