//! What an open job page is told, message by message.
use super::{callback, output, view};
use crate::api::artifacts::OfJob;
use crate::api::callbacks::Callback;
use crate::api::jobs::{Change, Event, EventFilter, Job};
use crate::api::logs::Item;
use crate::client::{Client, Error};
use crate::domain::id::JobId;
use crate::web::live::{self, Mark};
use futures_util::{Stream, StreamExt as _};
use maud::{Markup, html};
use std::collections::HashMap;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

/// How often the figures that run by themselves, such as the cost, are redrawn.
const TICK: Duration = Duration::from_secs(5);

/// The id of the element that holds the connection.
pub(super) const ID: &str = "feed";

/// What one open page shows.
#[derive(Debug)]
pub(super) struct Feed {
    job: Job,
    /// What it has left, once it has ended.
    left: Option<OfJob>,
    /// Who is told of its end; most jobs tell nobody.
    told: Option<Callback>,
    events: Vec<Event>,
    seen: Mark,
    /// The orchestrator's time when this was made, and ours.
    began: (OffsetDateTime, Instant),
    /// What was sent last, per region.
    drawn: HashMap<&'static str, String>,
}

impl Feed {
    /// As the job is now, for a page that has seen the output up to `seen`.
    pub(super) async fn open(api: &Client, id: JobId, seen: Mark) -> Result<Self, Error> {
        let job = api.job(id).await?;
        let events = api.events(id, &EventFilter::default()).await?;
        let left = view::left(api, &job).await;
        let told = callback::find(api, id).await?;
        let mut feed = Self::new(job, events.items, events.generated_at, seen);
        feed.left = left;
        feed.told = told;
        Ok(feed)
    }

    pub(super) fn new(job: Job, events: Vec<Event>, now: OffsetDateTime, seen: Mark) -> Self {
        Self {
            job,
            left: None,
            told: None,
            events,
            seen,
            began: (now, Instant::now()),
            drawn: HashMap::new(),
        }
    }

    /// The orchestrator's time.
    fn now(&self) -> OffsetDateTime {
        self.began.0 + self.began.1.elapsed()
    }

    /// Everything but the output.
    pub(super) fn first(&mut self) -> (Mark, Markup) {
        let missed = self
            .events
            .iter()
            .any(|event| event.sequence > self.seen.event);
        let spoken = (missed && self.seen.event > 0).then(|| self.say());
        self.seen.event = self.newest_event();
        let timeline = view::timeline(&self.job, &self.events);
        let silence = (self.seen.log == 0).then(|| output::silence(&self.job));
        let markup = html! {
            (self.regions())
            (live::redraw("#job-events", timeline))
            @if let Some(silence) = silence { (live::redraw("#log-silence", silence)) }
            (self.printed_all())
            @if let Some(spoken) = spoken { (spoken) }
        };
        (self.seen, markup)
    }

    /// What is different now, if anything is.
    pub(super) fn moved(
        &mut self,
        job: Job,
        events: Vec<Event>,
        told: Option<Callback>,
    ) -> Option<(Mark, Markup)> {
        let was = (self.job.status, self.job.phase);
        let before = self.told.as_ref().map(|told| told.state);
        self.told = told.or(self.told.take());
        let through = callback::spoken(before, self.told.as_ref());
        let spawned = self.job.startup_diagnostics.command_spawned;
        let waited = view::waits(&self.job);
        self.job = job;
        let rows = self.rows(events, was.0.ended(), waited);
        let says = was != (self.job.status, self.job.phase);
        let quiet =
            self.seen.log == 0 && (says || spawned != self.job.startup_diagnostics.command_spawned);
        let markup = html! {
            (self.regions())
            (rows)
            @if quiet { (live::redraw("#log-silence", output::silence(&self.job))) }
            @if says { (self.printed_all()) (self.say()) }
            @if let Some(through) = through { (spoken(through)) }
        };
        (!markup.0.is_empty()).then_some((self.seen, markup))
    }

    /// What only passing time makes different.
    fn passed(&mut self) -> Option<(Mark, Markup)> {
        let regions = self.regions();
        (!regions.0.is_empty()).then_some((self.seen, regions))
    }

    /// How the callback stands now, if the job has one and that can be had.
    async fn told_now(&self, api: &Client) -> Option<Callback> {
        self.told.as_ref()?;
        callback::find(api, self.job.id).await.ok().flatten()
    }

    /// Whether nothing more will be said of the job.
    fn is_over(&self) -> bool {
        let open = self.told.as_ref().is_some_and(Callback::is_open);
        self.job.status.ended() && !open
    }

    /// The output of a job that has ended is not live, though its callback may be.
    fn printed_all(&self) -> Markup {
        let ended = self.job.status.ended() && !self.is_over();
        html! { @if ended { (live::partial("#log-live", "delete", html! {})) } }
    }

    /// Lines that the page does not have yet.
    pub(super) fn printed(&mut self, items: &[Item]) -> Option<(Mark, Markup)> {
        let fresh = items.partition_point(|item| item.entry_id <= self.seen.log);
        let last = items[fresh..].last()?;
        let markup = output::more(&items[fresh..], self.seen.log);
        self.seen.log = last.entry_id;
        Some((self.seen, markup))
    }

    /// Says goodbye if nothing more will happen; else the browser comes back.
    pub(super) fn over(&self) -> Option<(Mark, Markup)> {
        let silence = (self.seen.log == 0).then(|| output::silence(&self.job));
        let goodbye = html! {
            (live::partial("#log-live", "delete", html! {}))
            @if let Some(silence) = silence { (live::redraw("#log-silence", silence)) }
            (live::disconnection(ID))
        };
        self.is_over().then_some((self.seen, goodbye))
    }

    fn newest_event(&self) -> i64 {
        self.events.last().map_or(0, |event| event.sequence)
    }

    fn say(&self) -> Markup {
        spoken(&view::spoken(&self.job))
    }

    /// The regions that look different from what was sent last.
    fn regions(&mut self) -> Markup {
        let now = self.now();
        let mut changed = Vec::from(view::regions(&self.job, self.left.as_ref(), now));
        let told = self.told.as_ref();
        changed.extend(told.map(|told| (callback::TARGET, callback::section(told, now))));
        changed.retain(|(target, markup)| {
            let before = self.drawn.insert(target, markup.0.clone());
            before.as_ref() != Some(&markup.0)
        });
        html! { @for (target, markup) in changed { (live::redraw(target, markup)) } }
    }

    /// The new rows of the timeline; the row before them is no longer the last.
    fn rows(&mut self, events: Vec<Event>, had_ended: bool, waited: bool) -> Markup {
        let newest = self.newest_event();
        let fresh: Vec<Event> = events
            .into_iter()
            .filter(|event| event.sequence > newest)
            .collect();
        let ended = self.job.status.ended();
        // Waiting is a row without an event, so the rows around it cannot be told apart.
        let waiting = waited || view::waits(&self.job);
        let before = self.events.last().filter(|_| !waiting).cloned();
        if fresh.is_empty() && ended == had_ended && waited == view::waits(&self.job) {
            return html! {};
        }
        self.events.extend(fresh.iter().cloned());
        self.seen.event = self.newest_event();
        let Some(before) = before else {
            return live::redraw("#job-events", view::timeline(&self.job, &self.events));
        };
        let target = format!("#event-{}", before.sequence);
        html! {
            (live::redraw(&target, view::event_row(&before, fresh.is_empty() && !ended)))
            @for event in &fresh {
                (live::append("#events", view::event_row(event, event.sequence == self.seen.event && !ended)))
            }
        }
    }
}

/// Has it read out.
fn spoken(what: &str) -> Markup {
    live::partial("#say", "textContent", html! { (what) })
}

/// Follows `changes` until they end.
pub(super) fn messages(
    api: Client,
    mut feed: Feed,
    changes: impl Stream<Item = Result<Change, Error>> + Send + 'static,
) -> impl Stream<Item = (Mark, Markup)> + Send + 'static {
    async_stream::stream! {
        let mut changes = std::pin::pin!(changes);
        let mut tick = interval_at(Instant::now() + TICK, TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        yield feed.first();
        loop {
            let message = tokio::select! {
                change = changes.next() => match change {
                    Some(Ok(Change::Job { job, events })) => {
                        if feed.left.is_none() {
                            feed.left = view::left(&api, &job).await;
                        }
                        let told = feed.told_now(&api).await;
                        feed.moved(*job, events, told)
                    }
                    Some(Ok(Change::Logs { items })) => feed.printed(&items),
                    // The browser comes back and goes on where it was.
                    Some(Err(_)) => return,
                    None => break,
                },
                // Its callback may take a day, and says so by itself.
                _ = tick.tick() => if feed.job.status.ended() {
                    feed.passed()
                } else { match api.job(feed.job.id).await {
                    Ok(job) => feed.moved(job, Vec::new(), None),
                    // Signed out, or the orchestrator is gone.
                    Err(_) => return,
                } },
            };
            if let Some(message) = message {
                yield message;
            }
        }
        if let Some(message) = feed.over() {
            yield message;
        }
    }
}
