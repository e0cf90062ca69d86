//! Counters of listeners for datagrams.

use super::blocks::PerWorker;
use crate::counter::{Counter, Gauge};
use crate::prometheus::{Encoder, Kind};

/// One worker's numbers for one UDP listener.
#[derive(Debug, Default)]
pub struct UdpCounters {
    /// Datagrams that went from clients to endpoints.
    pub datagrams_up: Counter,
    /// Their bytes, without headers.
    pub bytes_up: Counter,
    /// Datagrams that went from endpoints to clients.
    pub datagrams_down: Counter,
    /// Their bytes, without headers.
    pub bytes_down: Counter,
    /// Datagrams that went nowhere, by [`DatagramDrop`].
    pub dropped: [Counter; DATAGRAM_DROPS.len()],
    /// Sessions opened.
    pub sessions: Counter,
    /// Sessions open.
    pub sessions_open: Gauge,
    /// Sessions ended, by [`SessionEnd`].
    pub ended: [Counter; SESSION_ENDS.len()],
}

impl UdpCounters {
    /// Counts datagrams that went nowhere.
    #[inline]
    pub fn drop_datagrams(&self, count: u64, why: DatagramDrop) {
        self.dropped[why as usize].add(count);
    }

    /// Counts a session that begins.
    #[inline]
    pub fn opened(&self) {
        self.sessions.increment();
        self.sessions_open.increment();
    }

    /// Counts the end of a session that was counted by [`UdpCounters::opened`].
    #[inline]
    pub fn ended(&self, end: SessionEnd) {
        self.sessions_open.decrement();
        self.ended[end as usize].increment();
    }
}

/// Why a datagram went nowhere. The numbers index [`DATAGRAM_DROPS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum DatagramDrop {
    /// An answer beyond what the client may have for what it sent (T30).
    ReplyRatio,
    /// No endpoint is healthy and has a weight.
    NoEndpoint,
    /// The system gave no socket for a session: descriptors or ports are used up.
    NoSocket,
    /// The endpoint's system said that nobody is there, and no other endpoint could be asked.
    Unreachable,
    /// The socket's buffer was full.
    Full,
    /// It would have opened a session while the listener is draining.
    Draining,
    /// The system refused to send it, for example because it is too large for the way.
    Failed,
}

/// Label values of [`DatagramDrop`], in its order.
pub const DATAGRAM_DROPS: [&str; 7] =
    ["reply_ratio", "no_endpoint", "no_socket", "unreachable", "full", "draining", "failed"];

/// How a session ended. The numbers index [`SESSION_ENDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SessionEnd {
    /// The client sent nothing for the idle time.
    Idle,
    /// Another session of the same source took its place (T30).
    EvictedBySource,
    /// The listener had as many sessions as it may have (T30).
    EvictedByAll,
    /// The process had no descriptor or port left for a new one.
    EvictedBySystem,
    /// The endpoint's system said that nobody is there.
    Unreachable,
    /// The endpoint became unhealthy while another one was not.
    Unhealthy,
    /// The endpoint left the plan.
    Reload,
    /// The listener is draining.
    Drain,
    /// The session's socket failed.
    Failed,
}

impl SessionEnd {
    /// The label, which is also the reason in the access log.
    pub fn label(self) -> &'static str {
        SESSION_ENDS[self as usize]
    }
}

/// Label values of [`SessionEnd`], in its order.
pub const SESSION_ENDS: [&str; 9] = [
    "idle",
    "evicted_by_source",
    "evicted_by_all",
    "evicted_by_system",
    "unreachable",
    "unhealthy",
    "reload",
    "drain",
    "failed",
];

type Sum = (&'static str, Kind, &'static str, fn(&UdpCounters) -> u64);

const SUMS: [Sum; 6] = [
    ("towpath_udp_sessions_total", Kind::Counter, "UDP sessions opened.", |block| block.sessions.value()),
    ("towpath_udp_sessions_open", Kind::Gauge, "UDP sessions open now.", |block| block.sessions_open.value()),
    (
        "towpath_udp_received_datagrams_total",
        Kind::Counter,
        "Datagrams from clients to endpoints.",
        |block| block.datagrams_up.value(),
    ),
    ("towpath_udp_received_bytes_total", Kind::Counter, "Their bytes, without headers.", |block| {
        block.bytes_up.value()
    }),
    ("towpath_udp_sent_datagrams_total", Kind::Counter, "Datagrams from endpoints to clients.", |block| {
        block.datagrams_down.value()
    }),
    ("towpath_udp_sent_bytes_total", Kind::Counter, "Their bytes, without headers.", |block| {
        block.bytes_down.value()
    }),
];

pub(crate) fn encode(listeners: &[(&str, &PerWorker<UdpCounters>)], encoder: &mut Encoder) {
    for (name, kind, help, number) in SUMS {
        let mut family = encoder.family(name, kind, help);
        for (listener, blocks) in listeners {
            family.sample(&[("listener", listener)], blocks.sum(number));
        }
    }
    let mut family = encoder.family(
        "towpath_udp_dropped_datagrams_total",
        Kind::Counter,
        "Datagrams that went nowhere, by reason.",
    );
    for (listener, blocks) in listeners {
        for (index, reason) in DATAGRAM_DROPS.iter().enumerate() {
            let count = blocks.sum(|block| block.dropped[index].value());
            family.sample(&[("listener", listener), ("reason", reason)], count);
        }
    }
    let mut family =
        encoder.family("towpath_udp_sessions_ended_total", Kind::Counter, "UDP sessions ended, by reason.");
    for (listener, blocks) in listeners {
        for (index, reason) in SESSION_ENDS.iter().enumerate() {
            let count = blocks.sum(|block| block.ended[index].value());
            family.sample(&[("listener", listener), ("reason", reason)], count);
        }
    }
}
