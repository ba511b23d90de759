use super::*;
use crate::domain::estimate::tests::{offer, spec};
use crate::domain::gpu::{Class, Family};

/// A machine with one slot and one GPU, at so many cents an hour.
fn machine(node: &str, family: &str, cents: i64, free: bool) -> Offer {
    let known = catalogue();
    let known = known.find(family).expect("a family").clone();
    Offer {
        node: node.into(),
        gpu_family: Some(known.id),
        gpu_class: Some(known.class.name().into()),
        vram_gb: f64::from(known.vram_gb[0]) * 1.02,
        speed: known.memory_gb_per_second,
        gpus: 1,
        gpus_free: u32::from(free),
        region: Some("eu-west".into()),
        rate: Usd::from_micros(cents * 10_000),
        slots: 1,
        free: u32::from(free),
        ..offer()
    }
}

fn catalogue() -> Catalogue {
    let families = [
        ("T4", Class::Datacenter, 16, 320),
        ("RTX4090", Class::Consumer, 24, 1_008),
        ("L4", Class::Datacenter, 24, 300),
        ("L40S", Class::Datacenter, 48, 864),
    ];
    Catalogue {
        dated: "2026-11-24".into(),
        gpu: families
            .map(|(id, class, vram, speed)| Family {
                id: id.into(),
                name: id.into(),
                aliases: Vec::new(),
                class,
                vram_gb: vec![vram],
                memory_gb_per_second: Some(speed),
                typical_usd_per_hour: None,
                seen_usd_per_hour: None,
                sources: Vec::new(),
                dated: None,
            })
            .into(),
        ..Catalogue::default()
    }
}

fn gpu_job(change: impl FnOnce(&mut JobSpec)) -> JobSpec {
    let mut spec = spec();
    spec.resources.gpu_required = true;
    change(&mut spec);
    spec
}

/// The machine, and per row: field, asked, got.
fn chosen(spec: &JobSpec, offers: &[Offer]) -> (String, Vec<(String, String, String)>) {
    let found = choose(spec, offers, &catalogue()).expect("a machine that fits");
    for row in &found.relaxed {
        assert!(row.reason.ends_with('.'), "{row:?}");
    }
    let rows = found.relaxed.into_iter();
    let rows = rows.map(|row| (row.field, row.asked, row.got)).collect();
    (found.offer.node, rows)
}

fn said(field: &str, asked: &str, got: &str) -> (String, String, String) {
    (field.into(), asked.into(), got.into())
}

#[test]
fn the_lowest_price_gives_way_to_a_free_machine_and_says_so() {
    let cheap_is_taken = [
        machine("cheap", "L4", 10, false),
        machine("dear", "L4", 50, true),
    ];
    let plain = gpu_job(|_| {});
    assert_eq!(chosen(&plain, &cheap_is_taken), ("dear".into(), vec![]));
    let cost = gpu_job(|job| job.routing.optimize_for = OptimizeFor::Cost);
    let row = said("optimize_for", "cost", "$0.50 per hour");
    assert_eq!(chosen(&cost, &cheap_is_taken), ("dear".into(), vec![row]));
    let found = choose(&cost, &cheap_is_taken, &catalogue()).unwrap();
    assert_eq!(
        found.relaxed[0].reason,
        "cheap costs $0.10 per hour and is taken; dear is free now."
    );
    let priority = gpu_job(|job| job.routing.cost_priority = Level::High);
    let row = said("cost_priority", "high", "$0.50 per hour");
    assert_eq!(
        chosen(&priority, &cheap_is_taken),
        ("dear".into(), vec![row])
    );
    let patient = gpu_job(|job| {
        job.routing.cost_priority = Level::High;
        job.routing.latency_priority = Level::Low;
    });
    let found = choose(&patient, &cheap_is_taken, &catalogue()).unwrap();
    assert_eq!(
        (found.offer.node.as_str(), found.free_now),
        ("cheap", false)
    );
    assert_eq!(found.relaxed, []);
    // What is cheaper and does not fit is no reason to wait.
    let small = [
        machine("small", "T4", 10, true),
        machine("dear", "L40S", 50, true),
    ];
    let large = gpu_job(|job| {
        job.routing.optimize_for = OptimizeFor::Cost;
        job.resources.min_vram_gb = Some(40.0);
    });
    let found = choose(&large, &small, &catalogue()).unwrap();
    assert_eq!(
        found.relaxed[0].reason,
        "Cheaper machines, from $0.10 per hour, do not have what the job needs."
    );
}

#[test]
fn speed_takes_the_faster_gpu_and_else_the_cheaper_is_taken() {
    let offers = [
        machine("slow", "L4", 10, true),
        machine("fast", "L40S", 50, true),
    ];
    let plain = gpu_job(|_| {});
    assert_eq!(chosen(&plain, &offers).0, "slow");
    let speed = gpu_job(|job| job.routing.optimize_for = OptimizeFor::Speed);
    assert_eq!(chosen(&speed, &offers), ("fast".into(), vec![]));
    let taken = [
        machine("slow", "L4", 10, true),
        machine("fast", "L40S", 50, false),
    ];
    let row = said("optimize_for", "speed", "L4");
    assert_eq!(chosen(&speed, &taken), ("slow".into(), vec![row]));
}

#[test]
fn a_family_gives_way_to_its_tier_then_to_the_next_above() {
    let wants = gpu_job(|job| job.routing.preferred_gpu_family = Some("RTX 4090".into()));
    let all = [
        machine("a", "T4", 10, true),
        machine("b", "L40S", 11, true),
        machine("c", "L4", 12, true),
        machine("d", "RTX4090", 13, true),
    ];
    let row = |got| vec![said("preferred_gpu_family", "RTX 4090", got)];
    assert_eq!(chosen(&wants, &all), ("d".into(), vec![]));
    assert_eq!(chosen(&wants, &all[..3]), ("c".into(), row("L4")));
    assert_eq!(chosen(&wants, &all[..2]), ("b".into(), row("L40S")));
    assert_eq!(chosen(&wants, &all[..1]), ("a".into(), row("T4")));
    let mut taken = all.clone();
    taken[3].gpus_free = 0;
    let found = choose(&wants, &taken, &catalogue()).unwrap();
    assert_eq!(
        found.relaxed[0].reason, "Every machine with RTX 4090 is taken; c is free now.",
        "a free slot without its GPU is no room"
    );
    let odd = gpu_job(|job| job.routing.preferred_gpu_family = Some("RTX409O".into()));
    let found = choose(&odd, &all, &catalogue()).unwrap();
    assert!(
        found.relaxed[0]
            .reason
            .ends_with("no GPU of that name is known.")
    );
}

#[test]
fn a_region_gives_way_to_its_continent_then_to_any() {
    let at = |node: &str, region: Option<&str>| Offer {
        region: region.map(str::to_owned),
        ..machine(node, "L4", 10, true)
    };
    let offers = [
        at("nowhere", None),
        at("far", Some("us-east")),
        at("near", Some("eu-north")),
        at("there", Some("EU-West")),
    ];
    let wants = gpu_job(|job| job.routing.region_preference = Some("eu-west".into()));
    let row = |got| vec![said("region_preference", "eu-west", got)];
    assert_eq!(chosen(&wants, &offers), ("there".into(), vec![]));
    assert_eq!(
        chosen(&wants, &offers[..3]),
        ("near".into(), row("eu-north"))
    );
    assert_eq!(chosen(&wants, &offers[..2]), ("far".into(), row("us-east")));
    assert_eq!(
        chosen(&wants, &offers[..1]),
        ("nowhere".into(), row("this grid"))
    );
    let continent = gpu_job(|job| job.routing.region_preference = Some("eu".into()));
    assert_eq!(chosen(&continent, &offers[..3]), ("near".into(), vec![]));
    // The price gives way before the region does.
    let mut both = wants.clone();
    both.routing.optimize_for = OptimizeFor::Cost;
    let dear = Offer {
        rate: Usd::from_micros(900_000),
        ..offers[3].clone()
    };
    let (node, rows) = chosen(&both, &[offers[1].clone(), dear]);
    assert_eq!(node, "there");
    assert_eq!(rows, [said("optimize_for", "cost", "$0.90 per hour")]);
}

#[test]
fn what_nobody_here_can_give_is_said_too() {
    let job = gpu_job(|job| job.routing.priority = Some("high_reliability".into()));
    let offers = [machine("a", "L4", 10, true)];
    assert_eq!(chosen(&job, &offers).1[0].0, "priority");
    let mut without = spec();
    without.routing.gpu_class = Some("consumer".into());
    let row = said("gpu_class", "consumer", "datacenter");
    assert_eq!(chosen(&without, &offers).1, [row]);
    without.resources.gpu_required = true;
    assert_eq!(choose(&without, &offers, &catalogue()), None, "hard");
}
