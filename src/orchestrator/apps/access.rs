//! Who may enter which service of an app: what the proxy asks.
//!
//! A signed-in person gets a ticket for one service, good for half a minute and
//! once; the app's origin exchanges it for a pass, which ends with the portal
//! session that it came from. Both are stored as hashes.
use super::settings;
use crate::api::OpenApp;
use crate::api::apps as wire;
use crate::domain::app::{Phase, ServiceState};
use crate::domain::id::{AccountId, AppSessionId, SessionId, WorkspaceId};
use crate::domain::template::{Auth, HostPolicy, Scheme};
use crate::engine::Handle;
use crate::orchestrator::caller::alive;
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::{Error, State};
use crate::random;
use crate::store::apps::passes::{self, Leave};
use crate::store::apps::{self, services};
use crate::store::jobs::{self, runs};
use crate::store::{Conn, accounts, sessions};
use std::collections::BTreeMap;
use time::{Duration, OffsetDateTime};

/// From asking for a ticket to using it.
const TICKET_LASTS: Duration = Duration::seconds(30);
/// A pass ends then, however long the portal session goes on.
const PASS_LASTS: Duration = Duration::hours(12);
/// Where an app's origin takes tickets.
pub const LAUNCH_PATH: &str = "/_jg/launch";

/// The service at an origin, and the way to it.
#[derive(Debug, Clone)]
pub struct Door {
    pub session: AppSessionId,
    pub workspace: WorkspaceId,
    pub service: String,
    /// The origin's label.
    pub origin: String,
    pub port: u16,
    /// Where people land who open it.
    pub landing: String,
    pub scheme: Scheme,
    pub host_policy: HostPolicy,
    pub websocket: bool,
    pub sse: bool,
    /// The app's run in the engine.
    pub handle: Handle,
    /// Whether people may enter: the service has been ready and the session is running.
    /// Checks of readiness come through anyway.
    pub open: bool,
    /// Headers that sign in to the app itself.
    pub inject: Vec<(http::HeaderName, http::HeaderValue)>,
}

/// A browser that may be inside.
#[derive(Debug, Clone)]
pub struct Pass {
    pub session: AppSessionId,
    pub service: String,
    pub account: AccountId,
    pub bearer: SessionId,
    pub expires_at: OffsetDateTime,
}

impl From<Leave> for Pass {
    fn from(leave: Leave) -> Self {
        Self {
            session: leave.session,
            service: leave.service,
            account: leave.account,
            bearer: leave.bearer,
            expires_at: leave.expires_at,
        }
    }
}

/// The service at exactly this origin, while its app runs.
pub async fn door(state: &State, origin: &str) -> Result<Option<Door>, Error> {
    let mut conn = state.store().read().await?;
    let Some(service) = services::at(&mut conn, origin).await? else {
        return Ok(None);
    };
    let Some(session) = apps::find_for_worker(&mut conn, service.session).await? else {
        return Ok(None);
    };
    if session.phase.ended() {
        return Ok(None);
    }
    let Some(job) = jobs::find_for_worker(&mut conn, session.job).await? else {
        return Ok(None);
    };
    let run = runs::find(&mut conn, job.id, job.attempt).await?;
    let handle = run.and_then(|run| run.handle);
    let known = session.manifest.service(&service.service);
    let (Some(handle), Some(known)) = (handle, known) else {
        return Ok(None);
    };
    let inject = match &known.auth {
        Some(auth) => injected(&settings::known(state, &mut conn, &session).await?, auth),
        None => None,
    };
    Ok(Some(Door {
        session: session.id,
        workspace: session.workspace,
        port: known.port,
        landing: known.landing().to_owned(),
        scheme: known.scheme,
        host_policy: known.host_policy,
        websocket: known.websocket,
        sse: known.sse,
        handle: Handle(handle),
        open: service.ready_at.is_some() && enterable(session.phase),
        inject: inject.into_iter().collect(),
        service: service.service,
        origin: service.origin,
    }))
}

/// Not before it is ready as a whole, which is when it begins to cost, even if one of
/// its services has been for long.
const fn enterable(phase: Phase) -> bool {
    matches!(phase, Phase::Running)
}

/// Uses a ticket up; the token of the pass that it gives, and the pass. `None` if
/// the ticket is not good for this origin.
pub async fn redeem(
    state: &State,
    origin: &str,
    ticket: &str,
) -> Result<Option<(String, Pass)>, Error> {
    if !ticket.starts_with("jgl_") {
        return Ok(None);
    }
    let (hash, token, now) = (random::hash(ticket), random::token("jga_"), state.now());
    let (origin, stored, own) = (origin.to_owned(), random::hash(&token), state.clone());
    let pass = state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                // Used up even where it is of no use: it may have been stolen.
                let Some(mut leave) = passes::use_ticket(conn, &hash, now).await? else {
                    return Ok::<_, Error>(None);
                };
                let Some(until) = stands(conn, &own, &origin, &leave).await? else {
                    return Ok(None);
                };
                let session = apps::find_for_worker(conn, leave.session).await?;
                if !session.is_some_and(|session| enterable(session.phase)) {
                    return Ok(None);
                }
                leave.expires_at = until.min(now + PASS_LASTS);
                passes::insert_pass(conn, &stored, &leave, now).await?;
                Ok(Some(Pass::from(leave)))
            })
        })
        .await?;
    Ok(pass.map(|pass| (token, pass)))
}

/// The pass, if it is good for this origin now: not expired, its portal session
/// still signed in, its person still a member of the workspace.
pub async fn pass(state: &State, origin: &str, token: &str) -> Result<Option<Pass>, Error> {
    if !token.starts_with("jga_") {
        return Ok(None);
    }
    let mut conn = state.store().read().await?;
    let found = passes::find_pass(&mut conn, &random::hash(token), state.now()).await?;
    let Some(leave) = found else {
        return Ok(None);
    };
    let stands = stands(&mut conn, state, origin, &leave).await?;
    Ok(stands.map(|_| Pass::from(leave)))
}

/// Until when the portal session behind a ticket or a pass lasts; `None` if that
/// is over, its person is no member any more, or the service is another one.
async fn stands(
    conn: &mut Conn,
    state: &State,
    origin: &str,
    leave: &Leave,
) -> Result<Option<OffsetDateTime>, Error> {
    let service = services::at(conn, origin).await?;
    if !service.is_some_and(|at| at.session == leave.session && at.service == leave.service) {
        return Ok(None);
    }
    let bearer = sessions::bearer_of(conn, leave.bearer).await?;
    let bearer = bearer.filter(|bearer| bearer.account == leave.account && alive(bearer, state));
    let Some(bearer) = bearer else {
        return Ok(None);
    };
    let member = accounts::is_member_of_app(conn, leave.account, leave.session).await?;
    Ok(member.then_some(bearer.expires_at))
}

/// Notes that a person uses the session now.
pub async fn used(state: &State, session: AppSessionId) -> Result<(), Error> {
    let now = state.now();
    state
        .store()
        .write(move |conn| {
            Box::pin(async move { Ok::<_, Error>(apps::used(conn, session, now).await?) })
        })
        .await
}

pub(super) async fn open(cx: Cx, call: Call<OpenApp>) -> Result<wire::Ticket, Error> {
    let (id,) = call.path;
    let mut conn = cx.store().read().await?;
    let session = apps::find(&mut conn, cx.caller.workspace, id).await?;
    let missing = || Error::NotFound("There is no such app session in this workspace.".into());
    let session = session.ok_or_else(missing)?;
    let wanted = call.body.service.as_deref();
    let service = match wanted {
        None => session.manifest.primary(),
        Some(name) => session
            .manifest
            .service(name)
            .ok_or_else(|| Error::NotFound("The app has no service of that name.".into()))?,
    };
    let all = services::of(&mut conn, id).await?;
    drop(conn);
    let at = all.into_iter().find(|at| at.service == service.id);
    let at = at.ok_or_else(missing)?;
    if let Some(message) = why_not(session.phase, &service.label, at.state) {
        return Err(Error::Conflict {
            code: "NOT_READY",
            message,
        });
    }
    let token = random::token("jgl_");
    let expires_at = cx.now() + TICKET_LASTS;
    let leave = Leave {
        session: id,
        service: at.service,
        account: cx.caller.account,
        bearer: cx.caller.session()?,
        expires_at,
    };
    let hash = random::hash(&token);
    cx.store()
        .write(move |conn| {
            Box::pin(
                async move { Ok::<_, Error>(passes::insert_ticket(conn, &hash, &leave).await?) },
            )
        })
        .await?;
    let origin = cx.config().app_url.replacen('*', &at.origin, 1);
    Ok(wire::Ticket {
        url: format!("{origin}{LAUNCH_PATH}"),
        token,
        expires_at,
    })
}

fn why_not(phase: Phase, label: &str, service: ServiceState) -> Option<String> {
    let message = match phase {
        Phase::Stopping => "The app is being stopped.".into(),
        phase if phase.ended() => "The app has ended. Launch it again to open it.".into(),
        phase if !enterable(phase) => {
            format!(
                "{label} can be opened once it has answered its checks; the app is still starting."
            )
        }
        _ => match service {
            ServiceState::Ready => return None,
            ServiceState::Waiting | ServiceState::Checking => {
                format!("{label} can be opened once it has answered its checks.")
            }
            ServiceState::Unready => {
                format!(
                    "{label} does not answer at the moment. It can be opened when it does again."
                )
            }
            ServiceState::Stopped => "The app has ended. Launch it again to open it.".into(),
        },
    };
    Some(message)
}

/// The header that signs in to the app. `None` if the manifest asks for one that
/// cannot be: then the app asks people to sign in, which is safe.
fn injected(
    variables: &BTreeMap<String, String>,
    auth: &Auth,
) -> Option<(http::HeaderName, http::HeaderValue)> {
    let name = auth.header.to_ascii_lowercase().parse().ok()?;
    let text = filled(&auth.value, |name| variables.get(name).cloned())?;
    let mut value = http::HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some((name, value))
}

/// `template` with `{NAME}` and `{basic:user:NAME}` replaced; `None` if it names a
/// variable that there is not, or a brace stays open.
fn filled(template: &str, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, after) = after.split_once('}')?;
        text.push_str(before);
        match inside
            .strip_prefix("basic:")
            .map(|pair| pair.rsplit_once(':'))
        {
            None => text.push_str(&variable(inside)?),
            Some(pair) => {
                let (user, name) = pair?;
                let plain = format!("{user}:{}", variable(name)?);
                // Written either way in manifests: with the scheme before it or not.
                if text.is_empty() {
                    text.push_str("Basic ");
                }
                text.push_str(&random::base64(plain.as_bytes()));
            }
        }
        rest = after;
    }
    text.push_str(rest);
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_filled_in_from_variables() {
        let known = |name: &str| (name == "TOKEN").then(|| "s3cret".to_owned());
        for (template, value) in [
            ("token {TOKEN}", Some("token s3cret")),
            ("plain", Some("plain")),
            ("{TOKEN}{TOKEN}", Some("s3crets3cret")),
            (
                "{basic:kasm_user:TOKEN}",
                Some("Basic a2FzbV91c2VyOnMzY3JldA=="),
            ),
            ("Basic {basic:u:TOKEN}", Some("Basic dTpzM2NyZXQ=")),
            ("{OTHER}", None),
            ("{basic:TOKEN}", None),
            ("{TOKEN", None),
        ] {
            assert_eq!(filled(template, known).as_deref(), value, "{template}");
        }
    }
}
