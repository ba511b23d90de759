//! Many lines in one row: compressed with zstd, one after the other as
//!
//! ```text
//! u8 stream (2 bits), level (2 bits), truncated, dropped | time since the line before
//! | number of dropped lines, if so | length | message
//! ```
//!
//! Numbers are LEB128, times zigzag microseconds.
use super::{Counts, Line, Meta, NewLine, STREAMS};
use crate::clock::{from_micros, micros};
use crate::domain::id::JobId;
use crate::domain::logs::{Level, Needle, weight};
use crate::store::{Conn, Error, corrupt};
use time::OffsetDateTime;

/// A block is closed when it has so many lines or bytes.
const LINES: usize = 2_000;
const BYTES: usize = 128 * 1024;
/// The fastest that compresses well: output is read far less often than written.
const EFFORT: i32 = 1;
const TRUNCATED: u8 = 1 << 4;
const DROPPED: u8 = 1 << 5;

/// A block that has no place yet.
#[derive(Debug)]
pub(super) struct Packed {
    /// How many numbers its lines take.
    pub(super) span: i64,
    pub(super) text_bytes: i64,
    pub(super) weight: i64,
    pub(super) counts: Counts,
    /// The time of its first line, in microseconds.
    pub(super) began_at: i64,
    pub(super) plain_bytes: i64,
    pub(super) data: Vec<u8>,
}

/// As few blocks as these lines take.
pub(super) fn pack(lines: &[NewLine]) -> Vec<Packed> {
    let mut blocks = Vec::new();
    let mut open = Open::default();
    for line in lines {
        open.add(line);
        if open.lines >= LINES || open.plain.len() >= BYTES {
            blocks.push(std::mem::take(&mut open).close());
        }
    }
    if open.lines > 0 {
        blocks.push(open.close());
    }
    blocks
}

#[derive(Debug, Default)]
struct Open {
    lines: usize,
    span: i64,
    text_bytes: i64,
    weight: u64,
    counts: Counts,
    began_at: i64,
    before: i64,
    plain: Vec<u8>,
}

impl Open {
    fn add(&mut self, line: &NewLine) {
        let level = line.level();
        let stream = STREAMS
            .iter()
            .position(|name| *name == line.stream)
            .unwrap_or(2);
        let mut head = u8::try_from(stream).unwrap_or(2) | (level as u8) << 2;
        if line.truncated {
            head |= TRUNCATED;
        }
        if line.dropped > 0 {
            head |= DROPPED;
        }
        self.plain.push(head);
        let at = micros(line.at);
        if self.lines == 0 {
            self.began_at = at;
        }
        let since = at.wrapping_sub(self.before);
        self.before = at;
        number(
            &mut self.plain,
            ((since << 1) ^ (since >> 63)).cast_unsigned(),
        );
        if line.dropped > 0 {
            number(&mut self.plain, line.dropped.cast_unsigned());
        }
        number(&mut self.plain, line.message.len() as u64);
        self.plain.extend_from_slice(line.message.as_bytes());
        self.lines += 1;
        self.span += line.span();
        self.text_bytes += line.text_bytes();
        self.weight += weight(line.message.len());
        self.counts.add(line.stream, level);
    }

    fn close(self) -> Packed {
        Packed {
            span: self.span,
            text_bytes: self.text_bytes,
            weight: i64::try_from(self.weight).unwrap_or(i64::MAX),
            counts: self.counts,
            began_at: self.began_at,
            plain_bytes: i64::try_from(self.plain.len()).unwrap_or(i64::MAX),
            data: zstd::bulk::compress(&self.plain, EFFORT).expect("memory is all that it needs"),
        }
    }
}

fn number(into: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        into.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    into.push(number.to_le_bytes()[0]);
}

/// A block with what is in it, still compressed.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) after_entry: i64,
    pub(super) last_entry: i64,
    pub(super) began_at: OffsetDateTime,
    plain_bytes: i64,
    data: Vec<u8>,
}

/// The blocks from `first` to `last`, which are neighbours; fewer if some have been
/// cut meanwhile.
pub(super) async fn fetch(
    conn: &mut Conn,
    job: JobId,
    (first, last): (&Meta, &Meta),
) -> Result<Vec<Block>, Error> {
    let rows: Vec<(i64, i64, i64, i64, Vec<u8>)> = sqlx::query_as(
        "SELECT last_entry, after_entry, began_at, plain_bytes, data FROM log_blocks
         WHERE job = $1 AND last_entry >= $2 AND last_entry <= $3 ORDER BY last_entry",
    )
    .bind(job.to_string())
    .bind(first.last_entry)
    .bind(last.last_entry)
    .fetch_all(conn)
    .await?;
    let block = |(last_entry, after_entry, began_at, plain_bytes, data)| Block {
        after_entry,
        last_entry,
        began_at: from_micros(began_at),
        plain_bytes,
        data,
    };
    Ok(rows.into_iter().map(block).collect())
}

impl Block {
    /// Its lines, oldest first; none if `text` is nowhere in it.
    pub(super) fn lines(&self, job: JobId, text: Option<&Needle>) -> Result<Vec<Line>, Error> {
        self.unpack(text).ok_or_else(|| {
            let id = format!("{job}/{}", self.last_entry);
            corrupt("log_blocks", &id, "it cannot be unpacked")
        })
    }

    fn unpack(&self, text: Option<&Needle>) -> Option<Vec<Line>> {
        let size = usize::try_from(self.plain_bytes).ok()?;
        let plain = zstd::bulk::decompress(&self.data, size).ok()?;
        if text.is_some_and(|text| text.find(&plain).is_none()) {
            return Some(Vec::new());
        }
        let mut rest = plain.as_slice();
        let mut lines = Vec::new();
        let (mut entry, mut at) = (self.after_entry, 0_i64);
        while let Some((head, tail)) = rest.split_first() {
            rest = tail;
            let since = take(&mut rest)?;
            at = at.wrapping_add((since >> 1).cast_signed() ^ -((since & 1).cast_signed()));
            let dropped = match head & DROPPED {
                0 => 0,
                _ => take(&mut rest)?.cast_signed(),
            };
            let length = usize::try_from(take(&mut rest)?).ok()?;
            let message = rest.split_off(..length)?;
            entry += dropped.max(1);
            lines.push(Line {
                entry,
                stream: STREAMS.get(usize::from(head & 3))?,
                message: String::from_utf8(message.to_vec()).ok()?,
                truncated: head & TRUNCATED != 0,
                dropped,
                level: Level::ALL[usize::from(head >> 2 & 3)],
                at: from_micros(at),
            });
        }
        (entry == self.last_entry).then_some(lines)
    }
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first()?;
        *rest = tail;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines() -> impl Strategy<Value = Vec<NewLine>> {
        let line = (
            0..3_usize,
            ".{0,40}",
            any::<bool>(),
            0..4_i64,
            -9_000_000_000..9_000_000_000_i64,
        );
        let line = line.prop_map(|(stream, message, truncated, dropped, at)| NewLine {
            stream: STREAMS[stream],
            message,
            truncated,
            dropped,
            at: from_micros(at),
        });
        proptest::collection::vec(line, 0..50)
    }

    proptest! {
        #[test]
        fn lines_come_back_as_they_went_in(lines in lines(), after in 0..1_000_000_i64) {
            let mut after = after;
            let mut found = Vec::new();
            let mut text = 0;
            for packed in pack(&lines) {
                let block = Block {
                    after_entry: after,
                    last_entry: after + packed.span,
                    began_at: from_micros(packed.began_at),
                    plain_bytes: packed.plain_bytes,
                    data: packed.data,
                };
                after += packed.span;
                text += packed.text_bytes;
                found.extend(block.unpack(None).unwrap());
            }
            prop_assert_eq!(found.len(), lines.len());
            for (found, line) in found.iter().zip(&lines) {
                prop_assert_eq!(found.stream, line.stream);
                prop_assert_eq!(&found.message, &line.message);
                prop_assert_eq!((found.truncated, found.dropped, found.at), (line.truncated, line.dropped, line.at));
                prop_assert_eq!(found.level, line.level());
            }
            let whole: i64 = lines.iter().map(NewLine::text_bytes).sum();
            prop_assert_eq!(text, whole);
        }

        #[test]
        fn no_bytes_can_do_harm(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let plain_bytes = i64::try_from(data.len()).unwrap();
            let data = zstd::bulk::compress(&data, 1).unwrap();
            let began_at = from_micros(0);
            let _ = Block { after_entry: 0, last_entry: 1, began_at, plain_bytes, data }.unpack(None);
        }
    }
}
