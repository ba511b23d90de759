//! A callback that somebody wants made now: a receiver has been repaired, say.
use super::super::route::{Call, Cx};
use super::super::workers::callbacks::LEASE;
use super::super::{Change, Error, jobs};
use super::{RESENDABLE, view};
use crate::api::SendCallback;
use crate::api::callbacks as wire;
use crate::domain::id::{JobId, WorkspaceId};
use crate::store::callbacks::{self as table, Progress};
use crate::store::jobs as rows;
use crate::store::jobs::events::NewEvent;
use crate::store::{self, Conn};
use time::OffsetDateTime;

/// Attempts at one callback, whoever asks for them.
const MOST: i64 = 50;
/// How often it is tried again when someone else was quicker.
const TRIES: usize = 5;

enum Asked {
    /// It is due now.
    Due(WorkspaceId),
    /// It is on its way.
    Coming,
    Refused(String),
}

pub(super) async fn send(cx: Cx, call: Call<SendCallback>) -> Result<wire::Callback, Error> {
    let mut conn = cx.store().read().await?;
    let id = jobs::find(&mut conn, cx.caller.workspace, call.path.0)
        .await?
        .id;
    // Whether there is a callback at all.
    view(&mut conn, id, cx.now()).await?;
    drop(conn);
    for _ in 0..TRIES {
        let now = cx.now();
        let asked = cx
            .store()
            .write(move |conn| Box::pin(async move { ask(conn, id, now).await }))
            .await;
        match asked {
            Err(store::Error::Stale { .. }) => continue,
            Err(error) => return Err(error.into()),
            Ok(Asked::Refused(message)) => {
                let code = "CONFLICT";
                return Err(Error::Conflict { code, message });
            }
            Ok(Asked::Coming) => {}
            Ok(Asked::Due(workspace)) => {
                cx.hub().publish(Change::Job { workspace, job: id });
                cx.state.0.callback.notify_one();
            }
        }
        let mut conn = cx.store().read().await?;
        return view(&mut conn, id, cx.now()).await;
    }
    Err(Error::Unavailable(
        "Too much is happening to this job at once. Try again.".into(),
    ))
}

async fn ask(conn: &mut Conn, id: JobId, now: OffsetDateTime) -> Result<Asked, store::Error> {
    let refused = |why: &str| Ok(Asked::Refused(why.to_owned()));
    let Some(found) = table::find(conn, id).await? else {
        return refused("This job has no callback.");
    };
    if !table::again::send(conn, id, (now, now + LEASE), MOST).await? {
        return match found.progress {
            Some(Progress::Waiting) => Ok(Asked::Coming),
            None => refused("The job has not ended. Its callback is made when it has."),
            Some(Progress::Delivered) => refused("The receiver has taken it."),
            Some(_) if found.kept => refused("It has been tried often enough."),
            Some(_) => Ok(Asked::Refused(format!(
                "It was given up more than {} days ago, and its address is not kept any more.",
                RESENDABLE.whole_days()
            ))),
        };
    }
    let Some(mut job) = rows::find_for_worker(conn, id).await? else {
        return refused("This job has no callback.");
    };
    job.updated_at = job.updated_at.max(now);
    let event = NewEvent {
        kind: "callback.requested",
        phase: job.state.phase(),
        title: "Callback asked for".into(),
        message: "Somebody of the workspace wants the next attempt to be made now.".into(),
        source: "user",
        level: "info",
    };
    rows::update(conn, &mut job, &[event]).await?;
    Ok(Asked::Due(job.workspace))
}
