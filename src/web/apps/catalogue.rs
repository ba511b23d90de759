//! `/portal/templates`: what runs, what can be launched, and what ran before.
use super::history::Asked;
use super::{failed, history, rows, words};
use crate::api::apps::{Filter, Session};
use crate::api::templates::Template;
use crate::client::{self, Error as Refused};
use crate::domain::app::Phase;
use crate::web::Error;
use crate::web::error::UNREACHABLE;
use crate::web::jobs::text;
use crate::web::shell::{self, Nav};
use crate::web::ui;
use crate::web::viewer::Viewer;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::{Markup, html};

pub(super) async fn index(viewer: Viewer) -> Result<Response, Error> {
    let asked = Asked::past();
    let not_ended = Filter {
        status: Some("active".into()),
        ..Filter::default()
    };
    // One list that cannot be had does not take the others with it.
    let templates = told(viewer.api.templates().await)?;
    let active = told(viewer.api.apps(&not_ended).await)?;
    let past = told(viewer.api.apps(&asked.filter()).await)?;
    let main = html! {
        (crate::web::logs::colors())
        div.head { div { h1 { "Templates" } p { "Apps that start here and open in your browser." } } }
        @if let Ok(list) = &active { (running(&list.app_sessions)) }
        section.mt aria-labelledby="catalogue-h" {
            h2.vh #catalogue-h { "Catalogue" }
            @match &templates {
                Ok(list) => div.grid {
                    @for template in &list.templates { (card(template)) }
                    (custom())
                },
                Err(why) => { (trouble("The catalogue could not be loaded", why)) div.grid { (custom()) } }
            }
        }
        section.card.flush.mt {
            header { h2 #past-h { "Past sessions" } a href=(super::SESSIONS) { "All sessions" } }
            @match &past {
                Ok(list) => {
                    @if list.app_sessions.is_empty() { p.empty { "Sessions that have ended are listed here." } }
                    @else { (history::table(&list.app_sessions, viewer.now, "past-h", &asked, None)) (history::pager(&asked.query(), "", list)) }
                }
                Err(why) => (trouble("The sessions could not be loaded", why)),
            }
        }
    };
    Ok(shell::page(&viewer, "Templates", Nav::Templates, main).into_response())
}

/// What an API call brought, or why it brought nothing, in words.
pub(in crate::web) fn told<T>(found: Result<T, client::Error>) -> Result<Result<T, String>, Error> {
    match found {
        Ok(found) => Ok(Ok(found)),
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => Err(error.into()),
        Err(Refused::Refused { status, problem }) if status.is_client_error() => {
            Ok(Err(problem.message))
        }
        Err(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "orchestrator call failed"
            );
            Ok(Err(UNREACHABLE.to_owned()))
        }
    }
}

pub(super) fn trouble(title: &str, why: &str) -> Markup {
    html! {
        (ui::empty(title, why, Some((super::CATALOGUE, "Try again"))))
    }
}

/// A note per session that has not ended.
fn running(sessions: &[Session]) -> Markup {
    html! {
        @if !sessions.is_empty() {
            section.stack.gap-s aria-labelledby="active-h" {
                h2.vh #active-h { "Active sessions" }
                @for session in sessions { (active(session)) }
            }
        }
    }
}

fn active(session: &Session) -> Markup {
    let ready = session.status == Phase::Running;
    html! {
        div.note.(if ready { "is-ok" } else { "is-run" }) {
            (ui::icon(if ready { "ok" } else { "run" }))
            p hx-ignore {
                a.strong href=(super::path(session.id)) {
                    (words::name(session)) @if ready { " is ready" } @else { ": " (words::heading(session.status).to_lowercase()) }
                }
                @if !session.awaited.is_empty() { ". " (words::fit(&session.awaited, 200)) }
            }
            p.small.mute {
                @if let Some(node) = &session.node { span hx-ignore { (text::visible(node)) } ", " }
                (session.hourly_rate_usd) " per hour, " (session.cost_usd) " so far"
                @if let Some(at) = session.stops_at { ", stops at " (words::minute(at)) }
            }
        }
    }
}

fn card(template: &Template) -> Markup {
    let services: Vec<String> = template
        .services
        .iter()
        .map(|service| text::visible(&service.label))
        .collect();
    let why = template.checks.iter().find(|check| check.is_blocked());
    html! {
        article.card.app-card {
            div.row {
                span.mark aria-hidden="true" hx-ignore { (words::fit(&template.mark, 8)) }
                h3 hx-ignore { a href=(super::template_path(&template.slug)) { (text::visible(&template.name)) } }
                @if template.active_session.is_some() { span.push { (ui::badge(ui::Kind::Run, "run", "1 active")) } }
                @else if !template.launchable { span.push { (ui::badge(ui::Kind::Wait, "dash", "Not here")) } }
            }
            div.small.mute hx-ignore {
                p { (text::visible(&template.summary)) }
                p { @if services.len() == 1 { "Service: " } @else { "Services: " } (services.join(", ")) }
                p.half { "Starts in " (words::about(template.usual_start)) ", " (words::source(template.usual_start)) "." }
                @if !template.launchable && let Some(why) = why {
                    p.half { (text::visible(&why.message)) @if let Some(action) = &why.action { " " (text::visible(action)) } }
                }
            }
            div.row.gap-s {
                @if template.min_vram_gb > 0.0 { span.tag { (words::number(template.min_vram_gb)) " GB VRAM" } } @else { span.tag { "No GPU" } }
                @if template.disk_gb > 0.0 { span.tag { (words::number(template.disk_gb)) " GB disk" } }
                span.tag { (template.hourly_rate_usd) " per h" }
                span.tag hx-ignore { (words::fit(&template.licence_spdx, 60)) }
                @if template.mobile { span.tag { "Phone" } }
            }
        }
    }
}

/// For what no template does.
fn custom() -> Markup {
    html! {
        article.card.app-card {
            div.row { span.mark aria-hidden="true" { "+" } h3 { a href="/portal/submit" { "Custom job" } } }
            p.small.mute { "Bring a command or a container image and describe the work." }
            div.row.gap-s { span.tag { "Any resources" } span.tag { "Submit wizard" } }
        }
    }
}

/// A session in a table of them: two rows, if it failed.
pub(super) fn row(session: &Session, now: time::OffsetDateTime, asked: &Asked) -> Markup {
    let runtime = rows::runs_for(session, now);
    html! {
        tr {
            th scope="row" { a href=(super::path(session.id)) { span.mono { (rows::short(&session.id.to_string())) } small { "launched " (ui::time(session.created_at, now)) } } }
            td { (words::badge(session.status)) }
            td.num { @match runtime { Some(seconds) => (ui::duration(seconds)), None => {} } }
            td.num { (session.cost_usd) }
            td { @match session.ended_at { Some(at) => (ui::time(at, now)), None => {} } }
            td.small hx-ignore {
                @match &session.end {
                    Some(end) => {
                        (words::ended(session))
                        @if session.status == Phase::Failed { (failed::at(session, end)) }
                    },
                    None => (words::fit(&session.status_message, 60)),
                }
            }
        }
        @if session.status == Phase::Failed && let Some(end) = &session.end { (failed::row(session, end, asked)) }
    }
}
