//! What gRPC asks of a proxy: its deadline, and failures in its own words.
//!
//! The rules are those of the project's documents "gRPC over HTTP2" and "HTTP to gRPC Status Code Mapping".

use std::time::Duration;

use towpath_proto::h1::encode;
use towpath_proto::message::{Known, RequestHead, Version};

use crate::error::Reason;

/// The media type of calls; `+proto` and the like may follow.
pub(super) const MEDIA_TYPE: &[u8] = b"application/grpc";

/// Digits that a timeout may have.
const TIMEOUT_DIGITS_MAX: usize = 8;

/// The units of a timeout, the finest first, in nanoseconds.
const UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60_000_000_000),
    (b'H', 3_600_000_000_000),
];

/// Whether a request is a call. There is none in HTTP/1.
pub(super) fn is_call(head: &RequestHead, block: &[u8]) -> bool {
    if head.version != Version::Http2 {
        return false;
    }
    let media_type = head.fields.find(Known::ContentType, block).unwrap_or_default();
    let Some(rest) = media_type.get(MEDIA_TYPE.len()..) else { return false };
    media_type[..MEDIA_TYPE.len()].eq_ignore_ascii_case(MEDIA_TYPE)
        && matches!(rest.first(), None | Some(b'+' | b';' | b' '))
}

/// How long the client waits, by `grpc-timeout`; `None` for a value that is none, as for no value.
pub(super) fn timeout_of(head: &RequestHead, block: &[u8]) -> Option<Duration> {
    let value = head.fields.find(Known::GrpcTimeout, block)?;
    let (unit, digits) = value.split_last()?;
    if !(1..=TIMEOUT_DIGITS_MAX).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits.iter().fold(0, |count, digit| count * 10 + u64::from(digit - b'0'));
    let (_, nanos) = UNITS.iter().find(|(letter, _)| letter == unit)?;
    Some(Duration::from_nanos(count.saturating_mul(*nanos)))
}

/// Writes a timeout in the finest unit that has the digits for it, rounded down.
pub(super) fn encode_timeout(timeout: Duration, out: &mut Vec<u8>) {
    let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    let fits = |unit: u64| nanos / unit < 10_u64.pow(TIMEOUT_DIGITS_MAX as u32);
    let coarsest = UNITS[UNITS.len() - 1];
    let (letter, unit) = UNITS.into_iter().find(|(_, unit)| fits(*unit)).unwrap_or(coarsest);
    encode::decimal(out, nanos / unit);
    out.push(letter);
}

/// The status code that tells a client of gRPC why the gateway did not do what it asked for.
pub(super) fn status_of(reason: Reason) -> u8 {
    const CANCELLED: u8 = 1;
    const UNKNOWN: u8 = 2;
    const DEADLINE_EXCEEDED: u8 = 4;
    const PERMISSION_DENIED: u8 = 7;
    const RESOURCE_EXHAUSTED: u8 = 8;
    const UNIMPLEMENTED: u8 = 12;
    const INTERNAL: u8 = 13;
    const UNAVAILABLE: u8 = 14;
    const UNAUTHENTICATED: u8 = 16;
    match (reason, reason.status()) {
        (Reason::RequestTimeout, _) => DEADLINE_EXCEEDED,
        (_, 400) => INTERNAL,
        (_, 401) => UNAUTHENTICATED,
        (_, 403) => PERMISSION_DENIED,
        (_, 404 | 405) => UNIMPLEMENTED,
        (_, 413 | 431) => RESOURCE_EXHAUSTED,
        (_, 429 | 502 | 503 | 504) => UNAVAILABLE,
        (_, 499) => CANCELLED,
        _ => UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use towpath_proto::message::{Field, Span};

    fn timeout(value: &str) -> Option<Duration> {
        let mut head = RequestHead::default();
        let value_span = Span::new(0, value.len() as u32);
        head.fields.push(Field { value: value_span, known: Known::GrpcTimeout, ..Field::default() });
        timeout_of(&head, value.as_bytes())
    }

    #[test]
    fn timeouts_are_read_in_every_unit() {
        for (value, nanos) in
            [("1n", 1), ("20u", 20_000), ("5m", 5_000_000), ("3S", 3_000_000_000), ("1M", 60_000_000_000)]
        {
            assert_eq!(timeout(value), Some(Duration::from_nanos(nanos)), "{value}");
        }
        assert_eq!(
            timeout("99999999H"),
            Some(Duration::from_secs(99_999_999 * 3600).min(Duration::from_nanos(u64::MAX)))
        );
        for none in ["", "1", "S", "123456789S", "1s", "-1S", "1.5S"] {
            assert_eq!(timeout(none), None, "{none}");
        }
    }

    #[test]
    fn what_remains_is_written_in_eight_digits() {
        for (timeout, expected) in [
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(1_000_000), "1000000S"),
            (Duration::ZERO, "0n"),
        ] {
            let mut out = Vec::new();
            encode_timeout(timeout, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
