//! Connections that are forwarded without being read, and datagrams.
//!
//! ```text
//!  Arrival ── proxy_header ──> who the client is      (any listener; only from listed peers)
//!          ── hello ─────────> where it wants to go   (passthrough)
//!          ── reach ─────────> an endpoint, dialled; the next one if it cannot be reached
//!          ── relay ─────────> bytes both ways until both have ended
//! ```
//!
//! What stands before the relay is one boxed future, gone when the relay begins: an idle relay is its two sockets and
//! this small task.

mod client;
mod hello;
mod open;
pub(crate) mod proxy_header;
mod reach;
mod relay;
pub(crate) mod udp;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use towpath_net::Stream;
use towpath_net::timer::Timer;

use crate::accept::Arrival;
pub(crate) use client::Client;
pub(crate) use open::alert_record;
pub(crate) use relay::Account;
use relay::Forwarded;

/// Forwards the connection to its end.
pub(crate) fn serve(arrival: Arrival) -> impl Future<Output = ()> {
    Serve::Opening(Box::pin(open::run(arrival)))
}

/// A forwarded connection as a task. By hand, as an `async` block would keep the room of its beginning for ever.
#[expect(clippy::large_enum_variant, reason = "the large one is what almost all of them are")]
enum Serve {
    /// Until an endpoint is reached; `None` when it never was.
    Opening(Pin<Box<dyn Future<Output = Option<Forwarded>>>>),
    Forwarded(Forwarded),
    Closed,
}

impl Future for Serve {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match &mut *self {
                Self::Opening(opening) => {
                    let joined = ready!(opening.as_mut().poll(cx));
                    *self = joined.map_or(Self::Closed, Self::Forwarded);
                }
                Self::Forwarded(forwarded) => {
                    ready!(forwarded.poll(cx));
                    *self = Self::Closed;
                }
                Self::Closed => return Poll::Ready(()),
            }
        }
    }
}

/// The least room of a read before the relay: a usual ClientHello, post-quantum keys included, in one.
const READ_BYTES: usize = 2048;

/// Why the first bytes of a connection are not whole.
pub(crate) enum Cut {
    /// The deadline passed.
    Expired,
    /// The client ended its direction.
    Ended,
    /// The connection failed.
    Failed,
}

/// Reads once more behind `bytes`, which hold no more than `bytes_max` afterwards, unless they did before. Nothing is
/// allocated while nothing comes.
pub(crate) async fn read_more(
    stream: &mut Stream,
    timer: &Timer,
    bytes: &mut Vec<u8>,
    bytes_max: usize,
) -> Result<(), Cut> {
    let start = bytes.len();
    let room = start.max(READ_BYTES).min(bytes_max.saturating_sub(start)).max(1);
    let read = timer.limit(async {
        poll_fn(|cx| stream.poll_readable(cx)).await;
        bytes.resize(start + room, 0);
        let (mut reader, _) = stream.split();
        poll_fn(|cx| reader.poll_read(cx, &mut bytes[start..])).await
    });
    let outcome = read.await;
    let count = match &outcome {
        Ok(Ok(count)) => *count,
        _ => 0,
    };
    bytes.truncate(start + count);
    match outcome {
        Err(_expired) => Err(Cut::Expired),
        Ok(Err(_)) => Err(Cut::Failed),
        Ok(Ok(0)) => Err(Cut::Ended),
        Ok(Ok(_)) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tokio's state for each registered socket, and what a task costs beside its future.
    const SOCKET_BYTES: usize = 256;
    const TASK_BYTES: usize = 128;

    /// An entry of the timer slab.
    const TIMER_BYTES: usize = 64;

    /// What an idle relay may take of user memory, both sockets.
    const RELAY_BYTES_MAX: usize = 1536;

    #[test]
    fn an_idle_relay_is_small() {
        let own = size_of::<Serve>() + size_of::<Account>();
        let all = own + 2 * SOCKET_BYTES + TASK_BYTES + TIMER_BYTES;
        // With the runtime that control needs, each stream is 8 bytes larger than without.
        assert!(own <= 416 && all <= RELAY_BYTES_MAX, "{own} own, {all} in all");
    }
}
