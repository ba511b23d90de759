//! Jungle Grid.
pub mod app;
pub mod domain;
pub mod engine;
pub mod settings;
pub mod telemetry;
pub mod web;
