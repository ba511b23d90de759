//! Who is calling.
use super::{Error, State};
use crate::domain::account::Role;
use crate::domain::id::{AccountId, SessionId, WorkspaceId};
use axum::extract::FromRequestParts;
use http::request::Parts;

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

    async fn from_request_parts(_parts: &mut Parts, _state: &State) -> Result<Self, Error> {
        Err(Error::Unauthorized)
    }
}
