//! The rules of the product: no I/O, no clock, no framework.
pub mod account;
pub mod api_key;
pub mod app;
pub mod estimate;
pub mod id;
pub mod job;
pub mod ledger;
pub mod logs;
pub mod money;
pub mod peer;
pub mod routing;
pub mod secret;
pub mod spec;
pub mod template;
pub mod text;
