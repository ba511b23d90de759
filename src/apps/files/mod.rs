//! A file browser that needs no JavaScript.
mod download;
mod place;
mod upload;
mod view;

use super::page;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::{Form, Query};
use http::{StatusCode, Uri};
use place::{Folder, Place};
use serde::Deserialize;
use std::ffi::OsString;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;
use std::sync::Arc;

/// The folder that all of it is about.
type Root = State<Arc<Folder>>;

pub(super) fn router(root: &Path) -> anyhow::Result<Router> {
    std::fs::create_dir_all(root)?;
    let root = Arc::new(Folder::root(root)?);
    upload::tidy(&root);
    Ok(Router::new()
        .route("/", get(|| async { Redirect::to("/files/") }))
        .route("/files/", get(look))
        .route("/files/{*path}", get(look))
        .route("/raw/{*path}", get(download::download))
        .route("/upload/", post(upload::upload))
        .route("/upload/{*path}", post(upload::upload))
        .route("/folder/", post(make))
        .route("/folder/{*path}", post(make))
        .route("/rename/", post(rename))
        .route("/rename/{*path}", post(rename))
        .route("/delete/", post(delete))
        .route("/delete/{*path}", post(delete))
        .layer(DefaultBodyLimit::disable())
        .with_state(root))
}

/// Why not.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("There is nothing at this address.")]
    NoPlace,
    #[error("{0}")]
    Bad(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl axum::response::IntoResponse for Error {
    fn into_response(self) -> Response {
        use io::ErrorKind as Of;
        let (status, why) = match &self {
            Self::NoPlace => (StatusCode::NOT_FOUND, self.to_string()),
            Self::Bad(why) => (StatusCode::BAD_REQUEST, why.clone()),
            Self::Io(error) => match error.kind() {
                Of::NotFound => (StatusCode::NOT_FOUND, "It is not there (any more).".into()),
                Of::AlreadyExists => (
                    StatusCode::CONFLICT,
                    "There is something of that name already.".into(),
                ),
                _ if links_on(error) || error.kind() == Of::NotADirectory => (
                    StatusCode::NOT_FOUND,
                    "It is a link or no folder, and is not followed.".into(),
                ),
                Of::PermissionDenied => (
                    StatusCode::FORBIDDEN,
                    "The system does not allow that here.".into(),
                ),
                Of::StorageFull | Of::QuotaExceeded | Of::FileTooLarge => (
                    StatusCode::INSUFFICIENT_STORAGE,
                    "There is not enough room for it.".into(),
                ),
                Of::InvalidFilename => (StatusCode::BAD_REQUEST, "The name is too long.".into()),
                _ => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}.")),
            },
        };
        page::refusal(status, &why)
    }
}

fn links_on(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ELOOP)
}

/// Work on the disk, which can be slow, beside the one thread that answers.
async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::Io(io::Error::other(error)))?
}

fn place(uri: &Uri) -> Result<Place, Error> {
    Place::read(uri.path()).ok_or(Error::NoPlace)
}

/// What is being looked at, and asked about.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Look {
    /// `rename` or `delete`: asks about `name`.
    ask: String,
    name: String,
    /// What was just done.
    done: String,
    /// The first entry that is shown.
    from: usize,
}

/// Entries on one page.
const PER_PAGE: usize = 500;
/// Bytes of text that a preview shows.
const PREVIEW: u64 = 256 * 1024;

async fn look(State(root): Root, uri: Uri, Query(look): Query<Look>) -> Result<Response, Error> {
    let place = place(&uri)?;
    if matches!(look.ask.as_str(), "rename" | "delete") {
        return ask(root, place, look).await;
    }
    beside(move || {
        let page = match root.walk(&place) {
            Ok(folder) => list(&folder, &place, &look)?,
            Err(error) => preview(&root, &place, error)?,
        };
        Ok(page.into_response())
    })
    .await
}

fn list(folder: &Folder, place: &Place, look: &Look) -> Result<maud::Markup, Error> {
    let names = folder.names()?;
    let shown = names.iter().skip(look.from).take(PER_PAGE);
    let entries = shown
        .filter_map(|(_, name)| folder.about(name).ok())
        .collect();
    Ok(view::folder(&view::Listing {
        place,
        entries,
        from: look.from,
        of: names.len(),
        per_page: PER_PAGE,
        free: folder.free(),
        done: match look.done.as_str() {
            "uploaded" => "The upload is complete.",
            "made" => "The folder has been made.",
            "renamed" => "It has another name now.",
            "deleted" => "It has been deleted.",
            _ => "",
        },
    }))
}

fn preview(root: &Folder, place: &Place, not_a_folder: io::Error) -> Result<maud::Markup, Error> {
    let Some((folder, name)) = place.split() else {
        return Err(not_a_folder.into());
    };
    let folder = root.walk(&folder)?;
    let about = folder.about(name)?;
    if about.kind != place::Kind::File {
        return Err(not_a_folder.into());
    }
    let content = if download::image_kind(name).is_some() {
        view::Content::Image
    } else {
        let mut bytes = Vec::new();
        folder.open(name)?.take(PREVIEW).read_to_end(&mut bytes)?;
        let whole = bytes.len() as u64 >= about.size;
        readable(bytes).map_or(view::Content::None, |text| view::Content::Text {
            text,
            whole,
        })
    };
    Ok(view::file(place, &about, content))
}

/// The bytes as text, if that is what they are; they may end inside a character.
fn readable(bytes: Vec<u8>) -> Option<String> {
    if bytes.contains(&0) {
        return None;
    }
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let cut = error.utf8_error();
            let good = cut.valid_up_to();
            (cut.error_len().is_none() && good > 0)
                .then(|| String::from_utf8_lossy(&error.as_bytes()[..good]).into_owned())
        }
    }
}

async fn ask(root: Arc<Folder>, place: Place, look: Look) -> Result<Response, Error> {
    let name = name(&look.name)?;
    beside(move || {
        let about = root.walk(&place)?.about(&name)?;
        Ok(view::question(&place, &about, look.ask == "delete").into_response())
    })
    .await
}

/// A name as it stands in a form of ours: percent-encoded, because names need not
/// be text.
fn name(given: &str) -> Result<OsString, Error> {
    place::decoded(given)
        .map(OsString::from_vec)
        .filter(|name| place::is_name(name))
        .ok_or(Error::NoPlace)
}

/// A name that somebody typed.
fn typed(given: &str) -> Result<OsString, Error> {
    let name = OsString::from(given.trim());
    let hidden = given.chars().any(char::is_control);
    let ours = given.trim().starts_with(place::PART);
    if place::is_name(&name) && !hidden && !ours {
        Ok(name)
    } else {
        Err(Error::Bad(
            "A name has 1 to 255 bytes, without slashes.".into(),
        ))
    }
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
    #[serde(default)]
    to: String,
}

async fn make(State(root): Root, uri: Uri, Form(form): Form<Named>) -> Result<Response, Error> {
    let (place, name) = (place(&uri)?, typed(&form.name)?);
    let back = place.clone();
    beside(move || Ok(root.walk(&place)?.make(&name)?)).await?;
    Ok(done(&back, "made"))
}

async fn rename(State(root): Root, uri: Uri, Form(form): Form<Named>) -> Result<Response, Error> {
    let (place, name, to) = (place(&uri)?, name(&form.name)?, typed(&form.to)?);
    let back = place.clone();
    beside(move || Ok(root.walk(&place)?.rename(&name, &to)?)).await?;
    Ok(done(&back, "renamed"))
}

async fn delete(State(root): Root, uri: Uri, Form(form): Form<Named>) -> Result<Response, Error> {
    let (place, name) = (place(&uri)?, name(&form.name)?);
    let back = place.clone();
    beside(move || Ok(root.walk(&place)?.remove(&name)?)).await?;
    Ok(done(&back, "deleted"))
}

fn done(place: &Place, what: &str) -> Response {
    Redirect::to(&format!("{}?done={what}", place.address("files"))).into_response()
}
