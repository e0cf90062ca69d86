//! DER, as far as certificates need it (X.690 §10).

/// Values one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(&'a [u8]);

/// Tags of the two kinds of time.
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

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
        UTC_TIME => {
            let (year, rest) = number(text, 2)?;
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => number(text, 4)?,
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

#[cfg(test)]
mod tests {
    use super::*;

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
