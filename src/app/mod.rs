//! The wiring: settings, listeners, and what the process owns on disk.
pub mod guard;
pub mod lock;
pub mod master_key;
pub mod server;
