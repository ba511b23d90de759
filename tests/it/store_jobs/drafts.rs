//! Drafts, estimates and first answers.
use super::{NOW, add, id, job, settle_down};
use crate::harness::on_each_database;
use junglegrid::domain::id::{DraftId, EstimateId};
use junglegrid::store::drafts::{self, Acknowledged, Draft};
use junglegrid::store::estimates::{self, Estimate, Progress};
use junglegrid::store::idempotency::{self, Answer, Key};
use junglegrid::store::{Conn, Error};
use time::Duration;

#[tokio::test]
async fn a_draft_changes_under_the_hands_of_one() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let who = settle_down(conn, "ada@example.org").await;
        let new = |updated_at| Draft {
            id: id::<DraftId>(),
            workspace: who.1,
            account: who.0,
            version: 1,
            content: serde_json::Map::from_iter([("name".to_owned(), "ü".into())]),
            acknowledged: None,
            job: None,
            created_at: NOW,
            updated_at,
            expires_at: NOW + Duration::DAY,
        };
        let (mut one, two) = (new(NOW), new(NOW + Duration::SECOND));
        for draft in [&one, &two] {
            drafts::insert(conn, draft).await.unwrap();
        }
        let find =
            async |conn: &mut Conn, id, now| drafts::find(conn, (who.1, id), now).await.unwrap();
        assert_eq!(find(conn, one.id, NOW).await.as_ref(), Some(&one));
        assert_eq!(drafts::find(conn, (id(), one.id), NOW).await.unwrap(), None);
        assert_eq!(find(conn, one.id, NOW + Duration::DAY).await, None);
        let waiting = drafts::waiting(conn, who.1, NOW, 10).await.unwrap();
        assert_eq!(waiting, [two.clone(), one.clone()]);
        assert_eq!(drafts::waiting(conn, who.1, NOW, 1).await.unwrap().len(), 1);

        let seen = |version| Acknowledged {
            estimate: id::<EstimateId>(),
            version,
            without_estimate: true,
        };
        let first = seen(1);
        drafts::acknowledge(conn, one.id, first).await.unwrap();
        let mut stale = one.clone();
        drafts::rewrite(conn, &mut one).await.unwrap();
        assert_eq!((one.version, one.acknowledged), (2, None));
        assert_eq!(find(conn, one.id, NOW).await, Some(one.clone()));
        let refused = drafts::rewrite(conn, &mut stale).await;
        assert!(matches!(refused, Err(Error::Stale { .. })), "{refused:?}");
        let refused = drafts::acknowledge(conn, one.id, first).await;
        assert!(matches!(refused, Err(Error::Stale { .. })), "{refused:?}");
        let second = seen(2);
        drafts::acknowledge(conn, one.id, second).await.unwrap();
        let found = find(conn, one.id, NOW).await.unwrap();
        assert_eq!(found.acknowledged, Some(second));

        let job = add(conn, job(who, 0)).await.id;
        let refused = drafts::submit(conn, one.id, 1, job).await;
        assert!(matches!(refused, Err(Error::Stale { .. })), "{refused:?}");
        drafts::submit(conn, one.id, 2, job).await.unwrap();
        let refused = drafts::submit(conn, one.id, 2, job).await;
        assert!(
            matches!(refused, Err(Error::Stale { .. })),
            "twice: {refused:?}"
        );
        let refused = drafts::rewrite(conn, &mut one).await;
        assert!(
            matches!(refused, Err(Error::Stale { .. })),
            "submitted: {refused:?}"
        );
        assert!(!drafts::delete(conn, who.1, one.id).await.unwrap());
        assert!(
            !drafts::delete(conn, id(), two.id).await.unwrap(),
            "another's"
        );
        assert!(drafts::delete(conn, who.1, two.id).await.unwrap());
        assert_eq!(
            drafts::sweep(conn, NOW + Duration::days(9)).await.unwrap(),
            0
        );
        drafts::insert(conn, &two).await.unwrap();
        assert_eq!(
            drafts::sweep(conn, NOW + Duration::days(9)).await.unwrap(),
            1
        );
    })
    .await;
}

#[tokio::test]
async fn an_estimate_comes_out_once_and_a_key_is_answered_once() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let (_, workspace) = settle_down(conn, "ada@example.org").await;
        let draft = id::<DraftId>();
        let new = |version, second| Estimate {
            id: id::<EstimateId>(),
            workspace,
            draft: Some((draft, version)),
            state: Progress::Pending,
            created_at: NOW + Duration::seconds(second),
            expires_at: NOW + Duration::minutes(5),
        };
        let (old, newer, changed) = (new(1, 0), new(1, 2), new(2, 1));
        let alone = Estimate {
            draft: None,
            ..new(1, 9)
        };
        for estimate in [&old, &newer, &changed, &alone] {
            estimates::insert(conn, estimate).await.unwrap();
        }
        let newest =
            async |conn: &mut Conn, version| estimates::newest(conn, draft, version).await.unwrap();
        assert_eq!(newest(conn, 1).await.as_ref(), Some(&newer));
        assert_eq!(
            newest(conn, 2).await.as_ref(),
            Some(&changed),
            "whatever the clock said"
        );
        assert_eq!(newest(conn, 3).await, None);
        let ready = Progress::Ready("{}".into());
        estimates::resolve(conn, changed.id, &ready).await.unwrap();
        estimates::resolve(conn, changed.id, &Progress::Failed("late".into()))
            .await
            .unwrap();
        assert_eq!(
            newest(conn, 2).await.unwrap().state,
            ready,
            "the first outcome"
        );
        assert_eq!(estimates::sweep(conn, NOW).await.unwrap(), 0);
        assert_eq!(
            estimates::sweep(conn, NOW + Duration::HOUR).await.unwrap(),
            4
        );

        let key = |workspace, key: &str| Key {
            workspace,
            route: "submit",
            key: key.into(),
        };
        let answer = |reply: &str| Answer {
            body_hash: "h".into(),
            reply: reply.into(),
        };
        let mine = key(workspace, "k");
        assert!(idempotency::find(conn, &mine).await.unwrap().is_none());
        idempotency::insert(conn, &mine, &answer("first"), NOW)
            .await
            .unwrap();
        let twice = idempotency::insert(conn, &mine, &answer("second"), NOW).await;
        assert!(
            matches!(
                twice,
                Err(Error::Stale {
                    table: "idempotency",
                    ..
                })
            ),
            "{twice:?}"
        );
        let found = idempotency::find(conn, &mine).await.unwrap().unwrap();
        assert_eq!(
            (found.body_hash.as_str(), found.reply.as_str()),
            ("h", "first")
        );
        assert!(
            idempotency::find(conn, &key(id(), "k"))
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(idempotency::sweep(conn, NOW).await.unwrap(), 0);
        assert_eq!(
            idempotency::sweep(conn, NOW + Duration::SECOND)
                .await
                .unwrap(),
            1
        );
    })
    .await;
}
