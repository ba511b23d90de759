//! The portal: pages and fragments.
pub mod assets;
