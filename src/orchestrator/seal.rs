//! What is secret in the database: encrypted under the data directory's master key,
//! each value under a key of its own, and bound to the place that it was written for.
use super::State;
use crate::random;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use sha2::Sha256;

const SALT: usize = 24;
/// So that another way can be told from this one some day.
const VERSION: &str = "1:";

/// What was sealed does not open: another master key, another place, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a sealed value cannot be opened: was master.key replaced?")]
pub(super) struct Damaged;

/// Seals `secret` for `place`, such as `callbacks|url|job_…`.
pub(super) fn seal(state: &State, place: &str, secret: &str) -> String {
    let salt = random::bytes::<SALT>();
    let mut sealed = secret.as_bytes().to_vec();
    key(state, &salt)
        .seal_in_place_append_tag(nonce(), Aad::from(place), &mut sealed)
        .expect("a value is far smaller than what the cipher takes");
    format!("{VERSION}{}{}", random::hex(&salt), random::hex(&sealed))
}

/// What was sealed for `place`.
///
/// # Errors
///
/// If it was not, or not under this master key.
pub(super) fn open(state: &State, place: &str, sealed: &str) -> Result<String, Damaged> {
    let bytes = sealed
        .strip_prefix(VERSION)
        .and_then(unhex)
        .ok_or(Damaged)?;
    let (salt, sealed) = bytes.split_at_checked(SALT).ok_or(Damaged)?;
    let mut sealed = sealed.to_vec();
    let plain = key(state, salt)
        .open_in_place(nonce(), Aad::from(place), &mut sealed)
        .map_err(|_| Damaged)?;
    String::from_utf8(plain.to_vec()).map_err(|_| Damaged)
}

/// The same for the same request, and of no use to whoever has not got the master key: a
/// plain hash would let them try what was in it, one password after the other.
pub(super) fn fingerprint(state: &State, request: &[u8]) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&state.0.master_key).expect("HMAC takes keys of any length");
    mac.update(b"junglegrid request\0");
    mac.update(request);
    random::hex(&mac.finalize().into_bytes())
}

/// A value's own key: of the master key and the value's random salt. So no two
/// values share one, and its nonce need not differ.
fn key(state: &State, salt: &[u8]) -> LessSafeKey {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&state.0.master_key).expect("HMAC takes keys of any length");
    mac.update(b"junglegrid seal\0");
    mac.update(salt);
    let key = UnboundKey::new(&CHACHA20_POLY1305, &mac.finalize().into_bytes());
    LessSafeKey::new(key.expect("HMAC-SHA256 has as many bytes as the key"))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? << 4 | digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}
