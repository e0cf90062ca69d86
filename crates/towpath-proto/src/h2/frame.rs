//! Frame heads and the short frames, both directions (RFC 9113 §4.1, §6).

use super::{ConnectionError, ErrorCode};
use crate::cursor::Cursor;
use crate::limits::H2_FRAME_BYTES_MAX;

/// Length of a frame's head.
pub(super) const HEAD_BYTES: usize = 9;

/// The largest stream identifier, and the largest window (RFC 9113 §5.1.1, §6.9.1).
pub(super) const MAX_31: u32 = (1 << 31) - 1;

pub(super) const END_STREAM: u8 = 0x1;
pub(super) const ACK: u8 = 0x1;
pub(super) const END_HEADERS: u8 = 0x4;
pub(super) const PADDED: u8 = 0x8;
pub(super) const PRIORITY: u8 = 0x20;

/// The type of a frame (RFC 9113 §6). What has no name here is ignored (§5.5): ALTSVC, ORIGIN, PRIORITY_UPDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    Other,
}

impl Kind {
    const fn of(byte: u8) -> Self {
        match byte {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x2 => Self::Priority,
            0x3 => Self::RstStream,
            0x4 => Self::Settings,
            0x5 => Self::PushPromise,
            0x6 => Self::Ping,
            0x7 => Self::GoAway,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            _ => Self::Other,
        }
    }

    const fn byte(self) -> u8 {
        self as u8
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHead {
    /// Length of what follows the head.
    pub(super) length: usize,
    pub(super) kind: Kind,
    flags: u8,
    /// The stream, zero for the connection. The reserved bit is gone (RFC 9113 §4.1).
    pub(super) stream: u32,
}

impl FrameHead {
    /// The head at the start of `input`; `None` when it is not all there.
    pub(super) fn parse(input: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(input);
        let [high, middle, low] = cursor.array()?;
        let [kind, flags] = cursor.array()?;
        let stream = cursor.u32()? & MAX_31;
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        Some(Self { length, kind: Kind::of(kind), flags, stream })
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Length of what precedes a payload of any length, or of the whole payload where that is short.
    pub(super) fn prefix_bytes(&self) -> usize {
        let pad_length = usize::from(self.has(PADDED));
        match self.kind {
            Kind::Data => pad_length,
            Kind::Headers if self.has(PRIORITY) => pad_length + 5,
            Kind::Headers => pad_length,
            Kind::Priority => 5,
            Kind::RstStream | Kind::WindowUpdate => 4,
            Kind::Ping | Kind::GoAway => 8,
            Kind::Settings | Kind::Continuation | Kind::PushPromise | Kind::Other => 0,
        }
    }

    /// What the head alone gives away (RFC 9113 §4.2, §6.1 to §6.10).
    pub(super) fn check(&self) -> Result<(), ConnectionError> {
        if self.length > H2_FRAME_BYTES_MAX {
            return Err(ConnectionError::FrameTooLarge);
        }
        let is_right_stream = match self.kind {
            Kind::Settings | Kind::Ping | Kind::GoAway => self.stream == 0,
            Kind::WindowUpdate | Kind::Other => true,
            _ => self.stream != 0,
        };
        if !is_right_stream {
            return Err(ConnectionError::StreamIdentifier);
        }
        let is_right_length = match self.kind {
            Kind::Settings if self.has(ACK) => self.length == 0,
            Kind::Settings => self.length.is_multiple_of(6),
            // RFC 9113 §6.3 makes it an error of a stream, which may not exist; a connection whose frames have wrong
            // lengths is not worth more care (§5.4.2).
            Kind::Priority | Kind::RstStream | Kind::Ping | Kind::WindowUpdate => {
                self.length == self.prefix_bytes()
            }
            _ => self.length >= self.prefix_bytes(),
        };
        if is_right_length { Ok(()) } else { Err(ConnectionError::FrameLength) }
    }

    /// The padding behind the payload, whose length is the first byte of the `prefix` (RFC 9113 §6.1, §6.2).
    pub(super) fn padding_bytes(&self, prefix: &[u8]) -> Result<usize, ConnectionError> {
        let padding_bytes = match prefix.first() {
            Some(&padding_bytes) if self.has(PADDED) => usize::from(padding_bytes),
            _ => 0,
        };
        // More than what is left is an error of the connection (RFC 9113 §6.1).
        if padding_bytes > self.length - prefix.len() {
            return Err(ConnectionError::Padding);
        }
        Ok(padding_bytes)
    }
}

/// The head of a frame.
pub(super) fn head_of(length: usize, kind: Kind, flags: u8, stream: u32) -> [u8; HEAD_BYTES] {
    let [_, high, middle, low] = (length as u32).to_be_bytes();
    let [a, b, c, d] = stream.to_be_bytes();
    [high, middle, low, kind.byte(), flags, a, b, c, d]
}

/// Appends the head of a frame.
pub(super) fn encode_head(length: usize, kind: Kind, flags: u8, stream: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&head_of(length, kind, flags, stream));
}

/// Appends RST_STREAM (RFC 9113 §6.4).
pub(super) fn encode_reset(stream: u32, code: ErrorCode, out: &mut Vec<u8>) {
    encode_head(4, Kind::RstStream, 0, stream, out);
    out.extend_from_slice(&code.number().to_be_bytes());
}

/// Appends WINDOW_UPDATE (RFC 9113 §6.9).
pub(super) fn encode_window_update(stream: u32, increment: u32, out: &mut Vec<u8>) {
    encode_head(4, Kind::WindowUpdate, 0, stream, out);
    out.extend_from_slice(&increment.to_be_bytes());
}

/// Appends PING (RFC 9113 §6.7).
pub(super) fn encode_ping(flags: u8, payload: [u8; 8], out: &mut Vec<u8>) {
    encode_head(8, Kind::Ping, flags, 0, out);
    out.extend_from_slice(&payload);
}

/// Appends GOAWAY without debug data (RFC 9113 §6.8).
pub(super) fn encode_go_away(last: u32, code: ErrorCode, out: &mut Vec<u8>) {
    encode_head(8, Kind::GoAway, 0, 0, out);
    out.extend_from_slice(&last.to_be_bytes());
    out.extend_from_slice(&code.number().to_be_bytes());
}
