//! The only source of randomness: the operating system's.
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
    let bytes: [u8; 32] = rand::random();
    let mut text = String::with_capacity(prefix.len() + 64);
    text.push_str(prefix);
    for byte in bytes {
        text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    text
}

/// A number with exactly six digits, every one as likely as the others.
#[must_use]
pub fn code() -> String {
    format!("{:06}", rand::random_range(0..1_000_000_u32))
}
