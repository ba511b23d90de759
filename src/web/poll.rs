//! Regions that ask for themselves again and are told only what is different.
//!
//! The element that asks, the pulse, says what its page shows: a short tag of
//! every part. So nothing is remembered here, and an answer is as small as the
//! change. What would make it heavy is left for the next one.
use super::hx::Fragment;
use super::live::{self, partial, redraw};
use super::ui::job_row::{ROWS, Row};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use maud::{Markup, html};
use std::fmt;
use std::str::FromStr;

/// How much markup one answer may bring: with what is around it, and with names
/// as people give them, 1.5 kB when compressed.
const ROOM: usize = 3_900;
/// Says what the page shows. Not `If-None-Match`, which a proxy that caches keeps
/// to itself.
const SHOWS: HeaderName = HeaderName::from_static("jg-shows");
/// Hex digits of a tag, and of the key of a row.
const TAG: usize = 6;
const KEY: usize = 8;

/// How a region looks now.
#[derive(Debug)]
pub(crate) struct Parts {
    /// Of the table whose body is [`ROWS`].
    pub(crate) rows: Vec<Row>,
    /// Elements that are always there: how to select them, and their markup.
    pub(crate) fixed: Vec<(&'static str, Markup)>,
}

/// What a page shows of a region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    /// Which part is told first the next time, so that those that change all the
    /// time do not leave the others behind.
    turn: usize,
    fixed: Vec<String>,
    rows: Vec<(String, String)>,
}

impl Version {
    /// How many rows it has.
    pub(crate) fn rows(&self) -> usize {
        self.rows.len()
    }

    /// When a page that shows this asks again, to show `now` and what comes
    /// after it: at once while something is missing from it, else every so
    /// often, or never.
    pub(crate) fn trigger(&self, now: &Self, active: bool, often: &str) -> Option<String> {
        let missing = self.rows.len() < now.rows.len() || self.fixed.contains(&unseen());
        if missing {
            return Some(format!("load, every {often}"));
        }
        (active || self != now).then(|| format!("every {often}"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.", self.turn, self.fixed.concat())?;
        self.rows
            .iter()
            .try_for_each(|(key, tag)| write!(f, "{key}{tag}"))
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let (turn, parts) = text.split_once('.').ok_or(())?;
        let (fixed, rows) = parts.split_once('.').ok_or(())?;
        if !hex(fixed) || !hex(rows) || fixed.len() % TAG + rows.len() % (KEY + TAG) > 0 {
            return Err(());
        }
        let cut = |text: &str, at: usize, end: usize| text[at..end].to_owned();
        Ok(Self {
            turn: turn.parse().map_err(drop)?,
            fixed: (0..fixed.len())
                .step_by(TAG)
                .map(|at| cut(fixed, at, at + TAG))
                .collect(),
            rows: (0..rows.len())
                .step_by(KEY + TAG)
                .map(|at| (at, at + KEY, at + KEY + TAG))
                .map(|(at, key, end)| (cut(rows, at, key), cut(rows, key, end)))
                .collect(),
        })
    }
}

/// The tag of a part that the page does not show yet.
fn unseen() -> String {
    "0".repeat(TAG)
}

fn tag(markup: &Markup) -> String {
    live::tag(markup)[..TAG].to_owned()
}

/// How much may still be said.
struct Room {
    left: usize,
    empty: bool,
}

impl Room {
    const fn new() -> Self {
        Self {
            left: ROOM,
            empty: true,
        }
    }

    /// Whether there is room; there is always some for one thing, or nothing
    /// would ever get on.
    fn take(&mut self, markup: &Markup) -> bool {
        let fits = self.empty || markup.0.len() <= self.left;
        if fits {
            self.left = self.left.saturating_sub(markup.0.len());
            self.empty = false;
        }
        fits
    }
}

impl Parts {
    /// All of it.
    pub(crate) fn version(&self) -> Version {
        Version {
            turn: 0,
            fixed: self.fixed.iter().map(|(_, markup)| tag(markup)).collect(),
            rows: self
                .rows
                .iter()
                .map(|row| (row.key.clone(), tag(&row.markup)))
                .collect(),
        }
    }

    /// As much of it as one answer holds: all, or the first rows alone.
    pub(crate) fn beginning(&self) -> Version {
        let mut version = self.version();
        let mut room = Room::new();
        let fits = self.rows.iter().take_while(|row| room.take(&row.markup));
        let fits = fits.count();
        if fits < self.rows.len() {
            version.rows.truncate(fits);
            version.fixed.fill(unseen());
        }
        version
    }

    /// What makes a page that shows `known` show this, or comes nearer to it, and
    /// what it shows then. Nothing if only the whole page can.
    fn since(&self, known: &Version) -> Option<(Markup, Version)> {
        let now = self.version();
        if known.fixed.len() != now.fixed.len() || known.rows.is_empty() != now.rows.is_empty() {
            return None;
        }
        let at = |key: &str| now.rows.iter().position(|(other, _)| other == key);
        let (stay, gone): (Vec<_>, Vec<_>) =
            known.rows.iter().partition(|(key, _)| at(key).is_some());
        if !stay.is_sorted_by_key(|(key, _)| at(key)) {
            return None;
        }
        let mut said = Vec::new();
        if !gone.is_empty() {
            let gone: Vec<String> = gone.iter().map(|(key, _)| Row::selector(key)).collect();
            said.push(partial(&gone.join(","), "delete", html! {}));
        }
        // Of rows and fixed parts alike: the tag that the page has, if any.
        let had = |key: &str| stay.iter().find(|(other, _)| other == key);
        let rows = now.rows.iter().map(|(key, _)| had(key).map(|(_, tag)| tag));
        let fixed = known
            .fixed
            .iter()
            .map(|tag| Some(tag).filter(|tag| **tag != unseen()));
        let had: Vec<Option<&String>> = rows.chain(fixed).collect();
        let (told, turn) = self.choose(&now, &had, known.turn);

        let mut shown = Version {
            turn,
            fixed: Vec::new(),
            rows: Vec::new(),
        };
        // New rows are held by what the page has already: it looks for all
        // targets before it changes anything.
        let mut run = Run::default();
        let count = self.rows.len();
        for (at, (key, tag)) in now.rows.into_iter().enumerate() {
            let markup = &self.rows[at].markup;
            match had[at] {
                Some(old) => {
                    run.end(&mut said);
                    run.after = Some(Row::selector(&key));
                    if told[at] {
                        said.push(redraw(&Row::selector(&key), markup.clone()));
                    }
                    shown
                        .rows
                        .push((key, if told[at] { tag } else { old.clone() }));
                }
                None if told[at] => {
                    run.rows.push(markup);
                    shown.rows.push((key, tag));
                }
                None => {}
            }
        }
        run.end(&mut said);
        for (at, (tag, old)) in now.fixed.into_iter().zip(&known.fixed).enumerate() {
            if told[count + at] {
                let (target, markup) = &self.fixed[at];
                said.push(redraw(target, markup.clone()));
            }
            shown
                .fixed
                .push(if told[count + at] { tag } else { old.clone() });
        }
        Some((html! { @for one in said { (one) } }, shown))
    }

    /// Which parts are told to a page that had those, and whose turn is next:
    /// first what it misses, then what has changed, as far as there is room.
    fn choose(&self, now: &Version, had: &[Option<&String>], turn: usize) -> (Vec<bool>, usize) {
        let rows = self.rows.iter().map(|row| &row.markup);
        let markups: Vec<&Markup> = rows.chain(self.fixed.iter().map(|(_, one)| one)).collect();
        let tags: Vec<&String> = (now.rows.iter().map(|(_, tag)| tag))
            .chain(&now.fixed)
            .collect();
        let mut room = Room::new();
        let mut told: Vec<bool> = (0..had.len())
            .map(|at| had[at].is_none() && room.take(markups[at]))
            .collect();
        let mut next = None;
        for step in 0..had.len() {
            let at = (turn % had.len() + step) % had.len();
            if had[at].is_some_and(|old| old != tags[at]) {
                told[at] = room.take(markups[at]);
                if !told[at] {
                    next.get_or_insert(at);
                }
            }
        }
        (told, next.unwrap_or(0))
    }
}

/// New rows that follow each other.
#[derive(Default)]
struct Run<'a> {
    after: Option<String>,
    rows: Vec<&'a Markup>,
}

impl Run<'_> {
    fn end(&mut self, said: &mut Vec<Markup>) {
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() {
            return;
        }
        let rows = html! { @for row in rows { (row) } };
        said.push(match &self.after {
            Some(row) => partial(row, "afterend", rows),
            None => partial(ROWS, "afterbegin", rows),
        });
    }
}

/// What the page that asks says it shows; only a pulse says so.
pub(crate) fn known(headers: &HeaderMap) -> Option<&str> {
    Some(headers.get(SHOWS)?.to_str().unwrap_or_default())
}

/// The `hx-headers` of a pulse.
pub(crate) fn shows(version: &Version) -> String {
    format!(r#"{{"{SHOWS}":"{version}"}}"#)
}

/// Answers a page that shows `known`. `pulse` draws the element that asks, for
/// what the page shows then.
pub(crate) fn answer(known: &str, parts: &Parts, pulse: impl Fn(&Version) -> Markup) -> Response {
    let now = parts.version();
    if known == now.to_string() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let changes = known.parse().ok().and_then(|known| parts.since(&known));
    let Some((changes, shown)) = changes else {
        return reload();
    };
    Fragment(html! { (pulse(&shown)) (changes) }).into_response()
}

/// Has the page loaded again: it is another one than it was.
pub(crate) fn reload() -> Response {
    let mut response = Fragment(html! {}).into_response();
    let refresh = HeaderValue::from_static("true");
    response.headers_mut().insert("hx-refresh", refresh);
    response
}

#[cfg(test)]
mod tests;
