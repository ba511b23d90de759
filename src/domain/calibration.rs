//! How predictions came out, and what that says about the next.
use super::estimate::Range;
use super::money::Usd;
use serde::{Deserialize, Serialize};

/// So few outcomes say nothing about the ranges.
pub const ENOUGH: u32 = 5;

/// Figures are told in whole seconds: a second either way is inside.
const SLACK_MILLIS: i64 = 1_000;

/// What was predicted of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Predicted {
    /// Seconds.
    pub runtime: Range,
    /// Seconds.
    pub wait: Range,
    pub cost: (Usd, Usd),
    /// Per hour.
    pub rate: Usd,
}

/// How it came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actual {
    /// `None` if it never started.
    pub runtime_millis: Option<i64>,
    pub wait_millis: Option<i64>,
    pub cost: Usd,
}

/// Which of the ranges held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub runtime: bool,
    pub wait: bool,
    pub cost: bool,
}

#[must_use]
pub fn judge(predicted: &Predicted, actual: &Actual) -> Held {
    let inside = |range: Range, millis: Option<i64>| {
        millis.is_some_and(|millis| {
            range.low.saturating_mul(1_000) <= millis.saturating_add(SLACK_MILLIS)
                && millis
                    <= range
                        .high
                        .saturating_mul(1_000)
                        .saturating_add(SLACK_MILLIS)
        })
    };
    let slack = predicted.rate.at_most_for_seconds(1);
    let (low, high) = predicted.cost;
    Held {
        runtime: inside(predicted.runtime, actual.runtime_millis),
        wait: inside(predicted.wait, actual.wait_millis),
        cost: low <= actual.cost.saturating_add(slack) && actual.cost <= high.saturating_add(slack),
    }
}

/// Whose past predictions are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    Own,
    Everyone,
    /// There are not enough of either.
    #[default]
    Nobody,
}

/// How often past ranges held.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Calibration {
    pub whose: Whose,
    /// Predictions that are counted; 0 if there are not enough.
    pub of: u32,
    /// Of those, where all three ranges held.
    pub held: u32,
    pub runtime_held: u32,
    pub queue_wait_held: u32,
    pub cost_held: u32,
    /// The same for people.
    pub message: String,
}

impl Calibration {
    /// From which ranges of the last predictions held.
    #[must_use]
    pub fn of(whose: Whose, outcomes: &[Held]) -> Self {
        let count = |held: fn(&Held) -> bool| {
            let held = outcomes.iter().filter(|outcome| held(outcome)).count();
            u32::try_from(held).unwrap_or(u32::MAX)
        };
        let of = count(|_| true);
        if of < ENOUGH || whose == Whose::Nobody {
            return Self {
                message: "Too few past ranges to say how often they hold.".into(),
                ..Self::default()
            };
        }
        let held = count(|h| h.runtime && h.wait && h.cost);
        let on = match whose {
            Whose::Own | Whose::Nobody => "",
            Whose::Everyone => " for others on this grid",
        };
        Self {
            whose,
            of,
            held,
            runtime_held: count(|h| h.runtime),
            queue_wait_held: count(|h| h.wait),
            cost_held: count(|h| h.cost),
            message: format!("Past ranges held {held} of {of} times{on}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predicted() -> Predicted {
        Predicted {
            runtime: Range { low: 10, high: 20 },
            wait: Range { low: 0, high: 10 },
            cost: (Usd::from_micros(1_000), Usd::from_micros(2_000)),
            rate: Usd::from_micros(360_000),
        }
    }

    #[test]
    fn a_second_either_way_is_inside_and_no_more() {
        let with = |runtime_millis, cost| {
            judge(
                &predicted(),
                &Actual {
                    runtime_millis,
                    wait_millis: Some(500),
                    cost: Usd::from_micros(cost),
                },
            )
        };
        for (runtime, held) in [
            (8_999, false),
            (9_000, true),
            (21_000, true),
            (21_001, false),
        ] {
            assert_eq!(with(Some(runtime), 1_500).runtime, held, "{runtime}");
        }
        assert!(!with(None, 1_500).runtime, "what never ran held nothing");
        for (cost, held) in [(899, false), (900, true), (2_100, true), (2_101, false)] {
            assert_eq!(with(Some(15_000), cost).cost, held, "{cost}");
        }
    }

    #[test]
    fn few_outcomes_say_nothing() {
        let good = Held {
            runtime: true,
            wait: true,
            cost: true,
        };
        let late = Held {
            wait: false,
            ..good
        };
        let none = Calibration::of(Whose::Own, &[good; 4]);
        assert_eq!((none.of, none.whose), (0, Whose::Nobody));
        let some = Calibration::of(Whose::Own, &[good, good, late, good, late]);
        assert_eq!((some.held, some.of), (3, 5));
        assert_eq!((some.runtime_held, some.queue_wait_held), (5, 3));
        assert_eq!(some.message, "Past ranges held 3 of 5 times.");
    }
}
