//! Reading a run's output; a cursor is an offset into its log file.
use super::frame::{self, Decoded};
use super::record;
use super::runs::{Runs, unavailable};
use crate::engine::{Cursor, Error, Handle, LogLine, Result, Status};
use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Lines that are handed over at once at most.
const BATCH: usize = 1000;
/// Bytes read at once; holds several of the longest frames.
const CHUNK: usize = 256 * 1024;
const PAUSE: Duration = Duration::from_millis(60);

pub(super) fn read(
    runs: Runs,
    handle: Handle,
    from: Cursor,
    follow: bool,
) -> BoxStream<'static, Result<Vec<LogLine>>> {
    async_stream::try_stream! {
        let run = runs.path(&handle)?;
        let mut offset = offset(&from)?;
        let mut trusted = offset == 0;
        loop {
            // Before reading, so that nothing can come after the last read.
            let ended = ended(&runs, &handle).await?;
            let found = batch(run.clone(), offset).await?;
            match (found.lines.is_empty(), found.broken) {
                (false, _) => {
                    trusted = true;
                    offset = found.next;
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
            tokio::time::sleep(PAUSE).await;
        }
    }
    .boxed()
}

fn offset(cursor: &Cursor) -> Result<u64> {
    match cursor.0.as_str() {
        "" => Ok(0),
        text => text
            .parse()
            .map_err(|_| Error::Refused("not a cursor of this engine".into())),
    }
}

async fn ended(runs: &Runs, handle: &Handle) -> Result<bool> {
    let (runs, handle) = (runs.clone(), handle.clone());
    let status = blocking(move || runs.status(&handle)).await?;
    Ok(matches!(status, Status::Ended(_)))
}

#[derive(Debug)]
struct Batch {
    lines: Vec<LogLine>,
    next: u64,
    broken: bool,
}

async fn batch(run: PathBuf, offset: u64) -> Result<Batch> {
    blocking(move || read_batch(&run, offset).map_err(unavailable)).await
}

fn read_batch(run: &Path, offset: u64) -> io::Result<Batch> {
    let mut found = Batch {
        lines: Vec::new(),
        next: offset,
        broken: false,
    };
    let file = match File::open(run.join(record::LOG)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        file => file?,
    };
    let waiting = file.metadata()?.len().saturating_sub(offset);
    let mut buffer = vec![0; usize::try_from(waiting).unwrap_or(CHUNK).min(CHUNK)];
    let size = file.read_at(&mut buffer, offset)?;
    buffer.truncate(size);
    let bytes = Bytes::from(buffer);
    let mut position = 0;
    while found.lines.len() < BATCH {
        match frame::decode(&bytes[position..]) {
            Decoded::Frame(frame, size) => {
                position += size;
                found.next += size as u64;
                found.lines.push(LogLine {
                    stream: frame.stream,
                    at: record::instant(frame.at),
                    data: bytes.slice_ref(frame.line),
                    truncated: frame.truncated,
                    next: Cursor(found.next.to_string()),
                });
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

/// Does file work where it may take its time.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(Error::Unavailable(error.to_string())))
}
