//! What is written of apps, on every database.
use super::stage::Stage;
use crate::harness::at_each_database;
use junglegrid::domain::app::{Phase, ServiceState};
use junglegrid::domain::id::{AppSessionId, Id as _, SessionId};
use junglegrid::store::apps::events::{self, NewEvent};
use junglegrid::store::apps::passes::{self, Leave};
use junglegrid::store::apps::queries::{self, Filter};
use junglegrid::store::apps::services::Service;
use junglegrid::store::apps::{self as table, services};
use junglegrid::store::{Conn, Error, Store};
use serde_json::json;
use time::Duration;

/// From the launch to the end, with everything that people do in between.
#[tokio::test]
async fn an_app_lives_on_every_database() {
    at_each_database(async |url, dir| {
        let mut stage = Stage::on(url, dir).await;
        let id = stage.launch("desk", json!({"max_hours": 1})).await;
        stage.phase(&id, "starting").await;
        stage.restart().await;
        stage.bring_up(&id).await;
        let path = format!("/v1/app-sessions/{id}");
        let extend = format!("{path}/extend");
        let price = stage.post(&extend, json!({"minutes": 60})).await;
        let yes = json!({"minutes": 60, "acknowledged_estimate": price.text("/estimate_id")});
        let twice = [stage.post(&extend, yes.clone()), stage.post(&extend, yes)];
        for answer in futures_util::future::join_all(twice).await {
            assert_eq!(answer.status, 200, "{:?}", answer.body);
            assert_eq!(answer.text("/stops_at"), "2026-11-23T14:00:04Z");
        }
        assert_eq!(stage.wallet().await, (4_760_000, 240_000, 0));
        let opened = stage.post(&format!("{path}/open"), json!({})).await;
        assert_eq!(opened.status, 200, "{:?}", opened.body);
        let all = stage.get("/v1/app-sessions?status=active&limit=1").await;
        assert_eq!(all["app_sessions"][0]["id"], id.as_str());
        stage.restart().await;
        stage.pass(5_400);
        assert_eq!(
            stage.post(&format!("{path}/stop"), json!({})).await.status,
            200
        );
        let end = stage.ended(&id).await;
        assert_eq!((end.code.as_str(), end.charged), ("stopped", 180_000));
        let all = stage.get("/v1/app-sessions?status=active").await;
        assert_eq!(all["app_sessions"], json!([]));
    })
    .await;
}

fn event() -> NewEvent {
    NewEvent {
        kind: "app.test",
        service: None,
        title: "Test".into(),
        message: String::new(),
        level: "info",
    }
}

/// Waits for what the killed server had already sent to the database.
async fn settle(conn: &mut Conn) {
    sqlx::query("UPDATE app_sessions SET id = id")
        .execute(conn)
        .await
        .unwrap();
}

#[tokio::test]
async fn who_is_late_writes_nothing() {
    at_each_database(async |url, dir| {
        let mut stage = Stage::on(url.clone(), dir).await;
        let id: AppSessionId = stage.launch("desk", json!({})).await.parse().unwrap();
        stage.bring_up(&id.to_string()).await;
        stage.kill();
        let now = stage.api.clock.now();
        let store = Store::open(&url).await.unwrap();
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        settle(conn).await;
        assert_eq!(queries::live(conn).await.unwrap(), [id]);
        let found = table::find_for_worker(conn, id).await.unwrap().unwrap();
        assert!(found.starting_at.is_some() && found.starting_at <= found.started_at);
        let (mut one, mut two) = (found.clone(), found.clone());
        table::update(conn, &mut one, &[event(), event()], now)
            .await
            .unwrap();
        let late = table::update(conn, &mut two, &[event()], now).await;
        assert!(matches!(late, Err(Error::Stale { .. })), "{late:?}");
        assert_eq!(
            table::find_for_worker(conn, id).await.unwrap(),
            Some(one.clone())
        );
        let said = events::list(conn, id, 0, 100).await.unwrap();
        let numbers: Vec<i64> = said.iter().map(|event| event.seq).collect();
        assert_eq!(numbers, (1..=found.last_event + 2).collect::<Vec<_>>());

        for at in [now, now - Duration::HOUR] {
            table::used(conn, id, at).await.unwrap();
        }
        let used = table::find_for_worker(conn, id).await.unwrap().unwrap();
        assert_eq!(used.last_used_at, Some(now), "never turned back");

        // A check that was under way when the session ended.
        services::stop(conn, id).await.unwrap();
        let stopped = services::of(conn, id).await.unwrap();
        let late = Service {
            state: ServiceState::Ready,
            ..stopped[0].clone()
        };
        services::update(conn, &late).await.unwrap();
        let mut after = services::of(conn, id).await.unwrap();
        after.sort_by_key(|service| service.service != stopped[0].service);
        assert_eq!(after[0].state, ServiceState::Stopped);

        one.phase = Phase::Ended;
        table::update(conn, &mut one, &[], now).await.unwrap();
        assert_eq!(queries::live(conn).await.unwrap(), []);
        assert_eq!(queries::samples(conn, "desk", 5).await.unwrap().len(), 1);
        assert_eq!(queries::pending(conn, 5).await.unwrap(), []);
        let ended = Filter {
            ended: Some(true),
            ..Filter::default()
        };
        let page = queries::page(conn, one.workspace, &ended, 5).await.unwrap();
        assert_eq!(page.len(), 1);
    })
    .await;
}

#[tokio::test]
async fn leave_to_enter_is_good_once_and_thrown_away_when_it_is_over() {
    at_each_database(async |url, dir| {
        let mut stage = Stage::on(url.clone(), dir).await;
        let id: AppSessionId = stage.launch("desk", json!({})).await.parse().unwrap();
        stage.kill();
        let now = stage.api.clock.now();
        let store = Store::open(&url).await.unwrap();
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        settle(conn).await;
        let session = table::find_for_worker(conn, id).await.unwrap().unwrap();
        let leave = |seconds: i64| Leave {
            session: id,
            service: "desk".into(),
            account: session.account,
            bearer: SessionId::at(now, [1; 10]),
            expires_at: now + Duration::seconds(seconds),
        };
        for (name, seconds) in [("old", -1), ("now", 0), ("new", 1)] {
            passes::insert_ticket(conn, name, &leave(seconds))
                .await
                .unwrap();
            passes::insert_pass(conn, name, &leave(seconds), now)
                .await
                .unwrap();
            let good = (seconds > 0).then(|| leave(seconds));
            assert_eq!(
                passes::find_pass(conn, name, now).await.unwrap(),
                good,
                "{name}"
            );
            assert_eq!(
                passes::use_ticket(conn, name, now).await.unwrap(),
                good,
                "{name}"
            );
            assert_eq!(
                passes::use_ticket(conn, name, now).await.unwrap(),
                None,
                "twice"
            );
        }
        passes::sweep(conn, now).await.unwrap();
        for table in ["app_tickets", "app_passes"] {
            let statement = format!("SELECT token_hash FROM {table} ORDER BY token_hash");
            let left: Vec<(String,)> = sqlx::query_as(sqlx::AssertSqlSafe(statement))
                .fetch_all(&mut *conn)
                .await
                .unwrap();
            let left: Vec<_> = left.into_iter().map(|(name,)| name).collect();
            assert_eq!(left, ["new", "now"], "{table}");
        }
    })
    .await;
}
