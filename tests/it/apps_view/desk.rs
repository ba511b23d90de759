//! A launch as the database has it, moved on by hand.
use crate::harness::{Answer, TestApi};
use junglegrid::domain::app::{Added, EndCode, Phase, ServiceState, Settings};
use junglegrid::domain::estimate::{Quote, Range};
use junglegrid::domain::id::{AccountId, WorkspaceId};
use junglegrid::domain::job::{Failure, Outcome, Phase as JobPhase, State as JobState};
use junglegrid::domain::money::Usd;
use junglegrid::domain::spec::{JobSpec, Resources, Routing, WorkloadType};
use junglegrid::domain::template::Manifest;
use junglegrid::orchestrator::Change;
use junglegrid::random;
use junglegrid::store::apps::events::NewEvent;
use junglegrid::store::apps::{self, AppSession, services};
use junglegrid::store::jobs::logs::{self, Batch, NewLine};
use junglegrid::store::jobs::{self, Job, runs};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use time::Duration;

/// A person, and what a launch of theirs looks like in the database.
pub(super) struct Desk {
    pub(super) api: TestApi,
    pub(super) token: String,
    pub(super) who: (AccountId, WorkspaceId),
}

impl Desk {
    pub(super) async fn start() -> Self {
        let api = TestApi::start().await;
        Self::of(api, "ada@example.org").await
    }

    pub(super) async fn of(api: TestApi, email: &str) -> Self {
        let token = api.sign_up(email).await;
        let me = api.get("/auth/session", &token).await;
        let who = (
            me.text("/account/id").parse().unwrap(),
            me.text("/workspace/id").parse().unwrap(),
        );
        Self { api, token, who }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        self.api.get(path, &self.token).await
    }

    pub(super) async fn see(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// A launch that waits for capacity.
    pub(super) async fn launch(&self, manifest: Manifest) -> App<'_> {
        let now = self.api.clock.now();
        let (account, workspace) = self.who;
        let id = random::id(now);
        let mut job = Job {
            id: random::id(now),
            workspace,
            account,
            spec: JobSpec {
                name: manifest.name.clone(),
                workload_type: WorkloadType::Inference,
                image: manifest.image.clone(),
                argv: manifest.command.clone(),
                command_line: String::new(),
                environment: BTreeMap::new(),
                resources: Resources::default(),
                routing: Routing::default(),
                time_limit_seconds: 14_400,
                expected_artifacts: Vec::new(),
                files: Vec::new(),
                notices: Vec::new(),
                app: Some(id),
                metadata: None,
            },
            likeness: "app".into(),
            state: JobState::Queued,
            phase_since: now,
            version: 0,
            last_event: 0,
            last_log: 0,
            attempt: 1,
            engine: None,
            node: None,
            reason: None,
            rate: Usd::from_micros(120_000),
            hold: Usd::from_micros(480_000),
            cost: None,
            billed_from: None,
            quote: Quote {
                cost_low: Usd::ZERO,
                cost_high: Usd::ZERO,
                runtime: Range { low: 0, high: 60 },
                wait: Range { low: 0, high: 0 },
                relaxed: Vec::new(),
                warnings: Vec::new(),
            },
            created_at: now,
            updated_at: now,
            queued_at: Some(now),
            assigned_at: None,
            completed_at: None,
        };
        let settings = Settings {
            max_minutes: 240,
            idle_minutes: 30,
            max_usd_micros: None,
            added: Added::default(),
        };
        let mut session =
            AppSession::new(id, (workspace, account), job.id, (manifest, settings), now);
        let origins = session.manifest.services.iter();
        let origins: Vec<_> = origins
            .map(|service| (service.id.clone(), random::token("")[..26].to_owned()))
            .collect();
        let mut conn = self.api.state.store().read().await.unwrap();
        jobs::insert(&mut conn, &mut job, &[]).await.unwrap();
        let said = [event("app.created", "Launched")];
        apps::insert(&mut conn, &mut session, &origins, &said)
            .await
            .unwrap();
        runs::intend(&mut conn, (job.id, 1), ("stub", "node-1"), now)
            .await
            .unwrap();
        App {
            desk: self,
            session,
            job,
        }
    }
}

pub(super) fn event(kind: &'static str, title: &str) -> NewEvent {
    NewEvent {
        kind,
        service: None,
        title: title.into(),
        message: format!("{title}."),
        level: "info",
    }
}

/// A host app with a primary and a secondary service.
pub(super) fn files() -> Manifest {
    let service = |id: &str, label: &str, port: u16, primary: bool| {
        json!({ "id": id, "label": label, "port": port, "primary": primary,
                "readiness": { "path": "/" } })
    };
    serde_json::from_value(json!({
        "slug": "files", "name": "Files", "mark": "Fi", "summary": "Files.", "version": "1.0",
        "image": "host", "command": ["/run/junglegrid", "app", "files"],
        "licence": { "spdx": "MIT", "source_url": "https://example.org" },
        "services": [service("web", "Files", 8080, true), service("term", "Terminal", 8081, false)],
        "volumes": [{ "name": "work", "mount": "/workspace" }],
        "needs": { "cpus": 1, "memory_gb": 0.5, "disk_gb": 1.0 },
        "phases": { "image": [0, 0], "start": [1, 6], "services": [2, 10] },
        "start_timeout_seconds": 60,
    }))
    .unwrap()
}

/// An app that is pulled.
pub(super) fn studio() -> Manifest {
    let mut studio = files();
    studio.slug = "studio".into();
    studio.name = "Studio".into();
    studio.image = "registry.example.org/studio@sha256:0".into();
    studio.phases.image = (60, 180);
    studio.services.truncate(1);
    studio.volumes.clear();
    studio
}

/// One launch, moved on by hand.
pub(super) struct App<'d> {
    pub(super) desk: &'d Desk,
    pub(super) session: AppSession,
    pub(super) job: Job,
}

impl App<'_> {
    pub(super) fn path(&self) -> String {
        format!("/v1/app-sessions/{}", self.session.id)
    }

    pub(super) fn wait(&self, seconds: i64) {
        self.desk.api.clock.advance(Duration::seconds(seconds));
    }

    pub(super) fn tell(&self) {
        self.desk.api.state.hub().publish(Change::App {
            workspace: self.session.workspace,
            session: self.session.id,
            job: self.session.job,
        });
    }

    /// Writes what has been changed, with these events, and tells of it.
    pub(super) async fn write(&mut self, said: &[NewEvent]) {
        let now = self.desk.api.clock.now();
        let mut conn = self.desk.api.state.store().read().await.unwrap();
        apps::update(&mut conn, &mut self.session, said, now)
            .await
            .unwrap();
        jobs::update(&mut conn, &mut self.job, &[]).await.unwrap();
        self.tell();
    }

    /// On to this phase, with an event that says so.
    pub(super) async fn to(&mut self, phase: Phase) {
        let now = self.desk.api.clock.now();
        self.session.phase = phase;
        self.session.phase_since = now;
        match phase {
            Phase::Reserved => {
                self.session.reserved_at = Some(now);
                self.job.node = Some("node-1".into());
                self.job.state = JobState::Assigned {
                    step: JobPhase::Starting,
                };
            }
            Phase::Image => self.session.image_at = Some(now),
            Phase::Starting => self.session.starting_at = Some(now),
            Phase::Created => {}
            Phase::Services => {
                self.session.started_at = Some(now);
                self.job.state = JobState::Running { since: now };
            }
            Phase::Running => {
                self.session.ready_at = Some(now);
                self.session.stops_at = Some(now + Duration::hours(4));
                self.job.billed_from = Some(now);
            }
            Phase::Stopping => self.session.stopping_at = Some(now),
            Phase::Ended | Phase::Failed | Phase::Expired => self.session.ended_at = Some(now),
        }
        self.write(&[event("app.phase", phase.name())]).await;
    }

    pub(super) async fn check(
        &self,
        service: &str,
        state: ServiceState,
        passed: u32,
        outcome: &str,
    ) {
        let mut conn = self.desk.api.state.store().read().await.unwrap();
        let all = services::of(&mut conn, self.session.id).await.unwrap();
        let mut found = all.into_iter().find(|one| one.service == service).unwrap();
        let now = self.desk.api.clock.now();
        found.state = state;
        found.passed = passed;
        found.checked_at = Some(now);
        if passed > 0 {
            found.answered_at = Some(now);
        }
        found.outcome = Some(outcome.into());
        if state == ServiceState::Ready {
            found.ready_at = Some(found.ready_at.unwrap_or(now));
        }
        services::update(&mut conn, &found).await.unwrap();
        self.tell();
    }

    /// Prints lines `from..=to`.
    pub(super) async fn print(&self, from: i64, to: i64) {
        let lines: Vec<_> = (from..=to)
            .map(|n| NewLine {
                stream: "stdout",
                message: format!("line {n}"),
                truncated: false,
                dropped: 0,
                at: self.desk.api.clock.now(),
            })
            .collect();
        let cursor = |n: i64| if n == 0 { String::new() } else { n.to_string() };
        let (before, after) = (cursor(from - 1), cursor(to));
        let mut conn = self.desk.api.state.store().read().await.unwrap();
        let run = (self.job.id, 1);
        let (batch, limits) = (Batch::new(lines), self.desk.api.state.config().logs);
        logs::append(&mut conn, run, (&before, &after), &batch, &limits)
            .await
            .unwrap();
        self.desk.api.state.hub().publish(Change::Logs {
            workspace: self.session.workspace,
            job: self.job.id,
        });
    }

    /// Its job and it come to this end.
    pub(super) async fn end(&mut self, code: EndCode, outcome: Outcome, cost: i64) {
        let now = self.desk.api.clock.now();
        self.job.state = JobState::Ended {
            outcome,
            since: self.session.started_at,
        };
        self.job.completed_at = Some(now);
        self.job.cost = Some(Usd::from_micros(cost));
        self.session.end_code = Some(code);
        self.to(code.phase()).await;
    }

    /// Ready, a second per phase.
    pub(super) async fn ready(&mut self) {
        for phase in [Phase::Reserved, Phase::Starting, Phase::Services] {
            self.wait(1);
            self.to(phase).await;
        }
        self.wait(1);
        self.check("web", ServiceState::Ready, 2, "200").await;
        self.to(Phase::Running).await;
    }

    pub(super) async fn show(&self) -> Value {
        self.desk.see(&self.path()).await
    }
}

pub(super) fn failed(why: &str) -> Outcome {
    Outcome::Failed(Failure::NotStarted(why.into()))
}
