//! Jobs as they happen: server-sent events that resume from the database.
//!
//! A stream listens first and reads second, so that nothing falls in between;
//! what it sends is always read from the database after the number that it sent
//! last, so that nothing comes twice and nothing is missed.
use super::{find, output, show, view};
use crate::api::jobs::Change as Said;
use crate::api::logs::Item;
use crate::domain::id::JobId;
use crate::orchestrator::{Caller, Change, Error, State, route};
use crate::store::callbacks;
use crate::store::jobs::{Job, events, logs as lines};
use axum::extract::{FromRequestParts, Path, State as Extracted};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Proxies drop connections that say nothing for a minute.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Lines sent in one message.
const BATCH: usize = 500;
/// A job and the reader's session are looked at again at least this often.
const RECHECK: Duration = Duration::from_secs(15);

#[derive(Debug, Default, Deserialize)]
pub(super) struct After {
    #[serde(default, rename = "after_event")]
    event: i64,
    #[serde(default, rename = "after_log")]
    log: i64,
    #[serde(default)]
    cursor: Option<String>,
}

/// Which job, and from where on.
#[derive(Debug)]
pub(super) struct At {
    id: JobId,
    after: After,
}

impl FromRequestParts<State> for At {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Error> {
        let Path(id) = route::path(parts, state).await?;
        Ok(Self {
            id,
            after: route::query(&parts.uri)?,
        })
    }
}

/// What everything that follows a job needs.
struct Follower {
    state: State,
    caller: Caller,
    id: JobId,
    changes: Receiver<Change>,
}

impl Follower {
    fn new(state: State, caller: Caller, id: JobId) -> Self {
        let changes = state.hub().subscribe();
        Self {
            state,
            caller,
            id,
            changes,
        }
    }

    async fn job(&self) -> Result<Job, Error> {
        let mut conn = self.state.store().read().await?;
        find(&mut conn, self.caller.workspace, self.id).await
    }

    /// The job again, for whoever has not signed out meanwhile.
    async fn job_again(&self) -> Result<Job, Error> {
        self.caller.still_here(&self.state).await?;
        self.job().await
    }

    /// The job, and whether more is said of it after its end. Whoever `tells` nobody of
    /// it is not asked again.
    async fn job_and_more(&self, tells: bool) -> Result<(Job, bool), Error> {
        let mut conn = self.state.store().read().await?;
        // Asked first: what is settled by now, the job that is read next has an event of.
        let open = if tells {
            callbacks::find(&mut conn, self.id).await?
        } else {
            None
        };
        let job = find(&mut conn, self.caller.workspace, self.id).await?;
        Ok((job, open.is_some_and(|callback| callback.is_open())))
    }

    async fn lines(&self, after: i64) -> Result<Vec<lines::Line>, Error> {
        let mut conn = self.state.store().read().await?;
        let all = lines::Filter::default();
        Ok(lines::forward(&mut conn, self.id, after, BATCH, &all)
            .await?
            .lines)
    }

    /// Waits until this job may have changed; `false` when the stream must end.
    async fn news(&mut self) -> bool {
        let shutdown = self.state.shutdown().clone();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return false,
                // Whoever is slow to read the hub simply looks at the database.
                change = self.changes.recv() => match change {
                    Ok(change) if change.job() == Some(self.id) => return true,
                    // Whether that ends the stream is seen at the next look.
                    Ok(Change::SignedOut { bearer }) if bearer == self.caller.bearer() => {
                        return true;
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => return true,
                    Err(RecvError::Closed) => return false,
                },
                () = tokio::time::sleep(RECHECK) => return true,
            }
        }
    }
}

/// Contract 3.9: `status`, `stdout`, `stderr`, `notice`, then `terminal`. The id
/// of each line is its `entry_id`.
pub(super) async fn logs(
    Extracted(state): Extracted<State>,
    caller: Caller,
    at: Result<At, Error>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let At { id, after } = at?;
    let resume = headers
        .get("last-event-id")
        .and_then(|id| id.to_str().ok())
        .map(str::to_owned);
    let mut last = output::read_cursor(resume.or(after.cursor).as_deref())?;
    let mut follower = Follower::new(state, caller, id);
    let mut job = follower.job().await?;
    let stream = async_stream::stream! {
        let mut told = None;
        loop {
            let status = job.state.status();
            if told != Some((status, job.state.phase())) {
                told = Some((status, job.state.phase()));
                let mut now = json!({ "job_id": id, "status": status });
                if let Some(phase) = job.state.phase() { now["phase"] = json!(phase); }
                yield named("status", None, &now);
            }
            loop {
                let Ok(batch) = follower.lines(last).await else { return };
                if batch.is_empty() { break }
                for line in batch {
                    last = line.entry;
                    let name = match line.stream {
                        "stdout" => "stdout",
                        "stderr" => "stderr",
                        _ => "notice",
                    };
                    let item = view::line(line, job.node.as_ref());
                    let mut told = json!({
                        "entry_id": item.entry_id, "text": item.message, "message": item.message,
                        "stream": item.stream, "level": item.level,
                        "created_at": item.created_at.format(&time::format_description::well_known::Rfc3339).ok(),
                    });
                    if let Some(lines) = item.dropped_lines { told["dropped_lines"] = json!(lines); }
                    yield named(name, Some(last), &told);
                }
            }
            if job.state.ended() {
                let timed_out = matches!(&job.state, crate::domain::job::State::Ended {
                    outcome: crate::domain::job::Outcome::Failed(crate::domain::job::Failure::TimeLimit), ..
                });
                let mut end = json!({ "job_id": id, "status": status, "timed_out": timed_out,
                    "message": crate::orchestrator::lifecycle::summary(&job) });
                if let Some(code) = job.exit_code() { end["exit_code"] = json!(code); }
                yield named("terminal", None, &end);
                return;
            }
            if !follower.news().await { return }
            let Ok(now) = follower.job_again().await else { return };
            job = now;
        }
    };
    // This family's clients know a sign of life by its name.
    let beat = Event::default().event("heartbeat").data("{}");
    Ok(respond(stream, KeepAlive::new().event(beat)))
}

/// Events and output together, for a page that follows one job: until its end, and
/// until its callback has been taken or given up.
pub(super) async fn job(
    Extracted(state): Extracted<State>,
    caller: Caller,
    at: Result<At, Error>,
) -> Result<Response, Error> {
    let At { id, after } = at?;
    let mut follower = Follower::new(state, caller, id);
    let (mut last_event, mut last_line) = (after.event, after.log);
    let (mut job, mut more) = follower.job_and_more(true).await?;
    let tells = more;
    let stream = async_stream::stream! {
        let mut told = false;
        loop {
            let ended = job.state.ended() && !more;
            // Lines before the end that they belong to.
            loop {
                let Ok(batch) = follower.lines(last_line).await else { return };
                let Some(last) = batch.last() else { break };
                last_line = last.entry;
                let items: Vec<Item> =
                    batch.into_iter().map(|line| view::line(line, job.node.as_ref())).collect();
                yield said(&Said::Logs { items });
            }
            if !told || job.last_event > last_event {
                told = true;
                let Ok((shown, news)) = look(&follower, job, last_event).await else { return };
                last_event = news.last().map_or(last_event, |event| event.sequence);
                yield said(&Said::Job { job: Box::new(shown), events: news });
            }
            if ended || !follower.news().await { return }
            if follower.caller.still_here(&follower.state).await.is_err() { return }
            let Ok(now) = follower.job_and_more(tells).await else { return };
            (job, more) = now;
        }
    };
    Ok(respond(stream, KeepAlive::new()))
}

/// The job as it goes over the wire, with its events after `after`.
async fn look(
    follower: &Follower,
    job: Job,
    after: i64,
) -> Result<(crate::api::jobs::Job, Vec<crate::api::jobs::Event>), Error> {
    let mut conn = follower.state.store().read().await?;
    let news = events::list(&mut conn, job.id, after, 1_000).await?;
    let news = news
        .into_iter()
        // The job has been read before them. What has happened since is told with the
        // job that it belongs to, or that one would never be told.
        .take_while(|event| event.seq <= job.last_event)
        .map(|event| view::event(job.id, event))
        .collect();
    Ok((show(&follower.state, &mut conn, job).await?, news))
}

fn said(change: &Said) -> Event {
    Event::default().json_data(change).unwrap_or_default()
}

fn named(name: &'static str, id: Option<i64>, data: &serde_json::Value) -> Event {
    let event = Event::default()
        .event(name)
        .json_data(data)
        .unwrap_or_default();
    match id {
        Some(id) => event.id(id.to_string()),
        None => event,
    }
}

fn respond(stream: impl Stream<Item = Event> + Send + 'static, keep_alive: KeepAlive) -> Response {
    let stream = stream.map(Ok::<_, Infallible>);
    let mut response = Sse::new(stream)
        .keep_alive(keep_alive.interval(KEEP_ALIVE))
        .into_response();
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store, no-transform"),
    );
    // nginx would otherwise hold messages back until its buffer is full.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}
