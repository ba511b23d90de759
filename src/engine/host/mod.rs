//! Runs jobs as confined processes of this machine, with nothing installed. The
//! server only writes orders and reads files: each run is watched by a process
//! of its own, the [`shim`], which goes on when the server is replaced.
mod changes;
mod connect;
mod frame;
mod logs;
mod order;
mod place;
mod probe;
mod record;
mod runs;
pub mod shim;

use super::{
    Connection, Cursor, Disk, Engine, Error, Event, Handle, LogLine, Node, Protection, Result,
    RunKey, RunSpec, Status,
};
use async_trait::async_trait;
use changes::Changes;
use futures_util::stream::{BoxStream, StreamExt as _};
use logs::blocking;
use order::order;
use record::Order;
use runs::{Runs, unavailable};
use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::OnceCell;
use tokio_stream::wrappers::BroadcastStream;

/// The protection without which no port of a run can be reached, because nothing
/// would keep anybody else from reaching it.
pub const PRIVATE_PORTS: &str = "private ports";

/// What the engine must know about the machine.
#[derive(Debug, Clone)]
pub struct Config {
    /// This binary, which is executed again as `<exe> shim .` in the directory
    /// of the run.
    pub exe: PathBuf,
    /// Where the runs lie; made if it does not exist.
    pub runs_dir: PathBuf,
    /// The installation that the runs belong to.
    pub instance: String,
    /// What the machine is called in statuses.
    pub node: String,
    pub cpus: u32,
    pub memory_bytes: u64,
    /// Directories of the machine that runs may read and execute from.
    pub readable: Vec<PathBuf>,
    /// Directories that no run may see even if they lie in readable ones, such
    /// as the data directory. They must exist.
    pub hidden: Vec<PathBuf>,
    /// Where the runs and the directories that they are shown lie, as given.
    data_given: PathBuf,
    /// The same without links.
    data: PathBuf,
}

impl Config {
    /// This machine as it is.
    #[must_use]
    pub fn new(runs_dir: PathBuf, instance: String) -> Self {
        let node = nix::unistd::gethostname()
            .ok()
            .and_then(|name| name.into_string().ok());
        let given = std::path::absolute(&runs_dir).unwrap_or_else(|_| runs_dir.clone());
        let data = given.parent().unwrap_or(&given).to_owned();
        Self {
            // Stays the running binary when its file is replaced by a newer one.
            exe: PathBuf::from("/proc/self/exe"),
            runs_dir,
            instance,
            node: node.unwrap_or_else(|| "localhost".into()),
            cpus: std::thread::available_parallelism()
                .map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX)),
            memory_bytes: machine_memory().unwrap_or(0),
            readable: [
                "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt",
            ]
            .map(PathBuf::from)
            .into(),
            hidden: Vec::new(),
            data_given: data.clone(),
            data,
        }
    }
}

fn machine_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let total = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    Some(total.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

/// The engine of this machine. Several may share one directory.
#[derive(Debug)]
pub struct HostEngine {
    config: Config,
    runs: Runs,
    changes: Arc<Changes>,
    protections: OnceCell<Vec<Protection>>,
}

impl HostEngine {
    /// # Errors
    ///
    /// If the directory of the runs cannot be made or read.
    pub fn new(mut config: Config) -> io::Result<Self> {
        let runs = Runs::open(
            &config.runs_dir,
            config.instance.clone(),
            config.node.clone(),
        )?;
        runs.root().clone_into(&mut config.runs_dir);
        let data = runs.root().parent().unwrap_or(runs.root());
        data.clone_into(&mut config.data);
        config.hidden.push(config.runs_dir.clone());
        for hidden in &mut config.hidden {
            *hidden = hidden.canonicalize()?;
        }
        let changes = Arc::new(Changes::new(runs.clone()));
        Ok(Self {
            config,
            runs,
            changes,
            protections: OnceCell::new(),
        })
    }

    /// What really keeps runs apart on this machine, found out by running
    /// something; done once, unless it failed.
    ///
    /// # Errors
    ///
    /// If not even a command that does nothing can be run.
    pub async fn probe(&self) -> Result<&[Protection]> {
        let found = self
            .protections
            .get_or_try_init(|| probe::protections(&self.config))
            .await;
        found.map(Vec::as_slice).map_err(unavailable)
    }

    /// Where the files of a run go before it is submitted: whatever is in
    /// `inputs` and `scripts` then is there when the command starts, and belongs
    /// to the run, except for files that have other hard links.
    pub async fn prepare(&self, key: &RunKey) -> Result<PathBuf> {
        let workspace = self
            .runs
            .path(&self.runs.handle(key)?)?
            .join(record::WORKSPACE);
        blocking(move || {
            let folders = record::FOLDERS.map(|folder| workspace.join(folder));
            for folder in folders {
                use std::os::unix::fs::DirBuilderExt as _;
                std::fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o700)
                    .create(folder)
                    .map_err(unavailable)?;
            }
            Ok(workspace)
        })
        .await
    }
}

impl Drop for HostEngine {
    fn drop(&mut self) {
        self.changes.wake();
    }
}

#[async_trait]
impl Engine for HostEngine {
    fn name(&self) -> &'static str {
        "host"
    }

    async fn nodes(&self) -> Result<Vec<Node>> {
        let (up, protections) = match self.probe().await {
            Ok(found) => (true, found.to_vec()),
            Err(error) => (
                false,
                vec![Protection {
                    name: "sandbox",
                    active: false,
                    detail: format!("trying it failed: {error}"),
                }],
            ),
        };
        Ok(vec![Node {
            name: self.config.node.clone(),
            up,
            cpus: self.config.cpus,
            memory_bytes: self.config.memory_bytes,
            gpus: Vec::new(),
            protections,
        }])
    }

    async fn disk(&self, _: &str) -> Option<Disk> {
        let runs = self.runs.clone();
        blocking(move || {
            let about = nix::sys::statvfs::statvfs(runs.root())
                .map_err(|error| unavailable(error.into()))?;
            let bytes = |blocks: u64| blocks.saturating_mul(about.fragment_size());
            Ok(Disk {
                all: bytes(about.blocks()),
                free: bytes(about.blocks_available()),
            })
        })
        .await
        .ok()
    }

    async fn submit(&self, key: &RunKey, spec: &RunSpec) -> Result<Handle> {
        let handle = self.runs.handle(key)?;
        let order = order(&self.config, &handle, spec)?;
        place::check(&spec.files)?;
        let files = spec.files.clone();
        let (runs, claimed, exe) = (self.runs.clone(), handle.clone(), self.config.exe.clone());
        // In a task of its own, so that a caller who goes away leaves no half
        // of it: a shim without an order, or a lock without a shim.
        let start = tokio::spawn(async move {
            match blocking(move || runs.claim(&claimed)).await? {
                Some((run, lock)) => {
                    let there = run.clone();
                    // The lock keeps others from starting it meanwhile.
                    blocking(move || place::place(&there, &files)).await?;
                    spawn(&exe, &run, lock, &order).await.map_err(unavailable)
                }
                None => Ok(()),
            }
        });
        start
            .await
            .map_err(|error| Error::Unavailable(error.to_string()))??;
        self.changes.follow(key.clone(), handle.clone(), None);
        Ok(handle)
    }

    async fn status(&self, handle: &Handle) -> Result<Status> {
        let (runs, handle) = (self.runs.clone(), handle.clone());
        blocking(move || runs.status(&handle)).await
    }

    /// Tells of runs that were submitted here or appeared in a list.
    fn events(&self) -> BoxStream<'static, Event> {
        // Who lags behind misses some, as documented.
        BroadcastStream::new(self.changes.subscribe())
            .filter_map(async |event| event.ok())
            .boxed()
    }

    async fn list(&self) -> Result<Vec<Event>> {
        let runs = self.runs.clone();
        let events = blocking(move || {
            let mut events = Vec::new();
            for (key, handle) in runs.all()? {
                match runs.status(&handle) {
                    Ok(status) => events.push(Event {
                        key,
                        handle,
                        status,
                    }),
                    // Forgotten since we saw its directory.
                    Err(Error::NotFound) => {}
                    // One unreadable run must not hide the others.
                    Err(error) => events.push(Event {
                        key,
                        handle,
                        status: Status::Unknown {
                            why: error.to_string(),
                        },
                    }),
                }
            }
            Ok(events)
        })
        .await?;
        for event in events
            .iter()
            .filter(|event| !matches!(event.status, Status::Ended(_)))
        {
            self.changes.follow(
                event.key.clone(),
                event.handle.clone(),
                Some(event.status.clone()),
            );
        }
        Ok(events)
    }

    fn logs(
        &self,
        handle: &Handle,
        from: Cursor,
        follow: bool,
    ) -> BoxStream<'static, Result<Vec<LogLine>>> {
        logs::read(self.runs.clone(), handle.clone(), from, follow)
    }

    async fn stop(&self, handle: &Handle) -> Result<()> {
        let (runs, handle) = (self.runs.clone(), handle.clone());
        blocking(move || runs.stop(&handle)).await
    }

    async fn connect(&self, handle: &Handle, port: u16) -> Result<Box<dyn Connection>> {
        connect::connect(&self.runs, handle, port).await
    }

    fn workspace(&self, handle: &Handle) -> Option<PathBuf> {
        let workspace = self.runs.path(handle).ok()?.join(record::WORKSPACE);
        workspace.is_dir().then_some(workspace)
    }

    async fn clear(&self, handle: &Handle) -> Result<()> {
        let (runs, handle) = (self.runs.clone(), handle.clone());
        blocking(move || runs.clear(&handle)).await
    }

    async fn forget(&self, handle: &Handle) -> Result<()> {
        let (runs, handle) = (self.runs.clone(), handle.clone());
        blocking(move || runs.forget(&handle)).await
    }
}

/// Starts a shim that holds `lock` from its first instant.
async fn spawn(exe: &Path, run: &Path, lock: File, order: &Order) -> io::Result<()> {
    let order = serde_json::to_vec(order)?;
    let complaints = File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(run.join(record::SHIM_LOG))?;
    let mut shim = tokio::process::Command::new(exe)
        // A run can read these words, so they say nothing about the machine.
        .arg0("junglegrid")
        .args(["shim", "."])
        .env_clear()
        .current_dir(run)
        .stdin(Stdio::piped())
        .stdout(lock)
        .stderr(complaints)
        .spawn()?;
    let told = match shim.stdin.take() {
        Some(mut input) => input.write_all(&order).await,
        None => Ok(()),
    };
    // Reaps it if it ends before we do; otherwise somebody else will.
    tokio::spawn(async move { shim.wait().await });
    told
}
