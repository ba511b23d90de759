//! What is known about apps and passes, so that a request need not ask the
//! database: for a moment, and not beyond a change that this process has heard of.
use super::upstream::Upstream;
use super::{Config, Limits, tls};
use crate::domain::id::AppSessionId;
use crate::domain::template::Scheme;
use crate::orchestrator::apps::access::{self, Door, Pass};
use crate::orchestrator::{BearerId, Change, Error, State};
use crate::random;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::time::Instant;

/// What nobody has asked for so long is forgotten.
const REMEMBERED: Duration = Duration::from_mins(10);

/// A service, and the connections to it.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) door: Arc<Door>,
    pub(super) upstream: Arc<Upstream>,
}

#[derive(Debug)]
pub(super) struct Doors {
    state: State,
    config: Config,
    limits: Limits,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    changes: Receiver<Change>,
    /// By label.
    doors: HashMap<String, Seen<Way>>,
    /// By the hash of the token.
    passes: HashMap<String, Seen<(String, Pass)>>,
    used: HashMap<AppSessionId, Instant>,
    /// Counts what has been heard. What was read from the database before something
    /// was heard may be of before it, too.
    heard: u64,
    tidied: Instant,
}

#[derive(Debug)]
struct Seen<T> {
    what: T,
    at: Instant,
    stale: bool,
}

impl Doors {
    pub(super) fn new(state: State, config: Config, limits: Limits) -> Self {
        let known = Known {
            changes: state.hub().subscribe(),
            doors: HashMap::new(),
            passes: HashMap::new(),
            used: HashMap::new(),
            heard: 0,
            tidied: Instant::now(),
        };
        Self {
            state,
            config,
            limits,
            known: Mutex::new(known),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.hear();
        work(&mut known)
    }

    pub(super) async fn door(&self, label: &str) -> Result<Option<Way>, Error> {
        let fresh = self.limits.fresh;
        let (found, heard) = self.with(|known| {
            let seen = known.doors.get(label);
            let good = seen.filter(|seen| !seen.stale && seen.at.elapsed() < fresh);
            (good.map(|seen| seen.what.clone()), known.heard)
        });
        if found.is_some() {
            return Ok(found);
        }
        let door = access::door(&self.state, label).await?;
        Ok(self.with(|known| {
            let Some(door) = door else {
                known.doors.remove(label);
                return None;
            };
            let before = known.doors.remove(label).map(|seen| seen.what.upstream);
            let tls = (door.scheme == Scheme::Https)
                .then(|| tls::name(&self.config.names(&door).inside.host));
            let same = |upstream: &Arc<Upstream>| {
                upstream.handle == door.handle && upstream.port == door.port && upstream.tls == tls
            };
            let upstream = before.filter(same).unwrap_or_else(|| {
                Upstream::new(
                    Arc::clone(self.state.engine()),
                    door.handle.clone(),
                    door.port,
                    tls.clone(),
                    self.limits.connect,
                    self.limits.connections,
                )
            });
            let way = Way {
                door: Arc::new(door),
                upstream,
            };
            let seen = Seen {
                what: way.clone(),
                at: Instant::now(),
                stale: known.heard != heard,
            };
            known.doors.insert(label.to_owned(), seen);
            Some(way)
        }))
    }

    pub(super) async fn pass(&self, label: &str, token: &str) -> Result<Option<Pass>, Error> {
        let (hash, now) = (random::hash(token), self.state.clock().now());
        let fresh = self.limits.fresh;
        let (found, heard) = self.with(|known| {
            let seen = known.passes.get(&hash).filter(|seen| {
                let (at, pass) = &seen.what;
                at == label && now < pass.expires_at && !seen.stale && seen.at.elapsed() < fresh
            });
            (seen.map(|seen| seen.what.1.clone()), known.heard)
        });
        if found.is_some() {
            return Ok(found);
        }
        let pass = access::pass(&self.state, label, token).await?;
        self.with(|known| match &pass {
            Some(pass) => {
                let seen = Seen {
                    what: (label.to_owned(), pass.clone()),
                    at: Instant::now(),
                    stale: known.heard != heard,
                };
                known.passes.insert(hash, seen);
            }
            None => {
                known.passes.remove(&hash);
            }
        });
        Ok(pass)
    }

    /// Notes that people use a session; what is written, is written aside.
    pub(super) fn used(&self, session: AppSessionId) {
        let due = self.with(|known| {
            let due = known
                .used
                .get(&session)
                .is_none_or(|at| at.elapsed() >= self.limits.use_noted);
            if due {
                known.used.insert(session, Instant::now());
            }
            due
        });
        if !due {
            return;
        }
        let state = self.state.clone();
        tokio::spawn(async move {
            if let Err(error) = access::used(&state, session).await {
                tracing::warn!(%error, %session, "could not note that it is used");
            }
        });
    }
}

impl Known {
    /// Catches up with what has changed.
    fn hear(&mut self) {
        loop {
            match self.changes.try_recv() {
                Ok(Change::App { session, .. }) => {
                    self.heard += 1;
                    let of_it = |seen: &&mut Seen<Way>| seen.what.door.session == session;
                    for seen in self.doors.values_mut().filter(of_it) {
                        seen.stale = true;
                    }
                    self.passes.retain(|_, seen| seen.what.1.session != session);
                }
                Ok(Change::SignedOut { bearer }) => {
                    self.heard += 1;
                    self.passes
                        .retain(|_, seen| BearerId::Session(seen.what.1.bearer) != bearer);
                }
                Ok(Change::Job { .. } | Change::Logs { .. }) => {}
                Err(TryRecvError::Lagged(_)) => {
                    self.heard += 1;
                    self.doors.values_mut().for_each(|seen| seen.stale = true);
                    self.passes.clear();
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => break,
            }
        }
        if self.tidied.elapsed() > REMEMBERED {
            self.tidied = Instant::now();
            self.doors.retain(|_, seen| seen.at.elapsed() < REMEMBERED);
            self.passes.retain(|_, seen| seen.at.elapsed() < REMEMBERED);
            self.used.retain(|_, at| at.elapsed() < REMEMBERED);
        }
    }
}
