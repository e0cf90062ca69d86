//! Field names and values: what is valid, and which field it is.

use crate::message::Known;

/// Whether `bytes` is a field name: a token of at least one character (RFC 9110 §5.1, §5.6.2).
pub fn is_name(bytes: &[u8]) -> bool {
    is_token(bytes)
}

/// Whether `bytes` is a token (RFC 9110 §5.6.2).
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// Whether `bytes` may be sent as a field value: no control character but HTAB, and no white space around it
/// (RFC 9110 §5.5). The one validator for values that are made here, from templates for example (T43).
pub fn is_value(bytes: &[u8]) -> bool {
    let is_blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    bytes.iter().all(|&byte| is_value_byte(byte)) && !is_blank(bytes.first()) && !is_blank(bytes.last())
}

/// Whether `byte` may stand in a token: `tchar` of RFC 9110 §5.6.2.
pub const fn is_token_byte(byte: u8) -> bool {
    TOKEN[byte as usize]
}

/// Whether `byte` may stand in a field value: HTAB, SP, VCHAR or obs-text (RFC 9110 §5.5).
pub const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..=0xff)
}

/// The elements of a comma-separated list, without white space and without empty elements (RFC 9110 §5.6.1).
/// Quoted strings are not understood: none of the lists read with this may hold any.
pub fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// The decimal number that `bytes` spells with digits only, if it fits 64 bits.
pub fn parse_decimal(bytes: &[u8]) -> Option<u64> {
    if bytes.is_empty() {
        return None;
    }
    bytes.iter().try_fold(0u64, |number, &byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

impl Known {
    /// Which field `name` is, compared without case (RFC 9110 §5.1). `name` is a token, as every name in a
    /// head is.
    #[inline]
    pub fn of(name: &[u8]) -> Self {
        match Self::candidate(name) {
            Self::Other => Self::Other,
            candidate if is_same_token(name, candidate.name().as_bytes()) => candidate,
            _ => Self::Other,
        }
    }

    /// The lower-case name; empty for [`Known::Other`].
    #[inline]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Other => "",
            known => Self::ALL[known as usize - 1].1,
        }
    }

    /// The only field that `name` could be, judged by its length and two of its letters.
    #[inline]
    fn candidate(name: &[u8]) -> Self {
        match (name.first(), name.get(late(name.len()))) {
            (Some(&first), Some(&late)) => CANDIDATES[place_of(name.len(), first, late)],
            _ => Self::Other,
        }
    }
}

/// Where the second of the two letters stands.
const fn late(length: usize) -> usize {
    length.saturating_sub(4)
}

/// The place of a name in [`CANDIDATES`]. The factors were found by trying; that they tell all names apart is checked
/// where the table is made.
const fn place_of(length: usize, first: u8, late: u8) -> usize {
    (length * 7 + (first | 0x20) as usize * 15 + (late | 0x20) as usize * 5) % CANDIDATES_COUNT
}

/// One cache line.
const CANDIDATES_COUNT: usize = 64;

static CANDIDATES: [Known; CANDIDATES_COUNT] = {
    let mut table = [Known::Other; CANDIDATES_COUNT];
    let mut at = 0;
    while at < Known::ALL.len() {
        let (known, name) = Known::ALL[at];
        let name = name.as_bytes();
        let place = &mut table[place_of(name.len(), name[0], name[late(name.len())])];
        assert!(matches!(place, Known::Other), "two names share a place: other factors are needed");
        *place = known;
        at += 1;
    }
    table
};

/// Whether the token `name` is `lower`, which is of lower-case letters and `-` only. Several letters are compared in one
/// step, and steps overlap instead of leaving a rest.
#[inline]
fn is_same_token(name: &[u8], lower: &[u8]) -> bool {
    if name.len() != lower.len() {
        return false;
    }
    match name.len() {
        0..4 => name.eq_ignore_ascii_case(lower),
        length @ 4..8 => is_same_at::<4>(name, lower, 0) && is_same_at::<4>(name, lower, length - 4),
        length => {
            (0..length - 8).step_by(8).all(|at| is_same_at::<8>(name, lower, at))
                && is_same_at::<8>(name, lower, length - 8)
        }
    }
}

/// Whether `N` bytes from `at` on are the same without case: setting bit 0x20 turns capitals into small
/// letters, and turns no other byte of a token into a letter or `-`.
#[inline]
fn is_same_at<const N: usize>(name: &[u8], lower: &[u8], at: usize) -> bool {
    let bytes = |from: &[u8]| from.get(at..).and_then(|rest| rest.first_chunk::<N>().copied());
    match (bytes(name), bytes(lower)) {
        (Some(name), Some(lower)) => name.map(|byte| byte | 0x20) == lower.map(|byte| byte | 0x20),
        _ => false,
    }
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = (byte as u8).is_ascii_alphanumeric() || is_token_punctuation(byte as u8);
        byte += 1;
    }
    table
};

const fn is_token_punctuation(byte: u8) -> bool {
    matches!(
        byte,
        b'!' | b'#'
            | b'$'
            | b'%'
            | b'&'
            | b'\''
            | b'*'
            | b'+'
            | b'-'
            | b'.'
            | b'^'
            | b'_'
            | b'`'
            | b'|'
            | b'~'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_field_is_found_in_any_case() {
        for &(known, name) in Known::ALL {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
            assert_eq!(Known::of(name.to_ascii_uppercase().as_bytes()), known, "{name} in capitals");
            assert_eq!(known.name(), name);
        }
    }

    #[test]
    fn a_name_that_only_resembles_a_known_one_is_other() {
        for &(_, name) in Known::ALL {
            for at in 0..name.len() {
                let mut bytes = name.as_bytes().to_vec();
                bytes[at] = if bytes[at] == b'q' { b'z' } else { b'q' };
                assert_eq!(Known::of(&bytes), Known::Other, "{name} changed at {at}");
            }
        }
        for name in ["", "a", "content_length", "hosts", "x-forwarded-"] {
            assert_eq!(Known::of(name.as_bytes()), Known::Other, "{name}");
        }
    }

    #[test]
    fn names_are_tokens_rfc9110_5_1() {
        for byte in 0..=255u8 {
            let expected = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            assert_eq!(is_name(&[b'a', byte, b'b']), expected, "{byte:#04x}");
        }
        assert!(!is_name(b""));
    }

    #[test]
    fn values_hold_no_controls_t43() {
        for byte in 0..=255u8 {
            let expected = byte == b'\t' || (byte >= b' ' && byte != 0x7f);
            assert_eq!(is_value(&[b'a', byte, b'b']), expected, "{byte:#04x}");
        }
        assert!(is_value(b""));
        assert!(!is_value(b" a"));
        assert!(!is_value(b"a\t"));
    }
}
