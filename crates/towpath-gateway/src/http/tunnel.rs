//! What becomes of a connection after an upgrade.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_local};
use towpath_net::Stream;
use towpath_net::relay::{Relay, Side};
use towpath_net::timer::Timer;

use crate::accept::Seat;
use crate::joined::Joined;
use crate::websocket::{Opened, Terms, WebSocket};

/// What an upgrade leaves beside the client: the origin's stream, and what the two sent before either knew of the switch.
#[derive(Debug)]
pub(crate) struct Switched {
    pub(crate) origin: Stream,
    pub(crate) from_client: Vec<u8>,
    pub(crate) from_origin: Vec<u8>,
    /// Without a byte in either direction for this long, the tunnel ends.
    pub(crate) idle: Duration,
    /// There if they speak WebSocket now.
    pub(crate) websocket: Option<Terms>,
}

impl Switched {
    /// Joins the client with the origin, in a task in which nothing is left of the request that it began with. A task of
    /// its own and not a box in the connection's: what is open and idle for hours is one allocation less so.
    pub(crate) fn join(self, client: Stream, timer: Timer, seat: Seat) -> JoinHandle<()> {
        let Self { origin, from_client, from_origin, idle, websocket } = self;
        if let Some(terms) = websocket {
            let opened = Opened { client, origin, from_client, from_origin, idle, terms };
            // The runtime rounds a task up to a multiple of 128 bytes.
            return spawn_local(Box::pin(WebSocket::new(opened, timer, seat)));
        }
        let relay = Relay::new(client, origin, &seat.worker.reserve, timer).idle_after(idle);
        let relay = relay.send_first(Side::Downstream, from_client).send_first(Side::Upstream, from_origin);
        spawn_local(Unread::new(relay, seat))
    }
}

/// A tunnel for a protocol that nothing here reads: a relay like those of layer 4, counted as a tunnel.
struct Unread {
    joined: Joined,
}

impl Unread {
    fn new(relay: Relay, seat: Seat) -> Self {
        seat.worker.counters().tunnels_open.increment();
        Self { joined: Joined::new(relay, seat) }
    }
}

impl Future for Unread {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.get_mut().joined.poll(cx)
    }
}

impl Drop for Unread {
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
        let tunnel = size_of::<Unread>();
        assert!(tunnel <= TUNNEL_BYTES_MAX, "{tunnel}");
    }
}
