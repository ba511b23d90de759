//! What all jobs of a workspace printed, newest failures first.
use super::{view, wanted};
use crate::api::ListAllLogs;
use crate::api::logs::{All, OfJob};
use crate::clock::micros;
use crate::domain::id::{AppSessionId, JobId};
use crate::orchestrator::Error;
use crate::orchestrator::route::{Call, Cx};
use crate::store::jobs::Job;
use crate::store::jobs::logs::{self, Filter, Totals};
use crate::store::jobs::queries::{self, Printed, Rank};
use crate::store::{Conn, apps};

/// Lines shown of each job.
const LINES: usize = 5;
/// Jobs whose output is looked into in one request, and the bytes of text after
/// which no other is begun.
const JOBS: usize = 200;
const BYTES: i64 = 32 * 1024 * 1024;
const LONGEST: usize = 200;

pub(super) async fn list(cx: Cx, call: Call<ListAllLogs>) -> Result<All, Error> {
    let query = call.query;
    let limit = query.limit.unwrap_or(10).clamp(1, 50);
    let (filter, _) = wanted::filter(
        query.stream.as_deref(),
        query.level.as_deref(),
        query.q.as_deref(),
    )?;
    let job = query.job.unwrap_or_default().trim().to_owned();
    if job.chars().any(char::is_control) || job.chars().count() > LONGEST {
        return Err(Error::field(
            "job",
            "Use part of a name, an image or an id.",
        ));
    }
    let mut place = Place::read(query.cursor.as_deref())?;
    let mut budget = Budget {
        jobs: JOBS,
        bytes: BYTES,
    };
    let most = usize::try_from(limit).unwrap_or(50);
    let mut conn = cx.store().read().await?;
    let mut shown = Vec::new();
    loop {
        let wanted = Printed {
            rank: place.rank,
            before: place.before.clone(),
            job: job.clone(),
            limit: limit + 1,
        };
        let jobs = queries::printed(&mut conn, cx.caller.workspace, &wanted, &filter).await?;
        let looked = i64::try_from(jobs.len()).unwrap_or(0);
        for (job, totals) in jobs {
            if shown.len() == most || budget.spent() {
                return page(&mut conn, shown, limit, Some(&place)).await;
            }
            budget.charge(&totals, &filter);
            place.before = Some((place.rank.time(&job), job.id.to_string()));
            let app = job.spec.app;
            let of = one(&mut conn, job, &totals, &filter).await?;
            shown.extend(of.map(|of| (of, app)));
        }
        if looked <= limit {
            match place.rank {
                Rank::Failed => {
                    place = Place {
                        rank: Rank::Other,
                        before: None,
                    }
                }
                Rank::Other => return page(&mut conn, shown, limit, None).await,
            }
        }
    }
}

/// With how those ended that are apps.
async fn page(
    conn: &mut Conn,
    shown: Vec<(OfJob, Option<AppSessionId>)>,
    limit: i64,
    next: Option<&Place>,
) -> Result<All, Error> {
    let ended = shown.iter().filter(|(of, _)| of.status.ended());
    let apps: Vec<AppSessionId> = ended.filter_map(|(_, app)| *app).collect();
    let ends = apps::queries::ends(conn, &apps).await?;
    let logs = shown.into_iter().map(|(mut of, app)| {
        let app = app.filter(|_| of.status.ended());
        of.app_session_end = app.and_then(|app| ends.get(&app).copied());
        of
    });
    Ok(All {
        logs: logs.collect(),
        limit,
        next_cursor: next.map(Place::to_string),
        has_more: next.is_some(),
    })
}

/// What one request may read.
struct Budget {
    jobs: usize,
    bytes: i64,
}

impl Budget {
    fn charge(&mut self, totals: &Totals, filter: &Filter) {
        self.jobs = self.jobs.saturating_sub(1);
        if filter.text.is_some() {
            self.bytes -= totals.text_bytes();
        }
    }

    fn spent(&self) -> bool {
        self.jobs == 0 || self.bytes <= 0
    }
}

async fn one(
    conn: &mut Conn,
    job: Job,
    totals: &Totals,
    filter: &Filter,
) -> Result<Option<OfJob>, Error> {
    let mut lines = logs::tail(conn, job.id, LINES + 1, filter).await?;
    if lines.is_empty() {
        return Ok(None);
    }
    let has_earlier = lines.len() > LINES;
    if has_earlier {
        lines.remove(0);
    }
    let mut items: Vec<_> = lines
        .into_iter()
        .map(|line| view::line(line, job.node.as_ref()))
        .collect();
    wanted::mark(&mut items, filter);
    Ok(Some(OfJob {
        job_id: job.id,
        status: job.state.status(),
        status_reason: view::reason(&job),
        app_session_end: None,
        created_at: job.created_at,
        completed_at: job.completed_at,
        items,
        has_earlier,
        last_entry: job.last_log,
        size_bytes: totals.text_bytes(),
        error_lines: totals.counts.errors,
        warning_lines: totals.counts.warnings,
        name: job.spec.name,
    }))
}

/// Where the next page begins: opaque to clients.
struct Place {
    rank: Rank,
    before: Option<(i64, String)>,
}

impl Place {
    fn read(cursor: Option<&str>) -> Result<Self, Error> {
        let cursor = cursor.unwrap_or_default().trim();
        if cursor.is_empty() {
            return Ok(Self {
                rank: Rank::Failed,
                before: None,
            });
        }
        let parse = || {
            let (rank, rest) = cursor.split_once('-')?;
            let rank = match rank {
                "f" => Rank::Failed,
                "o" => Rank::Other,
                _ => return None,
            };
            if rest.is_empty() {
                return Some(Self { rank, before: None });
            }
            let (at, id) = rest.split_once('-')?;
            let at = i64::from_str_radix(at, 16).ok().filter(|at| *at >= 0)?;
            id.parse::<JobId>().ok()?;
            let before = Some((at, id.to_owned()));
            Some(Self { rank, before })
        };
        parse().ok_or_else(|| {
            let why = "This is no cursor of this list. Begin again without one.";
            Error::field("cursor", why)
        })
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rank = match self.rank {
            Rank::Failed => "f",
            Rank::Other => "o",
        };
        match &self.before {
            Some((at, id)) => write!(f, "{rank}-{at:x}-{id}"),
            None => write!(f, "{rank}-"),
        }
    }
}

impl Rank {
    fn time(self, job: &Job) -> i64 {
        match self {
            Self::Failed => job.completed_at.map_or(0, micros),
            Self::Other => micros(job.created_at),
        }
    }
}
