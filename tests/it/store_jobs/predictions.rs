//! What was expected of jobs, and how they came out.
use super::{NOW, add, job, settle_down};
use crate::harness::on_each_database;
use junglegrid::domain::calibration::{Actual, Held, Predicted};
use junglegrid::domain::estimate::Range;
use junglegrid::domain::history::Basis;
use junglegrid::domain::id::{AccountId, WorkspaceId};
use junglegrid::domain::money::Usd;
use junglegrid::store::Conn;
use junglegrid::store::predictions::{self as table, Outcome, Prediction};
use sqlx::Row as _;
use time::Duration;

async fn predict(
    conn: &mut Conn,
    who: (AccountId, WorkspaceId),
    n: i64,
    basis: Option<Basis>,
) -> Prediction {
    let job = add(conn, job(who, n)).await;
    let prediction = Prediction {
        job: job.id,
        workspace: who.1,
        likeness: "like".into(),
        kind: "kind".into(),
        pool: "cpu".into(),
        basis,
        samples: 3,
        predicted: Predicted {
            runtime: Range { low: 10, high: 20 },
            wait: Range { low: 0, high: 10 },
            cost: (Usd::ZERO, Usd::from_micros(700)),
            rate: Usd::from_micros(120_000),
        },
        created_at: NOW,
    };
    table::insert(conn, &prediction).await.unwrap();
    prediction
}

async fn end(conn: &mut Conn, prediction: &Prediction, seconds: i64, counts: bool, n: i64) {
    let outcome = Outcome {
        actual: Actual {
            runtime_millis: Some(seconds * 1_000 - 500),
            wait_millis: Some(2_000),
            cost: Usd::from_micros(500),
        },
        counts,
        at: NOW + Duration::seconds(n),
    };
    table::resolve(conn, prediction.job, &outcome)
        .await
        .unwrap();
}

#[tokio::test]
async fn outcomes_are_kept_once_and_found_by_likeness() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let ada = settle_down(conn, "ada@example.org").await;
        let eve = settle_down(conn, "eve@example.org").await;
        let good = predict(conn, ada, 1, Some(Basis::Own)).await;
        let late = predict(conn, ada, 2, Some(Basis::Own)).await;
        let failed = predict(conn, ada, 3, Some(Basis::Own)).await;
        let vague = predict(conn, ada, 4, Some(Basis::TimeLimit)).await;
        let theirs = predict(conn, eve, 5, Some(Basis::Everyone)).await;
        let open = predict(conn, eve, 6, None).await;
        end(conn, &good, 15, true, 1).await;
        end(conn, &good, 99, true, 9).await;
        end(conn, &late, 90, true, 2).await;
        end(conn, &failed, 1, false, 3).await;
        end(conn, &vague, 30, true, 4).await;
        end(conn, &theirs, 40, true, 5).await;
        let seconds = |samples: Vec<junglegrid::domain::history::Sample>| {
            samples
                .iter()
                .map(|sample| sample.seconds)
                .collect::<Vec<_>>()
        };
        let own = table::own(conn, ada.1, "like").await.unwrap();
        assert_eq!(own[0].ended_at, NOW + Duration::seconds(4));
        assert_eq!(seconds(own), [30, 90, 15], "the first outcome counts");
        let kind = table::own_kind(conn, ada.1, "kind").await.unwrap();
        assert_eq!(seconds(kind), [30, 90, 15]);
        assert!(table::own(conn, eve.1, "other").await.unwrap().is_empty());
        let others = table::others(conn, ada.1, "kind").await.unwrap();
        assert_eq!(others, [(eve.1, 40)], "not one's own");
        let waits = table::waits(conn, "cpu", NOW + Duration::seconds(4))
            .await
            .unwrap();
        assert_eq!(waits, [(eve.1, 2), (ada.1, 2)], "nothing older");
        let held = |runtime| Held {
            runtime,
            wait: true,
            cost: true,
        };
        let judged = table::judged(conn, ada.1).await.unwrap();
        assert_eq!(judged, [held(false), held(true)], "what could be wrong");
        let all = table::judged_all(conn).await.unwrap();
        assert_eq!(all.len(), 3);
        assert_eq!(all[0], (eve.1, held(false)));
        end(conn, &open, 15, true, 8).await;
        assert_eq!(
            table::judged_all(conn).await.unwrap().len(),
            3,
            "no estimate"
        );
    })
    .await;
}

#[tokio::test]
async fn of_a_hundred_thousand_outcomes_those_that_count_are_found_by_index() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let ada = settle_down(conn, "ada@example.org").await;
        let first = predict(conn, ada, 1, Some(Basis::Own)).await;
        end(conn, &first, 15, true, 1).await;
        // Doubled until there are more than enough; the jobs behind them stay the same,
        // so the table is one without a key.
        let copies = "CREATE TABLE copies AS SELECT * FROM predictions";
        sqlx::query(copies).execute(&mut *conn).await.unwrap();
        for (name, columns) in [
            ("likeness", "workspace, likeness, counts, completed_at"),
            ("kind", "kind, counts, completed_at"),
            ("pool", "pool, started, completed_at"),
            ("judged", "workspace, judged, completed_at"),
        ] {
            let sql = format!("CREATE INDEX copies_{name} ON copies ({columns})");
            let sql = sqlx::AssertSqlSafe(sql);
            sqlx::query(sql).execute(&mut *conn).await.unwrap();
        }
        for _ in 0..17 {
            sqlx::query("INSERT INTO copies SELECT * FROM copies")
                .execute(&mut *conn)
                .await
                .unwrap();
        }
        // What a planner knows must not depend on when something came by to count.
        sqlx::query("ANALYZE copies")
            .execute(&mut *conn)
            .await
            .unwrap();
        let (explain, column) = match conn.backend_name() {
            "PostgreSQL" => ("EXPLAIN", "QUERY PLAN"),
            _ => ("EXPLAIN QUERY PLAN", "detail"),
        };
        let of = ada.1.to_string();
        for (statement, index, binds, count) in [
            (table::OWN, "copies_likeness", [of.as_str(), "like"], 50),
            (table::OTHERS, "copies_kind", ["kind", "nobody"], 500),
        ] {
            let sql = statement.replace("FROM predictions", "FROM copies");
            let ask = async |conn: &mut Conn, sql: String| {
                let query = sqlx::query(sqlx::AssertSqlSafe(sql));
                let query = query.bind(binds[0]).bind(binds[1]);
                query.fetch_all(&mut *conn).await.unwrap()
            };
            assert_eq!(ask(conn, sql.clone()).await.len(), count);
            let plan = ask(conn, format!("{explain} {sql}")).await;
            let plan: Vec<String> = plan.iter().map(|step| step.get(column)).collect();
            let plan = plan.join("\n");
            assert!(plan.contains(index), "{plan}");
            for slow in ["Seq Scan", "Sort", "TEMP B-TREE"] {
                assert!(!plan.contains(slow), "{plan}");
            }
        }
    })
    .await;
}
