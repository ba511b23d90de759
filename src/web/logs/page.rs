//! `/portal/jobs/{job}/logs`: all that one job prints.
use super::asked::{self, Asked};
use super::feed::{self, Feed};
use super::lines::{self, Day, Look};
use super::zone::Zone;
use super::{dress, path, size};
use crate::api::jobs::Job;
use crate::api::logs::{Filter, Page};
use crate::domain::id::JobId;
use crate::domain::logs::grouped;
use crate::web::hx::{self, Wants};
use crate::web::jobs::{Which, text};
use crate::web::kind::Kind;
use crate::web::live::{self, Mark};
use crate::web::shell::{self, Nav};
use crate::web::viewer::Viewer;
use crate::web::{Error, ui};
use axum::Json;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Query;
use maud::{Markup, html};
use tower_cookies::Cookies;

pub(super) async fn show(
    viewer: Viewer,
    Which(id): Which,
    Query(asked): Query<Asked>,
    kind: Kind,
    cookies: Cookies,
) -> Result<Response, Error> {
    let asked = asked.cleaned();
    if !asked.goto.is_empty() {
        return Ok(hx::redirect(Wants::Page, &to_line(id, &asked, &asked.goto)));
    }
    let job = viewer.api.job(id).await?;
    let page = viewer.api.logs(id, &asked.filter()).await?;
    if let Some(error) = page.first_error_entry {
        // Its own address can be passed on.
        let to = to_line(id, &asked, &error.to_string());
        return Ok(hx::redirect(Wants::Page, &to));
    }
    match kind {
        Kind::Page => {}
        Kind::Json => return Ok(Json(page).into_response()),
        Kind::Text => return Ok(lines::text(&page.items).into_response()),
    }
    let zone = Zone::read(&asked.time, &cookies);
    let title = format!("Output of {}", text::visible(&job.name));
    let shown = Shown {
        job: &job,
        page: &page,
        asked: &asked,
        look: Look::new(&asked, zone, ""),
    };
    Ok(shell::page(&viewer, &title, Nav::Logs, shown.draw()).into_response())
}

/// The address of a line.
fn to_line(id: JobId, asked: &Asked, number: &str) -> String {
    let line = Asked {
        line: number.to_owned(),
        ..asked.look()
    };
    format!("{}{}#L{number}", path(id), line.query())
}

/// What the open page is told from here on.
pub(super) async fn live(
    viewer: Viewer,
    Which(id): Which,
    Query(asked): Query<Asked>,
    cookies: Cookies,
    seen: Mark,
) -> Result<Response, Error> {
    let asked = asked.cleaned().look();
    let zone = Zone::read(&asked.time, &cookies);
    let look = Look::new(&asked, zone, "");
    // Listen first and read second, so that nothing falls in between.
    let changes = viewer.api.follow_job(id, seen.event, seen.log).await?;
    let day = Day::default();
    if seen.log > 0 {
        let last = Filter {
            from: Some(seen.log),
            limit: Some(1),
            ..Filter::default()
        };
        let last = viewer.api.logs(id, &last).await?;
        day.set(last.items.first().map(|item| zone.date(item.created_at)));
    }
    let feed = Feed::new(viewer.api.job(id).await?, look, seen, day);
    Ok(live::answer(feed::messages(feed, changes)))
}

struct Shown<'a> {
    job: &'a Job,
    page: &'a Page,
    asked: &'a Asked,
    look: Look,
}

impl Shown<'_> {
    fn draw(&self) -> Markup {
        let active = !self.job.status.ended();
        let follows = active && self.asked.tails();
        html! {
            (dress())
            @if follows { noscript { meta http-equiv="refresh" content="5"; } }
            (head(self.job))
            p.vh #say role="status" aria-live="polite" {}
            (self.filter())
            (self.term(follows))
            (self.facts(follows))
            @if follows { (self.connection()) }
        }
    }

    fn connection(&self) -> Markup {
        let seen = Mark {
            event: self.job.last_event,
            log: self.page.items.last().map_or(0, |item| item.entry_id),
        };
        let look = self.asked.look().query().replacen('?', "&", 1);
        let path = format!("{}/live", path(self.job.id));
        live::connection_with(feed::ID, &path, seen, &look)
    }

    fn filter(&self) -> Markup {
        let asked = self.asked;
        html! {
            form.filters.seek role="search" method="get" action=(path(self.job.id)) {
                (asked.carried())
                div.q {
                    label.vh for="q" { "Search this output" }
                    (ui::icon("search"))
                    input #q name="q" type="search" value=(asked.q) placeholder="Search this output" autocomplete="off" maxlength="200";
                }
                (asked::choices(&asked.level, &asked.stream))
                button.btn { "Search" }
            }
        }
    }

    fn term(&self, follows: bool) -> Markup {
        let items = &self.page.items;
        html! {
            figure.term.lines.broken[!self.asked.wrap.is_empty()] {
                header {
                    h2 { (self.what()) }
                    @if follows { span.live #log-live { noscript { "Refreshes by itself" } } }
                    (self.links())
                }
                @if let Some(question) = self.look.zone.question(&path(self.job.id), &self.asked.carried_but_time()) { (question) }
                div.log.down[!self.asked.tails()] role="log" aria-live="off" aria-label="Output" tabindex="0" {
                    pre #log {
                        @if items.is_empty() { (self.nothing()) }
                        (self.look.all(items))
                    }
                }
                @if !items.is_empty() { (self.goto()) }
                (self.pages(follows))
            }
        }
    }

    /// The address of a line, for those who do not point at it.
    fn goto(&self) -> Markup {
        html! {
            form.row.gap-s method="get" action=(path(self.job.id)) {
                (self.asked.carried())
                label for="goto" { "Line" }
                input #goto name="goto" type="number" min="1" required;
                button.btn { "Go" }
            }
        }
    }

    /// Which lines these are.
    fn what(&self) -> Markup {
        let items = &self.page.items;
        let (Some(first), Some(last)) = (items.first(), items.last()) else {
            return html! { "No lines" };
        };
        let number = |number: i64| grouped(number.unsigned_abs());
        html! {
            @if self.asked.filtered() && self.asked.line.is_empty() {
                @if items.len() == 1 { "One line matches" } @else { (items.len()) " lines that match" }
            } @else if self.asked.tails() {
                "Newest lines"
            } @else {
                "Lines " (number(first.entry_id)) " to " (number(last.entry_id))
            }
        }
    }

    fn links(&self) -> Markup {
        let here = path(self.job.id);
        let to = |asked: &Asked| format!("{here}{}", asked.query());
        let wrap = if self.asked.wrap.is_empty() { "1" } else { "" };
        let wrapped = Asked {
            wrap: wrap.into(),
            ..self.asked.clone()
        };
        let time = if self.look.zone.is_utc() { "local" } else { "" };
        let timed = Asked {
            time: time.into(),
            ..self.asked.clone()
        };
        let error = Asked {
            at: "error".into(),
            ..self.asked.look()
        };
        html! {
            @if self.page.error_lines > 0 { a.btn href=(to(&error)) { "First error" } }
            a.btn href=(to(&wrapped)) { @if wrap.is_empty() { "Do not wrap" } @else { "Wrap lines" } }
            a.btn href=(to(&timed)) { @if time.is_empty() { "Times in UTC" } @else { "Local times" } }
            a.btn href={ (here) "/download" } download { (ui::icon("down")) "Download" }
        }
    }

    /// Why there are no lines.
    fn nothing(&self) -> Markup {
        let spawned = self.job.startup_diagnostics.command_spawned;
        let filtered = self.asked.filtered() && self.asked.line.is_empty();
        html! {
            b #log-silence {
                @if self.page.expired { "This output was deleted because of its age." }
                @else if filtered { "No line matches. Search for less, or look at all lines." }
                @else if self.page.last_entry > 0 { "There is nothing here; the last line is number " (self.page.last_entry) "." }
                @else { (silence(self.job.status.ended(), spawned)) }
            }
        }
    }

    fn pages(&self, follows: bool) -> Markup {
        let here = path(self.job.id);
        let items = &self.page.items;
        let asked = self.asked;
        let place = if asked.line.is_empty() {
            asked.place()
        } else {
            asked.look()
        };
        let first = items.first().map_or(1, |item| {
            item.entry_id - item.dropped_lines.unwrap_or(1) + 1
        });
        let at = |asked: Asked| format!("{here}{}", asked.query());
        let from = |line: i64| {
            at(Asked {
                from: line.to_string(),
                ..place.clone()
            })
        };
        let before = |line: i64| {
            at(Asked {
                before: line.to_string(),
                ..place.clone()
            })
        };
        let beyond = items.is_empty() && !asked.tails();
        // Of a filter it is not known whether there are earlier ones, only where one began.
        let began = asked.filtered()
            && asked.from.is_empty()
            && asked.before.is_empty()
            && asked.line.is_empty();
        let earlier = first > 1 && !items.is_empty() && !began;
        let next = self
            .page
            .next_cursor
            .as_ref()
            .and_then(|cursor| cursor.parse::<i64>().ok());
        let moves = follows && !items.is_empty();
        html! {
            @if earlier || self.page.has_more || beyond || moves || asked.filtered() {
                nav.pager aria-label="Lines" {
                    @if earlier {
                        a.btn rel="first" href=(from(1)) { "First" }
                        a.btn rel="prev" href=(before(first)) { "Earlier" }
                    }
                    // Each time that the page reads itself again, it is back at the end.
                    @if moves { noscript { a.btn href=(from(first)) { "Hold still" } } }
                    span.push {}
                    @if let Some(next) = next.filter(|_| self.page.has_more) { a.btn rel="next" href=(from(next + 1)) { "Later" } }
                    @if !asked.tails() { a.btn rel="last" href=(at(asked.look())) { "Newest" } }
                }
            }
        }
    }

    fn facts(&self, follows: bool) -> Markup {
        let page = self.page;
        let count = |number: i64| grouped(number.unsigned_abs());
        html! {
            p.mute.mt {
                span #log-count { (counted(page.last_entry)) } " printed"
                // These would stand still while lines come in.
                @if !follows {
                    ", " (size(page.size_bytes)) " kept"
                    @if page.error_lines > 0 { ", " (count(page.error_lines)) " of level error" }
                    @if page.warning_lines > 0 { ", " (count(page.warning_lines)) @if page.warning_lines == 1 { " warning" } @else { " warnings" } }
                }
                ". Times are " (self.look.zone.name()) "."
            }
        }
    }
}

/// `1 line`, `1,200 lines`.
pub(super) fn counted(lines: i64) -> String {
    let number = grouped(lines.unsigned_abs());
    format!("{number} {}", if lines == 1 { "line" } else { "lines" })
}

/// What is said where a job has printed nothing.
pub(super) fn silence(ended: bool, spawned: bool) -> &'static str {
    match (ended, spawned) {
        (false, false) => "The command has not been started yet.",
        (false, true) => "The command is running and has printed nothing so far.",
        (true, false) => "The command was never started, so there is no output.",
        (true, true) => "The command ended without printing anything.",
    }
}

pub(super) fn head(job: &Job) -> Markup {
    html! {
        div.head #log-head {
            div {
                p.crumbs { a href="/portal/jobs" { "Jobs" } " / " a href=(crate::web::jobs::path(job.id)) hx-ignore { (text::visible(&job.name)) } }
                div.row {
                    h1 { "Output" }
                    (ui::job_badge(job))
                }
            }
            a.btn href="/portal/logs" { (ui::icon("logs")) "All logs" }
        }
    }
}
