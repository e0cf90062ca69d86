//! Edge-triggered epoll: register once, never touch the registration again.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{Timespec, epoll};

/// How many ready sockets one turn takes from the kernel. More than any scenario's connections, so that a turn is
/// never cut by this number.
const EVENTS_PER_TURN_MAX: usize = 1024;

const ENDED: epoll::EventFlags =
    epoll::EventFlags::RDHUP.union(epoll::EventFlags::HUP).union(epoll::EventFlags::ERR);

/// One ready socket.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// The number given to [`Poller::add`].
    pub token: usize,
    /// Bytes, an end of stream or an error may be waiting.
    pub readable: bool,
    /// A write that found no room may be tried again.
    pub writable: bool,
    /// The peer has sent its last byte: a short read is not the end of what can be read.
    pub is_ended: bool,
}

/// An epoll instance.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Poller {
    /// # Errors
    /// The kernel refused another file descriptor.
    pub fn new() -> io::Result<Poller> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poller { epoll, events: Vec::with_capacity(EVENTS_PER_TURN_MAX) })
    }

    /// Registers `source` for both directions, for as long as it lives.
    ///
    /// # Errors
    /// `source` cannot be polled, or is registered already.
    pub fn add(&self, source: impl AsFd, token: usize) -> io::Result<()> {
        use epoll::EventFlags as Flags;
        let flags = Flags::IN | Flags::OUT | Flags::RDHUP | Flags::ET;
        Ok(epoll::add(&self.epoll, source, epoll::EventData::new_u64(token as u64), flags)?)
    }

    /// Waits for the next turn and appends what is ready to `ready`. `None` waits without end.
    ///
    /// # Errors
    /// epoll itself failed; an interrupted wait is an empty turn.
    pub fn wait(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.and_then(|span| Timespec::try_from(span).ok());
        self.events.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.events), timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.extend(self.events.iter().map(|event| {
            let flags = event.flags;
            Ready {
                token: event.data.u64() as usize,
                readable: !flags.difference(epoll::EventFlags::OUT).is_empty(),
                writable: flags.contains(epoll::EventFlags::OUT),
                is_ended: flags.intersects(ENDED),
            }
        }));
        Ok(())
    }
}

impl std::fmt::Debug for Poller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Poller").field("epoll", &self.epoll).finish_non_exhaustive()
    }
}
