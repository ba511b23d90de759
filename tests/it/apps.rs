//! Launched apps from the launch to the end, whatever the end is.
mod checks;
mod damage;
mod ends;
mod kills;
mod machine;
mod moments;
mod money;
mod real;
mod refusals;
mod rows;
mod script;
mod settings;
mod stage;

use junglegrid::engine::Network;
use junglegrid::orchestrator::apps::access;
use junglegrid::store::apps as table;
use script::SILENCE;
use serde_json::{Value, json};
use stage::Stage;
use std::path::Path;

#[tokio::test]
async fn a_launch_is_followed_to_its_dashboard_and_to_its_end() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({"max_hours": 1})).await;
    assert_eq!(stage.wallet().await, (4_880_000, 120_000, 0));
    let launched = stage.phase(&id, "starting").await;
    assert_eq!(launched["node"], "stage");
    stage.machine.runs().await;
    stage.first_checks(&id).await;

    stage.script.says("/desk", Ok((503, "")));
    stage.pass(2);
    let seen = |session: &Value| session["services"][0]["outcome"] == "503";
    stage.until(&id, "a check that failed", seen).await;
    // The right status is not enough.
    stage.script.says("/desk", Ok((200, "loading")));
    stage.pass(2);
    let seen =
        |session: &Value| session["services"][0]["outcome"] == "200 without the expected text";
    let waiting = stage.until(&id, "a check that failed", seen).await;
    assert_eq!(waiting["services"][0]["state"], "checking");
    assert_eq!(waiting["services"][1]["outcome"], "connection refused");
    assert_eq!(waiting["billed_from"], Value::Null);
    assert_eq!(waiting["cost_usd"], 0.0);

    let running = stage.make_ready(&id).await;
    assert_eq!(running["services"][0]["state"], "ready");
    assert_eq!(running["billed_from"], "2026-11-23T12:00:08Z");
    assert_eq!(running["stops_at"], "2026-11-23T13:00:08Z");
    let job = running["job_id"].as_str().unwrap().to_owned();
    let shown = stage.get(&format!("/v1/jobs/{job}")).await;
    assert_eq!(
        (&shown["name"], &shown["status"]),
        (&json!("Desk"), &json!("running"))
    );
    assert_eq!(shown["workload_type"], "inference");

    // The second service is waited for by nobody but this test.
    let passed = |session: &Value| session["services"][1]["passed"] != 0;
    stage.until(&id, "a check of the second", passed).await;
    *stage.machine.obeys.lock().unwrap() = false;
    stage.pass(600);
    let ready = |session: &Value| session["services"][1]["state"] == "ready";
    stage.until(&id, "the second service", ready).await;
    let path = format!("/v1/app-sessions/{id}/stop");
    let stopping = stage.post(&path, json!({"reason": "done for today"})).await;
    assert_eq!(stopping.status, 200);
    assert_eq!(stopping.body["status"], "stopping");
    assert_eq!(
        stage.post(&path, json!({})).await.body["status"],
        "stopping"
    );
    let stopped = stage
        .machine
        .ends(junglegrid::engine::Outcome::Stopped, None);
    stopped.await;
    let end = stage.ended(&id).await;
    assert_eq!(
        (end.status.as_str(), end.code.as_str()),
        ("ended", "stopped")
    );
    assert_eq!(end.charged, 20_000);
    assert_eq!(
        end.last,
        "Ended: It was stopped on request: done for today. It cost $0.02."
    );
    assert_eq!(stage.post(&path, json!({})).await.body["status"], "ended");
    let shown = stage.get(&format!("/v1/jobs/{job}")).await;
    assert_eq!(shown["actual_cost_usd"], 0.02);

    let kinds = stage.kinds(&id).await;
    let ready = kinds.iter().filter(|kind| *kind == "service.ready");
    assert_eq!(ready.count(), 2, "{kinds:?}");
    let of_phases = kinds.iter().map(String::as_str);
    let of_phases: Vec<&str> = of_phases.filter(|kind| *kind != "service.ready").collect();
    assert_eq!(
        of_phases,
        [
            "app.created",
            "billing.held",
            "app.reserved",
            "app.starting",
            "app.started",
            "app.running",
            "app.stopping",
            "app.ended"
        ]
    );
}

#[tokio::test]
async fn an_app_gets_its_files_its_secret_its_origin_and_no_network() {
    let stage = Stage::with(|config| {
        config.network = Network::Host;
        config.volumes = Path::new("/tmp/volumes").into();
    })
    .await;
    let id = stage.launch("desk", json!({})).await;
    stage.bring_up(&id).await;
    let run = stage.machine.asked_for().unwrap();
    assert_eq!(run.network, Network::None);
    let workspace = stage.get("/auth/session").await["workspace"]["id"].clone();
    let key = format!("{}/desk", workspace.as_str().unwrap());
    assert_eq!(run.user_key.as_deref(), Some(key.as_str()));
    assert_eq!(run.mounts.len(), 1);
    assert_eq!(
        run.mounts[0].host,
        Path::new("/tmp/volumes").join(&key).join("files")
    );
    assert_eq!(run.mounts[0].inside, Path::new("/workspace/files"));
    assert_eq!(run.argv.last().unwrap(), "--base=/desk");
    assert_eq!(run.env["CLOCK_BASE"], "/clock/");
    assert_eq!(run.scratch, [Path::new("/workspace/cache")]);
    let origin = stage.script.origin("/desk");
    assert_eq!(origin.len(), 26);
    assert_eq!(
        run.env["DESK_ORIGIN"],
        format!("http://{origin}.apps.localhost:8080")
    );
    assert_ne!(origin, stage.script.origin("/clock"));
    let secret = &run.env["DESK_SECRET"];
    assert_eq!(secret.len(), 48);
    let shown = stage.session(&id).await.to_string();
    assert!(
        !shown.contains(secret.as_str()) && !shown.contains(&origin),
        "{shown}"
    );
}

#[tokio::test]
async fn a_launch_is_made_once_and_one_at_a_time() {
    let stage = Stage::start().await;
    let order = stage.order("desk", json!({})).await;
    let first = stage.launch_once("k1", &order).await;
    assert_eq!(first.status, 202, "{:?}", first.body);
    let again = stage.launch_once("k1", &order).await;
    assert_eq!(
        (again.status.as_u16(), again.text("/id")),
        (202, first.text("/id"))
    );
    let other = stage.order("desk", json!({"max_hours": 1})).await;
    let other = stage.launch_once("k1", &other).await;
    assert_eq!(other.status, 422);
    assert_eq!(other.text("/code"), "IDEMPOTENCY_KEY_REUSED");

    let second = stage.try_launch("desk", json!({})).await;
    assert_eq!(second.status, 409);
    assert_eq!(second.text("/code"), "ALREADY_RUNNING");
    assert_eq!(second.fault("session_id"), first.body["id"].as_str());
    assert!(second.text("/message").contains(&first.text("/id")));
    assert_eq!(stage.wallet().await, (4_520_000, 480_000, 0));

    // Two at once, after it has ended: one of them is late.
    let id = first.text("/id");
    stage
        .post(&format!("/v1/app-sessions/{id}/stop"), json!({}))
        .await;
    stage.ended(&id).await;
    let order = stage.order("desk", json!({})).await;
    let both = futures_util::future::join(
        stage.post("/v1/app-sessions", order.clone()),
        stage.post("/v1/app-sessions", order),
    );
    let (one, two) = both.await;
    let mut statuses = [one.status.as_u16(), two.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409]);
}

#[tokio::test]
async fn a_launch_needs_an_estimate_of_just_that_launch() {
    let stage = Stage::start().await;
    let bare = stage
        .post("/v1/app-sessions", json!({"template": "desk"}))
        .await;
    assert_eq!(bare.status, 409);
    assert_eq!(bare.text("/code"), "ESTIMATE_NOT_ACKNOWLEDGED");
    let hour = stage.estimate("desk", json!({"max_hours": 1})).await;
    let order =
        |hours: u32| json!({"template": "desk", "max_hours": hours, "acknowledged_estimate": hour});
    let longer = stage.post("/v1/app-sessions", order(2)).await;
    assert_eq!(longer.text("/code"), "ESTIMATE_OUTDATED");
    stage.pass(301);
    let late = stage.post("/v1/app-sessions", order(1)).await;
    assert_eq!(late.text("/code"), "ESTIMATE_OUTDATED");
    let unknown = stage
        .post("/v1/app-sessions", json!({"template": "no"}))
        .await;
    assert_eq!(unknown.status, 404);
    // Its image cannot be pulled here.
    let boxed = stage.try_launch("box", json!({})).await;
    assert_eq!(
        (boxed.status.as_u16(), boxed.text("/code").as_str()),
        (422, "IMAGE_UNSUPPORTED")
    );
    assert_eq!(stage.wallet().await, (5_000_000, 0, 0));
}

#[tokio::test]
async fn other_workspaces_see_nothing_of_it() {
    let mut stage = Stage::start().await;
    let id = stage.launch("desk", json!({})).await;
    stage.bring_up(&id).await;
    let owner = std::mem::take(&mut stage.token);
    stage.token = stage.api.sign_up("ben@example.org").await;
    for (path, body) in [
        (format!("/v1/app-sessions/{id}/stop"), json!({})),
        (
            format!("/v1/app-sessions/{id}/extend"),
            json!({"minutes": 60}),
        ),
        ("/v1/app-sessions".into(), json!({"from_session": id})),
    ] {
        assert_eq!(stage.post(&path, body).await.status, 404, "{path}");
    }
    // An estimate is its workspace's too, and so is the template's only session.
    let order = stage.order("desk", json!({})).await;
    let mine = stage.post("/v1/app-sessions", order.clone()).await;
    assert_eq!(mine.status, 202, "{:?}", mine.body);
    stage.token = owner;
    assert_eq!(stage.session(&id).await["status"], "running");
    stage
        .post(&format!("/v1/app-sessions/{id}/stop"), json!({}))
        .await;
    stage.phase(&id, "ended").await;
    let stolen = stage.post("/v1/app-sessions", order).await;
    assert_eq!(stolen.text("/code"), "ESTIMATE_OUTDATED");
}

#[tokio::test]
async fn it_is_launched_again_as_it_was() {
    let stage = Stage::start().await;
    let choices = json!({"max_hours": 2, "idle_minutes": 30, "max_usd": 0.1});
    let id = stage.launch("desk", choices.clone()).await;
    stage
        .post(&format!("/v1/app-sessions/{id}/stop"), json!({}))
        .await;
    stage.ended(&id).await;
    let estimate = stage.estimate("desk", choices).await;
    let order = json!({"from_session": id, "acknowledged_estimate": estimate});
    let again = stage.post("/v1/app-sessions", order).await;
    assert_eq!(again.status, 202, "{:?}", again.body);
    assert_ne!(again.text("/id"), id);
    assert_eq!(
        again.body["choices"],
        json!({"max_hours": 2.0, "idle_minutes": 30, "max_usd": 0.1})
    );
    assert_eq!(again.body["hold_usd"], 0.1);
}

#[tokio::test]
async fn a_service_that_stops_answering_is_said_to_and_so_is_its_return() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({})).await;
    stage.bring_up(&id).await;
    // An answer that came late is no two seconds old yet.
    stage.pass(2);
    let seen = |session: &Value| session["services"][1]["state"] == "ready";
    stage.until(&id, "the second service", seen).await;
    stage.script.says("/desk", Err("connection refused"));
    stage.pass(15);
    let seen = |session: &Value| session["services"][0]["state"] == "unready";
    let quiet = stage.until(&id, "its silence", seen).await;
    assert_eq!(quiet["status"], "running");
    stage.script.says("/desk", Ok((200, "ready")));
    let seen = |session: &Value| session["services"][0]["state"] == "ready";
    for _ in 0..2 {
        stage.pass_and_ask(&id, 2).await;
    }
    stage.until(&id, "its return", seen).await;
    let events = stage.events(&id).await;
    let desk = events.iter().filter(|(_, said)| said.starts_with("Desk"));
    let tail: Vec<&str> = desk.skip(1).map(|(_, said)| said.as_str()).collect();
    assert_eq!(
        tail,
        [
            "Desk does not answer: The last check said: connection refused.",
            "Desk answers again: It answers again."
        ]
    );
    // Checks that change nothing are not events.
    stage.pass_and_ask(&id, 15).await;
    assert_eq!(stage.events(&id).await.len(), events.len());
}

#[tokio::test]
async fn a_service_that_does_not_answer_holds_up_nothing_else() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({"max_hours": 1})).await;
    stage.phase(&id, "starting").await;
    stage.script.says("/clock", Err(SILENCE));
    stage.script.says("/desk", Ok((200, "ready")));
    stage.machine.runs().await;
    let seen = |session: &Value| session["services"][0]["passed"] == 1;
    stage.until(&id, "one check passed", seen).await;
    stage.pass(2);
    stage.phase(&id, "running").await;
    assert_eq!(stage.script.asked("/clock"), 1, "nobody waited for it");
    stage.pass(3_600);
    assert_eq!(stage.ended(&id).await.code, "time_limit");
    assert_eq!(stage.script.asked("/clock"), 1);
}

#[tokio::test]
async fn nothing_of_it_is_opened_before_it_is_billed() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({})).await;
    stage.phase(&id, "starting").await;
    stage.script.says("/clock", Ok((200, "")));
    stage.script.says("/desk", Ok((503, "")));
    stage.machine.runs().await;
    let seen = |session: &Value| session["services"][1]["passed"] == 1;
    stage.until(&id, "one check passed", seen).await;
    stage.pass(2);
    let seen = |session: &Value| session["services"][1]["state"] == "ready";
    let waiting = stage.until(&id, "the second service", seen).await;
    assert_eq!(waiting["status"], "services");
    let path = format!("/v1/app-sessions/{id}/open");
    let refused = stage.post(&path, json!({"service": "clock"})).await;
    assert_eq!(
        (refused.status.as_u16(), refused.text("/code").as_str()),
        (409, "NOT_READY")
    );
    let origin = stage.script.origin("/clock");
    let door = access::door(&stage.api.state, &origin).await.unwrap();
    assert!(!door.unwrap().open, "nor without asking");
    stage.make_ready(&id).await;
    let opened = stage.post(&path, json!({"service": "clock"})).await;
    assert_eq!(opened.status, 200, "{:?}", opened.body);
    let door = access::door(&stage.api.state, &origin).await.unwrap();
    assert!(door.unwrap().open);
}

#[tokio::test]
async fn what_makes_no_sense_is_in_nobodys_way() {
    let mut stage = Stage::start().await;
    let damaged = stage.launch("desk", json!({})).await;
    stage.bring_up(&damaged).await;
    stage.kill();
    let queued = stage.post("/v1/jobs", crate::grid::script("true")).await;
    let job = queued.text("/job_id");
    let session = damaged.clone();
    let damage = stage.api.state.store().write(move |conn| {
        Box::pin(async move {
            sqlx::query("UPDATE app_sessions SET manifest = '{}' WHERE id = $1")
                .bind(session)
                .execute(&mut *conn)
                .await?;
            sqlx::query("UPDATE jobs SET quote = '?' WHERE id = $1")
                .bind(job)
                .execute(conn)
                .await?;
            Ok::<_, junglegrid::store::Error>(())
        })
    });
    damage.await.unwrap();
    *stage.machine.pulls.lock().unwrap() = true;
    stage.restart().await;
    let id = stage.launch("box", json!({})).await;
    stage.phase(&id, "reserved").await;
    let path = format!("/v1/app-sessions/{id}/stop");
    assert_eq!(stage.post(&path, json!({})).await.status, 200);
    stage.phase(&id, "ended").await;
}

#[tokio::test]
async fn an_image_that_comes_in_many_pieces_is_noted_now_and_then() {
    let stage = Stage::start().await;
    *stage.machine.pulls.lock().unwrap() = true;
    let id = stage.launch("box", json!({})).await;
    stage.phase(&id, "reserved").await;
    let version = async || {
        let mut conn = stage.api.state.store().read().await.unwrap();
        let session = table::find_for_worker(&mut conn, id.parse().unwrap()).await;
        session.unwrap().unwrap().version
    };
    let before = version().await;
    for piece in 1..=50 {
        stage.machine.pulls(piece, 100).await;
    }
    let all = |session: &Value| session["steps"][2]["bytes"] == json!([50, 100]);
    stage.until(&id, "all pieces", all).await;
    let written = version().await - before;
    assert!(written < 25, "written {written} times");
}

#[tokio::test]
async fn a_machine_that_says_nothing_by_itself_is_asked_now_and_then() {
    let stage = Stage::start().await;
    *stage.machine.mute.lock().unwrap() = true;
    let id = stage.launch("desk", json!({})).await;
    stage.phase(&id, "starting").await;
    stage.machine.runs().await;
    stage.phase(&id, "services").await;
    let looks = *stage.machine.looks.lock().unwrap();
    assert!(looks < 20, "asked {looks} times");
}

#[tokio::test]
async fn a_kill_at_any_phase_loses_nothing() {
    let mut stage = Stage::start().await;
    *stage.machine.pulls.lock().unwrap() = true;
    stage.restart().await;
    let id = stage.launch("box", json!({"max_hours": 1})).await;
    stage.restart().await;
    stage.machine.pulls(1, 2).await;
    stage.phase(&id, "image").await;
    stage.restart().await;
    stage.machine.pulls(2, 2).await;
    stage.phase(&id, "starting").await;
    stage.restart().await;
    stage.machine.runs().await;
    stage.first_checks(&id).await;
    stage.script.says("/desk", Ok((200, "")));
    stage.pass(2);
    let seen = |session: &Value| session["services"][0]["passed"] == 1;
    stage.until(&id, "one check passed", seen).await;
    stage.restart().await;
    stage.pass(2);
    stage.phase(&id, "running").await;
    stage.restart().await;
    *stage.machine.obeys.lock().unwrap() = false;
    stage.pass(1_200);
    let path = format!("/v1/app-sessions/{id}/stop");
    stage.post(&path, json!({})).await;
    stage.restart().await;
    assert_eq!(stage.session(&id).await["status"], "stopping");
    let stopped = stage
        .machine
        .ends(junglegrid::engine::Outcome::Stopped, None);
    stopped.await;
    let end = stage.ended(&id).await;
    assert_eq!((end.code.as_str(), end.charged), ("stopped", 40_000));
    let kinds = stage.kinds(&id).await;
    let mut once = kinds.clone();
    once.dedup();
    assert_eq!(kinds, once, "nothing is said twice");
    assert_eq!(kinds.len(), 10, "{kinds:?}");
}
