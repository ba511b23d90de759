//! The pages of API keys, with as many as a list shows.
use super::Visit;
use crate::server::Server;
use junglegrid::web::assets;
use serde_json::{Value, json};

/// What people call the programs that hold them.
const NAMES: [&str; 21] = [
    "nightly-training",
    "Grafana dashboard",
    "github actions: release",
    "mcp on Ada's laptop",
    "langflow staging",
    "n8n",
    "cron on bastion-2",
    "notebook server",
    "airflow production",
    "flowise demo",
    "alerting",
    "dataset import, March",
    "terraform",
    "slack bot",
    "cost report",
    "Zapier",
    "evaluation harness",
    "customer portal",
    "load test",
    "old laptop",
    "activepieces",
];

#[test]
fn pages_of_keys_are_small() {
    let server = Server::start(&[]);
    let token = server.sign_up("ada.lovelace@example.org");
    let run = ["jobs:estimate", "jobs:submit", "jobs:read", "logs:read"];
    let mut ids = Vec::new();
    for (number, name) in NAMES.iter().enumerate() {
        let scopes = &run[number % 3..];
        let body = json!({
            "name": name, "scopes": scopes, "allowed_ips": ["203.0.113.0/24", "127.0.0.1"],
            "expires_in_days": 5 + number * 20,
        });
        let made = server.call("POST", "/v1/api-keys", &token, &body);
        let key = made["key"].as_str().unwrap();
        if number % 2 == 0 {
            server.call("GET", "/v1/nodes", key, &Value::Null);
        }
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    for id in &ids[..2] {
        let path = format!("/v1/api-keys/{id}/rotate");
        server.call("POST", &path, &token, &Value::Null);
    }
    let path = format!("/v1/api-keys/{}", ids[1]);
    server.call("DELETE", &path, &token, &Value::Null);

    let style = assets::url("jungle.css").rsplit('.').nth(1).unwrap();
    let mut visit = Visit {
        server: &server,
        cookies: format!("Cookie: jg_css={style}; __Host-jg_session={token}\r\n"),
        sizes: Vec::new(),
    };
    visit.page("a page of keys", "/portal/api-keys");
    visit.page("no keys", "/portal/api-keys?status=disabled");
    visit.page("a new key", "/portal/api-keys/new");
    for (what, id) in [("a rotated key", &ids[0]), ("a revoked key", &ids[1])] {
        visit.page(what, &format!("/portal/api-keys/{id}"));
    }
    for question in ["rotate", "disable", "revoke"] {
        let path = format!("/portal/api-keys/{}/{question}", ids[0]);
        visit.page(&format!("the question whether to {question}"), &path);
    }
    visit.fragment("a page of keys, filtered", "/portal/api-keys?status=active");
    visit.fragment("one key, filtered", "/portal/api-keys?status=revoked");
    visit.fragment("no key, filtered", "/portal/api-keys?status=disabled");
    visit.hold();
}
