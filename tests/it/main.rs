//! One binary for all integration tests: it links once.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests, too, fail by panicking"
)]
mod data_dir;
mod wire;
