//! Reading a run's output; a cursor is an offset into a part of it, and how many
//! lines came before.
use super::frame::{self, Decoded, Frame, Why};
use super::record;
use super::runs::{Runs, unavailable};
use crate::domain::logs::dropped;
use crate::engine::{Cursor, Error, Handle, LogLine, Result, Status, Stream};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lines that are handed over at once at most.
const BATCH: usize = 16_000;
/// Bytes read at once at most; holds many of the longest frames.
const CHUNK: usize = 2 * 1024 * 1024;
const PAUSE: Duration = Duration::from_millis(60);

pub(super) fn read(
    runs: Runs,
    handle: Handle,
    from: Cursor,
    follow: bool,
) -> BoxStream<'static, Result<Vec<LogLine>>> {
    async_stream::try_stream! {
        let run = runs.path(&handle)?;
        let mut position = Position::read(&from)?;
        let mut trusted = position.offset == 0;
        let mut ended = false;
        loop {
            let found = batch(run.clone(), position).await?;
            position = found.next;
            match (found.lines.is_empty(), found.broken) {
                (false, _) => {
                    trusted = true;
                    yield found.lines;
                    continue;
                }
                (true, true) if !trusted => Err(Error::Refused("the cursor points to no line".into()))?,
                // A crash of the machine left a hole; nothing was written behind it.
                (true, true) => return,
                (true, false) => {}
            }
            if ended || !follow {
                return;
            }
            // Before reading again, so that nothing can come after the last read.
            ended = self::ended(&runs, &handle).await?;
            if !ended {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    .boxed()
}

#[derive(Debug, Clone, Copy)]
struct Position {
    segment: u64,
    offset: u64,
    /// Lines before it, dropped ones included.
    lines: u64,
}

impl Position {
    /// Earlier versions had one part only, and wrote the offset alone.
    fn read(cursor: &Cursor) -> Result<Self> {
        let mut numbers = [0; 3];
        let text = match cursor.0.as_str() {
            "" => "0",
            text => text,
        };
        let parts: Vec<&str> = text.split('.').collect();
        let into = match parts.len() {
            1 => &mut numbers[1..2],
            _ => &mut numbers[..],
        };
        if parts.len() != into.len() {
            return Err(foreign());
        }
        for (number, part) in into.iter_mut().zip(parts) {
            *number = part.parse().map_err(|_| foreign())?;
        }
        let [segment, offset, lines] = numbers;
        Ok(Self {
            segment,
            offset,
            lines,
        })
    }

    fn cursor(self) -> Cursor {
        Cursor(format!("{}.{}.{}", self.segment, self.offset, self.lines))
    }
}

fn foreign() -> Error {
    Error::Refused("not a cursor of this engine".into())
}

async fn ended(runs: &Runs, handle: &Handle) -> Result<bool> {
    let (runs, handle) = (runs.clone(), handle.clone());
    let status = blocking(move || runs.status(&handle)).await?;
    Ok(matches!(status, Status::Ended(_)))
}

#[derive(Debug)]
struct Batch {
    lines: Vec<LogLine>,
    next: Position,
    broken: bool,
}

async fn batch(run: PathBuf, from: Position) -> Result<Batch> {
    blocking(move || read_batch(&run, from).map_err(unavailable)).await
}

fn read_batch(run: &Path, mut from: Position) -> io::Result<Batch> {
    loop {
        // Before reading: to what has a successor nothing is added any more.
        let newer = newer(run, from.segment)?;
        let found = read_part(run, from)?;
        match newer {
            Some(segment) if found.lines.is_empty() && !found.broken => {
                from = Position {
                    segment,
                    offset: 0,
                    lines: found.next.lines,
                };
            }
            _ => return Ok(found),
        }
    }
}

/// The next part that there is.
fn newer(run: &Path, segment: u64) -> io::Result<Option<u64>> {
    if run.join(record::log_segment(segment + 1)).exists() {
        return Ok(Some(segment + 1));
    }
    // Only the oldest are removed, and never the first: the one after this may be gone
    // only if this one is the first, or gone itself.
    if segment > 0 && run.join(record::log_segment(segment)).exists() {
        return Ok(None);
    }
    let all = record::log_segments(run)?;
    Ok(all.into_iter().find(|number| *number > segment))
}

fn read_part(run: &Path, from: Position) -> io::Result<Batch> {
    let mut found = Batch {
        lines: Vec::new(),
        next: from,
        broken: false,
    };
    let file = match File::open(run.join(record::log_segment(from.segment))) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        file => file?,
    };
    let waiting = file.metadata()?.len().saturating_sub(from.offset);
    let mut buffer = vec![0; usize::try_from(waiting).unwrap_or(CHUNK).min(CHUNK)];
    let size = file.read_at(&mut buffer, from.offset)?;
    buffer.truncate(size);
    let bytes = Bytes::from(buffer);
    let mut position = 0;
    while found.lines.len() < BATCH {
        match frame::decode(&bytes[position..]) {
            Decoded::Frame(frame, size) => {
                position += size;
                found.next.offset += size as u64;
                found.take(&bytes, frame);
            }
            Decoded::Partial => break,
            Decoded::Broken => {
                found.broken = true;
                break;
            }
        }
    }
    Ok(found)
}

impl Batch {
    fn take(&mut self, bytes: &Bytes, frame: Frame<'_>) {
        let line = match frame {
            Frame::Line {
                stream,
                at,
                truncated,
                line,
            } => {
                self.next.lines += 1;
                LogLine {
                    stream,
                    at: record::instant(at),
                    data: bytes.slice_ref(line),
                    truncated,
                    dropped: 0,
                    next: self.next.cursor(),
                }
            }
            Frame::Dropped { at, lines, why } => {
                let why = match why {
                    Why::Rate => "they came faster than is kept",
                    Why::Room => "there was no room for them",
                };
                return self.gap(at, lines, why);
            }
            // Whoever has read the part before it has seen so many.
            Frame::Start { at, lines } => {
                let missed = lines.saturating_sub(self.next.lines);
                return self.gap(at, missed, "only the beginning and the end are kept");
            }
        };
        self.lines.push(line);
    }

    fn gap(&mut self, at: i64, lines: u64, why: &str) {
        if lines == 0 {
            return;
        }
        self.next.lines += lines;
        self.lines.push(LogLine {
            stream: Stream::System,
            at: record::instant(at),
            data: dropped(lines, why).into(),
            truncated: false,
            dropped: lines,
            next: self.next.cursor(),
        });
    }
}

/// Does file work where it may take its time.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::Unavailable(error.to_string())))
}
