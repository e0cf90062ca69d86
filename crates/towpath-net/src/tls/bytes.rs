//! Bytes on their way through a TLS connection, in memory that is there only as long as they are.

use std::cell::RefCell;

use super::stream::WRITE_BYTES_MAX;
use crate::buffer::LEAD_BYTES;

/// Room for a whole record (RFC 8446 §5.2: 5 + 2^14 + 256 bytes) and the beginning of the next.
pub(super) const BUFFER_BYTES: usize = 18 * 1024;
const BUFFER_ROOM: usize = BUFFER_BYTES - LEAD_BYTES;

/// Room for what one write takes, in records, and a message before it.
const LARGE_BYTES: usize = WRITE_BYTES_MAX + 4 * 1024;

/// What a buffer grows by at least, so that a long message does not grow it byte by byte.
const GROWTH_BYTES: usize = 4 * 1024;

/// Buffers of each size that a thread keeps at hand: reading, decrypting and encrypting need one each, and one is to spare.
const SPARE_MAX: usize = 4;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static SPARE_LARGE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A queue of bytes. Holds no memory while it is empty.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    /// Initialised to its length, so that a read costs no zeroing.
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl Bytes {
    /// Whether it holds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// How many bytes it holds.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// The bytes.
    pub(super) fn unread(&self) -> &[u8] {
        self.data.get(self.start..self.end).unwrap_or_default()
    }

    /// The bytes, to be changed where they are.
    pub(super) fn unread_mut(&mut self) -> &mut [u8] {
        self.data.get_mut(self.start..self.end).unwrap_or_default()
    }

    /// Room for `least` bytes or more behind the others. Tell [`Bytes::filled`], or [`Bytes::release`] if none came.
    pub(super) fn room(&mut self, least: usize) -> &mut [u8] {
        if self.data.is_empty() {
            let (spare, bytes) = match least {
                0..=BUFFER_ROOM => (&SPARE, BUFFER_BYTES),
                _ => (&SPARE_LARGE, LARGE_BYTES),
            };
            self.data = spare.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; bytes]);
            (self.start, self.end) = (LEAD_BYTES, LEAD_BYTES);
        }
        if self.start > LEAD_BYTES && self.data.len() - self.end < least {
            self.data.copy_within(self.start..self.end, LEAD_BYTES);
            (self.start, self.end) = (LEAD_BYTES, LEAD_BYTES + self.len());
        }
        if self.data.len() - self.end < least {
            self.data.resize(self.end + least.max(GROWTH_BYTES), 0);
        }
        self.data.get_mut(self.end..).unwrap_or_default()
    }

    /// `count` bytes were put into the room.
    pub(super) fn filled(&mut self, count: usize) {
        self.end = self.end.saturating_add(count).min(self.data.len());
    }

    /// Puts `bytes` behind the others.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.room(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.filled(bytes.len());
    }

    /// Moves as many bytes as fit into `target`.
    pub(super) fn pop_into(&mut self, target: &mut [u8]) -> usize {
        let count = self.len().min(target.len());
        target[..count].copy_from_slice(&self.unread()[..count]);
        self.consume(count);
        count
    }

    /// The first `count` bytes are done with.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        self.release();
    }

    /// Gives the memory back if it holds nothing.
    pub(super) fn release(&mut self) {
        if !self.is_empty() {
            return;
        }
        (self.start, self.end) = (0, 0);
        let data = std::mem::take(&mut self.data);
        // What had to grow goes back to the allocator; and at the end of the thread the spares may be gone before us.
        let spare = match data.len() {
            BUFFER_BYTES => &SPARE,
            LARGE_BYTES => &SPARE_LARGE,
            _ => return,
        };
        let _ = spare.try_with(|spare| keep(&mut spare.borrow_mut(), data));
    }

    /// Bytes of memory it holds.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.data.capacity()
    }
}

fn keep(spare: &mut Vec<Vec<u8>>, data: Vec<u8>) {
    if spare.len() < SPARE_MAX {
        spare.push(data);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in_and_nothing_is_held_behind_them() {
        let mut bytes = Bytes::default();
        let all: Vec<u8> = (0..50_000u32).map(|number| number as u8).collect();
        let mut out = Vec::new();
        for piece in all.chunks(7_000) {
            bytes.push(piece);
            let mut target = [0; 5_000];
            let count = bytes.pop_into(&mut target);
            out.extend_from_slice(&target[..count]);
        }
        let mut rest = vec![0; bytes.len()];
        bytes.pop_into(&mut rest);
        out.extend(rest);
        assert!(out == all);
        assert_eq!(bytes.held(), 0);
    }
}
