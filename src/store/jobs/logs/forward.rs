//! Reading on from a line.
use super::block::{Block, fetch};
use super::{BLOCKS, Filter, Line, Meta, PAGE, metas, rows};
use crate::domain::id::JobId;
use crate::store::{Conn, Error};
use time::OffsetDateTime;
use tokio::sync::Semaphore;

/// Blocks whose description is read at once: few for a page, many where most of
/// them can be passed over.
const FEW: i64 = 4;
const MANY: i64 = 500;
/// Rows read at once.
const ROWS: i64 = 1_000;
/// Blocks that are searched for a text at once.
pub(super) const SEARCHED: usize = 16;
/// More text than this is not read at once, however few lines it is.
pub(super) const BYTES: usize = 512 * 1024;
/// One search at a time uses a processor; the others take turns.
static SEARCHING: Semaphore = Semaphore::const_new(1);

/// Lines, and how far has been looked.
#[derive(Debug, Default)]
pub struct Found {
    /// Oldest first.
    pub lines: Vec<Line>,
    /// Everything up to this number has been looked at.
    pub reached: i64,
    /// Whether it stopped only because it had found enough.
    pub full: bool,
    /// The numbers of those lines that stand for what has been cut out.
    pub(super) gaps: Vec<i64>,
}

impl Found {
    /// Takes what is wanted of `lines`; `false` when there is no room for more.
    fn take(&mut self, lines: impl IntoIterator<Item = Line>, want: &mut Want<'_>) -> bool {
        for line in lines {
            if line.entry <= self.reached {
                continue;
            }
            if want.filter.admits(&line) {
                if want.limit == 0 || (want.bytes == 0 && !self.lines.is_empty()) {
                    self.full = true;
                    return false;
                }
                want.limit -= 1;
                want.bytes = want.bytes.saturating_sub(line.message.len());
                self.reached = line.entry;
                self.lines.push(line);
            } else {
                self.reached = line.entry;
            }
        }
        true
    }
}

struct Want<'a> {
    limit: usize,
    bytes: usize,
    filter: &'a Filter,
}

/// At most `limit` wanted lines after number `after`, and at most about half
/// a megabyte of text.
pub async fn forward(
    conn: &mut Conn,
    job: JobId,
    after: i64,
    limit: usize,
    filter: &Filter,
) -> Result<Found, Error> {
    let mut found = Found {
        reached: after,
        ..Found::default()
    };
    let mut want = Want {
        limit,
        bytes: BYTES,
        filter,
    };
    let some = if filter.all() { FEW } else { MANY };
    loop {
        let blocks = metas(conn, BLOCKS, job, (found.reached, some)).await?;
        if !blocks.is_empty() {
            if !in_blocks(conn, job, &blocks, &mut found, &mut want).await? {
                return Ok(found);
            }
            continue;
        }
        let loose = rows(conn, PAGE, job, (found.reached, ROWS)).await?;
        let Some(first) = loose.first() else {
            return Ok(found);
        };
        if first.after() > found.reached
            && !metas(conn, BLOCKS, job, (found.reached, 1))
                .await?
                .is_empty()
        {
            // What came before it has become a block since we looked.
            continue;
        }
        if !found.take(loose, &mut want) {
            return Ok(found);
        }
    }
}

/// `false` when enough is found. Returns early where a block has gone meanwhile.
async fn in_blocks(
    conn: &mut Conn,
    job: JobId,
    blocks: &[Meta],
    found: &mut Found,
    want: &mut Want<'_>,
) -> Result<bool, Error> {
    let mut rest = blocks;
    while let Some(meta) = rest.first() {
        if !want.filter.may_admit(&meta.counts) && meta.after_entry <= found.reached {
            found.reached = meta.last_entry;
            rest = &rest[1..];
            continue;
        }
        let together = match want.filter.text {
            Some(_) => rest.len().min(SEARCHED),
            None => 1,
        };
        let (now, later) = rest.split_at(together);
        let fetched = fetch(conn, job, (meta, &now[together - 1])).await?;
        if fetched.is_empty() {
            return Ok(true);
        }
        for block in sifted(fetched, job, want.filter).await? {
            // Something between has been cut.
            if block.after > found.reached {
                let gap = Line::gap(found.reached, block.after, block.began_at);
                found.gaps.push(block.after);
                if !found.take([gap], want) {
                    return Ok(false);
                }
            }
            if !found.take(block.lines, want) {
                return Ok(false);
            }
            found.reached = found.reached.max(block.last);
        }
        rest = later;
    }
    Ok(true)
}

/// What is wanted of a block.
pub(super) struct Sifted {
    /// The number before the block's first line, and that of its last.
    pub(super) after: i64,
    pub(super) last: i64,
    pub(super) began_at: OffsetDateTime,
    /// Oldest first.
    pub(super) lines: Vec<Line>,
}

/// The wanted lines of each block. Looking for a text takes its time, and does so
/// elsewhere.
pub(super) async fn sifted(
    blocks: Vec<Block>,
    job: JobId,
    filter: &Filter,
) -> Result<Vec<Sifted>, Error> {
    let sift = move |blocks: Vec<Block>, filter: &Filter| {
        let one = |block: Block| {
            let mut lines = block.lines(job, filter.text.as_ref())?;
            lines.retain(|line| filter.admits(line));
            Ok(Sifted {
                after: block.after_entry,
                last: block.last_entry,
                began_at: block.began_at,
                lines,
            })
        };
        blocks.into_iter().map(one).collect()
    };
    if filter.text.is_none() {
        return sift(blocks, filter);
    }
    let filter = filter.clone();
    let turn = SEARCHING.acquire().await.map_err(|_| Error::BrokenOff)?;
    let found = tokio::task::spawn_blocking(move || sift(blocks, &filter)).await;
    drop(turn);
    found.map_err(|_| Error::BrokenOff)?
}
