//! What the form of a template's page sends: asks for the price, or launches.
use super::settings;
use super::template::{self, Typed, View};
use crate::api::apps::Launch;
use crate::domain::id::EstimateId;
use crate::web::Error;
use crate::web::hx::{self, Wants};
use crate::web::ui::form::Wrong;
use crate::web::viewer::Viewer;
use axum::extract::Path;
use axum::response::Response;
use axum_extra::extract::Form;
use http::StatusCode;

pub(super) async fn launch(
    wants: Wants,
    viewer: Viewer,
    Path(slug): Path<String>,
    Form(fields): Form<Vec<(String, String)>>,
) -> Result<Response, Error> {
    let typed = Typed::read(fields);
    let mut wrong = Wrong::default();
    let choices = match typed.choices() {
        Ok(choices) => Some(choices),
        Err(found) => {
            wrong = found;
            None
        }
    };
    if typed.action == "launch"
        && let Some(choices) = &choices
    {
        match acknowledged(&typed) {
            Err(why) => wrong.add("ack", why),
            Ok(estimate) => {
                let mut body = Launch {
                    template: slug.clone(),
                    max_hours: choices.max_hours,
                    idle_minutes: choices.idle_minutes,
                    max_usd: choices.max_usd,
                    settings: typed.settings.clone(),
                    acknowledged_estimate: Some(estimate),
                    ..Launch::default()
                };
                if let Ok(again) = typed.again.parse() {
                    body.from_session = Some(again);
                    // An empty field is what was given before.
                    body.settings.retain(|_, value| !value.expose().is_empty());
                }
                match viewer.api.once(&typed.key).launch(&body).await {
                    Ok(session) => return Ok(hx::redirect(wants, &super::path(session.id))),
                    Err(error) => wrong = refusal(Wrong::of(error)?),
                }
            }
        }
    }
    // As it is now, which may be why it was refused.
    let template = viewer.api.template(&slug).await?;
    let again = template::earlier(&viewer.api, &typed.again, &slug).await?;
    if typed.action == "launch" {
        settings::missing(&template, again.as_ref(), &typed.settings, &mut wrong);
    }
    let mut view = View {
        template: &template,
        typed,
        again: again.as_ref(),
        estimate: None,
        wrong,
    };
    let possible = template.launchable && template.active_session.is_none();
    if let Some(choices) = choices.filter(|_| possible) {
        match template::estimate(&viewer.api, &slug, &choices).await? {
            Ok(estimate) => view.estimate = Some(estimate),
            Err(found) if view.wrong.is_nothing() => view.wrong = found,
            Err(_) => {}
        }
    }
    Ok(template::draw(wants, &viewer, &view))
}

/// The estimate that was on the page when its box was ticked.
fn acknowledged(typed: &Typed) -> Result<EstimateId, &'static str> {
    let ack = typed
        .ack
        .as_deref()
        .ok_or("Confirm that you have read the price.")?;
    ack.parse()
        .map_err(|_| "Confirm the price that is shown now.")
}

/// A price that no longer holds is told by the check box.
fn refusal(mut wrong: Wrong) -> Wrong {
    if let Some(why) = wrong.fields.remove("acknowledged_estimate") {
        wrong.fields.insert("ack".into(), why);
    }
    if wrong.status == StatusCode::GONE
        && let Some(message) = wrong.message.take()
    {
        wrong.fields.insert("ack".into(), message);
    }
    wrong
}
