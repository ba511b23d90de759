//! When a job would start: the scheduler's own rules, tried out on paper until its
//! turn has come.
use super::choice::{choose, row, wants_an_early_start};
use super::estimate::{Confidence, Range, said, step_down, step_up};
use super::history::bulk;
use super::requirements::fits_all;
use super::routing::{Check, Images, Offer, Placement, Relaxed, Snapshot, screen};
use super::spec::JobSpec;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Seconds until a slot is free whose job has ended and is being cleared away.
const SOON: Range = Range { low: 1, high: 60 };

/// A job that is on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    pub node: String,
    /// GPUs that it has there.
    pub gpus: u32,
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
    let ahead = in_front(snapshot);
    let best = dry_run(spec, (snapshot, &ahead), Luck::Best);
    let worst = dry_run(spec, (snapshot, &ahead), Luck::Worst);
    let Some((at, mut placement)) = best else {
        return Start {
            placement: None,
            wait: Range { low: 0, high: 0 },
            samples: 0,
            confidence: Confidence::Low,
            words: String::new(),
        };
    };
    let pulled = placement.offer.images == Images::Pulled;
    let worst = worst.map_or(at, |(worst, _)| worst);
    let (low, high) = (at.min(worst), at.max(worst));
    placement.free_now = high == 0;
    if high == 0 {
        return Start {
            wait: Range { low: 0, high: 10 },
            samples: 0,
            confidence: if pulled {
                Confidence::Medium
            } else {
                Confidence::High
            },
            words: with_image(room(spec, &snapshot.offers), &placement.offer),
            placement: Some(placement),
        };
    }
    let mut words = crowded(spec, snapshot, ahead.len());
    let mut wait = Range {
        low,
        high: high.saturating_add(10),
    };
    let samples = snapshot.waits.len();
    let mut confidence = Confidence::Low;
    let recent = bulk(&snapshot.waits).filter(|_| samples >= 5);
    if let Some(recent) = recent {
        wait = blend(wait, recent);
        confidence = Confidence::Medium;
        let recent = (step_down(recent.low), step_up(recent.high));
        words = format!(
            "{words} The last {samples} jobs waited {} to {}.",
            said(recent.0),
            said(recent.1)
        );
    }
    let wait = Range {
        low: step_down(wait.low),
        high: step_up(wait.high),
    };
    // In the order in which wishes give way.
    if let Some(late) = late(spec, wait) {
        placement.relaxed.insert(0, late);
    }
    Start {
        words: with_image(words, &placement.offer),
        placement: Some(placement),
        wait,
        samples: if recent.is_some() { samples } else { 0 },
        confidence,
    }
}

/// That an early start was asked for and cannot be had.
fn late(spec: &JobSpec, wait: Range) -> Option<Relaxed> {
    let (field, asked) = wants_an_early_start(spec)?;
    let got = match wait.low {
        ..=0 => format!("a wait of up to {}", said(wait.high)),
        low => format!("a wait of {} to {}", said(low), said(wait.high)),
    };
    let reason = "Every machine that fits is taken or spoken for, and jobs keep their turn.";
    Some(row(field, asked, &got, reason.to_owned()))
}

/// What is free on the machines that fit.
fn room(spec: &JobSpec, offers: &[Offer]) -> String {
    let fit = offers.iter().filter(|offer| fits_all(spec, offer));
    let roomy: Vec<&Offer> = fit.filter(|offer| offer.has_room_for(spec)).collect();
    let free: u32 = roomy.iter().map(|offer| offer.free).sum();
    let slots = if free == 1 { "slot is" } else { "slots are" };
    let machines = match roomy.len() {
        0 | 1 => String::new(),
        many => format!(" on {many} machines"),
    };
    let gpus: u32 = roomy.iter().map(|offer| offer.gpus_free).sum();
    if spec.resources.needs_gpu() {
        let gpus_are = if gpus == 1 { "GPU is" } else { "GPUs are" };
        return format!("{gpus} {gpus_are} free right now{machines}.");
    }
    format!("{free} {slots} free right now{machines}.")
}

/// What stands in the way on the machines that fit.
fn crowded(spec: &JobSpec, snapshot: &Snapshot, ahead: usize) -> String {
    let fit = || snapshot.offers.iter().filter(|o| fits_all(spec, o));
    let slots: u32 = fit().map(|offer| offer.slots).sum();
    let there = |running: &&Running| fit().any(|offer| offer.node == running.node);
    let running = snapshot.running.iter().filter(there).count();
    let slots = match slots {
        1 => "1 slot".to_owned(),
        many => format!("{many} slots"),
    };
    let mut words = format!("{running} running on {slots}, {ahead} waiting in front.");
    if spec.resources.needs_gpu() {
        let all: u32 = fit().map(|offer| offer.gpus).sum();
        let free: u32 = fit().map(|offer| offer.gpus_free).sum();
        words = format!("{words} {free} of {all} GPUs that fit are free.");
        let most = fit().map(|offer| offer.gpus_free).max().unwrap_or(0);
        let wanted = spec.resources.gpus();
        if free >= wanted && most < wanted {
            words = format!("{words} No one machine has {wanted} free.");
        }
    }
    words
}

/// Why no machine that fits can take it now; nothing, if one can.
#[must_use]
pub fn in_the_way(spec: &JobSpec, snapshot: &Snapshot) -> Option<String> {
    let fit = || snapshot.offers.iter().filter(|o| fits_all(spec, o));
    if fit().any(|offer| offer.has_room_for(spec)) {
        return None;
    }
    let slots: u32 = fit().map(|offer| offer.slots).sum();
    Some(if fit().any(|offer| offer.free > 0) {
        match spec.resources.gpus() {
            1 => "Every GPU that fits is taken".to_owned(),
            many => format!("No machine has {many} GPUs free"),
        }
    } else {
        match slots {
            0 => "No machine that fits is there now".to_owned(),
            1 => "The only slot is taken".to_owned(),
            many => format!("All {many} slots are taken"),
        }
    })
}

/// How long an image takes to arrive is not known before.
fn with_image(words: String, offer: &Offer) -> String {
    match offer.images {
        Images::Pulled => format!("{words} Pulling the image comes on top."),
        Images::HostOnly | Images::Ignored => words,
    }
}

/// Those in front that the scheduler would not reject: the others take no slot.
fn in_front(snapshot: &Snapshot) -> Vec<&Waiting> {
    let ahead = snapshot.ahead.iter();
    ahead
        .filter(|waiting| never(&waiting.spec, snapshot).is_none())
        .collect()
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

/// Takes the slot and the GPUs of a node that a job needs.
pub fn take(offers: &mut [Offer], node: &str, spec: &JobSpec) {
    for offer in offers.iter_mut().filter(|offer| offer.node == node) {
        offer.free = offer.free.saturating_sub(1);
        offer.gpus_free = offer.gpus_free.saturating_sub(spec.resources.gpus());
    }
}

/// Gives them back.
fn give_back(offers: &mut [Offer], end: &End) {
    for offer in offers.iter_mut().filter(|offer| offer.node == end.node) {
        offer.free = (offer.free + 1).min(offer.slots);
        offer.gpus_free = (offer.gpus_free + end.gpus).min(offer.gpus);
    }
}

/// A slot and GPUs that are given back.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    /// Seconds from now.
    at: i64,
    node: String,
    gpus: u32,
}

/// The ends of what is on the machines now, by their time.
fn ends(snapshot: &Snapshot, luck: Luck) -> BinaryHeap<Reverse<End>> {
    let mut ends = BinaryHeap::new();
    for running in &snapshot.running {
        ends.push(Reverse(End {
            at: luck.of(running.left).max(1),
            node: running.node.clone(),
            gpus: running.gpus,
        }));
    }
    for offer in &snapshot.offers {
        let there = snapshot.running.iter().filter(|r| r.node == offer.node);
        let (mut seen, mut gpus) = (0, offer.gpus.saturating_sub(offer.gpus_free));
        for running in there {
            seen += 1;
            gpus = gpus.saturating_sub(running.gpus);
        }
        // Slots that nobody is seen on are about to be free.
        for _ in seen..offer.slots.saturating_sub(offer.free) {
            ends.push(Reverse(End {
                at: luck.of(SOON),
                node: offer.node.clone(),
                gpus: std::mem::take(&mut gpus),
            }));
        }
    }
    ends
}

/// Seconds until the scheduler would place it, and where; `None` if it never would.
fn dry_run(
    spec: &JobSpec,
    (snapshot, ahead): (&Snapshot, &[&Waiting]),
    luck: Luck,
) -> Option<(i64, Placement)> {
    if screen(spec, snapshot).iter().any(Check::is_blocked) {
        return None;
    }
    let catalogue = &snapshot.catalogue;
    let mut offers = snapshot.offers.clone();
    let mut ends = ends(snapshot, luck);
    let mut ahead = ahead.to_vec();
    let mut now = 0;
    loop {
        let mut left = Vec::with_capacity(ahead.len());
        let mut waiting = ahead.into_iter();
        for job in waiting.by_ref() {
            if offers.iter().all(|offer| offer.free == 0) {
                left.push(job);
                break;
            }
            let room = job.after <= now && offers.iter().any(|o| o.has_room_for(&job.spec));
            let found = room
                .then(|| choose(&job.spec, &offers, catalogue))
                .flatten();
            match found.filter(|found| found.free_now) {
                Some(found) => {
                    let node = found.offer.node;
                    take(&mut offers, &node, &job.spec);
                    ends.push(Reverse(End {
                        at: now.saturating_add(luck.of(job.runtime).max(1)),
                        node,
                        gpus: job.spec.resources.gpus(),
                    }));
                }
                None => left.push(job),
            }
        }
        left.extend(waiting);
        ahead = left;
        let here = choose(spec, &offers, catalogue);
        if let Some(found) = here.filter(|found| found.free_now) {
            return Some((now, found));
        }
        let Some(Reverse(end)) = ends.pop() else {
            // Nothing ends any more, and still there is no room: the machines are
            // taken by what this does not see.
            let found = choose(spec, &offers, catalogue);
            return found.map(|found| (now.max(SOON.high), found));
        };
        now = now.max(end.at);
        give_back(&mut offers, &end);
        while ends.peek().is_some_and(|Reverse(end)| end.at <= now) {
            if let Some(Reverse(end)) = ends.pop() {
                give_back(&mut offers, &end);
            }
        }
    }
}

#[cfg(test)]
mod tests;
