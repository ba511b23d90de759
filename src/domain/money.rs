//! Amounts in US dollars.
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// US dollars in whole micro-dollars (`1_000_000` = $1.00): enough for a
/// per-second rate, and sums stay exact. On the wire it is a JSON number of
/// dollars, as the public contract wants it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Usd(i64);

impl Usd {
    pub const ZERO: Self = Self(0);

    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// What `millis` milliseconds at `self` per hour cost, rounded down to one
    /// micro-dollar. Saturates instead of overflowing; never negative.
    #[must_use]
    pub fn for_millis(self, millis: i64) -> Self {
        let product = i128::from(self.0.max(0)) * i128::from(millis.max(0));
        Self(i64::try_from(product / 3_600_000).unwrap_or(i64::MAX))
    }

    /// What `seconds` at `self` per hour cost, rounded up to one micro-dollar:
    /// for ceilings and holds.
    #[must_use]
    pub fn at_most_for_seconds(self, seconds: i64) -> Self {
        let product = i128::from(self.0.max(0)) * i128::from(seconds.max(0));
        Self(i64::try_from((product + 3_599) / 3_600).unwrap_or(i64::MAX))
    }

    /// How many whole seconds `self` pays for at `rate` per hour; `None` if the
    /// rate is zero.
    #[must_use]
    pub fn seconds_at(self, rate: Self) -> Option<i64> {
        if rate.0 <= 0 {
            return None;
        }
        i64::try_from(i128::from(self.0.max(0)) * 3_600 / i128::from(rate.0)).ok()
    }

    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount in dollars, such as 2.50")]
pub struct NotAnAmount;

impl FromStr for Usd {
    type Err = NotAnAmount;

    /// Reads `2`, `2.5`, `$2.50`, with at most six decimals and no sign.
    fn from_str(text: &str) -> Result<Self, NotAnAmount> {
        let text = text.trim();
        let text = text.strip_prefix('$').unwrap_or(text).trim_start();
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && part.is_empty())
            || !digits(whole)
            || !digits(part)
            || part.len() > 6
        {
            return Err(NotAnAmount);
        }
        let whole: i64 = if whole.is_empty() {
            0
        } else {
            whole.parse().map_err(|_| NotAnAmount)?
        };
        let part: i64 = format!("{part:0<6}").parse().map_err(|_| NotAnAmount)?;
        whole
            .checked_mul(1_000_000)
            .and_then(|micros| micros.checked_add(part))
            .map(Self)
            .ok_or(NotAnAmount)
    }
}

impl fmt::Display for Usd {
    /// Whole cents where that is exact, else as many decimals as it takes for
    /// small job costs not to vanish: four, and six below one cent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let micros = self.0.unsigned_abs();
        let (whole, part) = (micros / 1_000_000, micros % 1_000_000);
        if part % 10_000 == 0 {
            write!(f, "{sign}${whole}.{:02}", part / 10_000)
        } else if micros < 10_000 {
            write!(f, "{sign}${whole}.{part:06}")
        } else {
            write!(f, "{sign}${whole}.{:04}", part / 100)
        }
    }
}

impl Serialize for Usd {
    #[expect(
        clippy::cast_precision_loss,
        reason = "the contract's wire form is a JSON number"
    )]
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_f64(self.0 as f64 / 1e6)
    }
}

impl JsonSchema for Usd {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Usd".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number" })
    }
}

impl<'de> Deserialize<'de> for Usd {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked first"
    )]
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(input)?;
        if !dollars.is_finite() || dollars.abs() > 1e12 {
            return Err(de::Error::custom(NotAnAmount));
        }
        Ok(Self((dollars * 1e6).round() as i64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_not_at_all() {
        assert_eq!("2.50".parse(), Ok(Usd(2_500_000)));
        assert_eq!(" $0.000001 ".parse(), Ok(Usd(1)));
        assert_eq!(".5".parse(), Ok(Usd(500_000)));
        for bad in [
            "",
            ".",
            "$",
            "-1",
            "1e3",
            "0.0000001",
            "1,5",
            "9999999999999999",
            "NaN",
            "１",
        ] {
            assert_eq!(bad.parse::<Usd>(), Err(NotAnAmount), "{bad}");
        }
    }

    #[test]
    fn small_costs_do_not_vanish() {
        let shown: Vec<String> = [5_000_000, 33, 123_456, -33, 10_000]
            .map(|m| Usd(m).to_string())
            .into();
        assert_eq!(
            shown,
            ["$5.00", "$0.000033", "$0.1234", "-$0.000033", "$0.01"]
        );
    }

    #[test]
    fn a_cost_rounds_down_and_a_hold_rounds_up() {
        let rate = Usd(120_000);
        assert_eq!(rate.for_millis(1_000), Usd(33));
        assert_eq!(rate.at_most_for_seconds(1), Usd(34));
        assert_eq!(rate.for_millis(3_600_000), rate);
        assert_eq!(rate.for_millis(-5), Usd::ZERO);
        assert_eq!(Usd(i64::MAX).for_millis(i64::MAX), Usd(i64::MAX));
        assert_eq!(Usd(5_000_000).seconds_at(rate), Some(150_000));
    }

    #[test]
    fn the_wire_form_is_a_number_of_dollars() {
        assert_eq!(serde_json::to_string(&Usd(120_000)).unwrap(), "0.12");
        assert_eq!(serde_json::from_str::<Usd>("1.1").unwrap(), Usd(1_100_000));
        assert!(serde_json::from_str::<Usd>("1e99").is_err());
    }
}
