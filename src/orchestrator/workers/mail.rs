//! Sends the mails that requests have queued.
use crate::egress::mail::{Failed, Outgoing, Postbox};
use crate::orchestrator::{Error, State};
use crate::store::mails::{self, Mail};
use futures_util::StreamExt as _;
use futures_util::stream;
use time::{Duration, OffsetDateTime};

/// How long to wait after each attempt that may succeed later.
const PAUSES: [Duration; 3] = [
    Duration::MINUTE,
    Duration::minutes(5),
    Duration::minutes(15),
];
/// Longer than a sender takes: if one dies, its mail is sent again after this.
const LEASE: Duration = Duration::MINUTE;
/// As many as the pool of connections holds.
const AT_ONCE: usize = 4;
const PER_TICK: i64 = 100;

/// Sends every mail that is due and says how many have left.
pub async fn tick(state: &State, postbox: &Postbox) -> Result<usize, Error> {
    let now = state.now();
    state
        .store()
        .write(move |conn| Box::pin(async move { Ok::<_, Error>(mails::expire(conn, now).await?) }))
        .await?;
    let mut conn = state.store().read().await?;
    let due = mails::due(&mut conn, now, PER_TICK).await?;
    drop(conn);
    let outcomes: Vec<_> = stream::iter(due)
        .map(|mail| send(state, postbox, mail))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut sent = 0;
    for outcome in outcomes {
        sent += usize::from(outcome?);
    }
    Ok(sent)
}

/// Sends mails when they are queued or due again, until the process stops.
pub async fn run(state: State, postbox: Postbox) {
    loop {
        let pause = match tick(&state, &postbox).await {
            Ok(_) => until_next(&state).await,
            Err(error) => {
                tracing::error!(error = ?error, "mails could not be sent");
                std::time::Duration::from_mins(1)
            }
        };
        tokio::select! {
            () = state.0.mail.notified() => {}
            () = tokio::time::sleep(pause) => {}
            () = state.shutdown().cancelled() => return,
        }
    }
}

/// At least a second, so that a mail that cannot be claimed does not spin; at
/// most a minute, since another process may queue mails as well.
async fn until_next(state: &State) -> std::time::Duration {
    let next = async {
        let mut conn = state.store().read().await?;
        mails::next_due(&mut conn).await
    };
    let rest = match next.await {
        Ok(Some(at)) => at - state.now(),
        Ok(None) | Err(_) => Duration::MINUTE,
    };
    rest.clamp(Duration::SECOND, Duration::MINUTE)
        .unsigned_abs()
}

/// Sends one mail, unless another process does. Says whether it has left.
async fn send(state: &State, postbox: &Postbox, mail: Mail) -> Result<bool, Error> {
    let now = state.now();
    let lease = now + LEASE;
    let mine = {
        let mail = mail.clone();
        state.store().write(move |conn| {
            Box::pin(async move { Ok::<_, Error>(mails::claim(conn, &mail, lease).await?) })
        })
    };
    if !mine.await? {
        return Ok(false);
    }
    let outgoing = Outgoing {
        id: mail.id,
        to: mail.recipient,
        subject: mail.subject,
        body: mail.body,
        at: now,
    };
    let outcome = postbox.send(&outgoing).await;
    let sent = outcome.is_ok();
    let next = next(outcome, mail.attempts, state.now(), mail.expires_at);
    if let Next::GiveUp(why) = &next {
        tracing::warn!(mail = %mail.id, why, "a mail could not be delivered");
    }
    state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                match next {
                    Next::Done => mails::sent(conn, mail.id).await?,
                    Next::Again(at, why) => mails::postpone(conn, mail.id, at, &why).await?,
                    Next::GiveUp(why) => mails::give_up(conn, mail.id, &why).await?,
                }
                Ok::<_, Error>(())
            })
        })
        .await?;
    Ok(sent)
}

/// What becomes of a mail after an attempt.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Done,
    Again(OffsetDateTime, String),
    GiveUp(String),
}

fn next(
    outcome: Result<(), Failed>,
    earlier_attempts: i16,
    now: OffsetDateTime,
    expires_at: OffsetDateTime,
) -> Next {
    match outcome {
        Ok(()) => Next::Done,
        Err(Failed::ForGood(why)) => Next::GiveUp(why),
        Err(Failed::ForNow(why)) => {
            let pause = usize::try_from(earlier_attempts)
                .ok()
                .and_then(|attempt| PAUSES.get(attempt));
            match pause.map(|pause| now + *pause) {
                Some(at) if at < expires_at => Next::Again(at, why),
                Some(_) | None => Next::GiveUp(why),
            }
        }
    }
}
