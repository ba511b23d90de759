//! When a job would start: the scheduler's own rules, tried out on paper until its
//! turn has come.
use super::estimate::{Confidence, Range, said, step_down, step_up};
use super::history::bulk;
use super::routing::{Check, Offer, Placement, Snapshot, choose, screen};
use super::spec::JobSpec;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Seconds until a slot is free whose job has ended and is being cleared away.
const SOON: Range = Range { low: 1, high: 60 };

/// A job that is on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub node: String,
    /// Seconds until its end: at best, at worst.
    pub left: Range,
}

/// A job that waits in front.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    pub spec: JobSpec,
    /// Expected seconds of execution.
    pub runtime: Range,
    /// It is left alone for so many seconds, because an engine has refused it.
    pub after: i64,
}

/// What is expected of a job's start.
#[derive(Debug, Clone, PartialEq)]
pub struct Start {
    /// Where, if everything goes well.
    pub placement: Option<Placement>,
    /// Seconds.
    pub wait: Range,
    /// Waits that it is based on besides the dry run.
    pub samples: usize,
    pub confidence: Confidence,
    pub words: String,
}

/// Which end of everybody's range is tried out.
#[derive(Debug, Clone, Copy)]
enum Luck {
    Best,
    Worst,
}

impl Luck {
    const fn of(self, range: Range) -> i64 {
        match self {
            Self::Best => range.low,
            Self::Worst => range.high,
        }
    }
}

/// When and where a job would start that can run here at all.
#[must_use]
pub fn start(spec: &JobSpec, snapshot: &Snapshot) -> Start {
    let best = dry_run(spec, snapshot, Luck::Best);
    let worst = dry_run(spec, snapshot, Luck::Worst);
    let (ahead, running) = (snapshot.ahead.len(), snapshot.running.len());
    let slots: u32 = snapshot.offers.iter().map(|offer| offer.slots).sum();
    let free: u32 = snapshot.offers.iter().map(|offer| offer.free).sum();
    let Some((at, mut placement)) = best else {
        return Start {
            placement: None,
            wait: Range { low: 0, high: 0 },
            samples: 0,
            confidence: Confidence::Low,
            words: String::new(),
        };
    };
    let worst = worst.map_or(at, |(worst, _)| worst);
    let (low, high) = (at.min(worst), at.max(worst));
    placement.free_now = high == 0;
    if high == 0 {
        let slot = if free == 1 { "slot is" } else { "slots are" };
        return Start {
            placement: Some(placement),
            wait: Range { low: 0, high: 10 },
            samples: 0,
            confidence: Confidence::High,
            words: format!("{free} {slot} free right now."),
        };
    }
    let mut words = format!(
        "{running} running on {slots} {}, {ahead} waiting in front.",
        if slots == 1 { "slot" } else { "slots" }
    );
    let mut wait = Range {
        low,
        high: high.saturating_add(10),
    };
    let samples = snapshot.waits.len();
    let mut confidence = Confidence::Low;
    if samples >= 5
        && let Some(recent) = bulk(&snapshot.waits)
    {
        wait = blend(wait, recent);
        confidence = Confidence::Medium;
        let recent = (step_down(recent.low), step_up(recent.high));
        words = format!(
            "{words} The last {samples} jobs waited {} to {}.",
            said(recent.0),
            said(recent.1)
        );
    }
    Start {
        placement: Some(placement),
        wait: Range {
            low: step_down(wait.low),
            high: step_up(wait.high),
        },
        samples,
        confidence,
        words,
    }
}

/// The dry run bounds the wait by what everybody may use, which is far more than
/// they do use: what waits really were pulls its upper end half the way down.
fn blend(dry: Range, recent: Range) -> Range {
    let high = if recent.high < dry.high {
        recent.high.max(0).midpoint(dry.high)
    } else {
        dry.high
    };
    Range {
        low: dry.low.min(high),
        high: high.max(dry.low),
    }
}

/// Whether it can never run on these machines; without any, that is not known.
#[must_use]
pub fn never(spec: &JobSpec, snapshot: &Snapshot) -> Option<Check> {
    if snapshot.offers.is_empty() {
        return None;
    }
    screen(spec, snapshot).into_iter().find(Check::is_blocked)
}

/// Takes a slot of a node.
pub fn take(offers: &mut [Offer], node: &str) {
    for offer in offers.iter_mut().filter(|offer| offer.node == node) {
        offer.free = offer.free.saturating_sub(1);
    }
}

/// Gives one back.
fn give_back(offers: &mut [Offer], node: &str) {
    for offer in offers.iter_mut().filter(|offer| offer.node == node) {
        offer.free = (offer.free + 1).min(offer.slots);
    }
}

/// Seconds until the scheduler would place it, and where; `None` if it never would.
fn dry_run(spec: &JobSpec, snapshot: &Snapshot, luck: Luck) -> Option<(i64, Placement)> {
    if screen(spec, snapshot).iter().any(Check::is_blocked) {
        return None;
    }
    let mut offers = snapshot.offers.clone();
    // By the time of their end.
    let mut ends: BinaryHeap<Reverse<(i64, String)>> = BinaryHeap::new();
    for running in &snapshot.running {
        ends.push(Reverse((
            luck.of(running.left).max(1),
            running.node.clone(),
        )));
    }
    for offer in &offers {
        let seen = snapshot
            .running
            .iter()
            .filter(|r| r.node == offer.node)
            .count();
        let taken = offer.slots.saturating_sub(offer.free);
        // Slots that nobody is seen on are about to be free.
        for _ in seen..usize::try_from(taken).unwrap_or(0) {
            ends.push(Reverse((luck.of(SOON), offer.node.clone())));
        }
    }
    // Those that the scheduler would reject take no slot.
    let mut ahead: Vec<&Waiting> = snapshot
        .ahead
        .iter()
        .filter(|waiting| never(&waiting.spec, snapshot).is_none())
        .collect();
    let mut now = 0;
    loop {
        let mut left = Vec::with_capacity(ahead.len());
        let mut waiting = ahead.into_iter();
        for job in waiting.by_ref() {
            if offers.iter().all(|offer| offer.free == 0) {
                left.push(job);
                break;
            }
            match choose(&job.spec, &offers).filter(|found| found.free_now && job.after <= now) {
                Some(found) => {
                    let node = found.offer.node;
                    take(&mut offers, &node);
                    let end = now.saturating_add(luck.of(job.runtime).max(1));
                    ends.push(Reverse((end, node)));
                }
                None => left.push(job),
            }
        }
        left.extend(waiting);
        ahead = left;
        if let Some(found) = choose(spec, &offers).filter(|found| found.free_now) {
            return Some((now, found));
        }
        let next_end = ends.pop();
        let Some(Reverse((at, node))) = next_end else {
            // Nothing ends any more, and still there is no room: the machines are
            // taken by what this does not see.
            return choose(spec, &offers).map(|found| (now.max(SOON.high), found));
        };
        now = now.max(at);
        give_back(&mut offers, &node);
        while ends.peek().is_some_and(|Reverse((at, _))| *at <= now) {
            if let Some(Reverse((_, node))) = ends.pop() {
                give_back(&mut offers, &node);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::estimate::tests::{offer, spec};
    use crate::domain::money::Usd;
    use crate::domain::routing::place;
    use proptest::prelude::*;

    fn named(node: &str, slots: u32, free: u32, rate: i64) -> Offer {
        Offer {
            node: node.into(),
            slots,
            free: free.min(slots),
            rate: Usd::from_micros(rate),
            ..offer()
        }
    }

    fn job(needs: u32, low: i64, high: i64) -> Waiting {
        let mut spec = spec();
        spec.resources.cpus = Some(needs);
        Waiting {
            spec,
            runtime: Range { low, high },
            after: 0,
        }
    }

    #[test]
    fn those_in_front_take_their_slots_first_and_hopeless_ones_take_none() {
        let mut now = Snapshot {
            offers: vec![named("cheap", 1, 1, 100_000), named("dear", 1, 1, 200_000)],
            longest_seconds: 86_400,
            ..Snapshot::default()
        };
        let node = |now: &Snapshot| start(&spec(), now).placement.unwrap().offer.node;
        assert_eq!(node(&now), "cheap");
        now.ahead = vec![job(1, 10, 600)];
        assert_eq!(node(&now), "dear", "the cheap one is taken by then");
        assert_eq!(start(&spec(), &now).wait, Range { low: 0, high: 10 });
        now.ahead = vec![job(64, 10, 600)];
        assert_eq!(node(&now), "cheap", "nobody waits for what can never run");
        now.ahead = vec![job(1, 10, 600), job(1, 20, 60)];
        let found = start(&spec(), &now);
        assert_eq!(found.wait, Range { low: 10, high: 120 });
        assert!(!found.placement.unwrap().free_now);
    }

    #[test]
    fn recent_waits_pull_the_upper_end_down_and_are_told() {
        let mut full = Snapshot {
            offers: vec![named("local", 1, 0, 100_000)],
            longest_seconds: 86_400,
            running: vec![Running {
                node: "local".into(),
                left: Range {
                    low: 0,
                    high: 7_000,
                },
            }],
            ..Snapshot::default()
        };
        let before = start(&spec(), &full);
        assert_eq!(
            (before.wait.high, before.confidence),
            (7_200, Confidence::Low)
        );
        full.waits = vec![20; 12];
        let after = start(&spec(), &full);
        assert_eq!(
            (after.wait.high, after.confidence),
            (3_600, Confidence::Medium)
        );
        assert!(
            after
                .words
                .ends_with("The last 12 jobs waited 10 s to 30 s.")
        );
    }

    proptest! {
        /// The scheduler goes through the queue in order and places what fits a free
        /// slot. What it does for the last job, the dry run has said.
        #[test]
        fn the_scheduler_does_what_the_dry_run_said(
            slots in prop::collection::vec((0_u32..3, 0_u32..3, 1_i64..4, 1_u32..9), 1..4),
            queue in prop::collection::vec((1_u32..9, 1_i64..100, 0_i64..100), 0..8),
            wants in 1_u32..9,
        ) {
            let offers: Vec<Offer> = (0..).zip(&slots).map(|(n, (slots, free, rate, cpus))| {
                Offer { cpus: *cpus, ..named(&format!("n{n}"), *slots, *free, *rate * 1_000) }
            }).collect();
            let now = Snapshot {
                offers,
                ahead: queue.iter().map(|(needs, low, more)| job(*needs, *low, low + more)).collect(),
                longest_seconds: 86_400,
                ..Snapshot::default()
            };
            let mut spec = spec();
            spec.resources.cpus = Some(wants);
            let mut scheduler = now.clone();
            let mut placed = None;
            for spec in now.ahead.iter().map(|w| &w.spec).chain([&spec]) {
                placed = place(spec, &scheduler).filter(|found| found.free_now).map(|found| found.offer.node);
                if let Some(node) = &placed {
                    take(&mut scheduler.offers, node);
                }
            }
            let said = start(&spec, &now);
            prop_assert!(said.wait.low <= said.wait.high);
            if let Some(node) = placed {
                let found = said.placement.unwrap();
                prop_assert_eq!((found.offer.node, found.free_now), (node, true));
            } else if let Some(found) = said.placement {
                prop_assert!(!found.free_now && said.wait.high > 0);
            }
        }
    }
}
