//! How many streams may be open at once, and whose they are.
use crate::domain::id::AccountId;
use crate::orchestrator::{BearerId, Caller, Error, State};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// In this process. As many connections again are left for everything else.
const PER_PROCESS: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    bearers: HashMap<BearerId, (usize, CancellationToken)>,
    accounts: HashMap<AccountId, usize>,
}

/// Leave to have a stream open; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    state: State,
    bearer: BearerId,
    account: AccountId,
    /// Cancelled when the bearer has signed out, or its key is taken away.
    pub(super) cut: CancellationToken,
}

impl Seat {
    /// # Errors
    ///
    /// [`Error::TooMany`] if as many streams are open as may be.
    pub(super) fn take(state: &State, caller: &Caller) -> Result<Self, Error> {
        let config = state.config();
        let (per_bearer, per_account) = (config.streams_per_sign_in, config.streams_per_account);
        let mut taken = state.0.live.seats.lock();
        let bearers = taken.bearers.get(&caller.bearer()).map_or(0, |(n, _)| *n);
        let accounts = taken.accounts.get(&caller.account).copied().unwrap_or(0);
        let most = |who: &str, most: usize| {
            format!("{who} has {most} live streams open, which is the most. Close one.")
        };
        let full = if bearers >= per_bearer {
            most("This sign-in or key", per_bearer)
        } else if accounts >= per_account {
            most("Your account", per_account)
        } else if taken.all >= PER_PROCESS {
            "As many live streams are open here as there can be. Try again in a while.".into()
        } else {
            taken.all += 1;
            *taken.accounts.entry(caller.account).or_default() += 1;
            let (count, cut) = taken.bearers.entry(caller.bearer()).or_default();
            *count += 1;
            return Ok(Self {
                state: state.clone(),
                bearer: caller.bearer(),
                account: caller.account,
                cut: cut.clone(),
            });
        };
        Err(Error::TooMany {
            message: full,
            retry_after_seconds: 15,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.state.0.live.seats.lock();
        taken.all = taken.all.saturating_sub(1);
        if let Some((count, _)) = taken.bearers.get_mut(&self.bearer) {
            *count -= 1;
            if *count == 0 {
                taken.bearers.remove(&self.bearer);
            }
        }
        if let Some(count) = taken.accounts.get_mut(&self.account) {
            *count -= 1;
            if *count == 0 {
                taken.accounts.remove(&self.account);
            }
        }
    }
}

impl Seats {
    fn lock(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends every stream of a bearer: of those who still may, another begins. A stream ends
    /// when it is read next, and those that begin before that are others.
    pub(super) fn cut(&self, bearer: BearerId) {
        if let Some((_, cut)) = self.lock().bearers.get_mut(&bearer) {
            std::mem::take(cut).cancel();
        }
    }
}
