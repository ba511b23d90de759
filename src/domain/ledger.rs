//! Which accounts there are, and which transfers each event makes.
//!
//! A transfer is one row that takes from one account and gives to another, so
//! the books balance by construction. Its id says what it is for: making it
//! twice is impossible.
use super::id::{JobId, WorkspaceId};
use super::money::Usd;
use std::fmt;

/// An account in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Account {
    /// What a workspace can spend. Never negative.
    Available(WorkspaceId),
    /// What is set aside for a workspace's jobs. Never negative.
    Held(WorkspaceId),
    /// What the grid has earned.
    Revenue,
    /// What the grid has given away; goes negative.
    Promo,
}

impl Account {
    #[must_use]
    pub const fn may_go_negative(self) -> bool {
        matches!(self, Self::Promo)
    }

    #[must_use]
    pub const fn workspace(self) -> Option<WorkspaceId> {
        match self {
            Self::Available(workspace) | Self::Held(workspace) => Some(workspace),
            Self::Revenue | Self::Promo => None,
        }
    }

    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Available(_) => "available",
            Self::Held(_) => "held",
            Self::Revenue => "revenue",
            Self::Promo => "promo",
        }
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.workspace() {
            Some(workspace) => write!(f, "{workspace}:{}", self.kind()),
            None => f.write_str(self.kind()),
        }
    }
}

/// One movement of money. Immutable once written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    pub id: String,
    pub from: Account,
    pub to: Account,
    /// More than zero.
    pub amount: Usd,
    pub kind: Kind,
    /// What it is about: a job, a top-up, an account.
    pub about: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Welcome,
    Hold,
    Settle,
    Release,
}

impl Kind {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::Hold => "hold",
            Self::Settle => "settle",
            Self::Release => "release",
        }
    }
}

/// The credit that a workspace gets once, when its owner's address is verified.
#[must_use]
pub fn welcome(workspace: WorkspaceId, amount: Usd) -> Option<Transfer> {
    transfer(
        format!("welcome:{workspace}"),
        (Account::Promo, Account::Available(workspace)),
        amount,
        Kind::Welcome,
        workspace.to_string(),
    )
}

/// The id of the hold for `attempt` of a job.
#[must_use]
pub fn hold_id(job: JobId, attempt: u32) -> String {
    format!("hold:{job}:{attempt}")
}

/// Sets `amount` aside for a job.
#[must_use]
pub fn hold(workspace: WorkspaceId, job: JobId, attempt: u32, amount: Usd) -> Option<Transfer> {
    transfer(
        hold_id(job, attempt),
        (Account::Available(workspace), Account::Held(workspace)),
        amount,
        Kind::Hold,
        job.to_string(),
    )
}

/// Resolves a hold: what was used is paid, the rest is given back. What was used
/// beyond the hold is not charged: the time limit was there to prevent it.
#[must_use]
pub fn settle(
    workspace: WorkspaceId,
    job: JobId,
    attempt: u32,
    held: Usd,
    used: Usd,
) -> Vec<Transfer> {
    let paid = used.clamp(Usd::ZERO, held);
    let paid_row = transfer(
        format!("settle:{job}:{attempt}"),
        (Account::Held(workspace), Account::Revenue),
        paid,
        Kind::Settle,
        job.to_string(),
    );
    let released = transfer(
        format!("release:{job}:{attempt}"),
        (Account::Held(workspace), Account::Available(workspace)),
        held.saturating_sub(paid),
        Kind::Release,
        job.to_string(),
    );
    paid_row.into_iter().chain(released).collect()
}

/// Nothing is written for an amount of zero.
fn transfer(
    id: String,
    (from, to): (Account, Account),
    amount: Usd,
    kind: Kind,
    about: String,
) -> Option<Transfer> {
    (amount > Usd::ZERO).then_some(Transfer {
        id,
        from,
        to,
        amount,
        kind,
        about,
    })
}
