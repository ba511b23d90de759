//! The last step: what was answered, what it will cost, and the yes to it.
use super::estimate::{self, Beside, is_pending};
use super::steps::Step;
use super::view::{self, Review};
use super::{Sent, Which, answer, open};
use crate::api::drafts::{Acknowledgement, Draft, EstimateState};
use crate::api::jobs::Submitted;
use crate::client::{self, Client};
use crate::domain::id::DraftId;
use crate::domain::money::Usd;
use crate::web::Error;
use crate::web::hx::{self, Fragment, Wants};
use crate::web::ui::form::Wrong;
use crate::web::viewer::Viewer;
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use http::{HeaderMap, StatusCode, header};

/// The page, with an estimate on its way if there was none of this version.
pub(super) async fn show(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
) -> Result<Response, Error> {
    let draft = match open(&viewer.api, wants, id).await? {
        Ok(draft) => draft,
        Err(submitted) => return Ok(submitted),
    };
    let draft = estimated(&viewer.api, draft).await?;
    Ok(draw(wants, &viewer, &draft, &Refusal::default()).await)
}

/// Asks for an estimate if nobody has. That it cannot be had is said on the page
/// and keeps nothing else from being done.
async fn estimated(api: &Client, draft: Draft) -> Result<Draft, Error> {
    if draft.estimate.is_some() || !draft.missing.is_empty() {
        return Ok(draft);
    }
    match api.estimate_draft(draft.id).await {
        Ok(draft) => Ok(draft),
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => Err(error.into()),
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "no estimate");
            Ok(draft)
        }
    }
}

/// Why a job was not submitted.
#[derive(Debug, Default)]
struct Refusal {
    status: StatusCode,
    /// For the top of the page.
    message: Option<String>,
    /// For the check box.
    ack: Option<String>,
}

impl Refusal {
    fn unticked(message: &str) -> Self {
        Self {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            message: None,
            ack: Some(message.to_owned()),
        }
    }
}

impl From<Wrong> for Refusal {
    /// An estimate that no longer holds is told by the check box.
    fn from(wrong: Wrong) -> Self {
        let fields = wrong.fields.into_values().collect::<Vec<_>>().join(" ");
        let message = wrong.message.unwrap_or(fields);
        if matches!(wrong.status, StatusCode::CONFLICT | StatusCode::GONE) {
            return Self::unticked(&message);
        }
        Self {
            status: wrong.status,
            message: Some(message),
            ack: None,
        }
    }
}

async fn draw(wants: Wants, viewer: &Viewer, draft: &Draft, refusal: &Refusal) -> Response {
    let names = super::files::names(&viewer.api, draft).await;
    let review = Review {
        beside: Beside {
            available: Some(viewer.session.balance_usd),
            wrong: refusal.ack.as_deref(),
        },
        refused: refusal.message.as_deref(),
        fits: refusal.status == StatusCode::PAYMENT_REQUIRED,
        names: Some(&names),
    };
    let wrong = refusal.status != StatusCode::OK;
    let title = view::title(Step::Review, wrong);
    let main = view::review(draft, review, viewer.now);
    answer(wants, viewer, &title, refusal.status, main)
}

/// The card alone, which asks for itself while the estimate is pending.
pub(super) async fn estimate(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    headers: HeaderMap,
) -> Result<Response, Error> {
    if wants == Wants::Page {
        return Ok(Redirect::to(&Step::Review.path(id)).into_response());
    }
    let draft = match open(&viewer.api, wants, id).await? {
        Ok(draft) => draft,
        Err(submitted) => return Ok(submitted),
    };
    let beside = Beside {
        available: Some(viewer.session.balance_usd),
        wrong: None,
    };
    let (card, tag) = estimate::card(&draft, beside);
    let tag = format!("\"{tag}\"");
    let known = headers.get(header::IF_NONE_MATCH);
    if known.is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
        return Ok(StatusCode::NOT_MODIFIED.into_response());
    }
    Ok(([(header::ETAG, tag)], Fragment(card)).into_response())
}

/// Asks for another estimate.
pub(super) async fn refresh(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
) -> Result<Response, Error> {
    viewer.api.estimate_draft(id).await?;
    Ok(hx::redirect(wants, &Step::Review.path(id)))
}

/// Acknowledges what was seen and submits. A second click finds the same job.
pub(super) async fn submit(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    Form(sent): Sent,
) -> Result<Response, Error> {
    let draft = match open(&viewer.api, wants, id).await? {
        Ok(draft) => draft,
        Err(submitted) => return Ok(submitted),
    };
    let refusal = match acknowledgement(&draft, &sent) {
        Ok(seen) => match confirm(&viewer.api, id, &seen).await {
            Ok(job) => return Ok(hx::redirect(wants, &super::super::jobs::path(job.job_id))),
            Err(error) => Refusal::from(Wrong::of(error)?),
        },
        Err(refusal) => refusal,
    };
    // What it says now, which may be why it was refused.
    let draft = match open(&viewer.api, wants, id).await? {
        Ok(draft) => estimated(&viewer.api, draft).await?,
        Err(submitted) => return Ok(submitted),
    };
    Ok(draw(wants, &viewer, &draft, &refusal).await)
}

async fn confirm(
    api: &Client,
    id: DraftId,
    seen: &Acknowledgement,
) -> Result<Submitted, client::Error> {
    api.acknowledge_draft(id, seen).await?;
    api.submit_draft(id).await
}

/// Reads the ticked box: the estimate and the version that were on the page.
fn acknowledgement(draft: &Draft, sent: &[(String, String)]) -> Result<Acknowledgement, Refusal> {
    let value = |name: &str| {
        sent.iter()
            .find(|(sent, _)| sent == name)
            .map(|(_, value)| value)
    };
    let failed = draft
        .estimate
        .as_ref()
        .is_some_and(|estimate| estimate.state == EstimateState::Failed);
    let name = if failed { "ack_unknown" } else { "ack" };
    let Some(value) = value(name) else {
        let pending = draft.estimate.as_ref().is_none_or(is_pending);
        return Err(Refusal::unticked(if pending {
            "Wait for the estimate, then confirm that you have read it."
        } else {
            "Confirm that you have read the estimate."
        }));
    };
    let parsed = value.split_once(':').and_then(|(id, version)| {
        Some(Acknowledgement {
            estimate_id: id.parse().ok()?,
            version: version.parse().ok()?,
            without_estimate: failed,
        })
    });
    parsed.ok_or_else(|| Refusal::unticked("Confirm the estimate that is shown now."))
}

/// What would fit in the wallet, said with a refusal for want of money.
pub(super) fn rate(draft: &Draft) -> Option<Usd> {
    let estimate = draft.estimate.as_ref()?.estimate.as_ref()?;
    estimate.estimated_hourly_rate_usd
}
