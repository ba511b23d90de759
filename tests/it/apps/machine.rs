//! A machine that does what a test tells it to.
use crate::grid::eventually;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use junglegrid::clock::Clock;
use junglegrid::engine::{
    self, Cursor, End, Engine, Error, Event, Handle, LogLine, Node, Outcome, Protection, RunKey,
    RunSpec, Status,
};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use time::OffsetDateTime;
use tokio::sync::broadcast;

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    clock: Clock,
    runs: Mutex<BTreeMap<String, (Status, RunSpec)>>,
    changes: broadcast::Sender<Event>,
    pub(crate) pulls: Mutex<bool>,
    pub(crate) away: Mutex<bool>,
    /// Whether it takes runs all the same while it is away.
    pub(crate) lies: Mutex<bool>,
    /// Whether it has lost sight of its runs.
    pub(crate) blind: Mutex<bool>,
    /// Whether it does not even say which runs it has.
    pub(crate) deaf: Mutex<bool>,
    /// What it says instead of taking a run.
    pub(crate) refuses: Mutex<Option<fn() -> Error>>,
    /// Nobody is answered who hands a run over while this is held.
    pub(crate) busy: tokio::sync::Mutex<()>,
    /// Nobody is answered who asks how a run stands while this is held.
    pub(crate) looking: tokio::sync::Mutex<()>,
    /// Whether it never says by itself how its runs stand.
    pub(crate) mute: Mutex<bool>,
    /// How often it was asked that.
    pub(crate) looks: Mutex<u32>,
    /// Every run that was to be handed over, as often as it was.
    pub(crate) asked: Mutex<Vec<String>>,
    /// Whether a run ends when it is asked to.
    pub(crate) obeys: Mutex<bool>,
    /// How often a run has been asked to stop.
    pub(crate) stops: Mutex<u32>,
}

impl Machine {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            runs: Mutex::default(),
            changes: broadcast::Sender::new(64),
            pulls: Mutex::new(false),
            away: Mutex::new(false),
            lies: Mutex::new(false),
            blind: Mutex::new(false),
            deaf: Mutex::new(false),
            refuses: Mutex::new(None),
            busy: tokio::sync::Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            mute: Mutex::new(false),
            looks: Mutex::new(0),
            asked: Mutex::default(),
            obeys: Mutex::new(true),
            stops: Mutex::new(0),
        }
    }

    fn set(&self, handle: &str, status: Status) {
        let mut runs = self.runs.lock().unwrap();
        let run = runs.get_mut(handle).unwrap();
        if matches!(run.0, Status::Ended(_)) {
            return;
        }
        run.0 = status.clone();
        drop(runs);
        let _ = self.changes.send(Event {
            key: key(handle),
            handle: Handle(handle.into()),
            status,
        });
    }

    /// How the run that has not ended was asked for.
    pub(crate) fn asked_for(&self) -> Option<RunSpec> {
        let runs = self.runs.lock().unwrap();
        let mut live = runs.values().filter(|run| is_live(run));
        live.next().map(|(_, spec)| spec.clone())
    }

    fn live(&self) -> Option<String> {
        let runs = self.runs.lock().unwrap();
        let mut live = runs.iter().filter(|(_, run)| is_live(run));
        live.next().map(|(handle, _)| handle.clone())
    }

    /// A run has been asked for and has not ended.
    pub(crate) async fn taken(&self) -> String {
        eventually("a run", async || self.live()).await
    }

    async fn now(&self, status: Status) {
        let handle = self.taken().await;
        self.set(&handle, status);
    }

    pub(crate) async fn pulls(&self, done: u64, total: u64) {
        let status = Status::Preparing {
            what: "image".into(),
            done,
            total: Some(total),
        };
        self.now(status).await;
    }

    pub(crate) async fn runs(&self) {
        let since = self.clock.now();
        let node = "stage".into();
        self.now(Status::Running { node, since }).await;
    }

    /// The run ends like this; `None` if it never started.
    pub(crate) async fn ends(&self, outcome: Outcome, started: Option<OffsetDateTime>) {
        let ended = self.clock.now();
        self.now(Status::Ended(End {
            outcome,
            started,
            ended,
        }))
        .await;
    }

    fn answers(&self) -> engine::Result<()> {
        if *self.away.lock().unwrap() {
            return Err(Error::Unavailable("it is away".into()));
        }
        Ok(())
    }
}

fn key(handle: &str) -> RunKey {
    let (run, attempt) = handle.split_once('/').unwrap();
    RunKey {
        instance: "test".into(),
        run: run.into(),
        attempt: attempt.parse().unwrap(),
    }
}

fn is_live((status, _): &(Status, RunSpec)) -> bool {
    !matches!(status, Status::Ended(_))
}

#[async_trait::async_trait]
impl Engine for Machine {
    fn name(&self) -> &'static str {
        "stage"
    }
    fn pulls_images(&self) -> bool {
        *self.pulls.lock().unwrap()
    }
    async fn nodes(&self) -> engine::Result<Vec<Node>> {
        let real = |name| Protection {
            name,
            active: true,
            detail: String::new(),
        };
        Ok(vec![Node {
            name: "stage".into(),
            up: true,
            cpus: 4,
            memory_bytes: 8_000_000_000,
            gpus: Vec::new(),
            protections: vec![real("private ports")],
        }])
    }
    async fn submit(&self, key: &RunKey, spec: &RunSpec) -> engine::Result<Handle> {
        let handle = format!("{}/{}", key.run, key.attempt);
        self.asked.lock().unwrap().push(handle.clone());
        let _turn = self.busy.lock().await;
        if let Some(refusal) = *self.refuses.lock().unwrap() {
            return Err(refusal());
        }
        if !*self.lies.lock().unwrap() {
            self.answers()?;
        }
        let mut runs = self.runs.lock().unwrap();
        let waits = Status::Queued {
            reason: String::new(),
        };
        runs.entry(handle.clone())
            .or_insert_with(|| (waits, spec.clone()));
        drop(runs);
        self.answers()?;
        Ok(Handle(handle))
    }
    async fn status(&self, handle: &Handle) -> engine::Result<Status> {
        *self.looks.lock().unwrap() += 1;
        let _turn = self.looking.lock().await;
        let runs = self.runs.lock().unwrap();
        let run = runs.get(&handle.0).ok_or(Error::NotFound)?;
        if *self.blind.lock().unwrap() {
            return Err(Error::NotFound);
        }
        Ok(run.0.clone())
    }
    fn events(&self) -> BoxStream<'static, Event> {
        if *self.mute.lock().unwrap() {
            return stream::empty().boxed();
        }
        let changes = self.changes.subscribe();
        stream::unfold(changes, |mut changes| async {
            Some((changes.recv().await.ok()?, changes))
        })
        .boxed()
    }
    async fn list(&self) -> engine::Result<Vec<Event>> {
        if *self.deaf.lock().unwrap() {
            return Err(Error::Unavailable("it is deaf".into()));
        }
        if *self.blind.lock().unwrap() {
            return Ok(Vec::new());
        }
        let runs = self.runs.lock().unwrap();
        let runs = runs.iter().map(|(handle, (status, _))| Event {
            key: key(handle),
            handle: Handle(handle.clone()),
            status: status.clone(),
        });
        Ok(runs.collect())
    }
    fn logs(
        &self,
        _: &Handle,
        _: Cursor,
        _: bool,
    ) -> BoxStream<'static, engine::Result<Vec<LogLine>>> {
        stream::empty().boxed()
    }
    async fn stop(&self, handle: &Handle) -> engine::Result<()> {
        *self.stops.lock().unwrap() += 1;
        if *self.obeys.lock().unwrap() {
            let started = {
                let runs = self.runs.lock().unwrap();
                match runs.get(&handle.0) {
                    Some((Status::Running { since, .. }, _)) => Some(*since),
                    _ => None,
                }
            };
            let end = End {
                outcome: Outcome::Stopped,
                started,
                ended: self.clock.now(),
            };
            self.set(&handle.0, Status::Ended(end));
        }
        Ok(())
    }
    async fn connect(&self, _: &Handle, _: u16) -> engine::Result<Box<dyn engine::Connection>> {
        Err(Error::NotFound)
    }
    fn workspace(&self, _: &Handle) -> Option<PathBuf> {
        None
    }
    async fn forget(&self, _: &Handle) -> engine::Result<()> {
        Ok(())
    }
}
