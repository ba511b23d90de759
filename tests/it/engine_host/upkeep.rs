//! How runs are found again, told of and removed.
use super::*;

#[tokio::test]
async fn submitting_twice_starts_one_run() {
    let host = Host::new();
    let spec = shell("echo started; sleep 0.2");
    let engines = [
        engine_on(host.directory.path()),
        engine_on(host.directory.path()),
    ];
    let again = key("twice");
    let handles =
        futures_util::future::join_all((0..8).map(|i| engines[i % 2].submit(&again, &spec))).await;
    let handles: Vec<_> = handles.into_iter().map(Result::unwrap).collect();
    assert!(handles.iter().all(|handle| *handle == handles[0]));
    host.end(&handles[0]).await;
    assert_eq!(host.submit("twice", &spec).await, handles[0]);
    assert_eq!(
        texts(&host.lines(&handles[0], true).await, Stream::Out),
        ["started"]
    );
}

#[tokio::test]
async fn a_run_whose_server_died_before_the_start_can_be_started() {
    let host = Host::new();
    let handle = Handle("early/1".into());
    fs::create_dir_all(host.run_directory(&handle)).unwrap();
    let status = host.engine.status(&handle).await.unwrap();
    assert!(matches!(status, Status::Unknown { .. }), "{status:?}");
    let (end, _) = host.shell("early", "exit 4").await;
    assert_eq!(end.outcome, Outcome::Exited(4));
}

#[tokio::test]
async fn another_server_finds_the_run_and_its_end() {
    let host = Host::new();
    let handle = host
        .submit(
            "attach",
            &shell("echo one; while ! test -e go; do sleep 0.02; done; echo two; exit 11"),
        )
        .await;
    host.says(&handle, "one").await;
    host.until(&handle, |status| matches!(status, Status::Running { .. }))
        .await;
    let second = engine_on(host.directory.path());
    let mut events = second.events();
    let listed = second.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0].key, &listed[0].handle),
        (&key("attach"), &handle)
    );
    assert!(
        matches!(&listed[0].status, Status::Running { node, .. } if node == "here"),
        "{listed:?}"
    );
    fs::write(second.workspace(&handle).unwrap().join("go"), "").unwrap();
    let event = tokio::time::timeout(DEADLINE, events.next())
        .await
        .unwrap()
        .unwrap();
    assert!(
        matches!(&event.status, Status::Ended(end) if end.outcome == Outcome::Exited(11)),
        "{event:?}"
    );
    let third = engine_on(host.directory.path());
    assert_eq!(third.list().await.unwrap()[0].status, event.status);
    let batches: Vec<_> = third
        .logs(&handle, Cursor::default(), true)
        .map(Result::unwrap)
        .concat()
        .await;
    assert_eq!(texts(&batches, Stream::Out), ["one", "two"]);
}

#[tokio::test]
async fn events_tell_of_the_start_and_the_end() {
    let host = Host::new();
    let mut events = host.engine.events();
    let handle = host
        .submit("events", &shell("while ! test -e go; do sleep 0.02; done"))
        .await;
    let mut seen = Vec::new();
    while !matches!(seen.last(), Some(Status::Ended(_))) {
        let event = tokio::time::timeout(DEADLINE, events.next())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(event.handle, handle);
        if let Status::Running { .. } = event.status {
            fs::write(host.engine.workspace(&handle).unwrap().join("go"), "").unwrap();
        }
        seen.push(event.status);
    }
    assert!(
        seen.iter()
            .any(|status| matches!(status, Status::Running { .. })),
        "{seen:?}"
    );
}

#[tokio::test]
async fn forgetting_removes_everything_and_only_that() {
    let host = Host::new();
    let kept = host.directory.path().join("kept");
    fs::write(&kept, "kept").unwrap();
    let script = format!(
        "ln -s {} link; ln -s / root; mkdir -p locked/.0 'a b' && touch -- -rf '*' locked/file \"$(printf 'new\\nline\\377')\" && chmod 0 locked/file locked; \
         perl -e 'for (1..3000) {{ mkdir \"d\" or die; chdir \"d\" or die }}' && mkfifo pipe && echo done",
        host.directory.path().display()
    );
    let handle = host
        .submit(
            "hostile",
            &shell(&format!(
                "{script}; while ! test -e go; do sleep 0.02; done"
            )),
        )
        .await;
    host.says(&handle, "done").await;
    assert!(matches!(
        host.engine.forget(&handle).await,
        Err(Error::Refused(_))
    ));
    fs::write(host.engine.workspace(&handle).unwrap().join("go"), "").unwrap();
    host.end(&handle).await;
    host.engine.forget(&handle).await.unwrap();
    let left: Vec<_> = fs::read_dir(host.directory.path().join("data/runs"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, [".gone"]);
    assert_eq!(
        fs::read_dir(host.directory.path().join("data/runs/.gone"))
            .unwrap()
            .count(),
        0
    );
    assert_eq!(fs::read_to_string(kept).unwrap(), "kept");
    assert!(matches!(
        host.engine.forget(&handle).await,
        Err(Error::NotFound)
    ));
    assert!(host.engine.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn handles_that_lead_elsewhere_are_unknown() {
    let host = Host::new();
    fs::create_dir_all(host.directory.path().join("data/1")).unwrap();
    for handle in [
        "",
        "/",
        "../1",
        "..",
        "a",
        "a/0",
        "a/01",
        "a/+1",
        "a/1/..",
        "./1",
        "../../etc/1",
        "/etc/1",
        "a b/1",
        "a\0/1",
        ".probe/1",
    ] {
        let handle = Handle(handle.into());
        assert!(
            matches!(host.engine.status(&handle).await, Err(Error::NotFound)),
            "{handle:?}"
        );
        assert!(matches!(
            host.engine.stop(&handle).await,
            Err(Error::NotFound)
        ));
        assert!(matches!(
            host.engine.forget(&handle).await,
            Err(Error::NotFound)
        ));
        assert_eq!(host.engine.workspace(&handle), None);
        let logs: Vec<_> = host
            .engine
            .logs(&handle, Cursor::default(), true)
            .collect()
            .await;
        assert!(matches!(logs[..], [Err(Error::NotFound)]));
    }
    for run in ["", "..", "a/b", "a.b", "ü"] {
        assert!(
            matches!(
                host.engine.submit(&key(run), &shell("exit")).await,
                Err(Error::Refused(_))
            ),
            "{run:?}"
        );
    }
    let other = RunKey {
        instance: "other".into(),
        ..key("run")
    };
    assert!(matches!(
        host.engine.submit(&other, &shell("exit")).await,
        Err(Error::Refused(_))
    ));
}

const SERVER: &str = "JUNGLEGRID_TEST_SERVER_DIRECTORY";

#[tokio::test]
#[ignore = "the server that the next test kills"]
async fn a_server_that_is_killed() {
    let Some(directory) = std::env::var_os(SERVER) else {
        return;
    };
    let engine = engine_on(Path::new(&directory));
    let mut spec = apps::echo("survived", 8000);
    let script = "perl \"$@\" & while ! test -e go; do sleep 0.02; done; echo survived; exit 12";
    let shell = ["sh", "-c", script].map(String::from);
    spec.argv.splice(..0, shell);
    engine.submit(&key("survivor"), &spec).await.unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_run_goes_on_when_its_server_is_killed() {
    let host = Host::new();
    let mut server = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "engine_host::upkeep::a_server_that_is_killed",
        ])
        .env(SERVER, host.directory.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let handle = Handle("survivor/1".into());
    let deadline = Instant::now() + DEADLINE;
    while !matches!(
        host.engine.status(&handle).await,
        Ok(Status::Running { .. })
    ) {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    host.says(&handle, "listening").await;
    server.kill().unwrap();
    server.wait().unwrap();
    if !host.lacks(&[PRIVATE_PORTS]).await {
        let said = apps::greeting(&host.engine, &handle, 8000).await;
        assert_eq!(said, "survived\n");
    }
    let workspace = host.engine.workspace(&handle).unwrap();
    fs::write(workspace.join("go"), "").unwrap();
    assert_eq!(host.end(&handle).await.outcome, Outcome::Exited(12));
    let lines = host.lines(&handle, true).await;
    assert_eq!(texts(&lines, Stream::Out), ["listening", "survived"]);
}
