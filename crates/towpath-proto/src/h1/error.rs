//! Why a message was refused. Each fault is a small value that names its wire status and a stable reason
//! code.

use std::fmt;

/// Why bytes from a client are not a request. The connection has to be closed after the answer: where the
/// next message would begin is no longer known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// The first line is not `method SP target SP version` (RFC 9112 §3).
    RequestLine,
    /// The first line exceeds the line limit.
    RequestLineTooLong,
    /// A version other than HTTP/1.0 and HTTP/1.1, the HTTP/2 preface included.
    Version,
    /// The request target (RFC 9112 §3.2).
    Target(TargetFault),
    /// The `Host` field (RFC 9112 §3.2, RFC 9110 §7.2).
    Host(HostFault),
    /// A field or a line of the header or trailer section (RFC 9112 §5).
    Field(FieldFault),
    /// The message's length is not certain (RFC 9112 §6).
    Framing(FramingFault),
    /// The chunked coding (RFC 9112 §7.1).
    Chunk(ChunkFault),
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// More than one `Upgrade` field, or one that is not a list of protocols (RFC 9110 §7.8).
    Upgrade,
    /// The connection ended inside the request (RFC 9112 §8).
    Truncated,
}

/// Why bytes from an origin are not a response. The connection cannot be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseError {
    /// The first line is not `version SP status SP [reason]`, or the status is below 100 (RFC 9112 §4).
    StatusLine,
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// A field or a line of the header or trailer section (RFC 9112 §5).
    Field(FieldFault),
    /// The message's length is not certain (RFC 9112 §6).
    Framing(FramingFault),
    /// The chunked coding (RFC 9112 §7.1).
    Chunk(ChunkFault),
    /// Bytes came while no response was due (T07).
    Unsolicited,
    /// The connection ended before the response did (RFC 9112 §8).
    Truncated,
}

/// What is wrong with a request target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetFault {
    /// None of the four forms, or a form this method may not use (RFC 9112 §3.2).
    Form,
    /// An absolute target whose scheme is neither `http` nor `https`.
    Scheme,
    /// The authority of an absolute or CONNECT target is not a host with an optional port; user information
    /// is never accepted (RFC 9110 §4.2.4).
    Authority,
    /// A byte that no target may hold: a control, a byte above 0x7E, or in the path one of `\ " < >`.
    Byte,
    /// A `#`: fragments are never sent (RFC 9112 §3.2).
    Fragment,
    /// A `%` in the path without two hexadecimal digits (RFC 3986 §2.1).
    PercentEncoding,
}

/// What is wrong with `Host`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostFault {
    /// An HTTP/1.1 request without it.
    Missing,
    /// More than one.
    Repeated,
    /// Not a host with an optional port.
    Syntax,
    /// Not the authority of the target (T10).
    Mismatch,
}

/// What is wrong with a header or trailer section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldFault {
    /// A line feed without a carriage return before it (T04).
    LoneLf,
    /// A name that is empty or not a token, white space before the colon, or a folded line (T08).
    Name,
    /// A value with a control character (T08).
    Value,
    /// One line exceeds the line limit.
    LineTooLong,
    /// The section exceeds its limit.
    SectionTooLarge,
    /// More fields than allowed.
    TooMany,
    /// A trailer field that would change framing or routing (RFC 9110 §6.5.1).
    ForbiddenTrailer,
}

/// What makes the length of a message uncertain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FramingFault {
    /// `Content-Length` beside `Transfer-Encoding` (T01).
    LengthAndCoding,
    /// More than one `Content-Length` field (T02).
    LengthRepeated,
    /// A `Content-Length` that is not one decimal number below 2^64 (T02).
    LengthNotDecimal,
    /// More than one `Transfer-Encoding` field (T03).
    CodingRepeated,
    /// A `Transfer-Encoding` that does not end in `chunked`, or names it more than once (T03).
    CodingNotChunked,
    /// Transfer codings besides `chunked`, which Towpath does not take apart.
    CodingUnknown,
    /// `Transfer-Encoding` in an HTTP/1.0 message (T03).
    CodingInHttp10,
    /// Content where there can be none: CONNECT, GET with an upgrade (T06), a 1xx or 204 response.
    ContentForbidden,
}

/// What is wrong in the chunked coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkFault {
    /// The size is not hexadecimal digits.
    Size,
    /// The size does not fit 64 bits.
    SizeOverflow,
    /// The extensions do not start with `;` or hold a control character.
    Extension,
    /// The extensions exceed [`crate::limits::CHUNK_EXTENSION_BYTES_MAX`].
    ExtensionTooLong,
    /// A chunk line or chunk data does not end in CR LF.
    LineEnd,
}

impl RequestError {
    /// The status to answer with. [`RequestError::Truncated`] has one for the log only: nobody is left to
    /// read it.
    pub fn status(self) -> u16 {
        match self {
            // RFC 9112 §3: a request target longer than the server parses is answered with 414.
            Self::RequestLineTooLong => 414,
            // RFC 9110 §15.6.6.
            Self::Version => 505,
            // RFC 9112 §6.1: a transfer coding that is not understood.
            Self::Framing(FramingFault::CodingUnknown) => 501,
            // RFC 9110 §10.1.1.
            Self::Expectation => 417,
            // RFC 6585 §5.
            Self::Field(fault) if fault.is_limit() => 431,
            _ => 400,
        }
    }

    /// The stable reason code, also a metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::RequestLine => "bad_request_line",
            Self::RequestLineTooLong => "request_line_too_long",
            Self::Version => "unsupported_version",
            Self::Target(_) => "bad_request_target",
            Self::Host(_) => "bad_host",
            Self::Field(fault) => fault.reason(),
            Self::Framing(FramingFault::CodingUnknown) => "unknown_transfer_coding",
            Self::Framing(_) | Self::Chunk(_) => "bad_request_framing",
            Self::Expectation => "bad_expectation",
            Self::Upgrade => "bad_upgrade",
            Self::Truncated => "request_truncated",
        }
    }
}

impl ResponseError {
    /// The status the client gets instead of the response: always 502 (RFC 9110 §15.6.3).
    pub fn status(self) -> u16 {
        502
    }

    /// The stable reason code, also a metric label.
    pub fn reason(self) -> &'static str {
        match self {
            Self::StatusLine => "bad_status_line",
            Self::Version => "unsupported_version",
            Self::Field(fault) => fault.reason(),
            Self::Framing(FramingFault::CodingUnknown) => "unknown_transfer_coding",
            Self::Framing(_) | Self::Chunk(_) => "bad_response_framing",
            Self::Unsolicited => "unsolicited_response",
            Self::Truncated => "response_truncated",
        }
    }
}

impl FieldFault {
    /// Whether a limit was reached, as against a rule broken.
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::LineTooLong | Self::SectionTooLarge | Self::TooMany)
    }

    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::LoneLf => "bad_line_end",
            Self::Name | Self::Value => "bad_header",
            Self::LineTooLong | Self::SectionTooLarge => "header_too_large",
            Self::TooMany => "too_many_headers",
            Self::ForbiddenTrailer => "bad_trailer",
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RequestLine => f.write_str(
                "request line is not `METHOD TARGET HTTP/1.1` with single spaces between the three",
            ),
            Self::RequestLineTooLong => {
                f.write_str("request line exceeds the line limit; a shorter target is needed")
            }
            Self::Version => f.write_str("version is neither HTTP/1.1 nor HTTP/1.0"),
            Self::Target(fault) => write!(f, "request target {fault}"),
            Self::Host(fault) => write!(f, "Host {fault}"),
            Self::Field(fault) => fault.fmt(f),
            Self::Framing(fault) => fault.fmt(f),
            Self::Chunk(fault) => fault.fmt(f),
            Self::Expectation => f.write_str("Expect holds something besides `100-continue`"),
            Self::Upgrade => {
                f.write_str("Upgrade is sent more than once or holds no protocol; one field is understood")
            }
            Self::Truncated => f.write_str("connection ended inside the request"),
        }
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StatusLine => {
                f.write_str("status line is not `HTTP/1.1 CODE REASON` with a code from 100 to 999")
            }
            Self::Version => f.write_str("version is neither HTTP/1.1 nor HTTP/1.0"),
            Self::Field(fault) => fault.fmt(f),
            Self::Framing(fault) => fault.fmt(f),
            Self::Chunk(fault) => fault.fmt(f),
            Self::Unsolicited => f.write_str("origin sent bytes while no response was due"),
            Self::Truncated => f.write_str("connection ended before the response did"),
        }
    }
}

impl fmt::Display for TargetFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Form => "has a form this method may not use; a path that starts with `/` is right for most",
            Self::Scheme => "names a scheme besides `http` and `https`",
            Self::Authority => "has an authority that is not `host` or `host:port` without user information",
            Self::Byte => "holds a byte that has to be percent-encoded",
            Self::Fragment => "holds a `#`; a fragment stays with the client",
            Self::PercentEncoding => "holds a `%` in its path without two hexadecimal digits behind it",
        })
    }
}

impl fmt::Display for HostFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is missing; HTTP/1.1 requires exactly one",
            Self::Repeated => "is sent more than once",
            Self::Syntax => "is not `host` or `host:port`",
            Self::Mismatch => "differs from the authority of the request target",
        })
    }
}

impl fmt::Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoneLf => "a line ends in LF alone; lines end in CR LF",
            Self::Name => "a field name is not a token directly followed by `:`, or a line is folded",
            Self::Value => "a field value holds a control character",
            Self::LineTooLong => "a field line exceeds the line limit",
            Self::SectionTooLarge => "the fields together exceed the header limit",
            Self::TooMany => "there are more fields than the limit allows",
            Self::ForbiddenTrailer => {
                "a trailer field would change framing or routing; such fields belong in the head"
            }
        })
    }
}

impl fmt::Display for FramingFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LengthAndCoding => {
                "Content-Length and Transfer-Encoding are both there; only one may say the length"
            }
            Self::LengthRepeated => "Content-Length is sent more than once",
            Self::LengthNotDecimal => "Content-Length is not one decimal number below 2^64",
            Self::CodingRepeated => "Transfer-Encoding is sent more than once",
            Self::CodingNotChunked => "Transfer-Encoding is not the single word `chunked`",
            Self::CodingUnknown => "Transfer-Encoding names codings besides `chunked`",
            Self::CodingInHttp10 => "Transfer-Encoding in an HTTP/1.0 message, which has none",
            Self::ContentForbidden => "content is announced where the message can have none",
        })
    }
}

impl fmt::Display for ChunkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "chunk size is not hexadecimal digits only",
            Self::SizeOverflow => "chunk size does not fit 64 bits",
            Self::Extension => "chunk extension does not start with `;` or holds a control character",
            Self::ExtensionTooLong => "chunk extensions exceed 256 bytes",
            Self::LineEnd => "a chunk does not end in CR LF",
        })
    }
}

impl std::error::Error for RequestError {}
impl std::error::Error for ResponseError {}

impl From<FieldFault> for RequestError {
    fn from(fault: FieldFault) -> Self {
        Self::Field(fault)
    }
}

impl From<FramingFault> for RequestError {
    fn from(fault: FramingFault) -> Self {
        Self::Framing(fault)
    }
}

impl From<ChunkFault> for RequestError {
    fn from(fault: ChunkFault) -> Self {
        Self::Chunk(fault)
    }
}

impl From<TargetFault> for RequestError {
    fn from(fault: TargetFault) -> Self {
        Self::Target(fault)
    }
}

impl From<HostFault> for RequestError {
    fn from(fault: HostFault) -> Self {
        Self::Host(fault)
    }
}

impl From<FieldFault> for ResponseError {
    fn from(fault: FieldFault) -> Self {
        Self::Field(fault)
    }
}

impl From<FramingFault> for ResponseError {
    fn from(fault: FramingFault) -> Self {
        Self::Framing(fault)
    }
}

impl From<ChunkFault> for ResponseError {
    fn from(fault: ChunkFault) -> Self {
        Self::Chunk(fault)
    }
}
