//! Everything that speaks SQL, and nothing else does.
//!
//! Query functions are free functions on `&mut Conn`, so that their caller
//! chooses the transaction. [`Store::read`] gives a connection for reading;
//! [`Store::write`] runs a whole transaction.
pub mod accounts;
pub mod api_keys;
pub mod apps;
pub mod challenges;
pub mod drafts;
pub mod estimates;
pub mod idempotency;
pub mod jobs;
pub mod ledger;
pub mod mails;
pub mod predictions;
pub mod sessions;
pub mod throttles;
mod triggers;

use futures_util::future::BoxFuture;
use sqlx::any::AnyPoolOptions;
use sqlx::{AnyConnection, AnyPool, Executor as _};
use std::path::Path;
use std::time::Duration;

/// A handle to the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    readers: AnyPool,
    /// On `SQLite` a single connection: there is one writer at a time anyway, and
    /// waiting here is fairer than retrying there.
    writers: AnyPool,
    dialect: Dialect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

/// What query functions take: a connection, a transaction, a test's choice.
pub type Conn = AnyConnection;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the database failed")]
    Sql(#[from] sqlx::Error),
    #[error("the database could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A row that the program could not have written.
    #[error("{table} {id} makes no sense: {why}")]
    Corrupt {
        table: &'static str,
        id: String,
        why: String,
    },
    /// Someone else changed the row since it was read.
    #[error("{table} {id} has changed meanwhile")]
    Stale { table: &'static str, id: String },
    /// A ledger account would have gone below zero.
    #[error("{account} does not hold that much")]
    Overdrawn { account: String },
    /// The task that wrote panicked or was shut down.
    #[error("the write was broken off")]
    BrokenOff,
}

impl Store {
    /// Opens the `SQLite` database in `file`, which is made if it is not there.
    pub async fn open_file(file: &Path) -> Result<Self, Error> {
        Self::open(&format!("sqlite://{}", file.display())).await
    }

    /// Opens `sqlite://…` or `postgres://…` and brings the schema up to date.
    pub async fn open(url: &str) -> Result<Self, Error> {
        sqlx::any::install_default_drivers();
        // A database file that is not there yet is made.
        let made;
        let url = if url.starts_with("sqlite:") && !url.contains('?') {
            made = format!("{url}?mode=rwc");
            &made
        } else {
            url
        };
        let dialect = if url.starts_with("sqlite:") {
            Dialect::Sqlite
        } else {
            Dialect::Postgres
        };
        // The writer comes first: it makes the file and switches it to WAL.
        let writers = pool(dialect, if dialect == Dialect::Sqlite { 1 } else { 8 }, url).await?;
        sqlx::migrate!().run(&writers).await?;
        let store = Self {
            readers: pool(dialect, 4, url).await?,
            writers,
            dialect,
        };
        triggers::create(&store.writers, dialect).await?;
        Ok(store)
    }

    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// For reading. Take one per request.
    pub async fn read(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Any>, Error> {
        Ok(self.readers.acquire().await?)
    }

    /// Runs `work` in a transaction: committed if it succeeds, rolled back if it
    /// fails. It runs in a task of its own, so that a client who goes away cannot
    /// stop it half-way. Nothing in it may wait for the network.
    ///
    /// On `SQLite` the write lock is taken at once: a deferred transaction that
    /// reads first fails with `SQLITE_BUSY` as soon as anyone else has written.
    pub async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let begin = match self.dialect {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN",
        };
        let writers = self.writers.clone();
        let task = tokio::spawn(async move {
            let mut tx = writers.begin_with(begin).await.map_err(Error::Sql)?;
            let done = work(&mut tx).await?;
            tx.commit().await.map_err(Error::Sql)?;
            Ok(done)
        });
        task.await.map_err(|_| Error::BrokenOff)?
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), Error> {
        let mut conn = self.read().await?;
        sqlx::query("SELECT 1").execute(&mut *conn).await?;
        Ok(())
    }

    /// Closes every connection; `SQLite` then folds its log into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writers.close().await;
    }
}

async fn pool(dialect: Dialect, size: u32, url: &str) -> Result<AnyPool, Error> {
    let pool = AnyPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(Duration::from_secs(15))
        .test_before_acquire(dialect == Dialect::Postgres)
        .after_connect(move |conn, _| {
            Box::pin(async move {
                if dialect == Dialect::Sqlite {
                    // FULL: with NORMAL a power cut loses commits that were acknowledged.
                    conn.execute(
                        "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
                         PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 10000;
                         PRAGMA cache_size = -2000",
                    )
                    .await?;
                }
                Ok(())
            })
        })
        .connect(url)
        .await?;
    Ok(pool)
}

/// Shorthand for [`Error::Corrupt`].
pub(crate) fn corrupt(table: &'static str, id: &str, why: impl Into<String>) -> Error {
    Error::Corrupt {
        table,
        id: id.to_owned(),
        why: why.into(),
    }
}

/// `$1, $2, …`: places for so many values; none of them is `NULL`, which nothing equals.
fn places(count: usize) -> String {
    if count == 0 {
        return "NULL".into();
    }
    let places: Vec<String> = (1..=count).map(|n| format!("${n}")).collect();
    places.join(", ")
}
