//! The product's own rules: pure, without I/O and without a clock.
pub mod peer;
