//! Finds out which protections this machine really gives, by confining a
//! command that does nothing in exactly the way that runs are confined.
use super::record::{self, Exit, Order, State};
use super::runs::erase;
use super::{Config, PRIVATE_PORTS, order, spawn};
use crate::domain::logs::Limits;
use crate::engine::{Handle, Network, Protection, RunSpec};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// What the directories of probes are called; no run is.
pub(super) const PREFIX: &str = ".probe-";

/// Every protection that is reported, present or not.
const NAMES: [&str; 15] = [
    "user",
    "user namespace",
    "process namespace",
    "ipc namespace",
    "host name",
    "network namespace",
    "loopback",
    PRIVATE_PORTS,
    "file system",
    "landlock",
    "no new privileges",
    "memory limit",
    "process limit",
    "cpu limit",
    "resource limits",
];

pub(super) async fn protections(config: &Config) -> io::Result<Vec<Protection>> {
    let state = confine(config).await?;
    let told = |name| {
        let measure = state.measures.iter().find(|measure| measure.name == name)?;
        Some(Protection {
            name,
            active: measure.active,
            detail: measure.detail.clone(),
        })
    };
    Ok(NAMES.into_iter().filter_map(told).collect())
}

async fn confine(config: &Config) -> io::Result<State> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!(
        "{PREFIX}{}-{}",
        std::process::id(),
        COUNT.fetch_add(1, Ordering::Relaxed)
    );
    let run = config.runs_dir.join(&name);
    erase(&run)?;
    fs::DirBuilder::new().mode(0o700).create(&run)?;
    let order = order(config, &Handle(name), &nothing()).map_err(io::Error::other)?;
    let state = outcome(config, &run, &order).await;
    erase(&run)?;
    state
}

async fn outcome(config: &Config, run: &Path, order: &Order) -> io::Result<State> {
    let options = || {
        let mut options = File::options();
        options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600);
        options
    };
    let lock = options().open(run.join(record::LOCK))?;
    lock.lock()?;
    spawn(&config.exe, run, lock, order).await?;
    let gone = options().open(run.join(record::LOCK))?;
    for _ in 0..3000 {
        if gone.try_lock().is_ok() {
            let refusal = record::read_whole::<Exit>(run, record::EXIT)?
                .map(|exit| format!("{:?}", exit.how));
            return record::read_whole(run, record::STATE)?.ok_or_else(|| {
                io::Error::other(refusal.unwrap_or_else(|| "it did not start".into()))
            });
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err(io::Error::other("it did not end"))
}

fn nothing() -> RunSpec {
    RunSpec {
        image: String::new(),
        argv: vec!["true".into()],
        env: BTreeMap::new(),
        cpus: 1.0,
        memory_bytes: 256 << 20,
        processes: 16,
        disk_bytes: 1 << 20,
        time_limit: Duration::from_secs(20),
        grace: Duration::ZERO,
        network: Network::None,
        mounts: Vec::new(),
        scratch: Vec::new(),
        files: Vec::new(),
        user_key: None,
        shm_bytes: 16 << 20,
        log: Limits {
            head: 64 << 10,
            tail: 0,
            rate: 1 << 20,
        },
    }
}
