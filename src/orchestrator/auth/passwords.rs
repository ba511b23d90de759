//! Forgotten passwords.
use super::codes::{self, Claim};
use super::letters::Letter;
use super::limits::{self, Pace};
use super::{Faults, begin};
use crate::api::accounts::{Accepted, Reset, SignedIn};
use crate::api::{ForgotPassword, ResetPassword};
use crate::domain::account::{self, Email};
use crate::orchestrator::route::Call;
use crate::orchestrator::{BearerId, Change, Error, State};
use crate::store::challenges::Purpose;
use crate::store::{accounts, mails, sessions};

/// Mails a code to whoever has an account, and a note to whoever has none.
pub(super) async fn forgot(state: State, call: Call<ForgotPassword>) -> Result<Accepted, Error> {
    let email =
        Email::parse(&call.body.email).map_err(|fault| Error::field("email", fault.to_string()))?;
    state
        .store()
        .write({
            let (state, ip) = (state.clone(), call.origin.ip);
            move |conn| {
                Box::pin(async move {
                    limits::mail(conn, &email, ip, Pace::CoolDown, state.now()).await?;
                    let account = accounts::active_id(conn, email.as_str()).await?;
                    let holder = account.unwrap_or(codes::nobody(&state, &email));
                    let code = codes::issue(conn, &state, holder, Purpose::Reset).await?;
                    let letter = match account {
                        Some(_) => Letter::Reset { code },
                        None => Letter::NotHere,
                    };
                    Ok::<_, Error>(mails::insert(conn, &letter.to(&email, &state)).await?)
                })
            }
        })
        .await?;
    state.0.mail.notify_one();
    Ok(Accepted {
        message: "If this address has an account, a code is on its way to it.".into(),
    })
}

/// Replaces the password of whoever holds the code, ends every session of the
/// account and begins a new one.
pub(super) async fn reset(state: State, call: Call<ResetPassword>) -> Result<SignedIn, Error> {
    let origin = call.origin;
    let Reset {
        email,
        code,
        password,
    } = call.body;
    let mut faults = Faults::default();
    let email = faults.note("email", Email::parse(&email));
    let acceptable = account::acceptable_password(&password, email.as_ref());
    faults.note("password", acceptable);
    let Some(email) = email.filter(|_| faults.none()) else {
        return Err(faults.into_error());
    };
    // Hashed before the code is tried: a full line must not use up the code.
    let password_hash = state.0.hashing.stand_in_line()?.hash(password).await?;
    let claim = Claim {
        email: email.clone(),
        account: None,
        purpose: Purpose::Reset,
        code,
        ip: origin.ip,
    };
    let proof = codes::check(&state, &claim).await?;
    let (signed_in, ended) = state
        .store()
        .write({
            let state = state.clone();
            move |conn| {
                Box::pin(async move {
                    codes::redeem(conn, &state, proof.challenge, origin.ip).await?;
                    if !accounts::set_password(conn, proof.account.id, &password_hash).await? {
                        return Err(codes::wrong());
                    }
                    let ended = sessions::delete_all(conn, proof.account.id).await?;
                    let mail = Letter::PasswordChanged.to(&email, &state);
                    mails::insert(conn, &mail).await?;
                    let signed_in = begin(conn, &state, &proof.account, &origin).await?;
                    Ok::<_, Error>((signed_in, ended))
                })
            }
        })
        .await?;
    state.0.mail.notify_one();
    for bearer in ended {
        state.hub().publish(Change::SignedOut {
            bearer: BearerId::Session(bearer),
        });
    }
    Ok(signed_in)
}
