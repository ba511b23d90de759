//! Everything is tested through the router that production serves.
mod double;
mod fake;
mod portal;
mod portal_jobs;
mod portal_submit;
