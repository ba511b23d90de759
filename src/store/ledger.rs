//! Money: accounts whose sums a `CHECK` keeps from going negative, and transfers
//! that are written once and stay.
use super::{Conn, Error, corrupt};
use crate::clock::micros;
use crate::domain::id::{JobId, WorkspaceId};
use crate::domain::ledger::{Account, Transfer};
use crate::domain::money::Usd;
use time::OffsetDateTime;

/// What a workspace has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Balance {
    /// Can be spent.
    pub available: Usd,
    /// Set aside for jobs.
    pub held: Usd,
}

/// How a hold ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// Paid, wholly or in part.
    Posted,
    /// Given back.
    Voided,
}

impl Resolution {
    const fn name(self) -> &'static str {
        match self {
            Self::Posted => "posted",
            Self::Voided => "voided",
        }
    }
}

/// Makes a transfer, unless one with this id was made before: then nothing
/// changes and the answer is `false`.
///
/// # Errors
///
/// [`Error::Overdrawn`] if the giving account does not hold that much. The
/// transaction must then be rolled back: the transfer's row is in it already.
pub async fn transfer(
    conn: &mut Conn,
    transfer: &Transfer,
    at: OffsetDateTime,
) -> Result<bool, Error> {
    // In a fixed order, so that two transfers between the same accounts wait for
    // each other instead of dead-locking.
    let mut accounts = [transfer.from, transfer.to];
    accounts.sort_by_key(ToString::to_string);
    for account in accounts {
        open(conn, account).await?;
    }
    let made = sqlx::query(
        "INSERT INTO transfers (id, debit_account, credit_account, amount, kind, about, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING",
    )
    .bind(&transfer.id)
    .bind(transfer.from.to_string())
    .bind(transfer.to.to_string())
    .bind(transfer.amount.micros())
    .bind(transfer.kind.name())
    .bind(&transfer.about)
    .bind(micros(at))
    .execute(&mut *conn)
    .await?;
    if made.rows_affected() == 0 {
        return Ok(false);
    }
    for account in accounts {
        let statement = if account == transfer.from {
            "UPDATE ledger_accounts SET debit = debit + $1 WHERE id = $2"
        } else {
            "UPDATE ledger_accounts SET credit = credit + $1 WHERE id = $2"
        };
        sqlx::query(statement)
            .bind(transfer.amount.micros())
            .bind(account.to_string())
            .execute(&mut *conn)
            .await
            .map_err(|error| overdrawn(error, account))?;
    }
    Ok(true)
}

async fn open(conn: &mut Conn, account: Account) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO ledger_accounts (id, workspace, kind, may_go_negative)
         VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
    )
    .bind(account.to_string())
    .bind(account.workspace().map(|workspace| workspace.to_string()))
    .bind(account.kind())
    .bind(i16::from(account.may_go_negative()))
    .execute(conn)
    .await?;
    Ok(())
}

fn overdrawn(error: sqlx::Error, account: Account) -> Error {
    match error {
        sqlx::Error::Database(error) if error.is_check_violation() => Error::Overdrawn {
            account: account.to_string(),
        },
        error => error.into(),
    }
}

/// What was set aside for a job, by the number of each hold, oldest first.
pub async fn holds(conn: &mut Conn, job: JobId) -> Result<Vec<(u32, Usd)>, Error> {
    let rows = sqlx::query_as::<_, (String, i64)>(
        "SELECT id, amount FROM transfers WHERE about = $1 AND kind = 'hold'",
    )
    .bind(job.to_string())
    .fetch_all(conn)
    .await?;
    let mut holds = Vec::with_capacity(rows.len());
    for (id, amount) in rows {
        let number = id.rsplit(':').next().and_then(|number| number.parse().ok());
        let number = number.ok_or_else(|| corrupt("transfers", &id, "the number of a hold"))?;
        holds.push((number, Usd::from_micros(amount)));
    }
    holds.sort_unstable_by_key(|(number, _)| *number);
    Ok(holds)
}

/// Notes that a hold has ended. `false` if it had ended before: then whoever
/// asks must not move its money again.
pub async fn resolve_hold(
    conn: &mut Conn,
    hold_id: &str,
    how: Resolution,
    at: OffsetDateTime,
) -> Result<bool, Error> {
    let done = sqlx::query(
        "INSERT INTO hold_resolutions (hold, how, at) VALUES ($1, $2, $3)
         ON CONFLICT (hold) DO NOTHING",
    )
    .bind(hold_id)
    .bind(how.name())
    .bind(micros(at))
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// What the workspace has; nothing, if no money ever moved.
pub async fn balance(conn: &mut Conn, workspace: WorkspaceId) -> Result<Balance, Error> {
    let rows = sqlx::query_as::<_, (String, i64)>(
        "SELECT kind, credit - debit FROM ledger_accounts WHERE workspace = $1",
    )
    .bind(workspace.to_string())
    .fetch_all(conn)
    .await?;
    let of = |kind: &str| {
        let found = rows.iter().find(|(of, _)| of == kind);
        Usd::from_micros(found.map_or(0, |(_, micros)| *micros))
    };
    Ok(Balance {
        available: of(Account::Available(workspace).kind()),
        held: of(Account::Held(workspace).kind()),
    })
}

/// Proves the books: what was given equals what was taken; every account says
/// what its transfers say; nothing is negative that may not be; and each hold
/// has ended at most once, for what it held. Reads everything: for tests and for
/// a nightly run.
///
/// # Errors
///
/// Says the first thing that is wrong.
pub async fn check(conn: &mut Conn) -> Result<(), String> {
    for (claim, counter_examples) in CLAIMS {
        let found = sqlx::query_scalar::<_, String>(*counter_examples)
            .fetch_optional(&mut *conn)
            .await
            .map_err(|error| format!("the books could not be read: {error}"))?;
        if let Some(found) = found {
            return Err(format!("{claim}, but not {found}"));
        }
    }
    Ok(())
}

/// What must hold, and a query for what it does not hold for.
const CLAIMS: &[(&str, &str)] = &[
    (
        "all credits equal all debits",
        "SELECT 'in sum' FROM
           (SELECT SUM(credit) AS credits, SUM(debit) AS debits FROM ledger_accounts) sums
         WHERE credits <> debits",
    ),
    (
        "each account says what its transfers say",
        "SELECT a.id FROM ledger_accounts a
         WHERE a.debit <> (SELECT COALESCE(SUM(t.amount), 0) FROM transfers t
                           WHERE t.debit_account = a.id)
            OR a.credit <> (SELECT COALESCE(SUM(t.amount), 0) FROM transfers t
                            WHERE t.credit_account = a.id)",
    ),
    (
        "no account is negative that may not be",
        "SELECT id FROM ledger_accounts WHERE may_go_negative = 0 AND credit < debit",
    ),
    (
        "only holds are resolved",
        "SELECT r.hold FROM hold_resolutions r
         WHERE NOT EXISTS (SELECT 1 FROM transfers t WHERE t.id = r.hold AND t.kind = 'hold')",
    ),
    (
        "each hold is resolved at most once",
        "SELECT hold FROM hold_resolutions GROUP BY hold HAVING COUNT(*) > 1",
    ),
    (
        "what is held is what unresolved holds hold",
        "SELECT a.id FROM ledger_accounts a WHERE a.kind = 'held' AND a.credit - a.debit <>
           (SELECT COALESCE(SUM(t.amount), 0) FROM transfers t
            WHERE t.credit_account = a.id AND t.kind = 'hold'
              AND NOT EXISTS (SELECT 1 FROM hold_resolutions r WHERE r.hold = t.id))",
    ),
];
