//! Hot statements use an index, and nothing is sorted that comes sorted.
use crate::harness::TestApi;
use junglegrid::store::jobs::{self, events, logs, queries};
use junglegrid::store::{Store, sessions};
use junglegrid::store::{apps, artifacts, inputs};
use sqlx::Row as _;

/// How `SQLite` would go about it.
async fn plan(store: &Store, statement: &'static str) -> Vec<String> {
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
async fn hot_statements_search_an_index_and_sort_nothing() {
    let api = TestApi::start().await;
    for (what, statement, index) in [
        ("the list of jobs", queries::LIST, "jobs_by_workspace "),
        ("the queue", queries::QUEUE, "jobs_by_status "),
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
        ("a session", sessions::DESCRIBE, "jobs_by_workspace_status "),
        (
            "what is usual",
            apps::queries::SAMPLES,
            "app_sessions_by_template ",
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
