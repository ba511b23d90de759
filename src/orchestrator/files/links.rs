//! Addresses that work for a while, for whoever has them.
use crate::api::{self, PathValues as _};
use crate::domain::id::ArtifactId;
use crate::orchestrator::{Error, State};
use crate::random;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;

/// How a file is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Saved,
    /// A picture in a page.
    Shown,
}

/// What stands in the address of a file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Query {
    #[serde(default)]
    expires: Option<i64>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    shown: Option<String>,
}

/// An address for one file, and when it stops working.
pub(super) fn address(state: &State, id: ArtifactId, how: Use) -> (String, OffsetDateTime) {
    let until = until(state);
    let expires = until.unix_timestamp();
    let signature = signature(state, id, how, expires);
    let shown = match how {
        Use::Saved => "",
        Use::Shown => "&shown=1",
    };
    let base = &state.config().public_url;
    let path = (id,).fill(api::ARTIFACT_CONTENT);
    let url = format!("{base}{path}?expires={expires}&signature={signature}{shown}");
    (url, until)
}

/// When addresses that are made now stop working.
pub(super) fn until(state: &State) -> OffsetDateTime {
    let until = state.now() + state.config().files.links;
    until.replace_nanosecond(0).unwrap_or(until)
}

/// What the address is good for.
///
/// # Errors
///
/// If we have not made it, or its time is over.
pub(super) fn check(state: &State, id: ArtifactId, query: &Query) -> Result<Use, Error> {
    let how = if query.shown.is_some() {
        Use::Shown
    } else {
        Use::Saved
    };
    let (Some(expires), Some(given)) = (query.expires, &query.signature) else {
        return Err(nothing());
    };
    let right = signature(state, id, how, expires);
    if !bool::from(right.as_bytes().ct_eq(given.as_bytes())) {
        return Err(nothing());
    }
    if expires <= state.now().unix_timestamp() {
        return Err(over());
    }
    Ok(how)
}

pub(super) fn nothing() -> Error {
    Error::NotFound("There is nothing at this address.".into())
}

fn over() -> Error {
    Error::Coded {
        status: StatusCode::GONE,
        code: "LINK_EXPIRED",
        message: "This address has stopped working. Ask for a new one.".into(),
    }
}

fn signature(state: &State, id: ArtifactId, how: Use, expires: i64) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&state.0.master_key).expect("HMAC takes keys of any length");
    let how = match how {
        Use::Saved => "saved",
        Use::Shown => "shown",
    };
    mac.update(b"junglegrid artifact address\0");
    mac.update(format!("{id}\0{how}\0{expires}").as_bytes());
    random::hex(&mac.finalize().into_bytes())
}
