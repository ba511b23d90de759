//! New keys, and new secrets for old ones. A secret is in one answer and then
//! nowhere: whoever repeats the request learns that it was told.
use super::{fields, find, revoked, show};
use crate::api::keys::Made;
use crate::api::{CreateKey, RotateKey};
use crate::domain::api_key;
use crate::domain::id::{ApiKeyId, WorkspaceId};
use crate::orchestrator::jobs::submission;
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::{BearerId, Change, Error};
use crate::random;
use crate::store::api_keys::{self as table, ApiKey, Secret};
use crate::store::idempotency::{self, Answer, Key};
use crate::store::{Conn, throttles};
use time::{Duration, OffsetDateTime};

/// Keys of a workspace that have not been revoked.
const MOST_KEYS: i64 = 100;
/// Secrets made for a workspace in an hour.
const MOST_PER_HOUR: i64 = 60;
/// Secrets of one key that work at once.
const MOST_SECRETS: usize = 5;
/// A secret that has stopped working is told why for so long.
const REMEMBERED: Duration = Duration::days(30);

pub(super) async fn create(cx: Cx, call: Call<CreateKey>) -> Result<Made, Error> {
    let now = cx.now();
    let new = fields::new_key(&call.body, now)?;
    let once = once(&call, cx.caller.workspace, "api-key", None);
    let key = ApiKey {
        id: cx.id(),
        workspace: cx.caller.workspace,
        created_by: cx.caller.account,
        name: new.name,
        scopes: new.scopes,
        allowed_ips: new.allowed_ips,
        created_at: now,
        expires_at: new.expires_at,
        disabled_at: None,
        revoked_at: None,
    };
    let id = key.id;
    let made = cx
        .store()
        .write(move |conn| {
            Box::pin(async move {
                table::lock_all(conn, key.workspace).await?;
                before(conn, once.as_ref()).await?;
                pace(conn, key.workspace, now).await?;
                if table::count(conn, key.workspace).await? >= MOST_KEYS {
                    return Err(Error::Conflict {
                        code: "CONFLICT",
                        message: format!(
                            "A workspace has at most {MOST_KEYS} keys. Revoke one that nothing uses."
                        ),
                    });
                }
                table::insert(conn, &key).await?;
                let secret = add(conn, id, 1, (now, now)).await?;
                after(conn, once, id, now).await?;
                let listed = find(conn, key.workspace, id).await?;
                Ok::<_, Error>(Made {
                    key: secret,
                    api_key: show(conn, listed, now).await?,
                })
            })
        })
        .await?;
    tracing::info!(key = %id, by = %cx.caller.account, ip = %call.origin.ip, "API key made");
    Ok(made)
}

pub(super) async fn rotate(cx: Cx, call: Call<RotateKey>) -> Result<Made, Error> {
    let (now, workspace, id) = (cx.now(), cx.caller.workspace, call.path.0);
    let once = once(&call, workspace, "api-key-rotation", Some(id));
    let (body, by, ip) = (call.body, cx.caller.account, call.origin.ip);
    let (made, at_once) = cx
        .store()
        .write(move |conn| {
            Box::pin(async move {
                table::lock_all(conn, workspace).await?;
                table::lock(conn, id).await?;
                before(conn, once.as_ref()).await?;
                let mut listed = find(conn, workspace, id).await?;
                let rotation = fields::rotation(&body, listed.key.expires_at.is_none(), now)?;
                if listed.key.revoked_at.is_some() {
                    return Err(revoked());
                }
                pace(conn, workspace, now).await?;
                let secrets = table::secrets(conn, &[id]).await?;
                let live = secrets
                    .iter()
                    .filter(|secret| secret.valid_until.is_none_or(|until| until > now));
                if !rotation.overlap.is_zero() && live.count() >= MOST_SECRETS {
                    return Err(Error::Conflict {
                        code: "CONFLICT",
                        message: format!(
                            "{MOST_SECRETS} secrets of this key still work. Wait until one has \
                             stopped, or let all of them stop at once."
                        ),
                    });
                }
                // The secret before does not outlive what it was made for.
                let ends = listed.key.expires_at.unwrap_or(now + rotation.overlap);
                let ends = ends.min(now + rotation.overlap);
                let number = secrets.first().map_or(0, |secret| secret.number) + 1;
                let secret = add(conn, id, number, (now, ends)).await?;
                table::forget_secrets(conn, id, now - REMEMBERED).await?;
                listed.key.expires_at = rotation.expires_at;
                table::update(conn, &listed.key).await?;
                after(conn, once, id, now).await?;
                let made = Made {
                    key: secret,
                    api_key: show(conn, listed, now).await?,
                };
                Ok((made, ends <= now))
            })
        })
        .await?;
    if at_once {
        cx.hub().publish(Change::SignedOut {
            bearer: BearerId::Key(id),
        });
    }
    tracing::info!(key = %id, %by, %ip, "API key rotated");
    Ok(made)
}

/// Gives the key a fresh secret, made at `now`; those before stop at `ends`.
async fn add(
    conn: &mut Conn,
    key: ApiKeyId,
    number: i64,
    (now, ends): (OffsetDateTime, OffsetDateTime),
) -> Result<String, Error> {
    let text = api_key::compose(&random::base62(api_key::RANDOM_DIGITS));
    let secret = Secret {
        key,
        number,
        head: api_key::head(&text).to_owned(),
        tail: api_key::tail(&text).to_owned(),
        created_at: now,
        valid_until: None,
        last_used: None,
    };
    table::add_secret(conn, &secret, &random::hash(&text), ends).await?;
    Ok(text)
}

/// Keeps a runaway program from filling the table.
async fn pace(conn: &mut Conn, workspace: WorkspaceId, now: OffsetDateTime) -> Result<(), Error> {
    let name = format!("api-keys:{workspace}");
    let made = throttles::hit(conn, &name, Duration::HOUR, now).await?;
    if made.count <= MOST_PER_HOUR {
        return Ok(());
    }
    Err(Error::TooMany {
        message: format!("At most {MOST_PER_HOUR} keys can be made or rotated in an hour."),
        retry_after_seconds: (made.window_start + Duration::HOUR - now).whole_seconds() + 1,
    })
}

/// A request that is to have its effect once.
#[derive(Debug)]
struct Once {
    key: Key,
    body_hash: String,
}

fn once<E: crate::api::Endpoint>(
    call: &Call<E>,
    workspace: WorkspaceId,
    route: &'static str,
    of: Option<ApiKeyId>,
) -> Option<Once> {
    let key = call.idempotency_key.clone()?;
    let mut body = call.raw.to_vec();
    if let Some(of) = of {
        body.extend(of.to_string().into_bytes());
    }
    Some(Once {
        key: Key {
            workspace,
            route,
            key,
        },
        body_hash: submission::hash(&body),
    })
}

/// Refuses what was done before: the answer to it cannot be given again.
async fn before(conn: &mut Conn, once: Option<&Once>) -> Result<(), Error> {
    let Some(once) = once else { return Ok(()) };
    let Some(answer) = idempotency::find(conn, &once.key).await? else {
        return Ok(());
    };
    if answer.body_hash != once.body_hash {
        return Err(submission::different_body());
    }
    let key = answer.reply.trim_matches('"').parse();
    Err(Error::AlreadyShown {
        key: key.map_err(|_| Error::Internal(anyhow::anyhow!("an answer that names no key")))?,
        message: "This was done already, and the key was shown then. It cannot be shown \
                  again: if it is lost, rotate the key."
            .into(),
    })
}

async fn after(
    conn: &mut Conn,
    once: Option<Once>,
    key: ApiKeyId,
    now: OffsetDateTime,
) -> Result<(), Error> {
    let Some(once) = once else { return Ok(()) };
    let answer = Answer {
        body_hash: once.body_hash,
        reply: format!("\"{key}\""),
    };
    Ok(idempotency::insert(conn, &once.key, &answer, now).await?)
}
