//! The dashboard: what runs, what it costs, what waits for the viewer.
use super::apps::{card, catalogue};
use super::hx::Wants;
use super::poll;
use super::shell::{self, Nav};
use super::ui::job_row::{Row, job_rows, job_table};
use super::ui::{self, Tile, Usd, chart};
use super::viewer::Viewer;
use super::{Error, Portal};
use crate::api::apps::{Filter, Session};
use crate::api::drafts::Draft;
use crate::api::overview::{Day, Overview};
use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::HeaderMap;
use maud::{Markup, html};
use time::OffsetDateTime;
use url::{Position, Url};

const PATH: &str = "/portal";

pub(super) fn routes() -> Router<Portal> {
    Router::new().route(PATH, get(index))
}

/// The page; or, for its own poll, what has changed since.
async fn index(mut viewer: Viewer, wants: Wants, headers: HeaderMap) -> Result<Response, Error> {
    let active = Filter {
        status: Some("active".into()),
        limit: Some(card::SHOWN),
        ..Filter::default()
    };
    let (overview, apps) = tokio::join!(viewer.api.overview(), viewer.api.apps(&active));
    let overview = overview?;
    // Without them, the rest is still worth seeing.
    let apps = catalogue::told(apps)?.map(|list| list.app_sessions);
    viewer.session.balance_usd = overview.balance.available_usd;
    viewer.held = Some(overview.balance.held_usd);
    let parts = parts(&viewer, &overview, &apps);
    let now = parts.version();
    let active = overview.running + overview.queued > 0;
    let pulse = |shown: &poll::Version| pulse(shown.trigger(&now, active, "5s"), shown);
    if wants == Wants::Fragment {
        let known = poll::known(&headers).unwrap_or_default();
        return Ok(poll::answer(known, &parts, pulse));
    }
    let main = html! {
        (region(&overview, &apps, &parts.rows, viewer.now))
        (pulse(&now))
    };
    Ok(shell::page(&viewer, "Dashboard", Nav::Dashboard, main).into_response())
}

/// What may look different the next time.
fn parts(viewer: &Viewer, overview: &Overview, apps: &Result<Vec<Session>, String>) -> poll::Parts {
    let [running, queued, spent, balance] = tiles(overview).map(|tile| tile.draw());
    let [purse, wallet] = shell::wallets(viewer.session.balance_usd, viewer.held);
    poll::Parts {
        rows: job_rows(&overview.recent, viewer.now),
        fixed: vec![
            ("#headline", headline(overview)),
            ("#running", running),
            ("#queued", queued),
            ("#spent", spent),
            ("#balance", balance),
            ("#purse", purse),
            ("#wallet", wallet),
            ("#capacity", capacity(overview)),
            ("#apps", card::card(apps)),
            ("#drafts", drafts(&overview.drafts, viewer.now)),
            ("#spend", spend(&overview.spend)),
        ],
    }
}

/// Asks for what has changed. A poll ends only with its element.
fn pulse(trigger: Option<String>, shown: &poll::Version) -> Markup {
    html! {
        @if let Some(trigger) = trigger {
            div #pulse data-quiet hx-get=(PATH) hx-trigger=(trigger) hx-swap="outerHTML"
                hx-headers=(poll::shows(shown)) {}
        } @else {
            div #pulse {}
        }
    }
}

fn region(
    overview: &Overview,
    apps: &Result<Vec<Session>, String>,
    rows: &[Row],
    now: OffsetDateTime,
) -> Markup {
    let new = overview.recent.is_empty() && overview.drafts.is_empty();
    html! {
        div.head {
            div { h1 { "Dashboard" } (headline(overview)) }
            a.btn href="/portal/templates" { "Launch template" }
            a.btn.pri href="/portal/submit" { (ui::icon("plus")) "Submit job" }
        }
        div.tiles { @for tile in tiles(overview) { (tile.draw()) } }
        @if new {
            div.cols {
                section.card {
                    (ui::empty(
                        "Run your first job",
                        "Say what to run. You see what it will cost and when it would start before anything does.",
                        Some(("/portal/submit", "Submit a job")),
                    ))
                }
                (capacity(overview))
            }
        } @else {
            div.stack {
                (recent(rows))
                div.cols {
                    (spend(&overview.spend))
                    div.stack {
                        (card::card(apps))
                        (drafts(&overview.drafts, now))
                        (capacity(overview))
                    }
                }
            }
        }
    }
}

fn headline(overview: &Overview) -> Markup {
    html! { p #headline { (doing(overview)) } }
}

fn doing(overview: &Overview) -> String {
    let jobs = |count: i64, one: &str, many: &str| match count {
        1 => format!("One job {one}"),
        count => format!("{count} jobs {many}"),
    };
    match (overview.running, overview.queued) {
        (0, 0) => "Nothing is running.".to_owned(),
        (0, queued) => format!("{}.", jobs(queued, "waits to start", "wait to start")),
        (running, 0) => format!("{}.", jobs(running, "is running", "are running")),
        (running, queued) => format!(
            "{}, {queued} more {} to start.",
            jobs(running, "is running", "are running"),
            if queued == 1 { "waits" } else { "wait" },
        ),
    }
}

fn tiles(overview: &Overview) -> [Tile<'static>; 4] {
    let week = &overview.spend[overview.spend.len().saturating_sub(7)..];
    let running = Tile {
        id: "running",
        label: "Running",
        figure: html! { (overview.running) },
        picture: None,
        foot: html! {
            @if overview.burn_rate_usd > Usd::ZERO { (ui::money(overview.burn_rate_usd)) " per hour now" }
            @else { "Costs nothing now" }
        },
        href: Some("/portal/jobs?status=running"),
    };
    let queued = Tile {
        id: "queued",
        label: "Queued",
        figure: html! { (overview.queued) },
        picture: None,
        foot: html! {
            @if overview.queued == 0 { "Nothing waits" }
            @else if overview.slots_used < overview.slots { "About to start" }
            @else { "Waiting for a free slot" }
        },
        href: Some("/portal/jobs?status=queued"),
    };
    let spent = Tile {
        id: "spent",
        label: "Spend, 7 days",
        figure: ui::money(total(week)),
        picture: (total(week) > Usd::ZERO)
            .then(|| chart::spark(week, "Spend per day, last seven days")),
        foot: html! { (overview.completed_7_days) " completed, " (overview.failed_7_days) " failed" },
        href: None,
    };
    let wallet = Tile {
        id: "balance",
        label: "Balance",
        figure: ui::balance(overview.balance.available_usd),
        picture: None,
        foot: purse(overview),
        href: None,
    };
    [running, queued, spent, wallet]
}

/// What is set aside, and how long the rest lasts at the present rate.
fn purse(overview: &Overview) -> Markup {
    let balance = &overview.balance;
    let lasts = balance
        .available_usd
        .seconds_at(overview.burn_rate_usd)
        .map(ui::runway);
    html! {
        @if balance.held_usd > Usd::ZERO { (ui::balance(balance.held_usd)) } @else { "Nothing" }
        " set aside"
        @if let Some(lasts) = lasts { ", the rest lasts " (lasts) }
    }
}

fn recent(rows: &[Row]) -> Markup {
    html! {
        section.card.flush {
            header { h2 #recent { "Recent jobs" } a href="/portal/jobs" { "All jobs" } }
            @if rows.is_empty() {
                (ui::empty("No jobs yet", "Finish a draft, or start with a new job.", None))
            } @else {
                (job_table(rows, "recent"))
            }
        }
    }
}

fn spend(days: &[Day]) -> Markup {
    html! {
        section.card #spend {
            header { h2 { "Spend, last 14 days" } span.mute.small { (ui::money(total(days))) " in all" } }
            (chart::bars(days))
        }
    }
}

fn drafts(drafts: &[Draft], now: OffsetDateTime) -> Markup {
    html! {
        section.card #drafts hidden[drafts.is_empty()] {
            header { h2 { "Drafts" } }
            ul.stack.gap-s {
                @for draft in drafts {
                    li {
                        a.strong href=(local(&draft.review_url)) { (draft_name(draft)) }
                        div.small.mute { "Changed " (ui::time(draft.updated_at, now)) }
                    }
                }
            }
        }
    }
}

fn draft_name(draft: &Draft) -> &str {
    let name = draft.content.get("name").and_then(|name| name.as_str());
    name.filter(|name| !name.trim().is_empty())
        .unwrap_or("Job without a name")
}

/// The page on the host that the viewer is on, where the session is.
fn local(url: &str) -> String {
    Url::parse(url).map_or_else(
        |_| url.to_owned(),
        |url| url[Position::BeforePath..].to_owned(),
    )
}

fn capacity(overview: &Overview) -> Markup {
    let free = overview.slots.saturating_sub(overview.slots_used);
    html! {
        section.card #capacity {
            header { h2 { "Capacity" } a href="/portal/nodes" { "Nodes" } }
            div.row { span { "Slots for jobs" } span.push { (free) " of " (overview.slots) " free" } }
            div.half { (chart::cells(free, overview.slots)) }
        }
    }
}

fn total(days: &[Day]) -> Usd {
    days.iter()
        .fold(Usd::ZERO, |sum, day| sum.saturating_add(day.usd))
}
