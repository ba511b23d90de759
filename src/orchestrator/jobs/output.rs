//! What a job printed, and how it came out.
use super::{find, view, wanted};
use crate::api::jobs as wire;
use crate::api::logs as out;
use crate::api::{GetRuntime, ListLogs};
use crate::domain::job::{Failure, Outcome, State as JobState};
use crate::domain::logs::Level;
use crate::orchestrator::Error;
use crate::orchestrator::route::{Call, Cx};
use crate::store::Conn;
use crate::store::jobs::Job;
use crate::store::jobs::logs::{self, Filter, Line};

/// Lines of each stream in a runtime's tails.
const TAIL_LINES: usize = 50;

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
    let limit = query.limit.unwrap_or(100).clamp(1, 1_000);
    let (filter, stream) = wanted::filter(
        query.stream.as_deref(),
        query.level.as_deref(),
        query.q.as_deref(),
    )?;
    let place = Place::of(&query)?;
    let mut conn = cx.store().read().await?;
    let job = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    let seen = place.look(&mut conn, &job, limit, &filter).await?;
    let totals = logs::totals(&mut conn, job.id).await?;
    let highlight = highlight(&mut conn, &job).await?;
    let waits = job.state.since().is_none() && !job.state.ended();
    let mut items: Vec<_> = seen
        .lines
        .into_iter()
        .map(|line| view::line(line, job.node.as_ref()))
        .collect();
    wanted::mark(&mut items, &filter);
    Ok(out::Page {
        job_id: job.id,
        status: job.state.status(),
        status_reason: view::reason(&job),
        usage_hint: (items.is_empty() && waits)
            .then(|| "The command has not started yet. Its events say what it waits for.".into()),
        items,
        limit,
        stream: stream.into(),
        next_cursor: Some(seen.reached.to_string()),
        has_more: seen.more,
        failure_highlight: highlight,
        last_entry: job.last_log,
        size_bytes: totals.text_bytes(),
        error_lines: totals.counts.errors,
        warning_lines: totals.counts.warnings,
        first_error_entry: seen.first_error,
        expired: totals.expired(),
    })
}

/// Which part of the output.
enum Place {
    After(i64),
    Tail(i64),
    Around(i64),
    Before(i64),
    FirstError,
}

/// What is there.
#[derive(Default)]
struct Seen {
    lines: Vec<Line>,
    /// Where the next page begins.
    reached: i64,
    more: bool,
    first_error: Option<i64>,
}

impl Place {
    fn of(query: &out::Filter) -> Result<Self, Error> {
        let number = |name: &'static str, number: Option<i64>| match number {
            Some(number) if number < 1 => Err(Error::field(name, "Lines are numbered from 1.")),
            number => Ok(number),
        };
        let after = read_cursor(query.cursor.as_deref())?;
        let from = number("from", query.from)?;
        let around = number("around", query.around)?;
        let before = number("before", query.before)?;
        if query.first_error {
            return Ok(Self::FirstError);
        }
        Ok(match (before, around, from, query.tail) {
            (Some(line), ..) => Self::Before(line),
            (_, Some(line), ..) => Self::Around(line),
            (_, _, Some(line), _) => Self::After(line - 1),
            (_, _, _, Some(lines)) => Self::Tail(lines.clamp(1, 500)),
            _ => Self::After(after),
        })
    }

    async fn look(
        self,
        conn: &mut Conn,
        job: &Job,
        limit: i64,
        filter: &Filter,
    ) -> Result<Seen, Error> {
        let limit = usize::try_from(limit).unwrap_or(1_000);
        match self {
            Self::After(after) => onward(conn, job, after, limit, filter).await,
            Self::Tail(lines) => {
                let lines = usize::try_from(lines).unwrap_or(500);
                let lines = logs::tail(conn, job.id, lines, filter).await?;
                // Everything after them has been looked at, though not all was wanted.
                let last = lines.last().map_or(0, |line| line.entry);
                Ok(Seen {
                    lines,
                    reached: last,
                    ..Seen::default()
                })
            }
            Self::Before(line) => {
                let lines = logs::backward(conn, job.id, line, limit, filter).await?;
                let reached = lines.last().map_or(line - 1, |line| line.entry);
                let next = onward(conn, job, reached, 1, filter).await?;
                Ok(Seen {
                    more: !next.lines.is_empty(),
                    lines,
                    reached,
                    first_error: None,
                })
            }
            Self::Around(line) => around(conn, job, line, limit, filter).await,
            Self::FirstError => {
                let errors = Filter {
                    level: Some(Level::Error),
                    ..Filter::default()
                };
                let found = logs::forward(conn, job.id, 0, 1, &errors).await?;
                let Some(error) = found.lines.first() else {
                    return onward(conn, job, 0, limit, filter).await;
                };
                let mut seen = around(conn, job, error.entry, limit, filter).await?;
                seen.first_error = Some(error.entry);
                Ok(seen)
            }
        }
    }
}

async fn onward(
    conn: &mut Conn,
    job: &Job,
    after: i64,
    limit: usize,
    filter: &Filter,
) -> Result<Seen, Error> {
    let found = logs::forward(conn, job.id, after, limit, filter).await?;
    Ok(Seen {
        reached: found.reached,
        lines: found.lines,
        more: found.full,
        first_error: None,
    })
}

async fn around(
    conn: &mut Conn,
    job: &Job,
    line: i64,
    limit: usize,
    filter: &Filter,
) -> Result<Seen, Error> {
    let mut lines = logs::backward(conn, job.id, line, limit / 2, filter).await?;
    let mut seen = onward(conn, job, line - 1, limit - lines.len(), filter).await?;
    lines.append(&mut seen.lines);
    seen.lines = lines;
    Ok(seen)
}

/// What most likely says why a job failed: its last line of level `error`, else
/// the last one that the command printed. `None` if it has not failed.
pub(super) async fn highlight(conn: &mut Conn, job: &Job) -> Result<Option<String>, Error> {
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
    let errors = Filter {
        level: Some(Level::Error),
        ..Filter::default()
    };
    let mut lines = logs::tail(conn, job.id, 1, &errors).await?;
    if lines.is_empty() {
        lines = logs::tail(conn, job.id, 1, &only("stdout")).await?;
    }
    Ok(lines.pop().map(|line| line.message))
}

fn only(stream: &'static str) -> Filter {
    Filter {
        stream,
        ..Filter::default()
    }
}

pub(super) async fn runtime(cx: Cx, call: Call<GetRuntime>) -> Result<wire::Runtime, Error> {
    let mut conn = cx.store().read().await?;
    let job = find(&mut conn, cx.caller.workspace, call.path.0).await?;
    // A command that could not be started has an exit code all the same.
    if job.state.since().is_none() && job.exit_code().is_none() {
        // Clients look for these very words.
        return Err(Error::NotFound("job runtime not available yet".into()));
    }
    // One more tells whether there were more.
    let mut stdout = logs::tail(&mut conn, job.id, TAIL_LINES + 1, &only("stdout")).await?;
    let mut stderr = logs::tail(&mut conn, job.id, TAIL_LINES + 1, &only("stderr")).await?;
    let expired = logs::totals(&mut conn, job.id).await?.expired();
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
    let tail = |lines: &mut Vec<Line>| {
        if expired {
            return available("partial_loss", Some("It was deleted because of its age."));
        }
        let more = lines.len().saturating_sub(TAIL_LINES);
        lines.drain(..more);
        let state = if more > 0 { "truncated" } else { "available" };
        available(state, None)
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
            stdout_tail: tail(&mut stdout),
            stderr_tail: tail(&mut stderr),
        },
        stdout_tail: joined(&stdout),
        stderr_tail: joined(&stderr),
        diagnostics: Vec::new(),
    })
}

/// As it was printed, but for the last line's end.
fn joined(lines: &[Line]) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.message);
        // A long line is in pieces.
        if !line.truncated {
            text.push('\n');
        }
    }
    if text.ends_with('\n') {
        text.pop();
    }
    text
}
