//! Moves bytes both ways between two streams until both have ended.
//!
//! ```text
//!  downstream ── Flow up ──> upstream          a Flow: read ──> held ──> written, and the end after the last byte
//!             <── Flow down ──                 held is a borrowed buffer or a borrowed pipe, or nothing
//!                  │
//!                  └── borrows from the worker's Reserve, and gives back what is empty
//! ```
//!
//! **How bytes travel** follows from how many are pending. A flow starts with reads of 4 KiB into a borrowed buffer.
//! Reads that fill it make the next one four times as large; once 64 KiB were pending at once, bytes go by `splice(2)`
//! through a pipe and never enter this process. Small pieces lead back. Without pipes (all lent out, descriptors used
//! up, a transport that has none) buffers grow to 256 KiB instead.
//!
//! **What a slow reader costs**: while its socket is full, one buffer or the capacity of one pipe, per direction; and
//! no more is read for it. The buffers of a worker are bounded together by [`Limits::buffer_bytes_max`].
//!
//! **What an idle relay costs**: its own fields and two registered sockets. It holds neither buffer nor pipe.

mod buffers;
mod flow;
mod pipes;
mod reserve;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Instant;

use crate::stream::Stream;
use crate::timer::Timer;

pub use buffers::Size as BufferSize;
use flow::{Ends, Flow};
pub use reserve::{Counts, Limits, Reserve};

/// One of the two streams of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The client.
    Downstream,
    /// The endpoint.
    Upstream,
}

impl Side {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Self::Downstream => Self::Upstream,
            Self::Upstream => Self::Downstream,
        }
    }
}

/// Bytes that were read from one side and written to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// From the client to the endpoint, those given to [`Relay::send_first`] among them.
    pub from_downstream: u64,
    /// From the endpoint to the client.
    pub from_upstream: u64,
}

/// Why a relay is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Both sides ended their direction, and everything before it was passed on.
    Finished,
    /// This side reset the connection, or closed it while bytes were on their way to it.
    Reset(Side),
    /// The connection to this side failed otherwise: a host that has become unreachable, an exhausted system.
    Failed(Side, io::ErrorKind),
    /// No byte moved in either direction for the time allowed.
    Idle,
}

/// The result of a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Why it is over.
    pub reason: Reason,
    /// What it moved.
    pub bytes: Bytes,
}

/// Two streams joined. As a future it does the work; it may be dropped at any time, which closes both.
///
/// An end is passed on in its direction after all before it, and the other direction goes on. A reset is passed on as
/// a reset, since an end would tell the other side that it got everything; but what the resetting side had sent
/// before, such as an answer to a request it read only in part, is delivered first.
#[derive(Debug)]
#[must_use = "futures do nothing unless awaited"]
pub struct Relay {
    downstream: Stream,
    upstream: Stream,
    up: Flow,
    down: Flow,
    /// The fault that ended one flow while the other still had something to deliver.
    fault: Option<Fault>,
    idle: Option<Duration>,
    timer: Timer,
    reserve: Rc<Reserve>,
}

/// A side that failed.
#[derive(Clone, Copy, Debug)]
struct Fault {
    side: Side,
    kind: io::ErrorKind,
}

impl Relay {
    /// Joins the streams, both registered with this thread's event loop. `timer` is this relay's alone from now on:
    /// a deadline it had is taken away.
    pub fn new(downstream: Stream, upstream: Stream, reserve: &Rc<Reserve>, timer: Timer) -> Self {
        timer.clear();
        let splices = matches!((&downstream, &upstream), (Stream::Socket(_), Stream::Socket(_)));
        Self {
            downstream,
            upstream,
            up: Flow::new(splices),
            down: Flow::new(splices),
            fault: None,
            idle: None,
            timer,
            reserve: Rc::clone(reserve),
        }
    }

    /// Ends the relay with [`Reason::Idle`] when no byte was written to either side for `idle`. Without it a relay
    /// of two silent peers lives as long as they do.
    pub fn idle_after(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self.timer.set(Instant::now() + idle);
        self
    }

    /// Has `bytes`, which came from `side` or stand for it, written to the other side before anything else: what a
    /// sniffer has read, a PROXY header and then that, or what came too early. None or one buffer full; replaces bytes
    /// given before.
    pub fn send_first(mut self, side: Side, bytes: Vec<u8>) -> Self {
        self.flow_from(side).send_first(bytes);
        self
    }

    /// What was moved so far.
    pub fn bytes(&self) -> Bytes {
        Bytes { from_downstream: self.up.delivered(), from_upstream: self.down.delivered() }
    }

    /// Cuts both connections with a reset, as when the time of a drain is over: neither side shall take it for an
    /// end.
    pub fn reset(self) {
        self.downstream.reset_on_drop();
        self.upstream.reset_on_drop();
    }

    fn flow_from(&mut self, side: Side) -> &mut Flow {
        match side {
            Side::Downstream => &mut self.up,
            Side::Upstream => &mut self.down,
        }
    }

    fn stream(&self, side: Side) -> &Stream {
        match side {
            Side::Downstream => &self.downstream,
            Side::Upstream => &self.upstream,
        }
    }

    /// Moves what can be moved now in the direction that begins at `side`.
    fn poll_flow(&mut self, cx: &mut Context<'_>, side: Side) -> Result<(), Fault> {
        let is_last = self.flow_from(side.other()).is_passed_on();
        let (flow, from, to) = match side {
            Side::Downstream => (&mut self.up, &mut self.downstream, &mut self.upstream),
            Side::Upstream => (&mut self.down, &mut self.upstream, &mut self.downstream),
        };
        match flow.poll(cx, from, to, &self.reserve, is_last) {
            Err(flow::Fault::Read(kind)) => Err(Fault { side, kind }),
            Err(flow::Fault::Write(kind)) => self.outlive(Fault { side: side.other(), kind }),
            Ok(()) => Ok(()),
        }
    }

    /// A side takes nothing more; what it has sent may still wait to be read, so the direction that begins there goes
    /// on to its end.
    fn outlive(&mut self, fault: Fault) -> Result<(), Fault> {
        if self.fault.is_some() {
            return Err(fault);
        }
        self.fault = Some(fault);
        let is_clean = fault.kind == io::ErrorKind::BrokenPipe;
        // The failed write took the error that a read would have found after the last byte. A reset after the peer's
        // end is EPIPE (tcp_reset() in the state CLOSE-WAIT); any other leaves an end that is none.
        self.flow_from(fault.side).set_ends(if is_clean { Ends::PassedOn } else { Ends::Withheld });
        let reserve = Rc::clone(&self.reserve);
        self.flow_from(fault.side.other()).give_up(&reserve);
        Ok(())
    }

    /// Ends with `fault`. A side that was promised more than it got is told by a reset.
    fn fail(&mut self, fault: Fault) -> Reason {
        if !self.flow_from(fault.side).is_passed_on() {
            self.stream(fault.side.other()).reset_on_drop();
        }
        match fault.kind {
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected => Reason::Reset(fault.side),
            kind => Reason::Failed(fault.side, kind),
        }
    }

    /// Ends because nothing moves. What is held was promised to a side that has not taken it.
    fn time_out(&mut self) -> Reason {
        for side in [Side::Downstream, Side::Upstream] {
            if self.flow_from(side).is_holding() {
                self.stream(side.other()).reset_on_drop();
            }
        }
        Reason::Idle
    }

    fn poll_reason(&mut self, cx: &mut Context<'_>) -> Poll<Reason> {
        let before = self.progress();
        for side in [Side::Downstream, Side::Upstream] {
            if let Err(fault) = self.poll_flow(cx, side) {
                // The first fault is the cause of those that follow.
                let first = self.fault.unwrap_or(fault);
                return Poll::Ready(self.fail(first));
            }
        }
        if self.up.is_over() && self.down.is_over() {
            return Poll::Ready(match self.fault {
                None => Reason::Finished,
                Some(fault) => self.fail(fault),
            });
        }
        let Some(idle) = self.idle else { return Poll::Pending };
        if self.progress() != before {
            self.timer.set(Instant::now() + idle);
        }
        self.timer.poll_expired(cx).map(|()| self.time_out())
    }

    /// A number that grows with every byte written and every end passed on.
    fn progress(&self) -> u64 {
        let ends = u64::from(self.up.is_over()) + u64::from(self.down.is_over());
        self.up.delivered().wrapping_add(self.down.delivered()).wrapping_add(ends)
    }
}

impl Future for Relay {
    type Output = Closed;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Closed> {
        let this = self.get_mut();
        this.poll_reason(cx).map(|reason| Closed { reason, bytes: this.bytes() })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.up.release(&self.reserve);
        self.down.release(&self.reserve);
    }
}

#[cfg(test)]
mod tests;
