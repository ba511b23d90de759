//! Where the log goes: lines on standard error.
use std::io::{IsTerminal, stderr};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging what `filter` lets through, such as `info,sqlx=warn`.
/// Colored only on a terminal.
///
/// # Errors
///
/// If `filter` has a directive that means nothing, or logging has started already.
pub fn init(filter: &str) -> anyhow::Result<()> {
    let filter: EnvFilter = filter.parse()?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(stderr().is_terminal())
        .with_writer(stderr)
        .finish()
        .try_init()?;
    Ok(())
}
