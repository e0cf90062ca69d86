//! Receive buffers, borrowed while bytes are in flight.

use std::cell::RefCell;

/// Bytes of a fresh buffer: a usual head, or a response of 16 KiB with its head, in one read with room to spare. A
/// read that leaves room also says that nothing more has come, without another system call.
const BUFFER_BYTES: usize = 32 * 1024;

/// Bytes of a large buffer, for a body of which a read left no room in a usual one: what one write over TLS takes.
const LARGE_BYTES: usize = 64 * 1024;

/// Bytes a buffer may grow to when reads fill it. At this size the cost of a bulk read is the copy, not the call.
const BUFFER_BYTES_MAX: usize = 256 * 1024;

/// Bytes of a small buffer, which holds the head of a request that waits for its response: all but rare heads fit.
const SMALL_BYTES: usize = 2 * 1024;
const SMALL_ROOM: usize = SMALL_BYTES - LEAD_BYTES;

/// Free buffers a worker keeps of each size. A buffer is held only while bytes move, so a worker needs few; small ones
/// wait with their requests. Beyond these counts, and above the usual sizes, buffers go back to the allocator, so that
/// a burst does not stay in memory: 2 MiB, 2 MiB and 1 MiB at the most.
const FREE_BUFFERS_MAX: usize = 64;
const FREE_SMALL_MAX: usize = 1024;
const FREE_LARGE_MAX: usize = 16;

/// Where the first byte of a buffer stands. Memory of this size begins with a page, and so does what bytes are copied to behind
/// a few others, such as the head of a record or a frame. Zen 3 and Zen 4 copy thirty times slower by `rep movsb`, which is
/// what glibc uses before 2.39, where the target is 1 to 63 bytes further into its page than the source.
pub(crate) const LEAD_BYTES: usize = 64;

/// A buffer whose unread bytes lie between two marks.
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read left no room: more is on its way than fits.
    was_filled: bool,
}

impl Buffer {
    fn new(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes], start: LEAD_BYTES, end: LEAD_BYTES, was_filled: false }
    }

    /// Another buffer takes over the unread bytes.
    fn refill(&mut self, unread: &[u8]) {
        let end = LEAD_BYTES + unread.len();
        self.bytes[LEAD_BYTES..end].copy_from_slice(unread);
        (self.start, self.end, self.was_filled) = (LEAD_BYTES, end, false);
    }

    /// The unread bytes.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// The unread bytes behind the first `held`.
    pub fn behind(&self, held: usize) -> &[u8] {
        self.unread().get(held..).unwrap_or_default()
    }

    /// Marks `count` unread bytes as read.
    pub fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (LEAD_BYTES, LEAD_BYTES);
        }
    }

    /// Takes `count` bytes out behind the first `held`, which stay where they are.
    pub fn consume_behind(&mut self, held: usize, count: usize) {
        let from = (self.start + held).min(self.end);
        let to = (from + count).min(self.end);
        if to == self.end {
            self.end = from;
        } else {
            self.bytes.copy_within(to..self.end, from);
            self.end -= to - from;
        }
    }

    /// Room for a read, never empty. Moves the unread bytes to the front when there is little room behind them, and
    /// grows when they fill the buffer or the last read did.
    pub fn room(&mut self) -> &mut [u8] {
        if self.start > LEAD_BYTES && self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.bytes.copy_within(self.start..self.end, LEAD_BYTES);
            (self.start, self.end) = (LEAD_BYTES, LEAD_BYTES + self.len());
        }
        if self.end == self.bytes.len() || (self.was_filled && self.bytes.len() < BUFFER_BYTES_MAX) {
            self.bytes.resize(self.bytes.len() * 2, 0);
            self.was_filled = false;
        }
        &mut self.bytes[self.end..]
    }

    /// Says that a read put `count` bytes into [`Buffer::room`].
    pub fn filled(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
        self.was_filled = self.end == self.bytes.len();
    }

    /// Puts `bytes` behind the unread ones, as if they had been read here.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.room();
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.filled(now.len());
            bytes = later;
        }
    }

    /// The number of unread bytes.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether every byte was read.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }
}

/// The free buffers of a worker, last in first out, so that the next read finds a warm one.
#[derive(Debug, Default)]
pub struct Buffers {
    free: RefCell<Vec<Buffer>>,
    small: RefCell<Vec<Buffer>>,
    large: RefCell<Vec<Buffer>>,
}

impl Buffers {
    /// A buffer of the usual size.
    pub fn take(&self) -> Buffer {
        self.free.borrow_mut().pop().unwrap_or_else(|| Buffer::new(BUFFER_BYTES))
    }

    /// A buffer for a head alone.
    pub fn take_small(&self) -> Buffer {
        self.small.borrow_mut().pop().unwrap_or_else(|| Buffer::new(SMALL_BYTES))
    }

    /// Gives up a buffer that is empty; not without another, larger one if the last read left no room in it, as then more
    /// is on its way.
    pub fn give_empty(&self, buffer: &mut Option<Buffer>) {
        let Some(empty) = buffer.take_if(|buffer| buffer.is_empty()) else { return };
        if empty.was_filled {
            let large = self.large.borrow_mut().pop();
            *buffer = Some(large.unwrap_or_else(|| Buffer::new(LARGE_BYTES)));
        }
        self.give(empty);
    }

    /// Moves the unread bytes into a small buffer if they fit, because nothing will be read behind them for a while.
    pub fn settle(&self, buffer: &mut Option<Buffer>) {
        let Some(large) =
            buffer.take_if(|buffer| buffer.len() <= SMALL_ROOM && buffer.bytes.len() > SMALL_BYTES)
        else {
            return;
        };
        let mut small = self.take_small();
        small.refill(large.unread());
        self.give(large);
        *buffer = Some(small);
    }

    /// Takes a buffer back. What it holds is lost.
    pub fn give(&self, mut buffer: Buffer) {
        (buffer.start, buffer.end, buffer.was_filled) = (LEAD_BYTES, LEAD_BYTES, false);
        let (list, max) = match buffer.bytes.len() {
            BUFFER_BYTES => (&self.free, FREE_BUFFERS_MAX),
            SMALL_BYTES => (&self.small, FREE_SMALL_MAX),
            LARGE_BYTES => (&self.large, FREE_LARGE_MAX),
            _ => return,
        };
        let mut free = list.borrow_mut();
        if free.len() < max {
            free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &[u8]) -> Buffer {
        let mut buffer = Buffer::new(BUFFER_BYTES);
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
        let mut buffer = filled(&vec![b'x'; BUFFER_BYTES - LEAD_BYTES - 1]);
        buffer.consume(BUFFER_BYTES - LEAD_BYTES - 3);
        assert_eq!(buffer.room().len(), BUFFER_BYTES - LEAD_BYTES - 2);
        assert_eq!(buffer.unread(), b"xx");
    }

    #[test]
    fn a_buffer_grows_with_the_flow_up_to_its_bound() {
        let mut buffer = Buffer::new(BUFFER_BYTES);
        for _ in 0..10 {
            let room = buffer.room().len();
            buffer.filled(room);
            buffer.consume(room);
        }
        assert_eq!(buffer.room().len(), BUFFER_BYTES_MAX - LEAD_BYTES);
        let buffers = Buffers::default();
        buffers.give(buffer);
        assert_eq!(buffers.take().room().len(), BUFFER_BYTES - LEAD_BYTES);
    }

    #[test]
    fn an_empty_buffer_is_followed_by_a_larger_one_while_more_comes() {
        let buffers = Buffers::default();
        let mut buffer = Some(buffers.take());
        for bytes in [BUFFER_BYTES, LARGE_BYTES, LARGE_BYTES].map(|bytes| bytes - LEAD_BYTES) {
            let reading = buffer.as_mut().expect("more comes");
            assert_eq!(reading.room().len(), bytes);
            reading.filled(bytes);
            buffers.give_empty(&mut buffer);
            assert!(!buffer.as_ref().expect("nothing was read of it").is_empty());
            buffer.as_mut().expect("the same").consume(bytes);
            buffers.give_empty(&mut buffer);
        }
        buffer.as_mut().expect("more comes").room()[0] = b'x';
        buffer.as_mut().expect("the same").filled(1);
        buffer.as_mut().expect("the same").consume(1);
        buffers.give_empty(&mut buffer);
        assert!(buffer.is_none(), "a read that leaves room says that nothing more has come");
        assert_eq!(buffers.large.borrow().len(), 2);
    }

    #[test]
    fn bytes_settle_in_a_small_buffer_and_grow_out_of_it() {
        let buffers = Buffers::default();
        let mut buffer = Some(filled(b"head"));
        buffers.settle(&mut buffer);
        let mut settled = buffer.unwrap();
        assert_eq!((settled.unread(), settled.bytes.len()), (&b"head"[..], SMALL_BYTES));
        for _ in 0..3 {
            let room = settled.room().len();
            settled.filled(room);
        }
        assert_eq!((&settled.unread()[..4], settled.len()), (&b"head"[..], 4 * SMALL_BYTES - LEAD_BYTES));
        let mut large = Some(filled(&[b'x'; SMALL_ROOM + 1]));
        buffers.settle(&mut large);
        assert_eq!(large.unwrap().bytes.len(), BUFFER_BYTES);
    }

    #[test]
    fn a_burst_does_not_stay_in_memory() {
        let buffers = Buffers::default();
        let burst: Vec<Buffer> = (0..2 * FREE_BUFFERS_MAX).map(|_| buffers.take()).collect();
        burst.into_iter().for_each(|buffer| buffers.give(buffer));
        assert_eq!(buffers.free.borrow().len(), FREE_BUFFERS_MAX);
    }
}
