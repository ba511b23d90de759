//! What large files cost the server: one is uploaded, given to a job that leaves a copy
//! of it, and fetched, alone and in an archive. `just bench-files` runs it against the
//! program itself over loopback; `just bench-files 64` with 64 MiB in place of 2,048.
//!
//! Prints megabytes per second, and by how much the server's memory grew at most.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should stop"
)]
#[expect(dead_code, reason = "tests need more of it")]
#[path = "../support/server.rs"]
mod server;

use serde_json::{Value, json};
use server::Server;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const MIB: u64 = 1 << 20;

fn main() {
    let mut given = std::env::args().filter_map(|word| word.parse::<u64>().ok());
    let size = given.next().unwrap_or(2_048) * MIB;
    let log = "error,junglegrid::app=info,junglegrid::app::guard=error";
    let server = Server::start(&["--host-slots", "2", "--log", log]);
    let token = server.sign_up("ada@example.org");
    let memory = Memory::of(&server);
    println!(
        "{} MiB; {:.1} MiB of memory at rest",
        size / MIB,
        memory.rest
    );

    let body = json!({ "filename": "large" });
    let slot = server.call("POST", "/v1/job-inputs", &token, &body);
    let upload = path(&slot["upload"]["upload_url"]);
    memory.measure("upload", size, || send(&server, &upload, size));
    let done = path(&slot["upload"]["complete_url"]);
    let input = server.call("POST", &done, &token, &json!({ "size_bytes": size }));

    let job = json!({
        "name": "copy", "image": "host", "workload_type": "batch",
        "command": "cp inputs/large artifacts/copy; exec sha256sum artifacts/copy",
        "input_files": [input["id"]], "memory_gb": 1,
    });
    let job = memory.measure("a job that is given it and leaves it", size, || {
        let job = server.call("POST", "/v1/jobs", &token, &job);
        let id = job["id"].as_str().unwrap().to_owned();
        let begun = Instant::now();
        loop {
            let job = server.call("GET", &format!("/v1/jobs/{id}"), &token, &Value::Null);
            if job["completed_at"].is_string() {
                assert_eq!(job["status"], "completed", "{job}");
                break id;
            }
            assert!(begun.elapsed() < Duration::from_mins(10), "{job}");
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    let list = server.call(
        "GET",
        &format!("/v1/jobs/{job}/artifacts"),
        &token,
        &Value::Null,
    );
    let artifact = &list["artifacts"][0];
    assert_eq!(artifact["size_bytes"], json!(size), "{list}");
    assert_eq!(artifact["sha256"], input["sha256"]);
    let id = artifact["id"].as_str().unwrap();
    let link = server.call(
        "POST",
        &format!("/v1/jobs/{job}/artifacts/{id}/download"),
        &token,
        &Value::Null,
    );
    let url = path(&link["url"]);
    memory.measure("download", size, || assert_eq!(fetch(&server, &url), size));
    let zip = server.call("POST", "/v1/artifacts/zip", &token, &json!({ "ids": [id] }));
    let url = path(&zip["url"]);
    memory.measure("archive", size, || {
        assert_eq!(json!(fetch(&server, &url)), zip["size_bytes"]);
    });
}

/// The server's memory, in MiB.
struct Memory {
    process: u32,
    rest: f64,
}

impl Memory {
    fn of(server: &Server) -> Self {
        let process = server.id();
        let rest = status(process, "VmRSS:");
        Self { process, rest }
    }

    fn measure<T>(&self, what: &str, size: u64, act: impl FnOnce() -> T) -> T {
        // From here on the highest counts anew.
        std::fs::write(format!("/proc/{}/clear_refs", self.process), "5").unwrap();
        let before = status(self.process, "VmRSS:");
        let begun = Instant::now();
        let done = act();
        let took = begun.elapsed().as_secs_f64();
        let highest = status(self.process, "VmHWM:");
        #[expect(clippy::cast_precision_loss, reason = "megabytes for people")]
        let rate = size as f64 / 1e6 / took;
        println!(
            "{what}: {rate:.0} MB/s; memory {before:.1} MiB before, {highest:.1} at most, grew by {:.1}",
            highest - before
        );
        done
    }
}

fn status(process: u32, field: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes: f64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kilobytes / 1_024.0
}

fn path(url: &Value) -> String {
    let url = url.as_str().unwrap();
    url[url.find("/v1/").unwrap()..].to_owned()
}

fn send(server: &Server, path: &str, size: u64) {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let host = server.address;
    write!(
        stream,
        "PUT {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {size}\r\n\r\n"
    )
    .unwrap();
    let piece: Vec<u8> = (0..=250_u8).cycle().take(1 << 20).collect();
    for _ in 0..size / MIB {
        stream.write_all(&piece).unwrap();
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// How many bytes the body has.
fn fetch(server: &Server, path: &str) -> u64 {
    let mut stream = TcpStream::connect(server.address).unwrap();
    let host = server.address;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut buffer = vec![0; 256 * 1024];
    let (mut head, mut body) = (Vec::new(), 0_u64);
    loop {
        let read = stream.read(&mut buffer).unwrap();
        if read == 0 {
            return body;
        }
        if body > 0 {
            body += read as u64;
            continue;
        }
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            assert!(
                head.starts_with(b"HTTP/1.1 200"),
                "{}",
                String::from_utf8_lossy(&head[..end])
            );
            body = (head.len() - end - 4) as u64;
        }
    }
}
