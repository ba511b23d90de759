//! Times and durations as people read them.
use crate::domain::estimate::said;
use maud::{Markup, html};
use time::format_description::BorrowedFormatItem;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{OffsetDateTime, UtcOffset};

const CLOCK: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute] UTC");
const DAY: &[BorrowedFormatItem<'_>] = format_description!("[day padding:none] [month repr:short]");
const DAY_AND_YEAR: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:short] [year]");
const EXACT: &[BorrowedFormatItem<'_>] = format_description!(
    "[day padding:none] [month repr:short] [year] [hour]:[minute]:[second] UTC"
);

/// `at` as it is read at `now`; hovering tells it exactly.
pub(crate) fn time(at: OffsetDateTime, now: OffsetDateTime) -> Markup {
    let at = whole(at);
    html! {
        time datetime=[at.format(&Rfc3339).ok()] title=(exactly(at)) { (reading(at, now)) }
    }
}

/// `at` to the second, which reads the same whenever it is drawn.
pub(crate) fn exact(at: OffsetDateTime) -> Markup {
    let at = whole(at);
    html! { time datetime=[at.format(&Rfc3339).ok()] { (exactly(at)) } }
}

/// In whole seconds, as nobody reads more and lists have many.
fn whole(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0)
        .unwrap_or(at)
        .to_offset(UtcOffset::UTC)
}

pub(super) fn exactly(at: OffsetDateTime) -> String {
    written(at.to_offset(UtcOffset::UTC), EXACT)
}

fn written(at: OffsetDateTime, format: &[BorrowedFormatItem<'_>]) -> String {
    at.format(format).unwrap_or_else(|_| at.to_string())
}

pub(super) fn reading(at: OffsetDateTime, now: OffsetDateTime) -> String {
    let at = at.to_offset(UtcOffset::UTC);
    let now = now.to_offset(UtcOffset::UTC);
    let seconds = (now - at).whole_seconds();
    let days = (now.date() - at.date()).whole_days();
    match (seconds, days) {
        // Clocks differ a little, and nothing is said to have come from the future.
        (-5..45, _) => "just now".to_owned(),
        (45..3_600, _) => format!("{} min ago", (seconds + 15).div_euclid(60).clamp(1, 59)),
        (-3_600..0, _) => format!("in {} min", (-seconds + 59).div_euclid(60)),
        (_, 0) => written(at, CLOCK),
        (_, 1) => "yesterday".to_owned(),
        (_, 2..7) => format!("{days} days ago"),
        _ if at.year() == now.year() => written(at, DAY),
        _ => written(at, DAY_AND_YEAR),
    }
}

/// `45 s`, `12 min`, `1 h 40 min`.
pub(crate) fn duration(seconds: i64) -> String {
    said(seconds.max(0))
}

/// How long money lasts, which nobody knows to the minute.
pub(crate) fn runway(seconds: i64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600, seconds / 60);
    match (days, hours, minutes) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, _) => format!("about {minutes} min"),
        (0..2, _, _) => format!("about {hours} h"),
        (2..365, _, _) => format!("about {days} days"),
        _ => "more than a year".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::time::Duration;
    use ::time::macros::datetime;

    #[test]
    fn the_near_past_is_relative_and_the_far_past_a_date() {
        let now = datetime!(2026-11-23 14:30 UTC);
        let read = |back: Duration| reading(now - back, now);
        assert_eq!(read(Duration::seconds(10)), "just now");
        assert_eq!(read(Duration::seconds(-3)), "just now");
        assert_eq!(read(Duration::seconds(50)), "1 min ago");
        assert_eq!(read(Duration::minutes(59)), "59 min ago");
        assert_eq!(read(Duration::seconds(3_599)), "59 min ago");
        assert_eq!(read(Duration::minutes(-5)), "in 5 min");
        assert_eq!(read(Duration::hours(2)), "12:30 UTC");
        assert_eq!(read(Duration::hours(15)), "yesterday");
        assert_eq!(read(Duration::days(3)), "3 days ago");
        assert_eq!(read(Duration::days(30)), "24 Oct");
        assert_eq!(read(Duration::days(400)), "19 Oct 2025");
    }

    #[test]
    fn the_exact_time_is_always_there() {
        let at = datetime!(2026-11-23 15:02:05.123 +1);
        let html = time(at, at).into_string();
        assert_eq!(
            html,
            r#"<time datetime="2026-11-23T14:02:05Z" title="23 Nov 2026 14:02:05 UTC">just now</time>"#
        );
    }

    #[test]
    fn money_lasts_about_as_long_as_it_lasts() {
        let said: Vec<String> = [30, 600, 7_200, 100_000, 800_000, 40_000_000]
            .map(runway)
            .into();
        assert_eq!(
            said,
            [
                "less than a minute",
                "about 10 min",
                "about 2 h",
                "about 27 h",
                "about 9 days",
                "more than a year"
            ]
        );
    }
}
