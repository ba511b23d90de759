//! One machine that does what a test tells it to, at once.
use crate::grid::DEADLINE;
use crate::harness::TestApi;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use junglegrid::engine::{
    self, Cursor, End, Engine, Error, Event, Gpu, Handle, LogLine, Node, Outcome, RunKey, RunSpec,
    Status, Stream,
};
use junglegrid::orchestrator::workers::{observer, scheduler};
use junglegrid::store::Store;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use time::OffsetDateTime;
use time::macros::datetime;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

/// When every run here starts, and one that has ended ended.
const STARTED: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);
const ENDED: OffsetDateTime = datetime!(2026-11-23 12:00:10 UTC);

/// What runs print here.
const LINES: [&str; 3] = ["one", "two", "three"];

#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// Whether it does not answer.
    pub(crate) away: Mutex<bool>,
    /// Whether what runs print breaks off at the end.
    pub(crate) breaks_off: Mutex<bool>,
    /// The machines, if not just the one.
    nodes: Mutex<Vec<Node>>,
    runs: Mutex<BTreeMap<String, Status>>,
    /// How often it has been asked how a run stands.
    asked: AtomicUsize,
    /// Which of those answers waits, and for what.
    held: Mutex<Option<(usize, Arc<Notify>)>>,
    /// How often a run has been handed over.
    pub(crate) submissions: Mutex<Vec<String>>,
}

impl Machine {
    /// An orchestrator with this machine, on a database of its own.
    pub(crate) async fn start() -> (TestApi, Arc<Self>) {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/junglegrid.db", dir.path().display());
        let store = Store::open(&url).await.unwrap();
        Self::on(store, dir)
    }

    pub(crate) fn on(store: Store, dir: tempfile::TempDir) -> (TestApi, Arc<Self>) {
        let machine = Arc::new(Self::default());
        let engine: Arc<dyn Engine> = Arc::clone(&machine) as _;
        (TestApi::over(store, dir, engine, |_| {}), machine)
    }

    pub(crate) fn go_away(&self, away: bool) {
        *self.away.lock().unwrap() = away;
    }

    /// What machines there are: names, and the GPUs of each.
    pub(crate) fn has(&self, nodes: &[(&str, &str, u32)]) {
        let nodes = nodes.iter().map(|(name, family, gpus)| Node {
            name: (*name).into(),
            gpus: (0..*gpus)
                .map(|n| Gpu {
                    id: n.to_string(),
                    family: (*family).into(),
                    memory_bytes: if *family == "L40S" { 48 } else { 24 } * 1_000_000_000,
                })
                .collect(),
            ..node()
        });
        *self.nodes.lock().unwrap() = nodes.collect();
    }

    /// Says how a run stands.
    pub(crate) fn set(&self, job: &str, status: Status) {
        let mut runs = self.runs.lock().unwrap();
        runs.insert(format!("{job}/1"), status);
    }

    pub(crate) fn preparing() -> Status {
        Status::Preparing {
            what: "the image".into(),
            done: 0,
            total: None,
        }
    }

    pub(crate) fn running() -> Status {
        Status::Running {
            node: "stub".into(),
            since: STARTED,
        }
    }

    /// After ten seconds.
    pub(crate) fn exited(code: i32) -> Status {
        Status::Ended(End {
            outcome: Outcome::Exited(code),
            started: Some(STARTED),
            ended: ENDED,
        })
    }

    /// Lets the answer of that number, to how a run stands, wait for a word.
    pub(crate) fn hold(&self, number: usize) -> Arc<Notify> {
        let word = Arc::new(Notify::new());
        *self.held.lock().unwrap() = Some((number, Arc::clone(&word)));
        word
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    fn answers(&self) -> engine::Result<()> {
        if *self.away.lock().unwrap() {
            return Err(Error::Unavailable("it is away".into()));
        }
        Ok(())
    }
}

/// Places what waits, and looks after what runs until it has ended.
pub(crate) async fn work(api: &TestApi) {
    let tasks = TaskTracker::new();
    observer::adopt(&api.state, &tasks).await.unwrap();
    scheduler::tick(&api.state, &tasks).await.unwrap();
    tasks.close();
    let all = tokio::time::timeout(DEADLINE, tasks.wait()).await;
    all.expect("every run comes to its end");
}

fn node() -> Node {
    Node {
        name: "stub".into(),
        up: true,
        cpus: 4,
        memory_bytes: 8_000_000_000,
        gpus: Vec::new(),
        protections: Vec::new(),
    }
}

#[async_trait::async_trait]
impl Engine for Machine {
    fn name(&self) -> &'static str {
        "stub"
    }
    async fn nodes(&self) -> engine::Result<Vec<Node>> {
        self.answers()?;
        let nodes = self.nodes.lock().unwrap().clone();
        Ok(if nodes.is_empty() {
            vec![node()]
        } else {
            nodes
        })
    }
    async fn submit(&self, key: &RunKey, _: &RunSpec) -> engine::Result<Handle> {
        self.answers()?;
        let handle = format!("{}/{}", key.run, key.attempt);
        self.submissions.lock().unwrap().push(handle.clone());
        let mut runs = self.runs.lock().unwrap();
        match runs.get(&handle) {
            None | Some(Status::Unknown { .. }) => runs.insert(handle.clone(), Self::exited(0)),
            Some(_) => None,
        };
        Ok(Handle(handle))
    }
    async fn status(&self, handle: &Handle) -> engine::Result<Status> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let held = self.held.lock().unwrap().clone();
        if let Some((_, word)) = held.filter(|(held, _)| *held == number) {
            word.notified().await;
        }
        let runs = self.runs.lock().unwrap();
        runs.get(&handle.0).cloned().ok_or(Error::NotFound)
    }
    fn events(&self) -> BoxStream<'static, Event> {
        stream::pending().boxed()
    }
    async fn list(&self) -> engine::Result<Vec<Event>> {
        Ok(Vec::new())
    }
    fn logs(
        &self,
        _: &Handle,
        from: Cursor,
        _: bool,
    ) -> BoxStream<'static, engine::Result<Vec<LogLine>>> {
        let seen: usize = from.0.parse().unwrap_or(0);
        let lines = LINES.iter().zip(1..).skip(seen);
        let lines: Vec<_> = lines
            .map(|(line, n)| LogLine {
                stream: Stream::Out,
                at: STARTED,
                data: (*line).into(),
                truncated: false,
                dropped: 0,
                next: Cursor(n.to_string()),
            })
            .collect();
        let broken = Error::Unavailable("its output is damaged".into());
        let end = self.breaks_off.lock().unwrap().then_some(Err(broken));
        stream::iter([Ok(lines)].into_iter().chain(end)).boxed()
    }
    async fn stop(&self, _: &Handle) -> engine::Result<()> {
        Ok(())
    }
    async fn connect(&self, _: &Handle, _: u16) -> engine::Result<Box<dyn engine::Connection>> {
        Err(engine::Error::NotFound)
    }
    fn workspace(&self, _: &Handle) -> Option<PathBuf> {
        None
    }
    async fn forget(&self, _: &Handle) -> engine::Result<()> {
        Ok(())
    }
}
