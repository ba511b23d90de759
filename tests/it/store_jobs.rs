//! Jobs, their runs, output, drafts and estimates in the store, on every database.
mod drafts;
mod occupied;
mod output;
mod predictions;

use crate::harness::on_each_database;
use junglegrid::domain::estimate::{Quote, Range};
use junglegrid::domain::id::{AccountId, Id, WorkspaceId};
use junglegrid::domain::job::{self as rules_of_jobs, Failure, Outcome, Phase, State};
use junglegrid::domain::ledger as rules;
use junglegrid::domain::money::Usd;
use junglegrid::domain::spec::{JobSpec, Resources, Routing, WorkloadType};
use junglegrid::random;
use junglegrid::store::accounts::{self, Account, Status, Workspace};
use junglegrid::store::jobs::events::{self, NewEvent};
use junglegrid::store::jobs::listing::{self, Filter, Place};
use junglegrid::store::jobs::{self, Job, runs};
use junglegrid::store::jobs::{days, queries};
use junglegrid::store::{Conn, Error, Store, ledger};
use std::collections::BTreeMap;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

pub(crate) const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

pub(crate) fn id<T: Id>() -> T {
    random::id(NOW)
}

/// Somebody with a workspace.
pub(crate) async fn settle_down(conn: &mut Conn, email: &str) -> (AccountId, WorkspaceId) {
    let account = Account {
        id: id(),
        email: email.into(),
        name: None,
        password_hash: "hash".into(),
        status: Status::Unverified,
        roles: vec![junglegrid::domain::account::Role::User],
        operator: false,
        created_at: NOW,
    };
    accounts::insert_unverified(conn, &account).await.unwrap();
    assert!(
        accounts::activate(conn, account.id, false, NOW)
            .await
            .unwrap()
    );
    let workspace = Workspace {
        id: id(),
        name: "w".into(),
        owner: account.id,
        created_at: NOW,
    };
    accounts::insert_workspace(conn, &workspace).await.unwrap();
    (account.id, workspace.id)
}

/// A queued job of the `n`th second.
pub(crate) fn job((account, workspace): (AccountId, WorkspaceId), n: i64) -> Job {
    let at = NOW + Duration::seconds(n);
    Job {
        id: random::id(at),
        workspace,
        account,
        spec: JobSpec {
            name: format!("Job {n} 100% a_b!"),
            workload_type: WorkloadType::Batch,
            image: "host".into(),
            argv: vec!["true".into()],
            command_line: "true".into(),
            environment: BTreeMap::new(),
            resources: Resources::default(),
            routing: Routing::default(),
            time_limit_seconds: 60,
            expected_artifacts: Vec::new(),
            files: Vec::new(),
            notices: Vec::new(),
            app: None,
            metadata: None,
        },
        likeness: "like".into(),
        state: State::Queued,
        phase_since: at,
        version: 0,
        last_event: 0,
        last_log: 0,
        attempt: 1,
        engine: None,
        node: None,
        reason: None,
        rate: Usd::from_micros(120_000),
        hold: Usd::from_micros(2_000),
        cost: None,
        billed_from: None,
        quote: Quote {
            cost_low: Usd::ZERO,
            cost_high: Usd::ZERO,
            runtime: Range { low: 0, high: 60 },
            wait: Range { low: 0, high: 0 },
            relaxed: Vec::new(),
            warnings: Vec::new(),
        },
        created_at: at,
        updated_at: at,
        queued_at: Some(at),
        assigned_at: None,
        completed_at: None,
    }
}

fn event(title: &str) -> NewEvent {
    NewEvent {
        kind: "job.test",
        phase: Some(Phase::Executing),
        title: title.into(),
        message: "m".into(),
        source: "user",
        level: "info",
    }
}

async fn add(conn: &mut Conn, mut job: Job) -> Job {
    jobs::insert(conn, &mut job, &[event("one"), event("two")])
        .await
        .unwrap();
    job
}

/// The same job with its command ended after so many seconds, for so much.
fn completed(mut job: Job, seconds: i64, cost: i64) -> Job {
    job.state = State::Ended {
        outcome: Outcome::Completed,
        since: Some(job.created_at),
    };
    job.completed_at = Some(job.created_at + Duration::seconds(seconds));
    job.cost = Some(Usd::from_micros(cost));
    job
}

#[tokio::test]
async fn every_state_of_a_job_survives_being_stored() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let who = settle_down(&mut conn, "ada@example.org").await;
        let since = Some(NOW);
        let ended = |outcome| State::Ended { outcome, since };
        let failed = |failure| ended(Outcome::Failed(failure));
        for state in [
            State::Pending,
            State::Queued,
            State::Assigned {
                step: Phase::PullingImage,
            },
            State::Assigned {
                step: Phase::Starting,
            },
            State::Running { since: NOW },
            State::Stopping { since },
            State::Stopping { since: None },
            ended(Outcome::Completed),
            ended(Outcome::Cancelled),
            State::Ended {
                outcome: Outcome::Cancelled,
                since: None,
            },
            State::Ended {
                outcome: Outcome::Rejected("no".into()),
                since: None,
            },
            failed(Failure::Exit(3)),
            failed(Failure::Exit(-1)),
            failed(Failure::Signal(9)),
            failed(Failure::OutOfMemory),
            failed(Failure::TimeLimit),
            failed(Failure::Lost("gone".into())),
            failed(Failure::NoImage("unknown".into())),
            failed(Failure::NotStarted("no".into())),
        ] {
            let mut job = add(&mut conn, job(who, 0)).await;
            job.reason = match &state {
                State::Ended {
                    outcome: Outcome::Rejected(why),
                    ..
                }
                | State::Ended {
                    outcome:
                        Outcome::Failed(
                            Failure::Lost(why) | Failure::NoImage(why) | Failure::NotStarted(why),
                        ),
                    ..
                } => Some(why.clone()),
                _ => Some("a reason".into()),
            };
            job.state = state;
            job.engine = Some("host".into());
            job.node = Some("n".into());
            job.assigned_at = Some(NOW);
            jobs::update(&mut conn, &mut job, &[event("three")])
                .await
                .unwrap();
            assert_eq!((job.version, job.last_event), (1, 3));
            let found = jobs::find(&mut conn, who.1, job.id).await.unwrap();
            assert_eq!(found.as_ref(), Some(&job));
            assert_eq!(
                jobs::find_for_worker(&mut conn, job.id).await.unwrap(),
                found
            );
            assert_eq!(jobs::find(&mut conn, id(), job.id).await.unwrap(), None);
            let told = events::list(&mut conn, job.id, 1, 10).await.unwrap();
            let numbers: Vec<_> = told.iter().map(|e| (e.seq, e.title.as_str())).collect();
            assert_eq!(numbers, [(2, "two"), (3, "three")]);
        }
        assert_eq!(jobs::find_for_worker(&mut conn, id()).await.unwrap(), None);
    })
    .await;
}

async fn change(store: &Store, mut job: Job, title: String) -> Result<(), Error> {
    store
        .write(move |conn| {
            Box::pin(async move { jobs::update(conn, &mut job, &[event(&title)]).await })
        })
        .await
}

#[tokio::test]
async fn of_many_who_change_a_job_at_once_one_does_and_the_others_hear_it() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let who = settle_down(&mut conn, "ada@example.org").await;
        for round in 0..10 {
            let job = add(&mut conn, job(who, round)).await;
            let changes = (0..8).map(|n| change(&store, job.clone(), n.to_string()));
            let outcomes = futures_util::future::join_all(changes).await;
            assert_eq!(outcomes.iter().filter(|done| done.is_ok()).count(), 1);
            for refused in outcomes.iter().filter_map(|done| done.as_ref().err()) {
                assert!(
                    matches!(refused, Error::Stale { table: "jobs", .. }),
                    "{refused:?}"
                );
            }
            let told = events::list(&mut conn, job.id, 0, 10).await.unwrap();
            assert_eq!(told.len(), 3, "what was refused left no event");
        }
    })
    .await;
}

#[tokio::test]
async fn jobs_are_found_in_order_and_by_what_they_are() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let ada = settle_down(conn, "ada@example.org").await;
        let eve = settle_down(conn, "eve@example.org").await;
        let mut all = Vec::new();
        for n in 0..5 {
            all.push(add(conn, job(if n == 3 { eve } else { ada }, n)).await);
        }
        let ids = |jobs: &[Job]| jobs.iter().map(|job| job.id).collect::<Vec<_>>();
        let list = async |conn: &mut Conn, filter: Filter| {
            let filter = Filter { limit: 3, ..filter };
            ids(&listing::list(conn, ada.1, &filter).await.unwrap().jobs)
        };
        let newest = [all[4].id, all[2].id, all[1].id];
        assert_eq!(list(conn, Filter::default()).await, newest);
        let place = Some(Place {
            key: junglegrid::clock::micros(all[1].created_at),
            id: all[1].id.to_string(),
            before: false,
        });
        let rest = Filter {
            place,
            ..Filter::default()
        };
        assert_eq!(list(conn, rest).await, [all[0].id]);
        for (text, found) in [
            ("JOB 2", 1),
            ("100%", 3),
            ("a_b!", 3),
            ("a%b", 0),
            ("host", 3),
        ] {
            let filter = Filter {
                text: text.into(),
                ..Filter::default()
            };
            assert_eq!(list(conn, filter).await.len(), found, "{text}");
        }
        let queue = queries::queue(conn, 10).await.unwrap();
        assert_eq!(ids(&queue), ids(&all), "first come, first served, whosever");
        assert_eq!(queries::ahead_of(conn, &all[4]).await.unwrap(), 4);
        assert_eq!(queries::ahead_of(conn, &all[0]).await.unwrap(), 0);

        let mut done = completed(all[0].clone(), 30, 700);
        jobs::update(conn, &mut done, &[]).await.unwrap();
        let mut running = all[1].clone();
        running.state = State::Running { since: NOW };
        jobs::update(conn, &mut running, &[]).await.unwrap();
        let active = Filter {
            statuses: vec![
                rules_of_jobs::Status::Queued,
                rules_of_jobs::Status::Running,
            ],
            ..Filter::default()
        };
        assert_eq!(list(conn, active).await, newest);
        let completed = Filter {
            statuses: vec![rules_of_jobs::Status::Completed],
            ..Filter::default()
        };
        assert_eq!(list(conn, completed).await, [done.id]);
        assert_eq!(ids(&queries::placed(conn).await.unwrap()), [running.id]);
        assert_eq!(queries::queue(conn, 1).await.unwrap()[0].id, all[2].id);
        let mut counts = queries::active(conn, ada.1).await.unwrap();
        counts.sort();
        assert_eq!(counts, [("queued".into(), 2), ("running".into(), 1)]);
        assert_eq!(queries::burn_rate(conn, ada.1).await.unwrap(), running.rate);
        assert_eq!(queries::burn_rate(conn, eve.1).await.unwrap(), Usd::ZERO);
        let ends = days::since(conn, ada.1, 20_780).await.unwrap();
        let end = days::Day {
            day: 20_780,
            status: "completed".into(),
            jobs: 1,
            cost: 700,
        };
        assert_eq!(ends, [end]);
        assert_eq!(days::since(conn, ada.1, 20_781).await.unwrap(), []);
        // A job ends once, whatever is written of it afterwards.
        jobs::update(conn, &mut done, &[]).await.unwrap();
        assert_eq!(days::since(conn, ada.1, 0).await.unwrap()[0].jobs, 1);

        let gift = rules::welcome(ada.1, Usd::from_micros(5_000)).unwrap();
        ledger::transfer(conn, &gift, NOW).await.unwrap();
        let held = rules::hold(ada.1, running.id, 1, running.hold).unwrap();
        ledger::transfer(conn, &held, NOW).await.unwrap();
        let (has, spent) = queries::wallet(conn, ada.1).await.unwrap();
        let micros = [has.available, has.held, spent].map(Usd::micros);
        assert_eq!(micros, [3_000, 2_000, 700]);
        assert_eq!(has, ledger::balance(conn, ada.1).await.unwrap());
        let nothing = queries::wallet(conn, eve.1).await.unwrap();
        assert_eq!(nothing, (ledger::Balance::default(), Usd::ZERO));
    })
    .await;
}

#[tokio::test]
async fn a_run_is_intended_submitted_ended_and_forgotten_in_this_order() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let who = settle_down(conn, "ada@example.org").await;
        let job = add(conn, job(who, 0)).await.id;
        let live = async |conn: &mut Conn| runs::live(conn).await.unwrap().len();
        let old = async |conn: &mut Conn| {
            let before = NOW + Duration::SECOND;
            runs::forgettable(conn, before).await.unwrap().len()
        };
        assert_eq!(runs::find(conn, job, 1).await.unwrap(), None);
        runs::intend(conn, (job, 1), ("host", "n"), NOW)
            .await
            .unwrap();
        assert!(
            runs::intend(conn, (job, 1), ("host", "n"), NOW)
                .await
                .is_err(),
            "twice"
        );
        assert_eq!(
            (live(conn).await, queries::slots_used(conn).await.unwrap()),
            (1, 1)
        );
        runs::forgotten(conn, job, 1).await.unwrap();
        assert_eq!(live(conn).await, 1, "what is alive is not forgotten");
        runs::submitted(conn, job, 1, "h1").await.unwrap();
        runs::submitted(conn, job, 1, "h2").await.unwrap();
        let run = runs::find(conn, job, 1).await.unwrap().unwrap();
        assert_eq!(run.handle.as_deref(), Some("h1"), "the first counts");
        assert_eq!((live(conn).await, old(conn).await), (1, 0));
        runs::ended(conn, job, 1, NOW).await.unwrap();
        runs::ended(conn, job, 1, NOW + Duration::HOUR)
            .await
            .unwrap();
        assert_eq!(
            (live(conn).await, old(conn).await),
            (0, 1),
            "the first end counts"
        );
        assert!(runs::forgettable(conn, NOW).await.unwrap().is_empty());
        runs::forgotten(conn, job, 1).await.unwrap();
        assert_eq!(old(conn).await, 0);
    })
    .await;
}
