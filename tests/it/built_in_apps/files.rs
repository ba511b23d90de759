//! The file browser.
use super::App;
use crate::grid::{DEADLINE, eventually};
use http::StatusCode;
use reqwest::Method;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use tokio::net::TcpStream;

#[tokio::test]
async fn a_file_comes_in_is_seen_and_goes_out_in_parts() {
    let app = App::files();
    assert_eq!(app.get("/healthz").await, (StatusCode::OK, "ok\n".into()));
    let (_, page) = app.get("/files/").await;
    assert!(page.contains("Nothing is here yet"), "{page}");

    assert_eq!(app.form("/folder/", "name=caf%C3%A9+%26+co").await, 303);
    let folder = "/caf%C3%A9%20%26%20co";
    let text = b"first line\n<script>alert(1)</script>\n";
    assert_eq!(
        app.upload(&format!("/upload{folder}"), "../../a.html", text)
            .await,
        303
    );
    assert_eq!(fs::read(app.root().join("café & co/a.html")).unwrap(), text);
    // The same name again writes nothing over.
    assert_eq!(
        app.upload(&format!("/upload{folder}"), "a.html", b"second")
            .await,
        303
    );
    assert_eq!(fs::read(app.root().join("café & co/a.html")).unwrap(), text);
    assert_eq!(
        fs::read(app.root().join("café & co/a (2).html")).unwrap(),
        b"second"
    );

    let (_, page) = app.get(&format!("/files{folder}")).await;
    assert!(
        page.contains("a.html") && page.contains("a (2).html"),
        "{page}"
    );
    let (_, page) = app.get(&format!("/files{folder}/a.html")).await;
    assert!(
        page.contains("first line") && !page.contains("<script>alert"),
        "{page}"
    );

    let path = format!("/raw{folder}/a.html");
    let whole = app.ask(Method::GET, &path).send().await.unwrap();
    let tag = whole.headers()["etag"].clone();
    // A page that somebody uploaded must not run here.
    let headers = whole.headers();
    assert_eq!(headers["content-type"], "application/octet-stream");
    assert!(
        headers["content-disposition"]
            .to_str()
            .unwrap()
            .starts_with("attachment")
    );
    assert!(
        headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("sandbox")
    );
    assert_eq!(headers["x-content-type-options"], "nosniff");
    let part = app
        .ask(Method::GET, &path)
        .header("range", "bytes=6-9")
        .header("if-range", &tag);
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(
        part.headers()["content-range"],
        format!("bytes 6-9/{}", text.len())
    );
    assert_eq!(part.text().await.unwrap(), "line");
    let other = app
        .ask(Method::GET, &path)
        .header("range", "bytes=6-9")
        .header("if-range", "\"old\"");
    assert_eq!(other.send().await.unwrap().status(), 200);
    let beyond = app.ask(Method::GET, &path).header("range", "bytes=900-");
    assert_eq!(beyond.send().await.unwrap().status(), 416);

    let question = format!("/files{folder}?ask=delete&name=a.html");
    let (status, page) = app.get(&question).await;
    assert!(status == 200 && page.contains("Delete a.html?"), "{page}");
    assert!(
        app.root().join("café & co/a.html").exists(),
        "asking deletes nothing"
    );
    assert_eq!(
        app.form(&format!("/rename{folder}"), "name=a.html&to=a+(2).html")
            .await,
        409
    );
    assert_eq!(
        app.form(&format!("/rename{folder}"), "name=a.html&to=b.html")
            .await,
        303
    );
    assert_eq!(
        app.form("/delete/", "name=caf%25C3%25A9%2520%2526%2520co")
            .await,
        303
    );
    assert_eq!(fs::read_dir(app.root()).unwrap().count(), 0);
}

#[tokio::test]
async fn nothing_outside_the_root_is_seen_or_touched() {
    let app = App::files();
    let outside = app.folder.path().join("secret.txt");
    fs::write(&outside, "outside").unwrap();
    symlink(&outside, app.root().join("file")).unwrap();
    symlink(app.folder.path(), app.root().join("dir")).unwrap();
    // As bytes, because clients tidy paths up.
    for path in [
        "/files/../secret.txt",
        "/raw/../secret.txt",
        "/raw/%2e%2e/secret.txt",
        "/raw/..%2fsecret.txt",
        "/raw/%2e%2e%2fsecret.txt",
        "/raw/file",
        "/raw/dir/secret.txt",
        "/files/file",
        "/files/dir",
        "/files/dir/",
        "/raw//etc/passwd",
        "/raw/%00",
        "/files/?ask=delete&name=..",
        "/files/?ask=rename&name=%252e%252e%252fsecret.txt",
    ] {
        let answer = raw(&app.at[0], path).await;
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
        assert!(!answer.contains("outside"), "{path}");
    }
    for (path, body) in [
        ("/delete/", "name=.."),
        ("/delete/", "name=..%252fsecret.txt"),
        ("/delete/dir", "name=secret.txt"),
        ("/rename/dir", "name=secret.txt&to=x"),
        ("/rename/", "name=file&to=..%2Fx"),
        ("/folder/", "name=..%2Fmade"),
        ("/folder/dir", "name=made"),
    ] {
        let status = app.form(path, body).await;
        assert!(status.is_client_error(), "{path} {body}: {status}");
    }
    assert!(app.upload("/upload/dir", "x", b"x").await.is_client_error());
    // A link itself may go; what it names stays.
    assert_eq!(app.form("/delete/", "name=dir").await, 303);
    assert_eq!(app.form("/delete/", "name=file").await, 303);
    assert_eq!(fs::read_to_string(&outside).unwrap(), "outside");
    let names: Vec<_> = fs::read_dir(app.folder.path())
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

/// What the server says to a path that is sent as it is.
async fn raw(address: &str, path: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    tokio::time::timeout(DEADLINE, read).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn other_sites_change_nothing() {
    let app = App::files();
    fs::write(app.root().join("kept"), "x").unwrap();
    for (name, value) in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "cross-site"),
        ("accept", "*/*"),
    ] {
        let sent = app
            .ask(Method::POST, "/delete/")
            .header(name, value)
            .header("content-type", "application/x-www-form-urlencoded")
            .body("name=kept");
        assert_eq!(sent.send().await.unwrap().status(), 403, "{name}: {value}");
    }
    assert!(app.root().join("kept").exists());
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing_behind() {
    use tokio::io::AsyncWriteExt as _;
    let app = App::files();
    let mut stream = TcpStream::connect(&app.at[0]).await.unwrap();
    let head = format!(
        "POST /upload/ HTTP/1.1\r\nhost: {0}\r\norigin: http://{0}\r\ncontent-length: 9999999\r\n\
         content-type: multipart/form-data; boundary=b\r\n\r\n\
         --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"half\"\r\n\r\n",
        app.at[0]
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b'x'; 3_000_000]).await.unwrap();
    let root = app.root();
    let inside = || fs::read_dir(&root).unwrap().count();
    eventually("the beginning of the upload", async || {
        (inside() == 1).then_some(())
    })
    .await;
    let (_, page) = app.get("/files/").await;
    assert!(page.contains("Nothing is here yet"), "{page}");
    drop(stream);
    eventually("the end of it", async || (inside() == 0).then_some(())).await;
}

#[tokio::test]
async fn what_an_earlier_session_did_not_finish_is_tidied_up() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("root/a/b");
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join(".junglegrid-upload-old"), "half").unwrap();
    fs::write(deep.join(".hidden"), "whole").unwrap();
    let program = Command::new(env!("CARGO_BIN_EXE_junglegrid"));
    let _app = App::run_in(folder, program, &["files", "--port", "0"], 1);
    eventually("a tidy folder", async || {
        (!deep.join(".junglegrid-upload-old").exists()).then_some(())
    })
    .await;
    assert!(deep.join(".hidden").exists());
}

#[tokio::test]
async fn a_file_that_is_too_large_is_refused_in_words() {
    let mut limited = Command::new("/bin/sh");
    limited.args(["-c", "ulimit -f 1000 && exec \"$0\" \"$@\""]);
    limited.arg(env!("CARGO_BIN_EXE_junglegrid"));
    let app = App::run(limited, &["files", "--port", "0"], 1);
    let status = app
        .upload("/upload/", "large", &vec![b'x'; 3_000_000])
        .await;
    assert_eq!(status, 507);
    assert_eq!(fs::read_dir(app.root()).unwrap().count(), 0);
    assert_eq!(app.upload("/upload/", "small", b"x").await, 303);
}
