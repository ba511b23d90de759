//! Pages of the file browser.
use super::place::{Entry, Kind, Place, encoded};
use crate::apps::page::{Frame, page, size};
use maud::{Markup, html};
use std::ffi::OsStr;
use time::OffsetDateTime;
use time::macros::format_description;

const APP: &str = "Workspace files";

/// A folder, as far as one page shows it.
pub(super) struct Listing<'a> {
    pub(super) place: &'a Place,
    pub(super) entries: Vec<Entry>,
    pub(super) from: usize,
    pub(super) of: usize,
    pub(super) per_page: usize,
    pub(super) free: Option<u64>,
    /// What has just been done.
    pub(super) done: &'static str,
}

pub(super) enum Content {
    Text { text: String, whole: bool },
    Image,
    None,
}

pub(super) fn folder(listing: &Listing<'_>) -> Markup {
    let place = listing.place;
    let here = place.address("files");
    let title = place
        .0
        .last()
        .map_or("All files".into(), |name| shown(name));
    let last = listing.from + listing.entries.len();
    let body = html! {
        (crumbs(place))
        h1 { (title) }
        @if !listing.done.is_empty() { p.said role="status" { (listing.done) } }
        div.tools {
            form.card method="post" enctype="multipart/form-data" action=(place.address("upload")) {
                label { "Upload files" input type="file" name="file" multiple required; }
                button.btn.strong { "Upload" }
            }
            form.card method="post" action=(place.address("folder")) {
                label { "New folder" input name="name" required maxlength="255" autocomplete="off"; }
                button.btn { "Make" }
            }
        }
        @if listing.entries.is_empty() && listing.of == 0 {
            p.card.empty { "Nothing is here yet. What you upload outlives this session." }
        } @else {
            table.files {
                thead { tr {
                    th scope="col" { "Name" }
                    th scope="col" { "Size" }
                    th scope="col" { "Changed (UTC)" }
                    th scope="col" { span.hush { "Actions" } }
                } }
                tbody { @for entry in &listing.entries { (row(place, &here, entry)) } }
            }
        }
        @if listing.of > last || listing.from > 0 {
            p.pages {
                @if listing.from > 0 {
                    a.btn href=(format!("{here}?from={}", listing.from.saturating_sub(listing.per_page))) { "Earlier" }
                }
                span { (listing.from + 1) "–" (last) " of " (listing.of) }
                @if listing.of > last { a.btn href=(format!("{here}?from={last}")) { "Later" } }
            }
        }
        @if let Some(free) = listing.free { p.foot { (size(free)) " free on this disk" } }
    };
    let frame = Frame {
        title: &title,
        app: APP,
        ..Frame::default()
    };
    page(frame, body)
}

fn row(place: &Place, here: &str, entry: &Entry) -> Markup {
    let inner = place.with(&entry.name);
    let name = shown(&entry.name);
    let ask = |what: &str| {
        let name = encoded(OsStr::new(&encoded(&entry.name)));
        format!("{here}?ask={what}&name={name}")
    };
    html! {
        tr {
            th scope="row" {
                @match entry.kind {
                    Kind::Folder => a.folder href=(inner.address("files")) { (name) }
                    Kind::File => a href=(inner.address("files")) { (name) }
                    Kind::Link => span.off { (name) " (a link, not followed)" }
                    Kind::Other => span.off { (name) " (not a file)" }
                }
            }
            td.size { @if entry.kind == Kind::File { (size(entry.size)) } @else { "–" } }
            td.when { (changed(entry.modified)) }
            td.acts {
                @if entry.kind == Kind::File {
                    a href=(inner.address("raw")) download { "Download" span.hush { " " (name) } }
                }
                a href=(ask("rename")) { "Rename" span.hush { " " (name) } }
                a.bad href=(ask("delete")) { "Delete" span.hush { " " (name) } }
            }
        }
    }
}

pub(super) fn file(place: &Place, about: &Entry, content: Content) -> Markup {
    let name = shown(&about.name);
    let raw = place.address("raw");
    let body = html! {
        (crumbs(place))
        h1 { (name) }
        p.meta { (size(about.size)) ", changed " (changed(about.modified)) " UTC" }
        p { a.btn.strong href=(raw) download { "Download" } }
        @match content {
            Content::Image => img.preview src={ (raw) "?show=true" } alt={ "The image " (name) };
            Content::Text { text, whole } => {
                @if !whole { p.meta { "The beginning of it:" } }
                pre.preview tabindex="0" { (text) }
            }
            Content::None => p.card.empty { "This kind of file is not shown here." }
        }
    };
    let frame = Frame {
        title: &name,
        app: APP,
        ..Frame::default()
    };
    page(frame, body)
}

/// Asks before something is deleted, or for its new name.
pub(super) fn question(place: &Place, about: &Entry, delete: bool) -> Markup {
    let name = shown(&about.name);
    let back = place.address("files");
    let title = if delete {
        format!("Delete {name}?")
    } else {
        format!("Rename {name}")
    };
    let body = html! {
        (crumbs(place))
        form.card.ask method="post" action=(place.address(if delete { "delete" } else { "rename" })) {
            h1 { (title) }
            input type="hidden" name="name" value=(encoded(&about.name));
            @if delete {
                @if about.kind == Kind::Folder { p { "Everything in it goes with it." } }
                p { "It cannot be brought back." }
            } @else {
                label { "New name" input name="to" value=(name) required maxlength="255" autocomplete="off" autofocus; }
            }
            p.row {
                @if delete { button.btn.danger { "Delete" } } @else { button.btn.strong { "Rename" } }
                a.btn href=(back) { "Cancel" }
            }
        }
    };
    let frame = Frame {
        title: &title,
        app: APP,
        ..Frame::default()
    };
    page(frame, body)
}

fn crumbs(place: &Place) -> Markup {
    html! {
        nav.crumbs aria-label="Where you are" {
            a href="/files/" { "All files" }
            @for at in 1..=place.0.len() {
                @let part = Place(place.0[..at].to_vec());
                " / "
                @if at < place.0.len() {
                    a href=(part.address("files")) { (shown(&place.0[at - 1])) }
                } @else {
                    span aria-current="page" { (shown(&place.0[at - 1])) }
                }
            }
        }
    }
}

/// A name for people: what is not text, or would turn the text around it, is
/// replaced.
fn shown(name: &OsStr) -> String {
    name.to_string_lossy()
        .chars()
        .map(|c| {
            if crate::domain::text::is_invisible_order(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

fn changed(seconds: i64) -> Markup {
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok();
    let text = at.and_then(|at| {
        let form = format_description!("[year]-[month]-[day] [hour]:[minute]");
        at.format(form).ok()
    });
    html! { @if let Some(text) = text { time datetime={ (text) "Z" } { (text) } } @else { "–" } }
}
