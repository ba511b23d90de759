//! The log file's format: framed lines, appended only. A frame that was torn by
//! a crash is recognized by its length or its checksum and ends the file.
//!
//! ```text
//! u32 length of the line | u8 kind | u8 flags | i64 unix microseconds | u32 checksum | line
//! ```
use crate::domain::logs::LONGEST_LINE;
use crate::engine::Stream;

pub(super) const HEADER: usize = 18;
const TRUNCATED: u8 = 1;
const DROPPED: u8 = 4;
const START: u8 = 5;

/// One entry of the file. Times are unix microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame<'a> {
    Line {
        stream: Stream,
        at: i64,
        truncated: bool,
        line: &'a [u8],
    },
    /// So many lines were dropped here.
    Dropped { at: i64, lines: u64, why: Why },
    /// The beginning of a part other than the first: so many lines came before it,
    /// dropped ones included.
    Start { at: i64, lines: u64 },
}

/// Why lines were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// They came too fast.
    Rate,
    /// There was no room for them.
    Room,
}

impl Frame<'_> {
    /// How many lines of the command it stands for.
    pub(super) const fn lines(&self) -> u64 {
        match self {
            Self::Line { .. } => 1,
            Self::Dropped { lines, .. } => *lines,
            Self::Start { .. } => 0,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded<'a> {
    /// The frame, and how many bytes it takes.
    Frame(Frame<'a>, usize),
    /// The rest has not been written yet, or never will be.
    Partial,
    /// No frame begins here.
    Broken,
}

pub(super) fn encode(frame: &Frame<'_>, into: &mut Vec<u8>) {
    match *frame {
        Frame::Line {
            stream,
            at,
            truncated,
            line,
        } => put(
            into,
            (code(stream), if truncated { TRUNCATED } else { 0 }),
            at,
            line,
        ),
        Frame::Dropped { at, lines, why } => {
            let mut what = [0; 9];
            what[..8].copy_from_slice(&lines.to_le_bytes());
            what[8] = match why {
                Why::Rate => 1,
                Why::Room => 2,
            };
            put(into, (DROPPED, 0), at, &what);
        }
        Frame::Start { at, lines } => put(into, (START, 0), at, &lines.to_le_bytes()),
    }
}

fn put(into: &mut Vec<u8>, (kind, flags): (u8, u8), at: i64, what: &[u8]) {
    let length = u32::try_from(what.len()).expect("lines are cut at LONGEST_LINE");
    let start = into.len();
    into.extend_from_slice(&length.to_le_bytes());
    into.push(kind);
    into.push(flags);
    into.extend_from_slice(&at.to_le_bytes());
    let sum = checksum(&into[start..], what);
    into.extend_from_slice(&sum.to_le_bytes());
    into.extend_from_slice(what);
}

pub(super) fn decode(bytes: &[u8]) -> Decoded<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Decoded::Partial;
    };
    let [
        l0,
        l1,
        l2,
        l3,
        kind,
        flags,
        t0,
        t1,
        t2,
        t3,
        t4,
        t5,
        t6,
        t7,
        s0,
        s1,
        s2,
        s3,
    ] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    // Zero is no kind, so that a hole left by a power cut is no frame.
    if !(1..=START).contains(&kind) || length > LONGEST_LINE {
        return Decoded::Broken;
    }
    let Some(what) = rest.get(..length) else {
        return Decoded::Partial;
    };
    if checksum(&header[..HEADER - 4], what) != u32::from_le_bytes([s0, s1, s2, s3]) {
        return Decoded::Broken;
    }
    let at = i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
    let line = |stream| Frame::Line {
        stream,
        at,
        truncated: flags & TRUNCATED != 0,
        line: what,
    };
    let frame = match (kind, what.split_first_chunk::<8>()) {
        (1, _) => line(Stream::Out),
        (2, _) => line(Stream::Err),
        (3, _) => line(Stream::System),
        (DROPPED, Some((lines, why))) => Frame::Dropped {
            at,
            lines: u64::from_le_bytes(*lines),
            why: if why == [1] { Why::Rate } else { Why::Room },
        },
        (START, Some((lines, _))) => Frame::Start {
            at,
            lines: u64::from_le_bytes(*lines),
        },
        _ => return Decoded::Broken,
    };
    Decoded::Frame(frame, HEADER + length)
}

const fn code(stream: Stream) -> u8 {
    match stream {
        Stream::Out => 1,
        Stream::Err => 2,
        Stream::System => 3,
    }
}

/// FNV-1a: tells torn writes, not attackers; only the shim writes the file.
fn checksum(header: &[u8], line: &[u8]) -> u32 {
    header.iter().chain(line).fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_and_every_torn_tail_is_partial() {
        let at = 1_700_000_000_123_456;
        let line = Frame::Line {
            stream: Stream::Err,
            at,
            truncated: true,
            line: b"hello\xff",
        };
        let why = Why::Rate;
        for (frame, lines) in [
            (line, 1),
            (
                Frame::Dropped {
                    at,
                    lines: 1 << 40,
                    why,
                },
                1 << 40,
            ),
            (Frame::Start { at, lines: 77 }, 0),
        ] {
            let mut bytes = Vec::new();
            encode(&frame, &mut bytes);
            assert_eq!(decode(&bytes), Decoded::Frame(frame, bytes.len()));
            assert_eq!(frame.lines(), lines);
            for cut in 0..bytes.len() {
                assert_eq!(decode(&bytes[..cut]), Decoded::Partial, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_hole_or_a_flipped_bit_is_no_frame() {
        assert_eq!(decode(&[0; 64]), Decoded::Broken);
        let mut bytes = Vec::new();
        encode(
            &Frame::Line {
                stream: Stream::Out,
                at: 1,
                truncated: false,
                line: b"abc",
            },
            &mut bytes,
        );
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        assert_eq!(decode(&bytes), Decoded::Broken);
    }
}
