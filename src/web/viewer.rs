//! Who looks at a page.
use super::next::Next;
use super::{Error, Portal, hx};
use crate::api::{Origin, accounts::Session};
use crate::client::Client;
use crate::domain::money::Usd;
use crate::domain::peer::Peer;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header, request::Parts};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};
use time::OffsetDateTime;
use tower_cookies::Cookies;

/// Someone who is signed in. Without a session the page is not drawn; the
/// visitor is sent to sign in and comes back.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) session: Session,
    /// Acts for this person.
    pub(crate) api: Client,
    pub(crate) now: OffsetDateTime,
    /// What is set aside for jobs, on pages that have asked for it anyway.
    pub(crate) held: Option<Usd>,
}

/// Where the viewer is left for whatever draws the answer to this request.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen(Arc<OnceLock<Viewer>>);

impl Seen {
    pub(super) fn viewer(&self) -> Option<&Viewer> {
        self.0.get()
    }
}

impl FromRequestParts<Portal> for Viewer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Error> {
        let cookies = cookies(parts, portal).await?;
        let token = portal.config.session(&cookies).ok_or(Error::SignIn)?;
        let api = portal.api.acting_for(&token).from_origin(origin(parts));
        let session = match api.session().await {
            Ok(session) => session,
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                portal.config.sign_out(&cookies);
                return Err(Error::SignIn);
            }
            Err(error) => return Err(error.into()),
        };
        let viewer = Self {
            session,
            api,
            now: portal.config.clock.now(),
            held: None,
        };
        if let Some(seen) = parts.extensions.get::<Seen>() {
            // A second extraction in one request finds the same person.
            let _ = seen.0.set(viewer.clone());
        }
        Ok(viewer)
    }
}

/// Someone who is not signed in. Pages for guests send everyone else on.
#[derive(Debug)]
pub(crate) struct Guest {
    /// Acts for nobody.
    pub(crate) api: Client,
    /// Where to go once signed in.
    pub(crate) next: Option<Next>,
    pub(crate) now: OffsetDateTime,
}

impl Guest {
    /// Where to go once signed in.
    pub(crate) fn onwards(&self) -> &str {
        self.next.as_ref().map_or("/portal", Next::as_str)
    }
}

/// Why a page for guests is not shown.
#[derive(Debug)]
pub(crate) enum NoGuest {
    SignedIn(Option<Next>),
    Failed(Error),
}

impl IntoResponse for NoGuest {
    fn into_response(self) -> Response {
        match self {
            Self::SignedIn(next) => {
                let onwards = next.as_ref().map_or("/portal", Next::as_str);
                hx::redirect(hx::Wants::Page, onwards)
            }
            Self::Failed(error) => error.into_response(),
        }
    }
}

impl FromRequestParts<Portal> for Guest {
    type Rejection = NoGuest;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, NoGuest> {
        let next = Next::of_query(parts.uri.query());
        match Viewer::from_request_parts(parts, portal).await {
            Ok(_) => Err(NoGuest::SignedIn(next)),
            Err(Error::SignIn) => Ok(Self {
                api: portal.api.from_origin(origin(parts)),
                next,
                now: portal.config.clock.now(),
            }),
            Err(error) => Err(NoGuest::Failed(error)),
        }
    }
}

async fn cookies(parts: &mut Parts, portal: &Portal) -> Result<Cookies, Error> {
    Cookies::from_request_parts(parts, portal)
        .await
        .map_err(|(_, why)| Error::Internal(why))
}

/// Where the browser's request came from.
fn origin(parts: &Parts) -> Origin {
    let ip = parts
        .extensions
        .get::<Peer>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let agent = parts
        .headers
        .get(header::USER_AGENT)
        .and_then(|agent| agent.to_str().ok());
    Origin {
        ip,
        agent: agent.unwrap_or_default().chars().take(200).collect(),
    }
}
