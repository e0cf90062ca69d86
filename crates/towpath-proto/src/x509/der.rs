//! DER, as far as certificates need it (X.690 §10).

use std::fmt;

/// Values one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

/// Tags of DER (X.690 §8.1.2) that stand in certificates.
pub(super) mod tag {
    pub(crate) const BOOLEAN: u8 = 0x01;
    pub(crate) const INTEGER: u8 = 0x02;
    pub(crate) const BITS: u8 = 0x03;
    pub(crate) const OCTETS: u8 = 0x04;
    pub(crate) const OBJECT: u8 = 0x06;
    pub(crate) const UTF8: u8 = 0x0c;
    pub(crate) const PRINTABLE: u8 = 0x13;
    pub(crate) const IA5: u8 = 0x16;
    pub(crate) const UTC_TIME: u8 = 0x17;
    pub(crate) const GENERALIZED_TIME: u8 = 0x18;
    pub(crate) const SEQUENCE: u8 = 0x30;
    pub(crate) const SET: u8 = 0x31;
    pub(crate) const EMAIL: u8 = 0x81;
    pub(crate) const DNS_NAME: u8 = 0x82;
    pub(crate) const URI: u8 = 0x86;
    pub(crate) const IP_ADDRESS: u8 = 0x87;
    pub(crate) const VERSION: u8 = 0xa0;
    pub(crate) const EXTENSIONS: u8 = 0xa3;
}

/// Bytes of a length in its long form. A certificate has fewer than 2^32 bytes.
const LENGTH_BYTES_MAX: usize = 4;

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The tag and content of the next value. `None` at the end, and where no value is.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = if first < 0x80 { (usize::from(first), rest) } else { long(first, rest)? };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next value if it has this tag; else nothing is taken.
    pub(super) fn take(&mut self, tag: u8) -> Option<&'a [u8]> {
        let mut ahead = *self;
        let (found, content) = ahead.next()?;
        if found != tag {
            return None;
        }
        *self = ahead;
        Some(content)
    }
}

fn long(first: u8, rest: &[u8]) -> Option<(usize, &[u8])> {
    let count = usize::from(first & 0x7f);
    let (digits, rest) = rest.split_at_checked(count)?;
    if count == 0 || count > LENGTH_BYTES_MAX {
        return None;
    }
    let length = digits.iter().fold(0usize, |length, &digit| length << 8 | usize::from(digit));
    Some((length, rest))
}

/// A time in seconds since 1970-01-01 UTC (RFC 5280 §4.1.2.5); one before that is 0.
pub(super) fn seconds_of((tag, text): (u8, &[u8])) -> Option<u64> {
    let (year, rest) = match tag {
        tag::UTC_TIME => {
            let (year, rest) = number(text, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        tag::GENERALIZED_TIME => number(text, 4)?,
        _ => return None,
    };
    let (month, rest) = number(rest, 2)?;
    let (day, rest) = number(rest, 2)?;
    let (hour, rest) = number(rest, 2)?;
    let (minute, rest) = number(rest, 2)?;
    let (second, rest) = number(rest, 2)?;
    let is_time = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60;
    if rest != b"Z" || !is_time || second > 60 {
        return None;
    }
    let days = days_from_civil(year as i64, month as i64, day as i64);
    let seconds = days * 86_400 + (hour * 3600 + minute * 60 + second) as i64;
    Some(u64::try_from(seconds).unwrap_or(0))
}

fn number(text: &[u8], digits: usize) -> Option<(u32, &[u8])> {
    let (digits, rest) = text.split_at_checked(digits)?;
    let value = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()))?;
    Some((value.parse().ok()?, rest))
}

/// Days from 1970-01-01 in the Gregorian calendar. Years begin in March here, so that the leap day is the last.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

/// An object identifier as numbers with dots (X.690 §8.19).
pub(super) fn write_object(encoded: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut number = 0u64;
    let mut is_first = true;
    for &byte in encoded {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 != 0 {
            continue;
        }
        if std::mem::take(&mut is_first) {
            // The first two numbers share one.
            let first = (number / 40).min(2);
            write!(f, "{first}.{}", number - first * 40)?;
        } else {
            write!(f, ".{number}")?;
        }
        number = 0;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::tag::{GENERALIZED_TIME, UTC_TIME};
    use super::*;

    #[test]
    fn an_object_is_numbers_with_dots() {
        struct Object<'a>(&'a [u8]);
        impl fmt::Display for Object<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_object(self.0, f)
            }
        }
        assert_eq!(Object(&[0x2a, 0x86, 0x48, 0xce, 0x3d]).to_string(), "1.2.840.10045");
        assert_eq!(Object(&[0x55, 0x04, 0x03]).to_string(), "2.5.4.3");
        assert_eq!(Object(&[0x88, 0x37]).to_string(), "2.999");
        let _ = Object(&[0xff; 40]).to_string();
    }

    #[test]
    fn times_are_seconds() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(0)),
            (GENERALIZED_TIME, "20260301000000Z", Some(1_772_323_200)),
            (GENERALIZED_TIME, "20240229120000Z", Some(1_709_208_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "7001010000Z", None),
            (UTC_TIME, "701301000000Z", None),
            (UTC_TIME, "700101000000+0100", None),
            (0x02, "700101000000Z", None),
        ] {
            assert_eq!(seconds_of((tag, text.as_bytes())), expected, "{text}");
        }
    }

    #[test]
    fn a_length_beyond_the_end_is_none() {
        for bytes in
            [&[0x30][..], &[0x30, 5, 1], &[0x30, 0x80], &[0x30, 0x85, 1, 1, 1, 1, 1], &[0x30, 0x82, 1]]
        {
            assert!(Reader::new(bytes).next().is_none(), "{bytes:?}");
        }
        assert_eq!(Reader::new(&[0x30, 0x81, 1, 7]).next(), Some((0x30, &[7][..])));
    }
}
