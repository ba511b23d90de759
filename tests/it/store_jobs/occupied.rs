//! What is taken, machine by machine.
use super::{NOW, add, job, settle_down};
use crate::harness::on_each_database;
use junglegrid::store::jobs::occupied::{self, Taken};
use junglegrid::store::jobs::runs;

#[tokio::test]
async fn slots_and_gpus_are_taken_where_the_run_is_until_it_has_ended() {
    on_each_database(async |store, _dir| {
        let mut conn = store.read().await.unwrap();
        let conn = &mut *conn;
        let who = settle_down(conn, "ada@example.org").await;
        let mut ids = Vec::new();
        for (n, node, gpus) in [(0, "a", 2), (1, "a", 0), (2, "b", 1)] {
            let mut one = job(who, n);
            one.spec.resources.gpu_count = (gpus > 0).then_some(gpus);
            let id = add(conn, one).await.id;
            runs::intend(conn, (id, 1), ("host", node), NOW)
                .await
                .unwrap();
            ids.push(id);
        }
        let taken = occupied::by_node(conn).await.unwrap();
        assert_eq!(taken["a"], Taken { slots: 2, gpus: 2 });
        assert_eq!(taken["b"], Taken { slots: 1, gpus: 1 });
        runs::ended(conn, ids[0], 1, NOW).await.unwrap();
        runs::ended(conn, ids[2], 1, NOW).await.unwrap();
        let taken = occupied::by_node(conn).await.unwrap();
        assert_eq!(taken["a"], Taken { slots: 1, gpus: 0 });
        assert!(!taken.contains_key("b"));
    })
    .await;
}
