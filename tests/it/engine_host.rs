//! The host engine through its trait, against the real binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
use futures_util::StreamExt as _;
use junglegrid::engine::host::{Config, HostEngine};
use junglegrid::engine::{
    Cursor, End, Engine, Error, Handle, LogLine, Network, Outcome, RunKey, RunSpec, Status, Stream,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// However loaded the machine is.
const DEADLINE: Duration = Duration::from_mins(1);

/// An engine with a data directory of its own.
struct Host {
    engine: HostEngine,
    directory: TempDir,
}

impl Host {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let engine = engine_on(&directory);
        Self { engine, directory }
    }

    async fn submit(&self, name: &str, spec: &RunSpec) -> Handle {
        self.engine.submit(&key(name), spec).await.unwrap()
    }

    /// Runs a shell script to its end.
    async fn shell(&self, name: &str, script: &str) -> (End, Vec<LogLine>) {
        self.run(name, &shell(script)).await
    }

    async fn run(&self, name: &str, spec: &RunSpec) -> (End, Vec<LogLine>) {
        let handle = self.submit(name, spec).await;
        (self.end(&handle).await, self.lines(&handle, true).await)
    }

    async fn until(&self, handle: &Handle, reached: impl Fn(&Status) -> bool) -> Status {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let status = self.engine.status(handle).await.unwrap();
            if reached(&status) {
                return status;
            }
            assert!(Instant::now() < deadline, "still {status:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn end(&self, handle: &Handle) -> End {
        match self
            .until(handle, |status| matches!(status, Status::Ended(_)))
            .await
        {
            Status::Ended(end) => end,
            other => unreachable!("{other:?}"),
        }
    }

    async fn lines(&self, handle: &Handle, follow: bool) -> Vec<LogLine> {
        let batches: Vec<_> = self
            .engine
            .logs(handle, Cursor::default(), follow)
            .collect()
            .await;
        batches
            .into_iter()
            .flat_map(|batch| batch.unwrap())
            .collect()
    }

    /// Waits until the run has said `text`.
    async fn says(&self, handle: &Handle, text: &str) {
        let mut batches = self.engine.logs(handle, Cursor::default(), true);
        let heard = async {
            while let Some(batch) = batches.next().await {
                if batch.unwrap().iter().any(|line| line.data == text) {
                    return;
                }
            }
            panic!("ended without saying {text}");
        };
        tokio::time::timeout(DEADLINE, heard).await.unwrap();
    }

    fn run_directory(&self, handle: &Handle) -> PathBuf {
        self.directory.path().join("data/runs").join(&handle.0)
    }

    fn shim(&self, handle: &Handle) -> nix::unistd::Pid {
        let state = fs::read(self.run_directory(handle).join("state.json")).unwrap();
        let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
        nix::unistd::Pid::from_raw(i32::try_from(state["shim_pid"].as_i64().unwrap()).unwrap())
    }

    /// Whether the machine gives a protection; tests of it end early if not,
    /// unless they are told that everything must be there.
    async fn lacks(&self, names: &[&str]) -> bool {
        let given = self.engine.probe().await.unwrap();
        let missing: Vec<_> = names
            .iter()
            .filter(|name| !given.iter().any(|one| one.name == **name && one.active))
            .collect();
        assert!(
            missing.is_empty() || std::env::var_os("JUNGLEGRID_TEST_REQUIRE_ALL").is_none(),
            "this machine lacks {missing:?}: {given:?}"
        );
        if !missing.is_empty() {
            eprintln!("not tested: this machine lacks {missing:?}");
        }
        !missing.is_empty()
    }
}

fn engine_on(directory: &TempDir) -> HostEngine {
    let mut config = Config::new(directory.path().join("data/runs"), "test".into());
    config.exe = env!("CARGO_BIN_EXE_junglegrid").into();
    config.node = "here".into();
    HostEngine::new(config).unwrap()
}

fn key(run: &str) -> RunKey {
    RunKey {
        instance: "test".into(),
        run: run.into(),
        attempt: 1,
    }
}

fn shell(script: &str) -> RunSpec {
    command(&["sh", "-c", script])
}

fn command(argv: &[&str]) -> RunSpec {
    RunSpec {
        image: String::new(),
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        env: [("GREETING".to_owned(), "hello world".to_owned())].into(),
        cpus: 2.0,
        memory_bytes: 512 << 20,
        processes: 64,
        disk_bytes: 64 << 20,
        time_limit: DEADLINE,
        grace: DEADLINE,
        network: Network::None,
        log_limit_bytes: 4 << 20,
    }
}

fn texts(lines: &[LogLine], stream: Stream) -> Vec<String> {
    let of = lines.iter().filter(|line| line.stream == stream);
    of.map(|line| String::from_utf8_lossy(&line.data).into_owned())
        .collect()
}

/// Processes of the whole machine with `marker` in their command line.
fn alive(marker: &str) -> usize {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    lines
        .filter(|line| {
            line.windows(marker.len())
                .any(|part| part == marker.as_bytes())
        })
        .count()
}

async fn none_alive(marker: &str) {
    let deadline = Instant::now() + DEADLINE;
    while alive(marker) > 0 {
        assert!(Instant::now() < deadline, "{} still alive", alive(marker));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn unique(name: &str) -> String {
    format!("marker-{name}-{}", std::process::id())
}

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
async fn both_streams_arrive_line_by_line_with_times() {
    let host = Host::new();
    let script = "echo one; echo two; printf 'no end'; echo wrong >&2; printf '\\nlast\\r\\n' >&2; printf '\\n'";
    let (end, lines) = host.shell("streams", script).await;
    assert_eq!(texts(&lines, Stream::Out), ["one", "two", "no end"]);
    assert_eq!(texts(&lines, Stream::Err), ["wrong", "", "last"]);
    assert!(lines.is_sorted_by_key(|line| line.at));
    assert!(lines.iter().all(
        |line| end.started.unwrap() - Duration::from_secs(1) <= line.at && line.at <= end.ended
    ));
}

#[tokio::test]
async fn reading_goes_on_where_it_stopped() {
    let host = Host::new();
    let handle = host.submit("cursor", &shell("seq 2500")).await;
    host.end(&handle).await;
    let all = host.lines(&handle, false).await;
    assert_eq!(all.len(), 2500);
    let from = all[1699].next.clone();
    let rest: Vec<_> = host
        .engine
        .logs(&handle, from, true)
        .map(Result::unwrap)
        .concat()
        .await;
    assert_eq!(rest, all[1700..]);
    for cursor in ["7", "x", "-1"] {
        let answer: Vec<_> = host
            .engine
            .logs(&handle, Cursor(cursor.into()), false)
            .collect()
            .await;
        assert!(
            matches!(answer[..], [Err(Error::Refused(_))]),
            "{cursor}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn a_follower_sees_lines_while_the_run_goes_on() {
    let host = Host::new();
    let script = "echo first; while ! test -e go; do sleep 0.02; done; echo second";
    let handle = host.submit("follow", &shell(script)).await;
    let mut batches = host.engine.logs(&handle, Cursor::default(), true);
    let first = tokio::time::timeout(DEADLINE, batches.next())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert_eq!(texts(&first, Stream::Out), ["first"]);
    host.until(&handle, |status| matches!(status, Status::Running { .. }))
        .await;
    fs::write(host.engine.workspace(&handle).unwrap().join("go"), "").unwrap();
    let rest: Vec<_> = batches.map(Result::unwrap).concat().await;
    assert_eq!(texts(&rest, Stream::Out), ["second"]);
}

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

/// Ignores TERM, and so do its children, which have left its session.
fn stubborn(marker: &str) -> RunSpec {
    let child = format!("trap \"\" TERM HUP INT; while :; do sleep 0.1; done # {marker}");
    let script = format!(
        "trap '' TERM HUP INT; for i in 1 2 3 4; do (setsid sh -c '{child}' </dev/null >/dev/null 2>&1 &); done; echo ready; while :; do sleep 0.1; done # {marker}"
    );
    shell(&script)
}

#[tokio::test]
async fn a_stop_by_force_leaves_nothing_behind() {
    let host = Host::new();
    let marker = unique("force");
    let mut spec = stubborn(&marker);
    spec.grace = Duration::from_millis(300);
    let handle = host.submit("stubborn", &spec).await;
    host.says(&handle, "ready").await;
    assert!(alive(&marker) >= 5, "{}", alive(&marker));
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
async fn submitting_twice_starts_one_run() {
    let host = Host::new();
    let spec = shell("echo started; sleep 0.2");
    let engines = [engine_on(&host.directory), engine_on(&host.directory)];
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
async fn another_server_finds_the_run_and_its_end() {
    let host = Host::new();
    let handle = host
        .submit(
            "attach",
            &shell("echo one; while ! test -e go; do sleep 0.02; done; echo two; exit 11"),
        )
        .await;
    host.says(&handle, "one").await;
    let second = engine_on(&host.directory);
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
    let third = engine_on(&host.directory);
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
async fn a_killed_shim_takes_the_run_with_it() {
    let host = Host::new();
    let marker = unique("shim");
    let handle = host.submit("orphan", &stubborn(&marker)).await;
    host.says(&handle, "ready").await;
    assert!(alive(&marker) >= 5);
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
async fn a_flood_of_output_is_cut_and_counted() {
    let host = Host::new();
    let mut spec = shell("echo first; yes 0123456789 | head -c 50000000; echo last >&2");
    spec.log_limit_bytes = 100_000;
    let handle = host.submit("flood", &spec).await;
    assert_eq!(host.end(&handle).await.outcome, Outcome::Exited(0));
    let lines = host.lines(&handle, false).await;
    assert_eq!(lines[0].data, "first");
    let kept = lines.len() - 1;
    let told = texts(&lines, Stream::System);
    // 4,545,454 whole lines and one cut one, "first" and "last".
    let dropped = 4_545_455 + 2 - kept;
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with(&format!("{dropped} lines ("))
            && told[0].ends_with("the log limit of 100000 bytes is reached"),
        "{told:?}"
    );
    let size = fs::metadata(host.run_directory(&handle).join("log"))
        .unwrap()
        .len();
    assert!(size < 400_000, "{size}");
}

#[tokio::test]
async fn long_lines_are_cut_and_garbage_passes_through() {
    let host = Host::new();
    let script = "head -c 40000 /dev/zero | tr '\\0' x; echo; echo short; printf '\\377\\376\\0\\033[31m\\n'";
    let (_, lines) = host.shell("long", script).await;
    let shape: Vec<_> = lines
        .iter()
        .map(|line| (line.data.len(), line.truncated))
        .collect();
    assert_eq!(
        shape,
        [
            (16384, true),
            (16384, true),
            (7232, false),
            (5, false),
            (8, false)
        ]
    );
    assert_eq!(lines[4].data, b"\xff\xfe\0\x1b[31m"[..]);
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
    let mut spec = shell("for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 5 & done; echo all");
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
