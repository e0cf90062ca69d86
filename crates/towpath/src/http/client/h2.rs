//! HTTP/2 to origins: many requests at a time on a connection (RFC 9113).
//!
//! ```text
//!   Lines ── no stream to spare: one of those who wait dials ──> Group: the connections to an origin
//!     └─ a Permit ── opens ──> Opened: one stream <── Exchange: head and body up, head and body down
//!                                 │ behind a lock
//!   socket <──> Wire <── Driver ──┴─ Conn: codec, output, what came for each stream
//! ```
//!
//! The driver is a task of the runtime whose request dialled, and stays there. Requests travel: any thread of any runtime
//! may open a stream on a connection, as what it has to say goes through the codec behind the connection's lock, and what
//! comes for it is put down there. A program's workers need one connection then, not one each.

mod conn;
mod driver;
mod exchange;
mod group;
mod lost;
mod pulse;

pub(super) use self::exchange::Exchange;
pub(super) use self::group::{Avoid, How, Lines, Way};
pub(super) use self::pulse::{PING_INTERVAL, PING_TIMEOUT};

use towpath_proto::limits::H2_STREAM_WINDOW_BYTES;

/// Requests at a time on one connection, if the origin allows as many and nothing else is set: what Envoy, nginx and HAProxy
/// announce to their clients. More would only queue in the origin.
pub(super) const STREAMS_COUNT_MAX: usize = 100;

/// What a connection's unread responses may hold together; browsers allow as much. The windows of its streams stay within it
/// together, so that a response that nobody reads stops no other one.
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The most that may be set: each stream has its first window.
pub(super) const STREAMS_COUNT_CEILING: usize = (CONNECTION_WINDOW_BYTES / H2_STREAM_WINDOW_BYTES) as usize;

#[cfg(test)]
mod tests;
