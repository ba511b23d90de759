//! Apps as the API shows them, in every phase, listed and live. The rows are
//! written as launches and their workers write them.
mod board;
mod desk;
mod live;

use crate::authorisation::credentials::make;
use desk::{App, Desk, event, failed, files, studio};
use http::Method;
use junglegrid::domain::app::{EndCode, Phase, ServiceState};
use junglegrid::domain::job::{Failure, Outcome};
use junglegrid::store::apps::services;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fmt::Write as _;

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
        json!(["Everything else in the app is lost."])
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
async fn a_volume_that_does_not_outlive_its_session_is_among_what_is_lost() {
    let desk = Desk::start().await;
    let mut manifest = files();
    let mut cache = manifest.volumes[0].clone();
    (cache.name, cache.mount, cache.persist) = ("cache".into(), "/cache".into(), false);
    manifest.volumes.push(cache);
    let app = desk.launch(manifest).await;
    let session = app.show().await;
    assert_eq!(session["kept"], json!(["Files in /workspace are kept."]));
    assert_eq!(
        session["lost"],
        json!([
            "Files in /cache are deleted.",
            "Everything else in the app is lost."
        ])
    );
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
    assert!(advice.contains("registry"), "{advice}");
    assert_eq!(session["cost_usd"], json!(0.0));
}

/// A key that opens no output does not open the last lines of it either.
#[tokio::test]
async fn the_last_lines_are_for_those_who_may_read_output() {
    let desk = Desk::start().await;
    let mut app = desk.launch(files()).await;
    app.to(Phase::Reserved).await;
    app.to(Phase::Starting).await;
    app.print(1, 2).await;
    let outcome = Outcome::Failed(Failure::Exit(3));
    app.end(EndCode::Crashed, outcome, 0).await;
    let path = format!("/v1/app-sessions/{}", app.session.id);
    let lines = json!(["line 1", "line 2"]);
    for (scopes, get, stop) in [
        (vec!["jobs:read"], Some(true), None),
        (vec!["jobs:write"], Some(false), Some(false)),
        (vec!["jobs:submit"], None, Some(false)),
        (vec!["jobs:submit", "logs:read"], None, Some(true)),
    ] {
        let (key, _) = make(&desk.api, &desk.token, json!({ "scopes": scopes })).await;
        let got = desk.api.get(&path, &key).await;
        let stop_it = format!("{path}/stop");
        let stopped = desk.api.call(Method::POST, &stop_it, &key, json!({})).await;
        for (answer, reads) in [(got, get), (stopped, stop)] {
            let found = answer.body["end"].get("last_lines");
            match reads {
                None => assert_eq!(answer.status, 403, "{scopes:?}: {}", answer.body),
                Some(true) => assert_eq!(found, Some(&lines), "{scopes:?}"),
                Some(false) => {
                    assert_eq!(answer.body["end"]["code"], "crashed", "{scopes:?}");
                    assert_eq!(found, None, "{scopes:?}");
                }
            }
        }
    }
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
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
            "does not have the program /run/junglegrid",
        ),
        (
            EndCode::Crashed,
            exit(3),
            Phase::Services,
            "service-web",
            "Most often",
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
            "It runs, but",
        ),
        (
            EndCode::OutOfMemory,
            Outcome::Failed(Failure::OutOfMemory),
            Phase::Services,
            "service-web",
            "Load less",
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
        // That is in the message.
        assert!(!said.contains("exit code"), "{code:?}: {said}");
        assert_eq!(session["status_message"], end["message"]);
        assert_ne!(end["message"], "");
        let lines: Vec<_> = (6..=25).map(|n| format!("line {n}")).collect();
        assert_eq!(end["last_lines"], json!(lines));
        for step in session["steps"].as_array().unwrap() {
            let state = step["state"].as_str().unwrap();
            assert!(!["doing", "waiting"].contains(&state), "{step}");
        }
        let logs = desk.get("/v1/logs?limit=50").await.body;
        let mut logs = logs["logs"].as_array().unwrap().iter();
        let of = logs.find(|of| of["job_id"] == session["job_id"]);
        assert_eq!(of.expect("it printed")["app_session_end"], code.name());
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
async fn nobody_is_sent_to_lines_that_there_are_none_of() {
    let desk = Desk::start().await;
    for (code, outcome) in [
        (EndCode::Crashed, Outcome::Failed(Failure::Exit(3))),
        (EndCode::Died, Outcome::Failed(Failure::Signal(11))),
        (EndCode::NeverReady, Outcome::Cancelled),
    ] {
        for printed in [0, 1] {
            let mut app = desk.launch(files()).await;
            app.to(Phase::Reserved).await;
            app.to(Phase::Starting).await;
            app.to(Phase::Services).await;
            if printed > 0 {
                app.print(1, printed).await;
            }
            app.end(code, outcome.clone(), 0).await;
            let said = app.show().await["end"]["advice"].to_string();
            assert_eq!(said.contains("last lines"), printed > 0, "{code:?}: {said}");
        }
    }
}

#[tokio::test]
async fn a_shell_is_not_blamed_for_what_it_cannot_find() {
    let desk = Desk::start().await;
    let mut manifest = files();
    manifest.command = vec!["/bin/sh".into(), "-c".into(), "exec nothing".into()];
    let mut app = desk.launch(manifest).await;
    app.to(Phase::Reserved).await;
    app.to(Phase::Starting).await;
    let outcome = Outcome::Failed(Failure::Exit(127));
    app.end(EndCode::Crashed, outcome, 0).await;
    let said = app.show().await["end"]["advice"].to_string();
    assert!(said.contains("that its command starts"), "{said}");
    assert!(!said.contains("/bin/sh"), "{said}");
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
async fn so_do_the_times_of_an_image_and_of_the_start_after_it() {
    let desk = Desk::start().await;
    for (pull, start) in [(60, 9), (90, 30), (120, 12)] {
        let mut app = desk.launch(studio()).await;
        app.to(Phase::Reserved).await;
        app.to(Phase::Image).await;
        app.wait(pull);
        app.to(Phase::Starting).await;
        app.wait(start);
        app.to(Phase::Services).await;
        app.wait(3);
        let steps = app.show().await["steps"].take();
        assert_eq!(steps[2]["done_at"], steps[3]["since"], "{steps}");
        app.to(Phase::Running).await;
        app.end(EndCode::Stopped, Outcome::Cancelled, 0).await;
        let ended = app.show().await["steps"].take();
        assert_eq!(ended[2]["done_at"], steps[2]["done_at"], "{ended}");
        assert_eq!(ended[3]["since"], steps[3]["since"], "{ended}");
    }
    // One that had its image at once says nothing of pulling.
    let mut app = desk.launch(studio()).await;
    app.to(Phase::Reserved).await;
    app.to(Phase::Services).await;
    app.to(Phase::Running).await;
    app.end(EndCode::Stopped, Outcome::Cancelled, 0).await;

    let mut app = desk.launch(studio()).await;
    app.to(Phase::Reserved).await;
    app.to(Phase::Image).await;
    app.to(Phase::Starting).await;
    let usual = |session: &Value, step: usize| {
        let usual = &session["steps"][step]["usual"];
        ["low_seconds", "high_seconds", "samples"].map(|of| usual[of].as_i64().unwrap())
    };
    app.wait(30);
    let session = app.show().await;
    assert_eq!(usual(&session, 2), [60, 120, 3]);
    assert_eq!(usual(&session, 3), [9, 30, 3]);
    assert_eq!(session["steps"][3]["slow"], false);
    app.wait(1);
    assert_eq!(app.show().await["steps"][3]["slow"], true);
    // One that fails there has had its image.
    app.end(EndCode::Crashed, failed("no"), 0).await;
    let steps = app.show().await["steps"].take();
    assert_eq!(
        (&steps[2]["state"], &steps[3]["state"]),
        (&json!("done"), &json!("failed"))
    );
}

#[tokio::test]
async fn the_list_is_walked_page_by_page_and_filtered() {
    let desk = Desk::start().await;
    let mut all = BTreeSet::new();
    for n in 0..45 {
        let mut manifest = if n % 3 == 0 { studio() } else { files() };
        // Of each template only one may be live.
        if n > 42 || n == 41 {
            manifest.slug = format!("files-{n}");
        }
        let mut app = desk.launch(manifest).await;
        if n % 2 == 0 {
            app.wait(1);
        }
        if n >= 40 {
            app.ready().await;
        } else if n >= 30 {
            app.end(EndCode::Crashed, failed("no"), 0).await;
        } else {
            app.end(EndCode::Stopped, Outcome::Cancelled, 0).await;
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
        ("&status=active", 5),
        ("&status=past", 40),
        ("&status=failed", 10),
        ("&status=running", 5),
        ("&status=ended", 30),
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
