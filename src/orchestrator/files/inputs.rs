//! Slots for uploads, and what has been uploaded.
use super::{cursor, signed, used};
use crate::api::accounts::Accepted;
use crate::api::inputs as wire;
use crate::api::{self, CompleteInput, CreateInput, DeleteInput, GetInput, ListInputs, PathValues};
use crate::domain::file::{FileName, Kind};
use crate::domain::id::InputId;
use crate::orchestrator::Error;
use crate::orchestrator::route::{Call, Cx};
use crate::random;
use crate::store::Conn;
use crate::store::inputs::{self as table, Input, Status};
use std::collections::BTreeMap;
use subtle::ConstantTimeEq as _;
use time::Duration;

/// An upload has to begin within this.
const OPEN_FOR: Duration = Duration::minutes(15);
/// What is said of files that say nothing.
const UNKNOWN_TYPE: &str = "application/octet-stream";

pub(super) async fn create(cx: Cx, call: Call<CreateInput>) -> Result<wire::Slot, Error> {
    let (filename, kind, content_type) = read(&call.body)?;
    let (token, now) = (random::token("jgu_"), cx.now());
    let config = &cx.config().files;
    let input = Input {
        id: cx.id(),
        workspace: cx.caller.workspace,
        account: cx.caller.account,
        kind,
        filename,
        content_type,
        status: Status::Pending,
        token: random::hash(&token),
        size: None,
        sha256: None,
        created_at: now,
        uploaded_at: None,
        upload_expires_at: now + OPEN_FOR,
        expires_at: now + config.inputs_kept,
    };
    let written = input.clone();
    cx.store()
        .write(move |conn| Box::pin(async move { table::insert(conn, &written).await }))
        .await?;
    let base = &cx.config().public_url;
    let at = (input.id,).fill(api::INPUT_CONTENT);
    let done = (input.id,).fill(<CompleteInput as api::Endpoint>::PATH);
    Ok(wire::Slot {
        upload: wire::Upload {
            input_id: input.id,
            filename: input.filename.to_string(),
            method: "PUT".into(),
            upload_url: format!("{base}{at}?token={token}"),
            token,
            expires_at: input.upload_expires_at,
            complete_url: format!("{base}{done}"),
            content_type: input.content_type,
            kind: input.kind,
            max_bytes: config.largest,
        },
    })
}

fn read(body: &wire::NewInput) -> Result<(FileName, Kind, String), Error> {
    let mut wrong = BTreeMap::new();
    let filename = FileName::new(&body.filename).inspect_err(|why| {
        wrong.insert("filename".to_owned(), why.to_string());
    });
    let kind = match body.kind.as_deref().map(str::trim) {
        None | Some("") => Some(Kind::Input),
        Some(word) => Kind::named(word),
    };
    if kind.is_none() {
        wrong.insert("kind".into(), "Use input or script.".into());
    }
    let content_type = match body.content_type.as_deref().map(str::trim) {
        None | Some("") => UNKNOWN_TYPE,
        Some(given) => given,
    };
    let plain = |c: char| c.is_ascii_graphic() || c == ' ';
    if content_type.len() > 255 || !content_type.chars().all(plain) || !content_type.contains('/') {
        let why = "Give a media type such as text/csv.";
        wrong.insert("content_type".into(), why.into());
    }
    match (filename, kind) {
        (Ok(filename), Some(kind)) if wrong.is_empty() => {
            Ok((filename, kind, content_type.to_owned()))
        }
        _ => Err(Error::Invalid {
            message: wrong.values().next().cloned().unwrap_or_default(),
            fields: wrong,
        }),
    }
}

pub(super) async fn list(cx: Cx, call: Call<ListInputs>) -> Result<wire::List, Error> {
    let query = call.query;
    let limit = query.limit.unwrap_or(20).clamp(1, 100);
    let given = |text: Option<String>| text.unwrap_or_default().trim().to_owned();
    let filter = table::Filter {
        status: given(query.status),
        kind: given(query.kind),
        before: cursor::<InputId>(query.cursor)?,
        limit: limit + 1,
    };
    if !filter.status.is_empty() && Status::named(&filter.status).is_none() {
        return Err(Error::field("status", "Use pending, uploaded or ready."));
    }
    if !filter.kind.is_empty() && Kind::named(&filter.kind).is_none() {
        return Err(Error::field("kind", "Use input or script."));
    }
    let mut conn = cx.store().read().await?;
    let mut inputs = table::list(&mut conn, cx.caller.workspace, &filter, cx.now()).await?;
    let used_bytes = used(&mut conn, cx.caller.workspace).await?;
    let has_more = i64::try_from(inputs.len()).unwrap_or(i64::MAX) > limit;
    inputs.truncate(usize::try_from(limit).unwrap_or(100));
    let next_cursor = inputs.last().filter(|_| has_more);
    Ok(wire::List {
        next_cursor: next_cursor.map(|input| input.id.to_string()),
        inputs: inputs.into_iter().map(view).collect(),
        limit,
        has_more,
        used_bytes,
        quota_bytes: signed(cx.config().files.quota),
        max_bytes: signed(cx.config().files.largest),
        retention_seconds: signed(cx.config().files.inputs_kept.as_secs()),
    })
}

pub(super) async fn get(cx: Cx, call: Call<GetInput>) -> Result<wire::Input, Error> {
    let mut conn = cx.store().read().await?;
    find(&cx, &mut conn, call.path.0).await.map(view)
}

pub(super) async fn complete(cx: Cx, call: Call<CompleteInput>) -> Result<wire::Input, Error> {
    let id = call.path.0;
    let input = find(&cx, &mut *cx.store().read().await?, id).await?;
    if let Some(token) = &call.body.token {
        let known = random::hash(token);
        if !bool::from(known.as_bytes().ct_eq(input.token.as_bytes())) {
            let why = "This is not the token of this upload.";
            return Err(Error::field("token", why));
        }
    }
    let Some(size) = input.size else {
        return Err(not_there(&input));
    };
    let said = call.body.size_bytes.as_ref().and_then(number);
    if let Some(said) = said.filter(|said| *said != size) {
        let why = format!("{size} bytes arrived, and not {said}. Upload it again.");
        return Err(Error::field("size_bytes", why));
    }
    let done = cx
        .store()
        .write(move |conn| Box::pin(async move { table::complete(conn, id).await }));
    if !done.await? {
        return Err(not_there(&input));
    }
    let mut conn = cx.store().read().await?;
    find(&cx, &mut conn, id).await.map(view)
}

/// Some clients write numbers with a fraction.
#[expect(clippy::cast_possible_truncation, reason = "a size of a file fits")]
fn number(value: &serde_json::Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().map(|n| n as i64))
}

fn not_there(input: &Input) -> Error {
    Error::Conflict {
        code: "JOB_INPUT_NOT_READY",
        message: format!("{} has not been uploaded yet.", input.filename),
    }
}

pub(super) async fn delete(cx: Cx, call: Call<DeleteInput>) -> Result<Accepted, Error> {
    let (id, now) = (call.path.0, cx.now());
    let input = find(&cx, &mut *cx.store().read().await?, id).await?;
    let done = cx
        .store()
        .write(move |conn| Box::pin(async move { table::delete(conn, id, now).await }));
    if !done.await? {
        return Err(Error::Conflict {
            code: "CONFLICT",
            message: format!(
                "A job that has not ended needs {}. Cancel it or wait for its end.",
                input.filename
            ),
        });
    }
    // What is left of it is removed soon in any case.
    if let Err(error) = super::collect::remove_input(&cx, id).await {
        tracing::warn!(%error, input = %id, "its file is removed later");
    }
    Ok(Accepted {
        message: format!("{} has been deleted.", input.filename),
    })
}

async fn find(cx: &Cx, conn: &mut Conn, id: InputId) -> Result<Input, Error> {
    table::find(conn, cx.caller.workspace, id)
        .await?
        .ok_or_else(|| Error::NotFound(format!("There is no input {id} in this workspace.")))
}

pub(super) fn view(input: Input) -> wire::Input {
    wire::Input {
        input_id: input.id,
        id: input.id,
        mount_path: input.kind.mount_path(input.filename.as_str()),
        filename: input.filename.into(),
        content_type: input.content_type,
        size_bytes: input.size,
        kind: input.kind,
        status: input.status.name().into(),
        ready: input.status == Status::Ready,
        sha256: input.sha256,
        created_at: input.created_at,
        uploaded_at: input.uploaded_at,
        expires_at: input.expires_at,
    }
}
