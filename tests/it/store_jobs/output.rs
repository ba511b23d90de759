//! Output: numbered, cut, found again, whatever shape it is stored in.
use super::{NOW, add, job, settle_down};
use crate::harness::on_each_database;
use junglegrid::domain::id::JobId;
use junglegrid::domain::logs::{Level, Limits, Needle};
use junglegrid::store::jobs::logs::{self, Batch, Filter, Line, NewLine, Piece};
use junglegrid::store::jobs::{self, runs};
use junglegrid::store::{Conn, Error};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const ALL: Limits = Limits {
    head: 1 << 30,
    tail: 0,
    rate: 1 << 30,
};

fn line(n: usize) -> NewLine {
    NewLine {
        stream: if n.is_multiple_of(3) {
            "stderr"
        } else {
            "stdout"
        },
        message: format!("line {n} ü"),
        truncated: n == 5,
        dropped: 0,
        at: NOW,
    }
}

/// A job with a run whose output is to be kept.
async fn running(conn: &mut Conn) -> JobId {
    let who = settle_down(conn, "ada@example.org").await;
    let job = add(conn, job(who, 0)).await;
    runs::intend(conn, (job.id, 1), ("host", "n"), NOW)
        .await
        .unwrap();
    job.id
}

async fn page(conn: &mut Conn, job: JobId, (after, limit): (i64, usize)) -> Vec<Line> {
    let found = logs::forward(conn, job, after, limit, &Filter::default()).await;
    found.unwrap().lines
}

fn entries(lines: &[Line]) -> Vec<i64> {
    lines.iter().map(|line| line.entry).collect()
}

#[tokio::test]
async fn output_is_numbered_without_gaps_and_never_kept_twice() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let job = running(conn).await;
        let batch = |lines: std::ops::RangeInclusive<usize>| Batch::new(lines.map(line).collect());
        let (first, second) = (batch(1..=450), batch(451..=460));
        let run = (job, 1);
        let last = logs::append(conn, run, ("", "9"), &first, &ALL).await;
        assert_eq!(last.unwrap(), 450);
        let again = logs::append(conn, run, ("", "9"), &first, &ALL).await;
        assert!(
            matches!(again, Err(Error::Stale { table: "runs", .. })),
            "{again:?}"
        );
        let other = logs::append(conn, (job, 2), ("", "9"), &first, &ALL).await;
        assert!(
            matches!(other, Err(Error::Stale { .. })),
            "an attempt that never was"
        );
        let last = logs::append(conn, run, ("9", "10"), &second, &ALL).await;
        assert_eq!(last.unwrap(), 460);
        let all = page(conn, job, (0, 1_000)).await;
        assert_eq!(all.len(), 460);
        for (found, n) in all.iter().zip(1..) {
            let written = line(n);
            assert_eq!(found.entry, i64::try_from(n).unwrap());
            assert_eq!(
                (&found.message, found.truncated),
                (&written.message, written.truncated)
            );
            assert_eq!((found.stream, found.at), (written.stream, NOW));
        }
        assert_eq!(page(conn, job, (200, 3)).await, all[200..203]);
        let stored = jobs::find_for_worker(conn, job).await.unwrap().unwrap();
        assert_eq!((stored.last_log, stored.version), (460, 0), "no transition");
        let last = logs::last_of(conn, &[job], 20).await.unwrap();
        let messages = all[440..].iter().map(|line| line.message.clone());
        assert_eq!(last[&job], messages.collect::<Vec<_>>(), "of both shapes");
    })
    .await;
}

/// What was printed, and what of it must be there.
struct Model {
    job: JobId,
    printed: Vec<(i64, NewLine)>,
    last: i64,
    writes: i64,
}

impl Model {
    async fn print(&mut self, conn: &mut Conn, random: &mut StdRng, limits: &Limits) {
        let many = [1, 3, 40, 260, 700][random.random_range(0..5)];
        let lines: Vec<NewLine> = (0..random.random_range(1..=many))
            .map(|_| any_line(random))
            .collect();
        for line in &lines {
            self.last += line.dropped.max(1);
            self.printed.push((self.last, line.clone()));
        }
        let cursor = |n: i64| if n == 0 { String::new() } else { n.to_string() };
        let (from, to) = (cursor(self.writes), cursor(self.writes + 1));
        self.writes += 1;
        let batch = Batch::new(lines);
        let last = logs::append(conn, (self.job, 1), (&from, &to), &batch, limits).await;
        assert_eq!(last.unwrap(), self.last);
    }

    /// Everything that is there, held against what was printed; the gap, if there is one.
    async fn check(&self, conn: &mut Conn) -> (Vec<Line>, Option<(i64, i64)>) {
        let mut all: Vec<Line> = Vec::new();
        loop {
            let after = all.last().map_or(0, |line: &Line| line.entry);
            let found = logs::forward(conn, self.job, after, 333, &Filter::default())
                .await
                .unwrap();
            all.extend(found.lines);
            if !found.full {
                break;
            }
        }
        let mut printed = self.printed.iter();
        let mut before = 0;
        let mut gap = None;
        for found in &all {
            assert_eq!(
                found.entry - found.dropped.max(1),
                before,
                "no unexplained gap"
            );
            before = found.entry;
            let (entry, line) = printed
                .find(|(entry, _)| *entry >= found.entry)
                .expect("it was printed");
            assert_eq!(*entry, found.entry);
            if found.dropped != line.dropped || found.message != line.message {
                assert_eq!(found.stream, "system");
                assert!(
                    found
                        .message
                        .ends_with("lines dropped: only the beginning and the end are kept")
                );
                assert!(gap.is_none(), "only one gap");
                gap = Some((found.entry - found.dropped, found.entry));
                continue;
            }
            assert_eq!(
                (found.stream, found.truncated, found.at),
                (line.stream, line.truncated, line.at)
            );
        }
        assert_eq!(before, self.last, "the newest line is always there");
        (all, gap)
    }
}

fn any_line(random: &mut StdRng) -> NewLine {
    let word = [
        "alpha",
        "ERROR beta",
        "warning: gamma",
        "δ",
        "DEBUG",
        "needle",
        "NeeDle needle",
    ];
    let dropped = if random.random_range(0..60) == 0 {
        random.random_range(1..500)
    } else {
        0
    };
    let stream = match dropped {
        0 => ["stdout", "stderr"][random.random_range(0..2)],
        _ => "system",
    };
    NewLine {
        stream,
        message: format!(
            "{} {}",
            word[random.random_range(0..7)],
            "x".repeat(random.random_range(0..90))
        ),
        truncated: random.random_range(0..20) == 0,
        dropped,
        at: NOW + time::Duration::milliseconds(random.random_range(-50..5_000)),
    }
}

fn any_filter(random: &mut StdRng) -> Filter {
    Filter {
        stream: ["", "stdout", "stderr", "system"][random.random_range(0..4)],
        level: [
            None,
            Some(Level::Info),
            Some(Level::Warning),
            Some(Level::Error),
        ][random.random_range(0..4)],
        text: [
            None,
            Needle::new("NEEDLE"),
            Needle::new("δ"),
            Needle::new("nowhere"),
        ][random.random_range(0..4)]
        .clone(),
    }
}

fn wanted(line: &Line, filter: &Filter) -> bool {
    (filter.stream.is_empty() || filter.stream == line.stream)
        && filter.level.is_none_or(|level| line.level >= level)
        && filter
            .text
            .as_ref()
            .is_none_or(|text| text.find(line.message.as_bytes()).is_some())
}

/// Long and short writes, pages from anywhere in both directions, filters, and parts
/// of the text, while the middle is being cut out.
#[tokio::test]
async fn whatever_is_printed_every_look_shows_the_same_output() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let limits = Limits {
            head: 60_000,
            tail: 90_000,
            rate: 1 << 30,
        };
        let mut model = Model {
            job: running(conn).await,
            printed: Vec::new(),
            last: 0,
            writes: 0,
        };
        let mut gaps = 0;
        // Until the middle has been cut out a few times, however little is printed at once.
        for round in 0.. {
            if round >= 40 && gaps > 3 {
                break;
            }
            assert!(round < 400, "only {gaps} gaps");
            model.print(conn, &mut random, &limits).await;
            let (all, gap) = model.check(conn).await;
            gaps += usize::from(gap.is_some());
            look(conn, &model, &mut random, (&all, gap)).await;
            read(conn, &model, &mut random, &all).await;
        }
        let (all, _) = model.check(conn).await;
        let kept: u64 = all
            .iter()
            .map(|line| junglegrid::domain::logs::weight(line.message.len()))
            .sum();
        // One block more than the head, and what is still in rows.
        assert!(
            kept < 60_000 + 90_000 + 2 * 128 * 1024 + 64 * 1024,
            "{kept}"
        );
        assert!(kept > 60_000, "{kept}");
    })
    .await;
}

async fn look(
    conn: &mut Conn,
    model: &Model,
    random: &mut StdRng,
    (all, gap): (&[Line], Option<(i64, i64)>),
) {
    for _ in 0..6 {
        let at = random.random_range(0..=model.last + 1);
        let limit = [1, 7, 100, 1_000][random.random_range(0..4)];
        let filter = any_filter(random);
        // Whoever is within the gap is told of the rest of it only.
        let inside = gap.is_some_and(|(after, last)| after < at && at < last);
        let found = logs::forward(conn, model.job, at, limit, &filter)
            .await
            .unwrap();
        let mut expected: Vec<Line> = all
            .iter()
            .filter(|line| line.entry > at && wanted(line, &filter))
            .cloned()
            .collect();
        if inside
            && let Some(first) = expected
                .first_mut()
                .filter(|line| Some(line.entry) == gap.map(|(_, last)| last))
        {
            first.dropped = first.entry - at;
            first.message.clone_from(&found.lines[0].message);
        }
        assert_eq!(found.full, expected.len() > limit);
        expected.truncate(limit);
        assert_eq!(found.lines, expected, "after {at}");
        assert!(found.reached >= at);

        let found = logs::backward(conn, model.job, at, limit, &filter)
            .await
            .unwrap();
        let expected: Vec<&Line> = all
            .iter()
            .filter(|line| line.entry < at && wanted(line, &filter))
            .collect();
        let expected = &expected[expected.len().saturating_sub(limit)..];
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "before {at}");
    }
    let tail = logs::tail(conn, model.job, 9, &Filter::default())
        .await
        .unwrap();
    assert_eq!(entries(&tail), entries(&all[all.len().saturating_sub(9)..]));
}

/// Parts of the text are parts of the text.
async fn read(conn: &mut Conn, model: &Model, random: &mut StdRng, all: &[Line]) {
    let whole: String = all
        .iter()
        .flat_map(|line| {
            [
                line.message.as_str(),
                if line.truncated { "" } else { "\n" },
            ]
        })
        .collect();
    let whole = whole.into_bytes();
    let extent = logs::extent(conn, model.job).await.unwrap();
    assert_eq!(extent.length, i64::try_from(whole.len()).unwrap());
    for from in [0, random.random_range(0..whole.len()), whole.len() - 1] {
        let offset = i64::try_from(from).unwrap();
        let mut at = Piece::at(conn, model.job, &extent, offset).await.unwrap();
        let mut found = Vec::new();
        while let Some(piece) = logs::piece(conn, model.job, &mut at).await.unwrap() {
            assert!(!piece.is_empty());
            found.extend(piece);
        }
        assert!(found == whole[from..], "from {from}");
    }
}

#[tokio::test]
async fn a_text_that_is_cut_while_it_is_read_is_broken_off() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let limits = Limits {
            head: 10_000,
            tail: 50_000,
            rate: 1,
        };
        let job = running(conn).await;
        let mut cursor = String::new();
        let mut print = async |conn: &mut Conn| {
            let to = format!("{cursor}.");
            let batch = Batch::new((1..=300).map(line).collect());
            logs::append(conn, (job, 1), (&cursor, &to), &batch, &limits)
                .await
                .unwrap();
            cursor = to;
        };
        for _ in 0..6 {
            print(conn).await;
        }
        let before = logs::extent(conn, job).await.unwrap();
        let mut at = Piece::at(conn, job, &before, 0).await.unwrap();
        print(conn).await;
        let after = logs::extent(conn, job).await.unwrap();
        assert_ne!(before.tag(), after.tag());
        let mut found = 0;
        while let Some(piece) = logs::piece(conn, job, &mut at).await.unwrap() {
            found += i64::try_from(piece.len()).unwrap();
        }
        assert!(found < before.length, "{found} of {}", before.length);
    })
    .await;
}

#[tokio::test]
async fn old_output_is_deleted_and_says_so() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let job = running(conn).await;
        let batch = Batch::new((1..=300).map(line).collect());
        logs::append(conn, (job, 1), ("", "1"), &batch, &ALL)
            .await
            .unwrap();
        let later = NOW + time::Duration::days(1);
        assert_eq!(
            logs::expired(conn, later).await.unwrap(),
            [],
            "it has not ended"
        );
        let mut ended = jobs::find_for_worker(conn, job).await.unwrap().unwrap();
        ended = super::completed(ended, 60, 0);
        jobs::update(conn, &mut ended, &[]).await.unwrap();
        assert_eq!(logs::expired(conn, NOW).await.unwrap(), []);
        assert_eq!(logs::expired(conn, later).await.unwrap(), [job]);
        logs::expire(conn, job).await.unwrap();
        assert_eq!(logs::expired(conn, later).await.unwrap(), []);
        assert_eq!(page(conn, job, (0, 10)).await, []);
        let totals = logs::totals(conn, job).await.unwrap();
        assert!(totals.expired());
        assert_eq!((totals.text_bytes(), totals.counts.stderr), (0, 100));
    })
    .await;
}
