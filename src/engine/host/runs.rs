//! The run directories: which run lies where, and how it stands with it,
//! judged from nothing but the files.
use super::probe;
use super::record::{self, Exit, State};
use crate::engine::{End, Error, Handle, Outcome, Result, RunKey, Status};
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;

/// Where removed runs wait for their files to be deleted; no run is called so.
const GONE: &str = ".gone";

#[derive(Debug, Clone)]
pub(super) struct Runs {
    root: PathBuf,
    instance: String,
    node: String,
}

/// Whether anything of a run is alive.
#[derive(Debug)]
enum Life {
    Alive,
    /// Nobody else can start it while this is held.
    Dead(File),
}

impl Runs {
    /// Makes the directory if need be, and finishes interrupted removals.
    pub(super) fn open(root: &Path, instance: String, node: String) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(root)?;
        let runs = Self {
            root: root.canonicalize()?,
            instance,
            node,
        };
        for gone in names(&runs.root.join(GONE)).unwrap_or_default() {
            erase(&runs.root.join(GONE).join(gone))?;
        }
        for probe in names(&runs.root)?
            .iter()
            .filter(|name| name.starts_with(probe::PREFIX))
        {
            let probe = runs.root.join(probe);
            if let Ok(Life::Dead(_)) = life(&probe) {
                erase(&probe)?;
            }
        }
        runs.sweep();
        Ok(runs)
    }

    /// Removes what was the own of runs that have ended while nobody looked.
    fn sweep(&self) {
        for (key, handle) in self.all().unwrap_or_default() {
            let scratch = self.root.join(&handle.0).join(record::SCRATCH);
            let ended = || matches!(self.status(&handle), Ok(Status::Ended(_)));
            if scratch.exists()
                && ended()
                && let Err(error) = erase(&scratch)
            {
                tracing::warn!(%error, %key, "its directories could not be removed");
            }
        }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn handle(&self, key: &RunKey) -> Result<Handle> {
        if key.instance != self.instance {
            return Err(Error::Refused(format!(
                "this engine belongs to the installation {}",
                self.instance
            )));
        }
        let handle = Handle(format!("{}/{}", key.run, key.attempt));
        self.key(&handle)
            .map(|_| handle)
            .map_err(|_| Error::Refused(format!("{key} cannot be the name of a run")))
    }

    /// The key that a handle stands for. A handle may come from anywhere, so it
    /// must not lead out of the directory.
    pub(super) fn key(&self, handle: &Handle) -> Result<RunKey> {
        let (run, number) = handle.0.split_once('/').ok_or(Error::NotFound)?;
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let attempt: u32 = number.parse().map_err(|_| Error::NotFound)?;
        if run.is_empty()
            || run.len() > 128
            || !run.bytes().all(plain)
            || attempt == 0
            || attempt.to_string() != number
        {
            return Err(Error::NotFound);
        }
        Ok(RunKey {
            instance: self.instance.clone(),
            run: run.to_owned(),
            attempt,
        })
    }

    pub(super) fn path(&self, handle: &Handle) -> Result<PathBuf> {
        self.key(handle)?;
        Ok(self.root.join(&handle.0))
    }

    /// Every run that has a directory.
    pub(super) fn all(&self) -> Result<Vec<(RunKey, Handle)>> {
        let mut found = Vec::new();
        for run in names(&self.root).map_err(unavailable)? {
            for attempt in names(&self.root.join(&run)).unwrap_or_default() {
                let handle = Handle(format!("{run}/{attempt}"));
                if let Ok(key) = self.key(&handle) {
                    found.push((key, handle));
                }
            }
        }
        Ok(found)
    }

    pub(super) fn status(&self, handle: &Handle) -> Result<Status> {
        let run = self.path(handle)?;
        if !run.is_dir() {
            return Err(Error::NotFound);
        }
        self.judge(&run).map_err(unavailable)
    }

    fn judge(&self, run: &Path) -> io::Result<Status> {
        if let Some(exit) = record::read_whole::<Exit>(run, record::EXIT)? {
            return Ok(Status::Ended(exit.into()));
        }
        let alive = match life(run)? {
            Life::Alive => true,
            Life::Dead(_) => false,
        };
        // It may have ended between the two looks.
        if let (false, Some(exit)) = (alive, record::read_whole::<Exit>(run, record::EXIT)?) {
            return Ok(Status::Ended(exit.into()));
        }
        let state = record::read_whole::<State>(run, record::STATE)?;
        Ok(match (state, alive) {
            (None, true) => Status::Preparing {
                what: "building the sandbox".into(),
                done: 0,
                total: None,
            },
            (None, false) => Status::Unknown {
                why: "prepared but never started; submitting it again starts it".into(),
            },
            (Some(state), false) => Status::Ended(lost(run, &state)),
            (Some(state), true) => match (changed(run, record::STOP), state.started) {
                (Some(since), _) => Status::Stopping { since },
                (None, Some(started)) => Status::Running {
                    node: self.node.clone(),
                    since: record::instant(started),
                },
                (None, None) => Status::Preparing {
                    what: "starting the command".into(),
                    done: 0,
                    total: None,
                },
            },
        })
    }

    /// The lock for starting a run, with its directory made; `None` if it has
    /// been started already.
    pub(super) fn claim(&self, handle: &Handle) -> Result<Option<(PathBuf, File)>> {
        let run = self.path(handle)?;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&run)
            .map_err(unavailable)?;
        // Somebody who only looks holds the lock for an instant; somebody who
        // starts the run leaves a trace in the time that we have.
        for _ in 0..200 {
            let started = |name| run.join(name).exists();
            match life(&run).map_err(unavailable)? {
                _ if started(record::EXIT) || started(record::STATE) => return Ok(None),
                Life::Dead(lock) => return Ok(Some((run, lock))),
                Life::Alive => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Ok(None)
    }

    /// Asks for the end of a run.
    pub(super) fn stop(&self, handle: &Handle) -> Result<()> {
        let run = self.path(handle)?;
        match self.status(handle)? {
            Status::Ended(_) => return Ok(()),
            Status::Queued { .. }
            | Status::Preparing { .. }
            | Status::Running { .. }
            | Status::Stopping { .. }
            | Status::Unknown { .. } => {}
        }
        // The mark comes first: a shim that does not listen yet looks for it,
        // and one that was never started is told by it not to begin.
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(run.join(record::STOP))
            .map_err(unavailable)?;
        let control = File::options()
            .write(true)
            .custom_flags(nix::libc::O_NONBLOCK)
            .open(run.join(record::CONTROL));
        if let Ok(mut control) = control {
            // A full pipe means that the shim has enough reasons to look.
            let _ = io::Write::write(&mut control, b"s");
        }
        Ok(())
    }

    /// Removes what an ended run has worked on, what was its own, and what it has printed.
    pub(super) fn clear(&self, handle: &Handle) -> Result<()> {
        let Status::Ended(_) = self.status(handle)? else {
            return Err(Error::Refused("the run has not ended".into()));
        };
        let run = self.path(handle)?;
        for number in record::log_segments(&run).map_err(unavailable)? {
            fs::remove_file(run.join(record::log_segment(number))).map_err(unavailable)?;
        }
        erase(&run.join(record::SCRATCH)).map_err(unavailable)?;
        erase(&run.join(record::WORKSPACE)).map_err(unavailable)
    }

    /// Removes an ended run.
    pub(super) fn forget(&self, handle: &Handle) -> Result<()> {
        let run = self.path(handle)?;
        match self.status(handle)? {
            Status::Ended(_) | Status::Unknown { .. } => {}
            Status::Queued { .. }
            | Status::Preparing { .. }
            | Status::Running { .. }
            | Status::Stopping { .. } => {
                return Err(Error::Refused("the run has not ended".into()));
            }
        }
        // The shim tidies up for a moment after it has recorded the end.
        let mut tries = 0;
        let lock = loop {
            match life(&run).map_err(unavailable)? {
                Life::Dead(lock) => break lock,
                Life::Alive if tries < 500 => std::thread::sleep(Duration::from_millis(10)),
                Life::Alive => {
                    return Err(Error::Unavailable(
                        "what watched the run has not gone yet".into(),
                    ));
                }
            }
            tries += 1;
        };
        if let Ok(Some(state)) = record::read_whole::<State>(&run, record::STATE) {
            for group in state.groups {
                // Left behind only if the shim was killed.
                record::remove_group(&group);
            }
        }
        let bin = self.root.join(GONE);
        let gone = bin.join(handle.0.replace('/', "."));
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&bin)
            .map_err(unavailable)?;
        erase(&gone).map_err(unavailable)?;
        fs::rename(&run, &gone).map_err(unavailable)?;
        drop(lock);
        // Stays if there are other attempts.
        let _ = run.parent().map(fs::remove_dir);
        erase(&gone).map_err(unavailable)
    }
}

pub(super) fn unavailable(error: io::Error) -> Error {
    Error::Unavailable(error.to_string())
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}

fn life(run: &Path) -> io::Result<Life> {
    let lock = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(run.join(record::LOCK))?;
    match lock.try_lock() {
        Ok(()) => Ok(Life::Dead(lock)),
        Err(TryLockError::WouldBlock) => Ok(Life::Alive),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// When a file was last written, by the file system's clock.
fn changed(run: &Path, name: &str) -> Option<OffsetDateTime> {
    Some(fs::metadata(run.join(name)).ok()?.modified().ok()?.into())
}

/// The end of a run that nobody saw: at its last sign of life.
fn lost(run: &Path, state: &State) -> End {
    let why = if state.boot_id == record::boot_id() {
        "what watched the run was killed, and the run with it"
    } else {
        "the machine was restarted during the run"
    };
    let started = state.started.map(record::instant);
    let newest = record::log_segments(run)
        .ok()
        .and_then(|all| all.last().copied());
    let log = record::log_segment(newest.unwrap_or(0));
    let seen = [log.as_str(), record::STATE]
        .into_iter()
        .filter_map(|name| changed(run, name))
        .chain(started)
        .max();
    End {
        outcome: Outcome::Lost(why.into()),
        started,
        ended: seen.unwrap_or(OffsetDateTime::UNIX_EPOCH),
    }
}

/// Deletes a directory that a stranger has filled. Subdirectories are moved up
/// and emptied one after the other, because they may be nested deeper than any
/// stack or path may be; links are removed, never followed.
pub(super) fn erase(top: &Path) -> io::Result<()> {
    let mut pending = match fs::symlink_metadata(top) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(_) => vec![top.to_owned()],
    };
    let mut moved = 0_u64;
    let mut emptied = Vec::new();
    while let Some(directory) = pending.pop() {
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            if emptied.is_empty() && directory == top {
                pending.push(entry.path());
                continue;
            }
            // Moving a directory writes to it.
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700))?;
            loop {
                let free = top.join(format!(".{moved}"));
                moved += 1;
                if fs::symlink_metadata(&free).is_err() {
                    fs::rename(entry.path(), &free)?;
                    pending.push(free);
                    break;
                }
            }
        }
        emptied.push(directory);
    }
    for directory in emptied.iter().rev() {
        fs::remove_dir(directory)?;
    }
    Ok(())
}
