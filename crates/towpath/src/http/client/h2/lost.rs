//! Why a stream has ended early.

use towpath_proto::h2::{ConnectionError, ErrorCode, StreamFault};

use crate::http::client::exchange::Repeat;
use crate::http::error::{Error, Kind};

/// Why nothing more comes on a stream.
#[derive(Clone, Copy, Debug)]
pub(super) enum Lost {
    /// The origin reset it.
    Reset(ErrorCode),
    /// The origin has said that it did not look at the request: by REFUSED_STREAM, or by a GOAWAY below it (RFC 9113 §8.7).
    Unprocessed(&'static str),
    /// The same, and it wants the request by HTTP/1.1 (RFC 9113 §7).
    Http1Required,
    /// The origin broke a rule, or a limit, on this stream.
    Fault(StreamFault),
    /// The same on the connection.
    Connection(ConnectionError),
    /// The connection ended; perhaps after a GOAWAY.
    Gone(Option<ErrorCode>),
    /// The connection was given up, as the origin was too slow over this.
    Silent(&'static str),
    /// The connection was given up, as the origin did not answer a PING.
    Dead,
}

impl Lost {
    pub(super) fn to_error(self) -> Error {
        let broken = |is_limit: bool, text: String| {
            Error::new(if is_limit { Kind::Limit(text) } else { Kind::Protocol(text) })
        };
        match self {
            Self::Reset(code) => Error::new(Kind::Reset(format!("the server reset the stream: {code}"))),
            Self::Unprocessed(how) => {
                Error::new(Kind::Reset(format!("the server did not look at the request: {how}")))
            }
            Self::Fault(fault) => broken(fault.is_limit(), fault.to_string()),
            Self::Http1Required => Error::new(Kind::Reset("the server requires HTTP/1.1".to_owned())),
            Self::Connection(ConnectionError::Truncated) | Self::Gone(None) => Error::new(Kind::Disconnected),
            Self::Connection(error) => broken(error.is_limit(), error.to_string()),
            Self::Gone(Some(code)) => {
                Error::with(Kind::Disconnected, format!("the server said GOAWAY before: {code}"))
            }
            Self::Silent(part) => Error::new(Kind::Timeout(part)),
            Self::Dead => Error::new(Kind::Timeout("a PING")),
        }
    }

    /// Whether a request that got no answer for this may be sent again. `is_reused` says that its connection had carried one
    /// before (P14).
    pub(super) fn repeat(self, is_reused: bool) -> Repeat {
        match self {
            Self::Unprocessed(_) | Self::Http1Required => Repeat::Yes,
            // It may have looked at the request before it found that.
            Self::Gone(Some(ErrorCode::Http11Required)) => Repeat::IfIdempotent,
            Self::Gone(_) | Self::Dead if is_reused => Repeat::IfIdempotent,
            _ => Repeat::No,
        }
    }

    /// Whether the origin wants HTTP/1.1 from now on.
    pub(super) fn wants_http1(self) -> bool {
        matches!(self, Self::Http1Required | Self::Gone(Some(ErrorCode::Http11Required)))
    }
}
