//! Requests that must not get through, and what they are told.
use super::*;

/// What is sent (`HOST` stands for the right name), and the status of the answer; 0 for none.
#[rustfmt::skip]
const CASES: &[(&str, &str, u16)] = &[
    ("plain", "GET / HTTP/1.1\r\nHost: HOST\r\n\r\n", 200),
    ("HTTP/1.0", "GET / HTTP/1.0\r\nHost: HOST\r\n\r\n", 200),
    ("absolute form", "GET http://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 200),
    ("two hosts", "GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST\r\n\r\n", 400),
    ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
    ("empty host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    ("user in host", "GET / HTTP/1.1\r\nHost: a@HOST\r\n\r\n", 400),
    ("list of hosts", "GET / HTTP/1.1\r\nHost: HOST, HOST\r\n\r\n", 400),
    ("path in host", "GET / HTTP/1.1\r\nHost: HOST/x\r\n\r\n", 400),
    ("another host", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 421),
    ("another port", "GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 421),
    ("two authorities", "GET http://evil.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("odd scheme", "GET ftp://HOST/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("TRACE", "TRACE / HTTP/1.1\r\nHost: HOST\r\n\r\n", 405),
    ("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: HOST\r\n\r\n", 405),
    ("unknown method", "BREW / HTTP/1.1\r\nHost: HOST\r\n\r\n", 501),
    ("asterisk", "OPTIONS * HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("underscore", "GET / HTTP/1.1\r\nHost: HOST\r\nX_Forwarded_For: 1.2.3.4\r\n\r\n", 400),
    ("dot", "GET / HTTP/1.1\r\nHost: HOST\r\nX.Real.IP: 1.2.3.4\r\n\r\n", 400),
    ("space in name", "GET / HTTP/1.1\r\nHost: HOST\r\nX Y: 1\r\n\r\n", 400),
    ("space before colon", "GET / HTTP/1.1\r\nHost: HOST\r\nX-Y : 1\r\n\r\n", 400),
    ("folded header", "GET / HTTP/1.1\r\nHost: HOST\r\nX-Y: 1\r\n 2\r\n\r\n", 400),
    ("identity, chunked", "POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 400),
    ("gzip, chunked", "POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked twice", "POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("chunked in HTTP/1.0", "POST /echo HTTP/1.0\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("unknown transfer coding", "POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: cow\r\n\r\n", 400),
    ("bad chunk", "POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    ("two lengths", "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
    ("negative length", "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: -1\r\n\r\n", 400),
    ("Expect: foo", "POST /echo HTTP/1.1\r\nHost: HOST\r\nExpect: foo\r\nContent-Length: 1\r\n\r\nx", 417),
    ("Content-Encoding", "POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx", 415),
    ("NUL in path", "GET /%00 HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("line end in path", "GET /a%0d%0ab HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("broken escape", "GET /%zz HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("cut escape", "GET /a% HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("two slashes", "GET //evil.example/ HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("upwards", "GET /a/../b HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("upwards, escaped", "GET /a/%2e%2E/b HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("upwards, escaped slash", "GET /a/..%2fb HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("upwards, backslash", "GET /a/..%5cb HTTP/1.1\r\nHost: HOST\r\n\r\n", 400),
    ("slow body", "POST /drip HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10\r\n\r\nxx", 408),
    ("not HTTP", "\u{16}\u{3}\u{1}hello\r\n\r\n", 400),
    ("half a head", "GET / HTTP/1.1\r\nHos", 0),
    ("nothing", "", 0),
];

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused() {
    let server = start(Limits {
        // Of those that are answered and say nothing more.
        idle: Duration::from_millis(200),
        ..patient()
    })
    .await;
    let hasty = start(Limits {
        header: Duration::from_millis(200),
        ..patient()
    })
    .await;
    let long = "x".repeat(9000);
    let huge = format!("X-Huge: {}\r\n", "x".repeat(70_000));
    let many = (0..120).fold(String::new(), |lines, n| format!("{lines}x-{n}: 1\r\n"));
    let large = "y".repeat(10_001);
    let made = [
        (
            "long address",
            format!("GET /{long} HTTP/1.1\r\nHost: HOST\r\n\r\n"),
            414,
        ),
        (
            "long query",
            format!("GET /?{long} HTTP/1.1\r\nHost: HOST\r\n\r\n"),
            414,
        ),
        (
            "huge header",
            format!("GET / HTTP/1.1\r\nHost: HOST\r\n{huge}\r\n"),
            431,
        ),
        (
            "many headers",
            format!("GET / HTTP/1.1\r\nHost: HOST\r\n{many}\r\n"),
            431,
        ),
        (
            "large, by length",
            format!("POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 10001\r\n\r\n{large}"),
            413,
        ),
        (
            "large, chunked",
            format!(
                "POST /echo HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\n\r\n2711\r\n{large}\r\n0\r\n\r\n"
            ),
            413,
        ),
    ];
    let fixed = CASES
        .iter()
        .map(|(name, request, status)| (*name, (*request).to_owned(), *status));
    for (name, request, expected) in fixed.chain(made) {
        // Only what is never whole is cut off for its slowness.
        let server = if expected == 0 { &hasty } else { &server };
        let answer = server.send(request.as_bytes()).await;
        assert_eq!(answer.status, expected, "{name}: {answer:?}");
        until_served(server).await;
    }
    let mut above_ascii = server.named(b"GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\nX: ");
    above_ascii.extend_from_slice(b"\xff\x80\r\n\r\n");
    assert_eq!(
        server.send(&above_ascii).await.status,
        200,
        "values may hold bytes above ASCII"
    );
}

/// hyper drops the length and refuses to go on with the connection: what
/// follows is never read as a request.
#[tokio::test]
async fn a_length_beside_chunks_smuggles_nothing() {
    let server = start(patient()).await;
    let answer = server
        .send(
            b"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n\
              0\r\n\r\nGET /who HTTP/1.1\r\nHost: HOST\r\n\r\n",
        )
        .await;
    assert!(matches!(answer.status, 200 | 400), "{answer:?}");
    assert!(!answer.text().contains("HTTP/1.1"), "{answer:?}");
}

#[tokio::test]
async fn refusals_speak_the_language_of_the_asker() {
    let server = start(patient()).await;
    for (path, accept, kind) in [
        ("/v1/%00", "Accept: text/html\r\n", "application/json"),
        ("/auth/%00", "Accept: text/html\r\n", "application/json"),
        ("/x%00", "Accept: application/json\r\n", "application/json"),
        ("/x%00", "", "application/json"),
        (
            "/v1x/%00",
            "Accept: text/html,*/*;q=0.8\r\n",
            "text/html; charset=utf-8",
        ),
    ] {
        let answer = server.get(path, accept).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (400, Some(kind)),
            "{path} {accept}"
        );
    }
    let body: serde_json::Value =
        serde_json::from_slice(&server.get("/v1/%00", "").await.body).unwrap();
    assert_eq!(body["code"], "INVALID_REQUEST");
    assert_eq!(body["error"]["code"], body["code"]);
    assert_eq!(body["error"]["message"], body["message"]);
}

#[tokio::test]
async fn a_refused_body_is_answered_even_while_it_is_being_sent() {
    let server = start(patient()).await;
    let mut stream = server.connect().await;
    let head =
        server.named(b"POST /echo HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3000000\r\n\r\n");
    stream.write_all(&head).await.unwrap();
    let (mut reading, mut writing) = stream.split();
    let body = vec![0; 3_000_000];
    let (sent, answer) = tokio::join!(writing.write_all(&body), async {
        let mut bytes = vec![0; 4096];
        let length = reading.read(&mut bytes).await.unwrap();
        Answer::parse(&bytes[..length])
    });
    assert_eq!(answer.status, 413, "{answer:?}");
    assert!(sent.is_ok(), "reset while sending: {sent:?}");
}

#[tokio::test]
async fn every_answer_carries_the_protective_headers() {
    let server = start(patient()).await;
    for path in [
        "/",
        "/nowhere",
        "/panic",
        "/x%00",
        "/assets/none.js",
        assets::url("app.js"),
    ] {
        let answer = server.get(path, "X-Request-Id: mine\r\n").await;
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "same-origin"),
            ("x-frame-options", "deny"),
            ("cross-origin-opener-policy", "same-origin"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
            ),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        assert!(answer.header("permissions-policy").is_some(), "{path}");
        assert!(!answer.head.contains("access-control"), "{path}");
        let id = answer.header("x-request-id").unwrap();
        assert!(id.len() == 16 && id != "mine", "{path}");
    }
}

#[tokio::test]
async fn a_panic_is_answered_and_forgotten() {
    let server = start(patient()).await;
    let answer = server.get("/panic", "").await;
    assert_eq!(answer.status, 500);
    assert!(
        answer
            .text()
            .contains(answer.header("x-request-id").unwrap()),
        "{answer:?}"
    );
    assert!(!answer.text().contains("on purpose"));
    assert_eq!(server.get("/", "").await.status, 200);
}

#[tokio::test]
async fn a_stranger_cannot_say_who_he_is() {
    let server = start(patient()).await;
    let answer = server.get("/who", "X-Forwarded-For: 203.0.113.9\r\n").await;
    let id = answer.header("x-request-id").unwrap();
    assert_eq!(answer.text(), format!("127.0.0.1 {id}"));
}
