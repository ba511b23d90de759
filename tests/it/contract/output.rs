//! What is said of a job's output besides the output.
use crate::grid::{Grid, and, script};
use serde_json::json;

#[tokio::test]
async fn what_the_platform_says_is_no_output_of_the_command() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let command = json!({ "command": ["/nonexistent"] });
    let id = ada.submit(and(script(""), command)).await;
    let job = ada.ended(&id).await;
    assert_eq!(job["status"], "failed");
    let started = &job["startup_diagnostics"];
    assert_eq!(started["command_spawned"], false);
    assert_eq!(started["workload_logs_available"], false, "{started}");
    assert!(job["status_reason"].is_string());
    for family in ["/v1/jobs", "/v1/mcp/jobs"] {
        let logs = ada.see(&format!("{family}/{id}/logs")).await;
        let logs = logs.get("data").unwrap_or(&logs);
        assert_eq!(logs["items"][0]["category"], "platform");
        assert_eq!(logs["status_reason"], job["status_reason"], "{family}");
    }
    let id = ada.submit(script("echo hello")).await;
    let job = ada.ended(&id).await;
    assert_eq!(job["startup_diagnostics"]["workload_logs_available"], true);
}

#[tokio::test]
async fn a_tail_says_whether_it_is_all() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let long = "head -c 40000 /dev/zero | tr '\\0' x; echo; echo end";
    let mut seen = Vec::new();
    for command in ["seq 50", "seq 51", long] {
        let id = ada.submit(script(command)).await;
        assert_eq!(ada.ended(&id).await["status"], "completed");
        let runtime = ada.see(&format!("/v1/jobs/{id}/runtime")).await;
        let state = runtime["runtime_availability"]["stdout_tail"]["state"].clone();
        seen.push((state, runtime["stdout_tail"].as_str().unwrap().to_owned()));
    }
    let numbers = |first: i32, last: i32| {
        let numbers: Vec<_> = (first..=last).map(|n| n.to_string()).collect();
        numbers.join("\n")
    };
    assert_eq!(seen[0], (json!("available"), numbers(1, 50)));
    assert_eq!(seen[1], (json!("truncated"), numbers(2, 51)));
    let (state, text) = &seen[2];
    assert_eq!(state, "available");
    assert!(
        text == &format!("{}\nend", "x".repeat(40_000)),
        "in one piece"
    );
}
