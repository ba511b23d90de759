//! The pages of files, with as many as they show.
use super::Visit;
use crate::server::Server;
use junglegrid::web::assets;
use serde_json::{Value, json};

/// As models, tables and pictures are called.
const SCRIPT: &str = "cd /workspace/artifacts; mkdir checkpoints samples; \
    for i in 1 2 3 4 5 6 7 8; do head -c $((i * 1000)) /dev/urandom > checkpoints/adapter-step-000$i.safetensors; done; \
    for i in 1 2 3; do head -c 3000 /dev/urandom | base64 > samples/prompt-$i.txt; done; \
    i=0; echo 'epoch,loss,throughput,seconds' > metrics.csv; \
    while [ $i -lt 200 ]; do i=$((i+1)); echo \"$i,0.$((9973 - i * 17)),$((1200 + i * 7 % 90)),$((i * 31 % 60))\" >> metrics.csv; done; \
    echo '{\"epochs\": 200, \"best\": {\"loss\": 0.6573, \"step\": 3}, \"seed\": 7}' > summary.json";

#[test]
fn pages_of_files_are_small() {
    let server = Server::start(&[]);
    let token = server.sign_up("ada.lovelace@example.org");
    for number in 0..24 {
        let kind = if number % 4 == 0 { "script" } else { "input" };
        let name = format!("dataset-part-{number:02}.parquet");
        upload(&server, &token, &name, kind);
    }
    let job = json!({
        "name": "finetune-mistral-7b, rank 16", "workload_type": "fine-tuning", "image": "host",
        "command": ["sh", "-c", SCRIPT], "timeout_seconds": 600,
        "expected_artifacts": ["/workspace/artifacts/summary.json", "/workspace/artifacts/model.safetensors"],
    });
    let job = server.call("POST", "/v1/jobs", &token, &job);
    let job = job["job_id"].as_str().unwrap();
    server.job(&token, job, |job| job["status"] == "completed");
    let left = server.call(
        "GET",
        &format!("/v1/jobs/{job}/artifacts"),
        &token,
        &Value::Null,
    );
    let left = left["artifacts"].as_array().unwrap();
    assert_eq!(left.len(), 13);
    let draft = json!({"content": {"name": "next", "workload_type": "batch", "image": "host", "command": "true"}});
    let draft = server.call("POST", "/v1/job-drafts", &token, &draft);
    let draft = draft["id"].as_str().unwrap();

    let style = assets::url("jungle.css").rsplit('.').nth(1).unwrap();
    let mut visit = Visit {
        server: &server,
        cookies: format!("Cookie: jg_css={style}; __Host-jg_session={token}\r\n"),
        sizes: Vec::new(),
    };
    visit.page("a page of artifacts", "/portal/artifacts");
    visit.page("no artifacts", "/portal/artifacts?q=nothing");
    visit.page(
        "the artifacts of a job",
        &format!("/portal/artifacts?job={job}"),
    );
    for name in [
        "checkpoints/adapter-step-0001.safetensors",
        "samples/prompt-1.txt",
        "metrics.csv",
        "summary.json",
    ] {
        let one = left.iter().find(|one| one["filename"] == name).unwrap();
        let path = format!("/portal/artifacts/{}", one["id"].as_str().unwrap());
        visit.page(name, &path);
        visit.page("the question whether to delete", &format!("{path}/delete"));
    }
    visit.page("uploads", "/portal/inputs");
    visit.page("a job with artifacts", &format!("/portal/jobs/{job}"));
    visit.page(
        "the wizard with uploads",
        &format!("/portal/submit/{draft}/image"),
    );
    visit.fragment(
        "a page of artifacts, filtered",
        "/portal/artifacts?q=finetune",
    );
    visit.fragment("one artifact, filtered", "/portal/artifacts?q=summary");
    visit.fragment("no artifact, filtered", "/portal/artifacts?q=nothing");
    visit.hold();
}

fn upload(server: &Server, token: &str, name: &str, kind: &str) {
    let new = json!({"filename": name, "kind": kind});
    let slot = server.call("POST", "/v1/job-inputs", token, &new);
    let id = slot["upload"]["input_id"].as_str().unwrap();
    let secret = slot["upload"]["token"].as_str().unwrap();
    let path = format!("/v1/job-inputs/{id}/content?token={secret}");
    let put = server.request("PUT", &path, "", name);
    assert_eq!(put.status, 200);
    let done = format!("/v1/job-inputs/{id}/complete");
    server.call("POST", &done, token, &Value::Null);
}
