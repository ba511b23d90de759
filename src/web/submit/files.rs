//! The files of a job in the wizard: chosen from what has been uploaded, or brought
//! with the form.
use super::fields::{self, Answers};
use super::form::Typed;
use super::steps::Step;
use super::view::StepView;
use super::{Which, draw, open};
use crate::api::drafts::Draft;
use crate::api::inputs::{Filter, Input};
use crate::client::Client;
use crate::domain::file::Kind;
use crate::domain::id::{DraftId, InputId};
use crate::web::Error;
use crate::web::files::progress::{self, Room};
use crate::web::files::receive::{self, Received};
use crate::web::files::{UPLOADS, chooser, words};
use crate::web::hx::{self, Wants};
use crate::web::ui;
use crate::web::ui::form::hidden;
use crate::web::viewer::Viewer;
use axum::extract::Multipart;
use axum::response::{Redirect, Response};
use http::StatusCode;
use maud::{Markup, html};
use std::collections::BTreeMap;
use time::OffsetDateTime;

/// Uploads to choose from, of each kind; older ones are found among all uploads.
const OFFERED: i64 = 20;
/// Where data and a script come with the form.
const DATA: &str = "upload_input";
const SCRIPT: &str = "upload_script";

/// Where the step with files is sent to.
pub(super) fn path(draft: DraftId) -> String {
    format!("/portal/submit/{draft}/files")
}

/// What can be chosen from.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    data: Vec<Input>,
    scripts: Vec<Input>,
    /// Whether it could not be looked at.
    closed: bool,
    /// How much more there may be.
    room: Room,
}

impl Shelf {
    /// What shows how far files are that come with the form.
    pub(super) fn progress(&self) -> Markup {
        progress::shown(self.room)
    }
}

/// The newest uploads, and whatever is chosen already. Asked for the one step that
/// shows them.
pub(super) async fn shelf(
    api: &Client,
    step: Step,
    answers: &Answers,
) -> Result<Option<Shelf>, Error> {
    if step != Step::Image {
        return Ok(None);
    }
    let mut shelf = Shelf::default();
    for (kind, field) in [(Kind::Input, "input_files"), (Kind::Script, "script_files")] {
        let filter = Filter {
            limit: Some(OFFERED),
            status: Some("ready".into()),
            kind: Some(kind.name().into()),
            ..Filter::default()
        };
        let mut offered = match api.inputs(&filter).await {
            Ok(list) => {
                shelf.room = Room::of(&list);
                list.inputs
            }
            Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                return Err(error.into());
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "no list of uploads"
                );
                shelf.closed = true;
                return Ok(Some(shelf));
            }
        };
        for id in answers.get(field).lines() {
            // What is gone is not offered, and so not sent again.
            if offered.iter().all(|input| input.id.to_string() != id)
                && let Some(input) = one(api, id).await
            {
                offered.push(input);
            }
        }
        match kind {
            Kind::Input => shelf.data = offered,
            Kind::Script => shelf.scripts = offered,
        }
    }
    Ok(Some(shelf))
}

async fn one(api: &Client, id: &str) -> Option<Input> {
    let id: InputId = id.parse().ok()?;
    api.input(id).await.ok()
}

/// What the files of a draft are called, by their ids; those that are gone are not there.
pub(super) async fn names(api: &Client, draft: &Draft) -> BTreeMap<String, String> {
    let answers = Answers::of(fields::IMAGE, &draft.content);
    let chosen = ["input_files", "script_files"].map(|field| answers.get(field));
    let mut names = BTreeMap::new();
    for id in chosen.iter().flat_map(|ids| ids.lines()) {
        if let Some(input) = one(api, id).await {
            names.insert(id.to_owned(), words::name(&input.filename));
        }
    }
    names
}

/// What is known of an upload is on the page of the step.
pub(super) async fn leave(Which(id): Which) -> Redirect {
    Redirect::to(&Step::Image.path(id))
}

/// Saves the step with the files that come with it, and goes on; or shows it again.
/// Files that have arrived are kept and chosen, whatever else is wrong.
pub(super) async fn save(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    mut form: Multipart,
) -> Result<Response, Error> {
    let kind = |field: &str| match field {
        SCRIPT => Kind::Script,
        _ => Kind::Input,
    };
    // The whole of it is read before anything is answered.
    let received = receive::form(&viewer.api, &mut form, kind).await?;
    let draft = match open(&viewer.api, wants, id).await? {
        Ok(draft) => draft,
        Err(submitted) => return Ok(submitted),
    };
    let step = Step::Image;
    let wrong = received.wrong.clone();
    let sent = with_files(received);
    let to_review = sent
        .iter()
        .any(|(name, value)| name == "back" && value == "review");
    let answers = Answers::sent(step.fields(), &sent);
    let mut kept = match super::keep(&viewer.api, &draft, step, &answers).await? {
        Ok(()) if wrong.is_nothing() => {
            let next = if to_review { Step::Review } else { step.next() };
            return Ok(hx::redirect(wants, &next.path(id)));
        }
        Ok(()) => wrong.clone(),
        Err(wrong) => wrong,
    };
    kept.fields.extend(wrong.fields);
    let view = StepView {
        step,
        now: viewer.now,
        draft: Some(&draft),
        shelf: shelf(&viewer.api, step, &answers).await?,
        answers,
        wrong: kept,
        to_review,
        host_only: super::host_only(&viewer.api, step).await?,
        families: super::families(&viewer.api, step).await,
    };
    Ok(draw(Wants::Page, &viewer, &view))
}

/// What was sent, as if the files that came with it had been chosen: a new script takes
/// the place of another.
fn with_files(received: Received) -> Vec<(String, String)> {
    let mut sent = received.typed;
    for input in received.files {
        let field = match input.kind {
            Kind::Input => "input_files",
            Kind::Script => {
                sent.retain(|(name, _)| name != "script_files");
                "script_files"
            }
        };
        sent.push((field.to_owned(), input.id.to_string()));
    }
    sent
}

/// The questions about files. Without a draft there is nothing to keep them for.
pub(super) fn questions(typed: &Typed, shelf: &Shelf, now: OffsetDateTime) -> Markup {
    let about = &fields::IMAGE[fields::IMAGE.len() - fields::FILES..];
    let wrong = [
        DATA,
        SCRIPT,
        "input_files",
        "script_files",
        "expected_artifacts",
    ];
    let open =
        typed.answers.any_set(about) || wrong.iter().any(|it| typed.wrong.field(it).is_some());
    html! {
        details #files open[open] {
            summary { "Files" }
            div.stack.mt {
                (data(typed, shelf, now))
                (chooser(DATA, "Upload more data", "Several at once, if you like. They arrive when you continue.", true, typed.wrong))
                (scripts(typed, shelf))
                (chooser(SCRIPT, "Upload a script", "It takes the place of the one chosen above.", false, typed.wrong))
                @if !shelf.closed { p.hint { (shelf.room.words()) } }
                (typed.field("expected_artifacts")
                    .hint("One path per line, such as /workspace/artifacts/model.bin: what has to be there at the end. Everything in that folder is kept anyway.")
                    .textarea(2))
            }
        }
    }
}

fn error(typed: &Typed, name: &str) -> Markup {
    html! {
        @if let Some(error) = typed.wrong.field(name) {
            p.err id={ (name) "-error" } { (ui::icon("warn")) (error) }
        }
    }
}

fn data(typed: &Typed, shelf: &Shelf, now: OffsetDateTime) -> Markup {
    let name = "input_files";
    let chosen: Vec<&str> = typed.answers.get(name).lines().collect();
    html! {
        @if shelf.closed {
            (ui::note(ui::Kind::Warn, html! { p { "Your uploads could not be loaded. What was chosen stays chosen." } }))
            @for id in &chosen { (hidden(name, id)) }
        } @else if !shelf.data.is_empty() {
            fieldset.plain.stack.gap-s #(name) {
                legend { "Files it finds in /workspace/inputs" }
                @for input in &shelf.data {
                    @let id = input.id.to_string();
                    label.check {
                        input type="checkbox" name=(name) value=(id) checked[chosen.contains(&id.as_str())];
                        span hx-ignore { (words::name(&input.filename)) " " span.hint { (words::size_if_known(input.size_bytes)) ", " (ui::time(input.created_at, now)) } }
                    }
                }
                p.hint { a href=(UPLOADS) { "All your uploads" } }
            }
        } @else {
            p.hint #(name) { "What you upload is found in /workspace/inputs. You have uploaded nothing so far." }
        }
        (error(typed, name))
    }
}

fn scripts(typed: &Typed, shelf: &Shelf) -> Markup {
    let name = "script_files";
    let chosen = typed.answers.get(name);
    html! {
        @if shelf.closed {
            @for id in chosen.lines() { (hidden(name, id)) }
        } @else if !shelf.scripts.is_empty() {
            div.field {
                label for=(name) { "Script" }
                select #(name) name=(name) {
                    option value="" { "None" }
                    @for input in &shelf.scripts {
                        @let id = input.id.to_string();
                        option value=(id) selected[chosen.lines().any(|one| one == id)] hx-ignore { (words::name(&input.filename)) }
                    }
                }
                p.hint { "It lies in /workspace/scripts and can be run: sh /workspace/scripts/NAME." }
            }
        }
        (error(typed, name))
    }
}
