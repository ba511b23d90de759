//! Jungle Grid.
pub mod app;
pub mod domain;
pub mod engine;
pub mod web;
