//! Runs that are servers: reached by the server alone.
use super::volumes::mounted;
use super::*;
use junglegrid::engine::Connection;
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

/// Greets with `name`, then says back one line, to one client after the other.
pub(super) fn echo(name: &str, port: u16) -> RunSpec {
    command(&[
        "perl",
        "-MIO::Socket::INET",
        "-e",
        &format!(
            "$| = 1; $SIG{{PIPE}} = 'IGNORE'; my $server = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => {port}, Listen => 1024, ReuseAddr => 1) or die; \
             print \"listening\\n\"; \
             while (1) {{ my $client = $server->accept or do {{ print \"failed $!\\n\"; next }}; print $client \"{name}\\n\"; my $line = <$client>; print $client \"back $line\"; close $client }}"
        ),
    ])
}

async fn serve(host: &Host, run: &str, name: &str, port: u16) -> Handle {
    let handle = host.submit(run, &echo(name, port)).await;
    host.says(&handle, "listening").await;
    handle
}

async fn talk(connection: Box<dyn Connection>) -> (String, String) {
    let mut connection = BufReader::new(connection);
    let (mut greeting, mut answer) = (String::new(), String::new());
    connection.read_line(&mut greeting).await.unwrap();
    connection.write_all(b"and forth\n").await.unwrap();
    connection.read_to_string(&mut answer).await.unwrap();
    (greeting, answer)
}

pub(super) async fn greeting(engine: &HostEngine, handle: &Handle, port: u16) -> String {
    let connection = engine.connect(handle, port).await.unwrap();
    let (greeting, answer) = tokio::time::timeout(DEADLINE, talk(connection))
        .await
        .unwrap();
    assert_eq!(answer, "back and forth\n");
    greeting
}

async fn refusal(engine: &HostEngine, handle: &Handle, port: u16) -> Error {
    match engine.connect(handle, port).await {
        Ok(_) => panic!("connected to {port} of {handle:?}"),
        Err(error) => error,
    }
}

async fn stopped(host: &Host, handle: &Handle) {
    host.engine.stop(handle).await.unwrap();
    host.end(handle).await;
}

async fn no_ports(host: &Host) -> bool {
    host.lacks(&[PRIVATE_PORTS]).await
}

#[tokio::test]
async fn two_runs_on_one_port_are_reached_apart_and_published_nowhere() {
    let host = Host::new();
    if no_ports(&host).await {
        return;
    }
    let nobody = crate::harness::Nobody::new();
    let port = nobody.address.port();
    let one = serve(&host, "one", "first", port).await;
    let two = serve(&host, "two", "second", port).await;
    for _ in 0..3 {
        assert_eq!(greeting(&host.engine, &one, port).await, "first\n");
        assert_eq!(greeting(&host.engine, &two, port).await, "second\n");
    }
    let outside = std::net::TcpStream::connect(("127.0.0.1", port)).map(|_| ());
    assert_eq!(
        outside.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
    stopped(&host, &one).await;
    stopped(&host, &two).await;
}

#[tokio::test]
async fn a_port_with_nobody_an_ended_run_and_a_killed_shim_are_told_apart() {
    let host = Host::new();
    if no_ports(&host).await {
        return;
    }
    let handle = serve(&host, "served", "here", 8000).await;
    let nobody = refusal(&host.engine, &handle, 8001).await;
    assert!(matches!(&nobody, Error::Unavailable(why) if why == "connection refused"));
    let zero = refusal(&host.engine, &handle, 0).await;
    assert!(matches!(zero, Error::Refused(_)), "{zero:?}");
    assert_eq!(greeting(&host.engine, &handle, 8000).await, "here\n");
    stopped(&host, &handle).await;
    let ended = refusal(&host.engine, &handle, 8000).await;
    assert!(matches!(ended, Error::NotFound), "{ended:?}");
    for unknown in ["nothing/1", "../served/1", "served"] {
        let unknown = refusal(&host.engine, &Handle(unknown.into()), 8000).await;
        assert!(matches!(unknown, Error::NotFound), "{unknown:?}");
    }

    let handle = serve(&host, "orphan", "here", 8000).await;
    nix::sys::signal::kill(host.shim(&handle), nix::sys::signal::Signal::SIGKILL).unwrap();
    host.end(&handle).await;
    let dead = refusal(&host.engine, &handle, 8000).await;
    assert!(
        matches!(&dead, Error::Unavailable(why) if why.contains("killed")),
        "{dead:?}"
    );
}

#[tokio::test]
async fn the_machine_s_own_network_is_never_published() {
    let host = Host::new();
    let mut spec = shell("echo ready; while ! test -e go; do sleep 0.02; done");
    spec.network = Network::Host;
    let handle = host.submit("online", &spec).await;
    host.says(&handle, "ready").await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let refused = refusal(&host.engine, &handle, port).await;
    assert!(
        matches!(&refused, Error::Refused(why) if why.contains("the machine's network")),
        "{refused:?}"
    );
    fs::write(host.run_directory(&handle).join("workspace/go"), "").unwrap();
    host.end(&handle).await;
}

#[tokio::test]
async fn a_later_server_reaches_it_too_however_long_its_path() {
    let mut host = Host::new();
    if no_ports(&host).await {
        return;
    }
    let deep = host.directory.path().join("d".repeat(120));
    fs::create_dir(&deep).unwrap();
    host.engine = engine_on(&deep);
    let handle = serve(&host, "kept", "still here", 8000).await;
    assert_eq!(greeting(&host.engine, &handle, 8000).await, "still here\n");
    host.engine = engine_on(&deep);
    assert_eq!(greeting(&host.engine, &handle, 8000).await, "still here\n");
    stopped(&host, &handle).await;
}

#[tokio::test]
async fn two_hundred_at_once_are_all_answered() {
    let host = Host::new();
    if no_ports(&host).await {
        return;
    }
    let handle = serve(&host, "busy", "hello", 8000).await;
    let answers =
        futures_util::future::join_all((0..200).map(|_| greeting(&host.engine, &handle, 8000)))
            .await;
    assert_eq!(answers.len(), 200);
    assert!(answers.iter().all(|answer| answer == "hello\n"));
    stopped(&host, &handle).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rude_clients_hinder_nobody() {
    let host = Host::new();
    if no_ports(&host).await {
        return;
    }
    let handle = serve(&host, "patient", "hello", 8000).await;
    let door = host.run_directory(&handle).join("app.sock");
    let knock = |words: &[u8]| {
        let mut guest = UnixStream::connect(&door).unwrap();
        // Who comes late to say a word has been sent away by then.
        let _ = guest.write_all(words);
        guest
    };
    let mut rude: Vec<_> = (0..150)
        .map(|number| knock([&b""[..], &[31]][number % 2]))
        .collect();
    for _ in 0..50 {
        drop(knock(&8000_u16.to_be_bytes()));
        drop(knock(b"GET / HTTP/1.1\r\n\r\n"));
    }
    // Behind all of them it may take several attempts on a slow machine.
    let deadline = Instant::now() + DEADLINE;
    let connection = loop {
        match host.engine.connect(&handle, 8000).await {
            Ok(connection) => break connection,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
    };
    let answers = tokio::time::timeout(DEADLINE, talk(connection)).await;
    assert_eq!(answers.unwrap().0, "hello\n");
    for guest in &mut rude {
        guest.set_read_timeout(Some(DEADLINE)).unwrap();
        let said = guest.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(said, 0, "was answered");
    }
    let standing: Vec<_> = (0..150).map(|_| knock(b"")).collect();
    host.engine.stop(&handle).await.unwrap();
    assert_eq!(host.end(&handle).await.outcome, Outcome::Stopped);
    drop(standing);
}

#[tokio::test]
async fn only_the_server_s_user_comes_through_the_door() {
    let host = Host::new();
    if no_ports(&host).await || host.lacks(&["user"]).await {
        return;
    }
    let handle = serve(&host, "guarded", "hello", 8000).await;
    let run = host.run_directory(&handle);
    let door = run.join("app.sock");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&run), mode(&door)), (0o700, 0o600));
    let stranger = || {
        let script = format!(
            "$SIG{{PIPE}} = 'IGNORE'; my $door = IO::Socket::UNIX->new(Peer => '{}') or do {{ print 'out of reach'; exit }}; \
             syswrite $door, pack('n', 8000); print sysread($door, my $word, 8) ? 'answered' : 'sent away'",
            door.display()
        );
        let mut command = std::process::Command::new("perl");
        command.args(["-MIO::Socket::UNIX", "-e", &script]);
        command
    };
    let said = |command: &mut std::process::Command| {
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    assert_eq!(said(stranger().uid(65534)), "out of reach");
    for open in [host.directory.path(), &host.directory.path().join("data")] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
    }
    for open in [
        run.parent().unwrap().parent().unwrap(),
        run.parent().unwrap(),
        &run,
    ] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
    }
    fs::set_permissions(&door, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(said(stranger().uid(65534)), "sent away");
    assert_eq!(said(&mut stranger()), "answered");

    // Nor does a run, neither its own nor another's.
    let script = stranger();
    let argv: Vec<_> = std::iter::once("perl")
        .chain(script.get_args().map(|word| word.to_str().unwrap()))
        .collect();
    let (_, lines) = host.run("nosy", &command(&argv)).await;
    let said: Vec<_> = lines.iter().map(|line| line.data.clone()).collect();
    assert_eq!(said, ["out of reach"]);
    stopped(&host, &handle).await;
}

/// An engine on a machine whose kernel makes no namespace of this kind.
fn without(host: &Host, namespaces: &str) -> HostEngine {
    let exe = host.directory.path().join("confined");
    let script = format!(
        "#!/bin/sh\nexec unshare --user --map-root-user sh -c 'echo 0 > /proc/sys/user/{namespaces} && exec {} \"$@\"' junglegrid \"$@\"\n",
        env!("CARGO_BIN_EXE_junglegrid")
    );
    fs::write(&exe, script).unwrap();
    fs::set_permissions(&exe, fs::Permissions::from_mode(0o755)).unwrap();
    let mut config = Config::new(host.directory.path().join("data/runs"), "test".into());
    config.exe = exe;
    HostEngine::new(config).unwrap()
}

#[tokio::test]
async fn a_machine_without_the_walls_for_it_refuses_in_words() {
    let mut host = Host::new();
    if host.lacks(&["process namespace"]).await {
        return;
    }
    for (namespaces, lacking, why) in [
        (
            "max_net_namespaces",
            "network namespace",
            "no network of its own",
        ),
        (
            "max_mnt_namespaces",
            "file system",
            "no root directory of its own",
        ),
    ] {
        host.engine = without(&host, namespaces);
        let given = host.engine.probe().await.unwrap();
        for name in [lacking, PRIVATE_PORTS] {
            let one = given.iter().find(|one| one.name == name).unwrap();
            assert!(!one.active, "{one:?}");
        }
        let script = "echo ready; while ! test -e go; do sleep 0.02; done";
        let handle = host.submit(namespaces, &shell(script)).await;
        host.says(&handle, "ready").await;
        let refused = refusal(&host.engine, &handle, 8000).await;
        assert!(
            matches!(&refused, Error::Refused(told) if told.contains(why)),
            "{refused:?}"
        );
        fs::write(host.run_directory(&handle).join("workspace/go"), "").unwrap();
        host.end(&handle).await;
    }
    let volume = host.directory.path().join("data/volumes/v");
    let (end, _) = host
        .run("shown", &mounted("true", &volume, "/models", None))
        .await;
    assert!(
        matches!(&end.outcome, Outcome::Refused(why) if why.contains("/models cannot be shown")),
        "{end:?}"
    );
    let itself = command(&["/run/junglegrid", "--version"]);
    let (end, lines) = host.run("itself", &itself).await;
    assert_eq!(end.outcome, Outcome::Exited(127));
    let said = texts(&lines, Stream::System).concat();
    assert!(said.contains("cannot be executed here"), "{said}");
}

#[tokio::test]
#[ignore = "a measurement, not a test"]
async fn how_long_a_connection_takes() {
    let host = Host::new();
    let handle = serve(&host, "measured", "hello", 8000).await;
    let mut times = Vec::new();
    for _ in 0..1000 {
        let begin = Instant::now();
        let connection = host.engine.connect(&handle, 8000).await.unwrap();
        times.push(begin.elapsed());
        talk(connection).await;
    }
    times.sort();
    println!(
        "connect: median {:?}, 99 of 100 below {:?}, slowest {:?}",
        times[500], times[990], times[999]
    );
    stopped(&host, &handle).await;
}
