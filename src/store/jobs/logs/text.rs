//! All output as one text, of which any part can be had.
use super::forward::forward;
use super::{Filter, Totals, length, totals};
use crate::domain::id::JobId;
use crate::store::{Conn, Error};

/// Lines of a piece; its text is at most about half a megabyte.
const LINES: usize = 2_000;

/// The text as it is at one moment. While a job prints, it grows, and of a long one
/// more and more is cut out of the middle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Extent {
    /// In bytes.
    pub length: i64,
    /// The last line that was cut out. This and the length say as much as the text.
    cut: Option<i64>,
    totals: Totals,
}

impl Extent {
    /// Two texts of the same job with the same tag are the same.
    #[must_use]
    pub fn tag(&self) -> String {
        format!("{:x}-{:x}", self.length, self.cut.unwrap_or(0))
    }
}

/// How much text there is.
pub async fn extent(conn: &mut Conn, job: JobId) -> Result<Extent, Error> {
    let totals = totals(conn, job).await?;
    Ok(Extent {
        length: totals.text_bytes(),
        cut: totals.cut_entry,
        totals,
    })
}

/// Where reading of a text goes on.
#[derive(Debug, Clone)]
pub struct Piece {
    /// After this line.
    after: i64,
    /// Without so many bytes of what follows.
    skip: i64,
    cut: Option<i64>,
}

impl Piece {
    /// At so many bytes from the beginning.
    pub async fn at(
        conn: &mut Conn,
        job: JobId,
        extent: &Extent,
        offset: i64,
    ) -> Result<Self, Error> {
        let totals = &extent.totals;
        let here = |after, skip| Self {
            after,
            skip,
            cut: extent.cut,
        };
        let mut offset = offset;
        if let (Some(head), Some(notice)) = (totals.head_entry, totals.cut()) {
            let behind = offset - totals.head_text;
            if behind >= length(&notice) {
                offset = behind - length(&notice) + totals.cut_text;
            } else if behind >= 0 {
                return Ok(here(head, behind));
            }
        }
        let block: Option<(i64, i64, i64, i64)> = sqlx::query_as(AT)
            .bind(job.to_string())
            .bind(offset)
            .fetch_optional(conn)
            .await?;
        Ok(match block {
            None => here(0, offset),
            Some((_, after, at, size)) if offset < at + size => here(after, offset - at),
            Some((last, _, at, size)) => here(last, offset - at - size),
        })
    }
}

/// The statement behind [`Piece::at`], for the test that looks at its plan.
pub const AT: &str = "SELECT last_entry, after_entry, text_at, text_bytes FROM log_blocks
     WHERE job = $1 AND text_at <= $2 ORDER BY text_at DESC LIMIT 1";

/// The next of the text; `None` at its end, or when what would be next has been cut
/// out since the extent was taken.
pub async fn piece(conn: &mut Conn, job: JobId, at: &mut Piece) -> Result<Option<Vec<u8>>, Error> {
    loop {
        let found = forward(conn, job, at.after, LINES, &Filter::default()).await?;
        let moved = found.gaps.iter().any(|gap| Some(*gap) != at.cut);
        let Some(last) = found.lines.last().filter(|_| !moved) else {
            return Ok(None);
        };
        at.after = last.entry;
        let mut text = Vec::new();
        for line in &found.lines {
            text.extend_from_slice(line.message.as_bytes());
            if !line.truncated {
                text.push(b'\n');
            }
        }
        let skip = usize::try_from(at.skip).unwrap_or(usize::MAX);
        if skip < text.len() {
            at.skip = 0;
            text.drain(..skip);
            return Ok(Some(text));
        }
        at.skip -= i64::try_from(text.len()).unwrap_or(i64::MAX);
    }
}
