//! The dashboard, the wallet and the machines.
use super::jobs::view;
use super::route::{Call, Cx, on, public};
use super::{Error, State, drafts, estimates};
use crate::api::nodes as wire;
use crate::api::overview::{Balance, Day, Health, Overview};
use crate::api::{GetBalance, GetHealth, GetOverview, ListNodes};
use crate::clock::{from_micros, micros};
use crate::domain::job::Status;
use crate::domain::money::Usd;
use crate::engine::Network;
use crate::store::jobs::queries::{self, Filter};
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
    let counts = queries::counts(&mut conn, workspace, now - time::Duration::days(7)).await?;
    let count = |status: Status| {
        counts
            .iter()
            .find(|(name, _)| name == status.name())
            .map_or(0, |(_, count)| *count)
    };
    let newest = Filter {
        limit: 6,
        ..Filter::default()
    };
    let recent = queries::list(&mut conn, workspace, &newest).await?;
    let recent = recent.into_iter().map(|job| view::job(job, None, now));
    let mut recent: Vec<_> = recent.collect();
    view::with_collections(&mut conn, &mut recent).await?;
    let waiting = store::drafts::waiting(&mut conn, workspace, now, 3).await?;
    Ok(Overview {
        running: count(Status::Assigned) + count(Status::Running),
        queued: count(Status::Pending) + count(Status::Queued),
        completed_7_days: count(Status::Completed),
        failed_7_days: count(Status::Failed) + count(Status::Rejected),
        balance: balance(&cx, &mut conn).await?,
        burn_rate_usd: queries::burn_rate(&mut conn, workspace).await?,
        spend: spend(&cx, &mut conn).await?,
        recent,
        drafts: waiting
            .into_iter()
            .map(|draft| drafts::show(&cx, draft, None))
            .collect(),
        slots: cx.config().slots,
        slots_used: queries::slots_used(&mut conn).await?,
    })
}

async fn spend(cx: &Cx, conn: &mut Conn) -> Result<Vec<Day>, Error> {
    let first = micros(cx.now()) / DAY_MICROS - (DAYS - 1);
    let since = from_micros(first * DAY_MICROS);
    let paid = queries::spend_by_day(conn, cx.caller.workspace, since).await?;
    let days = (first..first + DAYS).map(|day| Day {
        date: from_micros(day * DAY_MICROS).date().to_string(),
        usd: paid
            .iter()
            .find(|(on, _)| *on == day)
            .map_or(Usd::ZERO, |(_, usd)| *usd),
    });
    Ok(days.collect())
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
    let used = queries::slots_used(&mut *cx.store().read().await?).await?;
    let config = cx.config();
    let nodes = nodes.into_iter().map(|node| wire::Node {
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
        slots_used: used,
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
