//! Giving a running app more time: priced first, then acknowledged.
use super::follow::{Along, stops};
use super::{run, view, words};
use crate::api::ExtendApp;
use crate::api::apps as wire;
use crate::domain::app::{Phase, Settings};
use crate::domain::id::{AppSessionId, EstimateId};
use crate::domain::job;
use crate::domain::money::Usd;
use crate::orchestrator::estimates::VALID_FOR;
use crate::orchestrator::jobs::find as find_job;
use crate::orchestrator::lifecycle::Move;
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::{Error, lifecycle};
use crate::store::apps::AppSession;
use crate::store::estimates::{self, Estimate, Progress};
use crate::store::jobs::Job;
use crate::store::{self, ledger};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Minutes that can be added at once.
const SHORTEST: u32 = 15;
const LONGEST: u32 = 1_440;

/// A price as it was told, and what it was told of.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Priced {
    extends: AppSessionId,
    minutes: u32,
    /// What it could run for until then, in minutes. Every extension adds to that, so
    /// that what was priced before another extension is not what is there after it.
    from: u32,
    add: Usd,
    /// Once this very price has been accepted: until when the session lasted then.
    #[serde(default, with = "time::serde::timestamp::option")]
    stopped_at: Option<OffsetDateTime>,
}

pub(super) async fn extend(cx: Cx, call: Call<ExtendApp>) -> Result<wire::Extension, Error> {
    let minutes = call.body.minutes;
    if !(SHORTEST..=LONGEST).contains(&minutes) {
        let message = format!("Add {SHORTEST} to {LONGEST} minutes.");
        return Err(Error::field("minutes", message));
    }
    let workspace = cx.caller.workspace;
    let mut conn = cx.store().read().await?;
    let session = view::find(&mut conn, workspace, call.path.0).await?;
    let job = find_job(&mut conn, workspace, session.job).await?;
    extensible(&session, &job)?;
    let available = ledger::balance(&mut conn, workspace).await?.available;
    let seen = call.body.acknowledged_estimate;
    let Some(id) = seen else {
        drop(conn);
        let settings = session.settings.longer(minutes, job.rate);
        fits(&cx, &settings)?;
        let stops_at = ends(&settings, &session, &job, cx.now());
        let (estimate, priced) = price(&cx, &session, &job, minutes).await?;
        return Ok(reply(
            &estimate,
            &priced,
            &job,
            available,
            (stops_at, false),
        ));
    };
    let (estimate, priced) = acknowledged(&mut conn, &cx, id, &session, minutes).await?;
    drop(conn);
    if let Some(at) = priced.stopped_at {
        // The second of two clicks.
        return Ok(reply(&estimate, &priced, &job, available, (at, true)));
    }
    fits(&cx, &session.settings.longer(minutes, job.rate))?;
    let accepted = priced.clone();
    let done = lifecycle::change_app(&cx, job.id, move |job, session, now| {
        apply(&accepted, id, (job, session?), now)
    })
    .await;
    match done {
        // What it came to is written down, as it is for whoever asks again.
        Ok(_) => {
            let mut conn = cx.store().read().await?;
            let (estimate, priced) = acknowledged(&mut conn, &cx, id, &session, minutes).await?;
            let at = priced.stopped_at.ok_or_else(outdated)?;
            let available = ledger::balance(&mut conn, workspace).await?.available;
            Ok(reply(&estimate, &priced, &job, available, (at, true)))
        }
        Err(Error::InsufficientFunds(_)) => Err(Error::InsufficientFunds(format!(
            "{} more cost {}, and the wallet has {available}. Choose less, or add funds.",
            words::minutes(minutes),
            priced.add,
        ))),
        Err(error) => Err(error),
    }
}

/// Carries out what was priced, if it still is what was priced.
fn apply(
    priced: &Priced,
    estimate: EstimateId,
    (job, session): (&mut Job, &AppSession),
    now: OffsetDateTime,
) -> Option<Move> {
    let gone = job.state.ended() || job.state.phase() == Some(job::Phase::Stopping);
    if gone || session.settings.max_minutes != priced.from {
        return None;
    }
    job.updated_at = now;
    let settings = session.settings.longer(priced.minutes, job.rate);
    let stops_at = ends(&settings, session, job, now);
    let until = session.ready_at.map(|_| stops_at);
    let applied = Priced {
        stopped_at: Some(stops_at),
        ..priced.clone()
    };
    let along = Along {
        said: vec![words::extended(priced.minutes, priced.add, until)],
        settings: Some(settings),
        applied: Some((estimate, serde_json::to_string(&applied).ok()?)),
        ..Along::default()
    };
    Some(run::extended(job, priced.add, along))
}

/// Whether it can be given more time at all.
fn extensible(session: &AppSession, job: &Job) -> Result<(), Error> {
    let message = match session.phase {
        Phase::Stopping => "It is stopping: launch it again instead.",
        _ if session.phase.ended() || job.state.ended() => "It has ended: launch it again instead.",
        _ => return Ok(()),
    };
    Err(Error::Conflict {
        code: "NOT_RUNNING",
        message: message.into(),
    })
}

fn fits(cx: &Cx, settings: &Settings) -> Result<(), Error> {
    let longest = cx.config().longest_time_limit.as_secs();
    if u64::from(settings.max_minutes) * 60 <= longest {
        return Ok(());
    }
    let longest = i64::try_from(longest).unwrap_or(i64::MAX);
    Err(Error::Unprocessable {
        code: "TIME_LIMIT_TOO_LONG".into(),
        message: format!(
            "Apps may run for {} at most here, all extensions together. Add less.",
            crate::domain::estimate::said(longest)
        ),
        fields: [("minutes".to_owned(), "Add less.".to_owned())].into(),
    })
}

/// When it would stop with these settings: at the earliest, while it is not ready.
fn ends(
    settings: &Settings,
    session: &AppSession,
    job: &Job,
    now: OffsetDateTime,
) -> OffsetDateTime {
    stops(settings, job.rate, session.ready_at.unwrap_or(now)).0
}

/// Works the price out, and keeps it to be acknowledged.
async fn price(
    cx: &Cx,
    session: &AppSession,
    job: &Job,
    minutes: u32,
) -> Result<(Estimate, Priced), Error> {
    let priced = Priced {
        extends: session.id,
        minutes,
        from: session.settings.max_minutes,
        add: job.rate.at_most_for_seconds(i64::from(minutes) * 60),
        stopped_at: None,
    };
    let body = serde_json::to_string(&priced).map_err(|error| Error::Internal(error.into()))?;
    let now = cx.now();
    let estimate = Estimate {
        id: cx.id(),
        workspace: session.workspace,
        draft: None,
        state: Progress::Ready(body),
        created_at: now,
        expires_at: now + VALID_FOR,
    };
    let written = estimate.clone();
    cx.store()
        .write(move |conn| {
            Box::pin(async move {
                estimates::insert(conn, &written).await?;
                Ok::<_, store::Error>(())
            })
        })
        .await?;
    Ok((estimate, priced))
}

/// The price that was seen before.
async fn acknowledged(
    conn: &mut store::Conn,
    cx: &Cx,
    id: EstimateId,
    session: &AppSession,
    minutes: u32,
) -> Result<(Estimate, Priced), Error> {
    let found = estimates::find(conn, cx.caller.workspace, id).await?;
    let found = found.filter(|estimate| estimate.expires_at > cx.now());
    let Some(estimate) = found else {
        return Err(outdated());
    };
    let priced = match &estimate.state {
        Progress::Ready(body) => serde_json::from_str::<Priced>(body).ok(),
        Progress::Pending | Progress::Failed(_) => None,
    };
    match priced {
        Some(priced) if priced.extends == session.id && priced.minutes == minutes => {
            Ok((estimate, priced))
        }
        Some(_) | None => Err(outdated()),
    }
}

fn outdated() -> Error {
    Error::Conflict {
        code: "ESTIMATE_OUTDATED",
        message: "That is not the price of this extension any more. Look at it again.".into(),
    }
}

fn reply(
    estimate: &Estimate,
    priced: &Priced,
    job: &Job,
    available: Usd,
    (stops_at, applied): (OffsetDateTime, bool),
) -> wire::Extension {
    wire::Extension {
        estimate_id: estimate.id,
        minutes: priced.minutes,
        hourly_rate_usd: job.rate,
        hold_usd: priced.add,
        available_usd: available,
        stops_at,
        applied,
        expires_at: estimate.expires_at,
    }
}
