//! What an open session page is told, message by message.
//!
//! Thousands of these wait at the same time, so one remembers no markup: only
//! what each row looked like, as a hash.
use super::{output, rows, words};
use crate::api::apps::{Change, Session};
use crate::client::{Client, Error};
use crate::clock::Clock;
use crate::domain::app::Phase;
use crate::web::live::{self, Mark};
use crate::web::shell;
use crate::web::ui::Usd;
use futures_util::{Stream, StreamExt as _};
use maud::{Markup, html};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// The id of the element that holds the connection.
pub(super) const ID: &str = "feed";

/// What one open page shows.
#[derive(Debug)]
pub(super) struct Feed {
    clock: Clock,
    seen: Mark,
    /// Nothing yet before the first message.
    phase: Option<Phase>,
    /// Whether it has been said that it takes longer than usual.
    slow: bool,
    /// What was sent last, row by row.
    drawn: Vec<u64>,
    /// For the message after this one: htmx looks for the targets of a message
    /// before it touches the page.
    next: Option<Markup>,
}

impl Feed {
    /// For a page that has seen everything up to `seen`.
    pub(super) fn new(clock: Clock, seen: Mark) -> Self {
        Self {
            clock,
            seen,
            phase: None,
            slow: false,
            drawn: Vec::new(),
            next: None,
        }
    }

    /// What the page must do to show `change`, if anything.
    pub(super) fn message(&mut self, change: &Change) -> Option<(Mark, Markup)> {
        let session = &change.session;
        let first = self.phase.is_none();
        let was = self.phase.replace(session.status);
        let moved = was != Some(session.status);
        let fresh = |at: i64| at > self.seen.event;
        let begins = change
            .events
            .partition_point(|event| !fresh(event.sequence));
        let events = &change.events[begins..];
        let seen = self.seen.log;
        let begins = change.lines.partition_point(|line| line.entry_id <= seen);
        let lines = &change.lines[begins..];
        // A page that comes back is told what it has missed, and only then.
        let says = if first {
            self.seen.event > 0 && events.iter().any(|event| event.service.is_none())
        } else {
            moved
        };

        let slow = session.steps.iter().any(|step| step.slow);
        let slower = slow && !std::mem::replace(&mut self.slow, slow);

        let mut partials = self.changed(session, first);
        if moved
            && !first
            && let Some((frame, lines)) = output::last_seen(session)
        {
            partials.push(frame);
            self.next = Some(lines);
        }
        if moved {
            partials.push(title(session));
        }
        partials.extend(output::happened(events));
        partials.extend(output::printed(lines, self.seen.log));
        let warning = events.iter().rfind(|event| event.level == "warning");
        let spoken = match warning {
            _ if says => Some(words::spoken(session)),
            _ if first => None,
            Some(warning) => Some(format!("{}.", words::fit(&warning.title, 100))),
            None => slower.then(|| "It takes longer than usual.".to_owned()),
        };
        if let Some(spoken) = spoken {
            partials.push(live::partial("#say", "textContent", html! { (spoken) }));
        }
        if let Some(last) = events.last() {
            self.seen.event = last.sequence;
        }
        if let Some(last) = lines.last() {
            self.seen.log = last.entry_id;
        }
        let markup = html! { @for partial in &partials { (partial) } };
        (!partials.is_empty()).then_some((self.seen, markup))
    }

    /// What goes into that which the last message has added.
    pub(super) fn further(&mut self) -> Option<(Mark, Markup)> {
        self.next.take().map(|markup| (self.seen, markup))
    }

    /// Says goodbye if the session has ended; else the browser comes back.
    pub(super) fn over(&self) -> Option<(Mark, Markup)> {
        let ended = self.phase.is_some_and(Phase::ended);
        let goodbye = html! {
            (live::partial("#poll", "delete", html! {}))
            (live::partial("#stop", "delete", html! {}))
            (live::disconnection(ID))
        };
        ended.then_some((self.seen, goodbye))
    }

    /// Everything at first, then the rows that look different from before.
    fn changed(&mut self, session: &Session, first: bool) -> Vec<Markup> {
        let now = self.clock.now();
        let rows = rows::all(session, now);
        let before = std::mem::take(&mut self.drawn);
        self.drawn = rows.iter().map(looks).collect();
        let redraw = |(target, markup): (String, Markup)| live::redraw(&target, markup);
        // Which rows there are is settled at the launch; if not, all are drawn.
        if first || before.len() != rows.len() {
            let all = rows::snapshot(session, now);
            return all.into_iter().map(redraw).collect();
        }
        let changed = rows.into_iter().zip(before.iter().zip(&self.drawn));
        let changed = changed.filter(|(_, (was, is))| was != is);
        changed.map(|(row, _)| redraw(row)).collect()
    }
}

fn looks(row: &(String, Markup)) -> u64 {
    let mut hasher = DefaultHasher::new();
    row.1.0.hash(&mut hasher);
    hasher.finish()
}

/// What can be spent now, wherever the page says so: what was set aside and not used has
/// come back.
pub(super) fn money(balance: Usd) -> Markup {
    let [purse, wallet] = shell::wallets(balance, None);
    html! { (live::redraw("#purse", purse)) (live::redraw("#wallet", wallet)) }
}

/// The tab says when it is ready.
fn title(session: &Session) -> Markup {
    let title = super::page::title(session);
    live::partial("title", "textContent", html! { (title) " · Jungle Grid" })
}

/// Follows `changes` until they end. They are the session's that is at `path`, and what
/// `api` may see.
pub(super) fn messages(
    mut feed: Feed,
    (api, path): (Client, String),
    changes: impl Stream<Item = Result<Change, Error>> + Send + 'static,
) -> impl Stream<Item = (Mark, Markup)> + Send + 'static {
    async_stream::stream! {
        let mut changes = Box::pin(changes);
        while let Some(change) = changes.next().await {
            let Ok(change) = change else { break };
            let message = feed.message(&change);
            drop(change);
            if let Some(message) = message {
                yield message;
            }
            if let Some(message) = feed.further() {
                yield message;
            }
        }
        if let Some(message) = feed.over() {
            yield message;
        } else if live::is_dismissed(&api).await {
            yield (feed.seen, live::dismissal(ID, &path));
        }
        // Else the orchestrator is gone: the browser comes back and goes on where it was.
    }
}
