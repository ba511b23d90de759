//! What a job printed, and how it came out.
use super::{find, view};
use crate::api::jobs as wire;
use crate::api::logs as out;
use crate::api::{GetRuntime, ListLogs};
use crate::domain::job::{Failure, Outcome, State as JobState};
use crate::orchestrator::Error;
use crate::orchestrator::route::{Call, Cx};
use crate::store::jobs::logs::{self, Line};

/// Lines of each stream in a runtime's tails.
const TAIL_LINES: i64 = 50;

/// Reads a cursor that is a number; none is the beginning.
pub(super) fn read_cursor(cursor: Option<&str>) -> Result<i64, Error> {
    let cursor = cursor.unwrap_or_default().trim();
    if cursor.is_empty() {
        return Ok(0);
    }
    cursor
        .parse()
        .ok()
        .filter(|after| *after >= 0)
        .ok_or_else(|| {
            Error::field(
                "cursor",
                "This is no cursor of this list. Begin again without one.",
            )
        })
}

pub(super) async fn list(cx: Cx, call: Call<ListLogs>) -> Result<out::Page, Error> {
    let query = call.query;
    let after = read_cursor(query.cursor.as_deref())?;
    let limit = query.limit.unwrap_or(100).clamp(1, 1_000);
    let (stream, wanted) = match query.stream.as_deref().unwrap_or_default() {
        "" | "all" => ("all", ""),
        "stdout" => ("stdout", "stdout"),
        "stderr" => ("stderr", "stderr"),
        _ => return Err(Error::field("stream", "Use stdout, stderr or all.")),
    };
    let mut conn = cx.store().read().await?;
    let job = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    let tail = query.tail.map(|lines| lines.clamp(1, 500));
    let mut lines = match tail {
        Some(tail) => logs::tail(&mut conn, job.id, tail, wanted).await?,
        None => logs::page(&mut conn, job.id, (after, limit + 1), wanted).await?,
    };
    let most = usize::try_from(limit).unwrap_or(1_000);
    let has_more = tail.is_none() && lines.len() > most;
    if tail.is_none() {
        lines.truncate(most);
    }
    let last = lines.last().map_or(after, |line| line.entry);
    let highlight = highlight(&mut conn, &job).await?;
    Ok(out::Page {
        job_id: job.id,
        status: job.state.status(),
        status_reason: None,
        usage_hint: (lines.is_empty() && job.state.since().is_none() && !job.state.ended())
            .then(|| "The command has not started yet. Its events say what it waits for.".into()),
        items: lines
            .into_iter()
            .map(|line| view::line(line, job.node.as_ref()))
            .collect(),
        limit,
        stream: stream.into(),
        next_cursor: Some(last.to_string()),
        has_more,
        failure_highlight: highlight,
    })
}

/// What most likely says why a job failed: its last line on stderr, else its last
/// one at all. `None` if it has not failed.
pub(super) async fn highlight(
    conn: &mut crate::store::Conn,
    job: &crate::store::jobs::Job,
) -> Result<Option<String>, Error> {
    let failed = matches!(
        job.state,
        JobState::Ended {
            outcome: Outcome::Failed(_),
            ..
        }
    );
    if !failed {
        return Ok(None);
    }
    let mut lines = logs::tail(conn, job.id, 1, "stderr").await?;
    if lines.is_empty() {
        lines = logs::tail(conn, job.id, 1, "stdout").await?;
    }
    Ok(lines.pop().map(|line| line.message))
}

pub(super) async fn runtime(cx: Cx, call: Call<GetRuntime>) -> Result<wire::Runtime, Error> {
    let mut conn = cx.store().read().await?;
    let job = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    // A command that could not be started has an exit code all the same.
    if job.state.since().is_none() && job.exit_code().is_none() {
        // Clients look for these very words.
        return Err(Error::NotFound("job runtime not available yet".into()));
    }
    let stdout = logs::tail(&mut conn, job.id, TAIL_LINES, "stdout").await?;
    let stderr = logs::tail(&mut conn, job.id, TAIL_LINES, "stderr").await?;
    let available = |state: &str, reason: Option<&str>| wire::Available {
        state: state.into(),
        reason: reason.map(Into::into),
    };
    let exit = match (job.exit_code(), job.state.ended()) {
        (Some(_), _) => available("available", None),
        (None, false) => available("delayed", Some("The job has not ended.")),
        (None, true) => available(
            "unsupported",
            Some("The command was stopped before it could exit."),
        ),
    };
    let tail = |lines: &[Line]| {
        let full = i64::try_from(lines.len()).unwrap_or(i64::MAX) >= TAIL_LINES;
        available(if full { "truncated" } else { "available" }, None)
    };
    let timed_out = matches!(
        job.state,
        JobState::Ended {
            outcome: Outcome::Failed(Failure::TimeLimit),
            ..
        }
    );
    Ok(wire::Runtime {
        job_id: job.id,
        exit_code: job.exit_code(),
        timed_out,
        runtime_availability: wire::Availability {
            exit_code: exit,
            stdout_tail: tail(&stdout),
            stderr_tail: tail(&stderr),
        },
        stdout_tail: joined(&stdout),
        stderr_tail: joined(&stderr),
        diagnostics: Vec::new(),
    })
}

fn joined(lines: &[Line]) -> String {
    lines
        .iter()
        .map(|line| line.message.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}
