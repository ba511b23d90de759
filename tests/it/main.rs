//! Everything is tested through the doors that people and programs use; in one
//! binary, because linking is what takes time.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should stop there and then"
)]
mod apps;
mod apps_double;
mod apps_view;
mod architecture;
mod auth;
mod authorisation;
mod budget;
mod built_in_apps;
mod callbacks;
mod certificates;
mod clients;
mod contract;
mod data_dir;
mod double;
mod engine_host;
mod fake;
mod files;
mod grid;
mod harness;
mod http2;
mod job_lists;
mod jobs;
mod keys;
mod kill;
mod mail;
mod malformed;
mod openapi;
mod output;
mod plans;
mod portal;
mod portal_apart;
mod portal_apps;
mod portal_callbacks;
mod portal_files;
mod portal_job_lists;
mod portal_jobs;
mod portal_keys;
mod portal_logs;
mod portal_submit;
mod proxy;
mod proxy_hostile;
#[path = "../support/server.rs"]
mod server;
mod site;
mod store;
mod store_files;
mod store_jobs;
mod stub;
mod templates;
mod tls;
mod wire;
