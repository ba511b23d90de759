//! How runs end: by themselves, when asked, by force, by accident.
use super::*;

#[tokio::test]
async fn exit_codes_and_signals_are_told_exactly() {
    let host = Host::new();
    for code in [0, 1, 3, 42, 255] {
        let (end, _) = host
            .shell(&format!("exit-{code}"), &format!("exit {code}"))
            .await;
        assert_eq!(end.outcome, Outcome::Exited(code));
        assert!(end.started.unwrap() <= end.ended);
    }
    for signal in [9, 15, 6] {
        let (end, _) = host
            .shell(&format!("signal-{signal}"), &format!("kill -{signal} $$"))
            .await;
        assert_eq!(end.outcome, Outcome::Signaled(signal));
    }
}

#[tokio::test]
async fn a_polite_stop_lets_the_command_tidy_up() {
    let host = Host::new();
    let script = "trap 'echo tidied; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    let handle = host.submit("polite", &shell(script)).await;
    host.says(&handle, "ready").await;
    host.engine.stop(&handle).await.unwrap();
    host.engine.stop(&handle).await.unwrap();
    let end = host.end(&handle).await;
    assert_eq!(end.outcome, Outcome::Stopped);
    assert_eq!(
        texts(&host.lines(&handle, false).await, Stream::Out),
        ["ready", "tidied"]
    );
    host.engine.stop(&handle).await.unwrap();
}

#[tokio::test]
async fn a_stop_by_force_leaves_nothing_behind() {
    let host = Host::new();
    let marker = unique("force");
    let mut spec = stubborn(&marker);
    spec.grace = Duration::from_millis(300);
    let handle = host.submit("stubborn", &spec).await;
    host.says(&handle, "ready").await;
    come_alive(&marker, 5).await;
    host.engine.stop(&handle).await.unwrap();
    host.until(&handle, |status| {
        matches!(status, Status::Stopping { .. } | Status::Ended(_))
    })
    .await;
    assert_eq!(host.end(&handle).await.outcome, Outcome::Stopped);
    assert_eq!(alive(&marker), 0);
}

#[tokio::test]
async fn an_end_takes_background_processes_with_it() {
    let host = Host::new();
    let marker = unique("background");
    let (end, _) = host
        .shell(
            "background",
            &format!("setsid sh -c 'sleep 1000 # {marker}' & echo; exit 5"),
        )
        .await;
    assert_eq!(end.outcome, Outcome::Exited(5));
    assert_eq!(alive(&marker), 0);
}

#[tokio::test]
async fn the_time_limit_ends_a_run() {
    let host = Host::new();
    let marker = unique("limit");
    let mut spec = stubborn(&marker);
    spec.time_limit = Duration::from_millis(300);
    spec.grace = Duration::from_millis(100);
    let (end, _) = host.run("limit", &spec).await;
    assert_eq!(end.outcome, Outcome::TimeLimit);
    let lasted = end.ended - end.started.unwrap();
    assert!(lasted >= Duration::from_millis(400), "{lasted}");
    assert_eq!(alive(&marker), 0);
}

#[tokio::test]
async fn a_command_that_cannot_start_says_why() {
    let host = Host::new();
    let (end, lines) = host.run("missing", &command(&["no-such-command"])).await;
    assert_eq!((end.outcome, end.started), (Outcome::Exited(127), None));
    assert_eq!(
        texts(&lines, Stream::System),
        ["no-such-command: no such command, or the interpreter that it names does not exist"]
    );
    let (end, lines) = host.run("directory", &command(&["/usr"])).await;
    assert_eq!((end.outcome, end.started), (Outcome::Exited(126), None));
    assert_eq!(
        texts(&lines, Stream::System),
        ["/usr: cannot be executed: Permission denied"]
    );
    for argv in [vec![], vec![""], vec!["a\0b"]] {
        let refused = host.engine.submit(&key("never"), &command(&argv)).await;
        assert!(matches!(refused, Err(Error::Refused(_))));
    }
}

#[tokio::test]
async fn a_stop_before_the_start_is_kept() {
    let host = Host::new();
    let handle = Handle("unborn/1".into());
    host.engine.prepare(&key("unborn")).await.unwrap();
    host.engine.stop(&handle).await.unwrap();
    let (end, lines) = host.shell("unborn", "echo alive").await;
    assert_eq!((end.outcome, end.started), (Outcome::Stopped, None));
    assert_eq!(lines, []);
}

#[tokio::test]
async fn a_killed_shim_takes_the_run_with_it() {
    let host = Host::new();
    let marker = unique("shim");
    let handle = host.submit("orphan", &stubborn(&marker)).await;
    host.says(&handle, "ready").await;
    host.until(&handle, |status| matches!(status, Status::Running { .. }))
        .await;
    come_alive(&marker, 5).await;
    nix::sys::signal::kill(host.shim(&handle), nix::sys::signal::Signal::SIGKILL).unwrap();
    let end = host.end(&handle).await;
    assert!(matches!(end.outcome, Outcome::Lost(_)), "{end:?}");
    assert!(end.started.is_some());
    none_alive(&marker).await;
    host.engine.forget(&handle).await.unwrap();
    assert!(matches!(
        host.engine.status(&handle).await,
        Err(Error::NotFound)
    ));
}

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn how_long_a_start_takes() {
    let host = Host::new();
    let (mut running, mut ended, mut told) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..50 {
        let mut events = host.engine.events();
        let begin = Instant::now();
        let handle = host
            .submit(&format!("start-{round}"), &shell("sleep 0.2"))
            .await;
        host.until(&handle, |status| matches!(status, Status::Running { .. }))
            .await;
        running.push(begin.elapsed());
        while !matches!(events.next().await.unwrap().status, Status::Running { .. }) {}
        told.push(begin.elapsed());
        host.end(&handle).await;
        let begin = Instant::now();
        let handle = host
            .submit(&format!("true-{round}"), &command(&["/bin/true"]))
            .await;
        host.end(&handle).await;
        ended.push(begin.elapsed());
    }
    for (name, mut times) in [
        ("running", running),
        ("event of running", told),
        ("end of true", ended),
    ] {
        times.sort();
        println!("{name}: median {:?}, slowest {:?}", times[25], times[49]);
    }
}
