//! What happens without being asked: each worker is a `tick()` that tests call
//! themselves, and a `run()` that calls it in time.
pub mod mail;
pub mod sweep;
