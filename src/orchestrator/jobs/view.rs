//! Jobs, events and output as they go over the wire.
use crate::api::jobs as wire;
use crate::api::logs::Item;
use crate::clock::micros;
use crate::domain::estimate::said;
use crate::domain::file::{FileName, JobFile, Kind};
use crate::domain::id::{AppSessionId, JobId};
use crate::domain::job::{Failure, Outcome, Phase, State};
use crate::domain::money::Usd;
use crate::orchestrator::Error;
use crate::orchestrator::lifecycle::summary;
use crate::store::jobs::Job;
use crate::store::jobs::events::Event;
use crate::store::jobs::logs::Line;
use crate::store::{Conn, apps, artifacts};
use time::OffsetDateTime;

/// Contract 3.5. `delay` says why it waits, if it does.
pub(in crate::orchestrator) fn job(
    job: Job,
    delay: Option<wire::DelayReason>,
    now: OffsetDateTime,
) -> wire::Job {
    let status = job.state.status();
    let phase = job.state.phase();
    let started_at = job.state.since();
    let queued_until = started_at.or(job.completed_at).unwrap_or(now);
    let wait = job
        .queued_at
        .map_or(0, |at| (queued_until - at).whole_seconds().max(0));
    wire::Job {
        job_id: job.id,
        id: job.id,
        status_message: message(&job, now),
        status_reason: reason(&job),
        exit_code: job.exit_code(),
        timed_out: matches!(
            job.state,
            State::Ended {
                outcome: Outcome::Failed(Failure::TimeLimit),
                ..
            }
        ),
        failure: failure(&job),
        artifact_contract: artifact_contract(&job),
        billing: billing(&job, now),
        scheduling: wire::Scheduling {
            state: match &job.state {
                State::Pending | State::Queued => "waiting",
                State::Assigned { .. }
                | State::Running { .. }
                | State::Collecting { .. }
                | State::Stopping { .. } => "placed",
                State::Ended { .. } => "ended",
            }
            .into(),
            provider: job.engine.clone(),
        },
        startup_diagnostics: wire::StartupDiagnostics {
            command_spawned: started_at.is_some(),
            // Where no command was spawned, all that is there was said by the platform.
            workload_logs_available: started_at.is_some() && job.last_log > 0,
            inputs_prepared: prepared(&job, Kind::Input),
            scripts_prepared: prepared(&job, Kind::Script),
        },
        delayed_start: job.state == State::Queued && wait > job.quote.wait.high,
        delay_reason: delay,
        name: job.spec.name,
        workload_type: job.spec.workload_type,
        image: job.spec.image,
        command: job.spec.command_line,
        metadata: job.spec.metadata,
        created_at: job.created_at,
        updated_at: job.updated_at,
        queued_at: job.queued_at,
        started_at,
        completed_at: job.completed_at.filter(|_| job.state.ended()),
        status,
        phase,
        execution_phase: phase,
        phase_started_at: job.phase_since,
        phase_last_updated_at: job.updated_at,
        last_status_update: job.updated_at,
        wait_duration_seconds: wait,
        assigned_node_id: job.node,
        provider: job.engine,
        gpu_type: job.spec.resources.gpu_type,
        gpu_class: job.spec.routing.gpu_class,
        region_preference: job.spec.routing.region_preference,
        region_mode: job.spec.routing.region_mode,
        optimize_for: job.spec.routing.optimize_for,
        constraints_relaxed: job.quote.relaxed,
        time_limit_seconds: job.spec.time_limit_seconds,
        artifacts_ready: status.ended(),
        input_files: given(&job.spec.files, Kind::Input),
        script_file: given(&job.spec.files, Kind::Script)
            .into_iter()
            .next()
            .map(|file| file.input_id),
        script_files: given(&job.spec.files, Kind::Script),
        hourly_rate_usd: job.rate,
        hold_usd: job.hold,
        estimated_cost_usd: Some(job.quote.cost_high),
        estimated_cost_min_usd: job.quote.cost_low,
        estimated_cost_max_usd: job.quote.cost_high,
        actual_cost_usd: job.cost,
        warnings: job.quote.warnings,
        app_session_id: job.spec.app,
        app_session_end: None,
        last_event: job.last_event,
    }
}

/// Why a job that has ended did so.
pub(in crate::orchestrator) fn reason(job: &Job) -> Option<String> {
    let ended = job.state.ended().then(|| summary(job));
    ended.filter(|text| !text.is_empty())
}

fn billing(job: &Job, now: OffsetDateTime) -> wire::Billing {
    wire::Billing {
        status: match (job.cost, job.hold > Usd::ZERO) {
            (Some(_), _) => "settled",
            (None, true) => "held",
            (None, false) => "none",
        }
        .into(),
        final_cost_usd: job.cost,
        actual_cost_usd: job.cost,
        cost_usd: job.cost.unwrap_or_else(|| accrued(job, now)),
    }
}

/// What a job that has not ended has run up by `now`; never more than its hold.
fn accrued(job: &Job, now: OffsetDateTime) -> Usd {
    let Some(since) = job.costs_from() else {
        return Usd::ZERO;
    };
    let now = match job.state {
        State::Collecting { until, .. } => now.min(until),
        _ => now,
    };
    job.rate
        .for_millis((micros(now) - micros(since)) / 1_000)
        .min(job.hold)
}

fn message(job: &Job, now: OffsetDateTime) -> String {
    let node = job.node.as_deref().unwrap_or("a machine");
    match &job.state {
        State::Pending => "Being checked.".into(),
        State::Queued => "Waiting for a free slot.".into(),
        State::Assigned {
            step: Phase::PullingImage,
        } => format!("Pulling the image on {node}."),
        State::Assigned {
            step: Phase::PreparingInputs,
        } => format!("Copying files to {node}."),
        State::Assigned { .. } => format!("Starting on {node}."),
        State::Running { since } => {
            format!(
                "Running on {node} for {}.",
                said((now - *since).whole_seconds().max(0))
            )
        }
        State::Collecting { .. } => "The command has ended; its files are being collected.".into(),
        State::Stopping { .. } => "Stopping.".into(),
        State::Ended { outcome, since } => {
            let took = match (since, job.completed_at) {
                (Some(since), Some(end)) => match (end - *since).whole_seconds() {
                    ..1 => " in under a second".to_owned(),
                    seconds => format!(" after {}", said(seconds)),
                },
                _ => String::new(),
            };
            match outcome {
                Outcome::Completed => format!("Completed{took}."),
                Outcome::Failed(_) => format!("Failed{took}."),
                Outcome::Cancelled => format!("Cancelled{took}."),
                Outcome::Rejected(_) => "Rejected.".into(),
            }
        }
    }
}

fn failure(job: &Job) -> Option<wire::Failure> {
    let (code, retryable) = match &job.state {
        State::Ended {
            outcome: Outcome::Failed(failure),
            ..
        } => (failure.code(), failure.retryable()),
        State::Ended {
            outcome: Outcome::Rejected(_),
            ..
        } => ("REJECTED", false),
        _ => return None,
    };
    let stage = match code {
        _ if job.state.since().is_some() => Phase::Executing,
        "IMAGE_UNAVAILABLE" => Phase::PullingImage,
        _ => Phase::Starting,
    };
    Some(wire::Failure {
        code: code.into(),
        summary: summary(job),
        stage: stage.name().into(),
        log_excerpt: None,
        retryable,
    })
}

fn artifact_contract(job: &Job) -> wire::ArtifactContract {
    let expected = job
        .spec
        .expected_artifacts
        .iter()
        .map(|path| wire::ExpectedArtifact {
            path: path.clone(),
            filename: path.rsplit('/').next().unwrap_or_default().to_owned(),
            required: true,
        });
    wire::ArtifactContract {
        expected_artifacts: expected.collect(),
        automatic_collection_dir: "/workspace/artifacts".into(),
        missing_artifacts: Vec::new(),
        collected_files: None,
        collected_bytes: None,
        left_out: None,
        left_out_reason: None,
    }
}

/// Whether files of this kind have been copied; nothing for a job without any.
fn prepared(job: &Job, kind: Kind) -> Option<bool> {
    let any = job.spec.files.iter().any(|file| file.kind == kind);
    any.then(|| job.state.since().is_some())
}

fn given(files: &[JobFile], kind: Kind) -> Vec<wire::InputFile> {
    let of_kind = files.iter().filter(|file| file.kind == kind);
    of_kind
        .map(|file| {
            let filename = file.filename.as_ref().map_or("", FileName::as_str);
            wire::InputFile {
                input_id: file.input_id.clone(),
                filename: filename.to_owned(),
                size_bytes: file.size_bytes,
                mount_path: kind.mount_path(filename),
            }
        })
        .collect()
}

/// Adds to jobs what was collected of them, and how those ended that are apps.
pub(in crate::orchestrator) async fn with_collections(
    conn: &mut Conn,
    jobs: &mut [wire::Job],
) -> Result<(), Error> {
    let ended = jobs.iter().filter(|job| job.status.ended());
    let ids: Vec<JobId> = ended.map(|job| job.id).collect();
    let mut collections = artifacts::collections(conn, &ids).await?;
    let ended = jobs.iter().filter(|job| job.status.ended());
    let apps: Vec<AppSessionId> = ended.filter_map(|job| job.app_session_id).collect();
    let ends = apps::queries::ends(conn, &apps).await?;
    for job in jobs {
        let app = job.app_session_id.filter(|_| job.status.ended());
        job.app_session_end = app.and_then(|app| ends.get(&app).copied());
        let Some(collection) = collections.remove(&job.id) else {
            continue;
        };
        let contract = &mut job.artifact_contract;
        contract.collected_files = Some(collection.files);
        contract.collected_bytes = Some(collection.bytes);
        contract.left_out = Some(collection.left_out).filter(|count| *count > 0);
        contract.left_out_reason = Some(collection.why).filter(|why| !why.is_empty());
        contract.missing_artifacts = collection.missing;
    }
    Ok(())
}

/// Contract 3.7.
pub(in crate::orchestrator) fn event(job: JobId, event: Event) -> wire::Event {
    wire::Event {
        id: format!("{job}:{}", event.seq),
        kind: event.kind,
        phase: event.phase,
        title: event.title,
        message: event.message,
        source: event.source,
        level: event.level,
        created_at: event.created_at,
        sequence: event.seq,
    }
}

/// Contract 3.8.
pub(in crate::orchestrator) fn line(line: Line, node: Option<&String>) -> Item {
    let (category, source) = match line.stream {
        "stdout" => ("workload_stdout", "workload"),
        "stderr" => ("workload_stderr", "workload"),
        _ => ("platform", "engine"),
    };
    Item {
        entry_id: line.entry,
        node_id: node.cloned(),
        source: source.into(),
        category: category.into(),
        stream: line.stream.into(),
        message: line.message,
        truncated: line.truncated,
        created_at: line.at,
        timestamp: line.at,
        level: line.level.name().into(),
        dropped_lines: (line.dropped > 0).then_some(line.dropped),
        matches: Vec::new(),
    }
}
