//! Frames that are passed on as they came.

use super::announced::Announced;
use super::control::Control;
use super::head::{FrameHead, Opcode};
use super::{Close, Role, WsError};
use crate::limits::WsLimits;

/// Follows the frames of one peer, from behind the handshake to its close frame, without changing or keeping any: for
/// a gateway that passes them on and may have to speak between two of them.
///
/// It judges what [`super::Decoder`] judges but for what stands in data: texts may be no UTF-8 and compressed bytes are
/// not inflated, so that a message is as large as it is on the wire.
#[derive(Clone, Copy, Debug)]
pub struct Follower {
    role: Role,
    may_compress: bool,
    state: State,
    /// The message that is open.
    message: Option<Announced>,
}

/// What one call to [`Follower::handle_input`] achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Pass {
    /// Bytes at the start of the input that may be passed on. None when more input is needed: of a head, or of a
    /// control frame, which is passed on whole.
    pub bytes: usize,
    /// What those bytes are, if it is more than data.
    pub event: Option<Passed>,
}

/// What may be passed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Passed {
    /// The head of a message's first frame, and what follows of the frame.
    MessageStart,
    /// A whole ping.
    Ping(Control),
    /// A whole pong.
    Pong(Control),
    /// A whole close frame. What follows is passed on unread: no peer reads it (§5.5.1).
    Close(Close),
}

/// What the next byte is.
///
/// ```text
///   Head ──data──> Payload ──last byte──> Head
///    └──close──> Closed
/// ```
#[derive(Clone, Copy, Debug)]
enum State {
    Head,
    /// So many bytes of a data frame are to come, at least one.
    Payload(u64),
    Closed,
}

impl Follower {
    /// A follower for what comes behind the handshake. `role` is that of the peer's other side, in whose place we
    /// stand; `may_compress` tells whether permessage-deflate was agreed.
    pub fn new(role: Role, may_compress: bool) -> Self {
        Self { role, may_compress, state: State::Head, message: None }
    }

    /// Judges the next bytes, up to the end of a frame or of the input. Call again with what is behind them until no
    /// byte may pass.
    ///
    /// # Errors
    /// At the head or control frame that breaks a rule or a limit, of which no byte may pass. Nothing that follows can
    /// be followed.
    pub fn handle_input(&mut self, input: &[u8], limits: &WsLimits) -> Result<Pass, WsError> {
        match self.state {
            State::Head => self.head(input, limits),
            State::Payload(rest_bytes) => Ok(self.payload(rest_bytes, 0, input)),
            State::Closed => Ok(Pass { bytes: input.len(), event: None }),
        }
    }

    /// Whether the bytes that may be passed on end with a frame, so that another may stand behind them.
    pub fn is_between_frames(&self) -> bool {
        matches!(self.state, State::Head)
    }

    /// Between two messages there is nothing to remember: what a [new](Self::new) follower is made with that goes on as
    /// this one does. `None` inside a message, and behind a close frame.
    pub fn at_rest(&self) -> Option<(Role, bool)> {
        let is_resting = self.is_between_frames() && self.message.is_none();
        is_resting.then_some((self.role, self.may_compress))
    }

    /// Whether the peer's close frame has come.
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn head(&mut self, input: &[u8], limits: &WsLimits) -> Result<Pass, WsError> {
        let Some((head, head_bytes)) = FrameHead::parse(input, self.role, self.may_compress)? else {
            return Ok(Pass { bytes: 0, event: None });
        };
        if head.opcode.is_control() {
            return self.control(&head, head_bytes, input);
        }
        let event = self.open_or_continue(head.opcode)?;
        if let Some(message) = &mut self.message {
            message.charge(head.payload_bytes, limits)?;
        }
        if head.is_last {
            self.message = None;
        }
        Ok(Pass { event, ..self.payload(head.payload_bytes, head_bytes, input) })
    }

    /// §5.4: a message is one frame with a kind, then continuations up to the last.
    fn open_or_continue(&mut self, opcode: Opcode) -> Result<Option<Passed>, WsError> {
        match (opcode, self.message) {
            (Opcode::Continuation, Some(_)) => Ok(None),
            (Opcode::Continuation, None) => Err(WsError::ContinuationUnexpected),
            (_, Some(_)) => Err(WsError::ContinuationMissing),
            (_, None) => {
                self.message = Some(Announced::default());
                Ok(Some(Passed::MessageStart))
            }
        }
    }

    /// What `input` holds of a payload behind the first `head_bytes`.
    fn payload(&mut self, rest_bytes: u64, head_bytes: usize, input: &[u8]) -> Pass {
        let here = input.len().saturating_sub(head_bytes);
        let taken = usize::try_from(rest_bytes).unwrap_or(usize::MAX).min(here);
        self.state = match rest_bytes - taken as u64 {
            0 => State::Head,
            rest_bytes => State::Payload(rest_bytes),
        };
        Pass { bytes: head_bytes + taken, event: None }
    }

    fn control(&mut self, head: &FrameHead, head_bytes: usize, input: &[u8]) -> Result<Pass, WsError> {
        // At most 125: the head was refused otherwise.
        let bytes = head_bytes.saturating_add(head.payload_bytes as usize);
        let Some(masked) = input.get(head_bytes..bytes) else { return Ok(Pass { bytes: 0, event: None }) };
        let control = Control::unmasked(masked, head.mask());
        let event = match head.opcode {
            Opcode::Ping => Passed::Ping(control),
            Opcode::Pong => Passed::Pong(control),
            _ => {
                let close = Close::read(control)?;
                self.state = State::Closed;
                Passed::Close(close)
            }
        };
        Ok(Pass { bytes, event: Some(event) })
    }
}
