//! `/portal/templates/{slug}`: what a template is and needs, and its launch.
use super::{price, rows, settings, words};
use crate::api::apps::Session;
use crate::api::templates::{Choices, Estimate, Template, Volume};
use crate::client::Client;
use crate::domain::id::AppSessionId;
use crate::domain::template::settings::Given;
use crate::web::Error;
use crate::web::hx::{Fragment, Wants};
use crate::web::jobs::text;
use crate::web::shell::{self, Nav};
use crate::web::ui::{self, form, form::Field, form::Wrong};
use crate::web::viewer::Viewer;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Query;
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;

/// What the launch form holds, as typed.
#[derive(Debug, Clone, Default)]
pub(super) struct Typed {
    pub(super) max_hours: String,
    pub(super) idle_minutes: String,
    pub(super) max_usd: String,
    pub(super) ack: Option<String>,
    /// `launch`, or anything for the price.
    pub(super) action: String,
    /// Makes a launch that is sent twice happen once.
    pub(super) key: String,
    /// The session that is launched again.
    pub(super) again: String,
    /// By the name of the variable.
    pub(super) settings: Given,
}

impl Typed {
    /// Of the fields that were sent; others mean nothing.
    pub(super) fn read(fields: Vec<(String, String)>) -> Self {
        let mut typed = Self::default();
        for (name, value) in fields {
            match name.as_str() {
                "max_hours" => typed.max_hours = value,
                "idle_minutes" => typed.idle_minutes = value,
                "max_usd" => typed.max_usd = value,
                "ack" => typed.ack = Some(value),
                "do" => typed.action = value,
                "key" => typed.key = value,
                "again" => typed.again = value,
                name => {
                    if let Some(name) = name.strip_prefix(settings::FIELD) {
                        // What is pasted often has an end of line behind it.
                        let value = value.trim().to_owned();
                        typed.settings.insert(name.to_owned(), value.into());
                    }
                }
            }
        }
        typed
    }

    /// What the API would choose by itself.
    pub(super) fn proposed(template: &Template) -> Self {
        Self::of(&Choices {
            max_hours: Some(template.usual_hours),
            idle_minutes: Some(template.idle_stop_minutes),
            max_usd: None,
        })
    }

    pub(super) fn of(choices: &Choices) -> Self {
        let dollars = |usd: ui::Usd| usd.to_string().trim_start_matches('$').to_owned();
        Self {
            max_hours: words::number(choices.max_hours.unwrap_or(4.0)),
            idle_minutes: choices.idle_minutes.unwrap_or_default().to_string(),
            max_usd: choices.max_usd.map(dollars).unwrap_or_default(),
            ..Self::default()
        }
    }

    pub(super) fn choices(&self) -> Result<Choices, Wrong> {
        let mut wrong = Wrong::default();
        let said = |text: &str| {
            let text = text.trim().replace(',', ".");
            (!text.is_empty()).then_some(text)
        };
        let hours: Option<f64> = said(&self.max_hours).and_then(|text| text.parse().ok());
        let hours = hours.filter(|hours| hours.is_finite() && *hours > 0.0);
        if hours.is_none() {
            wrong.add("max_hours", "Enter a number of hours, such as 4 or 0.5.");
        }
        let idle = said(&self.idle_minutes).map(|text| text.parse());
        if matches!(idle, Some(Err(_))) {
            wrong.add("idle_minutes", "Enter whole minutes, or 0 for never.");
        }
        let most = said(&self.max_usd).map(|text| text.parse());
        if matches!(most, Some(Err(_))) {
            wrong.add("max_usd", "Enter an amount in dollars, such as 2.50.");
        }
        if !wrong.is_nothing() {
            return Err(wrong);
        }
        Ok(Choices {
            max_hours: hours,
            idle_minutes: idle.and_then(Result::ok),
            max_usd: most.and_then(Result::ok),
        })
    }
}

/// Everything that the page shows.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) template: &'a Template,
    pub(super) typed: Typed,
    /// The session that is launched again.
    pub(super) again: Option<&'a Session>,
    pub(super) estimate: Option<Estimate>,
    pub(super) wrong: Wrong,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    /// A session whose choices are proposed again, with their price.
    again: Option<String>,
}

pub(super) async fn show(
    wants: Wants,
    viewer: Viewer,
    Path(slug): Path<String>,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let template = viewer.api.template(&slug).await?;
    let possible = template.launchable && template.active_session.is_none();
    let again = match asked.again.filter(|_| possible) {
        Some(id) => earlier(&viewer.api, &id, &slug).await?,
        None => None,
    };
    let mut view = View {
        template: &template,
        typed: Typed::proposed(&template),
        again: again.as_ref(),
        estimate: None,
        wrong: Wrong::default(),
    };
    if let Some(before) = &again {
        view.typed = Typed::of(&before.launch_choices);
        match estimate(&viewer.api, &slug, &before.launch_choices).await? {
            Ok(found) => view.estimate = Some(found),
            Err(wrong) => view.wrong = wrong,
        }
    }
    Ok(draw(wants, &viewer, &view))
}

/// The session with this id, if it is one of the template.
pub(super) async fn earlier(api: &Client, id: &str, slug: &str) -> Result<Option<Session>, Error> {
    let Ok(id) = id.parse::<AppSessionId>() else {
        return Ok(None);
    };
    let found = api.app(id).await?;
    Ok((found.template == slug).then_some(found))
}

pub(super) async fn estimate(
    api: &Client,
    slug: &str,
    choices: &Choices,
) -> Result<Result<Estimate, Wrong>, Error> {
    match api.estimate_template(slug, choices).await {
        Ok(estimate) => Ok(Ok(estimate)),
        Err(error) => Wrong::of(error).map(Err),
    }
}

pub(super) fn draw(wants: Wants, viewer: &Viewer, view: &View) -> Response {
    let status = if view.wrong.is_nothing() {
        StatusCode::OK
    } else {
        view.wrong.status
    };
    let launch = launch(view);
    match wants {
        Wants::Page => {
            let title = text::visible(&view.template.name);
            let main = page(view.template, launch);
            (status, shell::page(viewer, &title, Nav::Templates, main)).into_response()
        }
        Wants::Fragment => (status, Fragment(launch)).into_response(),
    }
}

fn page(template: &Template, launch: Markup) -> Markup {
    let sessions = format!("{}?template={}", super::SESSIONS, template.slug);
    html! {
        div.head {
            div {
                p.crumbs { a href=(super::CATALOGUE) { "Templates" } }
                div.row {
                    span.mark aria-hidden="true" hx-ignore { (words::fit(&template.mark, 8)) }
                    h1 hx-ignore { (text::visible(&template.name)) }
                }
                p hx-ignore { (text::visible(&template.summary)) }
            }
            a.btn href=(sessions) { "Past sessions" }
        }
        (launch)
        div.cols.wide.mt {
            div.stack { (needs(template)) (licence(template)) }
            div.stack { (services(template)) (volumes(template)) }
        }
    }
}

/// What the form swaps: the choices and their price, or why there are none.
fn launch(view: &View) -> Markup {
    let template = view.template;
    html! {
        section #launch aria-label="Launch" {
            @if let Some(active) = template.active_session {
                (view.wrong.summary(&[]))
                (ui::note(ui::Kind::Run, html! {
                    p { a.strong href=(super::path(active)) { "A session of it is active" } }
                    p { "One session of a template runs at a time. Open it, or stop it to launch another." }
                }))
            } @else if !template.launchable {
                (view.wrong.summary(&[]))
                (ui::note(ui::Kind::Warn, html! { p.strong { "It cannot be launched here" } }))
                div.stack.half { (words::checks(&template.checks)) }
            } @else {
                (form(view))
            }
        }
    }
}

fn form(view: &View) -> Markup {
    let action = super::template_path(&view.template.slug);
    let (typed, wrong) = (&view.typed, &view.wrong);
    // Whoever asks for the price is led to what has appeared, which may be out of sight.
    let asked = typed.action == "price" && view.estimate.is_some() && wrong.is_nothing();
    let most = words::number(view.template.longest_hours);
    let longest = format!("Counted from when it is ready. At most {most}.");
    html! {
        form method="post" action=(action) hx-post=(action) hx-target="#launch" hx-swap="outerMorph"
            hx-trigger="submit, change from:#choices" hx-sync="this:replace" novalidate {
            (form::hidden("key", &crate::random::token("")))
            @if let Some(again) = view.again { (form::hidden("again", &again.id.to_string())) }
            div.cols.wide {
                div.stack {
                    div.card.stack {
                        div { h2 { "When should it stop?" } p.small.mute { "Whichever comes first. It can be stopped and extended at any time." }
                            @if let Some(again) = view.again { p.small.mute { "As it was chosen for " a href=(super::path(again.id)) { "session " (rows::short(&again.id.to_string())) } "." } }
                        }
                        // Who goes from field to field goes on, and is told.
                        (wrong.said(&settings::labels(view.template), !typed.action.is_empty()))
                        div.grid #choices {
                            (Field::new("max_hours", "After hours").value(&typed.max_hours).inputmode("decimal").required()
                                .hint(&longest).wrong(wrong).input())
                            (Field::new("idle_minutes", "After minutes without use").value(&typed.idle_minutes).inputmode("numeric")
                                .hint("0 for never.").wrong(wrong).input())
                            (Field::new("max_usd", "When it has cost, in dollars").value(&typed.max_usd).inputmode("decimal").wrong(wrong).input())
                        }
                        div.row {
                            button.btn.pri[view.estimate.is_none()] name="do" value="price" formnovalidate { "See the price" }
                        }
                    }
                    (settings::card(view, asked))
                }
                (price::card(view.estimate.as_ref(), view.template.hourly_rate_usd, wrong, asked && view.template.settings.is_empty()))
            }
        }
    }
}

fn services(template: &Template) -> Markup {
    html! {
        section.card aria-labelledby="services-h" {
            header { h2 #services-h { "Services" } }
            ul.stack.gap-s hx-ignore {
                @for service in &template.services {
                    li.row { span.strong { (text::visible(&service.label)) } @if service.primary { span.tag { "primary" } } span.push.mute.small { (words::place(service)) } }
                }
            }
            p.small.mute.half { "Each gets an address of its own that only signed-in members of your workspace can open." }
        }
    }
}

fn needs(template: &Template) -> Markup {
    let gb = |value: f64| format!("{} GB", words::number(value));
    html! {
        section.card aria-labelledby="needs-h" {
            header { h2 #needs-h { "Needs" } }
            dl.dl {
                dt { "GPU" }
                dd {
                    @if template.min_vram_gb > 0.0 {
                        (gb(template.min_vram_gb)) " VRAM"
                        @if template.recommended_vram_gb > template.min_vram_gb { ", better " (gb(template.recommended_vram_gb)) }
                    } @else { "None" }
                }
                @if template.cpus > 0 || template.memory_gb > 0.0 { dt { "CPU" } dd { (words::processors(template.cpus, template.memory_gb)) } }
                @if template.disk_gb > 0.0 { dt { "Disk" } dd { (gb(template.disk_gb)) } }
                dt { "Starts in" } dd { (words::about(template.usual_start)) span.mute { ", " (words::source(template.usual_start)) } }
                dt { "Price" } dd { (template.hourly_rate_usd) " per hour" }
                @if !template.launchable && !template.settings.is_empty() { dt { "Asks for" } dd hx-ignore { (settings::asked_for(template)) } }
                dt { "On a phone" } dd { @if template.mobile { "Comfortable" } @else { "Made for larger screens" } }
            }
        }
    }
}

fn volumes(template: &Template) -> Markup {
    let (kept, lost): (Vec<_>, Vec<_>) = template.volumes.iter().partition(|one| one.persist);
    let files = |volume: &Volume| {
        html! {
            p { "Files in " span.mono { (text::visible(&volume.mount)) } @if volume.min_gb > 0.0 { span.mute { ", at least " (words::number(volume.min_gb)) " GB" } } }
        }
    };
    html! {
        section.card aria-labelledby="kept-h" {
            header { h2 #kept-h { "When it stops" } }
            dl.dl {
                dt { "Kept" }
                dd hx-ignore {
                    @if kept.is_empty() { "Nothing: this app has no volume that stays." }
                    @for volume in kept { (files(volume)) }
                }
                dt { "Lost" }
                dd hx-ignore {
                    @for volume in lost { (files(volume)) }
                    p { "Everything else, and what runs." }
                }
            }
        }
    }
}

fn licence(template: &Template) -> Markup {
    let source = url::Url::parse(&template.source_url).ok();
    let source = source.filter(|url| matches!(url.scheme(), "http" | "https"));
    html! {
        section.card aria-labelledby="licence-h" {
            header { h2 #licence-h { "Licence and notes" } }
            dl.dl hx-ignore {
                dt { "Licence" } dd { (text::visible(&template.licence_spdx)) @if !template.licence_note.is_empty() { p.small.mute { (text::visible(&template.licence_note)) } } }
                @if let Some(source) = source {
                    dt { "Source" } dd { a href=(source) rel="noreferrer" { (source.host_str().unwrap_or("source")) (source.path().trim_end_matches('/')) } }
                }
                dt { "Template" } dd { "version " (text::visible(&template.version)) }
                dt { "Image" } dd { @if template.image == "host" { "This machine's own system" } @else { span.mono { (text::visible(&template.image)) } } @if template.image_size_gb > 0.0 { span.mute { ", " (words::number(template.image_size_gb)) " GB" } } }
            }
            @for note in &template.notes { p.small.half hx-ignore { (text::visible(note)) } }
        }
    }
}
