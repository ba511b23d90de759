//! Registering, and proving the address.
//!
//! Several people may claim an address. Each claim has an id, a password and a
//! code of its own, and a code activates only the claim that it was mailed for:
//! whoever registers somebody else's address in advance gains nothing.
use super::codes::{self, Claim, Proof};
use super::letters::Letter;
use super::limits::{self, Pace};
use super::{Faults, begin};
use crate::api::accounts::{Accepted, Delivery, Registered, Resend, SignedIn};
use crate::api::{Origin, Register, ResendOtp, VerifyOtp};
use crate::domain::account::{self, Email, Role};
use crate::domain::id::{AccountId, WorkspaceId};
use crate::domain::ledger;
use crate::orchestrator::route::Call;
use crate::orchestrator::{Error, State};
use crate::store::accounts::{self, Account, Status, Workspace};
use crate::store::challenges::Purpose;
use crate::store::{Conn, mails};
use std::net::IpAddr;

/// Claims an address. The answer is the same whether or not it has an account.
pub(super) async fn register(state: State, call: Call<Register>) -> Result<Registered, Error> {
    let ip = call.origin.ip;
    let (email, name, roles) = accepted(&call)?;
    let turn = state.0.hashing.stand_in_line()?;
    let password_hash = turn.hash(call.body.password).await?;
    let id = state.id();
    let claim = Account {
        id,
        email: email.as_str().to_owned(),
        name,
        password_hash,
        status: Status::Unverified,
        roles,
        operator: false,
        created_at: state.now(),
    };
    let registered = Registered {
        account_id: id,
        email: claim.email.clone(),
        delivery: if state.config().smtp {
            Delivery::Smtp
        } else {
            Delivery::Outbox
        },
    };
    state
        .store()
        .write({
            let state = state.clone();
            move |conn| {
                Box::pin(async move {
                    limits::mail(conn, &email, ip, Pace::AtOnce, state.now()).await?;
                    let taken = accounts::active_id(conn, email.as_str()).await?.is_some();
                    let holder = if taken {
                        codes::nobody(&state, &email)
                    } else {
                        accounts::insert_unverified(conn, &claim).await?;
                        id
                    };
                    let code = codes::issue(conn, &state, holder, Purpose::Verify).await?;
                    let letter = if taken {
                        Letter::AlreadyHere
                    } else {
                        Letter::Verify { code }
                    };
                    Ok::<_, Error>(mails::insert(conn, &letter.to(&email, &state)).await?)
                })
            }
        })
        .await?;
    state.0.mail.notify_one();
    Ok(registered)
}

fn accepted(call: &Call<Register>) -> Result<(Email, Option<String>, Vec<Role>), Error> {
    let mut faults = Faults::default();
    let email = faults.note("email", Email::parse(&call.body.email));
    let password = account::acceptable_password(&call.body.password, email.as_ref());
    faults.note("password", password);
    let name = call.body.name.as_deref().unwrap_or_default();
    let name = faults.note("name", account::person(name));
    let role = match call.body.role.as_deref() {
        None | Some("" | "user") => Ok(Role::User),
        Some("provider") => Ok(Role::Provider),
        Some(_) => Err("Choose to run workloads (user) or to lend machines (provider)."),
    };
    let role = faults.note("role", role);
    match (email, name, role) {
        (Some(email), Some(name), Some(role)) if faults.none() => Ok((email, name, vec![role])),
        _ => Err(faults.into_error()),
    }
}

/// Mails another code, or that there is nothing to prove.
pub(super) async fn resend(state: State, call: Call<ResendOtp>) -> Result<Accepted, Error> {
    let Resend { email, account_id } = call.body;
    let email = Email::parse(&email).map_err(|fault| Error::field("email", fault.to_string()))?;
    state
        .store()
        .write({
            let (state, ip) = (state.clone(), call.origin.ip);
            move |conn| {
                Box::pin(async move {
                    limits::mail(conn, &email, ip, Pace::CoolDown, state.now()).await?;
                    let letter = another(conn, &state, &email, account_id).await?;
                    Ok::<_, Error>(mails::insert(conn, &letter.to(&email, &state)).await?)
                })
            }
        })
        .await?;
    state.0.mail.notify_one();
    Ok(Accepted {
        message: "A new code is on its way. Earlier ones no longer work.".into(),
    })
}

async fn another(
    conn: &mut Conn,
    state: &State,
    email: &Email,
    id: Option<AccountId>,
) -> Result<Letter, Error> {
    let taken = accounts::active_id(conn, email.as_str()).await?.is_some();
    let claim = accounts::unverified_id(conn, email.as_str(), id).await?;
    let claim = claim.filter(|_| !taken);
    let holder = claim.unwrap_or(codes::nobody(state, email));
    let code = codes::issue(conn, state, holder, Purpose::Verify).await?;
    Ok(match claim {
        _ if taken => Letter::AlreadyHere,
        Some(_) => Letter::Verify { code },
        None => Letter::NotHere,
    })
}

/// Mails a new code to somebody who knows the password of a claim, if the limits
/// allow another mail.
pub(super) async fn remind(
    state: &State,
    claim: &Account,
    email: &Email,
    ip: IpAddr,
) -> Result<(), Error> {
    let written = state
        .store()
        .write({
            let (state, email, id) = (state.clone(), email.clone(), claim.id);
            move |conn| {
                Box::pin(async move {
                    limits::mail(conn, &email, ip, Pace::CoolDown, state.now()).await?;
                    let code = codes::issue(conn, &state, id, Purpose::Verify).await?;
                    let mail = Letter::Verify { code }.to(&email, &state);
                    Ok::<_, Error>(mails::insert(conn, &mail).await?)
                })
            }
        })
        .await;
    match written {
        Ok(()) => state.0.mail.notify_one(),
        // There is a code in the mailbox already.
        Err(Error::TooMany { .. }) => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Proves an address and signs in.
pub(super) async fn verify(state: State, call: Call<VerifyOtp>) -> Result<SignedIn, Error> {
    let origin = call.origin;
    let email =
        Email::parse(&call.body.email).map_err(|fault| Error::field("email", fault.to_string()))?;
    let claim = Claim {
        email: email.clone(),
        account: call.body.account_id,
        purpose: Purpose::Verify,
        code: call.body.code,
        ip: origin.ip,
    };
    let proof = codes::check(&state, &claim).await?;
    let signed_in = state
        .store()
        .write({
            let state = state.clone();
            move |conn| {
                Box::pin(async move { activate(conn, &state, proof, &email, &origin).await })
            }
        })
        .await?;
    state.0.mail.notify_one();
    Ok(signed_in)
}

/// All that follows from a proven address, in one transaction.
async fn activate(
    conn: &mut Conn,
    state: &State,
    Proof { account, challenge }: Proof,
    email: &Email,
    origin: &Origin,
) -> Result<SignedIn, Error> {
    codes::redeem(conn, state, challenge, origin.ip).await?;
    // Somebody may have proven it with another claim a moment ago.
    if accounts::active(conn, email.as_str()).await?.is_some() {
        return Err(codes::wrong());
    }
    let operator = operates(conn, state, email).await?;
    if !accounts::activate(conn, account.id, operator, state.now()).await? {
        return Err(codes::wrong());
    }
    accounts::delete_unverified(conn, email.as_str()).await?;
    let workspace = Workspace {
        id: state.id(),
        name: match &account.name {
            Some(name) => name.clone(),
            None => format!("{}'s workspace", email.local()),
        },
        owner: account.id,
        created_at: state.now(),
    };
    accounts::insert_workspace(conn, &workspace).await?;
    give_welcome_credit(conn, state, workspace.id).await?;
    let letter = Letter::Welcome {
        name: account.name.clone(),
        credit: state.config().welcome_credit,
    };
    mails::insert(conn, &letter.to(email, state)).await?;
    let account = Account {
        operator,
        ..account
    };
    begin(conn, state, &account, origin).await
}

async fn give_welcome_credit(
    conn: &mut Conn,
    state: &State,
    workspace: WorkspaceId,
) -> Result<(), Error> {
    if let Some(gift) = ledger::welcome(workspace, state.config().welcome_credit) {
        crate::store::ledger::transfer(conn, &gift, state.now()).await?;
    }
    Ok(())
}

/// Whether the account that proves `email` now runs the installation.
async fn operates(conn: &mut Conn, state: &State, email: &Email) -> Result<bool, Error> {
    let config = state.config();
    let named = config
        .operators
        .iter()
        .any(|operator| operator.trim().to_lowercase() == email.as_str());
    let first = config.first_account_operates && accounts::count_active(conn).await? == 0;
    if named || first {
        tracing::info!(
            email = email.as_str(),
            named,
            "this account runs the installation"
        );
    }
    Ok(named || first)
}
