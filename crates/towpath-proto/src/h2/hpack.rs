//! Header compression (RFC 7541), both directions.
//!
//! The decoder appends names and values to a block of bytes that its caller owns and answers with [`Span`]s of it, so
//! that a decoded section is one piece of memory, as a head of HTTP/1 is. Its table holds 4 KiB, costs nothing until
//! a peer adds an entry, and cannot be made to hold more.
//!
//! The encoder knows the fixed table only. It says so once, by setting the peer's table to nothing, and is then free
//! of all state: blocks may be written in any order and thrown away. What a table of its own would save is mostly
//! repeated request fields towards origins; whoever adds it finds the place in [`Encoder::field`].

use std::fmt;

use crate::message::Span;

mod decode;
mod dynamic;
mod encode;
mod fixed;
mod huffman;
mod integer;

pub use decode::{BlockDecoder, Decoder};
pub use encode::Encoder;

/// One decoded field line, as spans of the block it was appended to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldLine {
    /// The name as sent, a pseudo-header's with its colon. Not judged yet.
    pub name: Span,
    /// The value as sent. Not judged yet.
    pub value: Span,
    /// The sender wants this field in no table, here or further on (RFC 7541 §6.2.3).
    pub never_index: bool,
}

/// Why a block cannot be decoded. The tables of both sides may differ from here on, so that the connection is lost
/// (RFC 7541 §2.2, RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HpackError {
    /// The block ends inside a field line.
    Truncated,
    /// An integer with more than five continuation bytes (RFC 7541 §5.1).
    IntegerTooLong,
    /// Index zero, or one beyond both tables (RFC 7541 §2.3.3).
    Index,
    /// A string with the code for its end, or with padding that is not the shortest run of ones (RFC 7541 §5.2).
    Huffman,
    /// A table size above the one allowed, behind a field line, or a third one (RFC 7541 §4.2).
    TableSize,
}

impl fmt::Display for HpackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Truncated => "header block ends inside a field line",
            Self::IntegerTooLong => "header block holds an integer of more than six bytes",
            Self::Index => "header block names an entry that no table has",
            Self::Huffman => "header block holds a string that is not Huffman-coded as RFC 7541 §5.2 says",
            Self::TableSize => "header block sets a table size above 4096, or not at its start",
        })
    }
}

impl std::error::Error for HpackError {}
