//! Requests that no client of ours would send, written byte by byte: each gets
//! the answer that it deserves, and the server goes on.
use crate::grid::{Grid, script};
use http::Method;
use serde_json::Value;
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
            head.push_str(&format!("{name}: {value}\r\n"));
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

fn nested(levels: usize) -> String {
    let job = script("true").to_string();
    let (open, close) = ("[".repeat(levels), "]".repeat(levels));
    let metadata = format!("{{\"metadata\":{{\"a\":{open}{close}}},");
    job.replacen('{', &metadata, 1)
}

/// A job with this text in place of a field's value.
fn job(field: &str, value: &str) -> String {
    let mut job = script("true");
    job[field] = Value::from("@@");
    job.to_string().replacen("\"@@\"", value, 1)
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{:x}\r\n", body.len()).into_bytes();
    bytes.extend(body);
    bytes.extend(b"\r\n0\r\n\r\n");
    bytes
}

fn json_bodies() -> Vec<Case> {
    let jobs = |what, body: String, says| post(what, "/v1/jobs", body, 400, says);
    vec![
        jobs("not JSON", "hello".into(), "not valid JSON"),
        jobs(
            "JSON that breaks off",
            "{\"name\": \"x\"".into(),
            "not valid JSON",
        ),
        jobs("two objects", "{}{}".into(), "not valid JSON"),
        jobs("an array", "[]".into(), "must be a JSON object"),
        jobs("text", "\"job\"".into(), "must be a JSON object"),
        jobs("null", "null".into(), "must be a JSON object"),
        jobs(
            "a lone surrogate",
            job("name", "\"\\ud800\""),
            "not valid JSON",
        ),
        jobs("too deep for the parser", nested(5_000), "not valid JSON"),
        jobs("too deep for us", nested(100), "nested too deeply"),
        jobs(
            "a number beyond all numbers",
            job("model_size_gb", "1e999"),
            "not valid JSON",
        ),
        jobs(
            "a huge number",
            job("model_size_gb", "1e308"),
            "up to 100000",
        ),
        jobs("a negative number", job("disk_gb", "-1"), "above 0"),
        jobs(
            "text for a number",
            job("memory_gb", "\"8\""),
            "must be a number",
        ),
        jobs(
            "half a second",
            job("timeout_seconds", "0.5"),
            "whole number",
        ),
        jobs(
            "a time limit of 2^64",
            job("timeout_seconds", "18446744073709551616"),
            "whole number",
        ),
        jobs(
            "an object for a name",
            job("name", "{}"),
            "This must be text",
        ),
        jobs("a name of spaces", job("name", "\"  \""), "are required"),
        jobs(
            "a name of 121",
            job("name", &format!("\"{}\"", "x".repeat(121))),
            "120 characters",
        ),
        jobs(
            "NUL in a name",
            job("name", "\"a\\u0000b\""),
            "Control characters",
        ),
        jobs(
            "bidi in a name",
            job("name", "\"a\\u202eb\""),
            "Control characters",
        ),
        jobs(
            "a line break in an image",
            job("image", "\"host\\nx\""),
            "Control characters",
        ),
        jobs(
            "an image that is a path",
            job("image", "\"../../etc\""),
            "lower-case letters",
        ),
        jobs(
            "an unknown workload",
            job("workload_type", "\"dance\""),
            "inference, training",
        ),
        jobs(
            "a number as command",
            job("command", "5"),
            "Give the command as text",
        ),
        jobs("NUL in a command", job("command", "[\"a\\u0000\"]"), "NUL"),
        jobs(
            "an empty word",
            job("command", "[\"a\", \"\"]"),
            "cannot be empty",
        ),
        jobs(
            "a command of 4097",
            job("command", &format!("\"{}\"", "x".repeat(4_097))),
            "4096",
        ),
        jobs(
            "arguments that are numbers",
            job("args", "[1]"),
            "array of text",
        ),
        jobs(
            "an array as environment",
            job("environment", "[]"),
            "as an object",
        ),
        jobs(
            "a variable with an equals sign",
            job("environment", "{\"A=B\":\"\"}"),
            "MY_VARIABLE",
        ),
        jobs(
            "NUL in a variable",
            job("environment", "{\"A\":\"\\u0000\"}"),
            "must be text",
        ),
        jobs(
            "a parent directory",
            job("expected_artifacts", "[\"/workspace/artifacts/../x\"]"),
            "absolute paths",
        ),
        jobs(
            "NUL in an artifact",
            job("expected_artifacts", "[\"/workspace/artifacts/\\u0000\"]"),
            "absolute paths",
        ),
        jobs(
            "an input that nobody has",
            job("input_files", "[{\"input_id\":\"in_12345\"}]"),
            "no such input",
        ),
        jobs(
            "an array as metadata",
            job("metadata", "[]"),
            "as a JSON object",
        ),
        jobs(
            "an array as constraints",
            job("constraints", "[]"),
            "as a JSON object",
        ),
        jobs(
            "an unknown mode among the constraints",
            job("constraints", "{\"region_mode\":\"x\"}"),
            "prefer, strict",
        ),
        post(
            "invalid UTF-8",
            "/v1/jobs",
            b"{\"name\":\"\xff\"}".to_vec(),
            400,
            "not valid JSON",
        ),
        post(
            "a sign-in with a number",
            "/auth/signin",
            "{\"email\":5}",
            400,
            "not right",
        ),
        post(
            "a sign-in with nothing",
            "/auth/signin",
            "{}",
            400,
            "INVALID_REQUEST",
        ),
        post(
            "an account id that is none",
            "/auth/otp/verify",
            "{\"email\":\"a@b.example\",\"code\":\"123456\",\"account_id\":\"x\"}",
            400,
            "not right",
        ),
        post(
            "NUL in an address",
            "/auth/register",
            "{\"email\":\"a\\u0000@b.example\",\"password\":\"correct horse battery\"}",
            400,
            "email",
        ),
        post(
            "a wish to wait for -1 seconds",
            "/v1/jobs/job_0/cancel",
            "{\"wait_seconds\":-1}",
            404,
            "nothing under this id",
        ),
    ]
}

fn paths_and_queries(id: &str, cursor: &str) -> Vec<Case> {
    let zeros = "0".repeat(32);
    let of = |rest: &str| format!("/v1/jobs/{id}{rest}");
    vec![
        get(
            "an id without its prefix",
            format!("/v1/jobs/{zeros}"),
            404,
            "nothing under this id",
        ),
        get(
            "an id that is too short",
            "/v1/jobs/job_1",
            404,
            "nothing under this id",
        ),
        get(
            "an id in capitals",
            of("").to_uppercase().replace("/V1/JOBS", "/v1/jobs"),
            404,
            "nothing under this id",
        ),
        get(
            "a draft's id",
            format!("/v1/jobs/draft_{zeros}"),
            404,
            "nothing under this id",
        ),
        get(
            "an id that nobody has",
            format!("/v1/jobs/job_{zeros}"),
            404,
            "no job",
        ),
        get(
            "an id with a slash in it",
            "/v1/jobs/job%2F1",
            404,
            "NOT_FOUND",
        ),
        get("an id of bad UTF-8", "/v1/jobs/%ff%fe", 404, "NOT_FOUND"),
        get(
            "a stream of bad UTF-8",
            "/v1/jobs/%ff/logs/live",
            404,
            "nothing under this id",
        ),
        get(
            "an id with SQL in it",
            "/v1/jobs/job_'%20OR%201=1--",
            404,
            "nothing under this id",
        ),
        get(
            "a path that leads upwards",
            "/v1/jobs/%2e%2e/nodes",
            400,
            "leads upwards",
        ),
        get("a broken escape", "/v1/jobs/%zz", 400, "broken escape"),
        get("NUL in a path", "/v1/jobs/%00", 400, "control character"),
        get("two slashes", "//v1/jobs", 400, "one slash"),
        get(
            "a path of 9,000",
            format!("/v1/jobs/{}", "x".repeat(9_000)),
            414,
            "8,192",
        ),
        get(
            "a limit in words",
            "/v1/jobs?limit=many",
            400,
            "query is not right",
        ),
        get(
            "a limit of 2^64",
            "/v1/jobs?limit=18446744073709551616",
            400,
            "query is not right",
        ),
        get(
            "a limit of less than nothing",
            "/v1/jobs?limit=-1",
            200,
            "\"limit\":1",
        ),
        get(
            "an unknown status",
            "/v1/jobs?status=succeeded",
            400,
            "pending, queued",
        ),
        get(
            "an unknown type",
            "/v1/jobs?workload_type=dance",
            400,
            "inference",
        ),
        get(
            "a cursor that is none",
            "/v1/jobs?cursor=next",
            400,
            "no cursor of this list",
        ),
        get(
            "a cursor with another's id",
            format!("/v1/jobs?cursor=ff-draft_{zeros}"),
            400,
            "no cursor of this list",
        ),
        get(
            "a cursor before all time",
            format!("/v1/jobs?cursor=-{cursor}"),
            400,
            "no cursor of this list",
        ),
        get(
            "NUL in a search",
            "/v1/jobs?q=%00",
            400,
            "Control characters",
        ),
        get(
            "a search for 201",
            format!("/v1/jobs?q={}", "x".repeat(201)),
            400,
            "200 characters",
        ),
        get(
            "a log cursor that is none",
            of("/logs?cursor=1e3"),
            400,
            "no cursor of this list",
        ),
        get(
            "a log cursor below zero",
            of("/logs?cursor=-1"),
            400,
            "no cursor of this list",
        ),
        get(
            "a stream that is none",
            of("/logs?stream=stdin"),
            400,
            "stdout, stderr or all",
        ),
        get(
            "a tail in words",
            of("/logs?tail=all"),
            400,
            "query is not right",
        ),
        get(
            "an event cursor that is none",
            of("/events?cursor=x"),
            400,
            "no cursor of this list",
        ),
        get(
            "a live cursor that is none",
            of("/live?after_event=x"),
            400,
            "query is not right",
        ),
        get(
            "a last event that is none",
            of("/logs/live"),
            400,
            "no cursor of this list",
        )
        .with("last-event-id", "x"),
        get(
            "both fields twice",
            "/v1/jobs?limit=1&limit=2",
            400,
            "query is not right",
        ),
        post(
            "a wait in words",
            &of("/cancel"),
            "{\"wait_seconds\":\"long\"}",
            400,
            "not right",
        ),
        post(
            "a key with a space",
            "/v1/jobs",
            script("true").to_string(),
            400,
            "Idempotency-Key",
        )
        .with("idempotency-key", "a b"),
        post(
            "an empty key",
            "/v1/jobs",
            script("true").to_string(),
            400,
            "Idempotency-Key",
        )
        .with("idempotency-key", ""),
        post(
            "a key of 256",
            "/v1/jobs",
            script("true").to_string(),
            400,
            "Idempotency-Key",
        )
        .with("idempotency-key", "k".repeat(256)),
    ]
}

fn drafts(draft: &str) -> Vec<Case> {
    let zeros = "0".repeat(32);
    let of = |rest: &str| format!("/v1/job-drafts/{draft}{rest}");
    let seen = |version: &str| format!("{{\"estimate_id\":\"est_{zeros}\",\"version\":{version}}}");
    vec![
        get(
            "a draft that nobody has",
            format!("/v1/job-drafts/draft_{zeros}"),
            404,
            "no draft",
        ),
        post(
            "a draft of a job that nobody has",
            "/v1/job-drafts",
            format!("{{\"from_job\":\"job_{zeros}\"}}"),
            404,
            "no job",
        ),
        post(
            "a draft of nonsense",
            "/v1/job-drafts",
            "{\"content\":[]}",
            400,
            "not right",
        ),
        post(
            "a draft with a wrong field",
            "/v1/job-drafts",
            "{\"content\":{\"timeout_seconds\":\"x\"}}",
            400,
            "whole number",
        ),
        post(
            "a draft that is too large",
            "/v1/job-drafts",
            format!("{{\"content\":{{\"x\":\"{}\"}}}}", "y".repeat(262_144)),
            400,
            "262,144",
        ),
        post(
            "an estimate of half a job",
            &of("/estimate"),
            "",
            400,
            "are required",
        ),
        post(
            "an acknowledgement of nothing",
            &of("/acknowledge"),
            "{}",
            400,
            "estimate_id",
        ),
        post(
            "an acknowledgement without a body",
            &of("/acknowledge"),
            "",
            400,
            "missing",
        ),
        post(
            "an acknowledgement of a word",
            &of("/acknowledge"),
            "{\"estimate_id\":\"x\",\"version\":1}",
            400,
            "not right",
        ),
        post(
            "a stale acknowledgement",
            &of("/acknowledge"),
            seen("7"),
            409,
            "ESTIMATE_OUTDATED",
        ),
        post(
            "a version of 2^70",
            &of("/acknowledge"),
            seen("1180591620717411303424"),
            400,
            "not right",
        ),
        post(
            "a submission without a look",
            &of("/submit"),
            "{}",
            409,
            "ESTIMATE_NOT_ACKNOWLEDGED",
        ),
        post(
            "a patch in place of a post",
            &of("/submit"),
            "{}",
            405,
            "METHOD_NOT_ALLOWED",
        )
        .method("PATCH"),
    ]
}

fn envelopes(address: &str) -> Vec<Case> {
    let large = vec![b' '; 1_100_000];
    let chunked_large = chunked(&large);
    let list = |what, status, says| get(what, "/v1/jobs", status, says);
    vec![
        list("no token at all", 401, "Authentication").with("authorization", ""),
        list("another scheme", 401, "Authentication").with("authorization", "Basic YTpi"),
        list("a bearer of nothing", 401, "Authentication").with("authorization", "Bearer "),
        list("a key of the wrong kind", 401, "Authentication")
            .with("authorization", "Bearer jg_0123"),
        list("an unknown token", 401, "Authentication")
            .with("authorization", format!("Bearer jgs_{}", "0".repeat(64))),
        list("a token of 7,000", 401, "Authentication")
            .with("authorization", format!("Bearer jgs_{}", "0".repeat(7_000))),
        list("a cookie in place of a token", 401, "Authentication")
            .with("authorization", "")
            .with("cookie", "jg_session=x"),
        list("another host", 421, "MISDIRECTED").with("host", "evil.example"),
        list("another port", 421, "MISDIRECTED").with("host", "127.0.0.1:1"),
        list("a host with a user", 400, "not a host").with("host", format!("a@{address}")),
        list("no host", 400, "exactly one Host").with("no-host", ""),
        list(
            "a header that a proxy may misread",
            400,
            "letters, digits and hyphens",
        )
        .with("x_real_ip", "1.1.1.1"),
        list("a method that nobody knows", 501, "not known").method("BREW"),
        list("a trace", 405, "not allowed").method("TRACE"),
        post("too much", "/v1/jobs", large, 413, "larger than is allowed"),
        post(
            "too much, said first",
            "/v1/jobs",
            "",
            413,
            "larger than is allowed",
        )
        .with("content-length", "99999999"),
        post(
            "too much, in one chunk",
            "/v1/jobs",
            chunked_large,
            413,
            "larger than is allowed",
        )
        .with("transfer-encoding", "chunked"),
        post(
            "a packed body",
            "/v1/jobs",
            "x",
            415,
            "without a content coding",
        )
        .with("content-encoding", "gzip"),
        post("no type at all", "/v1/jobs", "{}", 400, "are required").with("content-type", ""),
        post(
            "JSON that says it is a form",
            "/v1/jobs",
            "{}",
            400,
            "are required",
        )
        .with("content-type", FORM),
        post("an expectation", "/v1/jobs", "{}", 417, "100-continue").with("expect", "a miracle"),
    ]
}

fn forms() -> Vec<Case> {
    let junk = || b"email=%ff%fe&password=%00\xff\xfe".to_vec();
    vec![
        form("bad bytes at the door", "/login", junk(), 422, "mail"),
        form("bad bytes at the desk", "/signup", junk(), 422, "mail"),
        form(
            "a broken escape in a form",
            "/login",
            "email=%zz&password=%",
            422,
            "mail",
        ),
        form(
            "an empty form",
            "/signup",
            "",
            422,
            "Enter your e-mail address",
        ),
        form(
            "the same field twice",
            "/login",
            "email=a@b.example&email=c@d.example&password=x",
            422,
            "form",
        ),
        form(
            "JSON at the door",
            "/login",
            "{}",
            415,
            "could not be understood",
        )
        .with("content-type", JSON),
        form(
            "a form from elsewhere",
            "/login",
            "email=a@b.example",
            403,
            "another website",
        )
        .with("sec-fetch-site", "cross-site"),
        form(
            "too much at the door",
            "/login",
            vec![b'a'; 1_100_000],
            413,
            "larger than is allowed",
        ),
        form(
            "a script as name",
            "/signup",
            "name=%3Cscript%3Ealert(1)%3C%2Fscript%3E&email=x",
            422,
            "&lt;script&gt;",
        ),
        form(
            "a page that is not there",
            "/portal/nothing",
            "",
            404,
            "no such page",
        ),
    ]
}

#[tokio::test]
async fn malformed_requests_get_the_answers_they_deserve() {
    let grid = Grid::start().await;
    let ada = grid.sign_up("ada@example.org").await;
    let id = ada.submit(script("echo one")).await;
    ada.ended(&id).await;
    let draft = ada.post("/v1/job-drafts", Value::Null).await.text("/id");
    let address = grid.address();
    let mut cases = json_bodies();
    cases.extend(paths_and_queries(&id, &format!("ff-{id}")));
    cases.extend(drafts(&draft));
    cases.extend(envelopes(&address));
    cases.extend(forms());
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
