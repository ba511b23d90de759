use super::*;
use crate::domain::estimate::tests::{offer, spec};
use crate::domain::money::Usd;
use crate::domain::routing::place;
use crate::domain::spec::Level;
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
            gpus: 0,
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

fn with_gpus(node: &str, gpus: u32, free: u32) -> Offer {
    Offer {
        gpu_family: Some("L4".into()),
        vram_gb: 24.0,
        gpus,
        gpus_free: free,
        ..named(node, 4, 4, 100_000)
    }
}

fn on(node: &str, gpus: u32, left: i64) -> Running {
    Running {
        node: node.into(),
        gpus,
        left: Range {
            low: left,
            high: left,
        },
    }
}

#[test]
fn gpus_of_several_machines_do_not_add_up() {
    let mut wants = spec();
    wants.resources.gpu_count = Some(2);
    let snapshot = |offers: Vec<Offer>, running: Vec<Running>| Snapshot {
        offers,
        running,
        longest_seconds: 86_400,
        ..Snapshot::default()
    };
    let one_each = snapshot(vec![with_gpus("a", 1, 1), with_gpus("b", 1, 1)], vec![]);
    assert_eq!(start(&wants, &one_each).placement, None);
    let found = never(&wants, &one_each).unwrap();
    assert_eq!(found.field.as_deref(), Some("gpu_count"));
    // Two machines, then three, with one of two free on each.
    let mut offers = vec![with_gpus("a", 2, 1), with_gpus("b", 2, 1)];
    let mut running = vec![on("a", 1, 600), on("b", 1, 300)];
    for third in [false, true] {
        if third {
            offers.push(with_gpus("c", 2, 1));
            running.push(on("c", 1, 120));
        }
        let now = snapshot(offers.clone(), running.clone());
        let found = start(&wants, &now);
        let placed = found.placement.unwrap();
        assert!(!placed.free_now);
        let (node, seconds) = if third { ("c", 120) } else { ("b", 300) };
        assert_eq!(
            (placed.offer.node.as_str(), found.wait.low),
            (node, seconds)
        );
        assert!(
            found.words.contains("No one machine has 2 free."),
            "{}",
            found.words
        );
        assert!(place(&wants, &now).is_some_and(|found| !found.free_now));
    }
    // A job with one GPU goes in, and one in front takes what was left.
    let mut now = snapshot(offers, running);
    let mut one = spec();
    one.resources.gpu_count = Some(1);
    assert!(start(&one, &now).placement.unwrap().free_now);
    now.ahead = vec![
        Waiting {
            spec: one.clone(),
            runtime: Range { low: 50, high: 50 },
            after: 0,
        };
        3
    ];
    let found = start(&one, &now);
    assert!(!found.placement.unwrap().free_now);
    assert_eq!(found.wait.low, 30, "50 s, as people say it");
}

#[test]
fn an_early_start_that_cannot_be_had_is_a_row() {
    let mut now = Snapshot {
        offers: vec![named("local", 1, 1, 100_000)],
        longest_seconds: 86_400,
        ..Snapshot::default()
    };
    let mut wants = spec();
    wants.routing.latency_priority = Level::High;
    assert_eq!(start(&wants, &now).placement.unwrap().relaxed, []);
    now.offers[0].free = 0;
    now.running = vec![on("local", 0, 590)];
    let relaxed = start(&wants, &now).placement.unwrap().relaxed;
    assert_eq!(relaxed.len(), 1);
    assert_eq!(relaxed[0].field, "latency_priority");
    assert_eq!(relaxed[0].asked, "high");
    assert_eq!(relaxed[0].got, "a wait of 5 min to 10 min");
    assert_eq!(start(&spec(), &now).placement.unwrap().relaxed, []);
}

proptest! {
    /// Whatever is free elsewhere: a job starts now if one machine alone has a slot
    /// and the GPUs for it, and only then.
    #[test]
    fn one_machine_alone_has_to_have_the_room(
        machines in prop::collection::vec((1_u32..3, 0_u32..3, 0_u32..5, 0_u32..5), 1..4),
        wants in 0_u32..5,
    ) {
        let offers: Vec<Offer> = (0..).zip(&machines).map(|(n, (slots, free, gpus, taken))| Offer {
            slots: *slots,
            free: *free.min(slots),
            ..with_gpus(&format!("n{n}"), *gpus, gpus.saturating_sub(*taken))
        }).collect();
        let mut spec = spec();
        spec.resources.gpu_count = (wants > 0).then_some(wants);
        let room = offers.iter().any(|o| o.free > 0 && o.gpus_free >= wants);
        let ever = offers.iter().any(|o| o.gpus >= wants);
        let now = Snapshot { offers, longest_seconds: 86_400, ..Snapshot::default() };
        let said = start(&spec, &now);
        prop_assert_eq!(said.placement.is_some(), ever);
        prop_assert_eq!(said.placement.is_some_and(|p| p.free_now), room);
        prop_assert_eq!(in_the_way(&spec, &now).is_none(), room);
    }

    /// The scheduler goes through the queue in order and places what fits a free
    /// slot. What it does for the last job, the dry run has said.
    #[test]
    fn the_scheduler_does_what_the_dry_run_said(
        slots in prop::collection::vec((0_u32..3, 0_u32..3, 1_i64..4, 1_u32..9, 0_u32..4, 0_u32..4), 1..4),
        queue in prop::collection::vec((1_u32..9, 0_u32..4, 1_i64..100, 0_i64..100), 0..8),
        wants in (1_u32..9, 0_u32..4),
    ) {
        let offers: Vec<Offer> = (0..).zip(&slots).map(|(n, (slots, free, rate, cpus, gpus, taken))| Offer {
            cpus: *cpus,
            gpus: *gpus,
            gpus_free: gpus.saturating_sub(*taken),
            ..named(&format!("n{n}"), *slots, *free, *rate * 1_000)
        }).collect();
        let now = Snapshot {
            offers,
            ahead: queue.iter().map(|(needs, gpus, low, more)| {
                let mut job = job(*needs, *low, low + more);
                job.spec.resources.gpu_count = (*gpus > 0).then_some(*gpus);
                job
            }).collect(),
            longest_seconds: 86_400,
            ..Snapshot::default()
        };
        let mut spec = spec();
        spec.resources.cpus = Some(wants.0);
        spec.resources.gpu_count = (wants.1 > 0).then_some(wants.1);
        let mut scheduler = now.clone();
        let mut placed = None;
        for spec in now.ahead.iter().map(|w| &w.spec).chain([&spec]) {
            placed = place(spec, &scheduler).filter(|found| found.free_now).map(|found| found.offer.node);
            if let Some(node) = &placed {
                take(&mut scheduler.offers, node, spec);
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
