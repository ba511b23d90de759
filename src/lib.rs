//! Jungle Grid.
pub mod engine;
