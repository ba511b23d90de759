//! Sessions in words: their phases, ends, times and needs.
use crate::api::apps::Session;
use crate::api::templates::{Choices, Service, Usual};
use crate::domain::app::{EndCode, Phase};
use crate::domain::estimate::said;
use crate::domain::routing::Check;
use crate::web::jobs::text;
use crate::web::ui::{self, Kind};
use maud::{Markup, html};
use time::{OffsetDateTime, UtcOffset};

/// A phase as a kind, an icon and a word.
const fn shape(phase: Phase) -> (Kind, &'static str, &'static str) {
    match phase {
        Phase::Created => (Kind::Wait, "wait", "Waiting for capacity"),
        Phase::Reserved => (Kind::Run, "run", "Reserved"),
        Phase::Image => (Kind::Run, "run", "Pulling image"),
        Phase::Starting => (Kind::Run, "run", "Starting"),
        Phase::Services => (Kind::Run, "run", "Checking services"),
        Phase::Running => (Kind::Ok, "ok", "Running"),
        Phase::Stopping => (Kind::Warn, "run", "Stopping"),
        Phase::Ended => (Kind::Wait, "dash", "Ended"),
        Phase::Failed => (Kind::Bad, "x", "Failed"),
        Phase::Expired => (Kind::Wait, "clock", "Expired"),
    }
}

pub(super) fn badge(phase: Phase) -> Markup {
    let (kind, icon, word) = shape(phase);
    ui::badge(kind, icon, word)
}

/// The same for a phase that takes longer than usual.
pub(super) fn slow(phase: Phase) -> Markup {
    ui::badge(Kind::Warn, "clock", &format!("{}, slow", shape(phase).2))
}

/// What the title of the page begins with.
pub(super) const fn heading(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => "Ready",
        _ => shape(phase).2,
    }
}

/// The one line that is read out when the session moves on.
pub(super) fn spoken(session: &Session) -> String {
    match session.status {
        Phase::Running => format!("{} is ready and can be opened.", name(session)),
        Phase::Ended | Phase::Failed | Phase::Expired => format!("{}.", ended(session)),
        phase => format!("{}.", heading(phase)),
    }
}

/// Where a service of a template is, and what it needs on the way.
pub(super) fn place(service: &Service) -> String {
    let base = service.base_path.as_deref();
    let below = base.map_or_else(String::new, |path| format!(" at {}", fit(path, 60)));
    let mut place = format!("port {}{below}", service.port);
    for (needed, what) in [(service.websocket, "WebSockets"), (service.sse, "events")] {
        if needed {
            place.push_str(", ");
            place.push_str(what);
        }
    }
    place
}

pub(super) fn name(session: &Session) -> String {
    fit(&session.template_name, 120)
}

/// How it ended, as a heading.
pub(super) fn ended(session: &Session) -> &'static str {
    match &session.end {
        Some(end) => ended_for(end.code),
        None => shape(session.status).2,
    }
}

/// The same for any app that ended so.
pub(in crate::web) const fn ended_for(code: EndCode) -> &'static str {
    match code {
        EndCode::Stopped => "It was stopped",
        EndCode::TimeLimit => "Its time was over",
        EndCode::MoneyLimit => "It reached its money limit",
        EndCode::Idle => "Nobody had used it",
        EndCode::Exited => "The app ended by itself",
        EndCode::Rejected => "No machine can run it",
        EndCode::ImageMissing => "The image could not be had",
        EndCode::Crashed => "The app ended while it started",
        EndCode::NeverReady => "The app did not become ready in time",
        EndCode::Died => "The app failed while it ran",
        EndCode::OutOfMemory => "The app ran out of memory",
        EndCode::Lost => "The machine was lost",
    }
}

/// `2 min`, `2–4 min`.
pub(super) fn span(usual: Usual) -> String {
    spans(usual.low_seconds, usual.high_seconds)
}

/// The same to the minute, rounded outward, where it takes minutes.
pub(super) fn about(usual: Usual) -> String {
    let minutes = |seconds: i64| if seconds < 60 { 1 } else { 60 };
    let (low, high) = (usual.low_seconds.max(0), usual.high_seconds.max(0));
    let (down, up) = (minutes(low), minutes(high));
    spans(low / down * down, (high + up - 1) / up * up)
}

pub(super) fn spans(low: i64, high: i64) -> String {
    let (least, most) = (said(low.max(0)), said(high.max(0)));
    if least == most {
        return most;
    }
    if low <= 0 {
        return format!("up to {most}");
    }
    // One unit is enough for both.
    match (least.split_once(' '), most.split_once(' ')) {
        (Some((low, unit)), Some((high, same))) if unit == same && !unit.contains(' ') => {
            format!("{low}–{high} {unit}")
        }
        _ => format!("{least} – {most}"),
    }
}

/// Who says how long it usually takes.
pub(super) fn source(usual: Usual) -> String {
    match usual.samples {
        ..1 => "as its authors say".to_owned(),
        1 => "from 1 launch".to_owned(),
        many => format!("from {many} launches"),
    }
}

/// `14:02:07`; which day it was, the page says once.
pub(super) fn clock(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// `14:02 UTC`.
pub(super) fn minute(at: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    format!("{:02}:{:02} UTC", at.hour(), at.minute())
}

/// So many bytes of a cut text may go with the word that does not fit.
const WORD: usize = 24;

/// What a character takes on a page, in bytes.
const fn weight(c: char) -> usize {
    match c {
        '&' => 5,
        '<' | '>' => 4,
        '"' => 6,
        c => c.len_utf8(),
    }
}

/// `text` on one line, cut so that it takes at most `most` bytes of a page: after a
/// whole word, unless that word is very long.
pub(super) fn fit(text: &str, most: usize) -> String {
    let shown = text::visible(text).replace('\n', " ");
    if shown.chars().map(weight).sum::<usize>() <= most {
        return shown;
    }
    let room = most.saturating_sub('…'.len_utf8());
    let mut used = 0;
    let cut = shown.char_indices().find_map(|(at, c)| {
        used += weight(c);
        (used > room).then_some(at)
    });
    let (fits, rest) = shown.split_at(cut.unwrap_or(shown.len()));
    let word = fits.rfind(' ').filter(|at| fits.len() - at <= WORD);
    let fits = match word {
        Some(at) if !rest.starts_with(' ') => &fits[..at],
        _ => fits,
    };
    format!("{}…", fits.trim_end_matches([' ', ',', ':', ';']))
}

/// Two sentences that take at most `most` bytes together. The first keeps at least half
/// of that, and what the second does not need.
pub(super) fn fit_both(first: &str, second: &str, most: usize) -> (String, String) {
    let second_takes = text::visible(second).chars().map(weight).sum();
    let first = fit(first, most.saturating_sub(second_takes).max(most / 2));
    let left = most.saturating_sub(first.chars().map(weight).sum());
    (first, fit(second, left))
}

/// The first sentence of `text`, and what follows it.
pub(super) fn sentence(text: &str) -> (&str, &str) {
    match text.split_once(". ") {
        Some((first, rest)) => (&text[..=first.len()], rest),
        None => (text, ""),
    }
}

/// `24`, `0.5`.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// `1 core, 0.25 GB memory`, of what is asked for.
pub(super) fn processors(cpus: u32, memory_gb: f64) -> String {
    let cores = match cpus {
        0 => None,
        1 => Some("1 core".to_owned()),
        many => Some(format!("{many} cores")),
    };
    let memory = (memory_gb > 0.0).then(|| format!("{} GB memory", number(memory_gb)));
    let both: Vec<String> = cores.into_iter().chain(memory).collect();
    both.join(", ")
}

/// When it stops by itself, as it was chosen.
pub(super) fn limits(choices: &Choices) -> String {
    let mut parts = vec![format!(
        "after {}",
        said(minutes(choices.max_hours.unwrap_or(4.0)) * 60)
    )];
    match choices.idle_minutes {
        None | Some(0) => {}
        Some(idle) => parts.push(format!("after {idle} min without use")),
    }
    if let Some(most) = choices.max_usd {
        parts.push(format!("at {most}"));
    }
    match parts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => String::new(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "clamped to a year of minutes first"
)]
pub(super) fn minutes(hours: f64) -> i64 {
    (hours * 60.0).round().clamp(0.0, 525_600.0) as i64
}

/// What keeps something from being launched, each with what to do about it.
pub(super) fn checks<'c>(checks: impl IntoIterator<Item = &'c Check>) -> Markup {
    html! {
        @for check in checks.into_iter().filter(|check| check.status != "passed") {
            div.note.(if check.is_blocked() { "is-bad" } else { "is-warn" }) hx-ignore {
                (ui::icon(if check.is_blocked() { "x" } else { "warn" }))
                p.strong { (text::visible(&check.message)) }
                @if let Some(action) = &check.action { p { (text::visible(action)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_what_it_takes_on_the_page() {
        assert_eq!(fit("short", 5), "short");
        assert_eq!(fit("two\nlines", 20), "two lines");
        for text in ["<<<<<<<<<<", "&&&&&&", "naïve ✓ 日本語 text", "\"q\"\"\""] {
            for most in 3..40 {
                let shown = fit(text, most);
                let drawn = html! { (shown) }.into_string();
                assert!(drawn.len() <= most, "{drawn} takes more than {most}");
            }
        }
    }

    #[test]
    fn text_is_cut_after_a_whole_word() {
        let text = "Its last lines usually say which. Try again; then tell.";
        assert_eq!(fit(text, text.len()), text);
        assert_eq!(fit(text, 10), "Its…");
        assert_eq!(fit(text, 14), "Its last…");
        assert_eq!(fit(text, 17), "Its last lines…");
        assert_eq!(fit("ports: 8080, 8081", 13), "ports…");
        let id = "a".repeat(60);
        assert_eq!(fit(&format!("x {id}"), 40), format!("x {}…", &id[..35]));
    }

    #[test]
    fn two_sentences_share_their_room() {
        let (message, advice) = ("It ended. ".repeat(20), "Try again. ".repeat(20));
        assert_eq!(
            fit_both("It ended.", "Try.", 20),
            ("It ended.".into(), "Try.".into())
        );
        for (message, advice) in [
            (&message[..], "Try."),
            ("It ended.", &advice),
            (&message, &advice),
        ] {
            let (message, advice) = fit_both(message, advice, 100);
            assert!(message.len() + advice.len() <= 100, "{message} {advice}");
            assert!(message.len() + advice.len() > 70, "{message} {advice}");
        }
    }

    #[test]
    fn a_sentence_is_told_from_what_follows() {
        assert_eq!(
            sentence("It ended. Try. Tell."),
            ("It ended.", "Try. Tell.")
        );
        assert_eq!(sentence("Version 1.2 ended."), ("Version 1.2 ended.", ""));
        assert_eq!(sentence(""), ("", ""));
    }

    #[test]
    fn times_are_said_in_few_words() {
        for (low, high, said) in [
            (0, 0, "0 s"),
            (0, 10, "up to 10 s"),
            (1, 7, "1–7 s"),
            (20, 90, "20 s – 1 min 30 s"),
            (80, 140, "1 min 20 s – 2 min 20 s"),
            (120, 240, "2–4 min"),
            (90, 5_400, "1 min 30 s – 1 h 30 min"),
            (7_200, 10_800, "2–3 h"),
        ] {
            assert_eq!(spans(low, high), said);
        }
        for (low, high, said) in [
            (1, 7, "1–7 s"),
            (20, 81, "20 s – 2 min"),
            (81, 660, "1–11 min"),
            (305, 1_500, "5–25 min"),
        ] {
            let usual = Usual {
                low_seconds: low,
                high_seconds: high,
                samples: 0,
            };
            assert_eq!(about(usual), said);
        }
    }

    #[test]
    fn limits_read_as_a_sentence() {
        let choices = |idle, usd| Choices {
            max_hours: Some(2.5),
            idle_minutes: idle,
            max_usd: usd,
        };
        assert_eq!(limits(&choices(None, None)), "after 2 h 30 min");
        assert_eq!(
            limits(&choices(Some(30), Some(ui::Usd::from_micros(2_000_000)))),
            "after 2 h 30 min, after 30 min without use or at $2.00"
        );
    }
}
