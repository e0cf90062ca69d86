//! What the relays of a worker borrow.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::buffers::{Buffers, Size};
use super::pipes::{DESCRIPTORS, Pipe, Pipes};

/// What a worker's relays may use together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pipes, lent and kept. Each is two descriptors, and pins up to its capacity while its reader is slow. 0 has
    /// everything copied.
    pub pipes_max: usize,
    /// What a pipe is asked to hold, in bytes. Default 1 MiB, which is what `fs.pipe-max-size` allows by default.
    pub pipe_bytes: usize,
    /// Bytes of buffers lent at a time. Above it a flow gets 4 KiB and no more, so the bound on the memory of a worker
    /// is this plus 4 KiB for each direction of its relays.
    pub buffer_bytes_max: usize,
}

/// 64 bulk flows at a time go by splice; with pipes of 1 MiB they pin at most 64 MiB. Also what
/// `fs.pipe-user-pages-soft` lets an account have at that size.
const PIPES_MAX: usize = 64;

/// The share of the descriptors that pipes may use: one in this many. The others are for connections.
const DESCRIPTOR_SHARE: u64 = 16;

impl Default for Limits {
    fn default() -> Self {
        Self { pipes_max: PIPES_MAX, pipe_bytes: 1 << 20, buffer_bytes_max: 64 << 20 }
    }
}

impl Limits {
    /// The default, with at most a sixteenth of the process's `descriptors` in the pipes of all `workers`.
    pub fn for_descriptors(descriptors: u64, workers: usize) -> Self {
        let share = descriptors / DESCRIPTOR_SHARE / DESCRIPTORS / (workers.max(1) as u64);
        let pipes_max = usize::try_from(share).map_or(PIPES_MAX, |share| share.min(PIPES_MAX));
        Self { pipes_max, ..Self::default() }
    }

    /// The descriptors that the pipes of a worker may use.
    pub fn descriptors(&self) -> u64 {
        (self.pipes_max as u64).saturating_mul(DESCRIPTORS)
    }
}

/// What is lent and what was moved, for metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pipes in use.
    pub pipes_lent: usize,
    /// Pipes kept.
    pub pipes_free: usize,
    /// Bytes of buffers in use.
    pub buffer_bytes_lent: usize,
    /// Bytes delivered through pipes, since the start.
    pub spliced_bytes: u64,
    /// Bytes delivered through buffers, since the start.
    pub copied_bytes: u64,
}

/// The buffers and pipes of one worker.
#[derive(Debug)]
pub struct Reserve {
    buffers: RefCell<Buffers>,
    pipes: RefCell<Pipes>,
    spliced_bytes: Cell<u64>,
    copied_bytes: Cell<u64>,
}

impl Reserve {
    /// A reserve that has opened and allocated nothing yet.
    pub fn new(limits: Limits) -> Rc<Self> {
        Rc::new(Self {
            buffers: RefCell::new(Buffers::new(limits.buffer_bytes_max)),
            pipes: RefCell::new(Pipes::new(limits.pipes_max, limits.pipe_bytes)),
            spliced_bytes: Cell::new(0),
            copied_bytes: Cell::new(0),
        })
    }

    /// What is lent and what was moved.
    pub fn counts(&self) -> Counts {
        let pipes = self.pipes.borrow();
        Counts {
            pipes_lent: pipes.lent(),
            pipes_free: pipes.free(),
            buffer_bytes_lent: self.buffers.borrow().lent_bytes(),
            spliced_bytes: self.spliced_bytes.get(),
            copied_bytes: self.copied_bytes.get(),
        }
    }

    /// Lends a buffer of `size`; of the smallest when too much is lent already.
    pub fn take_buffer(&self, size: Size) -> Box<[u8]> {
        self.buffers.borrow_mut().take(size)
    }

    /// Takes a buffer back. One that `was_lent` says was not is let go.
    pub fn give_back_buffer(&self, buffer: Box<[u8]>, was_lent: bool) {
        self.buffers.borrow_mut().give_back(buffer, was_lent);
    }

    pub(super) fn take_pipe(&self) -> Option<Pipe> {
        self.pipes.borrow_mut().take()
    }

    pub(super) fn give_back_pipe(&self, pipe: Pipe, held: u32) {
        self.pipes.borrow_mut().give_back(pipe, held);
    }

    pub(super) fn add_spliced(&self, bytes: usize) {
        self.spliced_bytes.set(self.spliced_bytes.get() + bytes as u64);
    }

    pub(super) fn add_copied(&self, bytes: usize) {
        self.copied_bytes.set(self.copied_bytes.get() + bytes as u64);
    }
}
