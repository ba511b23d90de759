//! Files that people bring and that jobs leave, over the API and to the disk.
mod artifacts;
mod given;
mod hostile;
mod limits;
mod uploads;

use crate::grid::{Grid, Person, and, script};
use crate::harness::Answer;
use http::{HeaderMap, Method, StatusCode};
use serde_json::{Value, json};

/// What came back of something that is no JSON.
struct Fetched {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

impl Fetched {
    fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap()
    }
}

/// The path of an absolute address of this grid.
fn path_of(grid: &Grid, url: &str) -> String {
    url.strip_prefix(&grid.url())
        .unwrap_or_else(|| panic!("{url} is not at {}", grid.url()))
        .to_owned()
}

/// Fetches an address as anybody would, with these headers.
async fn fetch(grid: &Grid, method: Method, url: &str, headers: &[(&str, &str)]) -> Fetched {
    let mut request = grid.request(method, &path_of(grid, url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    Fetched {
        status: response.status(),
        headers: response.headers().clone(),
        bytes: response.bytes().await.unwrap().to_vec(),
    }
}

async fn get(grid: &Grid, url: &str) -> Fetched {
    fetch(grid, Method::GET, url, &[]).await
}

/// Asks for a place to upload to.
async fn slot(person: &Person<'_>, body: Value) -> Value {
    let mut slot = person.post("/v1/job-inputs", body).await;
    assert_eq!(slot.status, 201, "{}", slot.body);
    slot.body["upload"].take()
}

/// Sends bytes to it, as `curl -T` does.
async fn send(person: &Person<'_>, slot: &Value, bytes: &[u8]) -> Answer {
    let path = path_of(person.grid, slot["upload_url"].as_str().unwrap());
    let request = person.grid.request(Method::PUT, &path);
    let response = request.body(bytes.to_vec()).send().await.unwrap();
    Answer {
        status: response.status(),
        headers: response.headers().clone(),
        body: serde_json::from_slice(&response.bytes().await.unwrap()).unwrap(),
    }
}

async fn complete(person: &Person<'_>, slot: &Value, body: Value) -> Answer {
    let path = path_of(person.grid, slot["complete_url"].as_str().unwrap());
    person.post(&path, body).await
}

/// Uploads a file to its end; its id.
async fn upload(person: &Person<'_>, name: &str, kind: &str, bytes: &[u8]) -> String {
    let slot = slot(person, json!({ "filename": name, "kind": kind })).await;
    let sent = send(person, &slot, bytes).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    let done = complete(person, &slot, Value::Null).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert_eq!(done.body["ready"], true);
    slot["input_id"].as_str().unwrap().to_owned()
}

/// Runs a script to its end; the job.
async fn run(person: &Person<'_>, work: &str, more: Value) -> Value {
    let id = person.submit(and(script(work), more)).await;
    person.ended(&id).await
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

/// What a job has left, by name.
async fn left(person: &Person<'_>, job: &Value) -> (Value, Vec<String>) {
    let list = person.see(&format!("/v1/jobs/{}/artifacts", id(job))).await;
    let names = list["artifacts"].as_array().unwrap().iter();
    let names = names
        .map(|artifact| artifact["filename"].as_str().unwrap().to_owned())
        .collect();
    (list, names)
}

/// An address for one of them.
async fn address(person: &Person<'_>, artifact: &Value) -> String {
    let job = artifact["job_id"].as_str().unwrap();
    let path = format!("/v1/jobs/{job}/artifacts/{}/download", id(artifact));
    let answer = person.post(&path, Value::Null).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.text("/url")
}
