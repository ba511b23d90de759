//! The list: filtered by its address, paged, newest first.
use super::{PATH, words};
use crate::api::keys::{ApiKey, Filter, List};
use crate::client;
use crate::domain::api_key::Status;
use crate::web::Error;
use crate::web::hx::{Fragment, Wants};
use crate::web::shell::{self, Nav};
use crate::web::ui;
use crate::web::viewer::Viewer;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Query;
use http::{HeaderName, HeaderValue, StatusCode};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// Keys on a page: as many as one fragment has room for.
const ROWS: u32 = 10;

/// What the address says. Empty means any.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cursor: String,
}

impl Asked {
    /// Without what means nothing.
    fn cleaned(mut self) -> Self {
        self.status = Status::named(&self.status).map_or("", Status::name).into();
        self
    }

    fn path(&self) -> String {
        match serde_html_form::to_string(self).unwrap_or_default() {
            query if query.is_empty() => PATH.to_owned(),
            query => format!("{PATH}?{query}"),
        }
    }

    fn at(&self, cursor: &str) -> String {
        let at = Self {
            cursor: cursor.to_owned(),
            ..self.clone()
        };
        at.path()
    }
}

pub(super) async fn index(
    wants: Wants,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let asked = asked.cleaned();
    let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let filter = Filter {
        limit: Some(ROWS),
        cursor: said(&asked.cursor),
        status: said(&asked.status),
    };
    let (status, inside) = match viewer.api.keys(&filter).await {
        Ok(list) if list.api_keys.is_empty() => (StatusCode::OK, none(&asked)),
        Ok(list) => (StatusCode::OK, listing(&asked, &list, viewer.now)),
        Err(error) if error.status() == Some(StatusCode::UNAUTHORIZED) => return Err(error.into()),
        Err(error) => unlisted(&asked, &error),
    };
    let inside = html! { h2.vh #keys-h { "Keys" } (inside) };
    if wants == Wants::Fragment {
        // Swapped whatever its state is, so it is a success to htmx.
        let mut response = Fragment(inside).into_response();
        if let Ok(path) = HeaderValue::from_str(&asked.path()) {
            let name = HeaderName::from_static("hx-replace-url");
            response.headers_mut().insert(name, path);
        }
        return Ok(response);
    }
    let main = html! {
        div.head {
            div {
                h1 { "API keys" }
                p { "With a key, a program acts for this workspace: it can do what its scopes say, and nothing else." }
            }
            a.btn.pri href={ (PATH) "/new" } { (ui::icon("plus")) "New key" }
        }
        (statuses(&asked))
        section.card.flush #keys { (inside) }
    };
    Ok((status, shell::page(&viewer, "API keys", Nav::Keys, main)).into_response())
}

fn statuses(asked: &Asked) -> Markup {
    html! {
        form.filters role="search" action=(PATH) method="get" hx-get=(PATH) hx-target="#keys" hx-swap="innerHTML"
            hx-trigger="change, submit" hx-sync="this:replace" {
            div.field {
                label.vh for="status" { "Status" }
                select #status name="status" {
                    option value="" { "Any status" }
                    @for status in Status::ALL {
                        option value=(status.name()) selected[asked.status == status.name()] { (label(status)) }
                    }
                }
            }
            button.btn { "Apply" }
        }
    }
}

const fn label(status: Status) -> &'static str {
    match status {
        Status::Active => "Active",
        Status::Disabled => "Disabled",
        Status::Expired => "Expired",
        Status::Revoked => "Revoked",
    }
}

fn listing(asked: &Asked, list: &List, now: OffsetDateTime) -> Markup {
    html! {
        div.scroll role="region" aria-labelledby="keys-h" tabindex="0" {
            table.tbl.fold {
                thead {
                    tr {
                        th scope="col" { "Key" }
                        th scope="col" { "Status" }
                        th scope="col" { "Last used" }
                        th scope="col" { "Expires" }
                        th scope="col" { "Scopes" }
                        th scope="col" { "Made by" }
                    }
                }
                tbody { @for key in &list.api_keys { (row(key, now)) } }
            }
        }
        (pager(asked, list))
    }
}

fn row(key: &ApiKey, now: OffsetDateTime) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href=(super::path(key.id)) { span hx-ignore { (words::name(key)) } small { (key.prefix) "…" (key.last4) } }
            }
            td { (words::badge(key.status)) }
            td { (words::used(key.last_used.as_ref(), now)) }
            td { (words::expiry(key, now)) }
            td { (words::tags(&key.scopes)) }
            td { span hx-ignore { (key.created_by.email) } }
        }
    }
}

/// Why there is none.
fn none(asked: &Asked) -> Markup {
    if asked.status.is_empty() && asked.cursor.is_empty() {
        let new = format!("{PATH}/new");
        return ui::empty(
            "No keys yet",
            "Make one for each program, so that each can be taken away by itself.",
            Some((&new, "Make your first key")),
        );
    }
    ui::empty(
        "No keys match",
        "Look at all keys instead.",
        Some((PATH, "All keys")),
    )
}

fn pager(asked: &Asked, list: &List) -> Markup {
    let older = list.next_cursor.as_deref().filter(|_| list.has_more);
    html! {
        @if older.is_some() || !asked.cursor.is_empty() {
            nav.pager aria-label="Pages" {
                span { (list.api_keys.len()) " keys on this page" }
                span.push {}
                @if !asked.cursor.is_empty() { (link(&asked.at(""), "first", "Newest")) }
                @if let Some(cursor) = older { (link(&asked.at(cursor), "next", "Older")) }
            }
        }
    }
}

fn link(path: &str, rel: &str, label: &str) -> Markup {
    html! {
        a.btn rel=(rel) href=(path) hx-get=(path) hx-target="#keys" hx-swap="innerHTML show:top" hx-push-url="true" { (label) }
    }
}

/// Why there is no list.
fn unlisted(asked: &Asked, error: &client::Error) -> (StatusCode, Markup) {
    let (status, text) = match error {
        client::Error::Refused { status, problem } if status.is_client_error() => {
            (*status, problem.message.as_str())
        }
        _ => (StatusCode::BAD_GATEWAY, crate::web::error::UNREACHABLE),
    };
    // A cursor that is none would be refused again.
    let again = if status == StatusCode::BAD_REQUEST {
        (PATH.to_owned(), "All keys")
    } else {
        (asked.path(), "Try again")
    };
    let why = ui::empty(
        "The keys could not be loaded",
        text,
        Some((&again.0, again.1)),
    );
    (status, why)
}
