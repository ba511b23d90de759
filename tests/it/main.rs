//! Tests through the front door of each part, in one binary because linking is
//! what takes time.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there and then"
)]
mod auth;
mod harness;
mod mail;
mod store;
