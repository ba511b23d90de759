//! Files on their way from a form to the orchestrator: passed on as they come.
use crate::api::inputs::{Completion, Input, NewInput, Upload};
use crate::client::{self, Client};
use crate::domain::file::Kind;
use crate::web::Error;
use crate::web::ui::form::Wrong;
use axum::body::{Body, Bytes};
use axum::extract::Multipart;
use axum::extract::multipart::{Field, MultipartError};
use http::StatusCode;
use std::io;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

/// Most bytes of everything in a form that is no file.
const TYPED: usize = 512 * 1024;

/// What is said when the orchestrator has hung up in the middle of a file.
const INTERRUPTED: &str = "The job service stopped answering before all of it had arrived. \
     Nothing of it is kept. Send it again in a minute.";

/// What came with a form.
#[derive(Debug, Default)]
pub(in crate::web) struct Received {
    /// What was typed and chosen, in its order.
    pub(in crate::web) typed: Vec<(String, String)>,
    /// Files that have arrived.
    pub(in crate::web) files: Vec<Input>,
    /// What is wrong with files that have not, by the names of their fields.
    pub(in crate::web) wrong: Wrong,
}

/// Reads a form to its end, because browsers listen only once they have said
/// everything. `kind` tells what the files of a field are for.
///
/// # Errors
///
/// What the form cannot say anything about: no session, no orchestrator, no form.
pub(in crate::web) async fn form(
    api: &Client,
    form: &mut Multipart,
    kind: impl Fn(&str) -> Kind,
) -> Result<Received, Error> {
    let mut received = Received::default();
    let read = read(api, form, &kind, &mut received).await;
    if read.is_err() {
        while let Ok(Some(_)) = form.next_field().await {}
    }
    read.map(|()| received)
}

async fn read(
    api: &Client,
    form: &mut Multipart,
    kind: &impl Fn(&str) -> Kind,
    received: &mut Received,
) -> Result<(), Error> {
    let mut room = TYPED;
    while let Some(field) = form.next_field().await.map_err(|_| Error::BadForm)? {
        let name = field.name().unwrap_or_default().to_owned();
        match field.file_name().map(last_part) {
            // What a browser sends for a field without a file.
            Some("") => {}
            Some(file) => {
                let file = file.to_owned();
                match pass_on(api, kind(&name), &file, field).await {
                    Ok(input) => received.files.push(input),
                    Err(failed) => failed.say(&mut received.wrong, &name, &file)?,
                }
            }
            None => {
                let value = typed(field, &mut room).await?;
                received.typed.push((name, value));
            }
        }
    }
    Ok(())
}

/// Some browsers send the path that a file has at home.
fn last_part(name: &str) -> &str {
    name.rsplit(['/', '\\']).next().unwrap_or(name)
}

async fn typed(mut field: Field<'_>, room: &mut usize) -> Result<String, Error> {
    let mut value = Vec::new();
    while let Some(chunk) = field.chunk().await.map_err(|_| Error::BadForm)? {
        *room = room.checked_sub(chunk.len()).ok_or(Error::BadForm)?;
        value.extend_from_slice(&chunk);
    }
    String::from_utf8(value).map_err(|_| Error::BadForm)
}

/// Why a file has not arrived.
#[derive(Debug)]
enum Failed {
    Cut(MultipartError),
    Refused(client::Error),
}

impl From<client::Error> for Failed {
    fn from(error: client::Error) -> Self {
        Self::Refused(error)
    }
}

impl Failed {
    /// Beside the field, as far as it is about the file.
    fn say(self, wrong: &mut Wrong, field: &str, file: &str) -> Result<(), Error> {
        let about = match self {
            Self::Cut(error) => {
                tracing::info!(
                    error = &error as &dyn std::error::Error,
                    "an upload was cut"
                );
                return Err(Error::BadForm);
            }
            // It is about room, whoever's it is, and the next file may be smaller.
            Self::Refused(client::Error::Refused { status, problem })
                if status == StatusCode::INSUFFICIENT_STORAGE =>
            {
                Wrong::whole(status, problem.message)
            }
            Self::Refused(error @ client::Error::Unreachable(_)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an upload could not be passed on"
                );
                Wrong::whole(StatusCode::BAD_GATEWAY, INTERRUPTED)
            }
            Self::Refused(error) => Wrong::of(error)?,
        };
        let why = about.fields.into_values().chain(about.message).next();
        let why = why.unwrap_or_else(|| "It could not be uploaded.".into());
        wrong.add(field, format!("{}: {why}", super::words::name(file)));
        wrong.status = about.status;
        Ok(())
    }
}

/// One file: never more of it in memory than the piece that is on its way.
async fn pass_on(api: &Client, kind: Kind, file: &str, field: Field<'_>) -> Result<Input, Failed> {
    let new = NewInput {
        filename: file.to_owned(),
        content_type: field.content_type().map(str::to_owned),
        kind: Some(kind.name().to_owned()),
    };
    let slot = api.create_input(&new).await?.upload;
    let sent = into(&slot, api, field).await;
    if sent.is_err() {
        // A list of what never came helps nobody. By itself it would go in an hour.
        let _ = api.delete_input(slot.input_id).await;
    }
    sent
}

async fn into(slot: &Upload, api: &Client, mut field: Field<'_>) -> Result<Input, Failed> {
    let (pass, come) = mpsc::channel::<io::Result<Bytes>>(1);
    let pump = async move {
        let mut size = 0_u64;
        loop {
            match field.chunk().await {
                Ok(Some(piece)) => {
                    size += piece.len() as u64;
                    // It has been refused, and says why itself.
                    if pass.send(Ok(piece)).await.is_err() {
                        return Ok(size);
                    }
                }
                Ok(None) => return Ok(size),
                Err(error) => {
                    // Or it would look as if the file ended here.
                    let cut = io::Error::from(io::ErrorKind::UnexpectedEof);
                    let _ = pass.send(Err(cut)).await;
                    return Err(error);
                }
            }
        }
    };
    let body = Body::from_stream(ReceiverStream::new(come));
    let (size, sent) = tokio::join!(pump, api.upload_input(slot, None, body));
    let size = size.map_err(Failed::Cut)?;
    sent?;
    let done = Completion {
        token: None,
        size_bytes: Some(size.into()),
    };
    Ok(api.complete_input(slot.input_id, &done).await?)
}
