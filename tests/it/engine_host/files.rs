//! Files that a run is given, and what is taken out of what it leaves.
use super::{Host, key, shell, texts};
use junglegrid::engine::harvest::{self, Harvest, Limits};
use junglegrid::engine::{Engine as _, Error, Handle, Outcome, RunFile, RunSpec, Stream};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LIMITS: Limits = Limits {
    largest: 1 << 20,
    files: 100,
};

fn given(from: &Path, folder: &str, name: &str) -> RunFile {
    RunFile {
        from: from.to_owned(),
        folder: folder.into(),
        name: name.into(),
        executable: folder == "scripts",
    }
}

fn with(script: &str, files: Vec<RunFile>) -> RunSpec {
    RunSpec {
        files,
        ..shell(script)
    }
}

const ROOM: u64 = 8 << 20;

fn take(host: &Host, handle: &Handle, limits: Limits, first: &[&str]) -> Harvest {
    take_into(host, handle, limits, ROOM, first)
}

fn take_into(
    host: &Host,
    handle: &Handle,
    limits: Limits,
    mut room: u64,
    first: &[&str],
) -> Harvest {
    let all = room;
    let workspace = host.engine.workspace(handle).unwrap();
    let into = host.directory.path().join("taken");
    let _ = fs::remove_dir_all(&into);
    fs::create_dir(&into).unwrap();
    let first: Vec<String> = first.iter().map(ToString::to_string).collect();
    let never = AtomicBool::new(false);
    let harvest = harvest::harvest(&workspace, &into, (limits, &first), &mut room, &never);
    let harvest = harvest.unwrap();
    let kept: u64 = harvest.found.iter().map(|found| found.size).sum();
    assert_eq!(room, all - kept, "what was not needed is given back");
    for found in &harvest.found {
        let copy = fs::read(into.join(found.number.to_string())).unwrap();
        assert_eq!(copy.len() as u64, found.size, "{}", found.name);
        assert_eq!(crc32fast::hash(&copy), found.crc32, "{}", found.name);
    }
    let copies = fs::read_dir(&into).unwrap().count();
    assert_eq!(copies, harvest.found.len(), "nothing half done is left");
    harvest
}

fn names(harvest: &Harvest) -> Vec<String> {
    harvest
        .found
        .iter()
        .map(|found| found.name.to_string())
        .collect()
}

#[tokio::test]
async fn what_a_run_is_given_is_there_and_its_own() {
    let host = Host::new();
    let source = host.directory.path().join("source");
    fs::write(&source, "#!/bin/sh\necho run $1\n").unwrap();
    let files = vec![
        given(&source, "scripts", "go.sh"),
        given(&source, "inputs", "-a b;c"),
    ];
    let script = "cd; scripts/go.sh it; cat 'inputs/-a b;c' | wc -l; echo more >> 'inputs/-a b;c' && echo written";
    let (end, lines) = host.run("given", &with(script, files)).await;
    assert_eq!(end.outcome, Outcome::Exited(0), "{lines:?}");
    assert_eq!(texts(&lines, Stream::Out), ["run it", "2", "written"]);
    assert_eq!(
        fs::read_to_string(&source).unwrap(),
        "#!/bin/sh\necho run $1\n"
    );
}

#[tokio::test]
async fn no_file_is_put_anywhere_else() {
    let host = Host::new();
    let source = host.directory.path().join("source");
    fs::write(&source, "x").unwrap();
    for (n, (folder, name)) in [
        ("inputs", "../x"),
        ("inputs", ".."),
        ("inputs", ""),
        ("inputs", "a/b"),
        ("inputs", "a\0b"),
        ("artifacts", "x"),
        ("", "x"),
        ("..", "x"),
        ("inputs/..", "x"),
    ]
    .into_iter()
    .enumerate()
    {
        let spec = with("true", vec![given(&source, folder, name)]);
        let refused = host.engine.submit(&key(&format!("bad-{n}")), &spec).await;
        assert!(
            matches!(refused, Err(Error::Refused(_))),
            "{folder}/{name}: {refused:?}"
        );
    }
    let absent = with(
        "true",
        vec![given(Path::new("/nonexistent/x"), "inputs", "x")],
    );
    let refused = host.engine.submit(&key("absent"), &absent).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

#[tokio::test]
async fn nothing_but_plain_files_is_taken() {
    let host = Host::new();
    fs::write(host.directory.path().join("secret"), "secret").unwrap();
    let script = format!(
        "cd artifacts; echo good > good; mkdir d; echo deep > d/good; \
         ln -s {secret} link; ln -s / d/root; ln -s ../../.. up; ln good hard; mkfifo pipe; \
         ln -s good chain; ln -s chain chain2; \
         perl -e 'use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"sock\"))'; \
         printf x > \"$(printf 'bad\\377name')\"; printf x > \"$(printf 'new\\nline')\"; printf x > 'back\\slash'; \
         truncate -s 50M sparse; chmod 000 d/good; \
         n=$(printf '%0255d' 0); echo long > $n; \
         p=.; for i in $(seq 1 100); do p=$p/e; mkdir $p; done; echo lost > $p/lost; echo done",
        secret = host.directory.path().join("secret").display(),
    );
    let handle = host.submit("hostile", &shell(&script)).await;
    host.end(&handle).await;
    let lines = host.lines(&handle, false).await;
    assert_eq!(texts(&lines, Stream::Out), ["done"], "{lines:?}");
    let harvest = take(
        &host,
        &handle,
        LIMITS,
        &[
            "link",
            "d/root/etc/passwd",
            "up/x",
            "chain",
            "pipe",
            "d",
            "../secret",
        ],
    );
    let found: BTreeSet<String> = names(&harvest).into_iter().collect();
    let long = "0".repeat(255);
    let mut expected = BTreeSet::from([
        "back\u{fffd}slash".to_owned(),
        "bad\u{fffd}name".to_owned(),
        "new\u{fffd}line".to_owned(),
        long,
    ]);
    // Whether this test's user may read what nobody may.
    if nix::unistd::Uid::effective().is_root() {
        expected.insert("d/good".to_owned());
    }
    assert_eq!(found, expected);
    let left_out = harvest.left_out;
    // good and hard are one file under two names; then links, a pipe and a socket.
    assert_eq!(left_out.special, 2 + 5 + 2, "{left_out:?}");
    assert_eq!(left_out.large, 1, "{left_out:?}");
    assert_eq!(left_out.deep, 1, "{left_out:?}");
    assert!(left_out.uncounted);
}

#[tokio::test]
async fn a_folder_that_is_none_is_not_looked_into() {
    let host = Host::new();
    for (name, script) in [
        ("link", "rmdir artifacts; ln -s /etc artifacts"),
        ("file", "rmdir artifacts; echo x > artifacts"),
        ("gone", "rmdir artifacts"),
        ("empty", "true"),
    ] {
        let handle = host.submit(name, &shell(script)).await;
        host.end(&handle).await;
        let workspace = host.engine.workspace(&handle).unwrap();
        assert!(!harvest::anything(&workspace), "{name}");
        assert_eq!(
            names(&take(&host, &handle, LIMITS, &["passwd"])),
            Vec::<String>::new()
        );
    }
    let handle = host.submit("some", &shell("mkdir artifacts/d")).await;
    host.end(&handle).await;
    assert!(harvest::anything(&host.engine.workspace(&handle).unwrap()));
}

#[tokio::test]
async fn there_is_an_end_to_what_is_taken() {
    let host = Host::new();
    let script = "cd artifacts; for i in $(seq -w 1 3000); do echo $i > $i; done; \
                  mkdir z; head -c 3000 /dev/zero > z/a; head -c 3000 /dev/zero > z/b";
    let handle = host.submit("many", &shell(script)).await;
    host.end(&handle).await;
    let limits = Limits {
        files: 10,
        ..LIMITS
    };
    let harvest = take(&host, &handle, limits, &["z/b", "z/b", "nothing"]);
    let found = names(&harvest);
    assert_eq!((found.len(), &*found[0], &*found[1]), (10, "z/b", "0001"));
    assert_eq!(harvest.left_out.many, 3002 - 10);
    let limits = Limits {
        files: 10_000,
        ..LIMITS
    };
    let harvest = take_into(&host, &handle, limits, 5_000, &["z/a", "z/b"]);
    assert_eq!(harvest.found[0].name.as_str(), "z/a");
    assert!(harvest.found.iter().map(|found| found.size).sum::<u64>() <= 5_000);
    assert!(harvest.left_out.room > 0);
    let stopped = harvest::harvest(
        &host.engine.workspace(&handle).unwrap(),
        &host.directory.path().join("taken"),
        (LIMITS, &[]),
        &mut { ROOM },
        &AtomicBool::new(true),
    );
    assert!(stopped.is_err(), "it stops when it is told to");
}

/// Somebody exchanges what is being taken, as fast as they can.
#[tokio::test]
async fn a_race_is_not_won() {
    let host = Host::new();
    let secret = host.directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let handle = host
        .submit(
            "race",
            &shell("cd artifacts; mkdir d; echo plain > d/file; echo plain > file"),
        )
        .await;
    host.end(&handle).await;
    let top = host.engine.workspace(&handle).unwrap().join("artifacts");
    let outside = host.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("file"), "secret").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let _ = fs::remove_file(top.join("file"));
                let _ = std::os::unix::fs::symlink(&secret, top.join("file"));
                let _ = fs::rename(top.join("d"), top.join("e"));
                let _ = std::os::unix::fs::symlink(&outside, top.join("d"));
                let _ = fs::remove_file(top.join("d"));
                let _ = fs::rename(top.join("e"), top.join("d"));
                let _ = fs::remove_file(top.join("file"));
                let _ = fs::write(top.join("file"), "plain\n");
            }
        });
        let begun = Instant::now();
        let mut taken = 0;
        // As often as a slow machine comes to take something, too.
        while begun.elapsed() < Duration::from_secs(2)
            || taken <= 10 && begun.elapsed() < super::DEADLINE
        {
            let harvest = take(&host, &handle, LIMITS, &["d/file", "file"]);
            for found in &harvest.found {
                assert_ne!(found.head, b"secret", "{}", found.name);
                taken += 1;
            }
        }
        over.store(true, Ordering::Relaxed);
        assert!(taken > 10, "{taken}");
    });
}

#[tokio::test]
async fn what_a_run_has_worked_on_can_be_thrown_away() {
    let host = Host::new();
    let handle = host
        .submit(
            "over",
            &shell("echo x > artifacts/x; mkdir -p a/b; chmod 000 a; echo said"),
        )
        .await;
    host.end(&handle).await;
    assert_eq!(
        texts(&host.lines(&handle, false).await, Stream::Out),
        ["said"]
    );
    host.engine.clear(&handle).await.unwrap();
    host.engine.clear(&handle).await.unwrap();
    assert!(host.engine.workspace(&handle).is_none());
    assert!(
        host.lines(&handle, false).await.is_empty(),
        "its output has been kept, or never will be"
    );
    host.engine.forget(&handle).await.unwrap();
    let running = host.submit("on", &shell("echo up; sleep 600")).await;
    host.says(&running, "up").await;
    assert!(matches!(
        host.engine.clear(&running).await,
        Err(Error::Refused(_))
    ));
    host.engine.stop(&running).await.unwrap();
}
