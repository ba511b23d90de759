//! The catalogue of apps, as clients see it.
use crate::grid::{Grid, Person, WELCOME, micros};
use serde_json::{Value, json};
use std::process::Command;

const FILES: &str = "/v1/templates/workspace-files";

fn codes(of: &Value) -> Vec<&str> {
    let checks = of["checks"].as_array().expect("checks");
    checks.iter().filter_map(|c| c["code"].as_str()).collect()
}

async fn estimate(person: &Person<'_>, choices: Value) -> Value {
    let answer = person.post(&format!("{FILES}/estimate"), choices).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

#[tokio::test]
async fn the_catalogue_says_what_can_be_launched_here_and_why_the_rest_cannot() {
    let grid = Grid::start();
    let ama = grid.sign_up("ama@example.com").await;
    let list = ama.see("/v1/templates").await;
    let all = list["templates"].as_array().unwrap();
    let slugs: Vec<&str> = all.iter().map(|t| t["slug"].as_str().unwrap()).collect();
    for slug in [
        "lora-pilot",
        "onetrainer",
        "swarmui",
        "comfyui",
        "jupyterlab",
        "open-webui",
        "vllm",
        "code-server",
    ] {
        assert!(slugs.contains(&slug), "{slug} is missing");
    }
    // What can be launched is in front, and needs no image.
    assert_eq!(slugs[..2], ["workspace-console", "workspace-files"]);
    for template in all {
        let host = template["image"] == "host";
        assert_eq!(template["launchable"], json!(host), "{template}");
        for check in template["checks"].as_array().unwrap() {
            assert_eq!(check["status"], "blocked");
            assert!(check["message"].as_str().unwrap().ends_with('.'), "{check}");
            assert!(check["action"].as_str().unwrap().ends_with('.'), "{check}");
        }
        if !host {
            assert!(codes(template).contains(&"IMAGE_UNPINNED"), "{template}");
            assert!(codes(template).contains(&"IMAGE_UNSUPPORTED"), "{template}");
            assert!(template["unpinned"].is_string());
        }
        assert_eq!(micros(&template["hourly_rate_usd"]), 120_000);
        assert_eq!(template["usual_start"]["samples"], 0);
        assert!(template["active_session"].is_null());
    }
    let lora = ama.see("/v1/templates/lora-pilot").await;
    assert!(codes(&lora).contains(&"GPU_UNAVAILABLE"), "{lora}");
    let gpu = lora["checks"].to_string();
    assert!(gpu.contains("at least 12 GB"), "{gpu}");

    let files = ama.see(FILES).await;
    assert_eq!(files["services"][0]["primary"], true);
    assert_eq!(files["volumes"][0]["name"], "files");
    assert_eq!(files["checks"], json!([]));
    let none = ama.get("/v1/templates/none").await;
    assert_eq!(none.status, 404);
    assert_eq!(none.body["code"], "NOT_FOUND");
}

#[tokio::test]
async fn an_estimate_says_what_a_launch_would_cost_and_when_it_would_be_ready() {
    let grid = Grid::start();
    let ama = grid.sign_up("ama@example.com").await;
    let found = estimate(&ama, json!({})).await;
    assert!(found["estimate_id"].as_str().unwrap().starts_with("est_"));
    assert_eq!(found["launchable"], true);
    assert_eq!(found["choices"]["max_hours"], 4.0);
    assert_eq!(found["choices"]["idle_minutes"], 60);
    assert_eq!(found["minutes"], 240);
    assert_eq!(micros(&found["hold_usd"]), 480_000);
    assert_eq!(micros(&found["available_usd"]), WELCOME);
    assert_eq!(
        (&found["queue_low_seconds"], &found["queue_high_seconds"]),
        (&json!(0), &json!(10))
    );
    // 0 to 10 s of waiting, 1 to 7 s by the manifest.
    let at = |field: &str| {
        let text = found[field].as_str().unwrap();
        time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339).unwrap()
    };
    assert_eq!((at("ready_at_min") - at("quoted_at")).whole_seconds(), 1);
    assert_eq!((at("ready_at_max") - at("quoted_at")).whole_seconds(), 17);
    assert_eq!((at("expires_at") - at("quoted_at")).whole_minutes(), 5);
    assert!(found["billing_from"].as_str().unwrap().contains("ready"));
    assert_eq!(codes(&found), [""; 0]);
    // Nothing is set aside for looking.
    assert_eq!(ama.wallet().await, (WELCOME, 0, 0));

    // Money ends it before the hours do.
    let found = estimate(
        &ama,
        json!({ "max_hours": 12, "max_usd": 0.10, "idle_minutes": 0 }),
    )
    .await;
    assert_eq!(found["minutes"], 50);
    assert_eq!(micros(&found["hold_usd"]), 100_000);
    assert_eq!(
        found["choices"],
        json!({ "max_hours": 12.0, "max_usd": 0.1, "idle_minutes": 0 })
    );
    let found = estimate(&ama, json!({ "max_hours": 0.25 })).await;
    assert_eq!(found["minutes"], 15);
}

#[tokio::test]
async fn choices_that_make_no_sense_are_named() {
    let grid = Grid::with(&["--max-run-hours", "6"]);
    let ama = grid.sign_up("ama@example.com").await;
    for (choices, fields) in [
        (json!({ "max_hours": 0.2 }), vec!["max_hours"]),
        (json!({ "max_hours": 6.1 }), vec!["max_hours"]),
        (json!({ "max_hours": -1 }), vec!["max_hours"]),
        (json!({ "idle_minutes": 4 }), vec!["idle_minutes"]),
        (json!({ "idle_minutes": 1441 }), vec!["idle_minutes"]),
        (json!({ "max_usd": 0.009 }), vec!["max_usd"]),
        (
            json!({ "max_hours": 99, "idle_minutes": 1, "max_usd": 0 }),
            vec!["idle_minutes", "max_hours", "max_usd"],
        ),
    ] {
        let answer = ama
            .post(&format!("{FILES}/estimate"), choices.clone())
            .await;
        assert_eq!(answer.status, 400, "{choices}: {}", answer.body);
        let named: Vec<&String> = answer.body["error"]["fields"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert_eq!(named, fields, "{choices}");
    }
    for choices in [
        json!({ "max_hours": 6 }),
        json!({ "idle_minutes": 5 }),
        json!({ "max_usd": 0.01 }),
    ] {
        estimate(&ama, choices).await;
    }
    let none = ama.post("/v1/templates/none/estimate", json!({})).await;
    assert_eq!(none.status, 404);
}

#[tokio::test]
async fn a_wallet_that_is_too_small_is_a_warning_with_what_to_do() {
    let grid = Grid::with(&["--welcome-credit", "0.05", "--hourly-rate", "60"]);
    let signed = grid.sign_up("ama@example.com").await;
    let found = estimate(&signed, json!({})).await;
    assert_eq!(found["launchable"], true);
    assert_eq!(codes(&found), ["INSUFFICIENT_FUNDS"]);
    let check = &found["checks"][0];
    assert_eq!(check["status"], "warning");
    assert!(
        check["message"].as_str().unwrap().contains("$240.00"),
        "{check}"
    );
    assert!(
        check["action"].as_str().unwrap().contains("fewer hours"),
        "{check}"
    );
    // A cent lasts for less than a minute at this price.
    let answer = signed
        .post(&format!("{FILES}/estimate"), json!({ "max_usd": 0.01 }))
        .await;
    assert_eq!(answer.status, 400);
    assert!(
        answer.body["error"]["fields"]["max_usd"]
            .as_str()
            .unwrap()
            .contains("minute")
    );
}

#[tokio::test]
async fn signing_in_is_asked_for() {
    let grid = Grid::start();
    for (method, path) in [
        (http::Method::GET, "/v1/templates"),
        (http::Method::GET, FILES),
        (http::Method::POST, "/v1/templates/workspace-files/estimate"),
    ] {
        let answer = grid.call(method, path, "", &json!({})).await.unwrap();
        assert_eq!(answer.status, 401, "{path}");
    }
}

#[tokio::test]
async fn the_operators_own_templates_are_in_the_catalogue() {
    let folder = tempfile::tempdir().unwrap();
    let own = include_str!("../../assets/templates/workspace-files.toml")
        .replace("slug = \"workspace-files\"", "slug = \"big-app\"")
        .replace("memory_gb = 0.25", "memory_gb = 90000")
        .replace("disk_gb = 4\n", "disk_gb = 99000\n");
    let data = folder.path().join("data");
    std::fs::create_dir_all(data.join("templates")).unwrap();
    std::fs::write(data.join("templates/big-app.toml"), own).unwrap();
    let grid = Grid::start_in(folder, &["--host-slots", "2"]);
    let ama = grid.sign_up("ama@example.com").await;
    let big = ama.see("/v1/templates/big-app").await;
    assert_eq!(big["launchable"], false);
    assert_eq!(codes(&big), ["MACHINE_TOO_SMALL", "DISK_TOO_SMALL"]);
}

/// Without this, somebody would find out at the first launch.
#[test]
fn the_server_does_not_start_with_a_template_that_is_not_right() {
    let data = tempfile::tempdir().unwrap();
    let templates = data.path().join("templates");
    std::fs::create_dir(&templates).unwrap();
    let good = include_str!("../../assets/templates/workspace-console.toml");
    let bad = good
        .replace("port = 8001", "port = 8000")
        .replace("\"/healthz\"", "\"healthz\"");
    std::fs::write(templates.join("workspace-console.toml"), bad).unwrap();
    std::fs::write(
        templates.join("other.toml"),
        "slug = \"other\"\ncolour = 1\n",
    )
    .unwrap();
    let ended = Command::new(env!("CARGO_BIN_EXE_junglegrid"))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .args(["--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .output()
        .unwrap();
    assert!(!ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr);
    for words in [
        "workspace-console.toml: services[1].port: Another service has port 8000 already.",
        "workspace-console.toml: services[0].readiness.path:",
        "other.toml: colour: line 2: unknown field `colour`",
    ] {
        assert!(said.contains(words), "{words:?} is not in {said}");
    }
}
