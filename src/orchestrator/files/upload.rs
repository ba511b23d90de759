//! Takes the bytes of a file as they come: never more of them in memory than a piece.
use super::disk::{self, Promise};
use super::{inputs, said, used};
use crate::domain::id::InputId;
use crate::orchestrator::{Error, State, route};
use crate::random;
use crate::store::inputs::{self as table, Input, Status};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State as Extracted};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path as FilePath, PathBuf};
use subtle::ConstantTimeEq as _;

/// So much is gathered before it is written.
const PIECE: usize = 512 * 1024;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Query {
    #[serde(default)]
    token: Option<String>,
}

/// `PUT` with the slot's token in the address or as the bearer. Whatever else is sent
/// along means nothing: some clients send their key, others nothing.
pub(super) async fn receive(Extracted(state): Extracted<State>, request: Request) -> Response {
    match received(&state, request).await {
        Ok(input) => {
            let known = [(header::CACHE_CONTROL, "no-store")];
            (StatusCode::OK, known, Json(inputs::view(input))).into_response()
        }
        Err(error) => {
            // What is left of the body is not read: nothing can follow it.
            let close = [(header::CONNECTION, "close")];
            (close, error).into_response()
        }
    }
}

async fn received(state: &State, request: Request) -> Result<Input, Error> {
    let (mut parts, body) = request.into_parts();
    let Path((id,)) = route::path::<(InputId,)>(&mut parts, state).await?;
    let query = route::query::<Query>(&parts.uri)?;
    let bearer = parts.headers.get_all(header::AUTHORIZATION).iter();
    let bearers = bearer.filter_map(|value| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    });
    let tokens: Vec<&str> = query.token.as_deref().into_iter().chain(bearers).collect();
    let slot = table::find_for_upload(&mut *state.store().read().await?, id).await?;
    let input = slot
        .filter(|slot| tokens.iter().any(|token| opens(token, slot)))
        .ok_or_else(|| Error::NotFound("There is nothing to upload to at this address.".into()))?;
    let length = parts.headers.get(header::CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    take(state, input, length, body).await
}

fn opens(token: &str, slot: &Input) -> bool {
    bool::from(random::hash(token).as_bytes().ct_eq(slot.token.as_bytes()))
}

/// Writes the file, and then what is known of it. It is there for jobs only when both
/// are done.
async fn take(
    state: &State,
    input: Input,
    length: Option<u64>,
    body: Body,
) -> Result<Input, Error> {
    let conflict = |message: String| Error::Conflict {
        code: "CONFLICT",
        message,
    };
    let (id, filename) = (input.id, input.filename.clone());
    let too_late = || conflict(format!("{filename} has been uploaded already."));
    if input.status == Status::Ready {
        return Err(too_late());
    }
    if input.upload_expires_at <= state.now() {
        return Err(Error::Coded {
            status: StatusCode::GONE,
            code: "UPLOAD_EXPIRED",
            message: "The time for this upload is over. Ask for another place to upload to.".into(),
        });
    }
    let claim = state
        .disk()
        .claim(id)
        .ok_or_else(|| conflict(format!("{filename} is being uploaded right now.")))?;
    let (room, promise) = room(state, &input, length).await?;
    // An earlier upload of it counts no more: from here on its file may be another.
    let begun = state
        .store()
        .write(move |conn| Box::pin(async move { table::begin(conn, id).await }));
    if !begun.await? {
        return Err(too_late());
    }
    let incoming = Incoming::create(state)?;
    let (size, sha256) = incoming.fill(body, room, state).await?;
    incoming.keep(state.disk().input(id)).await?;
    let (bytes, now) = (super::signed(size), state.now());
    let done = state.store().write(move |conn| {
        Box::pin(async move {
            let there = table::uploaded(conn, id, (bytes, &sha256), now).await?;
            let input = table::find_for_upload(conn, id).await?;
            Ok::<_, crate::store::Error>(input.filter(|_| there))
        })
    });
    let done = done.await?;
    drop((promise, claim));
    done.ok_or_else(|| Error::NotFound("It was deleted while it was being uploaded.".into()))
}

/// How many bytes may come, which nobody else gets meanwhile.
async fn room(state: &State, input: &Input, length: Option<u64>) -> Result<(u64, Promise), Error> {
    let files = &state.config().files;
    if let Some(length) = length.filter(|length| *length > files.largest) {
        return Err(too_large(state, Some(length)));
    }
    let wanted = length.unwrap_or(files.largest);
    // In this order: what another upload has been promised is counted until it counts as used.
    let (promise, others) = state.disk().promise(input.workspace, wanted);
    let mut conn = state.store().read().await?;
    let used = used(&mut conn, input.workspace).await?;
    // What it replaces makes room for it.
    let used = used - input.size.unwrap_or(0);
    let used = u64::try_from(used).unwrap_or(0).saturating_add(others);
    let free = files.quota.saturating_sub(used);
    if length.is_some_and(|length| length > free) || free == 0 {
        return Err(full(state, free));
    }
    Ok((wanted.min(free), promise))
}

fn too_large(state: &State, length: Option<u64>) -> Error {
    let most = said(state.config().files.largest);
    let message = match length {
        Some(length) => format!(
            "The file has {}; {most} at most can be uploaded.",
            said(length)
        ),
        None => format!("The file is larger than {most}, which is the most that can be uploaded."),
    };
    Error::Coded {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        code: "FILE_TOO_LARGE",
        message,
    }
}

fn full(state: &State, free: u64) -> Error {
    Error::Conflict {
        code: "STORAGE_FULL",
        message: format!(
            "There is room for {} more: a workspace keeps {} at most. Delete files that you do not need.",
            said(free),
            said(state.config().files.quota)
        ),
    }
}

/// A file that nobody has yet; gone if it is not kept.
struct Incoming {
    path: PathBuf,
    kept: bool,
}

impl Incoming {
    fn create(state: &State) -> Result<Self, Error> {
        let path = state.disk().incoming().map_err(broken)?;
        Ok(Self { path, kept: false })
    }

    /// Writes what comes; how much that was, and its SHA-256 in hex.
    async fn fill(&self, body: Body, room: u64, state: &State) -> Result<(u64, String), Error> {
        let mut writer = Writer::open(&self.path).map_err(broken)?;
        let mut pieces = body.into_data_stream();
        let (mut gathered, mut waiting, mut size) = (Vec::<Bytes>::new(), 0, 0_u64);
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| {
                Error::BadRequest("The file did not arrive to its end. Send it again.".into())
            })?;
            size += piece.len() as u64;
            if size > room {
                return Err(if size > state.config().files.largest {
                    too_large(state, None)
                } else {
                    full(state, room)
                });
            }
            waiting += piece.len();
            gathered.push(piece);
            if waiting >= PIECE {
                writer = writer.write(std::mem::take(&mut gathered)).await?;
                waiting = 0;
            }
        }
        writer = writer.write(gathered).await?;
        Ok((size, writer.close().await?))
    }

    /// Gives it its place, so that it is there after a power cut if anyone is told so.
    async fn keep(mut self, place: PathBuf) -> Result<(), Error> {
        let from = self.path.clone();
        let moved = tokio::task::spawn_blocking(move || {
            std::fs::rename(&from, &place)?;
            let folder = place.parent().unwrap_or(FilePath::new("/"));
            File::open(folder)?.sync_all()
        });
        moved
            .await
            .map_err(|error| Error::Internal(error.into()))?
            .map_err(broken)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            let _ = disk::remove(&self.path);
        }
    }
}

/// Writes on threads that may wait for the disk.
struct Writer {
    file: File,
    hash: Sha256,
}

impl Writer {
    fn open(path: &FilePath) -> io::Result<Self> {
        let file = File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)?;
        Ok(Self {
            file,
            hash: Sha256::new(),
        })
    }

    async fn write(mut self, pieces: Vec<Bytes>) -> Result<Self, Error> {
        blocking(move || {
            for piece in pieces {
                self.hash.update(&piece);
                self.file.write_all(&piece)?;
            }
            Ok(self)
        })
        .await
    }

    async fn close(self) -> Result<String, Error> {
        blocking(move || {
            self.file.sync_all()?;
            Ok(random::hex(&self.hash.finalize()))
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Internal(error.into()))?
        .map_err(broken)
}

fn broken(error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::StorageFull {
        tracing::error!("the disk is full");
        return Error::Coded {
            status: StatusCode::INSUFFICIENT_STORAGE,
            code: "STORAGE_FULL",
            message: "The disk of this installation is full. Tell its operator.".into(),
        };
    }
    Error::Internal(error.into())
}
