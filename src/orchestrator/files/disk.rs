//! Where files lie, and how much room is promised to what is on its way there.
use crate::domain::id::{InputId, JobId, WorkspaceId};
use std::collections::{HashMap, HashSet};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What the operator decided about files.
#[derive(Debug, Clone)]
pub struct Files {
    /// Holds `inputs` and `artifacts`; absolute.
    pub dir: PathBuf,
    /// Most bytes of one file.
    pub largest: u64,
    /// Most bytes of all files of a workspace.
    pub quota: u64,
    /// Most files that are kept of one job.
    pub per_job: usize,
    /// Artifacts are kept for so long.
    pub artifacts_kept: Duration,
    /// The same for what people bring.
    pub inputs_kept: Duration,
    /// Addresses for fetching files work for so long.
    pub links: Duration,
}

impl Files {
    /// Makes the directories, and removes what interrupted uploads have left. Nothing
    /// may be uploaded yet.
    ///
    /// # Errors
    ///
    /// If that is not possible.
    pub fn prepare(&self) -> io::Result<()> {
        let incoming = self.dir.join(INCOMING);
        match std::fs::remove_dir_all(&incoming) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        make(&incoming)?;
        make(&self.dir.join(ARTIFACTS))
    }
}

const INPUTS: &str = "inputs";
/// Files whose bytes are still coming; no id is called so.
const INCOMING: &str = "inputs/incoming";
const ARTIFACTS: &str = "artifacts";

/// What is promised, and to whom, in this process: nobody else uses the directory.
#[derive(Debug, Clone)]
pub(in crate::orchestrator) struct Disk {
    dir: Arc<Path>,
    under_way: Arc<Mutex<UnderWay>>,
    turns: Arc<Mutex<HashMap<WorkspaceId, Turn>>>,
}

/// One at a time fills a workspace's room with what jobs have left.
type Turn = Arc<tokio::sync::Mutex<()>>;

#[derive(Debug, Default)]
struct UnderWay {
    promised: HashMap<WorkspaceId, u64>,
    inputs: HashSet<InputId>,
}

impl Disk {
    pub(in crate::orchestrator) fn new(files: &Files) -> Self {
        Self {
            dir: files.dir.clone().into(),
            under_way: Arc::default(),
            turns: Arc::default(),
        }
    }

    pub(in crate::orchestrator) fn input(&self, id: InputId) -> PathBuf {
        self.dir.join(INPUTS).join(id.to_string())
    }

    /// A file that nobody has, for an upload that has begun.
    pub(super) fn incoming(&self) -> io::Result<PathBuf> {
        let folder = self.dir.join(INCOMING);
        make(&folder)?;
        Ok(folder.join(crate::random::token("")))
    }

    /// Where what a job has left is put.
    pub(super) fn of_job(&self, job: JobId) -> PathBuf {
        self.dir.join(ARTIFACTS).join(job.to_string())
    }

    /// The file of an artifact.
    pub(super) fn artifact(&self, place: &str) -> PathBuf {
        self.dir.join(ARTIFACTS).join(place)
    }

    /// The folders of jobs that there are.
    pub(super) fn jobs(&self) -> io::Result<Vec<JobId>> {
        let folder = self.dir.join(ARTIFACTS);
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut jobs = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            jobs.extend(name.to_str().and_then(|name| name.parse::<JobId>().ok()));
        }
        Ok(jobs)
    }

    /// Promises so much room to a workspace, and says how much others of it have been
    /// promised.
    pub(super) fn promise(&self, workspace: WorkspaceId, bytes: u64) -> (Promise, u64) {
        let mut promise = Promise {
            disk: self.clone(),
            workspace,
            bytes: 0,
        };
        let before = promise.grow(bytes);
        (promise, before)
    }

    /// Waits until nobody else collects what jobs of this workspace have left.
    pub(super) async fn turn(&self, workspace: WorkspaceId) -> tokio::sync::OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self
                .turns
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            Arc::clone(turns.entry(workspace).or_default())
        };
        turn.lock_owned().await
    }

    /// The right to write the file of an input; `None` if somebody else does so now.
    pub(super) fn claim(&self, input: InputId) -> Option<Claim> {
        self.with(|under_way| under_way.inputs.insert(input))
            .then(|| Claim {
                disk: self.clone(),
                input,
            })
    }

    /// The inputs that are being written now.
    pub(super) fn coming(&self) -> Vec<InputId> {
        self.with(|under_way| under_way.inputs.iter().copied().collect())
    }

    fn with<T>(&self, act: impl FnOnce(&mut UnderWay) -> T) -> T {
        let mut under_way = self
            .under_way
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        act(&mut under_way)
    }
}

/// Room that is promised until this is dropped.
#[derive(Debug)]
pub(super) struct Promise {
    disk: Disk,
    workspace: WorkspaceId,
    bytes: u64,
}

impl Promise {
    /// Promises so much more, and says how much had been promised before, here and to
    /// others of the workspace.
    pub(super) fn grow(&mut self, bytes: u64) -> u64 {
        self.bytes = self.bytes.saturating_add(bytes);
        self.disk.with(|under_way| {
            let promised = under_way.promised.entry(self.workspace).or_default();
            let before = *promised;
            *promised = promised.saturating_add(bytes);
            before
        })
    }

    /// Takes so much of it back.
    pub(super) fn shrink(&mut self, bytes: u64) {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        self.disk.with(|under_way| {
            if let Some(promised) = under_way.promised.get_mut(&self.workspace) {
                *promised = promised.saturating_sub(bytes);
                if *promised == 0 {
                    under_way.promised.remove(&self.workspace);
                }
            }
        });
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

/// The right to write one file, until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    disk: Disk,
    input: InputId,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.disk
            .with(|under_way| under_way.inputs.remove(&self.input));
    }
}

fn make(folder: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
}

/// Removes a file that may be gone already.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Where an artifact lies, by its job and its number there.
pub(super) fn place(job: JobId, number: usize) -> String {
    format!("{job}/{number}")
}
