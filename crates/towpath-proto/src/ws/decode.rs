//! From a peer's bytes to messages.

use std::ops::Range;

use super::announced::Announced;
use super::control::Control;
use super::head::{FrameHead, Opcode};
use super::inflate::{Inflated, Inflater, TAIL};
use super::utf8::Utf8;
use super::{Close, Deflate, Kind, Mask, Role, WsError};
use crate::limits::{WS_INFLATE_FREE_BYTES, WS_INFLATE_STEP_BYTES, WsLimits};

/// What one call to [`Decoder::handle_input`] achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// Bytes at the start of the input that are done with. They may be dropped as soon as the range of the event
    /// has been used. Bytes behind them are as they came, and have to be given again.
    pub consumed: usize,
    /// What was found; `None` when more input is needed.
    pub event: Option<Event>,
}

/// What was found in a peer's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A message begins.
    MessageStart {
        /// What it carries.
        kind: Kind,
        /// Whether its bytes will come as [`Event::Inflated`] instead of [`Event::Data`] (RFC 7692 §6).
        is_compressed: bool,
    },
    /// Bytes of the message, unmasked, as a range of the input just given. Never empty. Fragments have no event:
    /// how a message is cut into frames has no meaning (§5.4).
    Data(Range<usize>),
    /// This many bytes of the message were appended to the vector just given. Never zero, never above
    /// [`WS_INFLATE_STEP_BYTES`].
    Inflated(usize),
    /// The message is complete and, if it is a text, was UTF-8.
    MessageEnd,
    /// The peer asks for a pong with the same bytes (§5.5.2). May come inside a message.
    Ping(Control),
    /// An answer, or a sign of life nobody asked for (§5.5.3). May come inside a message.
    Pong(Control),
    /// The peer sends nothing more that would be read (§5.5.1). May come inside a message, which then has no end.
    Close(Close),
}

/// Reads the frames of one peer, from behind the handshake to its close frame.
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    limits: WsLimits,
    state: State,
    message: Option<Message>,
    control: Control,
    utf8: Utf8,
    /// There if permessage-deflate was agreed.
    inflater: Option<Inflater>,
}

/// What the next byte is.
///
/// ```text
///   Head ──data──> Payload ──> Head                       more frames of the message follow
///    ^              └──last──> Tail ──> End ──> Head      the tail is that of a compressed message
///    └──control──> Control ──> Head | Closed
///   every one ──> Failed
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    Payload(Payload),
    Control(Opcode, Payload),
    /// So many bytes of [`TAIL`] have been inflated.
    Tail(usize),
    End,
    Closed,
    Failed(WsError),
}

/// The rest of a frame's payload.
#[derive(Clone, Copy, Debug)]
struct Payload {
    rest_bytes: u64,
    mask: Mask,
    is_last: bool,
}

/// What is known of the message that is open.
#[derive(Clone, Copy, Debug)]
struct Message {
    kind: Kind,
    is_compressed: bool,
    announced: Announced,
    /// Compressed bytes that were inflated, and what they gave.
    deflated_bytes: u64,
    inflated_bytes: u64,
}

/// What one state came to.
enum Found {
    NeedMore,
    Nothing(usize),
    Event(usize, Event),
}

impl Decoder {
    /// A decoder for what comes behind the handshake. `role` is ours, and `deflate` what was agreed
    /// (RFC 7692 §5), if anything was.
    pub fn new(role: Role, limits: WsLimits, deflate: Option<&Deflate>) -> Self {
        let inflater = deflate.map(|deflate| Inflater::new(deflate.keeps_inbound_context(role)));
        Self {
            role,
            limits,
            state: State::Head,
            message: None,
            control: Control::default(),
            utf8: Utf8::default(),
            inflater,
        }
    }

    /// Takes the next bytes, up to the next event. Compressed messages are inflated to the end of `inflated`, which
    /// the caller empties as it likes; with no permessage-deflate agreed it is not touched.
    ///
    /// A call unmasks no more than it consumes, and inflates [`WS_INFLATE_STEP_BYTES`] at most. Call again until
    /// there is no event, also with empty input.
    ///
    /// # Errors
    /// At the first byte that breaks a rule or a limit, and from then on.
    pub fn handle_input(&mut self, input: &mut [u8], inflated: &mut Vec<u8>) -> Result<Step, WsError> {
        let mut consumed = 0;
        loop {
            let rest = input.get_mut(consumed..).unwrap_or_default();
            match self.step(rest, inflated) {
                Ok(Found::NeedMore) => return Ok(Step { consumed, event: None }),
                Ok(Found::Nothing(count)) => consumed += count,
                Ok(Found::Event(count, event)) => {
                    let event = Some(event.behind(consumed));
                    return Ok(Step { consumed: consumed + count, event });
                }
                Err(error) => {
                    self.state = State::Failed(error);
                    return Err(error);
                }
            }
        }
    }

    /// Whether the peer's close frame has come. An end of the connection before it is not clean (§7.1.5).
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Whether no message is open.
    pub fn is_between_messages(&self) -> bool {
        self.message.is_none()
    }

    fn step(&mut self, input: &mut [u8], inflated: &mut Vec<u8>) -> Result<Found, WsError> {
        match self.state {
            State::Head => self.head(input),
            State::Payload(payload) => self.payload(payload, input, inflated),
            State::Control(opcode, payload) => self.control(opcode, payload, input),
            State::Tail(given) => self.tail(given, inflated),
            State::End => self.end(),
            // §5.5.1: nothing behind a close frame is read.
            State::Closed if input.is_empty() => Ok(Found::NeedMore),
            State::Closed => Ok(Found::Nothing(input.len())),
            State::Failed(error) => Err(error),
        }
    }

    fn head(&mut self, input: &[u8]) -> Result<Found, WsError> {
        let Some((head, head_bytes)) = FrameHead::parse(input, self.role, self.inflater.is_some())? else {
            return Ok(Found::NeedMore);
        };
        let payload = Payload { rest_bytes: head.payload_bytes, mask: head.mask(), is_last: head.is_last };
        if head.opcode.is_control() {
            self.control = Control::default();
            self.state = State::Control(head.opcode, payload);
            return Ok(Found::Nothing(head_bytes));
        }
        let start = self.open_or_continue(&head)?;
        if let Some(message) = &mut self.message {
            message.announced.charge(head.payload_bytes, &self.limits)?;
        }
        self.state = State::Payload(payload);
        Ok(match start {
            Some(start) => Found::Event(head_bytes, start),
            None => Found::Nothing(head_bytes),
        })
    }

    /// §5.4: a message is one frame with a kind, then continuations up to the last.
    fn open_or_continue(&mut self, head: &FrameHead) -> Result<Option<Event>, WsError> {
        let kind = match (head.opcode, self.message) {
            (Opcode::Continuation, Some(_)) => return Ok(None),
            (Opcode::Continuation, None) => return Err(WsError::ContinuationUnexpected),
            (_, Some(_)) => return Err(WsError::ContinuationMissing),
            (Opcode::Text, None) => Kind::Text,
            (_, None) => Kind::Binary,
        };
        let is_compressed = head.is_compressed;
        self.message = Some(Message::new(kind, is_compressed));
        Ok(Some(Event::MessageStart { kind, is_compressed }))
    }

    fn payload(
        &mut self,
        mut payload: Payload,
        input: &mut [u8],
        inflated: &mut Vec<u8>,
    ) -> Result<Found, WsError> {
        let is_compressed = self.message.is_some_and(|message| message.is_compressed);
        if payload.rest_bytes == 0 {
            self.state = match (payload.is_last, is_compressed) {
                (false, _) => State::Head,
                (true, true) => State::Tail(0),
                (true, false) => State::End,
            };
            return Ok(Found::Nothing(0));
        }
        let here = payload.cut(input);
        if here.is_empty() {
            return Ok(Found::NeedMore);
        }
        let found = match is_compressed {
            true => self.inflate(&mut payload, here, inflated)?,
            false => self.plain(&mut payload, here)?,
        };
        self.state = State::Payload(payload);
        Ok(found)
    }

    fn plain(&mut self, payload: &mut Payload, here: &mut [u8]) -> Result<Found, WsError> {
        payload.mask.apply(here);
        payload.rest_bytes -= here.len() as u64;
        self.check_text(here)?;
        Ok(Found::Event(here.len(), Event::Data(0..here.len())))
    }

    fn inflate(
        &mut self,
        payload: &mut Payload,
        here: &mut [u8],
        inflated: &mut Vec<u8>,
    ) -> Result<Found, WsError> {
        // No larger pieces than what comes out of them: the part that is not consumed is masked again.
        let count = here.len().min(WS_INFLATE_STEP_BYTES);
        let (piece, _) = here.split_at_mut(count);
        let mut mask = payload.mask;
        mask.apply(piece);
        let done = self.inflate_some(piece, inflated)?;
        payload.mask.skip(done.0);
        payload.rest_bytes -= done.0 as u64;
        let mut mask = payload.mask;
        mask.apply(piece.get_mut(done.0..).unwrap_or_default());
        // The inflater always takes or gives something, or the loop of the caller would not end.
        if done == (0, 0) { Err(WsError::Inflate) } else { Ok(found_inflated(done)) }
    }

    /// Gives the inflater what the sender took away (RFC 7692 §7.2.2), until it has given all it holds.
    fn tail(&mut self, given: usize, inflated: &mut Vec<u8>) -> Result<Found, WsError> {
        let rest = TAIL.get(given..).unwrap_or_default();
        let is_ended = given == 0 && self.inflater.as_ref().is_some_and(Inflater::is_ended);
        let done = if is_ended { (0, 0) } else { self.inflate_some(rest, inflated)? };
        self.state = if done == (0, 0) { State::End } else { State::Tail(given + done.0) };
        Ok(found_inflated((0, done.1)))
    }

    /// Inflates up to a step: bytes taken and bytes given. What breaks a rule or a limit is taken back.
    fn inflate_some(&mut self, piece: &[u8], inflated: &mut Vec<u8>) -> Result<(usize, usize), WsError> {
        let (Some(inflater), Some(message)) = (&mut self.inflater, &self.message) else { return Ok((0, 0)) };
        let start = inflated.len();
        let done = inflater.handle_input(piece, message.inflate_room(&self.limits), inflated);
        let judged = self.judge_inflated(done, inflated.get(start..).unwrap_or_default());
        if judged.is_err() {
            inflated.truncate(start);
        }
        judged.map(|()| (done.consumed, done.produced))
    }

    /// In the order in which a peer that sends byte by byte would meet its faults.
    fn judge_inflated(&mut self, done: Inflated, given: &[u8]) -> Result<(), WsError> {
        self.check_text(given)?;
        if let Some(message) = &mut self.message {
            message.charge_inflated(done.consumed, done.produced, &self.limits)?;
        }
        if done.is_broken { Err(WsError::Inflate) } else { Ok(()) }
    }

    fn check_text(&mut self, bytes: &[u8]) -> Result<(), WsError> {
        match self.message {
            Some(Message { kind: Kind::Text, .. }) => self.utf8.handle_input(bytes),
            _ => Ok(()),
        }
    }

    fn end(&mut self) -> Result<Found, WsError> {
        self.utf8.handle_end()?;
        if let (Some(inflater), Some(Message { is_compressed: true, .. })) =
            (&mut self.inflater, self.message)
        {
            inflater.end_message();
        }
        self.message = None;
        self.state = State::Head;
        Ok(Found::Event(0, Event::MessageEnd))
    }

    fn control(&mut self, opcode: Opcode, mut payload: Payload, input: &mut [u8]) -> Result<Found, WsError> {
        let here = payload.cut(input);
        payload.mask.apply(here);
        payload.rest_bytes -= here.len() as u64;
        self.control.push(here);
        if payload.rest_bytes > 0 {
            self.state = State::Control(opcode, payload);
            return Ok(if here.is_empty() { Found::NeedMore } else { Found::Nothing(here.len()) });
        }
        let event = self.control_event(opcode)?;
        self.state = if opcode == Opcode::Close { State::Closed } else { State::Head };
        Ok(Found::Event(here.len(), event))
    }

    fn control_event(&self, opcode: Opcode) -> Result<Event, WsError> {
        Ok(match opcode {
            Opcode::Ping => Event::Ping(self.control),
            Opcode::Pong => Event::Pong(self.control),
            _ => Event::Close(Close::read(self.control)?),
        })
    }
}

fn found_inflated(done: (usize, usize)) -> Found {
    match done {
        (consumed, 0) => Found::Nothing(consumed),
        (consumed, produced) => Found::Event(consumed, Event::Inflated(produced)),
    }
}

impl Event {
    /// The same event in an input that begins `offset` bytes earlier.
    fn behind(self, offset: usize) -> Self {
        match self {
            Self::Data(range) => Self::Data(range.start + offset..range.end + offset),
            event => event,
        }
    }
}

impl Payload {
    /// What `input` holds of it.
    fn cut<'a>(&self, input: &'a mut [u8]) -> &'a mut [u8] {
        let count = usize::try_from(self.rest_bytes).unwrap_or(usize::MAX).min(input.len());
        input.split_at_mut(count).0
    }
}

impl Message {
    fn new(kind: Kind, is_compressed: bool) -> Self {
        Self { kind, is_compressed, announced: Announced::default(), deflated_bytes: 0, inflated_bytes: 0 }
    }

    /// Room for one step: one byte above the limit is enough to know that it is exceeded.
    fn inflate_room(&self, limits: &WsLimits) -> usize {
        let rest = limits.message_bytes_max.saturating_sub(self.inflated_bytes).saturating_add(1);
        usize::try_from(rest).unwrap_or(usize::MAX).min(WS_INFLATE_STEP_BYTES)
    }

    fn charge_inflated(&mut self, taken: usize, given: usize, limits: &WsLimits) -> Result<(), WsError> {
        self.deflated_bytes += taken as u64;
        self.inflated_bytes += given as u64;
        if self.inflated_bytes > limits.message_bytes_max {
            return Err(WsError::MessageTooLarge);
        }
        let allowed = self.deflated_bytes.saturating_mul(limits.inflate_ratio_max).max(WS_INFLATE_FREE_BYTES);
        if self.inflated_bytes > allowed { Err(WsError::InflateRatio) } else { Ok(()) }
    }
}
