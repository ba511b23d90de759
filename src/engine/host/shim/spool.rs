//! The output on disk until the server has it: its beginning, and the newest of
//! what follows, in parts of which the oldest is removed. What comes faster than
//! is allowed is counted and dropped before it costs anything.
use super::super::frame::{self, Decoded, Frame, Why};
use super::super::record;
use super::sys;
use crate::domain::logs::{LONGEST_LINE, Limits, weight};
use crate::engine::Stream;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The tail is kept in so many parts, and the one that is being written.
const PARTS: u64 = 8;
const SMALLEST_PART: u64 = 64 * 1024;
/// What was dropped is told after so long if nothing else is.
const SILENCE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Log {
    run: PathBuf,
    limits: Limits,
    file: File,
    /// The part that is being written.
    number: u64,
    /// Its length up to which it holds whole frames.
    length: u64,
    /// What it holds, by weight.
    held: u64,
    pending: Vec<u8>,
    /// Lines that are in frames, dropped ones included.
    told: u64,
    /// Lines that were dropped after them, why, and since when.
    dropped: Option<(u64, Why, Instant)>,
    bucket: Bucket,
}

impl Log {
    pub(super) fn new(run: &Path, limits: Limits) -> io::Result<Self> {
        let file = part(run, 0)?;
        Ok(Self {
            run: run.to_owned(),
            limits,
            length: file.metadata()?.len(),
            file,
            number: 0,
            held: 0,
            pending: Vec::new(),
            told: 0,
            dropped: None,
            bucket: Bucket::new(limits.rate),
        })
    }

    pub(super) fn line(&mut self, stream: Stream, line: &[u8], truncated: bool) {
        let weight = weight(line.len());
        if !self.bucket.admits(weight) {
            return self.drop(1, Why::Rate);
        }
        if self.held + weight > self.room() && !self.next_part() {
            return self.drop(1, Why::Room);
        }
        self.held += weight;
        self.put(stream, line, truncated);
    }

    /// Says something to whoever reads the log; not subject to the limits.
    pub(super) fn say(&mut self, text: &str) {
        let line = &text.as_bytes()[..text.len().min(LONGEST_LINE)];
        self.put(Stream::System, line, false);
    }

    fn put(&mut self, stream: Stream, line: &[u8], truncated: bool) {
        self.tell_dropped();
        self.told += 1;
        let at = sys::now();
        let frame = Frame::Line {
            stream,
            at,
            truncated,
            line,
        };
        frame::encode(&frame, &mut self.pending);
    }

    fn drop(&mut self, lines: u64, why: Why) {
        match &mut self.dropped {
            Some((before, ..)) => *before += lines,
            None => self.dropped = Some((lines, why, Instant::now())),
        }
    }

    fn tell_dropped(&mut self) {
        if let Some((lines, why, _)) = self.dropped.take() {
            self.told += lines;
            let at = sys::now();
            frame::encode(&Frame::Dropped { at, lines, why }, &mut self.pending);
        }
    }

    /// When [`Log::flush`] has something to say that nobody has asked for. What has
    /// no room has none later either, and is told at the end.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.dropped {
            Some((_, Why::Rate, since)) => Some(since + SILENCE),
            Some((_, Why::Room, _)) | None => None,
        }
    }

    fn room(&self) -> u64 {
        match self.number {
            0 => self.limits.head,
            _ => (self.limits.tail / PARTS).max(SMALLEST_PART),
        }
    }

    /// Goes on in the next part, and removes the oldest of the tail; `false` if
    /// there can be none.
    fn next_part(&mut self) -> bool {
        if self.limits.tail == 0 {
            return false;
        }
        self.flush();
        let number = self.number + 1;
        let Ok(mut file) = part(&self.run, number) else {
            return self.out_of_room();
        };
        let mut start = Vec::new();
        let (at, lines) = (sys::now(), self.told);
        frame::encode(&Frame::Start { at, lines }, &mut start);
        if file.write_all(&start).is_err() {
            let _ = std::fs::remove_file(self.run.join(record::log_segment(number)));
            return self.out_of_room();
        }
        self.file = file;
        self.length = start.len() as u64;
        (self.number, self.held) = (number, 0);
        // The first part is the head.
        if let Some(oldest) = number.checked_sub(PARTS + 1).filter(|oldest| *oldest > 0) {
            let _ = std::fs::remove_file(self.run.join(record::log_segment(oldest)));
        }
        true
    }

    /// A full disk may have room again soon, so it is tried again then.
    fn out_of_room(&mut self) -> bool {
        self.bucket.shut();
        false
    }

    /// Writes what has gathered. If the disk is full, half a frame is taken back,
    /// because nothing could be read behind it.
    pub(super) fn flush(&mut self) {
        if self.deadline().is_some_and(|at| Instant::now() >= at) {
            self.tell_dropped();
        }
        if self.pending.is_empty() {
            return;
        }
        if self.file.write_all(&self.pending).is_ok() {
            self.length += self.pending.len() as u64;
        } else {
            let _ = self.file.set_len(self.length);
            let mut lost = 0;
            let mut rest = self.pending.as_slice();
            while let Decoded::Frame(frame, size) = frame::decode(rest) {
                lost += frame.lines();
                rest = &rest[size..];
            }
            self.told -= lost;
            self.drop(lost, Why::Room);
            self.out_of_room();
        }
        self.pending.clear();
    }

    /// Says what was dropped last and brings everything to disk.
    pub(super) fn close(&mut self) {
        self.flush();
        self.tell_dropped();
        self.flush();
        let _ = self.file.sync_all();
    }
}

fn part(run: &Path, number: u64) -> io::Result<File> {
    File::options()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(run.join(record::log_segment(number)))
}

/// Lets so much through per second, and two seconds' worth at once. Once empty it
/// lets nothing through for half a second, so that lines and gaps do not alternate.
#[derive(Debug)]
struct Bucket {
    rate: u64,
    holds: u64,
    filled: Instant,
    shut: bool,
}

impl Bucket {
    fn new(rate: u64) -> Self {
        // The longest line must fit.
        let rate = rate.max(4 * LONGEST_LINE as u64);
        Self {
            rate,
            holds: 2 * rate,
            filled: Instant::now(),
            shut: false,
        }
    }

    fn admits(&mut self, weight: u64) -> bool {
        if self.shut || self.holds < weight {
            self.fill();
            self.shut = if self.shut {
                self.holds < self.rate / 2
            } else {
                self.holds < weight
            };
        }
        if self.shut {
            return false;
        }
        self.holds -= weight;
        true
    }

    fn fill(&mut self) {
        let now = Instant::now();
        let millis = u64::try_from((now - self.filled).as_millis()).unwrap_or(u64::MAX);
        let more = self.rate.saturating_mul(millis) / 1_000;
        // Less than one is kept for later.
        if more > 0 {
            self.filled = now;
            self.holds = self.holds.saturating_add(more).min(2 * self.rate);
        }
    }

    fn shut(&mut self) {
        self.fill();
        (self.holds, self.shut) = (0, true);
    }
}
