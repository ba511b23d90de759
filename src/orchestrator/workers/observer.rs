//! Looks after each run: asks the engine to start it, reads what it prints,
//! notes that it has started and how it ended.
//!
//! One task per live run. All that it knows is in the database or the engine, so
//! it can die at any point and be begun again.
use super::super::apps::{run, settings};
use super::super::files::{collect, given};
use super::super::{Change, Error, State, lifecycle};
use crate::domain::id::JobId;
use crate::domain::job;
use crate::domain::secret::Masks;
use crate::domain::spec::HOST_IMAGE;
use crate::engine::{
    self, Cursor, Engine, Event, Handle, LogLine, Outcome, RunKey, RunSpec, Status, Stream,
};
use crate::store::apps::services;
use crate::store::jobs::logs::{self, Batch, NewLine};
use crate::store::jobs::{self as table, Job, runs};
use crate::store::{self};
use futures_util::{StreamExt as _, stream};
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

/// An engine that does not answer is asked again after so long.
const RETRY: Duration = Duration::from_secs(2);
/// The status is looked up so often, in case nobody said that it changed.
const LOOK: Duration = Duration::from_secs(5);
/// How much of an image has come is written down so often at most.
const PIECES: Duration = Duration::from_secs(1);
/// Output of a command that the engine does not yet call started waits so long for that.
const START_PATIENCE: Duration = Duration::from_secs(1);
/// After a run's end more of its output is waited for so long.
const OUTPUT_PATIENCE: Duration = Duration::from_secs(30);
/// The output of one run is written at most so often: what gathers meanwhile is
/// written together, and everybody else has the database for the rest of the time.
const PACE: Duration = Duration::from_millis(100);
/// Processes and threads per job.
const PROCESSES: u32 = 1_024;

/// Begins to look after every live run, and stops runs that nobody knows.
/// Returns how many there are.
///
/// # Errors
///
/// If the database or the engine does not answer.
pub async fn adopt(state: &State, tasks: &TaskTracker) -> Result<usize, Error> {
    let live = runs::live(&mut *state.store().read().await?).await?;
    for run in &live {
        watch(state, tasks, (run.job, run.attempt));
    }
    stop_strangers(state).await?;
    Ok(live.len())
}

/// Stops runs of this installation that its database has no word of, because it was
/// set back to an earlier state, or that it holds to be over, because the engine had
/// lost sight of them or had not said that it took them.
async fn stop_strangers(state: &State) -> Result<(), Error> {
    let found = state
        .engine()
        .list()
        .await
        .map_err(|e| Error::Unavailable(e.to_string()))?;
    for run in found {
        if matches!(run.status, Status::Ended(_)) {
            continue;
        }
        let wanted = match run.key.run.parse::<JobId>() {
            Ok(id) => {
                let mut conn = state.store().read().await?;
                let known = runs::find(&mut conn, id, run.key.attempt).await?;
                known.is_some_and(|run| run.live)
            }
            Err(_) => false,
        };
        if !wanted {
            tracing::warn!(run = %run.key, "a run that nobody wants is stopped");
            if let Err(error) = state.engine().stop(&run.handle).await {
                tracing::warn!(%error, run = %run.key, "it could not be stopped");
            }
        }
    }
    Ok(())
}

/// Looks after a run from now on, unless that is being done already.
pub(super) fn watch(state: &State, tasks: &TaskTracker, run: (JobId, u32)) {
    if !state
        .0
        .watched
        .lock()
        .is_ok_and(|mut watched| watched.insert(run))
    {
        return;
    }
    let state = state.clone();
    tasks.spawn(async move {
        while !state.shutdown().is_cancelled() {
            match look_after(&state, run).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%error, job = %run.0, "a run could not be looked after");
                }
            }
            if super::pause(&state, RETRY).await {
                break;
            }
        }
        if let Ok(mut watched) = state.0.watched.lock() {
            watched.remove(&run);
        }
    });
}

/// Asks the engine to stop a run; its end is noted when it comes.
pub(in crate::orchestrator) async fn stop(state: &State, job: JobId, handle: String) {
    match state.engine().stop(&Handle(handle)).await {
        Ok(()) | Err(engine::Error::NotFound) => {}
        Err(error) => tracing::warn!(%error, %job, "a job could not be stopped; it is tried again"),
    }
}

/// The same, for a job that has just been asked to stop; nothing if the engine does
/// not have it.
pub(in crate::orchestrator) async fn stop_run(state: &State, job: &Job) -> Result<(), Error> {
    if job.state.ended() {
        return Ok(());
    }
    let run = runs::find(&mut *state.store().read().await?, job.id, job.attempt).await?;
    if let Some(handle) = run.and_then(|run| run.handle) {
        stop(state, job.id, handle).await;
    }
    Ok(())
}

/// Whether the engine says that the job's run has ended; whoever looks after it will
/// note that.
pub(super) async fn has_ended(state: &State, job: &Job) -> Result<bool, Error> {
    let run = runs::find(&mut *state.store().read().await?, job.id, job.attempt).await?;
    let Some(handle) = run.and_then(|run| run.handle) else {
        return Ok(false);
    };
    let status = state.engine().status(&Handle(handle)).await;
    Ok(matches!(status, Ok(Status::Ended(_))))
}

/// From submission to the end. Returns when there is nothing left to do.
async fn look_after(state: &State, (id, attempt): (JobId, u32)) -> Result<(), Error> {
    let Some(job) = mine(state, id, attempt).await? else {
        return Ok(());
    };
    let engine = state.engine().clone();
    let mut events = engine.events();
    let Some(handle) = submitted(state, &engine, &job).await? else {
        return Ok(());
    };
    // It may have been cancelled while the engine was being asked.
    if stopping(state, id, attempt).await? {
        stop(state, id, handle.0.clone()).await;
    }
    let Some(run) = runs::find(&mut *state.store().read().await?, id, attempt).await? else {
        return Ok(());
    };
    let mut cursor = run.log_cursor;
    let mut output = engine.logs(&handle, Cursor(cursor.clone()), true);
    let masks = settings::masks(state, &job).await?;
    // What may hold secrets is left with the engine.
    let (mut reading, mut started) = (masks.is_some(), false);
    let mut veil = Veil::over(masks.unwrap_or_default());
    let (mut alive, mut noted, mut end) = (job.updated_at, None::<Instant>, None);
    let mut status = engine.status(&handle).await;
    let pulls = job.spec.image != HOST_IMAGE;
    if !pulls {
        run::handed_over(state, &job).await?;
    }
    loop {
        if matches!(status, Ok(Status::Running { .. })) {
            alive = state.now();
        }
        let mut owed = false;
        match &status {
            Ok(Status::Preparing { done, total, .. }) if pulls => {
                let whole = total.is_some_and(|total| *done >= total);
                // An engine may count every piece; nobody reads so fast.
                owed = !whole && noted.is_some_and(|at| at.elapsed() < PIECES);
                if !owed {
                    let step = if whole {
                        job::Phase::Starting
                    } else {
                        job::Phase::PullingImage
                    };
                    run::pulled(state, &job, *done, *total).await?;
                    lifecycle::preparing(state, id, step).await?;
                    noted = Some(Instant::now());
                }
            }
            Ok(Status::Running { since, .. }) if !started => {
                lifecycle::started(state, id, *since).await?;
                started = true;
            }
            Ok(Status::Ended(ended)) => end = Some(ended.clone()),
            // Not an end. Whatever keeps it from beginning is tried again.
            Ok(Status::Unknown { why }) => return Err(Error::Unavailable(why.clone())),
            Ok(_) | Err(engine::Error::Unavailable(_)) => {}
            Err(error) => {
                let why = format!("the engine has no word of it ({error})");
                end = Some(engine::End {
                    outcome: Outcome::Lost(why),
                    started: None,
                    ended: alive,
                });
                reading = false;
            }
        }
        if let Some(end) = end.take() {
            let run = (id, attempt);
            if reading && !finish_reading(state, run, &mut veil, (&mut cursor, &mut output)).await?
            {
                return Ok(());
            }
            return ended(state, &job, &handle, end).await;
        }
        tokio::select! {
            () = state.shutdown().cancelled() => return Ok(()),
            batch = output.next(), if reading => match batch {
                Some(Ok(lines)) => {
                    // Nobody sees output of a command that has not started.
                    if !started && let Some(since) = started_at(&engine, &handle, &lines).await {
                        lifecycle::started(state, id, since).await?;
                        started = true;
                    }
                    let begun = tokio::time::Instant::now();
                    keep(state, (id, attempt), &mut veil, (&mut cursor, lines)).await?;
                    tokio::time::sleep_until(begun + PACE).await;
                }
                Some(Err(error)) => return Err(Error::Unavailable(error.to_string())),
                None => reading = false,
            },
            event = events.next() => match event {
                Some(event) if event.handle == handle => status = Ok(event.status),
                Some(_) => {}
                // It does not say anything any more: it is asked, now and then.
                None => events = stream::pending().boxed(),
            },
            () = tokio::time::sleep(if owed { PIECES } else { LOOK }) => {
                if stopping(state, id, attempt).await? {
                    stop(state, id, handle.0.clone()).await;
                }
                status = engine.status(&handle).await;
            }
        }
    }
}

/// When the command that printed these lines started. Its first output may be here
/// before the engine has heard of its start.
async fn started_at(
    engine: &Arc<dyn Engine>,
    handle: &Handle,
    lines: &[LogLine],
) -> Option<OffsetDateTime> {
    let until = Instant::now() + START_PATIENCE;
    loop {
        match engine.status(handle).await {
            Ok(Status::Running { since, .. }) => return Some(since),
            Ok(Status::Preparing { .. })
                if lines.iter().any(|line| line.stream != Stream::System) =>
            {
                if Instant::now() >= until {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            _ => return None,
        }
    }
}

async fn ended(
    state: &State,
    job: &Job,
    handle: &Handle,
    mut end: engine::End,
) -> Result<(), Error> {
    if matches!(end.outcome, Outcome::Lost(_)) {
        end.ended = last_seen(state, job, end.ended).await?;
    }
    let collected = collect::collect(state, job, handle, &end).await?;
    let keeps = collected.is_some();
    lifecycle::finish(state, job.id, end, collected).await?;
    // What an app has left is in its volumes.
    if keeps || job.spec.app.is_some() {
        collect::clear(state, job.id, handle).await;
    }
    Ok(())
}

/// Keeps what is left of the output, however long that takes while more of it comes.
/// Returns whether that is done; it is not if the server is to stop first.
async fn finish_reading(
    state: &State,
    run: (JobId, u32),
    veil: &mut Veil,
    (cursor, output): (
        &mut String,
        &mut futures_util::stream::BoxStream<'static, engine::Result<Vec<LogLine>>>,
    ),
) -> Result<bool, Error> {
    let why = loop {
        let next = tokio::select! {
            () = state.shutdown().cancelled() => return Ok(false),
            next = tokio::time::timeout(OUTPUT_PATIENCE, output.next()) => next,
        };
        match next {
            Ok(Some(Ok(lines))) => keep(state, run, veil, (cursor, lines)).await?,
            Ok(None) => return Ok(true),
            Ok(Some(Err(error))) => break error.to_string(),
            Err(_) => break "it does not end".into(),
        }
    };
    tracing::warn!(job = %run.0, why, "the rest of its output is left out");
    let said = LogLine {
        stream: Stream::System,
        data: "The rest of the output could not be read, and is left out.".into(),
        truncated: false,
        dropped: 0,
        at: state.now(),
        next: Cursor(cursor.clone()),
    };
    keep(state, run, veil, (cursor, vec![said])).await?;
    Ok(true)
}

/// The job, if this attempt still is what it is at.
async fn mine(state: &State, id: JobId, attempt: u32) -> Result<Option<Job>, Error> {
    let mut conn = state.store().read().await?;
    let job = table::find_for_worker(&mut conn, id).await?;
    let job = job.filter(|job| !job.state.ended() && job.attempt == attempt);
    if job.is_none() {
        let now = state.now();
        state
            .store()
            .write(move |conn| Box::pin(async move { runs::ended(conn, id, attempt, now).await }))
            .await?;
    }
    Ok(job)
}

async fn stopping(state: &State, id: JobId, attempt: u32) -> Result<bool, Error> {
    let job = mine(state, id, attempt).await?;
    Ok(job.is_some_and(|job| job.state.phase() == Some(job::Phase::Stopping)))
}

/// Hands the run to the engine, or finds that it has it; again, if the engine took
/// it and cannot say what became of it. `None` if there is
/// nothing to look after: it was cancelled before, or the engine refuses it.
async fn submitted(
    state: &State,
    engine: &Arc<dyn Engine>,
    job: &Job,
) -> Result<Option<Handle>, Error> {
    let (id, attempt) = (job.id, job.attempt);
    let run = runs::find(&mut *state.store().read().await?, id, attempt).await?;
    if let Some(handle) = run.and_then(|run| run.handle).map(Handle)
        && !matches!(engine.status(&handle).await, Ok(Status::Unknown { .. }))
    {
        return Ok(Some(handle));
    }
    let key = RunKey {
        instance: state.config().instance.clone(),
        run: id.to_string(),
        attempt,
    };
    if job.state.phase() == Some(job::Phase::Stopping) {
        // Nothing is begun only to be stopped.
        match taken(engine, &key).await? {
            None => return over(state, id, Outcome::Stopped).await,
            // Told to stop before it is begun, it ends at once: then its end is known.
            Some(Event {
                handle,
                status: Status::Unknown { .. },
                ..
            }) => {
                stop(state, id, handle.0).await;
            }
            Some(run) => return handed_over(state, (id, attempt), run.handle).await,
        }
    }
    let mut spec = spec(state, job);
    if let Err(lost) = run::equip(state, job, &mut spec).await? {
        return over(state, id, Outcome::Refused(lost.to_string())).await;
    }
    given::equip(state, job, &mut spec).await?;
    match engine.submit(&key, &spec).await {
        Ok(handle) => handed_over(state, (id, attempt), handle).await,
        Err(engine::Error::Unavailable(why)) => {
            // It may have taken it all the same.
            let unsure = match taken(engine, &key).await? {
                None => false,
                Some(Event {
                    handle,
                    status: Status::Unknown { .. },
                    ..
                }) => {
                    stop(state, id, handle.0).await;
                    true
                }
                Some(run) => return handed_over(state, (id, attempt), run.handle).await,
            };
            let said = format!("The machine did not take it: {why}.");
            match lifecycle::give_back(state, id, said).await? {
                Some(_) => Ok(None),
                // It has been asked to stop meanwhile.
                None if unsure => Err(Error::Unavailable(why)),
                None => over(state, id, Outcome::Stopped).await,
            }
        }
        Err(engine::Error::NoImage(why)) => over(state, id, Outcome::NoImage(why)).await,
        Err(error) => over(state, id, Outcome::Refused(error.to_string())).await,
    }
}

/// Finds the run with this key in the engine, if that has it.
async fn taken(engine: &Arc<dyn Engine>, key: &RunKey) -> Result<Option<Event>, Error> {
    let all = engine.list().await;
    let all = all.map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(all.into_iter().find(|run| run.key == *key))
}

/// Notes what the engine calls the run.
async fn handed_over(
    state: &State,
    (id, attempt): (JobId, u32),
    handle: Handle,
) -> Result<Option<Handle>, Error> {
    let text = handle.0.clone();
    state
        .store()
        .write(move |conn| Box::pin(async move { runs::submitted(conn, id, attempt, &text).await }))
        .await?;
    Ok(Some(handle))
}

/// Notes the end of a run that never was: there is nothing to look after.
async fn over(state: &State, id: JobId, outcome: Outcome) -> Result<Option<Handle>, Error> {
    let end = engine::End {
        outcome,
        started: None,
        ended: state.now(),
    };
    lifecycle::finish(state, id, end, None).await?;
    Ok(None)
}

fn spec(state: &State, job: &Job) -> RunSpec {
    let resources = &job.spec.resources;
    let memory_bytes = bytes(resources.memory_gb.unwrap_or(2.0));
    RunSpec {
        image: job.spec.image.clone(),
        argv: job.spec.argv.clone(),
        env: job.spec.environment.clone(),
        cpus: resources.cpus.map_or(1.0, |cpus| {
            f32::from(u16::try_from(cpus).unwrap_or(u16::MAX))
        }),
        memory_bytes,
        processes: PROCESSES,
        disk_bytes: bytes(resources.disk_gb.unwrap_or(20.0)),
        time_limit: Duration::from_secs(u64::from(job.spec.time_limit_seconds)),
        grace: state.config().grace,
        network: state.config().network,
        mounts: Vec::new(),
        scratch: Vec::new(),
        files: Vec::new(),
        user_key: None,
        shm_bytes: memory_bytes,
        log: state.config().logs,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be positive and small"
)]
pub(in crate::orchestrator) fn bytes(gigabytes: f64) -> u64 {
    (gigabytes * 1e9) as u64
}

/// When a run that is lost last showed that it was alive: as the engine says, or later
/// by what it printed or by an answer of the app that it was. What comes after that is
/// not paid for.
async fn last_seen(
    state: &State,
    job: &Job,
    engine: OffsetDateTime,
) -> Result<OffsetDateTime, Error> {
    let mut conn = state.store().read().await?;
    let mut printed = Vec::new();
    // What the grid says about the output is no sign of life.
    for stream in ["stdout", "stderr"] {
        let of = logs::Filter {
            stream,
            ..logs::Filter::default()
        };
        let last = logs::tail(&mut conn, job.id, 1, &of).await?;
        printed.extend(last.last().map(|line| line.at));
    }
    let answered = match job.spec.app {
        Some(app) => services::of(&mut conn, app).await?,
        None => Vec::new(),
    };
    let answered = answered
        .into_iter()
        .filter_map(|service| service.answered_at);
    let last = answered.chain(printed).chain([engine]).max();
    Ok(last.unwrap_or(engine).min(state.now()))
}

/// Writes lines without the secrets in them, and where reading goes on, together.
async fn keep(
    state: &State,
    run: (JobId, u32),
    veil: &mut Veil,
    (cursor, lines): (&mut String, Vec<LogLine>),
) -> Result<(), Error> {
    let Some(last) = lines.last() else {
        return Ok(());
    };
    let (from, to) = (cursor.clone(), last.next.0.clone());
    // Compressing many lines takes its time; the writer must not wait for it.
    let mut over = veil.clone();
    let batch = tokio::task::spawn_blocking(move || {
        let rows = lines.iter().map(|line| over.row(line)).collect();
        (Batch::new(rows), over)
    });
    let (batch, over) = batch.await.map_err(|error| Error::Internal(error.into()))?;
    let (limits, next) = (state.config().logs, to.clone());
    state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                logs::append(conn, run, (&from, &next), &batch, &limits).await?;
                Ok::<_, store::Error>(())
            })
        })
        .await?;
    *cursor = to;
    *veil = over;
    if let Some(job) = table::find_for_worker(&mut *state.store().read().await?, run.0).await? {
        state.hub().publish(Change::Logs {
            workspace: job.workspace,
            job: run.0,
        });
    }
    Ok(())
}

/// What lies over the output of a run.
#[derive(Debug, Clone)]
struct Veil {
    masks: Arc<Masks>,
    /// Whether the last line of each stream goes on in the next one, as far as we have
    /// seen it.
    cut: [bool; 3],
}

impl Veil {
    fn over(masks: Masks) -> Self {
        Self {
            masks: Arc::new(masks),
            cut: [false; 3],
        }
    }

    fn row(&mut self, line: &LogLine) -> NewLine {
        let (stream, at) = match line.stream {
            Stream::Out => ("stdout", 0),
            Stream::Err => ("stderr", 1),
            Stream::System => ("system", 2),
        };
        let cuts = (self.cut[at], line.truncated);
        self.cut[at] = line.truncated;
        NewLine {
            stream,
            // No database takes NUL in text.
            message: (self.masks)
                .hide_in_piece(&String::from_utf8_lossy(&line.data), cuts)
                .replace('\0', "\u{fffd}"),
            truncated: line.truncated,
            dropped: i64::try_from(line.dropped).unwrap_or(i64::MAX),
            at: line.at,
        }
    }
}
