//! Jungle Grid.
pub mod engine;
pub mod web;
