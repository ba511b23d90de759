//! The submit wizard. Its state is the API's draft: every answer is saved as it
//! is given, each step has its own address, and a job comes of it only after its
//! estimate has been acknowledged.
mod estimate;
mod fields;
mod files;
mod form;
mod review;
mod steps;
mod view;

use super::files::progress;
use super::hx::{self, Fragment, Wants};
use super::shell::{self, Nav};
use super::ui::form::Wrong;
use super::viewer::Viewer;
use super::{Error, Portal};
use crate::api::drafts::{Draft, NewDraft, Patch};
use crate::api::gpus::Catalogue;
use crate::client::Client;
use crate::domain::id::DraftId;
use crate::domain::spec::{HOST_IMAGE, WorkloadType};
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::{Form, Query};
use fields::Answers;
use http::StatusCode;
use http::request::Parts;
use maud::{Markup, html};
use serde::Deserialize;
use steps::Step;
use tower_cookies::Cookies;
use view::StepView;

pub(super) fn routes() -> Router<Portal> {
    Router::new()
        .route("/portal/submit", get(index))
        .route(NEW, get(begin).post(create))
        .route("/portal/submit/{draft}", get(resume))
        .route("/portal/submit/{draft}/delete", post(delete))
        .route(
            "/portal/submit/{draft}/estimate",
            get(review::estimate).post(review::refresh),
        )
        .route(
            "/portal/submit/{draft}/review",
            get(review::show).post(review::submit),
        )
        .route("/portal/submit/{draft}/{step}", get(show).post(save))
        .merge(with_files())
}

/// Whoever takes the bytes of files knows how many there may be.
fn with_files() -> Router<Portal> {
    let step = get(files::leave).post(files::save);
    Router::new()
        .route("/portal/submit/{draft}/files", step)
        .layer(DefaultBodyLimit::disable())
}

/// Where a draft is reviewed and confirmed.
pub(super) fn first_path(draft: DraftId) -> String {
    Step::Workload.path(draft)
}

/// Where a draft is confirmed.
pub(super) fn review_path(draft: DraftId) -> String {
    Step::Review.path(draft)
}

/// The draft of the address, not yet submitted.
#[derive(Debug)]
struct Which(DraftId);

impl FromRequestParts<Portal> for Which {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Error> {
        let path = Path::<DraftId>::from_request_parts(parts, portal).await;
        path.map(|Path(id)| Self(id)).map_err(|_| Error::NotFound)
    }
}

/// A draft and one of its steps with questions, from the address.
#[derive(Debug)]
struct Place {
    draft: DraftId,
    step: Step,
    to_review: bool,
}

impl FromRequestParts<Portal> for Place {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, portal: &Portal) -> Result<Self, Error> {
        let path = Path::<(DraftId, String)>::from_request_parts(parts, portal).await;
        let Path((draft, step)) = path.map_err(|_| Error::NotFound)?;
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self {
            draft,
            step: Step::named(&step).ok_or(Error::NotFound)?,
            to_review: query.split('&').any(|pair| pair == "back=review"),
        })
    }
}

/// What a browser sends for a form, field by field.
type Sent = Form<Vec<(String, String)>>;

/// The page around a step, or the step alone.
fn answer(
    wants: Wants,
    viewer: &Viewer,
    title: &str,
    status: StatusCode,
    main: Markup,
) -> Response {
    match wants {
        Wants::Page => {
            let main = html! { (progress::script()) (main) };
            (status, shell::page(viewer, title, Nav::Submit, main)).into_response()
        }
        Wants::Fragment => {
            let main = html! { title { (title) " · Jungle Grid" } (main) };
            (status, Fragment(main)).into_response()
        }
    }
}

/// The draft, or the way to the job that has come of it.
async fn open(api: &Client, wants: Wants, id: DraftId) -> Result<Result<Draft, Response>, Error> {
    let draft = api.draft(id).await?;
    Ok(match draft.job_id {
        Some(job) => Err(hx::redirect(wants, &super::jobs::path(job))),
        None => Ok(draft),
    })
}

/// Drafts that wait; without any, the first step.
async fn index(viewer: Viewer) -> Result<Response, Error> {
    let drafts = viewer.api.drafts().await?.drafts;
    if drafts.is_empty() {
        return Ok(Redirect::to(NEW).into_response());
    }
    let main = view::drafts(&drafts, viewer.now);
    Ok(shell::page(&viewer, "Submit a job", Nav::Submit, main).into_response())
}

/// The address of the first step of a draft that does not exist yet.
const NEW: &str = "/portal/submit/new/workload";

/// Whether a draft is wanted that has nothing to do with the last one.
#[derive(Debug, Default, Deserialize)]
struct Beginning {
    #[serde(default)]
    anew: Option<String>,
}

/// The first step of a draft that does not exist yet: looking creates nothing.
/// Whoever comes back to it from the next step finds what was typed.
async fn begin(
    wants: Wants,
    viewer: Viewer,
    State(portal): State<Portal>,
    cookies: Cookies,
    Query(beginning): Query<Beginning>,
) -> Response {
    if beginning.anew.is_some() {
        portal.config.begins_anew(&cookies);
        return Redirect::to(NEW).into_response();
    }
    if let Some(id) = portal.config.begun(&cookies)
        && viewer
            .api
            .draft(id)
            .await
            .is_ok_and(|draft| draft.job_id.is_none())
    {
        return Redirect::to(&Step::Workload.path(id)).into_response();
    }
    let mut answers = Answers::of(Step::Workload.fields(), &fields::nothing());
    answers.propose("workload_type", WorkloadType::Batch.name());
    let view = StepView {
        step: Step::Workload,
        now: viewer.now,
        draft: None,
        shelf: None,
        answers,
        wrong: Wrong::default(),
        to_review: false,
        host_only: false,
        families: Catalogue::default(),
    };
    draw(wants, &viewer, &view)
}

async fn create(
    wants: Wants,
    viewer: Viewer,
    State(portal): State<Portal>,
    cookies: Cookies,
    Form(sent): Sent,
) -> Result<Response, Error> {
    let step = Step::Workload;
    let answers = Answers::sent(step.fields(), &sent);
    let mut view = StepView {
        step,
        now: viewer.now,
        draft: None,
        shelf: None,
        wrong: Wrong::default(),
        to_review: false,
        host_only: false,
        families: Catalogue::default(),
        answers,
    };
    if view.answers.get("name").is_empty() {
        view.wrong.add("name", "Give the job a name.");
        return Ok(draw(wants, &viewer, &view));
    }
    let content = match fields::changes(step.fields(), &fields::nothing(), &view.answers) {
        Ok(content) => content,
        Err(wrong) => {
            view.wrong = wrong;
            return Ok(draw(wants, &viewer, &view));
        }
    };
    let new = NewDraft {
        content,
        from_job: None,
    };
    match viewer.api.create_draft(&new).await {
        Ok(draft) => {
            portal.config.has_begun(&cookies, draft.id);
            Ok(Redirect::to(&step.next().path(draft.id)).into_response())
        }
        Err(error) => {
            view.wrong = Wrong::of(error)?;
            Ok(draw(wants, &viewer, &view))
        }
    }
}

/// A step as it is, or as it was refused.
fn draw(wants: Wants, viewer: &Viewer, view: &StepView) -> Response {
    let wrong = !view.wrong.is_nothing();
    let status = if wrong {
        view.wrong.status
    } else {
        StatusCode::OK
    };
    let title = view::title(view.step, wrong);
    answer(wants, viewer, &title, status, view::step(view))
}

/// Goes on where the draft was left.
async fn resume(wants: Wants, viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    Ok(match open(&viewer.api, wants, id).await? {
        Ok(draft) => Redirect::to(&view::next_step(&draft).path(id)).into_response(),
        Err(submitted) => submitted,
    })
}

async fn show(wants: Wants, viewer: Viewer, place: Place) -> Result<Response, Error> {
    let draft = match open(&viewer.api, wants, place.draft).await? {
        Ok(draft) => draft,
        Err(submitted) => return Ok(submitted),
    };
    let host_only = host_only(&viewer.api, place.step).await?;
    let mut answers = Answers::of(place.step.fields(), &draft.content);
    answers.propose("workload_type", WorkloadType::Batch.name());
    if host_only {
        answers.propose("image", HOST_IMAGE);
    }
    let view = StepView {
        step: place.step,
        now: viewer.now,
        draft: Some(&draft),
        shelf: files::shelf(&viewer.api, place.step, &answers).await?,
        answers,
        wrong: Wrong::default(),
        to_review: place.to_review,
        host_only,
        families: families(&viewer.api, place.step).await,
    };
    Ok(draw(wants, &viewer, &view))
}

/// Whether every machine runs commands on its own system only. Asked for the one
/// step that says so.
async fn host_only(api: &Client, step: Step) -> Result<bool, Error> {
    if step != Step::Image {
        return Ok(false);
    }
    let nodes = api.nodes().await?.nodes;
    let own = |images: &str| matches!(images, "host_only" | "ignored");
    Ok(!nodes.is_empty() && nodes.iter().all(|node| own(&node.images)))
}

/// GPU families to choose from, for the one step that asks; without them it is typed.
async fn families(api: &Client, step: Step) -> Catalogue {
    if step != Step::Routing {
        return Catalogue::default();
    }
    match api.gpu_catalogue().await {
        Ok(known) => known,
        Err(error) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "no GPU families");
            Catalogue::default()
        }
    }
}

/// Saves a step and goes on; or shows it again, as typed, with what is wrong.
async fn save(
    wants: Wants,
    viewer: Viewer,
    place: Place,
    Form(sent): Sent,
) -> Result<Response, Error> {
    let step = place.step;
    let draft = match open(&viewer.api, wants, place.draft).await? {
        Ok(draft) => draft,
        Err(submitted) => return Ok(submitted),
    };
    let to_review = sent
        .iter()
        .any(|(name, value)| name == "back" && value == "review");
    let answers = Answers::sent(step.fields(), &sent);
    let wrong = match keep(&viewer.api, &draft, step, &answers).await? {
        Ok(()) => {
            let next = if to_review { Step::Review } else { step.next() };
            return Ok(Redirect::to(&next.path(draft.id)).into_response());
        }
        Err(wrong) => wrong,
    };
    let view = StepView {
        step,
        now: viewer.now,
        draft: Some(&draft),
        shelf: files::shelf(&viewer.api, step, &answers).await?,
        answers,
        wrong,
        to_review,
        host_only: host_only(&viewer.api, step).await?,
        families: families(&viewer.api, step).await,
    };
    Ok(draw(wants, &viewer, &view))
}

/// Sends what has changed. What the step still misses is wrong with it, too.
async fn keep(
    api: &Client,
    draft: &Draft,
    step: Step,
    answers: &Answers,
) -> Result<Result<(), Wrong>, Error> {
    let content = match fields::changes(step.fields(), &draft.content, answers) {
        Ok(content) => content,
        Err(wrong) => return Ok(Err(wrong)),
    };
    let missing = if content.is_empty() {
        draft.missing.clone()
    } else {
        match api.patch_draft(draft.id, &Patch { content }).await {
            Ok(saved) => saved.missing,
            Err(error) => return Wrong::of(error).map(Err),
        }
    };
    let mut wrong = Wrong::default();
    for field in step.fields() {
        if let Some(why) = missing.get(field.name) {
            wrong.add(field.name, why);
        }
    }
    Ok(if wrong.is_nothing() {
        Ok(())
    } else {
        Err(wrong)
    })
}

async fn delete(
    wants: Wants,
    State(portal): State<Portal>,
    cookies: Cookies,
    viewer: Viewer,
    Which(id): Which,
) -> Result<Response, Error> {
    match viewer.api.delete_draft(id).await {
        Ok(_) => {}
        // A second click finds it gone.
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {}
        Err(error) => return Err(error.into()),
    }
    portal.config.say(&cookies, "The draft is deleted.");
    Ok(hx::redirect(wants, "/portal/submit"))
}
