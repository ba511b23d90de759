//! What a workspace's callbacks are signed with. The first secret is derived from the
//! master key; each rotation makes a random one, beside which those before go on
//! signing for a while, so that receivers can learn of it one after the other.
use super::super::route::{Call, Cx};
use super::super::{Error, State, seal};
use crate::api::callbacks as wire;
use crate::api::{GetCallbackSecret, RotateCallbackSecret};
use crate::domain::id::WorkspaceId;
use crate::random;
use crate::store::callbacks::secrets::{self as table, Secret};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use time::{Duration, OffsetDateTime};

/// Unless asked for otherwise.
const OVERLAP: Duration = Duration::DAY;
const LONGEST_OVERLAP: Duration = Duration::days(7);
/// Secrets that sign at once: each is a part of a header.
const MOST: usize = 5;

/// A secret that signs.
struct Live<'a> {
    number: i64,
    /// None of the first.
    stored: Option<&'a Secret>,
    /// None of the newest.
    until: Option<OffsetDateTime>,
}

/// Those that sign at `now`, newest first. `all` are newest first, too.
fn live(all: &[Secret], now: OffsetDateTime) -> Vec<Live<'_>> {
    let newest = all.first();
    let mut live = vec![Live {
        number: newest.map_or(0, |secret| secret.number),
        stored: newest,
        until: None,
    }];
    let mut until: Option<OffsetDateTime> = None;
    for (at, secret) in all.iter().enumerate() {
        // No secret outlasts one that came after it.
        let ends = until.map_or(secret.before_until, |end| end.min(secret.before_until));
        let before = all.get(at + 1);
        if ends <= now || (before.is_none() && secret.number != 1) {
            break;
        }
        until = Some(ends);
        live.push(Live {
            number: before.map_or(0, |before| before.number),
            stored: before,
            until,
        });
    }
    live
}

fn place(workspace: WorkspaceId, number: i64) -> String {
    format!("callback_secrets|secret|{workspace}|{number}")
}

fn key(state: &State, workspace: WorkspaceId, one: &Live) -> Result<Vec<u8>, seal::Damaged> {
    let Some(stored) = one.stored else {
        return Ok(first(state, workspace).to_vec());
    };
    let hex = seal::open(state, &place(workspace, stored.number), &stored.secret)?;
    seal::unhex(&hex).ok_or(seal::Damaged)
}

/// Derived, so that it is stored nowhere.
fn first(state: &State, workspace: WorkspaceId) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&state.0.master_key).expect("HMAC takes keys of any length");
    mac.update(b"junglegrid callback secret\0");
    mac.update(workspace.to_string().as_bytes());
    mac.finalize().into_bytes().into()
}

/// The keys that sign at `now`, the newest first.
pub(in crate::orchestrator) fn keys(
    state: &State,
    workspace: WorkspaceId,
    all: &[Secret],
    now: OffsetDateTime,
) -> Result<Vec<Vec<u8>>, seal::Damaged> {
    let live = live(all, now);
    live.iter().map(|one| key(state, workspace, one)).collect()
}

fn show(
    state: &State,
    workspace: WorkspaceId,
    all: &[Secret],
    now: OffsetDateTime,
) -> Result<wire::Secret, Error> {
    let text = |one: &Live| {
        let key = key(state, workspace, one).map_err(|error| Error::Internal(error.into()))?;
        Ok::<_, Error>(random::base64(&key))
    };
    let live = live(all, now);
    let newest = &live[0];
    let previous = live.iter().filter_map(|one| Some((one, one.until?)));
    let previous = previous.map(|(one, signs_until)| {
        let text = text(one)?;
        let text = text.trim_end_matches('=');
        Ok::<_, Error>(wire::Previous {
            number: one.number,
            last4: text[text.len().saturating_sub(4)..].to_owned(),
            signs_until,
        })
    });
    Ok(wire::Secret {
        secret: format!("whsec_{}", text(newest)?),
        number: newest.number,
        rotated_at: newest.stored.map(|secret| secret.created_at),
        previous: previous.collect::<Result<_, _>>()?,
    })
}

pub(super) async fn get(cx: Cx, _: Call<GetCallbackSecret>) -> Result<wire::Secret, Error> {
    let workspace = cx.caller.workspace;
    let all = table::of(&mut *cx.store().read().await?, workspace).await?;
    show(&cx, workspace, &all, cx.now())
}

pub(super) async fn rotate(
    cx: Cx,
    call: Call<RotateCallbackSecret>,
) -> Result<wire::Secret, Error> {
    let (now, workspace, by) = (cx.now(), cx.caller.workspace, cx.caller.account);
    let overlap = match call.body.overlap_seconds {
        None => OVERLAP,
        Some(seconds) if (0..=LONGEST_OVERLAP.whole_seconds()).contains(&seconds) => {
            Duration::seconds(seconds)
        }
        Some(_) => {
            let range = "Give 0 to 604,800 seconds, which is a week.";
            return Err(Error::field("overlap_seconds", range));
        }
    };
    let (replaces, state) = (call.body.replaces, cx.state.clone());
    let all = cx
        .store()
        .write(move |conn| {
            Box::pin(async move {
                let all = table::of(conn, workspace).await?;
                let current = all.first().map_or(0, |secret| secret.number);
                if replaces.is_some_and(|number| number != current) {
                    return Err(rotated());
                }
                let signing = live(&all, now);
                if !overlap.is_zero() && signing.len() >= MOST {
                    return Err(Error::Conflict {
                        code: "CONFLICT",
                        message: format!(
                            "{MOST} secrets sign already. Wait until one has stopped, or let all \
                             of them stop at once."
                        ),
                    });
                }
                let oldest = signing.last().map_or(0, |one| one.number);
                let number = current + 1;
                let key = random::hex(&random::bytes::<32>());
                let secret = Secret {
                    number,
                    secret: seal::seal(&state, &place(workspace, number), &key),
                    created_at: now,
                    before_until: now + overlap,
                };
                if !table::add(conn, (workspace, by), &secret).await? {
                    return Err(rotated());
                }
                table::forget(conn, workspace, oldest).await?;
                Ok::<_, Error>(table::of(conn, workspace).await?)
            })
        })
        .await?;
    tracing::info!(%workspace, %by, ip = %call.origin.ip, "callback secret rotated");
    show(&cx, workspace, &all, now)
}

fn rotated() -> Error {
    Error::Conflict {
        code: "CONFLICT",
        message: "It has been rotated meanwhile. Look at the secret that there is now.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

    /// Who signs `hours` from now, if these were made now and let those before them
    /// sign for so many hours; newest first.
    fn signing(made: &[(i64, i64)], hours: i64) -> Vec<(i64, Option<i64>)> {
        let secret = |(number, overlap): &(i64, i64)| Secret {
            number: *number,
            secret: String::new(),
            created_at: NOW,
            before_until: NOW + Duration::hours(*overlap),
        };
        let all: Vec<Secret> = made.iter().map(secret).collect();
        let live = live(&all, NOW + Duration::hours(hours));
        let until = |one: &Live| one.until.map(|at| (at - NOW).whole_hours());
        live.iter().map(|one| (one.number, until(one))).collect()
    }

    #[test]
    fn no_secret_outlasts_one_that_came_after_it() {
        assert_eq!(signing(&[], 0), [(0, None)]);
        assert_eq!(signing(&[(1, 24)], 23), [(1, None), (0, Some(24))]);
        assert_eq!(signing(&[(1, 24)], 24), [(1, None)]);
        let twice = [(2, 1), (1, 24)];
        assert_eq!(signing(&twice, 0), [(2, None), (1, Some(1)), (0, Some(1))]);
        assert_eq!(signing(&twice, 1), [(2, None)]);
        assert_eq!(signing(&[(2, 24), (1, 1)], 2), [(2, None), (1, Some(24))]);
        assert_eq!(signing(&[(2, 0), (1, 24)], 0), [(2, None)]);
        // What is not there any more is not taken for the first.
        assert_eq!(signing(&[(3, 24)], 0), [(3, None)]);
    }
}
