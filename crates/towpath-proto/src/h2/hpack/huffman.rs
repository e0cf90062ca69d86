//! The Huffman code for strings (RFC 7541 §5.2 and appendix B).
//!
//! The code is canonical: shorter codes first, and by symbol among equals. So its lengths say everything, and codes
//! and decoding table are computed from them by the compiler. Decoding takes half a byte per step: 12 KiB of table
//! stay in the first cache, where a step per byte would need sixteen times that.

use super::HpackError;

/// The bytes, and the symbol for the end of a string.
const SYMBOLS_COUNT: usize = 257;
/// A full binary tree has one inner node less than leaves.
const NODES_COUNT: usize = SYMBOLS_COUNT - 1;
const END: usize = 256;
const BITS_MAX: usize = 30;

/// Code lengths in bits, by symbol (RFC 7541 appendix B).
#[rustfmt::skip]
const BITS: [u8; SYMBOLS_COUNT] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const CODES: [u32; SYMBOLS_COUNT] = {
    let mut codes = [0; SYMBOLS_COUNT];
    let mut next = 0u32;
    let mut bits = 1;
    while bits <= BITS_MAX {
        next <<= 1;
        let mut symbol = 0;
        while symbol < SYMBOLS_COUNT {
            if BITS[symbol] as usize == bits {
                codes[symbol] = next;
                next += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    assert!(next == 1 << BITS_MAX, "the lengths do not fill a tree");
    codes
};

/// A child that is a symbol and not a node.
const LEAF: u16 = 0x8000;

/// The children of each inner node; the root is node zero.
const TREE: [[u16; 2]; NODES_COUNT] = {
    let mut tree = [[0; 2]; NODES_COUNT];
    let mut nodes_count = 1;
    let mut symbol = 0;
    while symbol < SYMBOLS_COUNT {
        let (mut node, mut bit) = (0, BITS[symbol] as usize - 1);
        while bit > 0 {
            let side = (CODES[symbol] >> bit & 1) as usize;
            if tree[node][side] == 0 {
                tree[node][side] = nodes_count;
                nodes_count += 1;
            }
            node = tree[node][side] as usize;
            bit -= 1;
        }
        tree[node][(CODES[symbol] & 1) as usize] = LEAF | symbol as u16;
        symbol += 1;
    }
    tree
};

/// What half a byte does to a string that is inside the code of one symbol.
#[derive(Clone, Copy)]
struct Step {
    /// The inner node reached, from which the next half byte goes on.
    node: u8,
    /// The symbol completed on the way, if `flags` has [`EMITS`]. No code is shorter than five bits, so that there is
    /// one at most.
    symbol: u8,
    flags: u8,
}

const EMITS: u8 = 1;
/// The bits since the last symbol are fewer than eight and all ones: a string may end here.
const MAY_END: u8 = 2;
/// The code for the end was met, which no string may hold.
const FAILS: u8 = 4;

static STEPS: [[Step; 16]; NODES_COUNT] = {
    let mut steps = [[Step { node: 0, symbol: 0, flags: 0 }; 16]; NODES_COUNT];
    let mut node = 0;
    while node < NODES_COUNT {
        let mut half = 0;
        while half < 16 {
            steps[node][half] = step_of(node, half);
            half += 1;
        }
        node += 1;
    }
    steps
};

const fn step_of(start: usize, half: usize) -> Step {
    let (mut node, mut symbol, mut flags) = (start, 0, 0);
    let mut bit = 4;
    while bit > 0 {
        bit -= 1;
        let child = TREE[node][half >> bit & 1];
        node = child as usize;
        if child & LEAF != 0 {
            let found = (child & !LEAF) as usize;
            flags |= if found == END { FAILS } else { EMITS };
            symbol = found as u8;
            node = 0;
        }
    }
    if may_end(node) {
        flags |= MAY_END;
    }
    Step { node: node as u8, symbol, flags }
}

/// RFC 7541 §5.2: padding is shorter than a byte and made of the first bits of the end's code, which are ones.
const fn may_end(wanted: usize) -> bool {
    let (mut node, mut ones_count) = (0, 0);
    while ones_count < 8 {
        if node == wanted {
            return true;
        }
        node = TREE[node][1] as usize;
        ones_count += 1;
    }
    false
}

/// Appends the string that `input` encodes.
pub(super) fn decode(input: &[u8], out: &mut Vec<u8>) -> Result<(), HpackError> {
    let mut last = Step { node: 0, symbol: 0, flags: MAY_END };
    for &byte in input {
        for half in [byte >> 4, byte & 0xf] {
            last = STEPS[usize::from(last.node)][usize::from(half)];
            if last.flags & EMITS != 0 {
                out.push(last.symbol);
            }
            if last.flags & FAILS != 0 {
                return Err(HpackError::Huffman);
            }
        }
    }
    if last.flags & MAY_END != 0 { Ok(()) } else { Err(HpackError::Huffman) }
}

/// How many bytes [`encode`] appends.
pub(super) fn encoded_bytes(text: &[u8]) -> usize {
    let bits: usize = text.iter().map(|&byte| usize::from(BITS[usize::from(byte)])).sum();
    bits.div_ceil(8)
}

/// Appends `text` encoded, with the padding it needs.
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    // Below 32 bits are left over after each symbol and at most thirty are added. What was written is shifted out at the
    // top.
    let (mut pending, mut pending_bits) = (0u64, 0u32);
    for &byte in text {
        let symbol = usize::from(byte);
        pending = pending << BITS[symbol] | u64::from(CODES[symbol]);
        pending_bits += u32::from(BITS[symbol]);
        if pending_bits >= 32 {
            pending_bits -= 32;
            out.extend_from_slice(&((pending >> pending_bits) as u32).to_be_bytes());
        }
    }
    // The rest begins at the top, with ones behind it.
    let rest = ((pending << 32 | 0xffff_ffff) >> pending_bits) as u32;
    out.extend_from_slice(&rest.to_be_bytes()[..pending_bits.div_ceil(8) as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc7541_b() {
        let sample =
            [(0usize, 0x1ff8), (1, 0x7fffd8), (9, 0xffffea), (10, 0x3ffffffc), (32, 0x14), (48, 0x0)];
        let more =
            [(97, 0x3), (122, 0x7b), (126, 0x1ffd), (128, 0xfffe6), (255, 0x3ffffee), (256, 0x3fffffff)];
        for (symbol, code) in sample.into_iter().chain(more) {
            assert_eq!(CODES[symbol], code, "symbol {symbol}");
        }
    }

    #[test]
    fn every_pair_of_bytes_comes_back() {
        for first in 0..=255 {
            for second in 0..=255 {
                let (mut coded, mut out) = (Vec::new(), Vec::new());
                encode(&[first, second], &mut coded);
                assert_eq!(coded.len(), encoded_bytes(&[first, second]));
                assert_eq!(decode(&coded, &mut out), Ok(()));
                assert_eq!(out, [first, second]);
            }
        }
    }

    #[test]
    fn padding_is_short_and_of_ones_rfc7541_5_2() {
        #[track_caller]
        fn check(input: &[u8], expected: Result<&[u8], HpackError>) {
            let mut out = Vec::new();
            let found = decode(input, &mut out).map(|()| &out[..]);
            assert_eq!(found, expected, "{input:x?}");
        }
        check(&[], Ok(b""));
        // `a` is 00011.
        check(&[0b0001_1111], Ok(b"a"));
        check(&[0b0001_1000], Err(HpackError::Huffman));
        check(&[0b0001_1110], Err(HpackError::Huffman));
        check(&[0b0001_1111, 0xff], Err(HpackError::Huffman));
        check(&[0xff], Err(HpackError::Huffman));
        check(&[0xff; 4], Err(HpackError::Huffman));
        // Seven ones behind `0` and its five bits, `&` and its eight.
        check(&[0b0000_0111, 0b1100_0111, 0b1111_1111], Err(HpackError::Huffman));
    }
}
