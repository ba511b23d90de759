//! One session with all that is said about it.
use super::super::settings;
use super::super::templates::choices;
use super::super::usual::Times;
use super::{steps, words};
use crate::api::apps as wire;
use crate::clock::micros;
use crate::domain::app::{EndCode, Phase, ServiceState};
use crate::domain::money::Usd;
use crate::domain::template;
use crate::store::apps::AppSession;
use crate::store::apps::services::Service as Stored;
use crate::store::jobs::Job;
use time::OffsetDateTime;

/// What is known of a session.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) session: AppSession,
    pub(super) job: Job,
    pub(super) services: Vec<Stored>,
    pub(super) times: Times,
    /// Of what it printed; only of one that has failed.
    pub(super) last_lines: Vec<String>,
}

impl Parts {
    /// The service that this is of, if it has ever been noted.
    pub(super) fn service(&self, of: &template::Service) -> Option<&Stored> {
        self.services
            .iter()
            .find(|service| service.service == of.id)
    }

    pub(super) fn primary(&self) -> Option<&Stored> {
        self.service(self.session.manifest.primary())
    }

    pub(super) fn show(self, now: OffsetDateTime) -> wire::Session {
        let steps = steps::of(&self, now);
        let services = self.session.manifest.services.iter();
        let services = services.map(|of| self.shown(of)).collect();
        let cost = self.job.cost.unwrap_or_else(|| accrued(&self.job, now));
        let end = self.end(cost, &steps);
        let (kept, lost) = words::kept(&self.session.manifest);
        let Self { session, job, .. } = &self;
        let (manifest, needs) = (&session.manifest, &session.manifest.needs);
        wire::Session {
            id: session.id,
            status: session.phase,
            status_message: end.as_ref().map_or_else(
                || words::status(session, job.node.as_deref(), self.unanswered()),
                |end| end.message.clone(),
            ),
            awaited: words::awaited(&self, now),
            template: manifest.slug.clone(),
            template_name: manifest.name.clone(),
            template_version: manifest.version.clone(),
            mark: manifest.mark.clone(),
            job_id: session.job,
            job_status: job.state.status(),
            node: job.node.clone(),
            image: manifest.image.clone(),
            cpus: needs.cpus,
            memory_gb: needs.memory_gb,
            disk_gb: needs.disk_gb,
            min_vram_gb: needs.min_vram_gb,
            steps,
            services,
            choices: choices(&session.settings),
            launch_choices: choices(&session.settings.at_launch()),
            settings: settings::shown(session, now),
            hourly_rate_usd: job.rate,
            cost_usd: cost,
            hold_usd: job.hold,
            created_at: session.created_at,
            phase_since: session.phase_since,
            ready_at: session.ready_at,
            billed_from: job.billed_from,
            stops_at: session.stops_at.filter(|_| !session.phase.ended()),
            last_used_at: session.last_used_at,
            ended_at: session.ended_at,
            end,
            kept,
            lost,
            last_event: session.last_event,
        }
    }

    /// What the primary is called, while it should answer and does not.
    fn unanswered(&self) -> Option<&str> {
        let unready = self.primary()?.state != ServiceState::Ready;
        let label = &self.session.manifest.primary().label;
        (unready && self.session.phase == Phase::Running).then_some(label)
    }

    fn shown(&self, of: &template::Service) -> wire::Service {
        let found = self.service(of);
        let ready = found.is_some_and(|service| service.state == ServiceState::Ready);
        wire::Service {
            id: of.id.clone(),
            label: of.label.clone(),
            port: of.port,
            primary: of.primary,
            state: found.map_or(ServiceState::Waiting, |service| service.state),
            passed: found.map_or(0, Stored::in_a_row),
            check: found.map_or(0, Stored::check),
            needed: of.readiness.successes,
            outcome: found.and_then(|service| service.outcome.clone()),
            checked_at: found.and_then(|service| service.checked_at),
            open: ready && self.session.phase == Phase::Running,
        }
    }

    fn end(&self, charged: Usd, steps: &[wire::Step]) -> Option<wire::End> {
        let session = &self.session;
        if !session.phase.ended() {
            return None;
        }
        let code = session.end_code.unwrap_or(match session.phase {
            Phase::Failed => EndCode::Lost,
            Phase::Expired => EndCode::TimeLimit,
            _ => EndCode::Stopped,
        });
        let failed = steps
            .iter()
            .find(|step| step.state == wire::StepState::Failed);
        Some(wire::End {
            code,
            message: session
                .end_reason
                .clone()
                .unwrap_or_else(|| words::ended(self, code)),
            advice: words::advice(self, code),
            failed_step: failed.map(|step| step.id.clone()),
            last_lines: self.last_lines.clone(),
            charged_usd: charged,
        })
    }
}

/// What it has run up by `now`; never more than is held.
fn accrued(job: &Job, now: OffsetDateTime) -> Usd {
    let Some(from) = job.billed_from else {
        return Usd::ZERO;
    };
    job.rate
        .for_millis((micros(now) - micros(from)).max(0) / 1_000)
        .min(job.hold)
}
