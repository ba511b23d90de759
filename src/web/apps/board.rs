//! `/portal/operator/launches`: every live launch of the installation, for its
//! operators; those that take too long first.
use super::{rows, words};
use crate::api::apps::{Board, Launching};
use crate::client::Client;
use crate::clock::Clock;
use crate::domain::estimate::said;
use crate::domain::id::AppSessionId;
use crate::web::live::{self, Mark};
use crate::web::shell::{self, Nav};
use crate::web::ui;
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt as _};
use http::StatusCode;
use maud::{Markup, html};
use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, interval_at};

pub(super) const PATH: &str = "/portal/operator/launches";
const TITLE: &str = "Launches";
/// The id of the element that holds the connection.
const FEED: &str = "feed";
/// How often the times of a board that stays as it is are told.
const TICK: Duration = Duration::from_secs(5);

pub(super) async fn show(viewer: Viewer) -> Result<Response, Error> {
    let board = match viewer.api.board().await {
        Ok(board) => board,
        Err(error) if error.status() == Some(StatusCode::FORBIDDEN) => {
            return Ok(refused(&viewer));
        }
        Err(error) => return Err(error.into()),
    };
    let main = html! {
        noscript { meta http-equiv="refresh" content="15"; }
        div.head {
            div {
                div.row { h1 { (TITLE) } span.live #live { noscript { "Refreshes by itself" } } }
                p { "Every app of all workspaces that starts or stops. Those that take longer than usual first." }
            }
        }
        section.card.flush {
            h2.vh #board-h { "Live launches" }
            (table(&board, viewer.now))
            (live::connection(FEED, &format!("{PATH}/live"), Mark::default()))
        }
    };
    Ok(shell::page(&viewer, TITLE, Nav::Board, main).into_response())
}

fn refused(viewer: &Viewer) -> Response {
    let main = html! {
        div.head { div { h1 { "For operators only" } p { "This page shows the launches of all workspaces, so only those who run this installation may see it." } } }
        p { a.btn href=(super::CATALOGUE) { "To your own templates" } }
    };
    let page = shell::page(viewer, "For operators only", Nav::None, main);
    (StatusCode::FORBIDDEN, page).into_response()
}

pub(super) async fn live(viewer: Viewer, State(portal): State<Portal>) -> Result<Response, Error> {
    let boards = viewer.api.follow_board().await?;
    let told = messages(boards, portal.config.clock, viewer.api, TICK);
    Ok(live::answer(told))
}

fn messages(
    boards: impl Stream<Item = Result<Board, crate::client::Error>> + Send + 'static,
    clock: Clock,
    api: Client,
    tick: Duration,
) -> impl Stream<Item = (Mark, Markup)> + Send + 'static {
    async_stream::stream! {
        let mut boards = Box::pin(boards);
        let mut ticks = interval_at(Instant::now() + tick, tick);
        let mut latest = Board { launches: Vec::new() };
        let mut shown: Option<Vec<Shown>> = None;
        loop {
            let board = tokio::select! {
                next = boards.next() => match next {
                    Some(Ok(board)) => Some(board),
                    _ => break,
                },
                _ = ticks.tick() => None,
            };
            let now = clock.now();
            let Some(board) = board else {
                let times = html! { @for one in &latest.launches { (went_on(one, now)) } };
                if !times.0.is_empty() {
                    yield (Mark::default(), times);
                }
                continue;
            };
            let before = shown.take();
            let after: Vec<Shown> = board.launches.iter().map(Shown::of).collect();
            let markup = match &before {
                // A table is there, and stays.
                Some(before) if !before.is_empty() && !after.is_empty() => html! {
                    @for step in steps(before, &after) { (step.drawn(&board.launches, now)) }
                },
                Some(before) if before.is_empty() && after.is_empty() => html! {},
                _ => live::redraw("#board", table(&board, now)),
            };
            shown = Some(after);
            latest = board;
            if !markup.0.is_empty() {
                yield (Mark::default(), markup);
            }
        }
        if live::is_dismissed(&api).await {
            yield (Mark::default(), live::dismissal(FEED, PATH));
        }
    }
}

/// A row as it was sent: which it is, and what it looks like in short, apart from the time
/// that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Shown {
    id: AppSessionId,
    looks: u64,
}

impl Shown {
    fn of(one: &Launching) -> Self {
        let mut hasher = DefaultHasher::new();
        row(one, one.phase_since).0.hash(&mut hasher);
        Self {
            id: one.id,
            looks: hasher.finish(),
        }
    }
}

/// One thing to do to the rows of a page, by positions in the new order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Remove(AppSessionId),
    /// Before this row, or at the end.
    Insert(usize, Option<AppSessionId>),
    Redraw(usize),
}

/// What makes the rows of `after` out of those of `before`, one row at a time.
fn steps(before: &[Shown], after: &[Shown]) -> Vec<Step> {
    let wanted: HashSet<AppSessionId> = after.iter().map(|row| row.id).collect();
    let gone = before.iter().filter(|row| !wanted.contains(&row.id));
    let mut steps: Vec<Step> = gone.map(|row| Step::Remove(row.id)).collect();
    let stays = before.iter().filter(|row| wanted.contains(&row.id));
    let mut rows: VecDeque<Shown> = stays.copied().collect();
    // What of the old order is not there yet comes later in the new one.
    for (position, row) in after.iter().enumerate() {
        if rows.get(1).is_some_and(|next| next.id == row.id) {
            // The one in between has moved down: it comes back where it belongs.
            steps.extend(rows.pop_front().map(|moved| Step::Remove(moved.id)));
        }
        if rows.front().is_some_and(|first| first.id == row.id) {
            let was = rows.pop_front();
            if was.is_some_and(|was| was.looks != row.looks) {
                steps.push(Step::Redraw(position));
            }
            continue;
        }
        if let Some(moved) = rows.iter().position(|old| old.id == row.id) {
            rows.remove(moved);
            steps.push(Step::Remove(row.id));
        }
        steps.push(Step::Insert(position, rows.front().map(|next| next.id)));
    }
    steps
}

impl Step {
    fn drawn(self, launches: &[Launching], now: OffsetDateTime) -> Markup {
        let target = |id| format!("#{}", row_id(id));
        match self {
            Self::Remove(id) => live::partial(&target(id), "delete", html! {}),
            Self::Insert(position, Some(next)) => {
                live::partial(&target(next), "beforebegin", row(&launches[position], now))
            }
            Self::Insert(position, None) => live::append("#rows", row(&launches[position], now)),
            Self::Redraw(position) => {
                let one = &launches[position];
                live::redraw(&target(one.id), row(one, now))
            }
        }
    }
}

fn table(board: &Board, now: OffsetDateTime) -> Markup {
    html! {
        div #board {
            @if board.launches.is_empty() {
                (ui::empty("Nothing starts or stops", "Apps of all workspaces are listed here while they do.", None))
            } @else {
                div.scroll role="region" aria-labelledby="board-h" tabindex="0" {
                    table.tbl.fold {
                        thead {
                            tr {
                                th scope="col" { "App" }
                                th scope="col" { "Phase" }
                                th.num scope="col" { "In it for" }
                                th scope="col" { "Usually" }
                                th scope="col" { "Workspace" }
                                th scope="col" { "Machine" }
                                th scope="col" { "Now" }
                            }
                        }
                        tbody #rows { @for one in &board.launches { (row(one, now)) } }
                    }
                }
            }
        }
    }
}

/// Ids end in chance: so much of it tells all rows of one page apart.
fn row_id(id: AppSessionId) -> String {
    let id = id.to_string();
    format!("b{}", &id[id.len().saturating_sub(12)..])
}

/// How long it has been in its phase.
fn time(one: &Launching, now: OffsetDateTime) -> String {
    said((now - one.phase_since).whole_seconds().max(0))
}

/// The same on a page that has the row.
fn went_on(one: &Launching, now: OffsetDateTime) -> Markup {
    let cell = format!("#{} .num", row_id(one.id));
    live::partial(&cell, "textContent", html! { (time(one, now)) })
}

/// At most [`rows::LARGEST`] with what says where it goes.
fn row(one: &Launching, now: OffsetDateTime) -> Markup {
    html! {
        tr #(row_id(one.id)) hx-ignore {
            th scope="row" { bdi { (words::fit(&one.template_name, 36)) } small { (rows::short(&one.id.to_string())) } }
            td { @if one.slow { (words::slow(one.status)) } @else { (words::badge(one.status)) } }
            td.num { (time(one, now)) }
            td { @match one.usual { Some(usual) => (words::span(usual)), None => {} } }
            td { (words::fit(&one.workspace_name, 36)) }
            td { @match &one.node { Some(node) => (words::fit(node, 30)), None => {} } }
            td { (words::fit(&one.status_message, 64)) }
        }
    }
}

#[cfg(test)]
mod tests;
