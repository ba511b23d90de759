//! Deleting an artifact, which asks first.
use super::{PATH, Which, words};
use crate::web::hx::{self, Wants};
use crate::web::shell::{self, Nav};
use crate::web::viewer::Viewer;
use crate::web::{Error, Portal, ui};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use maud::html;
use tower_cookies::Cookies;

pub(super) async fn ask(viewer: Viewer, Which(id): Which) -> Result<Response, Error> {
    let artifact = viewer.api.artifact(id).await?.artifact;
    let path = super::path(id);
    let name = words::name(&artifact.filename);
    let main = html! {
        div.head { div {
            p.crumbs { a href=(path) hx-ignore { (name) } }
            h1 { "Delete a file" }
        } }
        section.card {
            form.stack method="post" action={ (path) "/delete" } {
                h2 { "Delete " bdi hx-ignore { (name) } "?" }
                p { "It cannot be brought back. By itself it would stay until " (ui::exact(artifact.expires_at)) "." }
                div.row.end {
                    a.btn href=(path) { "Keep it" }
                    button.btn.bad { "Delete the file" }
                }
            }
        }
    };
    let title = format!("Delete {name}");
    Ok(shell::page(&viewer, &title, Nav::Artifacts, main).into_response())
}

pub(super) async fn delete(
    wants: Wants,
    viewer: Viewer,
    Which(id): Which,
    State(portal): State<Portal>,
    cookies: Cookies,
) -> Result<Response, Error> {
    match viewer.api.delete_artifact(id).await {
        Ok(done) => portal.config.say(&cookies, &words::name(&done.message)),
        // A second click finds it gone.
        Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(hx::redirect(wants, PATH))
}
