//! One end of an open WebSocket.

use std::fmt;
use std::future::{Future as _, poll_fn};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use tokio::time::Instant;
use towpath_net::Stream;
use towpath_net::time::{Sleep, sleep_until};
use towpath_proto::ws::{
    Close, CloseCode, Closing, ControlMeter, Decoder, Deflate, Encoder, Event, Kind, MaskKey, Role,
};

use super::error::{self, Error};
use super::{Message, Options};
use crate::Ctx;

/// Bytes that one read may bring.
const READ_BYTES: usize = 16 * 1024;

/// Unsent bytes behind which nothing more is read: a peer that does not read its pongs gets no further ones.
const UNSENT_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a message behind which a new frame begins: peers bound a frame, we at 1 MiB, and not all of them so high.
const FRAME_BYTES_MAX: usize = 256 * 1024;

/// What a socket keeps of the memory for what it sends.
const OUT_BYTES_KEPT: usize = 4 * 1024;

/// An open WebSocket. It holds no buffer while nothing comes.
///
/// Pings are answered, and a silent peer is asked for a sign of life, while [`recv`](Self::recv) waits.
pub struct Socket {
    stream: Stream,
    role: Role,
    decoder: Decoder,
    encoder: Encoder,
    /// What came and was not judged, from `start` on.
    input: Vec<u8>,
    start: usize,
    inflated: Vec<u8>,
    /// The message that is coming.
    message: Option<(Kind, Vec<u8>)>,
    /// Frames, of which `written` bytes are sent.
    out: Vec<u8>,
    written: usize,
    closing: Closing,
    /// What the peer has closed with.
    close: Option<Close>,
    /// Nothing can be read or written any more.
    is_broken: bool,
    meter: ControlMeter,
    keys: Keys,
    clock: Clock,
    leave: Option<Arc<Leave>>,
    protocol: Option<String>,
    is_compressed: bool,
}

/// What is waited for, and until when.
struct Clock {
    options: Options,
    since: Instant,
    /// When the peer was heard, and when it was asked for a sign of life since.
    heard: Instant,
    asked: Option<Instant>,
    /// When the last unsent bytes made progress.
    wrote: Instant,
    closed: Option<Instant>,
    /// The wait that was begun: no later than what is waited for.
    sleep: Option<(Instant, Sleep)>,
}

/// Says that a socket is to be closed because its server stops.
#[derive(Default)]
pub(super) struct Leave {
    is_due: AtomicBool,
    waiting: Mutex<Option<Waker>>,
}

impl Leave {
    pub(super) fn tell(&self) {
        self.is_due.store(true, Ordering::Release);
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        waiting.into_iter().for_each(Waker::wake);
    }

    fn poll_due(&self, cx: &Context<'_>) -> bool {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        self.is_due.load(Ordering::Acquire)
    }
}

/// Mask keys that nobody can foretell (§5.3): a keyed hash of a number, whose key the system gave.
struct Keys(RandomState, u64);

impl Keys {
    fn next(&mut self) -> MaskKey {
        self.1 += 1;
        (self.0.hash_one(self.1) as u32).to_ne_bytes()
    }
}

/// What an end begins with.
pub(super) struct Opened {
    pub(super) role: Role,
    pub(super) stream: Stream,
    /// What the peer has sent behind its handshake.
    pub(super) early: Vec<u8>,
    pub(super) deflate: Option<Deflate>,
    pub(super) protocol: Option<String>,
    pub(super) leave: Option<Arc<Leave>>,
}

impl Socket {
    pub(super) fn new(opened: Opened, options: &Options) -> Self {
        let Opened { role, stream, early, deflate, protocol, leave } = opened;
        let now = Instant::now();
        Self {
            stream,
            role,
            decoder: Decoder::new(role, options.limits, deflate.as_ref()),
            encoder: Encoder::new(role, deflate.as_ref()),
            input: early,
            start: 0,
            inflated: Vec::new(),
            message: None,
            out: Vec::new(),
            written: 0,
            closing: Closing::default(),
            close: None,
            is_broken: false,
            meter: ControlMeter::default(),
            keys: Keys(RandomState::new(), 0),
            clock: Clock {
                options: options.clone(),
                since: now,
                heard: now,
                asked: None,
                wrote: now,
                closed: None,
                sleep: None,
            },
            leave,
            protocol,
            is_compressed: deflate.is_some(),
        }
    }

    /// The subprotocol that was agreed on.
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// Whether permessage-deflate was agreed on (RFC 7692).
    pub fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// The code that the peer closed with, if it did and gave one.
    pub fn close_code(&self) -> Option<CloseCode> {
        self.close.and_then(|close| close.code())
    }

    /// The reason that the peer closed with.
    pub fn close_reason(&self) -> &str {
        self.close.as_ref().map_or("", Close::reason)
    }

    /// The next message; `None` once the peer has closed, and was answered. *Cancel-safe*.
    ///
    /// # Errors
    /// The peer broke a rule or a limit, which it is told; it went without a closing handshake, or gave no sign of life; `ctx`
    /// was done.
    pub async fn recv(&mut self, ctx: &Ctx) -> Result<Option<Message>, Error> {
        ctx.run(poll_fn(|cx| self.poll_message(cx))).await?
    }

    /// Sends a message, and waits until the system has all of it. *Cancel-safe*: a message whose sending has begun goes out
    /// whole with what is called next on the socket.
    ///
    /// # Errors
    /// The socket is closed, the peer has gone or takes nothing, or `ctx` was done.
    pub async fn send(&mut self, ctx: &Ctx, message: impl Into<Message>) -> Result<(), Error> {
        ctx.check()?;
        self.look_for_leave(|leave| leave.is_due.load(Ordering::Acquire));
        if self.is_broken || !self.closing.may_send() {
            return Err(Error::new(error::Kind::Closed));
        }
        let message = message.into();
        let (kind, payload) = match &message {
            Message::Text(text) => (Kind::Text, text.as_bytes()),
            Message::Binary(bytes) => (Kind::Binary, &bytes[..]),
        };
        self.clock.wrote = Instant::now();
        let mut rest = payload;
        loop {
            let (piece, later) = rest.split_at(rest.len().min(FRAME_BYTES_MAX));
            self.encoder.fragment(&mut self.out, kind, piece, later.is_empty(), self.keys.next());
            rest = later;
            if rest.is_empty() {
                break;
            }
        }
        drop(message);
        ctx.run(poll_fn(|cx| self.poll_sent(cx))).await?
    }

    /// Closes the socket, and waits for the peer's answer; messages that come before it are lost. *Cancel-safe*.
    ///
    /// # Errors
    /// The peer went without an answer or took too long over it, or `ctx` was done.
    pub async fn close(&mut self, ctx: &Ctx, code: CloseCode, reason: &str) -> Result<(), Error> {
        self.begin_close(Some(code), reason);
        ctx.run(poll_fn(|cx| self.poll_closed(cx))).await?
    }

    /// Ends the socket in order, whatever its state: a Close of ours unless there was one, the peer's, then the connection.
    pub(super) async fn finish(&mut self, code: CloseCode) {
        if !self.is_broken {
            self.begin_close(Some(code), "");
            // Bounded by the time that the closing handshake may take. What it comes to is nobody's business any more.
            let _ = poll_fn(|cx| self.poll_closed(cx)).await;
        }
        let _ = poll_fn(|cx| self.poll_ended(cx)).await;
    }

    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while ready!(self.poll_message(cx))?.is_some() {}
        Poll::Ready(Ok(()))
    }

    /// Writes what is left and ends our side. The server does first (§7.1.1), and reads on for a while, as a connection that
    /// is closed with unread bytes is reset, which can overtake the Close.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let timeout = self.clock.options.close_timeout;
        let until = *self.clock.closed.get_or_insert_with(Instant::now) + timeout;
        let done = self.poll_end(cx);
        if done.is_pending() {
            ready!(self.clock.poll_until(until, cx));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll_flush(cx))?;
        let (mut reader, mut writer) = self.stream.split();
        ready!(writer.poll_shutdown(cx))?;
        self.input.resize(READ_BYTES, 0);
        while ready!(reader.poll_read(cx, &mut self.input))? > 0 {}
        Poll::Ready(Ok(()))
    }

    fn begin_close(&mut self, code: Option<CloseCode>, reason: &str) {
        let is_due = matches!(self.closing, Closing::Open | Closing::Received(_));
        if self.is_broken || !is_due {
            return;
        }
        let key = self.keys.next();
        self.encoder.close(&mut self.out, code, reason, key);
        self.closing.handle_sent();
        let now = Instant::now();
        (self.clock.wrote, self.clock.closed) = (now, Some(now));
    }

    /// A server that stops has its sockets closed.
    fn look_for_leave(&mut self, is_due: impl FnOnce(&Leave) -> bool) {
        if self.closing.may_send() && self.leave.as_deref().is_some_and(is_due) {
            self.begin_close(Some(CloseCode::GOING_AWAY), "");
        }
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Message>, Error>> {
        loop {
            if self.is_broken {
                return Poll::Ready(Err(Error::new(error::Kind::Closed)));
            }
            self.look_for_leave(|leave| leave.poll_due(cx));
            // What is owed, such as a pong, goes out while there is room.
            let flushed = self.poll_flush(cx);
            if let Poll::Ready(Err(error)) = flushed {
                return Poll::Ready(Err(self.broken(error.into())));
            }
            if self.closing.is_done() {
                if flushed.is_ready() {
                    return Poll::Ready(Ok(None));
                }
            } else if self.unsent() < UNSENT_BYTES_MAX {
                match self.take_message() {
                    Ok(None) => {}
                    outcome => return Poll::Ready(outcome),
                }
                // An answer may be due now, or nothing more to come.
                if self.closing.is_done() || (self.unsent() > 0 && flushed.is_ready()) {
                    continue;
                }
                match self.poll_read(cx) {
                    Poll::Ready(Ok(0)) => {
                        let error = Error::new(error::Kind::Disconnected);
                        return Poll::Ready(Err(self.broken(error)));
                    }
                    Poll::Ready(Ok(_)) => {
                        (self.clock.heard, self.clock.asked) = (Instant::now(), None);
                        continue;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broken(error.into()))),
                    Poll::Pending => {}
                }
            }
            ready!(self.poll_clock(cx))?;
        }
    }

    fn broken(&mut self, error: Error) -> Error {
        self.is_broken = true;
        error
    }

    /// Judges what came, up to the end of a message.
    fn take_message(&mut self) -> Result<Option<Message>, Error> {
        loop {
            let input = self.input.get_mut(self.start..).unwrap_or_default();
            let step = match self.decoder.handle_input(input, &mut self.inflated) {
                Ok(step) => step,
                Err(error) => {
                    self.begin_close(Some(error.close_code()), error.reason());
                    // As much as there is room for; nothing is read that could say more.
                    let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()));
                    return Err(self.broken(Error::new(error::Kind::Peer(error))));
                }
            };
            let is_last = step.event.is_none();
            let mut whole = None;
            match step.event {
                Some(Event::MessageStart { kind, .. }) => self.message = Some((kind, Vec::new())),
                Some(Event::Data(range)) => {
                    let piece = input.get(range).unwrap_or_default();
                    self.message.iter_mut().for_each(|(_, message)| message.extend_from_slice(piece));
                }
                Some(Event::Inflated(_)) => {
                    self.message
                        .iter_mut()
                        .for_each(|(_, message)| message.extend_from_slice(&self.inflated));
                    self.inflated.clear();
                }
                Some(Event::MessageEnd) => whole = self.message.take(),
                Some(event) => self.answer(event)?,
                None => {}
            }
            self.start += step.consumed;
            if let Some((kind, bytes)) = whole {
                return Ok(Some(match kind {
                    Kind::Binary => Message::Binary(bytes.into()),
                    // The decoder has judged it, character by character.
                    Kind::Text => Message::Text(String::from_utf8(bytes).unwrap_or_default()),
                }));
            }
            if is_last {
                return Ok(None);
            }
        }
    }

    /// Does what a control frame asks for.
    fn answer(&mut self, event: Event) -> Result<(), Error> {
        if let Event::Close(close) = event {
            self.closing.handle_received(close.code());
            self.close = Some(close);
            if let Some(code) = self.closing.wants_close() {
                // The whole frame is given back, as most do.
                self.begin_close(code, close.reason());
            }
            return Ok(());
        }
        let now_ms = u64::try_from(self.clock.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        if let Err(flood) = self.meter.charge(now_ms) {
            self.begin_close(Some(flood.close_code()), flood.reason());
            let _ = self.poll_flush(&mut Context::from_waker(Waker::noop()));
            return Err(self.broken(Error::new(error::Kind::Peer(flood))));
        }
        if let (Event::Ping(question), true) = (event, self.closing.may_send()) {
            self.clock.wrote = Instant::now();
            // What came in a control frame fits into one.
            let _ = self.encoder.pong(&mut self.out, question.as_bytes(), self.keys.next());
        }
        Ok(())
    }

    /// Reads once. No memory is held while nothing comes.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.start >= self.input.len() {
            (self.input, self.start) = (Vec::new(), 0);
        }
        ready!(self.stream.poll_readable(cx));
        self.input.drain(..self.start);
        self.start = 0;
        let held = self.input.len();
        self.input.resize(held + READ_BYTES, 0);
        let outcome = self.stream.split().0.poll_read(cx, self.input.get_mut(held..).unwrap_or_default());
        let count = match outcome {
            Poll::Ready(Ok(count)) => count,
            _ => 0,
        };
        self.input.truncate(held + count);
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        outcome
    }

    fn unsent(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes what there is to write. An error has ended the connection.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unsent() > 0 {
            let rest = self.out.get(self.written..).unwrap_or_default();
            match ready!(self.stream.split().1.poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => self.written += count,
            }
            self.clock.wrote = Instant::now();
        }
        self.out.clear();
        self.out.shrink_to(OUT_BYTES_KEPT);
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Poll::Ready(outcome) = self.poll_flush(cx) {
            return Poll::Ready(outcome.map_err(|error| self.broken(error.into())));
        }
        let until = self.clock.wrote + self.clock.options.write_idle;
        ready!(self.clock.poll_until(until, cx));
        Poll::Ready(Err(self.cut("a message that is sent to it")))
    }

    /// The peer does nothing any more, and will not read a Close.
    fn cut(&mut self, what: &'static str) -> Error {
        self.stream.reset_on_drop();
        self.broken(Error::new(error::Kind::Timeout(what)))
    }

    /// Ready when a deadline has passed, with an error if that ends the socket.
    fn poll_clock(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let options = &self.clock.options;
        let (until, what) = if let Some(closed) = self.clock.closed {
            (closed + options.close_timeout, "the closing handshake")
        } else if self.unsent() > 0 {
            (self.clock.wrote + options.write_idle, "an answer to its ping")
        } else if let Some(asked) = self.clock.asked {
            (asked + options.ping_timeout, "a sign of life")
        } else if let Some(idle) = options.ping_idle {
            ready!(self.clock.poll_until(self.clock.heard + idle, cx));
            let now = Instant::now();
            (self.clock.asked, self.clock.wrote) = (Some(now), now);
            // An empty one fits.
            let _ = self.encoder.ping(&mut self.out, b"", self.keys.next());
            return Poll::Ready(Ok(()));
        } else {
            return Poll::Pending;
        };
        ready!(self.clock.poll_until(until, cx));
        Poll::Ready(Err(self.cut(what)))
    }
}

impl Clock {
    /// Ready at `until`. A wait that ends earlier, for what was heard of since, begins anew.
    fn poll_until(&mut self, until: Instant, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let (at, sleep) = match &mut self.sleep {
                Some((at, sleep)) if *at <= until => (*at, sleep),
                other => {
                    let (at, sleep) = other.insert((until, sleep_until(until)));
                    (*at, sleep)
                }
            };
            ready!(Pin::new(sleep).poll(cx));
            self.sleep = None;
            if at >= until || Instant::now() >= until {
                return Poll::Ready(());
            }
        }
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket")
            .field("role", &self.role)
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}
