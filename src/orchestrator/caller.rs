//! Who is calling.
use super::{Error, State};
use crate::domain::account::Role;
use crate::domain::id::{AccountId, SessionId, WorkspaceId};
use crate::random;
use crate::store::sessions::{self, Bearer};
use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use std::time::Duration;

/// The holder of a valid bearer token. Cookies mean nothing to the API.
#[derive(Debug, Clone)]
pub struct Caller {
    pub account: AccountId,
    pub workspace: WorkspaceId,
    pub session: SessionId,
    pub role: Role,
    pub operator: bool,
}

impl FromRequestParts<State> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Error> {
        let hash = random::hash(token(parts).ok_or(Error::Unauthorized)?);
        let mut conn = state.store().read().await?;
        let bearer = sessions::bearer(&mut conn, &hash).await?;
        drop(conn);
        let bearer = bearer
            .filter(|bearer| alive(bearer, state))
            .ok_or(Error::Unauthorized)?;
        note(&bearer, state).await;
        Ok(Self {
            account: bearer.account,
            workspace: bearer.workspace,
            session: bearer.session,
            role: bearer.role,
            operator: bearer.operator,
        })
    }
}

impl Caller {
    /// Whether the session goes on, with the rights that it began with: for answers
    /// that take hours.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] if it has ended.
    pub(super) async fn still_here(&self, state: &State) -> Result<(), Error> {
        let mut conn = state.store().read().await?;
        match sessions::bearer_of(&mut conn, self.session).await? {
            Some(bearer)
                if state.now() < bearer.expires_at && (bearer.operator || !self.operator) =>
            {
                Ok(())
            }
            Some(_) | None => Err(Error::Unauthorized),
        }
    }
}

/// The token of a session, if exactly one is given.
fn token(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && token.starts_with("jgs_")).then_some(token)
}

pub(super) fn alive(bearer: &Bearer, state: &State) -> bool {
    let (now, config) = (state.now(), state.config());
    let idle = if bearer.operator {
        config.operator_idle.min(config.session_idle)
    } else {
        config.session_idle
    };
    now < bearer.expires_at && now < bearer.last_seen + idle
}

/// Notes that the session is in use, at most once a minute. A busy database must
/// not fail or hold up the request: the write goes on without it.
async fn note(bearer: &Bearer, state: &State) {
    let now = state.now();
    if now < bearer.last_seen + time::Duration::MINUTE {
        return;
    }
    let session = bearer.session;
    let write = state
        .store()
        .write::<_, crate::store::Error, _>(move |conn| {
            Box::pin(async move { sessions::seen(conn, session, now).await })
        });
    match tokio::time::timeout(Duration::from_millis(250), write).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, %session, "could not note that it is in use"),
        Err(_) => tracing::debug!(%session, "did not wait to note that it is in use"),
    }
}
