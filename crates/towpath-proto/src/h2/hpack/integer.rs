//! Integers with a prefix (RFC 7541 §5.1).

use super::HpackError;
use crate::cursor::Cursor;

/// Five groups of seven bits hold every length and index that could be meant; more are an attack on the sum.
const SHIFT_MAX: u32 = 28;

/// The integer whose prefix is the low `prefix_bits` of `first`, the rest of it taken from `cursor`.
pub(super) fn decode(first: u8, prefix_bits: u32, cursor: &mut Cursor<'_>) -> Result<usize, HpackError> {
    let mask = (1u64 << prefix_bits) - 1;
    let mut value = u64::from(first) & mask;
    if value < mask {
        return Ok(value as usize);
    }
    for shift in (0..=SHIFT_MAX).step_by(7) {
        let byte = cursor.u8().ok_or(HpackError::Truncated)?;
        value += u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return usize::try_from(value).map_err(|_| HpackError::IntegerTooLong);
        }
    }
    Err(HpackError::IntegerTooLong)
}

/// Appends `value` behind the bits of `pattern` that the prefix leaves free.
pub(super) fn encode(value: usize, prefix_bits: u32, pattern: u8, out: &mut Vec<u8>) {
    let mask = (1usize << prefix_bits) - 1;
    if value < mask {
        return out.push(pattern | value as u8);
    }
    out.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: usize, prefix_bits: u32, bytes: &[u8]) {
        let mut out = Vec::new();
        encode(value, prefix_bits, 0, &mut out);
        assert_eq!(out, bytes);
        let mut cursor = Cursor::new(&bytes[1..]);
        assert_eq!(decode(bytes[0], prefix_bits, &mut cursor), Ok(value));
        assert!(cursor.is_empty());
    }

    #[test]
    fn integers_are_as_in_rfc7541_c_1() {
        check(10, 5, &[0b01010]);
        check(1337, 5, &[0b11111, 0b1001_1010, 0b0000_1010]);
        check(42, 8, &[0b0010_1010]);
    }

    #[test]
    fn borders_of_every_prefix_come_back() {
        for prefix_bits in 1..=8 {
            let mask = (1usize << prefix_bits) - 1;
            for value in [0, mask - 1, mask, mask + 1, mask + 127, mask + 128, 1 << 20, u32::MAX as usize] {
                let mut out = Vec::new();
                encode(value, prefix_bits, 0, &mut out);
                assert_eq!(decode(out[0], prefix_bits, &mut Cursor::new(&out[1..])), Ok(value));
            }
        }
    }

    #[test]
    fn a_long_or_a_cut_integer_is_refused_t13() {
        #[track_caller]
        fn check(rest: &[u8], expected: Result<usize, HpackError>) {
            assert_eq!(decode(0xff, 7, &mut Cursor::new(rest)), expected, "{rest:x?}");
        }
        check(&[], Err(HpackError::Truncated));
        check(&[0x80], Err(HpackError::Truncated));
        check(&[0x80, 0x80, 0x80, 0x80, 0x00], Ok(127));
        check(&[0xff, 0xff, 0xff, 0xff, 0x7f], Ok(127 + (1 << 35) - 1));
        check(&[0x80; 5], Err(HpackError::IntegerTooLong));
    }
}
