//! Timeouts as text.

use std::time::Duration;

/// Most digits of a `grpc-timeout` ("TimeoutValue" in gRPC over HTTP/2).
const GRPC_DIGITS_MAX: usize = 8;

/// Most digits of a timeout in milliseconds: 115 days, and no overflow.
const MS_DIGITS_MAX: usize = 10;

/// The units of `grpc-timeout`, finest first, in nanoseconds.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// Reads a `grpc-timeout` ("gRPC over HTTP2"): one to eight digits and a unit, `None` for anything else. Eight digits of
/// hours do not fit 64 bits of nanoseconds and are cut to what does: five centuries.
///
/// ```
/// use std::time::Duration;
/// use towpath::ctx::wire::read_grpc_timeout;
///
/// assert_eq!(read_grpc_timeout(b"250m"), Some(Duration::from_millis(250)));
/// assert_eq!(read_grpc_timeout(b"1.5S"), None);
/// ```
pub fn read_grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    let (_, nanos) = UNITS.iter().find(|(name, _)| name == unit)?;
    let number = read_digits(digits, GRPC_DIGITS_MAX)?;
    Some(Duration::from_nanos(number.saturating_mul(*nanos)))
}

/// Milliseconds. Zero means "no limit" to those who send it, and is none here.
pub(super) fn read_ms(value: &[u8]) -> Option<Duration> {
    read_digits(value, MS_DIGITS_MAX).filter(|&ms| ms > 0).map(Duration::from_millis)
}

fn read_digits(digits: &[u8], count_max: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > count_max || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number, digit| 10 * number + u64::from(digit - b'0')))
}

/// Writes a `grpc-timeout`, rounded down to the finest unit that fits eight digits.
///
/// ```
/// use std::time::Duration;
/// use towpath::ctx::wire::write_grpc_timeout;
///
/// assert_eq!(write_grpc_timeout(Duration::from_secs(2)), "2000000u");
/// ```
pub fn write_grpc_timeout(span: Duration) -> String {
    let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
    let fits = |(unit, size): &(u8, u64)| {
        let number = nanos / size;
        (number < 100_000_000).then(|| format!("{number}{}", char::from(*unit)))
    };
    UNITS.iter().find_map(fits).unwrap_or_else(|| "99999999H".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_digits_and_a_unit_and_nothing_else() {
        let read = |text: &str| read_grpc_timeout(text.as_bytes()).map(|span| span.as_nanos());
        for (text, nanos) in [
            ("0n", 0),
            ("1n", 1),
            ("20u", 20_000),
            ("300m", 300_000_000),
            ("00000007S", 7_000_000_000),
            ("2M", 120_000_000_000),
            ("1H", 3_600_000_000_000),
            ("99999999H", u128::from(u64::MAX)),
        ] {
            assert_eq!(read(text), Some(nanos), "{text}");
        }
        for text in
            ["", "1", "S", "123456789S", "1s", "-1S", "+1S", "1.5S", " 1S", "1S ", "1 S", "0x1S", "1SS", "١S"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn milliseconds_are_digits_and_never_no_limit() {
        assert_eq!(read_ms(b"250"), Some(Duration::from_millis(250)));
        for text in ["", "0", "000", "1s", "-1", "12345678901", "1e3"] {
            assert_eq!(read_ms(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_the_finest_that_fits_and_never_longer() {
        for (nanos, text) in [
            (1, "1n"),
            (99_999_999, "99999999n"),
            (100_000_000, "100000u"),
            (9_500_000_999, "9500000u"),
            (100_000_000_000, "100000m"),
            (3_600_000_000_000, "3600000m"),
        ] {
            assert_eq!(write_grpc_timeout(Duration::from_nanos(nanos)), text);
            assert!(read_grpc_timeout(text.as_bytes()).unwrap() <= Duration::from_nanos(nanos));
        }
        assert_eq!(write_grpc_timeout(Duration::MAX), "5124095H");
    }
}
