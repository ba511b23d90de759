//! From a job and the grid as it is to an estimate, in the words of the contract.
use super::content::{self, Defaults};
use super::files::given;
use super::predictions;
use super::route::{Call, Cx};
use super::{Error, State};
use crate::api::jobs as wire;
use crate::api::{self, EstimateJob};
use crate::clock::micros;
use crate::domain::calibration::Calibration;
use crate::domain::estimate::Range;
use crate::domain::estimate::{self, Estimate};
use crate::domain::id::{EstimateId, WorkspaceId};
use crate::domain::job;
use crate::domain::money::Usd;
use crate::domain::routing::{Check, Disk, Images, Offer, Snapshot};
use crate::domain::spec::JobSpec;
use crate::domain::wait::{self, Running, Waiting};
use crate::engine;
use crate::store::Conn;
use crate::store::jobs::occupied::{self, Taken};
use crate::store::jobs::{Job, queries};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use time::OffsetDateTime;

/// An estimate can be acknowledged for this long.
pub(super) const VALID_FOR: time::Duration = time::Duration::minutes(5);
/// A grid that does not say what it has for this long is unavailable.
const ENGINE_PATIENCE: Duration = Duration::from_secs(10);
/// A page that says why a job waits does not wait for longer itself.
const SHORT_PATIENCE: Duration = Duration::from_millis(500);
/// Jobs in front that a dry run looks at.
const QUEUE_LOOKED_AT: i64 = 500;

pub(super) async fn estimate(cx: Cx, call: Call<EstimateJob>) -> Result<wire::Estimate, Error> {
    let spec = content::parse(&with_estimate_defaults(call.body), defaults(&cx))?;
    let (snapshot, past) = snapshot(&cx, cx.caller.workspace, &spec).await?;
    let found = estimate::estimate(&spec, &snapshot);
    Ok(reply(&spec, (&found, past), cx.id(), cx.now()))
}

/// An estimate needs neither name nor image nor command.
fn with_estimate_defaults(mut content: wire::Content) -> wire::Content {
    for (field, value) in [("name", "estimate"), ("image", "host")] {
        if content::absent(&content, field) {
            content.insert(field.into(), value.into());
            let none = content.get("command") == Some(&serde_json::json!([]));
            if field == "image" && (none || content::absent(&content, "command")) {
                content.insert("command".into(), "true".into());
            }
        }
    }
    content
}

pub(super) fn defaults(state: &State) -> Defaults<'_> {
    let seconds = state.config().default_time_limit.as_secs();
    Defaults {
        time_limit_seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
        callback_allow: &state.config().callback_allow,
    }
}

/// The machines as the engine knows them.
///
/// # Errors
///
/// [`Error::Unavailable`] if it does not answer.
pub(super) async fn nodes(state: &State) -> Result<Vec<engine::Node>, Error> {
    match tokio::time::timeout(ENGINE_PATIENCE, state.engine().nodes()).await {
        Ok(Ok(nodes)) => Ok(nodes),
        Ok(Err(error)) => Err(Error::Unavailable(format!(
            "The machines cannot be asked: {error}."
        ))),
        Err(_) => Err(Error::Unavailable("The machines do not answer.".into())),
    }
}

/// Everything that an estimate looks at, read now; and how past ones came out.
pub(super) async fn snapshot(
    state: &State,
    workspace: WorkspaceId,
    spec: &JobSpec,
) -> Result<(Snapshot, Calibration), Error> {
    let nodes = nodes(state).await?;
    let disks = disks(state, spec, &nodes).await;
    let mut conn = state.store().read().await?;
    let mut snapshot = capacity(state, &mut conn, &nodes).await?;
    for offer in &mut snapshot.offers {
        offer.disk = disks.get(&offer.node).copied();
    }
    let now = state.now();
    snapshot.history = predictions::history(&mut conn, workspace, spec).await?;
    snapshot.waits = predictions::waits(&mut conn, workspace, spec, now).await?;
    snapshot.ahead = queue(&mut conn, now).await?;
    snapshot.files = given::checks(&mut conn, workspace, &spec.files).await?;
    let past = predictions::calibration(&mut conn, workspace).await?;
    Ok((snapshot, past))
}

/// How much disk there is, for a job that asks for some.
pub(super) async fn disks(
    state: &State,
    spec: &JobSpec,
    nodes: &[engine::Node],
) -> BTreeMap<String, Disk> {
    let mut disks = BTreeMap::new();
    if spec.resources.disk_gb.is_none() {
        return disks;
    }
    for node in nodes {
        let disk = tokio::time::timeout(ENGINE_PATIENCE, state.engine().disk(&node.name));
        if let Ok(Some(disk)) = disk.await {
            let disk = Disk {
                all: gigabytes(disk.all),
                free: gigabytes(disk.free),
            };
            disks.insert(node.name.clone(), disk);
        }
    }
    disks
}

/// The jobs that wait, in the order of their turn.
pub(super) async fn queue(conn: &mut Conn, now: OffsetDateTime) -> Result<Vec<Waiting>, Error> {
    let waiting = queries::queue(conn, QUEUE_LOOKED_AT).await?;
    let waiting = waiting.into_iter().map(|job| Waiting {
        runtime: job.quote.runtime,
        after: job
            .left_alone_until(now)
            .map_or(0, |at| (at - now).whole_seconds()),
        spec: job.spec,
    });
    Ok(waiting.collect())
}

/// The offers, and what runs on them.
pub(super) async fn capacity(
    state: &State,
    conn: &mut Conn,
    nodes: &[engine::Node],
) -> Result<Snapshot, Error> {
    let taken = occupied::by_node(conn).await?;
    let now = state.now();
    let running = queries::placed(conn)
        .await?
        .iter()
        .map(|job| remaining(job, now))
        .collect();
    let config = state.config();
    let offers = nodes.iter().filter(|node| node.up);
    let offers = offers.map(|node| {
        let taken = taken.get(&node.name).copied().unwrap_or_default();
        offer(state, node, taken)
    });
    let offers = offers.collect();
    let longest = config.longest_time_limit.as_secs();
    Ok(Snapshot {
        offers,
        running,
        catalogue: Arc::clone(&config.gpus),
        longest_seconds: u32::try_from(longest).unwrap_or(u32::MAX),
        ..Snapshot::default()
    })
}

fn offer(state: &State, node: &engine::Node, taken: Taken) -> Offer {
    let config = state.config();
    let gpu = node.gpus.first();
    let family = gpu.and_then(|gpu| config.gpus.find(&gpu.family));
    Offer {
        node: node.name.clone(),
        gpu_family: gpu.map(|gpu| match family {
            Some(family) => family.id.clone(),
            None => gpu.family.clone(),
        }),
        gpu_class: family.map(|family| family.class.name().to_owned()),
        vram_gb: gpu.map_or(0.0, |gpu| gigabytes(gpu.memory_bytes)),
        gpus: count(node.gpus.len()),
        gpus_free: count(node.gpus.len()).saturating_sub(taken.gpus),
        speed: family.and_then(|family| family.memory_gb_per_second),
        region: None,
        rate: config.hourly_rate,
        cpus: node.cpus,
        memory_gb: gigabytes(node.memory_bytes),
        disk: None,
        slots: config.slots,
        free: config.slots.saturating_sub(taken.slots),
        images: if state.engine().pulls_images() {
            Images::Pulled
        } else if config.ignore_images {
            Images::Ignored
        } else {
            Images::HostOnly
        },
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a size for people and for comparing"
)]
pub(super) fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e9
}

/// A placed job, and the expected seconds until it ends.
fn remaining(job: &Job, now: OffsetDateTime) -> Running {
    let node = job.node.clone().unwrap_or_default();
    let gpus = job.spec.resources.gpus();
    let limit = i64::from(job.spec.time_limit_seconds);
    if job.state.phase() == Some(job::Phase::Stopping) {
        let left = Range { low: 0, high: 15 };
        return Running { node, gpus, left };
    }
    let run = job
        .state
        .since()
        .map_or(0, |since| (now - since).whole_seconds());
    let low = (job.quote.runtime.low - run).max(0);
    // One that has outrun its estimate can only be bounded by its limit.
    let high = if run > job.quote.runtime.high {
        limit
    } else {
        job.quote.runtime.high
    };
    let left = Range {
        low,
        high: (high - run).max(low),
    };
    Running { node, gpus, left }
}

/// The estimate as it goes over the wire.
pub(super) fn reply(
    spec: &JobSpec,
    (found, calibration): (&Estimate, Calibration),
    id: EstimateId,
    now: OffsetDateTime,
) -> wire::Estimate {
    let quote = found.quote();
    let placed = found.placement.as_ref();
    let rate = placed.map(|placed| placed.offer.rate);
    let offer = placed.map(|placement| &placement.offer);
    let candidates = placed.map_or(0, |placement| placement.candidates);
    let free_now = placed.is_some_and(|placement| placement.free_now);
    let blocked: Vec<Check> = found
        .checks
        .iter()
        .filter(|c| c.is_blocked())
        .cloned()
        .collect();
    let reason = blocked.first().map(sentence);
    let gpu = offer.and_then(|offer| offer.gpu_family.clone());
    let cost_high = placed.map(|_| quote.cost_high);
    wire::Estimate {
        estimate_id: id,
        available: found.can_submit(),
        can_submit: found.can_submit(),
        estimated_cost_usd: cost_high,
        estimated_cost_min_usd: placed.map(|_| quote.cost_low),
        estimated_cost_max_usd: cost_high,
        estimated_hourly_rate_usd: rate,
        estimated_hourly_rate_min_usd: placed.map(|placed| placed.rates.0),
        estimated_hourly_rate_max_usd: placed.map(|placed| placed.rates.1),
        hold_usd: rate.map(|rate| hold(spec, rate)),
        estimated_runtime_min_minutes: minutes(found.runtime.low),
        estimated_runtime_max_minutes: minutes(found.runtime.high),
        estimated_runtime_min_seconds: found.runtime.low,
        estimated_runtime_max_seconds: found.runtime.high,
        runtime_basis: found.runtime_basis.clone(),
        runtime_basis_kind: found.basis,
        runtime_sample_count: count(found.samples),
        runtime_confidence: found.runtime_confidence,
        estimated_queue_wait_min_minutes: placed.map(|_| minutes(found.wait.low)),
        estimated_queue_wait_max_minutes: placed.map(|_| minutes(found.wait.high)),
        estimated_queue_wait_min_seconds: placed.map(|_| found.wait.low),
        estimated_queue_wait_max_seconds: placed.map(|_| found.wait.high),
        queue_wait_basis: found.wait_basis.clone(),
        queue_wait_sample_count: count(found.wait_samples),
        queue_wait_confidence: found.wait_confidence,
        calibration,
        estimated_start_at_min: placed.map(|_| now + time::Duration::seconds(found.wait.low)),
        estimated_start_at_max: placed.map(|_| now + time::Duration::seconds(found.wait.high)),
        rate_basis:
            "Set by the operator of this grid; billed to the millisecond while the command executes."
                .into(),
        confidence: found.confidence,
        candidate_count: candidates,
        explanation: explanation(found, reason.as_deref()),
        unavailable_code: blocked.first().map(|check| check.code.clone()),
        unavailable_reason: reason,
        warnings: quote.warnings,
        placement: offer.map(|offer| offer.node.clone()),
        region: offer.and_then(|offer| offer.region.clone()),
        likely_gpu_type: gpu.clone(),
        likely_gpu_family: gpu.clone(),
        routed_gpu_tier: None,
        constraints_relaxed_applied: !quote.relaxed.is_empty(),
        constraints_relaxed: quote.relaxed,
        classification: classification(spec),
        routing: route(found, gpu),
        capacity: wire::Capacity {
            live_capacity_available: free_now,
            live_candidate_count: candidates,
            managed_capacity_available: None,
            managed_profile_count: 0,
            estimate_source: "live".into(),
        },
        capacity_status: now_or_later(found, free_now),
        screening: screening(&found.checks, blocked),
        time_limit_seconds: spec.time_limit_seconds,
        quoted_at: now,
        expires_at: now + VALID_FOR,
    }
}

fn route(found: &Estimate, gpu: Option<String>) -> wire::Route {
    let offer = found.placement.as_ref().map(|placed| &placed.offer);
    wire::Route {
        route_status: if found.can_submit() {
            "routed"
        } else {
            "blocked"
        }
        .into(),
        selected_accelerator: Some(gpu.unwrap_or_else(|| "cpu".into())),
        selected_route_source: offer.map(|_| "live".into()),
        selection_reason: found.placement.as_ref().map(|placed| placed.reason.clone()),
    }
}

/// Whether it would start now; whether it can run at all, the screening says.
fn now_or_later(found: &Estimate, free_now: bool) -> wire::CapacityStatus {
    let (availability, message) = match (found.can_submit(), free_now) {
        (true, true) => ("available", "A slot is free: it would start at once."),
        (true, false) => (
            "limited",
            "Every slot that fits is taken or spoken for: it would wait.",
        ),
        (false, _) => ("unavailable", "It cannot run here, so it cannot start."),
    };
    wire::CapacityStatus {
        availability: availability.into(),
        immediate_capacity_confirmed: free_now && found.wait.low == 0,
        message: message.into(),
    }
}

fn count(samples: usize) -> u32 {
    u32::try_from(samples).unwrap_or(u32::MAX)
}

fn sentence(check: &Check) -> String {
    match &check.action {
        Some(action) => format!("{} {action}", check.message),
        None => check.message.clone(),
    }
}

fn explanation(found: &Estimate, blocked: Option<&str>) -> String {
    if let Some(reason) = blocked {
        return reason.to_owned();
    }
    let why = found.placement.as_ref();
    let why = why.map_or("", |placement| placement.reason.as_str());
    format!("{why} {} {}", found.wait_basis, found.runtime_basis)
}

fn classification(spec: &JobSpec) -> wire::Classification {
    let requires_gpu = spec.resources.needs_gpu();
    wire::Classification {
        workload_type: spec.workload_type,
        requires_gpu,
        acceleration_requirement: if requires_gpu { "gpu" } else { "none" }.into(),
        confidence: "high".into(),
        reasons: vec![if requires_gpu {
            "A GPU was asked for.".into()
        } else {
            "Nothing that was asked for needs a GPU.".into()
        }],
    }
}

fn screening(checks: &[Check], blocked: Vec<Check>) -> wire::Screening {
    let mut checks = checks.to_vec();
    let status = if blocked.is_empty() {
        if checks.is_empty() {
            "passed"
        } else {
            "warning"
        }
    } else {
        "blocked"
    };
    if blocked.is_empty() {
        checks.push(Check {
            code: "SCREENING_PASSED".into(),
            severity: "info".into(),
            status: "passed".into(),
            field: None,
            message: "This grid can run the job.".into(),
            action: None,
        });
    }
    wire::Screening {
        policy_version: "1".into(),
        status: status.into(),
        can_submit: blocked.is_empty(),
        checks,
        blocked_checks: blocked,
    }
}

/// The most that the job can cost: its whole time limit.
pub(super) fn hold(spec: &JobSpec, rate: Usd) -> Usd {
    rate.at_most_for_seconds(i64::from(spec.time_limit_seconds))
}

/// Minutes with one decimal, rounded up so that a short job is not free.
#[expect(clippy::cast_precision_loss, reason = "a year of seconds fits")]
fn minutes(seconds: i64) -> f64 {
    (seconds as f64 / 6.0).ceil() / 10.0
}

/// When a queued job will start, as its owner should hear it.
pub(super) async fn delay(
    state: &State,
    conn: &mut Conn,
    job: &Job,
) -> Result<api::jobs::DelayReason, Error> {
    if let Some(at) = job.left_alone_until(state.now()) {
        let why = job.reason.as_deref().unwrap_or(super::lifecycle::NOT_TAKEN);
        return Ok(api::jobs::DelayReason {
            code: "RUNTIME_PREPARATION_DELAYED".into(),
            message: format!("{why} It is tried again at {}.", estimate::time_of_day(at)),
        });
    }
    let ahead = queries::ahead_of(conn, job).await?;
    let waited = micros(state.now()) - job.queued_at.map_or(0, micros);
    let taken = match tokio::time::timeout(SHORT_PATIENCE, state.engine().nodes()).await {
        Ok(Ok(nodes)) => wait::in_the_way(&job.spec, &capacity(state, conn, &nodes).await?),
        // The scheduler cannot ask them either.
        Ok(Err(_)) | Err(_) => Some("The machines do not answer".to_owned()),
    };
    let (code, message) = match taken {
        Some(taken) => {
            let turn = match ahead {
                0 => "This job is next.".to_owned(),
                1 => "One job is in front.".to_owned(),
                n => format!("{n} jobs are in front."),
            };
            ("CAPACITY", format!("{taken}. {turn}"))
        }
        None if waited > 10_000_000 => (
            "SCHEDULING",
            "A slot is free, but no machine that fits has taken the job yet.".to_owned(),
        ),
        None => (
            "SCHEDULING",
            "A slot is free; the job is about to be placed.".to_owned(),
        ),
    };
    Ok(api::jobs::DelayReason {
        code: code.into(),
        message,
    })
}
