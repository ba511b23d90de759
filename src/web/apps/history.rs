//! `/portal/templates/sessions`: every session of the workspace, by template.
use super::catalogue::{row, told};
use super::{failed, words};
use crate::api::apps::{Filter, List, Session};
use crate::domain::app::Phase;
use crate::domain::id::AppSessionId;
use crate::web::Error;
use crate::web::hx::{Fragment, Wants};
use crate::web::shell::{self, Nav};
use crate::web::ui;
use crate::web::viewer::Viewer;
use axum::response::{IntoResponse, Response};
use axum_extra::extract::Query;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// There is one per template.
const MOST_ACTIVE: u32 = 100;

/// Sessions of a page: those that failed say much.
const PAGE: u32 = 12;

/// Sessions that one answer brings to a page that is there; the next ones follow.
const PIECE: usize = 6;

/// What the address says. Empty means any.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    template: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    cursor: String,
    /// The session whose last lines are shown.
    #[serde(skip_serializing_if = "String::is_empty")]
    open: String,
    /// How many sessions of the page are there.
    #[serde(skip_serializing_if = "String::is_empty")]
    from: String,
    /// Whether the page is at the address that this says.
    #[serde(skip)]
    pub(super) is_address: bool,
}

impl Asked {
    /// Without what means nothing.
    fn cleaned(mut self) -> Self {
        let known = matches!(self.status.as_str(), "active" | "past");
        if !known && Phase::named(&self.status).is_none() {
            self.status.clear();
        }
        self.template = self.template.chars().take(100).collect();
        if self.opened().is_none() {
            self.open.clear();
        }
        self.is_address = true;
        self
    }

    /// What has ended, as another page shows it.
    pub(super) fn past() -> Self {
        Self {
            status: "past".into(),
            ..Self::default()
        }
    }

    fn opened(&self) -> Option<AppSessionId> {
        self.open.parse().ok()
    }

    /// Whether the last lines of this session are shown.
    pub(super) fn opens(&self, id: AppSessionId) -> bool {
        self.opened() == Some(id)
    }

    /// The same page of this list with the last lines of a session in it.
    pub(super) fn opening(&self, id: AppSessionId) -> String {
        let open = Self {
            open: id.to_string(),
            from: String::new(),
            ..self.clone()
        };
        open.address()
    }

    /// What else there is on the same page, after so many sessions.
    fn rest(&self, from: usize) -> String {
        let rest = Self {
            from: from.to_string(),
            ..self.clone()
        };
        rest.address()
    }

    fn address(&self) -> String {
        let query = serde_html_form::to_string(self).unwrap_or_default();
        format!("{}?{query}", super::SESSIONS)
    }

    pub(super) fn filter(&self) -> Filter {
        let said = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Filter {
            limit: Some(PAGE),
            cursor: said(&self.cursor),
            template: said(&self.template),
            status: said(&self.status),
        }
    }

    /// The query of this list's first page.
    pub(super) fn query(&self) -> String {
        let first = Self {
            cursor: String::new(),
            open: String::new(),
            from: String::new(),
            ..self.clone()
        };
        serde_html_form::to_string(&first).unwrap_or_default()
    }
}

pub(super) async fn index(
    wants: Wants,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Response, Error> {
    let asked = asked.cleaned();
    if wants == Wants::Fragment
        && let Some(id) = asked.opened()
    {
        return failed::fragment(&viewer, id).await;
    }
    let found = found(&viewer, &asked).await?;
    let piece = (wants == Wants::Fragment).then(|| asked.from.parse().unwrap_or(0));
    if let (Some(from @ 1..), Ok(list)) = (piece, &found) {
        let groups = groups(&list.app_sessions);
        return Ok(Fragment(bodies(&groups, viewer.now, &asked, Some(from))).into_response());
    }
    let listing = match &found {
        Ok(list) if list.app_sessions.is_empty() => none(&asked),
        Ok(list) => html! {
            (table(&list.app_sessions, viewer.now, "sessions-h", &asked, piece))
            (pager(&asked.query(), &asked.cursor, list))
        },
        Err(why) => super::catalogue::trouble("The sessions could not be loaded", why),
    };
    let listing = html! { h2.vh #sessions-h { "Sessions" } (listing) };
    if wants == Wants::Fragment {
        return Ok(Fragment(listing).into_response());
    }
    let main = html! {
        (crate::web::logs::colors())
        div.head {
            div {
                p.crumbs { a href=(super::CATALOGUE) { "Templates" } }
                h1 { "Sessions" }
                p { "By template: what is active first, then the newest." }
            }
        }
        (filter(&asked))
        section.card.flush #sessions { (listing) }
    };
    Ok(shell::page(&viewer, "Sessions", Nav::Templates, main).into_response())
}

/// What is active comes first, however long ago it was launched.
async fn found(viewer: &Viewer, asked: &Asked) -> Result<Result<List, String>, Error> {
    if !asked.status.is_empty() {
        return told(viewer.api.apps(&asked.filter()).await);
    }
    let of = |status: &str| Filter {
        status: Some(status.to_owned()),
        ..asked.filter()
    };
    let active = if asked.cursor.is_empty() {
        let all = Filter {
            limit: Some(MOST_ACTIVE),
            ..of("active")
        };
        match told(viewer.api.apps(&all).await)? {
            Ok(list) => list.app_sessions,
            Err(why) => return Ok(Err(why)),
        }
    } else {
        Vec::new()
    };
    Ok(told(viewer.api.apps(&of("past")).await)?.map(|mut past| {
        // One that has ended in between is in both.
        let ended = |one: &Session| past.app_sessions.iter().any(|other| other.id == one.id);
        let mut all: Vec<Session> = active.into_iter().filter(|one| !ended(one)).collect();
        all.append(&mut past.app_sessions);
        List {
            app_sessions: all,
            ..past
        }
    }))
}

fn filter(asked: &Asked) -> Markup {
    let states = [
        ("", "Any status"),
        ("active", "Active"),
        ("past", "Past"),
        ("failed", "Failed"),
        ("expired", "Expired"),
    ];
    html! {
        form.filters role="search" action=(super::SESSIONS) method="get" hx-get=(super::SESSIONS) hx-target="#sessions"
            hx-swap="innerHTML" hx-replace-url="true" hx-trigger="change, submit" hx-sync="this:replace" {
            @if !asked.template.is_empty() { (ui::form::hidden("template", &asked.template)) }
            div.field {
                label.vh for="status" { "Status" }
                select #status name="status" {
                    @for (value, label) in states { option value=(value) selected[asked.status == value] { (label) } }
                }
            }
            button.btn { "Apply" }
        }
    }
}

fn none(asked: &Asked) -> Markup {
    if asked.query().is_empty() && asked.cursor.is_empty() {
        return ui::empty(
            "No sessions yet",
            "Launch an app, and its sessions are listed here.",
            Some((super::CATALOGUE, "Look at the templates")),
        );
    }
    ui::empty(
        "No sessions match",
        "Look at all sessions instead.",
        Some((super::SESSIONS, "All sessions")),
    )
}

/// The sessions by template: what is active first, then as they come.
fn groups(sessions: &[Session]) -> Vec<(&str, Vec<&Session>)> {
    let mut groups: Vec<(&str, Vec<&Session>)> = Vec::new();
    for session in sessions {
        match groups
            .iter_mut()
            .find(|(slug, _)| *slug == session.template)
        {
            Some((_, group)) => group.push(session),
            None => groups.push((&session.template, vec![session])),
        }
    }
    for (_, group) in &mut groups {
        group.sort_by_key(|session| session.status.ended());
    }
    groups.sort_by_key(|(_, group)| group.iter().all(|session| session.status.ended()));
    groups
}

/// All of them, or the first piece.
pub(super) fn table(
    sessions: &[Session],
    now: OffsetDateTime,
    heading: &str,
    asked: &Asked,
    piece: Option<usize>,
) -> Markup {
    html! {
        div.scroll role="region" aria-labelledby=(heading) tabindex="0" {
            table.tbl.fold.past {
                thead {
                    tr {
                        th scope="col" { "Session" }
                        th scope="col" { "Status" }
                        th.num scope="col" { "Runtime" }
                        th.num scope="col" { "Cost" }
                        th scope="col" { "Ended" }
                        th scope="col" { "How" }
                    }
                }
                (bodies(&groups(sessions), now, asked, piece))
            }
        }
    }
}

/// The rows, of a piece with what fetches the next one.
fn bodies(
    groups: &[(&str, Vec<&Session>)],
    now: OffsetDateTime,
    asked: &Asked,
    piece: Option<usize>,
) -> Markup {
    let mut skip = piece.unwrap_or(0);
    let mut room = if piece.is_some() { PIECE } else { usize::MAX };
    let end = skip.saturating_add(room);
    let all: usize = groups.iter().map(|(_, group)| group.len()).sum();
    html! {
        @for (slug, group) in groups {
            @let shown: Vec<&&Session> = group.iter().skip(skip).take(room).collect();
            @let begins = skip == 0;
            @let () = {
                skip = skip.saturating_sub(group.len());
                room -= shown.len();
            };
            @if !shown.is_empty() {
                tbody {
                    @if begins { tr.by { th scope="rowgroup" colspan="6" { a href=(super::template_path(slug)) { bdi hx-ignore { (words::name(group[0])) } } } } }
                    @for session in shown { (row(session, now, asked)) }
                }
            }
        }
        @if end < all { tbody hx-get=(asked.rest(end)) hx-trigger="load" hx-swap="outerHTML" {} }
    }
}

/// Links to the pages before and after; `query` says which list.
pub(super) fn pager(query: &str, cursor: &str, list: &List) -> Markup {
    let at = |cursor: &str| {
        let cursor: String = url::form_urlencoded::byte_serialize(cursor.as_bytes()).collect();
        let and = if query.is_empty() { "" } else { "&" };
        format!("{}?{query}{and}cursor={cursor}", super::SESSIONS)
    };
    let older = list.next_cursor.as_deref().filter(|_| list.has_more);
    html! {
        @if older.is_some() || !cursor.is_empty() {
            nav.pager aria-label="Pages" {
                span { (list.app_sessions.len()) " sessions on this page" }
                span.push {}
                @if !cursor.is_empty() { a.btn rel="first" href={ (super::SESSIONS) "?" (query) } { "Newest" } }
                @if let Some(older) = older { a.btn rel="next" href=(at(older)) { "Older" } }
            }
        }
    }
}
