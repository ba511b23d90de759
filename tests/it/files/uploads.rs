//! Contract 3.12: slots, bytes, confirmations.
use super::{complete, fetch, id, path_of, send, slot, upload};
use crate::grid::{DEADLINE, Grid, eventually};
use http::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn a_file_is_brought_as_every_client_brings_it() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let bytes = b"a,b\n1,2\n";

    // Bare, as with curl; and confirmed with everything that can be said.
    let first = slot(
        &ada,
        json!({ "filename": "data.csv", "content_type": "text/csv" }),
    )
    .await;
    for field in [
        "input_id",
        "filename",
        "token",
        "expires_at",
        "upload_url",
        "complete_url",
    ] {
        assert!(first[field].is_string(), "{field}: {first}");
    }
    assert_eq!(first["method"], "PUT");
    assert_eq!(first["filename"], "data.csv");
    let early = complete(&ada, &first, Value::Null).await;
    assert_eq!(early.status, 409);
    assert_eq!(early.text("/error/code"), "JOB_INPUT_NOT_READY");
    let sent = send(&ada, &first, bytes).await;
    assert_eq!(sent.status, 200, "{}", sent.body);
    assert_eq!(
        (&sent.body["status"], &sent.body["ready"]),
        (&json!("uploaded"), &json!(false))
    );
    let short = complete(&ada, &first, json!({ "size_bytes": 9 })).await;
    assert_eq!(short.status, 400, "{}", short.body);
    let other = complete(&ada, &first, json!({ "token": "jgu_other" })).await;
    assert_eq!(other.status, 400, "{}", other.body);
    let all = json!({
        "token": first["token"], "filename": "data.csv", "content_type": "text/csv",
        "size_bytes": 8, "etag": "\"x\"",
    });
    for _ in 0..2 {
        let done = complete(&ada, &first, all.clone()).await;
        assert_eq!(done.status, 200, "{}", done.body);
        assert_eq!(done.body["status"], "ready");
    }

    // With the token as the bearer, nothing in the address, no body to confirm with.
    let second = slot(
        &ada,
        json!({ "filename": "train.py", "kind": "script", "content_type": null }),
    )
    .await;
    let url = second["upload_url"].as_str().unwrap();
    let bare = url.split('?').next().unwrap();
    let request = grid.request(Method::PUT, &path_of(&grid, bare));
    let sent = request
        .bearer_auth(second["token"].as_str().unwrap())
        .header("content-type", "text/x-python")
        .body("print(1)")
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 200);
    let request = grid.request(
        Method::POST,
        &path_of(&grid, second["complete_url"].as_str().unwrap()),
    );
    let done = request
        .bearer_auth(&ada.token)
        .header("content-type", "application/json")
        .send()
        .await
        .unwrap();
    assert_eq!(done.status(), 200);

    // Somebody sends their own key along: it means nothing, and does no harm.
    let third = slot(&ada, json!({ "filename": "empty" })).await;
    let request = grid.request(
        Method::PUT,
        &path_of(&grid, third["upload_url"].as_str().unwrap()),
    );
    let sent = request.bearer_auth(&ada.token).send().await.unwrap();
    assert_eq!(sent.status(), 200);

    let list = ada.see("/v1/job-inputs").await;
    let inputs = list["inputs"].as_array().unwrap();
    let of = |field: &str| -> Vec<Value> { inputs.iter().map(|one| one[field].clone()).collect() };
    assert_eq!(
        of("filename"),
        ["empty", "train.py", "data.csv"],
        "newest first"
    );
    assert_eq!(of("size_bytes"), [json!(0), json!(8), json!(8)]);
    assert_eq!(of("ready"), [json!(false), json!(true), json!(true)]);
    assert_eq!(
        of("content_type")[1],
        "application/octet-stream",
        "never null"
    );
    assert_eq!(
        of("mount_path"),
        [
            "/workspace/inputs/empty",
            "/workspace/scripts/train.py",
            "/workspace/inputs/data.csv"
        ]
    );
    assert_eq!(list["used_bytes"], 16);
    for (query, names) in [
        ("status=ready", vec!["train.py", "data.csv"]),
        ("status=uploaded", vec!["empty"]),
        ("kind=script", vec!["train.py"]),
        ("limit=1", vec!["empty"]),
    ] {
        let list = ada.see(&format!("/v1/job-inputs?{query}")).await;
        let found = list["inputs"].as_array().unwrap().iter();
        let found: Vec<_> = found.map(|one| one["filename"].as_str().unwrap()).collect();
        assert_eq!(found, names, "{query}");
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = ada
            .see(&format!("/v1/job-inputs?limit=1&cursor={cursor}"))
            .await;
        seen.extend(
            page["inputs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| id(one).to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(json!(seen), json!(of("id")));
    for (query, field) in [
        ("status=x", "status"),
        ("kind=x", "kind"),
        ("cursor=x", "cursor"),
    ] {
        let refused = ada.get(&format!("/v1/job-inputs?{query}")).await;
        assert_eq!(refused.status, 400);
        assert!(refused.fault(field).is_some(), "{}", refused.body);
    }
}

#[tokio::test]
async fn names_and_tokens_have_to_be_right() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let eve = grid.sign_up("eve@example.org").await;
    for (body, field) in [
        (json!({}), "filename"),
        (json!({ "filename": "../x" }), "filename"),
        (json!({ "filename": "a/b" }), "filename"),
        (json!({ "filename": "a\u{0}b" }), "filename"),
        (json!({ "filename": "x".repeat(256) }), "filename"),
        (json!({ "filename": "a", "kind": "dance" }), "kind"),
        (
            json!({ "filename": "a", "content_type": "text/a\r\nb: c" }),
            "content_type",
        ),
    ] {
        let refused = ada.post("/v1/job-inputs", body.clone()).await;
        assert_eq!(refused.status, 400, "{body}");
        assert!(refused.fault(field).is_some(), "{}", refused.body);
    }
    let slot = slot(&ada, json!({ "filename": "a" })).await;
    let url = slot["upload_url"].as_str().unwrap();
    let bare = url.split('?').next().unwrap();
    for url in [
        bare.to_owned(),
        format!("{bare}?token=jgu_x"),
        format!("{bare}?token={}", ada.token),
    ] {
        let refused = fetch(&grid, Method::PUT, &url, &[]).await;
        assert_eq!(refused.status, 404, "{url}");
        let refused = fetch(
            &grid,
            Method::PUT,
            &url,
            &[("authorization", "Bearer jgu_x")],
        )
        .await;
        assert_eq!(refused.status, 404, "{url}");
        assert_eq!(refused.json()["error"]["code"], "NOT_FOUND");
    }
    let input = format!("/v1/job-inputs/{}", slot["input_id"].as_str().unwrap());
    for (method, path) in [
        (Method::GET, input.clone()),
        (Method::DELETE, input.clone()),
        (Method::POST, format!("{input}/complete")),
    ] {
        assert_eq!(
            eve.call(method, &path, Value::Null).await.status,
            404,
            "{path}"
        );
    }
    assert!(
        eve.see("/v1/job-inputs").await["inputs"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    // What has been confirmed stays as it is.
    assert_eq!(send(&ada, &slot, b"one").await.status, 200);
    assert_eq!(
        send(&ada, &slot, b"three").await.status,
        200,
        "until then it may be sent again"
    );
    assert_eq!(
        complete(&ada, &slot, json!({ "size_bytes": 5 }))
            .await
            .status,
        200
    );
    let late = send(&ada, &slot, b"two").await;
    assert_eq!(late.status, 409, "{}", late.body);
    assert_eq!(ada.see(&input).await["size_bytes"], 5);
    let gone = ada.call(Method::DELETE, &input, Value::Null).await;
    assert_eq!(gone.status, 200, "{}", gone.body);
    assert_eq!(ada.get(&input).await.status, 404);
    let file = grid
        .data()
        .join("inputs")
        .join(slot["input_id"].as_str().unwrap());
    assert!(!file.exists(), "its bytes are gone");
    assert_eq!(send(&ada, &slot, b"two").await.status, 404);
}

/// An upload that breaks off leaves nothing, and can be made again.
#[tokio::test]
async fn half_a_file_is_none() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let slot = slot(&ada, json!({ "filename": "a" })).await;
    let path = path_of(&grid, slot["upload_url"].as_str().unwrap());
    let mut stream = tokio::net::TcpStream::connect(grid.address())
        .await
        .unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 5000000\r\n\r\n",
        grid.address()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
    let incoming = grid.data().join("inputs/incoming");
    let begun = || std::fs::read_dir(&incoming).unwrap().count();
    eventually("the beginning of an upload", async || {
        (begun() == 1).then_some(())
    })
    .await;
    let other = send(&ada, &slot, b"other").await;
    assert_eq!(other.status, 409, "one at a time: {}", other.body);
    assert_eq!(complete(&ada, &slot, Value::Null).await.status, 409);
    drop(stream);
    eventually("its remains to go", async || (begun() == 0).then_some(())).await;
    assert_eq!(complete(&ada, &slot, Value::Null).await.status, 409);
    let again = eventually("its turn", async || {
        let sent = send(&ada, &slot, b"again").await;
        (sent.status == 200).then_some(sent)
    })
    .await;
    assert_eq!(again.body["size_bytes"], 5);
}

/// Uploads wait for the network, not for a minute that everybody else has.
#[tokio::test]
async fn an_upload_is_larger_than_other_bodies_and_may_come_in_pieces() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let slot = slot(&ada, json!({ "filename": "a" })).await;
    let path = path_of(&grid, slot["upload_url"].as_str().unwrap());
    let mut stream = tokio::net::TcpStream::connect(grid.address())
        .await
        .unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n",
        grid.address()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let piece = [b"40000\r\n".to_vec(), vec![b'x'; 0x40000], b"\r\n".to_vec()].concat();
    for _ in 0..12 {
        stream.write_all(&piece).await.unwrap();
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stream.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(DEADLINE, stream.read_to_string(&mut answer))
        .await
        .unwrap()
        .unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(
        answer.contains(&format!("\"size_bytes\":{}", 12 * 0x40000)),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_brought_is_there_after_a_kill() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let kept = upload(&ada, "kept", "input", b"kept").await;
    let slot = slot(&ada, json!({ "filename": "half" })).await;
    let path = path_of(&grid, slot["upload_url"].as_str().unwrap());
    let mut stream = tokio::net::TcpStream::connect(grid.address())
        .await
        .unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 900000\r\n\r\n",
        grid.address()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 600_000]).await.unwrap();
    let incoming = grid.data().join("inputs/incoming");
    let begun = || std::fs::read_dir(&incoming).unwrap().count();
    eventually("the beginning of an upload", async || {
        (begun() == 1).then_some(())
    })
    .await;
    grid.kill();
    tokio::task::block_in_place(|| grid.run());
    assert_eq!(begun(), 0, "what was half there is gone");
    let list = ada.see("/v1/job-inputs").await;
    assert_eq!(list["inputs"][0]["status"], "pending");
    assert_eq!(list["inputs"][1]["id"], json!(kept));
    assert_eq!(list["inputs"][1]["ready"], true);
    // The address has the port of the server before.
    let again = grid
        .request(Method::PUT, &path)
        .body("again")
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 200);
}
