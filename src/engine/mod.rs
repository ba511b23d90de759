//! What runs the work. The orchestrator chooses a [`RunKey`], writes it to its
//! database, and only then asks an engine: every engine can find a run again by
//! that key, so that asking twice starts one run.
//!
//! Events are hints; [`Engine::list`] is the truth, and [`Status::Unknown`] is
//! never an end.
pub mod harvest;
pub mod host;

use crate::domain::logs::Limits;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use time::OffsetDateTime;

/// The identity of one attempt at running a job, and its name inside the engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunKey {
    /// Which installation the run belongs to; engines are shared.
    pub instance: String,
    /// The job's id.
    pub run: String,
    /// Counts from 1.
    pub attempt: u32,
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "junglegrid-{}-{}-{}",
            self.instance, self.run, self.attempt
        )
    }
}

/// What an engine gave back for a run; opaque, stored as text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Handle(pub String);

/// Everything an engine needs to know to run a job.
#[derive(Debug, Clone)]
pub struct RunSpec {
    /// A container image reference; the host engine does not use it.
    pub image: String,
    /// The program and its arguments; never empty.
    pub argv: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// CPU cores, at least a fraction of one.
    pub cpus: f32,
    pub memory_bytes: u64,
    /// Processes and threads that may exist at once.
    pub processes: u32,
    /// How large the workspace may grow; the host engine limits single files.
    pub disk_bytes: u64,
    /// The run is stopped when it has executed for so long.
    pub time_limit: Duration,
    /// Between the polite signal and the kill.
    pub grace: Duration,
    pub network: Network,
    /// Directories of the machine that the run sees and writes, at an absolute path.
    pub mounts: Vec<Mount>,
    /// Directories of the run's own, at an absolute path: on disk, empty when it starts,
    /// and gone once it has ended and been cleared.
    pub scratch: Vec<PathBuf>,
    /// Files that the run finds in its workspace when it starts; copies, its own.
    pub files: Vec<RunFile>,
    /// Runs with the same key are the same user of the machine, so that they can
    /// share files; without one, every run is a user of its own.
    pub user_key: Option<String>,
    /// Bytes of `/dev/shm`.
    pub shm_bytes: u64,
    /// How much output is kept for whoever reads it; the rest is counted and dropped.
    pub log: Limits,
}

/// A directory of the machine inside a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Absolute and without links. Made if it is not there, and given to the run's
    /// user; what is in it stays whose it is.
    pub host: PathBuf,
    /// Absolute, and not where the system lies. At `/workspace` it takes the place of
    /// the run's own workspace, with what was prepared there.
    pub inside: PathBuf,
}

/// A file that is copied into a run's workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFile {
    /// Where it lies on this machine.
    pub from: PathBuf,
    /// `inputs` or `scripts`.
    pub folder: String,
    /// A file's name, no path.
    pub name: String,
    pub executable: bool,
}

/// A connection to a port of a run.
pub trait Connection: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin {}
impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Connection for T {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Only a loopback of its own.
    None,
    /// The network of the machine that it runs on.
    Host,
}

/// Where a run is, as far as the engine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    Queued {
        reason: String,
    },
    Preparing {
        what: String,
        done: u64,
        total: Option<u64>,
    },
    Running {
        node: String,
        since: OffsetDateTime,
    },
    Stopping {
        since: OffsetDateTime,
    },
    Ended(End),
    /// The engine cannot say. Not an end: whoever asked decides after a deadline.
    Unknown {
        why: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub outcome: Outcome,
    /// When the command started executing; `None` if it never did.
    pub started: Option<OffsetDateTime>,
    pub ended: OffsetDateTime,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Exited(i32),
    /// Ended by this signal, which we did not send.
    Signaled(i32),
    OutOfMemory,
    TimeLimit,
    /// Ended because [`Engine::stop`] was called.
    Stopped,
    /// The machine, or what watched the run on it, went away.
    Lost(String),
    /// The image is not there, or could not be had.
    NoImage(String),
    /// The command could not be started at all.
    Refused(String),
}

/// A machine that runs work.
#[derive(Debug, Clone)]
pub struct Node {
    pub name: String,
    pub up: bool,
    pub cpus: u32,
    pub memory_bytes: u64,
    pub gpus: Vec<Gpu>,
    /// What keeps runs apart from the machine and from each other.
    pub protections: Vec<Protection>,
}

/// Bytes, in all and free now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    pub all: u64,
    pub free: u64,
}

#[derive(Debug, Clone)]
pub struct Gpu {
    pub id: String,
    pub family: String,
    pub memory_bytes: u64,
}

/// One means of isolation, and whether this machine really has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// Short and stable, such as `landlock` or `memory limit`.
    pub name: &'static str,
    pub active: bool,
    /// What it does, or why it is missing.
    pub detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    Out,
    Err,
    /// Said by the engine, not by the command.
    System,
}

/// Where to go on reading; opaque outside the engine that made it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(pub String);

/// One line of output, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub stream: Stream,
    pub at: OffsetDateTime,
    pub data: Bytes,
    /// Cut because it was too long for one line.
    pub truncated: bool,
    /// So many lines were dropped and this one, of [`Stream::System`], says so in their
    /// place; 0 for every other line.
    pub dropped: u64,
    /// Reading from here continues with the next line.
    pub next: Cursor,
}

/// A run and its status, as listed or as it changed.
#[derive(Debug, Clone)]
pub struct Event {
    pub key: RunKey,
    pub handle: Handle,
    pub status: Status,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Worth trying again.
    #[error("the engine cannot be reached: {0}")]
    Unavailable(String),
    /// Trying again would fail again: the image is not there, or cannot be had.
    #[error("{0}")]
    NoImage(String),
    /// Trying again would fail again.
    #[error("{0}")]
    Refused(String),
    #[error("the engine knows no such run")]
    NotFound,
}

pub type Result<T> = std::result::Result<T, Error>;

#[async_trait]
pub trait Engine: Send + Sync + fmt::Debug {
    /// `host`, `docker`, `slurm` …
    fn name(&self) -> &'static str;
    /// Whether it runs container images, and not only the machine's own system.
    fn pulls_images(&self) -> bool {
        false
    }
    async fn nodes(&self) -> Result<Vec<Node>>;
    /// The disk that runs work on at this node, if that can be known.
    async fn disk(&self, _node: &str) -> Option<Disk> {
        None
    }
    /// Starts the run, or finds the one that this key already started. An image that
    /// is still to be pulled is waited for afterwards, as [`Status::Preparing`]; that
    /// it cannot be had may be told here or there.
    async fn submit(&self, key: &RunKey, spec: &RunSpec) -> Result<Handle>;
    async fn status(&self, handle: &Handle) -> Result<Status>;
    /// Changes of status from now on. Some may be missed: see [`Engine::list`].
    fn events(&self) -> BoxStream<'static, Event>;
    /// Every run of this installation that has not been forgotten.
    async fn list(&self) -> Result<Vec<Event>>;
    /// Output from `from` on. Ends when the run's output has ended and was read;
    /// without `follow`, at the end of what there is now.
    fn logs(
        &self,
        handle: &Handle,
        from: Cursor,
        follow: bool,
    ) -> BoxStream<'static, Result<Vec<LogLine>>>;
    /// Asks the run to stop: politely, then by force after its grace. Returns
    /// when that has been accepted; the end arrives as a status.
    async fn stop(&self, handle: &Handle) -> Result<()>;
    /// A connection to a TCP port that something in the run listens on. The port is
    /// published nowhere.
    ///
    /// # Errors
    ///
    /// [`Error::Unavailable`] if nobody listens there (yet), or what watched the run
    /// was killed; [`Error::NotFound`] if the run has ended; [`Error::Refused`] if
    /// ports of this run can never be reached.
    async fn connect(&self, handle: &Handle, port: u16) -> Result<Box<dyn Connection>>;
    /// The files that the run works on, if this process can reach them.
    fn workspace(&self, handle: &Handle) -> Option<PathBuf>;
    /// Empties the workspace of an ended run, and removes what was its own and what it has
    /// printed: what is to be kept of it has been taken.
    async fn clear(&self, _: &Handle) -> Result<()> {
        Ok(())
    }
    /// Removes an ended run and its files.
    async fn forget(&self, handle: &Handle) -> Result<()>;
}
