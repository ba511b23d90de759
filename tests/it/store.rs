//! Queries of accounts, sessions, codes and mails, on every database.
mod books;

use crate::harness::on_each_database;
use junglegrid::domain::account::Role;
use junglegrid::domain::id::{AccountId, ChallengeId, Id, MailId, SessionId, WorkspaceId};
use junglegrid::domain::ledger as rules;
use junglegrid::domain::money::Usd;
use junglegrid::random;
use junglegrid::store::accounts::{self, Account, Status, Workspace};
use junglegrid::store::challenges::{self, Challenge, Purpose};
use junglegrid::store::ledger::{self};
use junglegrid::store::mails::{self, Mail};
use junglegrid::store::sessions::{self, Session};
use junglegrid::store::{Conn, Error, throttles};
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

const NOW: OffsetDateTime = datetime!(2026-11-23 12:00 UTC);

fn id<T: Id>() -> T {
    random::id(NOW)
}

fn account(email: &str, created_at: OffsetDateTime) -> Account {
    Account {
        id: random::id(created_at),
        email: email.into(),
        name: Some("Ada".into()),
        password_hash: "hash".into(),
        status: Status::Unverified,
        roles: vec![Role::User, Role::Provider],
        operator: false,
        created_at,
    }
}

/// An active account with a workspace.
async fn settle_down(conn: &mut Conn, email: &str) -> (AccountId, WorkspaceId) {
    let account = account(email, NOW);
    accounts::insert_unverified(conn, &account).await.unwrap();
    assert!(
        accounts::activate(conn, account.id, true, NOW)
            .await
            .unwrap()
    );
    let workspace = Workspace {
        id: id(),
        name: "Ada's".into(),
        owner: account.id,
        created_at: NOW,
    };
    accounts::insert_workspace(conn, &workspace).await.unwrap();
    (account.id, workspace.id)
}

#[tokio::test]
async fn an_address_is_claimed_by_many_and_proven_by_one() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let older = account("ada@example.org", NOW);
        let newer = account("ada@example.org", NOW + Duration::SECOND);
        for claim in [&older, &newer] {
            accounts::insert_unverified(conn, claim).await.unwrap();
        }
        let newest = accounts::newest_unverified(conn, "ada@example.org").await;
        assert_eq!(newest.unwrap().as_ref(), Some(&newer));
        assert_eq!(
            accounts::active(conn, "ada@example.org").await.unwrap(),
            None
        );
        assert_eq!(accounts::count_active(conn).await.unwrap(), 0);
        assert!(!accounts::set_password(conn, older.id, "x").await.unwrap());

        assert!(accounts::activate(conn, older.id, true, NOW).await.unwrap());
        assert!(!accounts::activate(conn, older.id, true, NOW).await.unwrap());
        assert!(!accounts::activate(conn, newer.id, true, NOW).await.unwrap());
        assert_eq!(accounts::count_active(conn).await.unwrap(), 1);
        let active = accounts::active(conn, "ada@example.org").await.unwrap();
        let active = active.unwrap();
        assert_eq!((active.id, active.operator), (older.id, true));
        assert_eq!(active.status, Status::Active { since: NOW });

        let deleted = accounts::delete_unverified(conn, "ada@example.org").await;
        assert_eq!(deleted.unwrap(), 1);
        assert_eq!(accounts::find(conn, newer.id).await.unwrap(), None);
        assert_eq!(accounts::find(conn, older.id).await.unwrap(), Some(active));

        assert!(
            accounts::set_password(conn, older.id, "other")
                .await
                .unwrap()
        );
        assert!(
            accounts::hold_password(conn, older.id, "other")
                .await
                .unwrap()
        );
        assert!(
            !accounts::hold_password(conn, older.id, "hash")
                .await
                .unwrap()
        );

        let nameless = Account {
            name: None,
            ..account("eve@example.org", NOW)
        };
        accounts::insert_unverified(conn, &nameless).await.unwrap();
        assert_eq!(
            accounts::find(conn, nameless.id).await.unwrap(),
            Some(nameless)
        );
        assert_eq!(accounts::forget_unverified(conn, NOW).await.unwrap(), 0);
        let later = NOW + Duration::SECOND;
        assert_eq!(accounts::forget_unverified(conn, later).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_session_is_found_by_its_token_and_ends() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let (account, workspace) = settle_down(conn, "ada@example.org").await;
        let home = accounts::home(conn, account).await.unwrap().unwrap();
        assert_eq!((home.id, home.owner), (workspace, account));
        let mut session = Session {
            id: id::<SessionId>(),
            token_hash: random::hash("one"),
            account,
            workspace,
            role: Role::Provider,
            ip: "192.0.2.1".into(),
            agent: String::new(),
            created_at: NOW,
            expires_at: NOW + Duration::DAY,
        };
        sessions::insert(conn, &session).await.unwrap();
        let bearer = sessions::bearer(conn, &random::hash("one")).await.unwrap();
        let bearer = bearer.unwrap();
        assert_eq!((bearer.session, bearer.role), (session.id, Role::Provider));
        assert!(bearer.operator && bearer.last_seen == NOW);
        assert!(
            sessions::bearer(conn, &random::hash("two"))
                .await
                .unwrap()
                .is_none()
        );

        sessions::seen(conn, session.id, NOW + Duration::HOUR)
            .await
            .unwrap();
        sessions::seen(conn, session.id, NOW).await.unwrap();
        let bearer = sessions::bearer(conn, &session.token_hash).await.unwrap();
        assert_eq!(bearer.unwrap().last_seen, NOW + Duration::HOUR);

        let gift = rules::welcome(workspace, Usd::from_micros(5)).unwrap();
        let before = sessions::describe(conn, session.id).await.unwrap().unwrap();
        ledger::transfer(conn, &gift, NOW).await.unwrap();
        let after = sessions::describe(conn, session.id).await.unwrap().unwrap();
        assert_eq!(
            (before.available, after.available),
            (Usd::ZERO, Usd::from_micros(5))
        );
        assert_eq!(after.roles, [Role::User, Role::Provider]);
        assert_eq!((after.active_jobs, &*after.workspace_name), (0, "Ada's"));

        session.id = id();
        session.token_hash = random::hash("two");
        sessions::insert(conn, &session).await.unwrap();
        let long_ago = NOW - Duration::DAY;
        assert_eq!(sessions::forget(conn, NOW, long_ago).await.unwrap(), 0);
        assert_eq!(
            sessions::forget(conn, NOW, NOW).await.unwrap(),
            1,
            "the idle one"
        );
        sessions::insert(conn, &session).await.unwrap();
        sessions::delete(conn, session.id).await.unwrap();
        assert!(
            sessions::describe(conn, session.id)
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(sessions::delete_all(conn, account).await.unwrap().len(), 1);
        assert!(
            sessions::delete_all(conn, account)
                .await
                .unwrap()
                .is_empty()
        );
    })
    .await;
}

#[tokio::test]
async fn a_code_is_tried_five_times_in_time_and_used_once() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let (account, _) = settle_down(conn, "ada@example.org").await;
        let code = |created_at| Challenge {
            id: random::id::<ChallengeId>(created_at),
            account,
            purpose: Purpose::Reset,
            code_mac: "mac".into(),
            created_at,
            expires_at: created_at + Duration::minutes(10),
        };
        let first = code(NOW);
        challenges::replace(conn, &first).await.unwrap();
        for _ in 0..challenges::ATTEMPTS {
            let attempt = challenges::attempt(conn, account, Purpose::Reset, NOW).await;
            let attempt = attempt.unwrap().unwrap();
            assert_eq!((attempt.challenge, &*attempt.code_mac), (first.id, "mac"));
        }
        let none = challenges::attempt(conn, account, Purpose::Reset, NOW).await;
        assert!(none.unwrap().is_none(), "a sixth attempt");

        let second = code(NOW + Duration::MINUTE);
        challenges::replace(conn, &second).await.unwrap();
        assert!(
            !challenges::close(conn, first.id, NOW).await.unwrap(),
            "replaced"
        );
        let other = challenges::attempt(conn, account, Purpose::Verify, NOW).await;
        assert!(other.unwrap().is_none(), "another purpose");
        let late = challenges::attempt(conn, account, Purpose::Reset, second.expires_at).await;
        assert!(late.unwrap().is_none(), "too late");
        let found = challenges::attempt(conn, account, Purpose::Reset, NOW).await;
        assert_eq!(found.unwrap().unwrap().challenge, second.id);
        assert!(challenges::close(conn, second.id, NOW).await.unwrap());
        assert!(!challenges::close(conn, second.id, NOW).await.unwrap());
        let used = challenges::attempt(conn, account, Purpose::Reset, NOW).await;
        assert!(used.unwrap().is_none(), "used");
        assert_eq!(
            challenges::forget(conn, second.expires_at).await.unwrap(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn a_counter_begins_again_after_its_window() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let end = NOW + Duration::MINUTE;
        let steps = [
            (NOW, 1),
            (NOW, 2),
            (end - Duration::MICROSECOND, 3),
            (end, 1),
            (end, 2),
        ];
        for (at, expected) in steps {
            let counted = throttles::hit(conn, "a", Duration::MINUTE, at)
                .await
                .unwrap();
            assert_eq!(counted.count, expected);
            assert_eq!(counted.window_start, if at < end { NOW } else { end });
        }
        throttles::give_back(conn, "a").await.unwrap();
        throttles::give_back(conn, "unknown").await.unwrap();
        let counted = throttles::hit(conn, "a", Duration::MINUTE, end)
            .await
            .unwrap();
        assert_eq!(counted.count, 2);
        throttles::restart(conn, "a", NOW).await.unwrap();
        throttles::restart(conn, "b", end).await.unwrap();
        assert_eq!(throttles::forget(conn, end).await.unwrap(), 1);
        let counted = throttles::hit(conn, "b", Duration::MINUTE, end)
            .await
            .unwrap();
        assert_eq!(counted.count, 2);
    })
    .await;
}

#[tokio::test]
async fn a_mail_is_claimed_once_and_emptied_at_the_end() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let mail = |subject: &str| Mail {
            id: id::<MailId>(),
            recipient: "ada@example.org".into(),
            subject: subject.into(),
            body: "123456".into(),
            attempts: 0,
            created_at: NOW,
            expires_at: NOW + Duration::HOUR,
        };
        let (sent, lost, late) = (mail("sent"), mail("lost"), mail("late"));
        for mail in [&sent, &lost, &late] {
            mails::insert(conn, mail).await.unwrap();
        }
        assert_eq!(
            mails::due(conn, NOW - Duration::SECOND, 9).await.unwrap(),
            []
        );
        assert_eq!(mails::due(conn, NOW, 2).await.unwrap().len(), 2);
        let due = mails::due(conn, NOW, 9).await.unwrap();
        assert!(due.contains(&sent) && due.len() == 3);
        assert_eq!(mails::next_due(conn).await.unwrap(), Some(NOW));

        let lease = NOW + Duration::MINUTE;
        assert!(mails::claim(conn, &sent, lease).await.unwrap());
        assert!(!mails::claim(conn, &sent, lease).await.unwrap());
        mails::sent(conn, sent.id).await.unwrap();
        assert!(mails::claim(conn, &lost, lease).await.unwrap());
        mails::postpone(conn, lost.id, lease, "busy").await.unwrap();
        assert_eq!(
            mails::due(conn, NOW, 9).await.unwrap(),
            std::slice::from_ref(&late)
        );
        assert_eq!(mails::due(conn, lease, 9).await.unwrap().len(), 2);
        mails::give_up(conn, lost.id, "gone").await.unwrap();
        mails::give_up(conn, sent.id, "too late to give up")
            .await
            .unwrap();
        assert_eq!(mails::expire(conn, late.expires_at).await.unwrap(), 1);
        assert_eq!(mails::next_due(conn).await.unwrap(), None);

        let rows: Vec<(String, String, String, Option<String>)> =
            sqlx::query_as("SELECT subject, state, body, error FROM mails ORDER BY subject")
                .fetch_all(&mut *conn)
                .await
                .unwrap();
        let row = |subject: &str, state: &str, error: Option<&str>| {
            (
                subject.into(),
                state.into(),
                String::new(),
                error.map(Into::into),
            )
        };
        let expected = [
            row("late", "failed", Some("too late")),
            row("lost", "failed", Some("gone")),
            row("sent", "sent", None),
        ];
        assert_eq!(rows, expected);
        assert_eq!(mails::forget(conn, NOW).await.unwrap(), 0);
        assert_eq!(mails::forget(conn, lease).await.unwrap(), 3);
    })
    .await;
}

#[tokio::test]
async fn a_row_that_makes_no_sense_is_refused() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let (account, _) = settle_down(&mut conn, "ada@example.org").await;
        for (statement, back) in [
            (
                "UPDATE accounts SET verified_at = NULL",
                "UPDATE accounts SET verified_at = 1",
            ),
            (
                "UPDATE accounts SET roles = 'king'",
                "UPDATE accounts SET roles = 'user'",
            ),
        ] {
            sqlx::query(statement).execute(&mut *conn).await.unwrap();
            let found = accounts::find(&mut conn, account).await;
            assert!(matches!(found, Err(Error::Corrupt { .. })), "{statement}");
            sqlx::query(back).execute(&mut *conn).await.unwrap();
        }
        assert!(accounts::find(&mut conn, account).await.unwrap().is_some());
    })
    .await;
}
