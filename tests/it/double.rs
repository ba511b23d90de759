//! An orchestrator that answers what a test tells it to, in the contract's own
//! types.
use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use http_body_util::BodyExt as _;
use junglegrid::api::accounts::{Account, Delivery, Registered, Session, SignedIn, Workspace};
use junglegrid::api::drafts::Draft;
use junglegrid::api::jobs::{ArtifactContract, Billing, Job, Scheduling, StartupDiagnostics};
use junglegrid::api::nodes::{self, Node, Protection};
use junglegrid::api::overview::{Balance, Day, Overview};
use junglegrid::api::{Origin, Problem};
use junglegrid::clock::Clock;
use junglegrid::domain::account::Role;
use junglegrid::domain::id::Id;
use junglegrid::domain::job::{Phase, Status};
use junglegrid::domain::money::Usd;
use junglegrid::domain::spec::{OptimizeFor, RegionMode, WorkloadType};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-23 14:30 UTC);
pub(crate) const TOKEN: &str = "jgs_good";

/// What the portal sent.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) call: String,
    pub(crate) body: Value,
    pub(crate) origin: Option<Origin>,
    /// Its idempotency key.
    pub(crate) key: Option<String>,
}

#[derive(Clone, Default)]
pub(crate) struct Double {
    replies: Arc<Mutex<HashMap<String, (StatusCode, Value)>>>,
    /// What is streamed before the end.
    streams: Arc<Mutex<HashMap<String, Vec<Value>>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Double {
    /// Answers everything with success.
    pub(crate) fn new() -> Self {
        let double = Self::default();
        let signed_in = SignedIn {
            token: TOKEN.into(),
            expires_at: NOW + Duration::days(30),
            account: account(),
        };
        let registered = Registered {
            account_id: account().id,
            email: "amara@moabi.example".into(),
            delivery: Delivery::Outbox,
        };
        let accepted =
            json!({"message": "If that address has an account, a new code is on its way."});
        double.reply("GET /auth/session", 200, &session());
        double.reply("POST /auth/register", 201, &registered);
        double.reply("POST /auth/otp/verify", 200, &signed_in);
        double.reply("POST /auth/otp/resend", 202, &accepted);
        double.reply("POST /auth/signin", 200, &signed_in);
        double.reply("POST /auth/signout", 200, &accepted);
        double.reply("POST /auth/password/forgot", 202, &accepted);
        double.reply("POST /auth/password/reset", 200, &signed_in);
        double.reply("GET /v1/overview", 200, &busy());
        let apps = json!({"app_sessions": [], "next_cursor": null, "has_more": false});
        double.reply("GET /v1/app-sessions", 200, &apps);
        double.reply(
            "GET /v1/nodes",
            200,
            &nodes::List {
                nodes: vec![node()],
            },
        );
        double
    }

    pub(crate) fn reply(&self, call: &str, status: u16, body: &impl serde::Serialize) {
        let status = StatusCode::from_u16(status).expect("a status");
        let body = serde_json::to_value(body).expect("JSON");
        let mut replies = self.replies.lock().expect("no panic");
        replies.insert(call.to_owned(), (status, body));
    }

    /// Streams `messages` and ends.
    pub(crate) fn stream(&self, call: &str, messages: &[impl serde::Serialize]) {
        let messages = messages.iter().map(|message| json!(message)).collect();
        let mut streams = self.streams.lock().expect("no panic");
        streams.insert(call.to_owned(), messages);
    }

    pub(crate) fn refuse(
        &self,
        call: &str,
        status: u16,
        code: &str,
        message: &str,
        fields: &[(&str, &str)],
    ) {
        let fields: BTreeMap<String, String> = fields
            .iter()
            .map(|(name, why)| ((*name).to_owned(), (*why).to_owned()))
            .collect();
        self.reply(call, status, &Problem::new(code, message, fields));
    }

    pub(crate) fn sent(&self, call: &str) -> Vec<Sent> {
        let sent = self.sent.lock().expect("no panic");
        sent.iter()
            .filter(|sent| sent.call == call)
            .cloned()
            .collect()
    }

    pub(crate) fn router(&self) -> Router {
        let double = self.clone();
        Router::new().fallback(async move |request: Request| double.answer(request).await)
    }

    async fn answer(&self, request: Request) -> Response {
        let call = format!("{} {}", request.method(), request.uri().path());
        let exactly = format!("{} {}", request.method(), request.uri());
        let authorization = request.headers().get(header::AUTHORIZATION).cloned();
        let origin = request.extensions().get::<Origin>().cloned();
        let key = request.headers().get("idempotency-key");
        let key = key.and_then(|key| Some(key.to_str().ok()?.to_owned()));
        let body = request
            .into_body()
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let body = serde_json::from_slice(&body.unwrap_or(Bytes::new())).unwrap_or(Value::Null);
        let good = authorization.is_some_and(|value| value == format!("Bearer {TOKEN}"));
        self.sent.lock().expect("no panic").push(Sent {
            call: call.clone(),
            body,
            origin,
            key,
        });
        let guarded = !call.contains(" /auth/") || call == "GET /auth/session";
        if guarded && !good {
            let problem = Problem::new("UNAUTHORIZED", "Sign in.", BTreeMap::new());
            return (StatusCode::UNAUTHORIZED, axum::Json(problem)).into_response();
        }
        let stream = self.streams.lock().expect("no panic").get(&call).cloned();
        if let Some(messages) = stream {
            let said = messages
                .iter()
                .map(|message| format!("data: {message}\n\n"));
            let kind = [(header::CONTENT_TYPE, "text/event-stream")];
            return (kind, said.collect::<String>()).into_response();
        }
        let replies = self.replies.lock().expect("no panic");
        let reply = replies.get(&exactly).or(replies.get(&call)).cloned();
        drop(replies);
        match reply {
            Some((status, body)) => (status, axum::Json(body)).into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        }
    }
}

pub(crate) fn clock() -> Clock {
    Clock::manual(NOW)
}

fn account() -> Account {
    Account {
        id: Id::at(NOW, [1; 10]),
        email: "amara@moabi.example".into(),
        name: Some("Amara <b>Diallo</b>".into()),
        roles: vec![Role::User],
    }
}

pub(crate) fn session() -> Session {
    Session {
        account: account(),
        workspace: Workspace {
            id: Id::at(NOW, [2; 10]),
            name: "Moabi Labs".into(),
        },
        role: Role::User,
        operator: false,
        expires_at: NOW + Duration::days(30),
        balance_usd: Usd::from_micros(4_998_767),
        active_jobs: 3,
        active_apps: 1,
    }
}

pub(crate) fn job(
    number: u8,
    name: &str,
    status: Status,
    phase: Option<Phase>,
    minutes_ago: i64,
) -> Job {
    let id = Id::at(NOW - Duration::minutes(minutes_ago), [number; 10]);
    let at = NOW - Duration::minutes(minutes_ago);
    let started = !matches!(status, Status::Pending | Status::Queued | Status::Rejected);
    let cost = Usd::from_micros(if started {
        8_200 * minutes_ago.min(60)
    } else {
        0
    });
    Job {
        job_id: id,
        id,
        name: name.into(),
        workload_type: WorkloadType::Batch,
        image: "host".into(),
        command: "python3 train.py".into(),
        metadata: None,
        created_at: at,
        updated_at: NOW,
        queued_at: Some(at),
        started_at: started.then_some(at),
        completed_at: status.ended().then(|| at + Duration::seconds(95)),
        status,
        status_reason: None,
        status_message: String::new(),
        phase,
        execution_phase: None,
        phase_started_at: at,
        phase_last_updated_at: at,
        last_status_update: at,
        wait_duration_seconds: 2,
        delayed_start: false,
        delay_reason: None,
        startup_diagnostics: StartupDiagnostics {
            command_spawned: started,
            workload_logs_available: started,
            inputs_prepared: None,
            scripts_prepared: None,
        },
        scheduling: Scheduling {
            state: "placed".into(),
            provider: None,
        },
        gpu_type: None,
        gpu_class: None,
        region_preference: None,
        region_mode: RegionMode::Prefer,
        optimize_for: OptimizeFor::Balanced,
        assigned_node_id: started.then(|| "local".into()),
        provider: started.then(|| "host".into()),
        constraints_relaxed: Vec::new(),
        time_limit_seconds: 3_600,
        exit_code: None,
        timed_out: false,
        failure: None,
        artifact_contract: ArtifactContract {
            expected_artifacts: Vec::new(),
            automatic_collection_dir: "/artifacts".into(),
            missing_artifacts: Vec::new(),
            collected_files: None,
            collected_bytes: None,
            left_out: None,
            left_out_reason: None,
        },
        artifacts_ready: false,
        input_files: Vec::new(),
        script_files: Vec::new(),
        script_file: None,
        hourly_rate_usd: Usd::from_micros(120_000),
        hold_usd: Usd::from_micros(120_000),
        estimated_cost_usd: None,
        estimated_cost_min_usd: Usd::ZERO,
        estimated_cost_max_usd: Usd::from_micros(120_000),
        actual_cost_usd: status.ended().then_some(cost),
        billing: Billing {
            status: "held".into(),
            final_cost_usd: None,
            actual_cost_usd: None,
            cost_usd: cost,
        },
        warnings: Vec::new(),
        app_session_id: None,
        app_session_end: None,
        last_event: 3,
    }
}

fn draft(name: &str) -> Draft {
    let id: junglegrid::domain::id::DraftId = Id::at(NOW, [7; 10]);
    let mut content = serde_json::Map::new();
    content.insert("name".into(), name.into());
    Draft {
        id,
        version: 2,
        content,
        missing: BTreeMap::new(),
        estimate: None,
        acknowledged: false,
        job_id: None,
        created_at: NOW - Duration::hours(3),
        updated_at: NOW - Duration::minutes(12),
        expires_at: NOW + Duration::days(7),
        review_url: format!("https://elsewhere.example/portal/submit/{id}/review"),
    }
}

fn days(micros: [i64; 14]) -> Vec<Day> {
    (10..)
        .zip(micros)
        .map(|(day, micros)| Day {
            date: format!("2026-11-{day}"),
            usd: Usd::from_micros(micros),
        })
        .collect()
}

/// A workspace in the middle of its work.
pub(crate) fn busy() -> Overview {
    Overview {
        running: 2,
        queued: 1,
        completed_7_days: 12,
        failed_7_days: 1,
        balance: Balance {
            currency: "USD".into(),
            available_usd: Usd::from_micros(4_998_767),
            held_usd: Usd::from_micros(240_000),
            spent_usd: Usd::from_micros(1_000_000),
        },
        burn_rate_usd: Usd::from_micros(240_000),
        spend: days([
            21_000, 34_000, 12_000, 0, 48_000, 61_000, 52_000, 33_000, 29_000, 74_000, 81_000,
            46_000, 69_000, 24_200,
        ]),
        recent: vec![
            job(
                1,
                "sdxl-portrait-lora",
                Status::Running,
                Some(Phase::Executing),
                38,
            ),
            job(
                2,
                "llama-3-8b-eval",
                Status::Running,
                Some(Phase::Stopping),
                12,
            ),
            job(
                3,
                "whisper-archive-04",
                Status::Queued,
                Some(Phase::WaitingForCapacity),
                3,
            ),
            job(
                4,
                "a-name-that-goes-on-for-quite-a-while-and-then-some",
                Status::Completed,
                None,
                300,
            ),
            job(5, "qwen <tiny>", Status::Failed, None, 1_500),
            job(6, "yolo-nightly", Status::Cancelled, None, 6_000),
        ],
        drafts: vec![draft("embeddings-refresh"), draft("")],
        slots: 2,
        slots_used: 2,
    }
}

/// A workspace in which nothing has happened yet.
pub(crate) fn fresh() -> Overview {
    Overview {
        running: 0,
        queued: 0,
        completed_7_days: 0,
        failed_7_days: 0,
        balance: Balance {
            currency: "USD".into(),
            available_usd: Usd::from_micros(5_000_000),
            held_usd: Usd::ZERO,
            spent_usd: Usd::ZERO,
        },
        burn_rate_usd: Usd::ZERO,
        spend: days([0; 14]),
        recent: Vec::new(),
        drafts: Vec::new(),
        slots: 2,
        slots_used: 0,
    }
}

fn node() -> Node {
    let protection = |name: &str, active, detail: &str| Protection {
        name: name.into(),
        active,
        detail: detail.into(),
    };
    Node {
        node_id: "local".into(),
        name: "This machine".into(),
        status: "up".into(),
        engine: "host".into(),
        cpus: 2,
        memory_gb: 7.75,
        gpus: Vec::new(),
        hourly_rate_usd: Usd::from_micros(120_000),
        slots: 2,
        slots_used: 1,
        images: "host_only".into(),
        network: "host".into(),
        protections: vec![
            protection(
                "Separate user",
                true,
                "Jobs run as uid 20001 and up, never as root.",
            ),
            protection("Landlock", true, "Jobs can write only to their own folder."),
            protection(
                "Memory limit",
                false,
                "No cgroup can be written: a job may use all memory of the machine.",
            ),
        ],
    }
}
