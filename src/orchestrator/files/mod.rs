//! Files: what people bring for their jobs, and what jobs leave.
mod archive;
mod artifacts;
pub(super) mod collect;
mod content;
mod disk;
pub(super) mod given;
mod inputs;
mod links;
mod preview;
mod room;
mod upload;

pub(super) use disk::Disk;
pub use disk::Files;

use super::route::{on, on_both, raw};
use super::{Error, State};
use crate::api;
use crate::domain::id::WorkspaceId;
use crate::store::{Conn, artifacts as kept, inputs as brought};
use axum::Router;
use axum::routing::{get, put};

pub(super) fn routes() -> Router<State> {
    Router::new()
        .merge(on(inputs::create))
        .merge(on(inputs::list))
        .merge(on(inputs::get))
        .merge(on(inputs::complete))
        .merge(on(inputs::delete))
        .merge(on_both(artifacts::of_job))
        .merge(on_both(artifacts::download))
        .merge(on(artifacts::list))
        .merge(on(artifacts::get))
        .merge(on(artifacts::delete))
        .merge(on(preview::preview))
        .merge(on(archive::make))
        .merge(raw(api::INPUT_CONTENT, put(upload::receive)))
        .merge(raw(api::ARTIFACT_CONTENT, get(content::fetch)))
        .merge(raw(api::ARTIFACT_ZIP, get(archive::fetch)))
}

/// Bytes that all files of a workspace take up.
async fn used(conn: &mut Conn, workspace: WorkspaceId) -> Result<i64, Error> {
    let brought = brought::kept(conn, workspace).await?;
    Ok(brought + kept::kept(conn, workspace).await?)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Where a list goes on: the last id of the page before, opaque to clients.
fn cursor<T: std::str::FromStr>(cursor: Option<String>) -> Result<String, Error> {
    let cursor = cursor.unwrap_or_default();
    let cursor = cursor.trim();
    if !cursor.is_empty() && cursor.parse::<T>().is_err() {
        return Err(Error::field(
            "cursor",
            "This is no cursor of this list. Begin again without one.",
        ));
    }
    Ok(cursor.to_owned())
}

/// Bytes as people say them: `3.4 MB`.
pub(super) fn said(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1_000 {
        return format!("{bytes} bytes");
    }
    let (mut number, mut unit) = (bytes, 0);
    while number >= 1_000_000 && unit < UNITS.len() - 1 {
        number /= 1_000;
        unit += 1;
    }
    let (whole, tenth) = (number / 1_000, number % 1_000 / 100);
    if tenth == 0 {
        format!("{whole} {}", UNITS[unit])
    } else {
        format!("{whole}.{tenth} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::said;

    #[test]
    fn sizes_are_said_in_round_numbers() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1_000, "1 kB"),
            (1_234, "1.2 kB"),
            (999_999, "999.9 kB"),
            (5_000_000_000, "5 GB"),
            (2_147_483_648, "2.1 GB"),
            (u64::MAX, "18446.7 PB"),
        ] {
            assert_eq!(said(bytes), words);
        }
    }
}
