//! Looking up one query parameter without decoding the query into a new buffer.

/// The raw value of the *first* parameter called `name`; `Some("")` when it has no `=`. One position is decided once,
/// so that two rules for two values of a parameter can never both match.
pub(crate) fn first_value<'q>(query: &'q [u8], name: &[u8]) -> Option<&'q [u8]> {
    query.split(|&b| b == b'&').find_map(|pair| {
        let (key, value) = match pair.iter().position(|&b| b == b'=') {
            Some(equals) => (&pair[..equals], &pair[equals + 1..]),
            None => (pair, &[][..]),
        };
        equals_decoded(key, name).then_some(value)
    })
}

/// Whether `raw`, once decoded, is `plain`. The origin will decode, so `%31` must count as `1` here as well.
pub(crate) fn equals_decoded(raw: &[u8], plain: &[u8]) -> bool {
    Decoded(raw).eq(plain.iter().copied())
}

/// The bytes of a query component: `+` is a space, `%XX` a byte, a broken escape stands for itself.
struct Decoded<'q>(&'q [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = match *self.0 {
            [b'%', high, low, ref rest @ ..] => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => (high << 4 | low, rest),
                _ => (b'%', &self.0[1..]),
            },
            [b'+', ref rest @ ..] => (b' ', rest),
            [byte, ref rest @ ..] => (byte, rest),
            [] => return None,
        };
        self.0 = rest;
        Some(byte)
    }
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|value| value as u8)
}
