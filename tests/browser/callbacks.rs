//! A callback, as the page of its job follows it, and the secret that signs it.
use crate::driver::{Browser, Visitor, block_on};
use crate::server::Server;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const EMAIL: &str = "ada@example.org";

pub(crate) fn a_callback_is_followed_and_its_secret_rotated() {
    path(Visitor::Desk);
}

pub(crate) fn a_callback_is_followed_and_its_secret_rotated_without_javascript() {
    path(Visitor::NoScript);
}

/// Does not want the first call, and takes those after it. Returns its URL.
async fn receiver() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/told", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut first = true;
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = vec![0; 16 * 1024];
            if stream.read(&mut head).await.is_err() {
                continue;
            }
            let status = if first { "410 Gone" } else { "204 No Content" };
            first = false;
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

fn path(visitor: Visitor) {
    block_on(async {
        let server = Server::start(&["--host-slots", "2"]);
        let token = server.sign_up(EMAIL);
        let browser = Browser::open(visitor, &server).await;
        browser.sign_in(EMAIL).await;
        let job = json!({
            "name": "tells", "workload_type": "batch", "image": "host",
            "command": ["sh", "-c", "echo begun; sleep 600"],
            "timeout_seconds": 600, "callback_url": receiver().await,
        });
        let job = server.call("POST", "/v1/jobs", &token, &job);
        let page = format!("/portal/jobs/{}", job["job_id"].as_str().unwrap());
        browser.go(&page).await;
        let says = async |words: &str| {
            browser
                .reads("#job-callback", |text| text.contains(words))
                .await
        };
        says("At the end").await;
        // What ends it is not looked for on the page: that is to follow by itself.
        let id = job["job_id"].as_str().unwrap();
        server.call("POST", &format!("/v1/jobs/{id}/cancel"), &token, &json!({}));
        let told = says("Not wanted").await;
        assert!(told.contains("answered 410"), "{told}");
        browser.press("Send again").await;
        let told = says("Delivered").await;
        assert!(told.contains("Attempt 2, answered 204"), "{told}");

        browser.go("/portal/webhooks").await;
        let before = browser.value("#secret").await;
        assert!(before.starts_with("whsec_"), "{before}");
        browser.press("Rotate…").await;
        browser.press("Leave it as it is").await;
        browser.see("#signing").await;
        assert_eq!(browser.value("#secret").await, before, "it was refused");
        browser.press("Rotate…").await;
        browser.press("Rotate the secret").await;
        browser
            .reads("#signing", |text| text.contains("Secrets from before"))
            .await;
        let after = browser.value("#secret").await;
        assert!(after.starts_with("whsec_") && after != before);
        assert_eq!(browser.complaints().await, Vec::<String>::new());
    });
}
