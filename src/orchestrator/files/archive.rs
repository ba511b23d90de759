//! Several files as one archive, made while it is sent.
use super::{artifacts, content, links, signed};
use crate::api::artifacts as wire;
use crate::api::{self, PathValues as _, ZipArtifacts};
use crate::domain::id::{ArtifactId, WorkspaceId};
use crate::domain::zip::{self, Entry};
use crate::orchestrator::route::{Call, Cx};
use crate::orchestrator::{Error, State, route};
use crate::random;
use crate::store::Conn;
use crate::store::artifacts::{self as table, Artifact};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State as Extracted};
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use std::collections::HashSet;
use std::io;
use tokio::io::AsyncReadExt as _;

/// Most files of one archive.
const MOST: usize = 1_000;

pub(super) async fn make(cx: Cx, call: Call<ZipArtifacts>) -> Result<wire::Archive, Error> {
    let ids = read(&call.body.ids)?;
    let mut conn = cx.store().read().await?;
    let files = chosen(&mut conn, &cx, cx.caller.workspace, &ids).await?;
    drop(conn);
    let found: HashSet<ArtifactId> = files.iter().map(|file| file.id).collect();
    if let Some(missing) = ids.iter().find(|id| !found.contains(id)) {
        return Err(artifacts::missing(*missing));
    }
    let (token, until) = (random::token("jgz_"), links::until(&cx));
    let (hash, workspace) = (random::hash(&token), cx.caller.workspace);
    cx.store()
        .write(move |conn| {
            Box::pin(async move { table::select(conn, (&hash, workspace), &ids, until).await })
        })
        .await?;
    let base = &cx.config().public_url;
    let entries = entries(&files);
    Ok(wire::Archive {
        url: format!("{base}{}", (token,).fill(api::ARTIFACT_ZIP)),
        expires_at: until,
        filename: filename(&files),
        files: i64::try_from(files.len()).unwrap_or(i64::MAX),
        size_bytes: Some(signed(zip::length(&entries))),
    })
}

fn read(given: &[String]) -> Result<Vec<ArtifactId>, Error> {
    if given.is_empty() || given.len() > MOST {
        let why = format!("Choose 1 to {MOST} files.");
        return Err(Error::field("ids", why));
    }
    let (mut ids, mut seen) = (Vec::new(), HashSet::new());
    for id in given {
        let id: ArtifactId = id
            .trim()
            .parse()
            .map_err(|_| Error::field("ids", "These are not all ids of artifacts."))?;
        if seen.insert(id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Those of them that there are, in their order.
async fn chosen(
    conn: &mut Conn,
    state: &State,
    workspace: WorkspaceId,
    ids: &[ArtifactId],
) -> Result<Vec<Artifact>, Error> {
    let mut files = table::these(conn, workspace, ids, state.now()).await?;
    files.sort_by_key(|file| ids.iter().position(|id| *id == file.id));
    Ok(files)
}

/// What they are called in the archive: files of several jobs lie in folders.
fn entries(files: &[Artifact]) -> Vec<Entry> {
    let one_job = files.iter().all(|file| file.job == files[0].job);
    let mut taken = HashSet::new();
    files
        .iter()
        .map(|file| {
            let name = if one_job {
                file.filename.clone()
            } else {
                format!("{}/{}", file.job, file.filename)
            };
            Entry {
                name: zip::unused(&zip::portable(&name), &mut taken),
                size: u64::try_from(file.size).unwrap_or(0),
                crc32: file.crc32,
                at: file.created_at,
            }
        })
        .collect()
}

fn filename(files: &[Artifact]) -> String {
    match files {
        [first, rest @ ..] if rest.iter().all(|file| file.job == first.job) => {
            format!("{}.zip", first.job)
        }
        _ => "artifacts.zip".into(),
    }
}

pub(super) async fn fetch(
    Extracted(state): Extracted<State>,
    mut parts: Parts,
) -> Result<Response, Error> {
    let Path((token,)) = route::path::<(String,)>(&mut parts, &state).await?;
    let mut conn = state.store().read().await?;
    let selection = table::selected(&mut conn, &random::hash(&token), state.now()).await?;
    let (workspace, ids) = selection.ok_or_else(links::nothing)?;
    let files = chosen(&mut conn, &state, workspace, &ids).await?;
    drop(conn);
    if files.is_empty() {
        return Err(links::nothing());
    }
    let entries = entries(&files);
    let mut headers = HeaderMap::new();
    content::harmless(&mut headers, "application/zip");
    let length = zip::length(&entries).to_string();
    content::set(&mut headers, header::CONTENT_LENGTH, &length);
    let disposition = content::disposed("attachment", &filename(&files));
    content::set(&mut headers, header::CONTENT_DISPOSITION, &disposition);
    let body = if parts.method == http::Method::HEAD {
        Body::empty()
    } else {
        Body::from_stream(packed(state, files, entries))
    };
    Ok((StatusCode::OK, headers, body).into_response())
}

/// The archive piece by piece.
fn packed(
    state: State,
    files: Vec<Artifact>,
    entries: Vec<Entry>,
) -> impl futures_util::Stream<Item = io::Result<Bytes>> + Send + 'static {
    async_stream::try_stream! {
        let mut archive = zip::Archive::default();
        for (file, entry) in files.iter().zip(&entries) {
            yield Bytes::from(archive.next(entry));
            let opened = content::open(state.disk().artifact(&file.place)).await;
            let mut opened = opened.map_err(io::Error::other)?;
            let mut left = entry.size;
            while left > 0 {
                let most = usize::try_from(left).unwrap_or(usize::MAX).min(content::PIECE);
                let mut piece = bytes::BytesMut::with_capacity(most);
                let read = (&mut opened).take(most as u64).read_buf(&mut piece).await?;
                // Shorter than was promised: the client sees that it was broken off.
                if read == 0 {
                    Err(io::Error::from(io::ErrorKind::UnexpectedEof))?;
                }
                left -= read as u64;
                yield piece.freeze();
            }
        }
        yield Bytes::from(archive.end());
    }
}
