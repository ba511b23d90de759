//! What runs say, and how it is read.
use super::*;

#[tokio::test]
async fn both_streams_arrive_line_by_line_with_times() {
    let host = Host::new();
    let before = junglegrid::clock::Clock::default().now();
    let script = "echo one; echo two; printf 'no end'; echo wrong >&2; printf '\\nlast\\r\\n' >&2; printf '\\n'";
    let (end, lines) = host.shell("streams", script).await;
    assert_eq!(texts(&lines, Stream::Out), ["one", "two", "no end"]);
    assert_eq!(texts(&lines, Stream::Err), ["wrong", "", "last"]);
    assert!(lines.is_sorted_by_key(|line| line.at));
    // That the command has begun may be noted after its first words.
    let in_time = |line: &LogLine| before <= line.at && line.at <= end.ended;
    assert!(lines.iter().all(in_time), "{before}: {lines:?}, {end:?}");
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

/// How many lines of the command these stand for.
fn counted(lines: &[LogLine]) -> u64 {
    lines.iter().map(|line| line.dropped.max(1)).sum()
}

/// Bytes of all parts of the output on disk.
fn on_disk(run: &Path) -> u64 {
    let files = fs::read_dir(run).unwrap().map(Result::unwrap);
    let logs = files.filter(|file| {
        let name = file.file_name();
        name == "log" || name.to_string_lossy().starts_with("log.")
    });
    logs.map(|file| file.metadata().unwrap().len()).sum()
}

#[tokio::test]
async fn of_a_flood_the_beginning_and_the_end_are_kept_and_the_rest_is_counted() {
    let host = Host::new();
    let mut spec = shell("echo first; yes 0123456789 | head -c 50000000; echo; echo last");
    spec.log.head = 100_000;
    spec.log.tail = 1_000_000;
    let handle = host.submit("flood", &spec).await;
    assert_eq!(host.end(&handle).await.outcome, Outcome::Exited(0));
    let lines = host.lines(&handle, false).await;
    assert_eq!(lines[0].data, "first");
    assert_eq!(lines[lines.len() - 1].data, "last");
    // 4,545,454 whole lines and one cut one, "first" and "last".
    assert_eq!(counted(&lines), 4_545_455 + 2);
    let gaps: Vec<_> = lines.iter().filter(|line| line.dropped > 0).collect();
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].stream, Stream::System);
    let text = String::from_utf8_lossy(&gaps[0].data);
    assert!(
        text.ends_with(" lines dropped: only the beginning and the end are kept"),
        "{text}"
    );
    let head = lines.iter().position(|line| line.dropped > 0).unwrap() as u64;
    let tail = lines.len() as u64 - head - 1;
    // A line of so few bytes weighs 64.
    assert_eq!(head, 100_000 / 64);
    assert!((1_000_000 / 64..1_200_000 / 64).contains(&tail), "{tail}");
    let size = on_disk(&host.run_directory(&handle));
    assert!(size < 700_000, "{size}");
    // Wherever reading stopped, it goes on: also where that has been removed since.
    for at in [0, 1, lines.len() / 2, lines.len() - 2] {
        let from = lines[at].next.clone();
        let rest = host.engine.logs(&handle, from, true);
        let rest: Vec<_> = rest.map(Result::unwrap).concat().await;
        assert!(rest == lines[at + 1..], "from {at}");
    }
}

#[tokio::test]
async fn without_room_for_an_end_the_beginning_is_kept() {
    let host = Host::new();
    let mut spec = shell("seq 10000; echo last >&2");
    spec.log.head = 64_000;
    spec.log.tail = 0;
    let handle = host.submit("head", &spec).await;
    host.end(&handle).await;
    let lines = host.lines(&handle, false).await;
    assert_eq!(lines.len(), 1_001);
    assert_eq!((lines[1_000].dropped, counted(&lines)), (9_001, 10_001));
}

#[tokio::test]
async fn what_comes_too_fast_is_counted_in_its_place() {
    let host = Host::new();
    // Two seconds' worth are let through at once.
    let mut spec = shell("seq 100000; while ! test -e go; do sleep 0.02; done; echo after");
    spec.log.rate = 200_000;
    let handle = host.submit("fast", &spec).await;
    let mut batches = host.engine.logs(&handle, Cursor::default(), true);
    let mut lines = Vec::new();
    // Said although the command prints nothing more.
    while counted(&lines) < 100_000 {
        let batch = tokio::time::timeout(DEADLINE, batches.next()).await;
        lines.extend(batch.unwrap().unwrap().unwrap());
    }
    fs::write(host.engine.workspace(&handle).unwrap().join("go"), "").unwrap();
    let rest: Vec<_> = batches.map(Result::unwrap).concat().await;
    assert_eq!(texts(&rest, Stream::Out), ["after"]);
    assert_eq!(counted(&lines), 100_000);
    let mut number = 0;
    let mut gaps = 0;
    for line in &lines {
        number += line.dropped.max(1);
        if line.dropped > 0 {
            gaps += 1;
            assert!(
                line.data
                    .ends_with(b"lines dropped: they came faster than is kept")
            );
        } else {
            assert_eq!(line.data, number.to_string(), "each in its place");
        }
    }
    assert!(gaps > 0);
    assert!(lines.len() > 400_000 / 64, "{}", lines.len());
}

#[tokio::test]
async fn an_endless_line_is_cut_into_pieces_in_bounded_room() {
    let host = Host::new();
    let mut spec = shell("head -c 200000000 /dev/zero | tr '\\0' x; echo; echo short");
    spec.log.head = 1 << 20;
    spec.log.tail = 1 << 20;
    let handle = host.submit("endless", &spec).await;
    assert_eq!(host.end(&handle).await.outcome, Outcome::Exited(0));
    let lines = host.lines(&handle, false).await;
    // Two hundred million bytes in pieces of 16 KB, and the other line.
    assert_eq!(counted(&lines), 200_000_000_u64.div_ceil(16 * 1024) + 1);
    assert!(lines.iter().all(|line| line.data.len() <= 16 * 1024));
    assert_eq!(lines[lines.len() - 1].data, "short");
    assert!(!lines[lines.len() - 2].truncated);
    let size = on_disk(&host.run_directory(&handle));
    assert!(size < 3 << 20, "{size}");
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
async fn a_long_line_is_not_cut_within_a_character() {
    let host = Host::new();
    let script = "i=0; while [ $i -lt 6000 ]; do printf '€'; i=$((i+1)); done; echo";
    let (_, lines) = host.shell("characters", script).await;
    assert_eq!(lines.len(), 2);
    let whole: Vec<u8> = lines.iter().flat_map(|line| line.data.to_vec()).collect();
    assert_eq!(whole, "€".repeat(6000).as_bytes());
    for line in &lines {
        assert!(std::str::from_utf8(&line.data).is_ok());
    }
}
