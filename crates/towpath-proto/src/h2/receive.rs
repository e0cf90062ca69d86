//! Frames in: the state of reading, and the switch over the types of frames.
//!
//! ```text
//!   ExpectPreface (a server) --> ExpectFrame <--+
//!                                    | head and prefix of a frame
//!                                    +--> RecvSettings --one setting after the other--> ExpectFrame
//!                                    +--> RecvFragment --> Skip (padding) --> ExpectFrame
//!                                    +--> RecvData ------> Skip (padding) --> ExpectFrame
//!                                    +--> Skip (short, unknown and ignored frames) --> ExpectFrame
//! ```
//!
//! No state needs more than 24 bytes of input at once, so that a caller's buffer may have any size: settings are taken
//! one by one, data are reported as they come, and fragments of a header block that is not all there are collected.

use super::connection::{Connection, Drain, cut};
use super::frame::{self, ACK, FrameHead, HEAD_BYTES, Kind};
use super::stream::{Recv, Standing, Stream};
use super::{ConnectionError, Event, PREFACE, Role, Step, StreamFault, StreamId};

mod control;
mod data;
mod headers;

pub(super) use headers::HeaderBlock;

#[derive(Clone, Copy, Debug)]
pub(super) enum Reading {
    ExpectPreface,
    ExpectFrame,
    RecvSettings(control::Settings),
    RecvFragment(headers::Fragment),
    RecvData(data::Data),
    /// What is dropped. Then the stream ends, if there is one here.
    Skip {
        remaining: usize,
        ends: Option<u32>,
    },
}

/// What a look at the input achieved.
struct Taken {
    consumed: usize,
    next: Next,
}

enum Next {
    NeedMore,
    GoOn,
    Found(Event),
}

impl Taken {
    fn need_more(consumed: usize) -> Self {
        Self { consumed, next: Next::NeedMore }
    }

    fn go_on(consumed: usize, event: Option<Event>) -> Self {
        Self { consumed, next: event.map_or(Next::GoOn, Next::Found) }
    }
}

type Outcome<T> = Result<T, ConnectionError>;

impl Connection {
    /// Takes what is in `input`: the bytes not consumed yet, from the first of them. Reports at most one event, and is
    /// called again with what is left until there is none. `now_ms` is the caller's clock in milliseconds, from
    /// whatever beginning.
    ///
    /// # Errors
    ///
    /// The connection is lost. GOAWAY is owed; every further call repeats the error.
    pub fn handle_input(&mut self, now_ms: u64, input: &[u8]) -> Result<Step, ConnectionError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.take_all(now_ms, input);
        if let Err(error) = result {
            self.fail(error);
        }
        result
    }

    fn take_all(&mut self, now_ms: u64, input: &[u8]) -> Outcome<Step> {
        let mut consumed = 0;
        loop {
            let taken = self.take(now_ms, input.get(consumed..).unwrap_or_default())?;
            let start = consumed;
            consumed += taken.consumed;
            match taken.next {
                Next::NeedMore => {
                    self.has_unread = consumed < input.len();
                    return Ok(Step::needs_more(consumed));
                }
                Next::GoOn => {}
                Next::Found(event) => return Ok(Step { consumed, event: Some(event.moved(start)) }),
            }
        }
    }

    fn take(&mut self, now_ms: u64, input: &[u8]) -> Outcome<Taken> {
        match self.reading {
            Reading::ExpectPreface => self.take_preface(input),
            Reading::ExpectFrame => self.take_frame(now_ms, input),
            Reading::RecvSettings(settings) => self.take_setting(input, settings),
            Reading::RecvFragment(fragment) => self.take_fragment(now_ms, input, fragment),
            Reading::RecvData(data) => Ok(self.take_data(input, data)),
            Reading::Skip { remaining, ends } => Ok(self.take_skipped(input, remaining, ends)),
        }
    }

    /// RFC 9113 §3.4. A wrong byte is seen when it comes, so that HTTP/1.1 and TLS are not waited for.
    fn take_preface(&mut self, input: &[u8]) -> Outcome<Taken> {
        if input.starts_with(PREFACE) {
            self.reading = Reading::ExpectFrame;
            return Ok(Taken::go_on(PREFACE.len(), None));
        }
        if PREFACE.starts_with(input) { Ok(Taken::need_more(0)) } else { Err(ConnectionError::Preface) }
    }

    /// The head of a frame, and what precedes its payload. Nothing changes until both are there.
    fn take_frame(&mut self, now_ms: u64, input: &[u8]) -> Outcome<Taken> {
        let Some(head) = FrameHead::parse(input) else { return Ok(Taken::need_more(0)) };
        self.check_order(&head)?;
        head.check()?;
        let prefix_end = HEAD_BYTES + head.prefix_bytes();
        let Some(prefix) = input.get(HEAD_BYTES..prefix_end) else { return Ok(Taken::need_more(0)) };
        self.reading = Reading::Skip { remaining: head.length - prefix.len(), ends: None };
        let event = self.begin_frame(now_ms, &head, prefix)?;
        Ok(Taken::go_on(prefix_end, event))
    }

    fn check_order(&self, head: &FrameHead) -> Outcome<()> {
        // RFC 9113 §3.4.
        if !self.has_peer_settings && (head.kind != Kind::Settings || head.has(ACK)) {
            return Err(ConnectionError::FirstFrame);
        }
        // RFC 9113 §6.10: nothing comes between the fragments of a block.
        let continued = self.header_block.as_ref().map(HeaderBlock::stream);
        let is_right = match head.kind {
            Kind::Continuation => continued == Some(head.stream),
            _ => continued.is_none(),
        };
        if is_right { Ok(()) } else { Err(ConnectionError::Continuation) }
    }

    /// The main switch: one arm for each type of frame (RFC 9113 §6).
    fn begin_frame(&mut self, now_ms: u64, head: &FrameHead, prefix: &[u8]) -> Outcome<Option<Event>> {
        match head.kind {
            Kind::Data => self.begin_data(now_ms, head, prefix),
            Kind::Headers => self.begin_headers(head, prefix),
            Kind::Continuation => self.begin_continuation(now_ms, head),
            Kind::RstStream => self.handle_reset(now_ms, head.stream, prefix),
            Kind::WindowUpdate => self.handle_window_update(now_ms, head.stream, prefix),
            Kind::Settings if head.has(ACK) => self.handle_settings_ack(),
            Kind::Settings => self.begin_settings(now_ms, head),
            Kind::Ping => self.handle_ping(now_ms, head, prefix),
            Kind::GoAway => self.handle_go_away(now_ms, prefix),
            // RFC 9113 §8.4: clients cannot push, and servers were told not to.
            Kind::PushPromise => Err(ConnectionError::Push),
            // RFC 9113 §5.3.2 and §5.5: nothing is done about either.
            Kind::Priority | Kind::Other => self.budget.charge_strictly(now_ms).map(|()| None),
        }
    }

    fn take_skipped(&mut self, input: &[u8], remaining: usize, ends: Option<u32>) -> Taken {
        let length = remaining.min(input.len());
        if length < remaining {
            self.reading = Reading::Skip { remaining: remaining - length, ends };
            return Taken::need_more(length);
        }
        self.reading = Reading::ExpectFrame;
        let ended = ends.filter(|&stream| self.end_recv(stream));
        Taken::go_on(length, ended.map(|stream| Event::End { stream: StreamId(stream) }))
    }

    /// The peer has ended its side. Whether the caller is to hear of it.
    fn end_recv(&mut self, id: u32) -> bool {
        let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.is_receiving()) else {
            return false;
        };
        std::mem::replace(&mut stream.recv, Recv::Ended) == Recv::ExpectBody
    }

    /// Where the stream of a frame stands.
    fn standing(&self, id: u32) -> Standing {
        match (self.role, self.drain) {
            // RFC 9113 §6.8: what was opened behind the last stream is ignored, whatever it sends.
            (Role::Server, Drain::Last(last)) if id > last && !id.is_multiple_of(2) => Standing::Cut,
            _ => self.streams.standing(id),
        }
    }

    /// The stream that DATA or HEADERS belong to; `None` if they are dropped.
    fn judge_stream(&self, id: u32) -> Outcome<Option<&Stream>> {
        match self.standing(id) {
            Standing::Live => match self.streams.get(id) {
                Some(stream) if stream.is_closed_by_peer() => Err(ConnectionError::StreamClosed),
                stream => Ok(stream),
            },
            Standing::Cut => Ok(None),
            Standing::Idle => Err(ConnectionError::StreamIdle),
            // RFC 9113 §5.1.1: a stream that was passed over cannot be opened any more.
            Standing::Skipped => Err(ConnectionError::StreamIdentifier),
            Standing::Closed => Err(ConnectionError::StreamClosed),
        }
    }

    /// Ends one stream for a fault of the peer's. It counts as if the peer had reset it (T12).
    fn fail_stream(&mut self, now_ms: u64, id: u32, fault: StreamFault) -> Outcome<Option<Event>> {
        self.budget.count_reset(now_ms)?;
        self.count_reply()?;
        match self.streams.get_mut(id) {
            Some(stream) => cut(stream),
            None => self.streams.remember_cut(id),
        }
        let code = fault.code();
        frame::encode_reset(id, code, &mut self.owed.bytes);
        Ok(Some(Event::Reset { stream: StreamId(id), code, fault: Some(fault) }))
    }
}
