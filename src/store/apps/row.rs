//! Between the columns of `app_sessions` and what they mean.
use super::AppSession;
use crate::clock::from_micros;
use crate::domain::app::{EndCode, Phase};
use crate::store::{Error, corrupt};
use std::collections::BTreeMap;

#[derive(Debug, sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    workspace: String,
    account: String,
    job: String,
    manifest: String,
    settings: String,
    phase: String,
    phase_since: i64,
    version: i64,
    last_event: i64,
    created_at: i64,
    reserved_at: Option<i64>,
    image_at: Option<i64>,
    starting_at: Option<i64>,
    started_at: Option<i64>,
    ready_at: Option<i64>,
    stopping_at: Option<i64>,
    ended_at: Option<i64>,
    image_done: Option<i64>,
    image_total: Option<i64>,
    stops_at: Option<i64>,
    last_used_at: Option<i64>,
    end_code: Option<String>,
    end_reason: Option<String>,
    failed_step: Option<String>,
    given: Option<String>,
}

impl Row {
    /// Where it stands in a list.
    pub(super) fn place(&self) -> (i64, String) {
        (self.created_at, self.id.clone())
    }

    /// The session, if it can be read: in a list, one that cannot be is in nobody's way.
    pub(super) fn readable(self) -> Option<AppSession> {
        let session = AppSession::try_from(self);
        session
            .inspect_err(|error| tracing::error!(%error, "an app is left out"))
            .ok()
    }
}

impl TryFrom<Row> for AppSession {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let wrong = |why: &str| corrupt("app_sessions", &row.id, why);
        let end_code = match row.end_code.as_deref() {
            Some(name) => Some(EndCode::named(name).ok_or_else(|| wrong("end_code"))?),
            None => None,
        };
        let given = match row.given.as_deref() {
            Some(given) => serde_json::from_str(given).map_err(|_| wrong("given"))?,
            None => BTreeMap::new(),
        };
        Ok(Self {
            id: row.id.parse().map_err(|_| wrong("id"))?,
            workspace: row.workspace.parse().map_err(|_| wrong("workspace"))?,
            account: row.account.parse().map_err(|_| wrong("account"))?,
            job: row.job.parse().map_err(|_| wrong("job"))?,
            manifest: serde_json::from_str(&row.manifest).map_err(|_| wrong("manifest"))?,
            settings: serde_json::from_str(&row.settings).map_err(|_| wrong("settings"))?,
            given,
            phase: Phase::named(&row.phase).ok_or_else(|| wrong("phase"))?,
            phase_since: from_micros(row.phase_since),
            version: row.version,
            last_event: row.last_event,
            created_at: from_micros(row.created_at),
            reserved_at: row.reserved_at.map(from_micros),
            image_at: row.image_at.map(from_micros),
            starting_at: row.starting_at.map(from_micros),
            started_at: row.started_at.map(from_micros),
            ready_at: row.ready_at.map(from_micros),
            stopping_at: row.stopping_at.map(from_micros),
            ended_at: row.ended_at.map(from_micros),
            image_done: row.image_done,
            image_total: row.image_total,
            stops_at: row.stops_at.map(from_micros),
            last_used_at: row.last_used_at.map(from_micros),
            end_code,
            end_reason: row.end_reason,
            failed_step: row.failed_step,
        })
    }
}
