//! What goes up and what comes down.
use super::*;
use futures_util::stream;

/// Bytes that no two places of look the same.
pub(super) fn noise(length: usize) -> Bytes {
    let mut state = 7_u64;
    let words = (0..length.div_ceil(8)).flat_map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state ^ (state >> 29)).to_le_bytes()
    });
    words.take(length).collect::<Vec<u8>>().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_whole_in_both_directions() {
    let listener = listen(patient()).await;
    let client = listener.client().await;
    let all = noise(24 << 20);
    let expected = format!("{} {:?}", all.len(), Sha256::digest(&all));
    let pieces = |all: Bytes| {
        // Of a size that fits nothing.
        let starts = (0..all.len()).step_by(77_777);
        let pieces: Vec<_> = starts
            .map(|at| Ok::<_, Infallible>(all.slice(at..all.len().min(at + 77_777))))
            .collect();
        Body::from_stream(stream::iter(pieces))
    };
    let (one, two, down) = tokio::join!(
        client.post("/hash", pieces(all.clone())),
        client.post("/hash", all.clone()),
        client.get("/flood"),
    );
    assert_eq!(one.text(), expected);
    assert_eq!(two.text(), expected);
    assert_eq!(down.headers["content-length"], (64 << 20).to_string());
    assert_eq!(down.body.len(), 64 << 20);
    assert!(down.body.iter().all(|byte| *byte == b'x'));
}

#[tokio::test]
async fn a_refused_body_does_not_cost_the_connection() {
    let listener = listen(patient()).await;
    let client = listener.client().await;
    let mut watched = client.stream("/stream").await;
    for _ in 0..20 {
        // Known from its length, found out, and not even looked at.
        let by_length = client.post("/echo", vec![0; 3_000_000]).await;
        assert_eq!(by_length.status, 413);
        let zeroes = vec![Ok::<_, Infallible>(Bytes::from(vec![0; 50_000])); 60];
        let counted = client
            .post("/echo", Body::from_stream(stream::iter(zeroes)))
            .await;
        assert_eq!(counted.status, 413);
        let deaf = client.post("/deaf", vec![0; 9_000]).await;
        assert_eq!(deaf.status, 409);
        assert_eq!(deaf.headers.get("connection"), None);
        assert_eq!(client.post("/echo", "small").await.text(), "small");
    }
    let more = tokio::time::timeout(Duration::from_millis(50), watched.frame()).await;
    assert!(more.is_err(), "the stream beside it has ended");
}

#[tokio::test]
async fn a_slow_body_is_refused() {
    let listener = listen(patient()).await;
    let client = listener.client().await;
    let drip = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"x")) })
        .chain(stream::pending());
    let slow = client.post("/drip", Body::from_stream(drip)).await;
    assert_eq!(slow.status, 408);
    assert_eq!(client.post("/echo", "fast").await.text(), "fast");
    // Who would rather be told to go on first may go on.
    let request = client.request("/echo").method("POST");
    let request = request.header("expect", "100-continue").body("so".into());
    assert_eq!(client.send(request.unwrap()).await.text(), "so");
}

#[tokio::test]
async fn answers_have_nothing_of_another_protocol() {
    let listener = listen(patient()).await;
    let client = listener.client().await;
    let answer = client.get("/hops").await;
    assert_eq!(answer.text(), "hops");
    for name in [
        "connection",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
        "x-hop",
    ] {
        assert_eq!(answer.headers.get(name), None, "{name}");
    }
    assert_eq!(answer.headers["x-end"], "2");

    let head = client.request("/long").method("HEAD").body(Body::empty());
    let head = client.send(head.unwrap()).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    assert_eq!(head.headers["content-length"], "2000");
    let packed = client.request("/long").header("accept-encoding", "zstd");
    let packed = client.send(packed.body(Body::empty()).unwrap()).await;
    assert_eq!(packed.headers["content-encoding"], "zstd");
    let unpacked = zstd::decode_all(&packed.body[..]).unwrap();
    assert_eq!(unpacked, "long ".repeat(400).as_bytes());
}

#[tokio::test]
async fn who_goes_away_ends_what_was_done_for_them() {
    let mut listener = listen(patient()).await;
    let client = listener.client().await;
    let (one, _two) = (
        client.stream("/stream").await,
        client.stream("/stream").await,
    );
    drop(one);
    soon("the end of the stream", listener.dropped.recv()).await;
    assert!(listener.dropped.try_recv().is_err(), "of that one alone");
    let mut gone = raw::Raw::new(&listener, 65_535).await;
    gone.say(&gone.get(1, "/stream")).await.unwrap();
    assert!(gone.hear_of(raw::DATA).await.is_some());
    drop(gone);
    soon("the end of who vanished", listener.dropped.recv()).await;
    assert!(listener.dropped.try_recv().is_err(), "of that one alone");
}
