//! CRC32c, the checksum of version 2 headers (§2.2.3, RFC 4960 appendix B).

/// Castagnoli's polynomial with its bits in reverse, as a checksum that takes the lowest bit first needs it.
const POLYNOMIAL: u32 = 0x82F6_3B78;

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = (value >> 1) ^ (POLYNOMIAL * (value & 1));
            bit += 1;
        }
        table[byte] = value;
        byte += 1;
    }
    table
};

/// The checksum of the parts one after the other.
pub(super) fn of(parts: &[&[u8]]) -> u32 {
    let bytes = parts.iter().flat_map(|part| part.iter());
    !bytes.fold(!0, |value, byte| (value >> 8) ^ TABLE[usize::from(value as u8 ^ byte)])
}

#[cfg(test)]
mod tests {
    use super::of;

    /// The vectors of RFC 3720 §B.4, and the check value every catalogue of checksums gives.
    #[test]
    fn known_checksums_come_out_rfc3720_b_4() {
        let rising: Vec<u8> = (0..32).collect();
        let falling: Vec<u8> = (0..32).rev().collect();
        assert_eq!(of(&[&[0; 32]]), 0x8A91_36AA);
        assert_eq!(of(&[&[0xFF; 32]]), 0x62A8_AB43);
        assert_eq!(of(&[&rising]), 0x46DD_794E);
        assert_eq!(of(&[&falling]), 0x113F_DB5C);
        assert_eq!(of(&[b"1234", b"", b"56789"]), 0xE306_9283);
    }
}
