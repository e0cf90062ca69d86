//! What can be wrong with a peer's frames.

use std::fmt;

use super::CloseCode;

/// Why a peer's bytes are refused. The connection has to fail: send a close frame with
/// [`WsError::close_code`], then close (§7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WsError {
    /// A reserved bit that no agreed extension gave a meaning (§5.2, RFC 7692 §6).
    ReservedBit,
    /// An opcode from 3 to 7 or from 11 to 15 (§5.2).
    ReservedOpcode,
    /// A client's frame without a mask (§5.1, T54).
    MaskMissing,
    /// A server's frame with a mask (§5.1).
    MaskForbidden,
    /// A length in more bytes than it needs (§5.2).
    LengthNotMinimal,
    /// A length of 2^63 or more (§5.2).
    LengthTooLarge,
    /// A control frame that is not the last of its message (§5.5).
    ControlFragmented,
    /// A control frame with more than 125 bytes (§5.5).
    ControlTooLong,
    /// A continuation while no message is open (§5.4).
    ContinuationUnexpected,
    /// A new message while one is open (§5.4).
    ContinuationMissing,
    /// A close frame with one byte, which is no code (§5.5.1).
    CloseLength,
    /// A close code that may not be sent (§7.4).
    CloseCode,
    /// A close reason that is not UTF-8 (§5.5.1).
    CloseReason,
    /// A text message that is not UTF-8 (§8.1).
    Utf8,
    /// Compressed bytes that cannot be inflated (RFC 7692 §7.2.2).
    Inflate,
    /// A frame above its limit of bytes (T54).
    FrameTooLarge,
    /// A message above its limit of bytes, counted after inflating (T54).
    MessageTooLarge,
    /// A message that inflates to more than its limit of times its size (T46, T54).
    InflateRatio,
    /// A message in too many frames for its size (T54).
    FragmentsTooMany,
    /// More pings, pongs and closes than an interval allows (T54).
    ControlFlood,
}

/// Whose fault an error is. All of them are about bytes of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The peer broke a rule of the protocol: nobody would take these bytes.
    Peer,
    /// The peer went beyond a limit of ours: another endpoint might take them.
    Limit,
}

impl WsError {
    /// The code to close with (§7.4.1).
    pub fn close_code(self) -> CloseCode {
        match self {
            Self::Utf8 | Self::CloseReason | Self::Inflate => CloseCode::INVALID_DATA,
            Self::FrameTooLarge | Self::MessageTooLarge | Self::InflateRatio => CloseCode::TOO_LARGE,
            Self::FragmentsTooMany | Self::ControlFlood => CloseCode::POLICY,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// Whose fault it is.
    pub fn fault(self) -> Fault {
        match self {
            Self::FrameTooLarge
            | Self::MessageTooLarge
            | Self::InflateRatio
            | Self::FragmentsTooMany
            | Self::ControlFlood => Fault::Limit,
            _ => Fault::Peer,
        }
    }

    /// The stable reason code, also a metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ReservedBit | Self::ReservedOpcode => "ws_bad_frame",
            Self::MaskMissing | Self::MaskForbidden => "ws_bad_mask",
            Self::LengthNotMinimal | Self::LengthTooLarge => "ws_bad_length",
            Self::ControlFragmented | Self::ControlTooLong => "ws_bad_control",
            Self::ContinuationUnexpected | Self::ContinuationMissing => "ws_bad_fragment",
            Self::CloseLength | Self::CloseCode | Self::CloseReason => "ws_bad_close",
            Self::Utf8 => "ws_bad_text",
            Self::Inflate => "ws_bad_deflate",
            Self::FrameTooLarge => "ws_frame_too_large",
            Self::MessageTooLarge => "ws_message_too_large",
            Self::InflateRatio => "ws_inflate_ratio",
            Self::FragmentsTooMany => "ws_too_many_fragments",
            Self::ControlFlood => "ws_control_flood",
        }
    }
}

impl fmt::Display for WsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBit => "a frame sets a reserved bit that no agreed extension uses",
            Self::ReservedOpcode => "a frame has an opcode besides 0, 1, 2, 8, 9 and 10",
            Self::MaskMissing => "a client's frame is not masked",
            Self::MaskForbidden => "a server's frame is masked",
            Self::LengthNotMinimal => "a frame's length is written in more bytes than it needs",
            Self::LengthTooLarge => "a frame's length is 2^63 or more",
            Self::ControlFragmented => "a control frame is fragmented",
            Self::ControlTooLong => "a control frame holds more than 125 bytes",
            Self::ContinuationUnexpected => "a continuation frame belongs to no message",
            Self::ContinuationMissing => "a message begins before the one before it has ended",
            Self::CloseLength => "a close frame holds one byte; it holds none, or a code of two bytes",
            Self::CloseCode => {
                "a close code may not be sent; 1000 to 1003, 1007 to 1014 and 3000 to 4999 may"
            }
            Self::CloseReason => "a close reason is not UTF-8",
            Self::Utf8 => "a text message is not UTF-8",
            Self::Inflate => "a compressed message cannot be inflated",
            Self::FrameTooLarge => "a frame exceeds the frame limit",
            Self::MessageTooLarge => "a message exceeds the message limit",
            Self::InflateRatio => "a message inflates to more times its size than the limit allows",
            Self::FragmentsTooMany => "a message comes in more frames than its size allows",
            Self::ControlFlood => "there are more control frames than an interval allows",
        })
    }
}

impl std::error::Error for WsError {}
