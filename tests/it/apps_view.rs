//! Apps as the API shows them, in every phase, listed and live. The rows are
//! written as launches and their workers write them.
mod board;
mod live;

use crate::harness::{Answer, TestApi};
use junglegrid::domain::app::{EndCode, Phase, ServiceState, Settings};
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
use junglegrid::store::jobs::logs::{self, NewLine};
use junglegrid::store::jobs::{self, Job, runs};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use time::Duration;

/// A person, and what a launch of theirs looks like in the database.
struct Desk {
    api: TestApi,
    token: String,
    who: (AccountId, WorkspaceId),
}

impl Desk {
    async fn start() -> Self {
        let api = TestApi::start().await;
        Self::of(api, "ada@example.org").await
    }

    async fn of(api: TestApi, email: &str) -> Self {
        let token = api.sign_up(email).await;
        let me = api.get("/auth/session", &token).await;
        let who = (
            me.text("/account/id").parse().unwrap(),
            me.text("/workspace/id").parse().unwrap(),
        );
        Self { api, token, who }
    }

    async fn get(&self, path: &str) -> Answer {
        self.api.get(path, &self.token).await
    }

    async fn see(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// A launch that waits for capacity.
    async fn launch(&self, manifest: Manifest) -> App<'_> {
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
        let mut session = AppSession {
            id,
            workspace,
            account,
            job: job.id,
            settings: Settings {
                max_minutes: 240,
                idle_minutes: 30,
                max_usd_micros: None,
            },
            phase: Phase::Created,
            phase_since: now,
            version: 0,
            last_event: 0,
            created_at: now,
            reserved_at: None,
            image_at: None,
            started_at: None,
            ready_at: None,
            stopping_at: None,
            ended_at: None,
            image_done: None,
            image_total: None,
            stops_at: None,
            last_used_at: None,
            end_code: None,
            end_reason: None,
            failed_step: None,
            manifest,
        };
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

fn event(kind: &'static str, title: &str) -> NewEvent {
    NewEvent {
        kind,
        service: None,
        title: title.into(),
        message: format!("{title}."),
        level: "info",
    }
}

/// A host app with a primary and a secondary service.
fn files() -> Manifest {
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
fn studio() -> Manifest {
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
struct App<'d> {
    desk: &'d Desk,
    session: AppSession,
    job: Job,
}

impl App<'_> {
    fn path(&self) -> String {
        format!("/v1/app-sessions/{}", self.session.id)
    }

    fn wait(&self, seconds: i64) {
        self.desk.api.clock.advance(Duration::seconds(seconds));
    }

    fn tell(&self) {
        self.desk.api.state.hub().publish(Change::App {
            workspace: self.session.workspace,
            session: self.session.id,
            job: self.session.job,
        });
    }

    /// Writes what has been changed, with these events, and tells of it.
    async fn write(&mut self, said: &[NewEvent]) {
        let now = self.desk.api.clock.now();
        let mut conn = self.desk.api.state.store().read().await.unwrap();
        apps::update(&mut conn, &mut self.session, said, now)
            .await
            .unwrap();
        jobs::update(&mut conn, &mut self.job, &[]).await.unwrap();
        self.tell();
    }

    /// On to this phase, with an event that says so.
    async fn to(&mut self, phase: Phase) {
        let now = self.desk.api.clock.now();
        self.session.phase = phase;
        self.session.phase_since = now;
        match phase {
            Phase::Created => {}
            Phase::Reserved => {
                self.session.reserved_at = Some(now);
                self.job.node = Some("node-1".into());
                self.job.state = JobState::Assigned {
                    step: JobPhase::Starting,
                };
            }
            Phase::Image => self.session.image_at = Some(now),
            Phase::Starting => {}
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

    async fn check(&self, service: &str, state: ServiceState, passed: u32, outcome: &str) {
        let mut conn = self.desk.api.state.store().read().await.unwrap();
        let all = services::of(&mut conn, self.session.id).await.unwrap();
        let mut found = all.into_iter().find(|one| one.service == service).unwrap();
        let now = self.desk.api.clock.now();
        found.state = state;
        found.passed = passed;
        found.checked_at = Some(now);
        found.outcome = Some(outcome.into());
        if state == ServiceState::Ready {
            found.ready_at = Some(found.ready_at.unwrap_or(now));
        }
        services::update(&mut conn, &found).await.unwrap();
        self.tell();
    }

    /// Prints lines `from..=to`.
    async fn print(&self, from: i64, to: i64) {
        let lines: Vec<_> = (from..=to)
            .map(|n| NewLine {
                stream: "stdout",
                message: format!("line {n}"),
                truncated: false,
                at: self.desk.api.clock.now(),
            })
            .collect();
        let cursor = |n: i64| if n == 0 { String::new() } else { n.to_string() };
        let (before, after) = (cursor(from - 1), cursor(to));
        let mut conn = self.desk.api.state.store().read().await.unwrap();
        let run = (self.job.id, 1);
        logs::append(&mut conn, run, (&before, &after), &lines)
            .await
            .unwrap();
        self.desk.api.state.hub().publish(Change::Logs {
            workspace: self.session.workspace,
            job: self.job.id,
        });
    }

    /// Its job and it come to this end.
    async fn end(&mut self, code: EndCode, outcome: Outcome, cost: i64) {
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
    async fn ready(&mut self) {
        for phase in [Phase::Reserved, Phase::Starting, Phase::Services] {
            self.wait(1);
            self.to(phase).await;
        }
        self.wait(1);
        self.check("web", ServiceState::Ready, 2, "200").await;
        self.to(Phase::Running).await;
    }

    async fn show(&self) -> Value {
        self.desk.see(&self.path()).await
    }
}

/// What a person would read of it.
fn told(session: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let time = |value: &Value| text(value).get(11..19).unwrap_or("-").to_owned();
    let mut told = format!(
        "{}: {} [{}] cost {}\n",
        text(&session["status"]),
        text(&session["status_message"]),
        text(&session["awaited"]),
        session["cost_usd"]
    );
    for step in session["steps"].as_array().unwrap() {
        let slow = if step["slow"] == true { " SLOW" } else { "" };
        let usual = &step["usual"];
        let usual = match usual["high_seconds"].as_i64() {
            Some(high) => format!(" usually {}-{high} s", usual["low_seconds"]),
            None => String::new(),
        };
        let _ = writeln!(
            told,
            "  {} {}: {} {}..{}{usual}{slow} {}",
            text(&step["id"]),
            text(&step["title"]),
            text(&step["state"]),
            time(&step["since"]),
            time(&step["done_at"]),
            text(&step["detail"]),
        );
    }
    for service in session["services"].as_array().unwrap() {
        let _ = writeln!(
            told,
            "  {} {} {}/{} open={}",
            text(&service["label"]),
            text(&service["state"]),
            service["passed"],
            service["needed"],
            service["open"]
        );
    }
    told
}

#[tokio::test]
async fn every_phase_is_told_in_words() {
    let desk = Desk::start().await;
    let mut app = desk.launch(files()).await;
    let mut all = String::new();
    let add = async |all: &mut String, app: &App<'_>| all.push_str(&told(&app.show().await));
    app.wait(30);
    add(&mut all, &app).await;
    app.to(Phase::Reserved).await;
    app.wait(1);
    add(&mut all, &app).await;
    app.to(Phase::Starting).await;
    app.wait(20);
    add(&mut all, &app).await;
    app.to(Phase::Services).await;
    app.wait(2);
    app.check("web", ServiceState::Checking, 0, "503").await;
    add(&mut all, &app).await;
    app.wait(2);
    app.check("web", ServiceState::Checking, 1, "200").await;
    add(&mut all, &app).await;
    app.wait(2);
    app.check("web", ServiceState::Ready, 2, "200").await;
    app.to(Phase::Running).await;
    app.wait(1_800);
    add(&mut all, &app).await;
    app.check("web", ServiceState::Unready, 0, "connection refused")
        .await;
    add(&mut all, &app).await;
    app.session.end_reason = Some("Stopped on request.".into());
    app.to(Phase::Stopping).await;
    app.wait(2);
    add(&mut all, &app).await;
    app.end(EndCode::Stopped, Outcome::Cancelled, 60_000).await;
    let mut conn = desk.api.state.store().read().await.unwrap();
    services::stop(&mut conn, app.session.id).await.unwrap();
    add(&mut all, &app).await;
    insta::assert_snapshot!(all);

    let session = app.show().await;
    assert_eq!(session["kept"], json!(["Files in /workspace are kept."]));
    assert_eq!(
        session["lost"],
        json!(["Everything else in the app is lost when it stops."])
    );
    assert_eq!(session["end"]["charged_usd"], json!(0.06));
    assert_eq!(session["end"]["code"], "stopped");
    assert!(session["end"].get("advice").is_none(), "{session}");
    assert!(session["end"].get("last_lines").is_none(), "{session}");
    assert_eq!(session["choices"]["max_hours"], json!(4.0));
    assert_eq!(session["node"], "node-1");
    assert!(session.get("stops_at").is_none(), "{session}");
}

#[tokio::test]
async fn an_image_is_shown_in_bytes() {
    let desk = Desk::start().await;
    let mut app = desk.launch(studio()).await;
    app.to(Phase::Reserved).await;
    app.to(Phase::Image).await;
    (app.session.image_done, app.session.image_total) = (Some(1_250_000_000), Some(4_800_000_000));
    app.write(&[]).await;
    app.wait(181);
    let session = app.show().await;
    let step = &session["steps"][2];
    assert_eq!(step["id"], "image");
    assert_eq!(step["bytes"], json!([1_250_000_000_i64, 4_800_000_000_i64]));
    assert_eq!(step["detail"], "1.2 of 4.8 GB.");
    assert_eq!(step["slow"], true);
    assert_eq!(step["state"], "doing");
    assert_eq!(session["status_message"], "Pulling the image on node-1.");
    let lost = session["lost"][0].as_str().unwrap();
    assert!(lost.starts_with("Nothing is kept"), "{lost}");
    app.end(EndCode::ImageMissing, failed("no such image"), 0)
        .await;
    let session = app.show().await;
    assert_eq!(session["end"]["failed_step"], "image");
    let advice = session["end"]["advice"].as_str().unwrap();
    assert!(advice.contains("registry.example.org"), "{advice}");
    assert_eq!(session["cost_usd"], json!(0.0));
}

fn failed(why: &str) -> Outcome {
    Outcome::Failed(Failure::NotStarted(why.into()))
}

#[tokio::test]
async fn a_failure_names_its_step_and_cause_and_shows_the_last_lines() {
    let desk = Desk::start().await;
    let exit = |code| Outcome::Failed(Failure::Exit(code));
    let rejected = Outcome::Rejected("no".into());
    for (code, outcome, phase, step, advice) in [
        (
            EndCode::Rejected,
            rejected,
            Phase::Created,
            "reserved",
            "lacks",
        ),
        (
            EndCode::Crashed,
            exit(127),
            Phase::Starting,
            "starting",
            "/run/junglegrid (exit code 127)",
        ),
        (
            EndCode::Crashed,
            exit(3),
            Phase::Services,
            "service-web",
            "exit code 3",
        ),
        (
            EndCode::Crashed,
            Outcome::Completed,
            Phase::Services,
            "service-web",
            "without an error",
        ),
        (
            EndCode::NeverReady,
            Outcome::Cancelled,
            Phase::Services,
            "service-web",
            "answered 503",
        ),
        (
            EndCode::OutOfMemory,
            Outcome::Failed(Failure::OutOfMemory),
            Phase::Services,
            "service-web",
            "0.5 GB",
        ),
        (
            EndCode::Died,
            Outcome::Failed(Failure::Signal(9)),
            Phase::Running,
            "",
            "memory",
        ),
        (
            EndCode::Lost,
            Outcome::Failed(Failure::Lost("gone".into())),
            Phase::Running,
            "",
            "not your doing",
        ),
    ] {
        let mut app = desk.launch(files()).await;
        for next in [
            Phase::Reserved,
            Phase::Starting,
            Phase::Services,
            Phase::Running,
        ] {
            if next <= phase {
                app.to(next).await;
            }
        }
        if phase == Phase::Services {
            app.check("web", ServiceState::Checking, 0, "503").await;
        } else if phase == Phase::Running {
            app.check("web", ServiceState::Ready, 2, "200").await;
        }
        app.print(1, 25).await;
        app.end(code, outcome, 0).await;
        let session = app.show().await;
        let end = &session["end"];
        assert_eq!(session["status"], "failed");
        assert_eq!(end["code"], code.name());
        assert_eq!(
            end["failed_step"].as_str().unwrap_or_default(),
            step,
            "{session}"
        );
        let said = end["advice"].as_str().unwrap();
        assert!(said.contains(advice), "{code:?}: {said}");
        assert_eq!(session["status_message"], end["message"]);
        assert_ne!(end["message"], "");
        let lines: Vec<_> = (6..=25).map(|n| format!("line {n}")).collect();
        assert_eq!(end["last_lines"], json!(lines));
        for step in session["steps"].as_array().unwrap() {
            let state = step["state"].as_str().unwrap();
            assert!(!["doing", "waiting"].contains(&state), "{step}");
        }
        // What a worker noted counts for more than what can be concluded.
        app.session.failed_step = Some("service-term".into());
        app.session.end_reason = Some("It fell over.".into());
        app.write(&[]).await;
        let session = app.show().await;
        assert_eq!(session["end"]["failed_step"], "service-term");
        assert_eq!(session["end"]["message"], "It fell over.");
    }
}

#[tokio::test]
async fn what_is_usual_comes_from_history_once_there_is_enough() {
    let desk = Desk::start().await;
    let start = async |app: &App<'_>| {
        let steps = app.show().await["steps"].take();
        let usual = &steps[2]["usual"];
        (
            usual["high_seconds"].as_i64().unwrap(),
            usual["samples"].as_i64().unwrap(),
        )
    };
    for (launches, usual) in [(0, (6, 0)), (1, (6, 0)), (2, (6, 0)), (3, (40, 3))] {
        let mut app = desk.launch(files()).await;
        assert_eq!(start(&app).await, usual, "after {launches}");
        app.to(Phase::Reserved).await;
        app.to(Phase::Starting).await;
        app.wait(20 + 10 * launches);
        let slow = app.show().await["steps"][2]["slow"].clone();
        assert_eq!(slow, launches < 3 || 20 + 10 * launches > 40);
        app.to(Phase::Services).await;
        app.wait(3);
        app.to(Phase::Running).await;
        app.end(EndCode::Stopped, Outcome::Cancelled, 0).await;
    }
    let other = desk.launch(studio()).await;
    assert_eq!(
        other.show().await["steps"][3]["usual"]["samples"],
        0,
        "of its own template"
    );
}

#[tokio::test]
async fn the_list_is_walked_page_by_page_and_filtered() {
    let desk = Desk::start().await;
    let mut all = BTreeSet::new();
    for n in 0..45 {
        let mut app = desk
            .launch(if n % 3 == 0 { studio() } else { files() })
            .await;
        if n % 2 == 0 {
            app.wait(1);
        }
        if n >= 40 {
            app.ready().await;
        } else if n >= 30 {
            app.end(EndCode::Crashed, failed("no"), 0).await;
        }
        all.insert(app.session.id.to_string());
    }
    let stranger = Desk::of(desk.api.from("192.0.2.2"), "eve@example.org").await;
    let foreign = stranger.launch(files()).await;
    let walk = async |filter: &str| {
        let (mut ids, mut times) = (Vec::new(), Vec::new());
        let mut cursor = String::new();
        loop {
            let page = desk
                .see(&format!("/v1/app-sessions?limit=7{filter}&cursor={cursor}"))
                .await;
            for session in page["app_sessions"].as_array().unwrap() {
                ids.push(session["id"].as_str().unwrap().to_owned());
                times.push(session["created_at"].as_str().unwrap().to_owned());
            }
            if page["has_more"] == false {
                assert_eq!(page["next_cursor"], Value::Null);
                break;
            }
            page["next_cursor"]
                .as_str()
                .unwrap()
                .clone_into(&mut cursor);
        }
        assert!(times.is_sorted_by(|a, b| a >= b), "newest first: {times:?}");
        ids
    };
    let found = walk("").await;
    assert_eq!(found.len(), 45);
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), all);
    for (filter, count) in [
        ("&status=active", 35),
        ("&status=past", 10),
        ("&status=failed", 10),
        ("&status=running", 5),
        ("&status=created", 30),
        ("&status=expired", 0),
        ("&template=studio", 15),
        ("&template=studio&status=running", 1),
        ("&template=none", 0),
    ] {
        assert_eq!(walk(filter).await.len(), count, "{filter}");
    }
    let (own, other) = (all.first().unwrap(), foreign.session.id.to_string());
    for (query, field) in [
        ("status=dancing", "status"),
        ("template=Files", "template"),
        ("template=%00", "template"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("cursor=next", "cursor"),
        (&format!("cursor=-1-{own}"), "cursor"),
    ] {
        let refused = desk.get(&format!("/v1/app-sessions?{query}")).await;
        assert_eq!(refused.status, 400, "{query}: {}", refused.body);
        assert!(refused.fault(field).is_some(), "{query}: {}", refused.body);
    }
    for rest in ["", "/events", "/events/live", "/live"] {
        let path = format!("/v1/app-sessions/{other}{rest}");
        let refused = desk.get(&path).await;
        assert_eq!(refused.status, 404, "{path}");
        assert_eq!(refused.text("/code"), "NOT_FOUND");
    }
}

#[tokio::test]
async fn events_are_numbered_and_read_in_parts() {
    let desk = Desk::start().await;
    let mut app = desk.launch(files()).await;
    for n in 2..=12 {
        app.write(&[event("app.test", &format!("Event {n}"))]).await;
    }
    let mut numbers = Vec::new();
    let mut after = "0".to_owned();
    loop {
        let path = format!("{}/events?limit=5&after={after}", app.path());
        let page = desk.see(&path).await;
        let events = page["events"].as_array().unwrap();
        numbers.extend(
            events
                .iter()
                .map(|event| event["sequence"].as_i64().unwrap()),
        );
        if page["has_more"] == false {
            break;
        }
        page["next_cursor"].as_str().unwrap().clone_into(&mut after);
    }
    assert_eq!(numbers, (1..=12).collect::<Vec<_>>());
    let first = desk.see(&format!("{}/events?limit=1", app.path())).await;
    assert_eq!(first["events"][0]["kind"], "app.created");
    assert_eq!(first["events"][0]["phase"], "created");
    for (query, field) in [
        ("after=-1", "after"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
    ] {
        let refused = desk.get(&format!("{}/events?{query}", app.path())).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(refused.fault(field).is_some(), "{query}: {}", refused.body);
    }
}
