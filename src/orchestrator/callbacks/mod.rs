//! Callbacks: whoever submits a job can have a URL told of its end.
//!
//! What is told is written in the transaction of the end itself, and delivered by
//! [`super::workers::callbacks`], at least once.
mod again;
mod news;
mod read;
mod secrets;

pub(super) use read::{Callback, DraftToken, read, take_token, wrong};
pub(super) use secrets::keys;

use super::route::{Call, Cx, on};
use super::{Error, State, jobs, seal};
use crate::api::GetCallback;
use crate::api::callbacks as wire;
use crate::domain::id::{JobId, MessageId};
use crate::random;
use crate::store::callbacks::{self as table, Ordered, Progress};
use crate::store::jobs::Job;
use crate::store::{self, Conn};
use axum::Router;
use secrecy::ExposeSecret as _;
use time::{Duration, OffsetDateTime};

/// What was given up can be sent again for so long.
pub(super) const RESENDABLE: Duration = Duration::days(7);

pub(super) fn routes() -> Router<State> {
    Router::new()
        .merge(on(get))
        .merge(on(again::send))
        .merge(on(secrets::get))
        .merge(on(secrets::rotate))
}

async fn get(cx: Cx, call: Call<GetCallback>) -> Result<wire::Callback, Error> {
    let mut conn = cx.store().read().await?;
    let job = jobs::find(&mut conn, cx.caller.workspace, call.path.0).await?;
    view(&mut conn, job.id, cx.now()).await
}

/// The callback of a job as it goes over the wire: look for the job first.
async fn view(conn: &mut Conn, job: JobId, now: OffsetDateTime) -> Result<wire::Callback, Error> {
    let found = table::find(conn, job).await?;
    let found = found.ok_or_else(|| Error::NotFound("This job has no callback.".into()))?;
    let attempts = table::attempts(conn, job).await?;
    let given_up = matches!(found.progress, Some(Progress::Failed | Progress::Gone));
    let send_again_until = found
        .ended_at
        .filter(|_| given_up && found.kept)
        .map(|at| at + RESENDABLE)
        .filter(|until| *until > now);
    let state = match found.progress {
        None => wire::State::Armed,
        Some(Progress::Waiting) => wire::State::Waiting,
        Some(Progress::Delivered) => wire::State::Delivered,
        Some(Progress::Failed) => wire::State::Failed,
        Some(Progress::Gone) => wire::State::Gone,
    };
    Ok(wire::Callback {
        job_id: job,
        url: found.shown_url,
        state,
        webhook_id: found.message,
        attempts: attempts
            .into_iter()
            .map(|attempt| wire::Attempt {
                number: attempt.number,
                at: attempt.at,
                duration_ms: attempt.millis,
                status: attempt.status,
                error: attempt.error,
                answer: attempt.answer,
            })
            .collect(),
        next_attempt_at: found.next_at,
        ended_at: found.ended_at,
        send_again_until,
    })
}

/// Where a sealed value belongs, so that no other job's can stand there.
pub(super) fn place(column: &str, job: JobId) -> String {
    format!("callbacks|{column}|{job}")
}

/// The callback as it is stored with its job.
pub(super) fn sealed(state: &State, job: &Job, callback: &Callback) -> Ordered {
    let seal = |column: &str, secret: &secrecy::SecretString| {
        seal::seal(state, &place(column, job.id), secret.expose_secret())
    };
    Ordered {
        job: job.id,
        workspace: job.workspace,
        shown_url: callback.shown_url.clone(),
        receiver: callback.receiver.clone(),
        url: seal("url", &callback.url),
        token: callback.token.as_ref().map(|token| seal("token", token)),
        metadata: callback.metadata.clone(),
    }
}

/// Queues the news of a job's end, in the end's own transaction; nothing if nobody
/// wants to know.
pub(super) async fn queue(
    conn: &mut Conn,
    job: &Job,
    now: OffsetDateTime,
) -> Result<(), store::Error> {
    let Some(metadata) = table::metadata(conn, job.id).await? else {
        return Ok(());
    };
    let body = news::of(job, metadata.as_deref(), now);
    let id: MessageId = random::id(now);
    table::queue(conn, (job.id, id), &body, now).await
}
