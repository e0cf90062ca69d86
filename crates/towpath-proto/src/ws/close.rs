//! The closing handshake (§7).

use super::{Control, WsError};

/// Room for a reason beside the code: 125 bytes less two (§5.5.1).
pub const REASON_BYTES_MAX: usize = 123;

/// A close code that may be sent (§7.4). 1004 to 1006 and 1015 have meanings that never travel; codes below 1000
/// and those nobody registered are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// The endpoint goes away: a server that stops, a page that is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// A rule of the protocol was broken.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A message that is not what its type says, such as a text that is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// A message against a policy; for what has no code of its own.
    pub const POLICY: Self = Self(1008);
    /// A message that is too large to be processed.
    pub const TOO_LARGE: Self = Self(1009);
    /// The server met a condition it did not expect.
    pub const INTERNAL_ERROR: Self = Self(1011);
    /// The service restarts (IANA registry).
    pub const RESTART: Self = Self(1012);
    /// The service is overloaded; come back later (IANA registry).
    pub const TRY_AGAIN: Self = Self(1013);
    /// A gateway had no good answer from the server behind it (IANA registry).
    pub const BAD_GATEWAY: Self = Self(1014);

    /// The code, if it may be sent: 1000 to 1003, 1007 to 1014, 3000 to 4999 (§7.4.1, §7.4.2).
    pub fn new(code: u16) -> Option<Self> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(Self(code))
    }

    /// The number.
    pub fn number(self) -> u16 {
        self.0
    }
}

/// What a close frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    code: Option<CloseCode>,
    payload: Control,
}

impl Close {
    /// Reads the payload of a close frame (§5.5.1).
    pub(super) fn read(payload: Control) -> Result<Self, WsError> {
        let code = match payload.as_bytes() {
            [] => None,
            [_] => return Err(WsError::CloseLength),
            [high, low, ..] => {
                let code = CloseCode::new(u16::from_be_bytes([*high, *low])).ok_or(WsError::CloseCode)?;
                Some(code)
            }
        };
        let close = Self { code, payload };
        std::str::from_utf8(close.reason_bytes()).map_err(|_| WsError::CloseReason)?;
        Ok(close)
    }

    /// The code; `None` if the frame was empty, for which §7.1.5 has the number 1005.
    pub fn code(&self) -> Option<CloseCode> {
        self.code
    }

    /// The reason, 123 bytes at most; not meant for people (§7.1.6).
    pub fn reason(&self) -> &str {
        std::str::from_utf8(self.reason_bytes()).unwrap_or_default()
    }

    fn reason_bytes(&self) -> &[u8] {
        self.payload.as_bytes().get(2..).unwrap_or_default()
    }
}

/// How far the closing handshake has come (§7.1).
///
/// ```text
///   Open ──we send──> Sent ──peer's comes──┐
///    └──peer's comes──> Received ──we send─┴──> Done
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Closing {
    /// Nobody has sent a close frame.
    #[default]
    Open,
    /// We have; the peer's messages may still come until its own close frame does (§5.5.1).
    Sent,
    /// The peer has; ours is due, with this code (§5.5.1).
    Received(Option<CloseCode>),
    /// Both have. The server closes the connection first (§7.1.1).
    Done,
}

impl Closing {
    /// We have sent a close frame.
    pub fn handle_sent(&mut self) {
        *self = match self {
            Self::Open | Self::Sent => Self::Sent,
            Self::Received(_) | Self::Done => Self::Done,
        };
    }

    /// The peer's close frame has come.
    pub fn handle_received(&mut self, code: Option<CloseCode>) {
        *self = match self {
            Self::Open | Self::Received(_) => Self::Received(code),
            Self::Sent | Self::Done => Self::Done,
        };
    }

    /// Whether we may still send messages: until our close frame (§5.5.1). Behind the peer's they would not be
    /// read, although they may be sent.
    pub fn may_send(&self) -> bool {
        matches!(self, Self::Open)
    }

    /// Whether messages of the peer may still come: until its close frame.
    pub fn may_receive(&self) -> bool {
        matches!(self, Self::Open | Self::Sent)
    }

    /// The code of the close frame that is due, which echoes the peer's (§5.5.1); `Some(None)` is a frame without
    /// one.
    pub fn wants_close(&self) -> Option<Option<CloseCode>> {
        match self {
            Self::Received(code) => Some(*code),
            _ => None,
        }
    }

    /// Whether the connection may end cleanly (§7.1.4).
    pub fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }
}
