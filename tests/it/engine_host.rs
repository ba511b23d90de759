//! The host engine through its trait, against the real binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod apps;
mod ends;
mod files;
mod output;
mod upkeep;
mod volumes;
mod walls;

use futures_util::StreamExt as _;
use junglegrid::domain::logs::Limits;
use junglegrid::engine::host::{Config, HostEngine, PRIVATE_PORTS};
use junglegrid::engine::{
    Cursor, End, Engine, Error, Handle, LogLine, Network, Outcome, RunKey, RunSpec, Status, Stream,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What is kept of a run's output unless a test says otherwise.
const LIMITS: Limits = Limits {
    head: 4 << 20,
    tail: 4 << 20,
    rate: 1 << 30,
};
/// However loaded the machine is.
const DEADLINE: Duration = Duration::from_mins(1);

/// An engine with a data directory of its own.
struct Host {
    engine: HostEngine,
    directory: TempDir,
}

impl Host {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let engine = engine_on(directory.path());
        Self { engine, directory }
    }

    async fn submit(&self, name: &str, spec: &RunSpec) -> Handle {
        self.engine.submit(&key(name), spec).await.unwrap()
    }

    /// Runs a shell script to its end.
    async fn shell(&self, name: &str, script: &str) -> (End, Vec<LogLine>) {
        self.run(name, &shell(script)).await
    }

    async fn run(&self, name: &str, spec: &RunSpec) -> (End, Vec<LogLine>) {
        let handle = self.submit(name, spec).await;
        (self.end(&handle).await, self.lines(&handle, true).await)
    }

    async fn until(&self, handle: &Handle, reached: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = self.engine.status(handle).await.unwrap();
            if reached(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "still {status:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(&self, handle: &Handle) -> End {
        match self
            .until(handle, |status| matches!(status, Status::Ended(_)))
            .await
        {
            Status::Ended(end) => end,
            other => unreachable!("{other:?}"),
        }
    }

    async fn lines(&self, handle: &Handle, follow: bool) -> Vec<LogLine> {
        let batches: Vec<_> = self
            .engine
            .logs(handle, Cursor::default(), follow)
            .collect()
            .await;
        batches
            .into_iter()
            .flat_map(|batch| batch.unwrap())
            .collect()
    }

    /// Waits until the run has said `text`.
    async fn says(&self, handle: &Handle, text: &str) {
        let mut batches = self.engine.logs(handle, Cursor::default(), true);
        let heard = async {
            while let Some(batch) = batches.next().await {
                if batch.unwrap().iter().any(|line| line.data == text) {
                    return;
                }
            }
            panic!("ended without saying {text}");
        };
        tokio::time::timeout(DEADLINE, heard).await.unwrap();
    }

    fn run_directory(&self, handle: &Handle) -> PathBuf {
        self.directory.path().join("data/runs").join(&handle.0)
    }

    fn shim(&self, handle: &Handle) -> nix::unistd::Pid {
        let state = fs::read(self.run_directory(handle).join("state.json")).unwrap();
        let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
        nix::unistd::Pid::from_raw(i32::try_from(state["shim_pid"].as_i64().unwrap()).unwrap())
    }

    /// Whether the machine gives a protection; tests of it end early if not,
    /// unless they are told that everything must be there.
    async fn lacks(&self, names: &[&str]) -> bool {
        let given = self.engine.probe().await.unwrap();
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !given.iter().any(|one| one.name == **name && one.active))
            .collect();
        assert!(
            missing.is_empty() || std::env::var_os("JUNGLEGRID_TEST_REQUIRE_ALL").is_none(),
            "this machine lacks {missing:?}: {given:?}"
        );
        if !missing.is_empty() {
            eprintln!("not tested: this machine lacks {missing:?}");
        }
        !missing.is_empty()
    }
}

fn engine_on(directory: &Path) -> HostEngine {
    let mut config = Config::new(directory.join("data/runs"), "test".into());
    config.exe = env!("CARGO_BIN_EXE_junglegrid").into();
    config.node = "here".into();
    HostEngine::new(config).unwrap()
}

fn key(run: &str) -> RunKey {
    RunKey {
        instance: "test".into(),
        run: run.into(),
        attempt: 1,
    }
}

fn shell(script: &str) -> RunSpec {
    command(&["sh", "-c", script])
}

fn command(argv: &[&str]) -> RunSpec {
    RunSpec {
        image: String::new(),
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        env: [("GREETING".to_owned(), "hello world".to_owned())].into(),
        cpus: 2.0,
        memory_bytes: 512 << 20,
        processes: 64,
        disk_bytes: 64 << 20,
        time_limit: DEADLINE * 10,
        grace: DEADLINE,
        network: Network::None,
        mounts: Vec::new(),
        scratch: Vec::new(),
        files: Vec::new(),
        user_key: None,
        shm_bytes: 64 << 20,
        log: LIMITS,
    }
}

fn texts(lines: &[LogLine], stream: Stream) -> Vec<String> {
    let of = lines.iter().filter(|line| line.stream == stream);
    of.map(|line| String::from_utf8_lossy(&line.data).into_owned())
        .collect()
}

/// Processes of the whole machine with `marker` in their command line.
fn alive(marker: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            line.windows(marker.len())
                .any(|part| part == marker.as_bytes())
        })
        .count()
}

/// Waits until so many are there: a process that is just becoming another has no
/// command line for a moment.
async fn come_alive(marker: &str, count: usize) {
    let deadline = Instant::now() + DEADLINE;
    while alive(marker) < count {
        assert!(Instant::now() < deadline, "{} are alive", alive(marker));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn none_alive(marker: &str) {
    let deadline = Instant::now() + DEADLINE;
    while alive(marker) > 0 {
        assert!(Instant::now() < deadline, "{} still alive", alive(marker));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn unique(name: &str) -> String {
    format!("marker-{name}-{}", std::process::id())
}

/// Ignores TERM, and so do its children, which have left its session.
fn stubborn(marker: &str) -> RunSpec {
    let child = format!("trap \"\" TERM HUP INT; while :; do sleep 0.1; done # {marker}");
    let script = format!(
        "trap '' TERM HUP INT; for i in 1 2 3 4; do (setsid sh -c '{child}' </dev/null >/dev/null 2>&1 &); done; echo ready; while :; do sleep 0.1; done # {marker}"
    );
    shell(&script)
}
