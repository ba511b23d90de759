//! Keys as they go over the wire.
use crate::api::keys as wire;
use crate::domain::api_key::Status;
use crate::store::api_keys::{ApiKey, Listed, Secret, Use};
use time::OffsetDateTime;

/// `secrets` are those of this key, newest first, among others.
pub(super) fn show(listed: Listed, secrets: &[Secret], now: OffsetDateTime) -> wire::ApiKey {
    let Listed { key, email } = listed;
    let mine = || secrets.iter().filter(|secret| secret.key == key.id);
    let newest = mine().next();
    let lives = |secret: &&Secret| {
        let until = secret.valid_until.filter(|until| *until > now);
        until.is_some() && key.revoked_at.is_none()
    };
    wire::ApiKey {
        id: key.id,
        status: status(&key, now),
        scopes: key.scopes.iter().collect(),
        allowed_ips: key.allowed_ips.entries(),
        prefix: newest.map_or_else(String::new, |secret| secret.head.clone()),
        last4: newest.map_or_else(String::new, |secret| secret.tail.clone()),
        created_at: key.created_at,
        created_by: wire::Creator {
            account_id: key.created_by,
            email,
        },
        expires_at: key.expires_at,
        disabled_at: key.disabled_at,
        revoked_at: key.revoked_at,
        rotated_at: newest
            .map(|secret| secret.created_at)
            .filter(|at| *at > key.created_at),
        last_used: mine()
            .filter_map(|secret| secret.last_used.as_ref())
            .max_by_key(|by| by.at)
            .map(used),
        previous: mine()
            .skip(1)
            .filter(lives)
            .map(|secret| wire::Previous {
                prefix: secret.head.clone(),
                last4: secret.tail.clone(),
                valid_until: secret.valid_until.unwrap_or(now),
                last_used: secret.last_used.as_ref().map(used),
            })
            .collect(),
        name: key.name,
    }
}

/// What keeps a key from working, the most final first.
pub(super) fn status(key: &ApiKey, now: OffsetDateTime) -> Status {
    if key.revoked_at.is_some() {
        Status::Revoked
    } else if key.expires_at.is_some_and(|end| end <= now) {
        Status::Expired
    } else if key.disabled_at.is_some() {
        Status::Disabled
    } else {
        Status::Active
    }
}

fn used(by: &Use) -> wire::Use {
    wire::Use {
        at: by.at,
        ip: by.ip.clone(),
        agent: by.agent.clone(),
    }
}
