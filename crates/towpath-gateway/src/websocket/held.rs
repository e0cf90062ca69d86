//! What has come from one side and has not gone on.

use std::io;
use std::ops::Range;
use std::task::{Context, Poll, ready};

use towpath_net::Stream;
use towpath_net::relay::{BufferSize, Reserve};

/// A read that leaves seven eighths of its buffer empty is followed by a smaller one, as in a relay.
const SHRINK_BELOW: usize = 8;

/// Bytes in a buffer that is borrowed from what the worker's relays share, so that one bound holds for all of them. No
/// buffer is held while there are no bytes.
#[derive(Debug)]
pub(super) struct Held {
    buffer: Option<Box<[u8]>>,
    start: u32,
    end: u32,
    was_lent: bool,
    /// What the next read gets.
    size: BufferSize,
}

impl Held {
    /// Begins with bytes that were read before.
    pub(super) fn new(early: Vec<u8>) -> Self {
        let end = u32::try_from(early.len()).expect("what comes before a tunnel was read into one buffer");
        let buffer = (end > 0).then(|| early.into());
        Self { buffer, start: 0, end, was_lent: false, size: BufferSize::default() }
    }

    fn range(&self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    pub(super) fn len(&self) -> usize {
        self.range().len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.buffer.as_ref().and_then(|buffer| buffer.get(self.range())).unwrap_or_default()
    }

    /// Whether there are no bytes, and the next read is as large as the first.
    pub(super) fn is_as_new(&self) -> bool {
        self.buffer.is_none() && self.size == BufferSize::default()
    }

    /// The bytes behind the first `count`.
    pub(super) fn behind(&self, count: usize) -> &[u8] {
        self.bytes().get(count..).unwrap_or_default()
    }

    /// The first `count` bytes are done with.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count as u32).min(self.end);
    }

    /// Takes `count` bytes out behind the first `kept`.
    pub(super) fn drop_behind(&mut self, kept: usize, count: usize) {
        let Range { start, end } = self.range();
        let from = (start + kept).min(end);
        let to = (from + count).min(end);
        if let Some(buffer) = &mut self.buffer {
            buffer.copy_within(to..end, from);
        }
        self.end -= (to - from) as u32;
    }

    /// Reads behind what is held; 0 is the end of the stream.
    pub(super) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        reserve: &Reserve,
    ) -> Poll<io::Result<usize>> {
        // Nothing is borrowed for a stream that has nothing.
        ready!(from.poll_readable(cx));
        let room = self.make_room(reserve);
        let room_bytes = room.len();
        let count = ready!(from.split().0.poll_read(cx, room))?;
        self.end += count as u32;
        self.size = match count {
            count if count == room_bytes => self.size.larger(),
            count if count < room_bytes / SHRINK_BELOW => self.size.smaller(),
            _ => self.size,
        };
        Poll::Ready(Ok(count))
    }

    /// Room for a read: a buffer of the size that is due, with what is held at its beginning. That is the beginning of a
    /// head or of a control frame, 138 bytes at the most, and fits the smallest.
    fn make_room(&mut self, reserve: &Reserve) -> &mut [u8] {
        let mut buffer = reserve.take_buffer(self.size);
        let held_bytes = self.len();
        buffer.iter_mut().zip(self.bytes()).for_each(|(slot, byte)| *slot = *byte);
        self.release(reserve);
        (self.start, self.end, self.was_lent) = (0, held_bytes as u32, true);
        self.buffer.insert(buffer).get_mut(held_bytes..).unwrap_or_default()
    }

    /// Gives the buffer back if there is nothing in it.
    pub(super) fn release_empty(&mut self, reserve: &Reserve) {
        if self.len() == 0 {
            self.release(reserve);
        }
    }

    /// Gives the buffer back, whatever is in it.
    pub(super) fn release(&mut self, reserve: &Reserve) {
        if let Some(buffer) = self.buffer.take() {
            reserve.give_back_buffer(buffer, self.was_lent);
        }
        (self.start, self.end) = (0, 0);
    }
}
