//! The progress page of a session, around the rows that change.
use super::{feed, output, rows, settings, words};
use crate::api::apps::{Change, Session};
use crate::domain::app::Phase;
use crate::web::jobs::text;
use crate::web::live::{self, Mark};
use crate::web::ui;
use maud::{Markup, html};
use time::OffsetDateTime;

pub(super) fn title(session: &Session) -> String {
    format!(
        "{}: {}",
        words::heading(session.status),
        words::name(session)
    )
}

/// What a page that shows `change` has seen.
pub(super) fn seen(change: &Change) -> Mark {
    Mark {
        event: change.events.last().map_or(0, |event| event.sequence),
        log: change.lines.last().map_or(0, |line| line.entry_id),
    }
}

pub(super) fn page(change: &Change, now: OffsetDateTime) -> Markup {
    let session = &change.session;
    let active = !session.status.ended();
    let refresh = if session.status == Phase::Running {
        "30"
    } else {
        "5"
    };
    html! {
        (crate::web::logs::colors())
        @if active { noscript { meta http-equiv="refresh" content=(refresh); } }
        (head(session))
        p.vh #say role="status" aria-live="polite" {}
        div.cols {
            div.stack {
                (rows::note(session, now))
                (output::last(session))
                section.card aria-labelledby="steps-h" {
                    header { h2 #steps-h { "Launch progress" } (rows::why(session)) }
                    (rows::steps(session))
                }
                (output::activity(&change.events))
                (output::tail(session, &change.lines))
            }
            div.stack { (cost(session, now)) (services(session)) (resources(session)) (keeps(session)) }
        }
        @if active {
            form #open method="post" action={ (super::path(session.id)) "/open" } target="_blank" rel="noopener" {}
            (stop_dialog(session))
            (connection(session, seen(change)))
        }
    }
}

/// One connection, and what asks in its stead while it says nothing.
pub(super) fn connection(session: &Session, seen: Mark) -> Markup {
    html! { (stream(session, seen)) (poll(session, seen)) }
}

fn stream(session: &Session, seen: Mark) -> Markup {
    live::connection(feed::ID, &format!("{}/live", super::path(session.id)), seen)
}

fn poll(session: &Session, seen: Mark) -> Markup {
    html! {
        div #poll hidden data-poll hx-get={ (super::path(session.id)) "/poll?after=" (seen) } hx-trigger="poll" hx-swap="none" {}
    }
}

/// The same again, for a page that has asked.
pub(super) fn connection_again(session: &Session, seen: Mark) -> Markup {
    html! {
        (live::partial("#feed", "outerHTML", stream(session, seen)))
        (live::partial("#poll", "outerHTML", poll(session, seen)))
    }
}

fn head(session: &Session) -> Markup {
    html! {
        div.head {
            div {
                p.crumbs { a href=(super::CATALOGUE) { "Templates" } " / " a href=(super::template_path(&session.template)) { bdi { (words::name(session)) } } }
                div.row {
                    h1 hx-ignore { (words::name(session)) }
                    (rows::state(session))
                    @if !session.status.ended() {
                        span.live #live { noscript { "Refreshes by itself" } }
                    }
                }
                p {
                    "Session " span.mono { (rows::short(&session.id.to_string())) } ", launched " (ui::exact(session.created_at))
                    @if !session.status.ended() {
                        noscript { ". " a href={ (super::path(session.id)) "/watch" } { "Watch it without reloading" } }
                    }
                }
            }
            (rows::halt(session))
            (rows::go(session))
        }
    }
}

/// Asks whether to stop; works without scripts.
fn stop_dialog(session: &Session) -> Markup {
    html! {
        dialog #stop popover aria-labelledby="stop-h" {
            (stop_form(session, html! {
                button.btn type="button" commandfor="stop" command="close"
                    popovertarget="stop" popovertargetaction="hide" { "Keep it running" }
            }))
        }
    }
}

/// The same question as a page of its own.
pub(super) fn stop_form(session: &Session, otherwise: Markup) -> Markup {
    html! {
        form.stack method="post" action={ (super::path(session.id)) "/stop" } {
            h2 #stop-h { "Stop " bdi hx-ignore { (words::name(session)) } "?" }
            p {
                @if session.billed_from.is_some() {
                    "The app is closed for everyone who uses it, and billing stops."
                } @else {
                    "It is not ready yet, so nothing is charged."
                }
            }
            (kept_and_lost(session))
            div.row.end { (otherwise) button.btn.bad { "Stop session" } }
        }
    }
}

fn cost(session: &Session, now: OffsetDateTime) -> Markup {
    html! {
        section.card aria-labelledby="cost-h" {
            header { h2 #cost-h { "Cost" } }
            dl.dl.two { (rows::cost(session)) (rows::runtime(session, now)) (rows::rate(session)) (rows::auto_stop(session)) }
            div.half { (rows::extend(session)) }
        }
    }
}

fn services(session: &Session) -> Markup {
    html! {
        section.card.flush {
            header { h2 #services-h { "Services" } }
            div.scroll role="region" aria-labelledby="services-h" tabindex="0" {
                table.tbl {
                    thead { tr { th scope="col" { "Service" } th scope="col" { "State" } } }
                    (rows::services(session))
                }
            }
        }
    }
}

fn resources(session: &Session) -> Markup {
    let gb = words::number;
    html! {
        section.card aria-labelledby="needs-h" {
            header { h2 #needs-h { "Resources" } }
            dl.dl {
                @if session.cpus > 0 || session.memory_gb > 0.0 { dt { "CPU" } dd { (words::processors(session.cpus, session.memory_gb)) } }
                @if session.min_vram_gb > 0.0 { dt { "GPU" } dd { (gb(session.min_vram_gb)) " GB VRAM or more" } }
                @if session.disk_gb > 0.0 { dt { "Disk" } dd { (gb(session.disk_gb)) " GB" } }
                @if let Some(node) = &session.node { dt { "Machine" } dd hx-ignore { (text::visible(node)) } }
                dt { "Image" }
                dd hx-ignore { @if session.image == "host" { "This machine's own system" } @else { span.mono { (text::visible(&session.image)) } } }
                dt { "Template" } dd { "version " (text::visible(&session.template_version)) }
                dt { "Job" } (rows::job(session))
                (settings::given(session))
            }
        }
    }
}

fn keeps(session: &Session) -> Markup {
    html! {
        section.card aria-labelledby="kept-h" {
            header { h2 #kept-h { "What is kept" } }
            (kept_and_lost(session))
        }
    }
}

fn kept_and_lost(session: &Session) -> Markup {
    html! {
        dl.dl hx-ignore {
            @if !session.kept.is_empty() { dt { "Kept" } dd { @for what in &session.kept { p { (text::visible(what)) } } } }
            @if !session.lost.is_empty() { dt { "Lost" } dd { @for what in &session.lost { p { (text::visible(what)) } } } }
        }
    }
}
