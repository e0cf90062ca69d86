//! The task of an HTTP/2 connection: it reads, has the codec judge, begins requests, writes what all of them have to say.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath::http2::{Wire, take_in};
use towpath_net::timer::Timer;
use towpath_proto::h2::{ErrorCode, Event, StreamFault, StreamId};
use towpath_proto::message::Framing;
use towpath_telemetry::metrics::CloseReason;

use super::Front;
use super::request::Request;
use crate::accept::{Arrival, Seat};
use crate::error::Reason;
use crate::http::{LINGER_BYTES_MAX, LINGER_TIME};

pub(super) struct Driver {
    front: Rc<Front>,
    seat: Seat,
    wire: Wire,
    timer: Timer,
    /// Memory for the block of the next head.
    block: Vec<u8>,
    since: Instant,
    /// No request has begun.
    is_first: bool,
    waits_for: Wait,
    phase: Phase,
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serve,
    /// A drain has given it its time to go, unless a request comes before.
    Drain,
    /// The client has been told to go, and what it asks until it has read that is answered.
    Leave,
    /// What is left is written, then it ends.
    Close,
    /// Our side has ended. What the client still sends is discarded for a while: a close with unread bytes would reset
    /// the connection, and the reset could overtake the last frames.
    Linger {
        discarded: usize,
    },
}

/// What the deadline of the connection is about. Each request has one of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// The first request: since the connection was accepted (T31).
    First,
    /// The rest of a head, or of the first words (T39).
    Head,
    /// The acknowledgement of our settings (T15).
    Settings,
    /// The next request.
    Idle,
    /// A drain's time to go.
    Drain,
    /// Room to write this much more (T15).
    Room { unsent: usize },
    /// The end.
    End,
    /// Nothing: requests are under way.
    Nothing,
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let reason = ready!(self.poll_over(cx));
        self.seat.reason = reason;
        self.front.mux.end_all();
        Poll::Ready(())
    }
}

impl Driver {
    pub(super) fn new(arrival: Arrival, front: Rc<Front>) -> Self {
        let Arrival { seat, stream, timer, early, since, .. } = arrival;
        let wire = Wire::new(stream, &early, &front.worker.buffers);
        Self {
            front,
            seat,
            wire,
            timer,
            block: Vec::new(),
            since,
            is_first: true,
            waits_for: Wait::First,
            phase: Phase::Serve,
        }
    }

    /// Ready when the connection is over, and why it is.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        self.front.mux.attend(cx);
        self.take_in();
        while !matches!(self.phase, Phase::Linger { .. }) {
            let written = self.wire.poll_write(cx, &self.front.mux);
            if let Poll::Ready(Err(_)) = written {
                return Poll::Ready(CloseReason::Reset);
            }
            if self.is_done() {
                ready!(self.poll_end(cx, written.is_ready()));
                continue;
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => self.close(CloseReason::Client),
                Poll::Ready(Ok(_)) => self.take_in(),
                Poll::Ready(Err(_)) => return Poll::Ready(CloseReason::Reset),
                Poll::Pending => return self.poll_clock(cx),
            }
        }
        self.poll_linger(cx)
    }

    /// Ends our side, once everything is written.
    fn poll_end(&mut self, cx: &mut Context<'_>, is_written: bool) -> Poll<()> {
        if self.waits_for != Wait::End {
            self.waits_for = Wait::End;
            self.timer.set(self.front.worker.clock().get() + LINGER_TIME);
        }
        let ended = if is_written { self.wire.stream().split().1.poll_shutdown(cx) } else { Poll::Pending };
        if ended.is_pending() {
            ready!(self.timer.poll_expired(cx));
        }
        self.phase = Phase::Linger { discarded: 0 };
        Poll::Ready(())
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        while let Phase::Linger { discarded } = self.phase
            && discarded < LINGER_BYTES_MAX
        {
            match self.poll_read(cx) {
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(count)) => {
                    self.wire.discard(&self.front.worker.buffers);
                    self.phase = Phase::Linger { discarded: discarded + count };
                }
                Poll::Pending => {
                    ready!(self.timer.poll_expired(cx));
                    break;
                }
            }
        }
        Poll::Ready(self.seat.reason)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let worker = &self.front.worker;
        let count = ready!(self.wire.poll_read(cx, &worker.buffers))?;
        worker.clock().set(Instant::now());
        Poll::Ready(Ok(count))
    }

    /// Has the codec judge what came, and does what follows.
    fn take_in(&mut self) {
        let front = Rc::clone(&self.front);
        let Some(mut input) = self.wire.take_input() else { return };
        let now_ms = front.worker.now_us() / 1000;
        let judged = take_in(&front.mux, now_ms, &mut input, |event, input| self.follow(event, input));
        self.wire.put_back(input, &front.worker.buffers);
        if let Err(error) = judged {
            self.wire.discard(&front.worker.buffers);
            self.fail(reason_of(error.reason()));
        }
    }

    fn follow(&mut self, event: Event, input: &[u8]) {
        match event {
            Event::Head { stream, end } => self.begin(stream, end),
            Event::Refused { stream, fault } => self.refuse(stream, fault),
            Event::Reset { stream, fault, .. } => self.lose(stream, fault),
            // A client that leaves opens nothing more. What it has opened is answered.
            Event::GoAway { .. } => self.seat.reason = CloseReason::Client,
            event => self.front.mux.follow(event, input),
        }
    }

    /// Begins a request.
    fn begin(&mut self, stream: StreamId, end: bool) {
        self.is_first = false;
        let Front { worker, listener, mux, .. } = &*self.front;
        let mut busy = worker.take_busy(&listener.plan());
        let framing = mux.with(|codec| {
            busy.adopt(&worker.buffers, end, &mut self.block, |head, block| codec.swap_request(head, block))
        });
        let lane = mux.open(stream, framing);
        if end && framing != Framing::None {
            lane.take_end(None);
        }
        drop(spawn_local(Request::new(&self.front, lane, busy)));
    }

    /// Answers a request that is well-formed and not taken, as HTTP/1 answers one whose head is none.
    fn refuse(&mut self, stream: StreamId, fault: StreamFault) {
        let reason = reason_of(fault.reason());
        let Front { worker, listener, mux, .. } = &*self.front;
        if !fault.is_answerable() {
            self.count(reason);
            return mux.finish(stream);
        }
        let (lane, busy) = (mux.open(stream, Framing::None), worker.take_busy(&listener.plan()));
        drop(spawn_local(Request::refused(&self.front, lane, busy, reason)));
    }

    /// The stream was reset, by the client or for what it did.
    fn lose(&self, stream: StreamId, fault: Option<StreamFault>) {
        fault.into_iter().for_each(|fault| self.count(reason_of(fault.reason())));
        match self.front.mux.lane(stream) {
            Some(lane) => lane.lose(false),
            // No request was made of it.
            None => self.front.mux.finish(stream),
        }
    }

    fn count(&self, reason: Reason) {
        self.front.worker.counters().refuse(reason.index() as u8);
    }

    /// The connection ends for a fault of the client's, which the codec has told it.
    fn fail(&mut self, reason: Reason) {
        self.count(reason);
        self.close(CloseReason::Protocol);
    }

    fn close(&mut self, reason: CloseReason) {
        self.phase = Phase::Close;
        self.seat.reason = reason;
        self.front.mux.end_all();
    }

    /// Whether nothing is left to be done but to write.
    fn is_done(&self) -> bool {
        self.phase == Phase::Close || self.front.mux.with(|codec| codec.wants_close())
    }
}

/// What the codec calls a fault, as the gateway counts it.
fn reason_of(code: &str) -> Reason {
    Reason::from_code(code).unwrap_or(Reason::Internal)
}

/// Deadlines and drains.
impl Driver {
    /// Sets the deadline for what is waited for. Ready, with the reason, when it has passed and that ends the connection.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<CloseReason> {
        if self.look_for_drain() {
            // Once more, to write that.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let waits_for = self.look_what_for();
        if waits_for != self.waits_for {
            self.waits_for = waits_for;
            match self.deadline() {
                Some(deadline) => self.timer.set(deadline),
                None => self.timer.clear(),
            }
            if waits_for == Wait::Idle {
                self.front.mux.rest();
                self.wire.rest();
                self.block = Vec::new();
            }
        }
        ready!(self.timer.poll_expired(cx));
        self.expire(cx)
    }

    fn look_what_for(&self) -> Wait {
        let unsent = self.wire.unsent();
        let (is_inside_head, awaits_ack, is_idle) = self
            .front
            .mux
            .with(|codec| (codec.is_inside_head(), codec.awaits_settings_ack(), codec.streams_count() == 0));
        match self.phase {
            _ if unsent > 0 => Wait::Room { unsent },
            Phase::Drain | Phase::Leave if is_idle => Wait::Drain,
            _ if self.is_first => Wait::First,
            _ if is_inside_head => Wait::Head,
            _ if awaits_ack => Wait::Settings,
            _ if is_idle => Wait::Idle,
            _ => Wait::Nothing,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let (plan, now) = (self.front.listener.plan(), self.front.worker.clock().get());
        let settings = &plan.settings;
        match self.waits_for {
            Wait::First => Some(self.since + settings.first_request_timeout),
            Wait::Head | Wait::Settings => Some(now + settings.header_timeout),
            Wait::Idle => Some(now + settings.idle_timeout),
            Wait::Drain => Some(now + self.front.worker.drain_delay()),
            Wait::Room { .. } => Some(now + settings.write_idle_timeout),
            Wait::End | Wait::Nothing => None,
        }
    }

    /// What was waited for did not come.
    fn expire(&mut self, cx: &Context<'_>) -> Poll<CloseReason> {
        let mux = &self.front.mux;
        let (code, reason, close) = match self.waits_for {
            Wait::First => return Poll::Ready(CloseReason::Timeout),
            Wait::Room { .. } => {
                self.count(Reason::ClientWriteTimeout);
                self.wire.stream().reset_on_drop();
                return Poll::Ready(CloseReason::Timeout);
            }
            Wait::Head => (ErrorCode::EnhanceYourCalm, Some(Reason::HeaderTimeout), CloseReason::Timeout),
            Wait::Settings => {
                (ErrorCode::SettingsTimeout, Some(Reason::H2SettingsTimeout), CloseReason::Timeout)
            }
            Wait::Drain => (ErrorCode::NoError, None, CloseReason::Drain),
            Wait::Idle | Wait::End | Wait::Nothing => (ErrorCode::NoError, None, CloseReason::Idle),
        };
        mux.with(|codec| codec.close(code));
        reason.into_iter().for_each(|reason| self.count(reason));
        self.close(close);
        // Once more, to write that.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A drain, or a limit, has connections end. One with requests under way says so at once and ends behind them; idle
    /// ones go by and by, or with their next request. True when there is something to be written now.
    fn look_for_drain(&mut self) -> bool {
        let (worker, mux) = (&self.front.worker, &self.front.mux);
        let is_pressed = worker.is_pressed() || self.front.listener.is_pressed();
        let is_idle = mux.with(|codec| codec.streams_count()) == 0;
        if is_pressed && is_idle && !self.is_first && self.phase == Phase::Serve {
            mux.with(|codec| codec.close(ErrorCode::NoError));
            self.close(CloseReason::Limit);
            return true;
        }
        if !worker.is_draining() || !matches!(self.phase, Phase::Serve | Phase::Drain) {
            return false;
        }
        if is_idle {
            self.phase = Phase::Drain;
            return false;
        }
        self.phase = Phase::Leave;
        mux.with(|codec| codec.start_drain());
        self.seat.reason = CloseReason::Drain;
        true
    }
}
