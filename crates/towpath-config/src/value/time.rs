//! Spans of time, and how often per span.

use std::path::Path;
use std::time::Duration;

use crate::value::{Reject, Text};

/// Units in milliseconds, the larger first so that the canonical text is the shortest.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// The longest span, ten years: clocks add spans to instants, and must not overflow.
const SPAN_MAX: Duration = Duration::from_secs(3_650 * 86_400);

/// So many per span of time: `"100/s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// In which time: a second, a minute or an hour.
    pub per: Duration,
}

impl Text for Duration {
    const WHAT: &'static str = "a time span";
    const EXAMPLE: &'static str = "30s";
    const PATTERN: &'static str = "^[0-9]+(ms|s|m|h|d)$";
    const NEEDS_UNIT: bool = true;

    fn parse(text: &str, _folder: &Path) -> Result<Self, Reject> {
        let hint = || {
            Reject::hint("write a whole number and one of ms, s, m, h, d, for example \"30s\" or \"100ms\"")
        };
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| hint())?;
        let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(hint)?;
        let span = number.checked_mul(*millis).map(Self::from_millis).filter(|span| *span <= SPAN_MAX);
        span.ok_or_else(|| Reject::message("is longer than ten years", "write at most \"3650d\""))
    }

    fn to_text(&self) -> String {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        match UNITS.iter().find(|(_, unit)| millis != 0 && millis.is_multiple_of(*unit)) {
            Some((unit, size)) => format!("{}{unit}", millis / size),
            None => "0s".to_owned(),
        }
    }

    fn spell_number(number: &str) -> Option<String> {
        let number: u64 = number.parse().ok()?;
        Some(format!("write \"{number}s\" (seconds) or \"{number}ms\" (milliseconds)"))
    }
}

impl Text for Rate {
    const WHAT: &'static str = "a rate";
    const EXAMPLE: &'static str = "100/s";
    const PATTERN: &'static str = "^[0-9]+/(s|m|h)$";
    const NEEDS_UNIT: bool = true;

    fn parse(text: &str, _folder: &Path) -> Result<Self, Reject> {
        let hint =
            || Reject::hint("write how many and per what, for example \"100/s\", \"100/m\" or \"100/h\"");
        let (count, per) = text.split_once('/').ok_or_else(hint)?;
        let seconds = match per {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(hint()),
        };
        let is_digits = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
        let count = count.parse().ok().filter(|_| is_digits).ok_or_else(hint)?;
        Ok(Self { count, per: Duration::from_secs(seconds) })
    }

    fn to_text(&self) -> String {
        let unit = match self.per.as_secs() {
            3_600 => "h",
            60 => "m",
            _ => "s",
        };
        format!("{}/{unit}", self.count)
    }

    fn spell_number(number: &str) -> Option<String> {
        let number: u64 = number.parse().ok()?;
        Some(format!("write \"{number}/s\" or \"{number}/m\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(text: &str) -> Option<u128> {
        Duration::parse(text, Path::new("/")).ok().map(|span| span.as_millis())
    }

    #[test]
    fn spans_carry_their_unit() {
        assert_eq!(millis("300s"), Some(300_000));
        assert_eq!(millis("5m"), Some(300_000));
        assert_eq!(millis("100ms"), Some(100));
        assert_eq!(millis("1h"), Some(3_600_000));
        assert_eq!(millis("0s"), Some(0));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "s", "300", "-5s", "1.5s", "5 s", "5sec", "+5s", "3651d", "99999999999999999999s"] {
            assert_eq!(millis(text), None, "{text}");
        }
    }

    #[test]
    fn text_returns_to_the_same_span() {
        for span in [0, 1, 999, 1000, 90_000, 300_000, 3_600_000, 86_400_000] {
            assert_eq!(millis(&Duration::from_millis(span).to_text()), Some(u128::from(span)));
        }
    }

    #[test]
    fn rates_name_their_time() {
        let rate = |text| Rate::parse(text, Path::new("/")).ok().map(|rate| (rate.count, rate.per.as_secs()));
        assert_eq!(rate("100/s"), Some((100, 1)));
        assert_eq!(rate("5/h"), Some((5, 3_600)));
        assert_eq!(rate("5/day"), None);
        assert_eq!(rate("+5/s"), None);
        assert_eq!(rate("/s"), None);
    }
}
