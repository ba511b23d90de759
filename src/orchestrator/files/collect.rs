//! Keeps what a job has left, and removes what nobody keeps any more.
use super::disk::{self, Promise, place};
use super::room::Reserve;
use super::{said, signed};
use crate::domain::file::ARTIFACTS;
use crate::domain::id::{ArtifactId, InputId, JobId};
use crate::domain::sniff::Content;
use crate::engine::harvest::{self, Found, Harvest, LeftOut, Limits};
use crate::engine::{End, Handle};
use crate::orchestrator::{Error, State, lifecycle};
use crate::random;
use crate::store::artifacts::{self as table, Artifact, Collection};
use crate::store::inputs;
use crate::store::jobs::{Job, queries};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::OwnedMutexGuard;

/// So often it is tried to write down what a job has left.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// What an upload that was never finished leaves is kept a little longer than its slot.
const SLOTS_KEPT: time::Duration = time::Duration::HOUR;
/// Files that are removed in one go.
const AT_ONCE: i64 = 500;

/// What a job has left, to be written down with its end.
#[derive(Debug)]
pub(in crate::orchestrator) struct Collected {
    pub(in crate::orchestrator) artifacts: Vec<Artifact>,
    pub(in crate::orchestrator) collection: Collection,
    /// Nobody else fills the same room until it is written down.
    _held: Held,
}

/// What a collection keeps from others.
#[derive(Debug)]
struct Held {
    _room: Option<Promise>,
    _turn: OwnedMutexGuard<()>,
}

/// Copies what a job has left; nothing of one that never ran, or of an app, whose files
/// are in its volumes. It is collected anew after an interruption: nobody has seen any
/// of it before its job has ended.
///
/// # Errors
///
/// If the database does not answer, or the process is to stop.
pub(in crate::orchestrator) async fn collect(
    state: &State,
    job: &Job,
    handle: &Handle,
    end: &End,
) -> Result<Option<Collected>, Error> {
    if end.started.is_none() || job.spec.app.is_some() {
        return Ok(None);
    }
    let Some(workspace) = state.engine().workspace(handle) else {
        return Ok(None);
    };
    let turn = state.disk().turn(job.workspace).await;
    let looked_into = workspace.clone();
    let anything = blocking(move || Ok(harvest::anything(&looked_into))).await?;
    if !anything {
        let held = Held {
            _room: None,
            _turn: turn,
        };
        return Ok(Some(collected(state, job, Ok(Harvest::default()), held)));
    }
    lifecycle::collecting(state, job.id, end).await?;
    let mut tries = 0;
    let (harvest, room) = loop {
        match look_through(state, job, workspace.clone()).await? {
            (Err(error), _) if tries < TRIES => {
                tracing::warn!(%error, job = %job.id, "what it left could not be collected");
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            done => break done,
        }
    };
    let held = Held {
        _room: Some(room),
        _turn: turn,
    };
    Ok(Some(collected(state, job, harvest, held)))
}

/// Stops the thread that copies when nobody waits for it any more.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn look_through(
    state: &State,
    job: &Job,
    workspace: PathBuf,
) -> Result<(io::Result<Harvest>, Promise), Error> {
    let files = &state.config().files;
    let limits = Limits {
        largest: files.largest,
        files: files.per_job,
    };
    let mut room = Reserve::new(state, job.workspace);
    let into = state.disk().of_job(job.id);
    let first = declared(job);
    let stop = Stop(Arc::default());
    let stopped = Arc::clone(&stop.0);
    let copying = tokio::task::spawn_blocking(move || {
        let mut look = || {
            fresh(&into)?;
            let limits = (limits, first.as_slice());
            let harvest = harvest::harvest(&workspace, &into, limits, &mut room, &stopped)?;
            if harvest.found.is_empty() {
                gone(&into)?;
            }
            Ok(harvest)
        };
        let harvest = look();
        (harvest, room.taken())
    });
    let done = tokio::select! {
        done = copying => done.map_err(|error| Error::Internal(error.into()))?,
        () = state.shutdown().cancelled() => {
            return Err(Error::Unavailable("The server is being stopped.".into()));
        }
    };
    drop(stop);
    Ok(done)
}

/// An empty directory, whatever an interrupted attempt has left.
fn fresh(folder: &std::path::Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    gone(folder)?;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

fn gone(folder: &std::path::Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The paths that were declared, below the folder of artifacts.
fn declared(job: &Job) -> Vec<String> {
    let paths = job.spec.expected_artifacts.iter();
    paths.filter_map(|path| below(path)).collect()
}

fn below(path: &str) -> Option<String> {
    let rest = path.strip_prefix(ARTIFACTS)?.strip_prefix('/')?;
    Some(rest.to_owned())
}

fn collected(state: &State, job: &Job, harvest: io::Result<Harvest>, held: Held) -> Collected {
    let (now, kept) = (state.now(), state.config().files.artifacts_kept);
    let (harvest, why) = match harvest {
        Ok(harvest) => {
            let why = reasons(state, &harvest.left_out);
            (harvest, why)
        }
        Err(error) => (
            Harvest::default(),
            format!("nothing could be collected: {error}"),
        ),
    };
    let artifacts: Vec<Artifact> = harvest
        .found
        .into_iter()
        .zip(0_i32..)
        // Ids of one moment have no order; these have that in which they were found.
        .map(|(found, n)| (found, random::id(now + time::Duration::MILLISECOND * n)))
        .map(|(found, id)| artifact(job, found, (id, now, now + kept)))
        .collect();
    let there = |path: &String| {
        let Some(path) = below(path) else { return true };
        let folder = format!("{path}/");
        let mut names = artifacts.iter().map(|artifact| &artifact.filename);
        names.any(|name| *name == path || name.starts_with(&folder))
    };
    let missing = job.spec.expected_artifacts.iter();
    let missing = missing.filter(|path| !there(path)).cloned().collect();
    Collected {
        collection: Collection {
            files: i64::try_from(artifacts.len()).unwrap_or(i64::MAX),
            bytes: artifacts.iter().map(|artifact| artifact.size).sum(),
            left_out: signed(harvest.left_out.count()),
            why,
            missing,
        },
        artifacts,
        _held: held,
    }
}

fn artifact(
    job: &Job,
    found: Found,
    (id, now, expires_at): (ArtifactId, OffsetDateTime, OffsetDateTime),
) -> Artifact {
    let whole = found.head.len() as u64 == found.size;
    Artifact {
        id,
        workspace: job.workspace,
        job: job.id,
        filename: found.name.to_string(),
        content_type: Content::of(&found.head, whole).media_type().into(),
        size: signed(found.size),
        sha256: random::hex(&found.sha256),
        crc32: found.crc32,
        place: place(job.id, found.number),
        created_at: now,
        expires_at,
    }
}

/// Why files were left out, in words.
fn reasons(state: &State, left_out: &LeftOut) -> String {
    let files = &state.config().files;
    let mut reasons = Vec::new();
    let mut say = |count: u64, why: String| {
        if count > 0 {
            reasons.push(format!("{count} {why}"));
        }
    };
    say(
        left_out.large,
        format!("larger than {}", said(files.largest)),
    );
    say(
        left_out.room,
        format!(
            "for want of room: a workspace keeps {} at most",
            said(files.quota)
        ),
    );
    say(left_out.many, format!("beyond the first {}", files.per_job));
    let special = if left_out.special == 1 {
        "link, pipe or other special file"
    } else {
        "links, pipes or other special files"
    };
    say(left_out.special, special.into());
    say(
        left_out.deep,
        "too deep in folders or with too long a path".into(),
    );
    say(left_out.unreadable, "that could not be read".into());
    if left_out.uncounted {
        reasons.push("perhaps others that were not counted".into());
    }
    reasons.join("; ")
}

/// Throws away what the run has worked on. What is left over goes with the run later.
pub(in crate::orchestrator) async fn clear(state: &State, job: JobId, handle: &Handle) {
    if let Err(error) = state.engine().clear(handle).await {
        tracing::debug!(%error, %job, "its workspace could not be emptied");
    }
}

/// Removes files whose time is over, and what interrupted collections have left.
///
/// # Errors
///
/// If the database does not answer, or a file cannot be removed.
pub(in crate::orchestrator) async fn sweep(state: &State) -> Result<(), Error> {
    let now = state.now();
    let coming = state.disk().coming();
    state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                inputs::expire(conn, now, now - SLOTS_KEPT, &coming).await?;
                table::expire(conn, now).await
            })
        })
        .await?;
    let mut conn = state.store().read().await?;
    let brought = inputs::removable(&mut conn, AT_ONCE).await?;
    let kept = table::removable(&mut conn, AT_ONCE).await?;
    drop(conn);
    // One that cannot be removed must not keep the others.
    for id in brought {
        if let Err(error) = remove_input(state, id).await {
            tracing::warn!(%error, input = %id, "its file cannot be removed");
        }
    }
    for (id, place) in kept {
        if let Err(error) = remove_artifact(state, &id, &place).await {
            tracing::warn!(%error, artifact = id, "its file cannot be removed");
        }
    }
    Ok(())
}

/// Removes folders of jobs of which nothing is kept: what collections have left that
/// were interrupted for good.
///
/// # Errors
///
/// If the database does not answer, or one cannot be removed.
pub(in crate::orchestrator) async fn tidy(state: &State) -> Result<(), Error> {
    let disk = state.disk().clone();
    for id in blocking(move || disk.jobs()).await? {
        let mut conn = state.store().read().await?;
        let job = queries::these(&mut conn, &[id]).await?;
        let going_on = job.iter().any(|job| !job.state.ended());
        if going_on || table::any_of(&mut conn, id).await? {
            continue;
        }
        drop(conn);
        let folder = state.disk().of_job(id);
        blocking(move || gone(&folder)).await?;
    }
    Ok(())
}

/// Removes the file of an input that is hidden already.
pub(super) async fn remove_input(state: &State, id: InputId) -> Result<(), Error> {
    let file = state.disk().input(id);
    blocking(move || disk::remove(&file)).await?;
    let done = state
        .store()
        .write(move |conn| Box::pin(async move { inputs::removed(conn, id).await }));
    Ok(done.await?)
}

/// The same for an artifact.
pub(super) async fn remove_artifact(state: &State, id: &str, place: &str) -> Result<(), Error> {
    let (file, id) = (state.disk().artifact(place), id.to_owned());
    let folder = file.parent().map(std::path::Path::to_owned);
    blocking(move || {
        disk::remove(&file)?;
        // Stays if there are others in it.
        let _ = folder.map(std::fs::remove_dir);
        Ok(())
    })
    .await?;
    state
        .store()
        .write(move |conn| Box::pin(async move { table::removed(conn, &id).await }))
        .await?;
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Internal(error.into()))?
        .map_err(|error| Error::Internal(error.into()))
}
