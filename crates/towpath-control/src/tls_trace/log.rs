//! What was seen of a connection.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A server may send for ever; a handshake with all its tickets has a few kilobytes, and one with the largest
/// certificates some hundred.
pub(super) const WIRE_BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From us to the server.
    Out,
    /// From the server to us.
    In,
}

/// Something on the wire, in the order in which it happened.
#[derive(Debug)]
pub(super) enum Event {
    Bytes(Direction, Vec<u8>),
    /// The client has all it needs to send a request.
    EndOfHandshake,
}

/// The content of a record that is encrypted on the wire.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) direction: Direction,
    /// The kind inside the encryption.
    pub(super) kind: u8,
    pub(super) content: Vec<u8>,
    /// The size of the record's content on the wire.
    pub(super) sealed_bytes: usize,
}

#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) events: Vec<Event>,
    pub(super) plains: Vec<Plain>,
    wire_bytes: usize,
}

/// A log that the socket and the ciphers write to.
#[derive(Clone, Debug, Default)]
pub(super) struct SharedLog(Arc<Mutex<Log>>);

impl SharedLog {
    pub(super) fn lock(&self) -> MutexGuard<'_, Log> {
        // All on one thread; a panic in the middle of a push leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there was room for it.
    pub(super) fn note_bytes(&self, direction: Direction, bytes: &[u8]) -> bool {
        let mut log = self.lock();
        log.wire_bytes += bytes.len();
        if log.wire_bytes <= WIRE_BYTES_MAX {
            log.events.push(Event::Bytes(direction, bytes.to_vec()));
        }
        log.wire_bytes <= WIRE_BYTES_MAX
    }

    pub(super) fn note_plain(&self, plain: Plain) {
        self.lock().plains.push(plain);
    }

    pub(super) fn note_end_of_handshake(&self) {
        self.lock().events.push(Event::EndOfHandshake);
    }
}
