//! Moves jobs from state to state. Each move, the events that tell of it, its
//! money and its run commit together or not at all.
use super::apps::follow::{self, Along};
use super::files::collect::Collected;
use super::{Change, Error, State, callbacks, predictions};
use crate::clock::micros;
use crate::domain::app::EndCode;
use crate::domain::estimate::said as lasting;
use crate::domain::id::JobId;
use crate::domain::job::{self, Event, Failure, Outcome};
use crate::domain::ledger;
use crate::domain::money::Usd;
use crate::engine::{self, End};
use crate::store::apps::{self, AppSession};
use crate::store::jobs::events::NewEvent;
use crate::store::jobs::{self as table, Job, runs};
use crate::store::ledger::Resolution;
use crate::store::{self, Conn};
use std::sync::Arc;
use time::OffsetDateTime;

/// A job is held for at submission, for its whole time limit. Only an app that is
/// extended has further holds, numbered from here.
pub(super) const FIRST_HOLD: u32 = 1;

/// Why a job is back in the queue, where its engine said nothing about that.
pub(super) const NOT_TAKEN: &str = "The machine did not take it.";

/// How often a move is tried again when someone else was quicker.
const TRIES: usize = 5;

/// What goes along with a change of state.
#[derive(Debug, Default)]
pub(super) struct Move {
    pub(super) said: Vec<NewEvent>,
    /// Set aside in addition.
    pub(super) hold: Option<Usd>,
    /// What is paid out of the job's holds; the rest is given back.
    pub(super) settle: Option<Usd>,
    pub(super) run: RunChange,
    /// What it has left.
    pub(super) collected: Option<Arc<Collected>>,
    /// For the app that the job is.
    pub(super) app: Along,
}

#[derive(Debug, Default)]
pub(super) enum RunChange {
    #[default]
    None,
    Intend,
    End,
}

/// Puts a queued job on a node. `None` if it is not queued any more.
pub(super) async fn place(state: &State, id: JobId, node: String) -> Result<Option<Job>, Error> {
    let engine = state.engine().name();
    change(state, id, move |job, now| {
        advance(job, Event::Placed, now)?;
        job.engine = Some(engine.to_owned());
        job.node = Some(node.clone());
        job.reason = None;
        job.assigned_at = Some(now);
        let message = format!("A slot is free on {node}.");
        Some(Move {
            said: vec![said(job, "job.assigned", "Placed", message, "scheduler")],
            run: RunChange::Intend,
            ..Move::default()
        })
    })
    .await
}

/// Refuses a queued job that can never run here. `None` if it is not queued any more.
pub(super) async fn reject(state: &State, id: JobId, why: String) -> Result<Option<Job>, Error> {
    change(state, id, move |job, now| {
        advance(job, Event::Refused { why: why.clone() }, now)?;
        job.reason = Some(why.clone());
        Some(ended(job, now, now))
    })
    .await
}

/// Gives a job back to the queue because its engine did not take it. It is left
/// alone there for a while, the longer the more often this has happened.
pub(super) async fn give_back(state: &State, id: JobId, why: String) -> Result<Option<Job>, Error> {
    change(state, id, move |job, now| {
        advance(job, Event::Returned, now)?;
        job.attempt = job.attempt.saturating_add(1);
        job.node = None;
        job.reason = Some(why.clone());
        let again = job
            .next_try()
            .map_or(0, |at| (at - now).whole_seconds().max(0));
        let message = format!("{why} It is tried again in {}.", lasting(again));
        let mut event = said(job, "job.requeued", "Back in the queue", message, "engine");
        event.level = "warning";
        Some(Move {
            said: vec![event],
            run: RunChange::End,
            ..Move::default()
        })
    })
    .await
}

/// Notes that the command executes. `None` if that is no news.
pub(super) async fn started(
    state: &State,
    id: JobId,
    at: OffsetDateTime,
) -> Result<Option<Job>, Error> {
    change(state, id, move |job, now| {
        advance(job, Event::Started { at }, now)?;
        Some(Move {
            said: vec![said_started(job)],
            ..Move::default()
        })
    })
    .await
}

/// Notes what its engine is busy with before its start: its image, or what comes
/// after that. `None` if that is no news.
pub(super) async fn preparing(
    state: &State,
    id: JobId,
    step: job::Phase,
) -> Result<Option<Job>, Error> {
    change(state, id, move |job, now| {
        if job.state.phase() == Some(step) {
            return None;
        }
        advance(job, Event::Preparing { step }, now)?;
        let event = if step == job::Phase::PullingImage {
            let message = format!("{} is being pulled.", job.spec.image);
            said(job, "job.pulling", "Pulling the image", message, "engine")
        } else if step == job::Phase::PreparingInputs {
            let message = match job.spec.files.len() {
                1 => "One file is copied into the workspace.".to_owned(),
                count => format!("{count} files are copied into the workspace."),
            };
            said(job, "job.preparing", "Preparing inputs", message, "engine")
        } else {
            let message = "The image is there. The command is being started.".to_owned();
            said(job, "job.starting", "Starting", message, "engine")
        };
        Some(Move {
            said: vec![event],
            ..Move::default()
        })
    })
    .await
}

fn said_started(job: &Job) -> NewEvent {
    let message = if job.spec.app.is_some() {
        "The command is executing. It costs nothing until the app is ready.".to_owned()
    } else {
        format!(
            "The command is executing. From here on it costs {} per hour.",
            job.rate
        )
    };
    said(job, "job.started", "Running", message, "engine")
}

/// Asks a job to stop, or ends it at once if it is nowhere yet. `None` if it has
/// ended, or has been asked before.
pub(super) async fn request_stop(
    state: &State,
    id: JobId,
    reason: Option<String>,
) -> Result<Option<Job>, Error> {
    let reason = reason.unwrap_or_else(|| "Cancelled on request.".into());
    change(state, id, move |job, now| stop(job, &reason, "user", now)).await
}

/// Asks an app's job to stop for one of its limits, if `still` holds of its session.
pub(super) async fn request_end(
    state: &State,
    id: JobId,
    (code, reason): (EndCode, String),
    still: impl Fn(&AppSession) -> bool + Clone + Send + Sync + 'static,
) -> Result<Option<Job>, Error> {
    change_app(state, id, move |job, session, now| {
        session.filter(|session| still(session))?;
        let mut done = stop(job, &reason, "system", now)?;
        done.app.end = Some((code, reason.clone()));
        Some(done)
    })
    .await
}

fn stop(job: &mut Job, reason: &str, who: &'static str, now: OffsetDateTime) -> Option<Move> {
    advance(job, Event::StopRequested, now)?;
    job.reason = Some(reason.to_owned());
    if job.state.ended() {
        return Some(ended(job, now, now));
    }
    let message = "It gets a moment to finish by itself, then it is killed.".to_owned();
    Some(Move {
        said: vec![said(job, "job.stopping", "Stopping", message, who)],
        ..Move::default()
    })
}

/// Notes the end of a job's run and settles what it cost. `None` if it had ended
/// before: the first end is the one that counts.
pub(super) async fn finish(
    state: &State,
    id: JobId,
    end: End,
    collected: Option<Collected>,
) -> Result<Option<Job>, Error> {
    let collected = collected.map(Arc::new);
    change(state, id, move |job, now| {
        // A run can be over before anyone has seen it start.
        let mut before = Vec::new();
        if let Some(at) = end.started
            && job.state.since().is_none()
        {
            advance(job, Event::Started { at }, now)?;
            before.push(said_started(job));
        }
        let stopping = job.state.phase() == Some(job::Phase::Stopping);
        let failure = failure(&end.outcome);
        if !stopping
            && let Some(Failure::Lost(why) | Failure::NoImage(why) | Failure::NotStarted(why)) =
                &failure
        {
            job.reason = Some(why.clone());
        }
        advance(job, Event::Ended { failure }, now)?;
        let mut done = ended(job, end.ended, now);
        if let Some(collected) = &collected {
            before.extend(said_collected(job, collected));
            done.collected = Some(Arc::clone(collected));
        }
        done.said.splice(..0, before);
        Some(done)
    })
    .await
}

/// Notes that the command has ended, before what it left is collected: from here on it
/// costs nothing. `None` if it was asked to stop, and goes on stopping.
pub(super) async fn collecting(state: &State, id: JobId, end: &End) -> Result<Option<Job>, Error> {
    let (started, until) = (end.started, end.ended);
    change(state, id, move |job, now| {
        let mut before = Vec::new();
        if let Some(at) = started
            && job.state.since().is_none()
        {
            advance(job, Event::Started { at }, now)?;
            before.push(said_started(job));
        }
        advance(job, Event::Collecting { until }, now)?;
        job.completed_at = Some(job.state.since().map_or(until, |since| until.max(since)));
        let message = "The command has ended. What it left is being collected.".to_owned();
        before.push(said(
            job,
            "job.collecting",
            "Collecting files",
            message,
            "engine",
        ));
        Some(Move {
            said: before,
            ..Move::default()
        })
    })
    .await
}

fn said_collected(job: &Job, collected: &Collected) -> Vec<NewEvent> {
    let collection = &collected.collection;
    let count = |count: i64| match count {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    };
    let mut events = Vec::new();
    if collection.files > 0 {
        let size = super::files::said(collection.bytes.unsigned_abs());
        let message = format!("{}, {size} together.", count(collection.files));
        events.push(said(
            job,
            "artifacts.collected",
            "Files collected",
            message,
            "engine",
        ));
    }
    if !collection.why.is_empty() {
        let message = format!(
            "{} left out: {}.",
            count(collection.left_out),
            collection.why
        );
        let mut event = said(
            job,
            "artifacts.left_out",
            "Files left out",
            message,
            "engine",
        );
        event.level = "warning";
        events.push(event);
    }
    if !collection.missing.is_empty() {
        let shown: Vec<&str> = collection
            .missing
            .iter()
            .take(10)
            .map(String::as_str)
            .collect();
        let more = collection.missing.len() - shown.len();
        let more = match more {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!("Declared, but not there: {}{more}.", shown.join(", "));
        let mut event = said(job, "artifacts.missing", "Files missing", message, "engine");
        event.level = "warning";
        events.push(event);
    }
    events
}

fn failure(outcome: &engine::Outcome) -> Option<Failure> {
    match outcome {
        engine::Outcome::Exited(0) => None,
        engine::Outcome::Exited(code) => Some(Failure::Exit(*code)),
        engine::Outcome::Signaled(signal) => Some(Failure::Signal(*signal)),
        engine::Outcome::OutOfMemory => Some(Failure::OutOfMemory),
        engine::Outcome::TimeLimit => Some(Failure::TimeLimit),
        engine::Outcome::Stopped => Some(Failure::Lost("it was stopped from outside".into())),
        engine::Outcome::Lost(why) => Some(Failure::Lost(why.clone())),
        engine::Outcome::NoImage(why) => Some(Failure::NoImage(why.clone())),
        engine::Outcome::Refused(why) => Some(Failure::NotStarted(why.clone())),
    }
}

/// What the end of a job brings with it: the last events, and its money.
fn ended(job: &mut Job, at: OffsetDateTime, now: OffsetDateTime) -> Move {
    let used = job.costs_from().map_or(Usd::ZERO, |from| {
        job.rate
            .for_millis((micros(at) - micros(from)).max(0) / 1_000)
    });
    let paid = used.min(job.hold);
    job.cost = Some(paid);
    job.completed_at = Some(job.state.since().map_or(at, |since| at.max(since)));
    job.updated_at = now;
    let (kind, title, level) = match &job.state {
        job::State::Ended {
            outcome: Outcome::Completed,
            ..
        } => ("job.completed", "Completed", "info"),
        job::State::Ended {
            outcome: Outcome::Cancelled,
            ..
        } => ("job.cancelled", "Cancelled", "warning"),
        job::State::Ended {
            outcome: Outcome::Rejected(_),
            ..
        } => ("job.rejected", "Rejected", "error"),
        _ => ("job.failed", "Failed", "error"),
    };
    let mut last = said(job, kind, title, summary(job), "engine");
    last.level = level;
    let given_back = job.hold.saturating_sub(paid);
    let bill = if paid > Usd::ZERO {
        format!(
            "It cost {paid}. {given_back} of the {} set aside came back.",
            job.hold
        )
    } else {
        format!("It cost nothing. The {} set aside came back.", job.hold)
    };
    Move {
        said: vec![
            last,
            said(job, "billing.settled", "Settled", bill, "billing"),
        ],
        settle: Some(paid),
        run: RunChange::End,
        ..Move::default()
    }
}

/// How a job ended, in a sentence.
pub(super) fn summary(job: &Job) -> String {
    match &job.state {
        job::State::Ended {
            outcome: Outcome::Completed,
            ..
        } => "The command ended with exit code 0.".to_owned(),
        job::State::Ended {
            outcome: Outcome::Failed(failure),
            ..
        } => failure.explained(),
        job::State::Ended {
            outcome: Outcome::Rejected(why),
            ..
        } => why.clone(),
        _ => job.reason.clone().unwrap_or_default(),
    }
}

/// Applies `event`; `None` if the job's state does not allow it.
fn advance(job: &mut Job, event: Event, now: OffsetDateTime) -> Option<()> {
    let before = job.state.phase();
    match job.state.clone().apply(event) {
        Ok(after) => {
            job.state = after;
            if job.state.phase() != before {
                job.phase_since = now;
            }
            job.updated_at = now;
            Some(())
        }
        Err(impossible) => {
            tracing::debug!(job = %job.id, %impossible, "an event came too late");
            None
        }
    }
}

pub(super) fn said(
    job: &Job,
    kind: &'static str,
    title: &str,
    message: String,
    source: &'static str,
) -> NewEvent {
    NewEvent {
        kind,
        phase: job.state.phase(),
        title: title.to_owned(),
        message,
        source,
        level: "info",
    }
}

/// Reads the job, lets `decide` change it, and writes everything that follows.
pub(super) async fn change<F>(state: &State, id: JobId, decide: F) -> Result<Option<Job>, Error>
where
    F: Fn(&mut Job, OffsetDateTime) -> Option<Move> + Clone + Send + Sync + 'static,
{
    change_app(state, id, move |job, _, now| decide(job, now)).await
}

/// The same, where the app that the job is has a say; none, if it is no app.
pub(super) async fn change_app<F>(state: &State, id: JobId, decide: F) -> Result<Option<Job>, Error>
where
    F: Fn(&mut Job, Option<&AppSession>, OffsetDateTime) -> Option<Move>
        + Clone
        + Send
        + Sync
        + 'static,
{
    for _ in 0..TRIES {
        let (decide, now) = (decide.clone(), state.now());
        let done = state
            .store()
            .write(move |conn| Box::pin(async move { step(conn, id, now, decide).await }))
            .await;
        match done {
            Err(store::Error::Stale { .. }) => {}
            Ok(Some(job)) => {
                state.hub().publish(Change::Job {
                    workspace: job.workspace,
                    job: id,
                });
                if let Some(session) = job.spec.app {
                    state.hub().publish(Change::App {
                        workspace: job.workspace,
                        session,
                        job: id,
                    });
                }
                if job.state.ended() || matches!(job.state, job::State::Queued) {
                    state.0.work.notify_one();
                }
                if job.state.ended() {
                    state.0.callback.notify_one();
                }
                return Ok(Some(job));
            }
            Ok(None) => return Ok(None),
            Err(store::Error::Overdrawn { .. }) => {
                return Err(Error::InsufficientFunds(
                    "That is more than the wallet has. Add funds.".into(),
                ));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::Unavailable(
        "Too much is happening to this job at once. Try again.".into(),
    ))
}

async fn step<F>(
    conn: &mut Conn,
    id: JobId,
    now: OffsetDateTime,
    decide: F,
) -> Result<Option<Job>, store::Error>
where
    F: Fn(&mut Job, Option<&AppSession>, OffsetDateTime) -> Option<Move>,
{
    let Some(mut job) = table::find_for_worker(conn, id).await? else {
        return Ok(None);
    };
    let session = match job.spec.app {
        Some(app) => match apps::find_for_worker(conn, app).await {
            // Neither the end of a job nor its money hangs on what its app has besides.
            Err(error @ store::Error::Corrupt { .. }) => {
                tracing::error!(%error, job = %id, "its app is left out");
                None
            }
            found => found?,
        },
        None => None,
    };
    let attempt = job.attempt;
    let had_ended = job.state.ended();
    let Some(done) = decide(&mut job, session.as_ref(), now) else {
        return Ok(None);
    };
    table::update(conn, &mut job, &done.said).await?;
    if let Some(amount) = done.hold {
        hold(conn, &job, amount, now).await?;
    }
    if let Some(paid) = done.settle {
        settle(conn, &job, paid, now).await?;
    }
    match done.run {
        RunChange::None => {}
        RunChange::Intend => {
            let engine = job.engine.clone().unwrap_or_default();
            let node = job.node.clone().unwrap_or_default();
            runs::intend(conn, (id, attempt), (&engine, &node), now).await?;
        }
        RunChange::End => runs::ended(conn, id, attempt, now).await?,
    }
    if let Some(collected) = &done.collected {
        let (collection, artifacts) = (&collected.collection, &collected.artifacts);
        store::artifacts::collected(conn, &job, collection, artifacts, now).await?;
    }
    if job.state.ended() && !had_ended {
        callbacks::queue(conn, &job, now).await?;
    }
    if job.state.ended() {
        predictions::resolve(conn, &job).await?;
    }
    if let Some(session) = session {
        follow::follow(conn, &job, session, done.app, now).await?;
    } else if let Some(app) = job.spec.app
        && job.state.ended()
    {
        apps::give_up(conn, app, now).await?;
    }
    Ok(Some(job))
}

/// Sets more aside for a job, under the next number.
async fn hold(
    conn: &mut Conn,
    job: &Job,
    amount: Usd,
    now: OffsetDateTime,
) -> Result<(), store::Error> {
    let holds = store::ledger::holds(conn, job.id).await?;
    let number = holds.last().map_or(FIRST_HOLD, |(last, _)| last + 1);
    if let Some(hold) = ledger::hold(job.workspace, job.id, number, amount) {
        store::ledger::transfer(conn, &hold, now).await?;
    }
    Ok(())
}

/// Pays out of the job's holds, the oldest first, and gives the rest back.
async fn settle(
    conn: &mut Conn,
    job: &Job,
    paid: Usd,
    now: OffsetDateTime,
) -> Result<(), store::Error> {
    let mut left = paid;
    for (number, held) in store::ledger::holds(conn, job.id).await? {
        let part = left.min(held);
        left = left.saturating_sub(part);
        let how = if part > Usd::ZERO {
            Resolution::Posted
        } else {
            Resolution::Voided
        };
        let hold = ledger::hold_id(job.id, number);
        if store::ledger::resolve_hold(conn, &hold, how, now).await? {
            for transfer in ledger::settle(job.workspace, job.id, number, held, part) {
                store::ledger::transfer(conn, &transfer, now).await?;
            }
        }
    }
    Ok(())
}
