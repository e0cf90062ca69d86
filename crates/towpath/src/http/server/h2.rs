//! HTTP/2: one task for a connection, and one for each of its requests.
//!
//! ```text
//!  socket <──> Driver ──bytes──> Mux ──> Lane <── Exchange: the same that serves HTTP/1
//!                                 └── head ──> adopted by the decoder of HTTP/1
//! ```
//!
//! The codec applies the rules of HTTP/1.1 to every head, so that its decoder can take one over as if it had read it; a
//! body comes out of a [`Lane`] in chunks. What is left is a head, data and trailers on the way out.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use ::http::StatusCode;
use tokio::task::spawn_local;
use tokio::time::Instant;
use towpath_net::buffer::Buffer;
use towpath_net::timer::Timer;
use towpath_proto::h2::{Config, ErrorCode, Event, Role, StreamFault, StreamId};
use towpath_proto::message::{Framing, Method};

use super::Reason;
use super::connection::{Carrier, LINGER_BYTES_MAX, LINGER_TIME, Line, hand_over};
use super::exchange::{After, Exchange};
use super::site::{Site, Spare};
use crate::http::request::Peer;
use crate::http2::{Lane, Mux, Wire, carry, take_in};
use crate::serving::Place;

/// How long a client without requests may take to read that the connection ends: a few round trips. One that is on its
/// way meanwhile is served.
const LEAVE_TIME: Duration = Duration::from_secs(1);

/// What all streams of a connection share.
struct Front {
    site: Rc<Site>,
    mux: Rc<Mux>,
    peer: Arc<Peer>,
    since: Instant,
    /// Requests may outlive the connection by a little, and a drain waits for them too.
    _seat: Place,
}

/// The task of a connection: it reads, has the codec judge, begins requests, writes what all of them have to say.
struct Driver {
    front: Rc<Front>,
    wire: Wire,
    timer: Timer,
    /// Memory for the block of the next head.
    block: Vec<u8>,
    /// No request has begun.
    is_first: bool,
    waits_for: Wait,
    phase: Phase,
}

/// How far the connection has come.
///
/// ```text
///   Serve ──a drain, its age──> Leave ──idle──> Close ──written──> Linger ──> over
///     └── a fault, a deadline, the client's end ──────^
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serve,
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
    /// The end of a connection that the client was told to leave.
    Leave,
    /// Room to write this much more (T15).
    Room { unsent: usize },
    /// The end.
    End,
    /// Nothing: requests are under way.
    Nothing,
}

/// Serves a connection to its end.
pub(super) fn serve(line: Line, seat: Place) -> impl Future<Output = ()> {
    let Line { site, stream, timer, peer, since, early } = line;
    let limits = &site.settings().limits;
    let config = Config {
        head: limits.head(),
        streams_count_max: usize::try_from(limits.streams).unwrap_or(usize::MAX),
        accepts_connect_protocol: true,
        ..Config::default()
    };
    let mux = Mux::new(Role::Server, config);
    let driver = match stream {
        Carrier::Wire(stream) => Some(Driver {
            wire: Wire::new(stream, &early, &site.buffers),
            front: Rc::new(Front { site, mux, peer, since, _seat: seat }),
            timer,
            block: Vec::new(),
            is_first: true,
            waits_for: Wait::First,
            phase: Phase::Serve,
        }),
        // A stream carries no connection.
        Carrier::Lane(_) => None,
    };
    async move {
        if let Some(driver) = driver {
            driver.await;
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_over(cx)
    }
}

impl Drop for Driver {
    /// Requests hear that nobody is there, whatever has ended the connection.
    fn drop(&mut self) {
        self.front.mux.end_all();
    }
}

impl Driver {
    /// Ready when the connection is over.
    fn poll_over(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.front.mux.attend(cx);
        self.take_in();
        if self.front.site.is_stopping() {
            // Requests are answered now. No other is taken, and with the last of them the connection ends.
            self.front.mux.with(|codec| codec.finish_drain());
        }
        while !matches!(self.phase, Phase::Linger { .. }) {
            let written = self.wire.poll_write(cx, &self.front.mux);
            if matches!(written, Poll::Ready(Err(_))) {
                return Poll::Ready(());
            }
            if self.phase == Phase::Close || self.front.mux.with(|codec| codec.wants_close()) {
                ready!(self.poll_end(cx, written.is_ready()));
                continue;
            }
            match self.poll_read(cx) {
                Poll::Ready(Ok(0)) => self.close(),
                Poll::Ready(Ok(_)) => self.take_in(),
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => return self.poll_clock(cx),
            }
        }
        self.poll_linger(cx)
    }

    /// Ends our side, once everything is written.
    fn poll_end(&mut self, cx: &mut Context<'_>, is_written: bool) -> Poll<()> {
        if self.waits_for != Wait::End {
            self.waits_for = Wait::End;
            self.timer.set(Instant::now() + LINGER_TIME);
        }
        let ended = if is_written { self.wire.stream().split().1.poll_shutdown(cx) } else { Poll::Pending };
        if ended.is_pending() && !self.front.site.is_stopping() {
            ready!(self.timer.poll_expired(cx));
        }
        self.phase = Phase::Linger { discarded: 0 };
        Poll::Ready(())
    }

    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Phase::Linger { discarded } = self.phase
            && discarded < LINGER_BYTES_MAX
            && !self.front.site.is_stopping()
        {
            match self.poll_read(cx) {
                Poll::Ready(Ok(0) | Err(_)) => break,
                Poll::Ready(Ok(count)) => {
                    self.wire.discard(&self.front.site.buffers);
                    self.phase = Phase::Linger { discarded: discarded + count };
                }
                Poll::Pending => return self.timer.poll_expired(cx),
            }
        }
        Poll::Ready(())
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.wire.poll_read(cx, &self.front.site.buffers)
    }

    /// Has the codec judge what came, and does what follows.
    fn take_in(&mut self) {
        let front = Rc::clone(&self.front);
        let Some(mut input) = self.wire.take_input() else { return };
        let now_ms = u64::try_from(front.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let judged = take_in(&front.mux, now_ms, &mut input, |event, input| self.follow(event, input));
        self.wire.put_back(input, &front.site.buffers);
        // The codec has told the client what it did wrong.
        if judged.is_err() {
            front.site.note(Reason::BadRequest);
            self.wire.discard(&front.site.buffers);
            self.close();
        }
    }

    fn follow(&mut self, event: Event, input: &[u8]) {
        match event {
            Event::Head { stream, end } => self.begin(stream, end),
            Event::Refused { stream, fault } => self.refuse(stream, fault),
            Event::Reset { stream, .. } => match self.front.mux.lane(stream) {
                Some(lane) => lane.lose(false),
                // No request was made of it.
                None => self.front.mux.finish(stream),
            },
            event => self.front.mux.follow(event, input),
        }
    }

    /// Begins a request.
    fn begin(&mut self, stream: StreamId, end: bool) {
        self.is_first = false;
        drop(spawn_local(begin(&self.front, &mut self.block, stream, end)));
    }

    /// Answers a request that is well-formed and not taken, as HTTP/1 answers one whose head is none.
    fn refuse(&mut self, stream: StreamId, fault: StreamFault) {
        let mux = &self.front.mux;
        if !fault.is_answerable() {
            return mux.finish(stream);
        }
        drop(spawn_local(refuse(Rc::clone(&self.front), Held(mux.open(stream, Framing::None)), fault)));
    }

    fn close(&mut self) {
        self.phase = Phase::Close;
        self.front.mux.end_all();
    }
}

/// Deadlines and the graceful end.
impl Driver {
    /// Sets the deadline for what is waited for. Ready when it has passed and nothing can be said any more.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.look_for_end() {
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
            Phase::Leave if is_idle => Wait::Leave,
            _ if self.is_first => Wait::First,
            _ if is_inside_head => Wait::Head,
            _ if awaits_ack => Wait::Settings,
            _ if is_idle => Wait::Idle,
            _ => Wait::Nothing,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let timeouts = &self.front.site.settings().timeouts;
        let span = match self.waits_for {
            Wait::First => return Some(self.front.since + timeouts.first_request),
            Wait::Head | Wait::Settings => timeouts.header,
            Wait::Idle => timeouts.idle,
            Wait::Leave => LEAVE_TIME,
            Wait::Room { .. } => timeouts.write_idle,
            Wait::End | Wait::Nothing => return None,
        };
        Some(Instant::now() + span)
    }

    /// What was waited for did not come.
    fn expire(&mut self, cx: &Context<'_>) -> Poll<()> {
        let reason = match self.waits_for {
            Wait::First => Some(Reason::FirstRequestTimeout),
            Wait::Head | Wait::Settings => Some(Reason::HeaderTimeout),
            Wait::Room { .. } => Some(Reason::WriteTimeout),
            Wait::Idle => Some(Reason::IdleTimeout),
            Wait::Leave | Wait::End | Wait::Nothing => None,
        };
        reason.into_iter().for_each(|reason| self.front.site.note(reason));
        let code = match self.waits_for {
            Wait::First => return Poll::Ready(()),
            Wait::Room { .. } => {
                self.wire.stream().reset_on_drop();
                return Poll::Ready(());
            }
            Wait::Head => ErrorCode::EnhanceYourCalm,
            Wait::Settings => ErrorCode::SettingsTimeout,
            Wait::Idle | Wait::Leave | Wait::End | Wait::Nothing => ErrorCode::NoError,
        };
        self.front.mux.with(|codec| codec.close(code));
        self.close();
        // Once more, to write that.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// A drain, or its age, has the connection end: at once if it is idle, else behind the requests under way. True when
    /// there is something to be written now.
    fn look_for_end(&mut self) -> bool {
        let Front { site, mux, since, .. } = &*self.front;
        let is_due = || site.is_draining() || since.elapsed() >= site.settings().timeouts.connection_age;
        // One that has just been made may have a request on its way.
        if self.phase != Phase::Serve || self.is_first || !is_due() {
            return false;
        }
        if mux.with(|codec| codec.streams_count()) == 0 {
            mux.with(|codec| codec.close(ErrorCode::NoError));
            self.close();
        } else {
            mux.with(|codec| codec.start_drain());
            self.phase = Phase::Leave;
        }
        true
    }
}

/// A stream whose place is free once this is dropped.
struct Held(Rc<Lane>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// Opens the stream of a request whose head the codec has just reported, and gives what answers it. `block` is memory.
fn begin(
    front: &Rc<Front>,
    block: &mut Vec<u8>,
    stream: StreamId,
    end: bool,
) -> impl Future<Output = ()> + use<> {
    let Front { site, mux, .. } = &**front;
    let mut spare = site.take_spare();
    spare.decoder.adopt(|head| {
        mux.with(|codec| codec.swap_request(head, block));
        // RFC 8441 §5: what an extended CONNECT asks for, HTTP/1.1 asks for by GET and `Upgrade`.
        if let Some(protocol) = head.protocol.take() {
            (head.method, head.upgrade) = (Method::Get, Some(protocol));
        }
    });
    let framing = spare.decoder.head().framing;
    let mut buffer = if end { site.buffers.take_small() } else { site.buffers.take() };
    buffer.push(block);
    let held = Held(mux.open(stream, framing));
    if end && framing != Framing::None {
        held.0.take_end(None);
    }
    let head_bytes = buffer.len();
    answer(Rc::clone(front), held, spare, buffer, head_bytes)
}

/// Answers the request whose head the decoder has adopted: the first `head_bytes` of `buffer`.
async fn answer(front: Rc<Front>, held: Held, spare: Spare, buffer: Buffer, head_bytes: usize) {
    let mut line = line_of(&front, &held);
    let after = Exchange::adopted(&mut line, spare, buffer).run_once(head_bytes).await;
    if let After::Switched(switch, early) = after {
        let Line { site, timer, .. } = line;
        let (stream, moving) = carry(Rc::clone(&held.0), &site);
        let moving = spawn_local(moving);
        hand_over(switch, stream, early, site, timer).await;
        // The last bytes are on their way.
        let _ = moving.await;
    }
}

async fn refuse(front: Rc<Front>, held: Held, fault: StreamFault) {
    let mut line = line_of(&front, &held);
    let (spare, buffer) = (front.site.take_spare(), front.site.buffers.take_small());
    let status = StatusCode::from_u16(fault.status()).unwrap_or(StatusCode::BAD_REQUEST);
    let why = fault.to_string();
    front.site.note(Reason::of_head(status));
    Exchange::adopted(&mut line, spare, buffer).run_refusal(status, &why).await;
}

fn line_of(front: &Front, held: &Held) -> Line {
    Line {
        site: Rc::clone(&front.site),
        stream: Carrier::Lane(Rc::clone(&held.0)),
        timer: front.site.timers.register(),
        peer: Arc::clone(&front.peer),
        since: front.since,
        early: Vec::new(),
    }
}

#[cfg(test)]
pub(super) mod tests;
