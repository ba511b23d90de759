//! What a long output costs whoever looks at it, and what a loud job costs everybody
//! else. `just bench-output` runs it against the program itself over loopback.
//!
//! Prints milliseconds: median, p99 and slowest. The first part looks at an output of
//! a million lines of 100 bytes; the second asks for pages, API calls and small
//! writes one after the other, each on a connection of its own, before and while one
//! job prints 50,000 such lines per second, with the memory of the server.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should stop"
)]
#[expect(dead_code, reason = "tests need more of it")]
#[path = "../support/server.rs"]
mod server;

use serde_json::{Value, json};
use server::Server;
use std::time::{Duration, Instant};

const LINES: i64 = 1_000_000;
const ROUNDS: usize = 200;
/// Of searches for what is nowhere, which read everything.
const SEARCHES: usize = 10;
/// Lines per second, and for how long.
const RATE: i64 = 50_000;
const SECONDS: i64 = 40;

/// Prints that many lines of 100 bytes, so many per second.
fn printing(lines: i64, rate: i64) -> String {
    format!(
        "exec perl -e 'use Time::HiRes qw(time sleep); $| = 1; my $t = time; my $n = 0; \
         while ($n < {lines}) {{ my $b = \"\"; \
         for (1..500) {{ $n++; $b .= sprintf(\"step %08d loss=0.%05d lr=3.0e-4 tok/s=%05d eta=00:01:13 gpu=71C mem=%05d \", $n, ($n*7919)%99999, ($n*31)%60000, ($n*17)%81920) . \"abcdefghijklmnopqrs\" . \"\\n\" }} \
         print $b; my $ahead = $t + $n / {rate} - time; sleep($ahead) if $ahead > 0; }}'"
    )
}

fn main() {
    let log = "error,junglegrid::app=info,junglegrid::app::guard=error";
    let wide = [
        "--output-head-mb",
        "100",
        "--output-tail-mb",
        "200",
        "--output-rate-mb",
        "1000",
    ];
    let server = Server::start(&[&["--host-slots", "2", "--log", log], &wide[..]].concat());
    let token = server.sign_up("ada@example.org");
    looks(&server, &token);
    drop(server);
    let server = Server::start(&["--host-slots", "2", "--log", log]);
    let token = server.sign_up("ada@example.org");
    loud(&server, &token);
}

fn looks(server: &Server, token: &str) {
    let begun = Instant::now();
    let id = server.run(token, "a million lines", &printing(LINES, 10_000_000));
    server.job(token, &id, |job| job["status"] == "completed");
    println!(
        "{LINES} lines printed and kept in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let page = server.call(
        "GET",
        &format!("/v1/jobs/{id}/logs?limit=1"),
        token,
        &Value::Null,
    );
    assert_eq!(page["last_entry"], json!(LINES));
    assert_eq!(page["size_bytes"], json!(LINES * 100), "100 bytes each");
    let cookie = format!("Cookie: __Host-jg_session={token}\r\n");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    for (what, path) in [
        ("first 100 lines", "/v1/jobs/{id}/logs"),
        ("first 1000 lines", "/v1/jobs/{id}/logs?limit=1000"),
        (
            "middle 500 lines",
            "/v1/jobs/{id}/logs?limit=500&cursor=500000",
        ),
        ("last 500 lines", "/v1/jobs/{id}/logs?tail=500"),
        (
            "before a line",
            "/v1/jobs/{id}/logs?limit=500&before=700000",
        ),
        (
            "around a line",
            "/v1/jobs/{id}/logs?limit=100&around=765432",
        ),
        ("what is on stderr", "/v1/jobs/{id}/logs?stream=stderr"),
        ("the first error", "/v1/jobs/{id}/logs?first_error=true"),
        (
            "a text at line 1",
            "/v1/jobs/{id}/logs?q=step+00000001&limit=1",
        ),
    ] {
        let path = path.replace("{id}", &id);
        report(what, &times(ROUNDS, || ask(server, &path, &bearer)));
    }
    for (what, path) in [
        ("page: the end", "/portal/jobs/{id}/logs"),
        ("page: jump to a line", "/portal/jobs/{id}/logs?line=765432"),
        ("page: the beginning", "/portal/jobs/{id}/logs?from=1"),
        ("page: all jobs", "/portal/logs"),
        ("page: the job", "/portal/jobs/{id}"),
    ] {
        let path = path.replace("{id}", &id);
        report(what, &times(ROUNDS, || ask(server, &path, &cookie)));
    }
    let path = format!("/v1/jobs/{id}/logs?q=nowhere+to+be+found");
    report(
        "a text that is nowhere",
        &times(SEARCHES, || ask(server, &path, &bearer)),
    );
    let path = format!("/v1/jobs/{id}/logs?q=step+00765432");
    report(
        "a text at line 765432",
        &times(SEARCHES, || ask(server, &path, &bearer)),
    );
    let path = format!("/v1/jobs/{id}/logs/download");
    let begun = Instant::now();
    let all = server.request("GET", &path, &bearer, "");
    assert_eq!(i64::try_from(all.body.len()).unwrap(), LINES * 100);
    println!("  downloaded in {:.2} s", begun.elapsed().as_secs_f64());
    let part = format!("{bearer}Range: bytes=76543200-76549999\r\n");
    report("6.8 kB of it", &times(ROUNDS, || ask(server, &path, &part)));
    let database = std::fs::metadata(server.data().join("junglegrid.db"))
        .unwrap()
        .len();
    println!(
        "  database {} MB, server {} MB",
        database >> 20,
        memory(server) >> 20
    );
}

/// What others do meanwhile.
fn everybody(server: &Server, token: &str) -> [Vec<Duration>; 3] {
    let cookie = format!("Cookie: __Host-jg_session={token}\r\n");
    let bearer = format!("Authorization: Bearer {token}\r\n");
    let end = Instant::now() + Duration::from_secs(SECONDS.unsigned_abs() - 10);
    let [mut pages, mut calls, mut writes] = [Vec::new(), Vec::new(), Vec::new()];
    while Instant::now() < end {
        for path in [
            "/portal",
            "/portal/jobs",
            "/portal/submit/new/workload",
            "/portal/nodes",
        ] {
            pages.push(ask(server, path, &cookie));
        }
        for path in ["/v1/jobs", "/v1/overview", "/v1/billing/balance"] {
            calls.push(ask(server, path, &bearer));
        }
        let begun = Instant::now();
        server.call("POST", "/v1/job-drafts", token, &json!({}));
        writes.push(begun.elapsed());
        std::thread::sleep(Duration::from_millis(20));
    }
    [pages, calls, writes]
}

fn loud(server: &Server, token: &str) {
    let tell = |[pages, calls, writes]: [Vec<Duration>; 3]| {
        report("pages", &pages);
        report("API calls", &calls);
        report("writes", &writes);
    };
    println!("nobody prints, server {} MB", memory(server) >> 20);
    tell(everybody(server, token));
    let id = server.run(token, "loud", &printing(RATE * SECONDS, RATE));
    server.job(token, &id, |job| job["status"] == "running");
    let printed = |server: &Server| {
        let page = server.call(
            "GET",
            &format!("/v1/jobs/{id}/logs?limit=1"),
            token,
            &Value::Null,
        );
        page["last_entry"].as_i64().unwrap()
    };
    std::thread::sleep(Duration::from_secs(2));
    let (began, before, at_first) = (Instant::now(), printed(server), memory(server));
    let told = everybody(server, token);
    let (lines, at_last) = (printed(server) - before, memory(server));
    let seconds = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let rate = lines as f64 / seconds;
    println!(
        "one job prints, {rate:.0} lines/s kept, server {} MB, then {} MB",
        at_first >> 20,
        at_last >> 20
    );
    tell(told);
    server.job(token, &id, |job| job["status"] == "completed");
    let mut dropped = 0;
    let mut cursor = String::new();
    loop {
        let path = format!("/v1/jobs/{id}/logs?stream=system&limit=1000&cursor={cursor}");
        let page = server.call("GET", &path, token, &Value::Null);
        for item in page["items"].as_array().unwrap() {
            println!("  at {}: {}", item["entry_id"], item["message"]);
            dropped += item["dropped_lines"].as_i64().unwrap_or(0);
        }
        if page["has_more"] == false {
            break;
        }
        page["next_cursor"]
            .as_str()
            .unwrap()
            .clone_into(&mut cursor);
    }
    let database = std::fs::metadata(server.data().join("junglegrid.db"))
        .unwrap()
        .len();
    println!(
        "  {} lines printed, {dropped} of them not kept; database {} MB, server {} MB",
        printed(server),
        database >> 20,
        memory(server) >> 20
    );
}

/// Resident bytes.
fn memory(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes << 10
}

fn ask(server: &Server, path: &str, headers: &str) -> Duration {
    let begun = Instant::now();
    let answer = server.request("GET", path, headers, "");
    let took = begun.elapsed();
    assert!(
        (200..300).contains(&answer.status),
        "{path}: {}",
        answer.status
    );
    took
}

fn times(rounds: usize, mut work: impl FnMut() -> Duration) -> Vec<Duration> {
    for _ in 0..rounds / 10 {
        work();
    }
    (0..rounds).map(|_| work()).collect()
}

fn report(what: &str, took: &[Duration]) {
    let mut took = took.to_vec();
    took.sort_unstable();
    let millis = |at: usize| took[at].as_secs_f64() * 1e3;
    println!(
        "  {what:28} median {:>7.2}   p99 {:>7.2}   slowest {:>7.2}   ({} times)",
        millis(took.len() / 2),
        millis(took.len() * 99 / 100),
        millis(took.len() - 1),
        took.len()
    );
}
