//! Bytes both ways after an upgrade, without looking at them.

use std::task::{Context, Poll};
use std::time::Duration;

use towpath_net::Stream;
use towpath_net::relay::{Relay, Side};
use towpath_net::timer::Timer;

use crate::accept::Seat;
use crate::joined::Joined;

/// What an upgrade leaves beside the client: the origin's stream and what the client sent before it knew of the switch.
#[derive(Debug)]
pub(crate) struct Switched {
    pub(crate) origin: Stream,
    pub(crate) from_client: Vec<u8>,
    /// Without a byte in either direction for this long, the tunnel ends.
    pub(crate) idle: Duration,
}

/// An upgraded connection: a relay like those of layer 4, counted as a tunnel. Of the request that it began with
/// nothing is left.
pub(crate) struct Tunnel {
    joined: Joined,
}

impl Tunnel {
    pub(crate) fn new(switched: Switched, client: Stream, timer: Timer, seat: Seat) -> Self {
        let Switched { origin, from_client, idle } = switched;
        seat.worker.counters().tunnels_open.increment();
        let relay = Relay::new(client, origin, &seat.worker.reserve, timer).idle_after(idle);
        Self { joined: Joined::new(relay.send_first(Side::Downstream, from_client), seat) }
    }

    /// Carries bytes on. Ready when the tunnel is over.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.joined.poll(cx)
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.joined.close();
        self.joined.seat.worker.counters().tunnels_open.decrement();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an idle tunnel holds beside its two sockets, its timer and its task. With the runtime that control needs,
    /// each stream is 8 bytes larger than without.
    const TUNNEL_BYTES_MAX: usize = 272;

    #[test]
    fn an_idle_tunnel_is_small() {
        let tunnel = size_of::<Tunnel>();
        assert!(tunnel <= TUNNEL_BYTES_MAX, "{tunnel}");
    }
}
