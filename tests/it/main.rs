//! Everything is tested through the doors that people and programs use.
mod data_dir;
mod double;
mod engine_host;
mod portal;
mod wire;
