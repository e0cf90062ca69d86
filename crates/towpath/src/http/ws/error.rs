//! What goes wrong with a WebSocket.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use towpath_proto::ws::{CloseCode, HandshakeError, WsError};

use crate::ctx::Cause;
use crate::http::StatusCode;
use crate::http::error::BoxError;

/// A WebSocket could not be opened, or cannot be used any more.
///
/// ```
/// use towpath::http::ws::{self, Error};
///
/// # #[tokio::main(flavor = "local")]
/// # async fn main() {
/// let error: Error = ws::connect(&towpath::Ctx::background(), "ftp://x").await.unwrap_err();
/// assert!(!error.is_retryable());
/// assert_eq!(error.to_string(), r#""ftp://x" is no address of a WebSocket; ws://host/path would be right"#);
/// # }
/// ```
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    source: Option<BoxError>,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// It has ended, or is about to.
    Closed,
    /// The connection ended without a closing handshake.
    Disconnected,
    /// The peer broke a rule or a limit.
    Peer(WsError),
    /// The peer took too long over this.
    Timeout(&'static str),
    /// The context was done.
    Done(Cause),
    /// This is no address.
    Address(String),
    /// Nobody could be reached.
    Connect(String),
    /// The server's answer to our handshake is none.
    Handshake(HandshakeError),
    /// The server answers with another status than 101.
    Refused(StatusCode),
}

impl Error {
    pub(super) fn new(kind: Kind) -> Self {
        Self { kind, source: None }
    }

    pub(super) fn with(kind: Kind, source: impl Into<BoxError>) -> Self {
        Self { kind, source: Some(source.into()) }
    }

    /// The socket was closed before, by either side. The same again when repeated.
    pub fn is_closed(&self) -> bool {
        matches!(self.kind, Kind::Closed)
    }

    /// The connection ended without a word. Another one may do.
    pub fn is_disconnected(&self) -> bool {
        matches!(self.kind, Kind::Disconnected)
    }

    /// The peer broke a rule of the protocol or a limit of ours, and was told.
    pub fn is_protocol(&self) -> bool {
        matches!(self.kind, Kind::Peer(_) | Kind::Handshake(_))
    }

    /// The peer, or what was to be done, took too long.
    pub fn is_timeout(&self) -> bool {
        matches!(self.kind, Kind::Timeout(_) | Kind::Done(Cause::DeadlineExceeded { .. }))
    }

    /// The context was done.
    pub fn is_canceled(&self) -> bool {
        matches!(self.kind, Kind::Done(_))
    }

    /// What a server answered that does not open a WebSocket.
    pub fn refused_with(&self) -> Option<StatusCode> {
        match self.kind {
            Kind::Refused(status) => Some(status),
            _ => None,
        }
    }

    /// Whether another attempt to connect may succeed.
    pub fn is_retryable(&self) -> bool {
        match &self.kind {
            Kind::Closed | Kind::Disconnected | Kind::Timeout(_) | Kind::Connect(_) => true,
            Kind::Refused(status) => status.is_server_error(),
            Kind::Done(cause) => cause.is_retryable(),
            Kind::Peer(_) | Kind::Address(_) | Kind::Handshake(_) => false,
        }
    }

    /// Whether it is the peer's doing that a handler's failure with it need not be reported.
    pub(super) fn is_of_the_peer(&self) -> bool {
        matches!(
            self.kind,
            Kind::Closed | Kind::Disconnected | Kind::Peer(_) | Kind::Timeout(_) | Kind::Done(_)
        )
    }

    /// The code to close with because of it.
    pub(super) fn close_code(&self) -> CloseCode {
        match &self.kind {
            Kind::Done(Cause::Shutdown) => CloseCode::GOING_AWAY,
            Kind::Done(Cause::Overload) => CloseCode::TRY_AGAIN,
            _ => CloseCode::INTERNAL_ERROR,
        }
    }
}

impl From<Cause> for Error {
    fn from(cause: Cause) -> Self {
        Self::new(Kind::Done(cause))
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::with(Kind::Disconnected, error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Closed => f.write_str("the WebSocket is closed"),
            Kind::Disconnected => f.write_str("the connection ended without a closing handshake"),
            Kind::Peer(error) => write!(f, "the peer's frames are refused: {error}"),
            Kind::Timeout(what) => write!(f, "the peer took too long over {what}"),
            Kind::Done(cause) => write!(f, "given up: {cause}"),
            Kind::Address(url) => {
                write!(f, "{url:?} is no address of a WebSocket; ws://host/path would be right")
            }
            Kind::Connect(host) => write!(f, "cannot connect to {host}"),
            Kind::Handshake(error) => write!(f, "the server's handshake is refused: {error}"),
            Kind::Refused(status) => write!(f, "the server answers {status} instead of opening a WebSocket"),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
