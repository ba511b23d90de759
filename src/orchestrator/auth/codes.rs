//! Six digits by mail: making them, and trying them.
use super::letters::CODE_LIFE;
use super::limits;
use crate::domain::account::Email;
use crate::domain::id::{AccountId, ChallengeId, Id as _};
use crate::orchestrator::{Error, State};
use crate::random;
use crate::store::Conn;
use crate::store::accounts::{self, Account};
use crate::store::challenges::{self, Challenge, Purpose};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::net::IpAddr;
use subtle::ConstantTimeEq;
use time::OffsetDateTime;

/// A new code for an account, which closes the earlier ones.
pub(super) async fn issue(
    conn: &mut Conn,
    state: &State,
    account: AccountId,
    purpose: Purpose,
) -> Result<String, Error> {
    let code = random::code();
    let id = state.id();
    let challenge = Challenge {
        id,
        account,
        purpose,
        code_mac: mac(state, purpose, id, &code),
        created_at: state.now(),
        expires_at: state.now() + CODE_LIFE,
    };
    challenges::replace(conn, &challenge).await?;
    Ok(code)
}

/// The account that an address without one has: none, but always the same, so
/// that codes are made and tried for it as for any other.
pub(super) fn nobody(state: &State, email: &Email) -> AccountId {
    let mac = keyed(state, &["nobody:", email.as_str()]);
    let mut own = [0; 10];
    own.copy_from_slice(&mac[..10]);
    AccountId::at(OffsetDateTime::UNIX_EPOCH, own)
}

/// Who claims to hold which code.
#[derive(Debug, Clone)]
pub(super) struct Claim {
    pub(super) email: Email,
    /// Only this registration's code, not that of a newer one.
    pub(super) account: Option<AccountId>,
    pub(super) purpose: Purpose,
    pub(super) code: String,
    pub(super) ip: IpAddr,
}

/// A right code, not used up yet.
#[derive(Debug)]
pub(super) struct Proof {
    pub(super) account: Account,
    pub(super) challenge: ChallengeId,
}

/// Tries a code. The attempt is counted and committed before the comparison,
/// and an unknown address takes the same steps as a known one.
pub(super) async fn check(state: &State, claim: &Claim) -> Result<Proof, Error> {
    let code: String = claim.code.chars().filter(|c| !c.is_whitespace()).collect();
    if code.len() != 6 || !code.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let (account, attempt) = state
        .store()
        .write({
            let nobody = nobody(state, &claim.email);
            let (claim, now) = (claim.clone(), state.now());
            move |conn| {
                Box::pin(async move {
                    limits::code(conn, claim.ip, now).await?;
                    let account = claimant(conn, &claim).await?;
                    let id = account.unwrap_or(nobody);
                    let attempt = challenges::attempt(conn, id, claim.purpose, now).await?;
                    Ok::<_, Error>((account, attempt))
                })
            }
        })
        .await?;
    let (known, challenge, expected) = match &attempt {
        Some(attempt) => (true, attempt.challenge, attempt.code_mac.clone()),
        None => (false, state.id(), random::token("")),
    };
    let given = mac(state, claim.purpose, challenge, &code);
    let right = bool::from(given.as_bytes().ct_eq(expected.as_bytes()));
    let Some(id) = account.filter(|_| known && right) else {
        return Err(wrong());
    };
    let mut conn = state.store().read().await?;
    let account = accounts::find(&mut conn, id).await?.ok_or_else(wrong)?;
    Ok(Proof { account, challenge })
}

/// The account whose code is meant.
async fn claimant(conn: &mut Conn, claim: &Claim) -> Result<Option<AccountId>, Error> {
    let email = claim.email.as_str();
    Ok(match claim.purpose {
        Purpose::Reset => accounts::active_id(conn, email).await?,
        Purpose::Verify => accounts::unverified_id(conn, email, claim.account).await?,
    })
}

/// Uses a right code up; wrong if somebody else was faster.
pub(super) async fn redeem(
    conn: &mut Conn,
    state: &State,
    challenge: ChallengeId,
    ip: IpAddr,
) -> Result<(), Error> {
    if !challenges::close(conn, challenge, state.now()).await? {
        return Err(wrong());
    }
    limits::code_was_right(conn, ip).await
}

/// Wrong, expired, used, replaced, tried too often or never sent: all the same.
pub(super) fn wrong() -> Error {
    Error::field(
        "code",
        "That code is not right or has expired. Check the newest mail, or ask for another.",
    )
}

/// Bound to what the code is for and to the mail it came with.
fn mac(state: &State, purpose: Purpose, id: ChallengeId, code: &str) -> String {
    random::hex(&keyed(
        state,
        &[purpose.name(), ":", &id.to_string(), ":", code],
    ))
}

fn keyed(state: &State, parts: &[&str]) -> [u8; 32] {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(&state.0.master_key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}
