//! What is expected of each job, kept with how it came out; and what all of that says
//! about the next.
use super::Error;
use crate::api::jobs as wire;
use crate::clock::micros;
use crate::domain::calibration::{Actual, Calibration, ENOUGH, Held, Predicted, Whose};
use crate::domain::estimate::{Estimate, Quote, Range};
use crate::domain::history::{Basis, CROWD_JOBS, Crowd, History, is_a_crowd};
use crate::domain::id::WorkspaceId;
use crate::domain::job::{Failure, Outcome, State as JobState};
use crate::domain::likeness::{kind, likeness, pool};
use crate::domain::money::Usd;
use crate::domain::spec::JobSpec;
use crate::store::jobs::Job;
use crate::store::predictions::{self as table, Prediction};
use crate::store::{self, Conn};
use time::OffsetDateTime;

/// Waits of jobs that ended longer ago say nothing about now.
const RECENT: time::Duration = time::Duration::days(7);

/// What a job's figures are based on; nothing, if it is let in without an estimate.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Forecast {
    basis: Option<Basis>,
    samples: u32,
}

impl Forecast {
    pub(super) fn of(found: &Estimate) -> Self {
        Self {
            basis: Some(found.basis),
            samples: u32::try_from(found.samples).unwrap_or(u32::MAX),
        }
    }
}

/// Puts what was acknowledged in the place of what is expected now.
pub(super) fn acknowledged(seen: &wire::Estimate, quote: &mut Quote) -> Forecast {
    quote.relaxed.clone_from(&seen.constraints_relaxed);
    quote.warnings.clone_from(&seen.warnings);
    if let (Some(low), Some(high)) = (seen.estimated_cost_min_usd, seen.estimated_cost_max_usd) {
        (quote.cost_low, quote.cost_high) = (low, high);
    }
    quote.runtime = Range {
        low: seen.estimated_runtime_min_seconds,
        high: seen.estimated_runtime_max_seconds,
    };
    if let (Some(low), Some(high)) = (
        seen.estimated_queue_wait_min_seconds,
        seen.estimated_queue_wait_max_seconds,
    ) {
        quote.wait = Range { low, high };
    }
    Forecast {
        basis: Some(seen.runtime_basis_kind),
        samples: seen.runtime_sample_count,
    }
}

/// Keeps what is expected of a job that is being let in.
pub(super) async fn write(
    conn: &mut Conn,
    job: &Job,
    forecast: Forecast,
) -> Result<(), store::Error> {
    let quote = &job.quote;
    let prediction = Prediction {
        job: job.id,
        workspace: job.workspace,
        likeness: job.likeness.clone(),
        kind: kind(&job.spec),
        pool: pool(&job.spec),
        basis: forecast.basis,
        samples: forecast.samples.into(),
        predicted: Predicted {
            runtime: quote.runtime,
            wait: quote.wait,
            cost: (quote.cost_low, quote.cost_high),
            rate: job.rate,
        },
        created_at: job.created_at,
    };
    table::insert(conn, &prediction).await
}

/// Keeps how a job came out that has just ended.
pub(super) async fn resolve(conn: &mut Conn, job: &Job) -> Result<(), store::Error> {
    let at = job.completed_at.unwrap_or(job.updated_at);
    let since = job.state.since();
    let millis =
        |from: OffsetDateTime, to: OffsetDateTime| (micros(to) - micros(from)).max(0) / 1_000;
    // A command that failed or was cancelled tells nothing of how long it would have
    // run; one that was stopped at its limit took that long at least.
    let counts = matches!(
        &job.state,
        JobState::Ended {
            outcome: Outcome::Completed | Outcome::Failed(Failure::TimeLimit),
            since: Some(_),
        }
    );
    let outcome = table::Outcome {
        actual: Actual {
            runtime_millis: since.map(|since| millis(since, at)),
            wait_millis: since
                .zip(job.queued_at)
                .map(|(since, queued)| millis(queued, since)),
            cost: job.cost.unwrap_or(Usd::ZERO),
        },
        counts,
        at,
    };
    table::resolve(conn, job.id, &outcome).await
}

/// What jobs like this one took, as far as it is needed.
pub(super) async fn history(
    conn: &mut Conn,
    workspace: WorkspaceId,
    spec: &JobSpec,
) -> Result<History, Error> {
    let mut found = History {
        own: table::own(conn, workspace, &likeness(spec)).await?,
        ..History::default()
    };
    if !found.own.is_empty() {
        return Ok(found);
    }
    let kind = kind(spec);
    found.own_kind = table::own_kind(conn, workspace, &kind).await?;
    // Others are asked last, and only then: also because the workspace's own jobs,
    // which are passed over there, are few by then.
    if found.own_kind.len() < CROWD_JOBS {
        found.others = Crowd::of(table::others(conn, workspace, &kind).await?);
    }
    Ok(found)
}

/// What jobs for the same machines waited lately: everyone's, if those are of enough
/// people; else the workspace's own.
pub(super) async fn waits(
    conn: &mut Conn,
    workspace: WorkspaceId,
    spec: &JobSpec,
    now: OffsetDateTime,
) -> Result<Vec<i64>, Error> {
    let all = table::waits(conn, &pool(spec), now - RECENT).await?;
    let whose: Vec<WorkspaceId> = all.iter().map(|(workspace, _)| *workspace).collect();
    let anyone = is_a_crowd(&whose);
    Ok(all
        .into_iter()
        .filter(|(whose, _)| anyone || *whose == workspace)
        .map(|(_, seconds)| seconds)
        .collect())
}

/// How often past ranges held: the workspace's own, else everyone's, if those are of
/// enough people.
pub(super) async fn calibration(
    conn: &mut Conn,
    workspace: WorkspaceId,
) -> Result<Calibration, Error> {
    let own = table::judged(conn, workspace).await?;
    if own.len() >= usize::try_from(ENOUGH).unwrap_or(usize::MAX) {
        return Ok(Calibration::of(Whose::Own, &own));
    }
    let all = table::judged_all(conn).await?;
    let others: Vec<_> = all
        .iter()
        .filter(|(whose, _)| *whose != workspace)
        .collect();
    let whose: Vec<WorkspaceId> = others.iter().map(|(whose, _)| *whose).collect();
    let held: Vec<Held> = others.iter().map(|(_, held)| *held).collect();
    let told = if is_a_crowd(&whose) {
        Whose::Everyone
    } else {
        Whose::Nobody
    };
    Ok(Calibration::of(told, &held))
}
