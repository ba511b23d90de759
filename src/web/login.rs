//! Signing in and out.
use super::next::{Next, leading_to};
use super::shell::{Page, guest};
use super::ui::form::{Field, Wrong};
use super::viewer::{Guest, Viewer};
use super::{Error, Portal, hx, reset, signup};
use crate::api::accounts::Credentials;
use crate::client;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::Form;
use maud::html;
use tower_cookies::Cookies;

pub(super) const PATH: &str = "/login";

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(PATH, get(ask).post(sign_in))
        .route("/logout", post(sign_out))
}

async fn ask(guest: Guest) -> Page {
    page("", &Wrong::default(), guest.next.as_ref())
}

async fn sign_in(
    guest: Guest,
    State(portal): State<Portal>,
    cookies: Cookies,
    Form(typed): Form<Credentials>,
) -> Response {
    let next = guest.next.as_ref();
    let wrong = match guest.api.sign_in(&typed).await {
        Ok(signed_in) => {
            portal.config.sign_in(&cookies, signed_in, guest.now);
            return Redirect::to(guest.onwards()).into_response();
        }
        Err(client::Error::Refused { problem, .. }) if problem.code == "EMAIL_NOT_VERIFIED" => {
            return Redirect::to(&signup::verify_path(&typed.email, next)).into_response();
        }
        Err(error) => Wrong::told(error),
    };
    (wrong.status, page(&typed.email, &wrong, next)).into_response()
}

/// Signs this browser out even when the orchestrator cannot be told.
async fn sign_out(
    viewer: Result<Viewer, Error>,
    State(portal): State<Portal>,
    cookies: Cookies,
    wants: hx::Wants,
) -> Response {
    if let Ok(viewer) = viewer
        && let Err(error) = viewer.api.sign_out().await
    {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "a session was not ended"
        );
    }
    portal.config.sign_out(&cookies);
    portal.config.say(&cookies, "You are signed out.");
    hx::redirect(wants, PATH)
}

fn page(email: &str, wrong: &Wrong, next: Option<&Next>) -> Page {
    let main = html! {
        h1 { "Sign in" }
        form method="post" action=(leading_to(PATH, next)) {
            (wrong.summary(&["email", "password"]))
            (Field::new("email", "Email").kind("email").autocomplete("username").value(email).required().wrong(wrong).input())
            (Field::new("password", "Password").kind("password").autocomplete("current-password").required().wrong(wrong).input())
            button.btn.pri.wide { "Sign in" }
        }
        p.small { a href=(leading_to(reset::FORGOT, next)) { "Forgotten your password?" } }
        p.small { "New here? " a href=(leading_to(signup::PATH, next)) { "Create an account" } "." }
    };
    guest("Sign in", main)
}
