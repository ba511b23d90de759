//! Everything is tested through the router that production serves.
mod double;
mod portal;
