//! Contract 3.11: what jobs leave.
use super::{address, fetch, get, id, left, path_of, run};
use crate::grid::{Grid, Person, and, script};
use http::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Asks in both families; the bare answer.
async fn both(person: &Person<'_>, method: Method, path: &str) -> Value {
    let bare = person.call(method.clone(), path, Value::Null).await;
    let mcp = path.replacen("/v1/", "/v1/mcp/", 1);
    let enveloped = person.call(method, &mcp, Value::Null).await;
    assert_eq!(
        (bare.status, enveloped.status),
        (200.try_into().unwrap(), 200.try_into().unwrap()),
        "{}",
        bare.body
    );
    assert!(bare.body.get("ok").is_none());
    assert_eq!(enveloped.body["ok"], true);
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&bare.body), keys(&enveloped.body["data"]));
    bare.body
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn everything_that_a_job_leaves_can_be_fetched() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let work = "cd /workspace/artifacts; mkdir -p run/deep; printf hello > run/deep/a.txt; \
                printf '' > empty; printf 'caf\\303\\251' > 'my \"file\".txt'; head -c 100000 /dev/zero > zeros";
    let job = run(
        &ada,
        work,
        json!({ "expected_artifacts": ["/workspace/artifacts/zeros"] }),
    )
    .await;
    assert_eq!(job["status"], "completed");
    assert_eq!(job["artifacts_ready"], true);
    assert_eq!(job["artifact_contract"]["collected_files"], 4);
    assert_eq!(job["artifact_contract"]["collected_bytes"], 100_010);
    assert!(job["artifact_contract"].get("missing_artifacts").is_none());
    let path = format!("/v1/jobs/{}/artifacts", id(&job));
    let list = both(&ada, Method::GET, &path).await;
    let artifacts = list["artifacts"].as_array().unwrap();
    let names: Vec<_> = artifacts
        .iter()
        .map(|one| one["filename"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["zeros", "empty", "my \"file\".txt", "run/deep/a.txt"],
        "declared ones first"
    );
    for artifact in artifacts {
        for field in [
            "artifact_id",
            "id",
            "job_id",
            "name",
            "content_type",
            "mime_type",
            "created_at",
            "uploaded_at",
            "expires_at",
            "sha256",
        ] {
            assert!(artifact[field].is_string(), "{field}: {artifact}");
        }
        assert_eq!(
            (&artifact["status"], &artifact["ready"]),
            (&json!("uploaded"), &json!(true))
        );
        assert!(artifact["size_bytes"].is_u64());
        let one = both(
            &ada,
            Method::POST,
            &format!("{path}/{}/download", id(artifact)),
        )
        .await;
        for field in [
            "artifact_id",
            "url",
            "download_url",
            "expires_at",
            "mime_type",
            "filename",
        ] {
            assert!(one[field].is_string(), "{field}: {one}");
        }
        assert_eq!(one["artifact"], *artifact);
        let alone = and(artifact.clone(), json!({ "job_name": "a test" }));
        assert_eq!(
            ada.see(&format!("/v1/artifacts/{}", id(artifact))).await,
            alone
        );
        let file = get(&grid, one["url"].as_str().unwrap()).await;
        assert_eq!(file.status, 200);
        let hash = junglegrid::random::hex(&Sha256::digest(&file.bytes));
        assert_eq!(json!(hash), artifact["sha256"]);
        assert_eq!(json!(file.bytes.len()), artifact["size_bytes"]);
        assert_eq!(file.header("content-type"), "application/octet-stream");
        assert!(
            file.header("content-disposition")
                .starts_with("attachment; filename=\"")
        );
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        assert!(
            file.header("content-security-policy")
                .starts_with("sandbox;")
        );
        assert!(file.header("cache-control").contains("no-store"));
    }
    let quoted = address(&ada, &artifacts[2]).await;
    let quoted = get(&grid, &quoted).await;
    assert_eq!(
        quoted.header("content-disposition"),
        "attachment; filename=\"my _file_.txt\"; filename*=UTF-8''my%20%22file%22.txt"
    );
    let kinds: Vec<_> = ada
        .events(id(&job))
        .await
        .into_iter()
        .map(|event| event["type"].clone())
        .collect();
    assert_eq!(
        kinds,
        [
            "job.queued",
            "billing.held",
            "job.assigned",
            "job.started",
            "job.collecting",
            "artifacts.collected",
            "job.completed",
            "billing.settled"
        ]
    );
    let kept = grid.data().join("runs").join(id(&job)).join("1/workspace");
    assert!(!kept.exists(), "they do not lie there twice");
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn an_address_gives_parts_and_stops_working() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let eve = grid.sign_up("eve@example.org").await;
    let job = run(
        &ada,
        "printf 0123456789 > /workspace/artifacts/ten",
        json!({}),
    )
    .await;
    let (list, _) = left(&ada, &job).await;
    let artifact = &list["artifacts"][0];
    let url = address(&ada, artifact).await;
    let whole = get(&grid, &url).await;
    let tag = whole.header("etag").to_owned();
    assert_eq!(
        (
            whole.header("accept-ranges"),
            whole.header("content-length")
        ),
        ("bytes", "10")
    );
    for (range, status, bytes, says) in [
        ("bytes=2-4", 206, "234", "bytes 2-4/10"),
        ("bytes=7-", 206, "789", "bytes 7-9/10"),
        ("bytes=-2", 206, "89", "bytes 8-9/10"),
        ("bytes=10-", 416, "", "bytes */10"),
        ("bytes=0-1,4-5", 200, "0123456789", ""),
    ] {
        let part = fetch(&grid, Method::GET, &url, &[("range", range)]).await;
        assert_eq!(part.status, status, "{range}");
        assert_eq!(part.header("content-range"), says, "{range}");
        assert_eq!(String::from_utf8_lossy(&part.bytes), bytes, "{range}");
    }
    let head = fetch(
        &grid,
        Method::HEAD,
        &url,
        &[("accept-encoding", "gzip, zstd")],
    )
    .await;
    assert_eq!(
        (head.status.as_u16(), head.header("content-length")),
        (200, "10")
    );
    let known = fetch(&grid, Method::GET, &url, &[("if-none-match", &tag)]).await;
    assert_eq!(known.status, 304);
    let other = [("range", "bytes=0-1"), ("if-range", "\"other\"")];
    assert_eq!(fetch(&grid, Method::GET, &url, &other).await.status, 200);
    assert_eq!(fetch(&grid, Method::POST, &url, &[]).await.status, 405);

    // Nothing of it may be changed.
    let (front, signature) = url.rsplit_once("signature=").unwrap();
    let id_of = id(artifact);
    let zeros = format!("art_{}", "0".repeat(32));
    for wrong in [
        front.to_owned(),
        format!("{front}signature="),
        format!("{front}signature={}", "0".repeat(64)),
        format!("{url}0"),
        format!("{url}&shown=1"),
        url.replace("expires=", "expires=9"),
        url.replace("expires=", "expires=-"),
        url.replace(id_of, &zeros),
        format!("{}/v1/artifacts/{id_of}/content", grid.url()),
    ] {
        let refused = get(&grid, &wrong).await;
        assert!(
            [404, 400].contains(&refused.status.as_u16()),
            "{wrong}: {}",
            refused.status
        );
        assert!(!refused.bytes.starts_with(b"0123"), "{wrong}");
    }
    assert_eq!(signature.len(), 64);
    for path in [
        format!("/v1/artifacts/{id_of}"),
        format!("/v1/artifacts/{id_of}/preview"),
        format!("/v1/jobs/{}/artifacts", id(&job)),
    ] {
        assert_eq!(eve.get(&path).await.status, 404, "{path}");
    }
    let theirs = run(&eve, "true", json!({})).await;
    for job in [id(&job), id(&theirs)] {
        let path = format!("/v1/jobs/{job}/artifacts/{id_of}/download");
        assert_eq!(eve.post(&path, Value::Null).await.status, 404);
    }
    let path = format!("/v1/artifacts/{id_of}");
    assert_eq!(
        eve.call(Method::DELETE, &path, Value::Null).await.status,
        404
    );
    assert_eq!(get(&grid, &url).await.status, 200, "nothing happened to it");
    assert_eq!(
        ada.call(Method::DELETE, &path, Value::Null).await.status,
        200
    );
    assert_eq!(
        get(&grid, &url).await.status,
        404,
        "who has the address has nothing any more"
    );
    assert_eq!(ada.get(&path).await.status, 404);
    let folder = grid.data().join("artifacts").join(id(&job));
    assert_eq!(
        std::fs::read_dir(folder).map_or(0, Iterator::count),
        0,
        "its bytes are gone"
    );
}

#[tokio::test]
async fn what_is_there_is_kept_however_a_job_ends() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let declared = json!({ "expected_artifacts": ["/workspace/artifacts/model/", "/workspace/artifacts/log"] });
    let refused = ada
        .post("/v1/jobs", crate::grid::and(script("true"), declared))
        .await;
    assert_eq!(refused.status, 400, "no folder by that name");
    let declared = json!({ "expected_artifacts": [
        "/workspace/artifacts/model", "/workspace/artifacts/log", "/workspace/artifacts/no such",
    ] });
    let work = "cd /workspace/artifacts; mkdir model; echo 1 > model/part; echo 2 > log; exit 3";
    let job = run(&ada, work, declared).await;
    assert_eq!(
        (&job["status"], &job["exit_code"]),
        (&json!("failed"), &json!(3))
    );
    assert_eq!(job["artifacts_ready"], true);
    let missing = json!(["/workspace/artifacts/no such"]);
    assert_eq!(job["artifact_contract"]["missing_artifacts"], missing);
    let (list, names) = left(&ada, &job).await;
    assert_eq!(names, ["log", "model/part"]);
    assert_eq!(list["missing_artifacts"], missing);
    let events = ada.events(id(&job)).await;
    let said = events
        .iter()
        .find(|event| event["type"] == "artifacts.missing")
        .unwrap();
    assert_eq!(said["level"], "warning");
    assert!(said["message"].as_str().unwrap().contains("no such"));

    // One that was declared and is missing fails nothing.
    let bare = run(
        &ada,
        "true",
        json!({ "expected_artifacts": ["/workspace/artifacts/x"] }),
    )
    .await;
    assert_eq!(bare["status"], "completed");
    assert_eq!(
        bare["artifact_contract"]["missing_artifacts"],
        json!(["/workspace/artifacts/x"])
    );

    // Of what never ran nothing will come, and nothing is said to be missing.
    let never = json!({
        "name": "never", "workload_type": "batch", "image": "host",
        "command": ["/no/such/program"], "expected_artifacts": ["/workspace/artifacts/x"],
    });
    let never = ada.submit(never).await;
    let job = ada.ended(&never).await;
    assert_eq!(
        (&job["status"], &job["artifacts_ready"]),
        (&json!("failed"), &json!(true))
    );
    assert!(job.get("started_at").is_none());
    assert!(job["artifact_contract"].get("missing_artifacts").is_none());
    let list = ada.see(&format!("/v1/jobs/{never}/artifacts")).await;
    assert_eq!(list["artifacts_ready"], true);

    // One that is stopped leaves what it has written so far.
    let id = ada
        .submit(script(
            "echo half > /workspace/artifacts/checkpoint; echo there; sleep 600",
        ))
        .await;
    ada.running(&id).await;
    crate::grid::eventually("its file", async || {
        (ada.lines(&id, 10).await.len() == 1).then_some(())
    })
    .await;
    let early = ada
        .post(
            &format!("/v1/jobs/{id}/artifacts/art_{}/download", "0".repeat(32)),
            Value::Null,
        )
        .await;
    assert_eq!(early.status, 409);
    assert_eq!(early.text("/error/code"), "ARTIFACT_NOT_READY");
    assert_eq!(
        ada.see(&format!("/v1/jobs/{id}/artifacts")).await["artifacts_ready"],
        false
    );
    ada.post(&format!("/v1/jobs/{id}/cancel"), json!({})).await;
    let job = ada.ended(&id).await;
    assert_eq!(job["status"], "cancelled");
    assert_eq!(left(&ada, &job).await.1, ["checkpoint"]);
    let late = ada
        .post(
            &format!("/v1/jobs/{id}/artifacts/art_{}/download", "0".repeat(32)),
            Value::Null,
        )
        .await;
    assert_eq!(late.status, 404);
}

#[tokio::test]
async fn all_files_of_a_workspace_are_one_list() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let one = run(
        &ada,
        "cd /workspace/artifacts; touch a_b aXb; echo 100% > 100%",
        json!({ "name": "First" }),
    )
    .await;
    let two = run(
        &ada,
        "touch /workspace/artifacts/z",
        json!({ "name": "Second" }),
    )
    .await;
    let all = async |query: &str| -> Vec<String> {
        let (mut names, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ada
                .see(&format!("/v1/artifacts?limit=2&cursor={cursor}&{query}"))
                .await;
            assert!(page["artifacts"].as_array().unwrap().len() <= 2);
            assert_eq!(page["used_bytes"], 5);
            let listed = page["artifacts"].as_array().unwrap().iter();
            names.extend(listed.map(|one| {
                format!(
                    "{}/{}",
                    one["job_name"].as_str().unwrap(),
                    one["filename"].as_str().unwrap()
                )
            }));
            match page["next_cursor"].as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return names,
            }
        }
    };
    let mut everything = all("").await;
    assert_eq!(everything[0], "Second/z", "newest first");
    everything.sort();
    assert_eq!(
        everything,
        ["First/100%", "First/aXb", "First/a_b", "Second/z"]
    );
    assert_eq!(all(&format!("job={}", id(&two))).await, ["Second/z"]);
    assert_eq!(
        all("q=A_B").await,
        ["First/a_b"],
        "as it is written, in any case"
    );
    assert_eq!(all("q=%25").await, ["First/100%"]);
    assert_eq!(all("q=second").await, ["Second/z"], "by the job's name");
    assert_eq!(
        all(&format!("job={}&q=z", id(&one))).await,
        Vec::<String>::new()
    );
    for (query, field) in [("job=x", "job"), ("cursor=x", "cursor"), ("q=%07", "q")] {
        let refused = ada.get(&format!("/v1/artifacts?{query}")).await;
        assert_eq!(refused.status, 400);
        assert!(refused.fault(field).is_some(), "{}", refused.body);
    }
}

fn number(bytes: &[u8], at: usize, wide: usize) -> usize {
    bytes[at..at + wide]
        .iter()
        .rev()
        .fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
}

/// The files of an archive, read by its directory at the end.
pub(super) fn unpacked(archive: &[u8]) -> Vec<(String, Vec<u8>)> {
    let end = archive.len() - 22;
    assert_eq!(&archive[end..end + 4], b"PK\x05\x06");
    let (count, mut at) = (number(archive, end + 10, 2), number(archive, end + 16, 4));
    let mut files = Vec::new();
    for _ in 0..count {
        assert_eq!(&archive[at..at + 4], b"PK\x01\x02");
        let (crc, size) = (number(archive, at + 16, 4), number(archive, at + 24, 4));
        let (name, extra) = (number(archive, at + 28, 2), number(archive, at + 30, 2));
        let local = number(archive, at + 42, 4);
        let title = String::from_utf8(archive[at + 46..at + 46 + name].to_vec()).unwrap();
        assert_eq!(&archive[local..local + 4], b"PK\x03\x04");
        let begin = local + 30 + number(archive, local + 26, 2) + number(archive, local + 28, 2);
        let bytes = archive[begin..begin + size].to_vec();
        assert_eq!(
            usize::try_from(crc32fast::hash(&bytes)).unwrap(),
            crc,
            "{title}"
        );
        files.push((title, bytes));
        at += 46 + name + extra;
    }
    assert_eq!(at, end);
    files
}

#[tokio::test]
async fn several_files_come_as_one_archive() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let eve = grid.sign_up("eve@example.org").await;
    let one = run(&ada, "cd /workspace/artifacts; mkdir d; printf one > d/é.txt; printf two > b; head -c 300000 /dev/zero > c", json!({})).await;
    let two = run(&ada, "printf three > /workspace/artifacts/b", json!({})).await;
    let ids = async |job: &Value| -> Vec<String> {
        let (list, _) = left(&ada, job).await;
        list["artifacts"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| id(one).to_owned())
            .collect()
    };
    let (first, second) = (ids(&one).await, ids(&two).await);
    let archive = ada.post("/v1/artifacts/zip", json!({ "ids": first })).await;
    assert_eq!(archive.status, 200, "{}", archive.body);
    assert_eq!(archive.body["files"], 3);
    let url = archive.text("/url");
    let zip = get(&grid, &url).await;
    assert_eq!(
        (zip.status.as_u16(), zip.header("content-type")),
        (200, "application/zip")
    );
    assert_eq!(json!(zip.bytes.len()), archive.body["size_bytes"]);
    assert_eq!(zip.header("content-length"), zip.bytes.len().to_string());
    let files = unpacked(&zip.bytes);
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["b", "c", "d/é.txt"]);
    assert_eq!(files[0].1, b"two");
    assert_eq!(files[1].1, vec![0; 300_000]);
    let head = fetch(&grid, Method::HEAD, &url, &[]).await;
    assert_eq!(head.header("content-length"), zip.bytes.len().to_string());

    let mixed = json!({ "ids": [second[0], first[0], second[0]] });
    let archive = ada.post("/v1/artifacts/zip", mixed).await;
    let zip = get(&grid, &archive.text("/url")).await;
    let names: Vec<_> = unpacked(&zip.bytes)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        names,
        [format!("{}/b", id(&two)), format!("{}/b", id(&one))],
        "each once, in the order that was asked for"
    );
    for (body, status) in [
        (json!({}), 400),
        (json!({ "ids": [] }), 400),
        (json!({ "ids": ["x"] }), 400),
        (json!({ "ids": vec!["x"; 1001] }), 400),
        (json!({ "ids": [format!("art_{}", "0".repeat(32))] }), 404),
    ] {
        assert_eq!(ada.post("/v1/artifacts/zip", body).await.status, status);
    }
    assert_eq!(
        eve.post("/v1/artifacts/zip", json!({ "ids": first }))
            .await
            .status,
        404
    );
    assert_eq!(get(&grid, &format!("{url}0")).await.status, 404);
    // One that has been deleted since is not in it any more.
    ada.call(
        Method::DELETE,
        &format!("/v1/artifacts/{}", first[1]),
        Value::Null,
    )
    .await;
    let zip = get(&grid, &url).await;
    assert_eq!(unpacked(&zip.bytes).len(), 2);
}

#[tokio::test]
async fn a_look_into_a_file_is_short_and_harmless() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    // A picture of one point.
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let work = format!(
        "cd /workspace/artifacts; echo 'hello <b>' > a.txt; echo '{{\"b\":[1,2]}}' > b.html; \
         printf 'x,y\\n1,\"a,b\"\\n' > c; echo {png} | base64 -d > d.svg; head -c 999 /dev/urandom > e; \
         echo '<svg onload=alert(1)>' > f.png; seq 1 100000 > g; printf '\\0' > h"
    );
    let job = run(&ada, &work, json!({})).await;
    let (list, _) = left(&ada, &job).await;
    let mut shown = std::collections::BTreeMap::new();
    for artifact in list["artifacts"].as_array().unwrap() {
        let preview = ada
            .see(&format!("/v1/artifacts/{}/preview", id(artifact)))
            .await;
        assert!(
            preview["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        shown.insert(artifact["filename"].as_str().unwrap().to_owned(), preview);
    }
    let kinds: Vec<_> = shown
        .values()
        .map(|preview| preview["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "text", "json", "csv", "image", "none", "text", "text", "none"
        ]
    );
    assert_eq!(shown["a.txt"]["text"], "hello <b>\n");
    assert_eq!(
        shown["b.html"]["text"],
        "{\n  \"b\": [\n    1,\n    2\n  ]\n}"
    );
    assert_eq!(shown["c"]["rows"], json!([["x", "y"], ["1", "a,b"]]));
    assert_eq!(shown["g"]["truncated"], true);
    assert_eq!(shown["g"]["text"].as_str().unwrap().len(), 65_536);
    assert!(shown["f.png"].get("image_url").is_none());
    let url = shown["d.svg"]["image_url"].as_str().unwrap();
    let picture = get(&grid, url).await;
    assert_eq!(
        (picture.status.as_u16(), picture.header("content-type")),
        (200, "image/png")
    );
    assert!(picture.header("content-disposition").starts_with("inline"));
    assert_eq!(picture.header("x-content-type-options"), "nosniff");
    assert!(
        picture
            .header("content-security-policy")
            .starts_with("sandbox;")
    );
    // Its address is good for nothing else.
    assert_eq!(get(&grid, &url.replace("&shown=1", "")).await.status, 404);
    assert!(path_of(&grid, url).starts_with("/v1/artifacts/"));
}
