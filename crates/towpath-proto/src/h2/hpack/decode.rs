//! Blocks in.

use super::dynamic::DynamicTable;
use super::{FieldLine, HpackError, fixed, huffman, integer};
use crate::cursor::Cursor;
use crate::limits::H2_TABLE_BYTES_MAX;
use crate::message::Span;

/// RFC 7541 §4.2: the smallest size since the last block, and the final one.
const RESIZES_COUNT_MAX: u8 = 2;

/// The decoding state of one direction of a connection.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    table: DynamicTable,
}

/// The fields of one block, taken one by one. All of them have to be taken: a field that is left leaves the tables of
/// both sides different.
#[derive(Debug)]
pub struct BlockDecoder<'a> {
    table: &'a mut DynamicTable,
    cursor: Cursor<'a>,
    resizes_count: u8,
    has_field: bool,
}

impl Decoder {
    /// Begins with a complete block: the fragments of a HEADERS frame and its CONTINUATION frames, joined.
    pub fn block<'a>(&'a mut self, block: &'a [u8]) -> BlockDecoder<'a> {
        BlockDecoder {
            table: &mut self.table,
            cursor: Cursor::new(block),
            resizes_count: 0,
            has_field: false,
        }
    }
}

impl BlockDecoder<'_> {
    /// Appends the next field to `out`; `None` when there is none left. The spans are of `out`.
    ///
    /// What one call appends is bounded by the block and by the table: 4 KiB, or eight fifths of the bytes it takes.
    ///
    /// # Errors
    ///
    /// The block is not one; the connection is lost.
    pub fn poll_field(&mut self, out: &mut Vec<u8>) -> Result<Option<FieldLine>, HpackError> {
        loop {
            let Some(first) = self.cursor.u8() else { return Ok(None) };
            let line = match first {
                0x80..=0xff => self.indexed(first, out)?,
                0x40..=0x7f => self.literal_to_index(first, out)?,
                0x20..=0x3f => {
                    self.resize(first)?;
                    continue;
                }
                0x10..=0x1f => FieldLine { never_index: true, ..self.literal(first, 4, out)? },
                0x00..=0x0f => self.literal(first, 4, out)?,
            };
            self.has_field = true;
            return Ok(Some(line));
        }
    }

    /// Takes the next field and drops it; false when there is none left. Costs no copy for a field out of a table,
    /// which a peer can send thousands of in as many bytes (T14). `scratch` is left as it was.
    ///
    /// # Errors
    ///
    /// As [`BlockDecoder::poll_field`].
    pub fn skip_field(&mut self, scratch: &mut Vec<u8>) -> Result<bool, HpackError> {
        let Some(&first) = self.cursor.rest().first() else { return Ok(false) };
        if first >= 0x80 {
            let _ = self.cursor.u8();
            let index = integer::decode(first, 7, &mut self.cursor)?;
            self.entry(index)?;
            self.has_field = true;
            return Ok(true);
        }
        let length = scratch.len();
        let line = self.poll_field(scratch);
        scratch.truncate(length);
        Ok(line?.is_some())
    }

    /// RFC 7541 §6.1.
    fn indexed(&mut self, first: u8, out: &mut Vec<u8>) -> Result<FieldLine, HpackError> {
        let index = integer::decode(first, 7, &mut self.cursor)?;
        let (name, value) = self.entry(index)?;
        Ok(FieldLine { name: append(name, out), value: append(value, out), never_index: false })
    }

    /// RFC 7541 §6.2.1.
    fn literal_to_index(&mut self, first: u8, out: &mut Vec<u8>) -> Result<FieldLine, HpackError> {
        let line = self.literal(first, 6, out)?;
        self.table.insert(line.name.of(out), line.value.of(out));
        Ok(line)
    }

    /// RFC 7541 §6.2.
    fn literal(&mut self, first: u8, prefix_bits: u32, out: &mut Vec<u8>) -> Result<FieldLine, HpackError> {
        let name = match integer::decode(first, prefix_bits, &mut self.cursor)? {
            0 => self.string(out)?,
            index => append(self.entry(index)?.0, out),
        };
        Ok(FieldLine { name, value: self.string(out)?, never_index: false })
    }

    /// RFC 7541 §6.3. Only at the start of a block (§4.2).
    fn resize(&mut self, first: u8) -> Result<(), HpackError> {
        let size = integer::decode(first, 5, &mut self.cursor)?;
        self.resizes_count += 1;
        if self.has_field || self.resizes_count > RESIZES_COUNT_MAX || size > H2_TABLE_BYTES_MAX {
            return Err(HpackError::TableSize);
        }
        self.table.resize(size);
        Ok(())
    }

    /// RFC 7541 §5.2.
    fn string(&mut self, out: &mut Vec<u8>) -> Result<Span, HpackError> {
        const IS_HUFFMAN: u8 = 0x80;
        let first = self.cursor.u8().ok_or(HpackError::Truncated)?;
        let length = integer::decode(first, 7, &mut self.cursor)?;
        let bytes = self.cursor.take(length).ok_or(HpackError::Truncated)?;
        if first & IS_HUFFMAN == 0 {
            return Ok(append(bytes, out));
        }
        let start = out.len();
        huffman::decode(bytes, out)?;
        Ok(span(start, out))
    }

    /// RFC 7541 §2.3.3: one index over both tables.
    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), HpackError> {
        match index.checked_sub(fixed::ENTRIES.len() + 1) {
            Some(number) => self.table.entry(number),
            None => fixed::entry(index),
        }
        .ok_or(HpackError::Index)
    }
}

fn append(bytes: &[u8], out: &mut Vec<u8>) -> Span {
    let start = out.len();
    out.extend_from_slice(bytes);
    span(start, out)
}

/// Blocks are far below 4 GiB, so that offsets fit.
fn span(start: usize, out: &[u8]) -> Span {
    Span::new(start as u32, out.len() as u32)
}
