//! The only source of randomness: the operating system's. And how random tokens
//! are stored.
use crate::domain::api_key::BASE62;
use crate::domain::id::Id;
use time::OffsetDateTime;

/// A fresh id; later ids sort after earlier ones, to the millisecond.
#[must_use]
pub fn id<T: Id>(now: OffsetDateTime) -> T {
    T::at(now, rand::random())
}

/// `prefix` and 256 random bits in lower-case hex.
#[must_use]
pub fn token(prefix: &str) -> String {
    format!("{prefix}{}", hex(&rand::random::<[u8; 32]>()))
}

/// 130 random bits as a label of a host name: 26 lower-case base32 digits.
#[must_use]
pub fn label() -> String {
    rand::random::<[u8; 26]>()
        .iter()
        .map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyz234567"[usize::from(byte & 31)]))
        .collect()
}

/// So many digits of base62, each as likely as the others.
#[must_use]
pub fn base62(count: usize) -> String {
    let digits = std::iter::repeat_with(|| rand::random_range(0..BASE62.len()));
    digits
        .take(count)
        .map(|digit| char::from(BASE62[digit]))
        .collect()
}

/// So many random bytes.
#[must_use]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    bytes.fill_with(rand::random);
    bytes
}

/// A whole number below `end`, every one as likely as the others; 0 if there is none.
#[must_use]
pub fn below(end: i64) -> i64 {
    if end < 1 {
        return 0;
    }
    rand::random_range(0..end)
}

/// A number with exactly six digits, every one as likely as the others.
#[must_use]
pub fn code() -> String {
    format!("{:06}", rand::random_range(0..1_000_000_u32))
}

/// How a token is stored: its SHA-256 in lower-case hex.
#[must_use]
pub fn hash(token: &str) -> String {
    use sha2::{Digest, Sha256};
    hex(&Sha256::digest(token.as_bytes()))
}

/// `bytes` in lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]))
        .collect()
}

/// `bytes` in base64, padded.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        let word = word << (8 * (3 - chunk.len()));
        for at in 0..4 {
            text.push(if at > chunk.len() {
                '='
            } else {
                char::from(ALPHABET[(word >> (18 - 6 * at)) as usize & 63])
            });
        }
    }
    text
}
