//! The orchestrator: use cases behind the HTTP contract of [`crate::api`].
pub mod apps;
mod auth;
mod callbacks;
mod caller;
mod content;
mod drafts;
mod error;
mod estimates;
mod files;
pub mod gpus;
mod hub;
mod jobs;
mod keys;
mod lifecycle;
mod openapi;
mod overview;
mod predictions;
mod reading;
mod route;
mod seal;
pub mod workers;

pub use caller::{BearerId, Caller};
pub use error::Error;
pub use files::Files;
pub use hub::{Change, Hub};

use crate::clock::Clock;
use crate::domain::gpu::Catalogue;
use crate::domain::id::{AppSessionId, Id, JobId};
use crate::domain::logs::Limits;
use crate::domain::money::Usd;
use crate::domain::reach::Allow;
use crate::engine::{Engine, Network};
use crate::store::Store;
use axum::Router;
use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What the operator decided, as far as the orchestrator cares.
#[derive(Debug, Clone)]
pub struct Config {
    /// Distinguishes this installation's runs in an engine that others share.
    pub instance: String,
    /// Where people find the portal, without a slash at the end.
    pub public_url: String,
    /// Where people find an app, with `*` for its label: `http://*.apps.localhost:8080`.
    pub app_url: String,
    /// Where volumes of apps lie, one directory per workspace and template.
    pub volumes: std::path::PathBuf,
    /// Given once per workspace, when its owner's address is verified.
    pub welcome_credit: Usd,
    /// What an hour on the local node costs.
    pub hourly_rate: Usd,
    /// GPUs as the market has them.
    pub gpus: Arc<Catalogue>,
    /// Jobs that run at once on the local node.
    pub slots: u32,
    /// Whether images other than `host` are accepted and ignored there.
    pub ignore_images: bool,
    pub network: Network,
    pub default_time_limit: Duration,
    pub longest_time_limit: Duration,
    /// Between the polite signal and the kill.
    pub grace: Duration,
    /// Accounts with these addresses are operators.
    pub operators: Vec<String>,
    /// On loopback the first verified account becomes operator.
    pub first_account_operates: bool,
    pub session_idle: Duration,
    pub session_lifetime: Duration,
    /// The same two for operators, if those are shorter.
    pub operator_idle: Duration,
    pub operator_lifetime: Duration,
    /// Live streams of apps that one sign-in may have open.
    pub streams_per_sign_in: usize,
    /// The same for one account.
    pub streams_per_account: usize,
    /// Whether mails leave by SMTP; else they are files in the data directory.
    pub smtp: bool,
    /// How much output is kept per job.
    pub logs: Limits,
    /// Output is kept for so long after a job's end.
    pub logs_kept: Duration,
    pub files: Files,
    /// What callbacks reach besides the internet.
    pub callback_allow: Allow,
}

/// What every handler and worker shares; cheap to clone.
#[derive(Debug, Clone)]
pub struct State(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    store: Store,
    engine: Arc<dyn Engine>,
    catalogue: apps::Catalogue,
    gate: OnceLock<Arc<dyn apps::Gate>>,
    clock: Clock,
    config: Config,
    /// Codes are stored as HMACs under this key.
    master_key: [u8; 32],
    hub: Hub,
    /// Who follows apps.
    live: apps::Live,
    /// Told when a job has been queued or a slot has become free.
    work: Notify,
    /// Told when a mail has been queued.
    mail: Notify,
    /// Told when a callback has been queued.
    callback: Notify,
    /// Runs that a task of this process looks after.
    watched: Mutex<HashSet<(JobId, u32)>>,
    /// Apps that a task of this process looks after.
    kept: Mutex<HashSet<AppSessionId>>,
    hashing: auth::Hashing,
    disk: files::Disk,
    shutdown: CancellationToken,
}

impl State {
    #[must_use]
    pub fn new(
        store: Store,
        engine: Arc<dyn Engine>,
        catalogue: apps::Catalogue,
        clock: Clock,
        config: Config,
        master_key: [u8; 32],
        shutdown: CancellationToken,
    ) -> Self {
        Self(Arc::new(Shared {
            store,
            engine,
            catalogue,
            gate: OnceLock::new(),
            clock,
            disk: files::Disk::new(&config.files),
            config,
            master_key,
            hub: Hub::new(),
            live: apps::Live::default(),
            work: Notify::new(),
            mail: Notify::new(),
            callback: Notify::new(),
            watched: Mutex::default(),
            kept: Mutex::default(),
            hashing: auth::Hashing::new(),
            shutdown,
        }))
    }

    #[must_use]
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    #[must_use]
    pub fn engine(&self) -> &Arc<dyn Engine> {
        &self.0.engine
    }

    #[must_use]
    pub fn catalogue(&self) -> &apps::Catalogue {
        &self.0.catalogue
    }

    /// Tells how services are asked whether they are ready; the first word counts.
    pub fn reach_apps_through(&self, gate: Arc<dyn apps::Gate>) {
        let _ = self.0.gate.set(gate);
    }

    #[must_use]
    pub fn gate(&self) -> Option<&Arc<dyn apps::Gate>> {
        self.0.gate.get()
    }

    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// Cancelled when the process begins to stop.
    #[must_use]
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }

    fn disk(&self) -> &files::Disk {
        &self.0.disk
    }

    fn now(&self) -> time::OffsetDateTime {
        self.0.clock.now()
    }

    fn id<T: Id>(&self) -> T {
        crate::random::id(self.now())
    }
}

/// One line per endpoint, in the order of the table in [`crate::api`].
pub fn router(state: State) -> Router {
    let routes = Router::new()
        .merge(auth::routes())
        .merge(jobs::routes())
        .merge(callbacks::routes())
        .merge(drafts::routes())
        .merge(overview::routes())
        .merge(apps::routes())
        .merge(keys::routes())
        .merge(openapi::routes())
        .merge(files::routes())
        .merge(gpus::routes());
    route::closed(routes).with_state(state)
}
