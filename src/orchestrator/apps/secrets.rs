//! An app's own secrets: derived, so that none is stored, and known again after a
//! restart.
use crate::domain::id::AppSessionId;
use crate::orchestrator::State;
use crate::random;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The value of a generated variable of a session: 48 hexadecimal digits.
pub(in crate::orchestrator) fn generated(
    state: &State,
    session: AppSessionId,
    variable: &str,
) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&state.0.master_key).expect("HMAC takes keys of any length");
    mac.update(b"junglegrid app secret\0");
    mac.update(session.to_string().as_bytes());
    mac.update(b"\0");
    mac.update(variable.as_bytes());
    random::hex(&mac.finalize().into_bytes()[..24])
}
