//! Why a connection or a stream was ended. Each fault is a small value that names its wire code and a stable reason
//! code. All of them are the peer's: what the caller does wrong is a [`SendError`].

use std::fmt;

use super::hpack::HpackError;
use crate::h1::{FieldFault, FramingFault, HostFault, TargetFault};

/// The code of RST_STREAM and GOAWAY (RFC 9113 §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 9113 §7")]
pub enum ErrorCode {
    NoError,
    ProtocolError,
    InternalError,
    FlowControlError,
    SettingsTimeout,
    StreamClosed,
    FrameSizeError,
    RefusedStream,
    Cancel,
    CompressionError,
    ConnectError,
    EnhanceYourCalm,
    InadequateSecurity,
    Http11Required,
    /// A code without a name, which means no more than [`ErrorCode::InternalError`] (RFC 9113 §7).
    Other(u32),
}

/// Why the whole connection is lost. GOAWAY with [`ConnectionError::code`] is owed to the peer, and nothing that it
/// sends is read any more (RFC 9113 §5.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionError {
    /// The client's first bytes are not the preface (RFC 9113 §3.4).
    Preface,
    /// The first frame is not SETTINGS (RFC 9113 §3.4).
    FirstFrame,
    /// A frame above [`crate::limits::H2_FRAME_BYTES_MAX`] (RFC 9113 §4.2).
    FrameTooLarge,
    /// A frame whose length its type does not allow (RFC 9113 §4.2).
    FrameLength,
    /// A frame with stream zero that belongs to a stream, or the other way round.
    StreamIdentifier,
    /// A frame on a stream that nobody has opened, or that the peer may not open (RFC 9113 §5.1).
    StreamIdle,
    /// A frame on a stream that the peer itself has ended (RFC 9113 §5.1).
    StreamClosed,
    /// Something else inside a header block, or its continuation elsewhere (RFC 9113 §6.10).
    Continuation,
    /// More padding than payload (RFC 9113 §6.1).
    Padding,
    /// A setting with a value that it cannot have (RFC 9113 §6.5.2), or an acknowledgement of nothing.
    Settings,
    /// A window above 2^31 - 1, by WINDOW_UPDATE or by a setting (RFC 9113 §6.9).
    WindowOverflow,
    /// WINDOW_UPDATE by zero for the connection (RFC 9113 §6.9).
    WindowIncrement,
    /// More data than the connection's window (RFC 9113 §6.9.1).
    WindowExceeded,
    /// PUSH_PROMISE, which clients never send and which we forbid to servers (RFC 9113 §6.6).
    Push,
    /// GOAWAY that takes back what an earlier one had refused (RFC 9113 §6.8).
    GoAway,
    /// A header block that cannot be decoded (RFC 9113 §4.3).
    Compression(HpackError),
    /// A header block above its limit of bytes (T13).
    BlockTooLarge,
    /// A header block in more than [`crate::limits::H2_BLOCK_FRAMES_COUNT_MAX`] frames (T13).
    BlockFrames,
    /// Too many streams that end in a reset (T11, T12).
    Resets,
    /// Too many frames without work (T16).
    Workless,
    /// Too many answers owed to a peer that does not read them (T16).
    Replies,
    /// The connection ended with streams at work, or inside a frame.
    Truncated,
}

/// Why one stream was refused or ended, while the connection goes on (RFC 9113 §5.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFault {
    /// The pseudo-header fields (RFC 9113 §8.3).
    Pseudo(PseudoFault),
    /// The value of `:path`.
    Target(TargetFault),
    /// `:authority`, `Host`, or the two together (T10).
    Host(HostFault),
    /// A field of the head or of the trailers (RFC 9113 §8.2.1).
    Field(FieldFault),
    /// A field that belongs to a connection of HTTP/1.1, or `TE` besides `trailers` (RFC 9113 §8.2.2, T17).
    ConnectionField,
    /// The declared length is not one, or cannot be (RFC 9113 §8.1.1, T17).
    Framing(FramingFault),
    /// More or less data than `Content-Length` declared (RFC 9113 §8.1.1, T17).
    LengthMismatch,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// Trailers that do not end the stream (RFC 9113 §8.1).
    TrailersOpen,
    /// Fields on a stream that is a tunnel (RFC 9113 §8.5, T20).
    TunnelFields,
    /// Data before the head of the response (RFC 9113 §8.1).
    DataBeforeHead,
    /// An interim response that ends the stream, or 101, which HTTP/2 does not have (RFC 9113 §8.1, §8.6).
    Interim,
    /// More interim responses than [`crate::limits::INTERIM_COUNT_MAX`] (T20).
    InterimTooMany,
    /// A frame behind the end of the stream (RFC 9113 §5.1).
    Closed,
    /// WINDOW_UPDATE by zero (RFC 9113 §6.9).
    WindowIncrement,
    /// A window above 2^31 - 1 (RFC 9113 §6.9.1).
    WindowOverflow,
    /// More data than the stream's window (RFC 9113 §6.9.1).
    WindowExceeded,
    /// More streams than we allow at the same time (RFC 9113 §5.1.2, T11).
    TooManyStreams,
    /// The heads of all streams together exceed their limit (T14).
    HeadsTooLarge,
}

/// What is wrong with pseudo-header fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PseudoFault {
    /// One that is not defined, or not for this kind of message (RFC 9113 §8.3).
    Unknown,
    /// One that came before (RFC 9113 §8.3).
    Repeated,
    /// One behind a field that is none (RFC 9113 §8.3).
    Late,
    /// A necessary one is not there (RFC 9113 §8.3.1, §8.3.2).
    Missing,
    /// One that this method does not allow (RFC 9113 §8.5, RFC 8441 §4).
    Superfluous,
    /// `:method` or `:protocol` is no token, `:scheme` is neither `http` nor `https`, `:status` is not three digits.
    Value,
}

/// Why something cannot be sent. Nothing was appended, and the connection is as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The stream is not open, was reset, or has been ended from this side.
    Closed,
    /// A head behind the head, or a body before it.
    Order,
    /// More data than [`super::Connection::send_data_len_max`].
    Window,
    /// A name, a value or a part of the request line that HTTP/2 cannot carry (T17, T43).
    Field,
    /// No further stream may be opened: the peer's limit, a GOAWAY, or all identifiers used.
    Unavailable,
}

impl ErrorCode {
    /// The number on the wire.
    pub const fn number(self) -> u32 {
        match self {
            Self::NoError => 0x0,
            Self::ProtocolError => 0x1,
            Self::InternalError => 0x2,
            Self::FlowControlError => 0x3,
            Self::SettingsTimeout => 0x4,
            Self::StreamClosed => 0x5,
            Self::FrameSizeError => 0x6,
            Self::RefusedStream => 0x7,
            Self::Cancel => 0x8,
            Self::CompressionError => 0x9,
            Self::ConnectError => 0xa,
            Self::EnhanceYourCalm => 0xb,
            Self::InadequateSecurity => 0xc,
            Self::Http11Required => 0xd,
            Self::Other(number) => number,
        }
    }

    /// The code of this number.
    pub const fn of(number: u32) -> Self {
        match number {
            0x0 => Self::NoError,
            0x1 => Self::ProtocolError,
            0x2 => Self::InternalError,
            0x3 => Self::FlowControlError,
            0x4 => Self::SettingsTimeout,
            0x5 => Self::StreamClosed,
            0x6 => Self::FrameSizeError,
            0x7 => Self::RefusedStream,
            0x8 => Self::Cancel,
            0x9 => Self::CompressionError,
            0xa => Self::ConnectError,
            0xb => Self::EnhanceYourCalm,
            0xc => Self::InadequateSecurity,
            0xd => Self::Http11Required,
            other => Self::Other(other),
        }
    }
}

impl ConnectionError {
    /// The code of the GOAWAY that answers it.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::FrameTooLarge | Self::FrameLength => ErrorCode::FrameSizeError,
            Self::StreamClosed => ErrorCode::StreamClosed,
            Self::WindowOverflow | Self::WindowExceeded => ErrorCode::FlowControlError,
            Self::Compression(_) => ErrorCode::CompressionError,
            _ if self.is_limit() => ErrorCode::EnhanceYourCalm,
            Self::Truncated => ErrorCode::NoError,
            _ => ErrorCode::ProtocolError,
        }
    }

    /// Whether a limit of ours was reached, as against a rule broken.
    pub const fn is_limit(self) -> bool {
        matches!(
            self,
            Self::BlockTooLarge | Self::BlockFrames | Self::Resets | Self::Workless | Self::Replies
        )
    }

    /// The stable reason code, also a metric label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Preface | Self::FirstFrame => "h2_bad_preface",
            Self::FrameTooLarge | Self::FrameLength | Self::Padding => "h2_bad_frame_size",
            Self::StreamIdentifier | Self::StreamIdle => "h2_bad_stream",
            Self::StreamClosed => "h2_stream_closed",
            Self::Continuation => "h2_bad_continuation",
            Self::Settings => "h2_bad_settings",
            Self::WindowOverflow | Self::WindowIncrement | Self::WindowExceeded => "h2_bad_window",
            Self::Push => "h2_push",
            Self::GoAway => "h2_bad_goaway",
            Self::Compression(_) => "h2_bad_compression",
            Self::BlockTooLarge | Self::BlockFrames => "h2_header_block_too_large",
            Self::Resets => "h2_too_many_resets",
            Self::Workless => "h2_too_many_frames",
            Self::Replies => "h2_too_many_replies",
            Self::Truncated => "h2_truncated",
        }
    }
}

impl StreamFault {
    /// The code of the RST_STREAM that answers it.
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Closed => ErrorCode::StreamClosed,
            Self::WindowOverflow | Self::WindowExceeded => ErrorCode::FlowControlError,
            // RFC 9113 §8.7: nothing of it was processed, and it may be sent again.
            Self::TooManyStreams => ErrorCode::RefusedStream,
            _ if self.is_limit() => ErrorCode::EnhanceYourCalm,
            _ => ErrorCode::ProtocolError,
        }
    }

    /// The status that says the same: to a client for a fault of its request, and 502 stands for all of them where the
    /// fault is an origin's.
    pub const fn status(self) -> u16 {
        match self {
            // RFC 6585 §5.
            Self::Field(fault) if fault.is_limit() => 431,
            // RFC 9110 §10.1.1.
            Self::Expectation => 417,
            _ => 400,
        }
    }

    /// Whether the request is well-formed HTTP/2 that we do not take, so that an answer says more than a reset.
    pub const fn is_answerable(self) -> bool {
        self.status() != 400
    }

    /// Whether a limit of ours was reached, as against a rule broken.
    pub const fn is_limit(self) -> bool {
        match self {
            Self::Field(fault) => fault.is_limit(),
            Self::InterimTooMany | Self::TooManyStreams | Self::HeadsTooLarge => true,
            _ => false,
        }
    }

    /// The stable reason code, also a metric label.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Pseudo(_) => "bad_pseudo_header",
            Self::Target(_) => "bad_request_target",
            Self::Host(_) => "bad_host",
            Self::Field(fault) => fault.reason(),
            Self::ConnectionField => "bad_header",
            Self::Framing(_) | Self::LengthMismatch => "h2_bad_length",
            Self::Expectation => "bad_expectation",
            Self::TrailersOpen | Self::TunnelFields => "bad_trailer",
            Self::DataBeforeHead | Self::Interim => "h2_bad_order",
            Self::InterimTooMany => "too_many_interim_responses",
            Self::Closed => "h2_stream_closed",
            Self::WindowIncrement | Self::WindowOverflow | Self::WindowExceeded => "h2_bad_window",
            Self::TooManyStreams => "h2_too_many_streams",
            Self::HeadsTooLarge => "h2_heads_too_large",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoError => "NO_ERROR",
            Self::ProtocolError => "PROTOCOL_ERROR",
            Self::InternalError => "INTERNAL_ERROR",
            Self::FlowControlError => "FLOW_CONTROL_ERROR",
            Self::SettingsTimeout => "SETTINGS_TIMEOUT",
            Self::StreamClosed => "STREAM_CLOSED",
            Self::FrameSizeError => "FRAME_SIZE_ERROR",
            Self::RefusedStream => "REFUSED_STREAM",
            Self::Cancel => "CANCEL",
            Self::CompressionError => "COMPRESSION_ERROR",
            Self::ConnectError => "CONNECT_ERROR",
            Self::EnhanceYourCalm => "ENHANCE_YOUR_CALM",
            Self::InadequateSecurity => "INADEQUATE_SECURITY",
            Self::Http11Required => "HTTP_1_1_REQUIRED",
            Self::Other(number) => return write!(f, "error {number:#x}"),
        })
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Preface => "connection does not begin with the HTTP/2 preface",
            Self::FirstFrame => "first frame is not SETTINGS",
            Self::FrameTooLarge => "frame is longer than 16384 bytes",
            Self::FrameLength => "frame has a length that its type does not allow",
            Self::StreamIdentifier => "frame names stream 0 where a stream is meant, or the other way round",
            Self::StreamIdle => "frame is on a stream that was not opened",
            Self::StreamClosed => "frame is on a stream that its sender has ended",
            Self::Continuation => "header block is not continued where and when it has to be",
            Self::Padding => "padding is longer than the frame",
            Self::Settings => "setting has a value out of its range, or an acknowledgement came unasked",
            Self::WindowOverflow => "window would exceed 2147483647 bytes",
            Self::WindowIncrement => "window is opened by nothing",
            Self::WindowExceeded => "more data came than the connection's window allows",
            Self::Push => "PUSH_PROMISE came, which is switched off",
            Self::GoAway => "GOAWAY names a later stream than the one before",
            Self::Compression(error) => return error.fmt(f),
            Self::BlockTooLarge => "header block exceeds the header limit",
            Self::BlockFrames => "header block comes in too many frames",
            Self::Resets => "too many streams end in a reset",
            Self::Workless => "too many frames come that carry no work",
            Self::Replies => "too many answers are owed to a peer that does not read",
            Self::Truncated => "connection ended inside a frame or with open streams",
        })
    }
}

impl fmt::Display for StreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pseudo(fault) => return fault.fmt(f),
            Self::Target(fault) => return write!(f, ":path {fault}"),
            Self::Host(fault) => return write!(f, "authority or Host {fault}"),
            Self::Field(fault) => return fault.fmt(f),
            Self::ConnectionField => "a field belongs to HTTP/1.1 connections, or TE is not `trailers`",
            Self::Framing(fault) => return fault.fmt(f),
            Self::LengthMismatch => "data and Content-Length differ",
            Self::Expectation => "Expect holds something besides `100-continue`",
            Self::TrailersOpen => "trailers do not end the stream",
            Self::TunnelFields => "fields came inside a tunnel",
            Self::DataBeforeHead => "data came before the head of the response",
            Self::Interim => "an interim response ends the stream, or is 101",
            Self::InterimTooMany => "there are more interim responses than the limit allows",
            Self::Closed => "a frame came behind the end of the stream",
            Self::WindowIncrement => "the stream's window is opened by nothing",
            Self::WindowOverflow => "the stream's window would exceed 2147483647 bytes",
            Self::WindowExceeded => "more data came than the stream's window allows",
            Self::TooManyStreams => "more streams are open than SETTINGS_MAX_CONCURRENT_STREAMS allows",
            Self::HeadsTooLarge => "the heads of all streams together exceed their limit",
        })
    }
}

impl fmt::Display for PseudoFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "a pseudo-header field is not defined for this message",
            Self::Repeated => "a pseudo-header field is sent more than once",
            Self::Late => "a pseudo-header field comes behind other fields",
            Self::Missing => "a necessary pseudo-header field is missing",
            Self::Superfluous => "a pseudo-header field does not go with this method",
            Self::Value => "a pseudo-header field has a value that it cannot have",
        })
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the stream is not open for sending",
            Self::Order => "a head has to be sent once, and before its body",
            Self::Window => "the data exceed what the peer's windows and frame size allow",
            Self::Field => "a name or a value cannot be sent in HTTP/2",
            Self::Unavailable => "no stream may be opened on this connection now",
        })
    }
}

impl std::error::Error for ConnectionError {}
impl std::error::Error for StreamFault {}
impl std::error::Error for SendError {}

impl From<HpackError> for ConnectionError {
    fn from(error: HpackError) -> Self {
        Self::Compression(error)
    }
}

impl From<PseudoFault> for StreamFault {
    fn from(fault: PseudoFault) -> Self {
        Self::Pseudo(fault)
    }
}

impl From<TargetFault> for StreamFault {
    fn from(fault: TargetFault) -> Self {
        Self::Target(fault)
    }
}

impl From<HostFault> for StreamFault {
    fn from(fault: HostFault) -> Self {
        Self::Host(fault)
    }
}

impl From<FieldFault> for StreamFault {
    fn from(fault: FieldFault) -> Self {
        Self::Field(fault)
    }
}

impl From<FramingFault> for StreamFault {
    fn from(fault: FramingFault) -> Self {
        Self::Framing(fault)
    }
}
