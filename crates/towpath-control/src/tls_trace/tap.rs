//! A socket that keeps a copy of what passes, and a deadline.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::log::{Direction, SharedLog, WIRE_BYTES_MAX};

/// The kernel takes a timeout of zero for none.
const WAIT_MIN: Duration = Duration::from_millis(1);

pub(super) struct Tap {
    stream: TcpStream,
    log: SharedLog,
    deadline: Instant,
}

/// The time left, and never nothing.
pub(super) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(WAIT_MIN)
}

impl Tap {
    pub(super) fn new(stream: TcpStream, log: SharedLog, deadline: Instant) -> Self {
        Self { stream, log, deadline }
    }

    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    pub(super) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.stream.shutdown(how)
    }

    /// A peer that sends a byte now and then must not move the deadline.
    fn check(&self) -> io::Result<Duration> {
        match Instant::now() < self.deadline {
            true => Ok(left(self.deadline)),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn note(&self, direction: Direction, bytes: &[u8]) -> io::Result<usize> {
        match self.log.note_bytes(direction, bytes) {
            true => Ok(bytes.len()),
            false => {
                Err(io::Error::other(format!("more than {WIRE_BYTES_MAX} bytes, which is no handshake")))
            }
        }
    }
}

/// A socket's timeout says `WouldBlock`, which to rustls means that there is more to do.
fn timed_out(fault: io::Error) -> io::Error {
    match fault.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => fault,
    }
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.check()?))?;
        let count = self.stream.read(buffer).map_err(timed_out)?;
        self.note(Direction::In, buffer.get(..count).unwrap_or_default())
    }
}

impl Write for Tap {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.check()?))?;
        let count = self.stream.write(bytes).map_err(timed_out)?;
        self.note(Direction::Out, bytes.get(..count).unwrap_or_default())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
