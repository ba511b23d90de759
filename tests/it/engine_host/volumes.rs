//! What a run is given besides its workspace: directories that outlive it, this program,
//! shared memory.
use super::*;
use junglegrid::engine::Mount;
use std::os::unix::fs::{MetadataExt as _, symlink};

pub(super) fn mounted(script: &str, host: &Path, inside: &str, key: Option<&str>) -> RunSpec {
    let mut spec = shell(script);
    spec.mounts.push(Mount {
        host: host.to_owned(),
        inside: inside.into(),
    });
    spec.user_key = key.map(Into::into);
    spec
}

#[tokio::test]
async fn a_directory_outlives_its_runs_and_stays_with_their_user() {
    let host = Host::new();
    if host.lacks(&["file system", "user"]).await {
        return;
    }
    let volume = host.directory.path().join("data/volumes/ws/app/models");
    let write = "umask 077; echo kept > /models/file && mkdir /models/deep && echo deeper > /models/deep/file; grep -o 'nosuid,nodev' /proc/self/mounts | head -1; grep -c ' /models ro' /proc/self/mounts";
    let (end, lines) = host
        .run(
            "writes",
            &mounted(write, &volume, "/models", Some("ws/app")),
        )
        .await;
    assert_eq!(
        texts(&lines, Stream::Out),
        ["nosuid,nodev", "0"],
        "{end:?} {lines:?}"
    );
    assert_eq!(fs::read_to_string(volume.join("file")).unwrap(), "kept\n");
    let read = "cat /models/file /models/deep/file && echo again >> /models/file && id -u";
    let (_, lines) = host
        .run("reads", &mounted(read, &volume, "/models", Some("ws/app")))
        .await;
    let said = texts(&lines, Stream::Out);
    let owner = fs::metadata(volume.join("file")).unwrap().uid();
    assert_eq!(said, ["kept", "deeper", &owner.to_string()]);

    // Somebody else is not given it, nor finds it where it lies.
    let (end, lines) = host
        .run("other", &mounted(read, &volume, "/models", Some("ws2/app")))
        .await;
    assert!(
        matches!(&end.outcome, Outcome::Refused(why) if why.contains("other runs")),
        "{end:?} {lines:?}"
    );
    fs::set_permissions(&volume, fs::Permissions::from_mode(0o755)).unwrap();
    let look = format!("cat {0}/file; ls {0}", volume.display());
    let (_, lines) = host.shell("looks", &look).await;
    assert_eq!(texts(&lines, Stream::Out), [""; 0]);
}

#[tokio::test]
async fn a_directory_may_be_the_workspace_itself() {
    let host = Host::new();
    if host.lacks(&["file system"]).await {
        return;
    }
    let volume = host.directory.path().join("data/volumes/ws/app/home");
    let nested = host.directory.path().join("data/volumes/ws/app/models");
    let script = "echo $HOME; pwd; ls; touch here artifacts/there models/nested; test -O . && test -O artifacts && echo mine";
    let mut spec = mounted(script, &nested, "/workspace/models", Some("ws/app"));
    spec.mounts.push(Mount {
        host: volume.clone(),
        inside: "/workspace".into(),
    });
    let (_, lines) = host.run("first", &spec).await;
    let home = ["/workspace", "/workspace"];
    let fresh = ["artifacts", "inputs", "models", "scripts", "mine"];
    assert_eq!(
        texts(&lines, Stream::Out),
        [&home[..], &fresh[..]].concat(),
        "{lines:?}"
    );
    assert!(volume.join("here").exists() && volume.join("artifacts/there").exists());
    assert!(nested.join("nested").exists());
    let (_, lines) = host.run("second", &spec).await;
    assert!(
        texts(&lines, Stream::Out).contains(&"here".to_owned()),
        "{lines:?}"
    );
}

#[tokio::test]
async fn a_directory_of_the_runs_own_is_empty_and_goes_when_it_has_ended() {
    let host = Host::new();
    if host.lacks(&["file system", "user"]).await {
        return;
    }
    let own = |name: &str, key: Option<&str>| {
        let script = "ls -A /cache; echo x > /cache/x && mkdir -p /cache/deep/er && test -O /cache && stat -f -c %T /cache";
        let mut spec = shell(script);
        spec.scratch = vec!["/cache".into(), "/workspace/own".into()];
        spec.user_key = key.map(Into::into);
        (name.to_owned(), spec)
    };
    let disk = String::from_utf8(
        std::process::Command::new("stat")
            .args(["-f", "-c", "%T"])
            .arg(host.directory.path())
            .output()
            .unwrap()
            .stdout,
    );
    let disk = disk.unwrap().trim().to_owned();
    let mut ended = Vec::new();
    for name in ["first", "second"] {
        let (name, spec) = own(name, Some("ws/app"));
        let handle = host.submit(&name, &spec).await;
        host.end(&handle).await;
        let lines = host.lines(&handle, true).await;
        // On disk, and nothing in it of the run before.
        assert_eq!(texts(&lines, Stream::Out), [disk.as_str()], "{lines:?}");
        ended.push(handle);
    }
    let at = |handle: &Handle| host.run_directory(handle).join("scratch");
    assert!(at(&ended[0]).join("0/deep/er").is_dir() && at(&ended[1]).join("0/x").is_file());
    host.engine.clear(&ended[0]).await.unwrap();
    assert!(!at(&ended[0]).exists() && at(&ended[1]).exists());
    // Nobody cleared the other before the server was killed.
    let (_, mut spec) = own("third", None);
    spec.argv = vec![
        "sh".into(),
        "-c".into(),
        "echo x > /cache/x; echo on; sleep 60".into(),
    ];
    let going_on = host.submit("third", &spec).await;
    host.says(&going_on, "on").await;
    let again = super::engine_on(host.directory.path());
    assert!(!at(&ended[1]).exists(), "what has ended is swept");
    assert!(host.run_directory(&ended[1]).join("workspace").exists());
    assert!(at(&going_on).join("0/x").exists(), "what goes on is not");
    again.stop(&going_on).await.unwrap();
    host.end(&going_on).await;
    again.forget(&going_on).await.unwrap();
    assert!(!host.run_directory(&going_on).exists());
}

#[tokio::test]
async fn links_lead_out_of_no_directory() {
    let host = Host::new();
    if host.lacks(&["file system"]).await {
        return;
    }
    let outside = host.directory.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let before = fs::metadata(&outside).unwrap().uid();
    let volumes = host.directory.path().join("data/volumes");
    fs::create_dir_all(volumes.join("ws")).unwrap();
    symlink(&outside, volumes.join("ws/link")).unwrap();
    for (name, path) in [("last", "ws/link"), ("middle", "ws/link/models")] {
        let spec = mounted("touch /models/x", &volumes.join(path), "/models", None);
        let (end, _) = host.run(name, &spec).await;
        assert!(
            matches!(&end.outcome, Outcome::Refused(why) if why.contains("is a link")),
            "{end:?}"
        );
    }
    // What an earlier run has left behind is not followed either.
    let volume = volumes.join("ws/app");
    let target = outside.display();
    let script = format!(
        "rmdir artifacts inputs; ln -s {target} artifacts; ln -s {target} inputs; ln -s {target} models; ln -s / scripts/root"
    );
    let spec = mounted(&script, &volume, "/workspace", Some("ws/app"));
    let (end, lines) = host.run("prepares", &spec).await;
    assert_eq!(end.outcome, Outcome::Exited(0), "{lines:?}");
    let (end, lines) = host
        .run(
            "again",
            &mounted(
                "test -L artifacts && touch artifacts/x",
                &volume,
                "/workspace",
                Some("ws/app"),
            ),
        )
        .await;
    assert_eq!(end.outcome, Outcome::Exited(1), "{lines:?}");
    let mut spec = mounted("true", &volume, "/workspace", Some("ws/app"));
    spec.mounts.push(Mount {
        host: volumes.join("ws/models"),
        inside: "/workspace/models".into(),
    });
    let (end, _) = host.run("nested", &spec).await;
    assert!(
        matches!(&end.outcome, Outcome::Refused(why) if why.contains("is a link")),
        "{end:?}"
    );
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    assert_eq!(fs::metadata(&outside).unwrap().uid(), before);
}

#[tokio::test]
async fn no_directory_takes_the_system_s_place_or_is_the_system_s() {
    let host = Host::new();
    let data = host.directory.path().join("data");
    let volume = data.join("volumes/v");
    let refuse = async |original: PathBuf, inside: &str| {
        let spec = mounted("true", &original, inside, None);
        let refused = host.engine.submit(&key("escape"), &spec).await;
        assert!(
            matches!(refused, Err(Error::Refused(_))),
            "{original:?} at {inside}: {refused:?}"
        );
    };
    for inside in [
        "/",
        "/proc",
        "/proc/self",
        "/dev",
        "/dev/shm",
        "/usr",
        "/usr/lib/x",
        "/bin",
        "/etc",
        "/etc/ssl",
        "/run",
        "/run/junglegrid",
        "/sys",
        "/lib64",
        "/tmp",
        "/var",
        "/opt/x",
        "models",
        "",
        "./models",
        "/models/../etc",
        "/../etc",
        "/models/..",
        "/mo\0dels",
    ] {
        refuse(volume.clone(), inside).await;
    }
    for original in [
        "/",
        "/etc",
        "/proc",
        "/dev",
        "/usr/share",
        "volumes/v",
        "",
        "/tmp/../etc",
    ] {
        refuse(original.into(), "/models").await;
    }
    for original in ["", "runs", "runs/other/1/workspace", "volumes/../runs"] {
        refuse(data.join(original), "/models").await;
    }
    for inside in ["/etc", "/", "models", "/models/../etc"] {
        let mut spec = shell("true");
        spec.scratch.push(inside.into());
        let refused = host.engine.submit(&key("own"), &spec).await;
        assert!(
            matches!(refused, Err(Error::Refused(_))),
            "{inside}: {refused:?}"
        );
    }
    let mut twice = mounted("true", &volume, "/models", None);
    twice.mounts.push(Mount {
        host: data.join("volumes/w"),
        inside: "/models/".into(),
    });
    let refused = host.engine.submit(&key("twice"), &twice).await;
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
    assert!(!volume.exists());
}

#[tokio::test]
async fn this_program_can_be_executed_and_not_written() {
    let host = Host::new();
    if host.lacks(&["file system", "landlock"]).await {
        return;
    }
    let script = "/run/junglegrid settings | grep -c '^listen'; echo x 2>/dev/null >> /run/junglegrid && echo written; \
        rm -f /run/junglegrid 2>/dev/null && echo removed; touch /run/x 2>/dev/null && echo added; \
        chmod 777 /run/junglegrid 2>/dev/null && echo changed; command -v junglegrid; test -x /run/junglegrid && echo there";
    let (_, lines) = host.shell("itself", script).await;
    assert_eq!(texts(&lines, Stream::Out), ["1", "there"], "{lines:?}");
}

#[tokio::test]
async fn this_program_is_the_running_one_even_after_its_file_was_replaced() {
    let host = Host::new();
    if host.lacks(&["file system", "user"]).await {
        return;
    }
    let exe = host.directory.path().join("junglegrid");
    fs::copy(env!("CARGO_BIN_EXE_junglegrid"), &exe).unwrap();
    let mut config = Config::new(host.directory.path().join("data/runs"), "test".into());
    // What the running server is to itself when its file is gone: open, nameless.
    let open = fs::File::open(&exe).unwrap();
    config.exe = format!("/proc/{}/fd/{}", std::process::id(), {
        use std::os::fd::AsRawFd as _;
        open.as_raw_fd()
    })
    .into();
    fs::remove_file(&exe).unwrap();
    fs::write(&exe, "something else").unwrap();
    let engine = HostEngine::new(config).unwrap();
    let handle = engine
        .submit(&key("old"), &command(&["/run/junglegrid", "--version"]))
        .await
        .unwrap();
    let end = host.end(&handle).await;
    let said = host.lines(&handle, false).await;
    assert_eq!(end.outcome, Outcome::Exited(0), "{said:?}");
}

#[tokio::test]
async fn shared_memory_is_as_large_as_asked() {
    let host = Host::new();
    if host.lacks(&["file system"]).await {
        return;
    }
    let mut spec = shell(
        "head -c 3000000 /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x; head -c 3000000 /dev/zero > /tmp/x; stat -c %s /tmp/x",
    );
    spec.shm_bytes = 1 << 20;
    let (_, lines) = host.run("small", &spec).await;
    assert_eq!(texts(&lines, Stream::Out), ["1048576", "3000000"]);
}
