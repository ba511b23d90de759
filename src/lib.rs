//! Jungle Grid: say what you want to run, see what it will cost and when it will
//! start, confirm, watch it run, fetch the results.
//!
//! One binary holds three parts. The **portal** ([`web`]) draws pages and knows
//! only the API; it reaches the **orchestrator** through the typed [`client`],
//! in this process or over HTTP. The orchestrator serves the contract in [`api`],
//! keeps its state in the [`store`] and asks an [`engine`] to run the work. The
//! rules themselves, without I/O, are in [`domain`]. [`app`] wires it together.
//! [`apps`] are programs of their own, which the host engine launches.
//!
//! A newcomer's path: `api/mod.rs` lists every operation, `tests/it/jobs.rs`
//! shows how they behave, `web/jobs` how they look.
pub mod api;
pub mod app;
pub mod apps;
pub mod client;
pub mod clock;
pub mod domain;
pub mod egress;
pub mod engine;
pub mod orchestrator;
pub mod proxy;
pub mod random;
pub mod settings;
pub mod store;
pub mod telemetry;
pub mod web;
