//! What an open log page is told: lines as they come, however fast that is.
use super::lines::{Day, Look};
use super::page;
use crate::api::jobs::{Change, Job};
use crate::api::logs::Item;
use crate::client::Error;
use crate::web::live::{self, Mark};
use futures_util::{Stream, StreamExt as _};
use maud::{Markup, html};
use std::collections::VecDeque;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// The id of the element that holds the connection.
pub(super) const ID: &str = "feed";
/// What gathers for so long is drawn together.
const BREATH: Duration = Duration::from_millis(300);
/// Nobody can read more in that time; the rest is passed over, and said to be.
const MOST: usize = 500;

#[derive(Debug)]
pub(super) struct Feed {
    job: Job,
    look: Look,
    seen: Mark,
    day: Day,
    /// Lines that have not been drawn, and how many before them never will be.
    waiting: VecDeque<Item>,
    passed: i64,
    /// Whether the job has changed since it was drawn.
    moved: bool,
}

impl Feed {
    /// For a page that has seen everything up to `seen`, which is of `day`.
    pub(super) fn new(job: Job, look: Look, seen: Mark, day: Day) -> Self {
        Self {
            job,
            look,
            seen,
            day,
            waiting: VecDeque::new(),
            passed: 0,
            moved: true,
        }
    }

    fn printed(&mut self, items: Vec<Item>) {
        let last = self
            .waiting
            .back()
            .map_or(self.seen.log, |item| item.entry_id);
        self.waiting
            .extend(items.into_iter().filter(|item| item.entry_id > last));
        while self.waiting.len() > MOST {
            if let Some(item) = self.waiting.pop_front() {
                self.passed += item.dropped_lines.unwrap_or(1);
            }
        }
    }

    /// What is different now, if anything is.
    fn draw(&mut self) -> Option<(Mark, Markup)> {
        let mut items: Vec<Item> = std::mem::take(&mut self.waiting).into();
        if let Some(first) = items.first().filter(|_| self.passed > 0) {
            // It stands where the last of them would be.
            let passed = Item {
                entry_id: first.entry_id - first.dropped_lines.unwrap_or(1),
                stream: "system".into(),
                level: "info".into(),
                message: "they went by too fast to be shown here; the numbers lead to them".into(),
                truncated: false,
                dropped_lines: Some(self.passed),
                matches: Vec::new(),
                ..first.clone()
            };
            items.insert(0, passed);
        }
        self.passed = 0;
        let lines = self.look.more(&items, self.seen.log, &self.day);
        let head = self
            .moved
            .then(|| live::redraw("#log-head", page::head(&self.job)));
        self.moved = false;
        if let Some(last) = items.last() {
            self.seen.log = last.entry_id;
        }
        let markup = html! {
            @if let Some(head) = head { (head) }
            @if !items.is_empty() {
                (lines)
                (live::partial("#log-count", "textContent", html! { (page::counted(self.seen.log)) }))
            }
        };
        (!markup.0.is_empty()).then_some((self.seen, markup))
    }

    /// Says goodbye if the job has ended; else the browser comes back.
    fn over(&self) -> Option<(Mark, Markup)> {
        let ended = self.job.status.ended();
        let spawned = self.job.startup_diagnostics.command_spawned;
        let goodbye = html! {
            (live::partial("#log-live", "delete", html! {}))
            @if self.seen.log == 0 { (live::redraw("#log-silence", html! { b #log-silence { (page::silence(ended, spawned)) } })) }
            (live::partial("#say", "textContent", html! { "The job is " (self.job.status) "." }))
            (live::disconnection(ID))
        };
        ended.then_some((self.seen, goodbye))
    }
}

/// Follows `changes` until they end.
pub(super) fn messages(
    mut feed: Feed,
    changes: impl Stream<Item = Result<Change, Error>> + Send + 'static,
) -> impl Stream<Item = (Mark, Markup)> + Send + 'static {
    async_stream::stream! {
        let mut changes = std::pin::pin!(changes);
        let mut breath = interval_at(Instant::now() + BREATH, BREATH);
        breath.set_missed_tick_behavior(MissedTickBehavior::Delay);
        if let Some(message) = feed.draw() {
            yield message;
        }
        loop {
            tokio::select! {
                change = changes.next() => match change {
                    Some(Ok(Change::Job { job, events })) => {
                        feed.moved |= (job.status, job.phase) != (feed.job.status, feed.job.phase);
                        feed.seen.event = events.last().map_or(feed.seen.event, |event| event.sequence);
                        feed.job = *job;
                    }
                    Some(Ok(Change::Logs { items })) => feed.printed(items),
                    // The browser comes back and goes on where it was.
                    Some(Err(_)) => return,
                    None => break,
                },
                _ = breath.tick() => if let Some(message) = feed.draw() { yield message },
            }
        }
        if let Some(message) = feed.draw() {
            yield message;
        }
        if let Some(message) = feed.over() {
            yield message;
        }
    }
}
