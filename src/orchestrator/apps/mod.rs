//! Apps launched from templates: `/v1/templates` and `/v1/app-sessions`.
pub mod access;
mod board;
pub mod catalogue;
mod extend;
pub(super) mod follow;
pub(super) mod launch;
mod live;
mod offer;
pub(super) mod run;
mod secrets;
pub(super) mod settings;
mod templates;
mod usual;
mod view;
pub(super) mod words;

pub use catalogue::Catalogue;
pub(super) use live::Live;
pub(super) use settings::SECRETS_KEPT;

use super::State;
use super::route::on;
use async_trait::async_trait;
use axum::Router;
use bytes::Bytes;
use std::fmt;
use std::time::Duration;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .merge(on(templates::list))
        .merge(on(templates::get))
        .merge(on(templates::estimate))
        .merge(on(launch::launch))
        .merge(on(launch::stop))
        .merge(on(extend::extend))
        .merge(on(view::list))
        .merge(on(view::get))
        .merge(on(view::events))
        .merge(on(access::open))
        .merge(on(board::get))
        .merge(live::routes())
}

/// The way to a service that browsers take, for checking whether it is ready.
#[async_trait]
pub trait Gate: Send + Sync + fmt::Debug {
    /// Asks the service at this origin.
    ///
    /// # Errors
    ///
    /// Says in a few words why there is no answer, such as `connection refused`.
    async fn probe(&self, origin: &str, question: Question) -> Result<Answer, String>;
}

#[derive(Debug, Clone)]
pub struct Question {
    pub method: http::Method,
    pub path: String,
    /// JSON; empty for none.
    pub body: Bytes,
    pub patience: Duration,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    /// The first 64 KiB.
    pub body: Bytes,
}
