//! Everything is tested through the doors that people and programs use.
mod data_dir;
mod engine_host;
mod wire;
