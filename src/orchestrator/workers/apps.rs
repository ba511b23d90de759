//! Looks after each launched app: asks its services whether they are ready, and
//! stops it when its time, its money or its idleness has run out.
//!
//! One task per live session. All that it knows is in the database, so it can die
//! at any point and be begun again.
use super::observer;
use crate::domain::app::{EndCode, Phase, ServiceState};
use crate::domain::estimate::said as lasting;
use crate::domain::id::AppSessionId;
use crate::domain::template::Readiness;
use crate::orchestrator::apps::{Gate, Question, run, words};
use crate::orchestrator::{Change, Error, State};
use crate::store::apps::events::{self, Event};
use crate::store::apps::services::{self, Service};
use crate::store::apps::{self as table, AppSession, queries};
use crate::store::jobs::{self, Job};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration as StdDuration;
use time::{Duration, OffsetDateTime};
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::task::TaskTracker;

/// What is due is looked up in the database so often at least, because not
/// everything that matters is told: people using an app is not.
const LOOK: Duration = Duration::minutes(1);
/// A service that is ready is asked again after so long.
const RECHECK: Duration = Duration::seconds(15);
/// A task that failed is begun again after so long.
const RETRY: StdDuration = StdDuration::from_secs(2);
/// A stop that has been asked for and did not happen is asked for again.
const INSIST: Duration = Duration::seconds(10);
/// So long before it stops by itself its people are told, and under which name.
const WARNINGS: [(Duration, &str); 2] = [
    (Duration::minutes(5), "app.stops_very_soon"),
    (Duration::minutes(30), "app.stops_soon"),
];
/// Events that are read at once.
const PAGE: i64 = 1_000;

/// Begins to look after every live app that nobody looks after yet.
///
/// # Errors
///
/// If the database does not answer.
pub async fn adopt(state: &State, tasks: &TaskTracker) -> Result<(), Error> {
    let live = queries::live(&mut *state.store().read().await?).await?;
    for session in live {
        keep(state, tasks, session);
    }
    Ok(())
}

/// Looks after an app from now on, unless that is being done already.
pub(super) fn keep(state: &State, tasks: &TaskTracker, id: AppSessionId) {
    if !state.0.kept.lock().is_ok_and(|mut kept| kept.insert(id)) {
        return;
    }
    let state = state.clone();
    tasks.spawn(async move {
        while !state.shutdown().is_cancelled() {
            match look_after(&state, id).await {
                Ok(()) => break,
                Err(error) => {
                    tracing::error!(%error, session = %id, "an app could not be looked after");
                }
            }
            // One that cannot be read does not say itself that it has ended.
            if super::pause(&state, RETRY).await || has_ended(&state, id).await {
                break;
            }
        }
        if let Ok(mut kept) = state.0.kept.lock() {
            kept.remove(&id);
        }
    });
}

async fn has_ended(state: &State, id: AppSessionId) -> bool {
    let Ok(mut conn) = state.store().read().await else {
        return false;
    };
    matches!(queries::is_live(&mut conn, id).await, Ok(false))
}

/// What the database says of an app.
struct Seen {
    session: AppSession,
    job: Job,
    services: Vec<Service>,
    at: OffsetDateTime,
}

async fn see(state: &State, id: AppSessionId) -> Result<Option<Seen>, Error> {
    let at = state.now();
    let mut conn = state.store().read().await?;
    let Some(session) = table::find_for_worker(&mut conn, id).await? else {
        return Ok(None);
    };
    let Some(job) = jobs::find_for_worker(&mut conn, session.job).await? else {
        return Ok(None);
    };
    let services = services::of(&mut conn, id).await?;
    Ok(Some(Seen {
        session,
        job,
        services,
        at,
    }))
}

/// Until it has ended.
async fn look_after(state: &State, id: AppSessionId) -> Result<(), Error> {
    let mut changes = state.hub().subscribe();
    let mut asked = Asked::default();
    let mut warned = Warned::default();
    while let Some(seen) = see(state, id).await?
        && !seen.session.phase.ended()
    {
        warned.read_on(state, &seen.session).await?;
        loop {
            let now = state.now();
            if act(state, &seen, &warned, &mut asked, now).await? || (now - seen.at).abs() >= LOOK {
                break;
            }
            tokio::select! {
                () = state.shutdown().cancelled() => return Ok(()),
                () = told(&mut changes, id) => break,
                Some((service, answer)) = asked.open.next() => {
                    asked.waiting.remove(&service);
                    run::checked(state, &seen.session, &service, answer).await?;
                    break;
                }
                () = tokio::time::sleep(super::CLOCK) => {}
            }
        }
    }
    Ok(())
}

/// What has been asked of an app, and when.
#[derive(Default)]
struct Asked {
    /// By service; under no name, to stop.
    at: HashMap<String, OffsetDateTime>,
    /// Questions that have not been answered yet. One service that is slow to answer
    /// holds up neither the others nor the end of the app.
    open: FuturesUnordered<BoxFuture<'static, (String, Answer)>>,
    /// The services that they are for.
    waiting: HashSet<String>,
}

/// What was found, if it is right; else what is wrong.
type Answer = Result<String, String>;

/// Waits until this app has changed.
async fn told(changes: &mut broadcast::Receiver<Change>, id: AppSessionId) {
    loop {
        match changes.recv().await {
            Ok(Change::App { session, .. }) if session == id => return,
            Ok(_) => {}
            // Something was missed: it may have been this.
            Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Does what is due. `true` if that has changed something.
async fn act(
    state: &State,
    seen: &Seen,
    warned: &Warned,
    asked: &mut Asked,
    now: OffsetDateTime,
) -> Result<bool, Error> {
    let session = &seen.session;
    if over(seen, now).is_some() {
        // Nothing that happened since it was looked up may be overlooked.
        let Some(seen) = see(state, session.id).await? else {
            return Ok(true);
        };
        if let Some((code, reason)) = over(&seen, now) {
            // It may have ended before, while nobody looked: then that is why.
            if observer::has_ended(state, &seen.job).await? {
                return Ok(false);
            }
            // Asking took its time, in which it may have been extended, or used.
            let still = {
                let before = seen.session.clone();
                move |session: &AppSession| {
                    session.stops_at == before.stops_at
                        && session.last_used_at == before.last_used_at
                }
            };
            run::end(state, seen.job.id, (code, reason), still).await?;
        }
        return Ok(true);
    }
    if let Some((kind, left)) = warned.due(session, now)
        && let Some(at) = session.stops_at
    {
        let code = words::first_limit(session, seen.job.rate);
        let event = words::stops_soon(kind, at, left, code);
        run::say(state, session.id, event).await?;
        return Ok(true);
    }
    match session.phase {
        Phase::Services | Phase::Running => {}
        Phase::Stopping => {
            let since = session.stopping_at.unwrap_or(session.phase_since);
            let last = asked.at.entry(String::new()).or_insert(since);
            if passed(*last, INSIST, now) {
                *last = now;
                observer::stop_run(state, &seen.job).await?;
            }
            return Ok(false);
        }
        _ => return Ok(false),
    }
    if session.ready_at.is_none() && primary_is_ready(seen) {
        run::ready(state, seen.job.id).await?;
        return Ok(true);
    }
    ask(state, seen, asked, now);
    Ok(false)
}

fn primary_is_ready(seen: &Seen) -> bool {
    let primary = &seen.session.manifest.primary().id;
    let found = seen.services.iter().find(|one| one.service == *primary);
    found.is_some_and(|service| service.state == ServiceState::Ready)
}

/// Why an app has to be stopped now.
fn over(seen: &Seen, now: OffsetDateTime) -> Option<(EndCode, String)> {
    let session = &seen.session;
    match session.phase {
        Phase::Starting | Phase::Services => {
            let patience = Duration::seconds(session.manifest.start_timeout_seconds.into());
            let since = session.started_at.unwrap_or(session.phase_since);
            (now >= since + patience && !primary_is_ready(seen)).then(|| {
                let reason = words::never_ready(session, &seen.services);
                (EndCode::NeverReady, reason)
            })
        }
        Phase::Running => {
            if session.stops_at.is_some_and(|at| now >= at) {
                let code = words::first_limit(session, seen.job.rate);
                return Some((code, words::limit(code, &session.settings)));
            }
            let idle = session.settings.idle_minutes;
            let used = session.last_used_at.max(session.ready_at)?;
            (idle > 0 && now >= used + Duration::minutes(idle.into())).then(|| {
                let reason = words::limit(EndCode::Idle, &session.settings);
                (EndCode::Idle, reason)
            })
        }
        _ => None,
    }
}

/// Whether so much time is over since `from`. Where that is still to come the clock has been
/// set back since, and nobody knows.
fn passed(from: OffsetDateTime, wait: Duration, now: OffsetDateTime) -> bool {
    now < from || now >= from + wait
}

/// Asks every service whose turn it is.
fn ask(state: &State, seen: &Seen, asked: &mut Asked, now: OffsetDateTime) {
    for known in &seen.session.manifest.services {
        let service = seen.services.iter().find(|one| one.service == known.id);
        let Some(service) = service.filter(|_| !asked.waiting.contains(&known.id)) else {
            continue;
        };
        let last = asked.at.get(&known.id).copied().max(service.checked_at);
        let wait = if service.state == ServiceState::Ready {
            RECHECK
        } else {
            Duration::seconds(known.readiness.interval_seconds.max(1).into())
        };
        if last.is_some_and(|last| !passed(last, wait, now)) {
            continue;
        }
        asked.at.insert(known.id.clone(), now);
        asked.waiting.insert(known.id.clone());
        let (gate, origin) = (state.gate().cloned(), service.origin.clone());
        let (id, asks) = (known.id.clone(), known.readiness.clone());
        asked.open.push(Box::pin(
            async move { (id, probe(gate, &origin, asks).await) },
        ));
    }
}

/// One question: `Ok` with what was answered if that is right.
async fn probe(gate: Option<Arc<dyn Gate>>, origin: &str, asks: Readiness) -> Answer {
    let gate = gate.ok_or("there is no way to it yet")?;
    let patience = StdDuration::from_secs(asks.timeout_seconds.max(1).into());
    let question = Question {
        method: asks.method.parse().unwrap_or(http::Method::GET),
        path: asks.path,
        body: Bytes::from(asks.body),
        patience,
    };
    let answer = tokio::time::timeout(
        patience + StdDuration::from_secs(1),
        gate.probe(origin, question),
    );
    let answer = answer
        .await
        .map_err(|_| format!("no answer in {}", lasting(asks.timeout_seconds.into())))??;
    if answer.status != asks.status {
        return Err(answer.status.to_string());
    }
    match &asks.body_contains {
        Some(text) if !contains(&answer.body, text.as_bytes()) => {
            Err(format!("{} without the expected text", answer.status))
        }
        Some(_) | None => Ok(answer.status.to_string()),
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|part| part == text)
}

/// Which warnings have been given since the app was given its present time.
#[derive(Default)]
struct Warned {
    since: Option<OffsetDateTime>,
    kinds: Vec<String>,
    /// Events up to this one have been read.
    read: i64,
}

impl Warned {
    async fn read_on(&mut self, state: &State, session: &AppSession) -> Result<(), Error> {
        while self.read < session.last_event {
            let mut conn = state.store().read().await?;
            let page = events::list(&mut conn, session.id, self.read, PAGE).await?;
            drop(conn);
            let Some(last) = page.last() else { break };
            self.read = last.seq;
            for event in page {
                self.note(event);
            }
        }
        Ok(())
    }

    fn note(&mut self, event: Event) {
        match event.kind.as_str() {
            "app.running" | "app.extended" => {
                self.since = Some(event.created_at);
                self.kinds.clear();
            }
            kind if WARNINGS.iter().any(|(_, known)| *known == kind) => {
                self.kinds.push(event.kind);
            }
            _ => {}
        }
    }

    /// The nearest warning that has to be given now, and the seconds that are left.
    fn due(&self, session: &AppSession, now: OffsetDateTime) -> Option<(&'static str, i64)> {
        let (since, stops_at) = (self.since?, session.stops_at?);
        let (before, kind) = WARNINGS
            .into_iter()
            .find(|(before, _)| now >= stops_at - *before)?;
        let news = since < stops_at - before && !self.kinds.iter().any(|said| said == kind);
        (news && session.phase == Phase::Running).then(|| {
            let left = (stops_at - now).whole_seconds();
            (kind, left.max(1))
        })
    }
}
