//! The task of a connection: it reads, has the codec judge, writes what all requests have to say.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;
use towpath_net::buffer::Buffers;
use towpath_net::time::{Sleep, sleep_until};
use towpath_proto::h2::ErrorCode;

use super::conn::{Conn, Look};
use super::group::Group;
use super::lost::Lost;
use super::pulse::{Pulse, Silence};
use crate::http::client::origin::OriginDialer;
use crate::http2::Wire;
use crate::pool::Held;

/// How long an origin may take over its first settings, over the acknowledgement of ours, and over the rest of a head. A head
/// that does not end lets nothing else through.
const HEAD_TIME: Duration = Duration::from_secs(10);

/// A connection that ends says so. How long that may take.
const END_TIME: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Driver {
    pub(super) conn: Arc<Conn>,
    pub(super) group: Arc<Group>,
    pub(super) wire: Wire,
    pub(super) buffers: Buffers,
    pub(super) born: Instant,
    pub(super) waits_for: Option<Wait>,
    /// Nothing is left but our last words.
    pub(super) is_over: bool,
    pub(super) sleep: Option<Sleep>,
    pub(super) pulse: Pulse,
    /// When something waited for room in the socket last.
    pub(super) blocked_at: Instant,
    pub(super) idle_timeout: Duration,
    pub(super) write_timeout: Duration,
    /// When it has lived long enough (P11).
    pub(super) old_from: Option<Instant>,
    /// Its place in the pool, free once the socket is closed (P2).
    pub(super) _held: Held<OriginDialer>,
}

/// What the deadline of the connection is about. Each request has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Its age; requests are under way.
    Age,
    /// Room to write this much more.
    Room { unsent: usize },
    /// The rest of a head, or the first settings.
    Head,
    /// The acknowledgement of our settings.
    Settings,
    /// The next request.
    Idle,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.is_over {
            let lost = ready!(self.poll_over(cx));
            self.conn.end(lost);
            self.group.remove(&self.conn);
            self.is_over = true;
            self.sleep = Some(sleep_until(Instant::now() + END_TIME));
        }
        // What was written but for the last words is what the origin knows of us.
        let Self { wire, conn, sleep, .. } = &mut *self;
        let ended = match wire.poll_write_from(cx, |sending| conn.take_output(sending)) {
            Poll::Ready(Ok(())) => wire.stream().split().1.poll_shutdown(cx).map(drop),
            Poll::Ready(Err(_)) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        };
        match (ended, sleep) {
            (Poll::Pending, Some(sleep)) => Pin::new(sleep).poll(cx),
            _ => Poll::Ready(()),
        }
    }
}

impl Drop for Driver {
    /// Also with its runtime.
    fn drop(&mut self) {
        self.conn.end(Lost::Gone(None));
        self.group.remove(&self.conn);
    }
}

impl Driver {
    /// Ready when the connection is over.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<Lost> {
        self.conn.attend(cx);
        loop {
            let Self { wire, conn, buffers, .. } = &mut *self;
            if let Poll::Ready(Err(_)) = wire.poll_write_from(cx, |sending| conn.take_output(sending)) {
                return Poll::Ready(Lost::Gone(None));
            }
            match wire.poll_read(cx, buffers) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Lost::Gone(None)),
                Poll::Ready(Ok(_)) => {
                    if let Err(lost) = self.take_in() {
                        return Poll::Ready(lost);
                    }
                }
                Poll::Pending => break,
            }
        }
        match self.poll_clock(cx) {
            Poll::Ready(lost) => Poll::Ready(lost),
            Poll::Pending => self.poll_pulse(cx),
        }
    }

    /// Asks an origin that is silent for a sign of life. Ready when it has given none.
    fn poll_pulse(&mut self, cx: &mut Context<'_>) -> Poll<Lost> {
        // A PING would stand behind all that, and there is a deadline for it.
        if self.wire.unsent() > 0 {
            self.blocked_at = Instant::now();
            return Poll::Pending;
        }
        let heard_at = self.conn.heard_at().max(self.blocked_at);
        match ready!(self.pulse.poll(heard_at, cx)) {
            Silence::Ask => {
                self.conn.ping();
                // Once more, to write that.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Silence::GiveUp => {
                self.wire.stream().reset_on_drop();
                Poll::Ready(Lost::Dead)
            }
        }
    }

    fn take_in(&mut self) -> Result<(), Lost> {
        let Some(mut input) = self.wire.take_input() else { return Ok(()) };
        let now_ms = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX);
        let judged = self.conn.take_in(now_ms, &mut input);
        self.wire.put_back(input, &self.buffers);
        judged.map_err(Lost::Connection)
    }

    /// Ends what is idle for too long, too slow, or of no more use.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Lost> {
        loop {
            let now = Instant::now();
            let look = self.conn.look();
            // Of no more use is one whose numbers are used up, too.
            let is_worn =
                self.old_from.is_some_and(|old_from| old_from <= now) || (look.is_idle && !look.can_open);
            if look.is_leaving {
                self.group.remove(&self.conn);
            } else if is_worn {
                self.conn.retire();
                continue;
            }
            if look.wants_close || (look.is_idle && look.is_leaving) {
                return Poll::Ready(self.part());
            }
            let waits_for = self.look_what_for(&look);
            if self.waits_for.replace(waits_for) != Some(waits_for) {
                self.sleep = self.deadline(waits_for, &look, now).map(sleep_until);
            }
            if waits_for == Wait::Idle {
                self.conn.rest();
                self.wire.rest();
                self.buffers = Buffers::default();
            }
            let Some(sleep) = &mut self.sleep else { return Poll::Pending };
            ready!(Pin::new(sleep).poll(cx));
            self.sleep = None;
            if let Some(lost) = self.expire(waits_for) {
                return Poll::Ready(lost);
            }
        }
    }

    fn look_what_for(&self, look: &Look) -> Wait {
        match self.wire.unsent() {
            unsent @ 1.. => Wait::Room { unsent },
            _ if look.is_inside_head => Wait::Head,
            _ if look.awaits_settings_ack => Wait::Settings,
            _ if look.is_idle => Wait::Idle,
            _ => Wait::Age,
        }
    }

    fn deadline(&self, waits_for: Wait, look: &Look, now: Instant) -> Option<Instant> {
        let old_from = self.old_from.filter(|_| !look.is_leaving);
        match waits_for {
            Wait::Room { .. } => now.checked_add(self.write_timeout),
            Wait::Head | Wait::Settings => Some(now + HEAD_TIME),
            Wait::Idle => [now.checked_add(self.idle_timeout), old_from].into_iter().flatten().min(),
            Wait::Age => old_from,
        }
    }

    /// What was waited for did not come. How the connection ends, if it does.
    fn expire(&mut self, waits_for: Wait) -> Option<Lost> {
        match waits_for {
            Wait::Age => None,
            Wait::Idle => self.conn.leave_if_idle().then(|| self.part()),
            Wait::Room { .. } => {
                self.wire.stream().reset_on_drop();
                Some(Lost::Silent("reading a request"))
            }
            Wait::Head => {
                self.conn.close(ErrorCode::EnhanceYourCalm);
                Some(Lost::Silent("a head"))
            }
            Wait::Settings => {
                self.conn.close(ErrorCode::SettingsTimeout);
                Some(Lost::Silent("the settings of HTTP/2"))
            }
        }
    }

    /// Says goodbye.
    fn part(&self) -> Lost {
        self.conn.close(ErrorCode::NoError);
        Lost::Gone(None)
    }
}
