//! Drafts: a job being described, estimated, acknowledged and submitted once.
use super::callbacks::{self, DraftToken};
use super::estimates::{self, VALID_FOR, defaults};
use super::jobs::submission::{self, Order};
use super::route::{Call, Cx, on};
use super::{Error, State, content, jobs};
use crate::api::accounts::Accepted;
use crate::api::drafts as wire;
use crate::api::jobs::{Content, Submitted};
use crate::api::{
    AcknowledgeDraft, CreateDraft, DeleteDraft, EstimateDraft, GetDraft, ListDrafts, PatchDraft,
    SubmitDraft,
};
use crate::domain::file::Kind;
use crate::domain::id::{DraftId, EstimateId};
use crate::domain::spec::{JobSpec, Level, OptimizeFor, RegionMode};
use crate::store::drafts::{self as table, Acknowledged, Draft};
use crate::store::estimates::{Estimate, Progress};
use crate::store::{self, Conn};
use axum::Router;
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Drafts are kept for so long after their last change.
const KEPT_FOR: time::Duration = time::Duration::days(30);
/// A pending estimate older than this died with the process that made it.
const ESTIMATE_PATIENCE: time::Duration = time::Duration::seconds(30);
/// Asking for an estimate waits so long for it to be ready.
const SHORT_WAIT: Duration = Duration::from_millis(150);
/// A draft's content may have so many bytes of JSON.
const LARGEST_CONTENT: usize = 262_144;

pub(super) fn routes() -> Router<State> {
    Router::new()
        .merge(on(create))
        .merge(on(list))
        .merge(on(get))
        .merge(on(patch))
        .merge(on(delete))
        .merge(on(estimate))
        .merge(on(acknowledge))
        .merge(on(submit))
}

async fn create(cx: Cx, call: Call<CreateDraft>) -> Result<wire::Draft, Error> {
    let mut content = match call.body.from_job {
        Some(id) => {
            let mut conn = cx.store().read().await?;
            to_content(&jobs::find(&mut conn, cx.caller.workspace, id).await?.spec)
        }
        None => Content::new(),
    };
    let id = cx.id();
    let token = merge(&cx, id, &mut content, call.body.content)?;
    let now = cx.now();
    let draft = Draft {
        id,
        workspace: cx.caller.workspace,
        account: cx.caller.account,
        version: 1,
        content,
        acknowledged: None,
        job: None,
        created_at: now,
        updated_at: now,
        expires_at: now + KEPT_FOR,
    };
    let written = draft.clone();
    cx.store()
        .write(move |conn| {
            Box::pin(async move {
                table::insert(conn, &written).await?;
                token.write(conn, written.id).await
            })
        })
        .await?;
    Ok(show(&cx, draft, None))
}

async fn list(cx: Cx, _: Call<ListDrafts>) -> Result<wire::List, Error> {
    let mut conn = cx.store().read().await?;
    let drafts = table::waiting(&mut conn, cx.caller.workspace, cx.now(), 100).await?;
    let drafts = drafts
        .into_iter()
        .map(|draft| show(&cx, draft, None))
        .collect();
    Ok(wire::List {
        drafts,
        next_cursor: None,
        has_more: false,
    })
}

async fn get(cx: Cx, call: Call<GetDraft>) -> Result<wire::Draft, Error> {
    let mut conn = cx.store().read().await?;
    let draft = find(&cx, &mut conn, call.path.0).await?;
    let estimate = current(&mut conn, &draft).await?;
    Ok(show(&cx, draft, estimate))
}

async fn patch(cx: Cx, call: Call<PatchDraft>) -> Result<wire::Draft, Error> {
    let mut draft = find(&cx, &mut *cx.store().read().await?, call.path.0).await?;
    not_submitted(&draft)?;
    let token = merge(&cx, draft.id, &mut draft.content, call.body.content)?;
    draft.updated_at = cx.now();
    draft.expires_at = cx.now() + KEPT_FOR;
    let draft = cx
        .store()
        .write(move |conn| {
            Box::pin(async move {
                table::rewrite(conn, &mut draft).await?;
                token.write(conn, draft.id).await?;
                Ok::<_, store::Error>(draft)
            })
        })
        .await
        .map_err(changed)?;
    Ok(show(&cx, draft, None))
}

async fn delete(cx: Cx, call: Call<DeleteDraft>) -> Result<Accepted, Error> {
    let (workspace, id) = (cx.caller.workspace, call.path.0);
    let deleted = cx
        .store()
        .write(move |conn| Box::pin(async move { table::delete(conn, workspace, id).await }))
        .await?;
    if deleted {
        return Ok(Accepted {
            message: "The draft has been deleted.".into(),
        });
    }
    // Either it never was, or it is a job by now.
    not_submitted(&find(&cx, &mut *cx.store().read().await?, id).await?)?;
    Err(missing(id))
}

/// Answers with the estimate of the draft as it is, or begins one. It is worked
/// out in a task of its own: a machine that is slow to answer must not keep the
/// page waiting.
async fn estimate(cx: Cx, call: Call<EstimateDraft>) -> Result<wire::Draft, Error> {
    let mut conn = cx.store().read().await?;
    let draft = find(&cx, &mut conn, call.path.0).await?;
    not_submitted(&draft)?;
    let spec = content::parse(&draft.content, defaults(&cx))?;
    let now = cx.now();
    if let Some(known) = current(&mut conn, &draft).await? {
        let usable = match known.state {
            Progress::Ready(_) => known.expires_at > now,
            Progress::Pending => known.created_at + ESTIMATE_PATIENCE > now,
            // Asking again is the way to try again.
            Progress::Failed(_) => false,
        };
        if usable {
            return Ok(show(&cx, draft, Some(known)));
        }
    }
    drop(conn);
    let begun = Estimate {
        id: cx.id(),
        workspace: draft.workspace,
        draft: Some((draft.id, draft.version)),
        state: Progress::Pending,
        created_at: now,
        expires_at: now + VALID_FOR,
    };
    let written = begun.clone();
    cx.store()
        .write(move |conn| Box::pin(async move { store::estimates::insert(conn, &written).await }))
        .await?;
    let task = tokio::spawn(work_out(cx.state.clone(), begun.clone(), spec));
    let state = match tokio::time::timeout(SHORT_WAIT, task).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) | Err(_) => Progress::Pending,
    };
    Ok(show(&cx, draft, Some(Estimate { state, ..begun })))
}

async fn work_out(state: State, begun: Estimate, spec: JobSpec) -> Progress {
    let outcome = match estimates::snapshot(&state, begun.workspace, &spec).await {
        Ok((snapshot, past)) => {
            let found = crate::domain::estimate::estimate(&spec, &snapshot);
            let reply = estimates::reply(&spec, (&found, past), begun.id, begun.created_at);
            match serde_json::to_string(&reply) {
                Ok(body) => Progress::Ready(body),
                Err(error) => Progress::Failed(format!("It could not be written down: {error}.")),
            }
        }
        Err(error) => {
            tracing::warn!(%error, estimate = %begun.id, "no estimate");
            Progress::Failed(error.to_string())
        }
    };
    let (id, written) = (begun.id, outcome.clone());
    let kept = state
        .store()
        .write(move |conn| {
            Box::pin(async move { store::estimates::resolve(conn, id, &written).await })
        })
        .await;
    if let Err(error) = kept {
        tracing::error!(%error, estimate = %id, "an estimate could not be kept");
    }
    outcome
}

async fn acknowledge(cx: Cx, call: Call<AcknowledgeDraft>) -> Result<wire::Draft, Error> {
    let mut conn = cx.store().read().await?;
    let mut draft = find(&cx, &mut conn, call.path.0).await?;
    not_submitted(&draft)?;
    let known = current(&mut conn, &draft).await?;
    let seen = Acknowledged {
        estimate: call.body.estimate_id,
        version: call.body.version,
        without_estimate: call.body.without_estimate,
    };
    let Some(known) = known.filter(|known| covers(seen, known, &draft, cx.now())) else {
        return Err(outdated());
    };
    drop(conn);
    let id = draft.id;
    cx.store()
        .write(move |conn| Box::pin(async move { table::acknowledge(conn, id, seen).await }))
        .await
        .map_err(changed)?;
    draft.acknowledged = Some(seen);
    Ok(show(&cx, draft, Some(known)))
}

/// Whether what was seen is the newest estimate of the draft as it is, and may
/// still be accepted.
fn covers(seen: Acknowledged, known: &Estimate, draft: &Draft, now: time::OffsetDateTime) -> bool {
    let same = seen.estimate == known.id && seen.version == draft.version;
    same && match &known.state {
        Progress::Ready(_) => known.expires_at > now,
        Progress::Failed(_) => seen.without_estimate,
        Progress::Pending => false,
    }
}

async fn submit(cx: Cx, call: Call<SubmitDraft>) -> Result<Submitted, Error> {
    let mut conn = cx.store().read().await?;
    let draft = find(&cx, &mut conn, call.path.0).await?;
    if let Some(job) = draft.job {
        // The second of two clicks: the same job.
        let job = jobs::find(&mut conn, draft.workspace, job).await?;
        return Ok(submission::submitted(&job, cx.now()));
    }
    let known = current(&mut conn, &draft).await?;
    let token = store::callbacks::draft_token(&mut conn, draft.id).await?;
    let (Some(seen), Some(known)) = (draft.acknowledged, known) else {
        return Err(not_acknowledged());
    };
    if !covers(seen, &known, &draft, cx.now()) {
        return Err(outdated());
    }
    drop(conn);
    let acknowledged = match &known.state {
        Progress::Ready(body) => acknowledged(body)?,
        Progress::Failed(_) | Progress::Pending => None,
    };
    let spec = content::parse(&draft.content, defaults(&cx))?;
    let callback = callbacks::read(&draft.content, &cx.config().callback_allow)
        .map(|callback| callback.with_token_of(&cx, draft.id, token))
        .transpose()?;
    let order = Order {
        callback,
        spec,
        once: None,
        draft: Some((draft.id, draft.version)),
        rate: acknowledged
            .as_ref()
            .and_then(|estimate| estimate.estimated_hourly_rate_usd),
        acknowledged,
        unestimated: seen.without_estimate,
        app: None,
    };
    match submission::submit(&cx, order).await {
        // Someone else was quicker with the same draft: theirs is the job.
        Err(Error::Conflict { code, message }) => {
            let mut conn = cx.store().read().await?;
            match find(&cx, &mut conn, draft.id).await?.job {
                Some(job) => {
                    let job = jobs::find(&mut conn, draft.workspace, job).await?;
                    Ok(submission::submitted(&job, cx.now()))
                }
                None => Err(Error::Conflict { code, message }),
            }
        }
        done => done,
    }
}

fn acknowledged(body: &str) -> Result<Option<crate::api::jobs::Estimate>, Error> {
    let quoted: crate::api::jobs::Estimate =
        serde_json::from_str(body).map_err(|error| Error::Internal(error.into()))?;
    Ok(Some(quoted).filter(|quoted| quoted.can_submit))
}

async fn find(cx: &Cx, conn: &mut Conn, id: DraftId) -> Result<Draft, Error> {
    table::find(conn, (cx.caller.workspace, id), cx.now())
        .await?
        .ok_or_else(|| missing(id))
}

fn missing(id: DraftId) -> Error {
    Error::NotFound(format!(
        "There is no draft {id} in this workspace. Drafts are kept for 30 days."
    ))
}

fn not_submitted(draft: &Draft) -> Result<(), Error> {
    match draft.job {
        None => Ok(()),
        Some(job) => Err(Error::Conflict {
            code: "ALREADY_SUBMITTED",
            message: format!("This draft has been submitted: it is {job} now."),
        }),
    }
}

fn not_acknowledged() -> Error {
    Error::Conflict {
        code: "ESTIMATE_NOT_ACKNOWLEDGED",
        message: "Look at the estimate and confirm it first.".into(),
    }
}

fn outdated() -> Error {
    Error::Conflict {
        code: "ESTIMATE_OUTDATED",
        message:
            "That is not the newest estimate of this draft, or it has expired. Look at it again."
                .into(),
    }
}

fn changed(error: store::Error) -> Error {
    match error {
        store::Error::Stale { .. } => Error::Conflict {
            code: "CONFLICT",
            message: "The draft was changed elsewhere meanwhile. Look at it again.".into(),
        },
        error => error.into(),
    }
}

/// Sets the fields of `part`; `null` clears one.
/// The token of a callback does not become part of the content, which is shown.
fn merge(
    state: &State,
    id: DraftId,
    content: &mut Content,
    mut part: Content,
) -> Result<DraftToken, Error> {
    content::check_part(&part, defaults(state))?;
    let token = callbacks::take_token(state, id, &mut part);
    for (field, value) in part {
        if value.is_null() {
            content.remove(&field);
        } else {
            content.insert(field, value);
        }
    }
    if Value::Object(content.clone()).to_string().len() > LARGEST_CONTENT {
        return Err(Error::BadRequest(
            "The draft is too large: 262,144 bytes at most.".into(),
        ));
    }
    Ok(token)
}

/// The newest estimate of the draft as it is.
async fn current(conn: &mut Conn, draft: &Draft) -> Result<Option<Estimate>, Error> {
    Ok(store::estimates::newest(conn, draft.id, draft.version).await?)
}

pub(super) fn show(state: &State, draft: Draft, estimate: Option<Estimate>) -> wire::Draft {
    let now = state.now();
    let acknowledged = match (draft.acknowledged, &estimate) {
        (Some(seen), Some(known)) => covers(seen, known, &draft, now),
        _ => false,
    };
    wire::Draft {
        id: draft.id,
        version: draft.version,
        missing: content::missing(&draft.content, defaults(state)),
        estimate: estimate.map(|estimate| shown(estimate, draft.version, now)),
        acknowledged,
        job_id: draft.job,
        created_at: draft.created_at,
        updated_at: draft.updated_at,
        expires_at: draft.expires_at,
        review_url: format!(
            "{}/portal/submit/{}/review",
            state.config().public_url,
            draft.id
        ),
        content: draft.content,
    }
}

fn shown(estimate: Estimate, version: i64, now: time::OffsetDateTime) -> wire::DraftEstimate {
    let expired = estimate.expires_at <= now;
    let id: EstimateId = estimate.id;
    let (state, ready, error) = match estimate.state {
        Progress::Pending => (wire::EstimateState::Pending, None, None),
        Progress::Failed(why) => (wire::EstimateState::Failed, None, Some(why)),
        Progress::Ready(body) => {
            if let Ok(ready) = serde_json::from_str(&body) {
                (wire::EstimateState::Ready, Some(ready), None)
            } else {
                let why = "It was made by another version of this program.".to_owned();
                (wire::EstimateState::Failed, None, Some(why))
            }
        }
    };
    wire::DraftEstimate {
        estimate_id: id,
        version,
        state,
        estimate: ready,
        error,
        expired,
    }
}

/// What a job was submitted with, as the content of a new draft.
pub(super) fn to_content(spec: &JobSpec) -> Content {
    let mut content = Map::new();
    let mut set = |field: &str, value: Value| {
        let empty = match &value {
            Value::Null => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            _ => false,
        };
        if !empty {
            content.insert(field.to_owned(), value);
        }
    };
    set("name", json!(spec.name));
    set("workload_type", json!(spec.workload_type));
    set("image", json!(spec.image));
    let (command, args) = content::unparsed_command(&spec.argv);
    set("command", command);
    set("args", args);
    set("environment", json!(spec.environment));
    set("timeout_seconds", json!(spec.time_limit_seconds));
    set("expected_artifacts", json!(spec.expected_artifacts));
    for (field, kind) in [("input_files", Kind::Input), ("script_files", Kind::Script)] {
        let of_kind = spec.files.iter().filter(|file| file.kind == kind);
        let ids: Vec<_> = of_kind
            .map(|file| json!({ "input_id": file.input_id }))
            .collect();
        set(field, json!(ids));
    }
    set("metadata", json!(spec.metadata));
    let resources = &spec.resources;
    set("model_size_gb", json!(resources.model_size_gb));
    set("disk_gb", json!(resources.disk_gb));
    set("memory_gb", json!(resources.memory_gb));
    set("cpu_count", json!(resources.cpus));
    set(
        "gpu_required",
        json!(resources.gpu_required.then_some(true)),
    );
    set("gpu_count", json!(resources.gpu_count));
    set("min_vram_gb", json!(resources.min_vram_gb));
    set("gpu_type", json!(resources.gpu_type));
    set("batch_size", json!(resources.batch_size));
    set("precision", json!(resources.precision));
    let routing = &spec.routing;
    set("max_price_per_hour", json!(routing.max_price_per_hour));
    set("preferred_gpu_family", json!(routing.preferred_gpu_family));
    set("avoid_gpu_families", json!(routing.avoid_gpu_families));
    set("gpu_class", json!(routing.gpu_class));
    set("region_preference", json!(routing.region_preference));
    set(
        "region_mode",
        json!((routing.region_mode != RegionMode::Prefer).then_some(routing.region_mode)),
    );
    let level = |level: Level| json!((level != Level::Balanced).then_some(level));
    set("latency_priority", level(routing.latency_priority));
    set("cost_priority", level(routing.cost_priority));
    set(
        "optimize_for",
        json!((routing.optimize_for != OptimizeFor::Balanced).then_some(routing.optimize_for)),
    );
    set("priority", json!(routing.priority));
    content
}
