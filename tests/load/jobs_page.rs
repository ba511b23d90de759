//! What the jobs page costs: its statement through `sqlx::Any` and through the
//! native `SQLite` driver, and the whole API call. `just bench` runs it.
//!
//! Prints microseconds per round, median and slowest of a hundred, over a
//! database with `JOBS` jobs of one workspace.
#![expect(
    clippy::unwrap_used,
    reason = "a measurement that cannot go on should stop"
)]
use junglegrid::clock::Clock;
use junglegrid::domain::estimate::{Quote, Range};
use junglegrid::domain::id::{AccountId, JobId, WorkspaceId};
use junglegrid::domain::job::State;
use junglegrid::domain::money::Usd;
use junglegrid::domain::spec::{JobSpec, Resources, Routing, WorkloadType};
use junglegrid::random;
use junglegrid::store::Store;
use junglegrid::store::jobs::queries::{self, Filter, LIST};
use junglegrid::store::jobs::{self, Job};
use sqlx::sqlite::SqlitePoolOptions;
use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Jobs in the database, and rows on the page.
const JOBS: i64 = 10_000;
const ROWS: i64 = 21;
const ROUNDS: usize = 2_000;

/// The columns that both ways decode.
#[expect(dead_code, reason = "decoding them is the point")]
#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    spec: String,
    quote: String,
    status: String,
    phase: Option<String>,
    version: i64,
    rate: i64,
    hold: i64,
    cost: Option<i64>,
    created_at: i64,
    started_at: Option<i64>,
    completed_at: Option<i64>,
}

/// The statement's parameters, whichever database it is for.
macro_rules! bound {
    ($query:expr, $workspace:expr) => {
        $query
            .bind($workspace.to_string())
            .bind("")
            .bind("")
            .bind("")
            .bind(0_i16)
            .bind(i64::MAX)
            .bind("")
            .bind(ROWS)
    };
}
fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("junglegrid.db");
    let store = Store::open_file(&file).await.unwrap();
    let workspace = fill(&store).await;
    let native = SqlitePoolOptions::new()
        .max_connections(4)
        .connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let any = sqlx::AnyPool::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    // Twice, so that neither way profits from being second.
    for round in 1..=2 {
        println!("round {round}, {JOBS} jobs, {ROWS} rows");
        let took = time(async || {
            let mut conn = any.acquire().await.unwrap();
            let rows: Vec<Row> = bound!(sqlx::query_as::<sqlx::Any, Row>(LIST), workspace)
                .fetch_all(&mut *conn)
                .await
                .unwrap();
            black_box(&rows);
            rows.len()
        })
        .await;
        report("statement through sqlx::Any", took);
        let took = time(async || {
            let mut conn = native.acquire().await.unwrap();
            let rows: Vec<Row> = bound!(sqlx::query_as::<sqlx::Sqlite, Row>(LIST), workspace)
                .fetch_all(&mut *conn)
                .await
                .unwrap();
            black_box(&rows);
            rows.len()
        })
        .await;
        report("statement through native SQLite", took);
        let filter = Filter {
            limit: ROWS,
            ..Filter::default()
        };
        let took = time(async || {
            let mut conn = store.read().await.unwrap();
            queries::list(&mut conn, workspace, &filter)
                .await
                .unwrap()
                .len()
        })
        .await;
        report("store::jobs::queries::list, parsed", took);
    }
}

async fn time<T>(mut work: impl AsyncFnMut() -> T) -> Vec<Duration> {
    for _ in 0..100 {
        black_box(work().await);
    }
    let mut took = Vec::with_capacity(ROUNDS);
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        black_box(work().await);
        took.push(begun.elapsed());
    }
    took.sort_unstable();
    took
}

fn report(what: &str, took: Vec<Duration>) {
    println!(
        "  {what:36} median {:>5} µs   p99 {:>5} µs",
        took[took.len() / 2].as_micros(),
        took[took.len() * 99 / 100].as_micros()
    );
}

async fn fill(store: &Store) -> WorkspaceId {
    let now = Clock::default().now();
    let (account, workspace): (AccountId, WorkspaceId) = (random::id(now), random::id(now));
    store
        .write(move |conn| {
            Box::pin(async move {
                sqlx::query(
                    "INSERT INTO accounts (id, email, password_hash, status, roles, created_at)
                     VALUES ($1, 'bench@example.com', '-', 'active', 'user', 0)",
                )
                .bind(account.to_string())
                .execute(&mut *conn)
                .await?;
                sqlx::query("INSERT INTO workspaces (id, name, owner, created_at) VALUES ($1, 'bench', $2, 0)")
                    .bind(workspace.to_string())
                    .bind(account.to_string())
                    .execute(&mut *conn)
                    .await?;
                for n in 0..JOBS {
                    let at = now - time::Duration::seconds(JOBS - n);
                    let id: JobId = random::id(at);
                    jobs::insert(conn, &mut job(id, workspace, account, at), &[]).await?;
                }
                Ok::<_, junglegrid::store::Error>(())
            })
        })
        .await
        .unwrap();
    workspace
}

fn job(id: JobId, workspace: WorkspaceId, account: AccountId, at: time::OffsetDateTime) -> Job {
    Job {
        id,
        workspace,
        account,
        spec: JobSpec {
            name: "sdxl-portrait-lora".into(),
            workload_type: WorkloadType::Training,
            image: "host".into(),
            argv: vec!["python3".into(), "train.py".into()],
            command_line: "python3 train.py".into(),
            environment: BTreeMap::new(),
            resources: Resources::default(),
            routing: Routing::default(),
            time_limit_seconds: 3_600,
            expected_artifacts: Vec::new(),
            files: Vec::new(),
            notices: Vec::new(),
            app: None,
            metadata: None,
        },
        likeness: "0".repeat(64),
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
        hold: Usd::from_micros(120_000),
        cost: None,
        billed_from: None,
        quote: Quote {
            cost_low: Usd::ZERO,
            cost_high: Usd::from_micros(120_000),
            runtime: Range {
                low: 1,
                high: 3_600,
            },
            wait: Range { low: 0, high: 10 },
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
