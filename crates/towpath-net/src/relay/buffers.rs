//! Buffers of four sizes, lent to flows that have bytes in flight.

/// The sizes in bytes. A read that fills one is followed by one of the next.
const SIZES: [usize; 4] = [4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024];

/// How many of each size are kept while nobody borrows them: about 2 MiB together, so that a burst over many relays
/// leaves no memory behind, and a steady load allocates nothing.
const KEPT: [usize; 4] = [64, 32, 8, 3];

/// A size of buffers: which of four.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Size {
    /// 4 KiB.
    #[default]
    Kib4,
    /// 16 KiB.
    Kib16,
    /// 64 KiB.
    Kib64,
    /// 256 KiB.
    Kib256,
}

impl Size {
    /// The next larger one, for a read behind one that filled its buffer.
    pub fn larger(self) -> Self {
        match self {
            Self::Kib4 => Self::Kib16,
            Self::Kib16 => Self::Kib64,
            Self::Kib64 | Self::Kib256 => Self::Kib256,
        }
    }

    /// The next smaller one, for a read behind one that left its buffer all but empty.
    pub fn smaller(self) -> Self {
        match self {
            Self::Kib4 | Self::Kib16 => Self::Kib4,
            Self::Kib64 => Self::Kib16,
            Self::Kib256 => Self::Kib64,
        }
    }

    pub(super) fn bytes(self) -> usize {
        SIZES[self as usize]
    }

    fn of(buffer: &[u8]) -> Option<Self> {
        [Self::Kib4, Self::Kib16, Self::Kib64, Self::Kib256]
            .into_iter()
            .find(|size| size.bytes() == buffer.len())
    }
}

/// The free buffers of a worker, and how many bytes are lent.
#[derive(Debug)]
pub(super) struct Buffers {
    free: [Vec<Box<[u8]>>; 4],
    lent_bytes: usize,
    lent_bytes_max: usize,
}

impl Buffers {
    pub(super) fn new(lent_bytes_max: usize) -> Self {
        Self { free: Default::default(), lent_bytes: 0, lent_bytes_max }
    }

    /// A buffer of `size`; of the smallest when that would be too much for all together. So a worker whose clients
    /// read nothing goes on to serve those that do.
    pub(super) fn take(&mut self, size: Size) -> Box<[u8]> {
        let size = if self.lent_bytes + size.bytes() > self.lent_bytes_max { Size::Kib4 } else { size };
        self.lent_bytes += size.bytes();
        self.free[size as usize].pop().unwrap_or_else(|| vec![0; size.bytes()].into())
    }

    /// Takes a buffer back. One that was not lent, such as the bytes a relay began with, is let go.
    pub(super) fn give_back(&mut self, buffer: Box<[u8]>, was_lent: bool) {
        let Some(size) = Size::of(&buffer).filter(|_| was_lent) else { return };
        self.lent_bytes -= size.bytes();
        let free = &mut self.free[size as usize];
        if free.len() < KEPT[size as usize] {
            free.push(buffer);
        }
    }

    pub(super) fn lent_bytes(&self) -> usize {
        self.lent_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_shrink_when_too_many_bytes_are_lent() {
        let mut buffers = Buffers::new(300 * 1024);
        let large = buffers.take(Size::Kib256);
        let small = buffers.take(Size::Kib64);
        assert_eq!((large.len(), small.len()), (256 * 1024, 4 * 1024));
        buffers.give_back(large, true);
        assert_eq!(buffers.take(Size::Kib64).len(), 64 * 1024);
    }

    #[test]
    fn a_burst_leaves_a_bounded_number_of_buffers() {
        let mut buffers = Buffers::new(usize::MAX);
        let burst: Vec<_> = (0..100).map(|_| buffers.take(Size::Kib256)).collect();
        burst.into_iter().for_each(|buffer| buffers.give_back(buffer, true));
        assert_eq!((buffers.lent_bytes(), buffers.free[Size::Kib256 as usize].len()), (0, 3));
    }
}
