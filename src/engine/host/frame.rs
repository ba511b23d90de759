//! The log file's format: framed lines, appended only. A frame that was torn by
//! a crash is recognized by its length or its checksum and ends the file.
//!
//! ```text
//! u32 length of the line | u8 stream | u8 flags | i64 unix microseconds | u32 checksum | line
//! ```
use crate::engine::Stream;

/// Longer lines are cut into several.
pub(super) const MAX_LINE: usize = 16 * 1024;
pub(super) const HEADER: usize = 18;
const TRUNCATED: u8 = 1;

/// One line as it lies in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) stream: Stream,
    /// Unix microseconds.
    pub(super) at: i64,
    pub(super) truncated: bool,
    pub(super) line: &'a [u8],
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
    let length = u32::try_from(frame.line.len()).expect("lines are cut at MAX_LINE");
    let start = into.len();
    into.extend_from_slice(&length.to_le_bytes());
    into.push(code(frame.stream));
    into.push(if frame.truncated { TRUNCATED } else { 0 });
    into.extend_from_slice(&frame.at.to_le_bytes());
    let sum = checksum(&into[start..], frame.line);
    into.extend_from_slice(&sum.to_le_bytes());
    into.extend_from_slice(frame.line);
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
        stream,
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
    // Zero is no stream, so that a hole left by a power cut is no frame.
    let stream = match stream {
        1 => Stream::Out,
        2 => Stream::Err,
        3 => Stream::System,
        _ => return Decoded::Broken,
    };
    if length > MAX_LINE {
        return Decoded::Broken;
    }
    let Some(line) = rest.get(..length) else {
        return Decoded::Partial;
    };
    if checksum(&header[..HEADER - 4], line) != u32::from_le_bytes([s0, s1, s2, s3]) {
        return Decoded::Broken;
    }
    let at = i64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
    Decoded::Frame(
        Frame {
            stream,
            at,
            truncated: flags & TRUNCATED != 0,
            line,
        },
        HEADER + length,
    )
}

fn code(stream: Stream) -> u8 {
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
        let frame = Frame {
            stream: Stream::Err,
            at: 1_700_000_000_123_456,
            truncated: true,
            line: b"hello\xff",
        };
        let mut bytes = Vec::new();
        encode(&frame, &mut bytes);
        assert_eq!(decode(&bytes), Decoded::Frame(frame, bytes.len()));
        for cut in 0..bytes.len() {
            assert_eq!(decode(&bytes[..cut]), Decoded::Partial, "cut at {cut}");
        }
    }

    #[test]
    fn a_hole_or_a_flipped_bit_is_no_frame() {
        assert_eq!(decode(&[0; 64]), Decoded::Broken);
        let mut bytes = Vec::new();
        encode(
            &Frame {
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
