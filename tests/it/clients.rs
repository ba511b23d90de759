//! The clients that there are, played against the running program: over plain TCP and
//! over TLS, from the estimate to the second cancellation, each with the body it
//! writes and the way it reads; and those that bring files, fetch files or are called
//! back, with what they do then. Every answer is also held against the API's
//! description.
mod activepieces;
mod examples;
mod files;
mod flowise;
mod forgegrid;
mod langflow;
mod mcp;
mod openagents;
mod openline;
mod substrata;

use crate::grid::{Grid, Person, eventually};
use http::Method;
use serde_json::{Value, json};

/// One slot, so that the second job waits; and images, which clients always name.
const FLAGS: [&str; 4] = ["--host-slots", "1", "--host-images", "any"];

macro_rules! lives {
    (
        whole { $($name:ident: $client:expr;)+ }
        further { $($story:ident: $told:path;)+ }
    ) => {
        mod over_tcp {$(
            #[tokio::test]
            async fn $name() {
                super::live($client, crate::grid::Grid::with(&super::FLAGS)).await;
            }
        )+
        $(
            #[tokio::test]
            async fn $story() {
                $told(crate::grid::Grid::with(&super::FLAGS)).await;
            }
        )+}
        mod over_tls {$(
            #[tokio::test]
            async fn $name() {
                super::live($client, crate::grid::Grid::over_tls(&super::FLAGS)).await;
            }
        )+
        $(
            #[tokio::test]
            async fn $story() {
                $told(crate::grid::Grid::over_tls(&super::FLAGS)).await;
            }
        )+}
    };
}

lives! {
    whole {
        activepieces: crate::clients::activepieces::Piece;
        flowise: crate::clients::flowise::Node;
        forgegrid: crate::clients::forgegrid::Forge;
        langflow: crate::clients::langflow::Component;
        mcp: crate::clients::mcp::Server;
        openagents: crate::clients::openagents::Agent;
        openline: crate::clients::openline::Campaign;
        substrata: crate::clients::substrata::Classifier;
    }
    further {
        activepieces_brings_files: crate::clients::activepieces::files;
        examples_carry_files_both_ways: crate::clients::examples::files;
        flowise_is_called_back: crate::clients::flowise::callbacks;
        mcp_handles_files: crate::clients::mcp::files;
        openline_fetches_files: crate::clients::openline::files;
    }
}

/// What tells one client from another.
trait Client {
    /// Where its jobs are.
    const JOBS: &'static str;
    /// A job as it writes it; `script` is for a shell.
    fn job(&self, name: &str, script: &str) -> Value;
    /// The same, when it asks what that would cost.
    fn estimate(&self, job: &Value) -> Value {
        job.clone()
    }
    /// What it sends to cancel.
    fn cancellation(&self) -> Option<Value> {
        None
    }
    /// What it makes of an answer; or what it shows instead.
    fn read(&self, reply: &Reply) -> Result<Value, String>;
    /// What it insists on, called `tool`.
    fn insist(&self, _tool: &str, _found: &Value) {}
    /// Whether it would submit after this estimate.
    fn would_submit(&self, estimate: &Value) -> bool {
        estimate["available"] != false && estimate["can_submit"] != false
    }
    /// What it does before anything else.
    async fn arrive(&self, _wire: &Wire<'_>) {}
    /// All that a job printed, a page after the other.
    async fn printed(&self, wire: &Wire<'_>, job: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("{}/{job}/logs?limit=3&cursor={cursor}", Self::JOBS);
            let page = self.see(wire, "logs", &path).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            if page["has_more"] != true {
                return items;
            }
            page["next_cursor"]
                .as_str()
                .unwrap()
                .clone_into(&mut cursor);
        }
    }
    /// What it does with a job that has ended.
    async fn depart(&self, _wire: &Wire<'_>, _job: &str) {}

    /// What it finds at `path`.
    async fn see(&self, wire: &Wire<'_>, tool: &str, path: &str) -> Value {
        let reply = wire.send(Method::GET, path, None).await;
        self.made_of(tool, &reply)
    }

    /// What it makes of a success.
    fn made_of(&self, tool: &str, reply: &Reply) -> Value {
        assert!(
            (200..300).contains(&reply.status),
            "{tool}: {} {}",
            reply.status,
            reply.text
        );
        let found = self.read(reply);
        let found = found.unwrap_or_else(|shown| panic!("{tool}: {shown}"));
        self.insist(tool, &found);
        found
    }
}

/// The way from a client to the program, with a key of its own.
struct Wire<'g> {
    grid: &'g Grid,
    key: String,
}

/// What came back.
#[derive(Debug)]
struct Reply {
    status: u16,
    text: String,
}

impl Reply {
    /// As JSON; every client reads objects only.
    fn json(&self) -> Result<Value, String> {
        let body = serde_json::from_str(&self.text);
        let body: Value = body.map_err(|error| format!("{error}: {:?}", self.text))?;
        if body.is_object() {
            Ok(body)
        } else {
            Err(format!("no object: {body}"))
        }
    }

    /// Takes an envelope off, if there is one, as the clients of June 2026 do.
    fn unwrapped(&self) -> Result<Value, String> {
        let body = self.json()?;
        if !(200..300).contains(&self.status) || body["ok"] == false {
            let error = &body["error"];
            return Err(format!("{}: {}", error["code"], error["message"]));
        }
        match body.get("data") {
            Some(data) if body["ok"] == true => Ok(data.clone()),
            _ => Ok(body),
        }
    }
}

impl<'g> Wire<'g> {
    /// With a key that may do what clients ask for.
    async fn of(person: &Person<'g>) -> Self {
        let scopes = ["jobs:estimate", "jobs:submit", "jobs:read", "logs:read"];
        let key = json!({ "name": "a client", "scopes": scopes });
        let made = person.post("/v1/api-keys", key).await;
        assert_eq!(made.status, 201, "{}", made.body);
        Self {
            grid: person.grid,
            key: made.text("/key"),
        }
    }

    /// As all of them send it: as JSON, also if there is none.
    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Reply {
        let body = body.map(|body| body.to_string());
        let request = self.grid.request(method.clone(), path);
        let request = request
            .bearer_auth(&self.key)
            .header("accept", "application/json")
            .header("content-type", "application/json")
            .body(body.unwrap_or_default());
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await.unwrap();
        crate::harness::hold((&method, path), (status, &headers), &bytes);
        Reply {
            status: status.as_u16(),
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    async fn post(&self, path: &str, body: Option<Value>) -> Reply {
        self.send(Method::POST, path, body).await
    }
}

/// Prints three lines and stays.
const LONG: &str = "for i in 1 2 3; do echo line $i; done; exec sleep 600";
/// Prints seven lines and ends.
const SHORT: &str = "for i in 1 2 3 4 5 6 7; do echo line $i; done";

async fn live<C: Client>(client: C, grid: Grid) {
    let ada = grid.sign_up("ada@example.org").await;
    let wire = Wire::of(&ada).await;
    client.arrive(&wire).await;

    let long = submitted(&client, &wire, &client.job("long", LONG)).await;
    eventually("the first job to run", async || {
        (status(&client, &wire, &long).await["status"] == "running").then_some(())
    })
    .await;
    let short = submitted(&client, &wire, &client.job("short", SHORT)).await;
    let runtime = format!("/v1/jobs/{short}/runtime");
    let early = wire.send(Method::GET, &runtime, None).await;
    assert_eq!(early.status, 404);
    let shown = client.read(&early).unwrap_err();
    assert!(shown.contains("runtime not available yet"), "{shown}");
    follow(&wire, &long).await;

    let path = format!("{}/{long}/cancel", C::JOBS);
    let cancelled = wire.post(&path, client.cancellation()).await;
    assert_eq!(cancelled.status, 200);
    let cancelled = client.made_of("cancel", &cancelled);
    assert_eq!(cancelled["status"], "cancelled");
    let again = wire.post(&path, client.cancellation()).await;
    assert_eq!(again.status, 409);
    assert!(
        again.json().unwrap()["error"]["code"] == "CONFLICT",
        "{}",
        again.text
    );
    assert!(!client.read(&again).unwrap_err().contains("null"));

    let ended = ended(&client, &wire, &short).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    let found = client.see(&wire, "runtime", &runtime).await;
    assert_eq!(
        (&found["exit_code"], &found["timed_out"]),
        (&json!(0), &json!(false))
    );
    assert!(found["stdout_tail"].as_str().unwrap().contains("line 7"));

    let events = client
        .see(&wire, "events", &format!("/v1/jobs/{short}/events"))
        .await;
    let ids: std::collections::BTreeSet<_> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        ids.len(),
        events["items"].as_array().unwrap().len(),
        "each has its id"
    );
    assert!(ids.len() >= 3, "{events}");

    let printed = client.printed(&wire, &short).await;
    let lines: Vec<_> = printed
        .iter()
        .filter(|line| line["stream"] == "stdout")
        .map(|line| line["message"].as_str().unwrap())
        .collect();
    let expected: Vec<_> = (1..=7).map(|i| format!("line {i}")).collect();
    assert_eq!(lines, expected, "each once, in order, without its end");

    let list = client
        .see(&wire, "list", &format!("{}?limit=10", C::JOBS))
        .await;
    let listed: Vec<_> = list["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["job_id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, [short.as_str(), long.as_str()], "newest first");
    client.depart(&wire, &short).await;

    let missing = wire
        .send(Method::GET, &format!("{}/job%2F123", C::JOBS), None)
        .await;
    assert_eq!(missing.status, 404);
    assert!(!client.read(&missing).unwrap_err().contains("null"));
}

/// Asks what it would cost, and then for it; its id.
async fn submitted<C: Client>(client: &C, wire: &Wire<'_>, job: &Value) -> String {
    let path = format!("{}/estimate", C::JOBS);
    let estimate = wire.post(&path, Some(client.estimate(job))).await;
    assert_eq!(estimate.status, 200, "{}", estimate.text);
    let estimate = client.made_of("estimate", &estimate);
    assert!(client.would_submit(&estimate), "{estimate}");
    let reply = wire.post(C::JOBS, Some(job.clone())).await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    let submitted = client.made_of("submit", &reply);
    assert_eq!(submitted["status"], "queued");
    submitted["job_id"].as_str().unwrap().to_owned()
}

async fn status<C: Client>(client: &C, wire: &Wire<'_>, job: &str) -> Value {
    client
        .see(wire, "status", &format!("{}/{job}", C::JOBS))
        .await
}

/// The job, once it is over.
async fn ended<C: Client>(client: &C, wire: &Wire<'_>, job: &str) -> Value {
    eventually("the job to end", async || {
        let job = status(client, wire, job).await;
        ["completed", "failed", "rejected", "cancelled"]
            .contains(&job["status"].as_str().unwrap())
            .then_some(job)
    })
    .await
}

/// Follows the output of a running job that has three lines, cut after the second.
async fn follow(wire: &Wire<'_>, job: &str) {
    let holder = Person {
        grid: wire.grid,
        token: wire.key.clone(),
    };
    let mut stream = holder.follow(job, None).await;
    let mut last = 0;
    for i in 1..=2 {
        let line = loop {
            let said = stream.next().await.expect("it goes on");
            assert!(said.data.is_object());
            if said.event == "stdout" {
                break said;
            }
        };
        assert_eq!(line.data["text"], format!("line {i}"));
        last = line.id.expect("the number of the line");
    }
    drop(stream);
    let mut stream = holder.follow(job, Some(last)).await;
    loop {
        let said = stream.next().await.expect("it goes on");
        if said.event == "stdout" {
            assert_eq!(said.data["text"], "line 3", "no line twice");
            return;
        }
    }
}
