//! Lets a job in: screened, paid for, queued, once.
use super::super::apps::launch::{self, App};
use super::super::predictions::{self, Forecast};
use super::super::{Caller, Change, Error, State, estimates, lifecycle};
use crate::api::jobs as wire;
use crate::domain::estimate::{self, Quote, Range};
use crate::domain::id::{DraftId, JobId};
use crate::domain::job::{Event, State as JobState};
use crate::domain::ledger;
use crate::domain::likeness;
use crate::domain::money::Usd;
use crate::domain::routing::Check;
use crate::domain::spec::JobSpec;
use crate::store::idempotency::{self, Answer, Key};
use crate::store::jobs::{self as table, Job};
use crate::store::{self, Conn, drafts};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// A job that wants in.
#[derive(Debug, Clone)]
pub(in crate::orchestrator) struct Order {
    pub(in crate::orchestrator) spec: JobSpec,
    pub(in crate::orchestrator) once: Option<Once>,
    /// The draft, and its version, that this is.
    pub(in crate::orchestrator) draft: Option<(DraftId, i64)>,
    /// The rate that was acknowledged; what is asked now if none was.
    pub(in crate::orchestrator) rate: Option<Usd>,
    /// The estimate that was acknowledged: it holds, whatever one would be now.
    pub(in crate::orchestrator) acknowledged: Option<wire::Estimate>,
    /// Whether it was accepted that nobody knows when it can start.
    pub(in crate::orchestrator) unestimated: bool,
    /// The app that it runs, screened and quoted already.
    pub(in crate::orchestrator) app: Option<App>,
}

/// Makes sure that the same request is carried out once.
#[derive(Debug, Clone)]
pub(in crate::orchestrator) struct Once {
    pub(in crate::orchestrator) route: &'static str,
    pub(in crate::orchestrator) key: String,
    pub(in crate::orchestrator) body_hash: String,
}

pub(in crate::orchestrator) fn hash(body: &[u8]) -> String {
    crate::random::hex(&Sha256::digest(body))
}

/// Why nothing was written.
#[derive(Debug)]
enum Halt {
    Refused(Error),
    Store(store::Error),
    /// It was carried out before, with this answer.
    Before(String),
}

impl From<store::Error> for Halt {
    fn from(error: store::Error) -> Self {
        Self::Store(error)
    }
}

/// Screens the order, sets its highest cost aside and queues it.
pub(in crate::orchestrator) async fn submit(
    cx: &super::Cx,
    order: Order,
) -> Result<wire::Submitted, Error> {
    let (state, caller) = (&cx.state, &cx.caller);
    // A repeated request gets its first answer even if it would be refused by now.
    if let Some(once) = &order.once
        && let Some(answer) = earlier(&mut *state.store().read().await?, caller, once).await?
    {
        return answer;
    }
    let (quote, forecast) = quote(state, caller, &order).await?;
    let now = state.now();
    let rate = order.rate.unwrap_or_else(|| asked(state));
    let once = order.once.clone();
    let mut job = new_job(state.id(), caller, &order, (rate, quote), now);
    let funds = match &order.app {
        Some(app) => app.too_dear(job.hold),
        None => format!(
            "The job can cost {} (its time limit of {}), which is more than the wallet has. {}",
            job.hold,
            estimate::said(i64::from(order.spec.time_limit_seconds)),
            "Lower the time limit, or add funds.",
        ),
    };
    let done = state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                let reply = admit(conn, &mut job, (&order, forecast), now).await?;
                Ok::<_, Halt>((job, reply))
            })
        })
        .await;
    match done {
        Ok((job, reply)) => {
            state.hub().publish(Change::Job {
                workspace: job.workspace,
                job: job.id,
            });
            if let Some(session) = job.spec.app {
                state.hub().publish(Change::App {
                    workspace: job.workspace,
                    session,
                    job: job.id,
                });
            }
            state.0.work.notify_one();
            tracing::info!(job = %job.id, workspace = %job.workspace, "job queued");
            Ok(reply)
        }
        Err(Halt::Before(reply)) => {
            serde_json::from_str(&reply).map_err(|e| Error::Internal(e.into()))
        }
        Err(Halt::Refused(error)) => Err(error),
        Err(Halt::Store(store::Error::Overdrawn { .. })) => Err(Error::InsufficientFunds(funds)),
        // The same request, at the same moment, was quicker.
        Err(Halt::Store(store::Error::Stale {
            table: "idempotency",
            ..
        })) if let Some(once) = &once => {
            let mut conn = state.store().read().await?;
            earlier(&mut conn, caller, once)
                .await?
                .unwrap_or_else(|| Err(Error::Unavailable("Try again.".into())))
        }
        Err(Halt::Store(store::Error::Stale {
            table: "app_sessions",
            ..
        })) => Err(Error::Unavailable("Try again.".into())),
        Err(Halt::Store(store::Error::Stale { .. })) => Err(Error::Conflict {
            code: "CONFLICT",
            message: "The draft has changed or was submitted meanwhile. Look at it again.".into(),
        }),
        Err(Halt::Store(error)) => Err(error.into()),
    }
}

/// What is promised of a job that can run here.
async fn quote(
    state: &State,
    caller: &Caller,
    order: &Order,
) -> Result<(Quote, Option<Forecast>), Error> {
    if let Some(app) = &order.app {
        // How long people keep an app says nothing about the next.
        return Ok((app.quote.clone(), None));
    }
    match estimates::snapshot(state, caller.workspace, &order.spec).await {
        Ok((snapshot, _)) => {
            let found = estimate::estimate(&order.spec, &snapshot);
            if !found.can_submit() {
                return Err(refusal(&found.checks));
            }
            let mut quote = found.quote();
            let forecast = match &order.acknowledged {
                Some(seen) => predictions::acknowledged(seen, &mut quote),
                None => Forecast::of(&found),
            };
            Ok((quote, Some(forecast)))
        }
        // The scheduler rejects it later if it can never run.
        Err(Error::Unavailable(_)) if order.unestimated => Ok((
            unknown(&order.spec, asked(state)),
            Some(Forecast::default()),
        )),
        Err(error) => Err(error),
    }
}

/// The first answer to a request with this key, if there was one.
pub(in crate::orchestrator) async fn earlier(
    conn: &mut Conn,
    caller: &Caller,
    once: &Once,
) -> Result<Option<Result<wire::Submitted, Error>>, Error> {
    let Some(answer) = idempotency::find(conn, &key(caller, once)).await? else {
        return Ok(None);
    };
    if answer.body_hash != once.body_hash {
        return Ok(Some(Err(different_body())));
    }
    let reply = serde_json::from_str(&answer.reply).map_err(|e| Error::Internal(e.into()));
    Ok(Some(reply))
}

fn key(caller: &Caller, once: &Once) -> Key {
    Key {
        workspace: caller.workspace,
        route: once.route,
        key: once.key.clone(),
    }
}

pub(in crate::orchestrator) fn different_body() -> Error {
    Error::Unprocessable {
        code: "IDEMPOTENCY_KEY_REUSED".into(),
        message: "This Idempotency-Key was used for another request. Use a new one.".into(),
        fields: BTreeMap::new(),
    }
}

pub(in crate::orchestrator) fn refusal(checks: &[Check]) -> Error {
    let blocked: Vec<_> = checks.iter().filter(|check| check.is_blocked()).collect();
    let message = blocked
        .first()
        .map_or_else(String::new, |check| match &check.action {
            Some(action) => format!("{} {action}", check.message),
            None => check.message.clone(),
        });
    let fields = blocked
        .iter()
        .filter_map(|check| Some((check.field.clone()?, check.message.clone())))
        .collect();
    let code = blocked
        .first()
        .map_or("SCREENING_BLOCKED", |check| check.code.as_str())
        .to_owned();
    Error::Unprocessable {
        code,
        message,
        fields,
    }
}

/// What every machine of this grid costs per hour now.
fn asked(state: &State) -> Usd {
    state.config().hourly_rate
}

/// What can be promised without asking the machines: that it costs no more than
/// its whole time limit.
fn unknown(spec: &JobSpec, rate: Usd) -> Quote {
    let limit = i64::from(spec.time_limit_seconds);
    Quote {
        cost_low: Usd::ZERO,
        cost_high: rate.at_most_for_seconds(limit),
        runtime: Range {
            low: 1,
            high: limit,
        },
        wait: Range {
            low: 0,
            high: limit,
        },
        relaxed: Vec::new(),
        warnings: vec!["It was submitted without an estimate.".into()],
    }
}

fn new_job(
    id: JobId,
    caller: &Caller,
    order: &Order,
    (rate, quote): (Usd, Quote),
    now: OffsetDateTime,
) -> Job {
    Job {
        id,
        workspace: caller.workspace,
        account: caller.account,
        likeness: likeness::likeness(&order.spec),
        spec: order.spec.clone(),
        state: JobState::Pending,
        phase_since: now,
        version: 0,
        last_event: 0,
        last_log: 0,
        attempt: 1,
        engine: None,
        node: None,
        reason: None,
        rate,
        hold: match &order.app {
            Some(app) => app.hold,
            None => estimates::hold(&order.spec, rate),
        },
        cost: None,
        billed_from: None,
        quote,
        created_at: now,
        updated_at: now,
        queued_at: None,
        assigned_at: None,
        completed_at: None,
    }
}

/// Everything that a submission writes, in one transaction.
async fn admit(
    conn: &mut Conn,
    job: &mut Job,
    (order, forecast): (&Order, Option<Forecast>),
    now: OffsetDateTime,
) -> Result<wire::Submitted, Halt> {
    let key = order.once.as_ref().map(|once| Key {
        workspace: job.workspace,
        route: once.route,
        key: once.key.clone(),
    });
    if let (Some(key), Some(once)) = (&key, &order.once)
        && let Some(answer) = idempotency::find(conn, key).await?
    {
        return Err(if answer.body_hash == once.body_hash {
            Halt::Before(answer.reply)
        } else {
            Halt::Refused(different_body())
        });
    }
    job.state = JobState::Pending
        .apply(Event::Admitted)
        .map_err(|impossible| Halt::Refused(Error::Internal(impossible.into())))?;
    job.queued_at = Some(now);
    if let Some(hold) = ledger::hold(job.workspace, job.id, lifecycle::FIRST_HOLD, job.hold) {
        store::ledger::transfer(conn, &hold, now).await?;
    }
    let set_aside = format!("{} set aside: the most that this job can cost.", job.hold);
    let events = [
        lifecycle::said(
            job,
            "job.queued",
            "Submitted",
            "Waiting for a free slot.".into(),
            "user",
        ),
        lifecycle::said(
            job,
            "billing.held",
            "Credit set aside",
            set_aside,
            "billing",
        ),
    ];
    table::insert(conn, job, &events).await?;
    if let Some(forecast) = forecast {
        predictions::write(conn, job, forecast).await?;
    }
    if let Some(app) = &order.app
        && let Some(running) = launch::create(conn, job, app).await?
    {
        return Err(Halt::Refused(running));
    }
    if let Some((draft, version)) = order.draft {
        drafts::submit(conn, draft, version, job.id).await?;
    }
    let reply = submitted(job, now);
    if let (Some(key), Some(once)) = (&key, &order.once) {
        let answer = Answer {
            body_hash: once.body_hash.clone(),
            reply: serde_json::to_string(&reply)
                .map_err(|error| Halt::Refused(Error::Internal(error.into())))?,
        };
        idempotency::insert(conn, key, &answer, now).await?;
    }
    Ok(reply)
}

/// The answer to a submission; also to a second one of the same draft.
pub(in crate::orchestrator) fn submitted(job: &Job, now: OffsetDateTime) -> wire::Submitted {
    let at = job.queued_at.unwrap_or(now);
    wire::Submitted {
        job_id: job.id,
        id: job.id,
        status: job.state.status(),
        queued_at: at,
        submitted_at: at,
        status_message: "Waiting for a free slot.".into(),
        hold_usd: job.hold,
    }
}
