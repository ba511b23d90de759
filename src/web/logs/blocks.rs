//! Lines in blocks, so that a page that follows a long output can drop the oldest:
//! entry 250 is in `#log-2`.
use crate::api::logs::Item;
use crate::web::live;
use maud::{Markup, html};

const BLOCK: i64 = 100;
/// So many blocks stay on the page, the newest included.
pub(in crate::web) const KEPT: i64 = 20;

/// The lines of a page, in their blocks.
pub(in crate::web) fn all(items: &[Item], line: impl Fn(&Item) -> Markup) -> Markup {
    html! {
        @for lines in items.chunk_by(|a, b| block_of(a) == block_of(b)) {
            (block(block_of(&lines[0]), lines, &line))
        }
    }
}

/// The messages that add `items` to a page that has seen everything up to entry
/// `seen`, and take away what is too much.
pub(in crate::web) fn more(items: &[Item], seen: i64, line: impl Fn(&Item) -> Markup) -> Markup {
    let mut newest = (seen > 0).then_some(seen / BLOCK);
    // Those below have been taken away already.
    let mut oldest = newest.map_or(0, |newest| (newest - KEPT + 1).max(0));
    let mut partials = Vec::new();
    if seen == 0 {
        partials.push(live::partial("#log-silence", "delete", html! {}));
    }
    for lines in items.chunk_by(|a, b| block_of(a) == block_of(b)) {
        let number = block_of(&lines[0]);
        if newest == Some(number) {
            partials.push(live::append(
                &id(number),
                html! { @for item in lines { (line(item)) } },
            ));
            continue;
        }
        partials.push(live::append("#log", block(number, lines, &line)));
        // Where lines were dropped numbers jump, and more than one block goes.
        let last = newest.map_or(-1, |newest| newest.min(number - KEPT));
        for old in oldest..=last {
            partials.push(live::partial(&id(old), "delete", html! {}));
        }
        oldest = match newest {
            Some(_) => oldest.max(number - KEPT + 1),
            None => number,
        };
        newest = Some(number);
    }
    html! { @for partial in &partials { (partial) } }
}

fn block_of(item: &Item) -> i64 {
    item.entry_id / BLOCK
}

fn id(block: i64) -> String {
    format!("#log-{block}")
}

fn block(number: i64, lines: &[Item], line: impl Fn(&Item) -> Markup) -> Markup {
    html! { span #{ "log-" (number) } hx-ignore { @for item in lines { (line(item)) } } }
}
