//! Tests of the whole, in one binary.
mod engine_host;
