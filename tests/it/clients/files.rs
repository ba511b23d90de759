//! What clients that handle files have in common.
use super::{Client, Reply, Wire};
use http::Method;
use serde_json::{Value, json};

/// The path of an absolute address, which must be on the API's own origin.
pub(super) fn path_of(wire: &Wire<'_>, url: &Value) -> String {
    let url: url::Url = url.as_str().expect("an address").parse().unwrap();
    let origin: url::Url = wire.grid.url().parse().unwrap();
    assert_eq!(url.origin(), origin.origin());
    let query = url.query().map(|query| format!("?{query}"));
    format!("{}{}", url.path(), query.unwrap_or_default())
}

/// Asks for a place to upload to.
pub(super) async fn slot<C: Client>(client: &C, wire: &Wire<'_>, file: Value) -> Value {
    let reply = wire.post("/v1/job-inputs", Some(file)).await;
    client.made_of("upload", &reply)["upload"].clone()
}

/// Puts the bytes there, with these headers and no others.
pub(super) async fn put(
    wire: &Wire<'_>,
    slot: &Value,
    headers: &[(&str, &str)],
    bytes: &[u8],
) -> Reply {
    assert_eq!(slot["method"], "PUT");
    let path = path_of(wire, &slot["upload_url"]);
    let mut request = wire.grid.request(Method::PUT, &path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.body(bytes.to_vec()).send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    crate::harness::hold((&Method::PUT, &path), (status, &headers), &bytes);
    Reply {
        status: status.as_u16(),
        text: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

/// What a job has left.
pub(super) async fn listed<C: Client>(client: &C, wire: &Wire<'_>, job: &str) -> Vec<Value> {
    let path = format!("{}/{job}/artifacts", C::JOBS);
    let list = client.see(wire, "artifacts", &path).await;
    list["artifacts"].as_array().unwrap().clone()
}

/// Where one of them is for a while; asked with an empty body, as all clients ask.
pub(super) async fn address<C: Client>(client: &C, wire: &Wire<'_>, artifact: &Value) -> Value {
    let [job, id] = ["job_id", "artifact_id"].map(|field| artifact[field].as_str().unwrap());
    let path = format!("{}/{job}/artifacts/{id}/download", C::JOBS);
    let reply = wire.post(&path, None).await;
    client.made_of("download", &reply)
}

/// The bytes at an address, without a header that could tell who asks.
pub(super) async fn fetched(wire: &Wire<'_>, url: &Value) -> Vec<u8> {
    let path = path_of(wire, url);
    let response = wire.grid.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(response.status(), 200, "at once, without a redirect");
    response.bytes().await.unwrap().to_vec()
}

/// Every value that a byte can have, so that nothing that is done to text goes unseen.
pub(super) fn bytes() -> Vec<u8> {
    (0..=255).cycle().take(70_000).collect()
}

/// Files as a job is given them.
pub(super) fn given(ids: &[&Value]) -> Value {
    ids.iter().map(|id| json!({ "input_id": id })).collect()
}
