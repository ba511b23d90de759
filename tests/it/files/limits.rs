//! How much is kept, and for how long.
use super::{complete, id, left, path_of, run, send, slot, upload};
use crate::grid::{DEADLINE, Grid, eventually, script};
use crate::harness::TestApi;
use http::Method;
use junglegrid::orchestrator::workers::housekeeping;
use serde_json::{Value, json};
use time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::task::TaskTracker;

#[tokio::test]
async fn too_much_is_refused_in_words() {
    let grid = Grid::with(&["--file-mb", "1", "--storage-mb", "2"]);
    let ada = grid.sign_up("ada@example.org").await;
    let place = slot(&ada, json!({ "filename": "a" })).await;
    assert_eq!(place["max_bytes"], 1_000_000);
    let large = send(&ada, &place, &vec![0; 1_000_001]).await;
    assert_eq!(large.status, 413, "{}", large.body);
    assert_eq!(large.text("/error/code"), "FILE_TOO_LARGE");
    assert!(large.text("/message").contains("1 MB"), "{}", large.body);
    // Without a word of its length it is found out on the way.
    let url = place["upload_url"].as_str().unwrap();
    let pieces =
        futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![0_u8; 100_000])));
    let request = grid.request(Method::PUT, &super::path_of(&grid, url));
    let sent = request
        .body(reqwest::Body::wrap_stream(pieces))
        .send()
        .await;
    // The server may hang up before everything is sent.
    if let Ok(answer) = sent {
        assert_eq!(answer.status(), 413);
    }
    assert_eq!(complete(&ada, &place, Value::Null).await.status, 409);
    let first = upload(&ada, "b", "input", &vec![0; 900_000]).await;
    upload(&ada, "c", "input", &vec![0; 900_000]).await;
    let full = send(&ada, &place, &vec![0; 300_000]).await;
    assert_eq!(full.status, 409, "{}", full.body);
    assert_eq!(full.text("/error/code"), "STORAGE_FULL");
    assert!(full.text("/message").contains("200 kB"), "{}", full.body);
    // What a job leaves is kept as far as there is room, and the rest is said.
    let work = "cd /workspace/artifacts; head -c 150000 /dev/zero > a; head -c 150000 /dev/zero > b; \
                truncate -s 15G sparse; head -c 40000 /dev/zero > z";
    let declared = json!({ "expected_artifacts": ["/workspace/artifacts/z"] });
    let job = run(&ada, work, declared).await;
    let (list, names) = left(&ada, &job).await;
    assert_eq!(names, ["z", "a"], "what was declared first: {list}");
    assert_eq!(list["left_out"], 2);
    let why = list["left_out_reason"].as_str().unwrap();
    assert!(
        why.contains("1 larger than 1 MB") && why.contains("1 for want of room"),
        "{why}"
    );
    assert_eq!(job["artifact_contract"]["left_out"], 2);
    let events = ada.events(id(&job)).await;
    let said = events
        .iter()
        .find(|event| event["type"] == "artifacts.left_out")
        .unwrap();
    assert!(
        said["message"]
            .as_str()
            .unwrap()
            .starts_with("2 files left out: "),
        "{said}"
    );
    // Room that is given back can be used.
    ada.call(
        Method::DELETE,
        &format!("/v1/job-inputs/{first}"),
        Value::Null,
    )
    .await;
    assert_eq!(send(&ada, &place, &vec![0; 300_000]).await.status, 200);
    // Others have their own.
    let eve = grid.sign_up("eve@example.org").await;
    upload(&eve, "b", "input", &vec![0; 900_000]).await;
}

#[tokio::test]
async fn only_so_many_files_of_a_job_are_kept() {
    let grid = Grid::with(&["--artifact-files", "50"]);
    let ada = grid.sign_up("ada@example.org").await;
    let work = "cd /workspace/artifacts; for i in $(seq -w 1 300); do echo $i > $i; done";
    let declared = json!({ "expected_artifacts": ["/workspace/artifacts/299"] });
    let job = run(&ada, work, declared).await;
    let (list, names) = left(&ada, &job).await;
    assert_eq!(
        (names.len(), &*names[0], &*names[1], &*names[49]),
        (50, "299", "001", "049")
    );
    assert_eq!(list["left_out"], 250);
    assert!(
        list["left_out_reason"]
            .as_str()
            .unwrap()
            .contains("250 beyond the first 50")
    );
}

/// Two that are sent at once cannot have the same room.
#[tokio::test]
async fn room_is_promised_before_a_byte_has_come() {
    let grid = Grid::with(&["--file-mb", "1", "--storage-mb", "1"]);
    let ada = grid.sign_up("ada@example.org").await;
    let mut slots = Vec::new();
    for n in 0..6 {
        slots.push(slot(&ada, json!({ "filename": format!("{n}") })).await);
    }
    let bytes = vec![0; 400_000];
    let sent =
        futures_util::future::join_all(slots.iter().map(|slot| send(&ada, slot, &bytes))).await;
    let taken = sent.iter().filter(|answer| answer.status == 200).count();
    assert!(taken <= 2, "{taken}");
    let refused = sent.iter().filter(|answer| answer.status == 409).count();
    assert_eq!(taken + refused, 6);
    let list = ada.see("/v1/job-inputs").await;
    assert!(list["used_bytes"].as_i64().unwrap() <= 1_000_000);
    let mut more = 0;
    for slot in &slots {
        more += usize::from(send(&ada, slot, &bytes).await.status == 200);
    }
    assert!(more >= 2, "nothing stays promised: {more}");
}

/// What a job has left takes its room before it is copied.
#[tokio::test]
async fn an_upload_cannot_have_the_room_of_what_is_being_collected() {
    let grid = Grid::with(&[
        "--file-mb",
        "200",
        "--storage-mb",
        "200",
        "--host-slots",
        "1",
    ]);
    let ada = grid.sign_up("ada@example.org").await;
    let (large, small) = (
        slot(&ada, json!({ "filename": "large" })).await,
        slot(&ada, json!({ "filename": "small" })).await,
    );
    let job = ada
        .submit(script("truncate -s 180000000 /workspace/artifacts/zeros"))
        .await;
    let copy = grid.data().join("artifacts").join(&job).join("0");
    eventually("the beginning of a copy", async || {
        std::fs::metadata(&copy).ok().filter(|copy| copy.len() > 0)
    })
    .await;
    // So much would have been free before.
    let mut stream = tokio::net::TcpStream::connect(grid.address())
        .await
        .unwrap();
    let head = format!(
        "PUT {} HTTP/1.1\r\nhost: {}\r\ncontent-length: 100000000\r\n\r\n",
        path_of(&grid, large["upload_url"].as_str().unwrap()),
        grid.address()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4_096];
    let read = tokio::time::timeout(DEADLINE, stream.read(&mut answer)).await;
    let answer = String::from_utf8_lossy(&answer[..read.unwrap().unwrap()]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 409"), "{answer}");
    // What is left may be had.
    assert_eq!(send(&ada, &small, &vec![1; 1_000_000]).await.status, 200);
    let job = ada.ended(&job).await;
    assert_eq!(job["artifact_contract"]["collected_files"], 1, "{job}");
    let list = ada.see("/v1/artifacts").await;
    assert_eq!(list["used_bytes"], 181_000_000);
    assert_eq!(list["max_bytes"], 200_000_000);
    assert_eq!(list["retention_seconds"], 30 * 86_400);
    // Nothing stays promised.
    let rest = slot(&ada, json!({ "filename": "rest" })).await;
    assert_eq!(send(&ada, &rest, &vec![1; 19_000_000]).await.status, 200);
    assert_eq!(send(&ada, &large, b"1").await.status, 409);
}

/// However slow a connection is: who cleans up does not take a file from under it.
#[tokio::test]
async fn an_upload_may_take_hours() {
    let api = TestApi::start().await;
    let ada = api.sign_up("ada@example.org").await;
    let new = json!({ "filename": "large" });
    let slot = api.call(Method::POST, "/v1/job-inputs", &ada, new).await;
    let url = slot.text("/upload/upload_url");
    let path = url.strip_prefix("http://localhost:8080").unwrap();
    let (pass, come) = tokio::sync::mpsc::channel(1);
    let body = axum::body::Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(come));
    let request = http::Request::builder().method(Method::PUT).uri(path);
    let sent = api.send(request.body(body).unwrap());
    let (sent, ()) = tokio::join!(sent, async {
        // The second is taken once the first has arrived.
        for piece in ["one", "two"] {
            pass.send(Ok::<_, std::io::Error>(piece)).await.unwrap();
        }
        api.clock.advance(Duration::hours(3));
        housekeeping::tick(&api.state, &TaskTracker::new())
            .await
            .unwrap();
        pass.send(Ok("three")).await.unwrap();
        drop(pass);
    });
    assert_eq!(sent.status, 200, "{:?}", sent.body);
    housekeeping::tick(&api.state, &TaskTracker::new())
        .await
        .unwrap();
    let done = format!("/v1/job-inputs/{}/complete", slot.text("/upload/input_id"));
    let done = api.call(Method::POST, &done, &ada, Value::Null).await;
    assert_eq!(
        (done.status.as_u16(), &done.body["size_bytes"]),
        (200, &json!(11))
    );
}

#[tokio::test]
async fn addresses_and_files_have_their_time() {
    let api = TestApi::start().await;
    let ada = api.sign_up("ada@example.org").await;
    let slot = api
        .call(
            Method::POST,
            "/v1/job-inputs",
            &ada,
            json!({ "filename": "a" }),
        )
        .await;
    let url = slot.text("/upload/upload_url");
    let path = url
        .strip_prefix("http://localhost:8080")
        .unwrap()
        .to_owned();
    let put = async |body: &'static str| {
        let request = http::Request::builder().method(Method::PUT).uri(&path);
        api.send(request.body(body.into()).unwrap()).await
    };
    assert_eq!(put("one").await.status, 200);
    api.clock.advance(Duration::minutes(16));
    let late = put("two").await;
    assert_eq!(late.status, 410, "{:?}", late.body);
    assert_eq!(late.text("/error/code"), "UPLOAD_EXPIRED");
    let input = format!("/v1/job-inputs/{}", slot.text("/upload/input_id"));
    let done = api
        .call(
            Method::POST,
            &format!("{input}/complete"),
            &ada,
            Value::Null,
        )
        .await;
    assert_eq!(done.status, 200, "what is there can still be confirmed");
    let forgotten = api
        .call(
            Method::POST,
            "/v1/job-inputs",
            &ada,
            json!({ "filename": "b" }),
        )
        .await;
    let forgotten = format!("/v1/job-inputs/{}", forgotten.text("/upload/input_id"));
    let tasks = TaskTracker::new();
    api.clock.advance(Duration::hours(2));
    housekeeping::tick(&api.state, &tasks).await.unwrap();
    let file = api
        .dir
        .path()
        .join("inputs")
        .join(slot.text("/upload/input_id"));
    assert!(file.exists());
    assert_eq!(api.get(&input, &ada).await.status, 200);
    assert_eq!(
        api.get(&forgotten, &ada).await.status,
        404,
        "nobody waits for it any more"
    );
    api.clock.advance(Duration::days(30));
    let ada = {
        let body = json!({ "email": "ada@example.org", "password": crate::harness::PASSWORD });
        api.post("/auth/signin", body).await.text("/token")
    };
    housekeeping::tick(&api.state, &tasks).await.unwrap();
    assert_eq!(api.get(&input, &ada).await.status, 404);
    assert!(!file.exists(), "its time is over");
}
