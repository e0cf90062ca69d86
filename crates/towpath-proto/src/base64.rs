//! Base64 with padding (RFC 4648 §4).

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The four digits of up to three bytes.
pub(crate) fn encode_group(group: &[u8]) -> [u8; 4] {
    let number = (0..3).fold(0, |number, at| number << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
    std::array::from_fn(|at| {
        let index = number >> (18 - 6 * at) & 0x3F;
        if at > group.len() { b'=' } else { DIGITS[index as usize] }
    })
}

/// The bytes of four digits, in the low 24 bits, and how many bytes that are.
pub(crate) fn decode_group(digits: [u8; 4]) -> Option<(u32, usize)> {
    let count = match digits {
        [.., b'=', b'='] => 1,
        [.., b'='] => 2,
        _ => 3,
    };
    let number = digits[..=count].iter().try_fold(0, |number, &digit| Some(number << 6 | value(digit)?))?;
    let bits = number << (6 * (3 - count));
    // §3.5: what is left of the last digit says nothing, and two readers could see two things in it.
    let rest = (1 << (8 * (3 - count))) - 1;
    (bits & rest == 0).then_some((bits, count))
}

fn value(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(value))
}
