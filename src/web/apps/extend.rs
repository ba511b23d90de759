//! More time for a session: the price first, then the yes to it.
use super::Which;
use super::price;
use super::words::{self, minute};
use crate::api::apps::{Extend, Extension, Session};
use crate::domain::app::Phase;
use crate::domain::estimate::said;
use crate::web::hx::{self, Wants};
use crate::web::shell::{self, Nav};
use crate::web::ui::{self, form, form::Field, form::Wrong};
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::{Form, Query};
use http::StatusCode;
use maud::{Markup, html};
use serde::Deserialize;
use tower_cookies::Cookies;

/// What the address or the form says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    minutes: Option<String>,
    hours: Option<String>,
    ack: Option<String>,
}

impl Asked {
    /// The minutes that are wanted, if they are said at all.
    fn minutes(&self) -> Option<Result<u32, &'static str>> {
        const WRONG: &str = "Enter a number of hours, such as 2 or 0.5.";
        let said = |text: &Option<String>| {
            let text = text.as_deref().map(str::trim);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        if let Some(minutes) = said(&self.minutes) {
            return Some(minutes.parse().map_err(|_| WRONG));
        }
        let hours: Result<f64, _> = said(&self.hours)?.replace(',', ".").parse();
        Some(match hours {
            Ok(hours) if hours.is_finite() && hours > 0.0 => {
                u32::try_from(words::minutes(hours)).map_err(|_| WRONG)
            }
            _ => Err(WRONG),
        })
    }
}

/// The question how long, and, once that is known, what it costs.
pub(super) async fn ask(
    viewer: Viewer,
    Which(id): Which,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let session = viewer.api.app(id).await?;
    if session.status != Phase::Running {
        return Ok(hx::redirect(Wants::Page, &super::path(id)));
    }
    let mut wrong = Wrong::default();
    let mut offer = None;
    match asked.minutes() {
        None => {}
        Some(Err(why)) => wrong.add("hours", why),
        Some(Ok(minutes)) => match viewer.api.extend_app(id, &body(minutes, None)).await {
            Ok(found) => offer = Some(found),
            Err(error) => wrong = of(error)?,
        },
    }
    Ok(draw(&viewer, &session, &asked, offer.as_ref(), &wrong))
}

fn body(minutes: u32, ack: Option<&str>) -> Extend {
    Extend {
        minutes,
        acknowledged_estimate: ack.and_then(|ack| ack.parse().ok()),
    }
}

/// The API speaks of minutes, the form of hours.
fn of(error: crate::client::Error) -> Result<Wrong, Error> {
    let mut wrong = Wrong::of(error)?;
    if let Some(why) = wrong.fields.remove("minutes") {
        wrong.fields.insert("hours".into(), why);
    }
    Ok(wrong)
}

/// Carries it out if the price has been seen.
pub(super) async fn extend(
    viewer: Viewer,
    State(portal): State<Portal>,
    cookies: Cookies,
    Which(id): Which,
    Form(asked): Form<Asked>,
) -> Result<Response, Error> {
    let Some(Ok(minutes)) = asked.minutes() else {
        let path = format!("{}/extend", super::path(id));
        return Ok(hx::redirect(Wants::Page, &path));
    };
    let mut wrong = Wrong::default();
    if asked.ack.is_none() {
        wrong.add("ack", "Confirm that you have read the price.");
    } else {
        let body = body(minutes, asked.ack.as_deref());
        match viewer.api.extend_app(id, &body).await {
            Ok(done) if done.applied => {
                let said = format!("Extended. It now stops at {}.", minute(done.stops_at));
                portal.config.say(&cookies, &said);
                return Ok(hx::redirect(Wants::Page, &super::path(id)));
            }
            Ok(_) => wrong.add(
                "ack",
                "The price has changed. Confirm the one that is shown now.",
            ),
            Err(error) => {
                wrong = of(error)?;
                // A price that no longer holds is told by the check box.
                if matches!(wrong.status, StatusCode::CONFLICT | StatusCode::GONE)
                    && let Some(message) = wrong.message.take()
                {
                    let status = wrong.status;
                    wrong.add("ack", message);
                    wrong.status = status;
                }
            }
        }
    }
    let session = viewer.api.app(id).await?;
    if session.status != Phase::Running {
        return Ok(hx::redirect(Wants::Page, &super::path(id)));
    }
    let offer = viewer.api.extend_app(id, &body(minutes, None)).await.ok();
    Ok(draw(&viewer, &session, &asked, offer.as_ref(), &wrong))
}

fn draw(
    viewer: &Viewer,
    session: &Session,
    asked: &Asked,
    offer: Option<&Extension>,
    wrong: &Wrong,
) -> Response {
    let action = format!("{}/extend", super::path(session.id));
    let hours = match (&asked.hours, offer) {
        (Some(typed), _) => typed.clone(),
        (None, Some(offer)) => words::number(f64::from(offer.minutes) / 60.0),
        (None, None) => String::new(),
    };
    let main = html! {
        div.head {
            div {
                p.crumbs { a href=(super::path(session.id)) { bdi hx-ignore { (words::name(session)) } } }
                h1 { "Extend the session" }
                @if let Some(at) = session.stops_at { p { "It stops at " (minute(at)) " unless it is extended." } }
            }
        }
        div.cols {
            section.card {
                form.stack method="get" action=(action) {
                    (wrong.summary(&["hours", "ack"]))
                    (Field::new("hours", "Hours to add").value(&hours).inputmode("decimal").required()
                        .hint("A quarter of an hour to a day.").wrong(wrong).input())
                    div.row {
                        button.btn.pri[offer.is_none()] { "See the price" }
                        a.btn href={ (action) "?minutes=60" } { "+1 h" }
                        a.btn href={ (action) "?minutes=240" } { "+4 h" }
                    }
                }
            }
            @if let Some(offer) = offer { (offered(&action, offer, wrong)) }
        }
    };
    let status = if wrong.is_nothing() {
        StatusCode::OK
    } else {
        wrong.status
    };
    let title = format!("Extend {}", words::name(session));
    (status, shell::page(viewer, &title, Nav::Templates, main)).into_response()
}

fn offered(action: &str, offer: &Extension, wrong: &Wrong) -> Markup {
    let ack = offer.estimate_id.to_string();
    let covered = offer.hold_usd <= offer.available_usd;
    html! {
        form.card.est method="post" action=(action) aria-labelledby="est-h" {
            header {
                h2 #est-h { "At most, for " (said(i64::from(offer.minutes) * 60)) }
                p.big { (offer.hold_usd) }
                span.small.full { (offer.hourly_rate_usd) " per hour, set aside now" }
            }
            div {
                dl.dl.two {
                    div { dt { "Stops at" } dd { (minute(offer.stops_at)) } }
                    div { dt { "Your balance" } dd { (ui::balance(offer.available_usd)) } }
                }
                @if !covered { (price::too_little(offer.available_usd, offer.hourly_rate_usd, false)) }
            }
            @if covered {
                div {
                    (form::hidden("minutes", &offer.minutes.to_string()))
                    (form::checkbox("ack", &ack, false, html! { "I have read this price." }, wrong))
                    button.btn.pri.wide { "Extend the session" }
                }
            }
        }
    }
}
