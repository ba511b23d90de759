//! The server is killed at every phase, and something else happens, before or after
//! there is one again.
use super::stage::{Ended, Stage};
use junglegrid::engine::Outcome;
use serde_json::{Value, json};

const PHASES: [&str; 6] = [
    "reserved", "image", "starting", "services", "running", "stopping",
];
const NOTHING: &str = "It was never ready: you were charged $0.00.";

/// Launches a box and takes it as far as this.
async fn bring(stage: &Stage, phase: &str) -> String {
    *stage.machine.pulls.lock().unwrap() = true;
    *stage.machine.obeys.lock().unwrap() = phase != "stopping";
    stage.script.says("/desk", Ok((503, "")));
    let id = stage.launch("box", json!({"max_hours": 1})).await;
    stage.phase(&id, "reserved").await;
    // It is reserved before the machine is asked, and a server may be killed in between.
    stage.machine.taken().await;
    let far = PHASES.iter().position(|known| *known == phase).unwrap();
    for step in &PHASES[1..=far] {
        match *step {
            "image" => stage.machine.pulls(1, 2).await,
            "starting" => stage.machine.pulls(2, 2).await,
            "services" => stage.machine.runs().await,
            "running" => {
                stage.first_checks(&id).await;
                stage.make_ready(&id).await;
                stage.pass(600);
            }
            _ => {
                let path = format!("/v1/app-sessions/{id}/stop");
                assert_eq!(stage.post(&path, json!({})).await.status, 200);
            }
        }
        stage.phase(&id, step).await;
    }
    id
}

fn assert_end(end: &Ended, words: [&str; 3], charged: i64, last: &str) {
    let found = [&end.status, &end.code, &end.step].map(String::as_str);
    assert_eq!((found, end.charged), (words, charged), "{end:?}");
    assert_eq!(end.last, last);
}

/// Nothing is said twice in a row, and each phase is begun once.
async fn assert_told_once(stage: &Stage, id: &str) {
    let kinds = stage.kinds(id).await;
    for (n, kind) in kinds.iter().enumerate() {
        let of_a_service = kind.starts_with("service.");
        assert!(of_a_service || !kinds[..n].contains(kind), "{kinds:?}");
    }
}

#[tokio::test]
async fn a_person_stops_it_after_a_kill() {
    let mut stage = Stage::start().await;
    for phase in PHASES {
        let id = bring(&stage, phase).await;
        stage.restart().await;
        assert_eq!(
            stage.session(&id).await["status"],
            phase,
            "it is where it was"
        );
        let path = format!("/v1/app-sessions/{id}/stop");
        assert_eq!(stage.post(&path, json!({})).await.status, 200);
        let (charged, bill) = match phase {
            "running" => (20_000, "It cost $0.02."),
            "stopping" => {
                // What did not stop by then is paid for.
                stage.pass(30);
                stage.machine.ends(Outcome::Stopped, None).await;
                (21_000, "It cost $0.0210.")
            }
            _ => (0, NOTHING),
        };
        let end = stage.ended(&id).await;
        let last = format!("Ended: It was stopped on request. {bill}");
        assert_end(&end, ["ended", "stopped", ""], charged, &last);
        assert_told_once(&stage, &id).await;
    }
}

#[tokio::test]
async fn one_in_the_queue_is_still_there_after_a_kill() {
    let mut stage = Stage::with(|config| config.slots = 1).await;
    let first = stage.launch("desk", json!({})).await;
    stage.phase(&first, "starting").await;
    *stage.machine.pulls.lock().unwrap() = true;
    let id = stage.launch("box", json!({"max_hours": 1})).await;
    stage.restart().await;
    assert_eq!(stage.session(&id).await["status"], "created");
    assert_eq!(stage.wallet().await.1, 600_000, "both are set aside for");
    // The slot becomes free while nobody looks.
    stage.kill();
    stage.machine.ends(Outcome::Exited(3), None).await;
    stage.restart().await;
    stage.phase(&id, "reserved").await;
    assert_eq!(stage.session(&first).await["end"]["code"], "crashed");
    stage.restart().await;
    let path = format!("/v1/app-sessions/{id}/stop");
    stage.post(&path, json!({})).await;
    let end = stage.ended(&id).await;
    let last = format!("Ended: It was stopped on request. {NOTHING}");
    assert_end(&end, ["ended", "stopped", ""], 0, &last);
    assert_told_once(&stage, &id).await;
}

#[tokio::test]
async fn its_run_ends_while_there_is_no_server() {
    let mut stage = Stage::start().await;
    let image = "docker.io/library/box@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let gone = format!("Failed: The image {image} could not be had: manifest unknown. {NOTHING}");
    let no_image = || Outcome::NoImage("manifest unknown".into());
    let refused = || Outcome::Refused("no such program".into());
    let cases = [
        (
            "reserved",
            no_image(),
            ["failed", "image_missing", "image"],
            0,
            gone.clone(),
        ),
        (
            "image",
            no_image(),
            ["failed", "image_missing", "image"],
            0,
            gone,
        ),
        (
            "starting",
            refused(),
            ["failed", "crashed", "starting"],
            0,
            format!("Failed: It could not be started: no such program. {NOTHING}"),
        ),
        (
            "services",
            Outcome::Exited(3),
            ["failed", "crashed", "service-box"],
            0,
            format!("Failed: Its command ended with exit code 3 before it was ready. {NOTHING}"),
        ),
        (
            "running",
            Outcome::Exited(3),
            ["failed", "died", ""],
            // Ten minutes with a server and half of one without.
            21_000,
            "Failed: Its command ended with exit code 3 after it had been ready. It cost $0.0210."
                .into(),
        ),
        (
            "stopping",
            Outcome::Exited(3),
            ["ended", "stopped", ""],
            21_000,
            "Ended: It was stopped on request. It cost $0.0210.".into(),
        ),
    ];
    for (phase, outcome, words, charged, last) in cases {
        let id = bring(&stage, phase).await;
        let started = ["services", "running", "stopping"].contains(&phase);
        let since = started.then(|| stage.api.clock.now());
        stage.kill();
        stage.pass(30);
        stage.machine.ends(outcome, since).await;
        // However long nobody comes to see it.
        stage.pass(7_200);
        stage.restart().await;
        let end = stage.ended(&id).await;
        assert_end(&end, words, charged, &last);
        assert_told_once(&stage, &id).await;
    }
}

#[tokio::test]
async fn its_time_is_over_while_there_is_no_server() {
    let mut stage = Stage::start().await;
    // Whatever waits for its machine has all the time there is.
    for phase in ["reserved", "image"] {
        let id = bring(&stage, phase).await;
        stage.kill();
        stage.pass(7_200);
        stage.restart().await;
        assert_eq!(stage.session(&id).await["status"], phase);
        stage
            .post(&format!("/v1/app-sessions/{id}/stop"), json!({}))
            .await;
        assert_eq!(stage.ended(&id).await.charged, 0);
    }
    let never = "Failed: Box was not ready within 1 min.";
    for (phase, step, check) in [
        ("starting", "starting", ""),
        ("services", "service-box", " Its last check said: 503."),
    ] {
        let id = bring(&stage, phase).await;
        if phase == "services" {
            let seen = |session: &Value| session["services"][0]["outcome"] == "503";
            stage.until(&id, "a check", seen).await;
        }
        stage.kill();
        stage.pass(7_200);
        stage.restart().await;
        let end = stage.ended(&id).await;
        let last = format!("{never}{check} {NOTHING}");
        assert_end(&end, ["failed", "never_ready", step], 0, &last);
    }

    let id = bring(&stage, "running").await;
    stage.kill();
    stage.pass(7_200);
    stage.restart().await;
    let end = stage.ended(&id).await;
    // It ran on for two hours, and no more was ever agreed than one.
    let last = "Expired: Its time was over, after 1 h. It cost $0.12.";
    assert_end(&end, ["expired", "time_limit", ""], 120_000, last);
    assert_told_once(&stage, &id).await;
}
