//! Creating an account, and proving its address with a mailed code.
use super::next::{Next, leading_to};
use super::shell::{Page, guest};
use super::ui::form::{Field, Wrong, hidden};
use super::viewer::Guest;
use super::{Portal, login, ui};
use crate::api::accounts::{Delivery, Registration, Resend, Verification};
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::{Form, Query};
use maud::{Markup, html};
use serde::Deserialize;
use tower_cookies::Cookies;
use url::form_urlencoded::Serializer;

pub(super) const PATH: &str = "/signup";
const VERIFY: &str = "/signup/verify";
const RESEND: &str = "/signup/resend";

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route(PATH, get(ask).post(register))
        .route(VERIFY, get(ask_code).post(verify))
        .route(RESEND, post(resend))
}

/// Where `email` is verified.
pub(super) fn verify_path(email: &str, next: Option<&Next>) -> String {
    with_email(VERIFY, email, next)
}

/// `page` about `email`, which leads on to `next`.
pub(super) fn with_email(page: &str, email: &str, next: Option<&Next>) -> String {
    let query = Serializer::new(String::new())
        .append_pair("email", email)
        .finish();
    leading_to(&format!("{page}?{query}"), next)
}

/// What the sign-up form holds.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    name: String,
    email: String,
    password: String,
}

async fn ask(guest: Guest) -> Page {
    page(&Typed::default(), &Wrong::default(), guest.next.as_ref())
}

async fn register(
    guest: Guest,
    State(portal): State<Portal>,
    cookies: Cookies,
    Form(typed): Form<Typed>,
) -> Response {
    let name = typed.name.trim();
    let registration = Registration {
        email: typed.email.trim().to_owned(),
        password: typed.password.clone(),
        name: (!name.is_empty()).then(|| name.to_owned()),
        role: None,
    };
    let next = guest.next.as_ref();
    match guest.api.register(&registration).await {
        Ok(registered) => {
            portal.config.registered(&cookies, &registered);
            Redirect::to(&verify_path(&registered.email, next)).into_response()
        }
        Err(error) => {
            let wrong = Wrong::told(error);
            (wrong.status, page(&typed, &wrong, next)).into_response()
        }
    }
}

fn page(typed: &Typed, wrong: &Wrong, next: Option<&Next>) -> Page {
    let main = html! {
        h1 { "Create an account" }
        form method="post" action=(leading_to(PATH, next)) {
            (wrong.summary(&["name", "email", "password"]))
            (Field::new("name", "Name").autocomplete("name").longest(100).value(&typed.name).wrong(wrong).input())
            (Field::new("email", "Email").kind("email").autocomplete("username").hint("We mail a code to it.")
                .value(&typed.email).required().wrong(wrong).input())
            (Field::new("password", "Password").kind("password").autocomplete("new-password")
                .hint("At least 8 characters.").required().wrong(wrong).input())
            button.btn.pri.wide { "Create account" }
        }
        p.small { "Already have an account? " a href=(leading_to(login::PATH, next)) { "Sign in" } "." }
    };
    guest("Create an account", main)
}

/// What the verification form holds, and what its address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Code {
    email: String,
    code: String,
}

async fn ask_code(
    guest: Guest,
    State(portal): State<Portal>,
    cookies: Cookies,
    Query(about): Query<Code>,
) -> Page {
    let (_, delivery) = portal.config.registration(&cookies, &about.email);
    let blank = Code {
        code: String::new(),
        ..about
    };
    code_page(&blank, &Wrong::default(), delivery, guest.next.as_ref())
}

async fn verify(
    guest: Guest,
    State(portal): State<Portal>,
    cookies: Cookies,
    Form(typed): Form<Code>,
) -> Response {
    let (account_id, delivery) = portal.config.registration(&cookies, &typed.email);
    let verification = Verification {
        email: typed.email.trim().to_owned(),
        code: digits(&typed.code),
        account_id,
    };
    match guest.api.verify_otp(&verification).await {
        Ok(signed_in) => {
            portal.config.sign_in(&cookies, signed_in, guest.now);
            Redirect::to(guest.onwards()).into_response()
        }
        Err(error) => {
            let wrong = Wrong::told(error);
            let page = code_page(&typed, &wrong, delivery, guest.next.as_ref());
            (wrong.status, page).into_response()
        }
    }
}

async fn resend(
    guest: Guest,
    State(portal): State<Portal>,
    cookies: Cookies,
    Form(typed): Form<Code>,
) -> Response {
    let (account_id, delivery) = portal.config.registration(&cookies, &typed.email);
    let email = typed.email.trim().to_owned();
    let next = guest.next.as_ref();
    match guest.api.resend_otp(&Resend { email, account_id }).await {
        Ok(accepted) => {
            portal.config.say(&cookies, &accepted.message);
            Redirect::to(&verify_path(&typed.email, next)).into_response()
        }
        Err(error) => {
            let wrong = Wrong::told(error);
            let page = code_page(&typed, &wrong, delivery, next);
            (wrong.status, page).into_response()
        }
    }
}

fn code_page(typed: &Code, wrong: &Wrong, delivery: Option<Delivery>, next: Option<&Next>) -> Page {
    let main = html! {
        h1 { "Enter your code" }
        @if !typed.email.is_empty() {
            p { "A six-digit code was sent to " strong { (typed.email) } ". It is valid for 10 minutes." }
        }
        (outbox(delivery))
        form method="post" action=(leading_to(VERIFY, next)) {
            (wrong.summary(&["email", "code"]))
            (email_field(&typed.email, wrong))
            (code_field(&typed.code, wrong))
            button.btn.pri.wide { "Verify and sign in" }
        }
        @if !typed.email.is_empty() {
            form method="post" action=(leading_to(RESEND, next)) {
                (hidden("email", &typed.email))
                p.small { "Nothing came? Look among unwanted mail, or have another one sent. The earlier code then stops working." }
                button.btn.wide { "Send a new code" }
            }
        }
        p.small { "Not your address? " a href=(leading_to(PATH, next)) { "Start again" } "." }
    };
    guest("Enter your code", main)
}

/// Known from the page before, or asked for.
pub(super) fn email_field(email: &str, wrong: &Wrong) -> Markup {
    let known = !email.is_empty() && wrong.field("email").is_none();
    html! {
        @if known { (hidden("email", email)) }
        @else { (Field::new("email", "Email").kind("email").autocomplete("username").value(email).required().wrong(wrong).input()) }
    }
}

/// One field, so that a code can be pasted and filled in by the device.
pub(super) fn code_field(code: &str, wrong: &Wrong) -> Markup {
    Field::new("code", "Six-digit code")
        .autocomplete("one-time-code")
        .inputmode("numeric")
        .longest(12)
        .value(code)
        .mono()
        .required()
        .wrong(wrong)
        .input()
}

/// Where the code is when no mail can leave.
pub(super) fn outbox(delivery: Option<Delivery>) -> Markup {
    html! {
        @if delivery == Some(Delivery::Outbox) {
            (ui::note(ui::Kind::Warn, html! {
                p { "Mail is not configured here, so nothing arrives. The code is in the server's log, and in the folder " code { "outbox" } " of its data directory." }
            }))
        }
    }
}

/// Codes are copied with spaces and dashes in them.
pub(super) fn digits(code: &str) -> String {
    code.chars()
        .filter(|c| !c.is_whitespace() && *c != '-')
        .collect()
}
