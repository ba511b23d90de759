//! Who is calling, and whether they may.
use super::{Error, State, route};
use crate::api::{Access, Origin};
use crate::domain::account::Role;
use crate::domain::api_key::{self, Scope, Scopes};
use crate::domain::id::{AccountId, ApiKeyId, SessionId, WorkspaceId};
use crate::random;
use crate::store::api_keys::{self, Use};
use crate::store::sessions;
use axum::extract::FromRequestParts;
use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;
use std::net::IpAddr;
use std::time::Duration;
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;

/// The use of a credential is written down so often at most.
const NOTED: time::Duration = time::Duration::MINUTE;

/// The holder of a valid bearer token who may call what is being called. Cookies
/// mean nothing to the API.
#[derive(Debug, Clone)]
pub struct Caller {
    pub account: AccountId,
    pub workspace: WorkspaceId,
    pub role: Role,
    pub operator: bool,
    credential: Credential,
    /// What was called, and from where.
    access: Access,
    ip: IpAddr,
}

/// What a caller has shown.
#[derive(Debug, Clone, Copy)]
enum Credential {
    Session(SessionId),
    Key {
        key: ApiKeyId,
        /// Which of its secrets.
        secret: i64,
        scopes: Scopes,
    },
}

/// What can be taken away from a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BearerId {
    Session(SessionId),
    Key(ApiKeyId),
}

impl FromRequestParts<State> for Caller {
    type Rejection = Error;

    /// Only for routes that say who may call them.
    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Error> {
        let access = parts.extensions.get::<Access>().copied().ok_or_else(|| {
            Error::Internal(anyhow::anyhow!(
                "{} does not say who may call it",
                parts.uri
            ))
        })?;
        let origin = route::origin(parts);
        let token = token(parts).ok_or(Error::Unauthorized)?;
        let caller = if api_key::is_well_formed(token) {
            if has_session_cookie(parts) {
                return Err(Error::BadRequest(
                    "Send an API key or a session's cookie, not both.".into(),
                ));
            }
            with_key(state, token, access, origin).await?
        } else if token.starts_with("jgs_") {
            with_session(state, token, access, origin).await?
        } else {
            return Err(Error::Unauthorized);
        };
        caller.admit()?;
        Ok(caller)
    }
}

async fn with_session(
    state: &State,
    token: &str,
    access: Access,
    origin: Origin,
) -> Result<Caller, Error> {
    let mut conn = state.store().read().await?;
    let bearer = sessions::bearer(&mut conn, &random::hash(token)).await?;
    drop(conn);
    let bearer = bearer
        .filter(|bearer| alive(bearer, state))
        .ok_or(Error::Unauthorized)?;
    let (session, now) = (bearer.session, state.now());
    if bearer.last_seen + NOTED <= now {
        let write = state
            .store()
            .write(move |conn| Box::pin(async move { sessions::seen(conn, session, now).await }));
        noted(write).await;
    }
    Ok(Caller {
        account: bearer.account,
        workspace: bearer.workspace,
        role: bearer.role,
        operator: bearer.operator,
        credential: Credential::Session(session),
        access,
        ip: origin.ip,
    })
}

async fn with_key(
    state: &State,
    token: &str,
    access: Access,
    origin: Origin,
) -> Result<Caller, Error> {
    let hash = random::hash(token);
    let mut conn = state.store().read().await?;
    let bearer = api_keys::bearer(&mut conn, &hash).await?;
    drop(conn);
    let bearer = bearer
        .filter(|bearer| bool::from(bearer.hash.as_bytes().ct_eq(hash.as_bytes())))
        .ok_or(Error::Unauthorized)?;
    let now = state.now();
    works(&bearer, origin.ip, now)?;
    let id = (bearer.key, bearer.secret);
    if bearer.last_used.is_none_or(|at| at + NOTED <= now) {
        let by = Use {
            at: now,
            ip: origin.ip.to_canonical().to_string(),
            agent: origin.agent,
        };
        let write = state
            .store()
            .write(move |conn| Box::pin(async move { api_keys::used(conn, id, &by, NOTED).await }));
        noted(write).await;
    }
    Ok(Caller {
        account: bearer.account,
        workspace: bearer.workspace,
        role: Role::default(),
        operator: false,
        credential: Credential::Key {
            key: bearer.key,
            secret: bearer.secret,
            scopes: bearer.scopes,
        },
        access,
        ip: origin.ip,
    })
}

/// Whether a key works at `now` from `ip`. Who holds all of a key may know why not.
fn works(bearer: &api_keys::Bearer, ip: IpAddr, now: OffsetDateTime) -> Result<(), Error> {
    let refused = |why: &'static str| Err(Error::KeyRefused(why));
    if bearer.revoked {
        return refused("This API key has been revoked.");
    }
    if bearer.expires_at.is_some_and(|end| end <= now) {
        return refused("This API key has expired.");
    }
    if bearer.valid_until.is_some_and(|end| end <= now) {
        return refused("This API key was rotated, and this secret of it has stopped working.");
    }
    if bearer.disabled {
        return refused("This API key is disabled.");
    }
    if !bearer.allowed_ips.allows(ip) {
        let ip = ip.to_canonical();
        return Err(forbidden(format!("api key not allowed from {ip}")));
    }
    Ok(())
}

impl Caller {
    /// What can be taken away from this caller.
    #[must_use]
    pub const fn bearer(&self) -> BearerId {
        match self.credential {
            Credential::Session(id) => BearerId::Session(id),
            Credential::Key { key, .. } => BearerId::Key(key),
        }
    }

    /// The session of a signed-in person.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] if it is a program with a key.
    pub(super) fn session(&self) -> Result<SessionId, Error> {
        match self.credential {
            Credential::Session(id) => Ok(id),
            Credential::Key { .. } => Err(people_only()),
        }
    }

    /// Whether it may read what jobs print, also where that is a part of something else.
    pub(super) const fn reads_output(&self) -> bool {
        match self.credential {
            Credential::Session(_) => true,
            Credential::Key { scopes, .. } => {
                scopes.has(Scope::LogsRead) || scopes.has(Scope::JobsRead)
            }
        }
    }

    fn admit(&self) -> Result<(), Error> {
        match (self.access, self.credential) {
            (Access::Public, _) | (Access::Session | Access::Scopes(_), Credential::Session(_)) => {
                Ok(())
            }
            (Access::Operator, Credential::Session(_)) if self.operator => Ok(()),
            (Access::Operator, Credential::Session(_)) => Err(forbidden(
                "Only an operator of this installation may see this.".into(),
            )),
            (Access::Session | Access::Operator, Credential::Key { .. }) => Err(people_only()),
            (Access::Scopes(any), Credential::Key { scopes, .. }) => {
                if any.iter().any(|scope| scopes.has(*scope)) {
                    return Ok(());
                }
                let names: Vec<_> = any.iter().copied().map(Scope::name).collect();
                Err(forbidden(format!(
                    "api key missing {} scope",
                    names.join(" or ")
                )))
            }
        }
    }

    /// Whether the session or key goes on, with the rights that it began with: for
    /// answers that take hours.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] if it has ended, [`Error::Forbidden`] if it may do
    /// less now.
    pub(super) async fn still_here(&self, state: &State) -> Result<(), Error> {
        let mut conn = state.store().read().await?;
        match self.credential {
            Credential::Session(session) => {
                let bearer = sessions::bearer_of(&mut conn, session).await?;
                let bearer = bearer.filter(|bearer| state.now() < bearer.expires_at);
                let operator = bearer.ok_or(Error::Unauthorized)?.operator;
                Self {
                    operator,
                    ..self.clone()
                }
                .admit()
            }
            Credential::Key { key, secret, .. } => {
                let bearer = api_keys::bearer_of(&mut conn, (key, secret)).await?;
                let bearer = bearer.ok_or(Error::Unauthorized)?;
                works(&bearer, self.ip, state.now())?;
                let credential = Credential::Key {
                    key,
                    secret,
                    scopes: bearer.scopes,
                };
                Self {
                    credential,
                    ..self.clone()
                }
                .admit()
            }
        }
    }
}

fn forbidden(message: String) -> Error {
    Error::Forbidden {
        code: "FORBIDDEN",
        message,
    }
}

fn people_only() -> Error {
    forbidden("An API key cannot do this: it takes a person who is signed in.".into())
}

/// The bearer token, if exactly one is given.
fn token(parts: &Parts) -> Option<&str> {
    let mut values = parts.headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Whether a browser has sent a portal session along, which has no business here:
/// a page that does so mixes up on whose behalf it acts.
fn has_session_cookie(parts: &Parts) -> bool {
    let lines = parts.headers.get_all(COOKIE).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|b| *b == b';'))
        .map(<[u8]>::trim_ascii)
        .any(|pair| pair.starts_with(b"__Host-jg_session=") || pair.starts_with(b"jg_session="))
}

pub(super) fn alive(bearer: &sessions::Bearer, state: &State) -> bool {
    let (now, config) = (state.now(), state.config());
    let idle = if bearer.operator {
        config.operator_idle.min(config.session_idle)
    } else {
        config.session_idle
    };
    now < bearer.expires_at && now < bearer.last_seen + idle
}

/// Waits for a note that a credential is in use. A busy database must not fail or
/// hold up the request: the write goes on without it.
async fn noted(write: impl Future<Output = Result<(), crate::store::Error>>) {
    match tokio::time::timeout(Duration::from_millis(250), write).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "could not note that a credential is in use"),
        Err(_) => tracing::debug!("did not wait to note that a credential is in use"),
    }
}
