//! Keys as people make and take them away.
use crate::driver::{Browser, Visitor, block_on};
use crate::server::Server;
use serde_json::{Value, json};

const EMAIL: &str = "ada@example.org";
const NEW: &str = "/portal/api-keys/new";

/// The status of a request with this key.
fn opens(server: &Server, key: &str) -> u16 {
    let bearer = format!("Authorization: Bearer {key}\r\n");
    server.request("GET", "/v1/jobs", &bearer, "").status
}

pub(crate) fn a_key_is_made_rotated_and_revoked() {
    path(Visitor::Desk);
}

pub(crate) fn a_key_is_made_rotated_and_revoked_without_javascript() {
    path(Visitor::NoScript);
}

fn path(visitor: Visitor) {
    block_on(async {
        let server = Server::start(&[]);
        server.sign_up(EMAIL);
        let browser = Browser::open(visitor, &server).await;
        browser.sign_in(EMAIL).await;
        browser.go("/portal/api-keys").await;
        browser
            .reads("#keys", |text| text.contains("No keys yet"))
            .await;
        browser.press("Make your first key").await;

        // A mistake costs nothing that was typed.
        browser.fill("#name", "nightly").await;
        browser.click("[name=preset][value=exactly]").await;
        browser.click("[name=scope][value='jobs:read']").await;
        browser.fill("#allowed_ips", "127.0.0.1/8").await;
        browser.press("Make the key").await;
        browser
            .reads("#allowed_ips-error", |text| text.contains("127.0.0.0/8"))
            .await;
        assert_eq!(browser.value("#name").await, "nightly");
        assert_eq!(browser.value("#allowed_ips").await, "127.0.0.1/8");
        assert!(
            browser
                .sees("[name=scope][value='jobs:read']:checked")
                .await
        );
        browser.retype("#allowed_ips", "127.0.0.1").await;
        browser.press("Make the key").await;

        browser
            .reads("#new-key", |text| text.contains("shown this once"))
            .await;
        let first = browser.value("#secret").await;
        assert_eq!(opens(&server, &first), 200);
        if visitor == Visitor::Desk {
            assert_eq!(browser.path().await, NEW, "no address has it");
            let focus = "document.activeElement.id";
            assert_eq!(browser.ask(focus).await, "made-h");
            let stored = "Object.keys({ ...localStorage, ...sessionStorage }).length";
            assert_eq!(browser.ask(stored).await, 0);
            browser.reload().await;
            browser.see("#name").await;
            assert!(!browser.sees("#secret").await, "it is shown once");
        }

        browser.go("/portal/api-keys").await;
        browser.click("#keys tbody th a").await;
        let text = browser.text("main").await;
        assert!(
            text.contains("127.0.0.1") && !text.contains(&first[7..43]),
            "{text}"
        );
        let page = browser.path().await;
        browser.press("Rotate…").await;
        browser.press("Rotate the key").await;
        browser
            .reads("#new-key", |text| text.contains("works until"))
            .await;
        let second = browser.value("#secret").await;
        assert_eq!([&first, &second].map(|key| opens(&server, key)), [200, 200]);
        browser.press("I have saved it").await;
        browser
            .reads("#previous-h", |text| text.contains("before"))
            .await;
        assert_eq!(browser.path().await, page);

        browser.press("Revoke…").await;
        browser.press("Keep the key").await;
        browser.arrives("the key's page", |at| at == page).await;
        assert_eq!(opens(&server, &second), 200, "nothing happened");
        browser.press("Revoke…").await;
        browser.press("Revoke it for ever").await;
        browser
            .reads("main .note", |text| text.contains("never will again"))
            .await;
        assert_eq!([&first, &second].map(|key| opens(&server, key)), [401, 401]);
        // What was refused is said by the browser, too.
        let complaints = browser.complaints().await;
        let others: Vec<_> = complaints
            .iter()
            .filter(|said| !said.contains("422"))
            .collect();
        assert_eq!(others, Vec::<&String>::new());
    });
}

/// Keys of every state, for the pages that show them.
pub(crate) fn of_every_state(server: &Server, token: &str) -> Vec<String> {
    let name = "a-name-without-any-spaces-".repeat(3);
    let make = |name: &str| {
        let body = json!({ "name": name, "scopes": ["jobs:estimate", "jobs:submit", "jobs:write", "jobs:read", "logs:read"],
            "allowed_ips": ["2001:db8:1234:5678:9abc:def0:1234:5678"] });
        let made = server.call("POST", "/v1/api-keys", token, &body);
        made["id"].as_str().unwrap().to_owned()
    };
    let ids: Vec<String> = [&*name, "disabled", "revoked"].map(make).into();
    let at = |id: &str, rest: &str| format!("/v1/api-keys/{id}{rest}");
    server.call("POST", &at(&ids[0], "/rotate"), token, &Value::Null);
    server.call("POST", &at(&ids[1], "/disable"), token, &Value::Null);
    server.call("DELETE", &at(&ids[2], ""), token, &Value::Null);
    ids
}
