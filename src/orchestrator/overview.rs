//! The dashboard, the wallet and the machines.
use super::jobs::view;
use super::route::{Call, Cx, on, public};
use super::{Error, State, drafts, estimates};
use crate::api::nodes as wire;
use crate::api::overview::{self as wire_overview, Balance, Health, Overview};
use crate::api::{GetBalance, GetHealth, GetOverview, ListNodes};
use crate::clock::from_micros;
use crate::domain::job::Status;
use crate::domain::money::Usd;
use crate::engine::Network;
use crate::store::jobs::days::{self, Day};
use crate::store::jobs::listing::{self, Filter};
use crate::store::jobs::{occupied, queries};
use crate::store::{self, Conn};
use axum::Router;

const DAY_MICROS: i64 = 86_400_000_000;
/// Days of spending shown, today included.
const DAYS: i64 = 14;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .merge(public(health))
        .merge(on(nodes))
        .merge(on(overview))
        .merge(on(get_balance))
}

async fn health(_: State, _: Call<GetHealth>) -> Result<Health, Error> {
    Ok(Health {
        status: "ok".into(),
    })
}

async fn overview(cx: Cx, _: Call<GetOverview>) -> Result<Overview, Error> {
    let workspace = cx.caller.workspace;
    let now = cx.now();
    let mut conn = cx.store().read().await?;
    let active = queries::active(&mut conn, workspace).await?;
    let count = |status: Status| {
        active
            .iter()
            .find(|(name, _)| name == status.name())
            .map_or(0, |(_, count)| *count)
    };
    let today = days::day_of(now);
    let ends = days::since(&mut conn, workspace, today - (DAYS - 1)).await?;
    let week = |status: Status| {
        let of = |day: &&Day| day.day > today - 7 && day.status == status.name();
        ends.iter().filter(of).map(|day| day.jobs).sum::<i64>()
    };
    let newest = Filter {
        limit: 6,
        ..Filter::default()
    };
    let recent = listing::list(&mut conn, workspace, &newest).await?.jobs;
    let recent = recent.into_iter().map(|job| view::job(job, None, now));
    let mut recent: Vec<_> = recent.collect();
    view::with_collections(&mut conn, &mut recent).await?;
    let waiting = store::drafts::waiting(&mut conn, workspace, now, 3).await?;
    Ok(Overview {
        running: count(Status::Assigned) + count(Status::Running),
        queued: count(Status::Pending) + count(Status::Queued),
        completed_7_days: week(Status::Completed),
        failed_7_days: week(Status::Failed) + week(Status::Rejected),
        balance: balance(&cx, &mut conn).await?,
        burn_rate_usd: queries::burn_rate(&mut conn, workspace).await?,
        spend: spend(&ends, today),
        recent,
        drafts: waiting
            .into_iter()
            .map(|draft| drafts::show(&cx, draft, None))
            .collect(),
        slots: cx.config().slots,
        slots_used: queries::slots_used(&mut conn).await?,
    })
}

fn spend(ends: &[Day], today: i64) -> Vec<wire_overview::Day> {
    let days = (today - (DAYS - 1)..=today).map(|day| wire_overview::Day {
        date: from_micros(day * DAY_MICROS).date().to_string(),
        usd: Usd::from_micros(
            ends.iter()
                .filter(|one| one.day == day)
                .map(|one| one.cost)
                .sum(),
        ),
    });
    days.collect()
}

async fn get_balance(cx: Cx, _: Call<GetBalance>) -> Result<Balance, Error> {
    balance(&cx, &mut *cx.store().read().await?).await
}

async fn balance(cx: &Cx, conn: &mut Conn) -> Result<Balance, Error> {
    let (has, spent) = queries::wallet(conn, cx.caller.workspace).await?;
    Ok(Balance {
        currency: "USD".into(),
        available_usd: has.available,
        held_usd: has.held,
        spent_usd: spent,
    })
}

async fn nodes(cx: Cx, _: Call<ListNodes>) -> Result<wire::List, Error> {
    let nodes = estimates::nodes(&cx).await?;
    let taken = occupied::by_node(&mut *cx.store().read().await?).await?;
    let config = cx.config();
    let nodes = nodes.into_iter().map(|node| wire::Node {
        slots_used: taken.get(&node.name).map_or(0, |taken| taken.slots),
        node_id: node.name.clone(),
        name: node.name,
        status: if node.up { "up" } else { "down" }.into(),
        engine: cx.engine().name().into(),
        cpus: node.cpus,
        memory_gb: estimates::gigabytes(node.memory_bytes),
        gpus: node
            .gpus
            .into_iter()
            .map(|gpu| wire::Gpu {
                family: gpu.family,
                memory_gb: estimates::gigabytes(gpu.memory_bytes),
            })
            .collect(),
        hourly_rate_usd: config.hourly_rate,
        slots: config.slots,
        images: if config.ignore_images {
            "ignored"
        } else {
            "host_only"
        }
        .into(),
        network: match config.network {
            Network::None => "none",
            Network::Host => "host",
        }
        .into(),
        protections: node
            .protections
            .into_iter()
            .map(|protection| wire::Protection {
                name: protection.name.into(),
                active: protection.active,
                detail: protection.detail,
            })
            .collect(),
    });
    Ok(wire::List {
        nodes: nodes.collect(),
    })
}
