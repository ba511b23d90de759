//! Callbacks: who is to be told of a job's end, what is waiting to be told, and
//! every attempt at it. What is secret comes here sealed.
pub mod again;
pub mod secrets;

use super::{Conn, Error, corrupt};
use crate::clock::{from_micros, micros};
use crate::domain::id::{DraftId, JobId, MessageId, WorkspaceId};
use time::OffsetDateTime;

/// A callback as it is ordered with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    pub job: JobId,
    pub workspace: WorkspaceId,
    pub shown_url: String,
    /// Host and port.
    pub receiver: String,
    /// Sealed.
    pub url: String,
    /// Sealed.
    pub token: Option<String>,
    /// A JSON object of texts.
    pub metadata: Option<String>,
}

pub async fn insert(conn: &mut Conn, ordered: &Ordered, now: OffsetDateTime) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO callbacks (job, workspace, shown_url, receiver, url, token, metadata, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(ordered.job.to_string())
    .bind(ordered.workspace.to_string())
    .bind(&ordered.shown_url)
    .bind(&ordered.receiver)
    .bind(&ordered.url)
    .bind(&ordered.token)
    .bind(&ordered.metadata)
    .bind(micros(now))
    .execute(conn)
    .await?;
    Ok(())
}

/// The statement behind every end of a job, for the test that looks at its plan.
pub const METADATA: &str = "SELECT metadata FROM callbacks WHERE job = $1";

/// The metadata of a job's callback; `None` if it has no callback.
pub async fn metadata(conn: &mut Conn, job: JobId) -> Result<Option<Option<String>>, Error> {
    Ok(sqlx::query_scalar(METADATA)
        .bind(job.to_string())
        .fetch_optional(conn)
        .await?)
}

/// Queues what is to be told, once per job, due at once.
///
/// # Errors
///
/// If something is queued for this job already.
pub async fn queue(
    conn: &mut Conn,
    (job, id): (JobId, MessageId),
    body: &str,
    now: OffsetDateTime,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO callback_outbox (job, id, workspace, receiver, body, state, created_at, next_at)
         SELECT job, $1, workspace, receiver, $2, 'waiting', $3, $3 FROM callbacks WHERE job = $4",
    )
    .bind(id.to_string())
    .bind(body)
    .bind(micros(now))
    .bind(job.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// Something that is due, and may be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub job: JobId,
    pub workspace: WorkspaceId,
    pub receiver: String,
    /// Attempts so far.
    pub attempts: i64,
    next_at: i64,
}

/// How many of what is due are looked at together.
#[derive(Debug, Clone, Copy)]
pub struct Share {
    /// Of each receiver of a workspace.
    pub receiver: i64,
    /// Of each workspace.
    pub workspace: i64,
    pub all: i64,
}

/// What is due at `at`, the longest due first, of nobody more than their share.
pub async fn due(conn: &mut Conn, at: OffsetDateTime, share: Share) -> Result<Vec<Due>, Error> {
    let rows = sqlx::query_as::<_, DueRow>(
        "SELECT job, workspace, receiver, attempts, next_at FROM (
             SELECT job, workspace, receiver, attempts, next_at,
                 ROW_NUMBER() OVER (PARTITION BY workspace ORDER BY next_at, job) AS of_workspace
             FROM (
                 SELECT job, workspace, receiver, attempts, next_at,
                     ROW_NUMBER() OVER (PARTITION BY workspace, receiver ORDER BY next_at, job) AS of_receiver
                 FROM callback_outbox WHERE state = 'waiting' AND next_at <= $1
             ) AS each_receiver WHERE of_receiver <= $2
         ) AS each_workspace WHERE of_workspace <= $3
         ORDER BY next_at, job LIMIT $4",
    )
    .bind(micros(at))
    .bind(share.receiver)
    .bind(share.workspace)
    .bind(share.all)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(Due::try_from).collect()
}

/// The statement behind every pause of the sender, for the test that looks at its plan.
pub const NEXT_DUE: &str = "SELECT next_at FROM callback_outbox
     WHERE state = 'waiting' AND next_at >= 0 ORDER BY next_at LIMIT 1";

/// When something is due next.
pub async fn next_due(conn: &mut Conn) -> Result<Option<OffsetDateTime>, Error> {
    let at = sqlx::query_scalar::<_, i64>(NEXT_DUE)
        .fetch_optional(conn)
        .await?;
    Ok(at.map(from_micros))
}

/// What is needed to deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    pub id: MessageId,
    pub body: String,
    pub shown_url: String,
    /// Sealed.
    pub url: String,
    /// Sealed.
    pub token: Option<String>,
}

/// Takes something for delivery: whoever else read it as [`due`] gets `None`. If
/// the sender dies, it is due again at `again_at`.
pub async fn claim(
    conn: &mut Conn,
    due: &Due,
    again_at: OffsetDateTime,
) -> Result<Option<Delivery>, Error> {
    let claimed = sqlx::query(
        "UPDATE callback_outbox SET next_at = $1
         WHERE job = $2 AND state = 'waiting' AND attempts = $3 AND next_at = $4",
    )
    .bind(micros(again_at))
    .bind(due.job.to_string())
    .bind(due.attempts)
    .bind(due.next_at)
    .execute(&mut *conn)
    .await?;
    if claimed.rows_affected() != 1 {
        return Ok(None);
    }
    let row = sqlx::query_as::<_, (String, String, String, Option<String>, Option<String>)>(
        "SELECT callback_outbox.id, callback_outbox.body, callbacks.shown_url, callbacks.url,
             callbacks.token
         FROM callback_outbox JOIN callbacks ON callbacks.job = callback_outbox.job
         WHERE callback_outbox.job = $1",
    )
    .bind(due.job.to_string())
    .fetch_one(conn)
    .await?;
    let (id, body, shown_url, url, token) = row;
    let wrong = |why: &str| corrupt("callback_outbox", &due.job.to_string(), why);
    Ok(Some(Delivery {
        id: id.parse().map_err(|_| wrong("id"))?,
        body,
        shown_url,
        url: url.ok_or_else(|| wrong("it waits, and its URL is gone"))?,
        token,
    }))
}

/// How far a callback has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Waiting,
    Delivered,
    /// The last attempt has failed.
    Failed,
    /// The receiver does not want it.
    Gone,
}

impl Progress {
    const ALL: [Self; 4] = [Self::Waiting, Self::Delivered, Self::Failed, Self::Gone];

    const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Gone => "gone",
        }
    }
}

/// One try at delivering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1.
    pub number: i64,
    pub at: OffsetDateTime,
    pub millis: i64,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub answer: Option<String>,
}

/// What follows from an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    At(OffsetDateTime),
    /// Never: not `Waiting`, and since then.
    Over(Progress, OffsetDateTime),
}

/// Notes an attempt and what follows from it; `false` if another has been noted
/// under its number. Of what was delivered, nothing secret is left; what was given up
/// can be sent [`again`], until it is wiped.
pub async fn record(
    conn: &mut Conn,
    job: JobId,
    attempt: &Attempt,
    next: Next,
) -> Result<bool, Error> {
    let (progress, next_at, ended_at) = match next {
        Next::At(at) => (Progress::Waiting, Some(at), None),
        Next::Over(progress, at) => (progress, None, Some(at)),
    };
    let updated = sqlx::query(
        "UPDATE callback_outbox SET state = $1, attempts = $2, next_at = COALESCE($3, next_at),
             ended_at = $4, body = CASE WHEN $1 = 'delivered' THEN '' ELSE body END
         WHERE job = $5 AND state = 'waiting' AND attempts = $6",
    )
    .bind(progress.name())
    .bind(attempt.number)
    .bind(next_at.map(micros))
    .bind(ended_at.map(micros))
    .bind(job.to_string())
    .bind(attempt.number - 1)
    .execute(&mut *conn)
    .await?;
    if updated.rows_affected() != 1 {
        return Ok(false);
    }
    sqlx::query(
        "INSERT INTO callback_attempts (job, number, at, millis, status, error, answer)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(job.to_string())
    .bind(attempt.number)
    .bind(micros(attempt.at))
    .bind(attempt.millis)
    .bind(attempt.status.map(i64::from))
    .bind(&attempt.error)
    .bind(&attempt.answer)
    .execute(&mut *conn)
    .await?;
    if progress == Progress::Delivered {
        sqlx::query("UPDATE callbacks SET url = NULL, token = NULL WHERE job = $1")
            .bind(job.to_string())
            .execute(conn)
            .await?;
    }
    Ok(true)
}

/// A callback as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    pub shown_url: String,
    /// None before the job's end.
    pub progress: Option<Progress>,
    pub message: Option<MessageId>,
    /// While it waits.
    pub next_at: Option<OffsetDateTime>,
    pub ended_at: Option<OffsetDateTime>,
    /// Whether all is there that is needed to send it.
    pub kept: bool,
}

impl Shown {
    /// Whether there will be further attempts, or the first.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.progress, None | Some(Progress::Waiting))
    }
}

/// The statement behind every look at a job's callback, for the test that looks at its plan.
pub const FIND: &str = "SELECT callbacks.shown_url, callback_outbox.state, callback_outbox.id,
         callback_outbox.next_at, callback_outbox.ended_at, callbacks.url
     FROM callbacks LEFT JOIN callback_outbox ON callback_outbox.job = callbacks.job
     WHERE callbacks.job = $1";

/// The callback of a job, whosever that is: look for the job first.
pub async fn find(conn: &mut Conn, job: JobId) -> Result<Option<Shown>, Error> {
    type Row = (
        String,
        Option<String>,
        Option<String>,
        Option<i64>,
        Option<i64>,
        Option<String>,
    );
    let row = sqlx::query_as::<_, Row>(FIND)
        .bind(job.to_string())
        .fetch_optional(conn)
        .await?;
    let Some((shown_url, state, message, next_at, ended_at, url)) = row else {
        return Ok(None);
    };
    let wrong = |why: &str| corrupt("callback_outbox", &job.to_string(), why);
    let named = |name: &str| {
        let found = Progress::ALL.into_iter().find(|one| one.name() == name);
        found.ok_or_else(|| wrong("state"))
    };
    let progress = state.as_deref().map(named).transpose()?;
    Ok(Some(Shown {
        shown_url,
        progress,
        message: message
            .map(|id| id.parse().map_err(|_| wrong("id")))
            .transpose()?,
        next_at: next_at
            .filter(|_| progress == Some(Progress::Waiting))
            .map(from_micros),
        ended_at: ended_at.map(from_micros),
        kept: url.is_some(),
    }))
}

/// Every attempt at a job's callback, oldest first.
pub async fn attempts(conn: &mut Conn, job: JobId) -> Result<Vec<Attempt>, Error> {
    type Row = (i64, i64, i64, Option<i64>, Option<String>, Option<String>);
    let rows = sqlx::query_as::<_, Row>(
        "SELECT number, at, millis, status, error, answer FROM callback_attempts
         WHERE job = $1 ORDER BY number",
    )
    .bind(job.to_string())
    .fetch_all(conn)
    .await?;
    let attempt = |(number, at, millis, status, error, answer): Row| Attempt {
        number,
        at: from_micros(at),
        millis,
        status: status.and_then(|status| u16::try_from(status).ok()),
        error,
        answer,
    };
    Ok(rows.into_iter().map(attempt).collect())
}

/// The token of a draft's callback, sealed.
pub async fn draft_token(conn: &mut Conn, draft: DraftId) -> Result<Option<String>, Error> {
    Ok(
        sqlx::query_scalar("SELECT token FROM draft_callbacks WHERE draft = $1")
            .bind(draft.to_string())
            .fetch_optional(conn)
            .await?,
    )
}

/// Writes the token of a draft that has none.
pub async fn set_draft_token(conn: &mut Conn, draft: DraftId, sealed: &str) -> Result<(), Error> {
    sqlx::query("INSERT INTO draft_callbacks (draft, token) VALUES ($1, $2)")
        .bind(draft.to_string())
        .bind(sealed)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn clear_draft_token(conn: &mut Conn, draft: DraftId) -> Result<(), Error> {
    sqlx::query("DELETE FROM draft_callbacks WHERE draft = $1")
        .bind(draft.to_string())
        .execute(conn)
        .await?;
    Ok(())
}

#[derive(sqlx::FromRow)]
struct DueRow {
    job: String,
    workspace: String,
    receiver: String,
    attempts: i64,
    next_at: i64,
}

impl TryFrom<DueRow> for Due {
    type Error = Error;

    fn try_from(row: DueRow) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("callback_outbox", &row.job, why);
        Ok(Self {
            job: row.job.parse().map_err(|_| wrong("job"))?,
            workspace: row.workspace.parse().map_err(|_| wrong("workspace"))?,
            receiver: row.receiver.clone(),
            attempts: row.attempts,
            next_at: row.next_at,
        })
    }
}
