//! What runs say, and how it is read.
use super::*;

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
