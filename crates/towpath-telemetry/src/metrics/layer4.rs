//! Counters of listeners as such, and of connections that are forwarded without being read.

use crate::counter::{Counter, Gauge};

/// One worker's numbers for one listener, whatever it speaks.
#[derive(Debug, Default)]
pub struct ListenerCounters {
    /// Connections accepted, here or on the worker that handed them over.
    pub accepted: Counter,
    /// Connections open.
    pub open: Gauge,
    /// Connections handed to another worker because that one had fewer.
    pub placed_elsewhere: Counter,
    /// How often a limit was met, by [`Limit`].
    pub limited: [Counter; LIMITS.len()],
}

/// What keeps connections off. The numbers index [`LIMITS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Limit {
    /// The process has as many connections as it may have; they wait in the kernel's queue.
    Process,
    /// The listener has; likewise.
    Listener,
    /// They come faster than allowed; likewise.
    Rate,
    /// The system ran out of something, such as descriptors; likewise.
    System,
    /// One client has as many as it may have: its next one is closed.
    Address,
}

/// Label values of [`Limit`], in its order.
pub const LIMITS: [&str; 5] = ["process", "listener", "rate", "system", "address"];

/// One worker's numbers for what one listener forwards to one upstream.
#[derive(Debug, Default)]
pub struct RelayCounters {
    /// Connections that reached an endpoint.
    pub connections: Counter,
    /// Those that are open.
    pub open: Gauge,
    /// Bytes from clients to endpoints.
    pub bytes_up: Counter,
    /// Bytes from endpoints to clients.
    pub bytes_down: Counter,
    /// Connections that ended, by [`RelayClose`].
    pub closed: [Counter; RELAY_CLOSES.len()],
}

impl RelayCounters {
    /// Counts a connection that reached its endpoint.
    #[inline]
    pub fn opened(&self) {
        self.connections.increment();
        self.open.increment();
    }

    /// Counts bytes that were forwarded.
    #[inline]
    pub fn moved(&self, bytes_up: u64, bytes_down: u64) {
        self.bytes_up.add(bytes_up);
        self.bytes_down.add(bytes_down);
    }

    /// Counts the end of a connection that was counted by [`RelayCounters::opened`].
    #[inline]
    pub fn closed(&self, close: RelayClose) {
        self.open.decrement();
        self.closed[close as usize].increment();
    }
}

/// How a forwarded connection ended. The numbers index [`RELAY_CLOSES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RelayClose {
    /// Both sides ended it.
    Finished,
    /// Nothing moved for too long.
    Idle,
    /// The client reset it.
    ClientReset,
    /// The endpoint reset it.
    UpstreamReset,
    /// The way to the client failed.
    ClientFailed,
    /// The way to the endpoint failed.
    UpstreamFailed,
    /// The time of a drain was over.
    Drain,
}

/// Label values of [`RelayClose`], in its order.
pub const RELAY_CLOSES: [&str; 7] =
    ["finished", "idle", "client_reset", "upstream_reset", "client_failed", "upstream_failed", "drain"];
