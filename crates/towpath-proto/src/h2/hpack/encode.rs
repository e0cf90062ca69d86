//! Blocks out.

use super::fixed::{self, Match};
use super::{huffman, integer};

/// RFC 7541 §6.3: a table size of zero.
const TABLE_OF_NOTHING: u8 = 0x20;
/// RFC 7541 §6.1.
const INDEXED: u8 = 0x80;
/// RFC 7541 §6.2.2.
const WITHOUT_INDEXING: u8 = 0x00;
/// RFC 7541 §6.2.3.
const NEVER_INDEXED: u8 = 0x10;

/// The encoding state of one direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct Encoder {
    has_begun: bool,
}

impl Encoder {
    /// Begins a block. The first one tells the peer that its table is not used: no later change of its size has then
    /// to be acknowledged in a block (RFC 7541 §4.2), and the peer need not keep the memory.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if !self.has_begun {
            out.push(TABLE_OF_NOTHING);
            self.has_begun = true;
        }
    }

    /// Appends a field, whose name is in lower case. With `never_index` nobody on the way may put it into a table
    /// (RFC 7541 §6.2.3): for what came so, and for what is secret (§7.1.3).
    pub fn field(&mut self, name: &[u8], value: &[u8], never_index: bool, out: &mut Vec<u8>) {
        let pattern = if never_index { NEVER_INDEXED } else { WITHOUT_INDEXING };
        match fixed::find(name, value) {
            Match::Whole(index) if !never_index => return integer::encode(index, 7, INDEXED, out),
            Match::Whole(index) | Match::Name(index) => integer::encode(index, 4, pattern, out),
            Match::None => {
                out.push(pattern);
                string(name, out);
            }
        }
        string(value, out);
    }
}

/// RFC 7541 §5.2, in the shorter of its two forms.
fn string(text: &[u8], out: &mut Vec<u8>) {
    const IS_HUFFMAN: u8 = 0x80;
    let encoded_bytes = huffman::encoded_bytes(text);
    if encoded_bytes < text.len() {
        integer::encode(encoded_bytes, 7, IS_HUFFMAN, out);
        huffman::encode(text, out);
    } else {
        integer::encode(text.len(), 7, 0, out);
        out.extend_from_slice(text);
    }
}
