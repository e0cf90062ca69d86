//! Byte ranges (RFC 9110 §14).

/// More ranges than this in one request are answered with the whole file. Media players and PDF readers ask for a
/// handful; hundreds of tiny ones are how CVE-2011-3192 made servers work for nothing.
pub(super) const RANGES_MAX: usize = 16;

/// Bytes of a file: `len` of them from `start`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    /// The first byte.
    pub start: u64,
    /// How many, at least 1.
    pub len: u64,
}

/// What a `Range` field asks of a representation of known length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ranges {
    /// The whole of it, as if there were no field.
    Whole,
    /// One slice.
    One(Slice),
    /// Two or more slices that do not overlap, in the order they were asked for.
    Several(Vec<Slice>),
    /// Nothing that exists.
    Unsatisfiable,
}

impl Slice {
    fn end(self) -> u64 {
        self.start + self.len
    }

    /// The value of `Content-Range` without the unit (RFC 9110 §14.4).
    pub(super) fn of_total(self, total: u64) -> String {
        format!("{}-{}/{total}", self.start, self.end() - 1)
    }
}

/// Resolves the value of `Range` against a representation of `len` bytes.
///
/// A unit we do not know or a set that is malformed is ignored (§14.2). So is any range of an empty file: some clients
/// ask for `bytes=0-` always, and nothing is a complete answer to that.
pub(super) fn resolve(value: &[u8], len: u64) -> Ranges {
    if len == 0 {
        return Ranges::Whole;
    }
    let Some(specs) = parse_set(value) else { return Ranges::Whole };
    if specs.len() > RANGES_MAX {
        return Ranges::Whole;
    }
    let slices: Vec<Slice> = specs.into_iter().filter_map(|spec| spec.within(len)).collect();
    match slices.as_slice() {
        [] => Ranges::Unsatisfiable,
        // §15.3.7.2: one range that is left over from several need not be multipart.
        [slice] => Ranges::One(*slice),
        several if overlap(several) => Ranges::Whole,
        _ => Ranges::Several(slices),
    }
}

/// One range as written (RFC 9110 §14.1.1).
#[derive(Clone, Copy)]
enum Spec {
    /// `first-last`, both included; `u64::MAX` when open.
    Interval { first: u64, last: u64 },
    /// The last so many bytes.
    Suffix(u64),
}

impl Spec {
    /// RFC 9110 §14.1.2: the part that exists, if any does.
    fn within(self, total: u64) -> Option<Slice> {
        let (start, end) = match self {
            Self::Interval { first, last } => (first, last.saturating_add(1).min(total)),
            Self::Suffix(len) => (total.saturating_sub(len), total),
        };
        (start < end).then(|| Slice { start, len: end - start })
    }
}

/// `None` for another unit or a malformed set. At most one more than [`RANGES_MAX`] are read.
fn parse_set(value: &[u8]) -> Option<Vec<Spec>> {
    let (unit, set) = value.split_at_checked(b"bytes=".len())?;
    // Range units are compared without case (§14.1).
    if !unit.eq_ignore_ascii_case(b"bytes=") {
        return None;
    }
    let elements = set.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    // Empty elements of a list are skipped (§5.6.1.2), but the list has at least one that is not.
    let elements = elements.filter(|element| !element.is_empty());
    let specs: Vec<Spec> = elements.take(RANGES_MAX + 1).map(parse_spec).collect::<Option<_>>()?;
    (!specs.is_empty()).then_some(specs)
}

fn parse_spec(spec: &[u8]) -> Option<Spec> {
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (spec.get(..dash)?, spec.get(dash + 1..)?);
    match (first, last) {
        (b"", last) => Some(Spec::Suffix(parse_position(last)?)),
        (first, b"") => Some(Spec::Interval { first: parse_position(first)?, last: u64::MAX }),
        (first, last) => {
            let (first, last) = (parse_position(first)?, parse_position(last)?);
            // §14.1.1: a last position before the first makes the whole set invalid.
            (first <= last).then_some(Spec::Interval { first, last })
        }
    }
}

/// Digits of any length; what does not fit is behind every file's end, like the largest number that fits.
fn parse_position(digits: &[u8]) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_number.then(|| {
        digits.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
    })
}

fn overlap(slices: &[Slice]) -> bool {
    let mut sorted = slices.to_vec();
    sorted.sort_by_key(|slice| slice.start);
    sorted.windows(2).any(|pair| matches!(pair, [one, next] if next.start < one.end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: &str, len: u64) -> String {
        match resolve(value.as_bytes(), len) {
            Ranges::Whole => "whole".to_string(),
            Ranges::One(slice) => slice.of_total(len),
            Ranges::Several(slices) => {
                slices.iter().map(|slice| slice.of_total(len)).collect::<Vec<_>>().join(" ")
            }
            Ranges::Unsatisfiable => "416".to_string(),
        }
    }

    #[track_caller]
    fn check(value: &str, expected: &str) {
        assert_eq!(shown(value, 1000), expected, "{value}");
    }

    #[test]
    fn one_range_rfc9110_14_1_2() {
        check("bytes=0-0", "0-0/1000");
        check("bytes=0-", "0-999/1000");
        check("bytes=500-599", "500-599/1000");
        check("bytes=999-", "999-999/1000");
        check("bytes=990-2000", "990-999/1000");
        check("bytes=-1", "999-999/1000");
        check("bytes=-2000", "0-999/1000");
        check("BYTES= 1-2 ,", "1-2/1000");
        check("bytes=0-99999999999999999999999999", "0-999/1000");
        check("bytes=0-18446744073709551615", "0-999/1000");
    }

    #[test]
    fn ranges_behind_the_end_are_unsatisfiable_rfc9110_14_1_2() {
        check("bytes=1000-", "416");
        check("bytes=1000-2000, 5000-", "416");
        check("bytes=-0", "416");
        check("bytes=99999999999999999999999999-", "416");
        check("bytes=18446744073709551615-18446744073709551615", "416");
    }

    #[test]
    fn several_ranges_keep_their_order_rfc9110_15_3_7_2() {
        check("bytes=0-0,-1", "0-0/1000 999-999/1000");
        check("bytes=500-600, 0-10", "500-600/1000 0-10/1000");
        check("bytes=0-9,10-19", "0-9/1000 10-19/1000");
        check("bytes=0-9, 2000-", "0-9/1000");
    }

    #[test]
    fn overlapping_or_too_many_ranges_give_the_whole_t49() {
        check("bytes=0-10,10-20", "whole");
        check("bytes=500-,0-10,-1", "whole");
        check("bytes=0-,0-,0-,0-", "whole");
        let sixteen: Vec<String> = (0..16).map(|n| format!("{}-{}", n * 2, n * 2)).collect();
        check(&format!("bytes={},900-", sixteen.join(",")), "whole");
        let last = "30-30/1000";
        assert!(shown(&format!("bytes={}", sixteen.join(",")), 1000).ends_with(last));
    }

    #[test]
    fn malformed_ranges_are_ignored_rfc9110_14_2() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=5",
            "bytes=5-1",
            "bytes=1-2-3",
            "bytes=--5",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes=1 - 2",
            "items=0-1",
            "bytes = 0-1",
            "bytes=0-1,x",
            "bytes=0-1, bytes=2-3",
        ] {
            check(value, "whole");
        }
    }

    #[test]
    fn an_empty_file_has_no_ranges() {
        for value in ["bytes=0-", "bytes=-5", "bytes=0-0"] {
            assert_eq!(shown(value, 0), "whole");
        }
    }
}
