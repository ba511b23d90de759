//! Hot statements use an index, and nothing is sorted that comes sorted.
use crate::harness::TestApi;
use junglegrid::domain::job::Status;
use junglegrid::domain::spec::WorkloadType;
use junglegrid::store::callbacks;
use junglegrid::store::jobs::listing::{Filter, Place, Sort};
use junglegrid::store::jobs::{self, days, events, logs, queries, texts};
use junglegrid::store::{Store, predictions, sessions};
use junglegrid::store::{apps, artifacts, inputs};
use sqlx::Row as _;

/// How `SQLite` would go about it.
async fn plan(store: &Store, statement: &str) -> Vec<String> {
    let mut conn = store.read().await.unwrap();
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
    let parameters = (1..=20)
        .rev()
        .find(|n| statement.contains(&format!("${n}")));
    let mut query = sqlx::query(explain);
    for _ in 0..parameters.unwrap_or(0) {
        query = query.bind("");
    }
    let steps = query.fetch_all(&mut *conn).await.unwrap();
    steps
        .iter()
        .map(|step| step.get::<String, _>("detail"))
        .collect()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn hot_statements_search_an_index_and_sort_nothing() {
    let api = TestApi::start().await;
    for (what, statement, index) in [
        ("jobs that have not ended", queries::ACTIVE, "jobs_by_"),
        ("ends by day", days::SINCE, "sqlite_autoindex_job_days_1 "),
        (
            "the newest with a text",
            texts::NEWEST,
            "job_texts_newest (workspace=? AND last_at>? AND (last_at,block)<(?,?))",
        ),
        (
            "the oldest with a text",
            texts::OLDEST,
            "job_texts_oldest (workspace=? AND (first_at,block)>(?,?) AND first_at<?)",
        ),
        ("the queue", queries::QUEUE, "jobs_by_status "),
        ("what is taken", jobs::occupied::BY_NODE, "runs_by_state "),
        ("one job", jobs::FIND, "sqlite_autoindex_jobs_1 "),
        ("events", events::LIST, "sqlite_autoindex_job_events_1 "),
        (
            "a page of output",
            logs::PAGE,
            "sqlite_autoindex_job_logs_1 ",
        ),
        (
            "the last output",
            logs::TAIL,
            "sqlite_autoindex_job_logs_1 ",
        ),
        (
            "a page of old output",
            logs::BLOCKS,
            "sqlite_autoindex_log_blocks_1 ",
        ),
        (
            "old output before a line",
            logs::BLOCKS_BEFORE,
            "sqlite_autoindex_log_blocks_1 ",
        ),
        ("a place in a text", logs::AT, "log_blocks_by_text "),
        ("output to be deleted", logs::OLD, "log_totals_kept "),
        (
            "failures with output",
            queries::PRINTED_FAILED,
            "jobs_by_failure ",
        ),
        (
            "other jobs with output",
            queries::PRINTED_OTHER,
            "jobs_by_workspace ",
        ),
        ("what people bring", inputs::LIST, "inputs_by_workspace "),
        ("room for it", inputs::KEPT, "inputs_by_workspace "),
        (
            "what jobs leave",
            artifacts::LIST,
            "artifacts_by_workspace ",
        ),
        ("room for that", artifacts::KEPT, "artifacts_by_workspace "),
        ("what a job leaves", artifacts::OF_JOB, "artifacts_by_job "),
        ("a bearer", sessions::BEARER, "sqlite_autoindex_sessions_2 "),
        ("a session", sessions::DESCRIBE, "jobs_by_"),
        ("its apps", sessions::DESCRIBE, "app_sessions_"),
        (
            "what is usual",
            apps::queries::SAMPLES,
            "app_sessions_by_template ",
        ),
        (
            "whether anybody is told of an end",
            callbacks::METADATA,
            "sqlite_autoindex_callbacks_1 ",
        ),
        (
            "a job's callback",
            callbacks::FIND,
            "sqlite_autoindex_callback_outbox_1 ",
        ),
        (
            "the next callback",
            callbacks::NEXT_DUE,
            "callback_outbox_due ",
        ),
        (
            "what a workspace signs with",
            callbacks::secrets::OF,
            "sqlite_autoindex_callback_secrets_1 ",
        ),
        (
            "callbacks that were given up long ago",
            callbacks::again::OLD,
            "callback_outbox_kept ",
        ),
        (
            "like jobs of one's own",
            predictions::OWN,
            "predictions_by_likeness ",
        ),
        (
            "jobs of one's own of a kind",
            predictions::OWN_KIND,
            "predictions_by_own_kind ",
        ),
        (
            "jobs of others",
            predictions::OTHERS,
            "predictions_by_kind ",
        ),
        ("recent waits", predictions::WAITS, "predictions_by_pool "),
        (
            "how past ranges held",
            predictions::JUDGED,
            "predictions_judged ",
        ),
        (
            "how everyone's ranges held",
            predictions::JUDGED_ALL,
            "predictions_judged_all ",
        ),
    ] {
        let steps = plan(api.state.store(), statement).await;
        println!("{what}: {steps:#?}");
        assert!(!steps.is_empty(), "{what} has a plan");
        for step in &steps {
            assert!(
                !step.starts_with("SCAN"),
                "{what} reads all of a table: {step}"
            );
            assert!(!step.contains("TEMP B-TREE"), "{what} is sorted: {step}");
        }
        let with_index = format!("INDEX {index}");
        assert!(
            steps.iter().any(|step| step.contains(&with_index)),
            "{what} does not use {index}: {steps:?}"
        );
    }
}

#[tokio::test]
async fn a_statement_that_reads_everything_is_found_out() {
    let api = TestApi::start().await;
    let steps = plan(api.state.store(), "SELECT * FROM jobs ORDER BY name").await;
    assert!(
        steps.iter().any(|step| step.starts_with("SCAN")),
        "{steps:?}"
    );
    assert!(
        steps.iter().any(|step| step.contains("TEMP B-TREE")),
        "{steps:?}"
    );
}

/// Every list that can be asked for reads its page off one index: held on to what is
/// equal, and begun where the page begins.
#[tokio::test]
async fn every_list_of_jobs_is_read_in_its_own_order() {
    let api = TestApi::start().await;
    let status = vec![Status::Failed];
    let group = vec![Status::Failed, Status::Running];
    let kind = Some(WorkloadType::Batch);
    for (statuses, workload_type, image, by_time) in [
        (vec![], None, "", "jobs_by_workspace (workspace=?"),
        (
            status.clone(),
            None,
            "",
            "jobs_by_workspace_status (workspace=? AND status=?",
        ),
        (
            group.clone(),
            None,
            "",
            "jobs_by_workspace_status (workspace=? AND status=?",
        ),
        (
            vec![],
            kind,
            "",
            "jobs_by_kind (workspace=? AND workload_type=? AND status=?",
        ),
        (
            group,
            kind,
            "",
            "jobs_by_kind (workspace=? AND workload_type=? AND status=?",
        ),
        (
            vec![],
            None,
            "host",
            "jobs_by_image (workspace=? AND image=? AND workload_type=? AND status=?",
        ),
        (
            status,
            kind,
            "host",
            "jobs_by_image (workspace=? AND image=? AND workload_type=? AND status=?",
        ),
    ] {
        for (sort, index) in [
            (Sort::Newest, by_time),
            (Sort::Oldest, by_time),
            (
                Sort::Cost,
                "jobs_by_cost (workspace=? AND status=? AND workload_type=?",
            ),
            (
                Sort::Runtime,
                "jobs_by_runtime (workspace=? AND status=? AND workload_type=?",
            ),
        ] {
            if !sort.by_time() && !image.is_empty() {
                continue;
            }
            for before in [false, true] {
                let filter = Filter {
                    statuses: statuses.clone(),
                    workload_type,
                    image: image.into(),
                    sort,
                    place: Some(Place {
                        key: 1,
                        id: "job_1".into(),
                        before,
                    }),
                    ..Filter::default()
                };
                let steps = plan(api.state.store(), &filter.statement()).await;
                let what = format!("{filter:?}: {steps:#?}");
                let walks: Vec<_> = steps
                    .iter()
                    .filter(|step| step.contains("SEARCH jobs") || step.contains("SCAN jobs"))
                    .collect();
                assert!(!walks.is_empty(), "{what}");
                for step in &walks {
                    assert!(step.contains(index), "{what}");
                    let ends: &[&str] = match (sort.by_time(), !before) {
                        (true, _) => &["AND (created_at,id)>(?,?) AND (created_at,id)<(?,?))"],
                        (false, true) => &["AND <expr><?)", "AND <expr>=? AND id<?)"],
                        (false, false) => &["AND <expr>>?)", "AND <expr>=? AND id>?)"],
                    };
                    assert!(ends.iter().any(|end| step.contains(end)), "{what}");
                    assert!(!sort.by_time() || step.contains("COVERING"), "{what}");
                }
                // Walk by walk comes sorted; what several of them find is put in order once.
                let sorts = steps.iter().filter(|step| step.contains("TEMP B-TREE"));
                assert_eq!(sorts.count(), usize::from(walks.len() > 1), "{what}");
            }
        }
    }
}
