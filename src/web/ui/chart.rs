//! Small pictures in SVG. They stretch with their place, take their colors from
//! the stylesheet, and say their numbers to those who cannot see them.
use super::Usd;
use crate::api::overview::Day;
use maud::{Markup, html};

/// Where the bars stand, and how high they may grow.
const FLOOR: f64 = 140.0;
const HEIGHT: f64 = 124.0;

/// Dollars per day as bars; the last one is today.
pub(crate) fn bars(days: &[Day]) -> Markup {
    let top = ceiling(days.iter().map(|day| day.usd).max().unwrap_or_default());
    let count = u32::try_from(days.len().max(1)).unwrap_or(u32::MAX);
    let step = 100.0 / f64::from(count);
    let told: Vec<String> = days
        .iter()
        .map(|day| format!("{} {}", day.date, day.usd))
        .collect();
    html! {
        svg.chart height="160" role="img" aria-labelledby="spend-told" {
            title #spend-told { "Dollars per day: " (told.join(", ")) }
            @for (part, level) in [(0.0, Usd::ZERO), (0.5, half(top)), (1.0, top)] {
                @let y = FLOOR - HEIGHT * part;
                line x1="0" x2="100%" y1=(y) y2=(y) {}
                @if part > 0.0 { text x="0" y=(y - 4.0) { (level) } }
            }
            @for (at, day) in (0..count).zip(days) {
                @let tall = (HEIGHT * share(day.usd, top)).max(1.0);
                @let left = step * f64::from(at);
                @let today = at + 1 == count;
                rect.now[today] x={ (two(left + step * 0.14)) "%" } width={ (two(step * 0.72)) "%" }
                    y=(two(FLOOR - tall)) height=(two(tall)) rx="3" {}
                @if today || (count - at) % 3 == 1 {
                    text x={ (two(left + step / 2.0)) "%" } y="156" text-anchor="middle" {
                        @if today { "Today" } @else { (day_of_month(&day.date)) }
                    }
                }
            }
        }
    }
}

/// The same as a line that fits into a tile.
pub(crate) fn spark(days: &[Day], told: &str) -> Markup {
    let top = days.iter().map(|day| day.usd).max().unwrap_or_default();
    let steps = u32::try_from(days.len())
        .unwrap_or(u32::MAX)
        .saturating_sub(1)
        .max(1);
    let points: Vec<String> = (0..=steps)
        .zip(days)
        .map(|(at, day)| {
            let x = 80.0 * f64::from(at) / f64::from(steps);
            format!("{} {}", two(x), two(29.0 - 26.0 * share(day.usd, top)))
        })
        .collect();
    let line = points.join("L");
    html! {
        svg.spark viewBox="0 0 80 32" preserveAspectRatio="none" role="img" aria-label=(told) {
            path.a d={ "M" (line) "V32H0z" } {}
            path.l d={ "M" (line) } {}
        }
    }
}

/// One leaf per slot: free ones shine. Beyond what can be counted by eye each
/// leaf stands for several.
pub(crate) fn cells(free: u32, total: u32) -> Markup {
    const MOST: u32 = 24;
    let leaves = total.min(MOST);
    let shining = if total > MOST {
        // Rounded down, but one free slot is not none.
        (free * MOST / total).max(u32::from(free > 0))
    } else {
        free
    };
    let width = (leaves * 10).max(120);
    html! {
        svg.cells viewBox={ "0 0 " (width) " 9" } preserveAspectRatio="xMinYMid meet" role="img"
            aria-label={ (free) " of " (total) " free" } {
            @for at in 0..leaves {
                @let class = if at < shining { "f" } else { "u" };
                path class=(class) d={ "M" (at * 10) " 4q0-4 4-4h4v5q0 4-4 4h-4z" } {}
            }
        }
    }
}

/// A round amount at or above `most`: 1, 2 or 5 times a power of ten.
fn ceiling(most: Usd) -> Usd {
    let mut unit: i64 = 100;
    loop {
        for times in [1, 2, 5] {
            let level = unit.saturating_mul(times);
            if level >= most.micros() {
                return Usd::from_micros(level);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

const fn half(amount: Usd) -> Usd {
    Usd::from_micros(amount.micros() / 2)
}

/// `part` of `whole`, between 0 and 1.
#[expect(
    clippy::cast_precision_loss,
    reason = "it becomes a length on a screen"
)]
fn share(part: Usd, whole: Usd) -> f64 {
    if whole <= Usd::ZERO {
        return 0.0;
    }
    (part.micros() as f64 / whole.micros() as f64).clamp(0.0, 1.0)
}

/// Two decimals are finer than any screen.
fn two(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn day_of_month(date: &str) -> &str {
    date.rsplit('-')
        .next()
        .unwrap_or(date)
        .trim_start_matches('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(micros: &[i64]) -> Vec<Day> {
        (10..)
            .zip(micros)
            .map(|(day, micros)| Day {
                date: format!("2026-11-{day}"),
                usd: Usd::from_micros(*micros),
            })
            .collect()
    }

    #[test]
    fn bars_stay_inside_and_nothing_spent_still_draws() {
        for spent in [&[0; 14][..], &[0, 7_400_000, 3], &[i64::MAX], &[]] {
            let html = bars(&days(spent)).into_string();
            assert!(!html.contains("NaN") && !html.contains("inf"), "{html}");
            assert_eq!(html.matches("<rect").count(), spent.len(), "{html}");
        }
        assert_eq!(
            ceiling(Usd::from_micros(7_400_000)),
            Usd::from_micros(10_000_000)
        );
    }

    #[test]
    fn a_line_needs_no_two_points() {
        for spent in [&[][..], &[1], &[0, 0]] {
            let html = spark(&days(spent), "spent").into_string();
            assert!(!html.contains("NaN"), "{html}");
        }
    }

    #[test]
    fn leaves_are_as_many_as_slots_until_there_are_too_many() {
        let shown = |free, total| {
            let html = cells(free, total).into_string();
            (
                html.matches(r#"class="f""#).count(),
                html.matches(r#"class="u""#).count(),
            )
        };
        assert_eq!(shown(1, 2), (1, 1));
        assert_eq!(shown(0, 0), (0, 0));
        assert_eq!(shown(1, 1_000), (1, 23));
        assert_eq!(shown(1_000, 1_000), (24, 0));
    }
}
