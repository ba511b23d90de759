//! Reading back from a line.
use super::block::fetch;
use super::forward::{BYTES, SEARCHED, Sifted, sifted};
use super::{BLOCKS, BLOCKS_BEFORE, Filter, Line, Meta, TAIL, metas, rows};
use crate::clock::from_micros;
use crate::domain::id::JobId;
use crate::store::{Conn, Error};
use time::OffsetDateTime;

/// Blocks whose description is read at once.
const FEW: i64 = 4;
const MANY: i64 = 500;
/// Rows read at once where most of them may not be wanted.
const ROWS: i64 = 1_000;

/// What has been found, newest first.
struct Back<'a> {
    lines: Vec<Line>,
    limit: usize,
    bytes: usize,
    filter: &'a Filter,
    /// Everything from this number on has been looked at.
    lowest: i64,
    /// The number before the oldest line that was seen, and its time.
    edge: Option<(i64, OffsetDateTime)>,
}

impl Back<'_> {
    /// Takes what is wanted of `lines`, newest first; `false` when it is enough.
    fn take(&mut self, lines: impl IntoIterator<Item = Line>) -> bool {
        for line in lines {
            if line.entry >= self.lowest {
                continue;
            }
            self.lowest = line.entry;
            self.edge = Some((line.after(), line.at));
            if self.filter.admits(&line) {
                self.bytes = self.bytes.saturating_sub(line.message.len());
                self.lines.push(line);
                if self.lines.len() >= self.limit || self.bytes == 0 {
                    return false;
                }
            }
        }
        true
    }

    /// Goes below everything that is in a block or between two; `false` when that
    /// is enough.
    fn descend(&mut self, block: Sifted) -> bool {
        if let Some((edge, at)) = self.edge
            && block.last < edge
            && !self.take([Line::gap(block.last, edge, at)])
        {
            return false;
        }
        if !self.take(block.lines.into_iter().rev()) {
            return false;
        }
        self.lowest = self.lowest.min(block.after + 1);
        self.edge = Some((block.after, block.began_at));
        true
    }

    fn done(mut self) -> Vec<Line> {
        self.lines.reverse();
        self.lines
    }
}

/// At most `limit` wanted lines before number `before`, the nearest ones, oldest
/// first, and at most about half a megabyte of text.
pub async fn backward(
    conn: &mut Conn,
    job: JobId,
    before: i64,
    limit: usize,
    filter: &Filter,
) -> Result<Vec<Line>, Error> {
    let mut back = Back {
        lines: Vec::new(),
        limit,
        bytes: BYTES,
        filter,
        lowest: before,
        edge: None,
    };
    if limit == 0 {
        return Ok(Vec::new());
    }
    let at_once = if filter.all() {
        i64::try_from(limit).unwrap_or(ROWS).min(ROWS)
    } else {
        ROWS
    };
    loop {
        let loose = rows(conn, TAIL, job, (back.lowest, at_once)).await?;
        let last = i64::try_from(loose.len()).unwrap_or(ROWS) < at_once;
        if !back.take(loose) {
            return Ok(back.done());
        }
        if last {
            break;
        }
    }
    // The block that the lowest line is in, or that ends just before it.
    let around = metas(conn, BLOCKS, job, (back.lowest.saturating_sub(2), 1)).await?;
    let around: Vec<Meta> = around
        .into_iter()
        .filter(|meta| meta.after_entry < back.lowest - 1)
        .collect();
    if !around.is_empty() && !in_blocks(conn, job, &around, &mut back).await? {
        return Ok(back.done());
    }
    let some = if filter.all() { FEW } else { MANY };
    loop {
        let blocks = metas(conn, BLOCKS_BEFORE, job, (back.lowest, some)).await?;
        if blocks.is_empty() || !in_blocks(conn, job, &blocks, &mut back).await? {
            return Ok(back.done());
        }
    }
}

/// `blocks` newest first; `false` when enough is found.
async fn in_blocks(
    conn: &mut Conn,
    job: JobId,
    blocks: &[Meta],
    back: &mut Back<'_>,
) -> Result<bool, Error> {
    let mut rest = blocks;
    while let Some(meta) = rest.first() {
        if !back.filter.may_admit(&meta.counts) {
            let nothing = Sifted {
                after: meta.after_entry,
                last: meta.last_entry,
                began_at: from_micros(meta.began_at),
                lines: Vec::new(),
            };
            if !back.descend(nothing) {
                return Ok(false);
            }
            rest = &rest[1..];
            continue;
        }
        let together = match back.filter.text {
            Some(_) => rest.len().min(SEARCHED),
            None => 1,
        };
        let (now, later) = rest.split_at(together);
        let fetched = fetch(conn, job, (&now[together - 1], meta)).await?;
        if fetched.is_empty() {
            // Cut meanwhile; what is before it says so.
            back.lowest = back.lowest.min(now[together - 1].after_entry + 1);
        }
        for found in sifted(fetched, job, back.filter).await?.into_iter().rev() {
            if !back.descend(found) {
                return Ok(false);
            }
        }
        rest = later;
    }
    Ok(true)
}
