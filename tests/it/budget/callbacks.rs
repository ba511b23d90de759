//! The pages of callbacks, with as many attempts as a page shows.
use super::{LATER_PAGE, Visit, until};
use crate::server::Server;
use junglegrid::web::assets;
use serde_json::{Value, json};

#[test]
fn pages_of_callbacks_are_small() {
    let server = Server::start(&[]);
    let token = server.sign_up("ada.lovelace@example.org");
    // Nobody listens there.
    let job = json!({
        "name": "finetune-mistral-7b, rank 16", "workload_type": "fine-tuning", "image": "host",
        "command": ["sh", "-c", "echo done"], "timeout_seconds": 600,
        "callback_url": "http://localhost:9/hooks/of/our/pipeline/finished",
    });
    let job = server.call("POST", "/v1/jobs", &token, &job);
    let job = job["job_id"].as_str().unwrap();
    server.job(&token, job, |job| job["status"] == "completed");
    let callback = format!("/v1/jobs/{job}/callback");
    // Nobody wants to wait for eleven: those by hand are asked for.
    until("three attempts", || {
        let sent = server.call("POST", &format!("{callback}/send"), &token, &Value::Null);
        sent["attempts"]
            .as_array()
            .is_some_and(|all| all.len() > 2)
            .then_some(())
    });
    for _ in 0..3 {
        let path = "/v1/callbacks/secret/rotate";
        server.call("POST", path, &token, &Value::Null);
    }
    let style = assets::url("jungle.css").rsplit('.').nth(1).unwrap();
    let mut visit = Visit {
        server: &server,
        cookies: format!("Cookie: jg_css={style}; __Host-jg_session={token}\r\n"),
        sizes: Vec::new(),
    };
    // Whom it tells is an address, which no other page has.
    let page = format!("/portal/jobs/{job}");
    visit.weigh("a job with a callback", &page, "", LATER_PAGE);
    visit.page("the secret of callbacks", "/portal/webhooks");
    visit.page(
        "the question whether to rotate it",
        "/portal/webhooks/rotate",
    );
    visit.hold();
}
