//! `/portal/operator/launches`: every live launch of the installation, for its
//! operators; those that take too long first.
use super::{rows, words};
use crate::api::apps::{Board, Launching};
use crate::clock::Clock;
use crate::domain::estimate::said;
use crate::web::jobs::text;
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
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use time::OffsetDateTime;

pub(super) const PATH: &str = "/portal/operator/launches";
const TITLE: &str = "Launches";

pub(super) async fn show(viewer: Viewer) -> Result<Response, Error> {
    let board = match viewer.api.board().await {
        Ok(board) => board,
        Err(error) if error.status() == Some(StatusCode::FORBIDDEN) => {
            return Ok(refused(&viewer));
        }
        Err(error) => return Err(error.into()),
    };
    let main = html! {
        div.head {
            div {
                div.row { h1 { (TITLE) } span.live #live { noscript { "Reload for news" } } }
                p { "Every app that has not ended, of all workspaces. Those that take longer than usual first." }
            }
        }
        section.card.flush aria-labelledby="board-h" {
            h2.vh #board-h { "Live launches" }
            (table(&board, viewer.now))
            (live::connection("feed", &format!("{PATH}/live"), Mark::default()))
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
    Ok(live::answer(messages(boards, portal.config.clock)))
}

fn messages(
    boards: impl Stream<Item = Result<Board, crate::client::Error>> + Send + 'static,
    clock: Clock,
) -> impl Stream<Item = (Mark, Markup)> + Send + 'static {
    async_stream::stream! {
        let mut boards = Box::pin(boards);
        let mut drawn: Option<Vec<(u64, u64)>> = None;
        while let Some(Ok(board)) = boards.next().await {
            let now = clock.now();
            let looks: Vec<(u64, u64)> = board.launches.iter().map(|one| {
                (hash(&one.id.to_string()), hash(&row(one, now).0))
            }).collect();
            let same = drawn.as_ref().is_some_and(|drawn| {
                drawn.iter().map(|one| one.0).eq(looks.iter().map(|one| one.0))
            });
            let markup = match &drawn {
                Some(drawn) if same => html! {
                    @for (one, _) in board.launches.iter().zip(drawn.iter().zip(&looks)).filter(|(_, (was, is))| was != is) {
                        (live::redraw(&format!("#{}", one.id), row(one, now)))
                    }
                },
                _ => live::redraw("#board", table(&board, now)),
            };
            drawn = Some(looks);
            if !markup.0.is_empty() {
                yield (Mark::default(), markup);
            }
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

fn table(board: &Board, now: OffsetDateTime) -> Markup {
    html! {
        div #board {
            @if board.launches.is_empty() {
                (ui::empty("Nothing is running", "Apps of all workspaces are listed here while they launch and run.", None))
            } @else {
                div.scroll role="region" aria-labelledby="board-h" tabindex="0" {
                    table.tbl {
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
                        tbody { @for one in &board.launches { (row(one, now)) } }
                    }
                }
            }
        }
    }
}

fn row(one: &Launching, now: OffsetDateTime) -> Markup {
    let time = (now - one.phase_since).whole_seconds().max(0);
    html! {
        tr #(one.id) {
            th scope="row" { bdi hx-ignore { (text::visible(&one.template_name)) } small { (rows::short(&one.id.to_string())) } }
            td {
                (words::badge(one.status))
                @if one.slow { " " (ui::badge(ui::Kind::Warn, "clock", "Slow")) }
            }
            td.num { (said(time)) }
            td { @match one.usual { Some(usual) => { (words::span(usual)) }, None => "—" } }
            td hx-ignore { (words::fit(&one.workspace_name, 80)) }
            td hx-ignore { @match &one.node { Some(node) => (words::fit(node, 60)), None => "—" } }
            td hx-ignore { (words::fit(&one.status_message, 160)) }
        }
    }
}
