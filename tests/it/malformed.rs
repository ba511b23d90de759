//! Requests that no client of ours would send, written byte by byte: each gets
//! the answer that it deserves, and the server goes on.
mod bodies;
mod places;
mod wrappings;

use crate::grid::{Grid, script};
use http::Method;
use serde_json::Value;
use std::fmt::Write as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// One request, and what must come back.
struct Case {
    what: &'static str,
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    status: u16,
    /// Part of the answer.
    says: &'static str,
}

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// A call of the API with this body.
fn post(
    what: &'static str,
    path: &str,
    body: impl Into<Vec<u8>>,
    status: u16,
    says: &'static str,
) -> Case {
    Case {
        what,
        method: "POST",
        path: path.to_owned(),
        headers: vec![("content-type", JSON.to_owned())],
        body: body.into(),
        status,
        says,
    }
}

fn get(what: &'static str, path: impl Into<String>, status: u16, says: &'static str) -> Case {
    Case {
        method: "GET",
        path: path.into(),
        ..post(what, "", "", status, says)
    }
}

/// A form that a page of the portal sends.
fn form(
    what: &'static str,
    path: &str,
    body: impl Into<Vec<u8>>,
    status: u16,
    says: &'static str,
) -> Case {
    Case {
        headers: vec![
            ("content-type", FORM.to_owned()),
            ("sec-fetch-site", "same-origin".to_owned()),
            ("accept", "text/html".to_owned()),
        ],
        ..post(what, path, body, status, says)
    }
}

impl Case {
    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    fn method(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    /// The request on the wire. What the case does not say is as it should be.
    fn bytes(&self, address: &str, token: &str) -> Vec<u8> {
        let given = |name: &str| self.headers.iter().any(|(other, _)| *other == name);
        let mut head = format!(
            "{} {} HTTP/1.1\r\nconnection: close\r\n",
            self.method, self.path
        );
        let mut line = |name: &str, value: &str| {
            let _ = write!(head, "{name}: {value}\r\n");
        };
        for (name, value) in &self.headers {
            if *name != "no-host" {
                line(name, value);
            }
        }
        if !given("host") && !given("no-host") {
            line("host", address);
        }
        if !given("authorization") && !given("accept") {
            line("authorization", &format!("Bearer {token}"));
        }
        if !given("content-length") && !given("transfer-encoding") {
            line("content-length", &self.body.len().to_string());
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend(&self.body);
        bytes
    }

    async fn answer(&self, address: &str, token: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // The server may refuse before it has read everything.
        let _ = stream.write_all(&self.bytes(address, token)).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(crate::grid::DEADLINE, stream.read_to_end(&mut answer));
        let _ = read.await.expect("an answer in time");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), answer)
    }
}

/// A job with this text in place of a field's value.
#[tokio::test]
async fn malformed_requests_get_the_answers_they_deserve() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let id = ada.submit(script("echo one")).await;
    ada.ended(&id).await;
    let draft = ada.post("/v1/job-drafts", Value::Null).await.text("/id");
    let address = grid.address();
    let mut cases = bodies::json();
    cases.extend(places::jobs(&id, &format!("ff-{id}")));
    cases.extend(places::drafts(&draft));
    cases.extend(wrappings::requests(&address));
    cases.extend(wrappings::forms());
    assert!(cases.len() >= 30);

    println!(
        "{:<42} {:<7} {:>6} {:>6}",
        "what", "method", "wanted", "came"
    );
    let mut wrong = Vec::new();
    for case in &cases {
        let (status, answer) = case.answer(&address, &ada.token).await;
        println!(
            "{:<42} {:<7} {:>6} {status:>6}",
            case.what, case.method, case.status
        );
        if status != case.status || !answer.contains(case.says) {
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            let body: String = body.chars().take(300).collect();
            wrong.push(format!(
                "{}: {} {} wants {} and {:?}, and got {status}: {body}",
                case.what,
                case.method,
                case.path.chars().take(60).collect::<String>(),
                case.status,
                case.says
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        cases.len(),
        wrong.join("\n")
    );

    let jobs = ada.see("/v1/jobs").await;
    assert_eq!(
        jobs["jobs"].as_array().unwrap().len(),
        1,
        "none of them did anything"
    );
    ada.wallet().await;
    let alive = grid
        .call(Method::GET, "/readyz", "", &Value::Null)
        .await
        .unwrap();
    assert_eq!(alive.status, 200);
    let said = grid.said();
    assert!(!said.contains("panicked"), "a handler panicked");
    assert!(!said.contains("request failed"), "something failed inside");
}
