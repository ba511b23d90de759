//! Names for forms that make secrets: sent twice, they have their effect once,
//! and nobody can make one up for somebody else's session.
use crate::web::{Error, Portal};
use axum::extract::FromRequestParts;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::request::Parts;
use sha2::Sha256;
use tower_cookies::Cookies;

const NONCE: usize = 32;

/// Under what the forms of this browser are named.
pub(in crate::web) struct Forms(Hmac<Sha256>);

impl FromRequestParts<Portal> for Forms {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Error> {
        let cookies = Cookies::from_request_parts(parts, portal).await;
        let cookies = cookies.map_err(|(_, why)| Error::Internal(why))?;
        let token = portal.config.session(&cookies).ok_or(Error::SignIn)?;
        let key = Hmac::new_from_slice(token.as_bytes());
        key.map(Self)
            .map_err(|_| Error::Internal("a token that cannot be a key"))
    }
}

impl Forms {
    /// A name for the next form.
    pub(in crate::web) fn name(&self) -> String {
        let nonce = &crate::random::token("")[..NONCE];
        let mac = self.0.clone().chain_update(nonce).finalize();
        format!("{nonce}{}", crate::random::hex(&mac.into_bytes()))
    }

    /// Whether this name was given to a form of this session.
    pub(in crate::web) fn named(&self, name: &str) -> bool {
        let Some((nonce, mac)) = name.split_at_checked(NONCE) else {
            return false;
        };
        let given = self.0.clone().chain_update(nonce).finalize().into_bytes();
        let given = crate::random::hex(&given);
        subtle::ConstantTimeEq::ct_eq(given.as_bytes(), mac.as_bytes()).into()
    }
}
