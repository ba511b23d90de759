//! The only place that reads the time.
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use time::{Duration, OffsetDateTime};

/// What time it is: the system's, or one that a test moves by hand.
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    /// Unix microseconds.
    Manual(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands still until it is moved.
    #[must_use]
    pub fn manual(start: OffsetDateTime) -> Self {
        Self(Source::Manual(Arc::new(AtomicI64::new(micros(start)))))
    }

    /// Now in UTC, in whole microseconds: what the database can hold.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place")]
    pub fn now(&self) -> OffsetDateTime {
        match &self.0 {
            Source::System => from_micros(micros(OffsetDateTime::now_utc())),
            Source::Manual(now) => from_micros(now.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock; the system's clock cannot be moved.
    ///
    /// # Panics
    ///
    /// If this is the system's clock.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::System => panic!("only a manual clock can be moved"),
            Source::Manual(now) => {
                let by = i64::try_from(by.whole_microseconds()).unwrap_or(i64::MAX);
                now.fetch_add(by, Ordering::SeqCst);
            }
        }
    }
}

/// Unix microseconds, the form in which times are stored.
#[must_use]
pub fn micros(at: OffsetDateTime) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

/// The time that `micros` says; out of range, the epoch.
#[must_use]
pub fn from_micros(micros: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
