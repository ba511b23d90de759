//! Turns what the command writes into framed lines on disk, in bounded memory
//! however much it writes.
use super::super::frame::{self, Frame, HEADER, MAX_LINE};
use super::sys;
use crate::engine::Stream;
use std::fs::File;
use std::io::{self, Read as _, Write as _};

/// Read from one pipe per round, so that neither stream starves the other.
const CHUNK: usize = 64 * 1024;

/// The log file, and what did not fit into it any more.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    /// The length up to which the file holds whole frames.
    length: u64,
    pending: Vec<u8>,
    kept: u64,
    limit: u64,
    full: bool,
    dropped_lines: u64,
    dropped_bytes: u64,
}

impl Log {
    pub(super) fn new(file: File, limit: u64) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self {
            file,
            length,
            pending: Vec::new(),
            kept: 0,
            limit,
            full: false,
            dropped_lines: 0,
            dropped_bytes: 0,
        })
    }

    fn line(&mut self, stream: Stream, line: &[u8], truncated: bool) {
        let size = line.len() as u64 + 1;
        self.full |= self.kept + size > self.limit;
        if self.full {
            self.dropped_bytes += line.len() as u64 + u64::from(!truncated);
            self.dropped_lines += u64::from(!truncated);
            return;
        }
        self.kept += size;
        frame::encode(
            &Frame {
                stream,
                at: sys::now(),
                truncated,
                line,
            },
            &mut self.pending,
        );
    }

    /// Says something to whoever reads the log; not subject to the limit.
    pub(super) fn say(&mut self, text: &str) {
        let line = &text.as_bytes()[..text.len().min(MAX_LINE)];
        frame::encode(
            &Frame {
                stream: Stream::System,
                at: sys::now(),
                truncated: false,
                line,
            },
            &mut self.pending,
        );
    }

    /// Writes what has gathered. A full disk counts as a reached limit: half a
    /// frame is taken back, because nothing could be read behind it.
    pub(super) fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        if self.file.write_all(&self.pending).is_ok() {
            self.length += self.pending.len() as u64;
        } else {
            let _ = self.file.set_len(self.length);
            self.full = true;
            let mut rest = self.pending.as_slice();
            while let frame::Decoded::Frame(lost, size) = frame::decode(rest) {
                self.dropped_lines += u64::from(!lost.truncated);
                self.dropped_bytes += (size - HEADER) as u64 + u64::from(!lost.truncated);
                rest = &rest[size..];
            }
        }
        self.pending.clear();
    }

    /// Adds the last word about dropped lines and brings everything to disk.
    pub(super) fn close(&mut self) {
        self.flush();
        if self.dropped_lines > 0 || self.dropped_bytes > 0 {
            let (lines, bytes, limit) = (self.dropped_lines, self.dropped_bytes, self.limit);
            self.say(&format!(
                "{lines} lines ({bytes} bytes) dropped: the log limit of {limit} bytes is reached"
            ));
            self.flush();
        }
        let _ = self.file.sync_all();
    }
}

/// One of the command's two outputs.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) pipe: Option<File>,
    stream: Stream,
    /// A line that has no end yet; shorter than [`MAX_LINE`].
    open: Vec<u8>,
}

impl Output {
    /// `pipe` must not block.
    pub(super) fn new(pipe: File, stream: Stream) -> Self {
        Self {
            pipe: Some(pipe),
            stream,
            open: Vec::new(),
        }
    }

    /// Takes what there is, at most one chunk; `true` if there may be more.
    pub(super) fn read(&mut self, buffer: &mut Vec<u8>, log: &mut Log) -> bool {
        let Some(pipe) = &mut self.pipe else {
            return false;
        };
        buffer.resize(CHUNK, 0);
        match pipe.read(buffer) {
            Ok(0) => self.end(log),
            Ok(size) => {
                self.take(&buffer[..size], log);
                return true;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => self.end(log),
        }
        false
    }

    /// Ends the stream; what has no line end is a line too.
    pub(super) fn end(&mut self, log: &mut Log) {
        self.pipe = None;
        if !self.open.is_empty() {
            log.line(self.stream, &self.open, false);
            self.open.clear();
        }
    }

    fn take(&mut self, mut bytes: &[u8], log: &mut Log) {
        while !bytes.is_empty() {
            let room = MAX_LINE - self.open.len();
            let near = &bytes[..bytes.len().min(room + 1)];
            match near.iter().position(|byte| *byte == b'\n') {
                Some(end) => {
                    self.open.extend_from_slice(&bytes[..end]);
                    let line = self.open.strip_suffix(b"\r").unwrap_or(&self.open);
                    log.line(self.stream, line, false);
                    self.open.clear();
                    bytes = &bytes[end + 1..];
                }
                None if near.len() > room => {
                    self.open.extend_from_slice(&bytes[..room]);
                    log.line(self.stream, &self.open, true);
                    self.open.clear();
                    bytes = &bytes[room..];
                }
                None => {
                    self.open.extend_from_slice(bytes);
                    bytes = &[];
                }
            }
        }
    }
}
