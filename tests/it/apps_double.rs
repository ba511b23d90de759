//! Templates and sessions of every kind, in the API's own types, for pages to show.
use crate::double::{Double, NOW};
use junglegrid::api::apps::{
    Board, Change, End, Event, Launching, Line, List, Service, Session, Step, StepState,
};
use junglegrid::api::templates::{self, Choices, Estimate, Template, Usual, Volume};
use junglegrid::domain::app::{EndCode, Phase, ServiceState};
use junglegrid::domain::id::{AppSessionId, Id};
use junglegrid::domain::job::Status;
use junglegrid::domain::money::Usd;
use junglegrid::domain::routing::Check;
use time::Duration;

pub(crate) const HOSTILE: &str =
    "<img src=x onerror=alert(1)><script>hx</script>\u{202e}\" hx-get=/x";

fn usual(low: i64, high: i64, samples: i64) -> Usual {
    Usual {
        low_seconds: low,
        high_seconds: high,
        samples,
    }
}

/// The id of the session that is `number`.
pub(crate) fn id(number: u8) -> AppSessionId {
    Id::at(NOW - Duration::minutes(4), [number; 10])
}

fn step(id: &str, title: &str, detail: &str, expected: Option<Usual>) -> Step {
    Step {
        id: id.into(),
        title: title.into(),
        state: StepState::Waiting,
        detail: detail.into(),
        since: None,
        done_at: None,
        usual: expected,
        slow: false,
        bytes: None,
    }
}

fn service(id: &str, label: &str, port: u16, primary: bool) -> Service {
    Service {
        id: id.into(),
        label: label.into(),
        port,
        primary,
        state: ServiceState::Waiting,
        passed: 0,
        needed: 2,
        check: 0,
        outcome: None,
        checked_at: None,
        open: false,
    }
}

/// Of the steps below, the one that each phase is at.
fn at(phase: Phase) -> usize {
    match phase {
        Phase::Created => 1,
        Phase::Reserved | Phase::Image => 2,
        Phase::Starting => 3,
        Phase::Services => 4,
        _ => 7,
    }
}

fn steps(phase: Phase) -> Vec<Step> {
    let launched = NOW - Duration::minutes(4);
    let reached = at(phase);
    let mut steps = vec![
        step(
            "created",
            "Session created",
            "Workspace volume attached, 100 GB.",
            None,
        ),
        step(
            "reserved",
            "Capacity reserved",
            "L40S on af-jhb-04.prod.example, $0.93 per hour.",
            Some(usual(1, 40, 12)),
        ),
        step(
            "image",
            "Pulling image",
            "7.3 of 11.8 GB from registry.example/moabi/lora-pilot:stable, layer 16 of 24.",
            Some(usual(80, 140, 12)),
        ),
        step("starting", "Starting the app", "", Some(usual(5, 20, 12))),
        step(
            "service-controlpilot",
            "ControlPilot",
            "Check 1 of 2: 503 at 14:29:51.",
            Some(usual(20, 60, 12)),
        ),
        step("service-comfyui", "ComfyUI", "", Some(usual(20, 60, 12))),
        step("dashboard", "Dashboard available", "", None),
    ];
    for (index, step) in (0i64..).zip(&mut steps) {
        let begins = launched + Duration::seconds(20 * index);
        let position = usize::try_from(index).unwrap();
        step.state = match position {
            done if done < reached => StepState::Done,
            doing if doing == reached => StepState::Doing,
            _ => StepState::Waiting,
        };
        if step.state != StepState::Waiting {
            step.since = Some(begins);
        }
        if step.state == StepState::Done {
            step.done_at = Some(begins + Duration::seconds(18));
        }
        if step.id == "image" && step.state == StepState::Doing {
            step.bytes = Some((7_300_000_000, 11_800_000_000));
            step.slow = true;
        }
    }
    steps
}

fn services(phase: Phase) -> Vec<Service> {
    let mut services = vec![
        service("controlpilot", "ControlPilot", 7878, true),
        service("comfyui", "ComfyUI", 5555, false),
        service("kohya", "Kohya SS", 6666, false),
    ];
    for service in &mut services {
        let checked = NOW - Duration::seconds(9);
        match phase {
            Phase::Services => {
                service.state = ServiceState::Checking;
                service.outcome = Some("503".into());
                service.check = 1;
                service.checked_at = Some(checked);
            }
            Phase::Running => {
                service.state = ServiceState::Ready;
                service.passed = 2;
                service.open = true;
            }
            Phase::Stopping | Phase::Ended | Phase::Expired | Phase::Failed => {
                service.state = ServiceState::Stopped;
            }
            _ => {}
        }
    }
    services
}

const fn choices() -> Choices {
    Choices {
        max_hours: Some(4.0),
        idle_minutes: Some(30),
        max_usd: Some(Usd::from_micros(2_500_000)),
    }
}

/// A session in `phase`, with words as long as they get.
pub(crate) fn session(number: u8, phase: Phase) -> Session {
    let launched = NOW - Duration::minutes(4);
    let ready =
        (phase == Phase::Running || phase == Phase::Stopping).then(|| NOW - Duration::seconds(95));
    Session {
        id: id(number),
        status: phase,
        status_message: "Something is going on with it.".into(),
        awaited: if phase.launching() {
            "The dashboard opens when ControlPilot has answered twice in a row, in about 3 min."
                .into()
        } else {
            String::new()
        },
        template: "lora-pilot".into(),
        template_name: "LoRA Pilot".into(),
        template_version: "1.2".into(),
        mark: "LP".into(),
        job_id: Id::at(launched, [number; 10]),
        job_status: match phase {
            Phase::Created => Status::Queued,
            Phase::Reserved | Phase::Image => Status::Assigned,
            Phase::Ended => Status::Cancelled,
            Phase::Failed | Phase::Expired => Status::Failed,
            _ => Status::Running,
        },
        node: (phase != Phase::Created).then(|| "af-jhb-04.prod.example".into()),
        image: "registry.example/moabi/lora-pilot@sha256:9f2c41d07b6e4a18c3f09f2c41d07b6e4a18c3f0"
            .into(),
        cpus: 12,
        memory_gb: 64.0,
        disk_gb: 100.0,
        min_vram_gb: 24.0,
        steps: steps(phase),
        services: services(phase),
        choices: choices(),
        launch_choices: choices(),
        settings: Vec::new(),
        hourly_rate_usd: Usd::from_micros(930_000),
        cost_usd: Usd::from_micros(if ready.is_some() { 24_541 } else { 0 }),
        hold_usd: Usd::from_micros(2_500_000),
        created_at: launched,
        phase_since: NOW - Duration::seconds(80),
        ready_at: ready,
        billed_from: ready,
        stops_at: ready.map(|at| at + Duration::hours(4)),
        last_used_at: None,
        ended_at: None,
        end: None,
        kept: vec!["Files in /workspace stay for the next session.".into()],
        lost: vec!["Everything outside /workspace, and what runs.".into()],
        last_event: 4,
    }
}

/// A session that has ended so.
pub(crate) fn ended(number: u8, code: EndCode) -> Session {
    let mut session = session(number, code.phase());
    let failed = code.phase() == Phase::Failed;
    let ran = matches!(
        code,
        EndCode::Stopped
            | EndCode::TimeLimit
            | EndCode::MoneyLimit
            | EndCode::Idle
            | EndCode::Exited
            | EndCode::Died
    );
    if failed {
        for (index, step) in session.steps.iter_mut().enumerate() {
            step.state = match index {
                ..4 => StepState::Done,
                4 => StepState::Failed,
                _ => StepState::Skipped,
            };
        }
    }
    session.ready_at = ran.then(|| NOW - Duration::minutes(3));
    session.billed_from = session.ready_at;
    session.ended_at = Some(NOW - Duration::seconds(5));
    session.cost_usd = Usd::from_micros(if ran { 46_500 } else { 0 });
    session.end = Some(End {
        code,
        message: "ControlPilot did not answer with 200 within 10 minutes; its last answer was 503."
            .into(),
        advice: if failed {
            "The model may still have been loading. Read its last lines, then try again with more memory.".into()
        } else {
            String::new()
        },
        failed_step: failed.then(|| "service-controlpilot".into()),
        last_lines: if failed {
            (1..=20).map(|n| format!("[{n:02}] loading checkpoint shard {n}/20 from /workspace/models/base.safetensors")).collect()
        } else {
            Vec::new()
        },
        charged_usd: session.cost_usd,
    });
    session
}

pub(crate) fn event(sequence: i64, kind: &str, phase: Phase, title: &str, message: &str) -> Event {
    Event {
        sequence,
        kind: kind.into(),
        phase,
        service: kind.starts_with("service").then(|| "controlpilot".into()),
        title: title.into(),
        message: message.into(),
        level: "info".into(),
        created_at: NOW - Duration::seconds(240 - 20 * sequence),
    }
}

pub(crate) fn line(entry_id: i64, stream: &str, text: &str) -> Line {
    Line {
        entry_id,
        stream: stream.into(),
        text: text.into(),
    }
}

/// A page's first message.
pub(crate) fn change(session: Session) -> Change {
    let phase = session.status;
    let events = vec![
        event(
            1,
            "app.created",
            Phase::Created,
            "Session created",
            "Waiting for capacity.",
        ),
        event(
            2,
            "app.reserved",
            Phase::Reserved,
            "Capacity reserved",
            "af-jhb-04.prod.example",
        ),
        event(
            3,
            "app.image",
            Phase::Image,
            "Pulling image",
            "registry.example/moabi/lora-pilot:stable, 11.8 GB",
        ),
        event(4, "app.moved", phase, "Now it is here", "As said above."),
    ];
    let lines = vec![
        line(1, "stdout", "Loading the model from /workspace/models"),
        line(2, "stderr", "warning: no GPU was found, using the CPU"),
        line(3, "system", "The command has been started."),
    ];
    Change {
        session,
        events,
        lines,
    }
}

fn check(code: &str, message: &str, action: &str) -> Check {
    Check {
        code: code.into(),
        severity: "error".into(),
        status: "blocked".into(),
        field: None,
        message: message.into(),
        action: Some(action.into()),
    }
}

pub(crate) fn template(
    slug: &str,
    name: &str,
    mark: &str,
    summary: &str,
    launchable: bool,
) -> Template {
    Template {
        slug: slug.into(),
        name: name.into(),
        mark: mark.into(),
        summary: summary.into(),
        version: "1.2".into(),
        image: if launchable {
            "host".into()
        } else {
            "registry.example/x@sha256:9f2c41d07b6e4a18".into()
        },
        unpinned: None,
        image_size_gb: if launchable { 0.0 } else { 11.8 },
        licence_spdx: "AGPL-3.0-only".into(),
        licence_note: "Models have licences of their own.".into(),
        source_url: "https://source.example/org/app".into(),
        services: vec![
            templates::Service {
                id: "main".into(),
                label: "ControlPilot".into(),
                port: 7878,
                primary: true,
                websocket: true,
                sse: false,
                base_path: None,
            },
            templates::Service {
                id: "chat".into(),
                label: "ComfyUI".into(),
                port: 5555,
                primary: false,
                websocket: true,
                sse: true,
                base_path: Some("/comfy".into()),
            },
        ],
        volumes: vec![
            Volume {
                name: "workspace".into(),
                mount: "/workspace".into(),
                min_gb: 20.0,
                persist: true,
            },
            Volume {
                name: "cache".into(),
                mount: "/cache".into(),
                min_gb: 5.0,
                persist: false,
            },
        ],
        settings: Vec::new(),
        min_vram_gb: if launchable { 0.0 } else { 24.0 },
        recommended_vram_gb: if launchable { 0.0 } else { 48.0 },
        disk_gb: 100.0,
        memory_gb: 32.0,
        cpus: 8,
        mobile: launchable,
        notes: vec!["Base models are downloaded at the first start.".into()],
        hourly_rate_usd: Usd::from_micros(if launchable { 120_000 } else { 930_000 }),
        usual_start: if launchable {
            usual(4, 9, 12)
        } else {
            usual(180, 240, 0)
        },
        idle_stop_minutes: 30,
        usual_hours: 4.0,
        longest_hours: 24.0,
        launchable,
        checks: if launchable {
            Vec::new()
        } else {
            vec![check(
                "IMAGE_UNSUPPORTED",
                "It needs a container engine, and this machine has none.",
                "Start Docker or Podman, then start Jungle Grid again.",
            )]
        },
        active_session: None,
    }
}

pub(crate) fn catalogue() -> Vec<Template> {
    vec![
        template(
            "files",
            "Workspace files",
            "WF",
            "Browse, edit and upload the files of your workspace volume.",
            true,
        ),
        template(
            "notebook",
            "Scratch notebook",
            "SN",
            "Small notes with a live preview, and a terminal as a second service.",
            true,
        ),
        template(
            "lora-pilot",
            "LoRA Pilot",
            "LP",
            "Dataset prep, LoRA training and image generation in one workspace.",
            false,
        ),
        template(
            "onetrainer",
            "OneTrainer",
            "OT",
            "Diffusion fine-tuning with a desktop interface over the browser.",
            false,
        ),
        template(
            "swarmui",
            "SwarmUI",
            "SU",
            "Image generation with a friendly front end over ComfyUI.",
            false,
        ),
    ]
}

pub(crate) fn estimate() -> Estimate {
    Estimate {
        estimate_id: Id::at(NOW, [9; 10]),
        template: "files".into(),
        choices: Choices {
            max_hours: Some(4.0),
            idle_minutes: Some(30),
            max_usd: None,
        },
        launchable: true,
        checks: Vec::new(),
        hourly_rate_usd: Usd::from_micros(120_000),
        hold_usd: Usd::from_micros(480_000),
        minutes: 240,
        queue_low_seconds: 0,
        queue_high_seconds: 2,
        usual_start: usual(4, 9, 12),
        ready_at_min: NOW + Duration::seconds(4),
        ready_at_max: NOW + Duration::seconds(90),
        billing_from: "Billing begins when the app is ready, not before.".into(),
        available_usd: Usd::from_micros(4_998_767),
        quoted_at: NOW,
        expires_at: NOW + Duration::minutes(15),
    }
}

pub(crate) fn list(app_sessions: Vec<Session>, next: Option<&str>) -> List {
    List {
        app_sessions,
        next_cursor: next.map(str::to_owned),
        has_more: next.is_some(),
    }
}

pub(crate) fn board() -> Board {
    let one = |number, phase, slow, minutes| Launching {
        id: id(number),
        template: "lora-pilot".into(),
        template_name: "LoRA Pilot".into(),
        mark: "LP".into(),
        workspace_name: "Moabi Labs".into(),
        status: phase,
        status_message: "Waiting for ControlPilot: 503 at 14:29:51.".into(),
        phase_since: NOW - Duration::minutes(minutes),
        usual: Some(usual(20, 60, 12)),
        slow,
        node: Some("af-jhb-04".into()),
    };
    Board {
        launches: vec![
            one(1, Phase::Services, true, 9),
            one(2, Phase::Image, false, 1),
            one(3, Phase::Running, false, 118),
        ],
    }
}

/// A workspace with every kind of session, each under its own id.
pub(crate) fn furnished() -> Double {
    let double = Double::new();
    let templates = catalogue();
    for template in &templates {
        double.reply(
            &format!("GET /v1/templates/{}", template.slug),
            200,
            template,
        );
        double.reply(
            &format!("POST /v1/templates/{}/estimate", template.slug),
            200,
            &estimate(),
        );
    }
    double.reply(
        "GET /v1/templates",
        200,
        &templates::List {
            templates,
            next_cursor: None,
            has_more: false,
        },
    );
    let mut sessions: Vec<Session> = (0..)
        .zip(Phase::ALL.into_iter().filter(|phase| !phase.ended()))
        .map(|(number, phase)| session(number, phase))
        .collect();
    sessions.extend(
        (20..)
            .zip(EndCode::ALL)
            .map(|(number, code)| ended(number, code)),
    );
    for session in &sessions {
        double.reply(
            &format!("GET /v1/app-sessions/{}", session.id),
            200,
            session,
        );
        double.stream(
            &format!("GET /v1/app-sessions/{}/live", session.id),
            &[change(session.clone())],
        );
    }
    let (past, active): (Vec<_>, Vec<_>) = sessions
        .into_iter()
        .partition(|session| session.status.ended());
    let all = [active.clone(), past.clone()].concat();
    double.reply(
        "GET /v1/app-sessions?status=active",
        200,
        &list(active[3..6].to_vec(), None),
    );
    double.reply(
        "GET /v1/app-sessions?limit=12&status=past",
        200,
        &list(past, Some("c1")),
    );
    double.reply("GET /v1/app-sessions", 200, &list(all, Some("c1")));
    double.reply("GET /v1/operator/app-sessions", 200, &board());
    double.stream("GET /v1/operator/app-sessions/live", &[board()]);
    double
}

/// `html` without what changes with the files of the portal.
pub(crate) fn stable(html: &str) -> String {
    let rest = html
        .split_once("/assets/icons.")
        .map_or("", |(_, rest)| rest);
    match rest.split('.').next().unwrap_or_default() {
        "" => html.to_owned(),
        hash => html.replace(hash, "HASH"),
    }
}
