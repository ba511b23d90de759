//! Queue and run on one line.
use super::{Told, spans, times, window};
use maud::{Markup, html};

/// Percent of a whole, as SVG wants it.
fn percent(part: i64, whole: i64) -> String {
    let tenths = part.max(0).saturating_mul(1_000) / whole.max(1);
    format!("{}.{}%", tenths / 10, tenths % 10)
}

/// Queue and run, certain and possible, on one line.
pub(super) fn draw(told: &Told) -> Markup {
    let wait = told.wait.1.max(0);
    let least_wait = told.wait.0.clamp(0, wait);
    let run = told.runtime.1.max(1);
    let least_run = told.runtime.0.clamp(0, run);
    let whole = wait + run;
    let at = |seconds: i64| percent(seconds, whole);
    let done = (
        told.starts.0 + time::Duration::seconds(least_run),
        told.starts.1 + time::Duration::seconds(run),
    );
    let title = format!(
        "Expected timeline: {} in the queue, then {} running, done {}",
        spans((least_wait, wait)),
        spans((least_run, run)),
        window(done)
    );
    // Labels of narrow parts would run into each other.
    let queue_shows = wait * 6 > whole;
    let run_at = if wait * 8 > whole { at(0) } else { at(wait) };
    html! {
        svg.chart.plan height="66" role="img" aria-labelledby="plan-t" {
            title #plan-t { (title) }
            defs { pattern #hq width="5" height="5" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                path d="M0 0V5" stroke-width="2" {}
            } }
            rect.q x="0" y="20" width=(at(least_wait)) height="16" {}
            rect.q2 x=(at(least_wait)) y="20" width=(at(wait - least_wait)) height="16" {}
            rect.r x=(at(wait)) y="20" width=(at(least_run)) height="16" {}
            rect.r2 x=(at(wait + least_run)) y="20" width=(at(run - least_run)) height="16" {}
            @if queue_shows { text x="0" y="12" { "Queue" } }
            @if run * 6 > whole { text x=(at(wait)) y="12" { "Running" } }
            @else { text x="100%" y="12" text-anchor="end" { "Running" } }
            text x=(run_at) y="54" { "Starts " (times(told.starts)) }
            text x="100%" y="54" text-anchor="end" { "Done " (times(done)) }
        }
    }
}
