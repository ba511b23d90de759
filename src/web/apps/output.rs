//! What happens to an app and what it prints: the same lines on the page, in its
//! stream and where it failed.
use super::rows::LARGEST;
use super::words::{clock, fit};
use crate::api::apps::{Event, Line, Session};
use crate::domain::app::Phase;
use crate::web::live;
use crate::web::logs::ansi;
use maud::{Markup, html};

/// Lines are kept in blocks, so that the page can drop the oldest.
const BLOCK: i64 = 100;
/// So many blocks stay on the page, the newest included.
const KEPT: i64 = 4;
/// So many of the newest events.
const EVENTS: usize = 100;
/// Of one line, in bytes: longer ones are whole in the job's output.
const LONGEST: usize = 400;

/// What happened, the newest in view without a script.
pub(super) fn activity(events: &[Event]) -> Markup {
    let earlier = events.len().saturating_sub(EVENTS);
    html! {
        figure.term.wrap {
            header {
                h2 { "Lifecycle activity" }
                label.check { input type="checkbox" name="wrap" checked; span { "Wrap lines" } }
            }
            div.log role="log" aria-live="off" aria-label="Lifecycle activity" tabindex="0" {
                pre #events { @for event in &events[earlier..] { (self::event(event)) } }
            }
        }
    }
}

/// Events that a page does not have yet, each on its own.
pub(super) fn happened(events: &[Event]) -> Vec<Markup> {
    let row = |event| live::append("#events", self::event(event));
    events.iter().map(row).collect()
}

pub(super) fn event(event: &Event) -> Markup {
    let class = match event.level.as_str() {
        "error" => Some("e"),
        "warning" => Some("w"),
        _ => None,
    };
    html! {
        span.(class.unwrap_or_default()) #{ "e-" (event.sequence) } hx-ignore {
            b { (clock(event.created_at)) } "  "
            (fit(&event.title, 100))
            @if !event.message.is_empty() && event.message != event.title { " – " (fit(&event.message, 240)) }
            "\n"
        }
    }
}

/// The end of what the app prints.
pub(super) fn tail(session: &Session, lines: &[Line]) -> Markup {
    let job = session.job_id;
    html! {
        figure.term.wrap {
            header {
                h2 { "Output" }
                label.check { input type="checkbox" name="wrap"; span { "Wrap lines" } }
                a.btn href={ "/portal/jobs/" (job) } { "All of it" }
            }
            div.log role="log" aria-live="off" aria-label="Output" tabindex="0" {
                pre #log {
                    @if lines.is_empty() { (silence(session.status)) }
                    @for some in lines.chunk_by(|a, b| block_of(a) == block_of(b)) {
                        (block(block_of(&some[0]), some))
                    }
                }
            }
        }
    }
}

fn silence(phase: Phase) -> Markup {
    html! { b #silence { @if phase.ended() { "It has printed nothing." } @else { "Nothing has been printed yet." } } }
}

/// The messages that add `lines` to a page that has seen everything up to entry
/// `seen`, and take away what is too much.
pub(super) fn printed(lines: &[Line], seen: i64) -> Vec<Markup> {
    let mut newest = (seen > 0).then_some(seen / BLOCK);
    let mut partials = Vec::new();
    if seen == 0 && !lines.is_empty() {
        partials.push(live::partial("#silence", "delete", html! {}));
    }
    for some in lines.chunk_by(|a, b| block_of(a) == block_of(b)) {
        let number = block_of(&some[0]);
        if newest != Some(number) {
            if number >= KEPT {
                let old = format!(".l-{}", number - KEPT);
                partials.push(live::partial(&old, "delete", html! {}));
            }
            newest = Some(number);
        }
        // Not into one that is there: of a new block there would be none yet, since
        // htmx looks for the targets of a message before it touches the page.
        let piece = |rows: &[Markup]| around(number, html! { @for row in rows { (row) } });
        partials.extend(in_pieces("#log", some.iter().map(line), piece));
    }
    partials
}

fn block_of(line: &Line) -> i64 {
    line.entry_id / BLOCK
}

fn block(number: i64, lines: &[Line]) -> Markup {
    around(number, html! { @for one in lines { (line(one)) } })
}

/// Lines of a block, of which a page may have several such parts.
fn around(number: i64, lines: Markup) -> Markup {
    html! { span.{ "l-" (number) } hx-ignore { (lines) } }
}

/// What is not ordinary output says so in a word, not only by colour.
fn line(line: &Line) -> Markup {
    let shown = colored(&line.text, LONGEST);
    match line.stream.as_str() {
        "stderr" => html! { span.e { span.vh { "error output: " } (shown) } "\n" },
        "system" => html! { span.k { span.vh { "from the grid: " } (shown) } "\n" },
        _ => html! { (shown) "\n" },
    }
}

/// `rows`, as `drawn` draws some of them, at the end of `target`, in messages of at
/// most [`LARGEST`].
fn in_pieces(
    target: &str,
    rows: impl Iterator<Item = Markup>,
    drawn: impl Fn(&[Markup]) -> Markup,
) -> Vec<Markup> {
    // A stream says `data: ` before each line.
    const LINE: usize = "data: ".len();
    let around = live::append(target, drawn(&[])).0.len() + LINE + 1;
    let mut pieces: Vec<Vec<Markup>> = Vec::new();
    let mut size = LARGEST;
    for row in rows {
        size += row.0.len() + LINE;
        if size > LARGEST {
            size = around + row.0.len() + LINE;
            pieces.push(Vec::new());
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(row);
        }
    }
    let joined = |piece: Vec<Markup>| live::append(target, drawn(&piece));
    pieces.into_iter().map(joined).collect()
}

/// The last lines of a failure, open.
pub(super) fn last(session: &Session) -> Markup {
    html! { div #last { @if let Some(lines) = last_lines(session) { (frame(lines)) } } }
}

/// For a page that has seen it fail: where they go, and with the next message the
/// lines themselves.
pub(super) fn last_seen(session: &Session) -> Option<(Markup, Markup)> {
    let lines = last_lines(session)?;
    let rows = lines.iter().map(|text| last_line(text, LONGEST));
    let some = |rows: &[Markup]| html! { @for row in rows { (row) } };
    let pieces = in_pieces("#last-lines", rows, some);
    let filled = html! { @for piece in &pieces { (piece) } };
    Some((live::append("#last", frame(&[])), filled))
}

fn last_lines(session: &Session) -> Option<&[String]> {
    let end = session.end.as_ref()?;
    (!end.last_lines.is_empty()).then_some(&end.last_lines)
}

fn frame(lines: &[String]) -> Markup {
    html! {
        details.card open {
            summary { "The last lines before it failed" }
            (lines_of(Some("last-lines"), lines, LONGEST))
        }
    }
}

/// The end of what was printed, each line in at most `longest` bytes.
pub(super) fn lines_of(id: Option<&str>, lines: &[String], longest: usize) -> Markup {
    html! {
        div.term.code.half {
            pre id=[id] hx-ignore tabindex="0" { @for text in lines { (last_line(text, longest)) } }
        }
    }
}

fn last_line(text: &str, longest: usize) -> Markup {
    html! { (colored(text, longest)) "\n" }
}

/// In at most `longest` bytes, in its colours as far as they fit beside the text.
fn colored(text: &str, longest: usize) -> Markup {
    let whole = ansi::plain(text);
    let shown = fit(&whole, longest);
    let room = longest.saturating_sub(html! { (shown) }.0.len());
    match shown.strip_suffix('…').filter(|_| shown != whole) {
        Some(begin) => html! { (ansi::draw_some(text, begin.chars().count(), room)) "…" },
        None => ansi::draw_some(text, usize::MAX, room),
    }
}
