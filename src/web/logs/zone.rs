//! By which clock times are shown. Scripts tell the browser's by a cookie; without
//! them it can be chosen.
use maud::{Markup, html};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, OffsetDateTime, UtcOffset};
use tower_cookies::Cookies;

/// Minutes that the browser's clock is ahead of UTC; set by `logs.js`.
const COOKIE: &str = "jg_zone";
const CLOCK: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]:[second]");
const DAY: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:short] [year]");
/// Every one that a place of some size has, in minutes.
const KNOWN: [i32; 37] = [
    -720, -660, -600, -570, -540, -480, -420, -360, -300, -240, -210, -180, -120, -60, 0, 60, 120,
    180, 210, 240, 270, 300, 330, 345, 360, 390, 420, 480, 525, 540, 570, 600, 630, 660, 720, 765,
    840,
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    Utc,
    /// The browser's own, if that is known.
    Local(Option<UtcOffset>),
    Chosen(UtcOffset),
}

impl Zone {
    /// `local`, minutes ahead of UTC, or anything else for UTC.
    pub(super) fn read(asked: &str, cookies: &Cookies) -> Self {
        match asked {
            "local" => {
                let told = cookies.get(COOKIE);
                Self::Local(told.and_then(|told| minutes(told.value())))
            }
            asked => minutes(asked).map_or(Self::Utc, Self::Chosen),
        }
    }

    fn offset(self) -> UtcOffset {
        match self {
            Self::Utc => UtcOffset::UTC,
            Self::Local(offset) => offset.unwrap_or(UtcOffset::UTC),
            Self::Chosen(offset) => offset,
        }
    }

    pub(super) fn clock(self, at: OffsetDateTime) -> String {
        let at = at.to_offset(self.offset());
        at.format(CLOCK).unwrap_or_default()
    }

    pub(super) fn date(self, at: OffsetDateTime) -> Date {
        at.to_offset(self.offset()).date()
    }

    /// `23 Nov 2026, UTC`.
    pub(super) fn day(self, at: OffsetDateTime) -> String {
        let day = self.date(at).format(DAY).unwrap_or_default();
        format!("{day}, {}", self.name())
    }

    pub(super) fn name(self) -> String {
        name(self.offset())
    }

    pub(super) const fn is_utc(self) -> bool {
        matches!(self, Self::Utc)
    }

    /// Asks which it is, where nobody has told.
    pub(super) fn question(self, action: &str, rest: &Markup) -> Option<Markup> {
        (self == Self::Local(None)).then(|| {
            html! {
                form.row method="get" action=(action) {
                    (rest)
                    label for="zone" { "Your clock is not known. Choose it:" }
                    select #zone name="time" {
                        @for minutes in KNOWN {
                            @let offset = UtcOffset::from_whole_seconds(minutes * 60).unwrap_or(UtcOffset::UTC);
                            option value=(minutes) selected[minutes == 0] { (name(offset)) }
                        }
                    }
                    button.btn { "Use it" }
                }
            }
        })
    }
}

fn minutes(text: &str) -> Option<UtcOffset> {
    let minutes: i32 = text.parse().ok()?;
    let possible = (-15 * 60..=15 * 60).contains(&minutes);
    possible.then(|| UtcOffset::from_whole_seconds(minutes * 60).ok())?
}

/// `UTC`, `UTC+3`, `UTC−3:30`.
fn name(offset: UtcOffset) -> String {
    let minutes = offset.whole_minutes();
    let sign = if minutes < 0 { '−' } else { '+' };
    match (minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60) {
        (0, 0) => "UTC".into(),
        (hours, 0) => format!("UTC{sign}{hours}"),
        (hours, minutes) => format!("UTC{sign}{hours}:{minutes:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::macros::datetime;

    #[test]
    fn a_line_of_one_day_may_be_of_another_elsewhere() {
        let at = datetime!(2026-11-23 22:30:05 UTC);
        let zone = Zone::Chosen(minutes("180").unwrap());
        assert_eq!(
            (zone.clock(at).as_str(), zone.day(at).as_str()),
            ("01:30:05", "24 Nov 2026, UTC+3")
        );
        assert_eq!(Zone::Utc.day(at), "23 Nov 2026, UTC");
        for (text, named) in [
            ("0", Some("UTC")),
            ("-210", Some("UTC−3:30")),
            ("345", Some("UTC+5:45")),
            ("9999", None),
            ("x", None),
        ] {
            assert_eq!(minutes(text).map(name).as_deref(), named, "{text}");
        }
    }
}
