//! Receive buffers, borrowed while bytes are in flight.

use std::cell::RefCell;

/// Bytes of a buffer. A head of the largest allowed size (64 KiB charged, request line on top) fits with 8 KiB to
/// spare for the body behind it, and a bulk read is large enough that its cost is the copy, not the call. Pages
/// that no peer fills are never touched.
pub(crate) const BUFFER_BYTES: usize = 80 * 1024;

/// Free buffers a worker keeps. Beyond that they go back to the allocator, so that a burst does not stay in memory:
/// 64 × 80 KiB is 5 MiB at the most.
const FREE_BUFFERS_MAX: usize = 64;

/// A buffer whose unread bytes lie between two marks.
#[derive(Debug)]
pub(crate) struct Buffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn new() -> Self {
        Self { bytes: vec![0; BUFFER_BYTES].into_boxed_slice(), start: 0, end: 0 }
    }

    /// The unread bytes.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The unread bytes behind the first `held`.
    pub(crate) fn behind(&self, held: usize) -> &[u8] {
        self.unread().get(held..).unwrap_or_default()
    }

    /// Marks `count` unread bytes as read.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Takes `count` bytes out behind the first `held`, which stay where they are.
    pub(crate) fn consume_behind(&mut self, held: usize, count: usize) {
        let from = (self.start + held).min(self.end);
        let to = (from + count).min(self.end);
        if to == self.end {
            self.end = from;
        } else {
            self.bytes.copy_within(to..self.end, from);
            self.end -= to - from;
        }
    }

    /// Room for a read. Moves the unread bytes to the front when there is little room behind them.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 && self.bytes.len() - self.end < BUFFER_BYTES / 2 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.bytes[self.end..]
    }

    /// Says that a read put `count` bytes into [`Buffer::room`].
    pub(crate) fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    pub(crate) fn is_full(&self) -> bool {
        self.end - self.start == self.bytes.len()
    }
}

/// The free buffers of a worker, last in first out, so that the next read finds a warm one.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    free: RefCell<Vec<Buffer>>,
}

impl Buffers {
    pub(crate) fn take(&self) -> Buffer {
        self.free.borrow_mut().pop().unwrap_or_else(Buffer::new)
    }

    pub(crate) fn give(&self, mut buffer: Buffer) {
        (buffer.start, buffer.end) = (0, 0);
        let mut free = self.free.borrow_mut();
        if free.len() < FREE_BUFFERS_MAX {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &[u8]) -> Buffer {
        let mut buffer = Buffer::new();
        buffer.room()[..text.len()].copy_from_slice(text);
        buffer.filled(text.len());
        buffer
    }

    #[test]
    fn bytes_behind_a_held_head_are_consumed_around_it() {
        let mut buffer = filled(b"headbodynext");
        assert_eq!(buffer.behind(4), b"bodynext");
        buffer.consume_behind(4, 4);
        assert_eq!(buffer.unread(), b"headnext");
        buffer.consume(4);
        assert_eq!(buffer.unread(), b"next");
        buffer.consume_behind(0, 9);
        assert!(buffer.is_empty());
    }

    #[test]
    fn room_moves_what_is_unread_to_the_front() {
        let mut buffer = filled(&vec![b'x'; BUFFER_BYTES]);
        assert!(buffer.is_full());
        buffer.consume(BUFFER_BYTES - 3);
        assert_eq!(buffer.room().len(), BUFFER_BYTES - 3);
        assert_eq!(buffer.unread(), b"xxx");
    }

    #[test]
    fn a_burst_does_not_stay_in_memory() {
        let buffers = Buffers::default();
        let burst: Vec<Buffer> = (0..2 * FREE_BUFFERS_MAX).map(|_| buffers.take()).collect();
        burst.into_iter().for_each(|buffer| buffers.give(buffer));
        assert_eq!(buffers.free.borrow().len(), FREE_BUFFERS_MAX);
    }
}
