//! The life of one connection.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath_net::timer::Timer;
use towpath_net::{Reader, Stream, Substream as _, Writer};
use towpath_proto::h2::PREFACE;

use super::Reason;
use super::exchange::{After, Exchange};
use super::h2;
use super::site::Site;
use crate::Ctx;
use crate::http::request::Peer;
use crate::http2::Lane;
use crate::serving::Place;

/// What a handler may do with the connection instead of a body: take it over once the 101 is written.
pub(crate) struct Switch(pub(crate) Box<dyn FnOnce(Taken) -> TakenTime + Send>);

/// What becomes of a connection that was taken over, to its end.
type TakenTime = Pin<Box<dyn Future<Output = ()>>>;

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

/// A connection that waits, or exchanges messages; or a stream of one of HTTP/2, which does that once.
pub(super) struct Line {
    pub(super) site: Rc<Site>,
    pub(super) stream: Carrier,
    pub(super) timer: Timer,
    pub(super) peer: Arc<Peer>,
    pub(super) since: Instant,
    /// What was read to find out which version the client speaks.
    pub(super) early: Vec<u8>,
}

/// What carries the messages of a client.
pub(super) enum Carrier {
    /// A connection of HTTP/1, which has it for itself.
    Wire(Stream),
    /// A stream of HTTP/2.
    Lane(Rc<Lane>),
}

impl Carrier {
    pub(super) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Wire(stream) => stream.split(),
            Self::Lane(lane) => (Reader::Sub(&**lane), Writer::Sub(&**lane)),
        }
    }

    /// The stream of HTTP/2.
    pub(super) fn lane(&self) -> Option<&Rc<Lane>> {
        match self {
            Self::Wire(_) => None,
            Self::Lane(lane) => Some(lane),
        }
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Wire(stream) => stream.poll_readable(cx),
            Self::Lane(lane) => lane.poll_readable(cx),
        }
    }

    /// Ready when the client does something although nothing is expected of it. In HTTP/2 that is nothing but a reset.
    pub(super) fn poll_disturbed(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Wire(stream) => stream.poll_disturbed(cx),
            Self::Lane(lane) => lane.poll_gone(cx),
        }
    }

    /// What a read would find, after [`poll_disturbed`](Self::poll_disturbed).
    pub(super) fn peek(&self) -> io::Result<Option<usize>> {
        match self {
            Self::Wire(stream) => stream.peek(),
            Self::Lane(_) => Err(io::ErrorKind::ConnectionReset.into()),
        }
    }

    pub(super) fn reset_on_drop(&self) {
        match self {
            Self::Wire(stream) => stream.reset_on_drop(),
            Self::Lane(lane) => lane.break_off(),
        }
    }
}

/// Serves a connection that was accepted at `since`.
pub(super) async fn serve(site: Rc<Site>, stream: Stream, peer: Arc<Peer>, seat: Place, since: Instant) {
    let timer = site.timers.register();
    timer.set(since + site.settings().timeouts.first_request);
    let is_agreed = stream.agreed().is_some_and(|agreed| agreed.protocol.as_deref() == Some(b"h2"));
    let mut line = Line { site, stream: Carrier::Wire(stream), timer, peer, since, early: Vec::new() };
    if is_agreed || line.begins_with_preface().await {
        return drop(spawn_local(h2::serve(line, seat)));
    }
    let mut is_first = true;
    loop {
        if !line.wait(is_first).await {
            return;
        }
        // An idle connection does not hold what a busy one needs, once it has rested: it is 1,286 bytes instead of 3,558.
        let after = Box::pin(Exchange::new(&mut line, is_first).run()).await;
        match after {
            After::Idle(since) => line.timer.set(since + line.site.settings().timeouts.idle),
            After::Close => return Box::pin(line.linger()).await,
            After::Gone => return,
            After::Switched(switch, early) => {
                let Line { site, stream: Carrier::Wire(stream), timer, .. } = line else { return };
                return hand_over(switch, stream, early, site, timer).await;
            }
        }
        is_first = false;
    }
}

/// Lets a handler have the connection.
pub(super) async fn hand_over(switch: Switch, stream: Stream, early: Vec<u8>, site: Rc<Site>, timer: Timer) {
    timer.clear();
    let (ctx, _guard) = site.root.with_cancel();
    switch.0(Taken { stream, early, ctx, site: TakenFrom { site, timer } }).await;
}

/// How long a kept connection of a server that drains has for a last request: a client that had the answer to the one
/// before a moment ago may have sent the next, and an end would meet it half-way. It is answered with `Connection: close`.
const LAST_REQUEST_TIME: Duration = Duration::from_millis(100);

/// How much is read of what a client goes on to send after it was told that the connection ends, and for how long: a close
/// with unread bytes would be a reset, which can overtake the answer (RFC 9112 §9.6).
pub(super) const LINGER_BYTES_MAX: usize = 256 * 1024;
pub(super) const LINGER_TIME: Duration = Duration::from_secs(2);

impl Line {
    /// Whether a client in clear text, where that is allowed, begins with HTTP/2 (RFC 9113 §3.3). Both versions begin with
    /// a word that the other does not have. What was read is kept.
    async fn begins_with_preface(&mut self) -> bool {
        if !self.site.settings().h2c || self.peer.is_tls {
            return false;
        }
        poll_fn(|cx| {
            while let Some(rest) = PREFACE.strip_prefix(&*self.early) {
                let mut piece = [0; PREFACE.len()];
                let room = piece.get_mut(..rest.len()).unwrap_or_default();
                if room.is_empty() {
                    return Poll::Ready(true);
                }
                match self.stream.split().0.poll_read(cx, room) {
                    Poll::Ready(Ok(count @ 1..)) => {
                        self.early.extend_from_slice(piece.get(..count).unwrap_or_default());
                    }
                    // Whoever reads on finds that too.
                    Poll::Ready(_) => break,
                    Poll::Pending if self.site.is_stopping() => break,
                    Poll::Pending => return self.timer.poll_expired(cx).map(|()| false),
                }
            }
            Poll::Ready(false)
        })
        .await
    }

    /// Waits for the first byte of a request. False when the connection is over instead: the deadline of the first request
    /// goes on into its head.
    async fn wait(&mut self, is_first: bool) -> bool {
        let mut is_last_chance = false;
        poll_fn(|cx| {
            if self.site.is_stopping() {
                return Poll::Ready(false);
            }
            if !self.early.is_empty() || self.stream.poll_readable(cx).is_ready() {
                return Poll::Ready(true);
            }
            // A connection that has just been made has its own deadline for the request that is on its way.
            if self.site.is_draining() && !is_first && !is_last_chance {
                is_last_chance = true;
                self.timer.set(Instant::now() + LAST_REQUEST_TIME);
            }
            ready!(self.timer.poll_expired(cx));
            match (is_last_chance, is_first) {
                (true, _) => {}
                (false, true) => self.site.note(Reason::FirstRequestTimeout),
                (false, false) => self.site.note(Reason::IdleTimeout),
            }
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
