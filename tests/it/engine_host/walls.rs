//! What runs can see and touch, and what they cannot.
use super::*;

#[tokio::test]
async fn the_environment_is_clean_and_has_what_was_given() {
    let host = Host::new();
    if host.lacks(&["file system"]).await {
        return;
    }
    let (_, lines) = host.run("environment", &command(&["env"])).await;
    let mut found = texts(&lines, Stream::Out);
    found.sort();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(
        found,
        [
            "GREETING=hello world",
            "HOME=/workspace",
            "LANG=C.UTF-8",
            "LOGNAME=job",
            path,
            "USER=job"
        ]
    );
}

#[tokio::test]
async fn the_workspace_is_home_and_prepared_files_are_there() {
    let host = Host::new();
    if host.lacks(&["file system"]).await {
        return;
    }
    let workspace = host.engine.prepare(&key("home")).await.unwrap();
    fs::write(workspace.join("inputs/data.txt"), "staged").unwrap();
    fs::set_permissions(
        workspace.join("inputs/data.txt"),
        fs::Permissions::from_mode(0o600),
    )
    .unwrap();
    let script = "pwd; ls; cat inputs/data.txt && echo; echo made > artifacts/result && mv artifacts/result artifacts/kept; id -un";
    let handle = host.submit("home", &shell(script)).await;
    assert_eq!(host.end(&handle).await.outcome, Outcome::Exited(0));
    let lines = host.lines(&handle, false).await;
    assert_eq!(
        texts(&lines, Stream::Out),
        [
            "/workspace",
            "artifacts",
            "inputs",
            "scripts",
            "staged",
            "job"
        ]
    );
    assert_eq!(
        host.engine.workspace(&handle),
        Some(
            host.run_directory(&handle)
                .canonicalize()
                .unwrap()
                .join("workspace")
        )
    );
    assert_eq!(
        fs::read_to_string(workspace.join("artifacts/kept")).unwrap(),
        "made\n"
    );
}

#[tokio::test]
async fn nothing_of_the_machine_can_be_read_or_changed() {
    let host = Host::new();
    if host.lacks(&["file system", "landlock"]).await {
        return;
    }
    let outside = TempDir::new().unwrap();
    let secret = outside.path().join("secret");
    let inside_data = host.directory.path().join("data/master.key");
    for path in [&secret, &inside_data] {
        fs::write(path, "secret").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    }
    for directory in [outside.path(), host.directory.path()] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let other = host
        .submit(
            "other",
            &shell("echo theirs > /workspace/file; chmod 777 /workspace /workspace/file"),
        )
        .await;
    host.end(&other).await;
    let theirs = host.run_directory(&other).join("workspace/file");
    let exe = env!("CARGO_BIN_EXE_junglegrid");
    let script = format!(
        "for path in {} {} {} {exe} /root /root/.bashrc /etc/shadow /sys /proc/1/environ /proc/1/root /proc/1/fd/1 /dev/vda /home; do \
           cat $path 2>/dev/null && echo read $path; ls -A $path/ 2>/dev/null && echo listed $path; \
           chmod 777 $path 2>/dev/null && echo changed $path; touch $path 2>/dev/null && echo touched $path; \
         done; \
         for directory in / /etc /usr /usr/bin /dev /proc /lib; do touch $directory/new 2>/dev/null && echo wrote $directory; done; \
         mount -t tmpfs none /tmp 2>/dev/null && echo mounted; \
         unshare -Ur mount -t tmpfs none /tmp 2>/dev/null && echo mounted in a namespace; \
         touch /tmp/mine /dev/shm/mine && echo temporary; test \"$(id -u)\" -gt 0 && test \"$(id -G)\" = \"$(id -u)\" && echo not root; \
         grep -E '^(CapEff|CapPrm|NoNewPrivs)' /proc/self/status | tr '\\t' ' '",
        secret.display(),
        inside_data.display(),
        theirs.display(),
    );
    let (_, lines) = host.shell("nosy", &script).await;
    assert_eq!(
        texts(&lines, Stream::Out),
        [
            "temporary",
            "not root",
            "CapPrm: 0000000000000000",
            "CapEff: 0000000000000000",
            "NoNewPrivs: 1"
        ]
    );
    assert_eq!(
        fs::metadata(&secret).unwrap().permissions().mode() & 0o777,
        0o644
    );
}

#[tokio::test]
async fn the_data_directory_stays_hidden_inside_a_readable_one() {
    let host = Host::new();
    let around = host.directory.path();
    fs::write(around.join("shared"), "shared").unwrap();
    fs::write(around.join("data/master.key"), "secret").unwrap();
    for directory in [around.to_owned(), around.join("data")] {
        fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut config = Config::new(around.join("data/runs"), "test".into());
    config.exe = env!("CARGO_BIN_EXE_junglegrid").into();
    config.readable.push(around.to_owned());
    config.hidden.push(around.join("data"));
    let engine = HostEngine::new(config).unwrap();
    let script = format!(
        "cat {0}/shared && echo; ls -A {0}/data; cat {0}/data/master.key; touch {0}/data/x {0}/x && echo wrote",
        around.display()
    );
    let handle = engine
        .submit(&key("inside"), &shell(&script))
        .await
        .unwrap();
    host.end(&handle).await;
    let said = texts(&host.lines(&handle, false).await, Stream::Out);
    let expected: &[&str] = if host.lacks(&["file system"]).await {
        &[]
    } else {
        &["shared"]
    };
    assert_eq!(said, expected);
}

#[tokio::test]
async fn a_run_sees_only_its_own_processes() {
    let host = Host::new();
    if host.lacks(&["process namespace", "file system"]).await {
        return;
    }
    let script = "for process in /proc/[0-9]*; do tr '\\0' ' ' < $process/cmdline | cut -c1-5; done; kill -9 1; kill -9 -1; echo still here";
    let (end, lines) = host.run("lonely", &command(&["bash", "-c", script])).await;
    let seen = texts(&lines, Stream::Out);
    // Between the first process of the sandbox and ourselves there is nobody.
    assert_eq!(seen[..2], ["jungl", "bash "], "{seen:?}");
    let helpers = ["tr \\0", "cut -", "", "still here"];
    assert!(
        seen[2..]
            .iter()
            .all(|line| helpers.contains(&line.as_str())),
        "{seen:?}"
    );
    assert_eq!(end.outcome, Outcome::Exited(0));
}

#[tokio::test]
async fn the_machine_s_loopback_is_out_of_reach_without_network() {
    let host = Host::new();
    if host.lacks(&["network namespace"]).await {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let script = format!(
        "(exec 3<>/dev/tcp/127.0.0.1/{port}) 2>/dev/null && echo connected || echo refused"
    );
    let mut spec = command(&["bash", "-c", &script]);
    let (_, lines) = host.run("offline", &spec).await;
    assert_eq!(texts(&lines, Stream::Out), ["refused"]);
    spec.network = Network::Host;
    let (_, lines) = host.run("online", &spec).await;
    assert_eq!(texts(&lines, Stream::Out), ["connected"]);
}

#[tokio::test]
async fn limits_hold() {
    let host = Host::new();
    if host
        .lacks(&["memory limit", "process limit", "resource limits"])
        .await
    {
        return;
    }
    let mut spec = command(&["perl", "-e", "my $x = 'x' x (300 << 20); print length $x"]);
    spec.memory_bytes = 64 << 20;
    let (end, _) = host.run("hungry", &spec).await;
    assert_eq!(end.outcome, Outcome::OutOfMemory);
    let mut spec = shell("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done; echo all");
    spec.processes = 6;
    let (end, lines) = host.run("many", &spec).await;
    assert_ne!(end.outcome, Outcome::Exited(0));
    assert!(texts(&lines, Stream::Out).is_empty(), "{lines:?}");
    let mut spec = shell("head -c 3000000 /dev/zero > big; ls -l big | cut -d' ' -f5");
    spec.disk_bytes = 1 << 20;
    let (_, lines) = host.run("big", &spec).await;
    assert_eq!(texts(&lines, Stream::Out), ["1048576"]);
}

#[tokio::test]
async fn secrets_do_not_touch_the_disk() {
    let host = Host::new();
    let mut spec = shell("echo ready; while ! test -e go; do sleep 0.02; done");
    spec.env.insert("TOKEN".into(), "very-secret-value".into());
    let handle = host.submit("secret", &spec).await;
    host.says(&handle, "ready").await;
    let run = host.run_directory(&handle);
    for file in fs::read_dir(&run).unwrap().map(|entry| entry.unwrap()) {
        if file.file_type().unwrap().is_file() {
            let content = fs::read(file.path()).unwrap();
            assert!(
                !content.windows(17).any(|part| part == b"very-secret-value"),
                "{file:?}"
            );
            assert_eq!(
                file.metadata().unwrap().permissions().mode() & 0o077,
                0,
                "{file:?}"
            );
        }
    }
    fs::write(run.join("workspace/go"), "").unwrap();
    host.end(&handle).await;
}

#[tokio::test]
async fn the_probe_names_every_protection() {
    let host = Host::new();
    let nodes = host.engine.nodes().await.unwrap();
    assert!(nodes[0].up && nodes[0].cpus > 0 && nodes[0].memory_bytes > 0);
    let names: Vec<_> = nodes[0].protections.iter().map(|one| one.name).collect();
    for name in [
        "user",
        "process namespace",
        "network namespace",
        "file system",
        "landlock",
        "no new privileges",
        "memory limit",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    for one in &nodes[0].protections {
        println!("{:20} {:5} {}", one.name, one.active, one.detail);
    }
    let left: Vec<_> = fs::read_dir(host.directory.path().join("data/runs"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
