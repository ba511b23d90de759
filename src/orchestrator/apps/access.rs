//! Who may enter which service of an app: what the proxy asks.
use crate::api::OpenApp;
use crate::api::apps as wire;
use crate::domain::id::{AccountId, AppSessionId, SessionId, WorkspaceId};
use crate::engine::Handle;
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::{Error, State};
use time::OffsetDateTime;

/// The service at an origin, and the way to it.
#[derive(Debug, Clone)]
pub struct Door {
    pub session: AppSessionId,
    pub workspace: WorkspaceId,
    pub service: String,
    /// The origin's label.
    pub origin: String,
    pub port: u16,
    /// The app's run in the engine.
    pub handle: Handle,
    /// Whether people may enter: the service has been ready and the session has
    /// neither ended nor begun to stop. Checks of readiness come through anyway.
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

/// The service at exactly this origin, while its app runs.
pub async fn door(_state: &State, _origin: &str) -> Result<Option<Door>, Error> {
    Ok(None)
}

/// Uses a ticket up; the token of the pass that it gives, and the pass. `None` if
/// the ticket is not good for this origin.
pub async fn redeem(
    _state: &State,
    _origin: &str,
    _ticket: &str,
) -> Result<Option<(String, Pass)>, Error> {
    Ok(None)
}

/// The pass, if it is good for this origin now: not expired, its portal session
/// still signed in, its person still a member of the workspace.
pub async fn pass(_state: &State, _origin: &str, _token: &str) -> Result<Option<Pass>, Error> {
    Ok(None)
}

/// Notes that a person uses the session now.
pub async fn used(_state: &State, _session: AppSessionId) -> Result<(), Error> {
    Ok(())
}

pub(super) async fn open(_cx: Cx, _call: Call<OpenApp>) -> Result<wire::Ticket, Error> {
    Err(Error::Unavailable("SPINE".into()))
}
