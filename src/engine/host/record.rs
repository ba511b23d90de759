//! What the server and the shim tell each other through the run directory, and
//! the names of the files that they do it in.
use crate::domain::logs::Limits;
use crate::engine::{End, Outcome};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use time::OffsetDateTime;

/// Locked from before the shim is started until it and the first process of
/// the sandbox are gone: whoever gets the lock knows that the run is dead.
pub(super) const LOCK: &str = "lock";
/// There once the command may have been started; never before.
pub(super) const STATE: &str = "state.json";
pub(super) const EXIT: &str = "exit.json";
/// There once the run has been asked to stop, so that a shim that was not
/// listening yet finds out.
pub(super) const STOP: &str = "stop";
/// A fifo: any byte makes the shim look for [`STOP`].
pub(super) const CONTROL: &str = "control";
/// A socket: through it the shim passes connections to ports of the run.
pub(super) const DOOR: &str = "app.sock";
/// The beginning of the output; what follows is in [`log_segment`]s.
pub(super) const LOG: &str = "log";
pub(super) const SHIM_LOG: &str = "shim.log";
pub(super) const WORKSPACE: &str = "workspace";
/// Directories that are the run's own, numbered.
pub(super) const SCRATCH: &str = "scratch";
/// Where a run sees its workspace.
pub(super) const WORKSPACE_INSIDE: &str = "/workspace";
/// Where a run sees this program, which is more than the system may have.
pub(super) const BINARY: &str = "/run/junglegrid";
/// A copy of this program, only where its own file has gone.
pub(super) const PROGRAM: &str = "program";
/// Where the shim mounts the root directory of the sandbox; empty otherwise.
pub(super) const ROOT: &str = "root";

/// Directories that the public contract promises in every workspace.
pub(super) const FOLDERS: [&str; 3] = ["artifacts", "inputs", "scripts"];

/// Users of runs are taken from a range that no system hands out otherwise.
pub(super) const RUN_AS: u32 = 1_900_000_000;
pub(super) const USERS: u32 = 100_000_000;

/// The file of a part of the output: [`LOG`] is number 0.
pub(super) fn log_segment(number: u64) -> String {
    match number {
        0 => LOG.to_owned(),
        number => format!("{LOG}.{number}"),
    }
}

/// The numbers of the parts that there are, in order.
pub(super) fn log_segments(run: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(run)? {
        let name = entry?.file_name();
        let number = match name.to_str().and_then(|name| name.strip_prefix(LOG)) {
            Some("") => Some(0),
            Some(rest) => rest.strip_prefix('.').and_then(|rest| rest.parse().ok()),
            None => None,
        };
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// A directory of the machine, and where the run sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Volume {
    pub(super) host: PathBuf,
    pub(super) inside: PathBuf,
}

/// What the server tells a shim, through its standard input: secrets in `env`
/// never touch the disk.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    /// Who the run becomes when the shim is root.
    pub(super) uid: u32,
    /// Other runs may be the same user.
    pub(super) shared_user: bool,
    pub(super) cpus: f32,
    pub(super) memory_bytes: u64,
    pub(super) processes: u32,
    pub(super) disk_bytes: u64,
    pub(super) time_limit_ms: u64,
    pub(super) grace_ms: u64,
    pub(super) host_network: bool,
    /// What lies in another one comes after it.
    pub(super) volumes: Vec<Volume>,
    pub(super) shm_bytes: u64,
    pub(super) log: Limits,
    /// Directories of the machine that the run may read.
    pub(super) readable: Vec<PathBuf>,
    /// Directories that stay empty for the run even inside readable ones.
    pub(super) hidden: Vec<PathBuf>,
    /// The name of the run's control groups.
    pub(super) group: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) shim_pid: i32,
    pub(super) init_pid: i32,
    pub(super) boot_id: String,
    /// Unix microseconds at which the command was executing.
    pub(super) started: Option<i64>,
    pub(super) groups: Vec<PathBuf>,
    pub(super) measures: Vec<Measure>,
}

/// How a run ended; the wire form of [`Outcome`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    Exited(i32),
    Signaled(i32),
    OutOfMemory,
    TimeLimit,
    Stopped,
    Lost(String),
    Refused(String),
}

/// Times are unix microseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Exit {
    pub(super) how: How,
    pub(super) started: Option<i64>,
    pub(super) ended: i64,
}

impl From<Exit> for End {
    fn from(exit: Exit) -> Self {
        let outcome = match exit.how {
            How::Exited(code) => Outcome::Exited(code),
            How::Signaled(signal) => Outcome::Signaled(signal),
            How::OutOfMemory => Outcome::OutOfMemory,
            How::TimeLimit => Outcome::TimeLimit,
            How::Stopped => Outcome::Stopped,
            How::Lost(why) => Outcome::Lost(why),
            How::Refused(why) => Outcome::Refused(why),
        };
        Self {
            outcome,
            started: exit.started.map(instant),
            ended: instant(exit.ended),
        }
    }
}

/// One protection, as it turned out when it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Measure {
    pub(super) name: String,
    pub(super) active: bool,
    pub(super) detail: String,
}

impl Measure {
    pub(super) fn new(name: &str, active: bool, detail: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            active,
            detail: detail.into(),
        }
    }
}

/// Unix microseconds as a time; the epoch for what no clock says.
pub(super) fn instant(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Replaces `name` in `dir` so that a crash leaves the old or the new content.
pub(super) fn write_whole(dir: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let staged = dir.join(format!("{name}.new"));
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&staged)?;
    file.write_all(&serde_json::to_vec(value)?)?;
    file.sync_all()?;
    std::fs::rename(&staged, dir.join(name))?;
    File::open(dir)?.sync_all()
}

/// Reads what [`write_whole`] wrote; `None` if there is no such file.
pub(super) fn read_whole<T: for<'a> Deserialize<'a>>(
    dir: &Path,
    name: &str,
) -> io::Result<Option<T>> {
    match std::fs::read(dir.join(name)) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Changes whenever the machine starts.
pub(super) fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map_or_else(|_| String::new(), |id| id.trim().to_owned())
}

/// Removes a run's control group, which stays busy for a moment after its last
/// process has gone. Takes nothing but empty groups.
pub(super) fn remove_group(group: &Path) {
    for _ in 0..200 {
        match std::fs::remove_dir(group) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {
                std::thread::sleep(Duration::from_millis(10));
            }
            Ok(()) | Err(_) => return,
        }
    }
}
