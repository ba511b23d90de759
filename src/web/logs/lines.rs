//! Lines of output, each with its number, which is a link to it, and its time.
use super::asked::Asked;
use super::zone::Zone;
use super::{ansi, blocks};
use crate::api::logs::Item;
use crate::domain::logs::grouped;
use maud::{Markup, html};
use std::cell::Cell;
use time::Date;

/// How lines are shown.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) zone: Zone,
    /// The line that the address names.
    marked: Option<i64>,
    /// What each line's address says before its number and after it.
    path: String,
    and: String,
}

/// The day of the last line that was drawn.
pub(super) type Day = Cell<Option<Date>>;

impl Look {
    /// Links lead to `path`; to the page itself if that is empty.
    pub(super) fn new(asked: &Asked, zone: Zone, path: &str) -> Self {
        let look = asked.look().query();
        Self {
            zone,
            marked: asked.line.parse().ok(),
            path: path.to_owned(),
            and: look.replacen('?', "&", 1),
        }
    }

    /// All of them, in their blocks.
    pub(super) fn all(&self, items: &[Item]) -> Markup {
        let day = Day::default();
        blocks::all(items, |item| self.line(item, &day))
    }

    /// The messages that add them to a page that has seen everything up to `seen`.
    pub(super) fn more(&self, items: &[Item], seen: i64, day: &Day) -> Markup {
        blocks::more(items, seen, |item| self.line(item, day))
    }

    /// The same without an id, for a page with lines of several jobs.
    pub(super) fn brief(&self, item: &Item, day: &Day) -> Markup {
        self.draw(item, day, None)
    }

    /// One line, after the day if that is another one. What is not ordinary output
    /// says so in a word and by a sign, not only by colour.
    pub(super) fn line(&self, item: &Item, day: &Day) -> Markup {
        self.draw(item, day, Some(format!("L{}", item.entry_id)))
    }

    fn draw(&self, item: &Item, day: &Day, id: Option<String>) -> Markup {
        let (class, word) = match (item.level.as_str(), item.stream.as_str()) {
            _ if item.dropped_lines.is_some() => ("w", "gap: "),
            (_, "system") => ("k", "from the grid: "),
            ("error", _) => ("e", "error: "),
            ("warning", _) => ("w", "warning: "),
            _ => ("", ""),
        };
        let date = self.zone.date(item.created_at);
        let another = day.replace(Some(date)) != Some(date);
        let number = item.entry_id;
        let here = self.marked == Some(number);
        html! {
            @if another { b { (self.zone.day(item.created_at)) "\n" } }
            span.l.(class).here[here] id=[id] {
                // Hundreds of them are no way for a Tab key: one goes to a line by its number.
                a tabindex="-1" href={ (self.path) "?line=" (number) (self.and) "#L" (number) } { (number) }
                " "
                time { (self.zone.clock(item.created_at)) }
                " "
                @if !word.is_empty() { span.vh { (word) } }
                @if let Some(lines) = item.dropped_lines.filter(|lines| *lines > 1) {
                    "Lines " (counted(number - lines + 1)) " to " (counted(number)) ": "
                }
                (ansi::draw(&item.message, &item.matches))
                @if item.truncated { i { " […]" } }
                "\n"
            }
        }
    }
}

fn counted(number: i64) -> String {
    grouped(number.unsigned_abs())
}

/// The same as text: one line each, without colours.
pub(super) fn text(items: &[Item]) -> String {
    let mut text = String::new();
    for item in items {
        text.push_str(&ansi::plain(&item.message));
        if !item.truncated {
            text.push('\n');
        }
    }
    text
}
