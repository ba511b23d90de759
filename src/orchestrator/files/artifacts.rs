//! What jobs have left: listed, and addresses to fetch it from.
use super::{cursor, links, signed, used};
use crate::api::accounts::Accepted;
use crate::api::artifacts as wire;
use crate::api::{DeleteArtifact, DownloadArtifact, GetArtifact, ListAllArtifacts, ListArtifacts};
use crate::domain::id::{ArtifactId, JobId};
use crate::orchestrator::Error;
use crate::orchestrator::jobs::find as find_job;
use crate::orchestrator::route::{Call, Cx};
use crate::store::Conn;
use crate::store::artifacts::{self as table, Artifact};
use crate::store::jobs::queries;
use std::collections::BTreeMap;

pub(super) async fn of_job(cx: Cx, call: Call<ListArtifacts>) -> Result<wire::OfJob, Error> {
    let mut conn = cx.store().read().await?;
    let job = find_job(&mut conn, cx.caller.workspace, call.path.0).await?;
    let artifacts = table::of_job(&mut conn, cx.caller.workspace, job.id, cx.now()).await?;
    let mut collections = table::collections(&mut conn, &[job.id]).await?;
    let collection = collections.remove(&job.id);
    let collection = collection.unwrap_or_default();
    Ok(wire::OfJob {
        job_id: job.id,
        artifacts: artifacts.into_iter().map(view).collect(),
        artifacts_ready: job.state.ended(),
        left_out: collection.left_out,
        left_out_reason: Some(collection.why).filter(|why| !why.is_empty()),
        missing_artifacts: collection.missing,
    })
}

pub(super) async fn download(
    cx: Cx,
    call: Call<DownloadArtifact>,
) -> Result<wire::Download, Error> {
    let (job, id) = call.path;
    let mut conn = cx.store().read().await?;
    let job = find_job(&mut conn, cx.caller.workspace, job).await?;
    let artifact = table::find(&mut conn, cx.caller.workspace, id, cx.now()).await?;
    let Some(artifact) = artifact.filter(|artifact| artifact.job == job.id) else {
        return Err(if job.state.ended() {
            missing(id)
        } else {
            Error::Conflict {
                code: "ARTIFACT_NOT_READY",
                message: "The job has not ended yet: what it leaves is collected then.".into(),
            }
        });
    };
    let (url, expires_at) = links::address(&cx, id, links::Use::Saved);
    let artifact = view(artifact);
    Ok(wire::Download {
        artifact_id: id,
        job_id: job.id,
        filename: artifact.filename.clone(),
        download_url: url.clone(),
        url,
        expires_at,
        ready: true,
        mime_type: artifact.mime_type.clone(),
        size_bytes: artifact.size_bytes,
        artifact,
    })
}

pub(super) async fn list(cx: Cx, call: Call<ListAllArtifacts>) -> Result<wire::List, Error> {
    let query = call.query;
    let limit = query.limit.unwrap_or(20).clamp(1, 100);
    let given = |text: Option<String>| text.unwrap_or_default().trim().to_owned();
    let filter = table::Filter {
        job: given(query.job),
        text: given(query.q),
        before: cursor::<ArtifactId>(query.cursor)?,
        limit: limit + 1,
    };
    if !filter.job.is_empty() && filter.job.parse::<JobId>().is_err() {
        return Err(Error::field("job", "Give the id of a job."));
    }
    if filter.text.chars().any(char::is_control) {
        let why = "Control characters cannot be searched for.";
        return Err(Error::field("q", why));
    }
    if filter.text.chars().count() > 200 {
        return Err(Error::field("q", "Search for at most 200 characters."));
    }
    let mut conn = cx.store().read().await?;
    let mut found = table::list(&mut conn, cx.caller.workspace, &filter, cx.now()).await?;
    let used_bytes = used(&mut conn, cx.caller.workspace).await?;
    let has_more = i64::try_from(found.len()).unwrap_or(i64::MAX) > limit;
    found.truncate(usize::try_from(limit).unwrap_or(100));
    let next_cursor = found.last().filter(|_| has_more);
    let next_cursor = next_cursor.map(|artifact| artifact.id.to_string());
    let names = names(&mut conn, &found).await?;
    let artifacts = found.into_iter().map(|artifact| listed(artifact, &names));
    Ok(wire::List {
        artifacts: artifacts.collect(),
        limit,
        next_cursor,
        has_more,
        used_bytes,
        quota_bytes: signed(cx.config().files.quota),
        max_bytes: signed(cx.config().files.largest),
        retention_seconds: signed(cx.config().files.artifacts_kept.as_secs()),
    })
}

/// What the jobs of these are called.
async fn names(conn: &mut Conn, of: &[Artifact]) -> Result<BTreeMap<JobId, String>, Error> {
    let mut ids: Vec<JobId> = of.iter().map(|artifact| artifact.job).collect();
    ids.sort_unstable();
    ids.dedup();
    let jobs = queries::these(conn, &ids).await?;
    Ok(jobs
        .into_iter()
        .map(|job| (job.id, job.spec.name))
        .collect())
}

fn listed(artifact: Artifact, names: &BTreeMap<JobId, String>) -> wire::Listed {
    wire::Listed {
        job_name: names.get(&artifact.job).cloned().unwrap_or_default(),
        artifact: view(artifact),
    }
}

pub(super) async fn get(cx: Cx, call: Call<GetArtifact>) -> Result<wire::Listed, Error> {
    let mut conn = cx.store().read().await?;
    let artifact = find(&cx, &mut conn, call.path.0).await?;
    let names = names(&mut conn, std::slice::from_ref(&artifact)).await?;
    Ok(listed(artifact, &names))
}

pub(super) async fn delete(cx: Cx, call: Call<DeleteArtifact>) -> Result<Accepted, Error> {
    let (id, now) = (call.path.0, cx.now());
    let artifact = find(&cx, &mut *cx.store().read().await?, id).await?;
    cx.store()
        .write(move |conn| Box::pin(async move { table::delete(conn, id, now).await }))
        .await?;
    // What is left of it is removed soon in any case.
    let gone = super::collect::remove_artifact(&cx, &id.to_string(), &artifact.place).await;
    if let Err(error) = gone {
        tracing::warn!(%error, artifact = %id, "its file is removed later");
    }
    Ok(Accepted {
        message: format!("{} has been deleted.", artifact.filename),
    })
}

pub(super) async fn find(cx: &Cx, conn: &mut Conn, id: ArtifactId) -> Result<Artifact, Error> {
    table::find(conn, cx.caller.workspace, id, cx.now())
        .await?
        .ok_or_else(|| missing(id))
}

pub(super) fn missing(id: ArtifactId) -> Error {
    Error::NotFound(format!("There is no artifact {id} in this workspace."))
}

pub(super) fn view(artifact: Artifact) -> wire::Artifact {
    wire::Artifact {
        artifact_id: artifact.id,
        id: artifact.id,
        job_id: artifact.job,
        name: artifact.filename.clone(),
        filename: artifact.filename,
        mime_type: artifact.content_type.clone(),
        content_type: artifact.content_type,
        size_bytes: Some(artifact.size),
        sha256: artifact.sha256,
        status: "uploaded".into(),
        ready: true,
        created_at: artifact.created_at,
        uploaded_at: artifact.created_at,
        expires_at: artifact.expires_at,
    }
}
