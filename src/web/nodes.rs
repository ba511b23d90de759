//! The machines of this grid: what they are, what they cost, and which
//! protections around jobs are real there.
use super::shell::{self, Nav, Page};
use super::ui::{self, Kind, chart};
use super::viewer::Viewer;
use super::{Error, Portal};
use crate::api::nodes::{Gpu, Node, Protection};
use axum::Router;
use axum::routing::get;
use maud::{Markup, html};

pub(super) fn routes() -> Router<Portal> {
    Router::new().route("/portal/nodes", get(index))
}

async fn index(viewer: Viewer) -> Result<Page, Error> {
    let nodes = viewer.api.nodes().await?.nodes;
    let main = html! {
        div.head {
            div {
                h1 { "Nodes" }
                p { "The machines that run jobs, their rates, and how jobs are kept apart on each." }
            }
        }
        div.stack {
            @if nodes.is_empty() {
                section.card {
                    (ui::empty("No machine is connected", "Jobs wait in the queue until one is.", None))
                }
            }
            @for node in &nodes { (card(node)) }
        }
    };
    Ok(shell::page(&viewer, "Nodes", Nav::Nodes, main))
}

fn card(node: &Node) -> Markup {
    let heading = format!("node-{}", node.node_id);
    let free = node.slots.saturating_sub(node.slots_used);
    html! {
        section.card aria-labelledby=(heading) {
            header {
                div.row { span.mark aria-hidden="true" { (ui::icon("node")) } h2 #(heading) { (node.name) } }
                (state(node))
            }
                dl.dl.two.four {
                    div { dt { "Rate" } dd { (ui::money(node.hourly_rate_usd)) " per hour" } }
                    div { dt { "Engine" } dd { (node.engine) } }
                    div { dt { "Processors" } dd { (node.cpus) } }
                    div { dt { "Memory" } dd { (gigabytes(node.memory_gb)) } }
                    div { dt { "GPUs" } dd { (gpus(&node.gpus)) } }
                    div { dt { "Slots" } dd { (free) " of " (node.slots) " free" (chart::cells(free, node.slots)) } }
                    div { dt { "Images" } dd { (images(&node.images)) } }
                    div { dt { "Network" } dd { (network(&node.network)) } }
                }
        }
        (protections(node))
    }
}

fn state(node: &Node) -> Markup {
    match node.status.as_str() {
        "up" => ui::badge(Kind::Ok, "ok", "Up"),
        "down" => ui::badge(Kind::Bad, "x", "Down"),
        other => ui::badge(Kind::Wait, "wait", other),
    }
}

fn gpus(gpus: &[Gpu]) -> String {
    if gpus.is_empty() {
        return "None".to_owned();
    }
    let each = |gpu: &Gpu| format!("{}, {}", gpu.family, gigabytes(gpu.memory_gb));
    let mut counted: Vec<(String, usize)> = Vec::new();
    for name in gpus.iter().map(each) {
        match counted.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += 1,
            None => counted.push((name, 1)),
        }
    }
    let told: Vec<String> = counted
        .into_iter()
        .map(|(name, count)| format!("{count} × {name}"))
        .collect();
    told.join("; ")
}

fn gigabytes(amount: f64) -> String {
    let text = format!("{amount:.1}");
    format!("{} GB", text.strip_suffix(".0").unwrap_or(&text))
}

/// What becomes of a job's image there.
fn images(policy: &str) -> Markup {
    html! {
        @match policy {
            "pulled" => "Pulled, and run in containers",
            "host_only" => { "Only " code { "host" } ", the machine's own system" }
            "ignored" => "Not used: jobs run on the machine's own system",
            other => (other),
        }
    }
}

/// What jobs can reach from there.
fn network(policy: &str) -> &str {
    match policy {
        "none" => "Jobs have no network",
        "host" => "Jobs use the machine's network",
        other => other,
    }
}

fn protections(node: &Node) -> Markup {
    let heading = format!("protections-{}", node.node_id);
    let missing = node.protections.iter().filter(|p| !p.active).count();
    html! {
        @if !node.protections.is_empty() {
            section.card.flush {
                header {
                    h2 #(heading) { "Protections on " (node.name) }
                    @match missing {
                        0 => { span.small.mute { "Every one is active" } }
                        1 => { span.small.mute { "One is missing" } }
                        count => { span.small.mute { (count) " are missing" } }
                    }
                }
                div.scroll role="region" aria-labelledby=(heading) tabindex="0" {
                    table.tbl {
                        thead { tr { th scope="col" { "Protection" } th scope="col" { "State" } } }
                        tbody { @for protection in &node.protections { (protection_row(protection)) } }
                    }
                }
            }
        }
    }
}

fn protection_row(protection: &Protection) -> Markup {
    html! {
        tr {
            th.long scope="row" { (protection.name) p.small.mute { (protection.detail) } }
            td {
                @if protection.active { (ui::badge(Kind::Ok, "ok", "Active")) }
                @else { (ui::badge(Kind::Warn, "warn", "Missing")) }
            }
        }
    }
}
