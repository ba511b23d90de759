//! What a receiver is told.
use crate::api::ended::JobEnded;
use crate::orchestrator::lifecycle;
use crate::store::jobs::Job;
use serde_json::json;
use time::OffsetDateTime;

/// As JSON. `metadata` is JSON too: an object of texts.
pub(super) fn of(job: &Job, metadata: Option<&str>, now: OffsetDateTime) -> String {
    let status = job.state.status();
    let reason = lifecycle::summary(job);
    let told = JobEnded {
        kind: format!("job.{status}"),
        timestamp: now,
        job_id: job.id,
        status,
        status_reason: (!reason.is_empty()).then_some(reason),
        exit_code: job.exit_code(),
        name: job.spec.name.clone(),
        workload_type: job.spec.workload_type,
        cost_usd: job.cost,
        created_at: job.created_at,
        started_at: job.state.since(),
        finished_at: job.completed_at.unwrap_or(now),
        metadata: metadata.and_then(|text| serde_json::from_str(text).ok()),
    };
    json!(told).to_string()
}
