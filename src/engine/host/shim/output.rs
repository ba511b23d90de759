//! Turns what the command writes into lines, in bounded memory however long they are.
use super::spool::Log;
use crate::domain::logs::LONGEST_LINE;
use crate::engine::Stream;
use std::fs::File;
use std::io::{self, Read as _};

/// Read from one pipe per round, so that neither stream starves the other.
const CHUNK: usize = 64 * 1024;

/// One of the command's two outputs.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) pipe: Option<File>,
    stream: Stream,
    /// A line that has no end yet; shorter than [`LONGEST_LINE`].
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
            let room = LONGEST_LINE - self.open.len();
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
                    let cut = whole_characters(&self.open);
                    log.line(self.stream, &self.open[..cut], true);
                    self.open.drain(..cut);
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

/// How much of `bytes` does not end within a character.
fn whole_characters(bytes: &[u8]) -> usize {
    for back in 1..=bytes.len().min(3) {
        let needs = match bytes[bytes.len() - back] {
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        return if needs > back {
            bytes.len() - back
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_character_is_cut_in_two() {
        let text = "aé€😀".as_bytes();
        for (length, whole) in [
            (0, 0),
            (1, 1),
            (2, 1),
            (3, 3),
            (4, 3),
            (5, 3),
            (6, 6),
            (7, 6),
            (8, 6),
            (9, 6),
            (10, 10),
        ] {
            assert_eq!(whole_characters(&text[..length]), whole, "of {length}");
        }
        assert_eq!(
            whole_characters(&[0x80; 9]),
            9,
            "what is no text is cut anywhere"
        );
    }
}
