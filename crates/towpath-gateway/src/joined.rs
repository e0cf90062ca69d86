//! Two connections joined, until it is over: what forwarded and upgraded connections have in common.

use std::pin::Pin;
use std::task::{Context, Poll};

use towpath_net::Relay;
use towpath_net::relay::{Bytes, Reason, Side};
use towpath_telemetry::metrics::{CloseReason, RelayClose};

use crate::accept::Seat;

/// A relay, one of those that the end of its worker cuts. The fields are dropped in this order: both connections are
/// closed before anything says that there is room for others (P2).
pub(crate) struct Joined {
    relay: Option<Relay>,
    /// Dropped before its end was known, it was cut by the end of its worker.
    close: RelayClose,
    pub(crate) seat: Seat,
}

impl Joined {
    pub(crate) fn new(relay: Relay, seat: Seat) -> Self {
        seat.worker.relays.set(seat.worker.relays.get() + 1);
        Self { relay: Some(relay), close: RelayClose::Drain, seat }
    }

    /// Carries bytes on. Ready when the relay is over, or was cut.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.seat.worker.is_stopping() {
            self.relay.take().into_iter().for_each(Relay::reset);
        }
        let Some(relay) = &mut self.relay else { return Poll::Ready(()) };
        Pin::new(relay).poll(cx).map(|closed| self.close = close_of(closed.reason))
    }

    /// What was moved so far; of a relay that was cut nothing is known but what was asked before.
    pub(crate) fn bytes(&self) -> Option<Bytes> {
        self.relay.as_ref().map(Relay::bytes)
    }

    /// Closes both connections. Returns how they ended.
    pub(crate) fn close(&mut self) -> RelayClose {
        self.relay = None;
        self.close
    }
}

impl Drop for Joined {
    fn drop(&mut self) {
        let worker = &self.seat.worker;
        worker.relays.set(worker.relays.get() - 1);
        self.seat.reason = match self.close {
            RelayClose::Finished => CloseReason::Finished,
            RelayClose::Idle => CloseReason::Idle,
            RelayClose::ClientReset => CloseReason::Reset,
            RelayClose::Drain => CloseReason::Drain,
            RelayClose::UpstreamReset | RelayClose::ClientFailed | RelayClose::UpstreamFailed => {
                CloseReason::Error
            }
        };
    }
}

fn close_of(reason: Reason) -> RelayClose {
    match reason {
        Reason::Finished => RelayClose::Finished,
        Reason::Idle => RelayClose::Idle,
        Reason::Reset(Side::Downstream) => RelayClose::ClientReset,
        Reason::Reset(Side::Upstream) => RelayClose::UpstreamReset,
        Reason::Failed(Side::Downstream, _) => RelayClose::ClientFailed,
        Reason::Failed(Side::Upstream, _) => RelayClose::UpstreamFailed,
    }
}
