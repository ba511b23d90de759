//! Everything is tested through the doors that people and programs use.
mod engine_host;
