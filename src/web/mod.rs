//! The portal: HTML for browsers, all data from the orchestrator's API.
mod apps;
pub mod assets;
mod cookies;
mod dashboard;
mod error;
mod files;
mod guard;
mod hx;
mod jobs;
mod keys;
mod kind;
mod live;
mod login;
mod logs;
mod next;
mod nodes;
mod poll;
mod reset;
mod shell;
mod signup;
mod submit;
pub(crate) mod ui;
mod viewer;
mod webhooks;

pub use error::Error;

use crate::client::Client;
use crate::clock::Clock;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use tower_cookies::{CookieManagerLayer, Cookies};
use tower_http::catch_panic::CatchPanicLayer;
use url::Url;
use viewer::Viewer;

/// How the portal presents itself.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where browsers reach it.
    pub public_url: Url,
    /// Whether browsers reach it over https only, so that cookies can say so.
    pub secure_cookies: bool,
    pub clock: Clock,
}

/// What every portal handler shares.
#[derive(Debug, Clone)]
pub struct Portal {
    pub(crate) api: Client,
    pub(crate) config: Config,
}

/// All pages and their files.
pub fn router(api: Client, config: Config) -> Router {
    let portal = Portal { api, config };
    Router::new()
        .route("/", axum::routing::get(start))
        .merge(login::routes())
        .merge(signup::routes())
        .merge(reset::routes())
        .merge(dashboard::routes())
        .merge(nodes::routes())
        .merge(jobs::routes())
        .merge(submit::routes())
        .merge(apps::routes())
        .merge(keys::routes())
        .merge(webhooks::routes())
        .merge(logs::routes())
        .merge(files::routes())
        .fallback(missing)
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(portal.clone(), guard::same_origin))
        .layer(from_fn(error::render))
        .layer(from_fn_with_state(portal.clone(), shell::dress))
        .layer(CookieManagerLayer::new())
        .with_state(portal)
        .merge(assets::routes())
}

/// To the dashboard, or to the door.
async fn start(
    axum::extract::State(portal): axum::extract::State<Portal>,
    cookies: Cookies,
) -> Response {
    let known = portal.config.session(&cookies).is_some();
    hx::redirect(hx::Wants::Page, if known { "/portal" } else { "/login" })
}

/// The viewer is asked for so that the page can be drawn as theirs.
async fn missing(_: Result<Viewer, Error>) -> Error {
    Error::NotFound
}
