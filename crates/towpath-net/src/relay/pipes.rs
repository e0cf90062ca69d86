//! Pipes for `splice(2)`, lent to flows that have many bytes in flight.

use std::os::fd::OwnedFd;

use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

/// Descriptors of a pipe.
pub(super) const DESCRIPTORS: u64 = 2;

/// A pipe that holds less is worse than a buffer. The system makes such ones for an account that has used up
/// `fs.pipe-user-pages-soft`.
const CAPACITY_MIN: usize = 64 * 1024;

/// After the system refused a pipe, this many flows go without one before it is asked again: at a descriptor limit
/// the question costs a system call each time, and takes the descriptor that a new client needs.
const PAUSE: u32 = 256;

/// A pipe, used by one flow at a time.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) read: OwnedFd,
    pub(super) write: OwnedFd,
    /// In bytes, if every one of its slots is full.
    pub(super) capacity: u32,
}

/// The empty pipes of a worker, and how many are lent.
#[derive(Debug)]
pub(super) struct Pipes {
    free: Vec<Pipe>,
    lent: usize,
    max: usize,
    capacity: usize,
    pause: u32,
}

impl Pipes {
    pub(super) fn new(max: usize, capacity: usize) -> Self {
        Self { free: Vec::new(), lent: 0, max, capacity, pause: 0 }
    }

    /// An empty pipe, if there is one left.
    pub(super) fn take(&mut self) -> Option<Pipe> {
        let pipe = match self.free.pop() {
            None if self.lent < self.max => self.open()?,
            free => free?,
        };
        self.lent += 1;
        Some(pipe)
    }

    fn open(&mut self) -> Option<Pipe> {
        if self.pause > 0 {
            self.pause -= 1;
            return None;
        }
        let pipe = open(self.capacity);
        if pipe.is_none() {
            self.pause = PAUSE;
        }
        pipe
    }

    /// Takes back a pipe. One that holds bytes is closed: the next flow would send them to a stranger.
    pub(super) fn give_back(&mut self, pipe: Pipe, held: u32) {
        self.lent -= 1;
        if held == 0 {
            self.free.push(pipe);
        }
    }

    pub(super) fn lent(&self) -> usize {
        self.lent
    }

    pub(super) fn free(&self) -> usize {
        self.free.len()
    }
}

fn open(capacity: usize) -> Option<Pipe> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
    // Refused above `fs.pipe-max-size`, or when this account has used up its pages: then what it has must do.
    let _ = fcntl_setpipe_size(&write, capacity);
    let capacity = fcntl_getpipe_size(&write).ok().filter(|&capacity| capacity >= CAPACITY_MIN)?;
    Some(Pipe { read, write, capacity: u32::try_from(capacity).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_that_holds_bytes_is_not_lent_again() {
        let mut pipes = Pipes::new(1, 1 << 20);
        let pipe = pipes.take().unwrap();
        assert!(pipes.take().is_none(), "one is the limit");
        rustix::io::write(&pipe.write, b"a stranger's").unwrap();
        pipes.give_back(pipe, 12);
        assert_eq!((pipes.lent(), pipes.free()), (0, 0));
        let pipe = pipes.take().unwrap();
        assert_eq!(rustix::io::read(&pipe.read, &mut [0; 16]), Err(rustix::io::Errno::AGAIN));
        pipes.give_back(pipe, 0);
        assert_eq!(pipes.free(), 1);
    }
}
