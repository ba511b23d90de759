//! Money in the books, and the books against a model.
use super::{NOW, id, settle_down};
use crate::harness::on_each_database;
use junglegrid::domain::id::{JobId, WorkspaceId};
use junglegrid::domain::ledger::{self as rules, Account as LedgerAccount, Kind, Transfer};
use junglegrid::domain::money::Usd;
use junglegrid::store::ledger::{self, Balance, Resolution};
use junglegrid::store::{Conn, Error, Store};
use proptest::prelude::*;
use std::collections::BTreeMap;

#[tokio::test]
async fn money_moves_once_or_not_at_all() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let (_, workspace) = settle_down(&mut conn, "ada@example.org").await;
        assert_eq!(
            ledger::balance(&mut conn, workspace).await.unwrap(),
            Balance::default()
        );
        let gift = rules::welcome(workspace, Usd::from_micros(100)).unwrap();
        assert!(ledger::transfer(&mut conn, &gift, NOW).await.unwrap());
        assert!(!ledger::transfer(&mut conn, &gift, NOW).await.unwrap());

        let job = id::<JobId>();
        let too_much = rules::hold(workspace, job, 1, Usd::from_micros(101)).unwrap();
        let refused = store
            .write::<_, Error, _>({
                move |conn| Box::pin(async move { ledger::transfer(conn, &too_much, NOW).await })
            })
            .await;
        let available = LedgerAccount::Available(workspace).to_string();
        assert!(matches!(refused, Err(Error::Overdrawn { account }) if account == available));

        let hold = rules::hold(workspace, job, 1, Usd::from_micros(100)).unwrap();
        assert!(ledger::transfer(&mut conn, &hold, NOW).await.unwrap());
        let posted = ledger::resolve_hold(&mut conn, &hold.id, Resolution::Posted, NOW).await;
        assert!(posted.unwrap());
        let again = ledger::resolve_hold(&mut conn, &hold.id, Resolution::Voided, NOW).await;
        assert!(!again.unwrap());
        let of_nothing = ledger::resolve_hold(&mut conn, "hold:x", Resolution::Voided, NOW).await;
        assert!(of_nothing.is_err());
        let (amount, used) = (Usd::from_micros(100), Usd::from_micros(30));
        // The hold is resolved and its money still held: the check must say so.
        assert!(
            ledger::check(&mut conn)
                .await
                .unwrap_err()
                .contains("unresolved holds")
        );
        for transfer in rules::settle(workspace, job, 1, amount, used) {
            assert!(ledger::transfer(&mut conn, &transfer, NOW).await.unwrap());
        }
        let balance = ledger::balance(&mut conn, workspace).await.unwrap();
        assert_eq!((balance.available.micros(), balance.held.micros()), (70, 0));
        ledger::check(&mut conn).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_written_in_the_books_stays() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let (_, workspace) = settle_down(&mut conn, "ada@example.org").await;
        let gift = rules::welcome(workspace, Usd::from_micros(100)).unwrap();
        let hold = rules::hold(workspace, id(), 1, Usd::from_micros(10)).unwrap();
        for transfer in [&gift, &hold] {
            ledger::transfer(&mut conn, transfer, NOW).await.unwrap();
        }
        let voided = ledger::resolve_hold(&mut conn, &hold.id, Resolution::Voided, NOW).await;
        voided.unwrap();
        for statement in [
            "UPDATE transfers SET amount = 1",
            "DELETE FROM transfers",
            "UPDATE hold_resolutions SET how = 'posted'",
            "DELETE FROM hold_resolutions",
        ] {
            let error = sqlx::query(statement)
                .execute(&mut *conn)
                .await
                .unwrap_err();
            assert!(
                error.to_string().contains("immutable"),
                "{statement}: {error}"
            );
        }
        // And what the triggers cannot see, the check does.
        for (statement, back) in [
            (
                "UPDATE ledger_accounts SET credit = credit + 1 WHERE kind = 'available'",
                "UPDATE ledger_accounts SET credit = credit - 1 WHERE kind = 'available'",
            ),
            (
                "UPDATE ledger_accounts SET credit = credit + 1, debit = debit + 1",
                "UPDATE ledger_accounts SET credit = credit - 1, debit = debit - 1",
            ),
        ] {
            sqlx::query(statement).execute(&mut *conn).await.unwrap();
            assert!(ledger::check(&mut conn).await.is_err(), "{statement}");
            sqlx::query(back).execute(&mut *conn).await.unwrap();
        }
    })
    .await;
}

/// Something that happens to money.
#[derive(Debug, Clone)]
enum Event {
    /// Given to a workspace under a key: a key that was used gives nothing.
    Gift {
        workspace: usize,
        key: u8,
        amount: i64,
    },
    Hold {
        workspace: usize,
        job: usize,
        attempt: u32,
        amount: i64,
    },
    Settle {
        workspace: usize,
        job: usize,
        attempt: u32,
        used: i64,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let small = 1..2_000_i64;
    let gift =
        (0..2_usize, 0..6_u8, small.clone()).prop_map(|(workspace, key, amount)| Event::Gift {
            workspace,
            key,
            amount,
        });
    let hold = (0..2_usize, 0..3_usize, 1..3_u32, small.clone()).prop_map(
        |(workspace, job, attempt, amount)| Event::Hold {
            workspace,
            job,
            attempt,
            amount,
        },
    );
    let settle = (0..2_usize, 0..3_usize, 1..3_u32, 0..2_500_i64).prop_map(
        |(workspace, job, attempt, used)| Event::Settle {
            workspace,
            job,
            attempt,
            used,
        },
    );
    prop_oneof![gift, hold, settle]
}

/// The same rules in plain Rust.
#[derive(Debug, Default)]
struct Model {
    available: [i64; 2],
    held: [i64; 2],
    revenue: i64,
    gifts: Vec<(usize, u8)>,
    /// Amount, and whether it is resolved.
    holds: BTreeMap<(usize, usize, u32), (i64, bool)>,
}

impl Model {
    /// What the ledger should answer: done, done before, or overdrawn.
    fn apply(&mut self, event: &Event) -> Option<bool> {
        match *event {
            Event::Gift {
                workspace,
                key,
                amount,
            } => {
                if self.gifts.contains(&(workspace, key)) {
                    return Some(false);
                }
                self.gifts.push((workspace, key));
                self.available[workspace] += amount;
            }
            Event::Hold {
                workspace,
                job,
                attempt,
                amount,
            } => {
                if self.holds.contains_key(&(workspace, job, attempt)) {
                    return Some(false);
                }
                if self.available[workspace] < amount {
                    return None;
                }
                self.holds
                    .insert((workspace, job, attempt), (amount, false));
                self.available[workspace] -= amount;
                self.held[workspace] += amount;
            }
            Event::Settle {
                workspace,
                job,
                attempt,
                used,
            } => {
                let Some((amount, resolved)) = self.holds.get_mut(&(workspace, job, attempt))
                else {
                    return Some(false);
                };
                if std::mem::replace(resolved, true) {
                    return Some(false);
                }
                let paid = used.min(*amount);
                self.held[workspace] -= *amount;
                self.available[workspace] += *amount - paid;
                self.revenue += paid;
            }
        }
        Some(true)
    }
}

/// Two workspaces with three jobs each.
#[derive(Debug, Clone)]
struct World {
    workspaces: [WorkspaceId; 2],
    jobs: [[JobId; 3]; 2],
}

/// What the orchestrator does when it happens.
async fn happen(
    conn: &mut Conn,
    world: &World,
    event: &Event,
    model: &Held,
) -> Result<bool, Error> {
    match *event {
        Event::Gift {
            workspace,
            key,
            amount,
        } => {
            let workspace = world.workspaces[workspace];
            let gift = Transfer {
                id: format!("gift:{workspace}:{key}"),
                from: LedgerAccount::Promo,
                to: LedgerAccount::Available(workspace),
                amount: Usd::from_micros(amount),
                kind: Kind::Welcome,
                about: workspace.to_string(),
            };
            ledger::transfer(conn, &gift, NOW).await
        }
        Event::Hold {
            workspace,
            job,
            attempt,
            amount,
        } => {
            let job = world.jobs[workspace][job];
            let workspace = world.workspaces[workspace];
            let amount = Usd::from_micros(amount);
            let hold = rules::hold(workspace, job, attempt, amount).unwrap();
            ledger::transfer(conn, &hold, NOW).await
        }
        Event::Settle {
            workspace,
            job,
            attempt,
            used,
        } => {
            let Some(held) = model.get(&(workspace, job, attempt)) else {
                return Ok(false);
            };
            let job = world.jobs[workspace][job];
            let workspace = world.workspaces[workspace];
            let id = rules::hold_id(job, attempt);
            let how = if used > 0 {
                Resolution::Posted
            } else {
                Resolution::Voided
            };
            if !ledger::resolve_hold(conn, &id, how, NOW).await? {
                return Ok(false);
            }
            let (held, used) = (Usd::from_micros(*held), Usd::from_micros(used));
            for transfer in rules::settle(workspace, job, attempt, held, used) {
                assert!(ledger::transfer(conn, &transfer, NOW).await?);
            }
            Ok(true)
        }
    }
}

/// What each hold held.
type Held = BTreeMap<(usize, usize, u32), i64>;

async fn follow(store: &Store, events: &[Event]) {
    let mut conn = store.read().await.unwrap();
    let one = settle_down(&mut conn, "one@example.org").await.1;
    let two = settle_down(&mut conn, "two@example.org").await.1;
    let world = World {
        workspaces: [one, two],
        jobs: std::array::from_fn(|_| std::array::from_fn(|_| id())),
    };
    let mut model = Model::default();
    for event in events {
        let held: Held = model
            .holds
            .iter()
            .map(|(key, (amount, _))| (*key, *amount))
            .collect();
        let expected = model.apply(event);
        let done = store
            .write::<_, Error, _>({
                let (world, event) = (world.clone(), event.clone());
                move |conn| Box::pin(async move { happen(conn, &world, &event, &held).await })
            })
            .await;
        match (done, expected) {
            (Ok(done), Some(expected)) => assert_eq!(done, expected, "{event:?}"),
            (Err(Error::Overdrawn { .. }), None) => {}
            (done, expected) => panic!("{event:?}: {done:?}, but expected {expected:?}"),
        }
        ledger::check(&mut conn).await.unwrap();
        for (n, workspace) in world.workspaces.into_iter().enumerate() {
            let balance = ledger::balance(&mut conn, workspace).await.unwrap();
            let micros = (balance.available.micros(), balance.held.micros());
            assert_eq!(micros, (model.available[n], model.held[n]), "{event:?}");
        }
    }
    let revenue: Option<i64> =
        sqlx::query_scalar("SELECT credit FROM ledger_accounts WHERE id = 'revenue'")
            .fetch_optional(&mut *conn)
            .await
            .unwrap();
    assert_eq!(revenue.unwrap_or(0), model.revenue);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 24,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]
    #[test]
    fn the_ledger_does_what_the_model_does(events in prop::collection::vec(event(), 1..60)) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(on_each_database(async |store, _dir| follow(&store, &events).await));
    }
}

#[tokio::test]
async fn ten_at_once_cannot_spend_what_one_can() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let (_, workspace) = settle_down(&mut conn, "ada@example.org").await;
        let gift = rules::welcome(workspace, Usd::from_micros(350)).unwrap();
        ledger::transfer(&mut conn, &gift, NOW).await.unwrap();
        let holds = (0..10).map(|_| {
            let hold = rules::hold(workspace, id(), 1, Usd::from_micros(100)).unwrap();
            store.write::<_, Error, _>(move |conn| {
                Box::pin(async move { ledger::transfer(conn, &hold, NOW).await })
            })
        });
        let done = futures_util::future::join_all(holds).await;
        assert_eq!(done.iter().filter(|done| done.is_ok()).count(), 3);
        let balance = ledger::balance(&mut conn, workspace).await.unwrap();
        assert_eq!(
            (balance.available.micros(), balance.held.micros()),
            (50, 300)
        );
        ledger::check(&mut conn).await.unwrap();
    })
    .await;
}
