//! Accounts and sessions: registering, signing in and out, forgotten passwords.
//!
//! Nothing here says whether an address has an account: known and unknown ones
//! get the same answers after the same work, and whoever owns the mailbox learns
//! the rest from a mail.
mod codes;
mod hashing;
mod letters;
mod limits;
mod passwords;
mod registration;

pub(super) use hashing::Hashing;

use super::route::{self, Call, Cx};
use super::{BearerId, Change, Error, State};
use crate::api::accounts::{self as wire, Accepted, Credentials, SignedIn};
use crate::api::{GetSession, Origin, SignIn, SignOut};
use crate::domain::account::Email;
use crate::random;
use crate::store::accounts::{self, Account};
use crate::store::{Conn, sessions};
use axum::Router;
use std::collections::BTreeMap;

/// The routes under `/auth`.
pub(super) fn routes() -> Router<State> {
    Router::new()
        .merge(route::public(registration::register))
        .merge(route::public(registration::verify))
        .merge(route::public(registration::resend))
        .merge(route::public(sign_in))
        .merge(route::on(sign_out))
        .merge(route::on(session))
        .merge(route::public(passwords::forgot))
        .merge(route::public(passwords::reset))
}

/// Signs in with a password. Exactly one password is verified, whoever asks.
async fn sign_in(state: State, call: Call<SignIn>) -> Result<SignedIn, Error> {
    let origin = call.origin;
    let (email, password) = credentials(call.body)?;
    let turn = state.0.hashing.stand_in_line()?;
    let account = claimed(&state, &email, &origin).await?;
    let hash = account
        .as_ref()
        .map_or(hashing::NOBODY, |account| &account.password_hash);
    let right = turn.verify(password, hash.to_owned()).await?;
    let Some(account) = account.filter(|_| right) else {
        return Err(Error::BadCredentials);
    };
    let active = account.active();
    let signed_in = state
        .store()
        .write({
            let (state, account) = (state.clone(), account.clone());
            let (email, origin) = (email.clone(), origin.clone());
            move |conn| {
                Box::pin(async move {
                    limits::password_was_right(conn, &email, origin.ip).await?;
                    if !active {
                        return Ok(None);
                    }
                    // It may have been replaced while it was verified.
                    let hash = &account.password_hash;
                    if !accounts::hold_password(conn, account.id, hash).await? {
                        return Err(Error::BadCredentials);
                    }
                    begin(conn, &state, &account, &origin).await.map(Some)
                })
            }
        })
        .await?;
    if let Some(signed_in) = signed_in {
        return Ok(signed_in);
    }
    registration::remind(&state, &account, &email, origin.ip).await?;
    Err(Error::Unverified {
        account: account.id,
    })
}

fn credentials(Credentials { email, password }: Credentials) -> Result<(Email, String), Error> {
    let mut faults = Faults::default();
    let email = faults.note("email", Email::parse(&email));
    let password = faults.note(
        "password",
        match password.len() {
            0 => Err("Enter your password."),
            1..=256 => Ok(password),
            _ => Err("No password is longer than 256 characters. Check what you entered."),
        },
    );
    email.zip(password).ok_or_else(|| faults.into_error())
}

/// Counts the attempt and finds whose password is to be verified.
async fn claimed(state: &State, email: &Email, origin: &Origin) -> Result<Option<Account>, Error> {
    let (email, ip, now) = (email.clone(), origin.ip, state.now());
    state
        .store()
        .write(move |conn| {
            Box::pin(async move {
                limits::sign_in(conn, &email, ip, now).await?;
                let active = accounts::active(conn, email.as_str()).await?;
                let newest = accounts::newest_unverified(conn, email.as_str()).await?;
                Ok(active.or(newest))
            })
        })
        .await
}

async fn sign_out(cx: Cx, _: Call<SignOut>) -> Result<Accepted, Error> {
    let session = cx.caller.session()?;
    cx.store()
        .write(move |conn| {
            Box::pin(async move { Ok::<_, Error>(sessions::delete(conn, session).await?) })
        })
        .await?;
    cx.hub().publish(Change::SignedOut {
        bearer: BearerId::Session(session),
    });
    Ok(Accepted {
        message: "You are signed out.".into(),
    })
}

async fn session(cx: Cx, _: Call<GetSession>) -> Result<wire::Session, Error> {
    let mut conn = cx.store().read().await?;
    let session = sessions::describe(&mut conn, cx.caller.session()?)
        .await?
        .ok_or(Error::Unauthorized)?;
    Ok(wire::Session {
        account: wire::Account {
            id: session.account,
            email: session.email,
            name: session.name,
            roles: session.roles,
        },
        workspace: wire::Workspace {
            id: session.workspace,
            name: session.workspace_name,
        },
        role: session.role,
        operator: session.operator,
        expires_at: session.expires_at,
        balance_usd: session.available,
        active_jobs: session.active_jobs,
        active_apps: session.active_apps,
    })
}

/// Begins a session with a token of its own, which is told once and stored as a
/// hash.
async fn begin(
    conn: &mut Conn,
    state: &State,
    account: &Account,
    origin: &Origin,
) -> Result<SignedIn, Error> {
    let missing = |what| Error::Internal(anyhow::anyhow!("{} has no {what}", account.id));
    let workspace = accounts::home(conn, account.id)
        .await?
        .ok_or_else(|| missing("workspace"))?;
    let token = random::token("jgs_");
    let (now, config) = (state.now(), state.config());
    let lifetime = if account.operator {
        config.operator_lifetime.min(config.session_lifetime)
    } else {
        config.session_lifetime
    };
    let session = sessions::Session {
        id: state.id(),
        token_hash: random::hash(&token),
        account: account.id,
        workspace: workspace.id,
        role: *account.roles.first().ok_or_else(|| missing("role"))?,
        ip: origin.ip.to_canonical().to_string(),
        agent: origin.agent.chars().take(200).collect(),
        created_at: now,
        expires_at: now + lifetime,
    };
    sessions::insert(conn, &session).await?;
    Ok(SignedIn {
        token,
        expires_at: session.expires_at,
        account: wire::Account {
            id: account.id,
            email: account.email.clone(),
            name: account.name.clone(),
            roles: account.roles.clone(),
        },
    })
}

/// What is wrong with the fields of a body, all at once.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<String, String>);

impl Faults {
    /// What is right, or a note of what is wrong with `field`.
    pub(super) fn note<T, E: ToString>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|fault| self.0.insert(field.to_owned(), fault.to_string()))
            .ok()
    }

    pub(super) fn none(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_error(self) -> Error {
        let message = match self.0.values().next() {
            Some(only) if self.0.len() == 1 => only.clone(),
            _ => "Some of what you entered is not right: see each field.".to_owned(),
        };
        Error::Invalid {
            message,
            fields: self.0,
        }
    }
}
