//! Delivers callbacks: signed as Standard Webhooks says, again and again for about
//! a day, and so that nobody waits for another's receiver.
mod signed;

use super::super::callbacks::place;
use super::super::{Change, Error, State, seal};
use crate::domain::id::{JobId, WorkspaceId};
use crate::egress::reach::{Answer, Caller};
use crate::random;
use crate::store::callbacks::{self as table, Attempt, Delivery, Due, Next, Progress, Share};
use crate::store::jobs::events::NewEvent;
use crate::store::jobs::{self, Job};
use crate::store::{self, Conn};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;

/// Between attempts; together about a day. Each is a fifth shorter or longer.
const PAUSES: [Duration; 10] = [
    Duration::seconds(5),
    Duration::seconds(30),
    Duration::minutes(2),
    Duration::minutes(10),
    Duration::minutes(30),
    Duration::hours(1),
    Duration::hours(2),
    Duration::hours(4),
    Duration::hours(6),
    Duration::hours(10),
];
/// Longer than an attempt takes: if its process dies, the next comes after this.
pub(in crate::orchestrator) const LEASE: Duration = Duration::seconds(20);
/// For what is under way when the process is to stop.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(3);
/// At once.
const SHARE: Share = Share {
    receiver: 4,
    workspace: 16,
    all: 64,
};
/// Bytes of what a receiver says with a refusal that are kept.
const KEPT: usize = 200;
/// How often an attempt is noted anew when someone else was quicker.
const TRIES: usize = 5;

/// Delivers all that is due and says how many attempts were made.
///
/// # Errors
///
/// If the database does not answer.
pub async fn tick(state: &State, caller: &Caller) -> Result<usize, Error> {
    let busy = Busy::default();
    let mut under_way = JoinSet::new();
    begin(state, caller, &busy, &mut under_way).await?;
    let made = under_way.len();
    while let Some(ended) = under_way.join_next().await {
        ended.map_err(|error| Error::Internal(error.into()))??;
    }
    Ok(made)
}

/// Delivers when something is queued or due again, until the process stops.
pub async fn run(state: State, caller: Caller) {
    let busy = Busy::default();
    let mut under_way = JoinSet::new();
    loop {
        let pause = match begin(&state, &caller, &busy, &mut under_way).await {
            Ok(()) => until_next(&state).await,
            Err(error) => {
                tracing::error!(?error, "callbacks could not be looked up");
                std::time::Duration::from_secs(30)
            }
        };
        tokio::select! {
            () = state.0.callback.notified() => {}
            Some(ended) = under_way.join_next() => match ended {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::error!(?error, "a callback's attempt could not be noted"),
                Err(error) => tracing::error!(%error, "a callback's attempt broke off"),
            },
            () = tokio::time::sleep(pause) => {}
            () = state.shutdown().cancelled() => break,
        }
    }
    // What is nearly done is noted; the rest is done again after the next start.
    let all = async { while under_way.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(FAREWELL, all).await;
}

/// At least a moment, so that what others are busy with does not spin; at most a
/// quarter of a minute, since another process may queue as well.
async fn until_next(state: &State) -> std::time::Duration {
    let next = async {
        let mut conn = state.store().read().await?;
        table::next_due(&mut conn).await
    };
    let rest = match next.await {
        Ok(Some(at)) => at - state.now(),
        Ok(None) | Err(_) => Duration::seconds(15),
    };
    rest.clamp(Duration::milliseconds(500), Duration::seconds(15))
        .unsigned_abs()
}

/// Who is being called, and how often at once.
#[derive(Debug, Clone, Default)]
struct Busy(Arc<Mutex<HashMap<(WorkspaceId, String), i64>>>);

impl Busy {
    /// A place, unless they have their share. It is free when the answer is dropped.
    fn seat(&self, due: &Due) -> Option<Seat> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_workspace: i64 = all
            .iter()
            .filter(|((workspace, _), _)| *workspace == due.workspace)
            .map(|(_, count)| count)
            .sum();
        let who = (due.workspace, due.receiver.clone());
        let of_receiver = all.get(&who).copied().unwrap_or(0);
        let full = of_receiver >= SHARE.receiver
            || of_workspace >= SHARE.workspace
            || all.values().sum::<i64>() >= SHARE.all;
        if full {
            return None;
        }
        all.insert(who.clone(), of_receiver + 1);
        drop(all);
        Some(Seat(self.clone(), who))
    }
}

struct Seat(Busy, (WorkspaceId, String));

impl Drop for Seat {
    fn drop(&mut self) {
        let mut all = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = all.get_mut(&self.1) {
            *count -= 1;
            if *count < 1 {
                all.remove(&self.1);
            }
        }
    }
}

/// Begins as many attempts as there are places for.
async fn begin(
    state: &State,
    caller: &Caller,
    busy: &Busy,
    under_way: &mut JoinSet<Result<(), Error>>,
) -> Result<(), Error> {
    let mut conn = state.store().read().await?;
    let due = table::due(&mut conn, state.now(), SHARE).await?;
    drop(conn);
    for due in due {
        let Some(seat) = busy.seat(&due) else {
            continue;
        };
        let again_at = state.now() + LEASE;
        let claimed = due.clone();
        let delivery = state
            .store()
            .write(move |conn| {
                Box::pin(async move { table::claim(conn, &claimed, again_at).await })
            })
            .await?;
        if let Some(delivery) = delivery {
            let (state, caller) = (state.clone(), caller.clone());
            under_way.spawn(async move {
                let _seat = seat;
                deliver(&state, &caller, due, delivery).await
            });
        }
    }
    Ok(())
}

async fn deliver(
    state: &State,
    caller: &Caller,
    due: Due,
    delivery: Delivery,
) -> Result<(), Error> {
    let open = |column: &str, sealed: &str| seal::open(state, &place(column, due.job), sealed);
    let url = open("url", &delivery.url);
    let token = delivery.token.as_deref().map(|token| open("token", token));
    let keys = signed::keys(state, due.workspace).await?;
    let at = state.now();
    let began = tokio::time::Instant::now();
    let (outcome, token) = match (url, token.transpose(), keys) {
        (Ok(url), Ok(token), Ok(keys)) => {
            let headers = signed::headers(&keys, at, &delivery, token.as_deref());
            let outcome = caller.post(&url, headers, delivery.body.clone()).await;
            (outcome.map_err(|failed| failed.to_string()), token)
        }
        (Err(damaged), ..) | (_, Err(damaged), _) | (.., Err(damaged)) => {
            tracing::error!(job = %due.job, %damaged, "a callback cannot be made");
            let why = "What this installation kept of it cannot be read any more.";
            (Err(why.to_owned()), None)
        }
    };
    let millis = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
    let number = due.attempts + 1;
    let next = next(&outcome, number, state.now());
    let attempt = match outcome {
        Ok(answer) => Attempt {
            number,
            at,
            millis,
            status: Some(answer.status),
            error: refusal(answer.status),
            answer: kept(answer.text, token.as_deref()),
        },
        Err(why) => Attempt {
            number,
            at,
            millis,
            status: None,
            error: Some(why),
            answer: None,
        },
    };
    tracing::debug!(job = %due.job, number, status = attempt.status, "callback tried");
    note(state, due.job, attempt, next).await
}

/// What an answer is, if it is not that the callback has been taken.
fn refusal(status: u16) -> Option<String> {
    match status {
        200..=299 => None,
        300..=399 => Some(format!("It answered {status}: redirects are not followed.")),
        410 => Some("It answered 410: it does not want this any more.".into()),
        _ => Some(format!("It answered {status}.")),
    }
}

/// The beginning of a text, without the token, which some receivers repeat.
fn kept(text: String, token: Option<&str>) -> Option<String> {
    let text = match token {
        Some(token) => text.replace(token, "***"),
        None => text,
    };
    let mut end = text.len().min(KEPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (end > 0).then(|| text[..end].to_owned())
}

fn next(outcome: &Result<Answer, String>, number: i64, now: OffsetDateTime) -> Next {
    let wished = match outcome {
        Ok(answer) if (200..300).contains(&answer.status) => {
            return Next::Over(Progress::Delivered, now);
        }
        Ok(answer) if answer.status == 410 => return Next::Over(Progress::Gone, now),
        Ok(answer) => answer.retry_after,
        Err(_) => None,
    };
    let pause = usize::try_from(number - 1).ok().and_then(|n| PAUSES.get(n));
    let Some(pause) = pause else {
        return Next::Over(Progress::Failed, now);
    };
    let millis = i64::try_from(pause.whole_milliseconds()).unwrap_or(i64::MAX);
    let spread = random::below(millis / 5 * 2) - millis / 5;
    let usual = Duration::milliseconds(millis + spread);
    // It may ask for more patience, though not for much more.
    let wished = wished.map_or(usual, |seconds| Duration::seconds(seconds.clamp(0, 86_400)));
    Next::At(now + wished.clamp(usual, usual * 2))
}

/// Writes down an attempt, and tells of it in the job's events.
async fn note(state: &State, job: JobId, attempt: Attempt, next: Next) -> Result<(), Error> {
    for _ in 0..TRIES {
        let (attempt, now) = (attempt.clone(), state.now());
        let noted = state
            .store()
            .write(move |conn| {
                Box::pin(async move { record(conn, job, &attempt, next, now).await })
            })
            .await;
        match noted {
            Err(store::Error::Stale { .. }) => {}
            Err(error) => return Err(error.into()),
            Ok(None) => return Ok(()),
            Ok(Some(job)) => {
                state.hub().publish(Change::Job {
                    workspace: job.workspace,
                    job: job.id,
                });
                return Ok(());
            }
        }
    }
    // It is due again when its lease is over.
    Err(Error::Unavailable(
        "Too much is happening to this job at once.".into(),
    ))
}

async fn record(
    conn: &mut Conn,
    job: JobId,
    attempt: &Attempt,
    next: Next,
    now: OffsetDateTime,
) -> Result<Option<Job>, store::Error> {
    if !table::record(conn, job, attempt, next).await? {
        return Ok(None);
    }
    let Some(mut job) = jobs::find_for_worker(conn, job).await? else {
        return Ok(None);
    };
    // An event's time is that of the change; a job that has ended has no other.
    job.updated_at = job.updated_at.max(now);
    let event = said(&job, attempt, next);
    jobs::update(conn, &mut job, &[event]).await?;
    Ok(Some(job))
}

fn said(job: &Job, attempt: &Attempt, next: Next) -> NewEvent {
    let why = attempt.error.clone().unwrap_or_default();
    let times = match attempt.number {
        1 => "once".to_owned(),
        number => format!("{number} times"),
    };
    let (kind, title, message, level) = match next {
        Next::Over(Progress::Delivered, _) => (
            "callback.delivered",
            "Callback delivered",
            format!("The receiver took it after {} ms.", attempt.millis),
            "info",
        ),
        Next::Over(Progress::Gone, _) => (
            "callback.gone",
            "Callback not wanted",
            format!("{why} It is not tried again."),
            "warning",
        ),
        Next::Over(..) => (
            "callback.given_up",
            "Callback given up",
            format!("It failed {times}, and is not tried again. {why}"),
            "warning",
        ),
        Next::At(at) => {
            // To the second.
            let at = at.replace_nanosecond(0).unwrap_or(at);
            let at = at.format(&Rfc3339).unwrap_or_default();
            (
                "callback.failed",
                "Callback failed",
                format!("It failed {times}; next at {at}. {why}"),
                "warning",
            )
        }
    };
    NewEvent {
        kind,
        phase: job.state.phase(),
        title: title.into(),
        message,
        source: "callback",
        level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    fn answer(status: u16, retry_after: Option<i64>) -> Answer {
        Answer {
            status,
            text: String::new(),
            retry_after,
        }
    }

    #[test]
    fn eleven_attempts_take_about_a_day() {
        let mut total = Duration::ZERO;
        for (number, pause) in (1..).zip(PAUSES) {
            let Next::At(at) = next(&Ok(answer(500, None)), number, NOW) else {
                panic!("given up after {number}");
            };
            let off = ((at - NOW) - pause).abs();
            assert!(off <= pause / 5, "{number}: {}", at - NOW);
            total += pause;
        }
        assert!((Duration::hours(20)..Duration::hours(28)).contains(&total));
        let last = next(&Ok(answer(500, None)), 11, NOW);
        assert_eq!(last, Next::Over(Progress::Failed, NOW));
    }

    #[test]
    fn a_receiver_may_ask_for_twice_the_patience() {
        let pause = |retry_after| match next(&Ok(answer(429, Some(retry_after))), 4, NOW) {
            Next::At(at) => at - NOW,
            Next::Over(..) => panic!("given up"),
        };
        assert!(pause(1) >= Duration::minutes(8));
        assert_eq!(pause(900), Duration::minutes(15));
        assert!(pause(i64::MAX) <= Duration::minutes(24));
        assert!(pause(i64::MIN) >= Duration::minutes(8));
    }

    #[test]
    fn what_is_kept_is_short_and_without_the_token() {
        let said = format!("no: Bearer s3cret {}", "é".repeat(200));
        let kept = kept(said, Some("s3cret")).unwrap();
        assert!(kept.starts_with("no: Bearer *** é") && kept.len() <= KEPT);
        assert_eq!(super::kept(String::new(), None), None);
    }

    #[test]
    fn redirects_are_refusals() {
        assert_eq!(refusal(204), None);
        assert!(refusal(302).is_some_and(|why| why.contains("not followed")));
        assert!(matches!(next(&Ok(answer(302, None)), 1, NOW), Next::At(_)));
        assert_eq!(
            next(&Ok(answer(410, None)), 1, NOW),
            Next::Over(Progress::Gone, NOW)
        );
    }
}
