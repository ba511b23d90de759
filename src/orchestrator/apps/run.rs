//! What workers do to a session: note how far it has come, and end it.
use super::follow::{self, Along};
use super::settings;
use crate::domain::app::{EndCode, Phase};
use crate::domain::id::{AppSessionId, JobId};
use crate::domain::job as work;
use crate::domain::money::Usd;
use crate::engine::{Mount, Network, RunSpec};
use crate::orchestrator::lifecycle::{self, Move};
use crate::orchestrator::workers::observer;
use crate::orchestrator::{Change, Error, State};
use crate::store;
use crate::store::apps::events::NewEvent;
use crate::store::apps::services::{self, Service};
use crate::store::apps::{self as table, AppSession};
use crate::store::jobs::Job;
use std::path::PathBuf;
use std::time::Duration;
use time::OffsetDateTime;

/// How often a change is tried again when someone else was quicker.
const TRIES: usize = 5;

/// The engine has taken the run.
pub(in crate::orchestrator) async fn handed_over(state: &State, job: &Job) -> Result<(), Error> {
    let Some(id) = job.spec.app else {
        return Ok(());
    };
    change(state, id, move |session, _, now| {
        let mut said = Vec::new();
        follow::starting(session, now, &mut said);
        (!said.is_empty()).then_some((said, None))
    })
    .await
}

/// So many bytes of its image have come.
pub(in crate::orchestrator) async fn pulled(
    state: &State,
    job: &Job,
    done: u64,
    total: Option<u64>,
) -> Result<(), Error> {
    let Some(id) = job.spec.app else {
        return Ok(());
    };
    let bytes = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    change(state, id, move |session, _, _| {
        let (done, total) = (Some(bytes(done)), total.map(bytes));
        let news = session.image_done != done || session.image_total != total;
        session.image_done = done;
        session.image_total = total;
        (news && session.phase.launching()).then(|| (Vec::new(), None))
    })
    .await
}

/// A check of a service has found `outcome`: `Ok` if it passed. If that makes the
/// primary ready, the app is, and costs from now on.
pub(in crate::orchestrator) async fn checked(
    state: &State,
    session: &AppSession,
    service: &str,
    outcome: Result<String, String>,
) -> Result<(), Error> {
    let service = service.to_owned();
    change(state, session.id, move |session, services, now| {
        let asks = matches!(session.phase, Phase::Services | Phase::Running);
        if !asks || session.started_at.is_none() {
            return None;
        }
        let asked = services.iter().find(|known| known.service == service)?;
        let (asked, said) = follow::checked(session, asked.clone(), outcome.clone(), now);
        Some((said, Some(asked)))
    })
    .await
}

/// The primary is ready: the app is, and costs from now on.
pub(in crate::orchestrator) async fn ready(state: &State, job: JobId) -> Result<(), Error> {
    lifecycle::change(state, job, move |job, now| {
        let runs = job.state.phase() == Some(work::Phase::Executing);
        if !runs || job.billed_from.is_some() {
            return None;
        }
        job.billed_from = Some(now);
        job.updated_at = now;
        let message = format!(
            "The app is ready. From here on it costs {} per hour.",
            job.rate
        );
        Some(Move {
            said: vec![lifecycle::said(
                job,
                "billing.began",
                "Ready",
                message,
                "billing",
            )],
            ..Move::default()
        })
    })
    .await?;
    Ok(())
}

/// Stops an app for one of its limits, provided that `still` holds of its session.
pub(in crate::orchestrator) async fn end(
    state: &State,
    job: JobId,
    (code, reason): (EndCode, String),
    still: impl Fn(&AppSession) -> bool + Clone + Send + Sync + 'static,
) -> Result<(), Error> {
    if let Some(job) = lifecycle::request_end(state, job, (code, reason), still).await? {
        tracing::info!(job = %job.id, code = code.name(), "an app is stopped");
        observer::stop_run(state, &job).await?;
    }
    Ok(())
}

/// Says something about a session that changes nothing else of it.
pub(in crate::orchestrator) async fn say(
    state: &State,
    id: AppSessionId,
    event: NewEvent,
) -> Result<(), Error> {
    change(state, id, move |session, _, _| {
        (!session.phase.ended()).then(|| (vec![event.clone()], None))
    })
    .await
}

/// Reads a session, lets `decide` change it, and writes that with its events, and
/// a service. A change of phase that is the job's to make goes through
/// [`lifecycle`] instead.
async fn change<F>(state: &State, id: AppSessionId, decide: F) -> Result<(), Error>
where
    F: Fn(&mut AppSession, &[Service], OffsetDateTime) -> Option<(Vec<NewEvent>, Option<Service>)>
        + Clone
        + Send
        + Sync
        + 'static,
{
    for _ in 0..TRIES {
        let (decide, now) = (decide.clone(), state.now());
        let done = state
            .store()
            .write(move |conn| {
                Box::pin(async move {
                    let Some(mut session) = table::find_for_worker(conn, id).await? else {
                        return Ok(None);
                    };
                    let known = services::of(conn, id).await?;
                    let before = session.clone();
                    let Some((said, service)) = decide(&mut session, &known, now) else {
                        return Ok(None);
                    };
                    if let Some(service) = service {
                        services::update(conn, &service).await?;
                    }
                    if session != before || !said.is_empty() {
                        table::update(conn, &mut session, &said, now).await?;
                    }
                    Ok(Some(session))
                })
            })
            .await;
        match done {
            Err(store::Error::Stale { .. }) => {}
            Ok(Some(session)) => {
                publish(state, &session);
                return Ok(());
            }
            Ok(None) => return Ok(()),
            // Whoever watches its run goes on: there is nothing to be noted.
            Err(error @ store::Error::Corrupt { .. }) => {
                tracing::error!(%error, "an app is left out");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Unavailable(
        "Too much is happening to this app at once. Try again.".into(),
    ))
}

fn publish(state: &State, session: &AppSession) {
    state.hub().publish(Change::App {
        workspace: session.workspace,
        session: session.id,
        job: session.job,
    });
}

/// What the run of an app needs beyond what any job does.
///
/// # Errors
///
/// The inner one if it cannot be begun as it was launched.
pub(in crate::orchestrator) async fn equip(
    state: &State,
    job: &Job,
    run: &mut RunSpec,
) -> Result<Result<(), settings::Lost>, Error> {
    let Some(id) = job.spec.app else {
        return Ok(Ok(()));
    };
    let mut conn = state.store().read().await?;
    let session = table::find_for_worker(&mut conn, id).await?;
    let session = session
        .ok_or_else(|| Error::Internal(anyhow::anyhow!("{} has no session {id}", job.id)))?;
    let services = services::of(&mut conn, id).await?;
    let variables = settings::variables(state, &mut conn, &session, &services).await?;
    drop(conn);
    let variables = match variables {
        Ok(variables) => variables,
        Err(lost) => return Ok(Err(lost)),
    };
    let manifest = &session.manifest;
    let key = format!("{}/{}", session.workspace, manifest.slug);
    let volumes = state.config().volumes.join(&key);
    for volume in &manifest.volumes {
        let inside = PathBuf::from(&volume.mount);
        if volume.persist {
            let host = volumes.join(&volume.name);
            run.mounts.push(Mount { host, inside });
        } else {
            run.scratch.push(inside);
        }
    }
    run.user_key = Some(key);
    run.env.extend(variables);
    run.env.extend(manifest.base_path_variables());
    run.network = Network::None;
    if manifest.needs.shm_gb > 0.0 {
        run.shm_bytes = observer::bytes(manifest.needs.shm_gb);
    }
    // Its time begins when it is ready, and the keeper sees to that; this is for
    // when there is no keeper.
    run.time_limit += Duration::from_secs(manifest.start_timeout_seconds.into());
    Ok(Ok(()))
}

/// The moves of an app's job that only an app makes.
pub(super) fn extended(job: &mut Job, add: Usd, along: Along) -> Move {
    job.hold = job.hold.saturating_add(add);
    let message = format!("{add} more set aside, because it was extended.");
    Move {
        said: vec![lifecycle::said(
            job,
            "billing.held",
            "Credit set aside",
            message,
            "billing",
        )],
        hold: Some(add),
        app: along,
        ..Move::default()
    }
}
