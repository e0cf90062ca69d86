//! The life of one connection.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::Stream;
use towpath_net::timer::Timer;

use super::exchange::{After, Exchange};
use super::site::{Seat, Site};
use crate::Ctx;
use crate::http::request::Peer;

/// What a handler may do with the connection instead of a body: take it over once the 101 is written.
pub(crate) struct Switch(pub(crate) Box<dyn FnOnce(Taken) -> Pin<Box<dyn Future<Output = ()>>> + Send>);

/// A connection that speaks another protocol from now on.
pub(crate) struct Taken {
    pub(crate) stream: Stream,
    /// What the client has sent of it already.
    pub(crate) early: Vec<u8>,
    /// Done when the server stops, at the end of the grace.
    pub(crate) ctx: Ctx,
    pub(crate) site: TakenFrom,
}

/// How a connection that was taken over learns of a drain.
pub(crate) struct TakenFrom {
    site: Rc<Site>,
    timer: Timer,
}

impl TakenFrom {
    /// Ready once the server should stop. `cx` is woken then.
    pub(crate) fn poll_draining(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.site.is_draining() {
            return Poll::Ready(());
        }
        let _ = self.timer.poll_expired(cx);
        Poll::Pending
    }
}

/// Says that a request came over a connection that can be taken over.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Upgrade;

/// A connection that waits, or exchanges messages.
pub(super) struct Line {
    pub(super) site: Rc<Site>,
    pub(super) stream: Stream,
    pub(super) timer: Timer,
    pub(super) peer: Arc<Peer>,
    pub(super) since: Instant,
}

/// Serves a connection that was accepted at `since`.
pub(super) async fn serve(site: Rc<Site>, stream: Stream, peer: Arc<Peer>, _seat: Seat, since: Instant) {
    let timer = site.timers.register();
    timer.set(since + site.settings().timeouts.first_request);
    let mut line = Line { site, stream, timer, peer, since };
    let mut is_first = true;
    loop {
        if !line.wait(is_first).await {
            return;
        }
        let after = Exchange::new(&mut line, is_first).run().await;
        match after {
            After::Idle => line.timer.set(Instant::now() + line.site.settings().timeouts.idle),
            After::Close => return line.linger().await,
            After::Gone => return,
            After::Switched(switch, early) => {
                line.timer.clear();
                let Line { site, stream, timer, .. } = line;
                let (ctx, _guard) = site.root.with_cancel();
                return switch.0(Taken { stream, early, ctx, site: TakenFrom { site, timer } }).await;
            }
        }
        is_first = false;
    }
}

/// How much is read of what a client goes on to send after it was told that the connection ends, and for how long: a close
/// with unread bytes would be a reset, which can overtake the answer (RFC 9112 §9.6).
const LINGER_BYTES_MAX: usize = 256 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(2);

impl Line {
    /// Waits for the first byte of a request. False when the connection is over instead: the deadline of the first request
    /// goes on into its head.
    async fn wait(&mut self, is_first: bool) -> bool {
        poll_fn(|cx| {
            // An idle connection of a server that stops has nothing to wait for. One that has just been made may have a
            // request on its way.
            if (self.site.is_draining() && !is_first) || self.site.is_stopping() {
                return Poll::Ready(false);
            }
            if self.stream.poll_readable(cx).is_ready() {
                return Poll::Ready(true);
            }
            ready!(self.timer.poll_expired(cx));
            Poll::Ready(false)
        })
        .await
    }

    /// Ends our side, and reads what the client still sends.
    async fn linger(mut self) {
        self.timer.set(Instant::now() + LINGER_TIME);
        let mut buffer = self.site.buffers.take();
        let mut discarded = 0;
        poll_fn(|cx| {
            let (mut reader, mut writer) = self.stream.split();
            let _ = writer.poll_shutdown(cx);
            while discarded < LINGER_BYTES_MAX && !self.site.is_stopping() {
                match reader.poll_read(cx, buffer.room()) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                    Poll::Ready(Ok(count)) => discarded += count,
                    Poll::Pending => return self.timer.poll_expired(cx),
                }
            }
            Poll::Ready(())
        })
        .await;
        self.site.buffers.give(buffer);
    }
}
