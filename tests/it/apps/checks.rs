//! What is told of the checks of a service.
use super::stage::Stage;
use serde_json::json;

#[tokio::test]
async fn a_check_says_which_of_its_row_it_is_also_when_it_fails() {
    let stage = Stage::start().await;
    let id = stage.launch("desk", json!({})).await;
    stage.phase(&id, "starting").await;
    stage.machine.runs().await;
    stage.first_checks(&id).await;
    for (says, passed, check) in [
        ((503, ""), 0, 1),
        ((503, ""), 0, 1),
        ((200, "I am ready"), 1, 1),
        // The second of the two that it needs.
        ((503, ""), 0, 2),
        ((503, ""), 0, 1),
        ((200, "I am ready"), 1, 1),
    ] {
        let outcome = says.0.to_string();
        stage.script.says("/desk", Ok(says));
        stage.pass_and_ask(&id, 2).await;
        let seen = stage.until(&id, "what it came to", |session| {
            let service = &session["services"][0];
            service["passed"] == passed
                && service["check"] == check
                && service["outcome"] == outcome
        });
        let seen = seen.await;
        let mut steps = seen["steps"].as_array().unwrap().iter();
        let step = steps.find(|step| step["id"] == "service-desk");
        let said = format!("Check {check} of 2: {outcome} at ");
        let detail = step.unwrap()["detail"].as_str().unwrap();
        assert!(detail.starts_with(&said), "{detail}");
        assert_eq!(seen["status"], "services");
    }
}
