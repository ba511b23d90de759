//! A new password, for those who have lost theirs.
use super::next::{Next, leading_to};
use super::shell::{Page, guest};
use super::signup::{code_field, digits, email_field, outbox, with_email};
use super::ui::form::{Field, Wrong};
use super::viewer::Guest;
use super::{Portal, login};
use crate::api::accounts::{Delivery, Forgotten, Reset};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum_extra::extract::{Form, Query};
use maud::html;
use serde::Deserialize;
use tower_cookies::Cookies;

pub(super) const FORGOT: &str = "/login/forgot";
const RESET: &str = "/login/reset";

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(FORGOT, get(ask).post(forgot))
        .route(RESET, get(ask_code).post(reset))
}

async fn ask(guest: Guest) -> Page {
    page("", &Wrong::default(), guest.next.as_ref())
}

async fn forgot(
    guest: Guest,
    State(portal): State<Portal>,
    cookies: Cookies,
    Form(typed): Form<Forgotten>,
) -> Response {
    let next = guest.next.as_ref();
    match guest.api.forgot_password(&typed).await {
        Ok(accepted) => {
            portal.config.say(&cookies, &accepted.message);
            Redirect::to(&with_email(RESET, &typed.email, next)).into_response()
        }
        Err(error) => {
            let wrong = Wrong::told(error);
            (wrong.status, page(&typed.email, &wrong, next)).into_response()
        }
    }
}

fn page(email: &str, wrong: &Wrong, next: Option<&Next>) -> Page {
    let main = html! {
        h1 { "Forgotten password" }
        p { "Say which account is yours. We mail you a code with which you can choose a new password." }
        form method="post" action=(leading_to(FORGOT, next)) {
            (wrong.summary(&["email"]))
            (Field::new("email", "Email").kind("email").autocomplete("username").value(email).required().wrong(wrong).input())
            button.btn.pri.wide { "Send the code" }
        }
        p.small { "Remembered it? " a href=(leading_to(login::PATH, next)) { "Sign in" } "." }
    };
    guest("Forgotten password", main)
}

/// What the form for a new password holds, and what its address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    email: String,
    code: String,
    password: String,
}

async fn ask_code(
    guest: Guest,
    State(portal): State<Portal>,
    cookies: Cookies,
    Query(about): Query<Typed>,
) -> Page {
    let (_, delivery) = portal.config.registration(&cookies, &about.email);
    let blank = Typed {
        email: about.email,
        ..Typed::default()
    };
    code_page(&blank, &Wrong::default(), delivery, guest.next.as_ref())
}

async fn reset(
    guest: Guest,
    State(portal): State<Portal>,
    cookies: Cookies,
    Form(typed): Form<Typed>,
) -> Response {
    let body = Reset {
        email: typed.email.trim().to_owned(),
        code: digits(&typed.code),
        password: typed.password.clone(),
    };
    match guest.api.reset_password(&body).await {
        Ok(signed_in) => {
            portal.config.sign_in(&cookies, signed_in, guest.now);
            portal.config.say(
                &cookies,
                "Your password is changed. Other devices are signed out.",
            );
            Redirect::to(guest.onwards()).into_response()
        }
        Err(error) => {
            let wrong = Wrong::told(error);
            let (_, delivery) = portal.config.registration(&cookies, &typed.email);
            let page = code_page(&typed, &wrong, delivery, guest.next.as_ref());
            (wrong.status, page).into_response()
        }
    }
}

fn code_page(
    typed: &Typed,
    wrong: &Wrong,
    delivery: Option<Delivery>,
    next: Option<&Next>,
) -> Page {
    let main = html! {
        h1 { "Choose a new password" }
        @if !typed.email.is_empty() {
            p { "If " strong { (typed.email) } " has an account, a six-digit code is on its way there. It is valid for 10 minutes." }
        }
        (outbox(delivery))
        form method="post" action=(leading_to(RESET, next)) {
            (wrong.summary(&["email", "code", "password"]))
            (email_field(&typed.email, wrong))
            (code_field(&typed.code, wrong))
            (Field::new("password", "New password").kind("password").autocomplete("new-password")
                .hint("At least 8 characters. Every other device is signed out.").required().wrong(wrong).input())
            button.btn.pri.wide { "Change password and sign in" }
        }
        p.small { "Nothing came? " a href=(leading_to(FORGOT, next)) { "Ask for another code" } "." }
    };
    guest("Choose a new password", main)
}
