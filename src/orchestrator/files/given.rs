//! The files that a job is given: looked up when it is submitted, copied when it starts.
use crate::domain::file::{JobFile, Kind};
use crate::domain::id::WorkspaceId;
use crate::domain::job::Phase;
use crate::domain::routing::Check;
use crate::engine::{RunFile, RunSpec};
use crate::orchestrator::{Error, State, lifecycle};
use crate::store::Conn;
use crate::store::inputs::{self as table, Input, Status};
use crate::store::jobs::Job;
use http::StatusCode;
use std::collections::{BTreeMap, HashSet};

/// Why a job cannot be given one of its files.
#[derive(Debug)]
struct Trouble {
    code: &'static str,
    field: &'static str,
    message: String,
    action: &'static str,
}

/// Looks the files up, and says what is wrong with the first that cannot be given.
///
/// # Errors
///
/// With the contract's codes; or if the database does not answer.
pub(in crate::orchestrator) async fn look_up(
    conn: &mut Conn,
    workspace: WorkspaceId,
    files: &mut [JobFile],
) -> Result<(), Error> {
    match troubles(conn, workspace, files).await?.into_iter().next() {
        None => Ok(()),
        Some(trouble) => Err(refusal(trouble)),
    }
}

/// The same as checks of a screening.
pub(in crate::orchestrator) async fn checks(
    conn: &mut Conn,
    workspace: WorkspaceId,
    files: &[JobFile],
) -> Result<Vec<Check>, Error> {
    let troubles = troubles(conn, workspace, &mut files.to_vec()).await?;
    let check = |trouble: Trouble| Check {
        code: trouble.code.into(),
        severity: "error".into(),
        status: "blocked".into(),
        field: Some(trouble.field.into()),
        message: trouble.message,
        action: Some(trouble.action.into()),
    };
    Ok(troubles.into_iter().map(check).collect())
}

fn refusal(trouble: Trouble) -> Error {
    let status = if trouble.code == "JOB_INPUT_NOT_READY" {
        StatusCode::CONFLICT
    } else {
        StatusCode::BAD_REQUEST
    };
    let message = format!("{} {}", trouble.message, trouble.action);
    Error::File {
        status,
        code: trouble.code,
        fields: BTreeMap::from([(trouble.field.to_owned(), message.clone())]),
        message,
    }
}

async fn troubles(
    conn: &mut Conn,
    workspace: WorkspaceId,
    files: &mut [JobFile],
) -> Result<Vec<Trouble>, Error> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<&str> = files.iter().map(|file| file.input_id.as_str()).collect();
    let known = table::these(conn, workspace, &ids).await?;
    let known: BTreeMap<String, Input> = known
        .into_iter()
        .map(|input| (input.id.to_string(), input))
        .collect();
    let (mut troubles, mut names) = (Vec::new(), HashSet::new());
    for file in files {
        let field = match file.kind {
            Kind::Input => "input_files",
            Kind::Script => "script_files",
        };
        let trouble = |code, message, action| Trouble {
            code,
            field,
            message,
            action,
        };
        let Some(input) = known.get(&file.input_id) else {
            let message = format!("There is no input {} in this workspace.", file.input_id);
            let action = "Upload the file first, or leave it out.";
            troubles.push(trouble("JOB_INPUT_NOT_FOUND", message, action));
            continue;
        };
        if input.status != Status::Ready {
            let message = format!("{} has not been uploaded completely.", input.filename);
            let action = "Finish its upload first.";
            troubles.push(trouble("JOB_INPUT_NOT_READY", message, action));
            continue;
        }
        if !names.insert((file.kind, input.filename.clone())) {
            let folder = file.kind.folder();
            let message = format!("Two files would be {folder}/{}.", input.filename);
            let action = "Upload one of them under another name.";
            troubles.push(trouble("INVALID_REQUEST", message, action));
            continue;
        }
        file.filename = Some(input.filename.clone());
        file.size_bytes = input.size;
    }
    Ok(troubles)
}

/// What is said if one of them has been deleted since it was looked up.
pub(in crate::orchestrator) fn gone() -> Error {
    refusal(Trouble {
        code: "JOB_INPUT_NOT_FOUND",
        field: "input_files",
        message: "One of the files has just been deleted.".into(),
        action: "Choose again.",
    })
}

/// Says which files the engine has to copy, and notes that it is about to.
pub(in crate::orchestrator) async fn equip(
    state: &State,
    job: &Job,
    run: &mut RunSpec,
) -> Result<(), Error> {
    if job.spec.files.is_empty() {
        return Ok(());
    }
    for file in &job.spec.files {
        let (Ok(id), Some(name)) = (file.input_id.parse(), &file.filename) else {
            continue;
        };
        run.files.push(RunFile {
            from: state.disk().input(id),
            folder: file.kind.folder().into(),
            name: name.to_string(),
            executable: file.kind == Kind::Script,
        });
    }
    lifecycle::preparing(state, job.id, Phase::PreparingInputs).await?;
    Ok(())
}
