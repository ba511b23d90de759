//! What a job prints: the same lines on the page and in the live stream.
use crate::api::jobs::Job;
use crate::api::logs::Item;
use crate::web::logs::{ansi, blocks};
use crate::web::ui;
use maud::{Markup, html};

/// What is asked for at first; the log's own page has everything.
pub(super) const TAIL: i64 = 500;

/// The terminal. Its newest line stays in view without a script, unless the
/// reader has scrolled up.
pub(super) fn terminal(job: &Job, items: &[Item]) -> Markup {
    html! {
        figure.term.wrap {
            header {
                h2 { "Output" }
                @if !job.status.ended() { span.live #log-live {} }
                label.check { input type="checkbox" name="wrap"; span { "Wrap lines" } }
                a.btn href={ (super::view::path(job.id)) "/logs" } { (ui::icon("search")) "All of it" }
            }
            div.log role="log" aria-live="off" aria-label="Output" tabindex="0" {
                pre #log {
                    @if items.is_empty() { (silence(job)) }
                    @if items.first().is_some_and(|first| first.entry_id > 1) {
                        b #log-earlier { "Earlier lines are further up in all of it." } "\n"
                    }
                    (blocks::all(items, line))
                }
            }
        }
    }
}

/// What stands in place of output: that there is none yet has several meanings.
pub(super) fn silence(job: &Job) -> Markup {
    let spawned = job.startup_diagnostics.command_spawned;
    html! {
        b #log-silence {
            @match (job.status.ended(), spawned) {
                (false, false) => "The command has not been started yet.",
                (false, true) => "The command is running and has printed nothing so far.",
                (true, false) => "The command was never started, so there is no output.",
                (true, true) => "The command ended without printing anything.",
            }
        }
    }
}

pub(super) fn more(items: &[Item], seen: i64) -> Markup {
    blocks::more(items, seen, line)
}

/// One line. What is not ordinary output says so in a word, not only by colour.
fn line(item: &Item) -> Markup {
    let shown = ansi::draw(&item.message, &[]);
    let cut = item.truncated.then_some(" […]");
    match item.stream.as_str() {
        "stderr" => {
            html! { span.e { span.vh { "error output: " } (shown) (cut.unwrap_or_default()) } "\n" }
        }
        "system" => {
            html! { span.k { span.vh { "from the grid: " } (shown) (cut.unwrap_or_default()) } "\n" }
        }
        _ => html! { (shown) (cut.unwrap_or_default()) "\n" },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    fn item(entry_id: i64, stream: &str, message: &str) -> Item {
        Item {
            entry_id,
            node_id: None,
            source: "workload".into(),
            category: format!("workload_{stream}"),
            stream: stream.into(),
            message: message.into(),
            truncated: false,
            created_at: datetime!(2026-11-23 12:00 UTC),
            timestamp: datetime!(2026-11-23 12:00 UTC),
            level: "info".into(),
            dropped_lines: None,
            matches: Vec::new(),
        }
    }

    #[test]
    fn lines_join_the_block_that_is_there() {
        let shown = more(
            &[item(99, "stdout", "a"), item(100, "stderr", "<b hx-get=x>")],
            98,
        );
        insta::assert_snapshot!(shown.0, @r##"
        <hx-partial hx-target="#log-0" hx-swap="beforeend">a
        </hx-partial><hx-partial hx-target="#log" hx-swap="beforeend"><span id="log-1" hx-ignore><span class="e"><span class="vh">error output: </span>&lt;b hx-get=x&gt;</span>
        </span></hx-partial>
        "##);
    }

    #[test]
    fn a_long_output_keeps_its_newest_blocks() {
        let all: Vec<Item> = (1..=5_000).map(|n| item(n, "stdout", "x")).collect();
        let mut seen = 0;
        let mut blocks = std::collections::BTreeSet::new();
        for some in all.chunks(37) {
            let shown = more(some, seen).0;
            for number in 0..60 {
                if shown.contains(&format!("<span id=\"log-{number}\"")) {
                    assert!(blocks.insert(number), "{number} was there");
                }
                if shown.contains(&format!("hx-target=\"#log-{number}\" hx-swap=\"delete\"")) {
                    assert!(blocks.remove(&number), "{number} was not there");
                }
            }
            seen = some[some.len() - 1].entry_id;
        }
        assert_eq!(blocks, (31..=50).collect());
    }
}
