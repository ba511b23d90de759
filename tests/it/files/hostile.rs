//! What jobs leave to do harm: names, contents and things that are no files.
use super::artifacts::unpacked;
use super::{address, get, id, left, run};
use crate::grid::{Grid, Person};
use http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Component, Path};

const SANDBOX: &str = "sandbox; default-src 'none'; frame-ancestors 'none'";

/// A page of the portal, as its owner sees it.
async fn page(person: &Person<'_>, path: &str) -> (u16, String) {
    let cookie = format!("__Host-jg_session={}", person.token);
    let request = person.grid.request(Method::GET, path);
    let response = request.header("cookie", cookie).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

/// No control character, and none that turns the direction of text.
fn shows(text: &str) -> bool {
    let odd = |c: char| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    !text.chars().any(odd)
}

#[tokio::test]
async fn names_mean_nothing_to_anybody() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    // Folders, because one name has no room for them; bytes as printf writes them.
    let work = r#"cd /workspace/artifacts; set -e
        put() { echo "$1" > "$1"; }
        put "$(printf 'a\nb')"; put "$(printf 'tab\there')"; put "$(printf '\033[31mred')"; put "$(printf 'bell\007')"
        put "$(printf 'inv\342\200\256fdp.exe')"; put "$(printf '\342\201\246hidden\342\201\251')"
        put "$(printf 'bad\377\376utf8')"; put ' '; put '...'; put '..evil'; echo x > ./-rf
        put '<img src=x onerror=alert(1)>.txt'; put '"quoted";filename=evil.html'; put 'a%2e%2e%2fb'; put "it's"
        put 'C:evil'; put CON; put 'back\..\slash'; put "$(printf '%0.sé' $(seq 127))x"
        mkdir -p '<b>'/x; echo deep > '<b>'/x/'{{7*7}}${jndi:x}'
        ln -s /etc/passwd link; ln -s / root; mkfifo pipe; echo one > one; ln one two
        mknod null c 1 3 2>/dev/null || true; truncate -s 15G giant
        mkdir -p "$(printf 'd%.0s' $(seq 250))/$(printf 'd%.0s' $(seq 250))/$(printf 'd%.0s' $(seq 250))/$(printf 'd%.0s' $(seq 250))/$(printf 'd%.0s' $(seq 250))"
        cd d*/d*/d*/d*/d*; echo far > far"#;
    let job = run(&ada, work, json!({})).await;
    assert_eq!(job["status"], "completed", "{job}");
    let (list, names) = left(&ada, &job).await;
    for name in &names {
        assert!(shows(name) && !name.contains('\\'), "{name:?}");
        let path = Path::new(name);
        assert!(
            path.components()
                .all(|part| matches!(part, Component::Normal(_))),
            "{name:?}"
        );
    }
    for there in [
        "a\u{fffd}b",
        "inv\u{fffd}fdp.exe",
        "...",
        "..evil",
        "-rf",
        "a%2e%2e%2fb",
    ] {
        assert!(names.iter().any(|name| name == there), "{there}: {names:?}");
    }
    for absent in ["link", "root", "pipe", "one", "two", "null", "giant"] {
        assert!(!names.iter().any(|name| name == absent), "{absent}");
    }
    let why = list["left_out_reason"].as_str().unwrap();
    for said in ["1 larger than", "too long a path", "links, pipes"] {
        assert!(why.contains(said), "{why}");
    }

    let artifacts = list["artifacts"].as_array().unwrap();
    for artifact in artifacts {
        let name = artifact["filename"].as_str().unwrap();
        let fetched = get(&grid, &address(&ada, artifact).await).await;
        assert_eq!(fetched.status, 200, "{name:?}");
        let how = fetched.header("content-disposition");
        assert!(how.starts_with("attachment; filename=\""), "{how}");
        let plain = how.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        assert!(plain && how.matches('"').count() == 2, "{how}");
        let (status, shown) = page(&ada, &format!("/portal/artifacts/{}", id(artifact))).await;
        assert_eq!(status, 200, "{name:?}");
        assert!(shows(&shown), "{name:?}");
        for tag in ["<img src=x", "<b>/x", "\"quoted\";filename"] {
            assert!(!shown.contains(tag), "{name:?}: {tag}");
        }
    }
    let (status, shown) = page(&ada, &format!("/portal/jobs/{}", id(&job))).await;
    assert!(
        status == 200 && shows(&shown) && !shown.contains("<img src=x"),
        "{status}"
    );

    let ids: Vec<&str> = artifacts.iter().map(id).collect();
    let made = ada.post("/v1/artifacts/zip", json!({ "ids": ids })).await;
    let zip = get(&grid, &made.text("/url")).await;
    assert_eq!(json!(zip.bytes.len()), made.body["size_bytes"]);
    let files = unpacked(&zip.bytes);
    assert_eq!(files.len(), names.len());
    let mut seen = std::collections::HashSet::new();
    for (name, _) in &files {
        let path = Path::new(name);
        assert!(
            path.components()
                .all(|part| matches!(part, Component::Normal(_))),
            "{name:?}"
        );
        assert!(
            shows(name) && !name.contains([':', '\\', '?', '*', '<']),
            "{name:?}"
        );
        assert!(seen.insert(name.to_lowercase()), "{name:?} twice");
    }
}

/// A picture of this kind that says it is so large.
fn png(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    bytes.extend(width.to_be_bytes());
    bytes.extend(height.to_be_bytes());
    bytes.extend(b"\x08\x06\0\0\0");
    bytes
}

/// As a command of a shell.
fn write(name: &str, bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let octal = bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "\\{byte:03o}");
        text
    });
    format!("printf '{octal}' > {name}; ")
}

#[expect(clippy::too_many_lines, reason = "one story")]
#[tokio::test]
async fn contents_are_never_more_than_bytes() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    let bomb = [&b"PK\x03\x04"[..], &[0; 60]].concat();
    let contents: [(&str, Vec<u8>, &str); 14] = [
        (
            "a.svg",
            b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>".to_vec(),
            "text",
        ),
        (
            "b.html",
            b"<!doctype html><script>alert(1)</script>".to_vec(),
            "text",
        ),
        (
            "c.gif",
            b"GIF89a\x01\0\x01\0/*\0*/=1;alert(1)//".to_vec(),
            "image",
        ),
        (
            "d.csv",
            b"name,value\n=cmd|' /C calc'!A0,1\n+1+1,@SUM(1)\n".to_vec(),
            "csv",
        ),
        ("e.png", png(60_000, 60_000), "none"),
        ("f.png", png(0, 0), "none"),
        ("g.png", png(640, 480), "image"),
        ("h.zip", bomb, "none"),
        ("i.txt", b"caf\xe9 na\xefve\n".to_vec(), "none"),
        (
            "j.json",
            [vec![b'['; 20_000], vec![b']'; 20_000]].concat(),
            "json",
        ),
        (
            "k.xml",
            b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'aaaa'>]><x>&a;</x>".to_vec(),
            "text",
        ),
        (
            "l.pdf",
            b"%PDF-1.7\n/JavaScript (app.alert(1))".to_vec(),
            "none",
        ),
        (
            "m.txt",
            "inv\u{202e}gpj.exe\n\u{1b}]0;title\u{7}"
                .as_bytes()
                .to_vec(),
            "none",
        ),
        (
            "n.jpg",
            b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03".to_vec(),
            "none",
        ),
    ];
    // What is long would not fit into a command.
    let long = "head -c 20000 /dev/zero | tr '\\0' '[' > j.json; head -c 20000 /dev/zero | tr '\\0' ']' >> j.json";
    let mut work = String::from("cd /workspace/artifacts; ");
    for (name, bytes, _) in contents.iter().filter(|(name, ..)| *name != "j.json") {
        work.push_str(&write(name, bytes));
    }
    work.push_str(long);
    let job = run(&ada, &work, json!({})).await;
    assert_eq!(job["status"], "completed", "{job}");
    let (list, _) = left(&ada, &job).await;
    let by_name: BTreeMap<&str, &Value> = list["artifacts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|artifact| (artifact["filename"].as_str().unwrap(), artifact))
        .collect();
    assert_eq!(by_name.len(), contents.len());
    for (name, bytes, kind) in &contents {
        let artifact = by_name[name];
        let see = format!("/v1/artifacts/{}/preview", id(artifact));
        let preview = ada.see(&see).await;
        assert_eq!(preview["kind"], *kind, "{name}: {preview}");
        let fetched = get(&grid, &address(&ada, artifact).await).await;
        assert!(fetched.bytes == *bytes, "{name} is what it was");
        for (header, value) in [
            ("content-type", "application/octet-stream"),
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", SANDBOX),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store, no-transform"),
        ] {
            assert_eq!(fetched.header(header), value, "{name}: {header}");
        }
        let at = format!("/portal/artifacts/{}", id(artifact));
        let (status, shown) = page(&ada, &at).await;
        assert_eq!(status, 200, "{name}");
        assert!(shows(&shown), "{name}");
        for tag in [
            "<svg xmlns='",
            "<script>alert",
            "<svg onload",
            "<!DOCTYPE x",
        ] {
            assert!(!shown.contains(tag), "{name}: {tag}");
        }
        let (status, text) = page(&ada, &format!("{at}/text")).await;
        let readable = matches!(*kind, "text" | "csv" | "json");
        assert_eq!(status == 200, readable, "{name}: {status}");
        assert!(!readable || shows(&text), "{name}");
        let (status, _) = page(&ada, &format!("{at}/image")).await;
        assert_eq!(status == 200, *kind == "image", "{name}: {status}");
    }
    let formula = ada
        .see(&format!("/v1/artifacts/{}/preview", id(by_name["d.csv"])))
        .await;
    assert_eq!(formula["rows"][1][0], "=cmd|' /C calc'!A0");
    let giant = ada
        .see(&format!("/v1/artifacts/{}/preview", id(by_name["e.png"])))
        .await;
    assert!(
        giant["message"].as_str().unwrap().contains("60000 × 60000"),
        "{giant}"
    );
}

/// Sends one file as a form of the portal does.
async fn bring(person: &Person<'_>, name: &[u8]) -> (u16, String) {
    let disposition = b"--b\r\nContent-Disposition: form-data; name=\"upload_input\"; filename=\"";
    let body = [&disposition[..], name, b"\"\r\n\r\nbytes\r\n--b--\r\n"].concat();
    let request = person.grid.request(Method::POST, "/portal/inputs");
    let request = request
        .header("cookie", format!("__Host-jg_session={}", person.token))
        .header("origin", person.grid.url())
        .header("content-type", "multipart/form-data; boundary=b");
    let response = request.body(body).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn names_of_uploads_are_no_paths() {
    let grid = Grid::start();
    let ada = grid.sign_up("ada@example.org").await;
    for (name, status) in [
        (&b".."[..], 422),
        (b".", 422),
        (b"../..", 422),
        (b"a\0b", 422),
        (b"a\x07b", 422),
        ("invoice\u{202e}fdp.exe".as_bytes(), 422),
        ("é".repeat(128).as_bytes(), 422),
        (&[b'x'; 10_000], 422),
        // Whole, or refused; never half understood.
        (b"bad\xff\xfe", 422),
    ] {
        let (answered, text) = bring(&ada, name).await;
        let refused = answered == status || answered == 400;
        let name = String::from_utf8_lossy(name);
        assert!(refused && shows(&text), "{name:?}: {answered} {text}");
    }
    assert_eq!(ada.see("/v1/job-inputs").await["inputs"], json!([]));
    let kept = [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\ada\\data.csv", "data.csv"),
        ("-rf", "-rf"),
        (
            "<img src=x onerror=alert(1)>",
            "<img src=x onerror=alert(1)>",
        ),
        ("山田.txt", "山田.txt"),
    ];
    for (name, _) in kept {
        let (answered, text) = bring(&ada, name.as_bytes()).await;
        assert_eq!(answered, 303, "{name}: {text}");
    }
    let list = ada.see("/v1/job-inputs?limit=100").await;
    let list = list["inputs"].as_array().unwrap();
    let mut names: Vec<&str> = list
        .iter()
        .map(|one| one["filename"].as_str().unwrap())
        .collect();
    names.sort_unstable();
    let mut expected = kept.map(|(_, name)| name);
    expected.sort_unstable();
    assert_eq!(names, expected);
    // A job finds them under the same names, and nothing else.
    let ids: Vec<Value> = list
        .iter()
        .map(|one| json!({ "input_id": id(one) }))
        .collect();
    let work = "cd /workspace/inputs; for f in *; do cp -- \"$f\" ../artifacts/; done";
    let job = run(&ada, work, json!({ "input_files": ids })).await;
    let (_, mut names) = left(&ada, &job).await;
    names.sort_unstable();
    assert_eq!(names, expected);
    let (status, shown) = page(&ada, "/portal/inputs").await;
    assert!(status == 200 && !shown.contains("<img src=x"), "{status}");
}
